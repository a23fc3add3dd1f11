"""The simulated market: its days and weeks, its creators, and their rates of orders, clicks and likes."""

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
HISTORY_DAYS = 30  # orders before the start: not emitted, but their refunds and reviews are


class Market(NamedTuple):
    offset_hours: int
    currency: str
    decimals: int
    price: float  # what one price unit of a category costs here
    evening: float  # local hour of the main peak
    weekend: float  # orders on Saturday and Sunday against a weekday
    refund_days: float  # mean delay from payment to refund


MARKETS = {
    "TH": Market(7, "THB", 2, 330.0, 20.0, 1.15, 5.0),
    "ID": Market(7, "IDR", 0, 150_000.0, 19.5, 1.10, 6.0),
    "VN": Market(7, "VND", 0, 240_000.0, 20.5, 1.05, 4.5),
    "SG": Market(8, "SGD", 2, 13.0, 21.0, 1.25, 4.0),
    "MY": Market(8, "MYR", 2, 42.0, 20.5, 1.20, 5.0),
    "PH": Market(8, "PHP", 2, 560.0, 19.0, 1.10, 7.0),
    "GB": Market(0, "GBP", 2, 8.0, 20.0, 1.20, 5.5),
    "US": Market(-5, "USD", 2, 10.0, 20.5, 1.10, 6.5),
}
COUNTRIES = (*MARKETS, "NG", "RU", "BR", "CN", "JP", "FR")
# name, price in units, mean refund share, mean complaint share
CATEGORIES = (
    ("beauty", 1.0, 0.040, 0.009),
    ("fashion", 1.3, 0.070, 0.010),
    ("electronics", 4.0, 0.055, 0.016),
    ("home", 1.8, 0.040, 0.011),
    ("food", 0.8, 0.025, 0.007),
)


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate. The same spec gives the same bytes."""

    seed: int = 1
    start_ms: int = 1_767_571_200_000  # Monday 2026-01-05T00:00Z
    days: int = 21
    creators: int = 400
    markets: dict[str, float] = msgspec.field(
        default_factory=lambda: {"TH": 0.3, "ID": 0.3, "VN": 0.2, "SG": 0.08, "MY": 0.12}
    )  # market: weight
    planted: int | None = None  # episodes of each kind; None: 8 for each 400 creators
    volume: float = 1.0  # multiplies orders, clicks and engagement
    campaign_day: int | None = 16  # counted from 0, in each market's own time
    null: bool = False  # nothing planted; the background is the very same

    def __post_init__(self) -> None:
        unknown = sorted(set(self.markets) - set(MARKETS))
        if unknown or not self.markets:
            raise ValueError(f"markets: {unknown or 'none given'}; known are {', '.join(MARKETS)}")
        if min(self.markets.values()) <= 0 or min(self.days, self.creators, self.volume) <= 0:
            raise ValueError("days, creators, volume and the markets' weights must be positive")

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.days * DAY

    @property
    def hours(self) -> int:
        return (HISTORY_DAYS + self.days) * 24

    @property
    def grid_ms(self) -> int:
        """The start of hour 0 of every (unit, hour) array here."""
        return self.start_ms - HISTORY_DAYS * DAY


class Population(NamedTuple):
    """One row for each unit, that is (creator, market). A creator's first unit is its home."""

    creator: Ints
    market: Ints  # index into `names`
    names: tuple[str, ...]
    home: Flags
    category: Ints
    level: Floats  # orders a day
    engagement: Floats  # engagements a day
    clicks: Floats  # clicks for each order
    refund: Floats  # share of orders
    complaint: Floats  # share of orders
    low_trust: Floats  # share of engagements
    stars: Floats  # share of good reviews
    steadiness: Floats  # shape of the day's gamma: small is restless
    goes_live: Flags
    registered_ms: Ints  # 0: long ago
    offset_ms: Ints

    @property
    def laws(self) -> list[Market]:
        return [MARKETS[name] for name in self.names]


def _levels(rng: np.random.Generator, n: int) -> Floats:
    """Orders a day: median 8.2, a lognormal body, a Pareto top; stratified, so that totals vary little."""
    u = rng.permutation((np.arange(n) + rng.uniform(0.2, 0.8, n)) / n)
    body = 8.2 * np.exp(0.85 * ndtri(u))
    tail = 8.2 * np.exp(0.85 * 1.2816) * (0.1 / (1.0 - u)) ** 0.87  # from the 90th percentile on
    return np.asarray(np.clip(np.where(u > 0.9, tail, body), 0.5, 2_500.0))


