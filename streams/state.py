"""A shard's state as named arrays and one typed memo: what a checkpoint holds, and nothing else.

Every number and array that a part of the engine holds as an attribute is state; shared parts (rings, entities,
population) are walked once. Caches are dictionaries, which are not walked. What is neither a number nor an array
stands in the `Memo`, field by field.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from config.packed import pack
from streams.columns import Batch, Entities, Reader, Record
from streams.engine import ENGINE_VERSION, Engine
from streams.entities import Population
from streams.errors import CheckpointError
from streams.grounds import Ground
from streams.patterns import RepeatWatch, SequenceWatch
from streams.policy import Episode
from streams.windows import Ring

SHARED = (Ring, Entities, Population)
LENT = ("crowd",)  # another watch, which is a part of its own
CATALOGUE = "catalogue"  # the array whose bytes are the packed configuration that the state was made under
Waiting = tuple[int, bytes | None, bytes | None, int, int, int]  # a record, its event time, waiting since


class Memo(msgspec.Struct, frozen=True):
    """The part of the state that is not arrays."""

    engine_version: str
    config_version: str
    closed: int
    votes: dict[int, int]
    started: int
    next_offset: int
    trusted_offset: int
    near: list[Waiting]
    far: list[Waiting]
    episodes: list[tuple[int, int, Episode]]
    rested: list[tuple[int, int, int, int]]
    names: list[tuple[str, str] | None]
    free: list[int]
    markets: list[str]
    categories: list[str]
    cohorts: list[tuple[int, int]]
    live: int
    hours: list[tuple[int, int, int]]
    evidence_end: int
    void: list[int]
    begun: list[tuple[int, int, int]]
    overturned: list[tuple[int, int]]
    grounds: list[tuple[tuple[int, int], Ground]]
    repeats: list[list[tuple[int, list[tuple[int, str, int]]]]]
    repeats_touched: list[list[tuple[int, int]]]
    pending: list[list[tuple[int, int, int, int]]]
    erased: list[int] = []  # as nothing where an older release wrote it


class Snapshot(msgspec.Struct, frozen=True):
    """State at one offset. The arrays are copies."""

    memo: Memo
    arrays: dict[str, np.ndarray]


def take(engine: Engine) -> Snapshot:
    """The engine's state now."""
    engine.links.pack()
    arrays = {path: value.copy() for path, _, _, value in _leaves(engine)}
    arrays[CATALOGUE] = np.frombuffer(pack(engine.catalogue), dtype=np.uint8)
    return Snapshot(_memo(engine), arrays)


def restore(engine: Engine, snapshot: Snapshot) -> None:
    """Put a fresh engine of the same catalogue into that state; CheckpointError where it doesn't fit.

    The arrays become the engine's own: the snapshot is used up.
    """
    memo = snapshot.memo
    for what, mine, theirs in (
        ("engine version", ENGINE_VERSION, memo.engine_version),
        ("configuration", engine.catalogue.version, memo.config_version),
    ):
        if mine != theirs:
            raise CheckpointError(f"the checkpoint has {what} {theirs}, this worker {mine}")
    _load_memo(engine, memo)
    wanted = {path: (owner, name) for path, owner, name, _ in _leaves(engine)}
    if wanted.keys() | {CATALOGUE} != snapshot.arrays.keys():
        odd = sorted((wanted.keys() | {CATALOGUE}) ^ snapshot.arrays.keys())[:3]
        raise CheckpointError(f"the checkpoint's arrays are not this engine's: {', '.join(odd)} …")
    for path, (owner, name) in wanted.items():
        _put(owner, name, snapshot.arrays[path])
    engine.links.unpack()
    _load_waiting(engine, memo)


def _parts(engine: Engine) -> Iterator[tuple[str, Any]]:
    yield "entities", engine.entities
    yield "people", engine.people
    yield "links", engine.links
    for (matcher, pane), ring in sorted(engine.plan.rings.items()):
        yield f"ring/{matcher}/{pane}", ring
    for name, watches in zip(engine.plan.names, engine.plan.watches, strict=True):
        for test, watch in enumerate(watches):
            yield f"watch/{name}/{test}", watch


def _leaves(engine: Engine) -> Iterator[tuple[str, Any, str, np.ndarray]]:
    """(path, owner, attribute, value as an array) of every number and array, in a fixed order."""
    for path, part in _parts(engine):
        yield from _walk(path, part)


def _walk(path: str, part: Any) -> Iterator[tuple[str, Any, str, np.ndarray]]:
    for name, value in sorted(vars(part).items()):
        if name in LENT:
            continue
        at = f"{path}.{name}"
        if isinstance(value, np.ndarray):
            yield at, part, name, value
        elif isinstance(value, bool | int | float):
            yield at, part, name, np.array(value)
        elif isinstance(value, tuple) and hasattr(value, "_fields"):
            for field, array in zip(value._fields, value, strict=True):
                if isinstance(array, np.ndarray):
                    yield f"{at}.{field}", part, f"{name}.{field}", array
        elif type(value).__module__.startswith("streams.") and hasattr(value, "__dict__") and type(value) not in SHARED:
            yield from _walk(at, value)


