"""Kafka as memory: a shard's checkpoints and ticks, read back at a restore and written while it runs."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import aiokafka
import msgspec
from mode import get_logger

from config.packed import pack
from config.schema import Catalogue
from streams import checkpoint
from streams.checkpoint import Cut, Manifest, Progress
from streams.errors import CheckpointError
from streams.local_copy import LocalCopy, Root
from streams.patience import RETRY_SECONDS, patiently, stop
from streams.security import for_aiokafka
from streams.sink import Sink
from streams.state import Snapshot
from streams.ticks import Tick, agree, decode_tick, encode_tick, spread_over, unanswered, valid
from streams.topics import Topics

log = get_logger(__name__)

READ_TIMEOUT_MS = 500
REQUEST_TIMEOUT_MS = 10_000  # as KafkaSettings.request_seconds
MARK = 12  # bytes of a manifest's own checksum, with which it begins


async def read_all(
    bootstrap: str, topic: str, partition: int, first: int = 0, progress: Progress = lambda _: None
) -> list[Any]:
    """Every record of a partition from offset `first`, up to its end as it is now, however long the brokers take."""
    return await patiently(lambda: _read_all(bootstrap, topic, partition, first, progress))


async def _read_all(bootstrap: str, topic: str, partition: int, first: int, progress: Progress) -> list[Any]:
    tp = aiokafka.TopicPartition(topic, partition)
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50, max_partition_fetch_bytes=4 << 20,
        request_timeout_ms=REQUEST_TIMEOUT_MS, **for_aiokafka(),
    )  # fmt: skip
    await consumer.start()
    try:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        begin = max(first, (await consumer.beginning_offsets([tp]))[tp])
        if begin >= end:
            return []
        consumer.seek(tp, begin)
        records: list[Any] = []
        while (at := await consumer.position(tp)) < end:
            progress((at - begin) / (end - begin))
            batch = await consumer.getmany(tp, timeout_ms=READ_TIMEOUT_MS)
            records += [record for record in batch.get(tp, []) if record.offset < end]
        return records
    finally:
        await stop(consumer)


class Restored(NamedTuple):
    """A state that was found, and where."""

    manifest: Manifest
    snapshot: Snapshot
    origin: str  # "local": the copy on disk; "checkpoint": the topic
    base: Manifest | None  # the newest checkpoint on the topic, which a copy on disk is rooted in or is ahead of
    base_written: float  # Unix s
    behind: int = 0  # bytes of the source since the base


class Saved(NamedTuple):
    """Bytes that were written."""

    topic: int
    disk: int


class Held(NamedTuple):
    """What the checkpoints topic holds of a partition."""

    keys: set[str]
    values: dict[str, bytes]  # of the records that were read
    places: dict[str, tuple[int, float]]  # of the same: offset, and Unix s at which it was written


def held_after(before: Iterable[str], records: Iterable[Any]) -> Held:
    """What a compacted partition holds after these records, if it held these keys before them."""
    held = Held(set(before), {}, {})
    for record in records:
        try:
            key = record.key.decode()
        except (AttributeError, UnicodeDecodeError):
            continue  # not of ours
        if record.value is None:
            held.keys.discard(key)
            held.values.pop(key, None)
        else:
            held.keys.add(key)
            held.values[key] = record.value
            held.places[key] = (record.offset, record.timestamp / 1_000)
    return held


def heads_of(held: Held) -> list[Manifest]:
    """The checkpoints that are whole as far as their keys say, oldest first."""
    found: list[Manifest] = []
    for key in sorted(key for key in held.values if key.startswith("m/")):
        with contextlib.suppress(CheckpointError):
            found.append(checkpoint.decode_manifest(held.values[key]))
    return [manifest for manifest in found if checkpoint.whole(manifest, held.keys)]


class _Copied(NamedTuple):
    """The copy on disk, whole."""

    manifest: Manifest
    snapshot: Snapshot
    behind: int


class Vault:
    """One shard's checkpoints and ticks, under the epoch of its present owner."""

    def __init__(
        self, sink: Sink, bootstrap: str, topics: Topics, partition: int, local: LocalCopy | None = None
    ) -> None:
        self._sink = sink
        self._local = local
        self._bootstrap = bootstrap
        self._checkpoints, self._ticks = topics.checkpoints, topics.ticks
        self.partition = partition
        self.epoch = 0
        self.sequence = 0
        self.ticks_end: int | None = None  # of our part of the ticks topic, as of our last record there
        self.requests: list[tuple[int, Tick]] = []  # to forget somebody, not answered yet, with their offsets
        self.faults = 0  # checkpoints that could not be used at the restore
        self.kept: list[Manifest] = []  # on the topic, oldest first, at most two
        self.stored: set[str] = set()  # keys in the topic
        self.progress = 0.0  # of the restore: 1 when the state is here
        self._root: Root | None = None  # the newest on the topic
        self._copied: Manifest | None = None  # the newest on disk, of our epoch

    async def _put(self, keys: dict[str, bytes] | dict[str, None]) -> list[int]:
        """Write these to the checkpoints topic; when this returns they are acknowledged. Their offsets."""
        sent = [await self._sink.send(self._checkpoints, k.encode(), v, self.partition) for k, v in keys.items()]
        return [(await one).offset for one in sent]

    async def begin_epoch(self, partitions: int) -> list[tuple[int, Tick]]:
        """Announce a new owner, and read all ticks that count up to the announcement. CheckpointError if the source has
        other `partitions` than when there was an owner before: its creators were spread over other shards.
        """
        known = await self._read_ticks()
        await self._refuse_other_shards(known, partitions)
        while True:
            self.epoch = max((tick.epoch for _, tick in known), default=0) + 1
            ours = await self._write_tick(Tick(self.partition, self.epoch, partitions=partitions))
            known = await self._still_ours(ours)
            if all(tick.epoch < self.epoch for offset, tick in known if offset < ours):
                self.requests = unanswered(known)
                return list(valid(known))  # else the first reading had missed an epoch: a new one, above it

    async def _refuse_other_shards(self, known: list[tuple[int, Tick]], partitions: int) -> None:
        if not known and self.partition:  # a partition that nobody owned yet may have been added: ask the first
            records = await read_all(self._bootstrap, self._ticks, 0)
            known = [(record.offset, decode_tick(record.value)) for record in records]
        before = spread_over(known)
        if before not in (None, partitions):
            raise CheckpointError(
                f"the source had {before} partitions and has {partitions} now: creators have moved between shards, and "
                f"their state has not"
            )

    async def _still_ours(self, through: int) -> list[tuple[int, Tick]]:
        """All that stands on the ticks topic; an error if an owner came after us."""
        log = await self._read_ticks(through)
        newest = max(tick.epoch for _, tick in log)
        if newest > self.epoch:
            raise RuntimeError(f"partition {self.partition} has another new owner: epoch {newest}, ours {self.epoch}")
        return log

    async def _read_ticks(self, through: int = -1) -> list[tuple[int, Tick]]:
        """All ticks, up to `through` at least.

        A broker that has just become leader does not show its newest records yet, though they are acknowledged.
        """
        while True:
            records = await read_all(self._bootstrap, self._ticks, self.partition)
            if through < 0 or (records and records[-1].offset >= through):
                return [(record.offset, decode_tick(record.value)) for record in records]
            log.warning("partition %d: our newest tick is not shown yet, asked again", self.partition)
            await asyncio.sleep(RETRY_SECONDS)

    async def write_tick(self, after_offset: int, up_to: int) -> tuple[int, Tick]:
        """Record a tick; when this returns it is acknowledged and may be obeyed."""
        tick = Tick(self.partition, self.epoch, after_offset, up_to)
        return await self._write_tick(tick), tick

    async def write_change(self, after_offset: int, replaces: str | None, catalogue: Catalogue) -> tuple[int, Tick]:
        """Record that another configuration decides from here on; as for a tick."""
        tick = Tick(self.partition, self.epoch, after_offset, None, replaces, pack(catalogue).decode())
        return await self._write_tick(tick), tick

    async def look(self, end: int) -> None:
        """Take in what somebody else has written to our part of the ticks topic, which ends there now."""
        if self.ticks_end is None or end <= self.ticks_end:
            return
        log = await self._read_ticks()
        if max(tick.epoch for _, tick in log) == self.epoch:  # else our next record will tell us that we are too late
            self.requests, self.ticks_end = unanswered(log), log[-1][0] + 1

    async def write_erasure(
        self, after_offset: int, request: tuple[int, Tick], found: Iterable[str]
    ) -> tuple[int, Tick]:
        """Record that a creator is forgotten from here on, as was asked for; as for a tick."""
        asked, wish = request
        tick = Tick(
            self.partition, self.epoch, after_offset, erase=wish.erase, markets=wish.markets, asked=asked,
            found=tuple(sorted(found)),
        )  # fmt: skip
        offset = await self._write_tick(tick)
        self.requests = [one for one in self.requests if one[0] != asked]
        return offset, tick

    async def _write_tick(self, tick: Tick) -> int:
        sent = await self._sink.send(self._ticks, str(self.partition).encode(), encode_tick(tick), self.partition)
        offset: int = (await sent).offset
        if self.ticks_end is not None and offset != self.ticks_end:  # somebody else wrote here: behind a newer owner's
            self.requests = unanswered(await self._still_ours(offset))  # epoch, ours would be void
        self.ticks_end = offset + 1
        return offset

    async def restore(self, ticks: Sequence[tuple[int, Tick]]) -> Restored | None:
        """The newest state of this shard that is sure: the copy on disk if it is not behind the topic, else the newest
        usable checkpoint there. `ticks` are those that count.

        A state follows from the records of the source, the valid ticks between them, and the first configuration. So
        whoever wrote the copy, and when, it is the state at its offset if it followed on a checkpoint of this topic,
        and the ticks agree with it. All that it gave rise to was acknowledged before it was written.
        """
        found, copy, held = None, None, None
        if self._local is not None:
            copy, held = await self._copy_on_disk(ticks)
        heads = heads_of(held) if held is not None else []
        if copy is None or held is None or not heads or copy.manifest.next_offset < max(h.next_offset for h in heads):
            records = await read_all(self._bootstrap, self._checkpoints, self.partition, 0, self._reading)
            held = held_after((), records)
            found = await asyncio.to_thread(checkpoint.newest, held.values, self._decoding)
            for fault in found.faults:
                log.error("partition %d: a checkpoint can't be used: %s", self.partition, fault)
            heads = [found.manifest] if found.manifest is not None else []
        self.progress, self.stored = 1.0, held.keys
        base, written = self._keep_base(heads[-1], held) if heads else (None, 0.0)
        self.faults = len(found.faults) if found is not None else 0
        if copy is not None and (base is None or copy.manifest.next_offset >= base.next_offset):
            return Restored(copy.manifest, copy.snapshot, "local", base, written, copy.behind)
        if found is None or found.manifest is None or found.snapshot is None:
            return None
        return Restored(found.manifest, found.snapshot, "checkpoint", base, written)

    def _keep_base(self, base: Manifest, held: Held) -> tuple[Manifest, float]:
        """This is the newest on the topic: what is written next comes after it, and a copy on disk is rooted in it."""
        self.kept = [base]
        key = checkpoint.manifest_key(base.epoch, base.sequence)
        offset, written = held.places[key]
        self._root = Root(offset, key, held.values[key][:MARK], sorted(held.keys))
        return base, written

    def _reading(self, done: float) -> None:
        self.progress = done / 2

    def _decoding(self, done: float) -> None:
        self.progress = 0.5 + done / 2

    async def _copy_on_disk(self, ticks: Sequence[tuple[int, Tick]]) -> tuple[_Copied | None, Held | None]:
        """The copy on disk, if it is whole and of this topic and these ticks; and what the topic holds by it."""
        assert self._local is not None
        read = await asyncio.to_thread(self._local.read, self._reading)
        if read is None:
            return None, None
        root = read.root
        records = await read_all(self._bootstrap, self._checkpoints, self.partition, root.offset)
        at = [(r.offset, r.key.decode(), (r.value or b"")[:MARK]) for r in records[:1]]
        if at != [(root.offset, root.key, root.mark)]:
            log.warning("partition %d: the copy on disk is not of this topic's checkpoints: not used", self.partition)
            return None, None
        held = held_after(root.held, records)
        try:
            found = await asyncio.to_thread(checkpoint.newest, read.stored, self._decoding)
        except CheckpointError as error:
            log.warning("partition %d: the copy on disk is not used: %s", self.partition, error)
            return None, held
        if found.manifest is None or found.snapshot is None:
            log.error("partition %d: the copy on disk can't be used: %s", self.partition, "; ".join(found.faults))
            return None, held
        if not agree(ticks, found.manifest.ticks_applied, found.manifest.next_offset):
            log.warning("partition %d: the copy on disk does not follow the recorded ticks: not used", self.partition)
            return None, held
        return _Copied(found.manifest, found.snapshot, root.behind), held

    async def save(self, snapshot: Snapshot, ticks_applied: int, *, topic: bool = True, behind: int = 0) -> Saved:
        """Write a copy to the disk, if there is one, and a checkpoint to the topic, if it is due. `behind` is how many
        bytes the source has brought since the one before. When this returns, what was written is safe.
        """
        self.sequence += 1
        cut = await asyncio.to_thread(checkpoint.cut, snapshot)
        on_disk = await self._copy(cut, ticks_applied, behind) if self._root is not None else 0
        if not topic:
            return Saved(0, on_disk)
        written = await self._save(cut, ticks_applied)
        on_disk += await self._copy(cut, ticks_applied, 0)  # nothing of it changed but where it is rooted
        return Saved(written, on_disk)

    async def _save(self, cut: Cut, ticks_applied: int) -> int:
        """To the topic: blocks, then the manifest, then tombstones for what is no longer needed. The bytes of it."""
        # Blocks are shared within an epoch only: what a former owner that doesn't know it yet deletes is never ours.
        before = self.kept[-1] if self.kept and self.kept[-1].epoch == self.epoch else None
        written = await asyncio.to_thread(checkpoint.encode, cut, self.epoch, self.sequence, ticks_applied, before)
        key, body = checkpoint.manifest_key(self.epoch, self.sequence), checkpoint.encode_manifest(written.manifest)
        await self._put(written.blocks)
        (offset,) = await self._put({key: body})
        self.stored |= {key, *written.blocks}
        self.kept = [*self.kept, written.manifest][-2:]
        gone = checkpoint.obsolete(self.stored, self.kept)
        await self._put(dict.fromkeys(gone))
        self.stored -= set(gone)
        self._root = Root(offset, key, body[:MARK], sorted(self.stored))
        return len(body) + sum(map(len, written.blocks.values()))

    async def _copy(self, cut: Cut, ticks_applied: int, behind: int) -> int:
        """To the disk, and how many bytes; a disk that doesn't take it costs time at the next restart, no more."""
        if self._local is None or self._root is None:
            return 0
        try:
            return await asyncio.to_thread(self._copy_now, self._local, self._root, cut, ticks_applied, behind)
        except OSError as error:
            log.error("partition %d: no copy of the checkpoint on disk: %s", self.partition, error)
            self._copied = None
            await asyncio.to_thread(self._local.forget)
            return 0

    def _copy_now(self, local: LocalCopy, root: Root, cut: Cut, ticks_applied: int, behind: int) -> int:
        written = checkpoint.encode(cut, self.epoch, self.sequence, ticks_applied, self._copied)
        manifest = written.manifest
        key, body = checkpoint.manifest_key(self.epoch, self.sequence), checkpoint.encode_manifest(manifest)
        keys = [key, *(checkpoint.block_key(name, block) for name, block in manifest.blocks.items())]
        local.keep(msgspec.structs.replace(root, behind=behind), {**written.blocks, key: body}, keys)
        self._copied = manifest
        return len(body) + sum(map(len, written.blocks.values()))