def _shares(rng: np.random.Generator, mean: Floats, strength: float) -> Floats:
    return rng.beta(mean * strength, (1.0 - mean) * strength)


def population(spec: Simulation, rng: np.random.Generator) -> Population:
    """400 creators are about 435 units: every twelfth sells in a second market, less than at home."""
    n, names = spec.creators, tuple(spec.markets)
    weights = np.array(list(spec.markets.values()))
    level = _levels(rng, n) * spec.volume
    home = rng.choice(len(names), n, p=weights / weights.sum())
    category = rng.integers(0, len(CATEGORIES), n)
    newcomer = rng.random(n) < 0.06
    joined = spec.start_ms + (rng.uniform(0.05, 0.85, n) * spec.days * DAY).astype(np.int64)
    second = np.flatnonzero(rng.random(n) < (0.085 if len(names) > 1 else 0.0))
    creator = np.concatenate([np.arange(n), second])
    abroad = (home[second] + rng.integers(1, max(len(names), 2), len(second))) % len(names)
    market = np.concatenate([home, abroad])
    level = np.concatenate([level, level[second] * rng.uniform(0.2, 0.6, len(second))])
    u, kinds = len(creator), category[creator]
    refund, complaint = (np.array([c[i] for c in CATEGORIES])[kinds] for i in (2, 3))
    return Population(
        creator=creator, market=market, names=names, home=np.arange(u) < n, category=kinds, level=level,
        engagement=spec.volume * 2.3 * (level / spec.volume) ** 0.75 * rng.lognormal(0.0, 0.7, u),
        clicks=rng.uniform(0.8, 1.6, u),
        refund=np.clip(_shares(rng, refund, 90.0), 0.008, 0.15),
        complaint=np.clip(_shares(rng, complaint, 250.0), 0.002, 0.04),
        low_trust=_shares(rng, rng.uniform(0.03, 0.08, u), 300.0),
        stars=rng.uniform(0.90, 0.98, u), steadiness=rng.uniform(4.0, 15.0, u),
        goes_live=rng.random(u) < 0.3,
        registered_ms=np.where(newcomer, joined, 0)[creator],
        offset_ms=np.array([MARKETS[m].offset_hours * HOUR for m in names])[market],
    )  # fmt: skip


class Sessions(NamedTuple):
    unit: Ints
    start_ms: Ints
    hours: Ints


class Activity(NamedTuple):
    """Rates for each (unit, hour); `usual` is what an all-knowing analyst would expect on a plain day."""

    usual: Floats
    usual_engagement: Floats
    orders: Floats
    clicks: Floats
    engagement: Floats
    campaign: Floats  # the campaign's lift, 1 elsewhere
    sessions: Sessions


def shape_of_week(law: Market) -> Floats:
    """(7, 24) by local weekday and hour, mean 1: a lunch peak and a larger evening peak over a low night."""
    hour = np.arange(24.0)
    far = np.minimum(np.abs(hour - law.evening), 24.0 - np.abs(hour - law.evening))
    day = 0.12 + 1.0 * np.exp(-0.5 * (far / 2.6) ** 2) + 0.55 * np.exp(-0.5 * ((hour - 12.5) / 2.4) ** 2)
    week = np.where(np.arange(7) >= 5, law.weekend, 1.0)
    grid = week[:, None] * day[None, :]
    return np.asarray(grid / grid.mean())


def _local(spec: Simulation, pop: Population) -> Ints:
    """(units, hours) local milliseconds since the epoch at each hour's start."""
    return spec.grid_ms + np.arange(spec.hours)[None, :] * HOUR + pop.offset_ms[:, None]


def _day_factor(pop: Population, days: int, rng: np.random.Generator) -> Floats:
    """(units, days): a slow drift of the level times a gamma for each day: over-dispersion."""
    drift = np.zeros((len(pop.level), days))
    shocks = rng.normal(0.0, 0.09, drift.shape)
    for d in range(1, days):
        drift[:, d] = 0.85 * drift[:, d - 1] + shocks[:, d]
    k = pop.steadiness[:, None]
    return np.asarray(np.exp(drift) * rng.gamma(k, 1.0 / k, drift.shape))


