"""A count against its expectation, with the entity's own level learned and shrunk to its peers'.

Sees: a count too high for this entity (side low: too low): a burst in one pane or window, whatever the
entity's size; new entities are judged by their peers' level at first. Misses: a small lasting rise (x1.5
takes hundreds of panes; PoissonFocus sees it), a change to the other side, and one slow enough for the level
to follow it. An expectation of 0 makes any value impossible.

Formula: level ratio r ~ Gamma(a, a), a = 1 / x.between where it is known, else prior_strength. So after hits
A and mass B its mean is (a + A) / (a + B), and the value is negative binomial with m = ratio * expected and
variance m + m**2 * phi, phi = 1/(a + A) + x.dispersion + own, where own = max(0, V / (c + U)) is the
dispersion beyond what x.dispersion states. Learning a sample y with mean m: A = d*A + w*y and B = d*B +
w*expected, where w = 1 / (1 + x.dispersion * expected): a large count that varies by itself says no more of
the level than a small one. V = d*V + (min((y - m)**2, 100*var) - m - x.dispersion*m**2) / (1 + m)**2, U = d*U
+ m**2 / (1 + m)**2; d = 0.5**(1/memory). A sample is on probation for one: all four are folded when the next
sample is learned, so a burst of two panes does not hide itself. (V also sees the level's own error: cautious.)

Score: -log10 P(X >= value), for side low of P(X <= value); scores under 1 are reported as 0 with a p-value of
1. `gap`: where `learn`, the quiet panes are learned before the value is scored, as so many zeros with
gap_expected / gap each: A and B in closed form by the geometric series, V and U with the level held still.
Elsewhere gap is ignored.
Units: value and expected are counts; memory is in learned samples. Cost: 48 bytes an entity; an exact tail
(0.5 us) for one element in six or fewer. Reference: Noufaily et al., Statistics in Medicine 32 (2013), for
the family; DuMouchel, The American Statistician 53 (1999), for the Gamma-Poisson shrinkage.

>>> from detectors.base import observe
>>> spec = NegativeBinomialTail()
>>> state = spec.init(2)
>>> for _ in range(30):
...     state, _ = spec.step(state, observe([2, 40], expected=10.0))
>>> state, score = spec.step(state, observe([12, 50], expected=10.0))
>>> score.score.round(1), score.expected.round(1)
(array([5.3, 0. ]), array([ 2.1, 39.7]))
"""

from typing import Literal, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.base import HALVING, Floats, Memory, Observation, Score, Strength
from detectors.tails import count_floor, count_tail, last_whole, surprise, usual_counts


class NegativeBinomialState(NamedTuple):
    hits: Floats  # (n,) A, discounted sum of values
    mass: Floats  # (n,) B, discounted sum of expectations
    pending_value: Floats  # (n,) the sample on probation
    pending_mass: Floats  # (n,) and its expectation
    excess: Floats  # (n,) V, discounted sum of squared residuals beyond the stated variance
    weight: Floats  # (n,) U, what V is divided by


_State = NegativeBinomialState


