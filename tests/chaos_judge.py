"""Whether the promise was kept: what is on the topics, beside a replay of a recording of the source and the ticks."""

import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from config.catalogue import load
from config.schema import Catalogue
from streams import state
from streams.engine import Engine
from streams.recording import Recording
from streams.records import decode_alert, encode_alert
from streams.replay import replay
from streams.topics import Topics
from tests.integration.torn import newest_checkpoint
from tests.integration.workers import COMMAND, everything, revisions


class Verdict(NamedTuple):
    """What the topics say."""

    revisions: int  # that a replay gives
    again: int  # revisions written again after a crash, the same to the byte
    lost: int  # of a replay's, that are not on the topic
    made_up: int  # on the topic, that a replay does not give
    two_contents: int  # revisions written with two contents
    dead_missing: int  # bad records that are no dead letter
    otherwise: int  # partitions whose state in the last checkpoint is not that of the replay

    @property
    def held(self) -> bool:
        wrong = (self.lost, self.made_up, self.two_contents, self.dead_missing, self.otherwise)
        return not any(wrong) and self.revisions > 0


class Report(NamedTuple):
    """What came of a run."""

    faults: dict[str, int]
    records: int
    repeated: int  # deliveries of an event that had come before
    bad: int
    ended: int  # workers that ended by themselves and were started again
    verdict: Verdict
    recovery_s: dict[str, list[float]]  # by fault: until every partition is owned and restored, and brokers answer

    @property
    def held(self) -> bool:
        return self.verdict.held

    def sentence(self) -> str:
        v, many = self.verdict, ", ".join(f"{n} x {fault}" for fault, n in sorted(self.faults.items()))
        times = np.percentile([t for some in self.recovery_s.values() for t in some] or [0.0], [50, 99, 100]).round(1)
        return (
            f"{'Held' if self.held else 'BROKEN'}: {many} under {self.records:,} records; of {v.revisions:,} alert "
            f"revisions {v.lost} lost and {v.made_up} made up, {v.two_contents} with two contents; "
            f"{v.again} written again; {v.dead_missing} of {self.bad} bad records without a "
            f"dead letter; {v.otherwise} partitions with another state at the end; {self.repeated:,} repeated "
            f"deliveries; recovery p50 {times[0]} s, p99 {times[1]} s, max {times[2]} s."
        )

    def table(self) -> str:
        """Faults by kind, with their times, in Markdown."""
        lines = ["| fault | how often | recovery p50 | p99 | max |", "|---|---|---|---|---|"]
        for fault, n in sorted(self.faults.items()):
            times = np.percentile(self.recovery_s.get(fault) or [np.nan], [50, 99, 100])
            lines.append(f"| {fault} | {n} | " + " | ".join(f"{t:.1f} s" for t in times) + " |")
        return "\n".join(lines)


def judge(kafka: str, prefix: str, config: Path, folder: Path, bad: int) -> Verdict:
    """Record what is there, replay it, and compare: alerts, dead letters, and the memory at the end."""
    topics = Topics.with_prefix(prefix)
    recording, options = folder / "recording.jsonl.gz", ["--topic-prefix", prefix, "--bootstrap-servers", kafka]
    subprocess.run([COMMAND, "record", "--out", recording, "--until-end", *options], check=True)
    engines: dict[int, Engine] = {}

    def engine(catalogue: Catalogue, topic: str, partition: int) -> Engine:
        engines[partition] = Engine(catalogue, topic, partition)
        return engines[partition]

    source = Recording(recording)
    source.head()
    result = replay(source.entries(), load(config), topic=source.topic, engine=engine)
    live = everything(kafka, topics.alerts)
    told, replayed = revisions(r.value for r in live), revisions(map(encode_alert, result.alerts))
    contents = Counter((a.alert_id, a.revision) for a in map(decode_alert, told))
    origins = {
        (headers["source_partition"], headers["source_offset"])
        for record in everything(kafka, topics.dlq)
        if (headers := {name: value.decode() for name, value in record.headers})
    }
    return Verdict(
        revisions=len(replayed), again=len(live) - len(told), lost=len(replayed - told), made_up=len(told - replayed),
        two_contents=sum(n > 1 for n in contents.values()), dead_missing=bad - len(origins),
        otherwise=sum(not _same(kafka, topics.checkpoints, p, engine) for p, engine in engines.items()),
    )  # fmt: skip


def _same(kafka: str, topic: str, partition: int, engine: Engine) -> bool:
    """Whether a partition's newest checkpoint holds, to the byte, what the replay's engine has at the end: each record
    leaves a trace there, also one of which no alert speaks."""
    found = newest_checkpoint(kafka, topic, partition).snapshot
    replayed = state.take(engine)
    if found is None or found.arrays.keys() != replayed.arrays.keys():
        return False
    arrays = found.arrays.keys() - {state.CATALOGUE}  # which the memo's version says
    same = [np.array_equal(found.arrays[name], replayed.arrays[name]) for name in arrays]
    return all(same) and found.memo == msgspec.convert(msgspec.to_builtins(replayed.memo), state.Memo)
