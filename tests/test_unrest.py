"""Whose days vary more than others': ratios learned from days whose variation is known."""

import numpy as np
import pytest

from detectors.base import Floats
from streams.unrest import RATIO_MIN, Unrest

ALWAYS = 0.3  # what the market's creators vary beyond Poisson


def ratios(*dispersions: float, days: int = 90, doubt: float = 0.0) -> Floats:
    """What is learned of creators whose days vary so much, one time after another; their mean is off by `doubt`."""
    n, mean = 400, 30.0
    rng = np.random.default_rng(1)
    unrest, slot, always = Unrest(n), np.arange(n), np.full(n, ALWAYS)
    for dispersion in np.repeat(dispersions, days):
        wrong = rng.gamma(1 / doubt, doubt, n) if doubt else np.ones(n)
        level = rng.gamma(1 / dispersion, dispersion, n) if dispersion else np.ones(n)
        value = rng.poisson(mean * wrong * level).astype(np.float64)
        unrest.learn(slot, value, np.full(n, mean), always + doubt, np.full(n, doubt))
    return unrest.ratio(slot, always)


def test_who_varies_as_the_market_does_keeps_to_one() -> None:
    assert ratios(ALWAYS).mean() == pytest.approx(1.0, abs=0.1)


def test_the_restless_and_the_even_are_told_apart_by_about_as_much_as_they_differ() -> None:
    # a fade of 21 days leaves 30 days' worth, of which the belief in 1 takes 4
    assert np.median(ratios(4 * ALWAYS)) == pytest.approx(3.0, abs=0.7)
    assert np.median(ratios(0.0)) == pytest.approx(RATIO_MIN, abs=0.02)
    assert np.median(ratios(0.5 * ALWAYS)) == pytest.approx(0.57, abs=0.1)


def test_an_expectation_that_is_off_makes_nobody_restless() -> None:
    assert ratios(ALWAYS, doubt=0.2).mean() == pytest.approx(1.0, abs=0.25)


def test_who_calms_down_is_forgiven() -> None:
    assert ratios(4 * ALWAYS, ALWAYS, ALWAYS, days=60).mean() == pytest.approx(1.0, abs=0.15)


def test_nobody_is_taken_for_restless_after_a_single_day_however_wild() -> None:
    unrest, slot, always = Unrest(3), np.array([0, 1]), np.full(2, ALWAYS)
    assert unrest.ratio(np.arange(3), np.full(3, ALWAYS)).tolist() == [1.0] * 3
    unrest.learn(slot, np.array([40.0, 1e9]), np.array([40.0, 40.0]), always, np.zeros(2))
    even, wild, absent = unrest.ratio(np.arange(3), np.full(3, ALWAYS))
    assert even < 1.0 < wild < 7.0
    assert absent == 1.0


def test_each_is_learned_alone_and_the_forgotten_begin_anew() -> None:
    unrest = Unrest(2)
    always = np.full(1, ALWAYS)
    for value in (3.0, 200.0, 0.0, 90.0):
        unrest.learn(np.array([1]), np.array([value]), np.array([30.0]), always, np.zeros(1))
    before = unrest.ratio(np.array([1]), always)
    unrest.grow(64)
    assert unrest.ratio(np.array([0, 1, 63]), np.full(3, ALWAYS)).tolist() == [1.0, *before.tolist(), 1.0]
    unrest.forget(np.array([1]))
    assert unrest.ratio(np.array([1]), always).tolist() == [1.0]


def test_a_market_without_any_variation_divides_by_no_zero() -> None:
    unrest = Unrest(1)
    unrest.learn(np.array([0]), np.array([12.0]), np.array([0.0]), np.zeros(1), np.zeros(1))
    assert np.isfinite(unrest.ratio(np.array([0]), np.zeros(1))).all()
