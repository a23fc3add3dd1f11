"""Peaks over threshold."""

import numpy as np
import pytest

from detectors.base import observe
from detectors.generalized_pareto import PeaksOverThreshold


def run(spec, values):
    """Values (steps, n) to p-values (steps, n)."""
    state, found = spec.init(values.shape[1]), []
    for row in values:
        state, score = spec.step(state, observe(row))
        found.append(score.p_value)
    return state, np.array(found)


@pytest.mark.parametrize(
    ("noise", "most"),
    [
        (lambda rng, size: rng.normal(10, 2, size), 3.0),
        (lambda rng, size: rng.exponential(5, size), 3.0),
        (lambda rng, size: np.exp(rng.normal(0, 1, size)), 3.0),
    ],
    ids=["normal", "exponential", "lognormal"],
)
def test_its_p_values_hold_within_a_factor_in_the_tail(noise, most):
    values = noise(np.random.default_rng(21), (1_200, 200))
    _, p = run(PeaksOverThreshold(), values)
    late = p[400:]
    for level in (1e-2, 1e-3, 1e-4):
        expected = level * late.size
        assert (late <= level).sum() < most * expected + 4 * np.sqrt(expected)


@pytest.mark.parametrize(
    ("noise", "young", "old"),  # by how much p-values are off at 0.001 and 0.0001, as the detector's text has it
    [
        (lambda rng, n: rng.normal(100, 10, n), (0.7, 1.4), (0.5, 0.3)),
        (lambda rng, n: rng.poisson(0.3, n), (1.4, 8.0), (0.6, 1.1)),
        (lambda rng, n: np.exp(rng.normal(0, 1.5, n)), (2.5, 16.0), (0.9, 3.1)),
    ],
    ids=["normal", "sparse counts", "lognormal"],
)
def test_young_and_old_entities_are_called_strange_as_often_as_it_is_said(noise, young, old):
    rng = np.random.default_rng(24)
    _, p = run(PeaksOverThreshold(), np.stack([noise(rng, 500) for _ in range(500)]))
    for part, told in ((p[50:150], young), (p[300:], old)):
        for level, factor in zip((1e-3, 1e-4), told, strict=True):
            expected = factor * level * part.size
            assert abs((part <= level).sum() - expected) < 0.1 * expected + 4.5 * np.sqrt(3.0 * expected + 1.0)


def test_who_often_peaks_needs_a_higher_peak():
    rng = np.random.default_rng(22)
    calm, spiky = rng.normal(10, 1, 1_500), rng.normal(10, 1, 1_500)
    spiky[::50] += rng.exponential(20, 30)
    state, _ = run(PeaksOverThreshold(), np.stack([calm, spiky], axis=1))
    _, score = PeaksOverThreshold().step(state, observe([30, 30]))
    assert score.score[0] > 4
    assert score.score[1] < 3


def test_a_young_entity_is_never_very_strange_within_its_past():
    spec = PeaksOverThreshold(warmup=5)
    state, _ = run(spec, np.arange(20.0)[:, None] % 7)
    _, score = spec.step(state, observe([6]))
    assert score.p_value[0] >= 1 / 21


def test_a_clearing_value_scores_under_the_score_and_the_next_does_not():
    values = np.random.default_rng(23).poisson(40, (800, 1)).astype(float)
    for direction, seen in (("up", 90.0), ("down", 3.0)):
        spec = PeaksOverThreshold(direction=direction)
        state, _ = run(spec, values)
        x = observe([seen])
        clears = spec.clears_at(state, x, 3.0)
        beyond = clears + (1.0 if direction == "up" else -1.0)
        assert spec.step(state, x._replace(value=clears))[1].score[0] < 3.0
        assert spec.step(state, x._replace(value=beyond))[1].score[0] >= 3.0
        low, high = spec.usual_range(state, x, 0.95)
        assert low[0] < 40 < high[0]
