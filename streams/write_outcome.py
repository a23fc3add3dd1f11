"""Everything that a replay leaves in its folder, whole or not at all.

alerts.jsonl, shadow_alerts.jsonl, dead_letters.jsonl, CSV, run.json and report.html need nothing but Python; Parquet,
DuckDB and Excel need the extra `tables`. All is written under other names first: what was there stays until all of it
is written, and what an earlier replay left and this one does not write is removed, so that a folder never tells of two.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from config.schema import Catalogue
from streams.errors import RipcurrentError
from streams.files import FULL, sync, whole_path
from streams.outcome import Rows, Truth
from streams.outcome_rows import TABLES
from streams.recording import TOPIC
from streams.replay import Result, write_result
from streams.report import MINUTES_PER_CASE
from streams.run_facts import run_json
from streams.traced import Trace
from streams.write_arrow import rows_of, write_parquet
from streams.write_csv import write_csv
from streams.write_duckdb import write_duckdb
from streams.write_excel import write_excel
from streams.write_page import write_report

RUN, DUCKDB, EXCEL, REPORT = "run.json", "replay.duckdb", "replay.xlsx", "report.html"
NEEDED = {"pyarrow": "Parquet", "duckdb": "DuckDB", "xlsxwriter": "Excel"}
OURS = (DUCKDB, EXCEL, *(f"{name}.{ending}" for name in TABLES for ending in ("csv", "parquet")))


class OutcomeError(RipcurrentError):
    """What came out can't be written: where, and why."""


def missing() -> list[str]:
    """What the extra `tables` would bring and is not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def write_outcome(
    result: Result, folder: Path, catalogue: Catalogue, run: Mapping[str, Any], *,
    labels: Truth | None = None, topic: str = TOPIC, tables: bool = True,
    timings: Mapping[str, float] | None = None, traces: Mapping[str, Trace] | None = None,
    minutes_per_case: float = MINUTES_PER_CASE,
) -> None:  # fmt: skip
    """`tables`: also Parquet, DuckDB and Excel. `run` is what run.json says, `timings` what took how long so far.
    `traces` and `minutes_per_case` are of the report.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    facts: dict[str, Any] = to_builtins(run)
    with _room(folder), ExitStack() as files:

        parts: dict[str, Path] = {}

        def whole(name: str) -> Path:
            parts[name] = files.enter_context((_database if name == DUCKDB else whole_path)(folder / name))
            return parts[name]

        run_file = whole(RUN)  # the first to be entered is the last to get its name: it says that all is there
        rows = rows_of(result, catalogue, labels)
        _write_tables(rows, facts, whole, tables)
        titles = {name: signal.title for name, signal in catalogue.signals.items()}
        write_report(rows, facts, traces or {}, whole(REPORT), titles=titles, minutes_per_case=minutes_per_case)
        took = {**(timings or {}), "tables_seconds": round(time.monotonic() - began, 3)}
        run_file.write_bytes(run_json(facts, took))
        for part in parts.values():
            sync(part)
        write_result(result, folder, topic)  # whole or not at all; behind it there is nothing but names to be given
    for name in sorted(set(OURS) - set(parts)):
        (folder / name).unlink(missing_ok=True)


def _write_tables(rows: Rows, facts: Mapping[str, Any], whole: Callable[[str], Path], tables: bool) -> None:
    """Write them to where `whole` says."""
    for name, each in rows.items():
        write_csv(TABLES[name], each, whole(f"{name}.csv"))
    if tables:
        for name, each in rows.items():
            write_parquet(TABLES[name], each, whole(f"{name}.parquet"))
        write_duckdb(rows, whole(DUCKDB))
        write_excel(rows, facts, whole(EXCEL))


@contextmanager
def _database(path: Path) -> Iterator[Path]:
    """As `whole_path`; what DuckDB may leave beside its file goes as well."""
    with whole_path(path) as part:
        try:
            yield part
        finally:
            part.with_name(part.name + ".wal").unlink(missing_ok=True)


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """A full disk as one line, whichever library found out."""
    try:
        yield
    except Exception as error:
        if (why := _no_room(error)) is None:
            raise
        raise OutcomeError(f"{folder}: no room there ({why}); nothing was written, and what was there stays") from error


def _no_room(error: BaseException | None) -> str | None:
    """What a full disk says, if that is why. XlsxWriter wraps the error, DuckDB only quotes it."""
    while error is not None:
        inner = error.args[0] if error.args and isinstance(error.args[0], OSError) else error
        if isinstance(inner, OSError) and inner.errno in FULL:
            return os.strerror(inner.errno)
        said = [os.strerror(number) for number in FULL if os.strerror(number) in str(error)]
        if said:
            return said[0]
        error = error.__cause__ or error.__context__
    return None
