"""Nearest neighbours: how unlike any stretch of this entity's past its newest stretch of values is.

Sees: a shape that has not been there before, at whatever level: a pattern that stops, a flat line in a lively
series, a rhythm that breaks; and jumps. Misses: a strange stretch once `k` like it are remembered; a change
within the usual distance; what is strange only for its hour (SeasonalResidual). On counts near 0 every
stretch has near neighbours but a burst's.

Formula: the newest stretch is the last `lags` values; each `every` values it joins the library of `library`
stretches, the oldest giving way. (A prime `every` meets all phases of a rhythm of hours or days.) Distance: the
mean of the k smallest Euclidean distances to the library, judged before learning, over the running mean of those
distances (gain 1 / min(samples, every * library)).
Score: that ratio, about 1 for a stretch as usual; 0 until the library has `warmup` stretches; at most
SCORE_MAX, which is also the score of the first stretch that differs in a series that never did. The expected value
is the newest value but one: no forecast. No p-value. `gap` is ignored.
Units: the value's own inside, the ratio has none. Cost: 8 * lags * library bytes an entity; 15 us at 8 * 250.
Reference: Burnaev and Ishimtsev, arXiv 1608.04585 (2016), for the lagged neighbours and their calibration.

>>> from detectors.base import observe
>>> spec = NearestNeighbours(lags=2, every=3, warmup=5, k=1)
>>> state = spec.init(1)
>>> for i in range(40):
...     state, usual = spec.step(state, observe([5 * (i % 2) + (i % 7) / 7]))
>>> state, stuck = spec.step(state, observe([5]))
>>> usual.score.round(1), stuck.score.round(1)
(array([0.]), array([25.3]))
"""

from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from detectors.base import SCORE_DECIMALS, SCORE_MAX, Bools, Floats, Ints, Observation, Score, Warmup


class NeighboursState(NamedTuple):
    recent: Floats  # (n, lags) the last values, newest last
    stretches: Floats  # (n, lags, library) the library
    learned: Ints  # (n,) samples
    usual: Floats  # (n,) running mean of the distances, the value's unit
    judged: Ints  # (n,) distances in it


class NearestNeighbours(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="nearest_neighbours"):
    lags: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8  # values in a stretch
    library: Annotated[int, msgspec.Meta(ge=2, le=10_000)] = 250  # stretches remembered
    every: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 11  # samples from one remembered stretch to the next
    k: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3  # neighbours averaged
    warmup: Warmup = 20  # stretches before the first score

    def init(self, n: int) -> NeighboursState:
        stretches = np.zeros((n, self.lags, self.library))
        return NeighboursState(np.zeros((n, self.lags)), stretches, *_zeros(n), np.zeros(n, dtype=np.int64))

    def step(self, state: NeighboursState, x: Observation) -> tuple[NeighboursState, Score]:
        seen = ~np.isnan(x.value)
        last = state.recent[:, -1]
        recent = np.concatenate([state.recent[:, 1:], np.where(seen, x.value, last)[:, None]], axis=1)
        distance = self._distance(state, recent)
        ready = self._filled(state)
        lively = state.usual > 0
        ratio = np.where(lively, distance / np.where(lively, state.usual, 1.0), np.where(distance > 0, SCORE_MAX, 0.0))
        scores = np.where(self.ready(state), np.round(np.minimum(ratio, SCORE_MAX), SCORE_DECIMALS), 0.0)
        learn = seen & x.learn
        judged = state.judged + (learn & ready)
        gain = np.minimum(np.maximum(judged, 1), self.every * self.library)
        usual = np.where(learn & ready, state.usual + (distance - state.usual) / gain, state.usual)
        learned = state.learned + learn
        stretches = state.stretches.copy()
        joins = np.flatnonzero(learn & (learned >= self.lags) & ((learned - self.lags) % self.every == 0))
        stretches[joins, :, (learned[joins] - self.lags) // self.every % self.library] = recent[joins]
        kept = NeighboursState(np.where(learn[:, None], recent, state.recent), stretches, learned, usual, judged)
        return kept, Score(*(np.where(seen, a, np.nan) for a in (scores, last, np.full_like(scores, np.nan))))

    def ready(self, state: NeighboursState) -> Bools:
        """Whether the next value is scored, (n,): the warm-up is over."""
        return self._filled(state) & (state.judged > 0)

    def _filled(self, s: NeighboursState) -> Bools:
        """Whether there are stretches enough to measure a distance."""
        filled: Bools = self._known(s) >= max(self.warmup, self.k)
        return filled

    def _known(self, s: NeighboursState) -> Ints:
        """Stretches that have joined the library."""
        return np.where(s.learned >= self.lags, (s.learned - self.lags) // self.every + 1, 0)

    def _distance(self, s: NeighboursState, recent: Floats) -> Floats:
        """The mean distance to the k nearest stretches; 0 while there are fewer than k."""
        square = np.zeros((len(recent), self.library))
        for lag in range(self.lags):
            off = s.stretches[:, lag, :] - recent[:, lag, None]
            square += off * off
        filled = np.arange(self.library) < self._known(s)[:, None]
        square = np.where(filled, square, np.inf)
        k = min(self.k, self.library)
        nearest = np.sqrt(np.sort(np.partition(square, k - 1, axis=1)[:, :k], axis=1))
        mean = np.cumsum(nearest, axis=1)[:, -1] / k
        return np.where(np.isfinite(mean), mean, 0.0)


def _zeros(n: int) -> tuple[Ints, Floats]:
    return np.zeros(n, dtype=np.int64), np.zeros(n)
