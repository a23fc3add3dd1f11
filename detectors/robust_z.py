"""Robust z-score: how many robust standard deviations a value lies from the median of the last values.

Sees: a jump of any measured quantity, also right after other jumps: what is learned moves the median and the
median deviation little, until half of the window is of the new kind. Misses: small lasting shifts, a drift
slower than its window; anything that half of its own window does as well.

Formula: med = median of the last `window` values, mad = median of their abs(v - med), z = (v - med) /
max(mad / 0.6745, floor), judged before learning. floor = sd_min, and for `counts` at least sqrt(abs(med) +
1), about what a Poisson count scatters by: where most values are equal, as sparse counts are, mad is 0, and
without such a floor one value in six would be strange. Score: z (up), -z (down) or abs(z) (both), in robust
standard deviations; 0 for the first `warmup` samples. No p-value: what is measured is seldom normal. `gap`:
where `learn`, the quiet panes are learned as so many zeros before the value is scored, exactly. Elsewhere gap
is ignored.
Units: the value's own. Cost: 8 * window + 8 bytes an entity; 4 us at a window of 101 (two sorts).
Reference: Hampel, Journal of the American Statistical Association 69 (1974); Leys et al., Journal of
Experimental Social Psychology 49 (2013).

>>> from detectors.base import observe
>>> spec = RobustZ(window=7, warmup=4)
>>> state = spec.init(1)
>>> for value in [10, 12, 8, 10, 99, 11, 9]:
...     state, _ = spec.step(state, observe([value]))
>>> state, score = spec.step(state, observe([16]))
>>> score.score.round(1), score.expected
(array([4.]), array([10.]))
"""

from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.base import SCORE_DECIMALS, Bools, Deviation, Floats, Ints, Observation, Score, Warmup
from detectors.ring import in_order, median, push, push_zeros

_NORMAL = 0.6744897501960817  # the median absolute deviation of a standard normal


class RobustZState(NamedTuple):
    ring: Floats  # (n, window) the last values, the value's unit
    learned: Ints  # (n,) samples, quiet panes included


class RobustZ(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="robust_z"):
    direction: Literal["up", "down", "both"] = "up"
    window: Annotated[int, msgspec.Meta(ge=3, le=10_000)] = 101  # samples remembered
    warmup: Warmup = 20  # samples learned before the first score
    sd_min: Deviation = 1.0  # floor under the robust deviation, the value's unit
    counts: bool = False  # whether values are counts: the floor is then a Poisson count's own scatter

    def init(self, n: int) -> RobustZState:
        return RobustZState(np.zeros((n, self.window)), np.zeros(n, dtype=np.int64))

    def step(self, state: RobustZState, x: Observation) -> tuple[RobustZState, Score]:
        seen = ~np.isnan(x.value)
        s = self._rest(state, x)
        middle, sd = self._location(s)
        z = (x.value - middle) / sd
        sided = np.abs(z) if self.direction == "both" else z if self.direction == "up" else -z
        scores = np.where(s.learned < self.warmup, 0.0, np.round(sided, SCORE_DECIMALS))
        learn = seen & x.learn
        learned = RobustZState(push(s.ring, s.learned, x.value, learn), s.learned + learn)
        return learned, Score(*(np.where(seen, a, np.nan) for a in (scores, middle, np.full_like(z, np.nan))))

    def ready(self, state: RobustZState) -> Bools:
        """Whether the next value is scored, (n,): the warm-up is over."""
        return state.learned >= self.warmup

    def usual_range(self, state: RobustZState, x: Observation, coverage: float) -> tuple[Floats, Floats]:
        """Median -+ z * robust sd with the normal z of that coverage, from the state before the step."""
        middle, sd = self._location(self._rest(state, x))
        reach = special.ndtri((1.0 + coverage) / 2.0) * sd
        return middle - reach, middle + reach

    def clears_at(self, state: RobustZState, x: Observation, score: float) -> Floats:
        """The largest whole value under x.value that scores under `score`, from the state before the step.

        For `down`, where lower values score higher, the smallest whole value above x.value; NaN for `both`.
        """
        if self.direction == "both":
            return np.full_like(x.value, np.nan)
        middle, sd = self._location(self._rest(state, x))
        if self.direction == "down":
            return np.maximum(np.floor(middle - score * sd), np.floor(x.value)) + 1.0
        return np.minimum(np.ceil(middle + score * sd), np.ceil(x.value)) - 1.0

    def _location(self, s: RobustZState) -> tuple[Floats, Floats]:
        middle = median(in_order(s.ring, s.learned), s.learned)
        mad = median(in_order(np.abs(s.ring - middle[:, None]), s.learned), s.learned)
        floor = np.maximum(np.sqrt(np.abs(middle) + 1.0), self.sd_min) if self.counts else self.sd_min
        return middle, np.maximum(mad / _NORMAL, floor)

    def _rest(self, state: RobustZState, x: Observation) -> RobustZState:
        """The state after the quiet panes, each a zero."""
        quiet = np.where(x.learn & ~np.isnan(x.value), np.maximum(x.gap, 0), 0)
        if not quiet.any():
            return state
        return RobustZState(push_zeros(state.ring, state.learned, quiet), state.learned + quiet)
