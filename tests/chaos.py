"""The promise under faults, on Apache Kafka: whatever happens to workers and brokers, the alerts are those of a replay.

    python -m tests.chaos --kills 20 [--seed 1]
    python -m tests.chaos --kills 2 --mutation offset_ahead
    python -m tests.chaos --mutations

A market goes into a cluster of three brokers while workers are killed (-9), stopped, frozen (SIGSTOP, for longer than
the group waits, or shorter) and added, while checkpoints are torn, and while a broker or all of them are killed or
one hangs, and while the configuration changes, as a seeded plan says. Afterwards a recording is replayed. Orders
speak of a creator at the least surprise, and quote the newest events, so that a single record that is lost or counts
twice shows. The last line says it in one sentence, and the exit code is 1 if anything was lost or made up. With a
mutation the workers have one thing broken on purpose, and the run must fail; `--mutations` tries each, and its exit
code is 1 if one was not noticed.
"""

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.topics import Topics, create
from tests.chaos_judge import Report, judge
from tests.chaos_load import market, talkative
from tests.chaos_quiet import quiet
from tests.integration.cluster import Cluster, cluster_of_three
from tests.integration.torn import tear
from tests.integration.workers import BY_TIME, WorkerProcess, committed, wait_until, workers
from tests.mutated_worker import HARMLESS, MUTATIONS

PARTITIONS, WORKERS = 6, 3
BROKER_FAULTS = ("broker", "broker hangs", "all brokers")
FAULTS = ("kill",) * 12 + ("tear", "stop", "freeze", "pause", "add", "configure", *BROKER_FAULTS)  # N counts kills
FROZEN, PAUSED = 14.0, 3.0  # s: longer than the group waits for a silent worker, and shorter
HUNG = 13.0  # s: longer than a request waits, a session, and than brokers wait for one another
SECONDS = 300  # for anything that is waited for, on a busy machine


def plan_of(kills: int, rng: np.random.Generator) -> list[str]:
    """Faults in an order that nobody chose, with so many kills among them."""
    plan: list[str] = []
    while plan.count("kill") < kills:
        fault = str(rng.choice(FAULTS))
        grown = plan.count("add") > plan.count("remove")
        plan.append("remove" if fault == "add" and grown else fault)
    return plan


