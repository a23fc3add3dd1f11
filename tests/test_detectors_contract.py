"""What every detector promises. A detector is found by existing; it only needs configurations below."""

import doctest
import functools
import importlib
import io
import itertools
import math
import operator
import pkgutil
from typing import Any

import msgspec
import numpy as np
import pytest

import detectors
from detectors.base import SCORE_DECIMALS, SCORE_MAX, Observation, observe

MODULES = [importlib.import_module(f"detectors.{m.name}") for m in pkgutil.iter_modules(detectors.__path__)]
FOUND = {
    name: value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    if hasattr(value, "init") and hasattr(value, "step")
}
STEPS = [
    {"name": "new device", "within_ms": 40},
    {"name": "payout changed", "within_ms": 60, "count": 2},
    {"name": "withdrawal", "within_ms": 90, "count": 3},
]
MEMBERS = [
    {"type": "ewma_z", "warmup": 3, "direction": "both"},
    {"type": "ewma_chart", "warmup": 3},
    {"type": "robust_z", "window": 5, "warmup": 3},
    {"type": "seasonal_residual", "warmup_hours": 1},
    {"type": "relative_entropy", "window": 4, "warmup": 4},
    {"type": "nearest_neighbours", "lags": 2, "every": 2, "library": 4, "warmup": 2},
    {"type": "peaks_over_threshold", "warmup": 3},
]
CONFIGURATIONS: dict[str, list[dict[str, Any]]] = {
    "NegativeBinomialTail": [{}, {"prior_strength": 30.0, "memory": 1.5}, {"dispersion_prior": 0.1}, {"side": "low"}],
    "BetaBinomialTail": [{}, {"prior_strength": 1.0, "memory": 2.0}, {"concentration_max": 5.0}],
    "PredictiveTail": [{}, {"prior_strength": 30.0, "memory": 1.5}, {"memory": 1e9}],
    "PoissonFocus": [{}, {"direction": "down"}, {"candidates": 3}],
    "CountCusum": [{}, {"direction": "down"}, {"rate": 8.0}],
    "GaussianCusum": [{}, {"direction": "down", "warmup": 3, "shift": 2.0}],
    "PageHinkley": [{}, {"direction": "down", "warmup": 3, "delta": 0.0}],
    "CountShift": [{}, {"direction": "down"}, {"direction": "both"}],
    "GaussianFocus": [{}, {"baseline": "known", "shortest": 1}, {"direction": "up", "candidates": 3}],
    "BrokenTrend": [{}, {"shortest": 2, "window": 4}, {"shortest": 2, "share_min": 0.0, "correlation_max": 0.0}],
    "Bocpd": [{"runs": 4}, {"model": "beta_binomial", "runs": 2}, {"model": "normal", "runs": 3}],
    "EwmaZ": [{"warmup": 3}, {"direction": "down", "alpha": 0.5}, {"direction": "both", "sd_min": 9.0}],
    "OrderedPattern": [{"steps": STEPS[:1]}, {"steps": STEPS}],
    "Limit": [{}],
    "EwmaChart": [{"warmup": 3}, {"direction": "down", "smoothing": 0.9}, {"direction": "both", "sd_min": 9.0}],
    "RobustZ": [
        {"window": 5, "warmup": 3}, {"direction": "down", "counts": True}, {"direction": "both", "sd_min": 9.0},
    ],
    "SeasonalResidual": [
        {"warmup_hours": 1}, {"direction": "down", "weeks": 1.0}, {"direction": "both", "sd_min": 9.0},
    ],
    "RelativeEntropy": [
        {"window": 4, "warmup": 4}, {"window": 4, "warmup": 5, "bins": 3, "references": 2, "memory": 2.0},
    ],
    "NearestNeighbours": [
        {"lags": 1, "every": 1, "library": 4, "warmup": 2},
        {"lags": 3, "every": 2, "library": 2, "k": 2, "warmup": 1},
    ],
    "PeaksOverThreshold": [{"warmup": 3}, {"direction": "down", "tail": 0.5, "warmup": 1}, {"direction": "both"}],
    "Ensemble": [{}, {"members": MEMBERS, "agreement": 0.0, "memory": 9.0}, {"members": MEMBERS[:1], "memory": 1e4}],
    "Concentration": [{}, {"prior_strength": 0.5, "memory": 2.0}, {"surprise_max": 0.5}],
}
SPECS = [
    pytest.param(msgspec.convert(fields, FOUND[name]), id=f"{name}-{i}")
    for name, rows in CONFIGURATIONS.items()
    if name in FOUND
    for i, fields in enumerate(rows)
]
every_detector = pytest.mark.parametrize("spec", SPECS)

