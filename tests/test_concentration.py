"""The busiest actor's share: its bound against what was simulated, and what it sees and lets be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import observe
from detectors.concentration import THETA, Concentration, _bound
from detectors.sketch import ActorSketch

quick = settings(derandomize=True, deadline=None, max_examples=60)


def urns(theta: float, n: int, many: int, seed: int) -> np.ndarray:
    """The busiest actor's events in each of many draws of Ewens' urn."""
    rng = np.random.default_rng(seed)
    who = np.zeros((many, n), dtype=np.int64)
    rows = np.arange(many)
    for j in range(n):
        new = rng.random(many) * (theta + j) < theta
        who[:, j] = np.where(new, j, who[rows, rng.integers(0, max(j, 1), many)])
    counts = np.zeros((many, n), dtype=np.int64)
    np.add.at(counts, (rows[:, None], who), 1)
    return counts.max(axis=1)


def learned(top: float, events: float, times: int = 25, **fields: float) -> tuple[Concentration, tuple]:
    spec = Concentration(**fields)
    state = spec.init(1)
    for _ in range(times):
        state, _ = spec.step(state, observe([top], exposure=events, expected=top))
    return spec, state


def score(spec: Concentration, state: tuple, top: float, events: float, expected: float = 1.0) -> float:
    return float(spec.step(state, observe([top], exposure=events, expected=expected))[1].score[0])


@quick
@given(st.integers(2, 400), st.integers(1, 400))
def test_the_bound_falls_with_the_count_and_with_theta(n, t):
    whole, at = np.array([[float(n)]]), np.array([[float(min(t, n))]])
    assert (_bound(at + 1.0, whole) <= _bound(at, whole)).all()
    assert (np.diff(_bound(at, whole)) <= 1e-12).all()


@quick
@given(st.integers(2, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_busier_actor_among_as_many_events_never_scores_lower(n, a, b):
    spec, state = learned(2.0, 20.0, times=3)
    low, high = sorted((min(a, n), min(b, n)))
    assert score(spec, state, low, n) <= score(spec, state, high, n)


@pytest.mark.parametrize("theta", [4.0, 64.0])
@pytest.mark.parametrize("n", [10, 60])
def test_the_bound_is_never_under_the_true_tail(theta, n):
    tops = urns(theta, n, 4_000, seed=1)
    grid = int(np.flatnonzero(theta == THETA)[0])
    for t in range(2, n + 1):
        true = (tops >= t).mean()
        sampling = 3.0 * np.sqrt(max(true * (1.0 - true), 1e-4) / len(tops))
        assert true <= _bound(np.array([[float(t)]]), np.array([[float(n)]]))[0, grid] + sampling


def test_the_bound_of_more_than_half_the_events_is_nearly_exact():
    n, theta = 8, 4.0  # by hand: 1 / (theta + 1) * 2 / (theta + 2) ... for all n by one actor
    urn = np.prod([j / (theta + j) for j in range(1, n)])
    bound = _bound(np.array([[float(n)]]), np.array([[float(n)]]))[0, int(np.flatnonzero(theta == THETA)[0])]
    assert bound == pytest.approx(urn)


@pytest.mark.parametrize("theta", [5.0, 50.0, 500.0])
@pytest.mark.parametrize("n", [10, 40, 150])
def test_false_alarms_are_no_more_than_the_p_value_says(theta, n):
    tops = urns(theta, n, 2_000, seed=5).reshape(40, 50).astype(float)
    spec, p = Concentration(), []
    state = spec.init(50)
    for i, top in enumerate(tops):
        x = observe(top, exposure=float(n), expected=float(np.median(tops)))
        if i > 10:
            p.append(spec.tail(state, x))
        state, _ = spec.step(state, x)
    p = np.concatenate(p)
    for level in (0.1, 0.01):
        assert (p <= level).mean() <= level + 3.0 * np.sqrt(level / len(p))


def test_one_reviewer_who_comes_again_and_again_is_found_at_any_volume():
    for events in (12, 60, 2_000):
        spec, state = learned(1.0 if events < 1_000 else 2.0, events)
        assert score(spec, state, 9, events) > 5.0


def test_a_regular_who_always_does_a_quarter_is_let_be():
    spec, state = learned(10.0, 40.0)
    assert score(spec, state, 11, 40, expected=2.0) == 0.0


def test_a_newcomer_is_judged_by_its_peers():
    spec = Concentration()
    state = spec.init(2)
    _, found = spec.step(state, observe([8, 8], exposure=20.0, expected=[1.0, 8.0]))
    assert found.score[0] > 2.0
    assert found.score[1] == 0.0


def test_one_episode_does_not_rewrite_the_past():
    spec, state = learned(1.0, 30.0)
    before = score(spec, state, 8, 30)
    for _ in range(2):
        state, _ = spec.step(state, observe([8], exposure=30.0, expected=1.0))
    assert score(spec, state, 8, 30) > 0.4 * before


def test_fewer_than_two_events_teach_nothing():
    spec, state = learned(2.0, 20.0, times=4)
    after, found = spec.step(state, observe([1], exposure=1.0))
    assert found.score[0] == 0.0
    assert all(a.tobytes() == b.tobytes() for a, b in zip(after, state, strict=True))


def test_a_reason_can_quote_what_was_usual_and_what_would_clear():
    spec, state = learned(2.0, 40.0)
    x = observe([12], exposure=40.0, expected=2.0)
    low, high = spec.usual_range(state, x, 0.95)
    assert 1 <= low[0] <= high[0] < 12
    clears = spec.clears_at(state, x, 4.0)[0]
    assert score(spec, state, clears, 40, expected=2.0) < 4.0 <= score(spec, state, clears + 1, 40, expected=2.0)


def test_what_a_sketch_reads_is_what_it_scores():
    rng = np.random.default_rng(2)
    sketch, spec = ActorSketch(), Concentration()
    state = spec.init(2)
    for day in range(20):
        pane = sketch.init(2)
        actor = rng.integers(0, 10**9, 60)
        if day == 19:
            actor[:8] = 7  # all in the first entity
        sketch.add(pane, np.arange(60) // 30, actor)
        found = sketch.read(pane, np.arange(2))
        state, scored = spec.step(state, observe(found.top, exposure=found.events, expected=1.0))
    assert scored.score[0] > 5.0
    assert scored.score[1] == 0.0