def _campaign(spec: Simulation, pop: Population, local: Ints, rng: np.random.Generator) -> Floats:
    """Lift 3 to 6 by market, spread over creators, with a rush after midnight; lower before and after."""
    lift = rng.uniform(3.0, 6.0, len(pop.names))[pop.market]
    mine = 1.0 + (lift - 1.0) * rng.lognormal(-0.08, 0.4, len(lift))
    if spec.campaign_day is None:
        return np.ones(local.shape)
    into = local - (spec.start_ms + spec.campaign_day * DAY)
    rush = np.where(into < 2 * HOUR, 1.8, 1.0)
    near = np.where((into >= -DAY) & (into < 2 * DAY), 0.85, 1.0)
    return np.where((into >= 0) & (into < DAY), mine[:, None] * rush, near)


def _sessions(spec: Simulation, pop: Population, rng: np.random.Generator) -> Sessions:
    """Two to four evenings a week, each creator at an hour of its own."""
    share = np.where(pop.goes_live, rng.uniform(2.0, 4.0, len(pop.level)) / 7.0, 0.0)
    habit = rng.integers(17, 22, len(share))
    unit, day = np.nonzero(rng.random((len(share), HISTORY_DAYS + spec.days)) < share[:, None])
    start = spec.grid_ms + day * DAY + habit[unit] * HOUR - pop.offset_ms[unit]
    start += (rng.uniform(0, 15, len(unit)) * MINUTE).astype(np.int64)
    return Sessions(unit, start, rng.integers(1, 4, len(unit)))


def peaks(spec: Simulation, shape: tuple[int, int], rng: np.random.Generator, share: float, low: float,
          high: float, hours: tuple[int, int]) -> Floats:  # fmt: skip
    """Unlabelled peaks: `share` of the units have one of `low` to `high` times the usual, fading."""
    out = np.ones(shape)
    for u in np.flatnonzero(rng.random(shape[0]) < share):
        start = int(rng.integers(HISTORY_DAYS * 24, shape[1]))
        n = min(int(rng.integers(hours[0], hours[1] + 1)), shape[1] - start)
        out[u, start : start + n] = 1.0 + (rng.uniform(low, high) - 1.0) * np.linspace(1.0, 0.4, n)
    return out


def activity(spec: Simulation, pop: Population, rng: np.random.Generator) -> Activity:
    """In this order: day factors, campaign, sessions, restocks, viral videos, then the hours' gammas."""
    local = _local(spec, pop)
    week = np.stack([shape_of_week(law) for law in pop.laws])
    base = week[pop.market[:, None], (local // DAY + 3) % 7, local // HOUR % 24] / 24.0
    age = (local - pop.offset_ms[:, None] - pop.registered_ms[:, None]) / DAY
    ramp = np.clip(0.15 + 0.085 * age, 0.0, 1.0) * (age > -1 / 24)
    base *= np.where(pop.registered_ms[:, None] == 0, 1.0, ramp)
    days = _day_factor(pop, HISTORY_DAYS + spec.days + 2, rng)
    restless = np.take_along_axis(days, (local - spec.grid_ms) // DAY + 1, axis=1)
    campaign = _campaign(spec, pop, local, rng)
    sessions = _sessions(spec, pop, rng)
    burst = np.ones(base.shape)
    boost = rng.uniform(1.8, 4.0, len(sessions.unit))
    for j in range(3):
        at = (sessions.start_ms - spec.grid_ms) // HOUR + j
        on = (sessions.hours > j) & (at >= 0) & (at < spec.hours)
        burst[sessions.unit[on], at[on]] = boost[on]
    restock = peaks(spec, base.shape, rng, 0.025, 2.0, 3.5, (3, 8))
    viral = peaks(spec, base.shape, rng, 0.03, 5.0, 10.0, (6, 24))
    gammas = [rng.gamma(shape, 1.0 / shape, base.shape) for shape in (6.0, 8.0, 4.0)]
    busy = base * pop.level[:, None] * restless * burst * restock * gammas[0] * campaign
    liked = base * pop.engagement[:, None] * np.sqrt(restless * burst) * viral * gammas[2] * campaign**0.6
    clicked = busy * gammas[1] * pop.clicks[:, None]
    usual, usual_engagement = base * pop.level[:, None], base * pop.engagement[:, None]
    return Activity(usual, usual_engagement, busy, clicked, liked, campaign, sessions)
