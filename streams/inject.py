"""Known episodes for recorded activity: the simulator's planting, with what was observed in place of its market.

    planted = plan_episodes(source, read_injection(path))
    Converter(Injected(source, planted.events)).write(out)

Three readings: what each creator does, the orders of those in question, and (injected.py) all of it with what is added.
Memory holds some sums for each creator, the orders of at most `CANDIDATES` units, and what is planted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

from streams.errors import RecordError
from streams.files import RecordingError
from streams.observed import Habit, OrderBook, Survey, Unit, days_between
from streams.observed_world import OBSERVED, creators_of, observed_world
from streams.records import Event, decode_event
from streams.scenario import Injection, ScenarioError
from streams.scorecard import COVERED, LOOKALIKE, Label
from streams.simulate import CHUNK, Who, arrival, emitted, streams_of, wire_of
from streams.simulate_plant import World, lookalikes, plant
from streams.simulate_rows import Rows, chosen, joined
from streams.simulate_spec import KINDS, LOOKALIKES, MARKETS, Simulation
from streams.sources import Source
from streams.ticks import Tick

EVENTS_MIN = 20  # of a unit, to be thought of at all
EACH_MIN, CANDIDATES = 100, 2_000  # units of each sort, of all sorts together
ORDERS_MAX = 500_000  # of all candidates together
DAYS_MIN, DAYS_MAX = 2, 400


class PlantedEvent(NamedTuple):
    """One more record: when it arrives, whose it is, and where that creator's records are."""

    arrived_at: int
    creator_id: str
    partition: int
    value: bytes


class Plan(NamedTuple):
    events: list[PlantedEvent]  # in the order of their arrival
    labels: list[Label]  # and, of each, that only there somebody knows what is true
    short: dict[str, tuple[int, int]]  # kind: planted, asked for; where they differ


def plan_episodes(source: Source, injection: Injection, progress: Callable[[int], None] = lambda n: None) -> Plan:
    """What is to be added to the source. ScenarioError, or RecordingError where it is too little to plant in."""
    prefix = prefix_of(injection.seed) + "-"
    survey = Survey()
    for partition, event in _events(source, progress):
        survey.see(partition, event)
        if event.event_id.startswith(prefix):
            raise ScenarioError(
                f"{source.name}: holds episodes of seed {injection.seed} already (event {event.event_id}); "
                "another --seed keeps the new ones apart"
            )
    spec = _spec(source.name, survey, injection)
    rng = streams_of(spec)
    units = _candidates(survey, spec, injection, rng["population"])
    book = OrderBook(units)
    for _, event in _events(source, progress):
        book.see(event)
    world = observed_world(spec, survey, units, book)
    added, labels = plant(world, rng["planted"])
    alike, theirs = lookalikes(world, labels, rng["lookalikes"])
    labels += theirs
    events = _wired(world, survey, units, book, added + alike, rng["planted arrival"]) if labels else []
    ids = creators_of(units)
    named = [msgspec.structs.replace(x, creator_id=ids[int(x.creator_id.removeprefix("c_"))]) for x in labels]
    named += [msgspec.structs.replace(label, kind=COVERED) for label in named]
    named.sort(key=lambda x: (x.start_ms, x.creator_id, x.kind))
    return Plan(events, named, _short(spec, named))


def prefix_of(seed: int) -> str:
    """What the ids of planted events begin with, and the names that only they have."""
    return f"injected-{seed:x}"


def _events(source: Source, progress: Callable[[int], None]) -> Iterator[tuple[int, Event]]:
    """(partition, event); what is no event is passed over, as the engine does."""
    for n, (partition, key, value) in enumerate(_records(source)):
        if n % 10_000 == 0:
            progress(source.done)
        try:
            yield partition, decode_event(key, value or b"")
        except RecordError:
            continue


def _records(source: Source) -> Iterator[tuple[int, bytes | None, bytes | None]]:
    if source.kind == "events":
        for _, key, _, value in source.plain():
            yield 0, key, value
        return
    for partition, entry in source.entries():
        if not isinstance(entry, Tick):
            yield partition, entry.key, entry.value


def _spec(name: str, survey: Survey, injection: Injection) -> Simulation:
    if not survey.events:
        raise RecordingError(f"{name}: holds no event that can be read; expected some days of activity")
    start, end = survey.span()
    days = days_between(start, end)
    if not DAYS_MIN <= days <= DAYS_MAX:
        why = "too little to plant episodes in" if days < DAYS_MIN else "are clocks wrong?"
        raise RecordingError(f"{name}: spans {days:,} days; expected {DAYS_MIN} to {DAYS_MAX}: {why}")
    absent = sorted(set(injection.creators or ()) - {creator for creator, _ in survey.units})
    if absent:
        them = ", ".join(absent)
        raise ScenarioError(f"the scenario's creators: {them}: not in {name}, or in no market that is simulated")
    return injection.simulation(start_ms=start, days=days, creators=max(len(survey.units), 1))


