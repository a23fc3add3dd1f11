"""Records become columns: one decode for each record, and from there on numpy.

`Routes` says which measures an event feeds; `Entities` gives every (creator, market) its row in the arrays; `Reader`
turns a run of records into a `Batch` and sets the bad ones aside.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from msgspec import UNSET, Struct

from config.schema import Events, Follows, Link, Measure, Range, Sum
from detectors.base import Ints
from streams.errors import RecordError
from streams.records import TYPES, Event, decode_event

HASH_VERSION = "b2b-1"  # BLAKE2b; a change of it changes every alert_id


def hash64(text: str) -> int:
    """A stable 63-bit hash (HASH_VERSION).

    >>> hash64("c_1") == hash64("c_1")
    True
    """
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


class Record(Struct, frozen=True, gc=False):
    """One record of the source topic, as the source or a file gives it."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0  # ms, append time


Asked = tuple[Any, ...] | Range  # one of these values, or a number in a range
Clause = tuple[str, tuple[tuple[str, Asked], ...]]  # an event type, and what its attributes must be


def meets(value: Any, asked: Asked) -> bool:
    """Whether an attribute is as asked for.

    >>> meets(2, Range(max=2)), meets("2", Range(max=2)), meets(None, Range(max=2)), meets("low", ("low",))
    (True, False, False, True)
    """
    if not isinstance(asked, Range):
        return value in asked
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return (asked.min is None or value >= asked.min) and (asked.max is None or value <= asked.max)


class Matcher(NamedTuple):
    """Which events something is made of, and what is counted of each."""

    clauses: tuple[Clause, ...]
    novel: tuple[str, ...] = ()  # for a step of a pattern; not judged here
    live: bool | None = None  # only while the creator is live, or only while it is not
    outcome: bool = False  # of orders: one that is known to follow an order from before the stream doesn't count
    sum: Sum | None = None
    once: Link | None = None
    again: Link | None = None
    follows: tuple["Matcher", Follows] | None = None
    after: str | None = None
    unless: tuple[str, ...] = ()
    undone_by: str | None = None

    @property
    def types(self) -> frozenset[str]:
        return frozenset(kind for kind, _ in self.clauses)

    def takes(self, event: Event) -> bool:
        attrs = {} if event.attrs is UNSET else event.attrs
        return any(
            kind == event.type and all(meets(attrs.get(name), asked) for name, asked in where)
            for kind, where in self.clauses
        )


def asked_for(where: dict[str, Any]) -> tuple[tuple[str, Asked], ...]:
    """What the catalogue writes; a single value stands for a list of one."""
    return tuple(
        (name, asked if isinstance(asked, Range) else tuple(asked) if isinstance(asked, list) else (asked,))
        for name, asked in sorted(where.items())
    )


def clauses_of(events: Sequence[str | Events], where: dict[str, Any]) -> tuple[Clause, ...]:
    return tuple(
        (entry.type, asked_for(entry.where)) if isinstance(entry, Events) else (entry, asked_for(where))
        for entry in events
    )


def matcher_of(measure: Measure, measures: dict[str, Measure]) -> Matcher:
    """The matcher of a measure of the catalogue."""
    follows = measure.follows
    return Matcher(
        clauses_of(measure.events, measure.where),
        live=measure.live,
        sum=measure.sum,
        once=measure.once,
        again=measure.again,
        follows=None if follows is None else (matcher_of(measures[follows.measure], measures), follows),
        after=measure.after,
        unless=tuple(measure.unless),
        undone_by=measure.undone_by,
    )


