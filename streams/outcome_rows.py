"""The rows of what comes out of a replay. Each column says what it holds: documents and databases read it from here."""

from collections.abc import Mapping
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct

ColumnKind = Literal["text", "integer", "number", "flag", "instant", "day"]


def is_(meaning: str) -> Meta:
    """What a column holds."""
    return Meta(description=meaning)


def instant(meaning: str) -> Meta:
    """Milliseconds since the Unix epoch, UTC."""
    return Meta(description=meaning, extra={"kind": "instant"})


def day(meaning: str) -> Meta:
    """Days since the Unix epoch, UTC."""
    return Meta(description=meaning, extra={"kind": "day"})


class EpisodeRow(Struct, frozen=True):
    """One row for each alert, whatever its number of revisions. What was measured is of its peak: the revision of the
    highest severity, of those the one of the highest score, of those the first.
    """

    alert_id: Annotated[str, is_("as in alerts.jsonl")]
    signal: Annotated[str, is_("name in the catalogue")]
    title: Annotated[str, is_("the signal's title")]
    lifecycle: Annotated[str, is_("onboarding, performance, compliance or incentivisation")]
    market: Annotated[str, is_("ISO 3166-1 code")]
    category: Annotated[str | None, is_("the creator's newest at the last revision, if any was ever given")]
    creator_id: Annotated[str, is_("whom it is about")]
    severity: Annotated[str, is_("the highest of all revisions: info, warning or critical")]
    status: Annotated[str, is_("of the last revision: opened, updated, escalated, resolved or retracted")]
    status_reason: Annotated[str | None, is_("why the last revision was written")]
    opened_at: Annotated[int, instant("end of the pane at which it opened")]
    ended_at: Annotated[int | None, instant("end of the window at which it was resolved or retracted; null while open")]
    duration_hours: Annotated[float | None, is_("from opened_at to ended_at; null while open")]
    revisions: Annotated[int, is_("how many there were")]
    window: Annotated[str, is_("length of the window of the peak, ISO 8601 duration")]
    unit: Annotated[str, is_("of observed and expected")]
    observed: Annotated[float, is_("what the window of the peak measured")]
    expected: Annotated[float, is_("what the detector expected there")]
    expected_low: Annotated[float | None, is_("least that is usual")]
    expected_high: Annotated[float | None, is_("most that is usual")]
    score: Annotated[float, is_("of the peak, in the unit of the detector")]
    detector: Annotated[str, is_("which detector decided at the peak")]
    changed_at: Annotated[int | None, instant("when the change is estimated to have begun, as said at the peak")]
    reason: Annotated[str, is_("the sentence of the peak")]
    config_version: Annotated[str, is_("hash of the configuration that decided last")]
    shadow: Annotated[bool, is_("told aside: a signal on trial, or a creator that a group exempts")]
    label_kind: Annotated[str | None, is_("kind of the label that it is right about; null without")]
    label_started_at: Annotated[int | None, instant("start of that label")]
    delay_hours: Annotated[float | None, is_("from there to the end of its first window that was right")]
    verdict: Annotated[str, is_("true or false by labels or decided cases; unlabelled where neither says anything")]
    cold: Annotated[bool, is_("opened during the warm-up; in no row of the scorecard")]


class DailyRow(Struct, frozen=True):
    """Alerts by the day they opened. Days, markets and signals without an alert have no row."""

    day: Annotated[int, day("UTC date of the end of the window in which they opened")]
    market: Annotated[str, is_("ISO 3166-1 code")]
    signal: Annotated[str, is_("name in the catalogue")]
    severity: Annotated[str, is_("the highest that the alerts reached")]
    shadow: Annotated[bool, is_("told aside")]
    cold: Annotated[bool, is_("opened during the warm-up")]
    alerts: Annotated[int, is_("alerts opened")]
    creators: Annotated[int, is_("distinct creators that they are about")]


class LabelRow(Struct, frozen=True):
    """One row for each label. Only with labels; only alerts that were told, not those aside."""

    creator_id: Annotated[str, is_("whose")]
    market: Annotated[str, is_("as the label has it")]
    kind: Annotated[str, is_("of episode; lookalike:… resembles one, and nothing may be said of it")]
    started_at: Annotated[int, instant("first event")]
    ended_at: Annotated[int, instant("last event")]
    lookalike: Annotated[bool, is_("whether it only resembles an episode")]
    caught: Annotated[bool | None, is_("whether an alert was right about it; null for a lookalike")]
    alert_id: Annotated[str | None, is_("the first alert that was right; of a lookalike the first false one about it")]
    signal: Annotated[str | None, is_("of that alert")]
    delay_hours: Annotated[float | None, is_("from the label's start to the end of the first window that was right")]
    cold: Annotated[bool, is_("it began during the warm-up; in no row of the scorecard")]


