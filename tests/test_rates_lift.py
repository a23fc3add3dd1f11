"""How a lift of the market enters a creator's own level: it comes on top of a rate, and thins it out below 1."""

from functools import cache

import numpy as np
import pytest

from config.schema import Outcome, Severity, Share
from detectors.base import observe
from streams.engine import Engine
from streams.rates import SHARE_MAX, Judged, RateWatch
from tests.streamed import DAY, START, TOPIC, event, numbered
from tests.test_series import catalogue, change

LIFTS = np.array([0.25, 0.5, 1.0, 1.5, 4.0])
N = len(LIFTS)


@cache
def watch_of(kind: str) -> RateWatch:
    """With five creators whose levels are three times their peers'."""
    base = catalogue(rate=[0])
    common = {"measure": "refunds", "of": "orders", "windows": ["24h by 1h"], "severity": Severity(warning=4.0)}
    test = Outcome(**common) if kind == "outcome" else Share(**common)
    signals = {"rate": change(base.signals["rate"], tests=[test])}
    engine = Engine(change(base, signals=signals), TOPIC, 0)
    engine.feed(numbered([event(i, "order.paid", f"c{i}", START + i) for i in range(N)]))
    watch = engine.plan.watches[0][0]
    assert isinstance(watch, RateWatch)
    for name, value in {"hits": 30.0, "mass": 10.0, "trials": 100.0}.items():
        if hasattr(watch.level, name):
            getattr(watch.level, name)[:N] = value
    return watch


def judged(lift: np.ndarray, rate: float = 0.1) -> Judged:
    exposure = np.full(N, 100.0)
    x = observe(np.zeros(N), exposure=exposure, expected=exposure * rate * lift, time=START + DAY)
    return Judged(np.arange(N), x, np.full(N, rate), lift, np.zeros(N))


def test_without_a_lift_the_memory_stays_as_it_is() -> None:
    for kind in ("outcome", "share"):
        watch = watch_of(kind)
        memory = watch.lifted(judged(np.ones(N)))
        assert memory.hits.tolist() == pytest.approx([30.0] * N)


def test_a_lift_of_an_outcome_adds_as_much_to_each_and_a_fall_multiplies() -> None:
    """Own level 3 times the peers': at 4 times the market's usual it has 3 + 3 of theirs, not 12."""
    memory = watch_of("outcome").lifted(judged(LIFTS))
    times = memory.hits / memory.mass * LIFTS  # of what a peer usually has
    assert times.tolist() == pytest.approx([3 * 0.25, 3 * 0.5, 3.0, 3.0 + 0.5, 3.0 + 3.0])


def test_a_lift_of_a_share_adds_as_much_to_each_and_a_fall_multiplies() -> None:
    memory = watch_of("share").lifted(judged(LIFTS))
    share = memory.hits / memory.trials
    assert share.tolist() == pytest.approx([0.3 * 0.25, 0.3 * 0.5, 0.3, 0.3 + 0.05, 0.3 + 0.3])


def test_no_lift_makes_a_share_more_than_nearly_all() -> None:
    memory = watch_of("share").lifted(judged(np.full(N, 30.0)))
    assert (memory.hits / memory.trials).tolist() == pytest.approx([SHARE_MAX] * N)


def test_the_memory_itself_is_not_touched() -> None:
    for kind in ("outcome", "share"):
        watch = watch_of(kind)
        before = [a.copy() for a in watch.level]
        watch.lifted(judged(LIFTS))
        for one, other in zip(before, watch.level, strict=True):
            np.testing.assert_array_equal(one, other)
