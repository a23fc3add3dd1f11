"""When outcomes are due: windows that add up, curves that are learned, and orders from before the stream."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from config.schema import Delay
from detectors.base import Floats
from streams.columns import Entities
from streams.delays import NEVER, OUTCOME_DAYS, Delays
from streams.entities import Population
from streams.market import DAY, HOUR, SCALE
from streams.rates import RateWatch
from streams.windows import Ring
from tests.streamed import MINUTE, START, event, numbered, run, shipped

QUARTER = HOUR // 4
AGES = np.arange(OUTCOME_DAYS)
fixed = settings(max_examples=60, derandomize=True, deadline=None)


def delays(**means: str) -> Delays:
    """One entity for each market, in the order of the markets."""
    people = Population(Entities())
    for slot, market in enumerate(means or {"TH": "5d"}):
        assert people.entities.settle(people.entities.slot("c", market)) == slot
    learner = Delays({"default": Delay(mean="5d")} | {m: Delay(mean=mean) for m, mean in means.items()}, people)
    learner.widen(len(people.markets))
    return learner


def mean_age(learner: Delays) -> float:
    return float((learner.curve()[:, 0] * AGES).sum())


def arrive(learner: Delays, time: np.ndarray, ref_at: np.ndarray) -> np.ndarray:
    """Outcomes of the first entity, each worth one."""
    return learner.arrive(time, ref_at, np.zeros(len(time), dtype=np.int64), np.ones(len(time)))


def lived(days: int, *, mean: float, says: float = 1.0, due: int = 600, seed: int = 1) -> Delays:
    """A market of `due` outcomes for each day's orders, that come after `mean` days and not after 5 as configured."""
    rng, learner = np.random.default_rng(seed), delays()
    curve = true_curve(mean)
    for day in range(days):
        start = day * DAY
        age = np.repeat(AGES[: day + 1], rng.poisson(due * curve[: day + 1]))
        placed = np.where(rng.random(len(age)) < says, start - age * DAY, NEVER)
        arrive(learner, np.full(len(age), start + HOUR), placed)
        learner.take_in(start + DAY, DAY, np.array([0]), np.array([round(due * SCALE)]))
    return learner


def true_curve(mean: float) -> Floats:
    """By calendar day, of orders at any time of their day."""
    hours = np.arange(24) / 24
    reached = stats.gamma.cdf((AGES[:, None] + 1 - hours), 2.0, scale=mean / 2.0).mean(axis=1)
    share: Floats = np.diff(reached, prepend=0.0)
    return share / share.sum()


@fixed
@given(st.integers(0, 96), st.integers(1, 8 * 96), st.integers(1, 8 * 96))
def test_what_is_due_in_consecutive_windows_adds_up(at: int, newer: int, older: int) -> None:
    learner = delays(TH="2d", ID="9d")
    end = 100 * DAY + at * QUARTER
    middle = end - newer * QUARTER
    before = (end - 1) // DAY - (middle - 1) // DAY  # days by which the older window's orders are younger
    both = learner.weights(end, newer * QUARTER).copy()
    both[before:] += learner.weights(middle, older * QUARTER)[: OUTCOME_DAYS - before]
    np.testing.assert_allclose(both, learner.weights(end, (newer + older) * QUARTER), atol=1e-12)


@fixed
@given(st.integers(1, 12 * 96), st.integers(1, 8 * 96))
def test_of_steady_orders_as_much_is_due_as_the_window_is_long(at: int, size: int) -> None:
    weights = delays().weights(100 * DAY + at * QUARTER, size * QUARTER)
    assert weights.sum() == pytest.approx(size * QUARTER / DAY, rel=1e-4)


@pytest.mark.parametrize("hop", [HOUR, DAY])
def test_each_order_brings_its_outcome_once(hop: int) -> None:
    learner = delays()
    learner.people.born[0], learner.started = DAY, DAY
    ring = Ring(DAY, OUTCOME_DAYS + 3, learner.people.capacity)
    for day in (1, 3):
        ring.open_until((day + 1) * DAY)
        ring.add(np.full(7, day * DAY), np.zeros(7, dtype=np.int64))
    ends = range(DAY + hop, (3 + OUTCOME_DAYS) * DAY + 1, hop)
    due = []
    for end in ends:
        ring.open_until(end)
        due.append(learner.exposure(end, hop, np.array([0]), ring)[0])
    assert sum(due) == pytest.approx(14.0, rel=1e-3)
    assert np.argmax(due) * hop / DAY == pytest.approx(4.0, abs=2.0)


@fixed
@given(st.integers(1, 60), st.sampled_from([1.0, 4.0, 15.0]), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 500))
def test_a_curve_sums_to_one_whatever_was_learned(days: int, mean: float, says: float, due: int) -> None:
    curve = lived(days, mean=mean, says=says, due=due).curve()
    assert curve.sum() == pytest.approx(1.0)
    assert (curve >= 0.0).all()


@pytest.mark.parametrize("mean", [2.0, 9.0])
def test_the_true_delays_are_learned(mean: float) -> None:
    def off(learner: Delays) -> float:
        return float(np.abs(learner.curve()[:, 0] - true_curve(mean)).sum() / 2)

    young, old = lived(10, mean=mean), lived(80, mean=mean)
    assert off(delays()) > 0.3
    assert off(young) < 0.8 * off(delays())
    assert off(old) < 0.03


def test_a_market_learns_only_from_its_own_outcomes() -> None:
    learner = delays(TH="5d", ID="5d")
    before = learner.curve()[:, 1].copy()
    learner.started = DAY
    arrive(learner, np.full(500, DAY + HOUR), np.full(500, DAY))
    learner.take_in(2 * DAY, DAY, np.array([0]), np.array([round(500 * SCALE)]))
    assert mean_age(learner) < 4.0
    np.testing.assert_array_equal(learner.curve()[:, 1], before)


