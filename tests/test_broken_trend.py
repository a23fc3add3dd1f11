"""The broken trend equals two least-squares lines at every start, and restarts as if it had begun at the break."""

import numpy as np
import pytest

from detectors.base import observe
from detectors.broken_trend import BrokenTrend


def line_error(y):
    """Squared error of the least-squares line, and the squared steps less its slope."""
    t, off = np.arange(len(y)) - (len(y) - 1) / 2, y - y.mean()
    slope = (t * off).sum() / (t * t).sum()
    return ((off - slope * t) ** 2).sum(), ((np.diff(y) - slope) ** 2).sum()


def brute_force(y, spec, v):
    """The score by its formula, over all starts; and the starts that are about the best."""
    n, short = len(y), spec.shortest
    if n < 3 * short or v == 0:
        return 0.0, []
    q = {s: line_error(y[:s])[0] + line_error(y[s:])[0] for s in range(max(short, n - spec.window), n - short + 1)}
    best = min(q.values())
    ties = [s for s, value in q.items() if value <= best + 1e-9]
    straight, least, scores = line_error(y)[0], spec.share_min * n * v, []
    for s in ties:
        steps = line_error(y[:s])[1] + line_error(y[s:])[1]
        r = max(1 - steps / (2 * best), 0.0)
        r = min(r + 2 * (1 + 3 * r) / n, spec.correlation_max)
        ratio = max(straight, least) / max(best, least)
        scores.append(max(n / 2 * np.log(ratio) * (1 - r) / (1 + r) - 2 * np.log(n), 0.0))
    return scores, ties


def run(spec, values, state=None):
    state = spec.init(1) if state is None else state
    for i, value in enumerate(values):
        state, score = spec.step(state, observe([value], expected=0.5, time=i))
    return state, score.score[0]


def planted(rng):
    """A line, then a jump and another slope, and noise."""
    break_at = int(rng.integers(10, 30))
    jump, slopes = rng.choice([-4.0, 4.0]), rng.normal(0.0, 0.4, 2)
    line = np.concatenate([slopes[0] * np.arange(break_at), jump + slopes[1] * np.arange(45 - break_at)])
    return line + rng.normal(0.0, 0.7, 45)


@pytest.mark.parametrize("shortest", [2, 3, 4])
@pytest.mark.parametrize("window", [8, 11, 16, 64])
def test_it_equals_two_lines_at_every_start(shortest, window):
    spec, told = BrokenTrend(shortest=shortest, window=window), 0
    for seed in range(8):
        y = planted(np.random.default_rng(seed))
        state = spec.init(1)
        for i, value in enumerate(y):
            state, score = spec.step(state, observe([value], expected=0.5, time=i))
            exact, starts = brute_force(y[: i + 1], spec, y[: i + 1].var())
            assert np.abs(np.array(exact) - score.score[0]).min() < 1e-5
            if score.score[0] > 1e-5:
                told += 1
                assert spec.changed_at(state)[0] in starts
    assert told > 40


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("window", [12, 128])  # as long as the break is old: it is about to leave
def test_a_restart_is_as_if_it_had_begun_at_the_break(seed, window):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0.0, 1.0, 50), rng.normal(9.0, 1.0, 12)])
    spec = BrokenTrend(share_min=0.0, window=window)
    state, score = run(spec, values)
    assert score > 0
    start = int(spec.changed_at(state)[0])
    assert abs(start - 50) <= 1
    restarted = spec.restart(state, np.array([True]))
    fresh, _ = run(spec, values[start:])
    more, highest = rng.normal(9.0, 1.0, 30) + np.arange(30) * (np.arange(30) > 12), 0.0
    for value in more:
        restarted, a = spec.step(restarted, observe([value], expected=0.5))
        fresh, b = spec.step(fresh, observe([value], expected=0.5))
        assert a.score[0] == pytest.approx(b.score[0], abs=1e-5)
        highest = max(highest, a.score[0])
    assert highest > 0


def test_no_restart_where_it_is_not_said_or_nothing_broke():
    spec = BrokenTrend()
    state, _ = run(spec, [0.0] * 20 + [9.0] * 10)
    for kept in (spec.restart(state, np.array([False])), spec.restart(spec.init(1), np.array([True]))):
        assert kept.panes[0] in (30.0, 0.0)


@pytest.mark.parametrize("slope", [0.0, 0.5, -3.0])
def test_a_steady_trend_is_no_break(slope):
    rng = np.random.default_rng(2)
    spec = BrokenTrend()
    state, highest = spec.init(200), np.zeros(200)
    for i in range(150):
        state, score = spec.step(state, observe(rng.normal(slope * i, 1.0, 200)))
        highest = np.maximum(highest, score.score)
    assert (highest > 3.0).mean() < 0.1


@pytest.mark.parametrize("change", ["level", "bend"])
def test_a_jump_and_a_bend_are_found_and_dated(change):
    rng = np.random.default_rng(3)
    spec = BrokenTrend()
    state = spec.init(100)
    for i in range(100):
        after = max(i - 59, 0)
        moved = 6.0 * (after > 0) if change == "level" else 0.8 * after
        state, score = spec.step(state, observe(rng.normal(0.05 * i + moved, 1.0, 100), time=i))
    assert (score.score > 0).mean() > 0.95
    assert np.median(np.abs(spec.changed_at(state) - 60)) <= (1 if change == "level" else 4)


def test_waves_of_autocorrelated_noise_are_breaks_in_few_streams():
    rng = np.random.default_rng(4)
    spec = BrokenTrend()
    state, value, highest = spec.init(300), rng.normal(0.0, 1.0, 300), np.zeros(300)
    for _ in range(200):
        value = 0.7 * value + np.sqrt(1 - 0.49) * rng.normal(0.0, 1.0, 300)
        state, score = spec.step(state, observe(value))
        highest = np.maximum(highest, score.score)
    assert (highest > 3.0).mean() < 0.35  # 0.28 measured; of white noise 0.01
