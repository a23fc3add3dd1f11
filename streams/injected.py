"""A source with planted events among its own, each where it would have come: its own records stay as they are.

Plain events get lines of their own. In a recording a planted event stands among the records of its creator's partition;
the offsets behind it are higher by one, for it has one itself, and a tick names the same record as before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from streams.columns import Record
from streams.inject import PlantedEvent
from streams.recording import Kind
from streams.sources import Source
from streams.spread import Row, probed, spread
from streams.ticks import Tick

MEDIAN_OF = 9  # records whose median time says how late it is: a few wrong clocks say nothing
AHEAD_MS = 3_600_000  # of that median, and no further, one record alone moves time


class Waiting:
    """Planted events that are to come, in the order of their arrival, and how late it is."""

    def __init__(self, events: Iterable[PlantedEvent]) -> None:
        self.events = deque(events)
        self.now = 0
        self._newest: deque[int] = deque(maxlen=MEDIAN_OF)

    def before(self, time: int | None) -> Iterator[PlantedEvent]:
        """Those that come before a record of this time."""
        if time is not None:
            self._newest.append(time)
            median = sorted(self._newest)[len(self._newest) // 2]
            self.now = max(self.now, min(time, median + AHEAD_MS))
        yield from self.until(self.now)

    def until(self, time: int) -> Iterator[PlantedEvent]:
        while self.events and self.events[0].arrived_at < time:
            yield self.events.popleft()

    def rest(self) -> Iterator[PlantedEvent]:
        while self.events:
            yield self.events.popleft()


class Injected:
    """A source and the events that are added to it."""

    def __init__(self, source: Source, events: list[PlantedEvent]) -> None:
        self.source, self.events = source, events
        self.kind: Kind = source.kind
        self.name, self.topic, self.partitions = source.name, source.topic, source.partitions
        self.total: int = source.total
        self.files: list[tuple[str, Path]] = source.files

    @property
    def done(self) -> int:
        return self.source.done

    def head(self) -> None:
        """It was read when the source was opened."""

    def begin_at(self, starts: Mapping[int, int]) -> None:
        """It is read from its beginning."""

    def warning(self) -> str | None:
        return self.source.warning()

    def where(self, number: int) -> str:
        return self.source.where(number)

    def plain(self) -> Iterator[Row]:
        """A planted row has the number 0."""
        waiting = Waiting(self.events)
        for row in self.source.plain():
            yield from map(_row, waiting.before(row[2]))
            yield row
        yield from map(_row, waiting.rest())

    def entries(self) -> Iterator[tuple[int, Record | Tick]]:
        if self.kind == "events":
            yield from spread(self.plain(), self.partitions)
        else:
            yield from self._recorded()

    def _recorded(self) -> Iterator[tuple[int, Record | Tick]]:
        places: dict[int, _Place] = {}
        for event in self.events:
            places.setdefault(event.partition, _Place([])).waiting.events.append(event)
        for partition, entry in self.source.entries():
            place = places.setdefault(partition, _Place([]))
            for one in place.tick(entry) if isinstance(entry, Tick) else place.record(entry):
                yield partition, one
        for partition, place in sorted(places.items()):
            for event in place.waiting.rest():
                yield partition, place.planted(event)


class _Place:
    """One partition of a recording, as it is written again."""

    def __init__(self, events: list[PlantedEvent]) -> None:
        self.waiting = Waiting(events)
        self.last = -1  # offset that was written last
        self.more = 0  # planted so far: by so much later offsets are higher

    def planted(self, event: PlantedEvent) -> Record:
        self.last, self.more = self.last + 1, self.more + 1
        return Record(self.last, event.creator_id.encode(), event.value, event.arrived_at)

    def record(self, record: Record) -> Iterator[Record]:
        if self.last < 0:
            self.last = record.offset - 1
        time = None if record.value is None else probed(record.value)[1]
        for event in self.waiting.before(time):
            yield self.planted(event)
        self.last = record.offset + self.more
        yield Record(self.last, record.key, record.value, record.timestamp)

    def tick(self, tick: Tick) -> Iterator[Record | Tick]:
        """Behind the record that it stood behind, and behind what was planted in the silence that it ends."""
        if self.last < 0:
            yield tick
            return
        if tick.up_to is not None:
            for event in self.waiting.until(tick.up_to):
                yield self.planted(event)
        yield msgspec.structs.replace(tick, after_offset=self.last)


def _row(event: PlantedEvent) -> Row:
    return 0, event.creator_id.encode(), event.arrived_at, event.value
