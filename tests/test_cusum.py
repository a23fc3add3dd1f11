"""CUSUM: the likelihood ratio that it says, the largest over all starts, and when the change began."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.base import observe
from detectors.cusum import CountCusum, GaussianCusum, log_ratio, with_sample, with_zeros

PANES = st.lists(st.tuples(st.integers(0, 20), st.floats(0.1, 8.0)), min_size=1, max_size=30)


def log_mass(value, mean, dispersion):
    if dispersion == 0:
        return stats.poisson.logpmf(value, mean)
    return stats.nbinom.logpmf(value, 1 / dispersion, 1 / (1 + dispersion * mean))


@settings(max_examples=80, derandomize=True, deadline=None)
@given(st.integers(0, 200), st.floats(0.05, 100), st.sampled_from([0.0, 1e-6, 0.2, 3.0]), st.floats(0.1, 9.0))
def test_the_ratio_is_that_of_the_two_probabilities(value, mean, dispersion, rate):
    gain, cost = log_ratio(np.array([mean]), np.array([dispersion]), rate)
    want = log_mass(value, rate * mean, dispersion) - log_mass(value, mean, dispersion)
    assert value * gain[0] - cost[0] == pytest.approx(want, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("direction", "rate"), [("up", 2.0), ("down", 0.5)])
@settings(max_examples=40, derandomize=True, deadline=None)
@given(panes=PANES, dispersion=st.sampled_from([0.0, 0.4]))
def test_it_equals_the_brute_force_over_all_starts(direction, rate, panes, dispersion):
    spec = CountCusum(direction=direction)
    state = spec.init(1)
    ratios = [log_mass(v, rate * m, dispersion) - log_mass(v, m, dispersion) for v, m in panes]
    for i, (value, expected) in enumerate(panes):
        x = observe([value], expected=expected, dispersion=dispersion, time=i)
        state, score = spec.step(state, x)
        sums = [sum(ratios[start : i + 1]) for start in range(i + 1)]
        assert score.score[0] == pytest.approx(max(0.0, *sums), abs=2e-6)
        if max(sums) > 1e-6:
            assert sums[spec.changed_at(state)[0]] == pytest.approx(max(sums), abs=2e-6)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=20), st.integers(0, 30))
def test_mean_and_variance_are_those_of_the_samples_and_the_zeros(values, zeros):
    mean = variance = np.zeros(1)
    for i, value in enumerate(values):
        mean, variance = with_sample(mean, variance, np.array([i]), np.array([value]))
    mean, variance = with_zeros(mean, variance, np.array([len(values)]), np.array([zeros]))
    every = np.array(values + [0.0] * zeros)
    assert mean[0] == pytest.approx(every.mean(), abs=1e-9)
    assert variance[0] == pytest.approx(every.var(), abs=1e-8)


def test_false_alarms_are_as_far_apart_as_the_threshold_says():
    rng = np.random.default_rng(3)
    spec = CountCusum()
    state, alarmed = spec.init(4_000), np.zeros(4_000, dtype=bool)
    for _ in range(100):
        x = observe(rng.poisson(rng.gamma(2.0, 1.5, 4_000)), expected=3.0, dispersion=0.5)
        state, score = spec.step(state, x)
        alarmed |= score.score >= np.log(1_000)
    bound = 1 - np.exp(-100 / 1_000)  # of streams with an alarm within 100 steps
    assert 0.0 < alarmed.mean() < bound + 4 * np.sqrt(bound / 4_000)


@pytest.mark.parametrize(("direction", "factor"), [("up", 2.0), ("down", 0.5)])
def test_a_lasting_change_is_found_on_its_side_only_and_dated(direction, factor):
    rng = np.random.default_rng(4)
    spec, other = CountCusum(direction=direction), CountCusum(direction={"up": "down", "down": "up"}[direction])
    state, other_state = spec.init(300), other.init(300)
    for i in range(160):
        mean = 5.0 * (factor if i >= 100 else 1.0)
        x = observe(rng.poisson(mean, 300), expected=5.0, time=i)
        (state, score), (other_state, none) = spec.step(state, x), other.step(other_state, x)
    assert (score.score > 10).mean() > 0.99
    assert (none.score == 0).mean() > 0.95
    assert (np.abs(spec.changed_at(state) - 100) <= 8).mean() > 0.9


def test_dispersion_makes_the_same_rise_weigh_less():
    for dispersion, least, most in [(0.0, 6.0, 9.0), (0.5, 1.0, 3.0)]:
        _, score = CountCusum().step(CountCusum().init(1), observe([17], expected=4.0, dispersion=dispersion))
        assert least < score.score[0] < most


def test_gaussian_mean_and_sd_are_the_warmups_and_then_frozen():
    rng = np.random.default_rng(5)
    spec = GaussianCusum()
    values = rng.normal(100, 10, (50, 1))
    state = spec.init(1)
    for value in values:
        state, score = spec.step(state, observe(value))
        assert score.score[0] == 0
    frozen, _ = spec.step(state, observe([150.0]))
    assert frozen.mean[0] == state.mean[0] == pytest.approx(values.mean())
    assert frozen.variance[0] == state.variance[0] == pytest.approx(values.var())
    assert frozen.evidence[0] == pytest.approx((150 - values.mean()) / values.std() - 0.5)


@pytest.mark.parametrize(("warmup", "told"), [(50, 0.21), (200, 0.10), (0, 0.05)])
def test_streams_with_nothing_wrong_reach_a_score_of_8_as_often_as_it_is_said(warmup, told):
    rng, n = np.random.default_rng(8), 1_500
    spec = GaussianCusum(warmup=max(warmup, 2), sd_min=1e-9)
    state, reached = spec.init(n), np.zeros(n, dtype=bool)
    if warmup == 0:  # the level is known
        state = state._replace(variance=np.ones(n), learned=np.full(n, 2))
    for _ in range(warmup + 1_000):
        state, score = spec.step(state, observe(rng.normal(0.0, 1.0, n)))
        reached |= score.score >= 8.0
    assert abs(reached.mean() - told) < 0.005 + 4.5 * np.sqrt(told * (1 - told) / n)


def test_a_gaussian_shift_of_one_sd_is_found_and_dated():
    rng = np.random.default_rng(6)
    for direction, sign in (("up", 1.0), ("down", -1.0)):
        spec = GaussianCusum(direction=direction)
        state = spec.init(400)
        for i in range(140):
            x = observe(rng.normal(100 + (sign * 10 if i >= 100 else 0), 10, 400), time=i)
            state, score = spec.step(state, x)
        assert (score.score > 5).mean() > 0.95
        assert np.abs(np.median(spec.changed_at(state)) - 100) <= 2


def test_quiet_panes_finish_the_warmup_and_then_count_as_zeros():
    spec = GaussianCusum(direction="down", warmup=4)
    state = spec.init(1)
    for value in (2.0, 4.0):
        state, _ = spec.step(state, observe([value]))
    state, _ = spec.step(state, observe([6.0], gap=[3], gap_expected=[1.0]))
    assert state.mean[0] == pytest.approx(1.5)  # of 2, 4, 0, 0; the third zero is scored, below the mean by 1.5
    sd = np.sqrt(np.mean(np.square([0.5, 2.5, 1.5, 1.5])))
    assert state.evidence[0] == pytest.approx(max(0.0, 1.5 / sd - 0.5 + (1.5 - 6.0) / sd - 0.5))
