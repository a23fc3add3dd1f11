"""Timers of the worker at a stop, shards that are taken away while somebody waits for them, and what an owner before
may have judged already.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, ProducerClosed
from faust.exceptions import ProducerSendError

from streams.app import Worker, _until_the_stop
from streams.source import Source


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


def source_at(done: int, others: int, *, read: int = -1, due: int = -1) -> Source:
    """Of a partition in which the agent is done with so much, and an owner before may have been with so much."""

    async def reached(_: Any) -> tuple[int, int]:
        return read, due

    source = object.__new__(Source)
    source._done, source._others, source.settings = {0: done}, {0: others}, SimpleNamespace(topic="t")  # type: ignore[assignment]
    source._app = SimpleNamespace(consumer=SimpleNamespace(reached=reached))  # type: ignore[assignment]
    return source


@pytest.mark.parametrize(
    ("source", "leads"),
    [
        (source_at(100, 100), True),
        (source_at(99, 100, read=99, due=99), False),
        (source_at(98, 100, read=100, due=98), True),  # what is left are the ends of transactions
        (source_at(98, 100, read=100, due=99), False),  # a record of it is on its way to the agent
        (source_at(98, 100), False),  # nothing is known while the group forms
    ],
)
async def test_an_owner_leads_once_it_has_done_all_that_the_one_before_may_have_done(
    source: Source, leads: bool
) -> None:
    assert await source.leads(0) is leads
    assert await source.leads(0) is leads
    assert not await source.leads(1)


@pytest.mark.parametrize("leads", [False, True])
async def test_what_is_not_recorded_decides_only_where_nobody_can_have_judged_further(leads: bool) -> None:
    worker: Any = object.__new__(Worker)
    engine = SimpleNamespace(clock=SimpleNamespace(closed=7))
    shard = SimpleNamespace(restored=True, pending=[], position=0, engine=engine)

    async def says(_: int) -> bool:
        return leads

    worker.source = SimpleNamespace(owned={0}, positions={0: 5}, leads=says)
    worker.shards, worker.locks, worker.moved = {0: shard}, {0: asyncio.Lock()}, {0: (3, 0.0)}
    done: list[str] = []

    def step(name: str) -> Any:
        async def does(*_: Any) -> None:
            done.append(name)

        return does

    worker._tick, worker._follow, worker._erase = step("tick"), step("follow"), step("erase")
    await worker.tick()
    assert done == (["tick", "follow", "erase"] if leads else [])
    assert shard.position == 5
    assert (worker.moved[0][0] == 7) != leads  # a backlog is no silence
