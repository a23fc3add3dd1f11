"""How many alerts a day, how sure that is, and how many to expect in the next week. Pure.

Alerts come in clusters: a shock strikes many creators of a market, an episode raises several signals. So days are drawn
again in blocks of a week, which also keeps the weekday; and next week's count is taken to be negative binomial, with
a dispersion that is learned from how weeks of all markets differed, and with what few weeks leave unknown of both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from detectors.base import Floats, Ints

WEEK = 7
WEEKS_MIN = 3  # whole weeks from which on weeks are what is compared; with fewer, days are
LEVEL = 0.95  # of every interval here
SHRINK = 4.0  # comparisons' worth of all markets' dispersion in that of one
GUESS, GUESSED = 0.3, 3.0  # by which share weeks differ beyond chance, before any was compared; worth 3 comparisons
NONE_YET = 0.5  # alerts, where there was none: as Jeffreys' prior has it


class Interval(NamedTuple):
    value: float
    low: float
    high: float


def block_days(days: int) -> int:
    """Days of a block: a week, or, where there are not two, a day."""
    return WEEK if days >= 2 * WEEK else 1


def mean_interval(daily: Ints | Floats, starts: Ints) -> Interval | None:
    """The mean of a day, with the interval of means of blocks that begin at `starts` (n_draws, n_blocks), the days
    being a ring; None for a day or none, which say nothing of how days differ.

    >>> mean_interval(np.array([3, 3, 3]), np.zeros((9, 3), np.int64))
    Interval(value=3.0, low=3.0, high=3.0)
    """
    n = len(daily)
    if n < 2:
        return None
    block = block_days(n)
    sums = np.concatenate([daily, daily[: block - 1]]).cumsum()
    of_block = sums[block - 1 :] - np.concatenate([[0], sums[: n - 1]])  # (n,) beginning at each day
    means = of_block[starts].sum(axis=1) / (starts.shape[1] * block)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    mean = float(daily.sum()) / n
    return Interval(mean, min(mean, float(low)), max(mean, float(high)))


def next_week(daily: Mapping[str, Ints]) -> dict[str, Interval | None]:
    """The alerts of each market in the week that follows, within the interval in LEVEL of all weeks; None where fewer
    than two days are known. `daily` has the same days for all.

    >>> next_week({"TH": np.array([2, 0, 1, 3] * 7)})
    {'TH': Interval(value=10.5, low=3.0, high=21.0)}
    """
    blocks = {market: _blocks(days) for market, days in daily.items()}
    spreads = {market: _spread([each]) for market, each in blocks.items()}
    shared = _spread(list(blocks.values()))
    return {market: _predicted(each, len(daily[market]), spreads[market], shared) for market, each in blocks.items()}


def _blocks(days: Ints) -> Ints:
    """The newest whole weeks, or the days."""
    weeks = len(days) // WEEK
    return days[len(days) - weeks * WEEK :].reshape(weeks, WEEK).sum(axis=1) if weeks >= WEEKS_MIN else days


class _Spread(NamedTuple):
    """By how much counts of blocks differ: variance over mean, and from how many comparisons."""

    ratio: float
    freedom: int


def _spread(markets: Sequence[Ints]) -> _Spread:
    squares, freedom = 0.0, 0
    for blocks in markets:
        if len(blocks) > 1 and (mean := float(blocks.sum()) / len(blocks)) > 0:
            squares += sum((float(count) - mean) ** 2 for count in blocks) / mean
            freedom += len(blocks) - 1
    return _Spread(squares / freedom if freedom else 0.0, freedom)


def _predicted(blocks: Ints, days: int, own: _Spread, shared: _Spread) -> Interval | None:
    k = len(blocks)
    if k < 2:
        return None
    in_week = 1 if days // WEEK >= WEEKS_MIN else WEEK  # blocks
    total = float(blocks.sum())
    mean = in_week * max(total, NONE_YET) / k
    guess = 1.0 + GUESS * GUESS * mean
    others = (shared.freedom * shared.ratio + GUESSED * guess) / (shared.freedom + GUESSED)
    least = guess if in_week == WEEK else 1.0  # days by themselves don't show what lasts for a week
    ratio = max(least, (own.freedom * own.ratio + SHRINK * others) / (own.freedom + SHRINK))
    freedom = min(shared.freedom + GUESSED, own.freedom + SHRINK)
    rin_week = float(special.stdtrit(freedom, (1 + LEVEL) / 2))  # in deviations; 1.96 when the ratio is well known
    low, high = _negative_binomial(mean, mean * ratio * (1 + in_week / k), rin_week)
    return Interval(in_week * total / k, min(in_week * total / k, low), max(in_week * total / k, high))


def _negative_binomial(mean: float, variance: float, reach: float) -> tuple[float, float]:
    """The counts of this law that are as rare on either side as `reach` deviations are of a normal one; Poisson's where
    the variance is not over the mean.
    """
    size = mean * mean / (variance - mean) if variance > mean * (1 + 1e-9) else 0.0

    def at_most(count: float) -> float:
        if size:
            return float(special.betainc(size, count + 1.0, size / (size + mean)))
        return float(special.gammaincc(count + 1.0, mean))

    def over(count: float) -> float:
        if size:
            return float(special.betainc(count + 1.0, size, mean / (size + mean)))
        return float(special.gammainc(count + 1.0, mean))

    rare = float(special.ndtr(-reach))
    return _first(lambda count: at_most(count) >= rare), _first(lambda count: over(count) <= rare)


def _first(holds: Callable[[float], bool]) -> float:
    """The least count for which this holds, as it does for all above it."""
    high = 1
    while not holds(high):
        high *= 2
    low = -1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return float(high)
