"""Sums: what an event adds, and how much of it weighs like one event."""

import msgspec
import numpy as np
import pytest

from config.schema import Sum
from streams.columns import Entities
from streams.entities import Population
from streams.money import MOST, Units, amount_of
from streams.records import decode_event
from tests.streamed import START, event, shipped

MONEY, TALK = Sum(of="amount", per=2.0), Sum(of="viewers", less="logged_in_viewers", per=5.0)


def adds(sum_: Sum, **fields: object) -> int:
    return amount_of(decode_event(*event(1, "live.minute", "c", START, **fields)), sum_, "THB")


@pytest.mark.parametrize(
    ("fields", "cents"),
    [
        ({"amount": 12.34}, 1234),
        ({"amount": 12.34, "currency": "THB"}, 1234),
        ({"amount": 12.34, "currency": "USD"}, 0),
        ({}, 0),
        ({"amount": 1e12}, MOST),
    ],
)
def test_money_is_counted_in_hundredths_of_the_markets_own_currency(fields: dict[str, object], cents: int) -> None:
    assert adds(MONEY, **fields) == cents


@pytest.mark.parametrize(
    ("attrs", "whole"),
    [
        ({"viewers": 90, "logged_in_viewers": 30}, 60),
        ({"viewers": 30, "logged_in_viewers": 90}, 0),
        ({"viewers": 10.6}, 11),
        ({"viewers": "many"}, 0),
        ({"viewers": True}, 0),
        ({"viewers": int("9" * 400)}, MOST),
    ],
)
def test_an_attribute_adds_what_is_left_of_it_and_never_less_than_nothing(attrs: dict[str, object], whole: int) -> None:
    assert adds(TALK, attrs=attrs) == whole


def test_a_sum_weighs_by_the_money_unit_of_its_market_and_reads_in_major_units() -> None:
    people = Population(Entities())
    slots = np.array([people.entities.slot("c", market) for market in ("TH", "ID")])
    for slot in slots.tolist():
        people.entities.settle(slot)
    units = Units(MONEY, shipped(), people)
    raw = np.array([100_000, 100_000])
    per = [2.0 * 100 * shipped().market(market).money_unit for market in ("TH", "ID")]
    assert units.of(raw, slots).tolist() == [100_000 / per[0], 100_000 / per[1]]
    assert units.total(float(units.of(raw, slots)[0]), "TH") == pytest.approx(1_000.0)
    plain = Units(None, shipped(), people)
    assert plain.of(raw, slots).tolist() == [100_000.0, 100_000.0]


def test_no_market_has_a_money_unit_that_makes_an_event_weigh_like_nothing_or_like_a_thousand() -> None:
    dollars = {"THB": 35, "IDR": 16_000, "VND": 25_000, "SGD": 1.3, "MYR": 4.5, "PHP": 58, "USD": 1, "GBP": 0.8}
    for code, market in shipped().markets.items():
        assert 0.05 <= market.money_unit / dollars[market.currency] <= 0.2, code
    assert msgspec.structs.asdict(MONEY)["per"] == 2.0
