"""The Faust transport under `streams.source`: one message for each fetched run of records of the source
topic.

How order is kept. `Source` holds the next offset of each partition. Every seek opens a new epoch, in the
consumer's thread and in the same step as the seek itself; every run carries the epoch it was fetched in, and
the offset it goes on from. What was fetched before a rebalance, wherever it was buffered since, has an old
epoch and is never handed out. Within an epoch, a run that doesn't go on where the one before it ended is a
bug and stops the worker: better than records lost in silence.

Everything here overrides Faust 0.15's own classes; each override says what it is for. Other topics than the
source keep Faust's behaviour: record by record, committed by acknowledgement.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from aiokafka.consumer import fetcher
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import get_logger

from streams.columns import Record
from streams.patience import RETRY_SECONDS, hasten, never_give_up, patiently, stop

if TYPE_CHECKING:
    from streams.source import Source

log = get_logger(__name__)


class Run(msgspec.Struct, frozen=True, gc=False):
    """Consecutive records of one partition. Offsets may have holes (compaction, transactions), never
    disorder.
    """

    partition: int
    records: list[Record]
    start: int  # where the run before it ended
    next_offset: int  # where the run after it starts; what `Source.durable` takes
    highwater: int  # the partition's end when this was fetched: highwater - next_offset is the lag
    epoch: int


class _Records(fetcher.PartitionRecords):  # type: ignore[misc]
    """A decoded fetch. aiokafka has no setting for what a record becomes; its own has eleven fields, and the garbage
    collector walks each of them.
    """

    source_topics: ClassVar[set[str]] = set()

    def __iter__(self) -> Any:
        return self._records_iterator  # a call less for each record than by __next__

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        if tp.topic not in self.source_topics:
            return super()._consumer_record(tp, record)
        return Record(record.offset, record.key, record.value, record.timestamp)


fetcher.PartitionRecords = _Records


class _Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread in which aiokafka lives: makes the runs, and stamps them with the epoch of the last seek."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._source: Source = self.app.source
        _Records.source_topics.add(self._source.settings.topic)
        self._epoch = 0
        self._next: dict[TP, int] = {}  # where the next run of a source partition starts

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust has no setting for these; aiokafka reads them when it starts. The sticky assignor moves
        # only the partitions it must, and each move is a restore.
        consumer._fetch_max_wait_ms = self._source.settings.fetch_wait_ms
        consumer._partition_assignment_strategy = (StickyPartitionAssignor,)
        # Nor for this one, but with its own transactions. A redrive that was killed has left records that are void.
        consumer._isolation_level = "read_committed"
        seconds, joining = self._source.settings.request_seconds, self.app.conf.broker_request_timeout
        hasten(consumer._client, seconds, joining, self._source.contact.heard)
        return consumer

    async def on_thread_stop(self) -> None:
        await super(driver.AIOKafkaConsumerThread, self).on_thread_stop()  # without its own plain consumer.stop()
        if self._consumer is not None:
            await stop(self._consumer)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        # A fetch that is under way may return records of the next assignment, from the committed offset.
        self._next = {}
        await super().on_partitions_revoked(revoked)

    async def start_at(self, epoch: int, offsets: dict[TP, int]) -> None:
        consumer = self._ensure_consumer()
        for tp, offset in offsets.items():
            consumer.seek(tp, offset)
        self._epoch, self._next = epoch, offsets

    async def start_offset(self, tp: TP, wanted: int | None) -> tuple[int, int]:
        """Where to start: `wanted`, else what is committed, else the first; never outside of what there is. And where
        that ends now.
        """
        consumer = self._ensure_consumer()
        first: int = (await patiently(lambda: consumer.beginning_offsets([tp])))[tp]
        end: int = (await patiently(lambda: consumer.end_offsets([tp])))[tp]
        start = await patiently(lambda: consumer.committed(tp)) if wanted is None else wanted
        if start is None:
            return first, end
        if start > end:
            raise RuntimeError(f"{tp} ends at {end}, before the {start} of its state: is it another topic?")
        if start < first:
            log.error("%s starts at %d: retention took unread records from %d on", tp, first, start)
        return max(int(start), first), end

    async def ends(self, tps: list[TP]) -> dict[TP, int]:
        """Where partitions end, of whatever topic; nothing where no broker says it now."""
        try:
            found: dict[TP, int] = await self._ensure_consumer().end_offsets(tps)
        except KafkaError:
            return {}
        return found

    async def reached(self, tp: TP) -> tuple[int, int]:
        """How far a source partition has been fetched, what holds no record included; and where its next run starts."""
        assignment = getattr(self._ensure_consumer()._subscription.subscription, "assignment", None)
        state = assignment.state_value(tp) if assignment is not None else None
        if state is None or not state.has_valid_position or tp not in self._next:
            return -1, -1
        return state.position, self._next[tp]

    async def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has, asked now: what a member knows may be minutes old."""
        consumer = self._ensure_consumer()
        while not await consumer._client.force_metadata_update() or not consumer.partitions_for_topic(topic):
            await asyncio.sleep(RETRY_SECONDS)
        return len(consumer.partitions_for_topic(topic))

    async def _fetch_records(self, consumer: Any, active: set[TP], **kwargs: Any) -> dict[TP, list[Any]]:
        """A run of each partition that has records: aiokafka would first empty the busy one's buffer."""
        fetched = self._runs(await super()._fetch_records(consumer, active, **kwargs))
        for tp in set(active) - fetched.keys() if fetched else ():
            fetched |= self._runs(await super()._fetch_records(consumer, {tp}, **kwargs | {"timeout": 0}))
        return fetched

    def _runs(self, fetched: Mapping[TP, list[Any]]) -> dict[TP, list[Any]]:
        # There is no await between aiokafka's moving its position and the stamp: a seek is before both or
        # after.
        made: dict[TP, list[Any]] = {}
        for tp, records in fetched.items():
            if tp.topic != self._source.settings.topic:
                made[tp] = records
            elif tp in self._next:  # else it isn't restored yet, and the seek to come brings these again
                start, self._next[tp] = self._next[tp], records[-1].offset + 1
                if records[0].offset < start:
                    raise RuntimeError(f"{tp} went from {start} back to {records[0].offset}: is it new?")
                highwater = self._highwater(tp)
                made[tp] = [Run(tp.partition, records, start, self._next[tp], highwater, self._epoch)]
        return made

    def _highwater(self, tp: TP) -> int:
        """The partition's end, for the lag. The end of a transaction has an offset and is no record: where only such is
        left, there is nothing to wait for."""
        consumer = self._ensure_consumer()
        state = consumer._subscription.subscription.assignment.state_value(tp)
        highwater = int(consumer.highwater(tp) or 0)
        return highwater if state.position < highwater else self._next[tp]


