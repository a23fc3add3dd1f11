"""An epoch is one owner's, also where a broker that has just become leader doesn't show all yet.

Such a broker can't be had at will (`make chaos` meets one now and then), so what it answers is played here.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from streams import vault
from streams.errors import CheckpointError
from streams.ticks import Tick, encode_tick
from streams.topics import Topics


class Partition:
    """The ticks of a partition: what stands there, and how much of it each reading shows."""

    def __init__(self, *epochs: int) -> None:
        self.values = [encode_tick(Tick(0, epoch)) for epoch in epochs]
        self.hidden = [0]  # newest records that the next readings don't show; then all is shown

    async def send(self, _topic: str, _key: bytes, value: bytes, _partition: int) -> Any:
        self.values.append(value)
        sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        sent.set_result(SimpleNamespace(offset=len(self.values) - 1))
        return sent

    async def read(self, *_: Any) -> list[Any]:
        shown = len(self.values) - (self.hidden.pop(0) if self.hidden else 0)
        return [SimpleNamespace(offset=i, value=value) for i, value in enumerate(self.values[:shown])]


def owner(partition: Partition, monkeypatch: pytest.MonkeyPatch) -> vault.Vault:
    monkeypatch.setattr(vault, "read_all", partition.read)
    monkeypatch.setattr(vault, "RETRY_SECONDS", 0.0)
    return vault.Vault(partition, "", Topics(), 0)  # type: ignore[arg-type]


def test_a_new_owner_has_the_next_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = owner(Partition(1, 2), monkeypatch)
    asyncio.run(ours.begin_epoch(1))
    assert ours.epoch == 3


def test_an_announcement_that_is_not_shown_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = Partition(1, 2)
    partition.hidden = [0, 1, 1]
    ours = owner(partition, monkeypatch)
    asyncio.run(ours.begin_epoch(1))
    assert ours.epoch == 3
    assert len(partition.values) == 3


def test_an_epoch_that_was_not_shown_is_not_taken_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = Partition(1, 2)
    partition.hidden = [1]
    ours = owner(partition, monkeypatch)
    asyncio.run(ours.begin_epoch(1))
    assert ours.epoch == 3


def test_an_owner_of_a_source_that_was_spread_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = Partition(1)  # by an owner that did not say
    asyncio.run(owner(partition, monkeypatch).begin_epoch(4))
    asyncio.run(owner(partition, monkeypatch).begin_epoch(4))
    epochs = len(partition.values)
    with pytest.raises(CheckpointError, match="had 4 partitions and has 6 now"):
        asyncio.run(owner(partition, monkeypatch).begin_epoch(6))
    assert len(partition.values) == epochs  # nothing was announced


def test_an_owner_of_a_partition_that_was_added_asks_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Partition()
    asyncio.run(owner(first, monkeypatch).begin_epoch(4))
    added = Partition()

    async def read(_bootstrap: str, _topic: str, partition: int) -> list[Any]:
        return await (first if partition == 0 else added).read()

    ours = owner(added, monkeypatch)
    ours.partition = 5
    monkeypatch.setattr(vault, "read_all", read)
    with pytest.raises(CheckpointError, match="had 4 partitions and has 6 now"):
        asyncio.run(ours.begin_epoch(6))
    assert added.values == []


def test_who_comes_after_us_ends_us(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = Partition(1)
    ours = owner(partition, monkeypatch)

    async def two() -> None:
        await ours.begin_epoch(1)
        partition.values.append(encode_tick(Tick(0, 3)))
        await ours.write_tick(5, 7)

    with pytest.raises(RuntimeError, match="another new owner: epoch 3, ours 2"):
        asyncio.run(two())
