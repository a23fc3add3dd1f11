"""What the command line asks of Kafka, with kafka-python; never in the worker, which has Faust."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from streams import security
from streams.columns import Record
from streams.errors import RipcurrentError
from streams.ticks import Tick, decode_tick

if TYPE_CHECKING:
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.admin import KafkaAdminClient

IN_FLIGHT = 20_000  # records sent and not acknowledged: the producer's own buffer has no bound


class KafkaUnusableError(RipcurrentError):
    """Kafka is not there, or not as it must be."""


@contextlib.contextmanager
def kafka_errors(bootstrap: str) -> Iterator[None]:
    """What kafka-python raises, as one line that says where."""
    from kafka.errors import KafkaError

    security.reach(bootstrap)
    try:
        yield
    except KafkaError as error:
        raise KafkaUnusableError(f"Kafka at {bootstrap} could not do that: {error}") from error


@contextlib.contextmanager
def producer(bootstrap: str) -> Iterator[KafkaProducer]:
    """Keyed, idempotent, lz4. Leaving the body well means that everything was acknowledged."""
    from kafka import KafkaProducer

    made = KafkaProducer(
        bootstrap_servers=bootstrap.split(","),
        compression_type="lz4",
        batch_size=1 << 18,
        linger_ms=20,
        metrics_enabled=False,
        bootstrap_timeout_ms=10_000,
        allow_auto_create_topics=False,
        **security.for_kafka_python(),
    )
    try:
        yield made
        made.flush(timeout=120)
    finally:
        made.close(timeout=5)


def send_all(
    to: KafkaProducer,
    topic: str,
    records: Iterator[tuple[bytes, bytes, int]],
    sent: Callable[[int, int], None] = lambda records, occurred_at: None,
    speed: float | None = None,
) -> int:
    """Send (key, value, occurred_at) in order; how many there were. `speed` times as fast as it happened, or at once.

    Records are stamped with the present: retention goes by these stamps, and history would be deleted. `sent` hears
    of every thousand. The first failure to deliver is raised.
    """
    failed: list[BaseException] = []
    began, first, n = time.monotonic(), None, 0
    for n, (key, value, occurred_at) in enumerate(records, 1):
        if speed is not None:
            first = occurred_at if first is None else first
            wait = (occurred_at - first) / 1000 / speed - (time.monotonic() - began)
            if wait > 0.01:
                time.sleep(wait)
        to.send(topic, value, key=key).add_errback(failed.append)
        if n % IN_FLIGHT == 0:
            to.flush(timeout=120)
        if n % 1_000 == 0:
            sent(n, occurred_at)
        if failed:
            break
    to.flush(timeout=120)
    if failed:
        raise failed[0]
    return n


@contextlib.contextmanager
def consumer(bootstrap: str) -> Iterator[KafkaConsumer]:
    """Without a group: it reads what it is told to, and leaves no trace."""
    from kafka import KafkaConsumer

    made = KafkaConsumer(
        bootstrap_servers=bootstrap.split(","),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",  # what a redrive began and did not end is nothing
        max_poll_records=5_000,
        fetch_max_wait_ms=100,
        bootstrap_timeout_ms=10_000,
        metrics_enabled=False,
        allow_auto_create_topics=False,
        **security.for_kafka_python(),
    )
    try:
        yield made
    finally:
        made.close(autocommit=False)


def partitions(of: KafkaConsumer, topic: str) -> list[Any]:
    """The topic's partitions, as kafka-python's TopicPartition."""
    from kafka import TopicPartition

    found = of.partitions_for_topic(topic)
    if not found:
        raise KafkaUnusableError(f"There is no topic {topic}; create the topics with: ripcurrent topics")
    return [TopicPartition(topic, p) for p in sorted(found)]


def all_of(reader: KafkaConsumer, tp: Any) -> Iterator[Any]:
    """Every message of a partition, up to its end as it is now."""
    end = reader.end_offsets([tp])[tp]
    reader.assign([tp])
    reader.seek_to_beginning(tp)
    while reader.position(tp) < end:
        for message in reader.poll(timeout_ms=500).get(tp, []):
            if message.offset < end:
                yield message


def dump(
    bootstrap: str, source: str, ticks: str, *, until_end: bool, stopped: Callable[[], bool]
) -> Iterator[tuple[int, Record | Tick]]:
    """What stands on the source topic and on the ticks topic: up to their present ends, or until `stopped`.

    The ends of the ticks are taken before those of the source, so that every record that a tick follows is there.
    """
    with kafka_errors(bootstrap), consumer(bootstrap) as reader:
        tick_tps = partitions(reader, ticks)
        tps = partitions(reader, source)
        ends = {**reader.end_offsets(tick_tps)}
        ends |= reader.end_offsets(tps)
        reader.assign([*tick_tps, *tps])
        reader.seek_to_beginning()
        todo = set(ends) if until_end else {None}
        while todo and not stopped():
            for tp, batch in reader.poll(timeout_ms=200).items():
                for message in batch:
                    if until_end and message.offset >= ends[tp]:
                        break
                    yield tp.partition, _entry(message, ticks)
            if until_end:
                todo = {tp for tp in todo if reader.position(tp) < ends[tp]}


def _entry(message: Any, ticks: str) -> Record | Tick:
    if message.topic != ticks:
        return Record(message.offset, message.key, message.value, message.timestamp)
    return tick_of(message)


def tick_of(message: Any) -> Tick:
    """A record of the ticks topic, decoded."""
    try:
        return decode_tick(message.value)
    except (msgspec.DecodeError, TypeError) as error:
        where = f"{message.topic}, partition {message.partition}, offset {message.offset}"
        raise KafkaUnusableError(f"{where}: is no tick: {error}") from None


@contextlib.contextmanager
def admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    from kafka.admin import KafkaAdminClient

    made = KafkaAdminClient(
        bootstrap_servers=bootstrap.split(","), bootstrap_timeout_ms=10_000, **security.for_kafka_python()
    )
    try:
        yield made
    finally:
        made.close()


def committed(by: KafkaAdminClient, group: str, topic: str) -> dict[int, int]:
    """The group's committed offset of each partition that has one; none while the group is being set up."""
    from kafka.errors import (
        CoordinatorLoadInProgressError,
        CoordinatorNotAvailableError,
        GroupIdNotFoundError,
        NotCoordinatorError,
    )

    try:
        found = by.list_group_offsets({group: None}).get(group, {})
    except (CoordinatorLoadInProgressError, CoordinatorNotAvailableError, GroupIdNotFoundError, NotCoordinatorError):
        return {}
    return {tp.partition: at.offset for tp, at in found.items() if tp.topic == topic and at.offset >= 0}
