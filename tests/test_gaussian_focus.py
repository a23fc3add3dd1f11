"""Gaussian FOCuS equals the brute force over all starts, with its scale learned from what it has seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import observe
from detectors.gaussian_focus import TINY, GaussianFocus

VALUES = st.lists(st.integers(-9, 9), min_size=1, max_size=30)
both_baselines = pytest.mark.parametrize("baseline", ["known", "unknown"])
every_direction = pytest.mark.parametrize("direction", ["up", "down", "both"])


def explained(y, spec):
    """For each start that may be: what of the squared error it explains, in a direction that counts."""
    n, found = len(y), {}
    for start in range(0 if spec.baseline == "known" else spec.shortest, n - spec.shortest + 1):
        after, before = y[start:], y[:start]
        beyond = after.mean() - (0.0 if spec.baseline == "known" else before.mean())
        if (spec.direction == "up" and beyond <= 0) or (spec.direction == "down" and beyond >= 0):
            continue
        weight = len(after) if spec.baseline == "known" else len(after) * start / n
        found[start] = weight * beyond * beyond
    return found


def brute_force(y, spec):
    """The score by its formula, over all starts."""
    n, found = len(y), explained(y, spec)
    if n < 2 * spec.shortest or not found or max(found.values()) <= 0:
        return 0.0
    b = max(found.values())
    q = (y * y).sum() if spec.baseline == "known" else ((y - y.mean()) ** 2).sum()
    steps = np.diff(y) ** 2
    left = max(q - b, TINY * q)
    scores = []
    for start in (s for s, value in found.items() if value >= b * (1 - 1e-9)):  # ties have equal b, not equal r
        r = max(1 - (steps.sum() - (steps[start - 1] if start else 0.0)) / (2 * left), 0.0)
        r = min(r + (1 + 3 * r) / n, spec.correlation_max)
        scores.append(n / 2 * np.log1p(b / max(left, steps.sum() / 2)) * (1 - r) / (1 + r))
    return scores


@both_baselines
@every_direction
@settings(max_examples=40, derandomize=True, deadline=None)
@given(values=VALUES, shortest=st.integers(1, 4))
def test_it_equals_the_brute_force_over_all_starts(baseline, direction, values, shortest):
    spec = GaussianFocus(baseline=baseline, direction=direction, shortest=shortest, candidates=64)
    state = spec.init(1)
    for i, value in enumerate(values):
        state, score = spec.step(state, observe([value], expected=0.5))
        exact = np.atleast_1d(brute_force(np.array(values[: i + 1]) - 0.5, spec))
        assert np.abs(exact - score.score[0]).min() < 3e-6


@both_baselines
@settings(max_examples=40, derandomize=True, deadline=None)
@given(values=VALUES)
def test_too_few_candidates_never_explain_too_much(baseline, values):
    spec = GaussianFocus(baseline=baseline, shortest=1, candidates=3, correlation_max=0.0)
    state = spec.init(1)
    for i, value in enumerate(values):
        state, score = spec.step(state, observe([value], expected=0.5))
        assert score.score[0] <= np.max(brute_force(np.array(values[: i + 1]) - 0.5, spec)) + 2e-6


def test_sixteen_candidates_lose_next_to_nothing_on_a_long_noisy_stream():
    rng = np.random.default_rng(4)
    few, many = GaussianFocus(), GaussianFocus(candidates=64)
    a, b = few.init(20), many.init(20)
    worst = 0.0
    for i in range(500):
        x = observe(rng.normal(0.0 if i < 400 else 1.0, 1.0, 20))
        (a, s), (b, t) = few.step(a, x), many.step(b, x)
        worst = max(worst, np.abs(s.score - t.score).max())
    assert worst == 0.0


@pytest.mark.parametrize("level", [0.0, 0.1, 2.7])
def test_a_lively_series_that_goes_still_is_dated_where_it_did_however_long_ago(level):
    rng = np.random.default_rng(0)
    lively = np.round(rng.normal(10.0, 1.0, (40, 100)), 2)
    spec = GaussianFocus(direction="down")
    state, highest = spec.init(100), np.zeros(100)
    for i in range(140):
        state, score = spec.step(state, observe(lively[i] if i < 40 else np.full(100, level), expected=0.37, time=i))
        assert i < 45 or (score.score >= highest).all()
        highest = score.score
    assert (spec.changed_at(state) == 40).all()


@both_baselines
def test_what_is_constant_but_for_rounding_scores_0(baseline):
    rng = np.random.default_rng(1)
    spec = GaussianFocus(baseline=baseline, shortest=2)
    state, level = spec.init(100), np.where(baseline == "known", 0.0, rng.uniform(0.0, 5.0, 100))
    quiet, least = spec.init(100), rng.uniform(0.1, 5.0, 100)
    for i in range(60):
        expected = rng.choice([0.1, 0.7, 1.3], 100)
        state, score = spec.step(state, observe(level + expected, expected=expected, time=i))
        assert (score.score == 0).all()
        if baseline == "unknown":
            gap = rng.choice([0, 0, 5, 40], 100)
            nothing = observe(np.zeros(100), expected=least, gap=gap, gap_expected=gap * least, time=i)
            quiet, score = spec.step(quiet, nothing)
            assert (score.score == 0).all()


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-6, 3.0), (1e6, -1e9)])
def test_the_score_has_no_scale_and_no_zero(scale, shift):
    values = np.random.default_rng(5).normal(0.0, 1.0, (60, 4))
    values[40:] += 2.0
    spec = GaussianFocus()
    plain, moved = spec.init(4), spec.init(4)
    for row in values:
        plain, a = spec.step(plain, observe(row))
        moved, b = spec.step(moved, observe(row * scale + shift))
        np.testing.assert_allclose(a.score, b.score, rtol=1e-6, atol=2e-6)


@every_direction
def test_it_finds_a_lasting_rise_and_dates_it(direction):
    rng = np.random.default_rng(8)
    spec = GaussianFocus(direction=direction)
    state = spec.init(200)
    assert (spec.changed_at(state) == -1).all()
    for i in range(140):
        state, score = spec.step(state, observe(rng.normal(50.0 if i < 100 else 53.0, 2.0, 200), time=i))
    found = (score.score > 8) & (np.abs(spec.changed_at(state) - 100) <= 5)
    assert found.mean() < 0.05 if direction == "down" else found.mean() > 0.9


def test_autocorrelated_noise_scores_about_as_white_noise_does():
    rng = np.random.default_rng(9)
    spec = GaussianFocus()
    highest = {}
    for phi in (0.0, 0.5):
        state, value, best = spec.init(300), rng.normal(0.0, 1.0, 300), np.zeros(300)
        for _ in range(200):
            value = phi * value + np.sqrt(1 - phi * phi) * rng.normal(0.0, 1.0, 300)
            state, score = spec.step(state, observe(value))
            best = np.maximum(best, score.score)
        highest[phi] = np.median(best)
    assert highest[0.5] < 1.35 * highest[0.0]


def test_a_straight_trend_scores_low_for_a_long_time():
    spec = GaussianFocus()
    state = spec.init(1)
    for i in range(60):
        state, score = spec.step(state, observe([10.0 + 3.0 * i]))
        assert score.score[0] < 8.0


def test_one_wild_pane_is_no_lasting_change():
    rng = np.random.default_rng(3)
    spec = GaussianFocus()
    calm = wild = spec.init(100)
    for i in range(120):
        value = rng.normal(0.0, 1.0, 100)
        calm, usual = spec.step(calm, observe(value))
        wild, score = spec.step(wild, observe(value + (40.0 if i == 80 else 0.0)))
        assert (score.score <= np.maximum(usual.score, 2.2 * np.log(i + 1.0))).all()
