"""Bayesian online changepoint detection: when did the present level begin, and what was it before and since?

Sees: the start of a run of panes at one level, a few panes after it began, and how probable it is. It is here to
date and to explain a change (`changed_at`, `levels`, `date_change`), not to raise alerts. Misses: trends (a stair of
many runs); in heavy-tailed amounts each outlier is a short run of its own.

Formula: a hypothesis is a run that began with a certain pane; its weight is P(run, values so far). A pane multiplies
it by (1 - h) * P(value | the run's panes), and starts a new run of weight h * (sum of all) * P(value | no pane), with
h = 1 / run_mean. P by `model`, with s = prior_strength, over the run's panes:
gamma_poisson: value ~ Poisson(rate * expected), rate ~ Gamma(s + sum(w*value), s + sum(w*expected)): negative
binomial, with x.dispersion added to its own, and w = 1 / (1 + dispersion * expected) (quasi-Poisson weights).
beta_binomial: value of exposure trials, share ~ Beta(s*q + hits, s*(1 - q) + misses), q = expected / exposure.
normal: value - expected is normal, mean and variance unknown: Student's t, prior mean 0 with s panes' weight,
variance inverse-gamma(s, s * scale**2).
When there are more than `runs` hypotheses the least probable is dropped and the others share its weight.
Score: log-odds, nats, that the present run began within the last `recent` panes and is not the first one, this pane
included; within -+300. No p-value. With `learn` False it scores as if learned and keeps nothing. `gap`: the quiet
panes are learned before the value is scored, one by one; more than 64 as one pane of value 0 and their whole
expectation (exact but that no run starts inside; for normal they are left out).
Units: value as in `model`; `scale` in its unit, run_mean and recent in panes. Cost: 8 + 64 * runs bytes an entity;
12 us at 32 runs.
Reference: Adams and MacKay, arXiv 0710.3742 (2007); Murphy, Conjugate Bayesian analysis of the Gaussian (2007).

>>> from detectors.base import observe
>>> spec = Bocpd()
>>> state = spec.init(1)
>>> for minute, count in enumerate([3, 2, 4, 1, 3, 9, 12, 8, 11]):
...     state, score = spec.step(state, observe([count], expected=3.0, time=minute))
>>> score.score.round(1), spec.changed_at(state), [level.round(1) for level in spec.levels(state)]
(array([3.1]), array([5]), [array([0.9]), array([3.2])])
"""

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from detectors.base import SCORE_DECIMALS, SCORE_MAX, Bools, Floats, Ints, Observation, Score, Strength, observe

QUIET = 64  # quiet panes learned one by one; more than that are one
TINY = 1e-9  # expectations are at least this, peers' shares this far from 0 and 1
GONE = -1e300  # log weight of a hypothesis that is not there


class BocpdState(NamedTuple):
    lived: Ints  # (n,) panes since init
    level: Floats  # (n, runs) of each run, as in `levels`
    weight: Floats  # (n, runs) log P(run | values), oldest run first; GONE beyond those in use
    panes: Ints  # (n, runs) in the run
    total: Floats  # (n, runs) its values, weighted; for normal value - expected
    mass: Floats  # (n, runs) its expectations, weighted; trials; panes
    spread: Floats  # (n, runs) squared error / 2 around its mean, the value's unit squared; normal only
    before: Floats  # (n, runs) the level just before it
    since: Ints  # (n, runs) ms, time of its first pane; -1 unknown or none


_State = BocpdState