# What `gap` gives exactly as stepping the quiet panes would; a detector not named ignores gap.
EXACT_GAP = {
    "NegativeBinomialTail": ("hits", "mass", "pending_value", "pending_mass"),
    "BetaBinomialTail": ("hits", "trials", "pending_value", "pending_trials"),
    "PredictiveTail": ("hits", "mass", "squares", "steps"),
    "PoissonFocus": ("hits", "mass", "used"),
    "CountCusum": ("evidence",),
    "GaussianCusum": ("mean", "variance", "learned", "evidence"),
    "PageHinkley": ("mean", "variance", "learned", "evidence"),
    "CountShift": ("sums", "peaks"),
    "GaussianFocus": ("panes", "origin", "mean", "squares", "steps", "recent", "counts", "totals", "jumps"),
    "Bocpd": ("lived", "weight", "panes", "total", "mass", "spread", "before"),
    "EwmaZ": ("mean", "variance", "weight", "learned"),
    "RobustZ": ("ring", "learned"),
}

# Whose scores do not change with the value's unit, and with which floors: a detector not named claims nothing.
SCALE_INVARIANT: dict[str, dict[str, Any]] = {
    "EwmaZ": {"warmup": 3, "sd_min": 1e-12},
    "GaussianCusum": {"warmup": 5, "sd_min": 1e-12},
    "PageHinkley": {"warmup": 5, "sd_min": 1e-12},
}


def history(spec: Any, n: int, steps: int, seed: int = 7) -> list[Observation]:
    """Counts of entities of very different sizes; some unobserved, some with gaps, some not to be learned."""
    rng = np.random.default_rng(seed)
    level = np.exp(rng.normal(0.0, 2.0, n))
    rows = []
    for i in range(steps):
        expected = level * rng.uniform(0.2, 2.0, n)
        value = rng.poisson(expected * np.where(rng.random(n) < 0.1, 6.0, 1.0)).astype(float)
        exposure = value + rng.poisson(expected * 9.0)
        if type(spec).__name__ == "BetaBinomialTail" or getattr(spec, "model", None) == "beta_binomial":
            expected = exposure * 0.1
        if type(spec).__name__ == "OrderedPattern":
            value = rng.integers(0, 4, n).astype(float)
        value[rng.random(n) < 0.15] = np.nan
        gap = np.where(rng.random(n) < 0.3, rng.integers(1, 50, n), 0)
        rows.append(
            observe(
                value,
                exposure=exposure,
                expected=expected,
                dispersion=np.where(rng.random(n) < 0.5, 0.0, rng.uniform(0.0, 0.5, n)),
                time=1_000 + 10 * i + rng.integers(0, 10, n),
                gap=gap,
                gap_expected=gap * expected * 0.3,
                learn=rng.random(n) < 0.8,
                between=np.where(rng.random(n) < 0.5, 0.0, rng.uniform(0.0, 1.5, n)),
            )
        )
    return rows


def run(spec: Any, rows: list[Observation], state: Any = None) -> tuple[Any, list[Any]]:
    state = spec.init(len(rows[0].value)) if state is None else state
    scores = []
    for x in rows:
        state, score = spec.step(state, x)
        scores.append(score)
    return state, scores


def assert_same_bits(a: Any, b: Any) -> None:
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        assert x.tobytes() == y.tobytes()


def pick(x: Any, index: Any) -> Any:
    return type(x)(*(np.ascontiguousarray(a[index]) for a in x))


def test_every_detector_has_configurations_here():
    assert set(FOUND) == set(CONFIGURATIONS)


@every_detector
def test_many_entities_are_scored_bit_for_bit_as_one_by_one(spec):
    rows = history(spec, 1_000, 12)
    state, scores = run(spec, rows)
    alone = [slice(i, i + 1) for i in range(0, 1_000, 25)]
    for index in [*alone, slice(3, 10), slice(500, 517), slice(0, 1_000, 3)]:
        part, part_scores = run(spec, [pick(x, index) for x in rows])
        assert_same_bits(part, pick(state, index))
        for a, b in zip(part_scores, scores, strict=True):
            assert_same_bits(a, pick(b, index))


