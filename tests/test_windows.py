"""Panes in rings beside a plain dictionary of events, and the watermark beside its definition."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.windows import ALONE, NEVER, Ring, Watermark

PANE = 10
fixed = settings(max_examples=120, derandomize=True, deadline=None)


@fixed
@given(
    rows=st.integers(2, 9),
    moves=st.lists(
        st.tuples(st.sampled_from(["open", "add", "grow"]), st.integers(0, 60), st.integers(0, 5)), max_size=60
    ),
)
def test_a_ring_holds_what_a_dictionary_of_its_newest_panes_holds(
    rows: int, moves: list[tuple[str, int, int]]
) -> None:
    ring, events, newest, now = Ring(PANE, rows, 6), {}, -1, 0
    for what, number, slot in moves:
        if what == "open":
            now += number
            ring.open_until(now + PANE)
            newest = (now + PANE - 1) // PANE
        elif what == "grow":
            ring.grow(ring.cells.shape[1] + number)
        elif newest >= 0:
            time = max(newest * PANE + PANE - 1 - number * 3, 0)
            lost = ring.add(np.array([time, time]), np.array([slot, slot]))
            kept = time // PANE > newest - rows
            assert lost == (0 if kept else 2)
            if kept:
                events[time // PANE, slot] = events.get((time // PANE, slot), 0) + 2
        for pane in range(max(newest - rows + 1, 0), newest + 1):
            end = (pane + 1) * PANE
            expected = [events.get((pane, s), 0) for s in range(6)]
            assert ring.pane(end)[:6].tolist() == expected
        if newest >= 0:
            end = (newest + 1) * PANE
            for panes in range(1, rows + 1):
                sums = [sum(events.get((p, s), 0) for p in range(newest - panes + 1, newest + 1)) for s in (5, 0, 3)]
                assert ring.window(end, panes * PANE, np.array([5, 0, 3])).tolist() == sums


def test_opening_far_ahead_clears_everything_and_opening_behind_nothing() -> None:
    ring = Ring(PANE, 4, 2)
    ring.open_until(40)
    ring.add(np.array([5, 15, 39]), np.array([0, 1, 1]))
    before = ring.cells.copy()
    ring.open_until(20)
    assert (ring.cells == before).all()
    ring.open_until(10_000)
    assert not ring.cells.any()
    assert ring.newest == 999


def test_a_ring_takes_no_event_before_anything_is_open_nor_loses_one_it_has_room_for() -> None:
    ring = Ring(PANE, 3, 2)
    ring.resize(5)
    ring.resize(2)
    assert ring.rows == 5
    ring.open_until(50)
    assert ring.add(np.arange(0, 50, PANE), np.zeros(5, dtype=np.int64)) == 0
    assert ring.window(50, 50, np.array([0, 1])).tolist() == [5, 0]


class Plain:
    """The definition: the quorum-th newest time among distinct creators, less the lateness, in whole panes."""

    def __init__(self, start: int, pane: int, lateness: int, quorum: int, ahead: int) -> None:
        self.closed, self.pane, self.lateness, self.quorum, self.ahead = start, pane, lateness, quorum, ahead
        self.newest: dict[int, int] = {}

    def see(self, time: int, creator: int) -> list[int]:
        """Ends of the panes that close behind this record."""
        if time >= self.closed + self.ahead:
            return []
        self.newest[creator] = max(time, self.newest.get(creator, 0))
        ends = []
        while len(times := sorted(self.newest.values(), reverse=True)) >= self.quorum:
            if times[self.quorum - 1] < self.closed + self.pane + self.lateness:
                break
            self.closed += self.pane
            ends.append(self.closed)
        return ends


@fixed
@given(
    records=st.lists(st.tuples(st.integers(0, 260), st.integers(0, 5)), max_size=50),
    quorum=st.integers(1, 4),
    lateness=st.sampled_from([0, 3, 25]),
    cuts=st.sets(st.integers(1, 49)),
)
def test_the_watermark_closes_panes_behind_the_very_record_that_its_definition_names(
    records: list[tuple[int, int]], quorum: int, lateness: int, cuts: set[int]
) -> None:
    records = [(time + 2 * i, creator) for i, (time, creator) in enumerate(records)]
    plain = Plain(100, PANE, lateness, quorum, ahead=150)
    expected = [(i, end) for i, (time, creator) in enumerate(records) for end in plain.see(time, creator)]
    clock = Watermark(PANE, lateness, quorum, ahead_ms=150)
    clock.move_to(100)
    got = []
    edges = [0, *sorted(c for c in cuts if c < len(records)), len(records)]
    for start, stop in pairwise(edges):
        at = start
        while at < stop:
            times = np.array([time for time, _ in records[at:stop]])
            far = np.flatnonzero(times >= clock.far)
            many = int(far[0]) if len(far) else len(times)
            cut = clock.advance(times[:many], np.array([who for _, who in records[at : at + many]], dtype=np.int64))
            at += cut.at
            while clock.ready():
                got.append((at - 1, clock.close_pane()))
            at += not cut.moved and at < stop
    assert got == expected
    assert clock.closed == plain.closed


def confirmed(times: list[int], creators: list[int], alone: list[bool] | None = None) -> list[bool]:
    clock = Watermark(PANE, 0, 3, ahead_ms=100)
    lonely = np.array([False] * len(times) if alone is None else alone, dtype=bool)
    return clock.confirmed(np.array(times), np.array(creators), lonely).tolist()


def test_waiting_times_are_confirmed_by_a_quorum_near_them() -> None:
    assert confirmed([500, 520], [1, 2]) == [False, False]
    assert confirmed([500, 520, 560], [1, 2, 1]) == [False] * 3
    assert confirmed([500, 520, 600], [1, 2, 3]) == [False] * 3
    assert confirmed([500, 9_000, 520, 599], [1, 9, 2, 3]) == [True, False, True, True]
    assert confirmed([900, 950, 990, 500, 510, 520], [1, 2, 3, 1, 2, 3]) == [False] * 3 + [True] * 3


def test_many_events_of_few_creators_are_confirmed_only_where_nobody_else_speaks() -> None:
    many = ALONE * 3
    assert confirmed([500] * many, [1] * many) == [False] * many
    assert confirmed([500] * many, [1] * many, [True] * many) == [True] * many
    assert confirmed([500] * many, [1] * many, [False] + [True] * (many - 1)) == [False] * many
    spread = list(range(500, 500 + 60 * many, 60))
    assert confirmed(spread, [1] * many, [True] * many) == [True, True] + [False] * (many - 2)
    assert confirmed(spread[1:], [1] * (many - 1), [True] * (many - 1)) == [False] * (many - 1)


@fixed
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3), st.booleans()), max_size=40), st.integers(1, 5))
def test_the_oldest_confirmed_span_is_chosen(waiting: list[tuple[int, int, bool]], quorum: int) -> None:
    clock = Watermark(PANE, 0, quorum, ahead_ms=50)
    times, creators, alone = (np.array([w[i] for w in waiting], dtype=np.int64) for i in range(3))
    starts = [s for s in sorted(times.tolist()) if len({c for t, c, _ in waiting if s <= t < s + 50}) >= quorum]
    lonely = sorted(t for t, _, yes in waiting if yes)
    if not starts and len(lonely) >= ALONE * quorum:
        starts = lonely
    expected = [bool(starts) and starts[0] <= t < starts[0] + 50 for t, _, _ in waiting]
    assert clock.confirmed(times, creators, alone.astype(bool)).tolist() == expected


def test_before_the_first_watermark_no_time_is_believed() -> None:
    clock = Watermark(PANE, 0, 1, ahead_ms=100)
    assert clock.closed == NEVER
    assert clock.far == 0
    assert not clock.ready()


@pytest.mark.parametrize("quorum", [1, 2, 3])
def test_votes_are_forgotten_when_the_watermark_passes_them(quorum: int) -> None:
    clock = Watermark(PANE, 0, quorum, ahead_ms=1_000)
    clock.move_to(100)
    clock.advance(np.array([115, 125, 400]), np.array([1, 2, 3]))
    while clock.ready():
        clock.close_pane()
    assert clock.closed == 110
    assert clock.votes == {1: {}, 2: {2: 125}, 3: {2: 125, 3: 400}}[quorum]
