"""The EWMA chart."""

import numpy as np
import pytest

from detectors.base import observe
from detectors.ewma import EwmaZ
from detectors.ewma_chart import EwmaChart


def run(spec, values):
    state, scores = spec.init(values.shape[1]), []
    for row in values:
        state, score = spec.step(state, observe(row))
        scores.append(score.score)
    return state, np.array(scores)


def test_it_equals_the_smoothed_values_z_score():
    values = np.random.default_rng(0).normal(50, 5, 60)
    spec = EwmaChart(smoothing=0.3, alpha=0.1, warmup=2, sd_min=0.01)
    _, scores = run(spec, values[:, None])
    smoothed, s = [], 0.0
    for i, v in enumerate(values):
        s += max(0.3, 1 / (i + 1)) * (v - s)
        smoothed.append(s)
    weights = 0.9 ** np.arange(59)[::-1]
    mean = np.average(smoothed[:-1], weights=weights)
    sd = np.sqrt(np.average((smoothed[:-1] - mean) ** 2, weights=weights))
    assert scores[-1, 0] == pytest.approx((smoothed[-1] - mean) / sd, abs=1e-6)


def test_a_small_lasting_shift_stands_out_more_than_in_single_values():
    values = np.random.default_rng(1).normal(0, 1, (540, 200))
    values[500:] += 1.5
    found = []
    for spec in (EwmaChart(sd_min=1e-3), EwmaZ(alpha=0.002, sd_min=1e-3)):
        _, scores = run(spec, values)
        usual = np.quantile(scores[100:500].max(axis=0), 0.9)
        found.append((scores[500:].max(axis=0) > usual).mean())
    assert found[0] > 0.9
    assert found[1] < 0.7


def test_values_that_depend_on_each_other_do_not_raise_its_scores():
    noise = np.random.default_rng(2).normal(0, 1, (3_000, 50))
    dependent = noise.copy()
    for i in range(1, len(noise)):
        dependent[i] += 0.8 * dependent[i - 1]
    high = [(run(EwmaChart(sd_min=1e-3), v)[1][500:] > 3).mean() for v in (noise, dependent)]
    assert high[1] < 2.5 * high[0] + 1e-3


def test_the_usual_range_and_the_clearing_value():
    values = np.random.default_rng(3).normal(40, 4, (300, 1))
    for direction, seen in (("up", 90.0), ("down", 3.0)):
        spec = EwmaChart(direction=direction)
        state, _ = run(spec, values)
        x = observe([seen])
        clears = spec.clears_at(state, x, 2.0)
        beyond = clears + (1.0 if direction == "up" else -1.0)
        assert spec.step(state, x._replace(value=clears))[1].score[0] < 2.0
        assert spec.step(state, x._replace(value=beyond))[1].score[0] >= 2.0
        low, high = spec.usual_range(state, x, 0.95)
        assert low[0] < 40 < high[0]
