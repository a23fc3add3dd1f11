"""EWMA z-score: how many standard deviations a value lies from the entity's own recent mean.

Sees: a jump of any measured quantity (amounts, durations, rates), cheaply. Misses: a drift slower than its
memory; small lasting shifts; on sparse counts it fires far more often than a normal tail says (counts:
NegativeBinomialTail). It learns what it scores, so a lasting jump becomes normal within its memory.

Formula: weights q**age with q = 1 - alpha, so the early mean is a plain one: W = q*W + 1, d = v - mean, mean
+= d/W, variance = (1 - 1/W) * (variance + d**2/W). z = (v - mean) / max(sd, sd_min), judged before learning.
Score: z (up), -z (down) or abs(z) (both), in standard deviations; 0 for the first `warmup` samples. No
p-value: what is measured is seldom normal, and a wrong tail is worse than none. `gap`: where `learn`, the
quiet panes are learned before the value is scored, as so many zeros, in closed form: with W' = q**gap*W + (1
- q**gap)/(1 - q) and r = q**gap*W/W', mean = r*mean and variance = r*variance + r*(1 - r)*mean**2. Elsewhere
gap is ignored.
Units: the value's own; memory 1/alpha samples. Cost: 32 bytes an entity; 0.02 us.
Reference: Roberts, Technometrics 1 (1959); West, Communications of the ACM 22 (1979), for the weighted
update.

>>> from detectors.base import observe
>>> spec = EwmaZ(alpha=0.1, warmup=4)
>>> state = spec.init(1)
>>> for value in [10, 12, 8, 10, 11, 9]:
...     state, _ = spec.step(state, observe([value]))
>>> state, score = spec.step(state, observe([16]))
>>> score.score.round(1), score.expected.round(1)
(array([4.8]), array([9.9]))
"""

from typing import Literal, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.base import SCORE_DECIMALS, Bools, Deviation, Floats, Ints, Observation, Score, Warmup, Weight


class EwmaState(NamedTuple):
    mean: Floats  # (n,) in the value's unit
    variance: Floats  # (n,) its square
    weight: Floats  # (n,) W, the weights' sum
    learned: Ints  # (n,) samples, quiet panes included


class EwmaZ(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ewma_z"):
    direction: Literal["up", "down", "both"] = "up"
    alpha: Weight = 0.05  # weight of the newest sample
    warmup: Warmup = 20  # samples learned before the first score
    sd_min: Deviation = 1.0  # floor under the standard deviation, the value's unit

    def init(self, n: int) -> EwmaState:
        return EwmaState(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64))

    def step(self, state: EwmaState, x: Observation) -> tuple[EwmaState, Score]:
        seen = ~np.isnan(x.value)
        s = self._rest(state, x)
        z = (x.value - s.mean) / self._sd(s)
        sided = np.abs(z) if self.direction == "both" else z if self.direction == "up" else -z
        scores = np.where(s.learned < self.warmup, 0.0, np.round(sided, SCORE_DECIMALS))
        weight = (1.0 - self.alpha) * s.weight + 1.0
        off = x.value - s.mean
        mean = s.mean + off / weight
        variance = (1.0 - 1.0 / weight) * (s.variance + off * off / weight)
        learned = EwmaState(mean, variance, weight, s.learned + 1)
        kept = EwmaState(*(np.where(seen & x.learn, a, b) for a, b in zip(learned, s, strict=True)))
        return kept, Score(*(np.where(seen, a, np.nan) for a in (scores, s.mean, np.full_like(z, np.nan))))

    def ready(self, state: EwmaState) -> Bools:
        """Whether the next value is scored, (n,): the warm-up is over."""
        return state.learned >= self.warmup

    def usual_range(self, state: EwmaState, x: Observation, coverage: float) -> tuple[Floats, Floats]:
        """Mean -+ z * sd with the normal z of that coverage, from the state before the step."""
        s = self._rest(state, x)
        reach = special.ndtri((1.0 + coverage) / 2.0) * self._sd(s)
        return s.mean - reach, s.mean + reach

    def clears_at(self, state: EwmaState, x: Observation, score: float) -> Floats:
        """The largest whole value under x.value that scores under `score`, from the state before the step.

        For `down`, where lower values score higher, the smallest whole value above x.value; NaN for `both`.
        """
        if self.direction == "both":
            return np.full_like(x.value, np.nan)
        s = self._rest(state, x)
        if self.direction == "down":
            return np.maximum(np.floor(s.mean - score * self._sd(s)), np.floor(x.value)) + 1.0
        return np.minimum(np.ceil(s.mean + score * self._sd(s)), np.ceil(x.value)) - 1.0

    def _sd(self, s: EwmaState) -> Floats:
        sd: Floats = np.maximum(np.sqrt(s.variance), self.sd_min)
        return sd

    def _rest(self, state: EwmaState, x: Observation) -> EwmaState:
        """The state after the quiet panes, each a zero."""
        rests = (x.gap > 0) & x.learn & ~np.isnan(x.value)
        if not rests.any():
            return state
        fade = np.exp2(np.maximum(x.gap, 0) * np.log2(1.0 - self.alpha))
        weight = np.where(rests, fade * state.weight + (1.0 - fade) / self.alpha, 1.0)
        r = fade * state.weight / weight
        variance = r * state.variance + r * (1.0 - r) * state.mean * state.mean
        rested = EwmaState(r * state.mean, variance, weight, state.learned + x.gap)
        return EwmaState(*(np.where(rests, a, b) for a, b in zip(rested, state, strict=True)))
