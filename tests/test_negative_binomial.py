"""The negative binomial tail: honest p-values, a level that converges, a burst that does not hide itself."""

import numpy as np
import pytest
from scipy import stats

from detectors.base import observe
from detectors.negative_binomial import NegativeBinomialTail

SPEC = NegativeBinomialTail()
ALPHAS = np.array([0.1, 0.03, 0.01, 0.003, 0.001])


def excess_of_false_alarms(p, alphas=ALPHAS):
    """By how many standard errors the share of p-values at most alpha exceeds alpha."""
    share = np.array([(p <= a).mean() for a in alphas])
    return (share - alphas) / np.sqrt(alphas * (1 - alphas) / len(p))


def creators(n, *, dispersion, spread, seed=3):
    rng = np.random.default_rng(seed)
    level = rng.gamma(1 / spread, spread, n) * 3.0
    return rng.poisson(level * rng.gamma(1 / dispersion, dispersion, n)).astype(float)


def test_p_values_of_new_entities_are_super_uniform_under_their_own_null():
    rng = np.random.default_rng(1)
    value = rng.poisson(rng.gamma(2.0, 0.5, 200_000) * 3.0).astype(float)
    _, score = SPEC.step(SPEC.init(len(value)), observe(value, expected=3.0))
    assert excess_of_false_alarms(score.p_value).max() < 4.0
    wild = creators(200_000, dispersion=1.0, spread=0.5)  # the same test sees what is not the null
    _, score = SPEC.step(SPEC.init(len(wild)), observe(wild, expected=3.0))
    assert excess_of_false_alarms(score.p_value).max() > 20.0


def test_too_few_are_judged_by_the_other_tail_and_as_honestly():
    low = NegativeBinomialTail(side="low")
    rng = np.random.default_rng(4)
    value = rng.poisson(rng.gamma(2.0, 0.5, 200_000) * 30.0).astype(float)
    _, score = low.step(low.init(len(value)), observe(value, expected=30.0))
    assert excess_of_false_alarms(score.p_value).max() < 4.0
    few = observe([0.0, 3.0, 30.0, 90.0], expected=30.0)
    _, score = low.step(low.init(4), few)
    mean, phi = 30.0, 0.5
    theirs = stats.nbinom.cdf([0, 3, 30, 90], 1 / phi, 1 / (1 + phi * mean))
    np.testing.assert_allclose(low.tail(low.init(4), few), theirs, rtol=1e-9)
    clears = low.clears_at(low.init(4), few, 1.5)
    at = observe(clears, expected=30.0)
    assert (low.step(low.init(4), at)[1].score < 1.5).all()
    assert (low.step(low.init(4), observe(clears - 1.0, expected=30.0))[1].score >= 1.5).all()


def test_p_values_stay_super_uniform_once_the_level_is_learned():
    rng = np.random.default_rng(2)
    level = rng.gamma(2.0, 0.5, 20_000) * 3.0
    state, p = SPEC.init(len(level)), []
    for i in range(40):
        state, score = SPEC.step(state, observe(rng.poisson(level), expected=3.0))
        if i in (5, 20, 39):  # few enough to be nearly independent
            p.append(score.p_value)
    assert excess_of_false_alarms(np.concatenate(p)).max() < 4.0


@pytest.mark.parametrize("expected", [30.0, 300.0])
def test_few_large_samples_that_vary_by_themselves_do_not_pass_for_a_known_level(expected):
    n, rng, spec = 20_000, np.random.default_rng(5), NegativeBinomialTail()
    level = rng.gamma(2.0, 0.5, n)  # as the prior has it; and each day its own mood, of which the detector is told
    state, early = spec.init(n), []
    for _ in range(8):
        value = rng.poisson(expected * level * rng.gamma(1 / 0.3, 0.3, n))
        state, score = spec.step(state, observe(value, expected=np.full(n, expected), dispersion=0.3))
        early.append((score.p_value <= 1e-3).mean())
    assert max(early) < 7e-3  # two such variations multiplied are longer in the tail than one: 4e-3; unweighed 5e-2


def test_scores_are_the_tail_of_the_negative_binomial():
    value, mean, dispersion = np.array([9.0, 30.0, 400.0]), np.array([1.0, 9.0, 120.0]), 0.25
    spec = NegativeBinomialTail(prior_strength=4.0)
    _, score = spec.step(spec.init(3), observe(value, expected=mean, dispersion=dispersion))
    phi = 1 / 4.0 + dispersion
    want = -np.log10(stats.nbinom.sf(value - 1, 1 / phi, 1 / (1 + phi * mean)))
    np.testing.assert_allclose(score.score, want, atol=1e-6)


def test_the_learned_level_converges_to_the_planted_one():
    rng = np.random.default_rng(5)
    ratio = np.array([0.2, 1.0, 7.0])
    state = SPEC.init(3)
    for _ in range(300):
        expected = rng.uniform(5, 50)
        state, score = SPEC.step(state, observe(rng.poisson(ratio * expected), expected=expected))
    np.testing.assert_allclose(score.expected / expected, ratio, rtol=0.15)


def test_overdispersed_entities_learn_a_dispersion_of_their_own():
    rng = np.random.default_rng(6)
    state = SPEC.init(400)
    p = []
    for i in range(150):
        value = rng.poisson(rng.gamma(2.0, 10.0, 400)).astype(float)  # dispersion 0.5 at mean 20
        state, score = SPEC.step(state, observe(value, expected=20.0))
        if i >= 60:
            p.append(score.p_value)
    share = (np.concatenate(p) <= 1e-3).mean()
    assert share < 4e-3  # a Poisson tail: over 1e-1
    assert np.median(state.excess / (5.0 + state.weight)) == pytest.approx(0.5, rel=0.5)


def test_a_burst_does_not_hide_the_next_pane():
    state = SPEC.init(1)
    for _ in range(60):
        state, _ = SPEC.step(state, observe([4.0], expected=4.0))
    state, first = SPEC.step(state, observe([30.0], expected=4.0))
    state, second = SPEC.step(state, observe([30.0], expected=4.0))
    assert second.score[0] > 0.9 * first.score[0]
    _, third = SPEC.step(state, observe([30.0], expected=4.0))
    assert third.score[0] < second.score[0]


def test_the_usual_range_holds_its_coverage_and_is_tight():
    x = observe([50.0, 0.0, 3.0], expected=[10.0, 0.05, 300.0], dispersion=[0.0, 0.5, 0.1])
    state = SPEC.init(3)
    low, high = SPEC.usual_range(state, x, 0.9)
    phi = 0.5 + x.dispersion
    law = stats.nbinom(1 / phi, 1 / (1 + phi * x.expected))
    np.testing.assert_array_equal(low, law.ppf(0.05))
    np.testing.assert_array_equal(high, law.ppf(0.95))


def test_clears_at_is_the_last_value_under_the_score():
    x = observe([80.0, 41.0, 5.0], expected=[10.0, 5.0, 0.1])
    state = SPEC.init(3)
    clear = SPEC.clears_at(state, x, 2.0)
    at = SPEC.step(state, x._replace(value=clear))[1].score
    above = SPEC.step(state, x._replace(value=clear + 1))[1].score
    assert (at < 2.0).all()
    assert ((above >= 2.0) | (clear + 1 == x.value)).all()
