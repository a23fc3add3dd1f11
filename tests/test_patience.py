"""Whether aiokafka still has to be worked around: streams/patience.py, and the stop in streams/source.py."""

import asyncio
import inspect
import socket
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from streams.patience import hasten, patiently, stop


def test_aiokafka_has_one_timeout_for_every_request_still() -> None:
    """When this fails, a delivery time-out or one for each request is there: set it instead of streams/patience.py."""
    for made in (AIOKafkaConsumer, AIOKafkaProducer):
        timeouts = {name for name in inspect.signature(made.__init__).parameters if "timeout" in name}
        assert timeouts <= {
            "request_timeout_ms", "session_timeout_ms", "rebalance_timeout_ms", "consumer_timeout_ms",
            "transaction_timeout_ms",
        }  # fmt: skip


def test_what_is_patched_of_aiokafka_is_there_still() -> None:
    producer = inspect.getsource(AIOKafkaProducer)
    assert "self._sender" in producer
    assert "self._message_accumulator" in producer
    assert "_batch_ttl" in inspect.getsource(inspect.getmodule(AIOKafkaProducer).MessageAccumulator)  # type: ignore[union-attr]


async def _ask_one_that_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # the kernel takes connections, and nobody answers
        host, port = server.getsockname()
        client = AIOKafkaClient(bootstrap_servers=f"{host}:{port}")
        hasten(client, 0.2, 60.0, lambda *_: None)
        try:
            async with asyncio.timeout(30):  # its own time-out is 40 s
                with pytest.raises(KafkaConnectionError):
                    await client.bootstrap()
        finally:
            await client.close()


def test_a_broker_that_hangs_is_given_up_soon() -> None:
    asyncio.run(_ask_one_that_hangs())


class _Stopping:
    """A consumer as its stop sees it: aiokafka's own fetcher, with a fetch that failed and waits to be tried again."""

    def __init__(self) -> None:
        self.fetcher: Any = Fetcher.__new__(Fetcher)
        self.fetcher._fetch_task = asyncio.ensure_future(asyncio.sleep(60))
        self.fetcher._fetch_waiters, self.fetcher._pending_tasks = set(), {asyncio.ensure_future(asyncio.sleep(60))}
        self._client, self.closed = self, False

    async def stop(self) -> None:
        await asyncio.sleep(0)
        await self.fetcher.close()

    async def close(self) -> None:
        self.closed = True


def test_aiokafkas_stop_breaks_off_where_a_fetch_waits_to_be_tried_again_still() -> None:
    """When this fails, aiokafka is mended: `stop` of streams/patience.py can go."""

    async def plainly() -> None:
        await _Stopping().stop()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(plainly())


def test_a_stop_ends_also_where_a_fetch_waits_to_be_tried_again() -> None:
    async def calmly() -> bool:
        consumer = _Stopping()
        await stop(consumer)
        return consumer.closed

    assert asyncio.run(calmly())


async def _after(failures: list[Exception]) -> str:
    async def ask() -> str:
        if failures:
            raise failures.pop(0)
        return "answer"

    return await patiently(ask)


def test_brokers_that_do_not_answer_are_asked_again() -> None:
    assert asyncio.run(_after([KafkaTimeoutError()])) == "answer"


@pytest.mark.parametrize("refusal", [TopicAuthorizationFailedError(), UnknownTopicOrPartitionError()])
def test_a_refusal_is_not_waited_for(refusal: Exception) -> None:
    with pytest.raises(type(refusal)):
        asyncio.run(_after([refusal]))
