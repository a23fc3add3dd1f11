"""The page of a sweep: each setting with its alerts a day, the curve of recall against false alarms, the best. Pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from streams.compare_report import how, shares, spread
from streams.compare_rows import SettingRow
from streams.compare_volume import ALL
from streams.page import Page, Section, paragraphs
from streams.page_charts import across, down, figure, grid, nice, scale
from streams.page_html import Html, joined, tag
from streams.page_table import Cell, Heading, Row, table
from streams.page_words import share
from streams.reasons import number
from streams.report_alerts import amount
from streams.sweep_score import curve


def swept_page(rows: Sequence[SettingRow], made: Mapping[str, Any], said: Sequence[str]) -> Page:
    """`made` is compare.json, `said` the sentences that the command line ends with."""
    labelled = any(row.labels is not None for row in rows)
    sections = [
        Section("settings", "Settings", joined(paragraphs(*map(_sentence, said)), _settings(rows, labelled))),
        *([Section("curve", "Recall against false alarms", _curve(rows))] if labelled else []),
        Section("made", "How this was made", how(made)),
    ]
    return Page("Sweep", "The same events under every setting", sections)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _settings(rows: Sequence[SettingRow], labelled: bool) -> Html:
    most = max((row.per_day_high or 0.0 for row in rows), default=0.0)
    week = max((row.next_week_high or 0.0 for row in rows), default=0.0)
    headings = [Heading("Setting"), Heading("Market", choose=True), Heading("Budget", "mark", choose=True),
                Heading("A day", "number"), Heading("95 %"), Heading("Hours a day", "number"),
                Heading("Next week", "number"), Heading("95 %")]  # fmt: skip
    if labelled:
        headings += [Heading("Recall", "number"), Heading("95 %"), Heading("False", "number"),
                     Heading("False in 1,000 creator-days", "number"), Heading("95 %")]  # fmt: skip
    cells = [_setting(row, most, week) + (_beside(row) if labelled else []) for row in rows]
    return table("all-settings", "Settings by market", headings, cells, "Of the days that count.")


def _setting(row: SettingRow, most: float, week: float) -> list[Cell]:
    kept = {None: "", True: "best" if row.chosen else "kept", False: "over"}[row.within_budget]
    hours = Cell("", None) if row.hours_per_day is None else Cell(number(row.hours_per_day), row.hours_per_day)
    return [
        Cell(row.values, row.setting), Cell(row.market), Cell(kept),
        *spread(row.per_day, row.per_day_low, row.per_day_high, most), hours,
        *spread(row.next_week, row.next_week_low, row.next_week_high, week),
    ]  # fmt: skip


def _beside(row: SettingRow) -> list[Cell]:
    return [
        *shares(row.recall, row.recall_low, row.recall_high), amount(row.false_alerts or 0),
        *spread(row.false_per_1000, row.false_per_1000_low, row.false_per_1000_high, 0.0),
    ]  # fmt: skip


def _curve(rows: Sequence[SettingRow]) -> Html:
    """A point for each setting; those on the curve are joined, and a table names them."""
    points = [row for row in rows if row.market == ALL and row.recall is not None and row.false_per_1000 is not None]
    if not points:
        return tag("p", "The labels name no true episode.", class_="empty")
    right, best = nice(max(row.false_per_1000 or 0.0 for row in points)), curve(points)
    lines = [
        tag("line", x1=_x(one, right), y1=_y(one), x2=_x(other, right), y2=_y(other), class_="reach")
        for one, other in pairwise(best)
    ]
    dots = [
        tag("circle", tag("title", f"{row.values}: {_said(row)}"), cx=_x(row, right), cy=_y(row),
            r=6 if row.chosen else 4, class_="at" if row in best else "fill-base")
        for row in points
    ]  # fmt: skip
    below = across([(0, "0"), (50, number(right / 2)), (100, f"{number(right)} false in 1,000 creator-days")])
    drawn = joined(grid(1.0), lines, dots, scale(1.0, unit="share"), below)
    text = "Up: recall. To the right: false alerts. Joined: no other setting catches as many with fewer false alerts."
    named: list[Row] = [[Cell(row.values, row.setting), Cell(_said(row))] for row in best]
    headings = [Heading("Setting"), Heading("Recall, false alarms")]
    chart = figure("recall-curve", "Recall against false alarms", text, drawn)
    return joined(chart, table("on-curve", "On the curve", headings, named))


def _x(row: SettingRow, right: float) -> str:
    return f"{1 + 98 * (row.false_per_1000 or 0.0) / right:.2f}%"  # a point at the edge is whole


def _y(row: SettingRow) -> str:
    return down(row.recall or 0.0, 0.0, 1.0)


def _said(row: SettingRow) -> str:
    return f"{share(row.recall or 0.0)} at {number(row.false_per_1000 or 0.0)} false in 1,000 creator-days"
