"""Changepoints by Bayes: the recursion equals all segmentations' sum, dates what was planted, and says by how much."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.base import observe
from detectors.bocpd import Bocpd, date_change
from detectors.focus import PoissonFocus

MODELS = ["gamma_poisson", "beta_binomial", "normal"]
every_model = pytest.mark.parametrize("model", MODELS)
VALUES = st.lists(st.integers(0, 9), min_size=1, max_size=8)


def log_evidence(values, spec):
    """log P(the values in one run), by the predictive distributions of scipy."""
    total, seen = 0.0, []
    for value in values:
        s, n, y = spec.prior_strength, len(seen), np.array(seen) - 2.0
        if spec.model == "gamma_poisson":
            a, b = s + sum(seen), s + 2.0 * n
            total += stats.nbinom.logpmf(value, a, b / (b + 2.0))
        elif spec.model == "beta_binomial":
            a, b = 0.2 * s + sum(seen), 0.8 * s + 10.0 * n - sum(seen)
            total += stats.betabinom.logpmf(value, 10, a, b)
        else:
            mean = y.sum() / (s + n)
            beta = s * spec.scale**2 + 0.5 * ((y * y).sum() - (s + n) * mean * mean)
            scale = np.sqrt(beta * (s + n + 1) / ((s + n / 2) * (s + n)))
            total += stats.t.logpdf(value - 2.0, 2 * s + n, mean, scale)
        seen.append(value)
    return total


def posterior(values, spec):
    """P(the present run began with pane i), by summing over all segmentations."""
    n, h = len(values), 1.0 / spec.run_mean
    weights = np.zeros(n)
    for cuts in itertools.product([False, True], repeat=n - 1):
        edges = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), n]
        log_p = sum(log_evidence(values[a:b], spec) for a, b in itertools.pairwise(edges))
        log_p += sum(cuts) * np.log(h) + (n - 1 - sum(cuts)) * np.log1p(-h)
        weights[edges[-2]] += np.exp(log_p)
    return weights / weights.sum()


def run(spec, values, **given):
    state = spec.init(1)
    for i, value in enumerate(values):
        state, score = spec.step(state, observe([value], exposure=10.0, expected=2.0, time=i, **given))
    return state, score


@every_model
@settings(max_examples=15, derandomize=True, deadline=None)
@given(values=VALUES)
def test_the_weights_equal_the_sum_over_all_segmentations(model, values):
    spec = Bocpd(model=model, run_mean=10.0, scale=2.0)
    state, _ = run(spec, values)
    weights = np.zeros(len(values))
    held = state.panes[0] > 0
    weights[state.since[0, held]] = np.exp(state.weight[0, held])
    np.testing.assert_allclose(weights, posterior(values, spec), rtol=1e-6, atol=1e-12)


@every_model
def test_thirty_two_runs_date_as_all_runs_do(model):
    rng = np.random.default_rng(1)
    few, all_runs = Bocpd(model=model, scale=2.0), Bocpd(model=model, scale=2.0, runs=150)
    a, b = few.init(20), all_runs.init(20)
    same = []
    for i in range(120):
        p = 0.2 if i < 60 else 0.5
        x = observe(rng.binomial(10, p, 20), exposure=10.0, expected=2.0, time=i)
        (a, _), (b, _) = few.step(a, x), all_runs.step(b, x)
        same.append((few.changed_at(a) == all_runs.changed_at(b)).mean())
    assert np.mean(same) > 0.99


@every_model
def test_the_levels_are_those_before_and_after_the_change(model):
    rng = np.random.default_rng(2)
    spec = Bocpd(model=model, scale=1.5)
    state = spec.init(100)
    for i in range(120):
        value = rng.binomial(10, 0.2 if i < 80 else 0.6, 100)
        state, score = spec.step(state, observe(value, exposure=10.0, expected=2.0, time=i))
    assert (np.abs(spec.changed_at(state) - 80) <= 2).mean() > 0.9
    before, after = spec.levels(state)
    truth = {"gamma_poisson": (1.0, 3.0), "beta_binomial": (0.2, 0.6), "normal": (0.0, 4.0)}[model]
    assert np.median(before) == pytest.approx(truth[0], abs=0.1)
    assert np.median(after) == pytest.approx(truth[1], abs=0.15)
    assert (score.score < 0).mean() > 0.9  # by now it is no longer recent


def test_the_odds_of_a_recent_change_rise_with_it_and_are_low_before():
    rng = np.random.default_rng(3)
    spec = Bocpd()
    state = spec.init(200)
    for i in range(110):
        state, score = spec.step(state, observe(rng.poisson(2.0 if i < 100 else 7.0, 200), expected=2.0))
        if i == 99:
            assert (score.score < 0).mean() > 0.95
    assert (score.score > 3).mean() > 0.95


def test_overdispersion_makes_a_change_less_probable():
    _, plain = run(Bocpd(), [2, 3, 1, 2, 2, 6, 7])
    _, quasi = run(Bocpd(), [2, 3, 1, 2, 2, 6, 7], dispersion=0.5)
    assert quasi.score[0] < plain.score[0]


@pytest.mark.parametrize(("rate", "within"), [(2.0, 0.7), (4.0, 0.95)])
def test_a_planted_change_is_dated_about_as_well_as_by_the_likelihood_ratio_that_knows_the_level(rate, within):
    rng = np.random.default_rng(4)
    counts = rng.poisson(3.0, (300, 150)).astype(float)
    counts[:, 120:] = rng.poisson(3.0 * rate, (300, 30))
    times = np.arange(150) * 60_000
    dated = date_change(counts, np.full(counts.shape, 3.0), times, Bocpd(), side="up")
    spec = PoissonFocus()
    state = spec.init(300)
    for i in range(150):
        state, _ = spec.step(state, observe(counts[:, i], expected=3.0, time=times[i]))
    shares = [(np.abs(at - times[120]) <= 120_000).mean() for at in (dated.changed_at, spec.changed_at(state))]
    assert shares[0] > within
    assert shares[0] > shares[1] - 0.06
    assert np.median(dated.level_before) == pytest.approx(1.0, abs=0.1)
    assert np.median(dated.level_after) == pytest.approx(rate, rel=0.15)


def test_a_change_is_looked_for_on_the_side_that_is_asked_for():
    counts = np.array([[3.0] * 40 + [12.0] * 12 + [5.0] * 4])
    times = np.arange(counts.shape[1])
    expected = np.full(counts.shape, 3.0)
    assert date_change(counts, expected, times, Bocpd(), side="up").changed_at[0] == 40
    assert date_change(counts, expected, times, Bocpd(), side="down").changed_at[0] == 52


def test_many_entities_are_dated_as_one_by_one():
    rng = np.random.default_rng(5)
    counts = rng.poisson(np.where(np.arange(90) < 70, 2.0, 5.0), (40, 90)).astype(float)
    expected, times = np.full(counts.shape, 2.0), np.arange(90) * 1_000
    together = date_change(counts, expected, times, Bocpd(), dispersion=0.1)
    for i in range(0, 40, 5):
        alone = date_change(counts[i : i + 1], expected[i : i + 1], times, Bocpd(), dispersion=0.1)
        assert all(a[0] == b[i] for a, b in zip(alone, together, strict=True))


def test_dating_always_answers_where_it_can_and_skips_what_is_missing():
    counts = np.array([[3.0, 3, np.nan, 3, 3], [np.nan, np.nan, np.nan, np.nan, 4]])
    dated = date_change(counts, np.full(counts.shape, 3.0), np.arange(5), Bocpd())
    assert dated.changed_at[0] > 0
    assert dated.changed_at[1] == -1
