"""NAB's scoring rules: what a corpus of scored series is worth at one threshold, and at the best one.

A detection is a point whose score reaches the threshold. The first min(15 %, 750 points) of a series are not scored.
Within an anomaly's window only the best detection counts: f(p) / f(-1), with f(p) = 2 / (1 + exp(5 p)) - 1 and p from
-1 at the window's left edge to nearly 0 at its right. A window without a detection is worth -1 (low_fn: -2). A
detection outside is worth 0.11 (low_fp: 0.22) of f(distance past the window before, in widths of that window); of -1
where no window came before, or it is more than three widths away. One threshold serves the corpus. 0 is what no
detection at all scores, 100 is a detection at the left edge of each window and none elsewhere.
Reference: Lavin and Ahmad, ICMLA (2015); Numenta Anomaly Benchmark, version 1.1.
"""

import csv
import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

OUTSIDE, UNSCORED = -1, -2


class Profile(NamedTuple):
    false_positive: float
    miss: float


PROFILES = {"standard": Profile(0.11, 1.0), "low_fp": Profile(0.22, 1.0), "low_fn": Profile(0.11, 2.0)}


class Series(NamedTuple):
    name: str  # category/file.csv
    stamps: tuple[str, ...]  # as in the file
    time: Ints  # (points,) ms
    value: Floats  # (points,) as measured
    windows: tuple[tuple[int, int], ...]  # first and last point of each anomaly's window


class Judged(NamedTuple):
    """What each point of a corpus is worth, its series one after the other."""

    worth: Floats  # (points,) inside a window 0..1, outside -1..0
    window: Ints  # (points,) the window's number in the corpus, OUTSIDE or UNSCORED
    windows: int
    owner: Ints  # (windows,) the series that each window belongs to


