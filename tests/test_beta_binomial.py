"""The beta-binomial tail: exact, honest under its null, fair between few and many trials."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.base import observe
from detectors.beta_binomial import BetaBinomialState, BetaBinomialTail
from detectors.tails import share_tail

SPEC = BetaBinomialTail()
ALPHAS = np.array([0.1, 0.03, 0.01, 0.003, 0.001])


def excess_of_false_alarms(p):
    share = np.array([(p <= a).mean() for a in ALPHAS])
    return ((share - ALPHAS) / np.sqrt(ALPHAS * (1 - ALPHAS) / len(p))).max()


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(1, 900), st.floats(0, 1), st.floats(0.01, 150), st.floats(1, 150))
def test_the_tail_is_the_sum_of_the_masses(n, share, alpha, beta):
    k = round(n * share)
    want = stats.betabinom.pmf(np.arange(k, n + 1), n, alpha, beta).sum()
    got = share_tail(*(np.array([float(v)]) for v in (k, n, alpha, beta)))[0]
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-290)


def test_p_values_of_new_entities_are_super_uniform_under_their_own_null():
    rng = np.random.default_rng(1)
    n = rng.integers(1, 80, 100_000)
    k = rng.binomial(n, rng.beta(20 * 0.15, 20 * 0.85, len(n)))
    x = observe(k, exposure=n, expected=n * 0.15)
    _, score = SPEC.step(SPEC.init(len(n)), x)
    assert excess_of_false_alarms(score.p_value) < 4.0
    wild = rng.binomial(n, rng.beta(4 * 0.15, 4 * 0.85, len(n))).astype(float)
    _, score = SPEC.step(SPEC.init(len(n)), x._replace(value=wild))
    assert excess_of_false_alarms(score.p_value) > 20.0


def test_three_of_five_never_outranks_three_hundred_of_a_thousand():
    _, score = SPEC.step(SPEC.init(2), observe([3, 300], exposure=[5, 1000], expected=[0.5, 100]))
    assert score.score[0] < score.score[1]


def test_the_learned_share_converges_to_the_planted_one():
    rng = np.random.default_rng(5)
    share = np.array([0.02, 0.3, 0.6])
    state = SPEC.init(3)
    for _ in range(200):
        x = observe(rng.binomial(60, share), exposure=60, expected=60 * 0.2)
        state, score = SPEC.step(state, x)
    np.testing.assert_allclose(score.expected / 60, share, atol=0.04)


def test_a_pane_without_trials_teaches_nothing():
    state, _ = SPEC.step(SPEC.init(1), observe([3], exposure=[5], expected=[0.5]))
    after, score = SPEC.step(state, observe([0], exposure=[0], expected=[0]))
    assert after == state
    assert score.score[0] == 0.0


def test_the_usual_range_and_the_clearing_value_follow_the_predictive():
    x = observe([40.0, 5.0], exposure=[100, 5], expected=[10.0, 0.5])
    state = SPEC.init(2)
    law = stats.betabinom([100, 5], 2.0, 18.0)
    low, high = SPEC.usual_range(state, x, 0.9)
    np.testing.assert_array_equal(low, law.ppf(0.05))
    np.testing.assert_array_equal(high, law.ppf(0.95))
    clear = SPEC.clears_at(state, x, 1.5)
    assert (SPEC.step(state, x._replace(value=clear))[1].score < 1.5).all()
    assert (SPEC.step(state, x._replace(value=clear + 1))[1].score >= 1.5).all()


def test_those_under_their_peers_share_vary_by_the_same_concentration_at_least() -> None:
    n, trials, rng, own = 40_000, 500, np.random.default_rng(7), 0.05
    state = BetaBinomialState(*(np.full(n, a) for a in (own * 1e7, 1e7, 0.0, 0.0)))
    told = (1.0 - 0.2) / (0.2 * 51.0)  # of peers at 20 %: a concentration of 50
    value = rng.binomial(trials, rng.beta(own * 50.0, (1.0 - own) * 50.0, n))
    x = observe(value, exposure=np.full(n, trials), expected=np.full(n, 0.2 * trials), dispersion=told)
    p = BetaBinomialTail(concentration_max=1e6).step(state, x)[1].p_value
    assert (p <= 1e-3).mean() < 1e-3 + 4.5 * np.sqrt(1e-3 / n)


@pytest.mark.parametrize("own", [0.05, 0.15, 0.3])
def test_a_stated_dispersion_holds_for_those_whose_own_share_is_not_their_peers(own):
    n, trials, rng, spec = 40_000, 500, np.random.default_rng(6), BetaBinomialTail(concentration_max=1e6)
    shares = (1.0 - own) / (own * 0.1) - 1.0  # of a beta of relative variance 0.1
    state = BetaBinomialState(*(np.full(n, a) for a in (own * 1e7, 1e7, 0.0, 0.0)))
    value = rng.binomial(trials, rng.beta(own * shares, (1.0 - own) * shares, n))
    x = observe(value, exposure=np.full(n, trials), expected=np.full(n, 0.05 * trials), dispersion=0.1)
    p = spec.step(state, x)[1].p_value
    for level in (1e-2, 1e-3):
        assert (p <= level).mean() < level + 4.5 * np.sqrt(level / n)
        assert (p <= level).mean() > level / 2  # nor blind to them
