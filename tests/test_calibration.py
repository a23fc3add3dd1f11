"""How rare a score really is: learned tails beside tails that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import Floats
from detectors.tails import count_tail, surprise
from streams.calibration import FROM, Calibration

HOUR = 3_600_000
fixed = settings(max_examples=80, derandomize=True, deadline=None)
lots = st.lists(
    st.tuples(st.floats(0, 300), st.sampled_from([0.1, 0.6, 3.0, 10.0, 900.0])), min_size=1, max_size=400
)


def at(expected: float, score: Floats | float) -> tuple[Floats, Floats]:
    scores = np.atleast_1d(np.asarray(score, dtype=np.float64))
    return scores, np.full(len(scores), expected)


def taught(lot: list[tuple[float, float]]) -> Calibration:
    calibration = Calibration(1)
    score, expected = (np.array([x[i] for x in lot]) for i in range(2))
    calibration.learn(0, HOUR, np.where(score < FROM, 0.0, score), expected)
    return calibration


@fixed
@given(lots, st.sampled_from([0.1, 3.0, 10.0, 900.0]))
def test_scores_are_only_lowered_and_keep_their_order(lot: list[tuple[float, float]], expected: float) -> None:
    scores = np.array([0.0, 1.001, 1.3, 2.0, 3.7, 5.0, 12.0, 300.0])
    lowered = taught(lot).calibrated(0, *at(expected, scores))
    assert (lowered <= scores).all()
    assert (lowered >= 0.0).all()
    assert (np.diff(lowered) >= 0.0).all()


@fixed
@given(lots, st.floats(1.1, 20.0), st.sampled_from([0.1, 3.0, 10.0, 900.0]))
def test_raw_is_the_lowest_score_that_is_calibrated_to_a_threshold(
    lot: list[tuple[float, float]], threshold: float, expected: float
) -> None:
    calibration = taught(lot)
    raw = calibration.raw(0, threshold, np.array([expected]))
    under, over = calibration.calibrated(0, *at(expected, np.array([raw - 1e-3, raw + 1e-3])))
    assert under < threshold <= over


def test_before_anything_is_learned_a_score_is_taken_at_its_word() -> None:
    scores = np.array([0.0, 1.5, 3.0, 40.0])
    assert Calibration(2).calibrated(1, *at(5.0, scores)).tolist() == scores.tolist()


def scores_of(dispersion: float, stated: float, expected: float, n: int, seed: int) -> Floats:
    """Scores, by a detector that believes in `stated`, of counts that vary by `dispersion`."""
    rng = np.random.default_rng(seed)
    value = rng.poisson(expected * rng.gamma(1 / dispersion, dispersion, n)).astype(np.float64)
    p = count_tail(value, np.full(n, expected), np.full(n, stated))
    return np.where(p > 0.1, 0.0, surprise(p))


@pytest.mark.parametrize("expected", [5.0, 20.0, 100.0])
def test_a_tail_heavier_than_promised_is_corrected_to_about_its_true_rarity(expected: float) -> None:
    calibration = Calibration(2)
    seen = scores_of(0.5, 0.2, expected, 40_000, 1)
    calibration.learn(1, HOUR, *at(expected, seen))
    for rarity in (2.0, 2.5, 3.0):
        score = np.quantile(seen, 1.0 - 10.0**-rarity)
        assert score > rarity + 0.8  # what the detector makes of it
        assert calibration.calibrated(1, *at(expected, score))[0] == pytest.approx(rarity, abs=0.45)
    far = at(1_000.0 if expected < 32 else 1.0, 5.0)
    assert calibration.calibrated(1, *far).tolist() == [5.0]  # another class has its own tail
    assert calibration.calibrated(0, *at(expected, 5.0)).tolist() == [5.0]  # and so has another window


def test_a_tail_as_promised_is_left_as_it_is() -> None:
    calibration = Calibration(1)
    calibration.learn(0, HOUR, *at(100.0, scores_of(0.2, 0.2, 100.0, 40_000, 2)))
    assert calibration.calibrated(0, *at(100.0, 5.0))[0] == pytest.approx(5.0, abs=0.3)


def test_few_windows_change_little_even_with_an_attack_among_them() -> None:
    calibration = Calibration(1)
    calibration.learn(0, HOUR, *at(5.0, np.array([0.0] * 19 + [300.0])))
    assert 4.0 <= calibration.calibrated(0, *at(5.0, 5.0))[0] < 5.0


def test_windows_in_which_next_to_nothing_is_expected_teach_nothing() -> None:
    calibration = Calibration(1)
    calibration.learn(0, HOUR, *at(0.4, np.full(10_000, 4.0)))
    assert not calibration.sums.any()


def test_what_was_learned_fades_so_that_a_bad_month_is_forgotten() -> None:
    calibration = Calibration(1)
    calibration.learn(0, HOUR, *at(5.0, np.full(2_000, 4.0)))
    bad = calibration.calibrated(0, *at(5.0, 5.0))[0]
    for _ in range(300):
        calibration.learn(0, 24 * HOUR, *at(5.0, np.zeros(8)))
    assert bad < 2.0
    assert calibration.calibrated(0, *at(5.0, 5.0))[0] == pytest.approx(5.0, abs=0.2)
