"""The seasonal residual."""

import numpy as np
import pytest

from detectors.base import observe
from detectors.seasonal import SeasonalResidual

HOUR = 3_600_000


def stepped(spec, values, times, state=None):
    state, scores = spec.init(1) if state is None else state, []
    for v, t in zip(values, times, strict=True):
        state, score = spec.step(state, observe([v], time=int(t)))
        scores.append(score)
    return state, scores


def weekly(hours):
    """Busy by day, quiet by night, half on days 0 and 1 of the week."""
    return (10.0 + 8.0 * (hours % 24 >= 8)) * np.where(hours // 24 % 7 < 2, 0.5, 1.0)


def test_a_value_usual_at_noon_is_strange_at_night():
    hours = np.arange(24 * 21)
    noise = np.random.default_rng(1).normal(0, 1, len(hours))
    spec = SeasonalResidual(direction="both")
    state, _ = stepped(spec, 10.0 + 8.0 * (hours % 24 >= 8) + noise, hours * HOUR)
    night, noon = (spec.step(state, observe([18], time=(24 * 21 + h) * HOUR))[1].score[0] for h in (3, 12))
    assert night > 5
    assert noon < 2


def test_the_week_is_learned_when_it_has_been_seen():
    hours = np.arange(24 * 7 * 8)
    spec = SeasonalResidual()
    _, scores = stepped(spec, weekly(hours), hours * HOUR)
    off = np.abs(np.array([s.expected[0] for s in scores]) - weekly(hours))
    assert off[-168:].mean() < 0.8
    assert off[-168:].mean() < 0.5 * off[168:336].mean()


def test_a_young_profile_falls_back_to_the_mean_of_all_hours():
    spec = SeasonalResidual(warmup_hours=1)
    state, _ = stepped(spec, [4.0, 6.0, 8.0], [0, HOUR, 2 * HOUR])
    _, score = spec.step(state, observe([0], time=10 * HOUR))
    assert score.expected[0] == pytest.approx(6.0)


def test_how_often_values_come_does_not_matter():
    hours = np.arange(24 * 14)
    spec = SeasonalResidual()
    often = np.repeat(hours, 12)
    state, _ = stepped(spec, weekly(hours), hours * HOUR)
    dense, _ = stepped(spec, weekly(often), often * HOUR + np.tile(np.arange(12), len(hours)) * 300_000)
    for field in ("mean", "day_mean", "week_mean", "day_visits", "hours"):
        np.testing.assert_allclose(getattr(state, field), getattr(dense, field), rtol=1e-12)


def test_the_usual_range_is_that_of_the_hour_and_the_clearing_value_lies_in_it():
    hours = np.arange(24 * 21)
    spec = SeasonalResidual()
    noise = np.random.default_rng(2).normal(0, 1, len(hours))
    state, _ = stepped(spec, 30.0 + 20.0 * (hours % 24 >= 8) + noise, hours * HOUR)
    x = observe([70], time=(24 * 21 + 3) * HOUR)
    low, high = spec.usual_range(state, x, 0.95)
    assert 20 < low[0] < 30 < high[0] < 40
    clears = spec.clears_at(state, x, 3.0)
    assert spec.step(state, x._replace(value=clears))[1].score[0] < 3.0
    assert spec.step(state, x._replace(value=clears + 1))[1].score[0] >= 3.0
