"""CountShift: the evidence that it says, false alarms as rare as it says, and a rise of any size found and dated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import observe
from detectors.cusum import log_ratio
from detectors.shift import CountShift

PANES = st.lists(st.tuples(st.integers(0, 20), st.floats(0.1, 8.0)), min_size=1, max_size=25)


def brute_force(panes, dispersion, rates):
    """Small rates: the sum over all starts of the likelihood ratio; large ones: the best start's."""
    total = 0.0
    for rate, weight, every in zip(rates, (1, 1, 6, 6), (True, True, False, False), strict=True):
        ratios = []
        for value, mean in panes:
            gain, cost = log_ratio(np.array([mean]), np.array([dispersion]), rate)
            ratios.append(value * gain[0] - cost[0])
        starts = np.exp(np.cumsum(ratios[::-1]))
        total += weight / 14 * (starts.sum() if every else starts.max())
    return np.log10(max(total, 1.0))


@pytest.mark.parametrize(
    ("direction", "rates"), [("up", (1.3, 1.8, 5, 10)), ("down", (1 / 1.3, 1 / 1.8, 1 / 5, 1 / 10))]
)
@settings(max_examples=40, derandomize=True, deadline=None)
@given(panes=PANES, dispersion=st.sampled_from([0.0, 0.4]))
def test_it_equals_the_brute_force_over_all_starts(direction, rates, panes, dispersion):
    spec = CountShift(direction=direction)
    state = spec.init(1)
    for value, expected in panes:
        state, score = spec.step(state, observe([value], expected=expected, dispersion=dispersion))
    assert score.score[0] == pytest.approx(brute_force(panes, dispersion, rates), abs=2e-6)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(panes=PANES, zeros=st.integers(1, 60), direction=st.sampled_from(["up", "down", "both"]))
def test_a_gap_is_so_many_zeros(panes, zeros, direction):
    spec = CountShift(direction=direction)
    gap, stepped = spec.init(1), spec.init(1)
    for value, expected in panes:
        x = observe([value], expected=expected, dispersion=0.2)
        gap, stepped = spec.step(gap, x)[0], spec.step(stepped, x)[0]
    last = observe([9], expected=2.0, dispersion=0.2)
    _, a = spec.step(gap, last._replace(gap=last.gap + zeros, gap_expected=last.gap_expected + 2.0 * zeros))
    for _ in range(zeros):
        stepped, _ = spec.step(stepped, last._replace(value=np.zeros(1)))
    _, b = spec.step(stepped, last)
    np.testing.assert_allclose(a.score, b.score, atol=2e-6)


def alarms(mean, expected, dispersion, direction, n=3_000, steps=100, score=3.0):
    """The share of streams with a score of 3, a false alarm in 1,000 steps or more, within 100 steps."""
    rng = np.random.default_rng(7)
    spec = CountShift(direction=direction)
    state, alarmed = spec.init(n), np.zeros(n, dtype=bool)
    for i in range(steps):
        season = 1.0 + 0.9 * np.sin(i / 4.0)
        value = rng.poisson(mean * season * rng.gamma(1 / 0.5, 0.5, n))
        state, found = spec.step(state, observe(value, expected=expected * season, dispersion=dispersion))
        alarmed |= found.score >= score
    return alarmed.mean()


@pytest.mark.parametrize("direction", ["up", "down", "both"])
@pytest.mark.parametrize("mean", [0.2, 3.0, 200.0])
def test_false_alarms_are_as_rare_as_the_score_says_whatever_the_level(mean, direction):
    assert alarms(mean, mean, 0.5, direction) < 0.1 + 4 * np.sqrt(0.1 / 3_000)


def test_the_same_check_sees_a_dispersion_that_is_not_told():
    assert alarms(3.0, 3.0, 0.0, "up") > 0.4


@pytest.mark.parametrize(("factor", "within"), [(1.25, 400), (2.0, 50), (8.0, 4), (0.5, 60), (0.1, 15)])
def test_a_change_of_any_size_is_found_and_dated(factor, within):
    rng = np.random.default_rng(8)
    spec = CountShift(direction="both")
    state, found = spec.init(200), np.zeros(200, dtype=bool)
    for i in range(100 + within):
        mean = 3.0 * (factor if i >= 100 else 1.0)
        x = observe(rng.poisson(rng.gamma(2.0, mean / 2.0, 200)), expected=3.0, dispersion=0.5, time=i)
        state, score = spec.step(state, x)
        found |= (score.score >= 4.0) & (i >= 100)
    assert found.mean() > 0.8
    assert np.abs(np.median(spec.changed_at(state)) - 100) <= max(3, within // 8)


def test_no_change_has_no_date():
    spec = CountShift()
    assert (spec.changed_at(spec.init(2)) == -1).all()
    state, _ = spec.step(spec.init(1), observe([1], expected=3.0, time=5))
    assert spec.changed_at(state)[0] == -1


def test_evidence_has_a_ceiling_from_which_it_comes_down():
    spec = CountShift()
    state = spec.init(1)
    for _ in range(30):
        state, score = spec.step(state, observe([1e6], expected=1.0))
    assert score.score[0] == pytest.approx(150, abs=0.5)
    state, score = spec.step(state, observe([0.0], expected=1.0, gap=[2_000], gap_expected=[2_000.0]))
    assert score.score[0] < 3
