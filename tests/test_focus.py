"""Poisson-FOCuS equals the brute force over all starts, and says when the change began."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import xlogy

from detectors.base import observe
from detectors.focus import PoissonFocus

PANES = st.lists(st.tuples(st.integers(0, 9), st.floats(0.1, 8.0)), min_size=1, max_size=40)


def brute_force(panes, direction, dispersion=0.0):
    best = 0.0
    for start in range(len(panes)):
        s, e = (sum(p[i] / (1.0 + dispersion * p[1]) for p in panes[start:]) for i in (0, 1))
        if (s > e) == (direction == "up"):
            best = max(best, xlogy(s, s / e) - (s - e))
    return best


@pytest.mark.parametrize("direction", ["up", "down"])
@settings(max_examples=60, derandomize=True, deadline=None)
@given(panes=PANES, dispersion=st.sampled_from([0.0, 0.1, 2.0]))
def test_it_equals_the_brute_force_over_all_starts(direction, panes, dispersion):
    spec = PoissonFocus(direction=direction, candidates=64)
    state = spec.init(1)
    for i, (value, expected) in enumerate(panes):
        state, score = spec.step(state, observe([value], expected=expected, dispersion=dispersion))
        assert score.score[0] == pytest.approx(brute_force(panes[: i + 1], direction, dispersion), abs=2e-6)


@pytest.mark.parametrize("direction", ["up", "down"])
@settings(max_examples=40, derandomize=True, deadline=None)
@given(panes=PANES)
def test_too_few_candidates_never_score_too_high(direction, panes):
    spec = PoissonFocus(direction=direction, candidates=3)
    state = spec.init(1)
    for i, (value, expected) in enumerate(panes):
        state, score = spec.step(state, observe([value], expected=expected))
        assert score.score[0] <= brute_force(panes[: i + 1], direction) + 2e-6


def test_sixteen_candidates_lose_nothing_on_a_long_noisy_stream():
    rng = np.random.default_rng(4)
    few, many = PoissonFocus(), PoissonFocus(candidates=128)
    a, b = few.init(50), many.init(50)
    for i in range(600):
        x = observe(rng.poisson(3.0 if i < 500 else 4.0, 50), expected=3.0)
        (a, s), (b, t) = few.step(a, x), many.step(b, x)
        np.testing.assert_array_equal(s.score, t.score)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_rate_that_stays_the_same_needs_no_start_for_each_pane(direction):
    rng = np.random.default_rng(5)
    spec = PoissonFocus(direction=direction, candidates=256)
    state, usual = spec.init(100), rng.uniform(0.3, 3.0, 100)
    for i in range(140):
        expected = usual * (0.3 if i % 3 == 0 else 1.0)
        value = rng.poisson(expected) if i < 40 else expected * (2.2 if direction == "up" else 0.1)
        state, _ = spec.step(state, observe(value, expected=expected, time=i))
        if i == 45:
            held = state.used
    assert (state.used <= held).all()


def test_it_finds_a_lasting_doubling_and_dates_it():
    rng = np.random.default_rng(8)
    spec = PoissonFocus()
    state = spec.init(300)
    assert (spec.changed_at(state) == -1).all()
    for i in range(260):
        x = observe(rng.poisson(3.0 if i < 200 else 6.0, 300), expected=3.0, time=i)
        state, score = spec.step(state, x)
    assert (score.score > 15).mean() > 0.98
    assert np.abs(np.median(spec.changed_at(state)) - 200) <= 1
    assert (np.abs(spec.changed_at(state) - 200) <= 10).mean() > 0.9


def test_dispersion_divides_a_panes_ratio():
    spec = PoissonFocus()
    _, plain = spec.step(spec.init(1), observe([20], expected=4.0))
    _, quasi = spec.step(spec.init(1), observe([20], expected=4.0, dispersion=0.5))
    assert quasi.score[0] == pytest.approx(plain.score[0] / 3.0, abs=1e-6)


def test_quiet_nights_after_busy_days_raise_no_more_alarms_than_a_level_expectation_does():
    """The variance's excess is that of the panes behind the score, not that of the pane that happens to be the last."""
    rng = np.random.default_rng(0)
    spec, alarms = PoissonFocus(), {}
    for name, night in (("level", 40.0), ("by day and night", 0.4)):
        state, highest = spec.init(300), np.zeros(300)
        for hour in range(24 * 10):
            expected = 40.0 if hour % 24 < 12 else night
            value = rng.poisson(expected * rng.gamma(2.0, 0.5, 300))
            state, score = spec.step(state, observe(value, expected=expected, dispersion=0.5))
            highest = np.maximum(highest, score.score)
        alarms[name] = (highest >= 9.0).mean()
    assert alarms["by day and night"] < alarms["level"] + 4.5 * np.sqrt(0.5 / 300)
    assert alarms["level"] < 0.25
