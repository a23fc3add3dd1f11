"""The source on a real Kafka: workers are processes; what they saw is in their logs (source_worker.py)."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

WORKER = Path(__file__).with_name("source_worker.py")
SECONDS = 30.0  # for anything that a worker is waited for; each test needs far less

pytestmark = pytest.mark.kafka


@dataclass
class Worker:
    process: subprocess.Popen[bytes]
    log: Path
    err: Path

    def told(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines(keepends=True) if self.log.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]  # a killed one may stop in a line

    def saw(self, what: str) -> list[dict[str, Any]]:
        return [one for one in self.told() if one["what"] == what]

    def wait_for(self, condition: Callable[[], object], seconds: float = SECONDS) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"the worker ended:\n{self.err.read_text()[-3000:]}"
            assert time.monotonic() < until, f"waited in vain:\n{self.err.read_text()[-3000:]}"
            time.sleep(0.05)

    def records(self, partition: int | None = None) -> int:
        return sum(run["n"] for run in self.saw("run") if partition in (None, run["partition"]))

    def partitions(self) -> set[int]:
        return {run["partition"] for run in self.saw("run")}

    def owned(self) -> set[int]:
        owned: set[int] = set()
        for one in self.told():
            if one["what"] == "restored":
                owned |= {int(p) for p in one["starts"]}
            elif one["what"] == "revoked":
                owned -= set(one["partitions"])
        return owned

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


@dataclass
class Bench:
    """A topic, a group, and workers on them."""

    kafka: str
    topic: str
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)

    def start(self, settings: dict[str, Any] | None = None, **options: Any) -> Worker:
        kafka = {"bootstrap_servers": self.kafka, "group": self.topic, "topic": self.topic}
        stem = self.folder / f"worker{len(self.workers)}"
        log, err = stem.with_suffix(".jsonl"), stem.with_suffix(".err")
        told = {"kafka": kafka | {"commit_seconds": 0.3} | (settings or {}), "log": str(log), **options}
        with err.open("wb") as stderr:
            process = subprocess.Popen([sys.executable, str(WORKER), json.dumps(told)], stderr=stderr)
        worker = Worker(process, log, err)
        self.workers.append(worker)
        return worker

    async def produce(
        self, count: int, partition: int = 0, codec: str | None = "lz4", size: int = 100
    ) -> None:
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=self.kafka, compression_type=codec, max_batch_size=1 << 16, linger_ms=2
        )
        await producer.start()
        try:
            for i in range(count):
                await producer.send(self.topic, b"%0*d" % (size, i), partition=partition)
        finally:
            await producer.stop()  # flushes

    def committed(self, partition: int = 0, topic: str = "") -> int | None:
        consumer = KafkaConsumer(
            group_id=self.topic, bootstrap_servers=self.kafka.split(","), enable_auto_commit=False
        )
        try:
            found: int | None = consumer.committed(TopicPartition(topic or self.topic, partition))
            return found
        finally:
            consumer.close()


@pytest.fixture
def bench(kafka: str, make_topic: Callable[..., str], tmp_path: Path) -> Iterator[Callable[[int], Bench]]:
    made: list[Bench] = []

    def make(partitions: int) -> Bench:
        made.append(Bench(kafka, make_topic(partitions=partitions), tmp_path))
        return made[-1]

    yield make
    for one in made:
        for worker in one.workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()


def assert_unbroken(runs: list[dict[str, Any]], start: int = 0) -> int:
    """The runs of a partition, as they were handed out, leave nothing out and repeat nothing."""
    for run in runs:
        assert run["first"] == start
        assert run["n"] == run["last"] + 1 - run["first"]
        start = run["last"] + 1
    return start


def wait_until_they_share(workers: list[Worker], partitions: int) -> None:
    """Until each partition has its owner and each worker has some: work that comes now is work for all of them."""
    for worker in workers:
        worker.wait_for(
            lambda: all(w.owned() for w in workers) and sum(len(w.owned()) for w in workers) == partitions
        )


def of(worker: Worker, partition: int) -> list[dict[str, Any]]:
    return [run for run in worker.saw("run") if run["partition"] == partition]


async def test_records_of_every_codec_arrive_in_order(bench: Callable[[int], Bench]) -> None:
    b = bench(1)
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        await b.produce(500, codec=codec)
    worker = b.start({"run_records": 300})
    worker.wait_for(lambda: worker.records() == 2_500)
    assert assert_unbroken(worker.saw("run")) == 2_500
    assert max(run["n"] for run in worker.saw("run")) <= 300


async def test_a_stop_is_quick_settles_commits_and_exits_with_zero(bench: Callable[[int], Bench]) -> None:
    b = bench(1)
    await b.produce(1_000)
    worker = b.start({"commit_seconds": 3_600, "run_records": 100})
    worker.wait_for(lambda: worker.records() == 1_000)
    assert b.committed() is None
    before = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - before < 5
    assert len(worker.saw("settle")) == 1
    assert b.committed() == 1_000


async def test_no_port_is_bound(bench: Callable[[int], Bench]) -> None:
    b = bench(1)
    await b.produce(10)
    worker = b.start()
    worker.wait_for(lambda: worker.records() == 10)
    inodes = {
        link.readlink().name for link in Path(f"/proc/{worker.process.pid}/fd").iterdir() if link.is_symlink()
    }
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{worker.process.pid}/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and f"socket:[{columns[9]}]" in inodes:  # 0A: LISTEN
                listening.add(int(columns[1].rsplit(":", 1)[1], 16))
    assert not listening


async def test_a_bug_in_the_agent_ends_the_process_with_its_traceback(bench: Callable[[int], Bench]) -> None:
    b = bench(1)
    await b.produce(1_000)
    worker = b.start({"run_records": 100}, crash_at=550)
    assert worker.process.wait(SECONDS) != 0
    assert re.search(r"Traceback.*ValueError: the agent met its bug", worker.err.read_text(), re.DOTALL)
    assert assert_unbroken(worker.saw("run")) == 500
    assert worker.saw("settle") == []  # its state is not to be trusted


async def test_exactly_what_is_declared_durable_is_committed(bench: Callable[[int], Bench]) -> None:
    b = bench(1)
    await b.produce(1_000)
    worker = b.start({"run_records": 100}, durable_every=4)
    worker.wait_for(lambda: worker.records() == 1_000)
    worker.wait_for(lambda: b.committed() is not None)
    time.sleep(1.0)  # three times the interval
    last = worker.saw("durable")[-1]["offset"]
    assert last == 900  # of the runs 0, 4, 8
    assert b.committed() == last
    assert worker.stop() == 0
    assert b.committed() == last


async def test_what_restore_says_wins_over_the_committed_offset(bench: Callable[[int], Bench]) -> None:
    b = bench(2)
    for p in (0, 1):
        await b.produce(1_000, partition=p)
    first = b.start()
    first.wait_for(lambda: first.records() == 2_000)
    assert first.stop() == 0
    assert b.committed(0) == b.committed(1) == 1_000
    second = b.start(starts={"0": 250})  # and nothing for partition 1: it goes on where the group was
    second.wait_for(lambda: second.records() == 750)
    assert assert_unbroken(of(second, 0), start=250) == 1_000
    await b.produce(10, partition=1)
    second.wait_for(lambda: second.records(1) == 10)
    assert assert_unbroken(of(second, 1), start=1_000) == 1_010


async def test_a_long_restore_keeps_the_membership_and_precedes_every_record(
    bench: Callable[[int], Bench],
) -> None:
    b = bench(1)
    await b.produce(100)
    worker = b.start(restore_seconds=8.0)  # longer than the session, 6 s
    worker.wait_for(lambda: worker.records() == 100)
    assert len(worker.saw("restored")) == 1
    assert worker.log.read_text().index('"restored"') < worker.log.read_text().index('"run"')
    assert worker.err.read_text().count("Joined group") == 1


async def test_workers_share_partitions_and_one_that_stays_goes_on_without_a_gap_or_a_restore(
    bench: Callable[[int], Bench], tmp_path: Path
) -> None:
    b = bench(4)
    state = tmp_path / "state"
    state.mkdir()
    for p in range(4):
        await b.produce(3_000, partition=p)
    options: dict[str, Any] = {"state": str(state), "run_seconds": 0.04}
    one = b.start({"run_records": 50}, **options)
    one.wait_for(lambda: one.records() > 1_000)
    two = b.start({"run_records": 50}, **options)  # in the midst of the work
    wait_until_they_share([one, two], 4)
    for p in range(4):
        await b.produce(1_000, partition=p)
    two.wait_for(lambda: one.records() + two.records() == 16_000)  # none twice
    moved, stayed = two.partitions(), set(range(4)) - two.partitions()
    assert len(moved) == len(stayed) == 2
    assert [w["partitions"] for w in one.saw("restoring")] == [[0, 1, 2, 3]]
    assert [w["partitions"] for w in one.saw("revoked")] == [sorted(moved)]
    for p in stayed:
        assert assert_unbroken(of(one, p)) == 4_000
    for p in moved:
        assert assert_unbroken(of(one, p) + of(two, p)) == 4_000
    assert two.stop() == 0  # its partitions come back, which is a restore
    for p in range(4):
        await b.produce(10, partition=p)
    one.wait_for(lambda: all(of(one, p)[-1]["last"] == 4_009 for p in range(4)))
    assert [w["partitions"] for w in one.saw("restoring")] == [[0, 1, 2, 3], sorted(moved)]


async def test_after_a_kill_the_survivor_takes_over_where_the_state_is_and_skips_nothing(
    bench: Callable[[int], Bench], tmp_path: Path
) -> None:
    b = bench(4)
    state = tmp_path / "state"
    state.mkdir()
    options: dict[str, Any] = {"state": str(state), "run_seconds": 0.01, "durable_every": 5}
    workers = [b.start({"run_records": 50}, **options) for _ in range(2)]
    wait_until_they_share(workers, 4)
    for p in range(4):
        await b.produce(4_000, partition=p)
    victim, survivor = workers
    victim.wait_for(lambda: all(w.records() > 800 and len(w.partitions()) == 2 for w in workers))
    victim.process.kill()
    killed = time.monotonic()
    before = len(survivor.saw("restoring"))
    survivor.wait_for(lambda: len(survivor.saw("restored")) > before)
    assert time.monotonic() - killed < 10  # session_seconds is 6
    survivor.wait_for(lambda: all(of(survivor, p) and of(survivor, p)[-1]["last"] == 3_999 for p in range(4)))
    starts = {int(p): start for p, start in survivor.saw("restored")[-1]["starts"].items()}
    taken = set(starts)
    assert len(taken) == 2
    for p in range(4):
        runs = of(survivor, p)
        if p in taken:
            done = of(victim, p)[-1]["last"] + 1
            assert starts[p] <= done  # nothing skipped; what wasn't durable comes again
            assert assert_unbroken(runs, start=starts[p]) == 4_000
        else:
            assert assert_unbroken(runs) == 4_000


async def test_a_busy_partition_does_not_starve_a_quiet_one(bench: Callable[[int], Bench]) -> None:
    b = bench(2)
    await b.produce(100_000, partition=0, size=20)  # 200 runs, 6 s at least; what follows takes 5 at most
    worker = b.start({"run_records": 500, "runs_queued": 2}, run_seconds=0.03)
    for i in range(5):
        worker.wait_for(lambda: worker.records(0) > 500)
        sent = time.monotonic()
        await b.produce(1, partition=1)
        worker.wait_for(lambda n=i: worker.records(1) == n + 1)
        assert time.monotonic() - sent < 1.0
    assert worker.records(0) < 100_000  # it was busy all the while
    worker.wait_for(lambda: worker.records(0) == 100_000)
    assert assert_unbroken(of(worker, 0)) == 100_000


async def test_a_quiet_partition_does_not_stall_a_busy_one(bench: Callable[[int], Bench]) -> None:
    b = bench(8)  # seven of them empty, on the same broker
    await b.produce(200_000, partition=0, size=200)
    worker = b.start({"run_records": 5_000})
    worker.wait_for(lambda: worker.records() == 200_000)
    runs = worker.saw("run")
    gaps = [after["at"] - before["at"] for before, after in pairwise(runs)]
    assert max(gaps) < 1.0  # with Faust's own fetch wait every fetch is followed by 1.5 s of silence


async def test_a_slow_agent_bounds_what_waits_for_it(bench: Callable[[int], Bench]) -> None:
    b = bench(1)
    await b.produce(300_000, size=200)
    worker = b.start({"run_records": 1_000}, run_seconds=0.05)
    worker.wait_for(lambda: worker.records() > 20_000)
    runs = worker.saw("run")
    assert max(run["fetched"] - run["last"] for run in runs) <= 8_000  # 4 in the queue, some on the way there
    assert runs[-1]["at"] - runs[0]["at"] < 0.08 * len(runs)  # and it never waits in vain for the next


async def test_messages_are_produced_and_other_topics_are_read_one_by_one_and_committed_by_acknowledgement(
    bench: Callable[[int], Bench], make_topic: Callable[..., str]
) -> None:
    b = bench(1)
    other = make_topic("other", partitions=1)
    await b.produce(1_000)
    worker = b.start({"run_records": 100}, other=other, durable_every=0)
    worker.wait_for(lambda: len(worker.saw("other")) == 10)
    assert [one["value"] for one in worker.saw("other")] == [run["last"] for run in worker.saw("run")]
    assert worker.stop() == 0
    assert b.committed(topic=other) == 10
    assert b.committed() is None


async def test_workers_that_stop_together_stop_at_once(bench: Callable[[int], Bench]) -> None:
    b = bench(4)
    workers = [b.start({"run_records": 50}, run_seconds=0.02) for _ in range(3)]
    wait_until_they_share(workers, 4)
    for p in range(4):
        await b.produce(4_000, partition=p)
    for worker in workers:
        worker.wait_for(lambda w=worker: w.records() > 0)
    for worker in workers:
        worker.process.send_signal(signal.SIGINT)
    before = time.monotonic()
    assert [worker.process.wait(15) for worker in workers] == [0, 0, 0]
    assert time.monotonic() - before < 6


async def test_a_partition_that_left_and_came_back_is_restored(bench: Callable[[int], Bench]) -> None:
    b = bench(1)
    await b.produce(1_000)
    worker = b.start(starts={"0": 500})
    worker.wait_for(lambda: worker.records() == 500)
    worker.process.send_signal(signal.SIGSTOP)  # longer than its session: the group goes on without it
    time.sleep(9)
    worker.process.send_signal(signal.SIGCONT)
    worker.wait_for(lambda: worker.records() == 1_000)
    assert [w["partitions"] for w in worker.saw("revoked")] == [[0]]
    assert [run["first"] for run in worker.saw("run")] == [500, 500]
