"""Steps in their order, each within its time: "new device, then new payout account, then 3 withdrawals in an
hour".

Sees: a sequence of named events of one entity, other events in between. Misses: the same steps in another
order, or slower than the limits; it knows no amounts and no base rates: how often honest entities do the same
must be measured. Events that arrive out of order count only as far as their own times allow: one older than the
newest `count` of its step has no part in them.

Formula: step 0 is complete when its event has come `count` times within its `within_ms`. An event of a later
step counts when it comes at most its `within_ms` after the latest completion of the step before; the step is
complete when the newest `count` such events lie within its `within_ms`, at the newest of them. A repeated earlier
step moves its completion forward and never takes a later step back.
Score: steps complete in a row that are still live at x.time: the next step's limit has not passed (for the
last step: its own). It includes the event scored. Expected 0, no p-value. `learn` False: scored as if
learned, nothing kept. `gap` changes nothing.
Units: value is the event's step (0, 1, ...; any other is no step), time is in ms of event time, 0 or later;
one event an entity and call. Cost: 8 * steps * (2 + largest count) bytes an entity; 0.05 us a step.
Reference: the "skip till next match" of Agrawal et al., Efficient Pattern Matching over Event Streams, SIGMOD
2008.

>>> from detectors.base import observe
>>> steps = Step(name="new device", within_ms=1), Step(name="payout changed", within_ms=60)
>>> spec = OrderedPattern(steps=steps)
>>> state = spec.init(1)
>>> for at, code in [(0, 1), (10, 0), (50, 1), (200, 0)]:
...     state, score = spec.step(state, observe([code], time=at))
...     print(score.score, spec.started_at(state, np.array([at])))
[0.] [-1]
[1.] [10]
[2.] [10]
[1.] [200]
"""

from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from detectors.base import Bools, Floats, Ints, Observation, Score

NEVER = -1


class Step(msgspec.Struct, frozen=True, kw_only=True):
    name: str  # what happens, in the words of a reason
    within_ms: Annotated[int, msgspec.Meta(gt=0)]  # ms after the step before; for the first, ms for its count
    count: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1  # times it must happen


class OrderedPatternState(NamedTuple):
    done: Ints  # (n, steps) ms, latest completion of each step; -1 never
    start: Ints  # (n, steps) ms, first event of the sequence that each completion ended; -1 never
    recent: Ints  # (n, steps, largest count) ms, events that count towards each step, newest first; -1 none


_State = OrderedPatternState


class OrderedPattern(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ordered_pattern"):
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]

    def init(self, n: int) -> _State:
        depth = max(step.count for step in self.steps)
        shape = (n, len(self.steps))
        return _State(np.full(shape, NEVER), np.full(shape, NEVER), np.full((*shape, depth), NEVER))

    def step(self, state: _State, x: Observation) -> tuple[_State, Score]:
        seen = ~np.isnan(x.value)
        added = _State(state.done.copy(), state.start.copy(), state.recent.copy())
        for i in reversed(range(len(self.steps))):  # each reads what stood before the event
            self._add(added, i, np.flatnonzero(x.value == i), x.time)
        depth, _ = self._reached(added, x.time)
        blank = np.full_like(x.value, np.nan)
        score = Score(np.where(seen, depth, np.nan), np.where(seen, 0.0, np.nan), blank)
        learn = seen & x.learn
        masks = learn[:, None], learn[:, None], learn[:, None, None]
        return _State(*(np.where(m, a, b) for m, a, b in zip(masks, added, state, strict=True))), score

    def started_at(self, state: _State, time: Ints) -> Ints:
        """Time of the first event of what is live at `time`, (n,) ms; -1 where nothing is."""
        return self._reached(state, time)[1]

    def _add(self, s: _State, i: int, rows: Ints, time: Ints) -> None:
        """Count the events of step i, in place, in these rows."""
        limit, count = self.steps[i].within_ms, self.steps[i].count
        if i > 0:
            rows = rows[_live(s.done[rows, i - 1], time[rows], limit)]
        at = time[rows]
        place = (s.recent[rows, i] > at[:, None]).sum(axis=1)  # of the event among the newest
        held = np.arange(s.recent.shape[2])
        moved = np.concatenate([at[:, None], s.recent[rows, i, :-1]], axis=1)
        kept = np.where(held < place[:, None], s.recent[rows, i], moved)
        s.recent[rows, i] = np.where(held == place[:, None], at[:, None], kept)
        newest, first = s.recent[rows, i, 0], s.recent[rows, i, count - 1]
        complete = (place < count) & _live(first, newest, limit)
        rows, newest, first = rows[complete], newest[complete], first[complete]
        s.done[rows, i] = np.maximum(s.done[rows, i], newest)
        s.start[rows, i] = s.start[rows, i - 1] if i > 0 else first

    def _reached(self, s: _State, time: Ints) -> tuple[Floats, Ints]:
        """The most steps complete and live, and their start."""
        depth, start = np.zeros(len(time)), np.full(len(time), NEVER)
        for i in range(len(self.steps)):
            limit = self.steps[min(i + 1, len(self.steps) - 1)].within_ms
            live = _live(s.done[:, i], time, limit)
            depth, start = np.where(live, i + 1.0, depth), np.where(live, s.start[:, i], start)
        return depth, start


def _live(since: Ints, time: Ints, limit: int) -> Bools:
    live: Bools = (since != NEVER) & (time >= since) & (time - since <= limit)
    return live
