"""Nearest neighbours of lagged stretches."""

import numpy as np
import pytest

from detectors.base import observe
from detectors.neighbours import NearestNeighbours


def run(spec, values):
    state, scores = spec.init(1), []
    for v in values:
        state, score = spec.step(state, observe([v]))
        scores.append(score.score[0])
    return state, np.array(scores)


def test_a_wave_that_goes_flat_within_its_range_is_found():
    at = np.arange(600)
    wave = 10 + 5 * np.sin(at / 6) + np.random.default_rng(0).normal(0, 0.3, 600)
    _, scores = run(NearestNeighbours(), np.concatenate([wave, np.full(12, 10.0)]))
    assert scores[-3:].max() > 1.5 * scores[300:600].max()


def test_a_strange_stretch_is_usual_once_there_are_k_like_it():
    at = np.arange(1_200)
    values = np.sin(at / 3) + np.where(at // 100 % 2 == 1, 20.0, 0.0) * (at > 400)
    _, scores = run(NearestNeighbours(every=5), values)
    assert scores[500:520].max() > 20 * scores[1_110:1_130].max()


def test_the_distance_equals_a_brute_force_over_the_remembered_stretches():
    values = np.random.default_rng(5).normal(0, 1, 60)
    spec = NearestNeighbours(lags=3, every=4, library=6, k=2, warmup=2)
    state, _ = run(spec, values[:-1])
    ends = [i for i in range(3, 60) if (i - 3) % 4 == 0][-6:]
    stretches = np.array([values[e - 3 : e] for e in ends])
    distances = np.sort(np.sqrt(((stretches - values[57:60]) ** 2).sum(axis=1)))
    _, score = spec.step(state, observe([values[-1]]))
    assert score.score[0] == pytest.approx(distances[:2].mean() / state.usual[0], abs=1e-6)


def test_multiplying_the_values_changes_no_score():
    values = np.random.default_rng(6).gamma(2.0, 1.0, 400)
    small, large = (run(NearestNeighbours(), factor * values)[1] for factor in (1.0, 8.0))
    np.testing.assert_allclose(small, large, atol=2e-6)


@pytest.mark.parametrize("level", [0.0, 5.0])
def test_the_first_value_that_is_new_in_a_constant_series_scores_most_and_then_it_is_forgotten(level):
    _, scores = run(NearestNeighbours(lags=4, every=3), [level] * 100 + [500.0] + [level] * 40)
    assert (scores[:100] == 0).all()
    assert scores[100] == 300.0
    assert (scores[100:104] >= scores[104:].max()).all()
    assert (scores[104:] == 0).all()
