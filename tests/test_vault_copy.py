"""Which state a shard begins from: the copy on disk where it is provably the newest, else what stands on the topic.

Kafka is played here: two partitions as lists, acknowledged at once.
"""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from config.catalogue import load
from streams import checkpoint, state, vault
from streams.engine import Engine
from streams.local_copy import INDEX, LocalCopy
from streams.ticks import Tick, encode_tick, valid
from streams.topics import Topics

TOPICS = Topics()
EMPTY = state.take(Engine(load(), "creator-events", 0))


class Kafka:
    """One partition of each topic, and the sink that writes to them."""

    def __init__(self) -> None:
        self.logs: dict[str, list[tuple[bytes, bytes | None]]] = {TOPICS.ticks: [], TOPICS.checkpoints: []}

    async def send(self, topic: str, key: bytes, value: bytes | None, _partition: int) -> Any:
        self.logs[topic].append((key, value))
        sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        sent.set_result(SimpleNamespace(offset=len(self.logs[topic]) - 1))
        return sent

    async def read(self, _bootstrap: str, topic: str, _partition: int, first: int = 0, *_: Any) -> list[Any]:
        records = enumerate(self.logs[topic])
        return [SimpleNamespace(offset=i, key=k, value=v, timestamp=7_000) for i, (k, v) in records if i >= first]


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    one = Kafka()
    monkeypatch.setattr(vault, "read_all", one.read)
    return one


def at(offset: int) -> state.Snapshot:
    """A state at this offset, which it holds."""
    memo = msgspec.structs.replace(EMPTY.memo, next_offset=offset)
    cells = np.full(60_000, offset, dtype=np.int32)
    return state.Snapshot(memo, EMPTY.arrays | {"cells": cells, "still": np.arange(60_000, dtype=np.int32)})


async def owner(kafka: Kafka, folder: Path | None) -> tuple[vault.Vault, vault.Restored | None]:
    """The next owner of the partition, and what it begins from."""
    copy = None if folder is None else LocalCopy(folder, TOPICS.checkpoints, 0)
    new = vault.Vault(kafka, "", TOPICS, 0, copy)  # type: ignore[arg-type]
    ticks = await new.begin_epoch(1)
    return new, await new.restore(ticks)


async def begun(kafka: Kafka, folder: Path | None) -> vault.Vault:
    """An owner with a checkpoint at 100 on the topic, and a copy at 150 on disk, of 900 bytes more."""
    first, nothing = await owner(kafka, folder)
    assert nothing is None
    await first.save(at(100), -1)
    await first.save(at(150), -1, topic=False, behind=900)
    return first


def found(restored: vault.Restored | None) -> tuple[str, int]:
    assert restored is not None
    assert restored.snapshot.arrays["cells"][0] == restored.manifest.next_offset
    assert restored.snapshot.arrays["still"][7] == 7
    return restored.origin, restored.manifest.next_offset


def test_a_copy_that_is_newer_than_the_topic_is_taken(kafka: Kafka, tmp_path: Path) -> None:
    async def play() -> None:
        await begun(kafka, tmp_path)
        _, restored = await owner(kafka, tmp_path)
        assert found(restored) == ("local", 150)
        assert restored is not None
        assert restored.base is not None
        assert (restored.base.next_offset, restored.base_written, restored.behind) == (100, 7, 900)

    asyncio.run(play())


def test_without_a_disk_the_same_shard_begins_from_the_topic(kafka: Kafka, tmp_path: Path) -> None:
    async def play() -> None:
        await begun(kafka, tmp_path)
        assert found((await owner(kafka, None))[1]) == ("checkpoint", 100)

    asyncio.run(play())


def test_a_copy_goes_on_over_any_number_of_owners(kafka: Kafka, tmp_path: Path) -> None:
    async def play() -> None:
        await begun(kafka, tmp_path)
        for offset in (200, 250, 300):
            one, _ = await owner(kafka, tmp_path)
            await one.save(at(offset), -1, topic=False, behind=offset)
        assert found((await owner(kafka, tmp_path))[1]) == ("local", 300)
        assert found((await owner(kafka, None))[1]) == ("checkpoint", 100)

    asyncio.run(play())


def test_a_copy_that_is_behind_the_topic_is_left_alone(kafka: Kafka, tmp_path: Path) -> None:
    async def play() -> None:
        await begun(kafka, tmp_path)
        elsewhere, _ = await owner(kafka, None)
        await elsewhere.save(at(151), -1)
        assert found((await owner(kafka, tmp_path))[1]) == ("checkpoint", 151)

    asyncio.run(play())


def test_a_copy_ahead_of_what_another_owner_wrote_since_is_taken(kafka: Kafka, tmp_path: Path) -> None:
    """A state follows from records and ticks, whoever worked them out."""

    async def play() -> None:
        await begun(kafka, tmp_path)
        elsewhere, _ = await owner(kafka, None)
        await elsewhere.save(at(120), -1)
        one, restored = await owner(kafka, tmp_path)
        assert found(restored) == ("local", 150)
        assert restored is not None
        assert restored.base is not None
        assert restored.base.next_offset == 120
        await one.save(at(160), -1)
        await one.save(at(170), -1)  # of all that stood on the topic, the two newest stay
        assert found((await owner(kafka, None))[1]) == ("checkpoint", 170)
        held = vault.held_after((), await kafka.read("", TOPICS.checkpoints, 0))
        assert [m.next_offset for m in vault.heads_of(held)] == [160, 170]
        assert held.keys == set(held.keys) - set(checkpoint.obsolete(held.keys, vault.heads_of(held)))

    asyncio.run(play())


