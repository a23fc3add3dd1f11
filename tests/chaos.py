"""The promise under faults, on Apache Kafka: whatever happens to the workers, the alerts are those of a replay.

    python -m tests.chaos --kills 20 [--seed 1] [--mutation offset_ahead]

A market with planted episodes goes into the topic, bad records, repetitions and late ones among it, while workers are
killed (-9), stopped, frozen (SIGSTOP, for longer than the group waits, or shorter) and added, as a seeded plan says.
Afterwards a recording is replayed. Orders speak of a creator at the least surprise, and quote the newest events, so
that a single record that is lost or counts twice shows. The last line says it in one sentence, and the exit code is 1
if anything was lost or made up. With a mutation the workers have one thing broken on purpose, and the run must fail.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from kafka import KafkaProducer

from config.catalogue import SHIPPED
from streams.broker import local_kafka
from streams.records import decode_alert
from streams.simulate import Simulation, simulate
from streams.topics import Topics, create
from tests.integration.workers import COMMAND, WorkerProcess, committed, everything, revisions, wait_until, workers
from tests.mutated_worker import MUTATIONS

PARTITIONS, WORKERS = 6, 3
BAD = (b"not json", b'{"event_id":"x"}', b"\xff\xfe", b'{"event_id":"x","type":"order.paid","creator_id":7}')
FAULTS = ("kill", "kill", "kill", "stop", "freeze", "pause", "add")  # kills are what N counts; the others come besides
FROZEN, PAUSED = 14.0, 3.0  # s: longer than the group waits for a silent worker, and shorter
RECORDS_EACH = 4_000  # for each kill: there is always work to do

Pair = tuple[bytes, bytes]


class Report(NamedTuple):
    """What came of it."""

    faults: dict[str, int]
    records: int
    repeated: int  # deliveries of an event that had come before
    bad: int
    revisions: int  # that a replay gives
    written: int  # to the topic, repetitions after a crash included
    lost: int  # of a replay's, that are not on the topic
    made_up: int  # on the topic, that a replay does not give
    two_contents: int  # revisions written with two contents
    dead_missing: int  # bad records that are no dead letter
    recovery_s: list[float]  # from each fault until every partition has an owner that has its state

    @property
    def held(self) -> bool:
        return not (self.lost or self.made_up or self.two_contents or self.dead_missing) and self.revisions > 0

    def sentence(self) -> str:
        many = ", ".join(f"{n} x {fault}" for fault, n in sorted(self.faults.items()))
        times = np.percentile(self.recovery_s or [0.0], [50, 99, 100]).round(1)
        return (
            f"{'Held' if self.held else 'BROKEN'}: {many} under {self.records:,} records; of {self.revisions:,} alert "
            f"revisions {self.lost} lost and {self.made_up} made up, {self.two_contents} with two contents; "
            f"{self.written - self.revisions} written again; {self.dead_missing} of {self.bad} bad records without a "
            f"dead letter; {self.repeated:,} repeated deliveries; recovery p50 {times[0]} s, p99 {times[1]} s, "
            f"max {times[2]} s."
        )


def load_of(kills: int, rng: np.random.Generator) -> tuple[list[Pair], int, int]:
    """Key and value of every record, how many of them are bad, and how many repeat an earlier one."""
    days = 10
    creators = max(int(kills * RECORDS_EACH / (days * 18)), 60)
    events, _ = simulate(Simulation(seed=int(rng.integers(1 << 30)), creators=creators, days=days, planted=4))
    records: list[Pair] = []
    bad = repeated = 0
    for key, value, _ in events.iter_records():
        chance = rng.random()
        if chance < 0.0005:
            records.append((b"bad", BAD[bad % len(BAD)]))
            bad += 1
        elif chance < 0.02 and len(records) > 500:
            records.append(records[-int(rng.integers(1, 500))])
            repeated += records[-1][0] != b"bad"
            bad += records[-1][0] == b"bad"
        records.append((key, value))
    for at in sorted(rng.permutation(len(records) * 3 // 4)[: len(records) // 200].tolist(), reverse=True):
        records.insert(at + int(rng.integers(100, len(records) // 4)), records.pop(at))  # these are late
    return records, bad, repeated


def talkative(folder: Path) -> Path:
    """The shipped configuration, but orders speak of a creator at the least surprise."""
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    spike = folder / "signals" / "order_spike.yaml"
    text = re.sub(r"severity: .*", "severity: {info: 1, warning: 1.5, critical: 2}", spike.read_text())
    text = re.sub(r"minimum: .*", "minimum: 1", re.sub(r"effect: .*", "effect: 1", text))
    spike.write_text(re.sub(r"warmup: .*", "warmup: 1d\ncooldown: 1h", text))
    return folder


class Chaos:
    """One run: a load, a plan of faults, and the workers that suffer it."""

    def __init__(self, kafka: str, folder: Path, kills: int, seed: int, mutation: str | None = None) -> None:
        self.kafka, self.folder, self.kills, self.mutation = kafka, folder, kills, mutation
        self.config = talkative(folder / "config")
        self.rng = np.random.default_rng(seed)
        self.prefix = f"chaos{seed}-"
        self.topics = Topics.with_prefix(self.prefix)
        self.records, self.bad, self.repeated = load_of(kills, self.rng)
        self.faults: Counter[str] = Counter()
        self.recovery: list[float] = []
        self.started = 0

    def run(self) -> Report:
        create(self.kafka, self.topics.specs(PARTITIONS, 1))
        with workers() as running:
            running += [self.worker() for _ in range(WORKERS)]
            sender = threading.Thread(target=self.send, daemon=True)
            sender.start()
            wait_until("the workers have begun", lambda: self.settled(running), 120)
            while self.faults["kill"] < self.kills:
                self.strike(running, str(self.rng.choice(FAULTS)))
            sender.join()
            wait_until("every record is in a checkpoint", lambda: self.applied() == len(self.records), 300)
            for worker in running:
                worker.stop()
        return self.judge()

    def worker(self) -> WorkerProcess:
        self.started += 1
        return WorkerProcess(
            self.folder / f"worker-{self.started}.log", self.mutation, RIPCURRENT_CONFIG=str(self.config),
            KAFKA_BOOTSTRAP_SERVERS=self.kafka, RIPCURRENT_TOPIC_PREFIX=self.prefix, RIPCURRENT_GROUP=self.prefix,
            RIPCURRENT_CHECKPOINT_SECONDS="2", RIPCURRENT_TICK_SECONDS="3",
        )  # fmt: skip

    def send(self) -> None:
        """All of the records, so slowly that they last until the faults are over."""
        producer = KafkaProducer(bootstrap_servers=self.kafka, compression_type="lz4", linger_ms=20)
        for first in range(0, len(self.records), 500):
            for key, value in self.records[first : first + 500]:
                producer.send(self.topics.source, key=key, value=value)
            done = first / len(self.records)
            while done > (self.faults["kill"] + 0.7) / (self.kills + 0.7):
                time.sleep(0.1)
        producer.flush()
        producer.close()

    def strike(self, running: list[WorkerProcess], fault: str) -> None:
        """One fault, at a moment that nobody chose; then until all is owned again, or a little less."""
        time.sleep(float(self.rng.uniform(0.5, 4.0)))
        victim = running[int(self.rng.integers(len(running)))]
        since = time.monotonic()
        if fault in ("kill", "stop"):
            running.remove(victim)
            victim.kill() if fault == "kill" else victim.stop()
            running.append(self.worker())
        elif fault in ("freeze", "pause"):
            victim.freeze()
            time.sleep(FROZEN if fault == "freeze" else PAUSED)
            victim.thaw()
        elif len(running) <= WORKERS:
            running.append(self.worker())
        else:
            running.pop(0).stop()
            fault = "remove"
        self.faults[fault] += 1
        for i, worker in enumerate(running):
            if not worker.running:  # one that was frozen has lost its partitions, says so and ends: it is restarted
                running[i] = self.worker()
        if self.rng.random() < 0.7:  # else the next fault comes in the midst of the recovery
            wait_until(f"every partition is owned after {fault}", lambda: self.settled(running), 180)
            self.recovery.append(time.monotonic() - since)

    def settled(self, running: list[WorkerProcess]) -> bool:
        for i, worker in enumerate(running):
            if not worker.running:
                running[i] = self.worker()
        owned = [w.metric("ripcurrent_restored_partitions") for w in running if w.url]
        return sum(owned) == PARTITIONS and len(owned) == len(running)

    def applied(self) -> int:
        return sum(committed(self.kafka, self.prefix, self.topics.source).values())

    def judge(self) -> Report:
        live = everything(self.kafka, self.topics.alerts)
        recording, options = self.folder / "recording.jsonl.gz", ["--topic-prefix", self.prefix]
        options += ["--bootstrap-servers", self.kafka]
        subprocess.run([COMMAND, "record", "--out", recording, "--until-end", *options], check=True)
        out = self.folder / "out"
        command = [COMMAND, "replay", recording, "--config", self.config, "--out", out]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        replayed = revisions((out / "alerts.jsonl").read_bytes().splitlines())
        told = revisions(record.value for record in live)
        contents = Counter((a.alert_id, a.revision) for a in map(decode_alert, told))
        origins = {
            (headers["source_partition"], headers["source_offset"])
            for record in everything(self.kafka, self.topics.dlq)
            if (headers := {name: value.decode() for name, value in record.headers})
        }
        return Report(
            dict(self.faults), len(self.records), self.repeated, self.bad, len(replayed), len(live),
            len(replayed - told), len(told - replayed), sum(n > 1 for n in contents.values()),
            self.bad - len(origins), self.recovery,
        )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutation", choices=sorted(MUTATIONS))
    asked = parser.parse_args()
    with local_kafka() as broker, tempfile.TemporaryDirectory() as folder:
        report = Chaos(broker.bootstrap_servers, Path(folder), asked.kills, asked.seed, asked.mutation).run()
    print(json.dumps(report._asdict()))
    print(report.sentence())
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main())
