"""One process's share of a replay: the shards whose numbers leave the same remainder, and their files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from config.catalogue import unpack
from config.schema import Catalogue
from streams import saved_state
from streams.cases import Cases
from streams.columns import Record
from streams.engine import Engine
from streams.errors import CheckpointError
from streams.processes import Pause, StoppedError, heeding
from streams.pseudonyms import Pseudonyms
from streams.records import Alert
from streams.reload import fixed_while_running
from streams.replay import Entries, Part, close_all, play
from streams.shard import Make, engine_of
from streams.sources import Only, Opening, Source, everything
from streams.ticks import Tick
from streams.trace import partitions_of, traces
from streams.traced import Trace
from streams.unfinished import HELD_MAX, Unfinished, keep_cases

SAVE_SECONDS = 30.0
SAVE_SHARE = 0.05  # of the time, at most


class Share(NamedTuple):
    """All that a process needs to know."""

    opening: Opening
    catalogue: bytes | None  # packed; None: that of the checkpoint
    pseudonyms: Pseudonyms | None = None
    close: bool | None = None  # None: as the source is
    checkpoint: Path | None = None
    cases: bool = False  # whether decisions of reviewers are looked for
    number: int = 0
    of: int = 1
    folder: Path = Path()
    resume: bool = False

    def has(self, partition: int) -> bool:
        return partition % self.of == self.number

    def starts(self, source: Source) -> Starts:
        return Starts(source, None if self.catalogue is None else unpack(self.catalogue), self.checkpoint, self.has)

    def mine(self, entries: Entries) -> Entries:
        return entries if self.of == 1 else (entry for entry in entries if self.has(entry[0]))


def work(share: Share, pause: Pause) -> str | None:
    """Play the share to its end, or until it is to stop. What the source has to say of itself, then; None if it was
    stopped."""
    files = Unfinished(share.folder)
    files.begin(resume=share.resume)
    if files.progress.finished:
        return ""
    source = share.opening.open(share.has)
    starts, usual = share.starts(source), partial(Engine, pseudonyms=share.pseudonyms)
    parts = {summary.partition: Part(engine_of(snapshot, source.topic, summary.partition, usual), summary)
             for summary, snapshot in files.states()}  # fmt: skip
    for partition in sorted(starts.copies.keys() - parts.keys()):
        parts[partition] = starts.part(partition, usual)
    if not (starts.shift or share.cases):
        source.begin_at({partition: part.start for partition, part in parts.items()})
    cases, entries = Cases(), share.mine(starts.entries(source))
    if share.cases:
        entries = cases.watch(entries)
    saving = _Saving(files, parts)
    try:
        begun = partial(starts.part, make=usual)
        play(entries, parts, begun, pause=lambda n: saving(pause(source.done, n)))
    except StoppedError:
        return None
    if share.close:
        close_all(parts)
    keep_cases(share.folder, cases)
    files.save(parts, finished=True)
    return source.warning() or ""


def trace(share: Share, alerts: Sequence[Sequence[Alert]], pause: Pause) -> dict[str, Trace] | None:
    """The traces of those of these alerts whose events are in the share; None if it was stopped."""
    places = [partitions_of(revisions) or {share.number} for revisions in alerts]
    asked = [revisions for revisions, where in zip(alerts, places, strict=True) if any(map(share.has, where))]
    source = share.opening.open(share.has)
    starts = share.starts(source)

    try:
        return traces(
            share.mine(starts.entries(source)), starts.usual_catalogue(), asked, topic=source.topic,
            close=bool(share.close), progress=heeding(pause, lambda: source.done), begin=starts.part,
        )  # fmt: skip
    except StoppedError:
        return None


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
        elif any(len(part.alerts) + len(part.dead) > HELD_MAX for part in self.parts.values()):
            self.files.drain(self.parts)
        if stop:
            raise StoppedError


class Starts:
    """How each shard begins: with nothing, or with the state that a checkpoint holds."""

    def __init__(
        self, source: Source, catalogue: Catalogue | None, checkpoint: Path | None, only: Only = everything
    ) -> None:
        """`catalogue` None: that of the checkpoint."""
        self.topic, self.catalogue, self.checkpoint = source.topic, catalogue, checkpoint
        copies = {} if checkpoint is None else saved_state.partitions_in(checkpoint)
        self.copies = {p: copy for p, copy in copies.items() if only(p)}
        # plain events have no offsets of their own: they are what came behind the checkpoint
        plain = source.kind == "events" and bool(copies)
        if plain and copies.keys() != set(range(source.partitions)):
            raise CheckpointError(
                f"{checkpoint}: holds {len(copies)} partitions, and events are spread over {source.partitions}; "
                f"expected --partitions {len(copies)}"
            )
        self.shift = {p: saved_state.next_offset(copy) for p, copy in self.copies.items()} if plain else {}

    def part(self, partition: int, make: Make = Engine) -> Part:
        """A shard at its beginning, its engine built by `make`."""
        copy = self.copies.get(partition)
        if copy is None:
            return Part(make(self.usual_catalogue(), self.topic, partition))
        part = Part(engine_of(saved_state.read(copy), self.topic, partition, make))
        if self.catalogue is not None and self.catalogue.version != part.engine.catalogue.version:
            for problem in fixed_while_running(part.engine.catalogue, self.catalogue):
                raise CheckpointError(problem)
            part.take(part.engine.reconfigure(self.catalogue))
        return part

    def usual_catalogue(self) -> Catalogue:
        """What decides at first in a partition that has no checkpoint: it had no records yet."""
        if self.catalogue is None:
            assert self.checkpoint is not None
            return saved_state.catalogue_in(self.checkpoint)
        return self.catalogue

    def entries(self, source: Source) -> Entries:
        """Of the source, at their offsets."""
        if not self.shift:
            return source.entries()
        return ((p, _shifted(entry, self.shift.get(p, 0))) for p, entry in source.entries())


def _shifted(entry: Record | Tick, by: int) -> Record | Tick:
    if isinstance(entry, Tick):
        return entry
    return Record(entry.offset + by, entry.key, entry.value, entry.timestamp)
