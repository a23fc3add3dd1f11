"""Which events were delivered before: an event counts once, however often its `event_id` comes within a horizon.

A delivery is a repetition if another of the same id stood at most `horizon` offsets before the newest that was added.
The ids themselves are kept (64 characters at most), not a filter of them: no first delivery is ever taken for a
repetition. Two generations bound the memory without looking for what is old: when the newer one has covered a horizon,
the older one goes.

After a restart the ids come from the records before the checkpoint, which are read again for it. Those that became dead
letters for their time never counted, and are remembered by offset until the horizon has passed; those that still wait
for their pane do not count yet.
"""

from collections.abc import Collection, Sequence

import numpy as np

from detectors.base import Bools


class Deliveries:
    """The newest offset of each event that counted."""

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self.newer: dict[str, int] = {}
        self.older: dict[str, int] = {}
        self.position = -1  # the newest offset that was added
        self.since = 0  # the position from which on the newer generation holds
        self.void: dict[int, None] = {}  # offsets of deliveries that never counted, oldest first

    def __len__(self) -> int:
        return len(self.newer) + len(self.older)

    def first(self, offsets: Sequence[int], ids: Sequence[str]) -> Bools:
        """Which of these deliveries, in their order, are no repetition; from now on all are known."""
        if not self.horizon or not ids:
            return np.ones(len(ids), dtype=np.bool_)
        if self.position - self.since >= self.horizon:  # what goes is beyond the horizon of all that comes
            self.older, self.newer, self.since = self.newer, {}, self.position
        new = set(ids)
        known = (self.newer.keys(), self.older.keys())  # as sets: a dictionary would be gone through whole
        if len(new) == len(ids) and all(ids_before.isdisjoint(new) for ids_before in known):
            self.newer.update(zip(ids, offsets, strict=True))
            self.position = max(self.position, *offsets)
            return np.ones(len(ids), dtype=np.bool_)
        return np.array([self._first(offset, each) for offset, each in zip(offsets, ids, strict=True)])

    def _first(self, offset: int, event_id: str) -> bool:
        self.position = max(self.position, offset)
        before = self.newer.get(event_id, self.older.get(event_id, -1))
        self.newer[event_id] = max(offset, before)
        return before < 0 or before <= self.position - self.horizon

    def again(self, offsets: Sequence[int], ids: Sequence[str], waiting: Collection[int]) -> None:
        """The same deliveries, read again after a restart; those at `waiting` do not count yet."""
        counted = [
            (offset, each)
            for offset, each in zip(offsets, ids, strict=True)
            if offset not in self.void and offset not in waiting
        ]
        self.first([offset for offset, _ in counted], [each for _, each in counted])

    def never_counted(self, offset: int) -> None:
        """This delivery became a dead letter: should the event come again, that is its first."""
        self.void[offset] = None
        while self.void and (oldest := next(iter(self.void))) <= offset - self.horizon:
            del self.void[oldest]
