"""The EWMA z-score."""

import numpy as np
import pytest

from detectors.base import observe
from detectors.ewma import EwmaZ


def test_it_equals_the_weighted_mean_and_variance_of_its_history():
    values = np.random.default_rng(0).normal(50, 5, 30)
    spec = EwmaZ(alpha=0.2)
    state = spec.init(1)
    for v in values:
        state, _ = spec.step(state, observe([v]))
    weights = 0.8 ** np.arange(30)[::-1]
    mean = np.average(values, weights=weights)
    assert state.mean[0] == pytest.approx(mean)
    assert state.variance[0] == pytest.approx(np.average((values - mean) ** 2, weights=weights))


def test_nothing_is_scored_before_the_warmup():
    spec = EwmaZ(warmup=3)
    state = spec.init(1)
    scores = []
    for v in [1, 1, 1, 50]:
        state, score = spec.step(state, observe([v]))
        scores.append(score.score[0])
    assert scores == [0, 0, 0, 49]


@pytest.mark.parametrize(("direction", "signs"), [("up", (1, -1)), ("down", (-1, 1)), ("both", (1, 1))])
def test_direction_says_which_side_is_strange(direction, signs):
    spec = EwmaZ(direction=direction, warmup=1)
    state, _ = spec.step(spec.init(2), observe([10, 10]))
    assert tuple(spec.step(state, observe([15, 5]))[1].score) == (5 * signs[0], 5 * signs[1])


def test_the_usual_range_and_the_clearing_value():
    spec = EwmaZ(warmup=1)
    state, _ = spec.step(spec.init(1), observe([10]))
    x = observe([20])
    low, high = spec.usual_range(state, x, 0.95)
    assert (low[0], high[0]) == (pytest.approx(8.04, abs=0.001), pytest.approx(11.96, abs=0.001))
    assert spec.clears_at(state, x, 3.0)[0] == 12.0
