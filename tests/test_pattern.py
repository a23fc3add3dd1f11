"""Ordered patterns: steps in order, in time, with counts; repeats destroy nothing."""

import numpy as np
import pytest

from detectors.base import observe
from detectors.pattern import OrderedPattern, Step

TAKEOVER = OrderedPattern(
    steps=(
        Step(name="new device", within_ms=10),
        Step(name="payout changed", within_ms=100),
        Step(name="withdrawal", within_ms=50, count=3),
    )
)


def depths(spec, *events):
    state, found = spec.init(1), []
    for at, code in events:
        state, score = spec.step(state, observe([code], time=at))
        found.append(int(score.score[0]))
    return found, int(spec.started_at(state, np.array([events[-1][0]]))[0])


@pytest.mark.parametrize(
    ("story", "events", "want", "start"),
    [
        ("all in order", [(0, 0), (60, 1), (70, 2), (80, 2), (90, 2)], [1, 2, 2, 2, 3], 0),
        ("wrong order", [(0, 2), (1, 2), (2, 2), (3, 1), (4, 0)], [0, 0, 0, 0, 1], 4),
        ("the second step too late", [(0, 0), (101, 1)], [1, 0], -1),
        ("at the very limit", [(0, 0), (100, 1)], [1, 2], 0),
        ("a withdrawal too late", [(0, 0), (60, 1), (70, 2), (80, 2), (111, 2)], [1, 2, 2, 2, 0], -1),
        ("first step again", [(0, 0), (60, 1), (65, 0), (70, 2), (80, 2), (90, 2)], [1, 2, 2, 2, 2, 3], 0),
        ("second step again", [(0, 0), (60, 1), (70, 2), (80, 1), (85, 2), (90, 2)], [1, 2, 2, 2, 2, 3], 0),
        ("other events in between", [(0, 0), (1, 7), (60, 1), (61, 9)], [1, 1, 2, 2], 0),
        ("withdrawals before the change", [(0, 0), (1, 2), (2, 2), (3, 1), (4, 2)], [1, 1, 1, 2, 2], 0),
    ],
)
def test_steps_count_in_order_and_in_time(story, events, want, start):
    assert depths(TAKEOVER, *events) == (want, start), story


def test_a_first_step_with_a_count_must_reach_it_within_its_limit():
    steps = Step(name="failed sign-in", within_ms=20, count=3), Step(name="new device", within_ms=30)
    spec = OrderedPattern(steps=steps)
    assert depths(spec, (0, 0), (15, 0), (21, 0), (30, 0), (40, 1)) == ([0, 0, 0, 1, 2], 15)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_in_whatever_order_a_steps_events_arrive_the_same_is_complete_afterwards(count):
    rng = np.random.default_rng(count)
    spec, complete = OrderedPattern(steps=(Step(name="failed sign-in", within_ms=40, count=count),)), 0
    for _ in range(200):
        times = rng.choice(200, 6, replace=False) + 1
        _, start = depths(spec, *((int(t), 0) for t in times), (int(times.max()), 9))
        newest = np.sort(times)[-count:]
        together = newest[-1] - newest[0] <= 40
        # one before the last may have been complete already, and live still
        assert start == newest[0] if together else start <= newest[-1]
        complete += together
    assert complete > 5


def test_a_late_older_event_takes_no_place_from_newer_ones():
    spec = OrderedPattern(steps=(Step(name="failed sign-in", within_ms=40, count=2),))
    assert depths(spec, (100, 0), (50, 0), (110, 0)) == ([0, 0, 1], 100)
