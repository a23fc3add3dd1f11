"""Who is live: a creator sells in bursts while it streams, which says little about the rest of its day."""

import numpy as np

from detectors.base import Bools, Ints

NEVER = -1
AFTER = 30 * 60_000  # ms, orders still follow a session for so long
LONGEST = 12 * 3_600_000  # ms, of a session whose end never came


class Lives:
    """The newest live session of every entity."""

    def __init__(self, capacity: int) -> None:
        self.since = np.full(capacity, NEVER, dtype=np.int64)  # (capacity,) ms
        self.until = np.full(capacity, NEVER, dtype=np.int64)  # (capacity,) ms, with AFTER

    def grow(self, more: int) -> None:
        absent = np.full(more, NEVER, dtype=np.int64)
        self.since, self.until = (np.concatenate([a, absent]) for a in (self.since, self.until))

    def forget(self, slot: Ints) -> None:
        self.since[slot] = self.until[slot] = NEVER

    def follow(self, time: Ints, slot: Ints, starts: Bools, ends: Bools) -> Bools:
        """Which of these events, in the order of their records, fall into a session of their entity."""
        during: Bools = (time >= self.since[slot]) & (time < self.until[slot])
        marks = starts | ends
        if marks.any():
            for i in np.flatnonzero(np.isin(slot, slot[marks])).tolist():
                t, s = int(time[i]), int(slot[i])
                if starts[i]:
                    self.since[s], self.until[s] = t, t + LONGEST
                elif ends[i] and NEVER != self.since[s] <= t:  # else it is late, and another's
                    self.until[s] = min(t + AFTER, int(self.since[s]) + LONGEST)
                during[i] = self.since[s] <= t < self.until[s]
        return during
