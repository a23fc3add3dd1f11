"""Timers of the worker at a stop, and shards that are taken away while somebody waits for them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, ProducerClosed
from faust.exceptions import ProducerSendError

from streams.app import Worker, _until_the_stop


def sends(error: Exception) -> Any:
    """As Faust does: what aiokafka raises at once comes wrapped, and what it raises later plain."""

    async def work() -> None:
        if isinstance(error, ProducerSendError):
            raise error from error.args[0]
        raise error

    return work


def worker(*, stopping: bool) -> Any:
    return SimpleNamespace(source=SimpleNamespace(stopping=stopping))


@pytest.mark.parametrize("error", [ProducerClosed(), ProducerSendError(ProducerClosed())])
async def test_a_producer_that_the_stop_has_closed_is_no_fault(error: Exception) -> None:
    await _until_the_stop(worker(stopping=True), sends(error))()


@pytest.mark.parametrize("error", [ProducerClosed(), ProducerSendError(ProducerClosed())])
async def test_before_a_stop_it_is_one(error: Exception) -> None:
    with pytest.raises(type(error)):
        await _until_the_stop(worker(stopping=False), sends(error))()


async def test_whatever_else_is_wrong_at_a_stop_is_raised() -> None:
    with pytest.raises(KafkaTimeoutError):
        await _until_the_stop(worker(stopping=True), sends(KafkaTimeoutError()))()


@pytest.mark.parametrize("comes_back", [False, True])
async def test_who_waited_for_a_shard_that_was_taken_away_leaves_it(comes_back: bool) -> None:
    """Also if it has come back meanwhile, restored: the run in hand does not follow on what that holds."""
    worker = object.__new__(Worker)
    shard: Any = object()
    worker.shards, worker.locks = {0: shard}, {0: asyncio.Lock()}
    found: list[Any] = []

    async def waits() -> None:
        async with worker._turn(0) as mine:
            found.append(mine)

    async with worker._turn(0) as mine:
        assert mine is shard
        waiting = asyncio.create_task(waits())
        await asyncio.sleep(0)
        del worker.shards[0], worker.locks[0]
        if comes_back:
            worker.shards[0], worker.locks[0] = object(), asyncio.Lock()  # type: ignore[assignment]
    await waiting
    assert found == [None]
    if not comes_back:
        async with worker._turn(0) as gone:
            assert gone is None
