"""The strangers' market: its numbers, its creators and their habits, its shocks, and the rows that come out of it."""

from bisect import bisect_left
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

START_MS, HOUR_MS = 1_761_955_200_000, 3_600_000  # Saturday 1 November 2025
CAMPAIGN, HISTORY = 10, 14  # the day of 11.11; days of orders before the stream
MARKETS = {"ID": (0.4, 7, 1), "TH": (0.25, 7, 1), "PH": (0.2, 8, 1), "US": (0.15, -6, 0.2)}  # part, UTC+, campaign
CATEGORIES = {"fashion": 1.5, "beauty": 0.9, "electronics": 1.1, "food": 0.5}  # refunds against the mean
DAY_CURVE = np.array([3, 2, 1, 1, 1, 2, 3, 5, 6, 7, 8, 9, 10, 9, 8, 8, 8, 8, 9, 11, 13, 13, 10, 6]) / 161 * 24
Random = np.random.Generator


class Variant(NamedTuple):
    volume: float = 1.0
    day_sd: float = 0.35  # stationary, of the AR(1) in logs
    hour_shape: float = 8.0  # of the gamma noise of each hour
    live: float = 0.5  # part of creators that go live
    live_share: tuple[float, float] = (0.3, 0.8)  # of their orders
    live_sd: float = 0.5  # one session against another, in logs
    fast: float = 0.3  # part of refunds that are decided within hours
    slow: float = 1.0  # the others' delay against a median of 5 days
    history: int = HISTORY
    ref_at: bool = True


VARIANTS = {
    "base": Variant(),
    "bursty": Variant(live=0.8, live_share=(0.6, 0.95), live_sd=0.9),
    "lowvolume": Variant(volume=0.3),
    "heavy": Variant(day_sd=0.7, hour_shape=2.0),
    "slow-refunds": Variant(fast=0.1, slow=1.8),
    "nolive": Variant(live=0.0),
    "cold": Variant(history=0),  # nobody sold before the stream began
    "noref": Variant(ref_at=False),
}


class Spec(NamedTuple):
    seed: int
    variant: str
    null: bool
    creators: int
    days: int
    volume: float
    shards: int
    out: Path | None = None


class Order(NamedTuple):
    at: float  # hours from the stream's start
    id: str
    buyer: str
    amount: float


class Row(NamedTuple):
    arrives: float  # hours from the stream's start
    key: bytes
    value: bytes
    copies: int


class Live(NamedTuple):
    """One live session: the rows of its minutes."""

    at: float
    minutes: list[int]


class Habits:
    """What a creator and its buyers are like: mixtures, since a few are always unlike all the others."""

    def __init__(self, rng: Random) -> None:
        def odd(part: float, low: float, high: float, usual: float) -> float:
            return float(rng.uniform(low, high) if rng.random() < part else usual)

        self.cancel = odd(0.03, 0.08, 0.14, rng.beta(2, 55))
        self.late = odd(0.05, 0.15, 0.35, rng.beta(1.3, 40))  # one in twenty always ships late
        self.review = odd(0.05, 0.2, 0.35, 0.08 * rng.gamma(2, 0.5))
        self.low_stars = odd(0.03, 0.15, 0.25, rng.beta(1.5, 25))
        self.asks = odd(0.06, 1, 3, 0)  # how often it asks its buyers for reviews, in the whole time
        self.fakes = odd(0.03, 0.3, 0.5, 0.04)  # part of its complaints; some sell what looks like a brand's
        self.chargeback = min(0.0025 * rng.lognormal(-0.5, 1.0), 0.012)
        self.seller_fault = rng.beta(3, 4)
        self.regular = odd(0.05, 0.4, 0.7, rng.uniform(0.02, 0.2))  # part of the orders that its regulars make
        self.regulars = int(rng.integers(15, 60) if self.regular > 0.3 else rng.integers(80, 1500))
        self.subsidised = odd(0.04, 0.5, 0.8, rng.beta(2, 10))
        self.clicks = float(np.clip(rng.lognormal(np.log(4.5), 0.5), 1.5, 20))  # before each order
        self.browse = float(np.clip(rng.lognormal(np.log(1.5), 0.8), 0.2, 10))  # and of those who buy nothing
        self.commission = 0.0 if rng.random() < 0.1 else rng.uniform(0.04, 0.2)  # some sell what is their own
        self.logged_in = odd(0.06, 0.2, 0.4, rng.beta(14, 5))  # of those who watch live; some have many guests
        self.comments = float(np.clip(rng.lognormal(np.log(0.06), 0.6), 0.01, 0.35))  # commenters per viewer
        self.crowd = rng.lognormal(0, 0.6)
        self.reports = min(0.01 * (1 + rng.pareto(1.1)), 0.6)  # a day
        self.flags = odd(0.03, 0.1, 0.35, rng.choice([0.0, 0.01], p=[0.7, 0.3]))  # a day
        self.samples = rng.gamma(1.5, 0.25) if rng.random() < 0.4 else 0.0  # a day
        self.posts = rng.uniform(0.86, 1.0)  # part of the samples that it shows
        self.post_days = odd(0.08, 9, 12, rng.uniform(2, 7))  # how long that takes it


