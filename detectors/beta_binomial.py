"""A share, k out of n, against the peers' share, with the entity's own share learned and shrunk.

Sees: a share too high for this entity and for this many trials: 3 of 5 never outranks 300 of 1,000. Misses: a
fall; a slow rise that the own share follows; a change of n alone; a share that is normally above 95% (beta is
kept at 1 or more). Use it only where the numerator is part of the denominator; an outcome that follows later
is a count (NegativeBinomialTail).

Formula: prior Beta(s*q, s*(1 - q)) with q = expected / exposure, the peers' share, and s the strength that
makes the relative variance of shares x.between, where that is known, else `prior_strength`; plus own hits A
and misses B - A; if s + B exceeds the cap, both are scaled down to it. The cap is `concentration_max`, or less
so that the relative variance is at least x.dispersion, both at the own share and, as it is what peers showed,
at theirs. K ~ BetaBinomial(n, alpha, beta). Learning: A = d*A + k, B = d*B + n with d = 0.5**(1/memory); a
sample is on probation until the next one is learned.
Score: -log10 P(K >= k), scores under 1 reported as 0 with a p-value of 1. Exact up to 2,048 outcomes as high
as k; beyond, the beta distribution of the same mean and variance. A pane without trials is no sample: it
teaches nothing and nothing fades. `gap`: where `learn`, quiet panes had gap_expected / q trials in all,
evenly, and no hit: folded as so many samples before the value is scored (closed form, a geometric series);
with gap_expected 0 they had no trials.
Units: value and exposure are whole counts (k is rounded up); memory is in learned samples.
Cost: 32 bytes an entity; the sum for one element in six takes 3 us for small n, about 15 us at worst.
Reference: Skellam, J. R. Stat. Soc. B 10 (1948); Gelman et al., Bayesian Data Analysis, 3rd ed., section 5.1.

>>> from detectors.base import observe
>>> spec = BetaBinomialTail()
>>> _, score = spec.step(spec.init(2), observe([3, 300], exposure=[5, 1000], expected=[0.5, 100.0]))
>>> score.score.round(1), score.expected.round(1)
(array([1.7, 2. ]), array([  0.5, 100. ]))
"""

from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.base import HALVING, Floats, Memory, Observation, Score, Strength
from detectors.tails import last_whole, share_tail, surprise, usual_counts

STRENGTH_MAX = 5_000.0  # trials
SHARE_MIN = 1e-9  # peers' shares are kept this far from 0 and 1


class BetaBinomialState(NamedTuple):
    hits: Floats  # (n,) A, discounted sum of hits
    trials: Floats  # (n,) B, discounted sum of trials
    pending_value: Floats  # (n,) the sample on probation: its hits
    pending_trials: Floats  # (n,) and its trials


_State = BetaBinomialState


