"""What the planted kinds share: the world they are added to, their slot in time, and events as they usually are."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from streams.simulate_activity import Activity, Sessions, Struck
from streams.simulate_market import Floats, Ints, Population
from streams.simulate_orders import Fate, Orders, commissions, outcomes, people, prices
from streams.simulate_rows import Rows, rows
from streams.simulate_spec import DAY, HOUR, MINUTE, Simulation

TICK_MS = 10 * MINUTE  # between two live minutes
OWN_LIVE = 1_000_000_000  # from here on sessions that are planted


class World(NamedTuple):
    """What the background is; episodes are added to it and change nothing in it."""

    spec: Simulation
    pop: Population
    act: Activity
    orders: Orders
    fate: Fate
    struck: list[Struck]
    crowd: Floats  # (units,) usual viewers of a live session


class Slot(NamedTuple):
    """When, how strong and in which shape. `pieces` are its (start, length), one unless the shape is repeated."""

    unit: int
    start_ms: int
    span_ms: int
    strength: float
    shape: str
    pieces: tuple[tuple[int, int], ...]


class Planted(NamedTuple):
    """`marked` are the episode's own events; `after` is what they cause by the ordinary law.

    The label is from the first to the last marked event, unless `span_ms` says otherwise.
    """

    marked: Rows
    after: list[Rows]
    span_ms: tuple[int, int] | None = None


Plant = Callable[[World, Slot, np.random.Generator], Planted | None]


def stretch(rng: np.random.Generator, low: float, high: float) -> float:
    """Log-uniform between the two."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def make_slot(unit: int, start: int, span: int, strength: float, shape: str, rng: np.random.Generator) -> Slot:
    """Repeated: three to five little bursts; a short episode comes again on the next days, a long one has breaks."""
    if shape != "repeated":
        return Slot(unit, start, span, strength, shape, ((start, span),))
    k = int(rng.integers(3, 6))
    length = span // k if span < 2 * DAY else span // (2 * k)
    apart = int(rng.uniform(20.0, 28.0) * HOUR) if span < 2 * DAY else span // k
    pieces = tuple((start + i * apart, length) for i in range(k))
    return Slot(unit, start, pieces[-1][0] + length - start, strength, shape, pieces)


def usual(world: World, rate: Floats, slot: Slot) -> float:
    """What a plain day would bring in the slot's pieces."""
    total = 0.0
    for start, length in slot.pieces:
        first = (start - world.spec.grid_ms) / HOUR
        last = first + length / HOUR
        hour = np.arange(int(first), min(int(last) + 1, world.spec.hours))
        part = np.clip(np.minimum(hour + 1, last) - np.maximum(hour, first), 0.0, 1.0)
        total += float((rate[slot.unit, hour] * part).sum())
    return total


def per_day(world: World, rate: Floats, slot: Slot) -> float:
    return usual(world, rate, slot._replace(pieces=((slot.start_ms, DAY),)))


def active_days(slot: Slot) -> float:
    return sum(length for _, length in slot.pieces) / DAY


def spread(slot: Slot, n: int, rng: np.random.Generator) -> Ints:
    """Times in the slot's pieces: even, or denser towards the end of a ramp."""
    start, length = (np.array(x) for x in zip(*slot.pieces, strict=True))
    piece = rng.integers(0, len(start), n)
    into = rng.random(n) ** (0.5 if slot.shape == "ramp" else 1.0)
    return np.asarray(start[piece] + (length[piece] * into).astype(np.int64))


def intensity(slot: Slot, at: Ints) -> Floats:
    """How much of the episode there is at a time: 1 in a piece; a ramp rises from 0 to 2."""
    out = np.zeros(len(at))
    for start, length in slot.pieces:
        into = (at - start) / length
        out = np.where((into >= 0) & (into < 1), 2.0 * into if slot.shape == "ramp" else 1.0, out)
    return out


def between(world: World, unit: int, low: int, high: int) -> Ints:
    """The unit's orders paid in [low, high) that were not cancelled."""
    first, last = np.searchsorted(world.orders.unit, [unit, unit + 1])
    at = world.orders.at[first:last]
    return np.asarray(first + np.flatnonzero((at >= low) & (at < high) & ~world.fate.cancelled[first:last]))


def some(which: Ints, mean: float, rng: np.random.Generator) -> Ints:
    """A Poisson number of them, all if there are fewer."""
    return rng.choice(which, min(int(rng.poisson(mean)), len(which)), replace=False)


def buyers(world: World, unit: int, n: int, rng: np.random.Generator) -> Ints:
    return people(world.pop.market[np.full(n, unit)], rng)


