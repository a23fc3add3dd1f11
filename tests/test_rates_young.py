"""What a stream knows in its first days, and from whom newcomers learn what kind of a day it is."""

import msgspec
import numpy as np
import pytest

from config.schema import Catalogue, Severity
from streams.engine import Engine
from streams.rates import RateWatch
from tests.streamed import DAY, START, TOPIC, event, numbered, shipped

change = msgspec.structs.replace
PEOPLE = 20


def of(*names: str) -> Catalogue:
    """Some shipped signals that never alert, in a market without a calendar."""
    base = shipped()
    quiet = {
        name: change(s, tests=[change(t, severity=Severity(critical=1e6)) for t in s.tests], overrides=[])
        for name, s in base.signals.items()
        if name in names
    }
    return change(base, signals=quiet, markets={"default": base.markets["default"]}, groups={}, calendar={})


def fed(catalogue: Catalogue, rows: list[tuple[int, str, str, str]]) -> Engine:
    engine = Engine(catalogue, TOPIC, 0)
    engine.feed(numbered(event(name, kind, who, at) for at, name, kind, who in sorted(rows)))
    return engine


def watch(engine: Engine, signal: str, test: int = 0) -> RateWatch:
    found = engine.plan.watches[engine.plan.names.index(signal)][test]
    assert isinstance(found, RateWatch)
    return found


def conversions(days: int, share: float) -> list[tuple[int, str, str, str]]:
    """Of a creator's clicks and orders that share are orders, a little more for one and less for another."""
    rng, rows = np.random.default_rng(5), []
    for who in range(PEOPLE):
        at = START + rng.integers(0, days * DAY, days * 40)
        paid = rng.random(len(at)) < share * rng.uniform(0.9, 1.1)
        for i, (when, is_order) in enumerate(zip(at.tolist(), paid.tolist(), strict=True)):
            rows.append((when, f"{who}-{i}", "order.paid" if is_order else "product.clicked", f"c{who}"))
    return rows


def test_a_young_stream_takes_what_it_sees_for_usual() -> None:
    """A share of 0.45 is nine times the guess before anything is known; three days are enough to tell."""
    rate = watch(fed(of("conversion_outlier"), conversions(3, 0.45)), "conversion_outlier").peers.rate
    assert rate[-1] == pytest.approx(0.45, rel=0.12)


def test_what_was_guessed_before_the_stream_is_no_difference_between_its_creators() -> None:
    """Shares differ by 6 % from one creator to the next: a relative variance of .003."""
    levels = watch(fed(of("conversion_outlier"), conversions(9, 0.45)), "conversion_outlier").levels
    assert levels.sums[0] / levels.sums[1] < 0.02


def test_newcomers_take_their_day_from_a_test_of_all_creators_if_there_is_one() -> None:
    beside = fed(of("new_creator_velocity", "order_spike"), conversions(3, 0.45))
    everybody = watch(beside, "order_spike")
    assert watch(beside, "new_creator_velocity").crowd is everybody
    assert everybody.market_lift(START + 2 * DAY, DAY)[0] == pytest.approx(1.0, abs=0.2)
    assert watch(fed(of("new_creator_velocity"), []), "new_creator_velocity").crowd is None