class Unit:
    """A creator in one market."""

    def __init__(self, rng: Random, number: int, market: str, v: Variant, volume: float, days: int) -> None:
        self.id, self.market, self.offset = f"cr_{number:05d}", market, MARKETS[market][1]
        self.categories = rng.permutation(list(CATEGORIES)).tolist()[: 2 if rng.random() < 0.1 else 1]
        rate = min(3.0 * (1 + rng.pareto(1.3)), 300.0)
        self.join = rng.uniform(1, 18) * 24 if rng.random() < 0.1 else -1e9
        if self.join > 0:
            rate = min(rate, 12.0)  # nobody is known on the first day
        self.engagement = min(8 * (rate / 3) ** 0.5 * rng.lognormal(0, 0.9), 400.0) * volume
        self.rate = rate * volume  # orders a day
        self.refund = rng.beta(2, 31) * CATEGORIES[self.categories[0]]
        if rng.random() < 0.03:
            self.refund = rng.uniform(0.15, 0.22)
        self.complaint = 0.008 * rng.gamma(1.5, 1 / 1.5)
        self.low_trust = rng.uniform(0.2, 0.35) if rng.random() < 0.05 else rng.beta(1.2, 18)
        self.habits = Habits(rng)
        self.phase, self.days, self.history = rng.normal(0, 1.5), days, v.history
        self.orders: list[Order] = []
        self.times: list[float] = []  # of the orders of everyday life
        self.refunded: set[str] = set()
        self.cancelled: set[str] = set()
        self.shipped: dict[str, int] = {}  # order -> row, of those shipped in time
        self.earned: list[tuple[float, Order]] = []  # commissions that nobody has taken back
        self.lives: list[Live] = []
        self.factor, self.weekday = self._days(rng, v, days, MARKETS[market][2])
        self.live_share = rng.uniform(*v.live_share) if rng.random() < v.live else 0.0
        self.live_days = rng.permutation(7)[: rng.integers(1, 7)]
        self.live_hour = rng.choice([12, 19, 20, 21]) + rng.normal()

    def _days(self, rng: Random, v: Variant, days: int, campaign: float) -> tuple[Any, Any]:
        """Each day against the mean one: an AR(1) with drift, own weekends, idle days, holidays, the campaign."""
        n = v.history + days + 2
        shock, logs = rng.normal(0, v.day_sd, n), np.zeros(n)
        for i in range(n):
            logs[i] = 0.6 * logs[i - 1] + 0.8 * shock[i] if i else shock[i]
        weekday = (np.arange(n) - v.history + 5) % 7  # the stream begins on a Saturday
        factor = np.exp(logs - v.day_sd**2 / 2 + rng.normal(0, 0.015) * np.arange(n))
        factor *= np.where(weekday >= 5, rng.lognormal(0, 0.3), 1.0)
        idle = rng.random(n) < rng.beta(1, 9)
        if rng.random() < 0.1:
            at = rng.integers(0, n)
            idle[at : at + rng.integers(3, 8)] = True
        factor[idle] *= rng.choice([0.0, 0.1], idle.sum())
        lift = max(rng.lognormal(np.log(2.2), 0.5), 1.0) if rng.random() < 0.7 else rng.uniform(1, 1.3)
        if days > CAMPAIGN:
            factor[v.history + CAMPAIGN] *= 1 + (lift - 1) * campaign
        return factor, weekday

    def day(self, hour: Any) -> Any:
        """The local day's place in `factor`."""
        day = np.floor((np.asarray(hour) + self.offset) / 24).astype(int) + self.history
        return np.clip(day, 0, len(self.factor) - 1)

    def between(self, first: float, last: float) -> list[Order]:
        """Orders of everyday life from `first` to `last`."""
        return self.orders[bisect_left(self.times, first) : bisect_left(self.times, last)]

    def level(self, at: float) -> float:
        """Orders a day in the week before."""
        return len(self.between(at - 168, at)) / 7