def orders_at(world: World, slot: Slot, at: Ints, buyer: Ints, rng: np.random.Generator, *, price: float = 1.0,
              subsidised: float = 0.08) -> Orders:  # fmt: skip
    """Additional orders at these times; `price` is a factor, `subsidised` a share. They meet no campaign."""
    n, unit = len(at), np.full(len(at), slot.unit)
    ids = slot.start_ms // MINUTE * 10_000 + slot.unit * 1_000_000_000_000 + np.arange(n)
    money = prices(world.pop, unit, rng) * price
    given = (rng.random(n) < subsidised).astype(np.int64)
    return Orders(unit, at, ids, buyer, money, np.ones(n), given, commissions(world.pop, unit, money, rng))


def sold(world: World, orders: Orders, rng: np.random.Generator) -> tuple[Rows, list[Rows]]:
    """The orders' own events, and all that comes with and of them as of any order."""
    (first, *others), after, _ = outcomes(world.pop, orders, world.struck, rng)
    return first, [*others, *after]


def clicks_before(world: World, unit: int, at: Ints, rng: np.random.Generator) -> Rows:
    """Clicks as this creator's orders usually have, within the half hour before."""
    t = np.repeat(at, rng.poisson(world.pop.clicks[unit], len(at))) if len(at) else at
    product = unit * 1_000 + rng.integers(0, 40, len(t))
    t = t - rng.integers(0, 30 * MINUTE, len(t))
    return rows("product.clicked", np.full(len(t), unit), t, actor=buyers(world, unit, len(t), rng), ref=product)


def engaged(world: World, unit: int, at: Ints, rng: np.random.Generator, follows: float = 0.14) -> Rows:
    """Honest engagement: the creator's own share of low trust, `follows` a share."""
    n = len(at)
    rest = np.array([0.62, 0.15, 0.09]) / 0.86 * (1.0 - follows)
    kind = rng.choice(4, n, p=(rest[0], follows, rest[1], rest[2]))
    trust = (rng.random(n) >= world.pop.low_trust[unit]).astype(np.int64)
    ref = np.full(n, unit * 1_000)
    return rows("content.engaged", np.full(n, unit), at, actor=buyers(world, unit, n, rng), ref=ref, a=kind, b=trust)


class Guests(NamedTuple):
    """Who comes to a session besides its usual crowd: how many times the crowd, and what they are like."""

    times: float
    logged_in: float  # share of these guests
    talking: float  # share of those logged in
    grow: bool  # more and more of them, rather than at once


def extra_live(world: World, slot: Slot, start: int, length: int, guests: Guests,
               rng: np.random.Generator) -> tuple[Rows, list[Rows]]:  # fmt: skip
    """A session of its own whose crowd jumps after 20 minutes: the minutes from there on, and all the rest."""
    pop, unit = world.pop, slot.unit
    ids = OWN_LIVE + unit * 10_000 + (start - world.spec.start_ms) // HOUR
    n = length // TICK_MS
    tick = np.arange(1, n + 1)
    crowd = world.crowd[unit] * rng.lognormal(0.0, 0.3)
    viewers = rng.poisson(crowd * rng.gamma(12.0, 1.0 / 12.0, n))
    known = rng.binomial(viewers, pop.logged_in[unit])
    talking = rng.binomial(known, pop.talking[unit])
    share = (2.0 * (tick - 2) / (n - 2) if guests.grow else np.ones(n)) * (tick > 2)
    more = rng.poisson(crowd * guests.times * share)
    theirs = rng.binomial(more, guests.logged_in)
    columns = {"a": viewers + more, "b": known + theirs, "c": talking + rng.binomial(theirs, guests.talking)}
    at = start + tick * TICK_MS
    minutes = rows("live.minute", np.full(n, unit), at, ref=ids, **columns)
    ends = [
        rows(kind, np.array([unit]), np.array([t]), ref=ids)
        for kind, t in (("live.started", start), ("live.ended", start + length + 2 * MINUTE))
    ]
    jumped = tick > 2
    return Rows._make(c[jumped] for c in minutes), [Rows._make(c[~jumped] for c in minutes), *ends]


def afternoon(world: World, unit: int, at: int, rng: np.random.Generator) -> int:
    """A time soon after noon of that local day, when the unit has no live session of its own."""
    midnight = (at + int(world.pop.offset_ms[unit])) // DAY * DAY - int(world.pop.offset_ms[unit])
    return midnight + int(rng.uniform(11.5, 13.5) * HOUR)


def outside_live(sessions: Sessions, unit: int, at: Ints) -> Ints:
    """The times that are in none of the unit's sessions, nor in the half hour after."""
    mine = sessions.unit == unit
    free = np.ones(len(at), dtype=bool)
    for start, hours in zip(sessions.start_ms[mine], sessions.hours[mine], strict=True):
        free &= (at < start) | (at > start + hours * HOUR + HOUR // 2)
    return at[free]
