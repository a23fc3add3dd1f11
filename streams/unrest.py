"""Whose days vary more than others': some creators sell evenly, some in bursts, and only the latter may."""

import numpy as np

from detectors.base import Floats, Ints
from streams.market import DAY, Spread, widened

PRIOR_DAYS = 4.0  # days of many events after which a creator's own variation weighs half
FADE = 0.5 ** (DAY / (21 * DAY))  # a day: a half-life of 21 days
ALWAYS_MIN, RATIO_MIN = 0.02, 0.25


class Unrest:
    """How much more, or less, than its market's creators each one varies from day to day.

    Days of an open episode count too: who often has days like that is restless, whatever else it is.
    """

    def __init__(self, capacity: int) -> None:
        self.sums = np.zeros((2, capacity))  # (2, capacity) of its days: variance beyond Poisson, and weight; faded

    def grow(self, capacity: int) -> None:
        self.sums = widened(self.sums, capacity)

    def forget(self, slot: Ints) -> None:
        self.sums[:, slot] = 0.0

    def ratio(self, slot: Ints, always: Floats) -> Floats:
        """Own variance over the market's `always`, shrunk to 1."""
        beyond, weight = self.sums[:, slot]
        ratio = (PRIOR_DAYS + beyond / np.maximum(always, ALWAYS_MIN)) / (PRIOR_DAYS + weight)
        least: Floats = np.maximum(ratio, RATIO_MIN)
        return least

    def learn(self, slot: Ints, value: Floats, mean: Floats, stated: Floats, doubt: Floats) -> None:
        """A day of each; relative variances: `stated` in all, and `doubt` the part that is not the creator's."""
        square = mean * mean
        most = Spread.SURPRISE_MAX["volume"] * (1.0 + mean + stated * square)
        residual = np.minimum((value - mean) * (value - mean), most)
        scale = (1.0 + mean) * (1.0 + mean)
        day = np.stack([(residual - mean - doubt * square) / scale, square / scale])
        self.sums[:, slot] = FADE * self.sums[:, slot] + day