class Bocpd(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="bocpd"):
    model: Literal["gamma_poisson", "beta_binomial", "normal"] = "gamma_poisson"
    run_mean: Annotated[float, msgspec.Meta(ge=1.01, le=1e9)] = 250.0  # panes between changes, as expected beforehand
    recent: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 20  # panes in which a change counts for the score
    prior_strength: Strength = 1.0  # expected counts, trials or panes
    scale: Annotated[float, msgspec.Meta(ge=1e-12, le=1e12)] = 1.0  # sd expected beforehand; normal only
    runs: Annotated[int, msgspec.Meta(ge=2, le=512)] = 32  # hypotheses kept for each entity

    def init(self, n: int) -> _State:
        shape = (n, self.runs)
        return _State(
            np.zeros(n, dtype=np.int64), np.zeros(shape), np.full(shape, GONE), np.zeros(shape, dtype=np.int64),
            np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape), np.full(shape, -1),
        )  # fmt: skip

    def step(self, state: _State, x: Observation) -> tuple[_State, Score]:
        seen = ~np.isnan(x.value)
        rested = self._rest(state, x, seen)
        x = x._replace(value=np.where(seen, x.value, 0.0))
        foreseen = self._foreseen(rested, x)
        mean = np.cumsum(np.exp(rested.weight) * foreseen, axis=1)[:, -1]
        added = self._add(rested, x, np.ones_like(x.gap))
        scores = np.where(seen, np.round(self._odds(added), SCORE_DECIMALS), np.nan)
        mean = np.where(seen, np.where(rested.lived > 0, mean, foreseen[:, 0]), np.nan)
        return _keep(seen & x.learn, added, state), Score(scores, mean, np.full_like(mean, np.nan))

    def changed_at(self, state: _State) -> Ints:
        """Time of the first pane of the most probable run, (n,) ms; -1 unknown, or the first run: no change."""
        best = state.weight.argmax(axis=1)[:, None]
        since = np.take_along_axis(state.since, best, axis=1)[:, 0]
        return np.where(np.take_along_axis(state.panes, best, axis=1)[:, 0] < state.lived, since, -1)

    def levels(self, state: _State) -> tuple[Floats, Floats]:
        """The level before the most probable run, and in it: a ratio to the expectation; a share; value - expected."""
        best = state.weight.argmax(axis=1)[:, None]
        before, level = (np.take_along_axis(a, best, axis=1)[:, 0] for a in (state.before, state.level))
        return before, level

    def _odds(self, s: _State) -> Floats:
        live = s.panes > 0
        late = live & (s.panes <= self.recent) & (s.panes < s.lived[:, None])
        yes, no = _log_sum(np.where(late, s.weight, GONE)), _log_sum(np.where(live & ~late, s.weight, GONE))
        return np.clip(yes - no, -SCORE_MAX, SCORE_MAX)

    def _add(self, s: _State, x: Observation, panes: Ints) -> _State:
        """`panes` more, as one: every run grows by it and a new run starts with it."""
        best = s.weight.argmax(axis=1)[:, None]
        level = np.take_along_axis(s.level, best, axis=1)
        s = self._room(s)
        used = np.cumsum(s.panes > 0, axis=1)[:, -1:]
        place = np.arange(self.runs)
        fresh, live = place == used, place <= used
        stay = np.log1p(-1.0 / self.run_mean) * panes[:, None]
        begin = np.where(s.lived[:, None] > 0, np.log(-np.expm1(stay)), 0.0)
        weight = np.where(fresh, begin, s.weight + stay) + self._log_likelihood(s, x)
        weight = np.where(live, weight, GONE)
        weight = np.where(live, np.maximum(weight - _log_sum(weight)[:, None], GONE / 2.0), GONE)
        since, before = np.where(fresh, x.time[:, None], s.since), np.where(fresh, level, s.before)
        s = s._replace(lived=s.lived + panes, weight=weight, since=since, before=before)
        return self._learn(s, x, panes, live)

    def _room(self, s: _State) -> _State:
        """Where all places are taken, the least probable run is dropped."""
        full = s.panes[:, -1] > 0
        if not full.any():
            return s
        place = np.arange(self.runs)
        order = place + (full[:, None] & (place >= s.weight.argmin(axis=1)[:, None]))
        gone = order == self.runs
        blanks = _State(0, 0.0, GONE, 0, 0.0, 0.0, 0.0, 0.0, -1)  # type: ignore[arg-type]
        kept = (
            np.where(gone, blank, np.take_along_axis(a, np.minimum(order, self.runs - 1), axis=1))
            for a, blank in zip(s[1:], blanks[1:], strict=True)
        )
        return _State(s.lived, *kept)

    def _rate(self, s: _State, x: Observation) -> Floats:
        """Each run's level."""
        own = self.prior_strength
        prior = {"gamma_poisson": np.ones_like(x.value), "normal": np.zeros_like(x.value)}.get(self.model, _share(x))
        rate: Floats = (own * prior[:, None] + s.total) / (own + s.mass)
        return rate

    def _foreseen(self, s: _State, x: Observation) -> Floats:
        """What each run expects of the value."""
        rate, expected = self._rate(s, x), x.expected[:, None]
        if self.model == "normal":
            return rate + expected
        foreseen: Floats = rate * (expected if self.model == "gamma_poisson" else x.exposure[:, None])
        return foreseen

    def _log_likelihood(self, s: _State, x: Observation) -> Floats:
        """log P(value | run), but for what is the same for every run."""
        own, value = self.prior_strength, x.value[:, None]
        if self.model == "gamma_poisson":
            mean = np.maximum(self._foreseen(s, x), TINY)
            size = np.minimum(1.0 / (1.0 / (own + s.total) + x.dispersion[:, None]), 1e8)
            bent: Floats = special.gammaln(value + size) - special.gammaln(size)
            bent += size * np.log(size / (size + mean)) + value * np.log(mean / (size + mean))
            return bent
        if self.model == "beta_binomial":
            share, trials = _share(x)[:, None], np.maximum(x.exposure, x.value)[:, None]
            a, b = own * share + s.total, own * (1.0 - share) + s.mass - s.total
            ratio: Floats = special.betaln(a + value, b + trials - value) - special.betaln(a, b)
            return ratio
        shape, weight, off = own + s.mass / 2.0, own + s.mass, value - self._foreseen(s, x)
        spread = (own * self.scale * self.scale + s.spread) * (weight + 1.0) / weight
        tail: Floats = (shape + 0.5) * np.log1p(off / (2.0 * spread) * off)
        return special.gammaln(shape + 0.5) - special.gammaln(shape) - 0.5 * np.log(spread) - tail

    def _learn(self, s: _State, x: Observation, panes: Ints, live: Bools) -> _State:
        value, mass, spread = x.value, np.ones_like(x.value), s.spread
        if self.model == "gamma_poisson":
            trust = 1.0 / (1.0 + x.dispersion * x.expected)
            value, mass = trust * value, trust * np.maximum(x.expected, TINY)
        elif self.model == "beta_binomial":
            mass = np.maximum(x.exposure, value)
        else:
            weight, off = self.prior_strength + s.mass, value[:, None] - self._foreseen(s, x)
            value, spread = value - x.expected, s.spread + off * off * weight / (weight + 1.0) / 2.0
        grown = s._replace(
            panes=np.where(live, s.panes + panes[:, None], 0), total=np.where(live, s.total + value[:, None], 0.0),
            mass=np.where(live, s.mass + mass[:, None], 0.0), spread=np.where(live, spread, 0.0),
        )  # fmt: skip
        return grown._replace(level=np.where(live, self._rate(grown, x), 0.0))

    def _rest(self, state: _State, x: Observation, seen: Bools) -> _State:
        """The state after the quiet panes."""
        rests = np.flatnonzero(seen & (x.gap > 0))
        if not rests.size:
            return state
        s, gap, share = _rows(state, rests), x.gap[rests], _share(x)[rests]
        panes = np.where(gap > QUIET, gap, 1)
        mass = x.gap_expected[rests] * (panes / gap)
        times = np.where(gap > QUIET, int(self.model != "normal"), gap)
        for i in range(int(times.max())):
            still = np.flatnonzero(times > i)
            quiet = observe(
                np.zeros(still.size), exposure=(mass / share)[still], expected=mass[still], time=-1,
                dispersion=x.dispersion[rests][still],
            )  # fmt: skip
            for whole, part in zip(s, self._add(_rows(s, still), quiet, panes[still]), strict=True):
                whole[still] = part
        place = np.zeros(len(seen), dtype=np.int64)
        place[rests] = np.arange(rests.size)
        return _keep(seen & (x.gap > 0), _rows(s, place), state)