class _Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, its source partitions under `Source`'s control."""

    _sought = True  # since the last revocation

    def _new_consumer_thread(self) -> _Thread:
        self._source: Source = self.app.source
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def start_offset(self, tp: TP, wanted: int | None) -> tuple[int, int]:
        found: tuple[int, int] = await self._thread.call_thread(self._thread.start_offset, tp, wanted)
        return found

    async def ends(self, tps: list[TP]) -> dict[TP, int]:
        """Where these partitions end now; of those only of which it is known."""
        found: dict[TP, int] = await self._thread.call_thread(self._thread.ends, tps)
        return found

    async def reached(self, tp: TP) -> tuple[int, int]:
        found: tuple[int, int] = await self._thread.call_thread(self._thread.reached, tp)
        return found

    async def partitions_of(self, topic: str) -> int:
        count: int = await self._thread.call_thread(self._thread.partitions_of, topic)
        return count

    def _to_message(self, tp: TP, record: Any) -> Any:
        if not isinstance(record, Run):
            return super()._to_message(tp, record)
        self._read_offset[tp] = None  # Faust would drop what is read again after a seek back
        last = record.records[-1]
        when = last.timestamp / 1000
        return ConsumerMessage(
            *(tp.topic, tp.partition, last.offset, when, 0, None, None, record, None),
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def on_buffer_full(self, tp: TP) -> None:
        # A full queue makes the delivery wait, which is all the back-pressure that is needed. Faust would
        # stop fetching the partition and, with none left to fetch, sleep for a second.
        if tp.topic != self._source.settings.topic:
            super().on_buffer_full(tp)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """The group re-forms as soon as this returns; until then everything is still ours, and heartbeats go
        on.
        """
        self._sought = False
        if not self.app.should_stop:
            await self._source._give_up()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """No heartbeats are sent in here: so only note it, and restore when Faust says
        on_rebalance_complete.
        """
        StickyPartitionAssignor.on_generation_assignment(generation_id)  # aiokafka forgets to
        ours = frozenset(tp.partition for tp in assigned if tp.topic == self._source.settings.topic)
        self._source._assigned = (generation_id, ours)
        self._source.contact.heard(time.monotonic(), True)
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Faust's moment between an assignment and the first delivery (and after a fetch it had to throw
        away).
        """
        source, thread = self._source, self._thread
        others = {tp for tp in self.assignment() if tp.topic != source.settings.topic}
        if others:
            seek = thread._ensure_consumer().seek_to_committed
            committed = await thread.call_thread(seek, *driver.ensure_aiokafka_TPset(others))
            offsets = {TP(*tp): offset or None for tp, offset in committed.items()}
            self._read_offset.update(offsets)
            self._committed_offset.update(offsets)
        if source._ready:
            epoch, starts = source._open_epoch()
            await thread.call_thread(thread.start_at, epoch, starts)
            self._sought = True

    def resume_flow(self) -> None:
        if self._source._assigned[1] and not self._sought:
            raise RuntimeError("delivery would go on without a seek")  # Faust ignores a seek that timed out
        super().resume_flow()

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """All of Faust's commits (interval, rebalance, stop) come by here: for other topics what was
        acknowledged, for the source, which has no acknowledgements, what is durable.
        """
        did_commit: bool = await super().force_commit(topics, start_new_transaction)
        await self._source.commit()
        return did_commit

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's guess at a stuck stream misreads a rebalance and can crash in one: progress is watched
        elsewhere.
        """


class _Producer(driver.Producer):  # type: ignore[misc]
    def _settings_extra(self) -> dict[str, Any]:
        return {"acks": "all", "enable_idempotence": True}  # Faust has it with transactions only

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        never_give_up(producer, self.app.kafka.request_seconds)
        return producer


class Transport(driver.Transport):  # type: ignore[misc]
    Consumer = _Consumer
    Producer = _Producer
