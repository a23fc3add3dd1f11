"""Whether aiokafka still has to be worked around: streams/patience.py, and the stop in streams/source.py."""

import asyncio
import inspect
import socket

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from streams.patience import hasten, patiently


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
