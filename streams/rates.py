"""What a rate test expects of every creator: own level x the market's week x exposure x what its peers do right now.

One `RateWatch` serves one volume, outcome or share test. Sums over entities are integers (fixed point), so that
neither the order of rows nor their number can show in a result.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from config.schema import Delay, Outcome, Share, Volume, millis
from detectors.base import Bools, Floats, Ints, Observation, Score, observe
from detectors.beta_binomial import BetaBinomialState
from detectors.negative_binomial import NegativeBinomialState
from streams.entities import Population
from streams.windows import Ring

HOUR = 3_600_000
DAY = 86_400_000
SCALE = float(1 << 20)  # fixed point: 20 bits behind the point
COHORT_EVENTS = 20.0  # events that a cohort must have before its own rate weighs half against its market's
LIFT_EVENTS = 5.0  # events by which the market's lift is shrunk to 1
LIFT_RANGE = (0.2, 20.0)
DISPERSION_PRIOR = 0.1  # before anything is known, and worth DISPERSION_SAMPLES
DISPERSION_SAMPLES = 5.0
HETEROGENEITY = 0.4  # creators share a market's lift unevenly: sd of their own lift, per unit of log lift
FADE = 0.5 ** (1.0 / (24 * 14))  # of the peers' statistics per hour: a half-life of 14 days
OUTCOME_DAYS = 45  # orders older than this cause no more outcomes
RATE_START = {"volume": 1.0, "outcome": 0.05, "share": 0.05}  # before anything is known, and worth one event


class Judged(NamedTuple):
    """One window of one test for some entities."""

    slot: Ints  # (n,)
    x: Observation
    peer_rate: Floats  # (n,) the cohort's, per unit of exposure
    lift: Floats  # (n,) what the peers do now over what they usually do


def fixed(x: Floats) -> Ints:
    return np.rint(np.asarray(x) * SCALE).astype(np.int64)


class Series:
    """Running totals by market over base panes, so that any window's sum is a difference."""

    def __init__(self, base_ms: int, span_ms: int) -> None:
        self.base_ms = base_ms
        self.rows = span_ms // base_ms + 2
        self.total = np.zeros((self.rows, 0), dtype=np.int64)  # (rows, n_markets) fixed point

    def widen(self, markets: int) -> None:
        more = markets - self.total.shape[1]
        if more > 0:
            self.total = np.concatenate([self.total, np.zeros((self.rows, more), dtype=np.int64)], axis=1)

    def jump(self) -> None:
        """After a long gap: every pane in it was empty."""
        self.total[:] = 0

    def append(self, end: int, values: Ints) -> None:
        pane = end // self.base_ms
        self.total[pane % self.rows] = self.total[(pane - 1) % self.rows] + values

    def window(self, end: int, size_ms: int) -> Floats:
        """The sum over [end - size, end) for each market."""  # (n_markets,)
        last, first = end // self.base_ms, (end - size_ms) // self.base_ms
        return (self.total[last % self.rows] - self.total[first % self.rows]) / SCALE

    def since(self, end: int, start: Ints, market: Ints) -> Floats:
        """The sum over [start, end) for each entity in its market."""  # (n,)
        first = np.maximum(start // self.base_ms, end // self.base_ms - self.rows + 1)
        last = self.total[(end // self.base_ms) % self.rows][market]
        return (last - self.total[first % self.rows, market]) / SCALE


class RateWatch:
    """The memory and the arithmetic of one rate test."""

    def __init__(
        self,
        test: Volume | Outcome | Share,
        matcher: int,
        windows: list[tuple[int, int]],
        rings: dict[int, Ring],
        of_rings: dict[int, Ring],
        delays: dict[str, Delay],
        people: Population,
    ) -> None:
        self.test = test
        self.matcher = matcher
        self.kind = "volume" if isinstance(test, Volume) else "outcome" if isinstance(test, Outcome) else "share"
        self.windows = windows  # (size, hop) in ms
        self.base = min(hop for _, hop in windows)
        self.rings, self.of_rings = rings, of_rings  # by pane; a share's or an outcome's denominators
        self.delays = delays  # by market, "default" among them
        self.people = people
        self.level = test.detector.init(people.capacity)
        self.since_fold = np.zeros(people.capacity, dtype=np.int64)  # (capacity,) events since the last fold
        self.of_since_fold = np.zeros(people.capacity, dtype=np.int64)  # (capacity,) a share's trials likewise
        self.ratio = np.zeros(people.capacity, dtype=np.int64)  # (capacity,) fixed: own level over peers'; 0 unborn
        self.counted_in = np.zeros(people.capacity, dtype=np.int64)  # (capacity,) cohort in whose sum ratio stands
        span = max(DAY, max(size for size, _ in windows))
        self.seen, self.due, self.week = (Series(self.base, span) for _ in range(3))
        self.sums = np.zeros((3, 0))  # (3, n_cohorts) hits, mass, and the sum of ratios (fixed)
        self.peer_rate = np.zeros(0)  # (n_cohorts,) events per unit of exposure
        self.by_hour = np.zeros((2, 24, 0))  # (2, 24, n_markets) seen and due: the day's shape
        self.by_day = np.zeros((2, 7, 0))  # (2, 7, n_markets) the week's
        self.spread = np.zeros((2, len(windows), 0))  # (2, n_windows, n_markets) dispersion: sum and weight
        self.inflow = np.zeros((OUTCOME_DAYS, 0), dtype=np.int64)  # (days, n_markets) outcomes that orders will bring

    # -- growth ------------------------------------------------------------------------------------------------

    def grow(self) -> None:
        """Room for as many entities, markets and cohorts as there are."""
        more = self.people.capacity - len(self.ratio)
        if more:
            fresh = self.test.detector.init(more)
            self.level = type(fresh)(*(np.concatenate(pair) for pair in zip(self.level, fresh, strict=True)))
            zeros = np.zeros(more, dtype=np.int64)
            self.since_fold, self.of_since_fold, self.ratio, self.counted_in = (
                np.concatenate([a, zeros]) for a in (self.since_fold, self.of_since_fold, self.ratio, self.counted_in)
            )
        markets, cohorts = len(self.people.markets), len(self.people.cohort_market)
        if markets > self.by_hour.shape[-1]:
            for series in (self.seen, self.due, self.week):
                series.widen(markets)
            self.by_hour, self.by_day, self.spread, self.inflow = (
                _widened(a, markets) for a in (self.by_hour, self.by_day, self.spread, self.inflow)
            )
        if cohorts > self.sums.shape[-1]:
            self.sums = _widened(self.sums, cohorts)
            self._update_peer_rate()

    def _update_peer_rate(self) -> None:
        """Cohorts shrink to their market, markets to RATE_START."""
        hits, mass, _ = self.sums
        market = self.people.cohort_market
        n = len(self.people.markets)
        market_hits, market_mass = np.zeros(n), np.zeros(n)
        for cohort, m in enumerate(market):  # explicit order
            market_hits[m] += hits[cohort]
            market_mass[m] += mass[cohort]
        rate = (market_hits + 1.0) / (market_mass + 1.0 / RATE_START[self.kind])
        parent = rate[market]
        self.peer_rate = (hits + COHORT_EVENTS) / (mass + COHORT_EVENTS / parent)

    def born(self, slot: Ints) -> None:
        """New entities begin as typical peers."""
        self._set_ratio(slot, np.ones(len(slot)))

    def forget(self, slot: Ints) -> None:
        self._set_ratio(slot, np.zeros(len(slot)))
        fresh = self.test.detector.init(len(slot))
        for array, new in zip(self.level, fresh, strict=True):
            array[slot] = new
        self.since_fold[slot] = 0
        self.of_since_fold[slot] = 0

    def _set_ratio(self, slot: Ints, ratio: Floats) -> None:
        cohort = self.people.cohort[slot]
        new = fixed(ratio)
        change = np.zeros(self.sums.shape[1], dtype=np.int64)
        np.subtract.at(change, self.counted_in[slot], self.ratio[slot])
        np.add.at(change, cohort, new)
        self.sums[2] += change  # whole numbers below 2**53: exact
        self.ratio[slot], self.counted_in[slot] = new, cohort

    def moved(self, end: int, hop: int) -> Ints:
        """Whose newest pane has an event."""
        return np.flatnonzero(self.rings[hop].pane(end))

    def jump(self) -> None:
        """After a gap in which everybody was forgotten."""
        for series in (self.seen, self.due, self.week):
            series.jump()
        self.inflow[:] = 0

    # -- what is expected --------------------------------------------------------------------------------------

    def _exposure(self, end: int, size: int, slot: Ints) -> Floats:
        """What the peers' rate is multiplied by: profile hours, orders that are due, or trials."""
        market = self.people.market_of[slot]
        if self.kind == "volume":
            return np.ascontiguousarray(self.week.window(end, size)[market])
        if self.kind == "share":
            return self._trials(end, size, slot).astype(np.float64)
        weights = self._delay_weights(end, size)
        ring = self.of_rings[DAY]
        total = np.zeros(len(slot))
        today = (end - 1) // DAY
        for age in range(OUTCOME_DAYS):
            total += ring.cells[(today - age) % ring.rows][slot] * weights[age][market]
        return total

    def _trials(self, end: int, size: int, slot: Ints) -> Ints:
        hop = next(hop for window, hop in self.windows if window == size)
        return self.of_rings[hop].window(end, size, slot)

    def _delay_weights(self, end: int, size: int) -> Floats:
        """(days, n_markets): the share of a day's orders whose outcomes fall into [end - size, end)."""
        today = (end - 1) // DAY
        ages = np.empty(OUTCOME_DAYS)
        for age in range(OUTCOME_DAYS):
            start = (today - age) * DAY
            ages[age] = end - (start + min(start + DAY, end)) / 2
        weights = np.empty((OUTCOME_DAYS, len(self.people.markets)))
        for market, code in self.people.markets.items():
            delay = self.delays.get(market, self.delays["default"])
            scale = delay.shape / millis(delay.mean)
            upper = special.gammainc(delay.shape, np.maximum(ages, 0.0) * scale)
            weights[:, code] = upper - special.gammainc(delay.shape, np.maximum(ages - size, 0.0) * scale)
        return weights

    def _profile(self, end: int) -> Floats:
        """(n_markets,): activity of this hour of the week over the average hour's."""
        hour, day = (end - 1) // HOUR % 24, ((end - 1) // DAY + 3) % 7  # the epoch was a Thursday
        hours = (self.by_hour[0] + COHORT_EVENTS) / (self.by_hour[1] + COHORT_EVENTS)
        days = (self.by_day[0] + COHORT_EVENTS) / (self.by_day[1] + COHORT_EVENTS)
        return hours[hour] / (_ordered_sum(hours) / 24) * (days[day] / (_ordered_sum(days) / 7))

    def _lift(self, end: int, size: int, market: Ints, own_seen: Floats, own_due: Floats) -> tuple[Floats, Floats]:
        """What the peers do over what they would usually do, the entity itself left out; and its relative variance."""
        seen = np.maximum(self.seen.window(end, size)[market] - own_seen, 0.0)
        due = np.maximum(self.due.window(end, size)[market] - own_due, 0.0)
        lift = np.clip((seen + LIFT_EVENTS) / (due + LIFT_EVENTS), *LIFT_RANGE)
        return lift, 1.0 / (seen + LIFT_EVENTS)

    def _dispersion(self, window: int, market: Ints) -> Floats:
        total, weight = self.spread[0, window][market], self.spread[1, window][market]
        samples = DISPERSION_SAMPLES
        return np.maximum((total + DISPERSION_PRIOR * samples) / (weight + samples), 0.0)

    def observe(self, end: int, window: int, slot: Ints) -> Judged:
        """What these entities did in one window beside what is expected of them; not scored yet."""
        size, hop = self.windows[window]
        market, cohort = self.people.market_of[slot], self.people.cohort[slot]
        value = self.rings[hop].window(end, size, slot).astype(np.float64)
        exposure = self._exposure(end, size, slot)
        usual = exposure * self.peer_rate[cohort]  # before the lift
        own = usual * (self.ratio[slot] / SCALE)
        lift, lift_variance = self._lift(end, size, market, np.minimum(value, _cap(own)), own)
        uneven = HETEROGENEITY * np.log(lift)
        spread = self._dispersion(window, market) + lift_variance + uneven * uneven
        expected = np.maximum(usual * lift, 1e-9)
        if self.kind == "share":
            expected = np.minimum(expected, 0.95 * exposure)
        x = observe(value, exposure=exposure, expected=expected, dispersion=spread, time=end, learn=False)
        return Judged(slot, x, self.peer_rate[cohort], lift)

    def score(self, judged: Judged) -> Score:
        return self.test.detector.step(self.memory(judged.slot), judged.x)[1]

    def memory(self, slot: Ints) -> NegativeBinomialState | BetaBinomialState:
        return type(self.level)(*(a[slot] for a in self.level))  # type: ignore[return-value]

    # -- what is learned ---------------------------------------------------------------------------------------

    def close_pane(self, end: int) -> None:
        """A base pane is over: count it for the entities and for the markets."""
        if end % self.base:
            return
        self.grow()
        markets = len(self.people.markets)
        row = self.rings[self.base].pane(end)
        slot = np.flatnonzero(row)
        value = row[slot].astype(np.int64)
        self.since_fold[slot] += value
        rate = self.peer_rate
        week = self._profile(end) * (self.base / HOUR)
        due = np.zeros(markets, dtype=np.int64)
        if self.kind == "volume":
            np.add.at(due, self.people.cohort_market, np.rint(self.sums[2] * rate * week[self.people.cohort_market]).astype(np.int64))
            usual = rate[self.people.cohort[slot]] * week[self.people.market_of[slot]]
        elif self.kind == "share":
            of_row = self.of_rings[self.base].pane(end)
            tried = np.flatnonzero(of_row)
            self.of_since_fold[tried] += of_row[tried]
            mass = fixed(of_row[tried] * rate[self.people.cohort[tried]] * (self.ratio[tried] / SCALE))
            np.add.at(due, self.people.market_of[tried], mass)
            usual = rate[self.people.cohort[slot]] * of_row[slot]
        else:
            due = self._outcomes_due(end)
            usual = rate[self.people.cohort[slot]] * self._exposure(end, self.base, slot)
        counted = np.zeros(markets, dtype=np.int64)
        np.add.at(counted, self.people.market_of[slot], fixed(np.minimum(value, _cap(usual * (self.ratio[slot] / SCALE)))))
        self.seen.append(end, counted)
        self.due.append(end, due)
        self.week.append(end, fixed(week))

    def _outcomes_due(self, end: int) -> Ints:
        """(n_markets,) fixed: what the orders so far should bring in the base pane that ends now."""
        ring = self.of_rings[self.base]
        row = ring.pane(end)
        slot = np.flatnonzero(row)
        day = (end - 1) // DAY
        if (end - self.base) // DAY * DAY == end - self.base:  # a new day began with this pane
            self.inflow[day % OUTCOME_DAYS] = 0
        brings = fixed(row[slot] * self.peer_rate[self.people.cohort[slot]] * (self.ratio[slot] / SCALE))
        np.add.at(self.inflow[day % OUTCOME_DAYS], self.people.market_of[slot], brings)
        weights = self._delay_weights(end, self.base)
        due = np.zeros(self.inflow.shape[1])
        for age in range(OUTCOME_DAYS):
            due += self.inflow[(day - age) % OUTCOME_DAYS] * weights[age]
        return np.rint(due).astype(np.int64)

    def learn(self, end: int, slot: Ints, frozen: Bools) -> None:
        """An hour is over: the market's week learns it, and a 24th of the entities fold their last day."""
        self._learn_week(end)
        self._learn_dispersion(end, slot[~frozen])
        market, cohort = self.people.market_of[slot], self.people.cohort[slot]
        value = self.since_fold[slot].astype(np.float64)
        if self.kind == "share":
            exposure = self.of_since_fold[slot].astype(np.float64)
        elif self.kind == "volume":
            exposure = self.week.since(end, np.maximum(self.people.born[slot], end - DAY), market)
        else:
            exposure = self._exposure(end, DAY, slot)
        lift, _ = self._lift(end, DAY, market, np.zeros(len(slot)), np.zeros(len(slot)))
        usual = exposure * self.peer_rate[cohort] * lift
        if self.kind == "share":
            usual = np.minimum(usual, 0.95 * exposure)
        self._learn_peers(cohort, value, exposure * lift, usual * (self.ratio[slot] / SCALE))
        spread = self._dispersion(self._day_window(), market)
        x = observe(value, exposure=exposure, expected=usual, dispersion=spread, time=end, learn=~frozen)
        state, _ = self.test.detector.step(self.memory(slot), x)
        for array, new in zip(self.level, state, strict=True):
            array[slot] = new
        for name in ("pending_value", "pending_mass", "pending_trials"):
            if hasattr(self.level, name):
                getattr(self.level, name)[slot[frozen]] = 0.0  # what led to the episode is not learned either
        one = observe(np.zeros(len(slot)), exposure=1.0, expected=self.peer_rate[cohort], learn=False)
        self._set_ratio(slot, self.test.detector.step(state, one)[1].expected / self.peer_rate[cohort])
        self.since_fold[slot] = 0
        self.of_since_fold[slot] = 0

    def _day_window(self) -> int:
        """The window nearest to a day."""
        return min(range(len(self.windows)), key=lambda w: abs(self.windows[w][0] - DAY))

    def _learn_week(self, end: int) -> None:
        if self.kind != "volume":
            return
        hour, day = (end - 1) // HOUR % 24, ((end - 1) // DAY + 3) % 7
        seen, week = self.seen.window(end, HOUR), np.maximum(self.week.window(end, HOUR), 1e-9)
        flat = self.due.window(end, HOUR) / week  # what was due, were every hour alike
        days = (self.by_day[0] + COHORT_EVENTS) / (self.by_day[1] + COHORT_EVENTS)
        hours = (self.by_hour[0] + COHORT_EVENTS) / (self.by_hour[1] + COHORT_EVENTS)
        fade_day, fade_week = 0.5 ** (1 / 14), 0.5 ** (1 / (24 * 4))  # both are half-lives of a few weeks
        self.by_hour[:, hour] = fade_day * self.by_hour[:, hour] + np.stack([seen, flat * days[day]])
        self.by_day[:, day] = fade_week * self.by_day[:, day] + np.stack([seen, flat * hours[hour]])

    def _learn_dispersion(self, end: int, slot: Ints) -> None:
        """How much the windows of a 24th of the entities vary beyond Poisson, quiet ones included."""
        market = self.people.market_of[slot]
        for window, (_, hop) in enumerate(self.windows):
            if end % hop:
                continue
            judged = self.observe(end, window, slot)
            value, mean = judged.x.value, judged.x.expected * (self.ratio[slot] / SCALE)
            square = (value - mean) * (value - mean)
            spread = self._dispersion(window, market)
            beyond = np.minimum(square, 100.0 * (mean + spread * mean * mean)) - mean
            scale = (1.0 + mean) * (1.0 + mean)
            sums = np.zeros((2, self.spread.shape[2]), dtype=np.int64)
            np.add.at(sums[0], market, fixed(beyond / scale))
            np.add.at(sums[1], market, fixed(mean * mean / scale))
            fade = FADE ** (hop // HOUR) if hop >= HOUR else FADE
            self.spread[:, window] = fade * self.spread[:, window] + sums / SCALE

    def _learn_peers(self, cohort: Ints, value: Floats, mass: Floats, own: Floats) -> None:
        weight = np.ones(len(value)) if self.kind == "volume" else 1.0 / (1.0 + mass / COHORT_EVENTS)
        sums = np.zeros((2, self.sums.shape[1]), dtype=np.int64)
        np.add.at(sums[0], cohort, fixed(np.minimum(value, _cap(own)) * weight))
        np.add.at(sums[1], cohort, fixed(mass * weight))
        self.sums[:2] = FADE * self.sums[:2] + sums / SCALE
        self._update_peer_rate()


def _cap(own: Floats) -> Floats:
    """What one entity counts for at most among its peers: a runaway must not move its market."""
    return np.floor(8.0 * own + 5.0)


def _ordered_sum(rows: Floats) -> Floats:
    total = np.zeros(rows.shape[1:])
    for row in rows:
        total += row
    return total


def _widened(a: np.ndarray, width: int) -> np.ndarray:
    return np.concatenate([a, np.zeros((*a.shape[:-1], width - a.shape[-1]), dtype=a.dtype)], axis=-1)
