"""The page of a comparison: its rows for a policy manager, who asks whether the new configuration is worth it. Pure.

    write_page(compared_page(rows, facts, made_of), folder / "compare.html")
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from streams.compare_rows import ChangeRow, CreatorRow, DayRow, LabelRow, QualityRow, SignalRow, VolumeRow
from streams.compare_volume import ALL
from streams.outcome import DAY_MS
from streams.page import Figure, Page, Section, facts, figures, paragraphs
from streams.page_charts import Bar, Part, interval, stacked
from streams.page_html import NOTHING, Html, joined, tag
from streams.page_table import Cell, Heading, Row, table
from streams.page_words import day, hours, many, minute, share, within
from streams.reasons import number
from streams.report_alerts import amount, width_of_bars

Rows = Mapping[str, Sequence[Any]]
ROWS_MAX = 20_000  # of the table of changes; changes.csv has all
PARTS = (Part("under both", "plain"), Part("appeared", "new"), Part("vanished", "base"))


def compared_page(rows: Rows, made: Mapping[str, Any], made_of: str) -> Page:
    """`made` is compare.json, `made_of` says which days count."""
    sections = [
        Section("summary", "Summary", _summary(rows, made_of)),
        Section("volume", "Alerts and hours a day, and the week to come", _volume(rows, made_of)),
        Section("signals", "What changes, by signal", _signals(rows["by_signal"])),
        *([Section("labels", "True and false", _quality(rows))] if "quality" in rows else []),
        Section("creators", "Creators newly hit and released", _creators(rows["creators"])),
        Section("changes", "Alerts that appear, vanish or move", _changes(rows["changes"])),
        Section("made", "How this was made", how(made)),
    ]
    return Page("What if", "What NEW would have told of the same events, beside BASE", sections)


def how(made: Mapping[str, Any]) -> Html:
    """Enough to make it again."""
    return facts([(name.replace("_", " "), tag("code", _plain(value))) for name, value in made.items()])


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)


# ---- summary and volume ----------------------------------------------------------------------------------------


def _summary(rows: Rows, made_of: str) -> Html:
    kinds = Counter(row.change for row in rows["changes"])
    both = kinds["unchanged"] + kinds["moved"]
    lead = (
        f"NEW would have told {many(both + kinds['appeared'], 'alert')} where BASE told {both + kinds['vanished']:,}: "
        f"{kinds['appeared']:,} appear, {kinds['vanished']:,} vanish, {kinds['moved']:,} move, "
        f"{kinds['unchanged']:,} stay as they are."
    )
    hit = Counter(row.change for row in rows["creators"])
    volume = {row.under: row for row in rows["volume"] if row.market == ALL}
    each = [
        Figure("Alerts appear", f"{kinds['appeared']:,}"), Figure("Alerts vanish", f"{kinds['vanished']:,}"),
        Figure("Creators newly hit", f"{hit['hit']:,}"), Figure("Creators released", f"{hit['released']:,}"),
    ]  # fmt: skip
    for label, field in (("Alerts a day", "per_day"), ("Hours a day", "hours_per_day")):
        base, new = (getattr(volume.get(under), field, None) for under in ("base", "new"))
        if base is not None and new is not None:
            each.append(Figure(label, number(new), f"{number(base)} under BASE"))
    return joined(tag("p", lead, class_="lead"), figures(each), paragraphs(_beside(rows)))


def _beside(rows: Rows) -> str:
    if "quality" not in rows:
        return "No labels were given, so nothing is said here to be true or false."
    kinds = Counter(row.change for row in rows["label_changes"])
    shed = sum(row.change == "vanished" and row.verdict_base == "false" for row in rows["changes"])
    added = sum(row.change == "appeared" and row.verdict_new == "false" for row in rows["changes"])
    return (
        f"Of {many(sum(kinds.values()), 'labelled episode')} NEW catches {kinds['won']:,} that BASE missed, and misses "
        f"{kinds['lost']:,} that BASE caught. False alerts: {added:,} added, {shed:,} shed."
    )


def _volume(rows: Rows, made_of: str) -> Html:
    text = (
        "Of a day's alerts the interval says how sure the mean is. That of the week to come holds the count itself, in "
        "95 of 100 weeks, as long as weeks go on as they were."
    )
    return joined(_by_day(rows["changes"], rows["days"]), _volumes(rows["volume"]),
                  paragraphs(f"{made_of[:1].upper()}{made_of[1:]}.", text))  # fmt: skip


def _by_day(rows: Sequence[ChangeRow], days: Sequence[DayRow]) -> Html:
    """Every alert under either, on the day it opened; where both have it, under NEW."""
    if not days:
        return NOTHING
    found = Counter((_opened(row) // DAY_MS, _part(row)) for row in rows)
    first, last = min(row.day for row in days), max(row.day for row in days)
    wide = width_of_bars(last - first + 1)
    bars = [
        Bar(day(start), [sum(found[at, part] for at in range(start, start + wide)) for part in range(len(PARTS))])
        for start in range(first, last + 1, wide)
    ]
    each = "day" if wide == 1 else f"{wide} days"
    said = f"A bar for each {each}, from {day(first)} to {day(last)}."
    return stacked("by-day", "Alerts by the day they opened", said, PARTS, bars)


def _opened(row: ChangeRow) -> int:
    return row.opened_new if row.opened_new is not None else row.opened_base or 0


def _part(row: ChangeRow) -> int:
    return {"appeared": 1, "vanished": 2}.get(row.change, 0)


def _volumes(rows: Sequence[VolumeRow]) -> Html:
    most = max((row.per_day_high or 0.0 for row in rows), default=0.0)
    week = max((row.next_week_high or 0.0 for row in rows), default=0.0)
    headings = [Heading("Market", choose=True), Heading("Under", "mark", choose=True), Heading("Alerts", "number"),
                Heading("A day", "number"), Heading("95 %"), Heading("Hours a day", "number"),
                Heading("Next week", "number"), Heading("95 %")]  # fmt: skip
    cells: list[Row] = [
        [Cell(row.market), Cell(row.under), amount(row.alerts), *spread(row.per_day, row.per_day_low, row.per_day_high,
         0.0 if row.under == "difference" else most), _number(row.hours_per_day),
         *spread(row.next_week, row.next_week_low, row.next_week_high, week)]
        for row in rows
    ]  # fmt: skip
    return table("volumes", "Volume by market", headings, cells, "Of the days that count.")


def spread(value: float | None, low: float | None, high: float | None, most: float) -> list[Cell]:
    """A value, and its interval in words and drawn where `most` is its greatest."""
    if value is None or low is None or high is None:
        return [Cell("", None), Cell("", None)]
    drawn = interval(value, low, high, most) if most > 0 else NOTHING
    return [Cell(number(value), value), Cell(f"{number(low)} to {number(high)}", high, drawn)]


def _number(value: float | None) -> Cell:
    return Cell("", None) if value is None else Cell(number(value), value)


# ---- what changes ----------------------------------------------------------------------------------------------


def _signals(rows: Sequence[SignalRow]) -> Html:
    fields = ("alerts_base", "alerts_new", "appeared", "vanished", "earlier", "later", "raised", "lowered")
    headings = [Heading("Signal"), Heading("BASE", "number"), Heading("NEW", "number"),
                *(Heading(name.capitalize(), "number") for name in fields[2:])]  # fmt: skip
    cells = [[Cell(row.signal), *(amount(getattr(row, field)) for field in fields)] for row in rows]
    return table("by-signal", "Alerts by signal", headings, cells)


def _creators(rows: Sequence[CreatorRow]) -> Html:
    headings = [Heading("Creator"), Heading("Change", "mark", choose=True), Heading("Market", choose=True),
                Heading("Alerts", "number"), Heading("Severity", "mark", choose=True), Heading("Signals", "long"),
                Heading("First opened")]  # fmt: skip
    cells = [
        [Cell(row.creator_id), Cell(row.change), Cell(row.market), amount(row.alerts), Cell(row.severity),
         Cell(row.signals), Cell(minute(row.opened_at), row.opened_at)]
        for row in rows
    ]  # fmt: skip
    note = "Hit: alerts only under NEW. Released: only under BASE."
    return table("creators-changed", "Creators", headings, cells[:ROWS_MAX], note)


def _changes(rows: Sequence[ChangeRow]) -> Html:
    changed = [row for row in rows if row.change != "unchanged"]
    headings = [Heading("Change", "mark", choose=True), Heading("Creator"), Heading("Market", choose=True),
                Heading("Signal", choose=True), Heading("Opened, BASE"), Heading("Opened, NEW"),
                Heading("Moved", "number"), Heading("Severity"), Heading("Verdict", choose=True),
                Heading("Reason", "long")]  # fmt: skip
    cells: list[Row] = [
        [Cell(row.change), Cell(row.creator_id), Cell(row.market), Cell(row.signal),
         Cell(minute(row.opened_base), row.opened_base), Cell(minute(row.opened_new), row.opened_new),
         Cell(_moved(row.moved_hours), row.moved_hours), Cell(_from_to(row.severity_base, row.severity_new)),
         Cell(_from_to(row.verdict_base, row.verdict_new)), Cell(_reason(row))]
        for row in changed[:ROWS_MAX]
    ]  # fmt: skip
    more = f"{len(changed) - ROWS_MAX:,} more are in changes.csv. " if len(changed) > ROWS_MAX else ""
    note = f"{more}Alerts that stay as they are have no row here."
    return table("all-changes", "Changes", headings, cells, note)


def _moved(value: float | None) -> str:
    if not value:
        return ""
    return f"{hours(abs(value))} {'earlier' if value < 0 else 'later'}"


def _from_to(base: str | None, new: str | None) -> str:
    return f"{base} to {new}" if base and new and base != new else new or base or ""


def _reason(row: ChangeRow) -> str:
    aside = " Told aside under the other." if row.aside else ""
    covered = " Its time is within an alert of the other." if row.within else ""
    return f"{row.reason}{aside}{covered}"


# ---- beside labels ---------------------------------------------------------------------------------------------


def _quality(rows: Rows) -> Html:
    every: Sequence[QualityRow] = rows["quality"]
    headings = [Heading("Of"), Heading("Under", "mark", choose=True), Heading("Episodes", "number"),
                Heading("Recall", "number"), Heading("95 %"), Heading("Alerts", "number"), Heading("False", "number"),
                Heading("Precision", "number"), Heading("95 %")]  # fmt: skip
    cells: list[Row] = [
        [Cell(row.name or ALL), Cell(row.under), amount(row.labels),
         *shares(row.recall, row.recall_low, row.recall_high), amount(row.alerts), amount(row.false_alerts),
         *shares(row.precision, row.precision_low, row.precision_high)]
        for row in sorted(every, key=lambda row: (row.about != "all", row.about, row.name or "", row.under))
    ]  # fmt: skip
    return joined(table("quality-of", "Recall and precision", headings, cells), _labels(rows["label_changes"]))


def shares(value: float | None, low: float | None, high: float | None) -> list[Cell]:
    if value is None or low is None or high is None:
        return [Cell("", None), Cell("", None)]
    return [Cell(share(value), value), Cell(within(low, high), low, interval(value, low, high))]


def _labels(rows: Sequence[LabelRow]) -> Html:
    headings = [Heading("Creator"), Heading("Kind", choose=True), Heading("Caught", "mark", choose=True),
                Heading("Market", choose=True), Heading("Started"), Heading("Delay, BASE", "number"),
                Heading("Delay, NEW", "number")]  # fmt: skip
    cells = [
        [Cell(row.creator_id), Cell(row.kind), Cell(row.change), Cell(row.market),
         Cell(minute(row.started_at), row.started_at), Cell(hours(row.delay_hours_base), row.delay_hours_base),
         Cell(hours(row.delay_hours_new), row.delay_hours_new)]
        for row in rows[:ROWS_MAX]
    ]  # fmt: skip
    note = "Won: caught only under NEW. Lost: only under BASE."
    return table("label-changes", "Episodes of the labels", headings, cells, note)
