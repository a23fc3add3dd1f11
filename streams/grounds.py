"""The windows that alerts were opened on, for as long as an event that comes late can take one's ground away.

An event that is counted in such a window after the alert has opened came late. The window is then read again, with all
that belongs to it; if it calls for no alert any more, nor does what the signal reads now, the alert is retracted
(`late_data`). The engine reads and decides; here is only what it has to look at again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from detectors.base import Bools, Ints
from streams.market import REACH
from streams.rates import DAY, OUTCOME_DAYS, RateWatch
from streams.series import SeriesWatch

Key = tuple[int, int]  # (signal, slot)


class Ground(NamedTuple):
    """One window of a signal's tests, as an alert was opened on it."""

    end: int  # ms
    tests: tuple[int, ...]  # that judge it together
    window: int
    moved: bool = False  # an event was counted in it since


def can_be_read_again(watch: object) -> bool:
    """Rules only count up, and a series has stepped on."""
    return isinstance(watch, RateWatch) and not isinstance(watch, SeriesWatch)


class Grounds:
    """What the alerts of the last hour were opened on."""

    def __init__(self) -> None:
        self.of: dict[Key, Ground] = {}

    def forget_before(self, signal: int, end: int) -> None:
        """It is `end` for this signal: what is older can't be read any more."""
        self.of = {key: ground for key, ground in self.of.items() if key[0] != signal or ground.end >= end - REACH}

    def counted(self, watches: Sequence[Sequence[Any]], time: Ints, slot: Ints, mine: Mapping[int, Bools]) -> None:
        """Events were counted just now: (n,) their times and rows; `mine` has by matcher which of them it counts."""
        for key, ground in self.of.items():
            before = (slot == key[1]) & (time < ground.end)
            tests = [watches[key[0]][test] for test in ground.tests] if before.any() else []
            if any(_moves(watch, ground, time, before, mine) for watch in tests):
                self.of[key] = ground._replace(moved=True)


def _moves(watch: RateWatch, ground: Ground, time: Ints, before: Bools, mine: Mapping[int, Bools]) -> bool:
    """Whether one of the events stands in the watch's window, or among what its outcomes may be of."""
    nothing = before & False
    starts = ground.end - watch.windows[ground.window][0]
    inside = before & (time >= starts) & mine.get(watch.matcher, nothing)
    if inside.any() or watch.of_matcher is None:
        return bool(inside.any())
    since = ground.end - OUTCOME_DAYS * DAY if watch.kind == "outcome" else starts
    return bool((before & (time >= since) & mine.get(watch.of_matcher, nothing)).any())
