"""A count against its expectation, when nobody can say how much such counts vary: level and dispersion are learned.

Sees: a count too high for this entity, at the false-alarm rate that the p-value says also for over-dispersed and
sparse streams whose dispersion is unknown. Misses: a fall; a small lasting rise (CountShift); a burst soon after the
start, while wild dispersions are still likely (where the dispersion is known from peers, NegativeBinomialTail with
x.dispersion sees it earlier and costs less); dispersions over 8, which it takes for 8. It learns what it scores.

Formula: level ratio as in NegativeBinomialTail: m = (a + A)/(a + B) * expected, after discounted hits A and mass B.
The dispersion phi is one of 2**-8 .. 2**3, equally likely at first, weighed by the discounted likelihood of the
entity's values, each judged before it was learned: log w_j = d*log w_j + max(log P(y | phi_j) - best, -5); the floor
keeps one burst from refuting every small dispersion. q = the mean, by those weights, of P(X >= value) for negative
binomials of variance m + m**2 * ((phi_j + x.dispersion) * (1 + Q/(a + B)**2) + 1/(a + A)), with Q the discounted sum
of expected**2: the two doubts about the level. Between two dispersions their geometric mean stands, with cubic
interpolation of log w and the tails' geometric mean. d = 0.5**(1/memory).
A tail heavier than any of these (bursts that last, log-normal moods) shows in the entity's own q: beyond 0.1, log(0.1
/q) adds up to at most 0.1 nats a step. E is its discounted sum, each at most 5, over N steps, and p = 0.1 * (10*q)
**(1/s) with s = max(1, (10 + E)/(10 + 0.1*N)).
Score: -log10 p, scores under 1 reported as 0 with a p-value of 1. `gap`: where `learn`, the quiet panes are learned
before the value is scored, as so many zeros of gap_expected/gap each: A, B and Q in closed form by the geometric
series, the weights with the level held still. Elsewhere gap is ignored.
Units: value and expected are counts; memory is in learned samples. Cost: 136 bytes an entity; 1.5 us.
Reference: Aitchison and Dunsmore, Statistical Prediction Analysis (1975), chapter 2, for predictive tails; Dawid, J.
R. Stat. Soc. A 147 (1984), for the prequential weights.

>>> from detectors.base import observe
>>> spec = PredictiveTail()
>>> state = spec.init(2)
>>> for even, wild in [(3, 0), (2, 9), (4, 1), (3, 0), (2, 0), (4, 8), (3, 3)] * 9:
...     state, _ = spec.step(state, observe([even, wild], expected=3.0))
>>> state, score = spec.step(state, observe([12, 12], expected=3.0))
>>> score.score.round(1), score.expected.round(1)
(array([3.9, 1.2]), array([3., 3.]))
"""

import functools
from typing import NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.base import HALVING, Bools, Floats, Ints, Memory, Observation, Score, Strength
from detectors.tails import count_tail, last_whole, surprise, usual_counts

DISPERSIONS = 2.0 ** np.arange(-8, 4)
REFUTES_MAX = 5.0  # nats; most that one sample can say against a dispersion
EXCESS_MAX, EXCESS_PRIOR = 5.0, 10.0  # nats
WEIGHT_MIN = 1e-7  # lighter dispersions are not asked for their tail


class PredictiveState(NamedTuple):
    hits: Floats  # (n,) A, discounted sum of values
    mass: Floats  # (n,) B, discounted sum of expectations
    squares: Floats  # (n,) Q, discounted sum of their squares
    excess: Floats  # (n,) nats, E, discounted sum of how far q went beyond 0.1
    steps: Floats  # (n,) N, discounted number of samples
    log_weights: Floats  # (n, dispersions) nats, discounted log-likelihood, the best one's 0 in each sample


_State = PredictiveState


