"""What each setting of a sweep came to, and the one that keeps a budget of alerts and catches most. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from detectors.base import Ints
from streams.compare_rows import SettingRow
from streams.compare_volume import ALL, Daily, weeks_to_come, with_all
from streams.outcome_rows import EpisodeRow, LabelRow
from streams.outcome_score import wilson
from streams.report_labels import poisson
from streams.volume import mean_interval

Three = tuple[float | None, float | None, float | None]
NONE: Three = (None, None, None)


class Seen(NamedTuple):
    """What came of one setting."""

    episodes: Sequence[EpisodeRow]
    labels: Sequence[LabelRow] | None
    daily: Daily  # of the days that count
    creator_days: Mapping[str, float]  # by market


def setting_rows(
    number: int, values: str, seen: Seen, starts: Ints, minutes: float, limits: Mapping[str, float]
) -> list[SettingRow]:  # fmt: skip
    """The row of all markets, then one for each."""
    counts = with_all(seen.daily)
    weeks = weeks_to_come(counts)
    rows = []
    for market, mine in counts.items():
        a_day: Three = mean_interval(mine, starts) or NONE
        week: Three = weeks[market] or NONE
        rows.append(
            SettingRow(
                number, values, market, sum(1 for _ in _of(market, seen.episodes)), *a_day,
                None if a_day[0] is None else a_day[0] * minutes / 60, *week,
                **_beside_labels(market, seen)._asdict(), within_budget=_within(market, a_day[0], limits), chosen=False,
            )
        )
    kept = [row.within_budget for row in rows if row.market in limits]
    return [replace(row, within_budget=all(kept) if limits else None) if row.market == ALL else row for row in rows]


def _of(market: str, episodes: Iterable[EpisodeRow]) -> Iterator[EpisodeRow]:
    return (row for row in episodes if not row.shadow and market in (ALL, row.market))


def _within(market: str, a_day: float | None, limits: Mapping[str, float]) -> bool | None:
    return None if market not in limits else a_day is not None and a_day <= limits[market]


class _Quality(NamedTuple):
    """As in the row, from `labels` on."""

    labels: int | None = None
    caught: int | None = None
    recall: float | None = None
    recall_low: float | None = None
    recall_high: float | None = None
    false_alerts: int | None = None
    false_per_1000: float | None = None
    false_per_1000_low: float | None = None
    false_per_1000_high: float | None = None


def _beside_labels(market: str, seen: Seen) -> _Quality:
    if seen.labels is None:
        return _Quality()
    mine = [row for row in seen.labels if not row.lookalike and market in (ALL, row.market)]
    caught = sum(bool(row.caught) for row in mine)
    low, high = wilson(caught, len(mine)) if mine else (None, None)
    false = sum(row.verdict == "false" for row in _of(market, seen.episodes))
    days = sum(seen.creator_days.values()) if market == ALL else seen.creator_days.get(market, 0.0)
    rate = [1_000 * n / days for n in (false, *poisson(false))] if days else NONE
    return _Quality(len(mine), caught, caught / len(mine) if mine else None, low, high, false, *rate)


def best(rows: Iterable[SettingRow]) -> int | None:
    """The setting that keeps every budget and catches most, of those the one with the fewest false alerts; without
    labels the one that tells most. None where no setting does, or there is no budget.
    """
    kept = [row for row in rows if row.market == ALL and row.within_budget]

    def worth(row: SettingRow) -> tuple[int, int, float, int]:
        if row.caught is None or row.false_alerts is None:
            return 0, 0, row.per_day or 0.0, -row.setting
        return row.caught, -row.false_alerts, -(row.per_day or 0.0), -row.setting

    return max(kept, key=worth).setting if kept else None


def with_best(rows: Sequence[SettingRow]) -> list[SettingRow]:
    """The rows, with those of the best setting marked."""
    chosen = best(rows)
    return [replace(row, chosen=row.setting == chosen) for row in rows]


def curve(rows: Iterable[SettingRow]) -> list[SettingRow]:
    """Recall against false alarms: settings beside which none catches as many with fewer false alerts, by these."""
    told = [row for row in rows if row.market == ALL and row.caught is not None and row.false_alerts is not None]
    found: list[SettingRow] = []
    for row in sorted(told, key=lambda row: (row.false_alerts or 0, -(row.caught or 0), row.setting)):
        if not found or (row.caught or 0) > (found[-1].caught or 0):
            found.append(row)
    return found
