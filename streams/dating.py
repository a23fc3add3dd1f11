"""When the change behind an alert began: the start, among the panes still held, that explains their counts best.

With k events since a start where m were expected, the likelihood ratio of "k is what is usual since then" is k*log(k/m)
- (k - m), as in FOCuS; the start with the largest is the date. As good as Bayesian changepoint detection where the
expectation is known, at a hundredth of the cost (benchmarks/quality/dating.py). Pure.
"""

import numpy as np
from scipy import special

from detectors.base import Floats
from streams.rates import RateWatch
from streams.series import SeriesWatch


def changed_at(watch: RateWatch, window: int, slot: int, end: int, expected: float) -> int | None:
    """ms, the beginning of the pane with which the change began; None where the panes say nothing.

    `expected` is what the entity's window was expected to have.
    """
    if isinstance(watch, SeriesWatch):
        began = watch.began(slot)
        return None if began < 0 else began - watch.base
    size, hop = watch.windows[window]
    longest = max(size for size, each in watch.windows if each == hop)
    ends = end - np.arange(longest // hop) * hop  # newest first
    ring = watch.rings[hop]
    one = np.array([slot])
    value = watch.units.of(ring.cells[(ends // hop - 1) % ring.rows, slot].astype(np.int64), np.repeat(one, len(ends)))
    weight = np.array([_weight(watch, int(at), hop, slot) for at in ends.tolist()])
    here = np.cumsum(weight[: size // hop])[-1]
    if here <= 0.0 or expected <= 0.0:
        return None
    first = best_start(value, weight * (expected / here), watch.low)
    return None if first is None else int(ends[first]) - hop


def _weight(watch: RateWatch, end: int, hop: int, slot: int) -> float:
    """What a pane's part of the expectation goes by: what it is counted beside, or how busy its hours usually are."""
    if watch.beside:
        return float(watch.of_rings[hop].pane(end)[slot])
    return float(watch.hours.window(end, hop)[watch.people.market_of[slot]])


def best_start(value: Floats, expected: Floats, low: bool = False) -> int | None:
    """Which of the panes, (t,) the newest first, the change began with; None where nothing is out of the usual.

    >>> best_start(np.array([5.0, 6.0, 4.0, 1.0, 0.0, 2.0]), np.full(6, 1.0))
    2
    """
    hits, mass = np.cumsum(value), np.maximum(np.cumsum(expected), 1e-12)
    ratio = special.xlogy(hits, hits / mass) - (hits - mass)
    beyond = hits < mass if low else hits > mass
    if not beyond.any():
        return None
    return int(np.where(beyond, ratio, -1.0).argmax())