@every_detector
def test_what_a_reason_quotes_is_bit_for_bit_the_same_alone(spec):
    if not hasattr(spec, "usual_range"):
        return
    rows = history(spec, 200, 6)
    state, _ = run(spec, rows[:-1])
    x = rows[-1]._replace(value=np.nan_to_num(rows[-1].value))
    quoted = [*spec.usual_range(state, x, 0.95), spec.clears_at(state, x, 2.0)]
    for i in range(0, 200, 20):
        one, seen = pick(state, slice(i, i + 1)), pick(x, slice(i, i + 1))
        alone = [*spec.usual_range(one, seen, 0.95), spec.clears_at(one, seen, 2.0)]
        assert_same_bits(alone, [a[i : i + 1] for a in quoted])


@every_detector
def test_the_value_that_clears_does_clear_and_is_the_nearest_to_do_so(spec):
    if not hasattr(spec, "clears_at"):
        return
    rows = [x._replace(value=np.nan_to_num(x.value)) for x in history(spec, 200, 30)]
    state, _ = run(spec, rows)
    for far in (0.0, 30.0):
        x = rows[-1]._replace(value=np.full(200, far), exposure=np.maximum(rows[-1].exposure, 2.0 * far))
        clears, floor = spec.clears_at(state, x, 2.0), 0.0 if hasattr(spec, "tail") else -np.inf
        if getattr(spec, "direction", "up") == "both":
            assert np.isnan(clears).all()
            continue
        low = getattr(spec, "direction", "") == "down" or getattr(spec, "side", "") == "low"
        nearer = clears + (-1.0 if low else 1.0)
        scores, beyond = (spec.step(state, x._replace(value=v))[1].score for v in (clears, nearer))
        assert (scores < 2.0 + 1e-9).all()
        between = nearer > far if low else (nearer < far) & (nearer > floor)
        if hasattr(spec, "ready"):
            between &= spec.ready(state)
        assert (beyond[between] >= 2.0 - 1e-9).all()


def bounds(kind: type) -> dict[str, tuple[float, float]]:
    """The lowest and highest value of every field that is a number with a fraction; infinite where there is none."""
    found = {}
    for field in msgspec.inspect.type_info(kind).fields:
        of = field.type
        if isinstance(of, msgspec.inspect.FloatType):
            low = of.ge if of.gt is None else math.nextafter(of.gt, math.inf)
            high = of.le if of.lt is None else math.nextafter(of.lt, -math.inf)
            found[field.name] = (-math.inf if low is None else low, math.inf if high is None else high)
    return found


@pytest.mark.parametrize("name", sorted(FOUND))
def test_no_setting_that_is_accepted_silences_a_detector(name):
    for field, ends in bounds(FOUND[name]).items():
        assert np.isfinite(ends).all(), f"{field} needs a lower and an upper bound"
        for value, row in itertools.product(ends, CONFIGURATIONS[name]):
            spec = msgspec.convert({**row, field: value}, FOUND[name])
            rows = history(spec, 40, 20)
            rows[10] = rows[10]._replace(value=np.where(np.arange(40) % 2 == 0, 1e9, rows[10].value))
            state, scores = run(spec, rows)
            for part in state:
                assert np.isfinite(part).all(), (field, value)
            for x, score in zip(rows, scores, strict=True):
                assert np.isfinite(score.score[~np.isnan(x.value)]).all(), (field, value)


@every_detector
def test_the_entities_order_does_not_matter(spec):
    rows = history(spec, 301, 8)
    order = np.random.default_rng(1).permutation(301)
    state, scores = run(spec, rows)
    shuffled, shuffled_scores = run(spec, [pick(x, order) for x in rows])
    assert_same_bits(shuffled, pick(state, order))
    assert_same_bits(shuffled_scores[-1], pick(scores[-1], order))


@every_detector
def test_a_step_changes_neither_its_state_nor_its_observation(spec):
    rows = history(spec, 50, 8)
    state, _ = run(spec, rows[:-1])
    before, x = type(state)(*(a.copy() for a in state)), Observation(*(a.copy() for a in rows[-1]))
    after, _ = spec.step(state, rows[-1])
    assert_same_bits(state, before)
    assert_same_bits(rows[-1], x)
    for a in after:
        a[...] = 77  # whatever happens to the new state, the old one keeps its own
    assert_same_bits(state, before)


