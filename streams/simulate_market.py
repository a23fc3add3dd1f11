"""The simulated market: its categories and its creators with their habits."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from streams.simulate_spec import DAY, HOUR, MARKETS, Market, Simulation

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

COUNTRIES = (*MARKETS, "NG", "RU", "BR", "CN", "JP", "FR")
# name, price in units, mean refund share, mean complaint share
CATEGORIES = (
    ("beauty", 1.0, 0.040, 0.009),
    ("fashion", 1.3, 0.070, 0.010),
    ("electronics", 4.0, 0.055, 0.016),
    ("home", 1.8, 0.040, 0.011),
    ("food", 0.8, 0.025, 0.007),
)


class Population(NamedTuple):
    """One row for each unit, that is (creator, market). A creator's first unit is its home."""

    creator: Ints
    market: Ints  # index into `names`
    names: tuple[str, ...]
    home: Flags
    category: Ints
    price: Floats  # of an order, typically, in the market's currency
    level: Floats  # orders a day
    engagement: Floats  # engagements a day
    clicks: Floats  # clicks for each order
    refund: Floats  # share of orders
    complaint: Floats  # share of orders
    low_trust: Floats  # share of engagements
    stars: Floats  # share of good reviews
    late: Floats  # share of shipments
    disputed: Floats  # share of orders charged back
    commission: Floats  # share of an order's price
    promoted: Floats  # share of orders that earn one
    logged_in: Floats  # share of a live's viewers
    talking: Floats  # share of the logged-in who comment
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
    large = 12.0 * spec.volume  # newcomers are never the largest: above it their level counts by its root
    level = np.where(newcomer & (level > large), np.sqrt(level * large), level)
    level = np.concatenate([level, level[second] * rng.uniform(0.2, 0.6, len(second))])
    u, kinds = len(creator), category[creator]
    worth = np.array([MARKETS[name].price for name in names])
    refund, complaint = (np.array([c[i] for c in CATEGORIES])[kinds] for i in (2, 3))
    return Population(
        creator=creator, market=market, names=names, home=np.arange(u) < n, category=kinds,
        price=np.array([c[1] for c in CATEGORIES])[kinds] * worth[market], level=level,
        engagement=spec.volume * 2.3 * (level / spec.volume) ** 0.75 * rng.lognormal(0.0, 0.7, u),
        clicks=rng.uniform(0.8, 1.6, u),
        refund=np.clip(_shares(rng, refund, 90.0), 0.008, 0.15),
        complaint=np.clip(_shares(rng, complaint, 250.0), 0.002, 0.04),
        low_trust=_shares(rng, rng.uniform(0.03, 0.08, u), 300.0),
        stars=rng.uniform(0.90, 0.98, u), steadiness=rng.uniform(4.0, 15.0, u),
        goes_live=rng.random(u) < 0.3,
        late=np.clip(_shares(rng, np.full(u, 0.028), 120.0), 0.004, 0.08),
        disputed=np.clip(_shares(rng, np.full(u, 0.003), 900.0), 0.0006, 0.01),
        commission=rng.uniform(0.05, 0.15, u), promoted=rng.uniform(0.35, 0.75, u),
        logged_in=rng.uniform(0.65, 0.90, u), talking=rng.uniform(0.03, 0.10, u),
        registered_ms=np.where(newcomer, joined, 0)[creator],
        offset_ms=np.array([MARKETS[m].offset_hours * HOUR for m in names])[market],
    )  # fmt: skip
