"""The small markets in which stories happen: their clock, their days, and what befalls everybody in them.

A story's times are its own: hour 0 of a day is seven in the morning, in whatever market it is told.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from detectors.base import Floats

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_767_571_200_000  # Monday 2026-01-05T00:00Z: seven in Bangkok

SHAPE = 0.25 + np.exp(-0.5 * ((np.arange(24) - 13.0) / 3.5) ** 2)  # of a day from seven on: busiest in the evening
SHAPE /= SHAPE.mean()


class Place(NamedTuple):
    """A market that stories are told in."""

    later: int  # ms, by which seven in the morning comes later than in Bangkok
    price: float  # of an order, on average
    categories: tuple[str, str]
    seed: int  # a market in which nobody else stands out: how often one does is the null run's question


PLACES = {
    "TH": Place(0, 350.0, ("beauty", "fashion"), 11),
    "US": Place(12 * HOUR, 25.0, ("electronics", "home"), 11),
}

Befalls = tuple[float, float, float]  # from an hour of the day that counts, for so many hours, times the usual


class World(NamedTuple):
    """Some days of a market."""

    days: int = 15
    day: int = 10  # on which things happen
    creators: int = 22  # ordinary ones
    befalls: tuple[tuple[str, Befalls], ...] = ()  # everybody: by what is lifted
    sweep: bool = False  # moderation confirms a violation of everybody

    @property
    def hours(self) -> int:
        return self.days * 24

    def at(self, hours: float) -> int:
        """A time, in hours from the beginning of the day on which things happen."""
        return START + self.day * DAY + round(hours * HOUR)

    def during(self, first: float, hours: float, times: float) -> Floats:
        """(hours,): so many times the usual, from an hour on; 1 elsewhere."""
        lift = np.ones(self.hours)
        begin = max(self.day * 24 + round(first), 0)
        lift[begin : max(begin, self.day * 24 + round(first + hours))] = times
        return lift

    def lift(self, what: str) -> Floats:
        """(hours,): what befalls everybody."""
        return _lift(self, what)


@cache
def _lift(world: World, what: str) -> Floats:
    lift = np.ones(world.hours)
    for name, befalls in world.befalls:
        if name == what:
            lift *= world.during(*befalls)
    return lift


CAMPAIGN: tuple[tuple[str, Befalls], ...] = (
    ("orders", (0, 24, 4.0)), ("likes", (0, 24, 2.5)), ("clicks", (0, 24, 0.75)), ("subsidies", (0, 24, 2.0)),
)  # fmt: skip
TROUBLE: tuple[tuple[str, Befalls], ...] = (
    ("complaints", (0, 72, 4.0)), ("low stars", (0, 72, 3.0)), ("late", (0, 72, 9.0)),  # a carrier's strike
    ("cancellations", (0, 24, 5.0)), ("disputes", (-72, 72, 5.0)),  # a payment provider that is broken
    ("flags", (0, 8, 150.0)), ("reports", (0, 12, 100.0)),  # a sweep of moderation; a topic that upsets
    ("reminders", (0, 12, 1.2)), ("idle samples", (-384, 96, 6.0)),
)  # fmt: skip
WORLDS = {
    "plain": World(),
    "campaign": World(befalls=CAMPAIGN, sweep=True),
    "trouble": World(befalls=TROUBLE),
    "long": World(days=40, day=30, creators=14),  # for what comes weeks later
    "long campaign": World(days=40, day=30, creators=14, befalls=CAMPAIGN, sweep=True),
    "long trouble": World(days=40, day=30, creators=14, befalls=TROUBLE),
}
