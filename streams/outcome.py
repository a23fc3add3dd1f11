"""What a replay found, as rows: alerts as episodes, their counts by day, and beside labels how good they were. Pure.

    rows = outcome(replay(…), titles={"refund_rate": "Refunds"})
    rows["episodes"], rows["daily"]

Without labels nothing is said to be true or false. With labels, what is true is what `scorecard.py` says; with cases
(`cases.py`) what reviewers decided.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from streams.cases import Cases, case_rows
from streams.outcome_rows import DailyRow, EpisodeRow, GroupRow
from streams.outcome_score import Kinds, Replayed, labelled, scorecard, true_labels
from streams.records import Alert
from streams.scorecard import HOUR_MS, Label, coverage, is_covered, is_true
from streams.windows import NEVER

DAY_MS = 86_400_000
SEVERITIES = ("info", "warning", "critical")
OVER = ("resolved", "retracted")

Rows = dict[str, Sequence[Struct]]
Truth = Sequence[Label] | Cases  # what an alert is held against


def outcome(
    result: Replayed, titles: Mapping[str, str], labels: Truth | None = None, kinds: Kinds | None = None
) -> Rows:
    """The tables by name: `episodes` and `daily`; where labels are given, be it none at all, `labels`, `scorecard`;
    with cases `scorecard` and `cases`.
    """
    kinds = kinds or {}
    rows = episodes(result.alerts, result.shadow, titles, labels, kinds, result.warm_at)
    found: Rows = {"episodes": rows, "daily": daily(rows)}
    if labels is None:
        return found
    warm, told = result.warm, [row for row in rows if not row.cold]
    if isinstance(labels, Cases):
        found["scorecard"] = scorecard(warm, told, (), kinds, partial=True)
        found["cases"] = case_rows(labels, [*result.alerts, *result.shadow])
    else:
        true = [label for label in labels if label.start_ms >= result.warm_at]
        found["labels"] = labelled(warm.alerts, labels, kinds, result.warm_at)
        found["scorecard"] = scorecard(warm, told, true, kinds, partial=coverage(labels) is not None)
    return found


# ---- episodes ----------------------------------------------------------------------------------------------


def episodes(
    told: Iterable[Alert], aside: Iterable[Alert], titles: Mapping[str, str],
    labels: Truth | None = None, kinds: Kinds | None = None, warm_at: int = NEVER,
) -> list[EpisodeRow]:  # fmt: skip
    """One row for each alert id, by opening time, creator, signal and market."""
    mine = true_labels(() if labels is None or isinstance(labels, Cases) else labels)
    judge = _judge(labels)
    rows = []
    for shadow, alerts in ((False, told), (True, aside)):
        revisions: dict[str, list[Alert]] = {}
        for alert in alerts:
            revisions.setdefault(alert.alert_id, []).append(alert)
        for each in revisions.values():
            each.sort(key=lambda alert: alert.revision)
            match = _match(each, mine.get(each[0].entity.id, ()), kinds or {})
            verdict = "true" if match else judge(each[0])
            rows.append(_episode(each, shadow, titles, match, verdict, warm_at))
    return sorted(rows, key=lambda row: (row.opened_at, row.creator_id, row.signal, row.market, row.alert_id))


def _judge(labels: Truth | None) -> Callable[[Alert], str]:
    """The verdict on an alert that is right about no label."""
    if labels is None:
        return lambda _: "unlabelled"
    if isinstance(labels, Cases):
        return labels.verdict
    cover = coverage(labels)
    return lambda alert: "false" if is_covered(alert, cover) else "unlabelled"


class _Match(NamedTuple):
    """The label that an alert is right about, and when it first was."""

    label: Label
    at: int


def _match(revisions: Sequence[Alert], labels: Iterable[Label], kinds: Kinds) -> _Match | None:
    """Of the labels that the first right revision is right about, the one that began last."""
    right = [
        (alert.window_end, -label.start_ms, label.kind, label)
        for alert in revisions
        for label in labels
        if is_true(alert, label, kinds.get(label.kind, ()))
    ]
    first = min(right, key=lambda one: one[:3], default=None)
    return None if first is None else _Match(first[3], first[0])


def peak(revisions: Iterable[Alert]) -> Alert:
    """The revision of the highest severity, then the highest score, then the first; an end only where all are ends."""
    return max(revisions, key=lambda a: (a.status not in OVER, SEVERITIES.index(a.severity), a.score, -a.revision))


def _episode(
    revisions: Sequence[Alert], shadow: bool, titles: Mapping[str, str], match: _Match | None, verdict: str,
    warm_at: int,
) -> EpisodeRow:  # fmt: skip
    first, last, top = revisions[0], revisions[-1], peak(revisions)
    ended = last.window_end if last.status in OVER else None
    label = None if match is None else match.label
    return EpisodeRow(
        first.alert_id, first.signal, titles.get(first.signal, first.signal), first.lifecycle, first.market,
        last.category, first.entity.id,
        severity=max((alert.severity for alert in revisions), key=SEVERITIES.index),
        status=last.status, status_reason=last.status_reason,
        opened_at=first.opened_at, ended_at=ended,
        duration_hours=None if ended is None else (ended - first.opened_at) / HOUR_MS,
        revisions=len(revisions),
        window=top.window, unit=top.unit, observed=float(top.observed), expected=float(top.expected),
        expected_low=_float(top.expected_low), expected_high=_float(top.expected_high),
        score=float(top.score), detector=top.detector, changed_at=top.changed_at, reason=top.reason,
        config_version=last.config_version, shadow=shadow,
        label_kind=None if label is None else label.kind, label_started_at=None if label is None else label.start_ms,
        delay_hours=None if match is None else (match.at - match.label.start_ms) / HOUR_MS,
        verdict=verdict, cold=first.opened_at < warm_at,
    )  # fmt: skip


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def daily(rows: Iterable[EpisodeRow]) -> list[DailyRow]:
    """Alerts by the day on which their opening window ended. A window that ends at midnight is of the new day."""
    cells: dict[tuple[int, str, str, int, bool, bool], list[str]] = defaultdict(list)
    for row in rows:
        severity = SEVERITIES.index(row.severity)
        cells[row.opened_at // DAY_MS, row.market, row.signal, severity, row.shadow, row.cold].append(row.creator_id)
    return [
        DailyRow(day, market, signal, SEVERITIES[severity], shadow, cold, len(creators), len(set(creators)))
        for (day, market, signal, severity, shadow, cold), creators in sorted(cells.items())
    ]


def grouped(rows: Iterable[EpisodeRow], by: str) -> list[GroupRow]:
    """Alerts that were told, by `signal` or `market`, those with the most first."""
    groups: dict[str, list[EpisodeRow]] = defaultdict(list)
    for row in rows:
        if not row.shadow:
            groups[getattr(row, by)].append(row)
    return [_group(name, each) for name, each in sorted(groups.items(), key=lambda one: (-len(one[1]), one[0]))]


def _group(name: str, rows: Sequence[EpisodeRow]) -> GroupRow:
    reached = Counter(row.severity for row in rows)
    hours = sorted(row.duration_hours for row in rows if row.duration_hours is not None)
    median = (hours[(len(hours) - 1) // 2] + hours[len(hours) // 2]) / 2 if hours else None
    return GroupRow(
        name, len(rows), len({row.creator_id for row in rows}), reached["critical"], reached["warning"],
        reached["info"], sum(row.ended_at is None for row in rows), median,
    )  # fmt: skip
