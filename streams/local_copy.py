"""A shard's newest state on the worker's own disk: a checkpoint that is written more often than those on the topic.

A restart then does seconds again, not what came since the checkpoint on the topic. The copy is whole in itself, with
blocks and a manifest as on the topic, and never an authority. It is `rooted` in a checkpoint of the topic, on which
what is in it followed: that record must stand there as it did then, else the copy is of another time and is left alone.
What else must hold is in `Vault.restore`. What it holds is believed by the checksums that checkpoints carry anyway.
Without it, or with a harmed one, everything is read from the topic, as if there were no disk.

One file for each block or manifest, named by its key, and an `index`: written last, put in place whole, so that a
death between two files leaves the copy before or none.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from streams.checkpoint import Progress, checksum

INDEX = "index"
FILE_BYTES_MAX = 16 << 20  # no record of Kafka's is so large; what is, is not read


class Root(msgspec.Struct, frozen=True):
    """A checkpoint on the topic: its manifest's place, key and checksum; the keys that the partition held then, and how
    many bytes the source has brought since.
    """

    offset: int
    key: str
    mark: bytes
    held: list[str]
    behind: int = 0


class Index(msgspec.Struct, frozen=True):
    root: Root
    keys: list[str]  # of the files: the manifest's first


class Copy(NamedTuple):
    """The copy as read."""

    root: Root
    stored: dict[str, bytes]  # the manifest and its blocks


class LocalCopy:
    """The copy of one partition, in a folder of its own."""

    def __init__(self, folder: Path, topic: str, partition: int) -> None:
        self.folder = folder / topic / str(partition)

    def read(self, progress: Progress = lambda _: None) -> Copy | None:
        """The copy, if there is a whole one; what is in it is not judged yet."""
        try:
            data = _bytes(self.folder / INDEX)
            if checksum(memoryview(data)[12:]) != data[:12]:
                return None
            index = msgspec.msgpack.decode(data[12:], type=Index)
            stored: dict[str, bytes] = {}
            for n, key in enumerate(index.keys):
                stored[key] = _bytes(self._file(key))
                progress(n / len(index.keys))
            return Copy(index.root, stored)
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError):  # a name that is none; deep nesting
            return None

    def keep(self, root: Root, fresh: Mapping[str, bytes], keys: Iterable[str]) -> None:
        """The copy consists of `keys` now, of which `fresh` are new.

        OSError where the disk doesn't take it: `forget` then, for a copy with a gap is none.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, data in fresh.items():
            self._file(name).write_bytes(data)
        held = sorted(keys, reverse=True)
        body = msgspec.msgpack.encode(Index(root, held))
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
