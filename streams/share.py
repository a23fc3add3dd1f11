"""One process's share of a replay: the shards whose numbers leave the same remainder, and their files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from config.catalogue import unpack
from config.schema import Catalogue
from streams import saved_state
from streams.columns import Record
from streams.engine import Engine
from streams.errors import CheckpointError
from streams.processes import Pause
from streams.pseudonyms import Pseudonyms
from streams.reload import fixed_while_running
from streams.replay import Entries, Part, close_all, play
from streams.shard import Make, engine_of
from streams.sources import Opening, Source
from streams.ticks import Tick
from streams.unfinished import HELD_MAX, Unfinished

SAVE_SECONDS = 30.0
SAVE_SHARE = 0.05  # of the time, at most


class Share(NamedTuple):
    """All that a process needs to know."""

    opening: Opening
    catalogue: bytes | None  # packed; None: that of the checkpoint
    pseudonyms: Pseudonyms | None = None
    close: bool | None = None  # None: as the source is
    checkpoint: Path | None = None
    number: int = 0
    of: int = 1
    folder: Path = Path()
    resume: bool = False

    def has(self, partition: int) -> bool:
        return partition % self.of == self.number


def work(share: Share, pause: Pause) -> str | None:
    """Play the share to its end, or until it is to stop. What the source has to say of itself, then; None if it was
    stopped."""
    files = Unfinished(share.folder)
    files.begin(resume=share.resume)
    if files.progress.finished:
        return ""
    source = share.opening.open(share.has)
    starts, usual = Starts(share, source), partial(Engine, pseudonyms=share.pseudonyms)
    parts = {summary.partition: Part(engine_of(snapshot, source.topic, summary.partition, usual), summary)
             for summary, snapshot in files.states()}  # fmt: skip
    for partition in sorted(starts.copies.keys() - parts.keys()):
        parts[partition] = starts.part(partition)
    source.begin_at({partition: part.start for partition, part in parts.items() if not starts.shift})
    saving = _Saving(files, parts)
    try:
        play(mine(share, source, starts), parts, starts.part, pause=lambda n: saving(pause(source.done, n)))
    except _StoppedError:
        return None
    if share.close:
        close_all(parts)
    files.save(parts, finished=True)
    return source.warning() or ""


class _StoppedError(Exception):
    """Somebody asked us to stop; all is saved."""


class _Saving:
    """When what was done is written down."""

    def __init__(self, files: Unfinished, parts: Mapping[int, Part]) -> None:
        self.files, self.parts = files, parts
        self.next = time.monotonic() + SAVE_SECONDS

    def __call__(self, stop: bool) -> None:
        if stop or (began := time.monotonic()) >= self.next:
            began = time.monotonic()
            self.files.save(self.parts)
            now = time.monotonic()
            self.next = now + max(SAVE_SECONDS, (now - began) / SAVE_SHARE)
        elif max(len(part.alerts) + len(part.dead) for part in self.parts.values()) > HELD_MAX:
            self.files.drain(self.parts)
        if stop:
            raise _StoppedError


class Starts:
    """How each shard begins: with nothing, or with the state that a checkpoint holds."""

    def __init__(self, share: Share, source: Source) -> None:
        self.share, self.topic = share, source.topic
        self.catalogue = None if share.catalogue is None else unpack(share.catalogue)
        copies = {} if share.checkpoint is None else saved_state.partitions_in(share.checkpoint)
        self.copies = {p: copy for p, copy in copies.items() if share.has(p)}
        # plain events have no offsets of their own: they are what came behind the checkpoint
        plain = source.kind == "events" and bool(copies)
        self.shift = {p: saved_state.next_offset(copy) for p, copy in self.copies.items()} if plain else {}

    def part(self, partition: int, make: Make | None = None) -> Part:
        """`make` builds its engine, where that is not the usual one."""
        make = make or partial(Engine, pseudonyms=self.share.pseudonyms)
        copy = self.copies.get(partition)
        if copy is None:
            return Part(make(self.catalogue or self._catalogue_of_others(), self.topic, partition))
        part = Part(engine_of(saved_state.read(copy), self.topic, partition, make))
        if self.catalogue is not None and self.catalogue.version != part.engine.catalogue.version:
            for problem in fixed_while_running(part.engine.catalogue, self.catalogue):
                raise CheckpointError(problem)
            part.take(part.engine.reconfigure(self.catalogue))
        return part

    def _catalogue_of_others(self) -> Catalogue:
        """Of a partition that had no checkpoint: it had no records yet."""
        assert self.share.checkpoint is not None
        return saved_state.catalogue_in(self.share.checkpoint)


def mine(share: Share, source: Source, starts: Starts) -> Entries:
    entries: Iterator[tuple[int, Record | Tick]] = source.entries()
    if share.of > 1:
        entries = (entry for entry in entries if share.has(entry[0]))
    if starts.shift:
        entries = ((p, _shifted(entry, starts.shift.get(p, 0))) for p, entry in entries)
    return entries


def _shifted(entry: Record | Tick, by: int) -> Record | Tick:
    if isinstance(entry, Tick):
        return entry
    return Record(entry.offset + by, entry.key, entry.value, entry.timestamp)