def read(folder: Path) -> list[Series]:
    """Every series of the folder that has labels there, in the order of its name."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    found = sorted(path.relative_to(folder / "data").as_posix() for path in (folder / "data").glob("*/*.csv"))
    return [series_of(name, folder / "data" / name, labels[name]) for name in found if name in labels]


def series_of(name: str, path: Path, labels: list[list[str]]) -> Series:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row[0], float(row[1])) for row in list(csv.reader(file))[1:]]
    stamps = tuple(stamp for stamp, _ in rows)
    time = np.array([_ms(stamp) for stamp in stamps], dtype=np.int64)
    windows = []
    for left, right in labels:
        first = int((time >= _ms(left)).argmax())  # a stamp may come twice: the first of them
        windows.append((first, first + int((time[first:] >= _ms(right)).argmax())))
    return Series(name, stamps, time, np.array([value for _, value in rows]), tuple(sorted(windows)))


def _ms(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp() * 1000)


def unscored(points: int) -> int:
    """Points at the beginning that NAB does not score."""
    return int(min(np.floor(0.15 * points), 750))


def scaled_sigmoid(position: Floats) -> Floats:
    return np.where(position > 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(position, 3.0))) - 1.0)


def judge(corpus: list[Series]) -> Judged:
    worth, window, owner, number = [], [], [], 0
    for which, series in enumerate(corpus):
        w, i = np.full(len(series.value), -1.0), np.full(len(series.value), OUTSIDE)
        for first, last in series.windows:
            width = last - first + 1
            inside = np.arange(first, last + 1)
            w[inside] = scaled_sigmoid((inside - last - 1) / width) / scaled_sigmoid(np.array(-1.0))
            i[inside] = number
            past = np.arange(1, len(w) - last)
            w[last + 1 :] = scaled_sigmoid(past / max(width - 1, 1))
            number += 1
            owner.append(which)
        i[: unscored(len(w))] = UNSCORED
        worth.append(w)
        window.append(i)
    return Judged(np.concatenate(worth), np.concatenate(window), number, np.array(owner, dtype=np.int64))


def normalised(raw: float, judged: Judged, profile: Profile) -> float:
    """0 for no detection, 100 for a perfect detector; where there is no window, the raw score."""
    nothing = -profile.miss * judged.windows
    return 100.0 * (raw - nothing) / (judged.windows - nothing) if judged.windows else raw


def worth_of(detected: Bools, judged: Judged, profile: Profile) -> float:
    """The normalised score of a set of detections."""
    outside = detected & (judged.window == OUTSIDE)
    inside = detected & (judged.window >= 0)
    best = np.full(judged.windows, -profile.miss)
    np.maximum.at(best, judged.window[inside], judged.worth[inside])
    raw = best.sum() + profile.false_positive * judged.worth[outside].sum()
    return normalised(float(raw), judged, profile)


def counts(detected: Bools, judged: Judged) -> tuple[int, int]:
    """Windows with a detection, and detections outside windows."""
    hit = np.unique(judged.window[detected & (judged.window >= 0)])
    return len(hit), int((detected & (judged.window == OUTSIDE)).sum())


def best_threshold(scores: Floats, judged: Judged, profile: Profile) -> tuple[float, float]:
    """The threshold that is best for the corpus, and its score; infinite where silence is best."""
    scored = np.flatnonzero(judged.window != UNSCORED)
    order = scored[np.argsort(-scores[scored], kind="stable")]
    window, worth = judged.window[order], judged.worth[order]
    gain = np.where(window == OUTSIDE, profile.false_positive * worth, 0.0)
    by_window = np.argsort(window, kind="stable")
    starts = np.searchsorted(window[by_window], np.arange(judged.windows + 1))
    for first, last in itertools.pairwise(starts):
        points = by_window[first:last]
        best = np.maximum.accumulate(np.concatenate([[-profile.miss], worth[points]]))
        gain[points] = np.diff(best)
    raw = np.cumsum(gain) - profile.miss * judged.windows
    falls = np.append(np.diff(scores[order]) != 0, True)  # equal scores are detected together
    at = np.flatnonzero(falls)[raw[falls].argmax()]
    silence = normalised(-profile.miss * judged.windows, judged, profile)
    found = normalised(float(raw[at]), judged, profile)
    return (float(scores[order[at]]), found) if found > silence else (float("inf"), silence)


class Outcomes(NamedTuple):
    """What each series of a corpus is worth at each threshold."""

    thresholds: Floats  # (thresholds,)
    raw: Floats  # (series, thresholds)
    windows: Ints  # (series,)

    def of(self, part: Ints, profile: Profile) -> Floats:
        """The normalised score of these series at each threshold."""
        windows = int(self.windows[part].sum())
        total = self.raw[part].sum(axis=0)
        return 100.0 * (total + profile.miss * windows) / (windows * (1.0 + profile.miss)) if windows else total


def spaced(detected: Bools, starts: Ints, steps: int) -> Bools:
    """Detections that are left when, after each, its series stays silent for `steps` points; 0: all."""
    if steps < 2:
        return detected
    kept = np.zeros_like(detected)
    for first, last in itertools.pairwise(starts):
        points = np.flatnonzero(detected[first:last]) + first
        place = 0
        while place < len(points):
            kept[points[place]] = True
            place = int(np.searchsorted(points, points[place] + steps))
    return kept


def outcomes(scores: Floats, judged: Judged, starts: Ints, steps: int, profile: Profile) -> Outcomes:
    """At 100 thresholds, from one detection in 50,000 points to one in 5; the silence belongs to the threshold."""
    high = scores[(judged.window != UNSCORED) & (scores > 0)]
    thresholds = np.unique(np.quantile(high, 1.0 - np.logspace(-4.7, -0.7, 100)))
    series, owner = len(starts) - 1, judged.owner
    raw = np.zeros((series, len(thresholds)))
    for i, threshold in enumerate(thresholds):
        kept = spaced(scores >= threshold, starts, steps)
        false = np.where(kept & (judged.window == OUTSIDE), judged.worth, 0.0)
        inside = kept & (judged.window >= 0)
        best = np.full(judged.windows, -profile.miss)
        np.maximum.at(best, judged.window[inside], judged.worth[inside])
        found = np.bincount(owner, weights=best, minlength=series)
        raw[:, i] = profile.false_positive * np.add.reduceat(false, starts[:-1]) + found
    return Outcomes(thresholds, raw, np.bincount(owner, minlength=series))
