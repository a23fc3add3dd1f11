"""Seasonal residual: how far a value lies from what this entity usually does at that hour of that weekday.

Sees: a value that would be usual at another hour (a busy night, a quiet noon), and any jump beyond what the
hour explains. Misses: a change that keeps within an hour's usual scatter; seasons shorter than an hour or
longer than a week; local clock changes (hours are UTC); a lasting change once its memory has learned it.

Formula: the values of one clock hour are averaged, and that mean is folded once the next hour begins, so a
profile does not depend on how often values come. Three running means take it: all hours (a), this hour of the
day (d) and this hour of the week (w), each with gain 1 / min(visits, memory), memory being `weeks` * 168, * 7
and * 1. Expected = shrunk(w to shrunk(d to a)), shrunk(m to b) = (prior_visits * b + visits * m) /
(prior_visits + visits): a young profile falls back to the coarser one. The residuals' mean square is kept the
same way for all hours and for each hour of the day, the latter shrunk to the former. z = (v - expected) /
max(sd, sd_min), judged before learning. Score: z (up), -z (down) or abs(z) (both), in standard deviations; 0
for the first `warmup_hours`. No p-value: what is measured is seldom normal. `gap` is ignored.
Units: the value's own; x.time in ms. Cost: 3.3 kB an entity; 0.6 us.
Reference: Cleveland et al., Journal of Official Statistics 6 (1990), for the decomposition; Efron and Morris,
Journal of the American Statistical Association 70 (1975), for the shrinkage.

>>> from detectors.base import observe
>>> spec = SeasonalResidual(direction="both", sd_min=0.5)
>>> state, hour = spec.init(1), 3_600_000
>>> for i in range(24 * 9):
...     state, _ = spec.step(state, observe([9 if i % 24 < 12 else 2], time=i * hour))
>>> at_noon, at_night = (spec.step(state, observe([9], time=(24 * 9 + h) * hour))[1] for h in (11, 23))
>>> at_noon.score.round(), at_night.score.round()
(array([0.]), array([4.]))
"""

from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.base import SCORE_DECIMALS, Bools, Deviation, Floats, Ints, Observation, Score, Strength, Warmup

_HOUR_MS = 3_600_000


class SeasonalState(NamedTuple):
    hour: Ints  # (n,) hours since 1970 of the hour being averaged; -1 none
    values: Floats  # (n,) sum of the hour's values
    squares: Floats  # (n,) sum of the squares of their residuals, the value's unit squared
    samples: Ints  # (n,) values in the hour
    hours: Floats  # (n,) hours folded
    mean: Floats  # (n,) of all hours, the value's unit
    spread: Floats  # (n,) mean square of all residuals, the value's unit squared
    day_visits: Floats  # (n, 24) times that each hour of the day was folded
    day_mean: Floats  # (n, 24)
    day_spread: Floats  # (n, 24)
    week_visits: Floats  # (n, 168) the same for each hour of the week
    week_mean: Floats  # (n, 168)


