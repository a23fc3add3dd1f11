"""Windows own time: panes in rings, and the watermark that closes them.

Events only add into panes, so their order within a pane can't matter. A sliding window is the sum of its last panes.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from detectors.base import Bools, Ints

NEVER = -1  # event time before the first watermark
ALONE = 8  # so many events for each creator of a quorum stand for it, where nobody else sends any


class Ring:
    """The last panes of one count, or sum, for every entity.

    Row `pane % rows` of `cells` holds pane number `time // pane_ms`; a row is cleared when its pane opens.
    """

    def __init__(self, pane_ms: int, rows: int, capacity: int, sums: bool = False) -> None:
        self.pane_ms = pane_ms
        self.rows = rows
        self.cells = np.zeros((rows, capacity), dtype=np.int64 if sums else np.int32)  # (rows, capacity) events
        self.newest = NEVER  # the newest pane that has a row

    def grow(self, capacity: int) -> None:
        cells = np.zeros((self.rows, capacity), dtype=self.cells.dtype)
        cells[:, : self.cells.shape[1]] = self.cells
        self.cells = cells

    def resize(self, rows: int) -> None:
        """More rows, before the first event."""
        if rows > self.rows:
            self.rows = rows
            self.cells = np.zeros((rows, self.cells.shape[1]), dtype=self.cells.dtype)

    def open_until(self, time: int) -> None:
        """Give a row to every pane that begins before `time`, clearing the rows whose panes are over."""
        newest = (time - 1) // self.pane_ms
        if self.newest == NEVER or newest - self.newest >= self.rows:
            self.cells[:] = 0
        else:
            for pane in range(self.newest + 1, newest + 1):
                self.cells[pane % self.rows] = 0
        self.newest = max(newest, self.newest)

    def add(self, time: Ints, slot: Ints, much: Ints | int = 1) -> int:
        """Count one event for each, or so much; returns how many were too old for the ring and are not in it."""
        pane = time // self.pane_ms
        fits = pane > self.newest - self.rows
        if not fits.all():
            pane, slot = pane[fits], slot[fits]
            much = much if isinstance(much, int) else much[fits]
        np.add.at(self.cells.reshape(-1), pane % self.rows * self.cells.shape[1] + slot, much)
        return int(len(fits) - len(pane))

    def take_back(self, time: int, slot: int) -> None:
        """One event less, if it is still here."""
        pane = time // self.pane_ms
        if self.newest - self.rows < pane <= self.newest and self.cells[pane % self.rows, slot] > 0:
            self.cells[pane % self.rows, slot] -= 1

    def pane(self, end: int) -> np.ndarray:
        """The row of the pane that ends at `end`."""  # (capacity,)
        row: np.ndarray = self.cells[(end // self.pane_ms - 1) % self.rows]
        return row

    def window(self, end: int, size_ms: int, slot: Ints) -> Ints:
        """The sum of the panes in [end - size, end), for these entities."""
        panes = end // self.pane_ms - 1 - np.arange(size_ms // self.pane_ms)
        total: Ints = self.cells[(panes % self.rows)[:, None], slot].sum(axis=0, dtype=np.int64)
        return total

    def everybody(self, end: int, size_ms: int) -> Ints:
        """The same for all entities."""  # (capacity,)
        panes = end // self.pane_ms - 1 - np.arange(size_ms // self.pane_ms)
        total: Ints = self.cells[panes % self.rows].sum(axis=0, dtype=np.int64)
        return total


class Cut(NamedTuple):
    """Where a batch must be cut: before record `at` all belongs to the open panes; `moved` says the watermark moved."""

    at: int
    moved: bool


class Watermark:
    """Progress of event time: the quorum-th newest time among distinct creators, less the allowed lateness.

    It moves from pane to pane: `closed` is the end of the newest closed pane. An event further than `ahead_ms` beyond
    it has no vote until others confirm its time (`confirmed`), so one wrong clock moves nothing.
    """

    def __init__(self, pane_ms: int, lateness_ms: int, quorum: int, ahead_ms: int) -> None:
        self.pane_ms = pane_ms
        self.lateness_ms = lateness_ms
        self.quorum = quorum
        self.ahead_ms = ahead_ms
        self.closed = NEVER
        self.votes: dict[int, int] = {}  # creator hash -> its newest time beyond the next pane's end + lateness

    @property
    def far(self) -> int:
        """Times from here on are too far ahead to be believed at once; before the first watermark all are."""
        return 0 if self.closed == NEVER else self.closed + self.ahead_ms

    @property
    def due(self) -> int:
        """The time that a quorum must have reached for the next pane to close."""
        return self.closed + self.pane_ms + self.lateness_ms

    def advance(self, time: Ints, creator: Ints) -> Cut:
        """Vote record by record; stop behind the record that lets the next pane close."""
        for at in np.flatnonzero(time >= self.due):
            who, when = int(creator[at]), int(time[at])
            self.votes[who] = max(when, self.votes.get(who, 0))
            if len(self.votes) >= self.quorum:
                return Cut(int(at) + 1, True)
        return Cut(len(time), False)

    def ready(self) -> bool:
        return len(self.votes) >= self.quorum

    def close_pane(self) -> int:
        """The next pane is over: its end."""
        return self.move_to(self.closed + self.pane_ms)

    def move_to(self, time: int) -> int:
        """Event time is at least `time` (a whole pane); votes that are no longer beyond it fall away."""
        self.closed = time
        self.votes = {who: when for who, when in self.votes.items() if when >= self.due}
        return time

    def disown(self, creator: int) -> None:
        """A vote stays one, but nobody's: event time must not show that a creator was forgotten."""
        if creator in self.votes:
            time = self.votes.pop(creator)
            self.votes[min([0, *self.votes]) - 1] = time

    def confirmed(self, time: Ints, creator: Ints, alone: Bools) -> Bools:
        """Which of the waiting times (in order of arrival) are confirmed by others near them.

        The oldest span of `ahead_ms` with a quorum of creators in it is believed. A stream of too few creators has
        none: there the oldest span is, once ALONE x quorum events came with none in between whose time was believed
        at once (`alone`).
        """
        order = np.argsort(time, kind="stable")
        times, who = time[order].tolist(), creator[order].tolist()
        inside: Counter[int] = Counter()  # creators of the span
        stop = 0
        for first, start in enumerate(times):
            while stop < len(times) and times[stop] < start + self.ahead_ms:
                inside[who[stop]] += 1
                stop += 1
            if len(inside) >= self.quorum:
                break
            inside[who[first]] -= 1
            if not inside[who[first]]:
                del inside[who[first]]
        else:
            if alone.sum() < ALONE * self.quorum:
                return np.zeros(len(time), dtype=np.bool_)
            start = int(time[alone].min())
        span: Bools = (time >= start) & (time < start + self.ahead_ms)
        return span
