"""A replay that isn't finished, on the disk: what came out so far, and the state that it came out of.

So alerts and dead letters don't fill the memory, and a replay that was stopped or killed goes on where it was. Each
process has a folder of its own: lines are appended to three files; now and then the states of its shards are written,
and then, whole or not at all, `progress`, which says how many bytes of each file belong to them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, overload

import msgspec
import numpy as np

from streams import checkpoint, state
from streams.cases import Case, Cases
from streams.checkpoint import checksum
from streams.columns import DeadLetter, Record
from streams.errors import CheckpointError, RecordError, RipcurrentError
from streams.files import FULL
from streams.records import Alert, decode_alert, encode_alert
from streams.replay import Dead, Part, Summary
from streams.state import Snapshot

ALERTS, SHADOW, DEAD = "alerts.jsonl", "shadow.jsonl", "dead.msgpack"
PROGRESS = "progress"
HELD_MAX = 10_000  # alerts and dead letters of a shard in memory, before they are written


class NoRoomError(RipcurrentError):
    """The disk is full: where."""


class Progress(msgspec.Struct, frozen=True):
    """How far it is."""

    generation: int
    sizes: dict[str, int]  # bytes of each file
    summaries: list[Summary]
    finished: bool


class _Letter(msgspec.Struct, frozen=True, array_like=True):
    """A dead letter, whole."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    reason: str
    path: str
    detail: str


_encode = msgspec.msgpack.Encoder().encode
_decode_letter = msgspec.msgpack.Decoder(_Letter).decode


