"""A worker with one thing broken on purpose: the chaos suite has to notice. And one that loses its power in the midst
of its first checkpoint that follows on another.

    python -m tests.mutated_worker offset_ahead run
    python -m tests.mutated_worker dies_behind_a_block run
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from streams import checkpoint, state
from streams.app import Worker
from streams.checkpoint import Block, Manifest, block_key, checksum
from streams.engine import Engine, Output
from streams.sink import Sink
from streams.ticks import Tick
from streams.vault import Vault

LATER = 5.0  # s


def _offset_by(records: int) -> None:
    """The checkpoint names another offset than the one that its state is of."""
    take = state.take

    def wrong(engine: Engine) -> state.Snapshot:
        snapshot = take(engine)
        offset = max(snapshot.memo.next_offset + records, 0)
        return msgspec.structs.replace(snapshot, memo=msgspec.structs.replace(snapshot.memo, next_offset=offset))

    state.take = wrong


_later: set[asyncio.Task[Any]] = set()


def _tick_first() -> None:
    """A tick is obeyed at once, and recorded some seconds later."""
    write = Vault.write_tick

    async def too_soon(self: Vault, after_offset: int, up_to: int) -> tuple[int, Tick]:
        async def record() -> None:
            await asyncio.sleep(LATER)
            await write(self, after_offset, up_to)

        _later.add(asyncio.create_task(record()))
        return -1, Tick(self.partition, self.epoch, after_offset, up_to)

    Vault.write_tick = too_soon  # type: ignore[method-assign]


def _alerts_last() -> None:
    """Alerts are sent some seconds later, and no checkpoint waits for them."""
    publish = Sink.publish

    async def later(self: Sink, partition: int, out: Output) -> None:
        async def send() -> None:
            await asyncio.sleep(LATER)
            await publish(self, partition, out)
            self.take(partition)

        _later.add(asyncio.create_task(send()))

    Sink.publish = later  # type: ignore[method-assign]


def _commit_first() -> None:
    """The source's offset is committed some seconds before the checkpoint that holds it."""
    write = Worker.checkpoint

    async def early(self: Worker, partition: int, *, leaving: bool = False) -> None:
        if partition in self.source.owned and partition in self.shards:
            self.source.durable(partition, self.shards[partition].engine.next_offset)
            await self.source.commit()
            await asyncio.sleep(1.0)
        await write(self, partition, leaving=leaving)

    Worker.checkpoint = early  # type: ignore[method-assign]


def _accept_torn() -> None:
    """A manifest counts whatever its checksum says, and a block that is not there is taken from an older one."""
    decoded = checkpoint.decode

    def decode_manifest(data: bytes) -> Manifest:
        return msgspec.msgpack.decode(data[12:], type=Manifest)

    def decode(manifest: Manifest, stored: Mapping[str, bytes], *progress: checkpoint.Progress) -> state.Snapshot:
        known = {key.split("/", 3)[3]: data for key, data in sorted(stored.items()) if key.startswith("b/")}
        blocks: dict[str, Block] = {}
        found: dict[str, bytes] = {}
        for name, block in manifest.blocks.items():
            data = stored.get(block_key(name, block), known[name])
            blocks[name] = Block(block.epoch, block.sequence, len(data), checksum(data))
            found[block_key(name, blocks[name])] = data
        return decoded(msgspec.structs.replace(manifest, blocks=blocks), found, *progress)

    checkpoint.decode_manifest, checkpoint.decode = decode_manifest, decode
    checkpoint.whole = lambda manifest, held: True


def _die(kind: str, share: float) -> None:
    """As soon as this share of a checkpoint's blocks (b/), or its manifest (m/), is acknowledged, the power fails."""
    put = Vault._put

    async def dying(self: Vault, keys: dict[str, bytes] | dict[str, None]) -> list[int]:
        if not self.kept or not all(key.startswith(kind) for key in keys) or None in keys.values():
            return await put(self, keys)
        count = max(int(share * len(keys)), 1)
        print(f"the power fails behind {count} of {len(keys)} {kind}", flush=True)
        await put(self, dict(list(keys.items())[:count]))  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("a killed process goes on")

    Vault._put = dying  # type: ignore[method-assign]


MUTATIONS: dict[str, Callable[[], None]] = {
    "offset_ahead": lambda: _offset_by(1),  # a record is lost at each restart
    "offset_behind": lambda: _offset_by(-1),  # a record counts twice at each restart
    "tick_before_acknowledgement": _tick_first,
    "alerts_after_checkpoint": _alerts_last,
    "torn_manifest_accepted": _accept_torn,
    "commit_before_checkpoint": _commit_first,
}
DEATHS: dict[str, Callable[[], None]] = {
    "dies_behind_a_block": lambda: _die("b/", 0.0),
    "dies_behind_half_of_the_blocks": lambda: _die("b/", 0.5),
    "dies_behind_all_blocks": lambda: _die("b/", 1.0),
    "dies_behind_the_manifest": lambda: _die("m/", 1.0),
}
HARMLESS = ("commit_before_checkpoint",)  # a restart begins where its checkpoint says, whatever the group's offset is

if __name__ == "__main__":
    from streams.cli import main

    (MUTATIONS | DEATHS)[sys.argv.pop(1)]()
    main()
