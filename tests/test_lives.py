"""Live sessions beside their definition, event by event."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.lives import AFTER, LONGEST, Lives

MINUTE, HOUR = 60_000, 3_600_000
ORDER, START, END = range(3)
SLOTS = 3

# (minutes since the record before, minutes late, slot, what): steps long enough for a session to run out
stories = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 10, 30, 29, 300]), st.sampled_from([0, 0, 0, 5, 40]), st.integers(0, SLOTS - 1),
        st.sampled_from([ORDER, ORDER, ORDER, START, END]),
    ),
    max_size=60,
)  # fmt: skip


def during(lives: Lives, events: list[tuple[int, int, int]]) -> list[bool]:
    """Of (time, slot, what), all in one batch."""
    time, slot, what = (np.array([e[i] for e in events], dtype=np.int64) for i in range(3))
    return lives.follow(time, slot, what == START, what == END).tolist()


class Plain:
    """The definition: a session lasts until half an hour after its end, or twelve hours where no end came."""

    def __init__(self) -> None:
        self.session: dict[int, tuple[int, int]] = {}

    def see(self, time: int, slot: int, what: int) -> bool:
        if what == START:
            self.session[slot] = (time, time + 12 * HOUR)
        elif what == END and slot in self.session and time >= self.session[slot][0]:
            since, _ = self.session[slot]
            self.session[slot] = (since, min(time + 30 * MINUTE, since + 12 * HOUR))
        since, until = self.session.get(slot, (0, 0))
        return since <= time < until


@settings(max_examples=200, derandomize=True, deadline=None)
@given(stories, st.sets(st.integers(1, 59)))
def test_however_starts_ends_and_orders_are_batched_each_is_judged_as_if_it_came_alone(
    story: list[tuple[int, int, int, int]], cuts: set[int]
) -> None:
    events, now = [], 100 * HOUR
    for step, late, slot, what in story:
        now += step * MINUTE
        events.append((now - late * MINUTE, slot, what))
    plain, lives = Plain(), Lives(SLOTS)
    got: list[bool] = []
    for first, after in pairwise([0, *sorted(c for c in cuts if c < len(events)), len(events)]):
        got += during(lives, events[first:after])
    assert got == [plain.see(*event) for event in events]
    alone = Lives(SLOTS)
    for event in events:
        during(alone, [event])
    assert (lives.since.tolist(), lives.until.tolist()) == (alone.since.tolist(), alone.until.tolist())


def orders(*times: int) -> list[tuple[int, int, int]]:
    return [(time, 0, ORDER) for time in times]


def test_orders_still_belong_to_a_session_half_an_hour_after_its_end() -> None:
    lives = Lives(1)
    assert during(lives, [(9 * HOUR, 0, START), (10 * HOUR, 0, END)]) == [True, True]
    edge = 10 * HOUR + AFTER
    assert AFTER == 30 * MINUTE
    assert during(lives, orders(9 * HOUR - 1, 9 * HOUR, edge - 1, edge)) == [False, True, True, False]
    session = [(9 * HOUR, 0, START), (10 * HOUR, 0, END)]
    assert during(Lives(1), session + orders(edge - 1, edge)) == [True, True, True, False]


def test_a_session_whose_end_never_came_is_over_after_twelve_hours() -> None:
    lives = Lives(1)
    during(lives, [(9 * HOUR, 0, START)])
    assert LONGEST == 12 * HOUR
    assert during(lives, orders(21 * HOUR - 1, 21 * HOUR)) == [True, False]
    during(lives, [(40 * HOUR, 0, END)])  # of a session that was over long ago
    assert during(lives, orders(22 * HOUR, 40 * HOUR, 41 * HOUR)) == [False] * 3


def test_an_end_without_a_start_is_nobodys_session() -> None:
    lives = Lives(1)
    assert during(lives, [(0, 0, END), *orders(0, 1), (5, 0, END)]) == [False] * 4


def test_who_is_forgotten_is_not_live_and_newcomers_change_nobody_elses_session() -> None:
    lives = Lives(2)
    during(lives, [(HOUR, 0, START), (HOUR, 1, START)])
    lives.grow(2)
    lives.forget(np.array([0]))
    assert during(lives, [(2 * HOUR, slot, ORDER) for slot in range(4)]) == [False, True, False, False]
