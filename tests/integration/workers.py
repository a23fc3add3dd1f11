"""Real workers as processes, and what is on the topics: for tests on Apache Kafka."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

COMMAND = Path(sys.executable).with_name("ripcurrent")
BY_TIME = "1000000"  # RIPCURRENT_CHECKPOINT_SHARE with which checkpoints wait for nothing but time


class WorkerProcess:
    """`ripcurrent run` as its own process, its log in a file."""

    def __init__(self, log: Path, mutation: str | None = None, **environ: str) -> None:
        """`mutation` names what is broken in it on purpose (tests/mutated_worker.py). Tests wait for what is committed,
        so checkpoints are written by time, unless `environ` says otherwise.
        """
        self.log = log
        broken = [sys.executable, "-m", "tests.mutated_worker", mutation or ""]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [*(broken if mutation else [str(COMMAND)]), "run"],
                env={
                    **os.environ, "RIPCURRENT_HTTP_PORT": "0", "RIPCURRENT_CHECKPOINT_SHARE": BY_TIME, **environ,
                },
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str | None:
        """Where its metrics are, as its log says."""
        for line in self.log.read_text(errors="replace").splitlines():
            if "metrics at http://" in line:
                return line.rpartition("metrics at ")[2].rpartition("/")[0]
        return None

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        families = text_string_to_metric_families(self.get("/metrics"))
        samples = [s for f in families for s in f.samples if s.name == name and labels.items() <= s.labels.items()]
        return sum(s.value for s in samples)

    def partitions(self) -> set[int]:
        """Those that it owns and has the state of; none before its port answers."""
        if self.url is None:
            return set()
        with contextlib.suppress(OSError):
            families = text_string_to_metric_families(self.get("/metrics"))
            samples = [s for f in families for s in f.samples if s.name == "ripcurrent_checkpoint_age_seconds"]
            return {int(s.labels["partition"]) for s in samples}
        return set()

    def kill(self) -> None:
        """As a machine that loses power would."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def freeze(self) -> None:
        """As a machine under pressure might: nothing runs, nothing is closed."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self) -> int:
        """As an orchestrator would; the exit code."""
        self._process.terminate()
        return self._process.wait(30)

    def wait(self, seconds: float) -> int:
        return self._process.wait(seconds)

    @property
    def running(self) -> bool:
        return self._process.poll() is None


@contextlib.contextmanager
def workers() -> Iterator[list[WorkerProcess]]:
    """A list to put workers in; whatever still runs at the end is killed."""
    started: list[WorkerProcess] = []
    try:
        yield started
    finally:
        for worker in started:
            if worker.running:
                worker.kill()


def wait_until(what: str, holds: Any, seconds: float, alive: Iterable[WorkerProcess] = (), every: float = 0.25) -> None:
    """Wait until `holds()` is true while these workers live; an error that says what did not come about, else."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for worker in alive:
            assert worker.running, f"a worker died: {worker.log.read_text(errors='replace')[-2000:]}"
        with contextlib.suppress(OSError, ValueError):
            if holds():
                return
        time.sleep(every)
    raise AssertionError(f"within {seconds:g} s: {what}")


def share_all(partitions: int, among: Iterable[WorkerProcess]) -> bool:
    """Whether all the partitions have an owner that has their state, and each of these workers owns some."""
    owned = [worker.metric("ripcurrent_restored_partitions") for worker in among]
    return all(owned) and sum(owned) == partitions


def everything(bootstrap: str, topic: str, partition: int | None = None) -> list[Any]:
    """All records of a topic, or of one partition, up to its end as it is now."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap.split(","), enable_auto_commit=False)
    try:
        known = sorted(consumer.partitions_for_topic(topic) or ())
        parts = [TopicPartition(topic, p) for p in known if partition in (None, p)]
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        ends = consumer.end_offsets(parts)
        records: list[Any] = []
        while any(consumer.position(tp) < ends[tp] for tp in parts):
            for batch in consumer.poll(timeout_ms=500).values():
                records += batch
        return records
    finally:
        consumer.close()


def revisions(values: Iterable[bytes]) -> set[bytes]:
    """Alert revisions as a set: what a crash may repeat counts once."""
    return {bytes(value) for value in values}


def committed(bootstrap: str, group: str, topic: str) -> dict[int, int]:
    """The group's committed offsets of a topic."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap.split(","), group_id=group, enable_auto_commit=False)
    try:
        parts = sorted(consumer.partitions_for_topic(topic) or ())
        found = {p: consumer.committed(TopicPartition(topic, p)) for p in parts}
        return {p: int(offset) for p, offset in found.items() if offset is not None}
    finally:
        consumer.close()