@every_detector
def test_an_unobserved_entity_stays_as_it_was_and_scores_nan(spec):
    rows = history(spec, 60, 9)
    state, _ = run(spec, rows[:-1])
    x = rows[-1]._replace(value=np.where(np.arange(60) % 2 == 0, np.nan, rows[-1].value))
    after, score = spec.step(state, x)
    unseen = np.isnan(x.value)
    assert_same_bits(pick(after, unseen), pick(state, unseen))
    for a in score:
        assert np.isnan(a[unseen]).all()
    assert not np.isnan(score.score[~unseen]).any()


@every_detector
def test_scoring_without_learning_keeps_the_state(spec):
    rows = history(spec, 40, 6)
    state, _ = run(spec, rows[:-1])
    x = rows[-1]._replace(learn=np.zeros(40, dtype=bool))
    assert_same_bits(spec.step(state, x)[0], state)


def as_bytes(score: Any) -> list[bytes]:
    return [a.tobytes() for a in score]


def remembers_elsewhere(spec: Any) -> bool:
    """Whether its scores depend on more than state and observations: on another past, or on what comes after."""
    rows = history(spec, 30, 6)
    state, scores, told = spec.init(30), [], []
    for x in rows:
        state, score = spec.step(state, x)
        scores.append(score)
        told.append(as_bytes(score))
    run(spec, history(spec, 30, 6, seed=99))
    again = run(spec, rows)[1]
    return [as_bytes(a) for a in scores] != told or [as_bytes(a) for a in again] != told


@every_detector
def test_all_of_a_detectors_memory_is_in_its_state(spec):
    assert not remembers_elsewhere(spec)


@pytest.mark.parametrize("where", ["in itself", "in what it gave"])
def test_the_same_check_sees_a_memory_elsewhere(where):
    spec, seen = FOUND["EwmaZ"](), np.zeros(30)

    class Leaky:
        init = staticmethod(spec.init)

        @staticmethod
        def step(state: Any, x: Observation) -> tuple[Any, Any]:
            after, score = spec.step(state, x)
            seen[:] = seen + 1.0 if where == "in itself" else x.time
            return after, score._replace(expected=seen.copy() if where == "in itself" else seen)

    assert remembers_elsewhere(Leaky())


@every_detector
def test_a_restored_snapshot_goes_on_as_if_nothing_had_happened(spec):
    rows = history(spec, 30, 12)
    state, _ = run(spec, rows[:6])
    arrays = []
    for a in state:
        file = io.BytesIO()
        np.save(file, a, allow_pickle=False)
        file.seek(0)
        arrays.append(np.load(file, allow_pickle=False))
    restored = type(state)(*arrays)
    assert_same_bits(restored, state)
    kept, scores = run(spec, rows[6:], state)
    again, again_scores = run(spec, rows[6:], restored)
    assert_same_bits(kept, again)
    assert_same_bits(scores[-1], again_scores[-1])


@every_detector
@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 1), (0, 0), (3, 3), (3, 0), (1e15, 1e15), (1e15, 1), (1e15, 1e-12), (1e-12, 1e-12), (0, 1e15)],
)
@pytest.mark.parametrize("dispersion", [0.0, 0.3])
def test_constant_zero_huge_and_tiny_inputs_stay_finite(spec, value, expected, dispersion):
    x = observe(
        np.full(3, float(value)),
        exposure=max(value, expected, 1.0) * 2,
        expected=expected,
        dispersion=dispersion,
        gap=[0, 3, 10**6],
        gap_expected=[0, 3.0 * expected, 1e6 * expected],
    )
    state, scores = run(spec, [x._replace(time=x.time + i) for i in range(25)])
    for a in (*state, *(s.score for s in scores), *(s.expected for s in scores)):
        assert np.isfinite(a).all()
    for s in scores:
        assert not (s.p_value < 0).any()
        assert not (s.p_value > 1).any()


@every_detector
def test_scores_are_rounded_and_log_p_scores_agree_with_their_p_values(spec):
    for score in run(spec, history(spec, 200, 6))[1]:
        assert_same_bits([np.round(score.score, SCORE_DECIMALS)], [score.score])
        has = ~np.isnan(score.p_value)
        with np.errstate(divide="ignore"):
            log_p = np.minimum(-np.log10(score.p_value[has]), SCORE_MAX)
        np.testing.assert_allclose(score.score[has], log_p, atol=1e-6)


