"""Sums: what is added of an event, and how much of it weighs like one event."""

import numpy as np
from msgspec import UNSET

from config.schema import Catalogue, Sum
from detectors.base import Floats, Ints
from streams.entities import Population
from streams.records import Event

CENTS = 100  # rings hold hundredths of a currency's major unit
MOST = 10**13  # of one event: an absurd amount must not overflow a sum


def amount_of(event: Event, sum_: Sum, currency: str) -> int:
    """What an event adds to a ring; nothing where it doesn't say it, or in another currency."""
    if sum_.of == "amount":
        if event.amount is UNSET or (event.currency is not UNSET and event.currency != currency):
            return 0
        return min(round(event.amount * CENTS), MOST)
    attrs = {} if event.attrs is UNSET else event.attrs
    value = _number(attrs.get(sum_.of)) - (_number(attrs.get(sum_.less)) if sum_.less else 0.0)
    return round(min(max(value, 0.0), MOST))


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    return float(min(max(value, -MOST), MOST))  # JSON has whole numbers that no float can hold


class Units:
    """Turns what a ring holds into what detectors see: about as much as one event is 1."""

    def __init__(self, sum_: Sum | None, catalogue: Catalogue, people: Population) -> None:
        self.money = sum_ is not None and sum_.of == "amount"
        self.plain = sum_ is None
        self._sum, self._catalogue, self._people = sum_, catalogue, people
        self._per: dict[int, float] = {}  # by market code

    def per(self, market: Ints) -> Floats:
        """How much of the ring's units is one, for entities of these markets."""  # (n,)
        codes = list(self._people.markets)
        for code in range(len(self._per), len(codes)):
            self._per[code] = self._of_market(codes[code])
        known = np.array([self._per[code] for code in range(len(codes))] or [1.0])
        per: Floats = known[market]
        return per

    def _of_market(self, market: str) -> float:
        if self._sum is None:
            return 1.0
        return self._sum.per * (CENTS * self._catalogue.market(market).money_unit if self.money else 1.0)

    def of(self, raw: Ints, slot: Ints) -> Floats:
        """(n,): what these entities' sums are worth."""
        if self.plain:
            return raw.astype(np.float64)
        worth: Floats = raw / self.per(self._people.market_of[slot])
        return worth

    def total(self, worth: float, market: str) -> float:
        """The sum as a person reads it: money in major units, anything else as it was counted."""
        return worth * self._of_market(market) / (CENTS if self.money else 1)