def _put(owner: Any, name: str, array: np.ndarray) -> None:
    if "." in name:
        outer, field = name.split(".")
        setattr(owner, outer, getattr(owner, outer)._replace(**{field: array}))
    elif isinstance(getattr(owner, name), np.ndarray):
        setattr(owner, name, array)
    else:
        setattr(owner, name, type(getattr(owner, name))(array[()]))


def _memo(engine: Engine) -> Memo:
    plan, entities, people = engine.plan, engine.entities, engine.people
    repeats = [w for w in plan.rare_watches() if isinstance(w, RepeatWatch)]
    sequences = [w for w in plan.rare_watches() if isinstance(w, SequenceWatch)]
    return Memo(
        engine_version=ENGINE_VERSION,
        config_version=engine.catalogue.version,
        closed=engine.clock.closed,
        votes=dict(engine.clock.votes),  # copied, as all here: it is written while the engine goes on
        started=engine.started,
        next_offset=engine.next_offset,
        trusted_offset=engine.trusted_offset,
        near=[_waiting(batch, time, 0) for batch, time in engine.near],
        far=[_waiting(batch, time, since) for batch, time, since in engine.far],
        episodes=[(*key, episode) for key, episode in engine.episodes.items()],
        rested=[(*key, *value) for key, value in engine.rested.items()],
        names=list(entities.names),
        free=list(entities.free),
        markets=list(entities.markets),
        categories=list(entities.categories),
        cohorts=list(people.cohorts),
        live=people.live,
        evidence_end=engine.evidence.end,
        void=list(engine.deliveries.void),
        hours=[(hour, *offsets) for hour, offsets in engine.evidence.hours.items()],
        begun=sorted((*key, at) for key, at in engine.begun.items()),
        overturned=sorted(engine.overturned),
        grounds=list(engine.grounds.of.items()),
        repeats=[[(slot, list(times)) for slot, times in w.times.items()] for w in repeats],
        repeats_touched=[list(w.touched.items()) for w in repeats],
        pending=[list(w.pending) for w in sequences],
        erased=engine.evidence.erased_lately(),
    )


def _waiting(batch: Batch, time: int, since: int) -> Waiting:
    record = batch.records[0]
    return (record.offset, record.key, record.value, record.timestamp, time, since)


def _load_memo(engine: Engine, memo: Memo) -> None:
    plan, entities, people = engine.plan, engine.entities, engine.people
    engine.clock.closed, engine.clock.votes = memo.closed, dict(memo.votes)
    engine.started, engine.next_offset, engine.trusted_offset = memo.started, memo.next_offset, memo.trusted_offset
    engine.episodes = {(signal, slot): episode for signal, slot, episode in memo.episodes}
    engine.begun = {(signal, test): at for signal, test, at in memo.begun}
    engine.overturned = set(memo.overturned)
    engine.grounds.of = dict(memo.grounds)
    engine.rested = {(signal, slot): (at, severity) for signal, slot, at, severity in memo.rested}
    entities.names = [tuple(name) if name else None for name in memo.names]  # type: ignore[misc]
    entities.slots = {name: slot for slot, name in enumerate(entities.names) if name is not None}
    entities.free = list(memo.free)
    entities.markets = {market: code for code, market in enumerate(memo.markets)}
    entities.categories = {category: code for code, category in enumerate(memo.categories)}
    people.cohorts = {(market, category): code for code, (market, category) in enumerate(memo.cohorts)}
    people.live = memo.live
    engine.evidence.end = memo.evidence_end
    engine.evidence.erased = set(memo.erased)
    engine.deliveries.void = dict.fromkeys(memo.void)
    engine.evidence.hours = {hour: (first, after) for hour, first, after in memo.hours}
    repeats = [w for w in plan.rare_watches() if isinstance(w, RepeatWatch)]
    for watch, times, touched in zip(repeats, memo.repeats, memo.repeats_touched, strict=True):
        watch.times = {slot: list(entries) for slot, entries in times}
        watch.touched = dict(touched)
    sequences = [w for w in plan.rare_watches() if isinstance(w, SequenceWatch)]
    for sequence, pending in zip(sequences, memo.pending, strict=True):
        sequence.pending = list(pending)


def _load_waiting(engine: Engine, memo: Memo) -> None:
    """Events that wait are kept as records: read them again, now that every entity has its row."""

    def batch(record: Waiting) -> Batch:
        return Reader(engine.plan.routes, engine.entities).read([Record(*record[:4])])[0]

    engine.near = [(batch(record), record[4]) for record in memo.near]
    engine.far = [(batch(record), record[4], record[5]) for record in memo.far]