class ScoreRow(Struct, frozen=True):
    """How good alerts were, by signal, by market, by size of creator, and by all three. Only with labels or cases; only
    alerts that were told, and nothing of the warm-up. A column that a row is not grouped by is null. Creators of
    unknown size are in no row by size.
    """

    about: Annotated[str, is_("what the row is of: all, signal, market, size, or signal+market+size")]
    signal: Annotated[str | None, is_("name in the catalogue")]
    market: Annotated[str | None, is_("ISO 3166-1 code")]
    size: Annotated[str | None, is_("records of the creator in a day, on average")]
    alerts: Annotated[int, is_("alerts told")]
    true_alerts: Annotated[int, is_("right about a label, or confirmed by a case")]
    false_alerts: Annotated[int, is_("right about no label though somebody looked, or rejected by a case")]
    precision: Annotated[float | None, is_("true of those true or false; null without any")]
    precision_low: Annotated[float | None, is_("lower end of its Wilson 95 % interval")]
    precision_high: Annotated[float | None, is_("upper end")]
    labels: Annotated[int, is_("true episodes; where a signal is named, those of kinds that it may speak for")]
    caught: Annotated[int, is_("of those, about how many an alert of the row's signal was right; without, of any")]
    recall: Annotated[float | None, is_("caught of labels; null without labels")]
    creator_days: Annotated[float, is_("creators at the end of the input, times days of event time behind the warm-up")]
    false_per_1000: Annotated[
        float | None, is_("false alerts in 1,000 creator-days; null where only a part was looked at")
    ]
    unlabelled_alerts: Annotated[int, is_("neither true nor false: nobody looked, or the case is unclear")]


class CaseRow(Struct, frozen=True):
    """One row for each alert that a reviewer decided on. Only with cases as labels."""

    alert_id: Annotated[str, is_("of the alert that was decided on")]
    creator_id: Annotated[str, is_("whose case it is")]
    market: Annotated[str, is_("ISO 3166-1 code")]
    decision: Annotated[str, is_("the newest: confirmed, rejected or unclear")]
    decided_at: Annotated[int, instant("when it was decided")]
    raised: Annotated[bool, is_("whether this replay raised that alert too")]
    signal: Annotated[str | None, is_("of that alert; null if it was not raised")]


class GroupRow(Struct, frozen=True):
    """Alerts that were told, by signal or by market."""

    name: Annotated[str, is_("signal or market")]
    alerts: Annotated[int, is_("alerts opened")]
    creators: Annotated[int, is_("distinct creators")]
    critical: Annotated[int, is_("alerts that reached it")]
    warning: Annotated[int, is_("alerts that reached it and no more")]
    info: Annotated[int, is_("alerts that stayed there")]
    open: Annotated[int, is_("still open at the end")]
    median_hours: Annotated[float | None, is_("median duration of those that ended")]


TABLES: Mapping[str, type[Struct]] = MappingProxyType(
    {"episodes": EpisodeRow, "daily": DailyRow, "labels": LabelRow, "scorecard": ScoreRow, "cases": CaseRow}
)


class Column(NamedTuple):
    name: str
    kind: ColumnKind
    nullable: bool
    meaning: str


_KINDS: Mapping[type, ColumnKind] = MappingProxyType({str: "text", int: "integer", float: "number", bool: "flag"})


def columns(row: type[Struct]) -> list[Column]:
    """The columns of a table, in order.

    >>> columns(DailyRow)[0]
    Column(name='day', kind='day', nullable=False, meaning='UTC date of the end of the window in which they opened')
    """
    hints = get_type_hints(row, include_extras=True)
    return [_column(name, *get_args(hints[name])) for name in row.__struct_fields__]


def _column(name: str, kind: Any, meta: Meta) -> Column:
    nullable = get_origin(kind) is UnionType
    plain: type = get_args(kind)[0] if nullable else kind
    said = (meta.extra or {}).get("kind", _KINDS[plain])
    return Column(name, said, nullable, meta.description or "")
