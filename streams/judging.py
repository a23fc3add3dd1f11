"""What the tests of a signal say of a window: read for all entities at once, then by each one's own policy.

Nothing here moves: the engine keeps the episodes, and decides.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from detectors.base import Bools, Floats, Ints
from streams.plan import Plan, Probe
from streams.policy import Reading, thresholds, window_thresholds
from streams.rates import Judged, RateWatch
from streams.rulebook import Rulebook


class Read(NamedTuple):
    """One test of one window, for some entities."""

    score: Floats  # (n,)
    value: Floats  # (n,)
    expected: Floats  # (n,) by the detector; 0 where a rule expects nothing
    exposure: Floats  # (n,)
    alarms: Bools  # (n,) whether anybody's policy could call this an alert


class Judge:
    """Reads the windows of a plan."""

    def __init__(
        self, plan: Plan, rules: Rulebook, whose: Callable[[int], tuple[str, str, str | None]],
        counts: Counter[tuple[str, str]],
    ) -> None:  # fmt: skip
        self.plan, self.rules, self.whose, self.counts = plan, rules, whose, counts

    def readings(self, probe: Probe, end: int, open_slots: list[int]) -> Iterator[tuple[int, Reading]]:
        """(slot, reading) of one window, of the entities with enough in it, of late, or with an open episode."""
        watches = [self.plan.watches[probe.signal][test] for test in probe.tests]
        moved = [w.moved(end, probe.hop) if isinstance(w, RateWatch) else w.due(end) for w in watches]
        slots = reduce(np.union1d, moved)
        for watch in watches:
            if isinstance(watch, RateWatch):
                slots = slots[watch.enough(end, probe.window, slots)]
        if open_slots:
            slots = np.union1d(slots, np.array(open_slots, dtype=np.int64))
        if not len(slots):
            return
        is_open = np.isin(slots, open_slots) if open_slots else np.zeros(len(slots), dtype=np.bool_)
        alarms = np.ones(len(slots), dtype=np.bool_)
        reads = []
        for test in probe.tests:
            reads.append(self.read(probe, test, end, slots, is_open))
            alarms &= reads[-1].alarms
            if not open_slots and not alarms.any():
                return  # nobody alarms by this test, whatever the others say
        for i in np.flatnonzero(alarms | is_open).tolist():
            yield int(slots[i]), self.reading(probe, reads, i, int(slots[i]), end)

    def again(self, probe: Probe, end: int, slot: int) -> Reading:
        """One entity's window that was read before, with what belongs to it now."""
        one, is_open = np.array([slot]), np.ones(1, dtype=np.bool_)
        return self.reading(probe, [self.read(probe, test, end, one, is_open) for test in probe.tests], 0, slot, end)

    def reading(self, probe: Probe, reads: list[Read], i: int, slot: int, end: int) -> Reading:
        """What the tests of a window say of one entity, by its own policy."""
        policy = self.rules.of(probe.signal, *self.whose(slot), end)
        level, holds, margin = 3, True, float("inf")
        for test, read in zip(probe.tests, reads, strict=True):
            mine, watch = policy.tests[test], self.plan.watches[probe.signal][test]
            score, value, expected, exposure = (float(a[i]) for a in read[:4])
            if isinstance(watch, RateWatch):
                marks = window_thresholds(mine.severity, probe.size)
                speaks = exposure >= mine.minimum_of and score > 0.0
                speaks = speaks and bool(watch.worth_saying(value, expected, mine.minimum, mine.effect))
            else:
                marks, speaks = thresholds(mine.severity), value >= mine.minimum
            margin = min(margin, score - min(marks) if speaks else float("-inf"))
            level = min(level, _level(score, marks) if speaks else 0)
            holds = holds and score >= policy.hysteresis * min(marks)
        first = reads[0]
        value = float(first.value[i])
        return Reading(level, holds, float(first.score[i]), value, probe.tests[0], probe.window, margin)

    def read(self, probe: Probe, test: int, end: int, slots: Ints, is_open: Bools) -> Read:
        """One test of a window, for entities with enough in it."""
        watch: Any = self.plan.watches[probe.signal][test]
        loosest = self.rules.loosest[probe.signal].tests[test]
        if isinstance(watch, RateWatch):
            lowest = min(window_thresholds(loosest.severity, probe.size))
            read = self.score(watch, probe, loosest.minimum_of, watch.observe(end, probe.window, slots), is_open)
        else:
            score = watch.score(end, slots)
            nothing = np.zeros(len(slots))
            lowest = min(thresholds(loosest.severity))
            read = Read(score, score, nothing, nothing, score >= loosest.minimum)
        return read._replace(alarms=read.alarms & (read.score >= lowest))

    def score(self, watch: RateWatch, probe: Probe, minimum_of: float, judged: Judged, is_open: Bools) -> Read:
        """Who has too small an effect, and no episode, isn't scored."""
        value, exposure = judged.x.value, judged.x.exposure
        score, expected = np.zeros(len(value)), judged.x.expected.copy()
        alarms = exposure >= minimum_of
        if not watch.low:
            alarms &= value >= watch.minimum
        worth = np.flatnonzero((alarms & watch.stands_out(judged)) | is_open)
        self.counts["stepped", self.plan.names[probe.signal]] += len(worth)
        if len(worth):
            result = watch.score(probe.window, judged.of(worth))
            score[worth], expected[worth] = result.score, result.expected
        alarms &= watch.worth_saying(value, expected, watch.minimum, watch.effect)
        return Read(score, value, expected, exposure, alarms & (score > 0.0))


def _level(score: float, marks: tuple[float, ...]) -> int:
    """The highest severity whose mark the score reaches: 0 is none."""
    return max((step for step, mark in enumerate(marks, start=1) if score >= mark), default=0)
