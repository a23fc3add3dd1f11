"""The beginning of a surge is not learned at once: a level must not follow what it is there to judge."""

from functools import cache

import msgspec
import numpy as np

from config.schema import Catalogue, Delay, Severity
from detectors.base import Floats
from streams.engine import Engine
from streams.rates import HELD_DAYS, RateWatch
from tests.streamed import DAY, HOUR, MINUTE, START, TOPIC, event, numbered, shipped

BEGIN, DAYS = 13, 28  # of the surge, and of the stream


@cache
def silent() -> Catalogue:
    """Refunds come within about a day, and no score is an alert: an episode would be kept out by itself."""
    change = msgspec.structs.replace
    base = shipped()
    signal = base.signals["refund_rate"]
    quick = change(base.markets["default"], delays={"refund.approved": Delay(mean="1d")})
    mute = [change(test, severity=Severity(critical=1e6)) for test in signal.tests]
    return change(base, markets={"default": quick}, signals={"refund_rate": change(signal, tests=mute)})


@cache
def levels(times: int) -> Floats:
    """(days,) the hits that the first creator's level has learned by the end of each day.

    Of twelve orders a day every sixth is refunded a day later; from BEGIN on of the first one's `times` as many.
    """
    engine, offset, hits = Engine(silent(), TOPIC, 0), 0, []
    for day in range(DAYS):
        pairs = []
        for i in range(12):
            for who in range(8):
                at = START + day * DAY + 2 * i * HOUR + who * MINUTE
                pairs.append((at, event(f"{day}-{i}-{who}", "order.paid", f"c{who}", at)))
                often = times if who == 0 and day >= BEGIN else 1
                if day and (i + 5 * day + who) % 6 < often:
                    ref = {"ref_at": at - DAY}
                    pairs.append((at + 1, event(f"{day}-{i}-{who}r", "refund.approved", f"c{who}", at + 1, attrs=ref)))
        records = numbered((pair for _, pair in sorted(pairs)), offset)
        offset += len(records)
        engine.feed(records)
        watch = engine.plan.watches[0][0]
        assert isinstance(watch, RateWatch)
        hits.append(float(watch.level.hits[engine.entities.slot("c0", "TH")]))
    return np.array(hits)


def test_a_surge_is_not_learned_for_a_week_and_then_it_is() -> None:
    calm, surge = levels(1), levels(5)
    held = 3 + np.flatnonzero(np.diff(surge[3:]) == 0.0)  # three days in which levels are found
    assert len(held) == HELD_DAYS == 7
    assert BEGIN - 1 <= held[0] <= BEGIN
    assert np.diff(held).max() == 1  # in a row
    assert surge[BEGIN + 7] < calm[BEGIN + 7]
    assert surge[-1] > calm[-1]


def test_usual_days_are_learned_but_for_a_chance_one() -> None:
    assert (np.diff(levels(1))[2:] == 0.0).sum() <= 1
