"""Planted episodes of six kinds, in several shapes and strengths, weak ones among them, and their labels.

A creator is chosen only if the episode could be seen in principle: at least 15 usual orders a day for a surge
of refunds or complaints, 5 for a spike of orders, 10 usual engagements a day for a burst of them. An episode
of fewer planted events than `FEWEST` is not planted. Nothing else is made easy: strengths are log-uniform.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from streams.scorecard import Label
from streams.simulate_events import (
    COMPLAINTS,
    POINTS,
    VIOLATIONS,
    Fate,
    Orders,
    Rows,
    chosen,
    complaints_of,
    desk_hours,
    device,
    home_country,
    joined,
    outcomes,
    people,
    prices,
    refunds_of,
    rows,
)
from streams.simulate_market import COUNTRIES, DAY, HOUR, MINUTE, Activity, Floats, Ints, Population, Simulation

FIRST_DAY = 8  # nothing is planted before
APART_MS = 5 * DAY  # between two episodes of a creator
FEWEST = {"refund_surge": 6, "order_spike": 10, "fake_engagement": 30, "violation_burst": 4,
          "complaint_surge": 5, "account_takeover": 7}  # fmt: skip


class World(NamedTuple):
    """What the background is; episodes are added to it and change nothing in it."""

    spec: Simulation
    pop: Population
    act: Activity
    orders: Orders
    fate: Fate


class Slot(NamedTuple):
    unit: int
    start_ms: int
    span_ms: int


class Planted(NamedTuple):
    """`marked` are the episode's own events; `after` is what they cause by the ordinary law."""

    marked: Rows
    after: list[Rows]


Plant = Callable[[World, Slot, np.random.Generator], Planted | None]


def stretch(rng: np.random.Generator, low: float, high: float) -> float:
    """Log-uniform between the two."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def usual(world: World, rate: Floats, slot: Slot) -> float:
    """What a plain day would bring in the slot's hours."""
    first = (slot.start_ms - world.spec.grid_ms) / HOUR
    last = first + slot.span_ms / HOUR
    hour = np.arange(int(first), min(int(last) + 1, world.spec.hours))
    part = np.clip(np.minimum(hour + 1, last) - np.maximum(hour, first), 0.0, 1.0)
    return float((rate[slot.unit, hour] * part).sum())


def per_day(world: World, rate: Floats, slot: Slot) -> float:
    return usual(world, rate, slot._replace(span_ms=DAY))


def spread(slot: Slot, n: int, rng: np.random.Generator, ramp: bool) -> Ints:
    """Times in the slot: even, or denser towards its end."""
    return slot.start_ms + (slot.span_ms * rng.random(n) ** (0.5 if ramp else 1.0)).astype(np.int64)


def between(world: World, unit: int, low: int, high: int) -> Ints:
    """The unit's orders paid in [low, high) that were not cancelled."""
    first, last = np.searchsorted(world.orders.unit, [unit, unit + 1])
    at = world.orders.at[first:last]
    return np.asarray(first + np.flatnonzero((at >= low) & (at < high) & ~world.fate.cancelled[first:last]))