class Routes:
    """Every event takes one route: the set of matchers that it satisfies. Route 0 satisfies none."""

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self.matchers = tuple(matchers)
        self.attributes = {kind: d for kind in TYPES if (d := self._deciding(kind))}  # by type: what decides
        self.members: list[tuple[int, ...]] = [()]  # of each route
        self._codes: dict[tuple[int, ...], int] = {(): 0}
        self._cache: dict[Any, int] = {}  # by event type, and the values that decide
        self._tables: dict[int, np.ndarray] = {}

    def _deciding(self, kind: str) -> dict[str, tuple[frozenset[Any], tuple[Range, ...]]]:
        values: dict[str, frozenset[Any]] = {}
        ranges: dict[str, tuple[Range, ...]] = {}
        for clause, where in (clause for matcher in self.matchers for clause in matcher.clauses):
            for name, asked in where if clause == kind else ():
                values.setdefault(name, frozenset())
                if isinstance(asked, Range):
                    ranges[name] = (*ranges.get(name, ()), asked)
                else:
                    values[name] |= frozenset(asked)
        return {name: (values[name], ranges.get(name, ())) for name in values}

    def of(self, event: Event) -> int:
        """The route of an event. What no matcher asks for is all one, so the cache holds few keys."""
        kind = event.type
        deciding = self.attributes.get(kind)
        if deciding is None:
            key: Any = kind
        else:
            attrs = {} if event.attrs is UNSET else event.attrs
            found: list[Any] = [kind]
            for name, (values, ranges) in deciding.items():
                value = attrs.get(name)
                found.append(value if value in values else None)
                found += [meets(value, asked) for asked in ranges]
            key = tuple(found)
        code = self._cache.get(key)
        if code is None:
            code = self._cache[key] = self._learn(event)
        return code

    def plain(self) -> dict[str, int]:
        """The routes of the types that no attribute decides, as far as they were seen."""
        return {kind: code for kind, code in self._cache.items() if isinstance(kind, str)}

    def _learn(self, event: Event) -> int:
        members = tuple(i for i, matcher in enumerate(self.matchers) if matcher.takes(event))
        if members not in self._codes:
            self._codes[members] = len(self.members)
            self.members.append(members)
            self._tables.clear()
        return self._codes[members]

    def table(self, matcher: int) -> np.ndarray:
        """For each route, whether it satisfies the matcher."""  # (n_routes,) bool
        if matcher not in self._tables:
            self._tables[matcher] = np.array([matcher in m for m in self.members])
        return self._tables[matcher]


class Entities:
    """The (creator, market) pairs of a shard and their rows. No result depends on which row an entity has."""

    CATEGORIES_MAX = 4_096  # further ones read as absent

    def __init__(self) -> None:
        self.slots: dict[tuple[str, str], int] = {}
        self.names: list[tuple[str, str] | None] = []  # by slot
        self.free: list[int] = []
        self.unsettled: set[int] = set()  # rows that may have nobody alive in them: the newest, and the forgotten
        self.hashes = np.zeros(64, dtype=np.int64)  # (capacity,) of the creator_id
        self.market_of = np.zeros(64, dtype=np.int64)  # (capacity,) market code, from `settle` on
        self.markets: dict[str, int] = {}  # code by market
        self.categories: dict[str, int] = {}  # code by category
        self.nameless = 0  # times that a category had no code left, not counted yet

    @property
    def capacity(self) -> int:
        return len(self.hashes)

    def slot(self, creator: str, market: str) -> int:
        """The row of an entity, new if need be."""
        slot = self.slots.get((creator, market))
        return slot if slot is not None else self._add(creator, market)

    def _add(self, creator: str, market: str) -> int:
        if self.free:
            slot = self.free.pop()
            self.names[slot] = (creator, market)
        else:
            slot = len(self.names)
            self.names.append((creator, market))
            if slot >= self.capacity:
                self.hashes, self.market_of = (np.concatenate([a, a * 0]) for a in (self.hashes, self.market_of))
        self.slots[creator, market] = slot
        self.unsettled.add(slot)
        self.hashes[slot] = hash64(creator)
        self.market_of[slot] = 0
        return slot

    def settle(self, slot: int) -> int:
        """The code of an entity's market, given when its first event counts: reading ahead must not show."""
        name = self.names[slot]
        assert name is not None
        self.market_of[slot] = code = self.markets.setdefault(name[1], len(self.markets))
        return code

    def category_code(self, category: str) -> int:
        code = self.categories.get(category)
        if code is None:
            if len(self.categories) >= self.CATEGORIES_MAX:
                self.nameless += 1
                return -1
            code = self.categories[category] = len(self.categories)
        return code

    def forget(self, slot: int) -> None:
        name = self.names[slot]
        if name is not None:
            del self.slots[name]
            self.names[slot] = None
            self.free.append(slot)
            self.hashes[slot] = self.market_of[slot] = 0
            self.unsettled.discard(slot)


