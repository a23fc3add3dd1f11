"""Peaks over threshold: how rare a value is by the tail that the entity's own peaks have, whatever it is.

Sees: a jump beyond the peaks that are usual here: an entity that often peaks needs a higher one. Misses: small
lasting shifts; a second jump of the same size, which the tail then knows. A young tail is a
guess. How often p <= 0.001 and p <= 0.0001 came, over how often that says, among an entity's 51st to 150th values:
0.7 and 1.4 times (normal), 1.4 and 8 (Poisson, mean 0.3), 2.5 and 16 (log-normal, sigma 1.5); from the 300th on
0.5 and 0.3, 0.6 and 1.1, 0.9 and 3.1.

Formula: z is the EWMA z-score (ewma.py; alpha, no floor), and its past values are counted as in conformal.py,
fading by half in `memory`. The threshold t is the lowest bin's edge that at most `tail` of them reach. With
mean m and variance v of the excesses over t, the generalized Pareto distribution has shape = (1 - m**2/v) / 2,
held between 0 and 0.45, and scale = m * (1 - shape): moments, not an optimiser. P = (1 + values beyond t) / (1
+ values) * (1 + shape * (z - t) / scale)**(-1 / shape); up to t it is the conformal rank. Judged before
learning. Score: -log10 P, at most SCORE_MAX; 0 for the first `warmup` samples. p_value: P. Approximate beyond
the past's highest value, and where values depend on each other. `gap` is ignored.
Units: the value's own. Cost: 1.1 kB an entity; 4 us.
Reference: Siffer, Fouque, Termier and Largouet, KDD (2017), for SPOT and DSPOT; Hosking and Wallis, Technometrics
29 (1987), for the moments.

>>> from detectors.base import observe
>>> spec = PeaksOverThreshold(direction="both", alpha=0.01)
>>> state = spec.init(1)
>>> for i in range(400):
...     state, _ = spec.step(state, observe([10 + (i * 37) % 11]))
>>> state, score = spec.step(state, observe([20]))
>>> state, far = spec.step(state, observe([60]))
>>> score.score.round(1), far.score.round(1)
(array([0.7]), array([14.8]))
"""

from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np

from detectors.base import Bools, Floats, Ints, Memory, Observation, Score, Warmup, Weight
from detectors.conformal import (
    BINS,
    ConformalState,
    at_least,
    counted,
    first_under,
    position,
    score_at,
    taken,
    top,
)
from detectors.ewma import EwmaState, EwmaZ
from detectors.tails import last_whole, surprise

_SHAPE_MAX = 0.45  # moments need a finite variance: a shape under a half
_P_MIN = 1e-300


class ParetoTail(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="pareto_tail"):
    """The tail as a calibrator of any score, as ConformalRank is: smooth beyond t, where ranks are few."""

    memory: Memory = 5_000.0  # half-life, scores
    tail: Annotated[float, msgspec.Meta(ge=1e-6, le=0.5)] = 0.02  # share of past scores that are peaks
    prior_strength: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 50.0  # past scores' worth of belief in the prior

    def init(self, n: int) -> ConformalState:
        return ConformalState(np.zeros((n, BINS)))

    def calibrate(
        self, state: ConformalState, score: Floats, learn: Bools, prior: Floats | None = None
    ) -> tuple[ConformalState, Floats]:
        """The state after the score and P(a score at least so high), by the state before it; NaN where not observed."""
        seen = ~np.isnan(score)
        value = np.where(seen, np.maximum(score, 0.0), 0.0)
        at, tails = position(value), at_least(state.counts)
        start = np.minimum(first_under(tails, self.tail), top(state.counts))
        beyond = at >= start
        own = 1.0 + taken(tails, np.minimum(at.astype(np.int64), start))
        own = own * np.where(beyond, _pareto(state.counts, tails, start, value), 1.0)
        if prior is None:
            p = own / (1.0 + tails[:, 0])
        else:
            p = (own + self.prior_strength * prior) / (1.0 + tails[:, 0] + self.prior_strength)
        p = np.where(seen, np.maximum(p, _P_MIN), np.nan)
        return ConformalState(counted(state.counts, at, seen & learn, self.memory)), p


