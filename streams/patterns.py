"""Rare events keep their times, not panes: rules about repetition and sums, and ordered patterns."""

import numpy as np
from msgspec import UNSET

from config.schema import Repeat, Sequence, Step, millis
from detectors.base import Floats, Ints, observe
from detectors.pattern import OrderedPattern
from detectors.pattern import Step as PatternStep
from streams.columns import Matcher, clauses_of, hash64
from streams.records import Event

TIMES_MAX = 64  # newest events that an entity keeps for one rule
VALUE_MAX = 64  # characters of an attribute's value that are kept
WEIGHT_MAX = 1_000_000  # of one event
Kept = tuple[int, str, int]  # time, value, weight
KNOWN_MAX = 8  # newest values of an attribute that count as known


class RepeatWatch:
    """How often something came in the window, or what it adds up to, for each entity that had any such event."""

    def __init__(self, test: Repeat, size_ms: int, matcher: int) -> None:
        self.test = test
        self.size_ms = size_ms
        self.matcher = matcher
        self.times: dict[int, list[Kept]] = {}  # slot -> newest TIMES_MAX
        self.touched: dict[int, int] = {}  # slot -> its oldest time not judged yet

    def add(self, slot: int, event: Event) -> None:
        kept = self.times.setdefault(slot, [])
        kept.append((event.occurred_at, *weighed(self.test, event)))
        kept.sort()
        del kept[:-TIMES_MAX]
        self.touched[slot] = min(event.occurred_at, self.touched.get(slot, event.occurred_at))

    def take_back(self, slot: int, time: int) -> None:
        """The event of this time is void."""
        kept = self.times.get(slot, [])
        for entry in [entry for entry in kept if entry[0] == time][:1]:
            kept.remove(entry)

    def due(self, end: int) -> Ints:
        """Whose count moved up since it was last judged."""
        due = sorted(slot for slot, time in self.touched.items() if time < end)
        for slot in due:
            later = [time for time, *_ in self.times[slot] if time >= end]
            if later:
                self.touched[slot] = later[0]
            else:
                del self.touched[slot]
        return np.array(due, dtype=np.int64)

    def most(self, end: int, slot: int) -> tuple[int, str, int]:
        """The largest sum of one value in the window, that value, and how many events it is of."""
        sums: dict[str, tuple[int, int]] = {}
        for time, value, weight in self.times.get(slot, ()):
            if end - self.size_ms <= time < end:
                total, n = sums.get(value, (0, 0))
                sums[value] = total + weight, n + 1
        total, value, n = max(((total, value, n) for value, (total, n) in sums.items()), default=(0, "", 0))
        return total, value, n

    def score(self, end: int, slot: Ints) -> Floats:
        return np.array([self.most(end, s)[0] for s in slot.tolist()], dtype=np.float64)

    def forget(self, slot: Ints) -> None:
        for s in slot.tolist():
            self.times.pop(s, None)
            self.touched.pop(s, None)


def weighed(test: Repeat, event: Event) -> tuple[str, int]:
    """The value that a rule adds this event up under, and what it adds."""
    attrs = {} if event.attrs is UNSET else event.attrs
    value = str(attrs.get(test.by, ""))[:VALUE_MAX] if test.by else ""
    return value, _whole(attrs.get(test.weight, 0) if test.weight else 1)


def _whole(weight: object) -> int:
    """A weight that adds up exactly; what is no number weighs nothing."""
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        return 0
    return round(min(max(weight, 0), WEIGHT_MAX))