class Batch(NamedTuple):
    """Good records of a run, in order of offset."""

    offset: Ints  # (n,)
    time: Ints  # (n,) ms, event time
    slot: Ints  # (n,)
    route: Ints  # (n,)
    creator: Ints  # (n,) hash of the creator_id
    category: Ints  # (n,) category code, -1 where absent
    events: list[Event]  # (n,)
    records: list[Record]  # (n,) the originals, for a record that becomes a dead letter later
    next_offset: int  # after the last record of the run, good or bad

    def part(self, start: int, stop: int) -> "Batch":
        cut = slice(start, stop)
        return Batch(
            self.offset[cut], self.time[cut], self.slot[cut], self.route[cut], self.creator[cut], self.category[cut],
            self.events[cut], self.records[cut], self.next_offset,
        )  # fmt: skip

    def where(self, keep: np.ndarray) -> "Batch":
        """Those of the records for which this is true; the originals are left out."""
        rows = np.flatnonzero(keep)
        return Batch(
            self.offset[rows], self.time[rows], self.slot[rows], self.route[rows], self.creator[rows],
            self.category[rows], [self.events[i] for i in rows.tolist()], [], self.next_offset,
        )  # fmt: skip


def joined(batches: Sequence[Batch]) -> Batch:
    """Batches as one, in their order; there is at least one."""
    return Batch(
        np.concatenate([b.offset for b in batches]),
        np.concatenate([b.time for b in batches]),
        np.concatenate([b.slot for b in batches]),
        np.concatenate([b.route for b in batches]),
        np.concatenate([b.creator for b in batches]),
        np.concatenate([b.category for b in batches]),
        [event for b in batches for event in b.events],
        [record for b in batches for record in b.records],
        batches[-1].next_offset,
    )


def rerouted(batch: Batch, routes: Routes) -> Batch:
    """The same events, by other routes."""
    return batch._replace(route=np.array([routes.of(event) for event in batch.events], dtype=np.int64))


class DeadLetter(NamedTuple):
    record: Record
    error: RecordError


class Reader:
    """Decodes runs of records. Counts what it saw; gives rows to entities in the order of their records."""

    def __init__(self, routes: Routes, entities: Entities) -> None:
        self.routes = routes
        self.entities = entities
        self.events: Counter[str] = Counter()  # by type
        self.tombstones = 0
        self.unknown_types = 0

    def read(self, records: Iterable[Record]) -> tuple[Batch, list[DeadLetter]]:
        events: list[Event] = []
        kept: list[Record] = []
        dead: list[DeadLetter] = []
        last = -1
        for record in records:
            last, value = record.offset, record.value
            if value is None:
                self.tombstones += 1
                continue
            try:
                event = decode_event(record.key, value)
            except RecordError as error:
                dead.append(DeadLetter(record, error))
                continue
            if event.type in TYPES:
                events.append(event)
                kept.append(record)
            else:
                self.unknown_types += 1
        types = [event.type for event in events]
        self.events.update(types)
        slot = np.array(self._slots(events), dtype=np.int64)
        plain, route_of = self.routes.plain(), self.routes.of
        batch = Batch(
            np.array([record.offset for record in kept], dtype=np.int64),
            np.array([event.occurred_at for event in events], dtype=np.int64),
            slot,
            np.array(
                [plain[kind] if kind in plain else route_of(event) for kind, event in zip(types, events, strict=True)],
                dtype=np.int64,
            ),
            self.entities.hashes[slot],
            np.array(self._categories(events), dtype=np.int64),
            events,
            kept,
            last + 1,
        )
        return batch, dead

    def _slots(self, events: list[Event]) -> list[int]:
        """Looked up in one go; only where somebody is new, one by one."""
        known = self.entities.slots.get
        slots = [known((event.creator_id, event.market)) for event in events]
        if None in slots:
            return [self.entities.slot(event.creator_id, event.market) for event in events]
        return slots  # type: ignore[return-value]

    def _categories(self, events: list[Event]) -> list[int]:
        codes_of: dict[Any, int] = {UNSET: -1, **self.entities.categories}
        known = codes_of.get
        codes = [known(event.category) for event in events]
        if None in codes:
            code_of = self.entities.category_code
            return [-1 if event.category is UNSET else code_of(event.category) for event in events]
        return codes  # type: ignore[return-value]
