"""Ensemble: several detectors of one series, each judged by its own past, as one p-value.

The default is the detector for a series of which nothing is known: a jump (long EWMA z-score), a burst or shift
that lasts a while (EWMA chart), a value strange for its hour (seasonal residual), a mix of values never seen
(relative entropy), a shape never seen (nearest neighbours).
Sees: what any member sees, in units that differ as they may: each member's score first becomes its conformal rank
(conformal.py), so a member that is often excited speaks only when it is more excited than usual. Misses: what
all members miss; a second anomaly like the first, and
anything in a series' first days, when the past is too short for a small p. While a member warms up its p is 1.

Formula: with L = -log10 of each of K members' p, T = max(L) + agreement * mean(L): one member is enough, several
that agree count for more. p = min(1, K * 10**(-T / (1 + agreement))): T is at most (1 + agreement) * max(L), so
by Bonferroni P(p <= a) <= a however members depend on each other, as long as their own p-values hold
(conformal.py: exchangeable scores). It is cautious: where the threshold matters, set it from simulation.
Score: -log10 p, at most SCORE_MAX. p_value: p. expected: of the first member that the highest L belongs to.
`gap` is ignored: step it with the quiet panes' zeros. Units: the value's own. Cost: the members' and 1 kB an
entity and member; the default 27 kB, 50 us.
Reference: Vovk and Wang, Biometrika 107 (2020), for merging p-values; Burnaev and Ishimtsev, arXiv 1608.04585
(2016), for conformal scores on streams.

>>> from detectors.base import observe
>>> spec = Ensemble()
>>> state = spec.init(1)
>>> for i in range(400):
...     state, usual = spec.step(state, observe([20 + (i * 37) % 11], time=i * 300_000))
>>> state, strange = spec.step(state, observe([45], time=400 * 300_000))
>>> usual.score.round(1), strange.score.round(1)
(array([0.]), array([4.]))
"""

import functools
from collections import namedtuple
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import numpy as np

from detectors.base import SCORE_MAX, Bools, Floats, Ints, Memory, Observation, Score
from detectors.conformal import ConformalRank, ConformalState, ranked
from detectors.ewma import EwmaZ
from detectors.ewma_chart import EwmaChart
from detectors.generalized_pareto import PeaksOverThreshold
from detectors.histogram import RelativeEntropy
from detectors.neighbours import NearestNeighbours
from detectors.robust_z import RobustZ
from detectors.seasonal import SeasonalResidual
from detectors.tails import surprise

Member = (
    EwmaZ | EwmaChart | RobustZ | SeasonalResidual | RelativeEntropy | NearestNeighbours | PeaksOverThreshold
)

_NO_FLOOR = 1e-9  # ranks need no floor under a standard deviation
LEVEL = EwmaZ(direction="both", alpha=0.0002, sd_min=_NO_FLOOR)
LASTING = EwmaChart(direction="both", alpha=0.0002, sd_min=_NO_FLOOR)
SEASON = SeasonalResidual(direction="both", sd_min=_NO_FLOOR)
MIX = RelativeEntropy()
SHAPE = NearestNeighbours()


class Ensemble(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ensemble"):
    members: Annotated[tuple[Member, ...], msgspec.Meta(min_length=1)] = (LEVEL, LASTING, SEASON, MIX, SHAPE)
    agreement: Annotated[float, msgspec.Meta(ge=0, le=1e3)] = 0.5  # weight of the mean beside the maximum
    memory: Memory = 5_000.0  # half-life of a member's past score, samples

    def init(self, n: int) -> Any:
        """A named tuple of the members' fields and, for each, the counts of its past scores."""
        rank = ConformalRank(memory=self.memory)
        parts = [a for member in self.members for a in (*member.init(n), *rank.init(n))]
        return _state_type(self.members)(*parts)

    def step(self, state: Any, x: Observation) -> tuple[Any, Score]:
        seen = ~np.isnan(x.value)
        x = x._replace(gap=np.zeros_like(x.gap))
        rank = ConformalRank(memory=self.memory)
        parts: list[Any] = []
        strange, expected = [], []
        for member, own, past in self._parts(state):
            new, score = member.step(own, x)
            past, p = ranked(rank, past, member, own, score.score, x.learn)
            parts += (*new, *past)
            strange.append(-np.log10(np.where(seen, p, 1.0)))
            expected.append(score.expected)
        p = merged(np.stack(strange), self.agreement)
        told = np.take_along_axis(np.stack(expected), np.argmax(strange, axis=0)[None, :], axis=0)[0]
        score = Score(*(np.where(seen, a, np.nan) for a in (surprise(p), told, p)))
        return type(state)(*parts), score

    def ready(self, state: Any) -> Bools:
        """Whether the next value is scored by every member, (n,)."""
        heard = np.ones(len(state[0]), dtype=np.bool_)
        for member, own, _ in self._parts(state):
            heard &= member.ready(own)
        return heard

    def _parts(self, state: Any) -> Iterator[tuple[Member, Any, ConformalState]]:
        """Each member with its own state and its past scores."""
        place = 0
        for member in self.members:
            own = type(member.init(0))
            width = len(own._fields)
            yield member, own(*state[place : place + width]), ConformalState(state[place + width])
            place += width + 1


def merged(strange: Floats, agreement: float) -> Floats:
    """One p-value from several members' -log10 p, shape (members, n); see Formula.

    >>> merged(np.array([[4.0, 4.0], [0.0, 4.0]]), 0.5).round(6)
    array([0.000928, 0.0002  ])
    """
    total = np.zeros_like(strange[0])
    for one in strange:
        total = total + one
    t = np.maximum.reduce(strange, axis=0) + agreement * total / len(strange)
    score = t / (1.0 + agreement) - np.log10(len(strange))
    p: Floats = np.exp2(-np.clip(score, 0.0, SCORE_MAX) * np.log2(10.0))
    return p


@functools.cache
def _state_type(members: tuple[Member, ...]) -> Any:
    """A NamedTuple class whose fields are the members' fields, each behind its member's place and tag."""
    names = []
    for i, member in enumerate(members):
        fields = (*member.init(0)._fields, "past_scores")
        names += [f"{member.__struct_config__.tag}_{i}_{field}" for field in fields]
    return namedtuple("EnsembleState", names)


def refractory(left: Ints, alert: Bools, steps: int) -> tuple[Ints, Bools]:
    """Which alerts pass when each entity stays silent for `steps` steps after one that did, and the steps left.

    >>> left, passed = refractory(np.array([0, 2, 0]), np.array([True, True, False]), 5)
    >>> left, passed
    (array([4, 1, 0]), array([ True, False, False]))
    """
    passes = alert & (left <= 0)
    return np.where(passes, steps - 1, np.maximum(left - 1, 0)), passes
