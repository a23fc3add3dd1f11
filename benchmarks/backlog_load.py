"""The load of bench_backlog.py: a simulated period repeated without end, put on the topic in batches made here.

The stream goes on in event time, an order's outcomes name that order, and memory does not grow with its length. A
creator has the same days again and again, so alerts say nothing here.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import contextlib
import functools
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer

from streams.security import for_aiokafka
from streams.simulate import ATTRS, Events, Simulation, simulate
from streams.simulate_rows import TYPES, Rows
from streams.simulate_spec import DAY
from streams.spread import partition_of

SLICE_SECONDS = 0.05  # of the load: what is due is sent so often
SLICE_RECORDS = 10_000  # at most, so that a change of the rate never waits long

Target = tuple[str, str, int]  # bootstrap servers, topic, partitions
Entry = tuple[bytes, bytes, int]  # key, value, occurred_at


class Lag(NamedTuple):
    """What is sent and not applied, and how long ago the oldest of it was sent."""

    records: int = 0
    seconds: float = 0.0


def one_period(args: argparse.Namespace) -> Events:
    """What is repeated. Few episodes: they come again in each period, and would be most of what there is."""
    began = time.monotonic()
    spec = Simulation(
        seed=args.seed, creators=args.creators, days=args.days, volume=args.volume,
        planted=max(1, args.creators // 1_000), campaign_days=(), shocks=(),
    )  # fmt: skip
    events, _ = simulate(spec)
    print(f"{len(events):,} events of {args.creators:,} creators in {args.days} days are simulated after "
          f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
    return events


def endless(period: Events) -> Iterator[Entry]:
    """(key, value, occurred_at) of the period again and again, one after the other."""
    for n in itertools.count():
        yield from repeated(period, n).iter_records()


def repeated(period: Events, n: int) -> Events:
    """Its n-th repetition: as much later, and with ids that no other one has.

    People are new each time: who bought yesterday at the very same minute would look like brushing everywhere.
    Devices stay, as the creators do whose they are.
    """
    rows, later = period.rows, n * period.spec.days * DAY
    moved = {name: getattr(rows, name).copy() for name in ("at", "actor", "ref", "a", "b", "c")}
    moved["at"] += later
    for name in ("actor", "ref"):
        ids = moved[name]
        if (n + 1) * (int(ids.max()) + 1) > 2**63 - 1:
            raise SystemExit(f"ids of {n + 1} repetitions don't fit: simulate more --days or --creators")
        ids[ids >= 0] += n * (int(ids.max()) + 1)
    for kind, column in placed_at():
        own = (rows.kind == kind) & (moved[column] >= 0)
        moved[column][own] += later
    spec = msgspec.structs.replace(period.spec, seed=period.spec.seed + n)  # the ids of events begin with it
    return Events(spec, period.pop, rows._replace(**moved), period.arrived_at + later)


def placed_at() -> Iterator[tuple[int, str]]:
    """Where `ref_at` stands, when the order was placed: (number of the type, column)."""
    columns = Rows._fields[-3:]
    for name, attrs in ATTRS.items():
        for column, (attr, _) in zip(columns, attrs, strict=False):
            if attr == "ref_at":
                yield TYPES.index(name), column


class Sender:
    """Puts the stream on the topic in batches made here.

    A record at a time, as streams.clients sends, costs kafka-python more than it costs the worker (0.1 ms against less
    than half of it, on the same slow core): a burst would show the producer. Keys go to the partitions that any other
    producer would choose.
    """

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: int) -> None:
        self._producer, self._topic = producer, topic
        self._home = functools.cache(lambda key: partition_of(key, partitions))  # a creator each
        self._waiting: list[asyncio.Future[Any]] = []  # batches that are not acknowledged

    async def send(self, records: Iterable[Entry]) -> None:
        """Hand them over once the ones before are acknowledged, so that what waits in memory is bounded."""
        batches: list[tuple[int, Any]] = []
        filling: dict[int, Any] = {}
        now = int(time.time() * 1_000)
        for key, value, _ in records:
            home = self._home(key)
            batch = filling.get(home)
            if batch is None or batch.append(timestamp=now, key=key, value=value) is None:  # it is full
                batch = filling[home] = self._producer.create_batch()
                batch.append(timestamp=now, key=key, value=value)
                batches.append((home, batch))
        await self.settle()
        self._waiting = [await self._producer.send_batch(some, self._topic, partition=p) for p, some in batches]

    async def settle(self) -> None:
        """All is acknowledged; the first failure is raised."""
        await asyncio.gather(*self._waiting)
        self._waiting = []


@contextlib.asynccontextmanager
async def sender(bootstrap: str, topic: str, partitions: int) -> AsyncIterator[Sender]:
    """Idempotent, lz4. Leaving the body well means that everything was acknowledged."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, compression_type="lz4", max_batch_size=1 << 18,
        **for_aiokafka(),
    )  # fmt: skip
    await producer.start()
    try:
        made = Sender(producer, topic, partitions)
        yield made
        await made.settle()
    finally:
        await producer.stop()


async def fill(target: Target, records: Iterator[Entry], events: int) -> float:
    """The backlog; how many seconds it took."""
    began, told = time.monotonic(), 0
    async with sender(*target) as to:
        for sent in range(0, events, SLICE_RECORDS):
            await to.send(itertools.islice(records, min(SLICE_RECORDS, events - sent)))
            if sent >= told + 1_000_000:
                told = sent
                print(f"{sent:,} events are on the topic, {sent / (time.monotonic() - began):,.0f}/s", flush=True)
    seconds = time.monotonic() - began
    print(f"a backlog of {events:,} events stands after {seconds:.0f} s, {events / seconds:,.0f}/s", flush=True)
    return seconds


class Load:
    """Goes on with the stream at `rate` events/s by the wall clock, from a thread of its own."""

    def __init__(self, target: Target, records: Iterator[Entry], before: int) -> None:
        self._target, self._records = target, records
        self._totals, self._times = [before], [time.monotonic()]  # all that had been sent by then, a slice each
        self.rate = 0.0
        self.stopped = False

    @property
    def total(self) -> int:
        """Records on the topic, those of the backlog among them."""
        return self._totals[-1]

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        """Sends what is due, slice by slice. What it could not send in time of a rate that is over, it never sends."""
        rate, owed, last = 0.0, 0.0, time.monotonic()
        async with sender(*self._target) as to:
            while not self.stopped:
                await asyncio.sleep(max(last + SLICE_SECONDS - time.monotonic(), 0.0))  # at once where it is behind
                now = time.monotonic()
                owed = owed + (now - last) * rate if rate == self.rate else 0.0
                rate, last = self.rate, now
                if n := min(int(owed), SLICE_RECORDS):
                    self._totals.append(self.total + n)  # before it is sent: better too high a lag than too low a one
                    self._times.append(now)  # last, since `lag` goes by it, in another thread
                    await to.send(itertools.islice(self._records, n))
                    owed -= n

    def lag(self, applied: int, at: float) -> Lag:
        """What is on the topic and not `applied`, and how long before `at` (monotonic) the oldest of it was sent."""
        totals, n = self._totals, len(self._times)
        waiting = bisect.bisect_right(totals, applied, 0, n)
        if waiting == n:
            return Lag()
        return Lag(totals[n - 1] - applied, max(at - self._times[waiting], 0.0))