class Chaos:
    """One run: a load, a plan of faults, and the workers and brokers that suffer it."""

    def __init__(
        self, cluster: Cluster, folder: Path, seed: int, plan: Sequence[str], mutation: str | None = None,
        begin_with: int = WORKERS,
    ) -> None:  # fmt: skip
        self.cluster, self.kafka, self.folder = cluster, cluster.bootstrap_servers, folder
        self.copies = folder / "copies"  # of checkpoints, shared by all workers: also by one that wakes up late
        self.copies.mkdir()
        self.plan, self.mutation, self.begin_with = plan, mutation, begin_with
        self.config = talkative(folder / "config")
        self.began_with = shutil.copytree(self.config, folder / "began_with")
        self.rng = np.random.default_rng(seed)
        self.prefix = f"chaos{seed}-{mutation or ''}-"
        self.topics = Topics.with_prefix(self.prefix)
        self.load = market(len(plan), self.rng)
        self.faults: Counter[str] = Counter()
        self.recovery: dict[str, list[float]] = defaultdict(list)
        self.started = self.ended = 0

    def run(self) -> Report:
        create(self.kafka, self.topics.specs(PARTITIONS, 3))
        sent = len(self.load.records)
        with workers() as running:
            running += [self.worker() for _ in range(self.begin_with)]
            sender = threading.Thread(target=self.send, daemon=True)
            sender.start()
            wait_until("the workers have begun", lambda: self.settled(running), SECONDS)
            for n, fault in enumerate(self.plan, 1):
                print(f"{n} of {len(self.plan)}: {fault}", file=sys.stderr, flush=True)
                self.strike(running, fault)
            sender.join()
            self.cluster.wait_until_whole()
            self.write_by_time(running)
            wait_until("every record is in a checkpoint", lambda: self.applied() == sent, 2 * SECONDS)
            for worker in running:
                worker.stop()
        verdict = judge(self.kafka, self.prefix, self.began_with, self.folder, self.load.bad)
        return Report(
            dict(self.faults), sent, self.load.repeated, self.load.bad, self.ended, verdict, dict(self.recovery)
        )

    def write_by_time(self, running: list[WorkerProcess]) -> None:
        """Others take over, which write checkpoints however little came: the state at the end is to be compared."""
        for worker in running:
            worker.kill()
        running[:] = [self.worker(RIPCURRENT_CHECKPOINT_SHARE=BY_TIME) for _ in running]

    def worker(self, **more: str) -> WorkerProcess:
        """Its checkpoints on Kafka are a fifth of the source at most, so its copy on disk is mostly ahead of them; with
        a mutation they are as new as the copy, so that what is wrong with them shows.
        """
        self.started += 1
        return WorkerProcess(
            self.folder / f"worker-{self.started}.log", self.mutation, RIPCURRENT_CONFIG=str(self.config),
            KAFKA_BOOTSTRAP_SERVERS=self.kafka, RIPCURRENT_TOPIC_PREFIX=self.prefix, RIPCURRENT_GROUP=self.prefix,
            RIPCURRENT_CHECKPOINT_SECONDS="2", RIPCURRENT_TICK_SECONDS="3", RIPCURRENT_STATE_DIR=str(self.copies),
            RIPCURRENT_RELOAD_SECONDS="1",
            **({"RIPCURRENT_CHECKPOINT_SHARE": BY_TIME if self.mutation else "0.2"} | more),
        )  # fmt: skip

    def send(self) -> None:
        """All of the records, so slowly that they last until the faults are over; each once and in order."""
        producer = KafkaProducer(
            bootstrap_servers=self.kafka.split(","), compression_type="lz4", linger_ms=20, enable_idempotence=True,
            request_timeout_ms=10_000, delivery_timeout_ms=600_000, max_block_ms=600_000,
        )  # fmt: skip
        for first in range(0, len(self.load.records), 500):
            for key, value in self.load.records[first : first + 500]:
                producer.send(self.topics.source, key=key, value=value)
            done = first / len(self.load.records)
            while done > (self.faults.total() + 0.7) / (len(self.plan) + 0.7):
                time.sleep(0.1)
        producer.flush()
        producer.close()

    def strike(self, running: list[WorkerProcess], fault: str) -> None:
        """One fault, at a moment that nobody chose; then until all is well again, or a little less."""
        time.sleep(float(self.rng.uniform(0.5, 3.0)))
        if fault in (*BROKER_FAULTS, "tear"):
            self.cluster.wait_until_whole()  # with two of them away nothing can be written, and nothing can break
        since = time.monotonic()
        if fault in BROKER_FAULTS:
            self.strike_brokers(fault)
        else:
            self.strike_workers(running, fault)
        self.faults[fault] += 1
        if self.rng.random() < 0.6:  # else the next fault comes in the midst of the recovery
            wait_until(f"all is well after {fault}", lambda: self.settled(running), SECONDS)
            self.recovery[fault].append(time.monotonic() - since)

    def strike_brokers(self, fault: str) -> None:
        one = self.cluster.nodes[int(self.rng.integers(len(self.cluster.nodes)))]
        if fault == "broker hangs":
            one.hang()
            time.sleep(HUNG)
            one.wake()
            return
        struck = [one] if fault == "broker" else self.cluster.nodes
        for node in struck:
            node.kill()
        time.sleep(float(self.rng.uniform(0.0, 8.0)))
        for node in struck:
            node.start()

    def strike_workers(self, running: list[WorkerProcess], fault: str) -> None:
        victim = running[int(self.rng.integers(len(running)))]
        if fault in ("kill", "tear", "stop"):
            running.remove(victim)
            owned = victim.partitions() if fault == "tear" else set()
            victim.stop() if fault == "stop" else victim.kill()
            for partition in owned:
                tear(self.kafka, self.topics.checkpoints, partition, missing=bool(self.rng.random() < 0.5))
            running.append(self.worker())
        elif fault in ("freeze", "pause"):
            victim.freeze()
            time.sleep(FROZEN if fault == "freeze" else PAUSED)
            victim.thaw()
        elif fault == "add":
            running.append(self.worker())
        elif fault == "configure":
            self.configure()
        else:
            running.pop(0).stop()

    def configure(self) -> None:
        """Workers see it one after the other: another threshold, and a signal less; or all as it was."""
        changed, began = self.config / "signals", self.began_with / "signals"
        spike, takeover = "order_spike.yaml", "account_takeover.yaml"
        if (changed / takeover).exists():
            (changed / takeover).unlink()
            (changed / spike).write_text((began / spike).read_text().replace("effect: 1", "effect: 1.2"))
        else:
            shutil.copy(began / spike, changed / spike)
            shutil.copy(began / takeover, changed / takeover)

    def settled(self, running: list[WorkerProcess]) -> bool:
        """Every partition is owned and restored, and the brokers answer. Who ended is started again."""
        for i, worker in enumerate(running):
            if not worker.running:
                self.ended += 1
                said = [line for line in worker.log.read_text(errors="replace").splitlines() if "Error" in line]
                print(f"{worker.log.name} ended by itself: {' / '.join(said[-2:])}", file=sys.stderr, flush=True)
                running[i] = self.worker()
        owned = [w.metric("ripcurrent_restored_partitions") for w in running if w.url]
        away = [w.metric("ripcurrent_brokers_away_seconds") for w in running if w.url]
        return sum(owned) == PARTITIONS and len(owned) == len(running) and max(away) < 3

    def applied(self) -> int:
        with contextlib.suppress(KafkaError):
            return sum(committed(self.kafka, self.prefix, self.topics.source).values())
        return -1


def once(cluster: Cluster, kills: int, seed: int, mutation: str | None = None) -> Report:
    """One run with this mutation, or none."""
    with tempfile.TemporaryDirectory() as folder:
        if mutation == "tick_before_acknowledgement":  # the market is never silent for as long as a pane
            return quiet(cluster.bootstrap_servers, Path(folder), kills, mutation)
        plan = plan_of(kills, np.random.default_rng(seed))
        if mutation:
            plan = ["kill", "tear"] * kills
        return Chaos(cluster, Path(folder), seed, plan, mutation).run()


def try_mutations(cluster: Cluster, kills: int, seed: int) -> bool:
    """Break the workers in each way; whether each was noticed that does harm."""
    fine = True
    for mutation in sorted(MUTATIONS):
        report = once(cluster, kills, seed, mutation)
        expected = report.held if mutation in HARMLESS else not report.held
        fine &= expected
        said = "held, as it should: harmless by design" if mutation in HARMLESS else "noticed"
        print(f"{mutation}: {said if expected else 'WRONG'}. {report.sentence()}", flush=True)
    return fine


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutation", choices=sorted(MUTATIONS))
    parser.add_argument("--mutations", action="store_true")
    asked = parser.parse_args()
    with cluster_of_three() as cluster:
        if asked.mutations:
            return 0 if try_mutations(cluster, asked.kills, asked.seed) else 1
        report = once(cluster, asked.kills, asked.seed, asked.mutation)
    print(json.dumps(report._asdict()))
    print(report.table())
    print(report.sentence())
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main())
