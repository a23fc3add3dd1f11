"""Relative entropy against usual mixes."""

import numpy as np
import pytest

from detectors.base import observe
from detectors.histogram import RelativeEntropy


def scores_of(spec, values):
    state, scores = spec.init(1), []
    for v in values:
        state, score = spec.step(state, observe([v]))
        scores.append(score.score[0])
    return np.array(scores)


def test_a_change_of_mix_at_the_same_mean_is_found():
    rng = np.random.default_rng(0)
    usual = rng.normal(10, 1, 1_000)
    two_sided = np.where(rng.random(60) < 0.5, 8.0, 12.0) + rng.normal(0, 0.1, 60)
    scores = scores_of(RelativeEntropy(), np.concatenate([usual, two_sided]))
    assert scores[1_040:].max() > 1.5 * scores[:1_000].max()


def test_a_stuck_value_is_found():
    usual = np.random.default_rng(1).normal(10, 1, 1_000)
    scores = scores_of(RelativeEntropy(), np.concatenate([usual, np.full(48, usual[-1])]))
    assert scores[-1] > 2 * scores[:1_000].max()


def test_a_mix_that_came_before_is_usual_when_it_comes_again():
    rng = np.random.default_rng(2)
    first, second = rng.normal(10, 1, 480), rng.normal(14, 1, 480)
    scores = scores_of(RelativeEntropy(), np.concatenate([first, second, first, second]))
    assert scores[480:600].max() > 3 * scores[1_440:1_560].max()


def test_the_score_is_the_relative_entropy_of_the_window_with_its_only_reference():
    values = np.tile([0.0, 1.0, 2.0, 3.0], 10)
    spec = RelativeEntropy(window=8, warmup=8, bins=4, references=1)
    state = spec.init(1)
    for v in values[:16]:
        state, _ = spec.step(state, observe([v]))
    for v in [3.0] * 7:
        state, _ = spec.step(state, observe([v]))
    _, score = spec.step(state, observe([3.0]))
    mix, reference = state.references[0, 0] * 0, state.references[0, 0]
    mix[3 - (state.edges[0] >= 3.0).sum()] = 8
    q = (reference + 0.5) / (reference.sum() + 2)
    assert score.score[0] == pytest.approx(8 * np.log(1 / q[mix > 0][0]), abs=1e-6)
