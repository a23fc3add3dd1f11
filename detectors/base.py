"""The contract that every detector keeps: a frozen spec, and two pure functions over arrays with the entity on axis 0.

A detector answers one question, "how strange is this value for this entity?", and remembers what it needs for the
next answer. It holds no clock, no randomness and no I/O, and it decides nothing: a score is not an alert.
"""

from typing import Annotated, NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SCORE_DECIMALS = 6
HALVING = float(np.log(2.0))  # what a half-life takes off, in logs
SCORE_MAX = 300.0  # scores that are -log10 p are clamped here, so that they stay finite and p-values stay above 0

# What fields may hold: within these bounds no arithmetic here runs into 0, infinity or NaN.
Memory = Annotated[float, msgspec.Meta(ge=1e-3, le=1e9)]  # a half-life
Strength = Annotated[float, msgspec.Meta(ge=1e-6, le=1e9)]  # of a belief, in samples or what they hold
Weight = Annotated[float, msgspec.Meta(ge=1e-9, lt=1)]  # of the newest sample in a mean
Deviation = Annotated[float, msgspec.Meta(ge=1e-12, le=1e12)]  # standard, or a floor under it
Warmup = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]  # samples


class Observation(NamedTuple):
    """What n entities did in one window or pane. A NaN value means: not observed, leave this entity alone."""

    value: Floats  # (n,) what was measured: a count, a sum, an event's code
    exposure: Floats  # (n,) trials behind the value (a share's denominator); 1 where it means nothing
    expected: Floats  # (n,) the value that a typical peer would have had: profile x exposure x peers' rate x lift
    dispersion: Floats  # (n,) variance beyond Poisson, as a share of expected squared: var = m + dispersion * m**2
    time: Ints  # (n,) ms, event time at which the value stood: the pane's end, or the event's own time
    gap: Ints  # (n,) panes that the entity sat out since it last stepped; each had value 0
    gap_expected: Floats  # (n,) the sum of `expected` over those panes
    learn: Bools  # (n,) whether to learn from the value after scoring it (overlapping windows score without learning)
    between: Floats  # (n,) relative variance of the peers' levels; 0: unknown, then the detector's own prior stands


class Score(NamedTuple):
    """How strange each value was, judged before the value was learned."""

    score: Floats  # (n,) in the detector's stated unit, rounded to SCORE_DECIMALS; NaN where not observed
    expected: Floats  # (n,) the value that the detector itself expected
    p_value: Floats  # (n,) P(a score at least so high when nothing is wrong); NaN where the detector has none


State = TypeVar("State", bound=tuple[NDArray[np.generic], ...])


class Detector(Protocol[State]):
    """A frozen spec. Its fields are its configuration; its memory is a NamedTuple of arrays, entity on axis 0.

    One that judges a value by itself may offer `usual_range` and `clears_at`, one of lasting changes `changed_at`. One
    that scores 0 while it warms up offers `ready(state)`: (n,) whether it scores the next value, whatever gap it has.
    """

    def init(self, n: int) -> State:
        """Memory for n entities that have seen nothing."""
        ...

    def step(self, state: State, x: Observation) -> tuple[State, Score]:
        """Score x against state, then learn from it where `x.learn`.

        Never modifies state or x; entities whose value is NaN stay exactly as they were.
        """
        ...


def observe(
    value: ArrayLike,
    *,
    exposure: ArrayLike = 1.0,
    expected: ArrayLike = 1.0,
    dispersion: ArrayLike = 0.0,
    time: ArrayLike = 0,
    gap: ArrayLike = 0,
    gap_expected: ArrayLike = 0.0,
    learn: ArrayLike = True,
    between: ArrayLike = 0.0,
) -> Observation:
    """An Observation from whatever broadcasts to the value's shape.

    >>> observe([3, 5], expected=4.0).expected
    array([4., 4.])
    """
    values = np.atleast_1d(np.asarray(value, dtype=np.float64))

    def filled(x: ArrayLike, dtype: type) -> NDArray:  # type: ignore[type-arg]
        return np.ascontiguousarray(np.broadcast_to(np.asarray(x, dtype=dtype), values.shape))

    return Observation(
        values,
        filled(exposure, np.float64),
        filled(expected, np.float64),
        filled(dispersion, np.float64),
        filled(time, np.int64),
        filled(gap, np.int64),
        filled(gap_expected, np.float64),
        filled(learn, np.bool_),
        filled(between, np.float64),
    )
