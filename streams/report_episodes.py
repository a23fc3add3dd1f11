"""Of a replay's report: the episodes to look at first, each with its time series, and all of them as a table. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.outcome import SEVERITIES
from streams.outcome_rows import EpisodeRow
from streams.page import facts
from streams.page_html import NOTHING, Html, joined, tag
from streams.page_table import Cell, Heading, Row, table
from streams.page_trace import Mark, Span, readings, thinned
from streams.page_words import duration_ms, hours, many, measured, minute, usual
from streams.reasons import duration_words, number
from streams.traced import Point, Trace

TOP = 20
ROWS_MAX = 20_000  # of the table; episodes.csv has all


def ranked(rows: Sequence[EpisodeRow]) -> list[EpisodeRow]:
    """The most severe first, of those the highest score."""
    return sorted(rows, key=lambda r: (-SEVERITIES.index(r.severity), -r.score, r.opened_at, r.alert_id))


def top_episodes(told: Sequence[EpisodeRow], traces: Mapping[str, Trace], top: int = TOP) -> Html:
    if not told:
        return tag("p", "There were none.", class_="empty")
    first = ranked(told)[:top]
    said = "All that were told" if len(first) == len(told) else f"The first {len(first)} of {len(told):,}"
    said += ", the most severe first, of those the highest score."
    without = sum(not _has_readings(row, traces) for row in first)
    if without:
        whose = "any of them" if without == len(first) else f"{without} of them"
        said += f" No time series was recorded for {whose}: there only the peak is shown."
    return joined(tag("p", said), (_article(n, row, traces.get(row.alert_id)) for n, row in enumerate(first, 1)))


def _has_readings(row: EpisodeRow, traces: Mapping[str, Trace]) -> bool:
    return row.alert_id in traces and bool(traces[row.alert_id].points)


def _article(n: int, row: EpisodeRow, trace: Trace | None) -> Html:
    name = f"episode-{n}"
    marks = [tag("span", row.severity, data_mark=row.severity)]
    marks += [tag("span", row.verdict, data_mark=row.verdict)] if row.verdict != "unlabelled" else []
    marks += [tag("span", "warm-up", data_mark="warm-up")] if is_cold(row) else []
    title = tag("h3", f"{n}. {row.title}", " ", [joined(mark, " ") for mark in marks], id=f"{name}-heading")
    whose = tag("p", "Creator ", tag("strong", tag("bdi", row.creator_id)), f", {row.market}",
                f", {row.category}" if row.category else "", class_="whose")  # fmt: skip
    drawn = _chart(name, row, trace) if trace is not None and trace.points else tag(
        "p", "No time series was recorded for this episode: these are its figures at the peak.", class_="note"
    )  # fmt: skip
    return tag("article", title, whose, tag("p", row.reason), _facts(row), drawn, id=name, data_severity=row.severity,
               aria_labelledby=f"{name}-heading")  # fmt: skip


def is_cold(row: EpisodeRow) -> bool:
    """Whether it opened while the engine was still warming up."""
    return bool(getattr(row, "cold", False))


def window_words(iso: str, one: str = "1 ") -> str:
    """
    >>> window_words("PT24H"), window_words("PT15M"), window_words("PT1H"), window_words("odd")
    ('24 hours', '15 minutes', '1 hour', 'odd')
    """
    ms = duration_ms(iso)
    return duration_words(ms, one) if ms else iso


def _facts(row: EpisodeRow) -> Html:
    over = "open at the end" if row.ended_at is None else f"{minute(row.ended_at)}, after {hours(row.duration_hours)}"
    status = "retracted" if row.status == "retracted" else "ended"
    label = "" if row.label_kind is None else f"{row.label_kind}, found {hours(row.delay_hours)} after its start"
    return facts([
        ("Measured", f"{measured(row.observed, row.unit)}{_of_unit(row.unit)}"),
        ("Expected", measured(row.expected, row.unit)),
        ("Usual range", usual(row.expected_low, row.expected_high, row.unit)),
        ("Window", window_words(row.window)),
        ("Score", f"{row.score:.3g} ({row.detector})"),
        ("Opened", minute(row.opened_at)),
        ("Ended" if row.ended_at is None else status.capitalize(), over),
        ("Began about", minute(row.changed_at)),
        ("Revisions", f"{row.revisions:,}"),
        ("Label", label),
        ("Alert", tag("code", row.alert_id)),
    ])  # fmt: skip


def _of_unit(unit: str) -> str:
    """
    >>> _of_unit("events"), _of_unit("THB"), _of_unit("share")
    (' events', '', '')
    """
    return f" {unit}" if unit in ("events", "actors", "steps") else ""


# ---- time series -------------------------------------------------------------------------------------------


def _chart(name: str, row: EpisodeRow, trace: Trace) -> Html:
    peak = peak_of(row, trace.points)
    length = duration_ms(trace.window)
    window = None if length is None else Span(peak.end - length, peak.end)
    marks = [Mark(row.opened_at, "opened")]
    marks += [Mark(row.ended_at, "retracted" if row.status == "retracted" else "ended")] if row.ended_at else []
    title = f"Readings of the last {window_words(trace.window, '')}"
    chart = readings(f"{name}-chart", title, _said(peak, trace), trace, window, marks)
    return joined(chart, tag("details", tag("summary", "Readings as a table"), _readings(name, trace)))


def peak_of(row: EpisodeRow, points: Sequence[Point]) -> Point:
    """The reading that the row tells of, or else the one of the highest score."""
    same = [p for p in points if abs(p.observed - row.observed) < 1e-6 and abs(p.score - row.score) < 1e-6]
    return same[0] if same else max(points, key=lambda point: point.score)


def is_outside(point: Point) -> bool:
    low, high = point.low, point.high
    return (low is not None and point.observed < low) or (high is not None and point.observed > high)


def _said(peak: Point, trace: Trace) -> str:
    outside = sum(map(is_outside, trace.points))
    here = usual(peak.low, peak.high, trace.unit)
    where = f", where {here} is usual" if here else ""
    said = f"{measured(peak.observed, trace.unit)} at the peak, {minute(peak.end)}{where}."
    read = f"{outside:,} of {many(len(trace.points), 'reading')} {'is' if outside == 1 else 'are'}"
    return f"{said} {read} outside of the usual range."


def _readings(name: str, trace: Trace) -> Html:
    headings = [Heading("End of the window", "time"), Heading("Measured", "number"), Heading("Expected", "number"),
                Heading("Usual range", "number"), Heading("Score", "number"),
                Heading("Alone calls for", "mark", choose=True)]  # fmt: skip
    rows = [
        [Cell(minute(p.end), p.end), Cell(measured(p.observed, trace.unit), p.observed),
         Cell(measured(p.expected, trace.unit), p.expected), Cell(usual(p.low, p.high, trace.unit), p.high),
         Cell(f"{p.score:.3g}", p.score), Cell(p.severity or "", _level(p.severity))]
        for p in thinned(trace.points)
    ]  # fmt: skip
    return table(f"{name}-readings", "Readings", headings, rows)


def _level(severity: str | None) -> int | None:
    return None if severity is None else SEVERITIES.index(severity)


# ---- all of them -------------------------------------------------------------------------------------------


class _With(NamedTuple):
    """Columns that are there only where they tell rows apart."""

    verdict: bool
    aside: bool
    cold: bool


def all_episodes(told: Sequence[EpisodeRow], aside: Sequence[EpisodeRow]) -> Html:
    """Every one, the most severe first; those told aside behind them."""
    rows = [*ranked(told), *ranked(aside)]
    if not rows:
        return tag("p", "There were none.", class_="empty")
    with_ = _With(any(row.verdict != "unlabelled" for row in rows), bool(aside), any(map(is_cold, rows)))
    cut = tag("p", f"The table has the first {ROWS_MAX:,} of {len(rows):,}; episodes.csv has all.", class_="note")
    note = "The most severe first, of those the highest score. What was measured is of the peak."
    shown = [_row(row, with_) for row in rows[:ROWS_MAX]]
    grid = table("episodes-table", "Episodes", _headings(with_), shown, note)
    script = tag("noscript", tag("p", "Without a script this is the first page of it; episodes.csv has all of them."))
    return joined(cut if len(rows) > ROWS_MAX else NOTHING, script, grid)


def _headings(with_: _With) -> list[Heading]:
    found = [
        Heading("Creator"), Heading("Severity", "mark", choose=True), Heading("Signal", choose=True),
        Heading("Reason", "long"), Heading("Market", choose=True), Heading("Opened", "time"),
        Heading("Lasted", "number", title="empty while it is open"), Heading("Status", choose=True),
    ]  # fmt: skip
    found += [Heading("Verdict", "mark", choose=True), Heading("Delay", "number")] if with_.verdict else []
    found += [Heading("Told", choose=True)] if with_.aside else []
    found += [Heading("Warm-up", choose=True)] if with_.cold else []
    return [
        *found, Heading("Category", choose=True), Heading("Measured", "number"), Heading("Usual range", "number"),
        Heading("Score", "number", title="in the unit of its detector"),
    ]  # fmt: skip


def _row(row: EpisodeRow, with_: _With) -> Row:
    found = [
        Cell(row.creator_id), Cell(row.severity, SEVERITIES.index(row.severity)), Cell(row.title), Cell(row.reason),
        Cell(row.market),
        Cell(minute(row.opened_at), row.opened_at), Cell(hours(row.duration_hours), row.duration_hours),
        Cell("open" if row.ended_at is None else row.status),
    ]  # fmt: skip
    found += [Cell(row.verdict), Cell(hours(row.delay_hours), row.delay_hours)] if with_.verdict else []
    found += [Cell("aside" if row.shadow else "told")] if with_.aside else []
    found += [Cell("warm-up" if is_cold(row) else "")] if with_.cold else []
    return [
        *found, Cell(row.category or ""), Cell(measured(row.observed, row.unit), row.observed),
        Cell(usual(row.expected_low, row.expected_high, row.unit), row.expected_high),
        Cell(number(row.score), row.score),
    ]  # fmt: skip
