"""The peers: z-scores of each vendor and day, against its own last 60 days. And what they look at.

Measures: reviews, five-star reviews, low-star reviews (1 or 2), the low share (of days with 5 reviews or more), and
reviews by who had reviewed the vendor in the 30 days before, but for the last quarter of an hour. A standard
deviation is at least 1 review, or 0.05 of a share; a day needs at least 3 of what is counted. `windows` are
sums over so many days that slide by a day.
"""

import numpy as np
from reviews_alarms import Scores, ordered
from reviews_plant import DAY, Reviews

PAST = 60  # days
WARMUP = 14  # days since the vendor's first review
LEAST, LEAST_OF = 3.0, 5.0
QUARTER = 900_000


class Days:
    """Counts by vendor and day, from the first day on."""

    def __init__(self, reviews: Reviews, vendors: int) -> None:
        self.first = int(reviews.time.min()) // DAY
        self.day = reviews.time // DAY - self.first
        self.shape = (int(self.day.max()) + 1, vendors)
        self.vendor = reviews.vendor
        self.reviews = self.count(np.ones(len(self.day), dtype=bool))
        self.five = self.count(reviews.stars == 5)
        self.low = self.count(reviews.stars <= 2)
        self.repeats = self.count(repeated(reviews))

    def count(self, some: np.ndarray) -> np.ndarray:
        out = np.zeros(self.shape)
        np.add.at(out, (self.day[some], self.vendor[some]), 1.0)
        return out

    def alive(self) -> np.ndarray:
        """Whether a vendor had a review in the 60 days before, or that day."""  # (days, vendors)
        return sliding(self.reviews, PAST + 1) > 0


def repeated(reviews: Reviews) -> np.ndarray:
    """Which reviews are by someone who had reviewed this vendor in the month before, and not just now."""
    key = reviews.vendor * 100_000_000 + reviews.reviewer
    order = np.lexsort((reviews.time, key))
    same = key[order][1:] == key[order][:-1]
    since = reviews.time[order][1:] - reviews.time[order][:-1]
    out = np.zeros(len(key), dtype=bool)
    out[order[1:]] = same & (since >= QUARTER) & (since <= 30 * DAY)
    return out


def sliding(counts: np.ndarray, days: int) -> np.ndarray:
    """Sums over the last `days` days, the day itself among them."""
    total = np.cumsum(counts, axis=0)
    out = total.copy()
    out[days:] -= total[:-days]
    return out


def z_scores(days: Days, windows: tuple[int, ...]) -> dict[str, Scores]:
    """By test; what resembles one another is one signal, as it is for the detectors."""
    counts = {"surge.reviews": days.reviews, "surge.five": days.five, "low.count": days.low}
    counts["ring.repeats"] = days.repeats
    out = {}
    for size in windows:
        for name, each in counts.items():
            value = sliding(each, size)
            out[f"{name}_{size}d"] = _z(days, value, value >= LEAST, np.ones_like(value), 1.0)
        trials, low = sliding(days.reviews, size), sliding(days.low, size)
        enough = trials >= LEAST_OF
        share = low / np.maximum(trials, 1.0)
        out[f"low.share_{size}d"] = _z(days, share, enough & (low >= LEAST), enough.astype(float), 0.05)
    return out


def _z(days: Days, value: np.ndarray, fit: np.ndarray, weight: np.ndarray, sd_min: float) -> Scores:
    """(value - mean) / sd over the PAST days before, those of weight 1 alone."""
    n, total, square = (sliding(a, PAST)[:-1] for a in (weight, weight * value, weight * value * value))
    n = np.maximum(n, 1.0)
    mean = total / n
    sd = np.maximum(np.sqrt(np.maximum(square / n - mean * mean, 0.0)), sd_min)
    z = (value[1:] - mean) / sd
    known = np.cumsum(np.cumsum(days.reviews, axis=0) > 0, axis=0)[1:] > WARMUP
    day, vendor = np.nonzero(fit[1:] & known & (z > 1.0))
    return ordered(Scores((day + 1 + days.first + 1) * DAY, vendor, z[day, vendor]))
