"""What a partition of the checkpoints topic holds, up to one of its records, on the worker's own disk.

A restart then reads from Kafka only what was written since. The copy is a mirror, never an authority: the record at
which it ends must stand on the topic as it does here, else the copy is of another time and is left alone; and what it
holds is believed by the checksums that checkpoints carry anyway. Without it, or with a harmed one, everything is read
from the topic, as if there were no disk.

One file for each block or manifest, named by its key, and an `index` that says where the copy ends: written last, put
in place whole, so that a death between two files leaves the copy before or none.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from streams.checkpoint import checksum

INDEX = "index"
FILE_BYTES_MAX = 16 << 20  # no record of Kafka's is so large; what is, is not read


class Index(msgspec.Struct, frozen=True):
    """Where the copy ends: behind the manifest `key` at `offset` of the topic; and all `keys` that it holds."""

    offset: int
    key: str
    keys: list[str]


class Copy(NamedTuple):
    """The copy as read: the record at which it ends, and what the partition held then."""

    offset: int
    key: str
    stored: dict[str, bytes]


class LocalCopy:
    """The copy of one partition, in a folder of its own."""

    def __init__(self, folder: Path, topic: str, partition: int) -> None:
        self.folder = folder / topic / str(partition)

    def read(self) -> Copy | None:
        """The copy, if there is a whole one; what is in it is not judged yet."""
        try:
            data = _bytes(self.folder / INDEX)
            if checksum(memoryview(data)[12:]) != data[:12]:
                return None
            index = msgspec.msgpack.decode(data[12:], type=Index)
            return Copy(index.offset, index.key, {key: _bytes(self._file(key)) for key in index.keys})
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError):  # a name that is none; deep nesting
            return None

    def keep(self, offset: int, key: str, fresh: Mapping[str, bytes], keys: Iterable[str]) -> None:
        """The partition holds `keys` now, of which `fresh` were written last, up to the manifest `key` at `offset`.

        OSError where the disk doesn't take it: `forget` then, for a mirror with a gap is none.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, data in fresh.items():
            self._file(name).write_bytes(data)
        held = sorted(keys)
        body = msgspec.msgpack.encode(Index(offset, key, held))
        new = self.folder / (INDEX + ".new")
        with new.open("wb") as file:
            file.write(checksum(body) + body)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.folder / INDEX)
        self._clear({self._file(name).name for name in held})

    def forget(self) -> None:
        """There is no copy any more."""
        with contextlib.suppress(OSError):
            (self.folder / INDEX).unlink(missing_ok=True)
            self._clear(set())

    def _clear(self, wanted: set[str]) -> None:
        for file in self.folder.iterdir():
            if file.name != INDEX and file.name not in wanted:
                file.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self.folder / key.replace("/", "~")


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > FILE_BYTES_MAX:
        raise OSError(f"{path} is too large")
    return path.read_bytes()
