"""The simulated market's rates: days and weeks, campaigns, good days, shared shocks, live sessions."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from streams.simulate_market import Floats, Ints, Population
from streams.simulate_spec import DAY, HISTORY_DAYS, HOUR, MINUTE, Market, Simulation

Rngs = Mapping[str, np.random.Generator]


class Sessions(NamedTuple):
    unit: Ints
    start_ms: Ints
    hours: Ints


class Activity(NamedTuple):
    """Rates for each (unit, hour); `usual` is what an all-knowing analyst would expect on a plain day."""

    usual: Floats
    usual_engagement: Floats
    orders: Floats
    clicks: Floats
    engagement: Floats
    campaign: Floats  # the campaign's lift, 1 elsewhere
    sessions: Sessions


def shape_of_week(law: Market) -> Floats:
    """(7, 24) by local weekday and hour, mean 1: a lunch peak and a larger evening peak over a low night."""
    hour = np.arange(24.0)
    far = np.minimum(np.abs(hour - law.evening), 24.0 - np.abs(hour - law.evening))
    day = 0.12 + 1.0 * np.exp(-0.5 * (far / 2.6) ** 2) + 0.55 * np.exp(-0.5 * ((hour - 12.5) / 2.4) ** 2)
    week = np.where(np.arange(7) >= 5, law.weekend, 1.0)
    grid = week[:, None] * day[None, :]
    return np.asarray(grid / grid.mean())


def _local(spec: Simulation, pop: Population) -> Ints:
    """(units, hours) local milliseconds since the epoch at each hour's start."""
    return spec.grid_ms + np.arange(spec.hours)[None, :] * HOUR + pop.offset_ms[:, None]


def _day_factor(pop: Population, days: int, rng: np.random.Generator) -> Floats:
    """(units, days): a slow drift of the level times a gamma for each day: over-dispersion."""
    drift = np.zeros((len(pop.level), days))
    shocks = rng.normal(0.0, 0.09, drift.shape)
    for d in range(1, days):
        drift[:, d] = 0.85 * drift[:, d - 1] + shocks[:, d]
    k = pop.steadiness[:, None]
    return np.asarray(np.exp(drift) * rng.gamma(k, 1.0 / k, drift.shape))


def _campaigns(spec: Simulation, pop: Population, local: Ints, rng: np.random.Generator) -> Floats:
    """Lift 3 to 6 by market, spread over creators, with a rush after midnight; lower before and after."""
    out = np.ones(local.shape)
    for day in spec.campaign_days:
        lift = rng.uniform(3.0, 6.0, len(pop.names))[pop.market]
        mine = 1.0 + (lift - 1.0) * rng.lognormal(-0.08, 0.4, len(lift))
        into = local - (spec.start_ms + day * DAY)
        rush = np.where(into < 2 * HOUR, 1.8, 1.0)
        near = np.where((into >= -DAY) & (into < 2 * DAY), 0.85, 1.0)
        out *= np.where((into >= 0) & (into < DAY), mine[:, None] * rush, near)
    return out


def _mood(spec: Simulation, pop: Population, local: Ints, rng: np.random.Generator) -> Floats:
    """Good and bad days that all creators of a market share: some holds over from one day to the next."""
    days = HISTORY_DAYS + spec.days + 2
    fresh = rng.normal(0.0, spec.mood, (len(pop.names), days))
    for d in range(1, days):
        fresh[:, d] = 0.4 * fresh[:, d - 1] + 0.917 * fresh[:, d]
    day = (local - spec.grid_ms) // DAY + 1
    return np.asarray(np.exp(fresh)[pop.market[:, None], day])


class Struck(NamedTuple):
    """A shock that befalls a market: how hard, from 0 to 1."""

    kind: str
    market: int
    start_ms: int
    end_ms: int
    force: float


def shocks(spec: Simulation, pop: Population, rng: np.random.Generator) -> list[Struck]:
    """A strike of two to four days, an outage of 6 to 24 hours; from the second quarter of the run on."""
    out = []
    for shock in spec.shocks:
        drawn = int(rng.integers(0, len(pop.names)))
        low, high = (48.0, 96.0) if shock.kind == "carrier_strike" else (6.0, 24.0)
        hours, into, force = rng.uniform(low, high), rng.random(), rng.uniform(0.5, 0.8)
        hours = hours if shock.hours is None else shock.hours
        day = 0.25 * spec.days + into * max(0.75 * spec.days - hours / 24.0, 0.0) if shock.day is None else shock.day
        start = spec.start_ms + int(day * DAY)
        market = drawn if shock.market is None else pop.names.index(shock.market)
        out.append(Struck(shock.kind, market, start, start + int(hours * HOUR), force))
    return out


