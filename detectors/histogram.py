"""Relative entropy: how unlike any usual mix of values the mix of the last values is.

Sees: a change in how values are distributed, at an unchanged mean too: more zeros and more peaks, a value that
gets stuck, a new level; slow enough changes of season are usual mixes of their own. Misses: the order of
values; a single strange value (one in `window`); values beyond its outermost bin are all the same to it, and
an outlier among the first values makes its bins coarse.

Formula: the first `warmup` values set the bins for good: equally wide, over their range and half of it more on
each side, so that values never seen before have bins of their own. The mix is the counts c of the last
`window` values in `bins` bins. Of each reference mix with counts r, G = sum of c * log(c / window / q), q = (r
+ 0.5) / (sum of r + bins / 2), and its rareness is log(all references' weight / its weight). The score is the
smallest G + rareness over the references, judged with the newest value, before it becomes a reference.
Each `window` values the mix joins the reference that is nearest, if G is under `bins` (for windows of one mix
2 * G is about chi-squared, with bins - 1 degrees of freedom), else takes the place of the lightest.
References' weights fade by half in `memory` windows. Score: nats; 0 before the first reference. No p-value:
windows overlap, and values in them are not independent. `gap` is ignored.
Units: the value's own. Cost: 8 * (warmup + window + bins * (references + 2)) bytes an entity; 2 us.
Reference: Wang, Viswanathan, Choudur, Talwar, Satterfield and Schwan, IFIP/IEEE IM (2011).

>>> from detectors.base import observe
>>> spec = RelativeEntropy(window=10, warmup=20, bins=4)
>>> state = spec.init(1)
>>> for i in range(60):
...     state, score = spec.step(state, observe([i % 10]))
>>> for _ in range(10):
...     state, stuck = spec.step(state, observe([4]))
>>> score.score.round(1), stuck.score.round(1)
(array([0.2]), array([9.3]))
"""

from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.base import SCORE_DECIMALS, Bools, Floats, Ints, Memory, Observation, Score
from detectors.ring import push


class RelativeEntropyState(NamedTuple):
    first: Floats  # (n, warmup) the values that set the bins
    edges: Floats  # (n, bins - 1) the bins' inner edges, rising
    codes: Floats  # (n, window) the last values' bins
    references: Floats  # (n, references, bins) counts
    weight: Floats  # (n, references) windows that joined each, fading
    learned: Ints  # (n,) samples


_State = RelativeEntropyState


class RelativeEntropy(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="relative_entropy"):
    window: Annotated[int, msgspec.Meta(ge=4, le=10_000)] = 48  # samples in the mix that is judged
    bins: Annotated[int, msgspec.Meta(ge=2, le=64)] = 8
    warmup: Annotated[int, msgspec.Meta(ge=4, le=10_000)] = 200  # samples that set the bins
    references: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8  # usual mixes remembered
    memory: Memory = 100.0  # half-life of a reference, windows

    def init(self, n: int) -> _State:
        inner = self.bins - 1
        return _State(
            np.zeros((n, self.warmup)), np.zeros((n, inner)), np.zeros((n, self.window)),
            np.zeros((n, self.references, self.bins)), np.zeros((n, self.references)), np.zeros(n, dtype=np.int64),
        )  # fmt: skip

    def step(self, state: _State, x: Observation) -> tuple[_State, Score]:
        seen = ~np.isnan(x.value)
        value = np.where(seen, x.value, 0.0)
        code = (state.edges < value[:, None]).sum(axis=1).astype(np.float64)
        counting = seen & (state.learned >= self.warmup)
        codes = push(state.codes, np.maximum(state.learned - self.warmup, 0), code, counting)
        mix = self._mix(codes)
        nearest, distance, score = self._nearest(state, mix)
        full = self._full(state)
        scores = np.where(self.ready(state), np.round(score, SCORE_DECIMALS), 0.0)
        learn = seen & x.learn
        learned = state.learned + learn
        due = learn & full & ((learned - self.warmup) % self.window == 0)
        references, weight = self._join(state, mix, nearest, distance, due)
        first = push(state.first, state.learned, value, learn & (state.learned < self.warmup))
        edges = self._edges(state, first, learn & (learned == self.warmup))
        codes = np.where(learn[:, None], codes, state.codes)
        kept = _State(first, edges, codes, references, weight, learned)
        return kept, Score(scores + np.where(seen, 0.0, np.nan), *(np.where(seen, a, np.nan) for a in (
            state.edges[:, (self.bins - 1) // 2], np.full_like(value, np.nan))))  # fmt: skip

    def ready(self, state: _State) -> Bools:
        """Whether the next value is scored, (n,): the warm-up is over."""
        ready: Bools = self._full(state) & (state.weight.max(axis=1) > 0)
        return ready

    def _full(self, s: _State) -> Bools:
        """Whether the mix with the next value is a whole one."""
        full: Bools = s.learned - self.warmup >= self.window - 1
        return full

    def _edges(self, s: _State, first: Floats, due: Bools) -> Floats:
        """The bins' edges, where a row has just taken the last of its first values."""
        if not due.any():
            return s.edges.copy()
        low, high = first[due].min(axis=1)[:, None], first[due].max(axis=1)[:, None]
        width = np.maximum(high - low, 1e-9)
        edges = s.edges.copy()
        edges[due] = low - 0.5 * width + 2.0 * width * (np.arange(1, self.bins) / self.bins)
        return edges

    def _mix(self, codes: Floats) -> Floats:
        return np.stack([(codes == b).sum(axis=1) for b in range(self.bins)], axis=1).astype(np.float64)

    def _nearest(self, s: _State, mix: Floats) -> tuple[Ints, Floats, Floats]:
        """The reference of the smallest G, that G, and the smallest G + rareness."""
        total = np.cumsum(s.references, axis=2)[:, :, -1] + 0.5 * self.bins
        entropy = np.zeros_like(s.weight)
        for b in range(self.bins):
            share = (s.references[:, :, b] + 0.5) / total
            entropy += special.xlogy(mix[:, b, None], mix[:, b, None] / self.window / share)
        used = s.weight > 0
        entropy = np.where(used, entropy, 1e9)
        weights = np.cumsum(s.weight, axis=1)[:, -1:]
        rare = np.where(used, np.log(np.where(used, weights, 1.0) / np.where(used, s.weight, 1.0)), 0.0)
        nearest = entropy.argmin(axis=1)
        return nearest, np.take_along_axis(entropy, nearest[:, None], axis=1)[:, 0], (entropy + rare).min(axis=1)

    def _join(
        self, s: _State, mix: Floats, nearest: Ints, distance: Floats, due: Bools
    ) -> tuple[Floats, Floats]:
        if not due.any():
            return s.references.copy(), s.weight.copy()
        alike = distance < self.bins
        place = np.where(alike, nearest, s.weight.argmin(axis=1))[due]
        rows, fade = np.flatnonzero(due), 0.5 ** (1.0 / self.memory)
        references, weight = s.references.copy(), s.weight.copy()
        references[rows] *= fade
        weight[rows] *= fade
        stays = alike[due]
        references[rows, place] = np.where(stays[:, None], references[rows, place], 0.0) + mix[due]
        weight[rows, place] = np.where(stays, weight[rows, place], 0.0) + 1.0
        return references, weight
