"""The calendar of a market: a campaign lifts what is expected of volumes, first as given and then as seen."""

import msgspec
import numpy as np
import pytest

from config.schema import Catalogue, Occasion
from detectors.base import Floats
from streams.calendar import GIVEN_EVENTS, Campaigns, in_force, shape_of_week
from streams.columns import Entities
from streams.engine import Engine
from streams.entities import Population
from streams.market import HOUR, SCALE, Week
from streams.rates import RateWatch
from tests.streamed import DAY, START, TOPIC, event, numbered, shipped

change = msgspec.structs.replace
SALE = Occasion(name="Sale", start_ms=START + 5 * DAY, end_ms=START + 6 * DAY, lift=3.0)
AGAIN = change(SALE, start_ms=START + 35 * DAY, end_ms=START + 36 * DAY)


def with_sales(*occasions: Occasion) -> Catalogue:
    return change(shipped(), calendar={"TH": list(occasions)})


def campaigns(*occasions: Occasion) -> Campaigns:
    people = Population(Entities())
    people.entities.settle(people.entities.slot("c", "TH"))
    learner = Campaigns(with_sales(*occasions), people)
    learner.widen(1)
    return learner


def lived(learner: Campaigns, first: int, hours: int, seen: float, usual: float) -> None:
    """So many hours of which so much was seen an hour, where so much would be usual on another day."""
    for end in range(first + HOUR, first + hours * HOUR + 1, HOUR):
        due: Floats = usual * learner.lift(end - HOUR)
        learner.learn(end, HOUR, np.array([round(seen * SCALE)]), due, SCALE)


def test_a_campaign_lifts_by_what_is_given_within_its_time_and_by_nothing_outside_of_it() -> None:
    learner = campaigns(SALE)
    times = [SALE.start_ms - 1, SALE.start_ms, SALE.end_ms - 1, SALE.end_ms]
    assert [learner.lift(at).tolist() for at in times] == [[1.0], [3.0], [3.0], [1.0]]


def test_what_an_occasion_has_shown_counts_for_the_next_of_its_name_and_not_for_itself() -> None:
    learner = campaigns(SALE, AGAIN)
    lived(learner, SALE.start_ms, 24, seen=500.0, usual=100.0)
    assert learner.lift(SALE.end_ms - 1)[0] == 3.0
    lived(learner, SALE.end_ms, 2, seen=100.0, usual=100.0)
    expected = (12_000.0 + GIVEN_EVENTS * 3.0) / (2_400.0 + GIVEN_EVENTS)
    assert learner.lift(AGAIN.start_ms)[0] == pytest.approx(expected)
    assert learner.lift(AGAIN.end_ms).tolist() == [1.0]


def test_a_later_configuration_keeps_what_campaigns_of_the_same_name_have_shown() -> None:
    before, after = campaigns(SALE, AGAIN), campaigns(AGAIN, change(AGAIN, name="Another"))
    lived(before, SALE.start_ms, 26, seen=500.0, usual=100.0)
    after.inherit(before)
    shown, given = before.lift(AGAIN.start_ms)[0], AGAIN.lift
    assert after.lift(AGAIN.start_ms)[0] == pytest.approx(shown * given)


def test_a_market_without_a_calendar_has_that_of_default() -> None:
    catalogue = change(shipped(), calendar={"default": [SALE]})
    assert [one.name for one in in_force(catalogue, "KR", SALE.start_ms)] == ["Sale"]
    assert in_force(catalogue, "KR", SALE.end_ms) == []


def test_the_engine_expects_more_orders_on_a_campaign_day_and_no_other_share_of_them() -> None:
    pairs = [
        event(f"{c}-{hour}", "order.paid", f"c{c}", START + hour * HOUR + c, actor_id=f"u{hour}")
        for hour in range(5 * 24 + 3)  # the first hour of the sale is over
        for c in range(6)
    ]
    signals = {name: shipped().signals[name] for name in ("order_spike", "brushing_concentration")}
    expected = {}
    for name, occasions in (("plain", ()), ("sale", (SALE,))):
        engine = Engine(change(with_sales(*occasions), signals=signals), TOPIC, 0)
        engine.feed(numbered(pairs))
        slots = np.array([engine.entities.slots["c1", "TH"]])
        end = SALE.start_ms + HOUR
        assert end <= engine.clock.closed < end + HOUR
        spike = engine.plan.watches[engine.plan.names.index("order_spike")][0]
        share = engine.plan.watches[engine.plan.names.index("brushing_concentration")][0]
        assert isinstance(spike, RateWatch)
        assert isinstance(share, RateWatch)
        hours = spike.hours.window(end, HOUR)[0]
        expected[name] = hours, float(share.observe(end, 0, slots).x.expected[0])
    assert expected["sale"][0] == pytest.approx(3.0 * expected["plain"][0], rel=0.01)
    assert expected["sale"][1] == pytest.approx(expected["plain"][1])


def test_a_week_begins_in_its_markets_shape_by_its_own_clock_and_ends_in_what_was_seen() -> None:
    hours = [2.0 if hour in (20, 21) else 0.5 for hour in range(24)]
    market = change(shipped().markets["TH"], hours=hours, days=[1.0] * 7)
    catalogue = change(shipped(), markets={**shipped().markets, "TH": market}, offsets={"TH": 7 * HOUR})
    week = Week(lambda: shape_of_week(catalogue, ["TH"]))
    week.widen(1)
    at_20 = week.profile(START + 14 * HOUR)[0]  # 13:00 to 14:00 in UTC is 20:00 to 21:00 there
    assert at_20 == pytest.approx(2.0 / (sum(hours) / 24))
    assert week.profile(START + 21 * HOUR)[0] == pytest.approx(0.5 / (sum(hours) / 24))
    for day in range(40):
        for hour in range(1, 25):
            week.learn(START + day * DAY + hour * HOUR, np.array([50.0]), np.array([50.0]))
    assert week.profile(START + 14 * HOUR)[0] == pytest.approx(1.0, abs=0.1)


def test_an_alerts_labels_name_the_campaign_in_force_beside_the_signals_own() -> None:
    engine = Engine(with_sales(SALE, change(SALE, name="Payday")), TOPIC, 0)
    engine.feed(numbered([event(c, "order.paid", f"c{c}", START + c) for c in range(4)]))
    slot, signal = engine.entities.slots["c1", "TH"], engine.plan.names.index("refund_rate")
    own = engine.plan.signals[signal].labels
    labels = [engine.writer._labels(signal, slot, "", end) for end in (SALE.start_ms, SALE.end_ms, SALE.end_ms + 1)]
    assert labels == [own, own | {"campaign": "Sale, Payday"}, own]