class Shock(NamedTuple):
    market: str
    at: float
    end: float

    def hits(self, market: str, hour: float) -> bool:
        return market == self.market and self.at <= hour < self.end


class World:
    """Everybody's rows, and whatever happens to a whole market."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.v, self.hours = spec, VARIANTS[spec.variant], spec.days * 24
        self.rows: list[Row] = []
        self.replaced: list[tuple[int, Row]] = []  # what stood there before, newest last
        self.turn(0)
        names, volume = list(MARKETS), spec.volume * self.v.volume
        self.mood = {m: np.exp(self.rng.normal(0, 0.1, HISTORY + spec.days + 2)) for m in names}
        self.strike = self.shock(48, 48)  # of a carrier
        self.outage = self.shock(8, 20)  # of whoever takes the payments
        self.reminder = self.shock(24, 24)  # everybody is asked for reviews at once
        self.sweep = self.shock(6, 12)  # old content is looked at again
        self.turn(1)
        home = self.rng.choice(len(names), spec.creators, p=[part for part, _, _ in MARKETS.values()])
        self.units = [Unit(self.rng, i, names[m], self.v, volume, spec.days) for i, m in enumerate(home)]
        abroad = [i for i in range(spec.creators) if self.rng.random() < 0.04]
        self.abroad = [Unit(self.rng, i, names[home[i] - 1], self.v, 0.3 * volume, spec.days) for i in abroad]

    def turn(self, page: int) -> None:
        """Another page of chance, so that what is added to one part of life leaves the other parts as they were."""
        self.rng = np.random.default_rng([self.spec.seed, page])

    def shock(self, shortest: float, longest: float) -> Shock:
        at = self.rng.uniform(0.15, 0.85) * self.hours
        return Shock(list(MARKETS)[self.rng.integers(len(MARKETS))], at, at + self.rng.uniform(shortest, longest))

    def put(self, u: Unit, kind: str, hour: float, attrs: dict[str, Any] | None = None, **more: Any) -> bool:
        """One event, where it falls into the stream; a field that is None is left out."""
        if not max(0.0, u.join) <= hour < self.hours:
            return False
        event = {"event_id": f"e{len(self.rows)}", "type": kind, "creator_id": u.id, "market": u.market,
                 "occurred_at": START_MS + int(hour * HOUR_MS)}  # fmt: skip
        event |= {name: value for name, value in more.items() if value is not None}
        if attrs:
            event["attrs"] = attrs
        chance, wait = self.rng.random(), 0.0
        if chance < 0.02 or chance > 0.9995:
            wait = self.rng.exponential(1 / 60) if chance < 0.02 else self.rng.uniform(1, 6)
        copies = 2 if 0.5 < chance < 0.501 else 1
        self.rows.append(Row(hour + wait, u.id.encode(), msgspec.json.encode(event), copies))
        return True

    def change(self, place: int, later: float = 0.0, **attrs: Any) -> float | None:
        """Another event in a row's place, `later` hours later: when it now is, or None if that is past the end."""
        row = self.rows[place]
        event = msgspec.json.decode(row.value)
        at = float((event["occurred_at"] - START_MS) / HOUR_MS + later)
        if at >= self.hours:
            return None
        event |= {"occurred_at": START_MS + int(at * HOUR_MS), "attrs": event["attrs"] | attrs}
        self.replaced.append((place, row))
        self.rows[place] = Row(row.arrives + later, row.key, msgspec.json.encode(event), row.copies)
        return at

    def attrs(self, place: int) -> dict[str, Any]:
        return dict(msgspec.json.decode(self.rows[place].value)["attrs"])

    def spread(self, u: Unit, level: float, first: int) -> Any:
        """Times of a Poisson process of `level` a day, by the hour of the day, the creator's days and noise."""
        hour = np.arange(first, self.hours)
        curve = np.interp((hour + u.offset + u.phase) % 24, np.arange(25), np.append(DAY_CURVE, DAY_CURVE[0]))
        noise = self.rng.gamma(self.v.hour_shape, 1 / self.v.hour_shape, len(hour))
        n = self.rng.poisson(level / 24 * curve * u.factor[u.day(hour)] * self.mood[u.market][u.day(hour)] * noise)
        return np.repeat(hour, n) + self.rng.random(n.sum())

    def some(self, items: list[Any], n: int) -> list[Any]:
        """At most n of them, each once."""
        return [items[i] for i in self.rng.permutation(len(items))[:n]]