class PredictiveTail(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="predictive"):
    prior_strength: Strength = 2.0  # expected counts after which the own level weighs half
    memory: Memory = 200.0  # half-life, learned samples

    def init(self, n: int) -> _State:
        none = np.zeros(n)
        return _State(none, none.copy(), none.copy(), none.copy(), none.copy(), np.zeros((n, len(DISPERSIONS))))

    def step(self, state: _State, x: Observation) -> tuple[_State, Score]:
        seen = ~np.isnan(x.value)
        s = self._rest(state, x)
        value = np.where(seen, x.value, 0.0)
        mean = self._mean(s, x.expected)
        q = self._tail(s, x, value)
        p = _heavier(q, s)
        score = Score(*(np.where(seen, a, np.nan) for a in (surprise(p), mean, p)))
        learn = seen & x.learn
        if not learn.any():
            return s, score
        d = 0.5 ** (1.0 / self.memory)
        said = _likelihood(value, mean, x.dispersion)
        learned = _State(
            d * s.hits + value, d * s.mass + x.expected, d * s.squares + x.expected * x.expected,
            d * s.excess + np.clip(-np.log(np.maximum(10.0 * q, 1e-300)), 0.0, EXCESS_MAX), d * s.steps + 1.0,
            d * s.log_weights + said,
        )  # fmt: skip
        return _keep(learn, learned, s), score

    def tail(self, state: _State, x: Observation) -> Floats:
        """P(X >= value), exact also where `step` reports 1."""
        s = self._rest(state, x)
        return _heavier(self._mixed(s, x, x.value, np.arange(len(x.value))), s)

    def usual_range(self, state: _State, x: Observation, coverage: float) -> tuple[Floats, Floats]:
        """Counts between which the value was expected, from the state before the step."""
        s = self._rest(state, x)
        mean = self._mean(s, x.expected)
        sd = np.sqrt(mean + mean * mean * self._spread(s, x.dispersion + DISPERSIONS[-1]))
        every = np.arange(len(mean))
        return usual_counts(lambda v: _heavier(self._mixed(s, x, v, every), s), mean, sd, coverage)

    def clears_at(self, state: _State, x: Observation, score: float) -> Floats:
        """The largest whole value under x.value that scores under `score`, from the state before the step."""
        s = self._rest(state, x)
        return last_whole(lambda v: surprise(_heavier(self._tail(s, x, v), s)) < score, np.ceil(x.value) - 1.0)

    def _mean(self, s: _State, expected: Floats) -> Floats:
        return (self.prior_strength + s.hits) / (self.prior_strength + s.mass) * expected

    def _spread(self, s: _State, dispersion: Floats) -> Floats:
        """Relative variance beyond Poisson of a value with that dispersion, with the doubt about the level."""
        known = self.prior_strength + s.mass
        return dispersion * (1.0 + s.squares / (known * known)) + 1.0 / (self.prior_strength + s.hits)

    def _tail(self, s: _State, x: Observation, value: Floats) -> Floats:
        """q where it is at most 0.1, else 1. Up to the bound it is above 0.1: not computed."""
        mean, bounds = self._mean(s, x.expected), []
        for dispersion in (DISPERSIONS[0], DISPERSIONS[-1]):  # the bound is lowest at an end
            phi = self._spread(s, x.dispersion + dispersion)
            bounds.append(np.where(phi > 10.0, 0.0, mean + np.sqrt(mean + phi * mean * mean) / (1.0 + phi)))
        p, some = np.ones_like(mean), np.flatnonzero(value > np.minimum(*bounds))
        p[some] = self._mixed(s, x, value[some], some)
        return np.where(p > 0.1, 1.0, p)

    def _mixed(self, s: _State, x: Observation, value: Floats, some: Ints) -> Floats:
        """The tails' mean over the dispersions, for some entities."""
        s = _State(*(a[some] for a in s))
        mean, (whole, half) = self._mean(s, x.expected[some]), _weights(s.log_weights)
        asked = whole > WEIGHT_MIN
        asked[:, :-1] |= half > WEIGHT_MIN
        asked[:, 1:] |= half > WEIGHT_MIN
        tails = np.zeros_like(whole)
        for j, dispersion in enumerate(DISPERSIONS):
            rows = np.flatnonzero(asked[:, j])
            phi = self._spread(_State(*(a[rows] for a in s)), x.dispersion[some][rows] + dispersion)
            tails[rows, j] = count_tail(value[rows], mean[rows], phi)
        between = np.sqrt(tails[:, :-1]) * np.sqrt(tails[:, 1:])
        return np.minimum(_added(whole * tails) + _added(half * between), 1.0)

    def _rest(self, state: _State, x: Observation) -> _State:
        """The state after the quiet panes, each a zero."""
        rests = (x.gap > 0) & x.learn & ~np.isnan(x.value)
        if not rests.any():
            return state
        gap = np.maximum(x.gap, 1).astype(np.float64)
        each = x.gap_expected / gap
        fade = np.exp2(-gap / self.memory)
        series = special.expm1(-gap * HALVING / self.memory) / special.expm1(-HALVING / self.memory)
        said = _likelihood(np.zeros_like(each), self._mean(state, each), x.dispersion)
        rested = _State(
            fade * state.hits, fade * state.mass + series * each, fade * state.squares + series * each * each,
            fade * state.excess, fade * state.steps + series,
            fade[:, None] * state.log_weights + series[:, None] * said,
        )  # fmt: skip
        return _keep(rests, rested, state)


