"""Where a replay gets its events from: a file, plain, gzip or zstd; Parquet, a file or a folder; standard input.

    with open_source(Path("events.jsonl.zst"), partitions=4) as source:
        for partition, entry in source.entries(): ...
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from streams.columns import Record
from streams.files import PARQUET, NoRecordingError, beginning, scratch, written_to
from streams.parquet import ParquetSource
from streams.recording import Kind, Recording
from streams.sorting import in_time_order
from streams.spread import Row, spread
from streams.ticks import Tick

STANDARD_INPUT = Path("-")
KEEPING = "standard input was kept there"
CHUNK_BYTES = 1 << 20


class Source(Protocol):
    """Events or a recording; its iterators may be asked for again and again."""

    name: str
    kind: Kind
    topic: str
    partitions: int  # over which plain events are spread, or those of the recording
    bytes_total: int
    files: list[tuple[str, Path]]  # what is read, as errors call it; of standard input its copy

    @property
    def bytes_read(self) -> int:
        """By the newest iterator."""

    def head(self) -> None:
        """Learn what the source says of itself, its topic, without reading further."""

    def entries(self) -> Iterator[tuple[int, Record | Tick]]:
        """(partition, record or tick), each partition in its own order."""

    def plain(self) -> Iterator[Row]:
        """Of plain events: the rows of the file in its order, see spread.py."""

    def warning(self) -> str | None:
        """What is to be said of the newest `entries`, once they were read."""

    def where(self, number: int) -> str:
        """What errors call the line or row of this number."""


@contextmanager
def open_source(path: Path, partitions: int = 4, *, sort: bool = False) -> Iterator[Source]:
    """The source at this path, `-` being standard input; it can be read within the block.

    RecordingError says what is wrong with it, NoRecordingError that it is none or can't be read in the way asked for.
    """
    if path == STANDARD_INPUT:
        with scratch(KEEPING) as folder:
            yield _recognised(_kept(sys.stdin.buffer, folder / "input"), partitions, "standard input", sort)
    else:
        yield _recognised(path, partitions, str(path), sort)


def _kept(stream: IO[bytes], path: Path) -> Path:
    """What comes, in a file: a source is read more than once."""
    if stream.isatty():
        raise NoRecordingError("standard input is a terminal; expected events to be piped in")
    with written_to(path.parent, KEEPING), path.open("wb") as file:
        shutil.copyfileobj(stream, file, CHUNK_BYTES)
    return path


def _recognised(path: Path, partitions: int, name: str, sort: bool) -> Source:
    if path.is_dir() or path.suffix == ".parquet" or (path.is_file() and beginning(path) == PARQUET):
        source: Source = ParquetSource(path, partitions, name)
    else:
        source = Recording(path, partitions, name)
    source.head()
    if sort:
        return Sorted(source)
    return source


class Sorted:
    """A source of plain events, in the order of their time."""

    def __init__(self, source: Source) -> None:
        if source.kind == "recording":
            raise NoRecordingError(f"{source.name}: is a recording, which has its order from Kafka; leave --sort out")
        self.source = source
        self.kind: Kind = source.kind
        self.name, self.topic, self.partitions = source.name, source.topic, source.partitions
        self.bytes_total, self.files = source.bytes_total, source.files

    @property
    def bytes_read(self) -> int:
        return self.source.bytes_read

    def head(self) -> None:
        """It was read when the source was opened."""

    def entries(self) -> Iterator[tuple[int, Record | Tick]]:
        yield from spread(self.plain(), self.partitions)

    def plain(self) -> Iterator[Row]:
        yield from in_time_order(self.source.plain(), self.name)

    def warning(self) -> str | None:
        return None

    def where(self, number: int) -> str:
        return self.source.where(number)
