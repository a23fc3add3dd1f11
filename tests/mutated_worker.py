"""A worker with one thing broken on purpose: the chaos suite has to notice.

    python -m tests.mutated_worker offset_ahead run
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from streams import state
from streams.engine import Engine
from streams.ticks import Tick
from streams.vault import Vault


def _offset_by(records: int) -> None:
    """The checkpoint names another offset than the one that its state is of."""
    take = state.take

    def wrong(engine: Engine) -> state.Snapshot:
        snapshot = take(engine)
        offset = max(snapshot.memo.next_offset + records, 0)
        return msgspec.structs.replace(snapshot, memo=msgspec.structs.replace(snapshot.memo, next_offset=offset))

    state.take = wrong


def _tick_first() -> None:
    """A tick is obeyed at once, and recorded some seconds later."""
    write = Vault.write_tick
    later: set[asyncio.Task[Any]] = set()

    async def too_soon(self: Vault, after_offset: int, up_to: int) -> tuple[int, Tick]:
        async def record() -> None:
            await asyncio.sleep(5.0)
            await write(self, after_offset, up_to)

        later.add(asyncio.create_task(record()))
        return -1, Tick(self.partition, self.epoch, after_offset, up_to)

    Vault.write_tick = too_soon  # type: ignore[method-assign]


MUTATIONS: dict[str, Callable[[], None]] = {
    "offset_ahead": lambda: _offset_by(1),  # a record is lost at each restart
    "offset_behind": lambda: _offset_by(-1),  # a record counts twice at each restart
    "tick_before_acknowledgement": _tick_first,
}

if __name__ == "__main__":
    from streams.cli import main

    MUTATIONS[sys.argv.pop(1)]()
    main()
