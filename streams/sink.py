"""What leaves the worker: alerts, dead letters, checkpoints and ticks, through Faust's idempotent producer."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

from streams.engine import Output
from streams.records import dead_letter_headers, encode_alert
from streams.topics import Topics

UNACKNOWLEDGED_MAX = 2_000  # of one partition; beyond it the shard waits


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
        except BaseException:
            del self._waiting[room]
            raise
        sent.add_done_callback(lambda _: self._waiting.pop(room))
        return sent

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
            sent.append(await self.send(self._topics.dlq, record.key, record.value, None, headers))
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
