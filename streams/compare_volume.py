"""Alerts a day and in the week to come, by market, under one configuration or two. Pure: draws come from outside."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from detectors.base import Ints
from streams.compare_rows import DayRow, VolumeRow
from streams.outcome import DAY_MS
from streams.outcome_rows import EpisodeRow
from streams.volume import Interval, mean_interval, next_week

LEARNING_DAYS = 14  # at the start, while levels are learned, fewer alerts or others are told
ALL = "all"
Daily = Mapping[str, Ints]  # by market: alerts of each day


def whole_days(started: int, ended: int) -> range:
    """Days since 1970 that are in the events from their beginning to their end.

    >>> whole_days(DAY_MS - 1, 3 * DAY_MS + 1)
    range(1, 3)
    """
    return range(-(-started // DAY_MS), ended // DAY_MS)


def counted_days(days: range, learning: int | None) -> range:
    """Those that volumes are made of: without the first of them; if nobody said how many, at most half of them.

    >>> counted_days(range(100, 120), None), counted_days(range(100, 120), 3)
    (range(110, 120), range(103, 120))
    """
    left_out = min(LEARNING_DAYS, len(days) // 2) if learning is None else min(learning, len(days))
    return days[left_out:]


def daily(episodes: Iterable[EpisodeRow], markets: Iterable[str], days: range) -> dict[str, Ints]:
    """Alerts that were told, by the day they opened."""
    counts = Counter((row.market, row.opened_at // DAY_MS) for row in episodes if not row.shadow)
    return {market: np.array([counts[market, day] for day in days], dtype=np.int64) for market in markets}


def day_rows(base: Daily, new: Daily, days: range, counted: range, minutes: float) -> list[DayRow]:
    """Each day of each market; both have the same."""
    return [
        DayRow(day, market, day in counted, int(one), int(other), one * minutes / 60, other * minutes / 60)
        for market in base
        for day, one, other in zip(days, base[market].tolist(), new[market].tolist(), strict=True)
    ]


def volume_rows(base: Daily, new: Daily, starts: Ints, minutes: float) -> list[VolumeRow]:
    """By market and in all, each under BASE, under NEW, and their difference, over the same days."""
    base, new = with_all(base), with_all(new)
    weeks = {"base": weeks_to_come(base), "new": weeks_to_come(new)}
    return [
        _volume(market, under, counts, starts, minutes, weeks.get(under, {}).get(market))
        for market in base
        for under, counts in (
            ("base", base[market]), ("new", new[market]), ("difference", new[market] - base[market]),
        )
    ]  # fmt: skip


def with_all(each: Daily) -> dict[str, Ints]:
    """And of all markets together, in front."""
    return {ALL: np.sum(list(each.values()), axis=0, dtype=np.int64), **each} if each else {}


def weeks_to_come(each: Daily) -> dict[str, Interval | None]:
    """By market, which learn from each other how weeks differ; all together from nothing else."""
    apart = {market: counts for market, counts in each.items() if market != ALL}
    return next_week(apart) | next_week({ALL: each[ALL]}) if each else {}


def _volume(
    market: str, under: str, counts: Ints, starts: Ints, minutes: float, week: Interval | None
) -> VolumeRow:  # fmt: skip
    a_day = mean_interval(counts, starts)
    hours = None if a_day is None else [end * minutes / 60 for end in a_day]
    return VolumeRow(
        market, under, len(counts), int(counts.sum()), *(a_day or (None, None, None)), *(hours or (None, None, None)),
        *(week or (None, None, None)),
    )  # fmt: skip
