"""Timers of the worker at a stop."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, ProducerClosed
from faust.exceptions import ProducerSendError

from streams.app import _until_the_stop


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
