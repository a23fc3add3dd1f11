"""A table as CSV (RFC 4180, line ends \\n): UTF-8, instants as ISO 8601 in UTC, null is nothing and no text is `""`.

The text is as it was: one that begins with `=` is not changed, so import the file as text where it is not trusted.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from streams.outcome_rows import ColumnKind, columns

_SPECIAL = frozenset(',"\r\n')
_EPOCH = date(1970, 1, 1).toordinal()


def write_csv(row: type[Struct], rows: Sequence[Struct], path: Path) -> None:
    """A header, then one line for each row; the same rows give the same bytes."""
    kinds = [(column.name, column.kind) for column in columns(row)]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(name for name, _ in kinds) + "\n")
        for one in rows:
            file.write(",".join(cell(getattr(one, name), kind) for name, kind in kinds) + "\n")


def cell(value: Any, kind: ColumnKind) -> str:
    """
    >>> cell('say "hi", then go', "text"), cell(None, "text"), cell(True, "flag"), cell(1_767_571_200_000, "instant")
    ('"say ""hi"", then go"', '', 'true', '2026-01-05T00:00:00.000Z')
    """
    if value is None:
        return ""
    match kind:
        case "text":
            text = str(value)
            return text if text and _SPECIAL.isdisjoint(text) else '"' + text.replace('"', '""') + '"'
        case "flag":
            return "true" if value else "false"
        case "instant":
            at = datetime.fromtimestamp(value // 1_000, UTC)
            return f"{at:%Y-%m-%dT%H:%M:%S}.{value % 1_000:03}Z"
        case "day":
            return date.fromordinal(_EPOCH + value).isoformat()
    return repr(value)