class SequenceWatch:
    """Feeds an ordered pattern, event by event in event time, when their pane closes."""

    def __init__(self, test: Sequence, size_ms: int, matchers: list[int], capacity: int) -> None:
        self.test = test
        self.size_ms = size_ms
        self.matchers = matchers  # by step
        steps = tuple(PatternStep(name=s.name, count=s.count, within_ms=millis(s.within)) for s in test.steps)
        self.detector = OrderedPattern(steps=steps)
        self.state = self.detector.init(capacity)
        self.reached = np.zeros(capacity)  # (capacity,) steps completed at the newest event
        self.reached_at = np.zeros(capacity, dtype=np.int64)  # (capacity,) ms
        novel = sorted({name for step in test.steps for name in step.novel})
        self.novel = {name: i for i, name in enumerate(novel)}
        self.known = np.zeros((capacity, len(novel), KNOWN_MAX), dtype=np.int64)  # hashes, newest first; 0 empty
        self.pending: list[tuple[int, int, int, int]] = []  # (time, offset, slot, step) of panes still open

    def grow(self, capacity: int) -> None:
        more = capacity - len(self.reached)
        if more:
            fresh = self.detector.init(more)
            self.state = type(fresh)(*(np.concatenate(pair) for pair in zip(self.state, fresh, strict=True)))
            self.reached = np.concatenate([self.reached, np.zeros(more)])
            self.reached_at = np.concatenate([self.reached_at, np.zeros(more, dtype=np.int64)])
            self.known = np.concatenate([self.known, np.zeros((more, *self.known.shape[1:]), dtype=np.int64)])

    def add(self, slot: int, offset: int, event: Event, steps: list[int]) -> None:
        """An event that may be one of these steps: the latest that it can be, so that no event is two steps."""
        news = self._learn_values(slot, event) if any(self.test.steps[s].novel for s in steps) else frozenset()
        for step in sorted(steps, reverse=True):
            wanted = self.test.steps[step].novel
            if not wanted or news.intersection(wanted):
                self.pending.append((event.occurred_at, offset, slot, step))
                return

    def _learn_values(self, slot: int, event: Event) -> frozenset[str]:
        """Remember the values of the attributes; which of them were new (the first ever is not)."""
        attrs = {} if event.attrs is UNSET else event.attrs
        news = set()
        for name, column in self.novel.items():
            if name not in attrs:
                continue
            value = hash64(str(attrs[name]))
            known = self.known[slot, column].tolist()
            if value in known:
                known.remove(value)
            elif known[0]:
                news.add(name)
            self.known[slot, column] = [value, *known][:KNOWN_MAX]
        return frozenset(news)

    def due(self, end: int) -> Ints:
        """Step through the events of the panes that are over; whose pattern moved."""
        over = sorted(p for p in self.pending if p[0] < end)
        if not over:
            return np.zeros(0, dtype=np.int64)
        self.pending = [p for p in self.pending if p[0] >= end]
        newest = {slot: time for time, _, slot, _ in over}
        moved = np.array(sorted(newest), dtype=np.int64)
        anew = moved[np.array([newest[s] for s in moved.tolist()]) >= self.reached_at[moved]]
        self.reached[anew] = 0.0  # an event that came late takes nothing back
        rounds: dict[int, list[tuple[int, int, int]]] = {}
        turn: dict[int, int] = {}
        for time, _, slot, step in over:  # one event of each entity at a time
            turn[slot] = turn.get(slot, -1) + 1
            rounds.setdefault(turn[slot], []).append((slot, time, step))
        for events in rounds.values():
            who, at, code = (np.array(column, dtype=np.int64) for column in zip(*events, strict=True))
            state, score = self.detector.step(
                type(self.state)(*(a[who] for a in self.state)), observe(code, expected=0.0, time=at)
            )
            for array, new in zip(self.state, state, strict=True):
                array[who] = new
            self.reached[who] = np.maximum(self.reached[who], score.score)
            self.reached_at[who] = np.maximum(self.reached_at[who], at)
        return moved

    def score(self, end: int, slot: Ints) -> Floats:
        """Steps completed, as long as the newest of them is within the window."""
        return np.where(self.reached_at[slot] >= end - self.size_ms, self.reached[slot], 0.0)

    def forget(self, slot: Ints) -> None:
        fresh = self.detector.init(len(slot))
        for array, new in zip(self.state, fresh, strict=True):
            array[slot] = new
        self.reached[slot], self.reached_at[slot], self.known[slot] = 0.0, 0, 0
        gone = set(slot.tolist())
        self.pending = [event for event in self.pending if event[2] not in gone]


def step_matcher(step: Step) -> Matcher:
    """The matcher of a step of a pattern."""
    return Matcher(clauses_of(step.events, step.where), novel=tuple(step.novel))
