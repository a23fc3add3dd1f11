"""CUSUM: a lasting change of one size, chosen beforehand, found as early as a change of that size can be.

Sees: a shift that lasts, near the size it is tuned to: `CountCusum` a count's rate against a known expectation,
`GaussianCusum` the mean of any measured quantity against the entity's own. Misses: shifts much smaller than the
tuned size (under half of it, or its square root for rates, the score never grows), a change to the other side; a
much larger shift is found, later than by a CUSUM tuned to it. It never resets: after the change ends the score
falls as slowly as it rose. (Size unknown: CountShift, PoissonFocus.)

Formula: S = max(0, S + l). CountCusum: l is the log-likelihood ratio of rate r against 1 for a negative binomial of
mean m = x.expected and variance m + phi*m**2, phi = x.dispersion: l = v*log1p((r - 1)/(1 + phi*r*m)) - log1p(phi*m
*(r - 1)/(1 + phi*m))/phi; with phi = 0 it is Poisson's, v*log(r) - m*(r - 1). r = `rate` up, 1/`rate` down.
GaussianCusum: l = (v - mean)/sd - shift/2 (down: mean - v), with the mean and sd of the first `warmup` samples,
then frozen: a moving mean would chase the very shift that is looked for. The error of 50 samples, 0.14 sd, comes
back in every step: of streams of normal noise 21 % scored 8 or more within 1,000 steps, with `warmup` 200 10 %, with
the level known 5 %. Where it drifts, use EwmaZ or the detectors that are given an expectation.
Score: CountCusum: nats; under the null the mean time between scores of h or more is at least e**h steps (Lorden).
GaussianCusum: standard deviations, 0 during the warm-up. No p-value: thresholds are for a run length, not a step.
`gap`: quiet panes are zeros: S = max(0, S + gap*l) with the l of such a pane, exact; with `learn` False the value
is scored as if learned and nothing is kept. GaussianCusum counts them as samples of its warm-up too.
Units: counts; GaussianCusum the value's own. Cost: 16 and 40 bytes an entity; 0.06 us.
Reference: Page, Biometrika 41 (1954); Lorden, Ann. Math. Stat. 42 (1971); Hoehle and Paul, Computational
Statistics and Data Analysis 52 (2008), for the negative binomial.

>>> from detectors.base import observe
>>> spec = CountCusum(rate=2.0)
>>> state = spec.init(1)
>>> for minute, count in enumerate([3, 2, 4, 1, 6, 7, 5]):
...     state, score = spec.step(state, observe([count], expected=3.0, time=minute))
>>> score.score.round(2), spec.changed_at(state)
(array([3.48]), array([4]))
"""

from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
import numpy as np
from scipy import special

from detectors.base import SCORE_DECIMALS, Bools, Deviation, Floats, Ints, Observation, Score

S = TypeVar("S", bound=tuple[Any, ...])


class CountCusumState(NamedTuple):
    evidence: Floats  # (n,) nats, S
    since: Ints  # (n,) ms, time of the first pane since S was last 0; -1 unknown or none


class CountCusum(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="count_cusum"):
    direction: Literal["up", "down"] = "up"
    rate: Annotated[float, msgspec.Meta(ge=1.01, le=1e6)] = 2.0  # the change it is tuned to: times this (down: 1/this)

    def init(self, n: int) -> CountCusumState:
        return CountCusumState(np.zeros(n), np.full(n, -1))

    def step(self, state: CountCusumState, x: Observation) -> tuple[CountCusumState, Score]:
        seen = ~np.isnan(x.value)
        rate = self.rate if self.direction == "up" else 1.0 / self.rate
        evidence, since = state
        rests = seen & (x.gap > 0)
        if rests.any():
            gap = np.where(rests, x.gap, 0)
            _, cost = log_ratio(x.gap_expected / np.maximum(x.gap, 1), x.dispersion, rate)
            since = np.where(rests & (evidence == 0), -1, since)
            evidence = np.maximum(evidence - gap * cost, 0.0)
        gain, cost = log_ratio(x.expected, x.dispersion, rate)
        since = np.where(evidence == 0, x.time, since)
        evidence = np.maximum(evidence + np.where(seen, x.value, 0.0) * gain - cost, 0.0)
        kept = keep(seen & x.learn, CountCusumState(evidence, since), state)
        scores = np.where(seen, np.round(evidence, SCORE_DECIMALS), np.nan)
        return kept, Score(scores, np.where(seen, x.expected, np.nan), np.full_like(scores, np.nan))

    def changed_at(self, state: CountCusumState) -> Ints:
        """Time of the first pane of the change behind the score, (n,) ms; -1 unknown or no change."""
        return np.where(state.evidence > 0, state.since, -1)


