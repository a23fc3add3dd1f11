"""Any source as a file of another kind, by its name: nothing that a replay looks at is lost.

Plain events stay plain events, in their order; a recording keeps partition, offset, timestamp and the ticks that count.
A folder gets `part-0.parquet` and, of a recording that has ticks, `ticks.jsonl`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from streams.columns import Record
from streams.files import NoRecordingError, RecordingError, whole_file
from streams.parquet import PART, TICKS
from streams.parquet_columns import RAW
from streams.parquet_writing import FIELDS, PLACED, Sized, event_row, record_row, write_rows
from streams.recording import head_line, tick_line, write_recording
from streams.sources import Source
from streams.ticks import Tick

LINES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
PARQUET = ".parquet"


def check_name(out: Path) -> None:
    """NoRecordingError if this name says of nothing that we write what it is."""
    if not out.name.endswith((*LINES, PARQUET)) and out.suffix:
        expected = f"{', '.join(LINES)} or {PARQUET}, or a folder, whose name has no dot"
        raise NoRecordingError(f"--out {out}: expected a file that ends in {expected}")
    if not out.absolute().parent.is_dir():
        raise NoRecordingError(f"--out {out}: there is no folder {out.parent}; make it first")
    if not out.suffix and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NoRecordingError(f"--out {out}: is there already; expected a new folder or an empty one")


class Converter:
    """Writes one source. `records` and `ticks` say how many there were."""

    def __init__(self, source: Source, *, raw: bool = False, progress: Callable[[int], None] = lambda n: None) -> None:
        self.source = source
        self.raw = raw
        self.progress = progress
        self.records = 0
        self.ticks: list[Tick] = []

    def write(self, out: Path) -> None:
        """To a file or a folder, which is whole or not there."""
        if out.name.endswith(LINES):
            self._lines(out)
        elif out.suffix == PARQUET:
            self._parquet(out, ticks_elsewhere=False)
        else:
            self._folder(out)

    def _lines(self, out: Path) -> None:
        source = self.source
        if source.kind == "recording":
            write_recording(out, self._entries(), topic=source.topic, partitions=source.partitions)
            return
        with whole_file(out) as file:
            for number, _, _, value in source.plain():
                file.write(one_line(value, source.where(number)) + b"\n")
                self._count()

    def _parquet(self, out: Path, *, ticks_elsewhere: bool) -> None:
        names: tuple[str, ...] = FIELDS
        head = None
        if self.source.kind == "recording":
            names, head = PLACED, head_line(self.source.topic, self.source.partitions)
        elif self.raw:
            names = RAW
        with whole_file(out) as file:
            write_rows(file, names, self._rows(), head)
            if self.ticks and not ticks_elsewhere:
                raise NoRecordingError(f"--out {out}: Parquet has no room for the ticks of a recording; name a folder")

    def _rows(self) -> Iterator[Sized]:
        source = self.source
        if source.kind == "recording":
            for partition, entry in self._entries():
                if isinstance(entry, Record):
                    yield record_row(partition, entry)
            return
        for number, key, _, value in source.plain():
            yield Sized((key, value), len(value or b"")) if self.raw else event_row(key, value, source.where(number))
            self._count()

    def _folder(self, out: Path) -> None:
        part = out.with_name(f".{out.name}.{os.getpid()}.part")
        try:
            part.mkdir()
            self._parquet(part / PART, ticks_elsewhere=True)
            if self.ticks:
                with whole_file(part / TICKS) as file:
                    file.writelines(tick_line(tick) for tick in self.ticks)
            part.replace(out)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _entries(self) -> Iterator[tuple[int, Record | Tick]]:
        for partition, entry in self.source.entries():
            if isinstance(entry, Tick):
                self.ticks.append(entry)
            else:
                self._count()
            yield partition, entry

    def _count(self) -> None:
        self.records += 1
        if self.records % 1_000 == 0:
            self.progress(self.source.done)


def one_line(value: bytes | None, where: str) -> bytes:
    """An event as a line, which has no line break in it.

    >>> one_line(b'{"market":\\n "TH"}', "events.parquet: row 1")
    b'{"market":"TH"}'
    """
    if value is not None and b"\n" not in value and value.strip():
        return value
    try:
        return msgspec.json.format(value or b"", indent=-1)
    except msgspec.DecodeError:
        why = "is empty" if not (value or b"").strip() else "is no JSON and has a line break"
        raise RecordingError(f"{where}: {why}; a line can't hold it") from None