class Unfinished:
    """The files of one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.progress = Progress(0, {}, [], False)

    def begin(self, *, resume: bool) -> None:
        """Take up what is there, or begin with nothing."""
        if resume and (found := self._read()) is not None:
            self.progress = found
            for name, size in found.sizes.items():
                os.truncate(self.folder / name, size)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            for name in (ALERTS, SHADOW, DEAD):
                (self.folder / name).touch()

    def _read(self) -> Progress | None:
        """None where a process ended before it had written any, and where a bit of it is wrong."""
        try:
            data = (self.folder / PROGRESS).read_bytes()
            if checksum(memoryview(data)[12:]) != data[:12]:
                return None
            found = msgspec.msgpack.decode(data[12:], type=Progress)
            there = all((self.folder / name).stat().st_size >= size for name, size in found.sizes.items())
            return found if there else None
        except (OSError, msgspec.MsgspecError):
            return None

    def states(self) -> Iterator[tuple[Summary, Snapshot]]:
        """Where each shard was."""
        for summary in self.progress.summaries:
            try:
                stored = msgspec.msgpack.decode(self._state(summary.partition).read_bytes(), type=dict[str, bytes])
            except (OSError, msgspec.DecodeError) as error:
                raise CheckpointError(f"{self.folder}: can't go on ({error}); leave --resume out") from None
            found = checkpoint.newest(stored)
            if found.snapshot is None:
                raise CheckpointError(f"{self.folder}: can't go on ({'; '.join(found.faults)}); leave --resume out")
            yield summary, found.snapshot

    def _state(self, partition: int) -> Path:
        return self.folder / f"state-{self.progress.generation}-{partition}"

    def drain(self, parts: Mapping[int, Part]) -> None:
        """Write what came out of the shards, and hold it no longer."""
        with (
            self._room(), self._appended(ALERTS) as alerts, self._appended(SHADOW) as shadow,
            self._appended(DEAD) as dead,
        ):  # fmt: skip
            for partition, part in sorted(parts.items()):
                alerts.writelines(encode_alert(alert) + b"\n" for alert in part.alerts)
                shadow.writelines(encode_alert(alert) + b"\n" for alert in part.shadow)
                dead.writelines(_letter(partition, letter) for letter in part.dead)
                part.alerts, part.shadow, part.dead = [], [], []

    def _appended(self, name: str) -> IO[bytes]:
        return (self.folder / name).open("ab")

    def save(self, parts: Mapping[int, Part], *, finished: bool = False) -> None:
        """From here on, this is where it goes on."""
        self.drain(parts)
        with self._room():
            self._save(parts, finished)

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        """A full disk as one line."""
        try:
            yield
        except OSError as error:
            if error.errno not in FULL:
                raise
            out, why = self.folder.parent.parent, os.strerror(error.errno)
            raise NoRoomError(f"{out}: no room there ({why}); nothing was written, and what was there stays") from error

    def _save(self, parts: Mapping[int, Part], finished: bool) -> None:
        before, sizes = self.progress, {name: (self.folder / name).stat().st_size for name in (ALERTS, SHADOW, DEAD)}
        summaries = [part.summary(partition) for partition, part in sorted(parts.items())]
        self.progress = Progress(before.generation + 1, sizes, summaries, finished)
        if not finished:
            for partition, part in parts.items():
                written = checkpoint.encode(state.take(part.engine), 0, 0, -1, None)
                manifest = {checkpoint.manifest_key(0, 0): checkpoint.encode_manifest(written.manifest)}
                self._state(partition).write_bytes(_encode(manifest | written.blocks))
        body = _encode(self.progress)
        new = self.folder / (PROGRESS + ".new")
        new.write_bytes(checksum(body) + body)
        new.replace(self.folder / PROGRESS)
        for stale in self.folder.glob(f"state-{before.generation}-*"):
            stale.unlink()


def _decided(folder: Path) -> Path:
    return folder / "cases.msgpack"


def keep_cases(folder: Path, cases: Cases) -> None:
    """What reviewers decided, as far as this process has read it."""
    _decided(folder).write_bytes(_encode((list(cases.by_alert.values()), cases.left_out)))


def read_cases(folder: Path, into: Cases) -> None:
    found, left_out = msgspec.msgpack.decode(_decided(folder).read_bytes(), type=tuple[list[Case], int])
    for case in found:
        into.add(case)
    into.left_out += left_out


def _letter(partition: int, letter: DeadLetter) -> bytes:
    """With its length before it."""
    record, error = letter
    body = _encode(
        _Letter(partition, record.offset, record.key, record.value, record.timestamp, error.reason, error.path,
                error.detail)
    )  # fmt: skip
    return len(body).to_bytes(4, "little") + body


# ---- what came out -----------------------------------------------------------------------------------------


def alerts_in(folders: Iterable[Path], name: str) -> list[Alert]:
    """All revisions that these processes wrote."""
    found: list[Alert] = []
    for folder in folders:
        with (folder / name).open("rb") as file:
            found += map(decode_alert, file)
    return found


class DeadLetters(Sequence[Dead]):
    """The dead letters of all processes by partition and offset, read from their files when they are asked for. In
    memory: 32 bytes for each, and 70 more while they are put in order.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.files = [folder / DEAD for folder in folders]
        found = array("q")
        for n, file in enumerate(self.files):
            for place in _places(n, file):
                found.extend(place)
        rows = np.frombuffer(found, dtype=np.int64).reshape(-1, 4)  # (n, 4) partition, offset, file, where in it
        self.places = rows[np.lexsort((rows[:, 1], rows[:, 0]))]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Dead]:
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(file.open("rb")) for file in self.files]
            for _, _, file, at in map(np.ndarray.tolist, self.places):
                files[file].seek(at)
                yield _dead(files[file].read(int.from_bytes(files[file].read(4), "little")))

    @overload
    def __getitem__(self, index: int) -> Dead: ...
    @overload
    def __getitem__(self, index: slice) -> list[Dead]: ...
    def __getitem__(self, index: int | slice) -> Dead | list[Dead]:
        return list(self)[index]


def _places(n: int, path: Path) -> Iterator[tuple[int, int, int, int]]:
    with path.open("rb") as file:
        at = 0
        while head := file.read(4):
            letter = _decode_letter(file.read(int.from_bytes(head, "little")))
            yield letter.partition, letter.offset, n, at
            at = file.tell()


def _dead(data: bytes) -> Dead:
    one = _decode_letter(data)
    record = Record(one.offset, one.key, one.value, one.timestamp)
    return Dead(one.partition, DeadLetter(record, RecordError(one.reason, one.path, one.detail)))
