"""Kafka as memory: a shard's checkpoints and ticks, read back at a restore and written while it runs."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import aiokafka
from mode import get_logger

from config.packed import pack
from config.schema import Catalogue
from streams import checkpoint
from streams.checkpoint import Manifest
from streams.local_copy import LocalCopy
from streams.patience import RETRY_SECONDS, patiently, stop
from streams.security import for_aiokafka
from streams.sink import Sink
from streams.state import Snapshot
from streams.ticks import Tick, decode_tick, encode_tick, unanswered, valid
from streams.topics import Topics

log = get_logger(__name__)

READ_TIMEOUT_MS = 500
REQUEST_TIMEOUT_MS = 10_000  # as KafkaSettings.request_seconds


async def read_all(bootstrap: str, topic: str, partition: int, first: int = 0) -> list[Any]:
    """Every record of a partition from offset `first`, up to its end as it is now, however long the brokers take."""
    return await patiently(lambda: _read_all(bootstrap, topic, partition, first))


async def _read_all(bootstrap: str, topic: str, partition: int, first: int) -> list[Any]:
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
        while await consumer.position(tp) < end:
            batch = await consumer.getmany(tp, timeout_ms=READ_TIMEOUT_MS)
            records += [record for record in batch.get(tp, []) if record.offset < end]
        return records
    finally:
        await stop(consumer)


class Restored(NamedTuple):
    """A checkpoint that was found, and where."""

    manifest: Manifest
    snapshot: Snapshot
    origin: str  # "local": the disk and what was written since; "checkpoint": the topic alone


def _held(before: Mapping[str, bytes], records: Iterable[Any]) -> dict[str, bytes]:
    """What a compacted partition holds after these records."""
    held = dict(before)
    for record in records:
        try:
            key = record.key.decode()
        except (AttributeError, UnicodeDecodeError):
            continue  # not of ours
        if record.value is None:
            held.pop(key, None)
        else:
            held[key] = record.value
    return held


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
        self.kept: list[Manifest] = []  # oldest first, at most two
        self.stored: set[str] = set()  # keys in the topic

    async def _put(self, keys: dict[str, bytes] | dict[str, None]) -> list[int]:
        """Write these to the checkpoints topic; when this returns they are acknowledged. Their offsets."""
        sent = [await self._sink.send(self._checkpoints, k.encode(), v, self.partition) for k, v in keys.items()]
        return [(await one).offset for one in sent]

    async def begin_epoch(self) -> list[tuple[int, Tick]]:
        """Announce a new owner, and read all ticks that count up to the announcement."""
        known = await self._read_ticks()
        while True:
            self.epoch = max((tick.epoch for _, tick in known), default=0) + 1
            ours = await self._write_tick(Tick(self.partition, self.epoch))
            known = await self._still_ours(ours)
            if all(tick.epoch < self.epoch for offset, tick in known if offset < ours):
                self.requests = unanswered(known)
                return list(valid(known))  # else the first reading had missed an epoch: a new one, above it

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

    async def restore(self) -> Restored | None:
        """The newest usable checkpoint of this shard: from the copy on disk and what was written since, or else from
        the topic alone."""
        copied = await self._since_the_copy()
        found = await asyncio.to_thread(checkpoint.newest, copied) if copied is not None else None
        origin = "local"
        if copied is None or found is None or found.faults or found.manifest is None:
            for fault in found.faults if found is not None else ():
                log.warning("partition %d: the copy on disk can't be used: %s", self.partition, fault)
            stored = _held({}, await read_all(self._bootstrap, self._checkpoints, self.partition))
            found, origin = await asyncio.to_thread(checkpoint.newest, stored), "checkpoint"
            self.stored = set(stored)
        else:
            self.stored = set(copied)
        self.faults = len(found.faults)
        for fault in found.faults:
            log.error("partition %d: a checkpoint can't be used: %s", self.partition, fault)
        if found.manifest is None or found.snapshot is None:
            return None
        self.kept = [found.manifest]
        return Restored(found.manifest, found.snapshot, origin)

    async def _since_the_copy(self) -> dict[str, bytes] | None:
        """What the partition holds, by the copy on disk and the records behind it; None if the copy is of no use."""
        copy = await asyncio.to_thread(self._local.read) if self._local is not None else None
        if copy is None:
            return None
        records = await read_all(self._bootstrap, self._checkpoints, self.partition, copy.offset)
        first = records[0] if records else None
        body = copy.stored.get(copy.key)
        if first is None or (first.offset, first.key, first.value) != (copy.offset, copy.key.encode(), body):
            log.warning("partition %d: the copy on disk is not of this topic's checkpoints: not used", self.partition)
            return None
        return _held(copy.stored, records)

    async def save(self, snapshot: Snapshot, ticks_applied: int) -> int:
        """Write a checkpoint: blocks, then the manifest, then tombstones for what is no longer needed.

        Returns the bytes written. When this returns, the checkpoint is acknowledged.
        """
        self.sequence += 1
        # Blocks are shared within an epoch only: what a former owner that doesn't know it yet deletes is never ours.
        before = self.kept[-1] if self.kept and self.kept[-1].epoch == self.epoch else None
        written = await asyncio.to_thread(
            checkpoint.encode, snapshot, self.epoch, self.sequence, ticks_applied, before
        )
        key, body = checkpoint.manifest_key(self.epoch, self.sequence), checkpoint.encode_manifest(written.manifest)
        await self._put(written.blocks)
        (offset,) = await self._put({key: body})
        self.stored |= {key, *written.blocks}
        self.kept = [*self.kept, written.manifest][-2:]
        gone = checkpoint.obsolete(self.stored, self.kept)
        await self._put(dict.fromkeys(gone))
        self.stored -= set(gone)
        await self._copy(offset, key, {**written.blocks, key: body})
        return len(body) + sum(map(len, written.blocks.values()))

    async def _copy(self, offset: int, key: str, fresh: dict[str, bytes]) -> None:
        """Keep the copy on disk; a disk that doesn't take it costs time at the next restart, and nothing else."""
        if self._local is None:
            return
        try:
            await asyncio.to_thread(self._local.keep, offset, key, fresh, self.stored)
        except OSError as error:
            log.error("partition %d: no copy of the checkpoint on disk: %s", self.partition, error)
            await asyncio.to_thread(self._local.forget)
