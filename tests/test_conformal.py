"""Calibrators: any score into a p-value against the entity's own past."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.conformal import ConformalRank
from detectors.generalized_pareto import ParetoTail

calibrators = pytest.mark.parametrize("spec", [ConformalRank(), ParetoTail()], ids=["rank", "pareto"])
NOISES = {
    "normal": lambda rng, n: np.abs(rng.normal(0, 1, n)),
    "heavy": lambda rng, n: rng.pareto(1.5, n),
    "counts": lambda rng, n: rng.poisson(0.3, n).astype(float),
}


def p_values(spec, scores):
    """Scores (steps, n) to p-values (steps, n)."""
    state, found = spec.init(scores.shape[1]), []
    for row in scores:
        state, p = spec.calibrate(state, row, np.ones(len(row), dtype=bool))
        found.append(p)
    return np.array(found)


@pytest.mark.parametrize("noise", list(NOISES))
@calibrators
def test_p_values_are_super_uniform_under_exchangeable_noise(spec, noise):
    scores = NOISES[noise](np.random.default_rng(11), (600, 400))
    p = p_values(spec, scores)[50:]
    for level in (0.5, 0.1, 0.02, 0.005):
        share, n = (p <= level).mean(), p.size / 20  # ranks of one entity depend on each other: a cautious n
        slack = 1.0 if isinstance(spec, ConformalRank) else 1.25  # the Pareto tail is a model
        assert share <= slack * level + 4 * np.sqrt(level / n)


@calibrators
@given(st.lists(st.floats(0, 1e4), min_size=0, max_size=60), st.lists(st.floats(0, 1e6), min_size=2, max_size=8))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_a_higher_score_never_has_a_higher_p_value(spec, past, scores):
    state = spec.init(1)
    for s in past:
        state, _ = spec.calibrate(state, np.array([s]), np.array([True]))
    p = [spec.calibrate(state, np.array([s]), np.array([False]))[1][0] for s in sorted(scores)]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(p))
    assert all(0 < a <= 1 for a in p)


def test_the_rank_equals_the_count_of_past_scores_in_its_bin_or_higher():
    past = np.random.default_rng(3).exponential(3.0, 200)
    spec = ConformalRank(memory=1e12)
    state = spec.init(1)
    for s in past:
        state, _ = spec.calibrate(state, np.array([s]), np.array([True]))
    for s in (0.0, 1.0, 5.0):
        edge = np.floor(np.log2(1 + s) * 8)
        at_least = (np.floor(np.log2(1 + past) * 8) >= edge).sum()
        _, p = spec.calibrate(state, np.array([s]), np.array([False]))
        assert p[0] == pytest.approx((1 + at_least) / 201)


@calibrators
def test_a_score_is_judged_before_it_is_learned_and_the_future_changes_nothing(spec):
    scores = np.random.default_rng(4).exponential(1.0, (60, 3))
    other = scores.copy()
    other[30:] = 1e5
    np.testing.assert_array_equal(p_values(spec, scores)[:30], p_values(spec, other)[:30])


@calibrators
def test_many_entities_are_calibrated_as_one_by_one_and_unobserved_ones_stay(spec):
    scores = np.random.default_rng(5).exponential(1.0, (80, 50))
    scores[40:, ::2] = np.nan
    together = p_values(spec, scores)
    for i in (0, 1, 17, 49):
        np.testing.assert_array_equal(p_values(spec, scores[:, i : i + 1])[:, 0], together[:, i])
    assert np.isnan(together[40:, ::2]).all()


def test_beyond_the_past_the_p_value_goes_on_falling_but_never_under_the_rank_squared():
    state, spec = ConformalRank().init(1), ConformalRank()
    for s in np.random.default_rng(6).exponential(1.0, 999):
        state, _ = spec.calibrate(state, np.array([s]), np.array([True]))
    p = [spec.calibrate(state, np.array([s]), np.array([False]))[1][0] for s in (8.0, 16.0, 64.0, 6e4)]
    assert p[0] > p[1] > p[2] >= p[3] > 1e-6


@calibrators
def test_a_prior_rules_while_the_past_is_short(spec):
    no, yes, prior = np.array([False]), np.array([True]), np.array([1e-3])
    state = spec.init(1)
    _, p = spec.calibrate(state, np.array([3.0]), no, prior)
    assert p[0] < 0.03
    for s in np.linspace(0, 6, 5_000):
        state, _ = spec.calibrate(state, np.array([s]), yes)
    _, p = spec.calibrate(state, np.array([3.0]), no, prior)
    assert p[0] == pytest.approx(0.5, abs=0.08)


def test_old_scores_are_forgotten():
    spec = ConformalRank(memory=50.0)
    state = spec.init(1)
    for s in [9.0] * 300 + [1.0] * 600:
        state, _ = spec.calibrate(state, np.array([s]), np.array([True]))
    _, p = spec.calibrate(state, np.array([5.0]), np.array([False]))
    assert p[0] < 0.03
