"""What replays of the same events under several catalogues come to beside each other, as rows.

Intervals are by a bootstrap whose draws are the same for the same number of days: the same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from detectors.base import Ints
from streams import compare
from streams.compare_rows import SettingRow
from streams.compare_volume import counted_days, daily, day_rows, volume_rows, whole_days
from streams.engine import ENGINE_VERSION
from streams.replays import Told
from streams.sweep_score import Seen, setting_rows, with_best
from streams.volume import block_days
from streams.write_csv import cell

SEED, DRAWS = 20_260_105, 2_000


class Asked(NamedTuple):
    """What a comparison is made with."""

    minutes_per_case: float
    learning_days: int | None
    labelled: bool


class Days(NamedTuple):
    """Whole days of the events, and those of them that volumes are made of."""

    whole: range
    counted: range


def days_of(told: Sequence[Told], learning: int | None) -> Days:
    whole = whole_days(min(one.started for one in told), max(one.ended for one in told))
    return Days(whole, counted_days(whole, learning))


def draws(days: int) -> Ints:
    """(n_draws, n_blocks) first days of the blocks that are drawn."""
    blocks = -(-days // block_days(days))
    return np.random.default_rng(SEED).integers(0, max(days, 1), (DRAWS, blocks))


def markets_of(told: Sequence[Told]) -> list[str]:
    """Those with a creator or an alert."""
    return sorted({market for one in told for market in one.creators} | {row.market for one in told
                  for row in one.episodes})  # fmt: skip


def compared(base: Told, new: Told, days: Days, asked: Asked) -> dict[str, Sequence[Any]]:
    """The tables of `compare_rows.COMPARED`; those beside labels only where there are labels."""
    rows, markets = compare.changes(base.episodes, new.episodes), markets_of([base, new])
    whole, counted = ([daily(one.episodes, markets, each) for one in (base, new)] for each in days)
    minutes = asked.minutes_per_case
    found: dict[str, Sequence[Any]] = {
        "changes": rows,
        "by_signal": compare.by_signal(rows),
        "creators": compare.creators(rows),
        "days": day_rows(whole[0], whole[1], days.whole, days.counted, minutes),
        "volume": volume_rows(counted[0], counted[1], draws(len(days.counted)), minutes),
    }
    if asked.labelled:
        found["label_changes"] = compare.label_changes(base.labels, new.labels)
        found["quality"] = [*compare.quality("base", base.scores), *compare.quality("new", new.scores)]
    return found


def swept(
    told: Sequence[Told], settings: Sequence[str], days: Days, asked: Asked, limits: Mapping[str, float]
) -> list[SettingRow]:  # fmt: skip
    """The rows of every setting, in their order; the one that keeps the budgets and catches most is marked."""
    markets, starts = markets_of(told), draws(len(days.counted))
    rows = [
        row
        for number, (values, one) in enumerate(zip(settings, told, strict=True))
        for row in setting_rows(
            number, values, _seen(one, markets, days, asked), starts, asked.minutes_per_case, limits
        )
    ]
    return with_best(rows)


def _seen(one: Told, markets: Sequence[str], days: Days, asked: Asked) -> Seen:
    creator_days = {market: n * one.days for market, n in one.creators.items()}
    labels = one.labels if asked.labelled else None
    return Seen(one.episodes, labels, daily(one.episodes, markets, days.counted), creator_days)


def day_text(day: int) -> str:
    """
    >>> day_text(20_458)
    '2026-01-05'
    """
    return cell(day, "day")


def facts(told: Told, days: Days, asked: Asked, **more: Any) -> dict[str, Any]:
    """From what it was made: compare.json."""
    return {
        **more,
        "engine_version": ENGINE_VERSION,
        "program_version": version("ripcurrent"),
        "records": told.records,
        "creators": sum(told.creators.values()),
        "days": told.days,
        "days_counted": [day_text(days.counted[at]) for at in (0, -1)] if days.counted else [],
        "minutes_per_case": asked.minutes_per_case,
        "bootstrap": {"draws": DRAWS, "seed": SEED, "block_days": block_days(len(days.counted))},
    }