class Dated(NamedTuple):
    """When something changed, given that it did."""

    changed_at: Ints  # (n,) ms, time of the first pane after the change; -1 where there are too few panes
    level_before: Floats  # (n,) as in Bocpd.levels
    level_after: Floats  # (n,)


def date_change(
    values: Floats,
    expected: Floats,
    times: Ints,
    model: Bocpd,
    *,
    exposure: ArrayLike = 1.0,
    dispersion: ArrayLike = 0.0,
    side: Literal["up", "down", "both"] = "both",
) -> Dated:
    """The most probable start of the present run, but the first, in panes (n, t) that ended at times (t,) ms.

    It is asked when an alert says that something changed, so "no change" is no answer; `side` is the direction.
    Neighbours support each other: a start weighs 3 times its own probability, twice that of the panes beside it and
    once that of those next to them; the levels are those of the most probable of the five. NaN values are skipped.
    For one entity 8 ms at 60 panes, 50 ms at 400; for 100 three times that.

    >>> counts = np.array([[3.0, 2, 4, 1, 3, 9, 12, 8, 11]])
    >>> dated = date_change(counts, np.full(counts.shape, 3.0), np.arange(9) * 60_000, Bocpd(), side="up")
    >>> dated.changed_at, dated.level_before.round(1), dated.level_after.round(1)
    (array([300000]), array([0.9]), array([3.2]))
    """
    n, panes = values.shape
    wide = [np.broadcast_to(np.asarray(a, dtype=np.float64), values.shape) for a in (exposure, dispersion)]
    state = model.init(n)
    one, seen, known = np.ones(n, dtype=np.int64), ~np.isnan(values), np.nan_to_num(values)
    for i in range(panes):
        value, mass, trials, excess = (a[:, i] for a in (known, expected, *wide))
        x = observe(value, expected=mass, exposure=trials, dispersion=excess, time=i)
        state = _keep(seen[:, i], model._add(state, x, one), state)
    weight = _one_sided(state, side)
    some, log_most = weight > GONE, np.maximum.reduce(weight, axis=1)
    row, place = np.nonzero(some)
    chance = np.zeros((n, panes + 4))
    chance[row, state.since[row, place] + 2] = np.exp(weight - log_most[:, None])[row, place]
    support = np.zeros((n, panes))
    for i, share in enumerate((1.0, 2.0, 3.0, 2.0, 1.0)):
        support += share * chance[:, i : i + panes]
    start = support.argmax(axis=1)
    best = np.where(np.abs(state.since - start[:, None]) <= 2, weight, GONE).argmax(axis=1)[:, None]
    before, after = (np.take_along_axis(a, best, axis=1)[:, 0] for a in (state.before, state.level))
    return Dated(np.where(log_most > GONE, times[start], -1), before, after)


