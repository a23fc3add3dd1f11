"""What leaves the worker: alerts, dead letters, checkpoints and ticks, through Faust's idempotent producer."""

import asyncio
import time
from collections.abc import Awaitable, Generator
from typing import Any

from aiokafka.errors import TopicAuthorizationFailedError
from faust.exceptions import ProducerSendError

from streams.dead_letters import fitting
from streams.engine import Output
from streams.records import dead_letter_headers, encode_alert
from streams.security import KafkaRefusesError, not_allowed
from streams.topics import Topics

UNACKNOWLEDGED_MAX = 2_000  # of one partition; beyond it the shard waits


class Sent:
    """A record that the producer has; awaiting it waits for the acknowledgement."""

    def __init__(self, sent: Awaitable[Any], topic: str) -> None:
        self._sent, self._topic = sent, topic

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            return (yield from self._sent.__await__())
        except TopicAuthorizationFailedError as error:  # it was allowed when the worker began
            raise _not_allowed(self._topic) from error


def _not_allowed(topic: str) -> KafkaRefusesError:
    return KafkaRefusesError(not_allowed(f"Write on the topic {topic}"))


class Sink:
    """Sends, and knows what of each source partition is not acknowledged by all replicas yet."""

    def __init__(self, app: Any, topics: Topics) -> None:
        self._app = app
        self._topics = topics
        self._sent: dict[int, list[Awaitable[Any]]] = {}  # by source partition
        self._waiting: dict[Any, float] = {}  # what no broker has acknowledged yet, oldest first: since when

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> Awaitable[Any]:
        """Hand a record to the producer; awaiting the result waits for the acknowledgement (its RecordMetadata)."""
        producer = await self._app.maybe_start_producer()
        room = object()
        self._waiting[room] = time.monotonic()  # for room in the producer's buffer, then for the acknowledgement
        try:
            sent: asyncio.Future[Any] = await producer.send(topic, key, value, partition, None, headers)
        except BaseException as error:
            del self._waiting[room]
            if isinstance(error, ProducerSendError) and isinstance(error.__cause__, TopicAuthorizationFailedError):
                raise _not_allowed(topic) from error
            raise
        sent.add_done_callback(lambda _: self._waiting.pop(room))
        return Sent(sent, topic)

    @property
    def waiting_seconds(self) -> float:
        """How long the brokers have not acknowledged the oldest of what was sent; 0 when there is nothing."""
        since = next(iter(self._waiting.values()), None)
        return 0.0 if since is None else time.monotonic() - since

    async def publish(self, partition: int, out: Output) -> None:
        """Alerts and dead letters that a source partition gave rise to."""
        sent = self._sent.setdefault(partition, [])
        for topic, alerts in ((self._topics.alerts, out.alerts), (self._topics.shadow, out.shadow)):
            for alert in alerts:
                sent.append(await self.send(topic, alert.entity.id.encode(), encode_alert(alert)))
        for record, error in out.dead:
            headers = dead_letter_headers(error, self._topics.source, partition, record.offset, record.timestamp)
            key, value, more = fitting(record.key, record.value)
            sent.append(await self.send(self._topics.dlq, key, value, None, headers + more))
        if len(sent) > UNACKNOWLEDGED_MAX:
            await self.flush(partition)

    async def flush(self, partition: int) -> None:
        """Wait until all of this source partition is acknowledged; a failed send raises, and the worker restarts."""
        for one in self.take(partition):
            await one

    def take(self, partition: int) -> list[Awaitable[Any]]:
        """What is not acknowledged yet, for the caller to wait for; it is no longer remembered here."""
        return self._sent.pop(partition, [])

    def forget(self, partition: int) -> None:
        self._sent.pop(partition, None)
