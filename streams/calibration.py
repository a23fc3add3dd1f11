"""How rare a score really is: the tail that the stream shows, beside the one that the detector promises.

A detector's score is -log10 p under its own model, and real counts can have longer tails than any model: the same 3.0
is one window in 1,000 here and one in 100 there. So the tail above FROM is learned from the windows of all entities,
loud and quiet ones alike, as an exponential one: how often a score exceeds FROM, and by how much on average; apart for
small and large expected counts, whose errors differ. A score is then judged by its place in that tail. Scores are only
ever lowered: where a detector is too cautious, counts being whole, it stays so.
"""

import math

import numpy as np

from detectors.base import SCORE_DECIMALS, Floats, Ints
from streams.market import DAY, SCALE, TURN, add_up, fixed

FROM = 1.0  # detectors report lower scores as 0
EXCESS_MAX = 3.0  # a score counts for at most so much above FROM: attacks are not noise
PROMISED_OVER = 10.0**-FROM  # share of scores over FROM, if the detector's model is true
PROMISED_EXCESS = 1.0 / math.log(10.0)  # their mean excess
PRIOR_SAMPLES, PRIOR_EXCESSES = 200.0, 20.0  # the promise is worth so many of each
EXPECTED_MIN = 0.5  # windows in which fewer events are expected say nothing of the tail
CLASSES = np.array([2.0, 8.0, 32.0])  # expected counts between two classes
FADE = 0.5 ** (TURN / (14 * DAY))  # a turn: a half-life of 14 days


class Calibration:
    """The tail of the scores of each window of one test, by the expected count."""

    def __init__(self, windows: int) -> None:
        classes = len(CLASSES) + 1
        self.sums = np.zeros((3, windows, classes))  # scores, those over FROM, and their excess; all faded

    def learn(self, window: int, hop: int, score: Floats, expected: Floats) -> None:
        """Scores of a sample of entities, chosen without looking at their values."""
        tells = expected >= EXPECTED_MIN
        over = tells & (score > FROM)
        excess = np.where(over, np.minimum(score - FROM, EXCESS_MAX), 0.0)
        at, n = _class(expected), self.sums.shape[2]
        sums = np.stack([add_up(at, fixed(part), n) for part in (tells, over, excess)])
        self.sums[:, window] *= FADE ** max(hop // TURN, 1)
        self.sums[:, window] += sums / SCALE

    def calibrated(self, window: int, score: Floats, expected: Floats) -> Floats:
        """-log10 of how often a score is at least so high."""
        start, slope = self._tail(window, expected)
        lower = np.minimum(score, np.maximum(start + (score - FROM) / slope, 0.0))
        placed: Floats = np.where(score > FROM, lower, score)
        return np.round(placed, SCORE_DECIMALS)

    def raw(self, window: int, calibrated: float, expected: Floats) -> float:
        """The lowest score of the detector's own that is calibrated to this one."""
        start, slope = self._tail(window, expected)
        return float(np.maximum(calibrated, FROM + (calibrated - start) * slope)[0])

    def _tail(self, window: int, expected: Floats) -> tuple[Floats, Floats]:
        """The calibrated score at FROM, and how much slower than promised the tail falls from there."""
        samples, over, excess = self.sums[:, window]
        share = (over + PROMISED_OVER * PRIOR_SAMPLES) / (samples + PRIOR_SAMPLES)
        mean = (excess + PROMISED_EXCESS * PRIOR_EXCESSES) / (over + PRIOR_EXCESSES)
        start, slope = np.minimum(-np.log10(share), FROM), np.maximum(mean / PROMISED_EXCESS, 1.0)
        at = _class(expected)
        return start[at], slope[at]


def _class(expected: Floats) -> Ints:
    return np.searchsorted(CLASSES, expected, side="right").astype(np.int64)