def refund_surge(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """Orders of 2 to 5 days are refunded 4 to 10 times as often, and sooner; at once or as a ramp."""
    if per_day(world, world.act.usual, slot) < 15.0:
        return None
    which = between(world, slot.unit, slot.start_ms, slot.start_ms + slot.span_ms)
    which = which[~world.fate.refunded[which]]
    extra = world.pop.refund[slot.unit] * (stretch(rng, 4.0, 10.0) - 1.0)
    into = (world.orders.at[which] - slot.start_ms) / slot.span_ms
    share = np.minimum(extra * (2.0 * into if rng.random() < 0.4 else 1.0), 0.7)
    which = which[rng.random(len(which)) < share]
    delay = np.clip(0.1 + rng.gamma(2.0, 0.5, len(which)), 0.1, 3.0)
    return Planted(refunds_of(world.pop, world.orders, which, delay, 0.8, rng), [])


def complaint_surge(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """For 2 to 4 days 5 to 12 times the usual complaints, mostly of one kind, on orders just before."""
    daily = per_day(world, world.act.usual, slot)
    recent = between(world, slot.unit, slot.start_ms - 5 * DAY, slot.start_ms - DAY // 2)
    if daily < 15.0 or len(recent) == 0:
        return None
    mean = daily * slot.span_ms / DAY * world.pop.complaint[slot.unit] * (stretch(rng, 5.0, 12.0) - 1.0)
    which = rng.choice(recent, min(int(rng.poisson(mean)), len(recent)), replace=False)
    at = spread(slot, len(which), rng, rng.random() < 0.4)
    delay = (at - world.orders.at[which]) / DAY
    focus = int(rng.integers(0, len(COMPLAINTS)))
    return Planted(complaints_of(world.pop, world.orders, which, delay, focus, rng), [])


def order_spike(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """6 to 20 times the usual orders for 2 to 12 hours, by few buyers; they go the way of all orders."""
    if per_day(world, world.act.usual, slot) < 5.0:
        return None
    n = int(rng.poisson(usual(world, world.act.usual, slot) * (stretch(rng, 6.0, 20.0) - 1.0)))
    unit, pop = np.full(n, slot.unit), world.pop
    pool = people(pop.market[np.full(max(n // int(rng.integers(1, 6)), 3), slot.unit)], rng)
    subsidised = (rng.random(n) < rng.uniform(0.1, 0.7)).astype(np.int64)
    ids = slot.start_ms // MINUTE * 10_000 + slot.unit * 1_000_000_000_000 + np.arange(n)
    money = prices(pop, unit, rng) * rng.uniform(0.3, 1.0)
    at = spread(slot, n, rng, False)
    orders = Orders(unit, at, ids, rng.choice(pool, n), money, np.ones(n), subsidised)
    parts, _ = outcomes(pop, orders, rng)
    return Planted(parts[0], parts[1:])


def fake_engagement(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """A burst of 1 to 6 hours, several times the usual, 60 to 95 % of low trust: follows, likes, or both."""
    if per_day(world, world.act.usual_engagement, slot) < 10.0:
        return None
    mean = usual(world, world.act.usual_engagement, slot) * stretch(rng, 3.0, 15.0)
    n = int(rng.poisson(max(mean, stretch(rng, 35.0, 120.0))))
    follows = rng.choice((0.05, 0.5, 0.95))
    kind = (rng.random(n) < follows).astype(np.int64)  # 0 like, 1 follow
    low = rng.random(n) < rng.uniform(0.6, 0.95)
    at, unit = spread(slot, n, rng, rng.random() < 0.3), np.full(n, slot.unit)
    actor, trust = 900_000_000 + rng.integers(0, 4_000, n), np.where(low, 0, 1)
    return Planted(rows("content.engaged", unit, at, actor=actor, ref=unit * 1_000, a=kind, b=trust), [])


def violation_burst(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """4 to 8 confirmed violations of one kind within 2 to 10 days."""
    n, kind = int(rng.integers(4, 9)), int(rng.integers(0, len(VIOLATIONS)))
    at = np.sort(spread(slot, n, rng, rng.random() < 0.3))
    at = np.sort(desk_hours(world.pop, np.full(n, slot.unit), at, rng))
    ids = 1_000_000 + slot.unit * 100 + np.arange(n)
    unit = np.full(n, slot.unit)
    return Planted(rows("violation.confirmed", unit, at, ref=ids, a=kind, b=POINTS[kind]), [])


def account_takeover(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """5 to 15 failed logins, success from a new device and country, a change or two, a withdrawal."""
    pop, unit = world.pop, np.array([slot.unit])
    country = (home_country(pop)[unit] + rng.integers(1, len(COUNTRIES), 1)) % len(COUNTRIES)
    fails = int(rng.integers(5, 16))
    tries = slot.start_ms + np.sort(rng.integers(0, HOUR, fails))
    steps = np.cumsum(rng.integers(2 * MINUTE, 50 * MINUTE, 4)) + tries[-1]
    theirs = device(pop, unit, 95_000 + int(rng.integers(0, 4_000)))
    spoilt = np.where(rng.random(fails) < 0.5, theirs, device(pop, unit, 99_500))
    both = ("account.credential_changed", "account.payout_changed")
    changes = (both[:1], both[1:], both)[rng.integers(0, 3)]
    out = steps[3:] + rng.integers(0, 2 * HOUR)
    parts = [
        rows("account.login", np.repeat(unit, fails), tries, a=0, b=spoilt, c=np.repeat(country, fails)),
        rows("account.login", unit, steps[:1], a=1, b=theirs, c=country),
        *(rows(kind, unit, steps[i : i + 1]) for i, kind in enumerate(changes, 1)),
        rows("account.withdrawal", unit, out, amount=prices(pop, unit, rng) * 30.0),
    ]
    return Planted(joined(parts), [])


PLANTS: dict[str, tuple[Plant, float, float]] = {  # kind: how, and the span in hours from, to
    "refund_surge": (refund_surge, 48, 120),
    "order_spike": (order_spike, 2, 12),
    "fake_engagement": (fake_engagement, 1, 6),
    "violation_burst": (violation_burst, 48, 240),
    "complaint_surge": (complaint_surge, 48, 96),
    "account_takeover": (account_takeover, 1, 8),
}


def wanted(spec: Simulation) -> int:
    if spec.null:
        return 0
    return max(1, round(8 * spec.creators / 400)) if spec.planted is None else spec.planted


def draw_slot(spec: Simulation, unit: int, low: float, high: float, rng: np.random.Generator) -> Slot:
    """From day 8 on (or from 40 % of a shorter run), ending before the run does where there is room."""
    span = int(stretch(rng, low, high) * HOUR)
    first = int(min(FIRST_DAY, 0.4 * spec.days) * DAY)
    last = max(spec.days * DAY - span - DAY, first + HOUR)
    return Slot(unit, spec.start_ms + int(rng.integers(first, last)), span)


def plant(world: World, rng: np.random.Generator) -> tuple[list[Rows], list[Label]]:
    """Kind by kind, over the units in a random order, until there are enough of it or no unit is left."""
    spec, pop = world.spec, world.pop
    parts: list[Rows] = []
    labels: list[Label] = []
    taken: dict[int, list[tuple[int, int]]] = {}
    for kind, (how, low, high) in PLANTS.items():
        left, home_only = wanted(spec), kind == "account_takeover"
        for unit in rng.permutation(np.flatnonzero(pop.home | (not home_only))) if left else ():
            slot, creator = draw_slot(spec, int(unit), low, high, rng), int(pop.creator[unit])
            done = None if slot.start_ms < pop.registered_ms[unit] + DAY else how(world, slot, rng)
            if done is None:
                continue
            marked = chosen(done.marked, done.marked.at < spec.end_ms)
            if len(marked.at) < FEWEST[kind]:
                continue
            start, end = int(marked.at.min()), int(marked.at.max())
            if any(start < e + APART_MS and end > s - APART_MS for s, e in taken.get(creator, [])):
                continue
            taken.setdefault(creator, []).append((start, end))
            parts += [marked, *done.after]
            labels.append(Label(f"c_{creator:05d}", pop.names[pop.market[unit]], kind, start, end))
            left -= 1
            if not left:
                break
    return parts, sorted(labels, key=lambda x: (x.start_ms, x.creator_id, x.kind))
