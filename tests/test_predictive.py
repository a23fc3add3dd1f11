"""The predictive tail: honest p-values though nobody tells it the dispersion, and still sharp once it has learned."""

import numpy as np
import pytest
from scipy import stats

from detectors.base import observe
from detectors.predictive import DISPERSIONS, PredictiveTail

SPEC = PredictiveTail()
ALPHAS = np.array([0.1, 0.03, 0.01, 0.003, 0.001])


def learned(values, expected, spec=SPEC):
    state, scores = spec.init(values.shape[1]), []
    for value in values:
        state, score = spec.step(state, observe(value, expected=expected))
        scores.append(score)
    return state, scores


def counts(rng, shape, mean, dispersion):
    return rng.poisson(mean * rng.gamma(1 / dispersion, dispersion, shape)).astype(float)


@pytest.mark.parametrize(("mean", "dispersion"), [(0.2, 2.0), (2.0, 2.0), (50.0, 0.2), (200.0, 1.0)])
def test_p_values_are_super_uniform_for_a_dispersion_that_is_not_told(mean, dispersion):
    rng = np.random.default_rng(1)
    off = np.exp(rng.normal(0, 0.5, 1_200))
    _, scores = learned(counts(rng, (120, 1_200), mean, dispersion), mean * off)
    p = np.concatenate([s.p_value for s in scores[100:]])
    share = np.array([(p <= a).mean() for a in ALPHAS])
    errors = np.sqrt(ALPHAS / len(p)) * 2  # each entity's values share what it has learned
    assert (share < 1.15 * ALPHAS + 4 * errors).all()


def test_a_bursting_stream_gets_the_heavier_tail_that_it_has():
    rng = np.random.default_rng(2)
    log, values = np.zeros(1_200), []
    for _ in range(220):
        log = 0.9 * log + rng.normal(0, 0.5 * np.sqrt(1 - 0.81), 1_200)
        values.append(rng.poisson(20 * np.exp(log)))
    state, scores = learned(np.array(values, dtype=float), 20.0)
    share = np.mean([(s.p_value <= 1e-3).mean() for s in scores[150:]])
    assert share < 3e-3
    even, _ = learned(counts(rng, (200, 300), 20.0, 0.3), 20.0)
    heavy = np.median(state.excess / state.steps)
    assert heavy > 1.2 * np.median(even.excess / even.steps)


def test_the_weights_find_the_dispersion():
    rng = np.random.default_rng(3)
    for j in (2, 5, 8):
        state, _ = learned(counts(rng, (150, 200), 30.0, DISPERSIONS[j]), 30.0)
        best = state.log_weights.argmax(axis=1)
        assert (np.abs(best - j) <= 1).mean() > 0.95


def test_known_level_and_dispersion_give_the_negative_binomials_own_tail():
    rng = np.random.default_rng(4)
    spec = PredictiveTail(memory=2_000.0)
    state, _ = learned(counts(rng, (900, 4), 10.0, 0.25), 10.0, spec)
    x = observe([35.0, 45.0, 55.0, 65.0], expected=10.0)
    want = -np.log10(stats.nbinom.sf(x.value - 1, 4, 1 / 3.5))
    np.testing.assert_allclose(spec.step(state, x)[1].score, want, rtol=0.15)


def test_a_burst_does_not_hide_the_next_pane():
    values = np.random.default_rng(5).poisson(4.0, (80, 50)).astype(float)
    state, _ = learned(values, 4.0)
    burst = observe(np.full(50, 30.0), expected=4.0)
    state, first = SPEC.step(state, burst)
    _, second = SPEC.step(state, burst)
    assert (first.score > 5.0).all()
    assert (second.score > 0.7 * first.score).all()


def test_the_level_converges_to_the_planted_one():
    values = counts(np.random.default_rng(6), (300, 100), 12.0, 0.5)
    _, scores = learned(values, 4.0)
    assert np.median(scores[-1].expected) == pytest.approx(12.0, rel=0.05)


def test_the_usual_range_holds_its_coverage():
    rng = np.random.default_rng(7)
    state, _ = learned(counts(rng, (200, 500), 8.0, 0.5), 8.0)
    low, high = SPEC.usual_range(state, observe(np.zeros(500), expected=8.0), 0.9)
    value = counts(rng, (40, 500), 8.0, 0.5)
    assert ((value >= low) & (value <= high)).mean() == pytest.approx(0.93, abs=0.04)


def test_clears_at_is_the_last_value_under_the_score():
    state, _ = learned(counts(np.random.default_rng(8), (60, 3), 5.0, 0.3), 5.0)
    x = observe([90.0, 60.0, 40.0], expected=5.0)
    clear = SPEC.clears_at(state, x, 2.0)
    assert (SPEC.step(state, x._replace(value=clear))[1].score < 2.0).all()
    above = SPEC.step(state, x._replace(value=clear + 1))[1].score
    assert ((above >= 2.0) | (clear + 1 == x.value)).all()
