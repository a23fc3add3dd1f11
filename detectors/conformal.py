"""Conformal rank: any score into a p-value against the entity's own past scores. A calibrator, not a detector.

A calibrator is a frozen spec with init(n) and calibrate(state, score, learn, prior) -> (state, p), under the rules
that detectors keep: pure, arrays with the entity on axis 0, entities whose score is NaN stay as they were, the
score is judged before it is learned.

Formula: past scores are counted in bins, 8 to each doubling of 1 + score (scores under 0 count as 0), and
counts fade by half in `memory` scores. p = (1 + past scores in the same or a higher bin) / (1 + all past
scores): P(p <= a) <= a where scores are exchangeable, whatever their distribution, for fixed weights too. Beyond
the highest bin ever filled p goes on as the exponential tail of log(1 + score) (a Pareto tail of the score)
whose mean excess is that of the past's highest 5 %; it is trusted for as many decades as the rank has, no more:
never under 1 / (1 + all)**2. There the p-value is an extrapolation, without that guarantee. A `prior`, a
p-value by a model or by peers, counts as `prior_strength` past scores: it rules while the past is short.
Units: any score whose high side is strange; below 2**16. Cost: 1 kB an entity; 3 us.
Reference: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005); Barber, Candes, Ramdas and
Tibshirani, Annals of Statistics 51 (2023), for the weights; Hill, Annals of Statistics 3 (1975), for the tail.

>>> import numpy as np
>>> spec = ConformalRank()
>>> state = spec.init(1)
>>> for score in np.linspace(0.0, 3.0, 99):
...     state, p = spec.calibrate(state, np.array([score]), np.array([True]))
>>> for score in (1.5, 3.1, 30.0):
...     print(spec.calibrate(state, np.array([score]), np.array([False]))[1].round(5))
[0.54172]
[0.02013]
[0.0001]
"""

from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from detectors.base import Bools, Floats, Ints, Memory

BINS, PER_DOUBLING = 128, 8
_FORGOTTEN = 1e-3  # what a bin's count fades to before the bin no longer counts as filled


class ConformalState(NamedTuple):
    counts: Floats  # (n, BINS) past scores, fading


class ConformalRank(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="conformal_rank"):
    memory: Memory = 5_000.0  # half-life, scores
    prior_strength: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 50.0  # past scores' worth of belief in the prior

    def init(self, n: int) -> ConformalState:
        return ConformalState(np.zeros((n, BINS)))

    def calibrate(
        self, state: ConformalState, score: Floats, learn: Bools, prior: Floats | None = None
    ) -> tuple[ConformalState, Floats]:
        """The state after the score and P(a score at least so high), by the state before it; NaN where not observed."""
        seen = ~np.isnan(score)
        at = position(np.where(seen, score, 0.0))
        tails = at_least(state.counts)
        belief = 0.0 if prior is None else self.prior_strength
        past = belief + tails[:, 0]
        inside = belief * (1.0 if prior is None else prior) + taken(tails, at.astype(np.int64))
        p = (1.0 + inside) / (1.0 + past) * self._beyond(state.counts, tails, at)
        return ConformalState(counted(state.counts, at, seen & learn, self.memory)), np.where(seen, p, np.nan)

    def _beyond(self, counts: Floats, tails: Floats, at: Floats) -> Floats:
        """1 up to the highest bin ever filled; from there on, the share of the tail that lies as far out."""
        highest, total = top(counts), tails[:, 0]
        start = np.minimum(first_under(tails, 0.05), highest)
        excess = np.where(np.arange(BINS) >= start[:, None], counts * (np.arange(BINS) - start[:, None] + 0.5), 0.0)
        mean = (1.0 + np.cumsum(excess, axis=1)[:, -1]) / (1.0 + taken(tails, start))
        further = np.maximum(at - (highest + 1), 0.0)
        share = np.exp2(-np.minimum(further / np.maximum(mean, 0.5), 1000.0) / np.log(2.0))
        return np.where(total > 0, np.maximum(share, 1.0 / (1.0 + total)), 1.0)


def ranked(
    rank: ConformalRank, past: ConformalState, detector: Any, state: Any, score: Floats, learn: Bools
) -> tuple[ConformalState, Floats]:
    """`calibrate` for a detector's score, from its state before: until it is ready, p is 1 and nothing is learned."""
    ready = getattr(detector, "ready", None)
    heard = np.ones_like(learn) if ready is None else ready(state)
    past, p = rank.calibrate(past, score, learn & heard)
    return past, np.where(heard | np.isnan(p), p, 1.0)


def position(score: Floats) -> Floats:
    """Where scores lie on the bins' axis: bin i holds i <= position < i + 1."""
    where: Floats = np.minimum(np.log2(1.0 + np.maximum(score, 0.0)) * PER_DOUBLING, BINS - 1e-6)
    return where


def score_at(where: Floats) -> Floats:
    """The score at a position: the inverse of `position`."""
    score: Floats = np.exp2(where / PER_DOUBLING) - 1.0
    return score


def at_least(counts: Floats) -> Floats:
    """Past scores in each bin or a higher one."""
    tails: Floats = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    return tails


def taken(bins: Floats, place: Ints) -> Floats:
    value: Floats = np.take_along_axis(bins, place[:, None], axis=1)[:, 0]
    return value


def top(counts: Floats) -> Ints:
    """The highest bin that is filled; 0 where none is."""
    filled = counts > _FORGOTTEN
    return np.where(filled.any(axis=1), BINS - 1 - filled[:, ::-1].argmax(axis=1), 0)


def first_under(tails: Floats, share: float) -> Ints:
    """The lowest bin that at most that share of past scores reaches (or one score); BINS - 1 where none is."""
    few = tails <= np.maximum(share * tails[:, :1], 1.0)
    return np.where(few.any(axis=1), few.argmax(axis=1), BINS - 1)


def counted(counts: Floats, at: Floats, learn: Bools, memory: float) -> Floats:
    """The counts with one score more where learn."""
    rows = np.flatnonzero(learn)
    new = np.where(learn[:, None], counts * 0.5 ** (1.0 / memory), counts)
    new[rows, at[rows].astype(np.int64)] += 1.0
    return new
