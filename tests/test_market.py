"""What a market does now, without the one that is judged; and how much counts vary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.market import HOUR, Lift, Spread, add_up, cap, capped, fixed, fixed_square

SIZES = (6, 24)  # hours
END = 72 * HOUR
examples = settings(max_examples=60, derandomize=True, deadline=None)


def lift_of_hero(usual: float, does: list[float], peers: float, peers_do: float, start: float = 1.0) -> list[float]:
    """Peers' lift as a creator sees it in each window; it usually has `usual` an hour, all its peers `peers`."""
    lift = Lift(HOUR, [size * HOUR for size in SIZES], "volume")
    lift.widen(1)
    day = fixed(np.array([24.0 * usual]))
    others = fixed(np.full(10, 2.4 * peers))
    lift.mass[:, 0] = [day[0] + others.sum(), fixed_square(day)[0] + fixed_square(others).sum()]
    hours = [usual] * (END // HOUR - len(does)) + does
    for hour, value in enumerate(hours, start=1):
        lift.seen.append(hour * HOUR, fixed(np.minimum([value], cap(np.array([usual])))) + fixed(peers_do))

    def due(end: int, size: int) -> np.ndarray:
        return np.array([(usual + peers) * size / HOUR])

    def seen(end: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        does = np.array([sum(hours[-(size // HOUR):]), *[peers_do * size / HOUR / 10] * 10])
        own = np.array([usual * size / HOUR, *[peers * size / HOUR / 10] * 10])
        return capped(does, own, np.zeros(11, dtype=np.int64), due(end, size), "volume")

    return [
        float(lift.now(
            END, size * HOUR, np.array([0]), lambda longer: np.array([sum(hours[-(longer // HOUR):])]),
            np.array([usual * size]), day, np.array([0.2]), due, seen, start,
        )[0][0])
        for size in SIZES
    ]  # fmt: skip


@examples
@given(
    st.sampled_from([0.5, 2.0, 20.0]), st.lists(st.integers(0, 8), min_size=24, max_size=24),
    st.sampled_from([0.2, 2.0, 40.0]), st.sampled_from([0.5, 1.0, 6.0]),
)  # fmt: skip
def test_nobodys_own_orders_are_its_peers_lift(usual: float, times: list[int], peers: float, lifted: float) -> None:
    """The hero may have most of its market: what its peers do, and nothing else, is their lift."""
    hero = lift_of_hero(usual, [t * usual for t in times], peers, peers * lifted)
    assert hero == pytest.approx(lift_of_hero(usual, [usual] * 24, peers, peers * lifted), rel=1e-3)


def test_a_runaway_cant_excuse_itself_by_selling_still_more() -> None:
    """The sum has its part pane by pane, 5 events more in each than what is taken off: so much stays, and no more."""
    runaway = lift_of_hero(1.0, [20.0] * 24, peers=1.0, peers_do=1.0)
    assert lift_of_hero(1.0, [2_000.0] * 24, peers=1.0, peers_do=1.0) == pytest.approx(runaway)
    assert lift_of_hero(1.0, [20.0] * 24, peers=40.0, peers_do=40.0) == pytest.approx([1.0, 1.0], abs=0.15)


def test_a_lift_is_believed_by_as_much_as_the_peers_have_events() -> None:
    many, few = (lift_of_hero(1.0, [1.0] * 24, peers, 4.0 * peers) for peers in (100.0, 0.1))
    assert min(many) > 3.5 > 2.9 > max(few) > 1.0
    assert lift_of_hero(1.0, [1.0] * 24, 1e4, 1e4) == pytest.approx([1.0, 1.0], rel=1e-3)


def test_few_peers_take_the_day_to_be_what_it_is_for_everybody_and_many_know_better() -> None:
    few, many = (lift_of_hero(1.0, [1.0] * 24, peers, peers, start=4.0) for peers in (1e-4, 1e4))
    assert few == pytest.approx([4.0, 4.0], rel=0.01)
    assert many == pytest.approx([1.0, 1.0], rel=0.05)


def spread_of(always: float, uneven: float, lifts: list[float], *, turns: int = 120, n: int = 60) -> Spread:
    """Learned from windows that vary by so much."""
    rng, spread, market = np.random.default_rng(3), Spread(1, "volume"), np.zeros(n, dtype=np.int64)
    spread.widen(1)
    for turn in range(turns):
        lift = np.full(n, lifts[turn % len(lifts)])
        phi = always + uneven * np.log(lift) ** 2 + 1e-9
        mean = rng.uniform(5.0, 60.0, n)
        value = rng.poisson(mean * rng.gamma(1 / phi, phi)).astype(np.float64)
        spread.learn(0, HOUR, market, value, mean, np.zeros(n), lift, mean)
    return spread


@pytest.mark.parametrize(("always", "uneven"), [(0.1, 0.5), (0.6, 0.05), (0.3, 0.3)])
def test_what_varies_always_and_what_a_lift_adds_are_told_apart(always: float, uneven: float) -> None:
    spread, one = spread_of(always, uneven, [1.0, 1.0, 3.0, 6.0]), np.array([0])
    assert spread.always(0, one)[0] == pytest.approx(always, rel=0.2, abs=0.05)
    assert spread.uneven(0, one, np.array([np.e]))[0] == pytest.approx(uneven, rel=0.2, abs=0.05)
    assert spread.uneven(0, one, np.array([1.0])).tolist() == [0.0]


def test_before_anything_is_learned_the_prior_stands_also_for_a_new_market() -> None:
    spread, both = spread_of(0.9, 0.5, [1.0, 3.0], turns=1, n=1), np.array([0, 1])
    spread.widen(2)
    np.testing.assert_allclose(spread.always(0, both), Spread.ALWAYS["volume"][0], rtol=0.35)
    fresh = Spread(1, "volume")
    fresh.widen(2)
    assert fresh.always(0, both) == pytest.approx(Spread.ALWAYS["volume"][0])
    assert fresh.uneven(0, both, np.full(2, np.e)) == pytest.approx(Spread.UNEVEN)


@examples
@given(st.lists(
    st.tuples(st.floats(0, 1e6), st.floats(1e-9, 1e5), st.floats(0, 2), st.floats(0.1, 30.0)), min_size=1, max_size=40,
))  # fmt: skip
def test_variances_are_never_negative_whatever_the_counts(windows: list[tuple[float, float, float, float]]) -> None:
    spread = Spread(1, "volume")
    spread.widen(1)
    market = np.zeros(len(windows), dtype=np.int64)
    value, mean, doubt, lift = (np.array([w[i] for w in windows]) for i in range(4))
    for _ in range(30):
        spread.learn(0, HOUR, market, value, mean, doubt, lift, mean)
    parts = np.array([spread.always(0, market[:1]), spread.uneven(0, market[:1], np.array([4.0]))])
    assert np.isfinite(parts).all()
    assert (parts >= 0.0).all()


def test_even_counts_make_no_lift_uneven_and_uneven_lifts_nobody_restless() -> None:
    one = np.array([0])
    assert spread_of(0.0, 0.0, [1.0, 4.0]).always(0, one)[0] < 0.03
    assert spread_of(0.0, 0.6, [1.0, 4.0]).always(0, one)[0] < 0.1


# ---- shocks, runaways, and the order of entities ---------------------------------------------------------------


def lifts(hours: int, shock: float, sizes: tuple[int, ...], peers: int = 40, kind: str = "outcome") -> list[float]:
    """What a creator sees of its peers' lift so many hours after each of them began to have `shock` times as much."""
    lift = Lift(HOUR, [size * HOUR for size in sizes], kind)
    lift.widen(1)
    day = fixed(np.full(peers + 1, 6.0))
    lift.mass[:, 0] = [day.sum(), fixed_square(day).sum()]
    usual, market = np.full(peers + 1, 0.25), np.zeros(peers + 1, dtype=np.int64)

    def does(size: int) -> np.ndarray:
        new = min(hours, size)
        return usual * np.where(np.arange(peers + 1) > 0, (size - new) + shock * new, size)

    def seen(end: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        due = np.array([usual.sum() * size / HOUR])
        return capped(does(size // HOUR), usual * (size / HOUR), market, due, kind)

    return [
        float(lift.now(
            END, size * HOUR, np.array([0]), lambda longer: does(longer // HOUR)[:1], usual[:1] * size, day[:1],
            np.array([0.1]), lambda end, size: np.array([usual.sum() * size / HOUR]), seen,
        )[0][0])
        for size in sizes
    ]  # fmt: skip


def test_a_shock_to_everybody_is_believed_within_hours() -> None:
    """Five times as much for each of forty peers. After 6 hours a day has 2 times as much, the 6 hours 5 times."""
    day, six = lifts(6, 5.0, (24, 6))
    assert 1.6 <= day <= 2.0
    assert 3.5 <= six <= 5.0
    whole_day = lifts(24, 5.0, (24, 6))
    assert whole_day == pytest.approx([5.0, 5.0], rel=0.1)
    assert lifts(0, 5.0, (24, 6)) == pytest.approx([1.0, 1.0], rel=1e-3)


def test_a_lift_comes_hour_by_hour_and_never_runs_ahead_of_what_the_peers_have() -> None:
    found = [lifts(hours, 5.0, (24,))[0] for hours in range(0, 25, 3)]
    assert found == sorted(found)
    assert all(lift <= 1.0 + 4.0 * hours / 24 + 1e-6 for lift, hours in zip(found, range(0, 25, 3), strict=True))


@pytest.mark.parametrize("kind", ["volume", "ratio", "outcome", "share"])
def test_the_attack_of_one_creator_is_no_lift_of_its_peers(kind: str) -> None:
    n = 50
    own, market = np.full(n, 4.0), np.zeros(n, dtype=np.int64)
    value, due = own.copy(), np.array([own.sum()])
    value[7] = 100_000.0
    seen, lift = capped(value, own, market, due, kind)
    most = float(cap(own[:1] * lift, kind)[0])
    assert seen[0] <= own.sum() - 4.0 + most + 1e-3
    assert lift[0] < 1.3
    whole, believed = capped(5.0 * own, own, market, due, kind)
    assert whole[0] == pytest.approx(5.0 * own.sum())
    assert believed[0] == pytest.approx(5.0)


@examples
@given(
    st.lists(st.tuples(st.integers(0, 500), st.floats(0.0, 50.0), st.integers(0, 2)), min_size=1, max_size=60),
    st.randoms(use_true_random=False), st.sampled_from(["volume", "outcome"]),
)  # fmt: skip
def test_the_order_of_the_entities_can_not_show_in_what_they_did_together(
    rows: list[tuple[int, float, int]], random: object, kind: str
) -> None:
    mixed = list(rows)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    due = np.array([50.0, 5.0, 0.0])
    results = []
    for some in (rows, mixed):
        value, own = (np.array([float(r[i]) for r in some]) for i in range(2))
        results.append(capped(value, own, np.array([r[2] for r in some]), due, kind))
    for one, other in zip(*results, strict=True):
        assert one.tolist() == other.tolist()
    assert (results[0][0] <= np.array([sum(r[0] for r in rows if r[2] == m) for m in range(3)]) + 1e-6).all()


def test_before_any_market_is_known_variances_are_of_none() -> None:
    assert Spread(2, "outcome").always(0, np.zeros(0, dtype=np.int64)).tolist() == []


def test_windows_of_few_events_hardly_say_how_much_counts_vary() -> None:
    """Counts of a tenth each, nothing but chance: the prior stands, whatever the luck of a stream."""
    found, market = [], np.zeros(100, dtype=np.int64)
    for seed in range(20):
        rng, spread = np.random.default_rng(seed), Spread(1, "outcome")
        spread.widen(1)
        for _ in range(60):
            value, mean = rng.poisson(0.1, 100).astype(np.float64), np.full(100, 0.1)
            spread.learn(0, HOUR, market, value, mean, np.zeros(100), np.ones(100), mean)
        found.append(float(spread.always(0, market[:1])[0]))
    prior = Spread.ALWAYS["outcome"][0]
    assert np.abs(np.array(found) - prior).max() < 0.1


def test_hits_vary_less_than_counts_and_what_is_beyond_is_found_beside_it() -> None:
    """Shares of one half that vary by a relative variance of .01: chance alone has half a count's variance."""
    rng, market, spread = np.random.default_rng(4), np.zeros(100, dtype=np.int64), Spread(1, "share")
    spread.widen(1)
    for _ in range(100):
        trials = rng.integers(100, 400, 100)
        share = 0.5 * (1.0 + 0.1 * rng.standard_normal(100))
        value, mean = rng.binomial(trials, share).astype(np.float64), 0.5 * trials
        spread.learn(0, HOUR, market, value, mean, np.zeros(100), np.ones(100), mean * 0.5)
    assert float(spread.always(0, market[:1])[0]) == pytest.approx(0.01, rel=0.15)


@pytest.mark.parametrize("absurd", [1e300, -1e300, 2.0**63])
def test_what_is_absurdly_large_stays_within_bounds_and_sums_of_it_fit(absurd: float) -> None:
    with np.errstate(all="raise"):
        cells = fixed(np.full(1_000, absurd))
    assert np.all(np.sign(cells) == np.sign(absurd))
    assert int(add_up(np.zeros(1_000, dtype=np.int64), cells, 1)[0]) == int(cells[0]) * 1_000