def own_null(spec: Any, rng: np.random.Generator) -> tuple[list[Observation], int]:
    """Observations of the law that the p-values assume, and the first of them to be judged.

    A detector that is not named here learns its law from its past: 300 samples of nothing but noise.
    """
    n, name = 60_000, type(spec).__name__
    told, between = (np.where(rng.random(n) < 0.5, 0.0, some) for some in (0.3, rng.uniform(0.02, 1.0, n)))
    if name in ("NegativeBinomialTail", "PredictiveTail"):  # new entities, whose levels the prior draws
        low = getattr(spec, "side", "high") == "low"  # few are so rare that a fall could be
        expected = np.exp(rng.normal(5.0 if low else 1.5, 1.5, n))
        if name == "PredictiveTail":
            phi = 1.0 / spec.prior_strength + told + 2.0 ** (rng.integers(-16, 7, n) / 2)
        else:
            phi = np.where(between > 0.0, between, 1.0 / spec.prior_strength) + told
        value = rng.poisson(expected * rng.gamma(1.0 / phi, phi))
        return [observe(value, expected=expected, dispersion=told, between=between)], 0
    if name == "BetaBinomialTail":
        trials, share = rng.integers(1, 200, n), rng.uniform(0.02, 0.4, n)
        known = np.minimum(spec.strength(between, share), spec.concentration_max)
        value = rng.binomial(trials, rng.beta(known * share, np.maximum(known * (1.0 - share), 1.0)))
        return [observe(value, exposure=trials, expected=trials * share, between=between)], 0
    if name == "Concentration":
        return urns(rng, 1_500, 50), 40
    return [observe(rng.normal(100.0, 10.0, 400), expected=100.0, time=i) for i in range(400)], 300


def urns(rng: np.random.Generator, n: int, steps: int) -> list[Observation]:
    """Each of 20 to 119 events is by somebody new, with chance 5 to so many as were before, or by one of those."""
    trials = rng.integers(20, 120, n * steps)
    every, row = np.arange(trials.max()), np.arange(n * steps)
    actor = np.zeros((n * steps, len(every)), dtype=np.int64)
    for i in every[1:]:
        before = actor[row, rng.integers(0, i, n * steps)]
        actor[:, i] = np.where(rng.random(n * steps) < 5.0 / (5.0 + i), i, before)
    code = (row[:, None] * len(every) + actor)[every < trials[:, None]]
    busiest = np.bincount(code, minlength=n * steps * len(every)).reshape(n * steps, -1).max(axis=1)
    peers = np.bincount(trials, busiest) / np.maximum(np.bincount(trials), 1)
    parts = (a.reshape(steps, n) for a in (busiest, trials, peers[trials]))
    return [observe(value, exposure=events, expected=due) for value, events, due in zip(*parts, strict=True)]


def surplus(p: Any, slack: float = 1.0) -> float:
    """By how many standard errors p-values fall under a level more often than it says; the worst level counts."""
    worst = -np.inf
    for level in (0.1, 0.03, 0.01, 0.003, 0.001):
        shares = (p <= level).mean(axis=0)  # of each entity, whose own p-values hang together
        error = max(shares.std() / np.sqrt(len(shares)), np.sqrt(level / p.size))
        worst = max(worst, (shares.mean() - slack * level) / error)
    return worst


# How many times too sure the check must see; where p-values are bounds, for any dependence or number of actors, less.
TOO_SURE, CAUTIOUS = 2.0, {"Concentration": 16.0, "Ensemble": 16.0}


@every_detector
def test_p_values_are_super_uniform_under_the_detectors_own_null_and_too_sure_ones_would_be_seen(spec):
    if np.isnan(run(spec, history(spec, 40, 6))[1][-1].p_value).all():
        return
    rows, first = own_null(spec, np.random.default_rng(2))
    p, slack = np.array([score.p_value for score in run(spec, rows)[1][first:]]), 1.0 if first == 0 else 1.5
    assert surplus(p, slack) < 4.5
    alone = len(getattr(spec, "members", "")) == 1  # one member is no bound
    assert surplus(p / (TOO_SURE if alone else CAUTIOUS.get(type(spec).__name__, TOO_SURE)), slack) > 4.5


