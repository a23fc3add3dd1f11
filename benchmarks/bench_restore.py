"""How long does a shard of many creators need to be itself again, from its copy on disk and from the topic alone?

    python benchmarks/bench_restore.py [--creators 200000] [--hours 30] [--all-types] [--kafka]

One shard with all shipped signals is fed orders, clicks and engagement of so many creators, spread evenly over the
hours; with `--all-types` a simulated market of them, with a tenth of the usual orders, clicks and engagement. Its state
is written as the worker writes it; then a new engine is brought back from the folder: reading, checksums, arrays and
all. Two more, one pane and one hour later, say what a copy writes again. With `--kafka` an Apache Kafka is started, as
for the tests; the same checkpoint is written to its topic, and read from there as by a worker without a disk. At last
the restored engine and the first one are fed the same hour: whether a backlog is worked off as fast as before. Prints
what took how long, and ends with one line of JSON.
"""

import argparse
import asyncio
import itertools
import json
import math
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaProducer

from config.catalogue import load, unpack
from streams import checkpoint, state
from streams.broker import local_kafka
from streams.columns import Record
from streams.engine import Engine
from streams.local_copy import LocalCopy, Root
from streams.simulate import Simulation, simulate
from streams.topics import Topics, create
from streams.vault import MARK, read_all

START = 1_767_571_200_000
PANE, HOUR = 900_000, 3_600_000
PER_HOUR = 0.25  # events of a creator, all kinds together: six a day
KINDS = ("order.paid", "product.clicked", "content.engaged")
BATCH = 10_000
TOPIC = "creator-events"


class Drawn:
    """Events of creators drawn at random, in the order of time; the first ones name every creator once."""

    def __init__(self, creators: int) -> None:
        self.creators, self.offset, self.now, self.rng = creators, 0, START, np.random.default_rng(1)

    def next(self, hours: float) -> Iterator[list[Record]]:
        n = int(self.creators * hours * PER_HOUR)
        whose = self.rng.integers(0, self.creators, n)
        if self.offset == 0:
            whose[: self.creators] = np.arange(self.creators)
        at = self.now + np.sort(self.rng.integers(0, int(hours * HOUR), n))
        kind = self.rng.integers(0, len(KINDS), n)
        first, self.offset, self.now = self.offset, self.offset + n, self.now + int(hours * HOUR)
        for begin in range(0, n, BATCH):
            some = slice(begin, begin + BATCH)
            rows = zip(whose[some].tolist(), at[some].tolist(), kind[some].tolist(), strict=True)
            yield [_record(first + begin + i, *row) for i, row in enumerate(rows)]


class Simulated:
    """Events of all types, of a market whose creators are smaller than usual."""

    VOLUME = 0.1

    def __init__(self, creators: int, hours: float) -> None:
        days = math.ceil(hours / 24)
        spec = Simulation(seed=1, start_ms=START, creators=creators, days=days, volume=self.VOLUME, planted=0)
        self.events, self.offset, self.now = simulate(spec)[0].iter_records(), 0, START
        self.waiting: list[tuple[bytes, bytes, int]] = []

    def next(self, hours: float) -> Iterator[list[Record]]:
        self.now += int(hours * HOUR)
        batch: list[Record] = []
        for key, value, at in itertools.chain(self.waiting, self.events):
            if at >= self.now:
                self.waiting = [(key, value, at)]
                break
            batch.append(Record(self.offset, key, value))
            self.offset += 1
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _record(offset: int, creator: int, at: int, kind: int) -> Record:
    value = (
        f'{{"event_id":"e{offset}","type":"{KINDS[kind]}","creator_id":"c{creator}","occurred_at":{at},"market":"TH",'
        f'"category":"beauty","actor_id":"u{offset % 60_000}","amount":20.0,"currency":"THB"}}'
    )
    return Record(offset, f"c{creator}".encode(), value.encode())


