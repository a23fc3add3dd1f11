"""How long Kafka's clients wait for a broker: the one place where aiokafka is worked around for brokers that fail.

aiokafka 0.14 has one time-out for every request. Joining a group must outlast a rebalance, so it is long, and a broker
that hangs (its connections stay open, nothing is answered) would hold up a fetch, a heartbeat or an alert for as long,
though another leads the partition by then. And a message that was not sent when that time-out is over is given up,
which ends the worker. Here a request waits for `request_seconds`, joining for longer, and messages wait without end:
how long the brokers may be away is `limits.brokers_away_seconds` of engine.yaml, for everything alike.
tests/test_patience.py fails as soon as aiokafka has settings for these.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest
from mode import get_logger

log = get_logger(__name__)

RETRY_SECONDS = 0.5
STILL_A_MEMBER = (0, 27)  # a heartbeat's answers: all well, and: a rebalance begins

T = TypeVar("T")


class Contact:
    """When the brokers were heard last. Written by the consumer's thread, read by the worker's loop."""

    def __init__(self, sure_seconds: float) -> None:
        self._sure_seconds = sure_seconds
        self._answered = self._confirmed = time.monotonic()

    def heard(self, asked: float, confirms: bool) -> None:
        """A broker answered what it was asked then; or the group, that we are a member."""
        self._answered = time.monotonic()
        if confirms:
            self._confirmed = asked

    @property
    def sure(self) -> bool:
        """Nobody else can own what we own: the group, asked within the session, has said that we are a member."""
        return self.unconfirmed_seconds < self._sure_seconds

    @property
    def unconfirmed_seconds(self) -> float:
        """Since we asked what the group last answered so."""
        return time.monotonic() - self._confirmed

    @property
    def silent_seconds(self) -> float:
        """Since a broker answered anything: heartbeats and fetches ask all the time."""
        return time.monotonic() - self._answered


def hasten(client: Any, request_seconds: float, join_seconds: float, heard: Callable[[float, bool], None]) -> None:
    """Shorten a client's waiting. `heard` is told of every answer: when it was asked for (monotonic), and whether it
    confirms the membership of the group. Before the client starts.
    """
    plain = client.send
    client._request_timeout_ms = int(request_seconds * 1_000)  # each connection takes it when it is made

    async def send(node: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        asked = time.monotonic()
        joins = isinstance(request, (JoinGroupRequest, SyncGroupRequest))
        if joins and await client.ready(node, group=group):
            client._conns[node, group]._request_timeout = join_seconds
        try:
            answer = await plain(node, request, group=group)
        finally:
            if joins and (node, group) in client._conns:
                client._conns[node, group]._request_timeout = request_seconds
        heard(asked, isinstance(request, HeartbeatRequest) and answer.error_code in STILL_A_MEMBER)
        return answer

    client.send = send


def never_give_up(producer: Any, request_seconds: float) -> None:
    """Messages wait for brokers without end, each try for `request_seconds`. Before the producer starts."""
    hasten(producer.client, request_seconds, request_seconds, lambda *_: None)
    producer._sender._request_timeout_ms = int(request_seconds * 1_000)
    producer._message_accumulator._batch_ttl = math.inf
    client, plain = producer.client, producer.client._wait_on_metadata

    async def wait_on_metadata(topic: str) -> Any:
        """aiokafka calls a topic unknown that it could not ask for."""
        heard = False
        while True:
            try:
                return await plain(topic)
            except UnknownTopicOrPartitionError:
                if heard:
                    raise
                heard = await client.force_metadata_update()

    client._wait_on_metadata = wait_on_metadata


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer, however long the brokers take; a refusal is raised."""
    while True:
        try:
            return await ask()
        except KafkaError as error:
            again = error.retriable or isinstance(error, KafkaTimeoutError)
            if not again or isinstance(error, UnknownTopicOrPartitionError):
                raise
            log.warning("Kafka doesn't answer, asked again: %r", error)
            await asyncio.sleep(RETRY_SECONDS)


async def stop(consumer: Any) -> None:
    """Stop an aiokafka consumer, also where a fetch has just failed and waits to be tried again.

    Its fetcher cancels that wait, and lets the cancellation out as if its caller had been meant. Faust's thread died of
    it, and the worker's stop never ended.
    """
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # the caller is meant
        await consumer._client.close()  # all that was left to do


def end_after(seconds: float) -> None:
    """End the process if it is not done with stopping by then: with brokers that don't answer, Faust and aiokafka wait
    without end for their last messages and threads."""

    def end() -> None:
        log.error("the stop took too long: what was not acknowledged is done again after the restart")
        logging.shutdown()
        os._exit(1)

    limit = threading.Timer(seconds, end)
    limit.daemon = True
    limit.start()