class NegativeBinomialTail(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="negative_binomial"
):
    prior_strength: Strength = 2.0  # expected counts after which the own level weighs half, where x.between is 0
    memory: Memory = 21.0  # half-life, learned samples
    dispersion_prior: Strength = 5.0  # samples' worth of belief in no dispersion of its own
    side: Literal["high", "low"] = "high"  # whether too many are strange, or too few

    def init(self, n: int) -> _State:
        return _State(*(np.zeros(n) for _ in _State._fields))

    def step(self, state: _State, x: Observation) -> tuple[_State, Score]:
        seen = ~np.isnan(x.value)
        rested = self._rest(state, x)
        mean, phi = self._predict(rested, x.expected, x.dispersion, x.between)
        p = self._tail(np.where(seen, x.value, 0.0), mean, phi)
        score = Score(*(np.where(seen, a, np.nan) for a in (surprise(p), mean, p)))
        learn = seen & x.learn
        if not learn.any():
            return rested, score
        learned = self._fold(rested, x, x.value, x.expected)
        return _State(*(np.where(learn, a, b) for a, b in zip(learned, rested, strict=True))), score

    def tail(self, state: _State, x: Observation) -> Floats:
        """P(X >= value), or P(X <= value), exact also where `step` reports 1."""
        far = count_tail if self.side == "high" else count_floor
        return far(x.value, *self._predict(self._rest(state, x), x.expected, x.dispersion, x.between))

    def usual_range(self, state: _State, x: Observation, coverage: float) -> tuple[Floats, Floats]:
        """Counts between which the value was expected, from the state before the step."""
        mean, phi = self._predict(self._rest(state, x), x.expected, x.dispersion, x.between)
        sd = np.sqrt(mean + phi * mean * mean)
        return usual_counts(lambda v: count_tail(v, mean, phi), mean, sd, coverage)

    def clears_at(self, state: _State, x: Observation, score: float) -> Floats:
        """The whole value nearest to x.value that scores under `score`, from the state before the step."""
        mean, phi = self._predict(self._rest(state, x), x.expected, x.dispersion, x.between)
        if self.side == "low":
            return last_whole(lambda v: surprise(self._tail(v, mean, phi)) >= score, np.ceil(mean)) + 1.0
        return last_whole(lambda v: surprise(self._tail(v, mean, phi)) < score, np.ceil(x.value) - 1.0)

    def _tail(self, value: Floats, mean: Floats, phi: Floats) -> Floats:
        """The tail's probability where it is at most 0.1, else 1. Up to the bound it is above 0.1: not computed."""
        if self.side == "low":
            far, tail = value < mean, count_floor
        else:
            bound = np.where(phi > 10.0, 0.0, mean + np.sqrt(mean + phi * mean * mean) / (1.0 + phi))
            far, tail = value > bound, count_tail
        p, some = np.ones_like(mean), np.flatnonzero(far)
        p[some] = tail(value[some], mean[some], phi[some])
        return np.where(p > 0.1, 1.0, p)

    def _predict(self, s: _State, expected: Floats, dispersion: Floats, between: Floats) -> tuple[Floats, Floats]:
        own = np.maximum(s.excess / (self.dispersion_prior + s.weight), 0.0)
        a = self.strength(between)
        return (a + s.hits) / (a + s.mass) * expected, 1.0 / (a + s.hits) + dispersion + own

    def strength(self, between: Floats) -> Floats:
        """Expected counts after which the own level weighs half, (n,): by the peers' levels where they are known."""
        return np.where(between > 0.0, 1.0 / np.maximum(between, 1e-9), self.prior_strength)

    def _surplus(
        self, s: _State, value: Floats, mass: Floats, x: Observation
    ) -> tuple[Floats, Floats]:
        """What a sample adds to V and U."""
        mean, phi = self._predict(s, mass, x.dispersion, x.between)
        square = mean * mean
        scale = (1.0 + mean) * (1.0 + mean)
        residual = np.minimum((value - mean) * (value - mean), 100.0 * (mean + phi * square))
        return (residual - mean - x.dispersion * square) / scale, square / scale

    def _fold(self, s: _State, x: Observation, value: Floats, mass: Floats) -> _State:
        """Learn the sample on probation; (value, mass) takes its place."""
        d = 0.5 ** (1.0 / self.memory)
        excess, weight = self._surplus(s, s.pending_value, s.pending_mass, x)
        says = _precision(s.pending_mass, x)
        return _State(
            d * s.hits + says * s.pending_value, d * s.mass + says * s.pending_mass, value, mass,
            d * s.excess + excess, d * s.weight + weight,
        )  # fmt: skip

    def _rest(self, state: _State, x: Observation) -> _State:
        """The state after the quiet panes: `gap` folds, the last zero on probation."""
        rests = (x.gap > 0) & x.learn & ~np.isnan(x.value)
        if not rests.any():
            return state
        gap = np.maximum(x.gap, 1).astype(np.float64)
        zero, each = np.zeros_like(gap), x.gap_expected / gap
        s = self._fold(state, x, zero, each)
        fade = np.exp2((1.0 - gap) / self.memory)
        series = special.expm1((1.0 - gap) * HALVING / self.memory) / special.expm1(-HALVING / self.memory)
        excess, weight = self._surplus(s, zero, each, x)
        rested = _State(
            fade * s.hits, fade * s.mass + series * (_precision(each, x) * each), zero, each,
            fade * s.excess + series * excess, fade * s.weight + series * weight,
        )  # fmt: skip
        return _State(*(np.where(rests, a, b) for a, b in zip(rested, state, strict=True)))


def _precision(mass: Floats, x: Observation) -> Floats:
    """What a sample says of the level, as a share of what it would if nothing but chance moved it."""
    says: Floats = 1.0 / (1.0 + x.dispersion * mass)
    return says