def _heavier(q: Floats, s: _State) -> Floats:
    """p of q, by how far the entity's own q went beyond 0.1 so far."""
    scale = np.maximum((EXCESS_PRIOR + s.excess) / (EXCESS_PRIOR + 0.1 * s.steps), 1.0)
    p = 0.1 * np.exp2(np.log2(np.maximum(10.0 * q, 1e-300)) / scale)
    return np.where(q > 0.1, q, p)


def _likelihood(value: Floats, mean: Floats, dispersion: Floats) -> Floats:
    """log P(value) for each dispersion less that of the best one, (n, dispersions), nats."""
    phi = dispersion[:, None] + DISPERSIONS
    odds, shape = phi * mean[:, None], 1.0 / phi
    log = -shape * special.log1p(odds)
    some = np.flatnonzero((value > 0) & (mean > 0))
    v, k = value[some, None], shape[some]
    log[some] += special.gammaln(v + k) - special.gammaln(k) - v * special.log1p(1.0 / odds[some])
    said: Floats = np.maximum(log - np.maximum.reduce(log, axis=1)[:, None], -REFUTES_MAX)
    return said


def _weights(log: Floats) -> tuple[Floats, Floats]:
    """Of the dispersions, and of the geometric means of neighbours; 1 in all."""
    wide = np.concatenate([2 * log[:, :1] - log[:, 1:2], log, 2 * log[:, -1:] - log[:, -2:-1]], axis=1)
    between = (9.0 * (log[:, :-1] + log[:, 1:]) - wide[:, :-3] - wide[:, 3:]) / 16.0
    best = np.maximum.reduce(np.concatenate([log, between], axis=1), axis=1)[:, None]
    whole, half = (np.exp2(np.maximum(a - best, -200.0) * np.log2(np.e)) for a in (log, between))
    total = (_added(whole) + _added(half))[:, None]
    return whole / total, half / total


def _added(parts: Floats) -> Floats:
    """Sums over the last axis, in order: numpy's own order depends on the shape."""
    total: Floats = functools.reduce(np.add, [parts[:, j] for j in range(parts.shape[1])])
    return total


def _keep(mask: Bools, new: _State, old: _State) -> _State:
    return _State(*(np.where(mask[:, None] if a.ndim == 2 else mask, a, b) for a, b in zip(new, old, strict=True)))
