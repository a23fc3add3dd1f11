"""What the calendar expects of a market: campaigns as a lift of volumes, and the usual shape of its week."""

from typing import NamedTuple

import numpy as np

from config.schema import Catalogue, Occasion
from detectors.base import Floats, Ints
from streams.entities import Population
from streams.market import DAY, HOUR, widened

GIVEN_EVENTS = 200.0  # events that a given lift is worth against what the campaign has shown
AGES = 0.5  # an occasion counts half as much as the next one of its name
CACHE_MAX = 1_024


class InForce(NamedTuple):
    market: int  # code
    name: int  # index
    lift: float  # as given


def calendar_of(catalogue: Catalogue, market: str) -> list[Occasion]:
    return catalogue.calendar.get(market, catalogue.calendar.get("default", []))


def in_force(catalogue: Catalogue, market: str, at: int) -> list[Occasion]:
    """The campaigns of a market at a time, in the order of the calendar."""
    return [occasion for occasion in calendar_of(catalogue, market) if occasion.start_ms <= at < occasion.end_ms]


class Campaigns:
    """How much more is sold, clicked or liked during each campaign: as given, then as seen."""

    def __init__(self, catalogue: Catalogue, people: Population) -> None:
        self.catalogue, self.people = catalogue, people
        self.names = sorted({occasion.name for calendar in catalogue.calendar.values() for occasion in calendar})
        self.past = np.zeros((2, len(self.names), 0))  # (2, n_names, n_markets) seen, and due without it; faded
        self.present = np.zeros((2, len(self.names), 0))  # the same of the occasion in force
        self._cache: dict[int, list[InForce]] = {}  # by hour
        self._days: dict[int, list[tuple[int, Occasion]]] = {}  # of the day that was asked last, (market, occasion)

    def widen(self, markets: int) -> None:
        self.past, self.present = widened(self.past, markets), widened(self.present, markets)
        self._cache.clear()
        self._days.clear()

    def inherit(self, other: "Campaigns") -> None:
        """What was learned of campaigns of the same names."""
        self.widen(other.past.shape[2])
        for mine, name in enumerate(self.names):
            if name in other.names:
                theirs = other.names.index(name)
                self.past[:, mine], self.present[:, mine] = other.past[:, theirs], other.present[:, theirs]

    def lift(self, at: int) -> Floats:
        """(n_markets,): what campaigns make of a usual volume at this time."""
        lift = np.ones(self.past.shape[2])
        for one in self._in_force(at):
            seen, due = self.past[:, one.name, one.market]
            lift[one.market] *= (seen + GIVEN_EVENTS * one.lift) / (due + GIVEN_EVENTS)
        return lift

    def learn(self, end: int, base: int, seen: Ints, due: Floats, scale: float) -> None:
        """The base pane that ends now: what was seen (fixed point), and what was due with the lift in it."""
        if not self.names:
            return
        lift, now = self.lift(end - base), self._in_force(end - base)
        for one in now:
            self.present[:, one.name, one.market] += seen[one.market] / scale, due[one.market] / lift[one.market]
        over = self.present[1] > 0
        for one in now:
            over[one.name, one.market] = False
        if over.any():
            self.past[:, over] = AGES * self.past[:, over] + self.present[:, over]
            self.present[:, over] = 0.0

    def _in_force(self, at: int) -> list[InForce]:
        hour = at // HOUR
        if hour not in self._cache:
            if len(self._cache) >= CACHE_MAX:
                self._cache.clear()
            self._cache[hour] = [
                InForce(code, self.names.index(occasion.name), occasion.lift)
                for code, occasion in self._of_day(at // DAY)
                if occasion.start_ms <= at < occasion.end_ms
            ]
        return self._cache[hour]

    def _of_day(self, day: int) -> list[tuple[int, Occasion]]:
        """The campaigns that are in force at some time of a day: a calendar has hundreds."""
        if day not in self._days:
            self._days.clear()
            self._days[day] = [
                (code, occasion)
                for market, code in self.people.markets.items()
                if code < self.past.shape[2]
                for occasion in calendar_of(self.catalogue, market)
                if occasion.start_ms < (day + 1) * DAY and occasion.end_ms > day * DAY
            ]
        return self._days[day]


def shape_of_week(catalogue: Catalogue, markets: list[str]) -> tuple[Floats, Floats]:
    """(24, n_markets) and (7, n_markets): activity by hour in UTC and by day from Monday, before any is seen."""
    hours, days = np.ones((24, len(markets))), np.ones((7, len(markets)))
    for code, name in enumerate(markets):
        market = catalogue.market(name)
        offset = round(catalogue.offsets.get(name, catalogue.offsets.get("default", 0)) / HOUR)
        if market.hours is not None:
            hours[:, code] = np.roll(np.array(market.hours), -offset)
        if market.days is not None:
            days[:, code] = market.days
    return hours * (24 / np.cumsum(hours, axis=0)[-1]), days * (7 / np.cumsum(days, axis=0)[-1])