def test_a_copy_that_has_passed_a_tick_which_it_did_not_obey_is_left_alone(kafka: Kafka, tmp_path: Path) -> None:
    """Its writer had lost the partition without knowing: the new owner's tick stands before its newest record."""

    async def play() -> None:
        await begun(kafka, tmp_path)
        elsewhere, _ = await owner(kafka, None)
        await elsewhere.write_tick(120, 5_000)
        assert found((await owner(kafka, tmp_path))[1]) == ("checkpoint", 100)

    asyncio.run(play())


def test_a_tick_behind_the_newest_record_of_a_copy_is_still_to_come(kafka: Kafka, tmp_path: Path) -> None:
    async def play() -> None:
        first = await begun(kafka, tmp_path)
        await first.write_tick(149, 5_000)
        assert found((await owner(kafka, tmp_path))[1]) == ("local", 150)

    asyncio.run(play())


def test_a_copy_that_obeyed_a_void_tick_is_left_alone(kafka: Kafka, tmp_path: Path) -> None:
    async def play() -> None:
        late = await begun(kafka, tmp_path)
        elsewhere, _ = await owner(kafka, None)
        await elsewhere.write_tick(149, 5_000)
        kafka.logs[TOPICS.ticks].append((b"0", encode_tick(Tick(0, late.epoch, 149, 9_000))))  # void
        void = len(kafka.logs[TOPICS.ticks]) - 1
        assert void not in dict(valid(await elsewhere._read_ticks()))
        await late.save(at(150), void, topic=False, behind=1)
        assert found((await owner(kafka, tmp_path))[1]) == ("checkpoint", 100)

    asyncio.run(play())


def test_a_copy_of_another_topic_is_not_believed(
    kafka: Kafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        await begun(kafka, tmp_path)
        for log in kafka.logs.values():
            log.clear()  # made anew, with a history of its own
        other, _ = await owner(kafka, None)
        await other.save(at(90), -1)
        assert found((await owner(kafka, tmp_path))[1]) == ("checkpoint", 90)

    asyncio.run(play())
    assert "not of this topic's checkpoints" in caplog.text


def test_a_harmed_copy_is_not_believed(kafka: Kafka, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        await begun(kafka, tmp_path)
        for file in tmp_path.rglob("b~*"):
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            file.write_bytes(bytes(data))
        assert found((await owner(kafka, tmp_path))[1]) == ("checkpoint", 100)

    asyncio.run(play())
    assert "the copy on disk can't be used" in caplog.text


def test_where_all_on_the_topic_is_harmed_a_copy_that_followed_on_it_still_counts(
    kafka: Kafka, tmp_path: Path
) -> None:
    async def play() -> None:
        await begun(kafka, tmp_path)
        log = kafka.logs[TOPICS.checkpoints]
        log[:] = [(key, value[:-1] if value and key.startswith(b"b/") else value) for key, value in log]
        elsewhere, nothing = await owner(kafka, None)
        assert nothing is None
        torn = checkpoint.encode(at(500), elsewhere.epoch, 9, -1, None)
        log.append((checkpoint.manifest_key(elsewhere.epoch, 9).encode(), checkpoint.encode_manifest(torn.manifest)))
        assert found((await owner(kafka, tmp_path))[1]) == ("local", 150)

    asyncio.run(play())


def test_a_torn_checkpoint_that_claims_to_be_newer_is_no_reason_to_leave_the_copy(
    kafka: Kafka, tmp_path: Path
) -> None:
    async def play() -> None:
        first = await begun(kafka, tmp_path)
        torn = checkpoint.encode(at(500), first.epoch, 99, -1, None)
        manifest = checkpoint.encode_manifest(torn.manifest)
        for body in (manifest, bytes(12) + manifest[12:]):
            kafka.logs[TOPICS.checkpoints].append((checkpoint.manifest_key(first.epoch, 99).encode(), body))
            assert found((await owner(kafka, tmp_path))[1]) == ("local", 150)

    asyncio.run(play())


def test_there_is_no_copy_before_the_topic_has_a_checkpoint_for_it_to_be_rooted_in(
    kafka: Kafka, tmp_path: Path
) -> None:
    async def play() -> None:
        first, _ = await owner(kafka, tmp_path)
        assert await first.save(at(50), -1, topic=False) == (0, 0)
        assert not list(tmp_path.rglob(INDEX))
        assert min(await first.save(at(60), -1)) > 0
        assert list(tmp_path.rglob(INDEX))

    asyncio.run(play())


def test_a_worker_that_dies_between_the_topic_and_the_disk_leaves_a_copy_that_counts(
    kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is written first, so it is never behind what its own writer put on the topic."""

    async def play() -> None:
        first = await begun(kafka, tmp_path)
        copy, calls = vault.Vault._copy, 0

        async def once(self: vault.Vault, *args: Any) -> int:
            nonlocal calls
            calls += 1
            return await copy(self, *args) if calls == 1 else 0

        monkeypatch.setattr(vault.Vault, "_copy", once)
        await first.save(at(200), -1)
        monkeypatch.undo()
        monkeypatch.setattr(vault, "read_all", kafka.read)
        assert found((await owner(kafka, tmp_path))[1]) == ("local", 200)

    asyncio.run(play())


def test_what_did_not_change_is_written_once_to_each(kafka: Kafka, tmp_path: Path) -> None:
    async def play() -> None:
        first = await begun(kafka, tmp_path)
        full = await first.save(at(200), -1)
        again = await first.save(at(201), -1, topic=False)
        assert again.topic == 0
        assert again.disk < full.topic + full.disk
        names = [file.name for file in tmp_path.rglob("b~*still*")]
        assert len(names) == len({name.rpartition("~")[2] for name in names})

    asyncio.run(play())