def _pareto(counts: Floats, tails: Floats, start: Ints, value: Floats) -> Floats:
    """P(a peak lies at least so far beyond the start of its bin)."""
    place = start.astype(np.float64)
    threshold = score_at(place)
    middles = score_at(np.arange(BINS, dtype=np.float64) + 0.5)
    peaks = np.where(np.arange(BINS) >= start[:, None], counts, 0.0)
    excess = middles - threshold[:, None]
    number = np.maximum(taken(tails, start), 1e-9)
    mean = np.cumsum(peaks * excess, axis=1)[:, -1] / number
    square = np.cumsum(peaks * excess * excess, axis=1)[:, -1] / number
    mean = np.maximum(mean, score_at(place + 1.0) - threshold)  # never narrower than a bin
    variance = np.maximum(square - mean * mean, 1e-12 * mean * mean)
    shape = np.clip(0.5 * (1.0 - mean * mean / variance), 1e-6, _SHAPE_MAX)
    scale = mean * (1.0 - shape)
    share: Floats = np.exp2(-np.log2(1.0 + shape * np.maximum(value - threshold, 0.0) / scale) / shape)
    return share


class PeaksState(NamedTuple):
    mean: Floats  # (n,) in the value's unit
    variance: Floats  # (n,) its square
    weight: Floats  # (n,) sum of the mean's weights
    learned: Ints  # (n,) samples
    counts: Floats  # (n, BINS) past z-scores, fading


class PeaksOverThreshold(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="peaks_over_threshold"):
    direction: Literal["up", "down", "both"] = "up"
    alpha: Weight = 0.002  # weight of the newest sample in the mean
    memory: Memory = 5_000.0  # half-life of a peak, samples
    tail: Annotated[float, msgspec.Meta(ge=1e-6, le=0.5)] = 0.02  # share of past values that are peaks
    warmup: Warmup = 50  # samples learned before the first score

    def init(self, n: int) -> PeaksState:
        return PeaksState(*self._level().init(n), np.zeros((n, BINS)))

    def step(self, state: PeaksState, x: Observation) -> tuple[PeaksState, Score]:
        before = EwmaState(*state[:4])
        level, z = self._level().step(before, x._replace(gap=np.zeros_like(x.gap)))
        learn = x.learn & self._level().ready(before)
        counts, p = self._calibrator().calibrate(ConformalState(state.counts), z.score, learn)
        p = np.where(np.isnan(p) | (state.learned < self.warmup), 1.0, p)
        seen = ~np.isnan(x.value)
        return PeaksState(*level, *counts), Score(*(np.where(seen, a, np.nan) for a in (surprise(p), z.expected, p)))

    def ready(self, state: PeaksState) -> Bools:
        """Whether the next value is scored, (n,): the warm-up is over."""
        return state.learned >= self.warmup

    def usual_range(self, state: PeaksState, x: Observation, coverage: float) -> tuple[Floats, Floats]:
        """Mean -+ the z that the past exceeded in 1 - coverage of its values; one side for up and down."""
        where = (first_under(at_least(state.counts), 1.0 - coverage) + 1).astype(np.float64)
        reach = score_at(where) * np.sqrt(state.variance)
        low = np.full_like(reach, -np.inf) if self.direction == "up" else state.mean - reach
        return low, np.full_like(reach, np.inf) if self.direction == "down" else state.mean + reach

    def clears_at(self, state: PeaksState, x: Observation, score: float) -> Floats:
        """The whole value from 0 up nearest to x.value that scores under `score`; NaN for both directions."""
        still: Bools = np.zeros_like(x.learn)
        if self.direction == "both":
            return np.full_like(x.value, np.nan)

        def scores(value: Floats) -> Floats:
            return self.step(state, x._replace(value=value, learn=still))[1].score

        if self.direction == "down":
            return last_whole(lambda v: scores(v) >= score, np.ceil(state.mean)) + 1.0
        return last_whole(lambda v: scores(v) < score, np.ceil(x.value) - 1.0)

    def _level(self) -> EwmaZ:
        return EwmaZ(direction=self.direction, alpha=self.alpha, warmup=2, sd_min=1e-9)

    def _calibrator(self) -> ParetoTail:
        return ParetoTail(memory=self.memory, tail=self.tail)

