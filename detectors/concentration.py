"""The busiest actor's events out of all: is one buyer, reviewer or viewer behind too much of what an entity gets?

Sees: one actor (or each of a small ring) with too many of an entity's events, at any volume: the same buyer
ordering again and again, one reviewer's campaign; not that many buyers come back once (a share of repeats:
BetaBinomialTail). Misses: a ring in which each does little; volume by strangers; what an entity's busiest actor
always does. `value` is a count of the busiest actor (sketch.ActorSketch gives it, never too high), `exposure` all
events, `expected` the busiest actor's count that a typical peer would have had out of so many.

Formula: who does the next event is somebody new with chance theta / (theta + n), else one of the n before, evenly
(the Ewens sampling formula, whose counts for large theta are the log-series that repeated purchases follow). Of n
events the expected number of actors with t or more is at most S = n/t * P(one given event's actor has t or more) =
n/t * B(n, theta) / B(n - t + 1, theta), so P(busiest >= t) <= min(1, S): a union bound over the actors, without
knowing how many there are. Theta is unknown: GRID values, log-evenly from 0.5 to 2**20, hold the log-likelihood L
of what was learned, L = d*L + l with d = 0.5**(1/memory), and so do `prior_strength` samples of the peers'
expectation; p is the bounds' mean by those weights. The likelihood l takes P(busiest >= t) = 1 - exp(-E), the
actors with t or more as Poisson, with E a closer value than the bound S (whose use would teach too large a theta).
A sample is on probation until the next one is learned, and takes at most `surprise_max` nats from any theta, so that
one episode can't rewrite a long past.
Score: -log10 p, scores under 1 reported as 0 with a p-value of 1; p is an upper bound, so alarms are rarer than it
says (measured on its own null, theta 5 to 500, 10 to 150 events: at p = 0.01 a tenth to three quarters of it). A
sample without 2 events says nothing and teaches nothing. `gap` is ignored: a pane without events has no actors.
Units: value and exposure are whole counts (both rounded up); memory is in learned samples. Cost: 192 bytes an
entity; 30 us.
Reference: Ewens, Theoretical Population Biology 3 (1972); Chatfield, Ehrenberg and Goodhardt, J. R. Stat. Soc. A
129 (1966), for the log-series of purchases.

>>> from detectors.base import observe
>>> spec = Concentration()
>>> state = spec.init(2)
>>> for _ in range(20):  # the second one has a regular who does a quarter
...     state, _ = spec.step(state, observe([1, 10], exposure=40.0, expected=2.0))
>>> state, score = spec.step(state, observe([10, 10], exposure=40.0, expected=2.0))
>>> score.score.round(1), score.expected
(array([10.8,  0. ]), array([ 1., 10.]))
"""

from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.base import Floats, Memory, Observation, Score, Strength
from detectors.tails import last_whole, surprise

GRID = 22
THETA: Floats = np.exp2(np.linspace(-1.0, 20.0, GRID))  # (GRID,) actors; the smaller, the more concentrated


class ConcentrationState(NamedTuple):
    likelihood: Floats  # (n, GRID) nats, discounted, of what was learned
    pending_value: Floats  # (n,) the sample on probation: the busiest actor's events
    pending_exposure: Floats  # (n,) and all events; 0 none


_State = ConcentrationState