def _one_sided(s: _State, side: str) -> Floats:
    """The weights of the runs but the first that go to that side, or to any where none does; GONE of the others."""
    later = (s.panes > 0) & (s.panes < s.lived[:, None])
    rises = s.level >= s.before
    sided = later if side == "both" else later & (rises if side == "up" else ~rises)
    lost = ~np.logical_or.reduce(sided, axis=1)
    return np.where(sided | (later & lost[:, None]), s.weight, GONE)


def _share(x: Observation) -> Floats:
    """The peers' share."""
    share: Floats = np.clip(x.expected / np.maximum(x.exposure, TINY), TINY, 1.0 - TINY)
    return share


def _log_sum(weight: Floats) -> Floats:
    """log of the sum of exp, (n,)."""
    most: Floats = np.maximum.reduce(weight, axis=1)
    rest: Floats = np.log(np.cumsum(np.exp(weight - most[:, None]), axis=1)[:, -1])
    return most + rest


def _keep(mask: Bools, new: _State, old: _State) -> _State:
    wide = mask[:, None]
    return _State(*(np.where(wide if a.ndim == 2 else mask, a, b) for a, b in zip(new, old, strict=True)))


def _rows(s: _State, rows: Any) -> _State:
    return _State(*(a[rows] for a in s))