@pytest.mark.parametrize("says", [0.0, 0.5])
def test_where_outcomes_dont_say_when_their_orders_were_placed_the_configured_curve_stands(says: float) -> None:
    for days in (5, 10, 20, 60):
        assert mean_age(lived(days, mean=5.0, says=says)) == pytest.approx(mean_age(delays()), abs=0.4)


def arrived(learner: Delays, ref_at: list[int], time: int = 50 * DAY) -> list[bool]:
    n = len(ref_at)
    return arrive(learner, np.full(n, time), np.array(ref_at, dtype=np.int64)).tolist()


def over(learner: Delays) -> None:
    """Day 50 is."""
    learner.take_in(51 * DAY, DAY, np.array([0]), np.array([0]))


def test_outcomes_of_orders_from_before_the_stream_are_left_out_and_not_learned_from() -> None:
    learner = delays()
    learner.started = 48 * DAY
    early, late = 48 * DAY - 1, 48 * DAY
    assert arrived(learner, [early, late, 0, 50 * DAY - 1]) == [False, True, False, True]
    assert (learner.came[:, 0] / SCALE).tolist() == [0, 1, 1] + [0] * (OUTCOME_DAYS - 3)


def test_an_outcome_before_the_first_pane_is_over_counts_only_if_its_order_is_of_the_same_hour() -> None:
    hour = 50 * DAY + 7 * HOUR
    assert arrived(delays(), [hour - 1, hour, hour + 60_000], hour + 120_000) == [False, True, True]


@fixed
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_early_orders_are_left_out_except_where_many_outcomes_dont_say_when(early: int, ours: int, mute: int) -> None:
    learner, ref_at = delays(), [0] * early + [49 * DAY] * ours + [NEVER] * mute
    learner.started = 48 * DAY
    assert arrived(learner, ref_at) == [False] * early + [True] * (ours + mute)
    over(learner)  # only a whole day decides, so that no batch can
    vague = mute > 0.05 * len(ref_at)
    assert arrived(learner, ref_at) == [vague] * early + [True] * (ours + mute)


@fixed
@given(st.lists(st.sampled_from([0, 49 * DAY, NEVER]), max_size=40), st.sets(st.integers(1, 39)))
def test_however_outcomes_are_batched_the_same_ones_count(ref_at: list[int], cuts: set[int]) -> None:
    whole, parts, counts = delays(), delays(), []
    whole.started = parts.started = 48 * DAY
    for first, after in pairwise([0, *sorted(c for c in cuts if c < len(ref_at)), len(ref_at)]):
        counts += arrived(parts, ref_at[first:after])
    assert counts == arrived(whole, ref_at)
    for learner in (parts, whole):
        over(learner)
    assert parts.curve().tolist() == whole.curve().tolist()


def test_an_outcome_of_an_early_order_is_no_event_of_its_test_and_is_told_to_the_metrics() -> None:
    pairs = []
    for i in range(60):
        at = START + i * 5 * MINUTE
        ref = {"ref_at": START - DAY if i % 3 else at}
        pairs.append(event(i, "order.paid", f"c{i % 5}", at))
        pairs.append(event(f"{i}r", "refund.approved", f"c{i % 5}", at + 1, attrs=ref))
    engine, _ = run(numbered(pairs), shipped())
    watch = engine.plan.watches[engine.plan.names.index("refund_rate")][0]
    assert isinstance(watch, RateWatch)
    assert sum(int(watch.rings[HOUR].cells[:, slot].sum()) for slot in range(5)) == 20
    assert engine.counts["early_order", "refund.approved"] == 40


def test_who_was_there_before_the_stream_is_owed_more_only_where_outcomes_dont_say_when() -> None:
    def exposed(ref_at: int) -> tuple[float, float]:
        learner = delays(TH="5d")
        people = learner.people
        people.entities.settle(people.entities.slot("newcomer", "TH"))
        learner.started = 50 * DAY
        people.born[:2] = [50 * DAY, 52 * DAY]
        ring = Ring(DAY, OUTCOME_DAYS + 3, people.capacity)
        ring.open_until(53 * DAY)
        ring.add(np.full(2, 52 * DAY), np.array([0, 1]))
        arrived(learner, [ref_at] * 10)
        over(learner)
        old, new = learner.exposure(54 * DAY, DAY, np.array([0, 1]), ring).tolist()
        return old, new

    old, new = exposed(0)
    assert old == new
    mute_old, mute_new = exposed(NEVER)
    assert mute_new == new
    assert mute_old > 1.5 * mute_new


def test_a_stream_knows_ever_more_of_the_orders_behind_its_outcomes() -> None:
    learner = delays(TH="2d", ID="9d")
    learner.started = 10 * DAY + 5 * HOUR
    known = np.array([learner.known(10 * DAY + hour * HOUR, DAY) for hour in range(24, 24 * 60, 24)])
    assert (np.diff(known, axis=0) >= 0.0).all()
    assert (known[:8, 0] > known[:8, 1]).all()  # slower outcomes are of older orders
    assert known[0].max() < 0.2
    np.testing.assert_allclose(known[OUTCOME_DAYS:], 1.0)
    assert not learner.tells(11 * DAY).any()
    assert learner.tells(10 * DAY + OUTCOME_DAYS * DAY).all()
    assert not learner.settled(10 * DAY + OUTCOME_DAYS * DAY)
    assert learner.settled(11 * DAY + OUTCOME_DAYS * DAY)