class Concentration(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="concentration"):
    prior_strength: Strength = 2.0  # samples' worth of belief in the peers
    memory: Memory = 21.0  # half-life, learned samples
    surprise_max: Annotated[float, msgspec.Meta(ge=1e-3, le=1e3)] = 4.0  # nats that a sample takes from any theta

    def init(self, n: int) -> _State:
        return _State(np.zeros((n, GRID)), np.zeros(n), np.zeros(n))

    def step(self, state: _State, x: Observation) -> tuple[_State, Score]:
        seen = ~np.isnan(x.value)
        t, n = _whole(x)
        weight = self._weights(state, x)
        p = _tail(t, n, weight)
        p = np.where(p > 0.1, 1.0, p)
        score = Score(*(np.where(seen, a, np.nan) for a in (surprise(p), _median(n, weight), p)))
        learn = seen & x.learn & (n >= 2.0)
        folded = 0.5 ** (1.0 / self.memory) * state.likelihood
        folded = folded + self._likelihood(state.pending_value, state.pending_exposure)
        kept = _State(
            np.where(learn[:, None], folded, state.likelihood),
            np.where(learn, t, state.pending_value),
            np.where(learn, n, state.pending_exposure),
        )
        return kept, score

    def tail(self, state: _State, x: Observation) -> Floats:
        """P(busiest >= value), bounded, also where `step` reports 1."""
        return _tail(*_whole(x), self._weights(state, x))

    def usual_range(self, state: _State, x: Observation, coverage: float) -> tuple[Floats, Floats]:
        """Counts of the busiest actor between which it was expected, from the state before the step."""
        n, weight, out = _whole(x)[1], self._weights(state, x), (1.0 - coverage) / 2.0
        low = last_whole(lambda v: _tail(v, n, weight) >= 1.0 - out, n)
        return low, last_whole(lambda v: _tail(v, n, weight) > out, n)

    def clears_at(self, state: _State, x: Observation, score: float) -> Floats:
        """The largest whole value under x.value that scores under `score`, from the state before the step."""
        t, n = _whole(x)
        weight = self._weights(state, x)
        return last_whole(lambda v: -np.log10(np.maximum(_tail(v, n, weight), 1e-300)) < max(score, 1.0), t - 1.0)

    def _likelihood(self, t: Floats, n: Floats) -> Floats:
        """Of a sample, by theta, in nats under the best; 0 where there is none."""  # (n, GRID)
        wide, whole = t[:, None], n[:, None]
        nats = np.log(np.maximum(_reached(wide, whole) - _reached(wide + 1.0, whole), 1e-300))
        under: Floats = np.maximum(nats - np.maximum.reduce(nats, axis=1, keepdims=True), -self.surprise_max)
        return np.where(whole >= 2.0, under, 0.0)

    def _weights(self, s: _State, x: Observation) -> Floats:
        """Of each theta, before this sample."""  # (n, GRID)
        _, n = _whole(x)
        peers: Floats = np.clip(np.round(np.nan_to_num(x.expected)), 1.0, np.maximum(n, 1.0))
        nats: Floats = s.likelihood + self.prior_strength * self._likelihood(peers, n)
        weight = np.exp(nats - np.maximum.reduce(nats, axis=1, keepdims=True))
        share: Floats = weight / np.cumsum(weight, axis=1)[:, -1:]
        return share


def _at_least(t: Floats, n: Floats, theta: Floats) -> Floats:
    """log P(a given event's actor has t or more of the n), for each theta; t in 1..n. t and n are (n, 1)."""
    logs: Floats = special.betaln(n, theta) - special.betaln(n - t + 1.0, theta)
    return np.minimum(logs, 0.0)


def _bound(t: Floats, n: Floats, theta: Floats = THETA) -> Floats:
    """min(1, S) for each theta; 1 for t <= 1, 0 for t > n."""  # (n, GRID)
    whole = np.maximum(n, 1.0)
    inside = np.clip(t, 1.0, whole)
    log_s = np.log(whole / inside) + _at_least(inside, whole, theta)
    return np.where(t <= 1.0, 1.0, np.where(t > n, 0.0, np.exp(np.minimum(log_s, 0.0))))


def _reached(t: Floats, n: Floats) -> Floats:
    """P(busiest >= t) for each theta, nearly: the actors with t or more as if Poisson, the mean of their 1 / events
    as if these fell off geometrically from t on."""  # (n, GRID)
    whole = np.maximum(n, 1.0)
    inside = np.clip(t, 1.0, whole)
    ends = THETA / (whole - inside + THETA)
    z = ends * inside
    each = ends * np.where(z > 50.0, 1.0 / (z + 1.0), np.exp(np.minimum(z, 50.0)) * special.exp1(np.minimum(z, 50.0)))
    actors = whole * np.exp(_at_least(inside, whole, THETA)) * each
    return np.where(t <= 1.0, 1.0, np.where(t > n, 0.0, -np.expm1(-actors)))


def _tail(t: Floats, n: Floats, weight: Floats) -> Floats:
    p: Floats = np.cumsum(weight * _bound(t[:, None], n[:, None]), axis=1)[:, -1]
    return np.clip(p, 0.0, 1.0)


def _median(n: Floats, weight: Floats) -> Floats:
    """The busiest actor's count that is reached half the time, at the mean theta (of the logs): a tenth of the cost."""
    theta = np.exp2(np.cumsum(weight * np.log2(THETA), axis=1)[:, -1:])
    return np.minimum(last_whole(lambda v: _bound(v[:, None], n[:, None], theta)[:, 0] >= 0.5, n), n)


def _whole(x: Observation) -> tuple[Floats, Floats]:
    """The busiest actor's events and all events as whole numbers; 0 of 0 where not observed."""
    n = np.ceil(np.where(np.isnan(x.value), 0.0, np.maximum(x.exposure, 0.0)))
    return np.clip(np.ceil(np.nan_to_num(x.value)), 0.0, n), n
