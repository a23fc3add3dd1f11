"""EWMA chart: how far the smoothed value, not the single one, lies from where it usually lies.

Sees: a small shift that lasts some 1/smoothing values, and a burst of middling values, which no single value
would give away. Misses: one strange value among usual ones (EwmaZ sees it earlier); a drift slower than its
memory. It learns what it scores, so a lasting shift becomes normal within its memory.

Formula: the smoothed value takes the value v before it is judged: s += (v - s) * max(smoothing, 1 / samples).
z = (s - mean) / max(sd, sd_min), where mean and sd are the EWMA's (ewma.py) of the past smoothed values, alpha
their weight: a measured sd holds for values that depend on each other too, as smoothing / (2 - smoothing) of
the variance would not. Score: z (up), -z (down) or abs(z) (both), in standard deviations of the smoothed
value; 0 for the first `warmup` samples. No p-value: what is measured is seldom normal. expected is the mean of
smoothed values. `gap` is ignored.
Units: the value's own; memories 1/smoothing and 1/alpha samples. Cost: 40 bytes an entity; 0.03 us.
Reference: Roberts, Technometrics 1 (1959); Lucas and Saccucci, Technometrics 32 (1990).

>>> from detectors.base import observe
>>> spec = EwmaChart(alpha=0.01, warmup=4, sd_min=0.1)
>>> state = spec.init(1)
>>> for i in range(50):
...     state, usual = spec.step(state, observe([10 + i * 7 % 5]))
>>> for value in (14, 14, 14, 14, 14):
...     state, lasting = spec.step(state, observe([value]))
>>> usual.score.round(1), lasting.score.round(1)
(array([0.8]), array([3.1]))
"""

from typing import Literal, NamedTuple

import msgspec
import numpy as np

from detectors.base import Bools, Deviation, Floats, Ints, Observation, Score, Warmup, Weight
from detectors.ewma import EwmaState, EwmaZ


class EwmaChartState(NamedTuple):
    smoothed: Floats  # (n,) in the value's unit
    mean: Floats  # (n,) of smoothed values
    variance: Floats  # (n,) of smoothed values, the unit squared
    weight: Floats  # (n,) the sum of the mean's weights
    learned: Ints  # (n,) samples


class EwmaChart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ewma_chart"):
    direction: Literal["up", "down", "both"] = "up"
    smoothing: Weight = 0.2  # weight of the newest value in the smoothed one
    alpha: Weight = 0.002  # weight of the newest smoothed value in their mean
    warmup: Warmup = 20  # samples learned before the first score
    sd_min: Deviation = 1.0  # floor under the smoothed value's deviation, the value's unit

    def init(self, n: int) -> EwmaChartState:
        return EwmaChartState(np.zeros(n), *self._level().init(n))

    def step(self, state: EwmaChartState, x: Observation) -> tuple[EwmaChartState, Score]:
        smoothed = state.smoothed + self._gain(state) * (x.value - state.smoothed)
        level, score = self._level().step(EwmaState(*state[1:]), _of(x, smoothed))
        learn = ~np.isnan(x.value) & x.learn
        return EwmaChartState(np.where(learn, smoothed, state.smoothed), *level), score

    def ready(self, state: EwmaChartState) -> Bools:
        """Whether the next value is scored, (n,): the warm-up is over."""
        return state.learned >= self.warmup

    def usual_range(self, state: EwmaChartState, x: Observation, coverage: float) -> tuple[Floats, Floats]:
        """Values with which the smoothed one stays within its mean -+ z * sd, from the state before the step."""
        low, high = self._level().usual_range(EwmaState(*state[1:]), _of(x, x.value), coverage)
        gain = self._gain(state)
        return state.smoothed + (low - state.smoothed) / gain, state.smoothed + (high - state.smoothed) / gain

    def clears_at(self, state: EwmaChartState, x: Observation, score: float) -> Floats:
        """The largest whole value under x.value that scores under `score`; down: the smallest above it; both: NaN."""
        if self.direction == "both":
            return np.full_like(x.value, np.nan)
        sd, gain = np.maximum(np.sqrt(state.variance), self.sd_min), self._gain(state)
        if self.direction == "down":
            edge = state.smoothed + (state.mean - score * sd - state.smoothed) / gain
            return np.maximum(np.floor(edge), np.floor(x.value)) + 1.0
        edge = state.smoothed + (state.mean + score * sd - state.smoothed) / gain
        return np.minimum(np.ceil(edge), np.ceil(x.value)) - 1.0

    def _gain(self, state: EwmaChartState) -> Floats:
        gain: Floats = np.maximum(self.smoothing, 1.0 / (state.learned + 1.0))
        return gain

    def _level(self) -> EwmaZ:
        return EwmaZ(direction=self.direction, alpha=self.alpha, warmup=self.warmup, sd_min=self.sd_min)


def _of(x: Observation, value: Floats) -> Observation:
    """The same observation of another value, without its quiet panes."""
    return x._replace(value=value, gap=np.zeros_like(x.gap))
