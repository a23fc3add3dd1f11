"""The columns of the tables of a replay, as docs/replay.md has them between two marks."""

from collections.abc import Mapping
from inspect import getdoc

from msgspec import Struct

from streams.compare_rows import COMPARED, SWEPT
from streams.outcome_rows import TABLES, ColumnKind, columns
from streams.write_duckdb import VIEWS

BEGIN = "<!-- made by `python -m streams.reference`; a test fails when it is stale -->\n"
END = "<!-- end of what is made -->\n"
TYPES: dict[ColumnKind, str] = {
    "text": "text", "integer": "whole number", "number": "number", "flag": "true or false", "instant": "time, UTC",
    "day": "date, UTC",
}  # fmt: skip


def with_columns(page: str) -> str:
    """The page with what stands between the marks made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + tables_text() + "\n" + END + after


def tables_text() -> str:
    """Every table with its columns, and the views; then those of a comparison and of a sweep."""
    lines = _tables(TABLES)
    lines += ["### Views of replay.duckdb", "", "| view | holds | columns |", "|---|---|---|"]
    for name, view in VIEWS.items():
        said = list(view.columns)
        told = "those of `episodes`" if said == [c.name for c in columns(TABLES["episodes"])] else None
        lines.append(f"| `{name}` | {view.meaning} | {told or ', '.join(f'`{one}`' for one in said)} |")
    lines += ["", "### Tables of what if", "", *_tables({**COMPARED, **SWEPT}, level="####")]
    return "\n".join(lines).rstrip() + "\n"


def _tables(tables: Mapping[str, type[Struct]], level: str = "###") -> list[str]:
    lines = []
    for name, row in tables.items():
        lines += [f"{level} {name}", "", *(getdoc(row) or "").splitlines(), ""]
        lines += ["| column | type | holds |", "|---|---|---|"]
        for column in columns(row):
            kind = TYPES[column.kind] + (" or null" if column.nullable else "")
            lines.append(f"| `{column.name}` | {kind} | {column.meaning} |")
        lines.append("")
    return lines
