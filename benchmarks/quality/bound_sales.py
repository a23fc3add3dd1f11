"""The ideal reader of kinds that add orders: it knows the laws of a creator's days and hours, not what was drawn.

Orders of an hour are Poisson at a rate that is the usual one, times a gamma for the local day, times one for the hour;
clicks are Poisson at that rate times the creator's clicks for each order, times a third gamma. The reader knows each
mean, campaigns, good and bad days of the market, outages, live sessions and restocks, and integrates over the gammas.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from bound_scan import Template, templates
from scipy.special import gammaln, roots_genlaguerre

from streams import simulate_activity as acts
from streams.simulate_market import Floats, Ints
from streams.simulate_plant import World
from streams.simulate_rows import TYPES, Rows
from streams.simulate_sales_kinds import NEWCOMER_DAYS
from streams.simulate_spec import DAY, HISTORY_DAYS, HOUR

DAYS, HOURS = 10, 8  # nodes of the gammas of a day and of an hour
HOUR_SHAPE, CLICK_SHAPE = 6.0, 8.0
DRIFT = 0.03  # relative variance of a creator's slow drift
AGAIN_MS = 3 * DAY  # a buyer that ordered so short a time ago orders again
FEW = (0.37, 0.62, 0.78)  # share of orders by buyers who had ordered: one, two or three, four or five orders for each
STEPS = 1.45 ** np.arange(13)  # rates of planted orders that are told apart


class Sales(NamedTuple):
    """(units, local days, 24) of some units, and (units,) their habits."""

    unit: Ints
    fresh: Floats  # orders of buyers who had not ordered lately
    again: Floats  # of those who had
    clicks: Floats
    mean: Floats  # orders expected on average
    clicks_each: Floats
    again_share: Floats
    shape: Floats  # of the day's gamma


class Planting(NamedTuple):
    """How a kind adds orders."""

    again: float  # share of them by buyers who had ordered lately
    clicks: bool  # with clicks as usual
    waking: bool  # not in the local night


def means(world: World, rngs: dict[str, np.random.Generator]) -> Floats:
    """(units, hours of the grid) as `activity` has them, but for the gammas and the creators' drift."""
    spec, pop, rng = world.spec, world.pop, rngs["activity"]
    local = spec.grid_ms + np.arange(spec.hours)[None, :] * HOUR + pop.offset_ms[:, None]
    acts._day_factor(pop, HISTORY_DAYS + spec.days + 2, rng)
    mood = acts._mood(spec, pop, local, rngs["mood"])
    sessions = acts._sessions(spec, pop, rng)
    burst = acts._boosted(spec, local.shape, sessions, rng)
    restock = acts.peaks(spec, local.shape, rng, 0.025, 2.0, 3.5, (3, 8))
    outage = acts.force(world.struck, "payment_outage", pop.market[:, None], local - pop.offset_ms[:, None])
    return np.asarray(world.act.usual * mood * world.act.campaign * burst * restock * (1.0 - outage))


