"""The rows of a comparison of two configurations, and of a sweep. Each column says what it holds."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from msgspec import Struct

from streams.outcome_rows import day, instant, is_


class ChangeRow(Struct, frozen=True):
    """One row for each alert that was told under BASE, NEW or both. Alerts of the same signal, creator and market that
    were on at the same time, or opened within 24 hours of each other, are one.
    """

    change: Annotated[str, is_("appeared, vanished, unchanged, or moved: another opening or severity")]
    signal: Annotated[str, is_("name in the catalogue")]
    market: Annotated[str, is_("ISO 3166-1 code")]
    creator_id: Annotated[str, is_("whom it is about")]
    severity_base: Annotated[str | None, is_("the highest reached under BASE; null if it appeared")]
    severity_new: Annotated[str | None, is_("under NEW; null if it vanished")]
    opened_base: Annotated[int | None, instant("when it opened under BASE")]
    opened_new: Annotated[int | None, instant("under NEW")]
    moved_hours: Annotated[float | None, is_("from the one to the other; below 0 where NEW is earlier")]
    ended_base: Annotated[int | None, instant("when it ended under BASE; null while open")]
    ended_new: Annotated[int | None, instant("under NEW")]
    verdict_base: Annotated[str | None, is_("beside the labels: true or false; unlabelled where there are none")]
    verdict_new: Annotated[str | None, is_("under NEW")]
    aside: Annotated[bool, is_("appeared or vanished: the other tells it aside, on trial or exempt")]
    within: Annotated[str | None, is_("appeared or vanished: alert_id of the other that covers its time")]
    alert_base: Annotated[str | None, is_("alert_id under BASE")]
    alert_new: Annotated[str | None, is_("alert_id under NEW")]
    reason: Annotated[str, is_("the sentence of its peak, under NEW if it is there")]


class CreatorRow(Struct, frozen=True):
    """One row for each creator with alerts under one of the two configurations only."""

    change: Annotated[str, is_("hit: alerts only under NEW; released: only under BASE")]
    creator_id: Annotated[str, is_("who")]
    market: Annotated[str, is_("ISO 3166-1 code")]
    alerts: Annotated[int, is_("how many")]
    severity: Annotated[str, is_("the highest of them")]
    signals: Annotated[str, is_("theirs, in alphabetical order")]
    opened_at: Annotated[int, instant("the first of them")]


class DayRow(Struct, frozen=True):
    """Alerts of each day that opened in each market, and what they cost reviewers. Days without any are there, too."""

    day: Annotated[int, day("UTC")]
    market: Annotated[str, is_("ISO 3166-1 code")]
    counted: Annotated[bool, is_("false: no part of the volume, see docs/replay.md")]
    alerts_base: Annotated[int, is_("alerts that opened under BASE")]
    alerts_new: Annotated[int, is_("under NEW")]
    hours_base: Annotated[float, is_("reviewer hours for them")]
    hours_new: Annotated[float, is_("under NEW")]


class VolumeRow(Struct, frozen=True):
    """Alerts a day and the week to come, by market and in all, with 95 % intervals; null where days are too few."""

    market: Annotated[str, is_("ISO 3166-1 code, or all")]
    under: Annotated[str, is_("base, new, or difference: new less base, day by day")]
    days: Annotated[int, is_("whole days that count")]
    alerts: Annotated[int, is_("alerts that opened on them")]
    per_day: Annotated[float | None, is_("alerts a day")]
    per_day_low: Annotated[float | None, is_("lower end of its interval, by a bootstrap of weeks")]
    per_day_high: Annotated[float | None, is_("upper end")]
    hours_per_day: Annotated[float | None, is_("reviewer hours a day")]
    hours_per_day_low: Annotated[float | None, is_("lower end")]
    hours_per_day_high: Annotated[float | None, is_("upper end")]
    next_week: Annotated[float | None, is_("alerts expected in the week that follows; none of a difference")]
    next_week_low: Annotated[float | None, is_("lower end: of the week itself, not of its expectation")]
    next_week_high: Annotated[float | None, is_("upper end")]


class SignalRow(Struct, frozen=True):
    """What changed, by signal."""

    signal: Annotated[str, is_("name in the catalogue")]
    alerts_base: Annotated[int, is_("alerts told under BASE")]
    alerts_new: Annotated[int, is_("under NEW")]
    appeared: Annotated[int, is_("of those under NEW")]
    vanished: Annotated[int, is_("of those under BASE")]
    earlier: Annotated[int, is_("moved: opened earlier under NEW")]
    later: Annotated[int, is_("moved: opened later")]
    raised: Annotated[int, is_("moved: reached a higher severity")]
    lowered: Annotated[int, is_("moved: reached a lower one")]


class LabelRow(Struct, frozen=True):
    """One row for each true episode of the labels. Only with labels."""

    change: Annotated[str, is_("won: caught only under NEW; lost: only under BASE; both; neither")]
    creator_id: Annotated[str, is_("whose")]
    market: Annotated[str, is_("as the label has it")]
    kind: Annotated[str, is_("of episode")]
    started_at: Annotated[int, instant("first event")]
    delay_hours_base: Annotated[float | None, is_("from its start until an alert was right; null if missed")]
    delay_hours_new: Annotated[float | None, is_("under NEW")]


class QualityRow(Struct, frozen=True):
    """How good alerts were under each configuration, in all and by signal and market. Only with labels."""

    under: Annotated[str, is_("base or new")]
    about: Annotated[str, is_("all, signal or market")]
    name: Annotated[str | None, is_("of the signal or the market")]
    alerts: Annotated[int, is_("alerts told")]
    false_alerts: Annotated[int, is_("right about no label")]
    precision: Annotated[float | None, is_("share of alerts that were right; null without alerts")]
    precision_low: Annotated[float | None, is_("lower end of its Wilson 95 % interval")]
    precision_high: Annotated[float | None, is_("upper end")]
    labels: Annotated[int, is_("true episodes; where a signal is named, of kinds that it may speak for")]
    caught: Annotated[int, is_("of those")]
    recall: Annotated[float | None, is_("caught of labels; null without any")]
    recall_low: Annotated[float | None, is_("lower end of its Wilson 95 % interval")]
    recall_high: Annotated[float | None, is_("upper end")]


class SettingRow(Struct, frozen=True):
    """One row for each setting of a sweep and each market, and one for all; setting 0 is the configuration as it is."""

    setting: Annotated[int, is_("its number")]
    values: Annotated[str, is_("what is set; as it is")]
    market: Annotated[str, is_("ISO 3166-1 code, or all")]
    alerts: Annotated[int, is_("alerts told, on all days")]
    per_day: Annotated[float | None, is_("alerts a day, of the days that count")]
    per_day_low: Annotated[float | None, is_("lower end of its 95 % interval")]
    per_day_high: Annotated[float | None, is_("upper end")]
    hours_per_day: Annotated[float | None, is_("reviewer hours a day")]
    next_week: Annotated[float | None, is_("alerts expected in the week that follows")]
    next_week_low: Annotated[float | None, is_("lower end of its 95 % interval")]
    next_week_high: Annotated[float | None, is_("upper end")]
    labels: Annotated[int | None, is_("true episodes; null without labels, as are all below but the last two")]
    caught: Annotated[int | None, is_("of those")]
    recall: Annotated[float | None, is_("caught of labels")]
    recall_low: Annotated[float | None, is_("lower end of its Wilson 95 % interval")]
    recall_high: Annotated[float | None, is_("upper end")]
    false_alerts: Annotated[int | None, is_("right about no label")]
    false_per_1000: Annotated[float | None, is_("false alerts in 1,000 creator-days")]
    false_per_1000_low: Annotated[float | None, is_("lower end of its exact 95 % interval")]
    false_per_1000_high: Annotated[float | None, is_("upper end")]
    within_budget: Annotated[bool | None, is_("whether its budget is kept; of all: whether every one is")]
    chosen: Annotated[bool, is_("the setting that meets the budget best")]


COMPARED: Mapping[str, type[Struct]] = MappingProxyType(
    {"changes": ChangeRow, "by_signal": SignalRow, "creators": CreatorRow, "days": DayRow, "volume": VolumeRow,
     "label_changes": LabelRow, "quality": QualityRow}
)  # fmt: skip
SWEPT: Mapping[str, type[Struct]] = MappingProxyType({"sweep": SettingRow})
