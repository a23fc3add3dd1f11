"""Events and recordings to Parquet, as parquet.py reads them.

Of plain events each field of the contract becomes a column, `attrs` as JSON; or key and value stand as they are (raw).
Of a recording they always do, with partition, offset and timestamp: nothing of a bad record is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

import msgspec
from msgspec import UNSET

from streams.columns import Record
from streams.errors import RecordError
from streams.files import RecordingError, arrow
from streams.parquet import HEAD_KEY
from streams.parquet_columns import OPTIONAL, PLACE, RAW, REQUIRED
from streams.records import decode_event

GROUP_ROWS, GROUP_BYTES = 65_536, 64 << 20  # of a row group, which is held until it is written
FIELDS = (*REQUIRED, *OPTIONAL)
PLACED = (*PLACE, "timestamp", *RAW)
_NUMBERS = {"occurred_at", "timestamp", *PLACE}
_encode = msgspec.json.Encoder().encode


class Sized(NamedTuple):
    """A row, and about how many bytes it has."""

    values: tuple[Any, ...]
    size: int


def write_rows(file: IO[bytes], names: tuple[str, ...], rows: Iterable[Sized], head: bytes | None = None) -> None:
    """Rows as they come, in groups. `head` is what the recording says of itself."""
    pa, pq = arrow("Parquet"), arrow("Parquet", "pyarrow.parquet")
    metadata = None if head is None else {HEAD_KEY: head}
    schema = pa.schema([(name, _type(pa, name)) for name in names], metadata)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(rows):
            columns = [pa.array(c, field.type) for c, field in zip(zip(*group, strict=True), schema, strict=True)]
            writer.write_batch(pa.record_batch(columns, schema=schema), row_group_size=GROUP_ROWS)


def _type(pa: Any, name: str) -> Any:
    if name in RAW:
        return pa.binary()
    return pa.int64() if name in _NUMBERS else pa.float64() if name == "amount" else pa.string()


def _groups(rows: Iterable[Sized]) -> Iterator[list[tuple[Any, ...]]]:
    group: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        group.append(row.values)
        size += row.size
        if len(group) >= GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def event_row(key: bytes | None, value: bytes | None, where: str) -> Sized:
    """The columns of an event. RecordingError for what is none: it has no columns."""
    try:
        event = decode_event(key, value or b"")
    except RecordError as error:
        raise RecordingError(f"{where}: is no event ({error}); --raw keeps each line as it is") from None
    fields = (getattr(event, name) for name in FIELDS[:-1])
    attrs = None if event.attrs is UNSET else _encode(event.attrs).decode()
    return Sized((*(None if field is UNSET else field for field in fields), attrs), len(value or b""))


def record_row(partition: int, record: Record) -> Sized:
    size = len(record.key or b"") + len(record.value or b"")
    return Sized((partition, record.offset, record.timestamp, record.key, record.value), size)
