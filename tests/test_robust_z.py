"""The robust z-score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import observe
from detectors.robust_z import RobustZ

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=25)


@given(values, st.floats(-1e6, 1e6))
@settings(derandomize=True, deadline=None)
def test_it_equals_the_median_and_its_deviation_over_the_window(history, value):
    spec = RobustZ(window=7, warmup=1, sd_min=0.5)
    state = spec.init(1)
    for v in history:
        state, _ = spec.step(state, observe([v]))
    last = np.array(history[-7:])
    middle = np.median(last)
    sd = max(np.median(np.abs(last - middle)) / 0.6744897501960817, 0.5)
    _, score = spec.step(state, observe([value]))
    assert score.expected[0] == pytest.approx(middle)
    assert score.score[0] == pytest.approx((value - middle) / sd, abs=1e-6, rel=1e-9)


def test_sparse_counts_do_not_score_as_raw_deviations_would():
    counts = np.random.default_rng(3).poisson(0.2, (2_000, 20)).astype(float)
    shares = []
    for spec in (RobustZ(sd_min=1e-3), RobustZ(sd_min=1e-3, counts=True)):
        state, high = spec.init(20), 0
        for row in counts:
            state, score = spec.step(state, observe(row))
            high += (score.score > 4).sum()
        shares.append(high / counts.size)
    assert shares[0] > 0.1
    assert shares[1] < 1e-4


def test_jumps_that_were_learned_do_not_hide_the_next_one():
    spec = RobustZ(window=21, warmup=5)
    state = spec.init(1)
    for i in range(40):
        state, score = spec.step(state, observe([500.0 if i % 5 == 4 else 10.0 + i % 3]))
    assert score.score[0] > 100


def test_the_usual_range_and_the_clearing_value():
    spec = RobustZ(window=5, warmup=1)
    state, _ = spec.step(spec.init(1), observe([10]))
    x = observe([20])
    low, high = spec.usual_range(state, x, 0.95)
    assert (low[0], high[0]) == (pytest.approx(8.04, abs=0.001), pytest.approx(11.96, abs=0.001))
    assert spec.clears_at(state, x, 3.0)[0] == 12.0
    down = RobustZ(window=5, warmup=1, direction="down")
    assert down.clears_at(state, observe([2]), 3.0)[0] == 8.0
