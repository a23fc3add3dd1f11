"""What the online default is compared with: segmentations by l2 cost that see the whole series, and plain charts.

Optimal partitioning gives what PELT (Killick, Fearnhead and Eckley, JASA 107, 2012) gives: PELT only prunes.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def standardised(series: Floats) -> Floats:
    """With the whole series' mean and standard deviation: look-ahead, as TCPDBench does."""
    sd = series.std()
    return (series - series.mean()) / (sd if sd > 0 else 1.0)


def costs_from(sums: Floats, squares: Floats, starts: NDArray[np.int64], end: int) -> Floats:
    """The squared error around the mean of series[start:end], for each start."""
    total = sums[end] - sums[starts]
    return squares[end] - squares[starts] - total * total / (end - starts)


def prefix(series: Floats) -> tuple[Floats, Floats]:
    return np.concatenate([[0.0], np.cumsum(series)]), np.concatenate([[0.0], np.cumsum(series * series)])


def pelt(series: Floats, penalty: float, shortest: int = 2) -> list[int]:
    """The changes whose squared error plus penalty a change is the least."""
    n = len(series)
    sums, squares = prefix(series)
    best, last = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
    best[0] = -penalty
    for end in range(shortest, n + 1):
        starts = np.arange(0, end - shortest + 1)
        totals = best[starts] + costs_from(sums, squares, starts, end) + penalty
        last[end] = totals.argmin()
        best[end] = totals[last[end]]
    changes, end = [], n
    while end > 0:
        end = int(last[end])
        changes.append(end)
    return sorted(changes)[1:]


def best_split(sums: Floats, squares: Floats, a: int, b: int, shortest: int) -> tuple[float, int]:
    """The split of series[a:b] that saves most squared error, and how much; 0 where there is none."""
    at = np.arange(a + shortest, b - shortest + 1)
    if not at.size:
        return 0.0, a
    left, right = sums[at] - sums[a], sums[b] - sums[at]
    total = sums[b] - sums[a]
    gains = left * left / (at - a) + right * right / (b - at) - total * total / (b - a)
    i = int(gains.argmax())
    return float(gains[i]), int(at[i])


def binary_segmentation(series: Floats, penalty: float, shortest: int = 2) -> list[int]:
    """Splits, each the best of its segment, while they save more than the penalty."""
    sums, squares = prefix(series)
    changes: list[int] = []
    segments = [(0, len(series))]
    while segments:
        a, b = segments.pop()
        gain, at = best_split(sums, squares, a, b, shortest)
        if gain > penalty:
            changes.append(at)
            segments += [(a, at), (at, b)]
    return sorted(changes)


def restart_glr(series: Floats, threshold: float) -> tuple[list[int], Floats]:
    """The GLR of a change of mean since the last change, sd 1: decided when over the threshold. And the scores."""
    sums, squares = prefix(series)
    changes, begin, scores = [], 0, np.zeros(len(series))
    for i in range(len(series)):
        gain, at = best_split(sums, squares, begin, i + 1, 1)
        scores[i] = gain
        if gain > threshold:
            changes.append(at)
            begin = at
    return changes, scores


def plain_z(series: Floats, threshold: float = 4.0, warmup: int = 10) -> tuple[list[int], Floats]:
    """Standard deviations from the mean of all values so far; an alarm starts the learning anew."""
    count = mean = square = 0.0
    changes, scores = [], np.zeros(len(series))
    for i, value in enumerate(series):
        sd = np.sqrt(square / count) if count else 0.0
        scores[i] = abs(value - mean) / sd if count >= warmup and sd > 0 else 0.0
        if scores[i] > threshold:
            changes.append(i)
            count = mean = square = 0.0
        count += 1.0
        off = value - mean
        mean += off / count
        square += off * (value - mean)
    return changes, scores


def page_hinkley(
    series: Floats, slack: float = 0.5, threshold: float = 10.0, warmup: int = 10
) -> tuple[list[int], Floats]:
    """Both directions of Page and Hinkley's sum, in standard deviations so far; restarts at an alarm."""
    count = mean = square = up = down = 0.0
    changes, scores = [], np.zeros(len(series))
    for i, value in enumerate(series):
        count += 1.0
        off = value - mean
        mean += off / count
        square += off * (value - mean)
        sd = np.sqrt(square / count)
        if count <= warmup or sd == 0.0:
            continue
        z = (value - mean) / sd
        up, down = max(up + z - slack, 0.0), max(down - z - slack, 0.0)
        scores[i] = max(up, down)
        if scores[i] > threshold:
            changes.append(i)
            count = mean = square = up = down = 0.0
    return changes, scores
