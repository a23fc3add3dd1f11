"""Parity, on Apache Kafka: what a worker told, every way of replaying tells: from a recording as lines or as columns,
from the topic itself, and from a checkpoint on; on one process or two.
"""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from streams.recording import Recording
from streams.records import decode_alert
from streams.ticks import Tick
from streams.topics import Topics, create
from tests.chaos_load import BAD, Pair, market, talkative
from tests.chaos_quiet import START, fast_catalogue, violation
from tests.integration.test_end_to_end import _send
from tests.integration.workers import COMMAND, WorkerProcess, committed, everything, revisions, wait_until, workers


class Played(NamedTuple):
    """What a worker was sent, and told."""

    folder: Path
    environ: dict[str, str]
    live: set[bytes]
    partitions: int
    bad: int

    def __repr__(self) -> str:
        return self.folder.name


def play(kafka: str, folder: Path, config: Path, partitions: int, parts: list[list[Pair]], silence: bool) -> Played:
    """Send these one after the other, each when the one before it is in checkpoints, which are copied before the last;
    with silences between them, in which ticks are written.
    """
    name = f"{folder.name}-"
    topics = Topics.with_prefix(name)
    create(kafka, topics.specs(partitions, 1))
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka, "RIPCURRENT_TOPIC_PREFIX": name, "RIPCURRENT_GROUP": name,
        "RIPCURRENT_CHECKPOINT_SECONDS": "1", "RIPCURRENT_TICK_SECONDS": "1", "RIPCURRENT_CHECKPOINT_SHARE": "1000",
        "RIPCURRENT_CONFIG": str(config),
    }  # fmt: skip
    sent = 0

    def applied() -> bool:
        return sum(committed(kafka, name, topics.source).values()) == sent

    def written() -> int:
        return len(everything(kafka, topics.ticks))

    with workers() as running:
        running.append(WorkerProcess(folder / "worker.log", **environ))
        for n, part in enumerate(parts):
            _send(kafka, topics.source, part, "lz4")
            sent += len(part)
            wait_until("it is in checkpoints", applied, 120, running)
            if silence:
                goal = written() + 2 * partitions
                wait_until("ticks are written", lambda goal=goal: written() >= goal, 60, running, every=1.0)
            if n == len(parts) - 2:
                (folder / "state.txt").write_text(ripcurrent(environ, "checkpoint", "--out", folder / "state"))
        assert running[0].stop() == 0
    ripcurrent(environ, "record", "--until-end", "--out", folder / "r.jsonl.gz")
    ripcurrent(environ, "convert", folder / "r.jsonl.gz", "--out", folder / "columns")
    bad = sum(key == b"bad" for part in parts for key, _ in part)
    return Played(folder, environ, revisions(r.value for r in everything(kafka, topics.alerts)), partitions, bad)


def ripcurrent(environ: dict[str, str], *arguments: str | Path) -> str:
    done = subprocess.run(
        [COMMAND, *arguments], env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def replayed(played: Played, source: str, *more: str | Path) -> set[bytes]:
    out = played.folder / "out"
    where = source if source.startswith("kafka:") else played.folder / source
    ripcurrent(played.environ, "replay", where, "--out", out, "--no-tables", "--traces", "0", *more)
    return revisions((out / "alerts.jsonl").read_bytes().splitlines())


# ---- panes of five seconds, which silence closes -----------------------------------------------------------


@pytest.fixture(scope="module", params=[1, 4], ids=["one partition", "four partitions"])
def quick(request: pytest.FixtureRequest, kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Five minutes of violations, with bad, late and repeated records among them, and silences with ticks."""
    folder = tmp_path_factory.mktemp(f"parity{request.param}")
    rng = np.random.default_rng(8)
    records: list[Pair] = []
    for n in range(3_000):
        at = START + n * 100 - (int(rng.integers(2_000, 30_000)) if rng.random() < 0.02 else 0)
        records.append(violation(f"c{int(rng.integers(150))}", at))
        if rng.random() < 0.02:
            records.append(records[-int(rng.integers(1, min(len(records), 200) + 1))])
        if rng.random() < 0.01:
            records.append((b"bad", BAD[n % len(BAD)]))
    parts = [records[:1_200], records[1_200:2_000], records[2_000:]]
    return play(kafka, folder, fast_catalogue(folder / "config"), request.param, parts, silence=True)


def test_there_is_something_to_compare(quick: Played) -> None:
    entries = list(Recording(quick.folder / "r.jsonl.gz").entries())
    records = [entry for _, entry in entries if not isinstance(entry, Tick)]
    assert sum(isinstance(entry, Tick) and entry.up_to is not None for _, entry in entries) >= 4 * quick.partitions
    assert {partition for partition, _ in entries} == set(range(quick.partitions))
    assert len({record.value for record in records if record.key != b"bad"}) < len(records) - quick.bad - 30
    alerts = [decode_alert(line) for line in quick.live]
    assert {"opened", "updated", "resolved"} <= {alert.status for alert in alerts}
    assert len({alert.alert_id for alert in alerts}) > 100


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("source", ["r.jsonl.gz", "columns", "kafka:"])
def test_a_replay_tells_byte_for_byte_what_the_worker_told(quick: Played, source: str, workers: str) -> None:
    assert replayed(quick, source, "--workers", workers) == quick.live
    letters = (quick.folder / "out" / "dead_letters.jsonl").read_bytes()
    assert letters.count(b"\n") == quick.bad


@pytest.mark.parametrize("source", ["r.jsonl.gz", "columns", "kafka:"])
def test_from_a_checkpoint_a_replay_tells_what_the_worker_told_behind_it(quick: Played, source: str) -> None:
    said = (quick.folder / "state.txt").read_text().replace(",", "").splitlines()
    ends = [f"{line.split()[1]}{line.split()[-1]}" for line in said if line.startswith("partition")]
    before = replayed(quick, "kafka:", "--until", ",".join(ends))
    behind = replayed(quick, source, "--from-checkpoint", quick.folder / "state")
    assert before | behind == quick.live
    assert len(behind - before) > 30
    assert len(before & behind) < len(before) // 4, "of what was told before, the ticks behind the last record at most"


def test_a_span_of_the_topic_is_what_lies_between_its_offsets(quick: Played) -> None:
    every = range(quick.partitions)
    since, until = (",".join(f"{p}:{offset}" for p in every) for offset in (100, 350))
    how = ("--since", since, "--until", until, "--out", quick.folder / "span", "--no-tables")
    said = ripcurrent(quick.environ, "replay", "kafka:", *how)
    assert said.startswith(f"{250 * quick.partitions:,} records in {quick.partitions} shards")
    none = ripcurrent(quick.environ, "replay", "kafka:", "--since", "2100-01-01", "--out", quick.folder / "none")
    assert none.startswith("0 records")


# ---- all signals -------------------------------------------------------------------------------------------


def test_with_all_signals_lines_columns_and_the_topic_tell_what_the_worker_told(
    kafka: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("parity-all")
    records = market(3, np.random.default_rng(6)).records
    records = records[: len(records) * 2 // 3]
    parts = [records[: len(records) // 2], records[len(records) // 2 :]]
    played = play(kafka, folder, talkative(folder / "config"), 4, parts, silence=False)
    assert len({decode_alert(line).signal for line in played.live}) > 5
    for source, many in (("r.jsonl.gz", "2"), ("columns", "2"), ("kafka:", "1")):
        assert replayed(played, source, "--workers", many) == played.live, source