@pytest.mark.parametrize("name", sorted(SCALE_INVARIANT))
@pytest.mark.parametrize("unit", [1e-3, 7.0, 1e6])
def test_a_scale_free_score_does_not_change_with_the_unit(name, unit):
    spec = FOUND[name](**SCALE_INVARIANT[name])
    values = np.random.default_rng(3).gamma(4.0, 5.0, (40, 30))
    rows = [observe(v, expected=20.0, gap=i % 3, gap_expected=20.0 * (i % 3)) for i, v in enumerate(values)]
    scaled = [
        x._replace(**{f: getattr(x, f) * unit for f in ("value", "exposure", "expected", "gap_expected")}) for x in rows
    ]
    for a, b in zip(run(spec, rows)[1], run(spec, scaled)[1], strict=True):
        np.testing.assert_allclose(b.score, a.score, rtol=1e-6, atol=2e-6)
        np.testing.assert_allclose(b.expected, a.expected * unit, rtol=1e-9)


def restless(rng: np.random.Generator, n: int, at: int) -> tuple[Observation, Observation]:
    """A pane after a gap of any length, at any expectation, and one of its quiet panes."""
    gap = rng.choice([0, 0, 1, 2, 7, 12, 40], n)
    expected = rng.uniform(0.2, 3.0, n)
    value = np.minimum(rng.poisson(expected * rng.choice([1.0, 3.0])), 20)
    x = observe(
        value, exposure=20.0, expected=expected, dispersion=0.1, time=at, gap=gap, gap_expected=gap * expected
    )  # fmt: skip
    return x, x._replace(value=np.zeros(n), gap=0 * gap, gap_expected=0.0 * expected)


@every_detector
def test_a_gap_equals_stepping_the_quiet_panes(spec):
    rng, n = np.random.default_rng(6), 12
    fields = EXACT_GAP.get(type(spec).__name__)
    closed = stepped = spec.init(n)
    for i in range(10):
        x, quiet = restless(rng, n, i)
        if fields is None:
            alone, _ = spec.step(closed, x._replace(gap=0 * x.gap, gap_expected=0.0 * x.gap_expected))
            closed, _ = spec.step(closed, x)
            assert_same_bits(alone, closed)
            continue
        for j in range(x.gap.max()):
            stepped, _ = spec.step(stepped, quiet._replace(value=np.where(j < x.gap, 0.0, np.nan)))
        stepped, stepped_score = spec.step(stepped, x._replace(gap=0 * x.gap, gap_expected=0.0 * x.gap_expected))
        closed, score = spec.step(closed, x)
        for field in fields:
            np.testing.assert_allclose(getattr(closed, field), getattr(stepped, field), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(score.expected, stepped_score.expected, rtol=1e-9, atol=1e-12)
        if type(spec).__name__ not in ("NegativeBinomialTail", "PredictiveTail"):  # their dispersion is approximate
            np.testing.assert_allclose(score.score, stepped_score.score, rtol=1e-6, atol=2e-6)


@every_detector
def test_a_detector_that_warms_up_says_when_it_is_ready_and_scores_0_until_then(spec):
    if not any(field.startswith(("warmup", "shortest", "members")) for field in spec.__struct_fields__):
        assert not hasattr(spec, "ready")
        return
    rng, n = np.random.default_rng(4), 20
    state, said = spec.init(n), 0
    for i in range(400):
        before = spec.ready(state)
        state, score = spec.step(state, observe(rng.poisson(5.0, n), exposure=20.0, expected=5.0, time=i * 600_000))
        after = spec.ready(state)
        assert (after | ~before).all()
        if type(spec).__name__ != "Ensemble":  # of which some members are ready before others
            assert (score.score[~after] == 0).all()
        said += (score.score[after] != 0).any()
    assert after.all()
    assert said > 0 or type(spec).__name__ == "BrokenTrend"  # which is silent where nothing breaks


@every_detector
def test_a_spec_is_frozen_and_survives_its_own_configuration(spec):
    wire = msgspec.json.encode(spec)
    assert msgspec.json.decode(wire, type=type(spec)) == spec
    assert msgspec.json.decode(wire)["type"] == type(spec).__struct_config__.tag
    for field in spec.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(spec, field, 1)


def test_tags_tell_the_detectors_apart():
    union = msgspec.defstruct("Any", [("detector", functools.reduce(operator.or_, FOUND.values()))])
    for param in SPECS:
        spec = param.values[0]
        assert msgspec.convert({"detector": msgspec.to_builtins(spec)}, union).detector == spec


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_the_examples_in_the_documentation_run(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", sorted(FOUND))
def test_every_detector_is_documented_and_shows_an_example(name):
    text = importlib.import_module(FOUND[name].__module__).__doc__
    for part in ("Sees", "Misses", "Formula", "Score", "Units", "Cost", "Reference", ">>>"):
        if not (name == "Limit" and part == "Score"):
            assert part in text, part
