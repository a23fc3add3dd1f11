"""Events and recordings in Parquet: a file, or a folder of files, also one that is split as Hive does it.

What the columns are stands in parquet_columns.py. Rows count in the order of the paths of their files, and within a
file as they stand. Beside the files of a recording there may be a `ticks.jsonl`, whose ticks are obeyed.

One batch of rows is held, never a file.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from streams.columns import Record
from streams.files import NoRecordingError, RecordingError, arrow, said_of
from streams.interleave import Placed, interleaved, kept
from streams.parquet_columns import OPTIONAL, REQUIRED, Form, form_of, hive_fields, is_text, ours, wanted
from streams.recording import TOPIC, Kind, Recording, head_of
from streams.spread import Order, Row, probed, spread, time_of
from streams.ticks import Tick

BATCH_ROWS = 4_096
PART, TICKS = "part-0.parquet", "ticks.jsonl"  # what a folder of ours holds
HEAD_KEY = b"ripcurrent"  # of the file's metadata: the first line that the recording had as JSON Lines
WHOLE_MAX = 1 << 53


class _File(NamedTuple):
    path: Path
    name: str
    size: int  # bytes
    first: int  # number of its first row
    rows: int
    hive: dict[str, str | None]
    columns: list[str]


class Columns(NamedTuple):
    """A batch of rows: ours by name; a column that is the same for all rows of the file has but its value."""

    first: int  # number of its first row
    rows: int
    arrays: dict[str, Any]  # Arrow arrays of `rows` values
    same: dict[str, str | None]


class ParquetSource:
    """A Source (sources.py)."""

    def __init__(self, path: Path, partitions: int = 4, name: str | None = None) -> None:
        self.path = path
        self.name = name or str(path)
        self.topic = TOPIC
        self.partitions = partitions
        self.total = self.done = self.ticks_void = 0
        self._parts: list[_File] = []
        self.form = Form(False, False)
        self._head: bytes | None = None
        self._order = Order(self.where)
        for file in self._paths():
            self._add(file)
        if not sum(file.rows for file in self._parts):
            raise RecordingError(f"{self.name}: is empty; expected a row for each event")
        self.kind: Kind = "recording" if self.form.placed else "events"
        self._firsts = [file.first for file in self._parts]
        self.files = [(file.name, file.path) for file in self._parts]
        if self.kind == "recording" and path.is_dir() and (path / TICKS).exists():
            self.files.append((str(path / TICKS), path / TICKS))

    def _paths(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        found = [path for path in self.path.rglob("*.parquet") if path.is_file() and not _hidden(path, self.path)]
        if not found:
            raise NoRecordingError(f"{self.name}: is a folder without Parquet files; expected *.parquet, or a file")
        return sorted(found)

    def _add(self, path: Path) -> None:
        name = self.name if path == self.path else str(path)
        with _sound(name):
            size = path.stat().st_size
            if not size:
                raise RecordingError(f"{name}: is empty; expected Parquet")
            with arrow(name, "pyarrow.parquet").ParquetFile(path) as file:
                schema, rows = file.schema_arrow, file.metadata.num_rows
        hive = {field: said for field, said in hive_fields(path.parts[:-1]).items() if field not in schema.names}
        form = form_of(name, schema, hive)
        if self._parts and form != self.form:
            raise RecordingError(f"{name}: has other columns than {self._parts[0].name}: {_told(form, self.form)}")
        if self._head is None:
            self._head = (schema.metadata or {}).get(HEAD_KEY)
        self.form = form
        first = self._parts[-1].first + self._parts[-1].rows if self._parts else 1
        self._parts.append(_File(path, name, size, first, rows, hive, wanted(schema, form)))
        self.total += size

    def head(self) -> None:
        """Learn the topic that was recorded."""
        if self._head is not None and self.kind == "recording":
            head = head_of(self._head, self.name)
            self.topic, self.partitions = head.topic, head.partitions or self.partitions

    def begin_at(self, starts: Mapping[int, int]) -> None:
        """A file is read from its beginning."""

    def warning(self) -> str | None:
        return self._order.warning()

    def where(self, number: int) -> str:
        file = self._parts[max(bisect_right(self._firsts, number) - 1, 0)]
        return f"{file.name}: row {number - file.first + 1}"

    def entries(self) -> Iterator[tuple[int, Record | Tick]]:
        """(partition, record or tick), each partition in its own order."""
        if self.kind == "events":
            self._order = Order(self.where)
            yield from spread(self.plain(), self.partitions, self._order)
        else:
            yield from interleaved(self._records(), self._ticks(), self.where)

    def plain(self) -> Iterator[Row]:
        """(number, key, time, value) of each row."""
        for batch in self.batches():
            yield from raw_rows(batch) if self.form.raw else event_rows(batch)

    def _records(self) -> Iterator[Placed]:
        for batch in self.batches():
            places = zip(*(_values(batch, name) for name in ("partition", "offset", "timestamp")), strict=True)
            rows = raw_rows(batch) if self.form.raw else event_rows(batch)
            for (partition, offset, timestamp), (number, key, _, value) in zip(places, rows, strict=True):
                if partition is None or offset is None or int(partition) < 0 or offset < 0:
                    raise RecordingError(f"{self.where(number)}: expected a partition and an offset, 0 or more")
                yield number, int(partition), Record(offset, key, value, timestamp or 0)

    def _ticks(self) -> dict[int, list[Tick]]:
        path = self.path / TICKS
        if not self.path.is_dir() or not path.exists() or not path.stat().st_size:
            return {}
        beside = Recording(path)
        if beside.kind != "recording":
            raise RecordingError(f'{path}: line 1: is no tick; expected {{"tick": {{…}}}}')
        ticks, self.ticks_void = kept(beside.ticks())
        return ticks

    def batches(self) -> Iterator[Columns]:
        """All rows as columns, some thousands at a time."""
        done = self.done = 0
        for file in self._parts:
            number = file.first
            with _sound(file.name), arrow(file.name, "pyarrow.parquet").ParquetFile(file.path) as opened:
                for batch in opened.iter_batches(BATCH_ROWS, columns=file.columns):
                    arrays = {name: ours(name, batch.column(name)) for name in file.columns}
                    yield Columns(number, batch.num_rows, arrays, file.hive)
                    number += batch.num_rows
                    self.done = done + file.size * (number - file.first) // file.rows
            done += file.size
        self.done = self.total


def _hidden(path: Path, folder: Path) -> bool:
    """Whether it is of those that are no part of a table: `_temporary/…`, `.part-0.parquet`."""
    return any(part.startswith(("_", ".")) for part in path.relative_to(folder).parts)


def _told(form: Form, other: Form) -> str:
    if form.raw != other.raw:
        return "key and value in one, fields in the other"
    return "partition and offset in only one of them"


@contextlib.contextmanager
def _sound(name: str) -> Iterator[None]:
    """Makes what goes wrong while Parquet is read one line that names the file."""
    try:
        with said_of(name, "Parquet"):
            yield
    except (arrow(name).ArrowException, UnicodeDecodeError) as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise RecordingError(f"{name}: is broken Parquet ({why}); was it copied whole?") from None


# ---- rows --------------------------------------------------------------------------------------------------

_encode = msgspec.json.Encoder().encode
_raw_json = msgspec.json.Decoder(msgspec.Raw).decode


def raw_rows(batch: Columns) -> Iterator[Row]:
    """Rows whose key and value stand there as they were on the topic."""
    keys, values = (_values(batch, name) for name in ("key", "value"))
    for number, key, value in zip(range(batch.first, batch.first + batch.rows), keys, values, strict=True):
        yield number, key, None if value is None else probed(value)[1], value


def event_rows(batch: Columns) -> Iterator[Row]:
    """Rows of fields, each as the JSON that a producer would have sent: what is null is left out."""
    names = [name for name in (*REQUIRED, *OPTIONAL) if name in batch.arrays or name in batch.same]
    columns = [_attributes(batch.arrays[name]) if name == "attrs" else _values(batch, name) for name in names]
    for number, values in enumerate(zip(*columns, strict=True), batch.first):
        fields = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        creator = fields.get("creator_id")
        key = None if creator is None else creator.encode()
        yield number, key, time_of(fields.get("occurred_at")), _encode(fields)


def _values(batch: Columns, name: str) -> list[Any]:
    array = batch.arrays.get(name)
    return [batch.same.get(name)] * batch.rows if array is None else array.to_pylist()


def _attributes(array: Any) -> list[Any]:
    values = array.to_pylist()
    if is_text(array.type):
        return [None if text is None else _json(text) for text in values]
    return [None if value is None else _object(value) for value in values]


def _json(text: str) -> Any:
    """The object in this text; what is no JSON stays a string, and its event is a bad record."""
    if text == "null":
        return None
    try:
        return _raw_json(text)
    except msgspec.DecodeError:
        return text


def _object(value: Any) -> dict[str, Any]:
    """Of a struct, which has all fields of all types of events, or of a map, whose numbers are all of one type."""
    pairs = value.items() if isinstance(value, dict) else value
    return {name: _whole(one) for name, one in pairs if one is not None}


def _whole(value: Any) -> Any:
    if value.__class__ in (str, int, bool):
        return value
    number = float(value)  # also of a decimal
    return int(number) if number.is_integer() and abs(number) < WHOLE_MAX else number
