"""A workbook of what a replay found: real numbers, real dates, and text that can't become a formula.

Every text is written as a string, whatever it begins with; nothing is put before it. What XML can't hold is replaced
by U+FFFD, a carriage return by a line feed. Dates are UTC, which Excel does not know: their headers say so.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from streams.outcome import Rows, grouped
from streams.outcome_rows import TABLES, Column, GroupRow, ScoreRow, columns

ROWS_MAX = 1_048_576  # of a sheet, the header too
TEXT_MAX = 32_767  # of a cell, in UTF-16
CREATED = datetime(2000, 1, 1)  # not the clock: the same input gives the same workbook
_UNHELD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPE = re.compile(r"_(?=x[0-9a-fA-F]{4}_)")
_EPOCH = datetime(1970, 1, 1)
_FORMATS = {"instant": "yyyy-mm-dd hh:mm:ss", "day": "yyyy-mm-dd", "number": "0.00##", "integer": "#,##0"}
_WIDTHS = {"instant": 20.0, "day": 12.0, "number": 12.0, "integer": 10.0, "flag": 9.0}
_LOOKED_AT = 1_000  # rows that the width of a column of text goes by


class Sheet(NamedTuple):
    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]


def write_excel(rows: Rows, run: Mapping[str, Any], path: Path) -> None:
    """`run` is what run.json says, without what differs from run to run."""
    import xlsxwriter

    # rows go to temporary files as they come, so that memory does not hold every cell
    with TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": folder, "use_zip64": True})
        try:
            book.set_properties({"created": CREATED, "title": "Replay", "author": ""})
            formats = {kind: book.add_format({"num_format": text}) for kind, text in _FORMATS.items()}
            formats["header"] = book.add_format({"bold": True, "bottom": 1})
            for sheet in sheets(rows, run):
                _write_sheet(book.add_worksheet(sheet.name), sheet, formats)
            book.close()
        except BaseException:
            _abandon(book)
            raise


def _abandon(book: Any) -> None:
    """Close the temporary files of a workbook that is not finished."""
    for sheet in book.worksheets():
        if not sheet.row_data_fh_closed:
            sheet.row_data_fh_closed = True
            with contextlib.suppress(OSError):  # the disk is full: what it holds is thrown away
                sheet.row_data_fh.close()


def sheets(rows: Rows, run: Mapping[str, Any]) -> list[Sheet]:
    """What the workbook holds: summary, by signal, by market, episodes, labels or cases if there are, settings."""
    found = [_pairs("summary", summary(rows, run))]
    found += [_by(rows, "signal"), _by(rows, "market"), _table("episodes", "episodes", rows)]
    if "labels" in rows:
        found.append(_table("labels matched", "labels", rows))
    if "cases" in rows:
        found.append(_table("cases decided", "cases", rows))
    return [*found, _pairs("settings", flat(run))]


def summary(rows: Rows, run: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The figures to begin with."""
    episodes: Sequence[Any] = rows["episodes"]
    told = [row for row in episodes if not row.shadow]
    lines = [(name, run.get(name)) for name in ("records", "bad_records", "creators", "days")]
    lines += [("alerts", len(told)), ("revisions", sum(row.revisions for row in told))]
    lines += [(f"alerts, {one}", sum(row.severity == one for row in told)) for one in ("critical", "warning", "info")]
    lines += [("alerts, open at the end", sum(row.ended_at is None for row in told))]
    lines += [("creators with an alert", len({row.creator_id for row in told}))]
    lines += [("alerts told aside", len(episodes) - len(told))]
    if "scorecard" not in rows:
        return [*lines, ("labels", "none were given: nothing is said to be true or false")]
    every: Any = rows["scorecard"][0]
    names = [name for name in ScoreRow.__struct_fields__ if name not in ("about", "signal", "market", "size", "alerts")]
    return [*lines, *((name, getattr(every, name)) for name in names)]


