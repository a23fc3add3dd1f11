"""What the columns of a Parquet file of events are: which there must be, of which type, and how they become ours.

    one column for each field of the contract      event_id, type, creator_id, occurred_at, market, and those that may
                                                   be absent; `attrs` a struct, a map from strings, or JSON as a string
    or `key` and `value`                           as they stand on the topic, strings or binary
    beside either: `partition`, `offset`           a recording, whose records have their place; `timestamp` if known

A null is a field that is absent. A field that is the same for a whole folder may stand in its name, `market=TH/`, as
Hive and Spark write it. Unknown columns are ignored, as unknown fields are.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import unquote

from streams.files import RecordingError, arrow

REQUIRED = ("event_id", "type", "creator_id", "occurred_at", "market")
OPTIONAL = ("category", "actor_id", "ref_id", "amount", "currency", "attrs")
TEXTS = frozenset({*REQUIRED, *OPTIONAL} - {"occurred_at", "amount", "attrs"})
RAW = ("key", "value")
PLACE = ("partition", "offset")
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


class Form(NamedTuple):
    """What the rows of a file are; the same for all files of a folder."""

    raw: bool  # key and value, not fields
    placed: bool  # with partition and offset


def hive_fields(folders: tuple[str, ...]) -> dict[str, str | None]:
    """What the names of its folders say of all rows of a file.

    >>> hive_fields(("events", "dt=2026-01-05", "market=TH", "partition=3"))
    {'market': 'TH', 'partition': '3'}
    """
    said = (folder.split("=", 1) for folder in folders if "=" in folder)
    found = {name: unquote(value) for name, value in said if name in TEXTS or name == "partition"}
    return {name: None if value == HIVE_NULL else value for name, value in found.items()}


# ---- which there must be -----------------------------------------------------------------------------------


def form_of(file: str, schema: Any, hive: dict[str, str | None]) -> Form:
    """What a file with this Arrow schema holds; RecordingError says which column is missing or of another type."""
    names = {*schema.names, *hive}
    raw = "value" in schema.names and "event_id" not in names
    for name in RAW if raw else REQUIRED:
        if name not in names:
            columns = ", ".join(schema.names[:12]) or "none"
            other = "" if raw else "; or key and value"
            raise RecordingError(f"{file}: has no column {name} ({_expected(name)}{other}); its columns: {columns}")
    placed = {name for name in PLACE if name in names}
    if len(placed) == 1:
        (absent,) = set(PLACE) - placed
        raise RecordingError(f"{file}: has a column {placed.pop()} but none called {absent}: both or neither")
    if (said := hive.get("partition")) is not None and not said.isdecimal():
        raise RecordingError(f"{file}: lies in partition={said}; expected a number")
    for field in schema:
        _check(file, field, raw)
    return Form(raw, bool(placed))


def wanted(schema: Any, form: Form) -> list[str]:
    """The columns of a file that are read, in the order of the contract."""
    fields = RAW if form.raw else (*REQUIRED, *OPTIONAL)
    places = (*PLACE, "timestamp") if form.placed else ()
    return [name for name in (*fields, *places) if name in schema.names]


def _expected(name: str) -> str:
    if name in RAW:
        return "binary or string"
    if name == "attrs":
        return "a struct or map of strings, numbers and booleans, or JSON as a string"
    return {"occurred_at": "int64, ms since 1970", "amount": "a number"}.get(name, "string" if name in TEXTS else "int")


def _check(file: str, field: Any, raw: bool) -> None:
    name, kind = field.name, field.type
    known = RAW if raw else (*REQUIRED, *OPTIONAL)
    if name in known or name in (*PLACE, "timestamp"):
        is_null = arrow(file).types.is_null(kind) and name in OPTIONAL
        if not is_null and not _fits(name, kind):
            raise RecordingError(f"{file}: column {name} is {kind}; expected {_expected(name)}")


def _fits(name: str, kind: Any) -> bool:
    types = arrow(name).types
    if name in ("occurred_at", "timestamp"):
        return bool(types.is_integer(kind) or types.is_timestamp(kind))
    if name in PLACE:
        return bool(types.is_integer(kind))
    if name == "amount":
        return _is_number(kind)
    if name in RAW:
        return is_text(kind) or bool(types.is_binary(kind) or types.is_large_binary(kind))
    if name == "attrs" and types.is_struct(kind):
        return all(_is_attribute(child.type) for child in kind)
    if name == "attrs" and types.is_map(kind):
        return is_text(kind.key_type) and _is_attribute(kind.item_type)
    return is_text(kind)


def is_text(kind: Any) -> bool:
    types = arrow("a column").types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_number(kind: Any) -> bool:
    types = arrow("a column").types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _is_attribute(kind: Any) -> bool:
    types = arrow("a column").types
    return _is_number(kind) or is_text(kind) or bool(types.is_boolean(kind) or types.is_null(kind))


# ---- how they become ours ----------------------------------------------------------------------------------


def ours(name: str, column: Any) -> Any:
    """A column as an array of the type that is ours: strings, int64 (milliseconds), float64, binary; attrs as it is."""
    pa, kind = arrow(name), column.type
    if name in RAW:
        return column.cast(pa.string()).cast(pa.binary()) if pa.types.is_dictionary(kind) else column.cast(pa.binary())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("ms", kind.tz), safe=False).cast(pa.int64())  # without a zone it is UTC
    if name == "amount":
        return column.cast(pa.float64())
    if name == "attrs" and not is_text(kind):
        return column
    return column.cast(pa.string() if name in TEXTS or name == "attrs" else pa.int64())