# ---- whom --------------------------------------------------------------------------------------------------


def _candidates(survey: Survey, spec: Simulation, injection: Injection, rng: np.random.Generator) -> list[Unit]:
    """Units that something can be planted on: some of each sort that a kind asks for, drawn by the seed. Their order
    does not hang on the order of the events, and a creator's largest market comes before its others.
    """
    named = set(injection.creators or ())
    known = sorted(u for u, h in survey.units.items() if h.events >= EVENTS_MIN or u[0] in named)
    known = [unit for unit in known if not named or unit[0] in named]
    known = [known[n] for n in rng.permutation(len(known))]
    each = max(EACH_MIN, 2 * max(spec.count(kind) for kind in (*KINDS, *LOOKALIKES)))
    found: set[Unit] = set()
    for sort in _SORTS:
        found.update([unit for unit in known if sort(survey.units[unit], spec)][:each])
    taken: list[Unit] = []
    orders = 0
    for unit in (unit for unit in known if unit in found):
        mine = survey.units[unit].orders
        if len(taken) < CANDIDATES and orders + mine <= ORDERS_MAX:
            taken.append(unit)
            orders += mine
    return sorted(taken, key=lambda unit: -survey.units[unit].events)


def _a_day(low: float) -> Callable[[Habit, Simulation], bool]:
    return lambda habit, spec: habit.orders >= low * spec.days


_SORTS: tuple[Callable[[Habit, Simulation], bool], ...] = (
    _a_day(40.0), _a_day(20.0), _a_day(10.0), _a_day(5.0), _a_day(0.0),
    lambda habit, spec: habit.engaged >= 10.0 * spec.days,
    lambda habit, _: habit.lives > 0 and habit.viewers >= 15.0 * habit.minutes > 0,
    lambda habit, spec: spec.start_ms < habit.registered_ms,
)  # fmt: skip


# ---- events ------------------------------------------------------------------------------------------------


def _wired(world: World, survey: Survey, units: list[Unit], book: OrderBook, added: list[Rows],
           rng: np.random.Generator) -> list[PlantedEvent]:  # fmt: skip
    """The planted rows as the contract has them, by arrival. Recorded orders and buyers keep their names."""
    spec, prefix = world.spec, prefix_of(world.spec.seed)
    rows = emitted(spec, world.pop, joined(added))
    arrived = arrival(rows.at, rng)
    order = np.lexsort((rows.kind, rows.unit, rows.at, arrived))
    rows, arrived = chosen(rows, order), arrived[order]
    who = [_who(unit, survey.units[unit]) for unit in units]
    encode = msgspec.json.Encoder().encode
    out = []
    for first in range(0, len(arrived), CHUNK):
        columns = (column[first : first + CHUNK].tolist() for column in rows)
        for n, row in enumerate(zip(*columns, strict=True), first):
            _, wire = wire_of(f"{prefix}-{n:x}", who, row)
            _name(wire, row, book, prefix)
            partition = survey.units[units[row[1]]].partition
            out.append(PlantedEvent(int(arrived[n]), wire.creator_id, partition, encode(wire)))
    return out


def _who(unit: Unit, habit: Habit) -> Who:
    creator_id, market = unit
    law = MARKETS[market]
    return Who(creator_id.encode(), creator_id, market, habit.category, law.currency, law.decimals)


def _name(wire: Any, row: tuple[Any, ...], book: OrderBook, prefix: str) -> None:
    """Recorded orders and their buyers by their own names; all others by names that no recording has."""
    actor, ref = row[3], row[4]
    if actor >= 0:
        wire.actor_id = book.orders[actor - OBSERVED].buyer if actor >= OBSERVED else f"{prefix}_{wire.actor_id}"
    if ref >= 0:
        wire.ref_id = book.orders[ref - OBSERVED].ref if ref >= OBSERVED else f"{prefix}_{wire.ref_id}"


def _short(spec: Simulation, labels: list[Label]) -> dict[str, tuple[int, int]]:
    """Kinds of which fewer were planted than asked for."""
    counts = {kind: spec.count(kind) for kind in (*KINDS, *LOOKALIKES) if spec.count(kind)}
    planted = {kind: sum(x.kind.removeprefix(LOOKALIKE) == kind for x in labels) for kind in counts}
    return {kind: (planted[kind], n) for kind, n in counts.items() if planted[kind] < n}
