"""Tables for Arrow and Parquet.

    source, catalogue = Recording(Path("events.jsonl")), load()
    result = replay(source.entries(), catalogue, close=True)
    tables(result, catalogue)["episodes"]     # a pyarrow.Table

pyarrow comes with the extra `tables` and is loaded when it is needed: the worker never loads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from config.schema import Catalogue
from streams.labels import read_kinds
from streams.outcome import Rows, Truth, outcome
from streams.outcome_rows import TABLES, columns
from streams.outcome_score import Replayed

if TYPE_CHECKING:
    import pyarrow as pa


def rows_of(result: Replayed, catalogue: Catalogue, labels: Truth | None = None) -> Rows:
    """The rows of every table, with the catalogue's titles."""
    titles = {name: signal.title for name, signal in catalogue.signals.items()}
    return outcome(result, titles, labels, None if labels is None else read_kinds())


def tables(
    result: Replayed, catalogue: Catalogue, labels: Truth | None = None
) -> Mapping[str, pa.Table]:
    """The tables of a replay by name: `episodes` and `daily`; with labels also `labels` and `scorecard`, with cases
    `scorecard` and `cases`."""
    return {name: arrow_table(TABLES[name], rows) for name, rows in rows_of(result, catalogue, labels).items()}


def arrow_table(row: type[Struct], rows: Sequence[Struct]) -> pa.Table:
    """Rows as columns; each column says in its metadata what it holds."""
    import pyarrow as pa

    types: dict[str, Any] = {
        "text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "flag": pa.bool_(),
        "instant": pa.timestamp("ms", tz="UTC"), "day": pa.date32(),
    }  # fmt: skip
    known = columns(row)
    fields = [pa.field(c.name, types[c.kind], c.nullable, {"description": c.meaning}) for c in known]
    arrays = [pa.array([getattr(one, c.name) for one in rows], types[c.kind]) for c in known]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def write_parquet(row: type[Struct], rows: Sequence[Struct], path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(arrow_table(row, rows), path, compression="zstd")