def force(struck: list[Struck], kind: str, market: Ints, at: Ints) -> Floats:
    """How hard a shock of this kind strikes each market and time; 0: not at all."""
    out = np.zeros(np.broadcast_shapes(np.shape(market), np.shape(at)))
    for s in struck:
        if s.kind == kind:
            out[np.broadcast_to((market == s.market) & (at >= s.start_ms) & (at < s.end_ms), out.shape)] = s.force
    return out


def _sessions(spec: Simulation, pop: Population, rng: np.random.Generator) -> Sessions:
    """Two to four evenings a week, each creator at an hour of its own."""
    share = np.where(pop.goes_live, rng.uniform(2.0, 4.0, len(pop.level)) / 7.0, 0.0)
    habit = rng.integers(17, 22, len(share))
    unit, day = np.nonzero(rng.random((len(share), HISTORY_DAYS + spec.days)) < share[:, None])
    start = spec.grid_ms + day * DAY + habit[unit] * HOUR - pop.offset_ms[unit]
    start += (rng.uniform(0, 15, len(unit)) * MINUTE).astype(np.int64)
    return Sessions(unit, start, rng.integers(1, 4, len(unit)))


def peaks(spec: Simulation, shape: tuple[int, int], rng: np.random.Generator, share: float, low: float,
          high: float, hours: tuple[int, int]) -> Floats:  # fmt: skip
    """Unlabelled peaks: `share` of the units have one of `low` to `high` times the usual, fading."""
    out = np.ones(shape)
    for u in np.flatnonzero(rng.random(shape[0]) < share):
        start = int(rng.integers(HISTORY_DAYS * 24, shape[1]))
        n = min(int(rng.integers(hours[0], hours[1] + 1)), shape[1] - start)
        out[u, start : start + n] = 1.0 + (rng.uniform(low, high) - 1.0) * np.linspace(1.0, 0.4, n)
    return out


def activity(spec: Simulation, pop: Population, struck: list[Struck], rngs: Rngs) -> Activity:
    """In this order: day factors, sessions, restocks, viral videos, the hours' gammas; campaigns and mood apart."""
    rng, local = rngs["activity"], _local(spec, pop)
    week = np.stack([shape_of_week(law) for law in pop.laws])
    base = week[pop.market[:, None], (local // DAY + 3) % 7, local // HOUR % 24] / 24.0
    age = (local - pop.offset_ms[:, None] - pop.registered_ms[:, None]) / DAY
    ramp = np.clip(0.15 + 0.085 * age, 0.0, 1.0) * (age > -1 / 24)
    base *= np.where(pop.registered_ms[:, None] == 0, 1.0, ramp)
    days = _day_factor(pop, HISTORY_DAYS + spec.days + 2, rng)
    restless = np.take_along_axis(days, (local - spec.grid_ms) // DAY + 1, axis=1)
    restless *= _mood(spec, pop, local, rngs["mood"])
    campaign = _campaigns(spec, pop, local, rngs["campaigns"])
    sessions = _sessions(spec, pop, rng)
    burst = _boosted(spec, base.shape, sessions, rng)
    restock = peaks(spec, base.shape, rng, 0.025, 2.0, 3.5, (3, 8))
    viral = peaks(spec, base.shape, rng, 0.03, 5.0, 10.0, (6, 24))
    gammas = [rng.gamma(shape, 1.0 / shape, base.shape) for shape in (6.0, 8.0, 4.0)]
    busy = base * pop.level[:, None] * restless * burst * restock * gammas[0] * campaign
    liked = base * pop.engagement[:, None] * np.sqrt(restless * burst) * viral * gammas[2] * campaign**0.6
    clicked = busy * gammas[1] * pop.clicks[:, None]
    paid = busy * (1.0 - force(struck, "payment_outage", pop.market[:, None], local - pop.offset_ms[:, None]))
    usual, usual_engagement = base * pop.level[:, None], base * pop.engagement[:, None]
    return Activity(usual, usual_engagement, paid, clicked, liked, campaign, sessions)


def _boosted(spec: Simulation, shape: tuple[int, int], sessions: Sessions, rng: np.random.Generator) -> Floats:
    """A live session lifts the orders of its hours."""
    out = np.ones(shape)
    boost = rng.uniform(1.8, 4.0, len(sessions.unit))
    for j in range(3):
        at = (sessions.start_ms - spec.grid_ms) // HOUR + j
        on = (sessions.hours > j) & (at >= 0) & (at < spec.hours)
        out[sessions.unit[on], at[on]] = boost[on]
    return out