class GaussianCusumState(NamedTuple):
    mean: Floats  # (n,) in the value's unit, of the warm-up
    variance: Floats  # (n,) its square
    learned: Ints  # (n,) samples of the warm-up so far, quiet panes included
    evidence: Floats  # (n,) standard deviations, S
    since: Ints  # (n,) ms, time of the first pane since S was last 0; -1 unknown or none


class GaussianCusum(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="gaussian_cusum"):
    direction: Literal["up", "down"] = "up"
    shift: Annotated[float, msgspec.Meta(ge=1e-3, le=1e3)] = 1.0  # the change it is tuned to, standard deviations
    warmup: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)] = 50  # samples that set the mean and sd, not scored
    sd_min: Deviation = 1.0  # floor under the standard deviation, the value's unit

    def init(self, n: int) -> GaussianCusumState:
        none = np.zeros(n, dtype=np.int64)
        return GaussianCusumState(np.zeros(n), np.zeros(n), none, np.zeros(n), none - 1)

    def step(self, state: GaussianCusumState, x: Observation) -> tuple[GaussianCusumState, Score]:
        seen = ~np.isnan(x.value)
        s = self._rest(state, x)
        ready = s.learned >= self.warmup
        since = np.where(ready & (s.evidence == 0), x.time, s.since)
        evidence = np.where(ready, np.maximum(s.evidence + self._gain(s, x.value), 0.0), 0.0)
        mean, variance = with_sample(s.mean, s.variance, s.learned, x.value)
        learned = GaussianCusumState(
            np.where(ready, s.mean, mean), np.where(ready, s.variance, variance),
            np.minimum(s.learned + 1, self.warmup), evidence, since,
        )  # fmt: skip
        scores = np.round(evidence, SCORE_DECIMALS)
        score = Score(*(np.where(seen, a, np.nan) for a in (scores, s.mean, np.full_like(scores, np.nan))))
        return keep(seen & x.learn, learned, state), score

    def changed_at(self, state: GaussianCusumState) -> Ints:
        """Time of the first pane of the change behind the score, (n,) ms; -1 unknown or no change."""
        return np.where(state.evidence > 0, state.since, -1)

    def ready(self, state: GaussianCusumState) -> Bools:
        """Whether the next value is scored, (n,): the warm-up is over."""
        return state.learned >= self.warmup

    def _gain(self, s: GaussianCusumState, value: Floats) -> Floats:
        z = (value - s.mean) / np.maximum(np.sqrt(s.variance), self.sd_min)
        return (z if self.direction == "up" else -z) - self.shift / 2.0

    def _rest(self, state: GaussianCusumState, x: Observation) -> GaussianCusumState:
        """The state after the quiet panes, each a zero: those the warm-up still needs teach, the others are scored."""
        rests = (x.gap > 0) & ~np.isnan(x.value)
        if not rests.any():
            return state
        gap = np.maximum(x.gap, 0)
        taught = np.minimum(gap, self.warmup - state.learned)
        mean, variance = with_zeros(state.mean, state.variance, state.learned, taught)
        s = state._replace(mean=mean, variance=variance, learned=state.learned + taught)
        scored = gap - taught
        evidence = np.maximum(s.evidence + scored * self._gain(s, np.zeros_like(mean)), 0.0)
        since = np.where((scored > 0) & (s.evidence == 0), -1, s.since)
        return keep(rests, s._replace(evidence=evidence, since=since), state)


def log_ratio(mean: Floats, dispersion: Floats, rate: float) -> tuple[Floats, Floats]:
    """What each count adds to log(P at rate * mean / P at mean), and what the pane itself takes off; nats.

    >>> [v.round(4) for v in log_ratio(np.array([3.0, 3.0]), np.array([0.0, 0.5]), 2.0)]
    [array([0.6931, 0.2231]), array([3.  , 0.94])]
    """
    odds = dispersion * mean
    gain: Floats = special.log1p((rate - 1.0) / (1.0 + rate * odds))
    over = odds * (1.0 + rate) > 1e-9  # under it the Poisson limit is exact to 9 digits
    spread = special.log1p((rate - 1.0) * odds / (1.0 + odds)) / np.where(over, dispersion, 1.0)
    return gain, np.where(over, spread, (rate - 1.0) * mean)


def with_sample(mean: Floats, variance: Floats, n: Ints, value: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of n samples and one more."""
    off = value - mean
    return mean + off / (n + 1.0), (n / (n + 1.0)) * (variance + off * off / (n + 1.0))


def with_zeros(mean: Floats, variance: Floats, n: Ints, zeros: Ints) -> tuple[Floats, Floats]:
    """Mean and variance of n samples and so many zeros more."""
    share = n / np.maximum(n + zeros, 1)
    return share * mean, share * variance + share * (1.0 - share) * mean * mean


def keep(mask: Bools, new: S, old: S) -> S:
    """The new state where the mask says so, the old one elsewhere."""
    return type(old)(*(np.where(mask, a, b) for a, b in zip(new, old, strict=True)))