def local_days(world: World, grid: Floats, unit: Ints) -> Floats:
    """(units, days, 24) by local days that are within the run; what is before or after it is nothing."""
    spec, hours = world.spec, world.spec.days * 24
    out = np.zeros((len(unit), spec.days + 2, 24))
    run = grid[unit][:, -hours:]
    offset = (world.pop.offset_ms[unit] // HOUR) % 24
    flat = out.reshape(len(unit), -1)
    for shift in np.unique(offset):
        flat[offset == shift, shift : shift + hours] = run[offset == shift]
    return out


def by_hour(world: World, r: Rows) -> Floats:
    hours = world.spec.days * 24
    cell = r.unit * hours + (r.at - world.spec.start_ms) // HOUR
    return np.bincount(cell, minlength=len(world.pop.level) * hours).reshape(-1, hours).astype(float)


def sales(world: World, mean: Floats, seen: Rows, null: Rows, unit: Ints) -> Sales:
    split = []
    for rows in (seen, null):
        r = Rows._make(c[rows.kind == TYPES.index("order.paid")] for c in rows)
        split.append((r, _again(r)))
    (r, again), (r0, again0) = split
    fresh, repeated = (by_hour(world, Rows._make(c[m] for c in r)) for m in (~again, again))
    n, k = (np.bincount(r0.unit, w, len(world.pop.level)) for w in (np.ones(len(again0)), again0.astype(float)))
    share = (k + 30 * again0.mean()) / (n + 30)
    clicks = by_hour(world, Rows._make(c[seen.kind == TYPES.index("product.clicked")] for c in seen))
    days = [local_days(world, x, unit) for x in (fresh, repeated, clicks, mean)]
    shape = 1.0 / (1.0 / world.pop.steadiness[unit] + DRIFT)
    return Sales(unit, days[0], days[1], days[2], days[3], world.pop.clicks[unit], share[unit], shape)


def _again(r: Rows) -> np.ndarray:
    """Which orders are by a buyer who had ordered from the same unit lately."""
    order = np.lexsort((r.at, r.actor, r.unit))
    unit, actor, at = (x[order] for x in (r.unit, r.actor, r.at))
    same = (unit[1:] == unit[:-1]) & (actor[1:] == actor[:-1]) & (at[1:] - at[:-1] <= AGAIN_MS)
    out = np.zeros(len(order), dtype=bool)
    out[order[1:]] = same
    return out


def nodes(shape: Floats, n: int) -> tuple[Floats, Floats]:
    """(n, units) values of gammas of mean 1, and how likely each is."""
    pairs = [roots_genlaguerre(n, k - 1.0) for k in shape]
    x = np.array([x / k for (x, _), k in zip(pairs, shape, strict=True)]).T
    w = np.array([w / w.sum() for _, w in pairs]).T
    return x, w


class Days:
    """What each local day says for planted orders at a rate, within hours of it; kept, for pieces share them."""

    def __init__(self, s: Sales, planted: Planting, rate: Floats) -> None:
        """`rate` (steps, units): planted orders an hour."""
        self.s, self.planted = s, planted
        values, weight = nodes(s.shape, DAYS)
        none = np.zeros(len(s.unit))
        base = np.stack([self._hours(v, none) for v in values])  # (nodes, units, days, 24)
        whole = base.sum(axis=3) + np.log(np.maximum(weight, 1e-300))[:, :, None]
        top = whole.max(axis=0)
        shown = np.exp(whole - top)
        self.evidence = np.log(shown.sum(axis=0)) + top  # (units, days) log likelihood without an episode
        self.posterior = shown / shown.sum(axis=0)
        self.sums = []
        for each in rate:
            log = np.stack([self._hours(v, each) for v in values]) - base
            if planted.waking:
                log[..., :8] = 0.0
            self.sums.append(np.concatenate([np.zeros((*log.shape[:3], 1)), np.cumsum(log, axis=3)], axis=3))
        self.parts: dict[tuple[int, int, int], Floats] = {}

    def _hours(self, day: Floats, rate: Floats) -> Floats:
        """(units, days, 24) log likelihood of each hour, up to what is the same for all rates."""
        s, p = self.s, self.planted
        rate, share = rate[:, None, None], s.again_share[:, None, None]
        total = np.zeros(s.mean.shape)
        for value, weight in zip(*nodes(np.array([HOUR_SHAPE]), HOURS), strict=True):
            busy = s.mean * day[:, None, None] * value[0] + 1e-9
            log = _poisson(s.fresh, busy * (1.0 - share) + rate * (1.0 - p.again))
            log += _poisson(s.again, busy * share + rate * p.again)
            each = s.clicks_each[:, None, None]
            log += _clicks(s.clicks, busy * each, rate * each if p.clicks else None)
            total += weight[0] * np.exp(log)
        return np.log(total + 1e-300)

    def part(self, step: int, first: int, last: int) -> Floats:
        """(units, days) log likelihood ratio of orders from one hour of the day to another."""
        key = (step, first, last)
        if key not in self.parts:
            log = self.sums[step][..., last] - self.sums[step][..., first]
            top = log.max(axis=0)
            self.parts[key] = np.log((self.posterior * np.exp(log - top)).sum(axis=0) + 1e-300) + top
        return self.parts[key]

    def piece(self, step: int, length: int) -> Floats:
        """(units, hours) of a piece that begins at each hour, over midnights; none goes over the end."""
        units, days = self.evidence.shape
        out = np.zeros((units, days, 24))
        for hour in range(24):
            left, day, first = length, 0, hour
            while left > 0 and day < days:
                last = min(first + left, 24)
                out[:, : days - day, hour] += self.part(step, first, last)[:, day:]
                left, day, first = left - (last - first), day + 1, 0
        return out.reshape(units, -1)


def _poisson(n: Floats, mean: Floats) -> Floats:
    """Log of the probability of n over that of n at its own mean."""
    return np.asarray(n * np.log((mean + 1e-12) / np.maximum(n, 1.0)) - mean + n)


def _clicks(n: Floats, usual: Floats, more: Floats | None) -> Floats:
    """Negative binomial; with more of them its variance grows by their Poisson part alone."""
    if more is None:  # up to what is the same for all means
        mean, most = usual, np.maximum(n, 1e-9)
        return np.asarray(_nb(n, mean, CLICK_SHAPE) - _nb(n, most, CLICK_SHAPE))
    mean = usual + more
    shape = CLICK_SHAPE * (mean / usual) ** 2
    return np.asarray(gammaln(n + shape) - gammaln(shape) - gammaln(n + 1.0) + _nb(n, mean, shape))


def _nb(n: Floats, mean: Floats, shape: Floats | float) -> Floats:
    return np.asarray(n * np.log(mean / (mean + shape)) - shape * np.log1p(mean / shape))


def scan(days: Days, rate: Floats, each: Iterator[tuple[Template, Floats]]) -> Floats:
    """(units, local hours) likelihood ratio of an episode that begins then; each template has its rate by the start."""
    kept: dict[int, Floats] = {}
    units, hours = days.s.fresh.shape[0], days.s.fresh[0].size
    total, start = np.zeros((units, hours)), np.arange(hours)
    low = np.log(rate[0])[:, None]
    for one, wanted in each:
        log = np.zeros((units, hours))
        for first, length, weight in one.pieces:
            if length not in kept:
                kept[length] = np.stack([days.piece(step, length) for step in range(len(rate))])
            step = np.rint((np.log(np.maximum(wanted * weight, 1e-9)) - low) / np.log(STEPS[1]))
            step = np.clip(step, 0, len(rate) - 1).astype(int)
            at = np.minimum(start + first, hours - 1)
            log += kept[length][step, np.arange(units)[:, None], at[None, :]]
        total += one.prior * np.exp(np.minimum(log, 600.0))
    return total


def spread_rate(usual: Floats, one: Template) -> Floats:
    """(units, hours) the mean usual rate over a template's pieces."""
    sums = np.concatenate([np.zeros((len(usual), 1)), np.cumsum(usual, axis=1)], axis=1)
    n = usual.shape[1]
    total, start = np.zeros(usual.shape), np.arange(n)
    for first, length, _ in one.pieces:
        total += sums[:, np.minimum(start + first + length, n)] - sums[:, np.minimum(start + first, n)]
    return np.asarray(total / one.active_hours)


def surge(world: World, s: Sales, kind: str) -> Floats:
    """Order spikes and orders without clicks: `strength` times the usual."""
    usual = local_days(world, world.act.usual, s.unit).reshape(len(s.unit), -1)
    rate = 0.25 * (world.pop.level[s.unit] / 24.0) * STEPS[:, None]
    rate = rate * (1.0 if kind == "clickless_orders" else 2.0)
    shares = FEW if kind == "order_spike" else (None,)
    total = np.zeros(usual.shape)
    for share in shares:
        planted = Planting(float(s.again_share.mean()) if share is None else share, False, False)
        days = Days(s, planted, rate)
        each = ((one, spread_rate(usual, one) * (one.strength - 1.0)) for one in templates(kind, 4, 5))
        total += scan(days, rate, each) / len(shares)
    return total


def newcomers(world: World, s: Sales, levels: Floats) -> Floats:
    """Each level that a newcomer may have (nodes, units; parts of its own) has its say by what the days so far show."""
    pop, hours = world.pop, s.fresh[0].size
    young = pop.registered_ms > 0
    since = (pop.registered_ms[s.unit] - world.spec.start_ms + pop.offset_ms[s.unit]) / HOUR
    age = np.maximum((np.arange(hours)[None, :] - since[:, None]) / 24.0, 0.0)
    ramp = np.minimum(0.15 + 0.085 * age, 1.0)
    typical = float(np.median(pop.level[young])) * ramp
    rate = np.full(len(s.unit), 12.0 / 16.0 / 3.0) * STEPS[:, None]
    shown, ratios = [], []
    for part in levels:
        days = Days(s._replace(mean=s.mean * part[:, None, None]), Planting(0.0, True, True), rate)
        own = (pop.level[s.unit] * part)[:, None] * ramp
        each = ((one, np.maximum(one.strength * np.maximum(typical, own), 12.0) / 16.0)
                for one in templates("newcomer_surge", 3, 4))  # fmt: skip
        shown.append(np.cumsum(days.evidence, axis=1).repeat(24, axis=1))  # until the end of that day
        ratios.append(scan(days, rate, each))
    log = np.stack(shown)
    later = np.minimum(np.arange(hours) + 120, hours - 1)  # what the episode's own days say of the level counts, too
    log = log[:, :, later]
    weight = np.exp(log - log.max(axis=0))
    total = np.asarray((weight * np.stack(ratios)).sum(axis=0) / weight.sum(axis=0))
    return np.where((age >= 0.25) & (age <= NEWCOMER_DAYS), total, 0.0)
