"""Files of events as they lie on the disk: plain, gzip or zstd, read by what they begin with, written by their name.

Zstandard and Parquet need pyarrow, which is in the extra `tables`; it is imported by who needs it, so that a worker
never loads it.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import importlib
import io
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from streams.errors import RipcurrentError

GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
FULL = errno.ENOSPC, errno.EDQUOT, errno.EFBIG
INSTALL = "pip install 'ripcurrent[tables]'"  # pyarrow, duckdb and XlsxWriter
BUFFER_BYTES = 1 << 18


class RecordingError(RipcurrentError):
    """The file can't be read as events or as a recording: which, where, and what to do."""


class NoRecordingError(RecordingError):
    """There is no such file, or none that can be asked for in this way."""


class MissingExtraError(NoRecordingError):
    """Something is needed that is installed only when it is asked for."""


def arrow(name: str, module: str = "pyarrow") -> Any:
    """pyarrow, for the file `name`."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(
            f"{name}: zstd and Parquet need pyarrow, which is not installed: {INSTALL}"
        ) from None


# ---- reading -----------------------------------------------------------------------------------------------


def beginning(path: Path) -> bytes:
    """Its first bytes, enough to tell what it is."""
    with said_of(str(path)), path.open("rb") as file:
        return file.read(4)


@contextlib.contextmanager
def said_of(name: str, what: str = "zstd") -> Iterator[None]:
    """Makes what goes wrong while a file is read one line that names it; `what` is what arrow reads of it."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        why = str(error).rstrip(".") or type(error).__name__
        raise RecordingError(f"{name}: is broken gzip ({why}); was it copied whole?") from None
    except FileNotFoundError:
        raise NoRecordingError(f"{name}: there is no such file; is the path right?") from None
    except OSError as error:
        if error.errno is None:  # not of the system, but of arrow
            raise RecordingError(f"{name}: is broken {what} ({_words(error)}); was it copied whole?") from None
        raise RecordingError(f"{name}: can't be read: {error.strerror or error}") from None


def _words(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


@contextlib.contextmanager
def opened(raw: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """What is in it, uncompressed. How far `raw` was read says how far one is."""
    start = raw.read(4)
    raw.seek(0)
    if start.startswith(GZIP):
        with gzip.GzipFile(fileobj=raw) as file:
            yield file  # type: ignore[misc]
    elif start == ZSTD:
        with arrow(name).CompressedInputStream(raw, "zstd") as stream:
            yield io.BufferedReader(stream, BUFFER_BYTES)
    else:
        yield raw


# ---- writing -----------------------------------------------------------------------------------------------


def check_writable(path: Path) -> None:
    """Raises before anything is done for it if a file of this name can't be written."""
    if path.suffix in (".zst", ".parquet"):
        arrow(str(path))


@contextlib.contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """Another name for a file that others write: it gets its own when all is well, and is removed when not."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name when it is complete, and not at all when the body raises. Gzip where the
    name ends in .gz, zstd where it ends in .zst, with nothing of the clock or the name in its header.
    """
    try:
        with whole_path(path) as part, part.open("wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
                    yield file  # type: ignore[misc]
            elif path.suffix == ".zst":
                own = os.fdopen(os.dup(raw.fileno()), "wb")  # arrow closes what it writes to
                with arrow(str(path)).CompressedOutputStream(own, "zstd") as stream:
                    buffered = io.BufferedWriter(stream, BUFFER_BYTES)  # arrow has a write of its own for each line
                    yield buffered
                    buffered.flush()
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(path)  # the system does not say where there is no room
        raise


def sync(path: Path) -> None:
    """What is written is on the disk: a full one says so now."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def scratch(doing: str) -> Iterator[Path]:
    """A folder for what has no room in memory, gone afterwards."""
    with written_to(Path(tempfile.gettempdir()), doing):
        made = tempfile.TemporaryDirectory(prefix="ripcurrent-")
    with made as folder:
        yield Path(folder)


@contextlib.contextmanager
def written_to(folder: Path, doing: str) -> Iterator[None]:
    """Makes one line of a full disk, and of what else keeps us from writing there."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            why = f"no room on the disk while {doing}; the variable TMPDIR may name another folder"
            raise RecordingError(f"{folder}: {why}") from None
        raise RecordingError(f"{folder}: can't be written while {doing}: {error.strerror or error}") from None
