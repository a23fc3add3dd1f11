"""One partition's engine with what surrounds it: ticks at their place, evidence refilled after a restore."""

from collections import deque
from collections.abc import Callable, Sequence

from config.catalogue import unpack
from config.schema import Catalogue
from streams import state
from streams.columns import Record
from streams.engine import Engine, Output
from streams.ticks import Tick
from streams.windows import NEVER

Make = Callable[[Catalogue, str, int], Engine]  # of a topic and a partition


class Shard:
    """Applies records and ticks in the one order that counts. Used live and in replay."""

    def __init__(self, engine: Engine, pending: Sequence[tuple[int, Tick]] = ()) -> None:
        self.engine = engine
        self.pending = deque(pending)  # (offset in the ticks topic, tick), not applied yet
        self.ticks_applied = -1  # offset in the ticks topic of the newest that was
        self.position = 0  # next record offset to come; behind the engine's while evidence is refilled

    @property
    def start(self) -> int:
        """The offset to read from: as far before the state's as alerts may quote and events may come again."""
        quoted = self.engine.next_evidence() or self.engine.next_offset  # bad records may stand behind the last good
        limits, state = self.engine.limits, self.engine.next_offset
        return max(min(min(quoted, state) - limits.evidence, state - limits.duplicates), 0)

    @property
    def restored(self) -> bool:
        """All that was known before is here again: records, evidence and ticks."""
        return self.position >= self.engine.next_offset and not self.pending

    def feed(self, records: Sequence[Record]) -> Output:
        """Apply a run of records, and the recorded ticks between them."""
        engine, out = self.engine, Output([], [], [])
        known = _behind(records, engine.next_offset - 1)
        if known:
            engine.prefill(records[:known])
        at = known
        while self.pending and at < len(records) and self.pending[0][1].after_offset < records[-1].offset:
            stop = max(_behind(records, self.pending[0][1].after_offset), at)
            if stop > at:
                out.extend(engine.feed(records[at:stop]))
            out.extend(self._tick())
            at = stop
        if at < len(records):
            out.extend(engine.feed(records[at:]))
        if records:
            self.position = records[-1].offset + 1
        self.overtake(out)
        return out

    def overtake(self, out: Output) -> None:
        """Apply the recorded ticks that stand behind the newest record."""
        while self.pending and self.position >= self.engine.next_offset > self.pending[0][1].after_offset:
            out.extend(self._tick())

    def _tick(self) -> Output:
        offset, tick = self.pending.popleft()
        return self.tick(offset, tick)

    def tick(self, offset: int, tick: Tick) -> Output:
        """Obey a tick that is recorded at this offset of the ticks topic."""
        self.ticks_applied = offset
        return obey(self.engine, tick)


def engine_of(snapshot: state.Snapshot, topic: str, partition: int, make: Make = Engine) -> Engine:
    """An engine in that state, under the configuration of then; CheckpointError or CatalogueError if it doesn't fit."""
    engine = make(unpack(snapshot.arrays[state.CATALOGUE].tobytes()), topic, partition)
    state.restore(engine, snapshot)
    return engine


def obey(engine: Engine, tick: Tick) -> Output:
    """Move event time, forget a creator, or take another configuration: only in the place of the one that the tick
    names, so that a replay of a recording under a configuration of its own keeps it."""
    if tick.erase is not None:
        return engine.erase(tick.erase, tick.markets)
    if tick.catalogue is not None and tick.replaces == engine.catalogue.version:
        return engine.reconfigure(unpack(tick.catalogue.encode()))
    return engine.tick(tick.up_to if tick.up_to is not None else NEVER)


def _behind(records: Sequence[Record], offset: int) -> int:
    """How many of the records are at `offset` or before it."""
    if not records or records[0].offset > offset:
        return 0
    if records[-1].offset <= offset:
        return len(records)
    low, high = 0, len(records)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if records[middle].offset <= offset else (low, middle)
    return low

