"""Page-Hinkley equals its definition, says when, and the zeros of a gap cost nothing but a formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import observe
from detectors.page_hinkley import PageHinkley

VALUES = st.lists(st.floats(0, 100), min_size=1, max_size=40)


def by_definition(values, delta, warmup, sign):
    """The largest rise of the summed excess over its past minimum, and the sd of all but the last value."""
    excess = [
        sign * (v - np.mean(values[:i])) - delta * abs(np.mean(values[:i]))
        for i, v in enumerate(values)
        if i >= warmup
    ]
    sums = np.cumsum([0.0, *excess])
    return (sums[-1] - sums.min()) / max(np.std(values[:-1]) if len(values) > 1 else 0.0, 1.0)


@pytest.mark.parametrize(("direction", "sign"), [("up", 1.0), ("down", -1.0)])
@settings(max_examples=60, derandomize=True, deadline=None)
@given(values=VALUES, delta=st.sampled_from([0.0, 0.2]))
def test_it_equals_its_definition(direction, sign, values, delta):
    spec = PageHinkley(direction=direction, delta=delta, warmup=3)
    state = spec.init(1)
    for value in values:
        state, score = spec.step(state, observe([value]))
    assert score.score[0] == pytest.approx(by_definition(values, delta, 3, sign), abs=1e-5, rel=1e-6)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(values=VALUES, zeros=st.integers(1, 60), direction=st.sampled_from(["up", "down"]))
def test_a_gap_is_so_many_zeros(values, zeros, direction):
    spec = PageHinkley(direction=direction, warmup=10)
    gap, stepped = spec.init(1), spec.init(1)
    for value in values:
        gap, stepped = (spec.step(s, observe([value]))[0] for s in (gap, stepped))
    _, a = spec.step(gap, observe([5.0], gap=zeros, gap_expected=zeros))
    for _ in range(zeros):
        stepped, _ = spec.step(stepped, observe([0.0]))
    _, b = spec.step(stepped, observe([5.0]))
    np.testing.assert_allclose(a.score, b.score, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize(("direction", "factor"), [("up", 1.5), ("down", 0.5)])
def test_a_lasting_change_is_found_on_its_side_and_dated(direction, factor):
    rng = np.random.default_rng(4)
    spec = PageHinkley(direction=direction)
    state = spec.init(300)
    for i in range(260):
        x = observe(rng.gamma(4.0, 5.0, 300) * (factor if i >= 200 else 1.0), time=i)
        state, score = spec.step(state, x)
        if i == 199:
            assert np.median(score.score) < 5
    assert (score.score > 15).mean() > 0.95
    assert np.abs(np.median(spec.changed_at(state)) - 200) <= 6


def test_changes_up_to_delta_are_tolerated():
    rng = np.random.default_rng(5)
    spec = PageHinkley(delta=0.4)
    state = spec.init(200)
    for i in range(300):
        x = observe(rng.gamma(25.0, 4.0, 200) * (1.2 if i >= 200 else 1.0))
        state, score = spec.step(state, x)
    assert (score.score < 3).all()


def test_the_score_has_no_unit():
    values = np.random.default_rng(6).gamma(4.0, 5.0, (80, 5))
    spec = PageHinkley()
    a, b = spec.init(5), spec.init(5)
    for value in values:
        (a, s), (b, t) = spec.step(a, observe(value)), spec.step(b, observe(value * 1000.0))
    np.testing.assert_allclose(s.score, t.score, rtol=1e-9, atol=1e-6)