class Shard:
    """The engine, what it was fed, and the checkpoint that was last written."""

    def __init__(self, source: Drawn | Simulated, folder: Path) -> None:
        self.engine, self.source = Engine(load(), TOPIC, 0), source
        self.copy = LocalCopy(folder, TOPIC, 0)
        self.before: checkpoint.Manifest | None = None
        self.sequence = self.fed_bytes = 0

    def feed(self, hours: float) -> None:
        self.fed_bytes = 0
        for batch in self.source.next(hours):
            self.fed_bytes += sum(len(r.value) for r in batch)
            self.engine.feed(batch)

    def save(self) -> dict[str, float]:
        """Seconds and bytes of a checkpoint."""
        self.sequence += 1
        began = time.perf_counter()
        snapshot = state.take(self.engine)
        taken = time.perf_counter()
        written = checkpoint.encode(snapshot, 1, self.sequence, -1, self.before)
        encoded = time.perf_counter()
        key, body = checkpoint.manifest_key(1, self.sequence), checkpoint.encode_manifest(written.manifest)
        keys = [key, *(checkpoint.block_key(name, block) for name, block in written.manifest.blocks.items())]
        self.copy.keep(Root(0, key, body[:MARK], keys), {**written.blocks, key: body}, keys)
        self.before = written.manifest
        size = len(body) + sum(map(len, written.blocks.values()))
        return {
            "pause_s": taken - began, "encode_s": encoded - taken, "disk_s": time.perf_counter() - encoded,
            "bytes": size, "of_source": size / max(self.fed_bytes, 1),
            "state_bytes": sum(block.length for block in written.manifest.blocks.values()),
        }  # fmt: skip


def restore(copy: LocalCopy) -> tuple[Engine, dict[str, float]]:
    """From the disk."""
    began, cpu = time.perf_counter(), time.process_time()
    held = copy.read()
    assert held is not None
    return _engine_of(held.stored, began, cpu)


def _engine_of(stored: dict[str, bytes], began: float, cpu: float) -> tuple[Engine, dict[str, float]]:
    read = time.perf_counter()
    found = checkpoint.newest(stored)
    assert found.snapshot is not None
    assert not found.faults
    decoded = time.perf_counter()
    engine = Engine(unpack(found.snapshot.arrays[state.CATALOGUE].tobytes()), TOPIC, 0)
    state.restore(engine, found.snapshot)
    done = time.perf_counter()
    took = {"read_s": read - began, "decode_s": decoded - read, "restore_s": done - decoded, "all_s": done - began}
    took["cpu_s"] = time.process_time() - cpu  # of all threads: what it takes on a machine that does nothing else
    return engine, took


def restore_from_topic(bootstrap: str, stored: dict[str, bytes]) -> dict[str, float]:
    """From a checkpoint on Kafka, which is written first."""
    topics = Topics.with_prefix("bench-restore-")
    create(bootstrap, topics.specs(1, 1))

    async def written_and_read() -> tuple[float, float, list[Any]]:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, compression_type="lz4", max_request_size=2_000_000, linger_ms=5
        )
        await producer.start()
        sent = [await producer.send(topics.checkpoints, v, k.encode(), 0) for k, v in sorted(stored.items())]
        await asyncio.gather(*sent)
        await producer.stop()
        began, cpu = time.perf_counter(), time.process_time()
        return began, cpu, await read_all(bootstrap, topics.checkpoints, 0)

    began, cpu, records = asyncio.run(written_and_read())
    return _engine_of({record.key.decode(): record.value for record in records}, began, cpu)[1]


def drained(engine: Engine, batches: list[list[Record]]) -> float:
    """Events a second."""
    began = time.process_time()
    for batch in batches:
        engine.feed(batch)
    return sum(map(len, batches)) / (time.process_time() - began)


def rounded(numbers: dict[str, float]) -> dict[str, Any]:
    return {name: round(x, 3) if isinstance(x, float) else x for name, x in numbers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--creators", type=int, default=200_000)
    parser.add_argument("--hours", type=float, default=30.0)
    parser.add_argument("--all-types", action="store_true", help="a simulated market")
    parser.add_argument("--kafka", action="store_true", help="also from the topic alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Simulated(args.creators, args.hours + 3) if args.all_types else Drawn(args.creators)
        shard = Shard(source, Path(folder))
        said: dict[str, Any] = {"creators": args.creators, "all_types": args.all_types}
        for name, hours in (("first", args.hours), ("a_pane_later", 0.25), ("an_hour_later", 1.0)):
            shard.feed(hours)
            said[name] = rounded(shard.save())
            print(name, said[name], flush=True)
        offset = shard.engine.next_offset
        said["entities"] = len(shard.engine.entities.slots)
        backlog = list(source.next(1.0))
        said["events_per_cpu_s_before"] = round(drained(shard.engine, backlog))
        del shard.engine
        engine, took = restore(shard.copy)
        assert engine.next_offset == offset
        said["restore"] = rounded(took)
        said["events_per_cpu_s_after"] = round(drained(engine, backlog))
        del engine
        if args.kafka:
            held = shard.copy.read()
            assert held is not None
            with local_kafka() as broker:
                said["restore_from_topic"] = rounded(restore_from_topic(broker.bootstrap_servers, held.stored))
    said["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(said))


if __name__ == "__main__":
    main()
