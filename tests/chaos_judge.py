"""Whether the promise was kept: what is on the topics, beside a replay of a recording of the source and the ticks."""

import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from streams.records import decode_alert
from streams.topics import Topics
from tests.integration.workers import COMMAND, everything, revisions


class Verdict(NamedTuple):
    """What the topics say."""

    revisions: int  # that a replay gives
    again: int  # revisions written again after a crash, the same to the byte
    lost: int  # of a replay's, that are not on the topic
    made_up: int  # on the topic, that a replay does not give
    two_contents: int  # revisions written with two contents
    dead_missing: int  # bad records that are no dead letter

    @property
    def held(self) -> bool:
        return not (self.lost or self.made_up or self.two_contents or self.dead_missing) and self.revisions > 0


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
            f"dead letter; {self.repeated:,} repeated deliveries; recovery p50 {times[0]} s, p99 {times[1]} s, "
            f"max {times[2]} s."
        )

    def table(self) -> str:
        """Faults by kind, with their times, in Markdown."""
        lines = ["| fault | how often | recovery p50 | p99 | max |", "|---|---|---|---|---|"]
        for fault, n in sorted(self.faults.items()):
            times = np.percentile(self.recovery_s.get(fault) or [np.nan], [50, 99, 100])
            lines.append(f"| {fault} | {n} | " + " | ".join(f"{t:.1f} s" for t in times) + " |")
        return "\n".join(lines)


def judge(kafka: str, prefix: str, config: Path, folder: Path, bad: int) -> Verdict:
    """Record what is there, replay it, and compare."""
    topics = Topics.with_prefix(prefix)
    live = everything(kafka, topics.alerts)
    recording, options = folder / "recording.jsonl.gz", ["--topic-prefix", prefix, "--bootstrap-servers", kafka]
    subprocess.run([COMMAND, "record", "--out", recording, "--until-end", *options], check=True)
    out = folder / "out"
    command = [COMMAND, "replay", recording, "--config", config, "--out", out]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    replayed = revisions((out / "alerts.jsonl").read_bytes().splitlines())
    told = revisions(record.value for record in live)
    contents = Counter((a.alert_id, a.revision) for a in map(decode_alert, told))
    origins = {
        (headers["source_partition"], headers["source_offset"])
        for record in everything(kafka, topics.dlq)
        if (headers := {name: value.decode() for name, value in record.headers})
    }
    twice = sum(n > 1 for n in contents.values())
    return Verdict(
        len(replayed), len(live) - len(told), len(replayed - told), len(told - replayed), twice, bad - len(origins)
    )
