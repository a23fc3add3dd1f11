"""A lasting change of a count's rate, of any size: four tuned tests in one score that bounds its own false alarms.

Sees: a rise (fall, either) against a known expectation, from a lasting x1.25 to a burst of one pane, and when it
began, within 25% of the delay of a CUSUM tuned to the very size (benchmarks/quality/delay.py). Misses: what the
expectation already contains: it has no level of its own, and an expectation 10% too low makes false alarms 4 times
as frequent at 0.3 a pane, 50 times at 200; shape without volume. It never resets: after the change the evidence
fades as fast as ordinary panes refute it.

Formula: for rates r of 1.3, 1.8, 5 and 10 (down: 1/r), the likelihood ratio L of each pane, negative binomial of
mean r*m against m = x.expected, variance m + x.dispersion*m**2 (CountCusum's). Small rates sum over all starts
(Shiryaev-Roberts, best for a small shift): R = (1 + R)*L. Large ones take the best start (CUSUM, better for a short
burst): R = max(1, R)*L. Evidence = the mean of the four R, weighed 1, 1, 6 and 6; `both` is the mean of up and down.
Score: log10 of the evidence, 0 to 150. The sum over starts minus the number of steps is a martingale under the null,
so scores of s or more come on average at least 10**s steps apart (measured: 5 to 14 times that), whatever m and
dispersion were, if they were right: no simulation needed. No p-value: it promises a run length, not a step's.
`gap`: the quiet panes are zeros of gap_expected/gap each: R*L**gap + L*(1 - L**gap)/(1 - L), and the larger of
max(1, R)*L**gap and L: exact. With `learn` False it scores as if learned and keeps nothing.
Units: counts. Cost: 80 bytes an entity (both: 160); 0.2 us.
Reference: Shin, Ramdas and Rinaldo, New England Journal of Statistics in Data Science 2 (2024), for mixtures of
e-detectors; Roberts, Technometrics 8 (1966); Pollak, Annals of Statistics 13 (1985).

>>> from detectors.base import observe
>>> spec = CountShift()
>>> state = spec.init(1)
>>> for minute, count in enumerate([3, 2, 4, 1, 6, 7, 5]):
...     state, score = spec.step(state, observe([count], expected=3.0, time=minute))
>>> score.score.round(2), spec.changed_at(state)
(array([0.76]), array([4]))
"""

import functools
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.base import SCORE_DECIMALS, Bools, Floats, Ints, Observation, Score
from detectors.cusum import log_ratio

SMALL, LARGE = (1.3, 1.8), (5.0, 10.0)  # rates: those that sum over starts, and those that take the best
SMALL_WEIGHT, LARGE_WEIGHT = 1 / 14, 6 / 14
EVIDENCE_MAX = 1e150  # its square is still a float
LOG_MAX = float(np.log(EVIDENCE_MAX))


class CountShiftState(NamedTuple):
    sums: Floats  # (n, small rates) likelihood ratios, added up over all starts
    peaks: Floats  # (n, rates) the best start's likelihood ratio; of small rates it only dates
    since: Ints  # (n, rates) ms, time of the first pane since that start; -1 unknown or none


_State = CountShiftState


class CountShift(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="count_shift"):
    direction: Literal["up", "down", "both"] = "up"

    def init(self, n: int) -> _State:
        small, large = self._rates()
        rates = (n, len(small) + len(large))
        return _State(np.zeros((n, len(small))), np.zeros(rates), np.full(rates, -1))

    def step(self, state: _State, x: Observation) -> tuple[_State, Score]:
        seen = ~np.isnan(x.value)
        rested = self._rest(state, x)
        since = np.where(rested.peaks < 1.0, x.time[:, None], rested.since)
        value, sums, peaks = np.where(seen, x.value, 0.0), rested.sums.copy(), np.empty_like(rested.peaks)
        small, large = self._rates()
        for i, rate in enumerate(small + large):
            gain, cost = log_ratio(x.expected, x.dispersion, rate)
            ratio = _exp(value * gain - cost)
            peaks[:, i] = np.minimum(np.maximum(rested.peaks[:, i], 1.0) * ratio, EVIDENCE_MAX)
            if i < len(small):
                sums[:, i] = np.minimum((1.0 + sums[:, i]) * ratio, EVIDENCE_MAX)
        after = _State(sums, peaks, since)
        scores = np.where(seen, self._score(after), np.nan)
        score = Score(scores, np.where(seen, x.expected, np.nan), np.full_like(scores, np.nan))
        return _keep(seen & x.learn, after, state), score

    def changed_at(self, state: _State) -> Ints:
        """Time of the first pane of the change behind the score, (n,) ms; -1 unknown or no change."""
        best = state.peaks.argmax(axis=1)[:, None]
        changed = np.take_along_axis(state.peaks, best, axis=1)[:, 0] > 1.0
        return np.where(changed, np.take_along_axis(state.since, best, axis=1)[:, 0], -1)

    def _rates(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Small and large, as multiples of the expectation."""
        sides = {"up": (1,), "down": (-1,), "both": (1, -1)}[self.direction]
        return tuple(r**s for s in sides for r in SMALL), tuple(r**s for s in sides for r in LARGE)

    def _score(self, s: _State) -> Floats:
        small = s.sums.shape[1]
        parts = [SMALL_WEIGHT * s.sums[:, i] for i in range(small)]
        parts += [LARGE_WEIGHT * s.peaks[:, i] for i in range(small, s.peaks.shape[1])]
        sides = 2 if self.direction == "both" else 1
        total: Floats = functools.reduce(np.add, parts) / sides  # in order: numpy's own sum depends on the shape
        log: Floats = np.log10(np.maximum(total, 1.0))
        return np.round(log, SCORE_DECIMALS)

    def _rest(self, state: _State, x: Observation) -> _State:
        """The state after the quiet panes, each a zero."""
        rests = (x.gap > 0) & ~np.isnan(x.value)
        if not rests.any():
            return state
        gap = np.maximum(x.gap, 1).astype(np.float64)
        since = np.where(state.peaks < 1.0, -1, state.since)
        sums, peaks = state.sums.copy(), np.empty_like(state.peaks)
        small, large = self._rates()
        for i, rate in enumerate(small + large):
            _, cost = log_ratio(x.gap_expected / gap, x.dispersion, rate)
            each, every = -cost, np.clip(-gap * cost, -LOG_MAX, LOG_MAX)
            peak = np.maximum(np.maximum(state.peaks[:, i], 1.0) * _exp(every), _exp(each))
            peaks[:, i] = np.minimum(peak, EVIDENCE_MAX)
            if i < len(small):
                none = np.abs(each) < 1e-300
                series = np.where(none, gap, special.expm1(every) / np.where(none, 1.0, special.expm1(each)))
                sums[:, i] = np.minimum(sums[:, i] * _exp(every) + _exp(each) * series, EVIDENCE_MAX)
        return _keep(rests, _State(sums, peaks, since), state)


def _exp(x: Floats) -> Floats:
    power: Floats = np.exp2(np.clip(x, -LOG_MAX, LOG_MAX) * np.log2(np.e))
    return power


def _keep(mask: Bools, new: _State, old: _State) -> _State:
    return _State(*(np.where(mask[:, None], a, b) for a, b in zip(new, old, strict=True)))
