"""The sketch of who did how much: its error bounds, and that neither batches nor rows show."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sketch import ActorSketch, SketchState, mixed

SMALL = ActorSketch(counters=3, words=1)
events = st.lists(st.tuples(st.integers(0, 3), st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9)), max_size=60)
quick = settings(derandomize=True, deadline=None, max_examples=60)


def filled(spec: ActorSketch, rows: list[tuple[int, int]], n: int = 4) -> SketchState:
    state = spec.init(n)
    spec.add(state, *columns(rows))
    return state


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([r[0] for r in rows], dtype=np.int64), np.array([r[1] for r in rows], dtype=np.int64)


def same(a: SketchState, b: SketchState) -> bool:
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def check_bounds(spec: ActorSketch, state: SketchState, rows: list[tuple[int, int]]) -> None:
    slots = np.arange(len(state.events))
    found = spec.read(state, slots)
    for slot in slots.tolist():
        true = Counter(actor for s, actor in rows if s == slot)
        n, top = sum(true.values()), max(true.values(), default=0)
        assert found.events[slot] == n
        assert top - found.error[slot] - 1e-9 <= found.top[slot] <= top
        assert found.error[slot] <= n / (spec.counters + 1)
        for actor, count in zip(state.actors[slot].tolist(), state.counts[slot].tolist(), strict=True):
            assert count <= true[actor] if count else actor == 0
        if n:
            hhi = sum(c * c for c in true.values()) / n**2
            assert hhi - 2 * found.error[slot] / n - 1e-9 <= found.hhi[slot] <= hhi + 1e-9


@quick
@given(events, st.lists(st.integers(0, 60), max_size=4))
def test_how_events_are_cut_into_batches_cannot_show(rows, cuts):
    state = SMALL.init(4)
    edges = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    for a, b in pairwise(edges):
        SMALL.add(state, *columns(rows[a:b]))
    assert same(state, filled(SMALL, rows))


@quick
@given(events)
def test_an_entity_depends_on_its_own_events_alone(rows):
    state = filled(SMALL, rows)
    for slot in range(4):
        alone = filled(SMALL, [(0, actor) for s, actor in rows if s == slot], n=1)
        assert same(alone, SketchState(*(a[slot : slot + 1] for a in state)))


@quick
@given(events)
def test_counters_and_hhi_keep_their_stated_bounds(rows):
    check_bounds(SMALL, filled(SMALL, rows), rows)


@quick
@given(st.lists(events, min_size=2, max_size=5))
def test_merged_panes_keep_the_same_bounds_and_the_very_bitmap(panes):
    state = filled(SMALL, panes[0])
    for rows in panes[1:]:
        state = SMALL.merge(state, filled(SMALL, rows))
    rows = [row for pane in panes for row in pane]
    check_bounds(SMALL, state, rows)
    assert state.bits.tobytes() == filled(SMALL, rows).bits.tobytes()


@quick
@given(events, events)
def test_a_merge_changes_neither_and_is_the_same_alone(one, other):
    a, b = filled(SMALL, one), filled(SMALL, other)
    before = SketchState(*(x.copy() for x in a)), SketchState(*(x.copy() for x in b))
    merged = SMALL.merge(a, b)
    assert same(a, before[0])
    assert same(b, before[1])
    alone = SMALL.merge(*(SketchState(*(x[2:3] for x in s)) for s in (a, b)))
    assert same(alone, SketchState(*(x[2:3] for x in merged)))


def test_few_actors_are_counted_exactly():
    rows = [(0, actor) for actor in (5, 6, 5, 7, 5, 6, 5)]
    found = SMALL.read(filled(SMALL, rows), np.array([0]))
    assert (found.top[0], found.error[0], found.events[0]) == (4, 0.0, 7)
    assert found.hhi[0] == pytest.approx((16 + 4 + 1) / 49)


@pytest.mark.parametrize(("actors", "stated"), [(20, 0.031), (50, 0.0315), (100, 0.032), (1_000, 0.046)])
def test_the_distinct_actors_have_the_stated_standard_error(actors, stated):
    spec, n = ActorSketch(), 1_000
    state = spec.init(n)
    slot = np.repeat(np.arange(n), actors)
    for _ in range(2):  # coming twice changes nothing
        spec.add(state, slot, np.arange(n * actors)) if actors <= 50 else None
    if actors > 50:  # only the bitmap is of interest: skip the counters' rounds
        spec = ActorSketch(counters=1)
        state, slot = spec.init(200), np.repeat(np.arange(200), actors)
        spec.add(state, slot, np.arange(200 * actors))
    distinct = spec.read(state, np.arange(len(state.events))).distinct
    error = np.sqrt(np.mean((distinct / actors - 1.0) ** 2))
    sampling = 3.0 * stated / np.sqrt(2.0 * len(distinct))
    assert abs(error - stated) < sampling + 0.0006  # the stated ones are rounded
    assert abs(distinct.mean() / actors - 1.0) < 0.005 + 3.0 * stated / np.sqrt(len(distinct))


def test_a_full_bitmap_says_its_most_and_stays_finite():
    state = filled(SMALL, [(0, actor) for actor in range(2_000)])
    assert SMALL.read(state, np.array([0, 1])).distinct.round(3).tolist() == [310.53, 0.0]


def test_the_mixing_is_of_the_stated_version():
    assert mixed(np.array([0])).tolist() == [0xE220A8397B1DCDAF]  # SplitMix64's first number from seed 0
