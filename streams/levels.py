"""How much the levels of peers differ: the prior that a creator of few events is shrunk by is learned from all of them.

A level that lasts shows twice: in what an entity did before and in what it did today. Their common part, over all
entities, is the variance of the levels, and nothing else: what is chance in the one is not in the other.
"""

import numpy as np

from detectors.base import Bools, Floats
from streams.market import DAY, SCALE, TURN, fixed

PRIOR = 30.0  # pairs of large counts that the prior before anything is known is worth
FADE = 0.5 ** (TURN / (28 * DAY))  # a turn: a half-life of 28 days
MOST = 9.0  # a pair counts for at most so much relative variance: attacks are not levels
RANGE = (0.004, 10.0)


class Levels:
    """The relative variance of the entities' levels for one test, shrunk to what the detector's own prior says."""

    def __init__(self, prior: float) -> None:
        self.prior = prior
        self.sums = np.zeros(2)  # common variation, and weight; faded

    def between(self) -> float:
        common, weight = self.sums.tolist()
        return float(np.clip((common + PRIOR * self.prior) / (weight + PRIOR), *RANGE))

    def learn(self, hits: Floats, mass: Floats, value: Floats, expected: Floats, tells: Bools) -> None:
        """Before and today: `hits` of `mass` expected, then `value` of `expected`, all by the peers' level."""
        scale = (1.0 + mass) * (1.0 + expected)
        pair = np.clip((hits - mass) * (value - expected) / scale, -MOST, MOST)
        weight = mass * expected / scale
        tells = tells & (mass > 0.0) & (expected > 0.0)
        sums = np.stack([np.where(tells, fixed(part), 0) for part in (pair, weight)])
        self.sums = FADE * self.sums + sums.sum(axis=1) / SCALE
