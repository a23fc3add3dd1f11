"""Where a replay gets its events from: a file, plain, gzip or zstd; Parquet, a file or a folder; standard input; and,
in kafka_source.py, the topic itself.

    with open_source(Path("events.jsonl.zst"), partitions=4) as source:
        for partition, entry in source.entries(): ...
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, Protocol

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
    total: int  # bytes as they lie on the disk; of a topic records
    files: list[tuple[str, Path]]  # what is read, as errors call it; of standard input its copy

    @property
    def done(self) -> int:
        """Of `total`, by the newest iterator."""

    def head(self) -> None:
        """Learn what the source says of itself, its topic, without reading further."""

    def begin_at(self, starts: Mapping[int, int]) -> None:
        """What stands before these offsets, by partition, is not needed; it may come all the same."""

    def entries(self) -> Iterator[tuple[int, Record | Tick]]:
        """(partition, record or tick), each partition in its own order."""

    def plain(self) -> Iterator[Row]:
        """Of plain events: the rows of the file in its order, see spread.py."""

    def warning(self) -> str | None:
        """What is to be said of the newest `entries`, once they were read."""

    def where(self, number: int) -> str:
        """What errors call the line or row of this number."""


Only = Callable[[int], bool]  # of a partition


def everything(partition: int) -> bool:
    return True


class Opening(Protocol):
    """How a source is opened: by the process that asked for it, and by others beside it."""

    def open(self, only: Only = everything) -> Source:
        """The source; where that saves anything, without the partitions of which `only` is false."""


class Files(NamedTuple):
    """A file or a folder, and how it is to be read."""

    path: Path
    name: str  # what errors call it
    partitions: int
    sort: bool

    def open(self, only: Only = everything) -> Source:
        """RecordingError says what is wrong with it, NoRecordingError that it is none or can't be read so."""
        path = self.path
        if path.is_dir() or path.suffix == ".parquet" or (path.is_file() and beginning(path) == PARQUET):
            source: Source = ParquetSource(path, self.partitions, self.name)
        else:
            source = Recording(path, self.partitions, self.name)
        source.head()
        return Sorted(source) if self.sort else source


@contextmanager
def files_at(path: Path, partitions: int = 4, *, sort: bool = False) -> Iterator[Files]:
    """What this path names, `-` being standard input; it can be opened within the block."""
    if path == STANDARD_INPUT:
        with scratch(KEEPING) as folder:
            yield Files(_kept(sys.stdin.buffer, folder / "input"), "standard input", partitions, sort)
    else:
        yield Files(path, str(path), partitions, sort)


@contextmanager
def open_source(path: Path, partitions: int = 4, *, sort: bool = False) -> Iterator[Source]:
    """The source at this path, opened; it can be read within the block."""
    with files_at(path, partitions, sort=sort) as files:
        yield files.open()


def _kept(stream: IO[bytes], path: Path) -> Path:
    """What comes, in a file: a source is read more than once."""
    if stream.isatty():
        raise NoRecordingError("standard input is a terminal; expected events to be piped in")
    with written_to(path.parent, KEEPING), path.open("wb") as file:
        shutil.copyfileobj(stream, file, CHUNK_BYTES)
    return path


class Sorted:
    """A source of plain events, in the order of their time."""

    def __init__(self, source: Source) -> None:
        if source.kind == "recording":
            raise NoRecordingError(f"{source.name}: is a recording, which has its order from Kafka; leave --sort out")
        self.source = source
        self.kind: Kind = source.kind
        self.name, self.topic, self.partitions = source.name, source.topic, source.partitions
        self.total, self.files = source.total, source.files

    @property
    def done(self) -> int:
        return self.source.done

    def head(self) -> None:
        """It was read when the source was opened."""

    def begin_at(self, starts: Mapping[int, int]) -> None:
        """The file is read from its beginning."""

    def entries(self) -> Iterator[tuple[int, Record | Tick]]:
        yield from spread(self.plain(), self.partitions)

    def plain(self) -> Iterator[Row]:
        yield from in_time_order(self.source.plain(), self.name)

    def warning(self) -> str | None:
        return None

    def where(self, number: int) -> str:
        return self.source.where(number)