class BetaBinomialTail(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="beta_binomial"):
    prior_strength: Strength = 20.0  # trials after which the own share weighs half
    memory: Memory = 21.0  # half-life, learned samples
    concentration_max: Annotated[float, msgspec.Meta(ge=2, le=1e9)] = 200.0  # trials; a share is never known better

    def init(self, n: int) -> _State:
        return _State(*(np.zeros(n) for _ in _State._fields))

    def step(self, state: _State, x: Observation) -> tuple[_State, Score]:
        seen = ~np.isnan(x.value)
        rested = self._rest(state, x)
        k, n = _whole(x)
        alpha, beta = self._posterior(rested, x)
        p = _tail(k, n, alpha, beta)
        mean = n * (alpha / (alpha + beta))
        score = Score(*(np.where(seen, a, np.nan) for a in (surprise(p), mean, p)))
        learn = seen & x.learn & (n > 0)
        if not learn.any():
            return rested, score
        learned = self._fold(rested, k, n)
        return _State(*(np.where(learn, a, b) for a, b in zip(learned, rested, strict=True))), score

    def tail(self, state: _State, x: Observation) -> Floats:
        """P(K >= value), computed also where `step` reports 1."""
        return share_tail(*_whole(x), *self._posterior(self._rest(state, x), x))

    def usual_range(self, state: _State, x: Observation, coverage: float) -> tuple[Floats, Floats]:
        """Counts between which the value was expected, from the state before the step."""
        _, n = _whole(x)
        alpha, beta = self._posterior(self._rest(state, x), x)
        mean, sd = _moments(n, alpha, beta)
        low, high = usual_counts(
            lambda v: np.where(v > n, 0.0, share_tail(np.minimum(v, n), n, alpha, beta)), mean, sd, coverage
        )
        return np.minimum(low, n), np.minimum(high, n)

    def clears_at(self, state: _State, x: Observation, score: float) -> Floats:
        """The largest whole value under x.value that scores under `score`, from the state before the step."""
        k, n = _whole(x)
        alpha, beta = self._posterior(self._rest(state, x), x)
        return last_whole(lambda v: surprise(_tail(np.minimum(v, n), n, alpha, beta)) < score, k - 1.0)

    def _posterior(self, s: _State, x: Observation) -> tuple[Floats, Floats]:
        share = _share(x)
        strength = self.strength(x.between, share)
        alpha = strength * share + s.hits
        beta = strength * (1.0 - share) + np.maximum(s.trials - s.hits, 0.0)
        odds = np.minimum(beta / alpha, (1.0 - share) / share)
        spread = odds / np.maximum(x.dispersion, 1e-12) - 1.0
        most = np.maximum(np.minimum(spread, self.concentration_max), 1.0)
        scale = np.minimum(most / (alpha + beta), 1.0)
        return alpha * scale, np.maximum(beta * scale, 1.0)

    def strength(self, between: Floats, share: Floats) -> Floats:
        """Trials after which the own share weighs half, (n,): the peers' shares say it where they are known."""
        known = (1.0 - share) / (share * np.maximum(between, 1e-9)) - 1.0
        return np.where(between > 0.0, np.clip(known, 1.0, STRENGTH_MAX), self.prior_strength)

    def _fold(self, s: _State, value: Floats, trials: Floats) -> _State:
        """Learn the sample on probation; (value, trials) takes its place."""
        d = 0.5 ** (1.0 / self.memory)
        return _State(d * s.hits + s.pending_value, d * s.trials + s.pending_trials, value, trials)

    def _rest(self, state: _State, x: Observation) -> _State:
        """The state after the quiet panes: `gap` folds, the last one on probation."""
        rests = (x.gap > 0) & (x.gap_expected > 0) & x.learn & ~np.isnan(x.value)
        if not rests.any():
            return state
        gap = np.maximum(x.gap, 1).astype(np.float64)
        each = x.gap_expected / gap / _share(x)
        s = self._fold(state, np.zeros_like(gap), each)
        fade = np.exp2((1.0 - gap) / self.memory)
        series = special.expm1((1.0 - gap) * HALVING / self.memory) / special.expm1(-HALVING / self.memory)
        rested = _State(fade * s.hits, fade * s.trials + series * each, s.pending_value, each)
        return _State(*(np.where(rests, a, b) for a, b in zip(rested, state, strict=True)))


def _share(x: Observation) -> Floats:
    return np.clip(x.expected / np.maximum(x.exposure, SHARE_MIN), SHARE_MIN, 1.0 - SHARE_MIN)


def _whole(x: Observation) -> tuple[Floats, Floats]:
    """Hits and trials as whole numbers, hits at most trials; 0 of 0 where not observed."""
    n = np.ceil(np.where(np.isnan(x.value), 0.0, np.maximum(x.exposure, 0.0)))
    return np.clip(np.ceil(np.nan_to_num(x.value)), 0.0, n), n


def _moments(n: Floats, alpha: Floats, beta: Floats) -> tuple[Floats, Floats]:
    total = alpha + beta
    mean = n * (alpha / total)
    return mean, np.sqrt(mean * (beta / total) * ((total + n) / (total + 1.0)))


def _tail(k: Floats, n: Floats, alpha: Floats, beta: Floats) -> Floats:
    """P(K >= k) where it is at most 0.1, else 1. Up to the bound it is 0.09 or more: not computed."""
    mean, sd = _moments(n, alpha, beta)
    p = np.ones_like(k)
    high = np.flatnonzero(k > np.where(alpha < 0.1, 0.0, mean + sd * (alpha / (1.0 + alpha))))
    p[high] = share_tail(k[high], n[high], alpha[high], beta[high])
    return np.where(p > 0.1, 1.0, p)