def flat(run: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Nested facts as lines.

    >>> flat({"options": {"close": True}, "sources": [{"kind": "events"}]})
    [('options.close', True), ('sources.1.kind', 'events')]
    """
    lines: list[tuple[str, Any]] = []
    for name, value in run.items():
        within = {str(n): one for n, one in enumerate(value, 1)} if isinstance(value, list | tuple) else value
        if isinstance(within, Mapping):
            lines += flat(within, f"{before}{name}.")
        else:
            lines.append((f"{before}{name}", value))
    return lines


def _pairs(name: str, lines: Sequence[tuple[str, Any]]) -> Sheet:
    return Sheet(name, [Column("what", "text", False, ""), Column("value", "text", True, "")], lines)


def _table(name: str, table: str, rows: Rows) -> Sheet:
    known = columns(TABLES[table])
    values = [[getattr(row, column.name) for column in known] for row in rows[table]]
    return Sheet(name, known, values)


def _by(rows: Rows, by: str) -> Sheet:
    """Counts by signal or market; with labels how good they were, also of what said nothing."""
    episodes: Sequence[Any] = rows["episodes"]
    counts = {row.name: row for row in grouped(episodes, by)}
    scores = {getattr(row, by): row for row in rows.get("scorecard", ()) if row.about == by}  # type: ignore[attr-defined]
    left = [Column(by, "text", False, ""), *columns(GroupRow)[1:]]
    without = ("about", "signal", "market", "size", "alerts")
    right = [column for column in columns(ScoreRow) if column.name not in without] if scores else []
    none = GroupRow("", 0, 0, 0, 0, 0, 0, None)
    values = []
    for name in [*counts, *sorted(scores.keys() - counts.keys())]:
        row = counts.get(name, none)
        line = [name, *(getattr(row, column.name) for column in left[1:])]
        values.append(line + [getattr(scores.get(name), column.name, None) for column in right])
    return Sheet(f"by {by}", left + right, values)


# ---- cells -------------------------------------------------------------------------------------------------


def _write_sheet(sheet: Any, content: Sheet, formats: Mapping[str, Any]) -> None:
    room = ROWS_MAX - 1
    cut = len(content.rows) > room
    rows = content.rows[: room - 1] if cut else content.rows
    for at, column in enumerate(content.columns):
        said = f"{column.name} (UTC)" if column.kind in ("instant", "day") else column.name
        sheet.write_string(0, at, said, formats["header"])
        sheet.set_column(at, at, _width(column, said, rows, at))
    for number, values in enumerate(rows, 1):
        for at, column in enumerate(content.columns):
            _write_cell(sheet, number, at, values[at], column.kind, formats)
    if cut:
        left = len(content.rows) - len(rows)
        sheet.write_string(room, 0, f"{left:,} more rows do not fit on a sheet of Excel; the Parquet file has all")
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(1, len(rows)), len(content.columns) - 1)


def _write_cell(sheet: Any, row: int, at: int, value: Any, kind: str, formats: Mapping[str, Any]) -> None:
    if value is None:
        return
    if kind == "instant":
        sheet.write_datetime(row, at, _EPOCH + timedelta(milliseconds=value), formats["instant"])
    elif kind == "day":
        sheet.write_datetime(row, at, _EPOCH + timedelta(days=value), formats["day"])
    elif isinstance(value, bool):
        sheet.write_boolean(row, at, value)
    elif isinstance(value, int | float):
        sheet.write_number(row, at, value, formats["integer" if isinstance(value, int) else "number"])
    else:
        sheet.write_string(row, at, in_xml(cell_text(str(value))))


def cell_text(text: str) -> str:
    """The text that a cell can hold; nearly always the text itself.

    >>> cell_text("=1+1"), cell_text("a\\x00b")
    ('=1+1', 'a�b')
    """
    text = _UNHELD.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    if len(text.encode("utf-16-le")) // 2 <= TEXT_MAX:
        return text
    return text.encode("utf-16-le")[: (TEXT_MAX - 1) * 2].decode("utf-16-le", "ignore") + "…"


def in_xml(text: str) -> str:
    """As XlsxWriter has to be given a text, so that readers get this very text.

    It takes what stands between `<r>` and `</r>` to be XML of its own, and `_x0041_` stands for A in a workbook. Such a
    text is given as XML, its runs cut where that escape would begin.
    """
    if not _ESCAPE.search(text) and not (text.startswith("<r>") and text.endswith("</r>")):
        return text
    runs = _ESCAPE.sub("_\x00", text[: TEXT_MAX // 16]).split("\x00")
    escaped = [run.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for run in runs]
    return "".join(f'<r><t xml:space="preserve">{run}</t></r>' for run in escaped)


def _width(column: Column, header: str, rows: Sequence[Sequence[Any]], at: int) -> float:
    """Wide enough for most; a sentence is not shown whole."""
    longest = len(header) + 4  # the button of the filter
    if column.kind == "text":
        longest = max([longest, *(len(str(row[at])) for row in rows[:_LOOKED_AT] if row[at] is not None)])
    return max(min(longest + 1, 60), _WIDTHS.get(column.kind, 0.0))
