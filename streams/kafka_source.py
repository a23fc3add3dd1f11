"""The source topic itself as the source of a replay: a range of each partition, and the ticks recorded for it.

A Source (sources.py). What is read ends where the topic ended when it was opened, or before; the ends of the ticks are
taken first, so that every record that a tick follows is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from streams import clients
from streams.columns import Record
from streams.files import NoRecordingError
from streams.interleave import interleaved, kept
from streams.recording import Kind
from streams.sources import Only, everything
from streams.spread import Row
from streams.ticks import Tick

POLL_MS = 500


class Range(NamedTuple):
    """Of one partition, offsets."""

    first: int
    end: int  # behind the last


When = int | Mapping[int, int]  # append time in ms, or an offset of each partition; of those not named all is read


def when(text: str) -> When:
    """A moment, or offsets. ValueError where it is neither.

    >>> when("2026-01-05T08:00+08:00"), when("0:120,1:98")
    (1767571200000, {0: 120, 1: 98})
    """
    if re.fullmatch(r"\d+:\d+(,\d+:\d+)*", text):
        return {int(p): int(offset) for p, offset in (pair.split(":") for pair in text.split(","))}
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def topic_range(
    servers: str, topic: str, ticks: str, since: When | None = None, until: When | None = None
) -> TopicRange:
    """What of a topic lies between these, as it is now."""
    with clients.kafka_errors(servers), clients.consumer(servers) as reader:
        ticks_end = {tp.partition: end for tp, end in reader.end_offsets(clients.partitions(reader, ticks)).items()}
        tps = clients.partitions(reader, topic)
        ends, begins = reader.end_offsets(tps), reader.beginning_offsets(tps)
        first = _offsets(reader, tps, since, begins, ends)
        end = _offsets(reader, tps, until, ends, ends)
    ranges = {tp.partition: Range(max(first[tp], begins[tp]), min(end[tp], ends[tp])) for tp in tps}
    return TopicRange(servers, topic, ticks, ranges, ticks_end)


def _offsets(reader: Any, tps: Sequence[Any], at: When | None, other: Any, ends: Any) -> dict[Any, int]:
    """The offset in each partition that `at` names; `other` where it names none."""
    if at is None:
        return dict(other)
    if isinstance(at, int):
        found = reader.offsets_for_times(dict.fromkeys(tps, at))
        return {tp: ends[tp] if found.get(tp) is None else found[tp].offset for tp in tps}
    if unknown := sorted(at.keys() - {tp.partition for tp in tps}):
        raise NoRecordingError(f"there is no partition {unknown[0]}; the topic has 0 to {len(tps) - 1}")
    return {tp: at.get(tp.partition, other[tp]) for tp in tps}


class TopicRange(NamedTuple):
    """What is to be read; a process of its own may open it again, and read the same."""

    servers: str
    topic: str
    ticks: str
    ranges: Mapping[int, Range]
    ticks_end: Mapping[int, int]

    def open(self, only: Only = everything) -> TopicSource:
        return TopicSource(self, only)


class TopicSource:
    """Of these partitions only, or of all. Progress is counted in records."""

    kind: Kind = "recording"
    files: list[tuple[str, Path]] = []  # noqa: RUF012  there are none

    def __init__(self, opening: TopicRange, only: Only = everything) -> None:
        self.opening = opening
        self.name = f"the topic {opening.topic} at {opening.servers}"
        self.topic = opening.topic
        self.partitions = len(opening.ranges)
        self.ranges = {p: r for p, r in opening.ranges.items() if only(p)}
        self.total = sum(max(r.end - r.first, 0) for r in self.ranges.values())
        self.done = 0

    def head(self) -> None:
        """Nothing: the topic is known."""

    def begin_at(self, starts: Mapping[int, int]) -> None:
        self.ranges = {p: Range(max(r.first, starts.get(p, 0)), r.end) for p, r in self.ranges.items()}
        self.total = sum(max(r.end - r.first, 0) for r in self.ranges.values())

    def entries(self) -> Iterator[tuple[int, Record | Tick]]:
        """(partition, record or tick), each partition in its own order."""
        self.done = 0
        with clients.kafka_errors(self.opening.servers), clients.consumer(self.opening.servers) as reader:
            ends = self.opening.ticks_end
            ticks = [tick for tick in self._ticks(reader, {p: Range(0, end) for p, end in ends.items()})
                     if tick.partition in self.ranges]  # fmt: skip
            counting, _ = kept(ticks)
            due = {p: [t for t in log if t.after_offset >= self.ranges[p].first - 1] for p, log in counting.items()}
            records = ((message.offset, message.partition, _record(message))
                       for message in self._read(reader, self.topic, self.ranges))  # fmt: skip
            yield from interleaved(records, due, self.where)

    def _ticks(self, reader: Any, ranges: Mapping[int, Range]) -> Iterator[Tick]:
        for message in self._read(reader, self.opening.ticks, ranges):
            yield clients.tick_of(message)

    def _read(self, reader: Any, topic: str, ranges: Mapping[int, Range]) -> Iterator[Any]:
        """Messages of these ranges, each partition in order."""
        from kafka import TopicPartition

        ends = {TopicPartition(topic, p): r.end for p, r in ranges.items() if r.first < r.end}
        if not ends:
            return
        reader.assign(list(ends))
        for tp in ends:
            reader.seek(tp, ranges[tp.partition].first)
        todo = set(ends)
        while todo:
            for tp, batch in reader.poll(timeout_ms=POLL_MS).items():
                within = [message for message in batch if message.offset < ends[tp]]
                yield from within
                self.done += len(within) if topic == self.topic else 0
                if len(within) < len(batch):
                    reader.pause(tp)  # what follows is not asked for
            todo = {tp for tp in todo if reader.position(tp) < ends[tp]}

    def plain(self) -> Iterator[Row]:
        raise NoRecordingError(f"{self.name}: has its order from Kafka; leave --sort out")

    def warning(self) -> str | None:
        return None

    def where(self, number: int) -> str:
        return f"{self.name}: offset {number}"


def _record(message: Any) -> Record:
    return Record(message.offset, message.key, message.value, message.timestamp)
