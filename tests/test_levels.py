"""How much levels differ, learned from what everybody did before and today."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from detectors.base import Floats
from streams.levels import MOST, PRIOR, RANGE, Levels

ENTITIES, TURNS = 4_000, 10
examples = settings(max_examples=40, derandomize=True, deadline=None)


def days(levels: Floats, seed: int, size: float = 1.0) -> list[tuple[Floats, ...]]:
    """Turn by turn, before and today: events and what peers would have had, of entities with these levels."""
    rng, n, rows = np.random.default_rng(seed), len(levels), []
    for _ in range(TURNS):
        mass, expected = size * rng.uniform(5.0, 60.0, n), size * rng.uniform(2.0, 20.0, n)
        counts = (rng.poisson(levels * m).astype(np.float64) for m in (mass, expected))
        hits, value = counts
        rows.append((hits, mass, value, expected))
    return rows


def learned(rows: list[tuple[Floats, ...]], prior: float = 0.5) -> Levels:
    levels = Levels(prior)
    for row in rows:
        levels.learn(*row, np.ones(len(row[0]), dtype=np.bool_))
    return levels


def gamma(variance: float, seed: int, n: int = ENTITIES) -> Floats:
    return np.random.default_rng(seed).gamma(1.0 / variance, variance, n)


def held_back(variance: float) -> float:
    """The variance of gamma levels of which each counts for at most MOST."""
    level = stats.gamma(1.0 / variance, scale=variance)
    low, high = (integrate.quad(lambda u: min((level.ppf(u) - 1.0) ** 2, MOST), *part, limit=200)[0]
                 for part in ((0.0, 0.9), (0.9, 1.0)))  # fmt: skip
    return float(low + high)


@pytest.mark.parametrize("variance", [0.1, 0.5])
def test_the_variance_of_the_levels_is_found(variance: float) -> None:
    """Sampling error: entities are few, days of each many; the fourth moment of a gamma is known."""
    error = np.sqrt((2.0 * variance**2 + 6.0 * variance**3) / ENTITIES)
    assert learned(days(gamma(variance, 1), 2)).between() == pytest.approx(variance, abs=4.0 * error + 0.03 * variance)


def test_very_different_levels_are_held_back_by_as_much_as_attacks_would_be() -> None:
    """A variance of 2 rests on the few largest, which can't be told from attacks: about 1.3 is found."""
    found = learned(days(gamma(2.0, 1), 2)).between()
    assert held_back(0.1) == pytest.approx(0.1, rel=0.01)
    assert found == pytest.approx(held_back(2.0), rel=0.25)
    assert found < 1.6


def test_chance_alone_is_no_difference_of_levels() -> None:
    assert learned(days(np.ones(ENTITIES), 2)).between() <= 1.5 * RANGE[0]


@pytest.mark.parametrize("variance", [0.1, 0.5])
def test_small_creators_tell_the_same(variance: float) -> None:
    """With two events before and one today; their pairs scatter far more."""
    found = learned(days(gamma(variance, 3, 20_000), 4, size=0.1)).between()
    assert found == pytest.approx(variance, rel=0.35)


def test_an_attack_of_one_creator_moves_little() -> None:
    levels = gamma(0.1, 5, 400)
    calm = learned(days(levels, 6)).between()
    levels[7] = 1_000.0
    assert calm < learned(days(levels, 6)).between() <= calm + MOST / 400 + 0.01


def test_what_does_not_tell_is_not_learned() -> None:
    levels, row = Levels(0.3), days(gamma(0.5, 1, 50), 2)[0]
    levels.learn(*row, np.zeros(50, dtype=np.bool_))
    levels.learn(row[0], np.zeros(50), row[2], row[3], np.ones(50, dtype=np.bool_))
    levels.learn(row[0], row[1], row[2], np.zeros(50), np.ones(50, dtype=np.bool_))
    assert levels.sums.tolist() == [0.0, 0.0]
    assert levels.between() == 0.3


def test_who_knows_little_believes_what_was_said_before() -> None:
    few = [tuple(a[:3] for a in row) for row in days(gamma(0.1, 1), 2)[:1]]
    assert Levels(0.5).between() == 0.5
    assert learned(few).between() == pytest.approx(0.5, abs=3 * (0.5 + MOST) / PRIOR)
    assert abs(learned(few).between() - 0.5) < abs(learned(days(gamma(0.1, 1), 2)).between() - 0.5)


@examples
@given(st.randoms(use_true_random=False), st.sampled_from([0.1, 2.0]))
def test_the_order_of_the_entities_can_not_show(random: object, variance: float) -> None:
    rows = days(gamma(variance, 8, 60), 9)
    order = np.arange(60)
    random.shuffle(order)  # type: ignore[attr-defined]
    assert learned([tuple(a[order] for a in row) for row in rows]).sums.tolist() == learned(rows).sums.tolist()


@examples
@given(st.lists(st.tuples(*[st.floats(0.0, 1e9)] * 4), min_size=1, max_size=20))
def test_whatever_the_counts_it_stays_in_its_range(rows: list[tuple[float, ...]]) -> None:
    levels = learned([tuple(np.array([r[i] for r in rows]) for i in range(4))] * 50)
    assert RANGE[0] <= levels.between() <= RANGE[1]