class SeasonalResidual(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="seasonal_residual"):
    direction: Literal["up", "down", "both"] = "up"
    weeks: Annotated[float, msgspec.Meta(ge=1, le=1e6)] = 8.0  # memory of each profile
    prior_visits: Strength = 2.0  # visits after which an hour weighs half
    warmup_hours: Warmup = 6  # hours learned before the first score
    sd_min: Deviation = 1.0  # floor under the standard deviation, the value's unit

    def init(self, n: int) -> SeasonalState:
        none, zero = np.full(n, -1), np.zeros(n)
        day, week = np.zeros((n, 24)), np.zeros((n, 168))
        counted = np.zeros(n, dtype=np.int64)
        return SeasonalState(
            none, zero, zero.copy(), counted, zero.copy(), zero.copy(), zero.copy(),
            day, day.copy(), day.copy(), week, week.copy(),
        )  # fmt: skip

    def step(self, state: SeasonalState, x: Observation) -> tuple[SeasonalState, Score]:
        seen, hour = ~np.isnan(x.value), x.time // _HOUR_MS
        learn = seen & x.learn
        due = learn & (state.samples > 0) & (hour != state.hour)
        s = self._fold(state, due)
        mean, sd = self._predict(s, hour)
        off = np.where(seen, x.value, 0.0) - mean
        z = off / sd
        sided = np.abs(z) if self.direction == "both" else z if self.direction == "up" else -z
        scores = np.where(s.hours < self.warmup_hours, 0.0, np.round(sided, SCORE_DECIMALS))
        kept = s._replace(
            hour=np.where(learn, hour, s.hour),
            values=np.where(learn, s.values + x.value, s.values),
            squares=np.where(learn & (s.hours > 0), s.squares + off * off, s.squares),
            samples=s.samples + learn,
            **({} if due.any() else {name: getattr(s, name).copy() for name in s._fields[4:]}),
        )
        return kept, Score(*(np.where(seen, a, np.nan) for a in (scores, mean, np.full_like(z, np.nan))))

    def ready(self, state: SeasonalState) -> Bools:
        """Whether the next value is scored, (n,): the warm-up is over."""
        return state.hours >= self.warmup_hours

    def usual_range(self, state: SeasonalState, x: Observation, coverage: float) -> tuple[Floats, Floats]:
        """Expected -+ z * sd with the normal z of that coverage, from the state before the step."""
        mean, sd = self._before(state, x)
        reach = special.ndtri((1.0 + coverage) / 2.0) * sd
        return mean - reach, mean + reach

    def clears_at(self, state: SeasonalState, x: Observation, score: float) -> Floats:
        """The largest whole value under x.value that scores under `score`, from the state before the step.

        For `down`, where lower values score higher, the smallest whole value above x.value; NaN for `both`.
        """
        if self.direction == "both":
            return np.full_like(x.value, np.nan)
        mean, sd = self._before(state, x)
        if self.direction == "down":
            return np.maximum(np.floor(mean - score * sd), np.floor(x.value)) + 1.0
        return np.minimum(np.ceil(mean + score * sd), np.ceil(x.value)) - 1.0

    def _before(self, state: SeasonalState, x: Observation) -> tuple[Floats, Floats]:
        hour = x.time // _HOUR_MS
        due = ~np.isnan(x.value) & x.learn & (state.samples > 0) & (hour != state.hour)
        return self._predict(self._fold(state, due), hour)

    def _predict(self, s: SeasonalState, hour: Ints) -> tuple[Floats, Floats]:
        day, week = (hour % 24)[:, None], (hour % 168)[:, None]

        def shrunk(visits: Floats, bins: Floats, place: Ints, to: Floats) -> Floats:
            seen, own = (np.take_along_axis(a, place, axis=1)[:, 0] for a in (visits, bins))
            share: Floats = seen / (self.prior_visits + seen)
            return to + share * (own - to)

        daily = shrunk(s.day_visits, s.day_mean, day, s.mean)
        square = shrunk(s.day_visits, s.day_spread, day, s.spread)
        mean = shrunk(s.week_visits, s.week_mean, week, daily)
        return mean, np.maximum(np.sqrt(np.maximum(square, 0.0)), self.sd_min)

    def _fold(self, s: SeasonalState, due: Bools) -> SeasonalState:
        """The hour that has ended becomes one visit of its bins."""
        if not due.any():
            return s
        samples = np.maximum(s.samples, 1)
        mean, square = s.values / samples, s.squares / samples
        hours = np.where(due, s.hours + 1.0, s.hours)

        def taken(kept: Floats, new: Floats, visits: Floats, memory: float) -> Floats:
            return kept + (new - kept) / np.minimum(np.maximum(visits, 1.0), memory)

        rows, hour = np.flatnonzero(due), s.hour[due]
        day, week = (rows, hour % 24), (rows, hour % 168)
        day_visits, day_mean, day_spread, week_visits, week_mean = (a.copy() for a in s[7:])
        day_visits[day] += 1.0
        week_visits[week] += 1.0
        day_mean[day] = taken(day_mean[day], mean[due], day_visits[day], self.weeks * 7.0)
        day_spread[day] = taken(day_spread[day], square[due], day_visits[day], self.weeks * 7.0)
        week_mean[week] = taken(week_mean[week], mean[due], week_visits[week], self.weeks)
        zero = np.where(due, 0.0, s.values), np.where(due, 0.0, s.squares), np.where(due, 0, s.samples)
        return SeasonalState(
            s.hour, *zero, hours,
            np.where(due, taken(s.mean, mean, hours, self.weeks * 168.0), s.mean),
            np.where(due, taken(s.spread, square, hours, self.weeks * 168.0), s.spread),
            day_visits, day_mean, day_spread, week_visits, week_mean,
        )  # fmt: skip
