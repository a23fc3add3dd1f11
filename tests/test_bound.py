"""The ideal reader (benchmarks/quality/bound.py): its ratios are fair, and its budget goes where it brings most."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks" / "quality"))
import bound
import bound_scan
from bound_scan import Channel, Template

UNITS, HOURS = 4_000, 96
FEW = [Template(((0, 12, 1.0),), 1.8, 0.5), Template(((0, 6, 1 / 3), (30, 6, 5 / 3)), 1.6, 0.5)]


def ratio_of(seen: np.ndarray, usual: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    channel = Channel(seen.astype(float), usual, usual)
    return bound_scan.scan([channel], FEW, lambda one: one.strength - 1.0, nodes)


@pytest.mark.parametrize("kind", ["refund_surge", "order_spike", "violation_burst", "newcomer_surge"])
def test_all_that_may_be_planted_has_its_share_and_no_more(kind: str) -> None:
    each = bound_scan.templates(kind)
    assert sum(one.prior for one in each) == pytest.approx(1.0)
    assert all(one.active_hours <= one.hours for one in each)


def test_without_episodes_the_ratio_is_one_on_average() -> None:
    """Whoever bets on it wins nothing: so what it says of an episode is no more than the events bear out."""
    rng = np.random.default_rng(5)
    usual = np.full((UNITS, HOURS), 0.15)
    ratio = ratio_of(rng.poisson(usual), usual, np.ones((1, UNITS)))[:, 40]
    assert ratio.mean() == pytest.approx(1.0, abs=5 * ratio.std() / np.sqrt(UNITS))


def test_rates_that_are_learned_are_as_fair_where_they_are_drawn_as_it_believes() -> None:
    rng = np.random.default_rng(6)
    mean, nodes = np.full((UNITS, HOURS), 0.15), np.array([0.5, 1.0, 2.0])
    own = rng.choice(nodes, UNITS)
    seen = rng.poisson(mean * own[:, None])
    parts = nodes[:, None] / own  # of each one's true rate
    usual = mean * own[:, None]
    ratio = ratio_of(seen, usual, parts)[:, 40]
    assert ratio.mean() == pytest.approx(1.0, abs=5 * ratio.std() / np.sqrt(UNITS))


def test_a_piece_that_is_no_episode_says_nothing() -> None:
    sums = bound_scan.summed(np.arange(6.0)[None, :])
    assert bound_scan.between(sums, 1, 2)[0].tolist() == [3.0, 5.0, 7.0, 9.0, 5.0, 0.0]


def test_the_budget_goes_where_it_brings_most() -> None:
    cheap = bound.Curve("cheap", [(1, 5.0), (1, 3.0), (2, 1.0), (2, 0.5)], np.array([2.0, 0.8]))
    dear = bound.Curve("dear", [(1, 9.0), (2, 0.9)], np.array([8.0, 7.0, 6.0, 5.0]))
    assert [cheap.recall(n) for n in range(3)] == [0.5, 0.75, 1.0]
    assert [dear.recall(n) for n in range(5)] == [0.5, 0.5, 0.5, 0.5, 1.0]
    assert bound.shared([cheap, dear], 2) == {"cheap": 2, "dear": 0}
    assert bound.shared([cheap, dear], 6) == {"cheap": 2, "dear": 4}
