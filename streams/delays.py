"""How long after its order an outcome comes: the share of each day's orders that is due in a window.

An outcome whose `ref_at` says when its order was placed belongs to that day's orders, exactly: so the market's delay
curve is learned from it, and an outcome of an order from before the stream began is left out on both sides. Where
outcomes don't say it, the configured curve stands, and creators who were there when the stream began are taken to have
sold before as they did since.
"""

import numpy as np
from scipy import special

from config.schema import Delay, millis
from detectors.base import Bools, Floats, Ints
from streams.entities import Population
from streams.market import DAY, HOUR, SCALE, fixed, in_order, whole, widened, within
from streams.windows import Ring

OUTCOME_DAYS = 45  # orders older than this cause no more outcomes
CACHE_MAX = 4_096
CHUNK = 4_096  # entities at a time: bounds the memory
RIPE = 0.15  # nothing is learned before so much of the orders behind a window is known
TELLS = 0.25  # nor is anything said before so much is known
PLACED = 0.1  # both where outcomes say when their orders were placed, so that those of earlier orders are left out
KNOWN_MIN = 0.01
PRIOR_OUTCOMES = 50.0  # outcomes that the configured curve is worth
FADE = 0.5 ** (1 / 28)  # a day: what was learned of the curve has a half-life of 28 days
SAID = 0.95  # share of outcomes that say when their orders were placed, from which the others can be left out of it
PARTS = 24  # of a day, over which its orders are spread
NEVER = -1


class Delays:
    """The delay curve of each market, and what the orders so far will bring to it."""

    def __init__(self, curves: dict[str, Delay], people: Population) -> None:
        self.curves = curves  # by market, "default" among them
        self.people = people
        self.inflow = np.zeros((OUTCOME_DAYS, 0), dtype=np.int64)  # (days, n_markets) fixed: outcomes of a day's orders
        self.started = NEVER  # ms, the first pane: no order from before it is known
        self.came = np.zeros((OUTCOME_DAYS, 0), dtype=np.int64)  # (days, n_markets) fixed: today's, by days since
        self.said = np.zeros((2, 0), dtype=np.int64)  # (2, n_markets) outcomes without and with the time of their order
        self.vague = np.zeros(0, dtype=np.int64)  # (n_markets,) 1 where they mostly don't say it; judged once a day
        self.learned = np.zeros((2, OUTCOME_DAYS, 0))  # (2, days, n_markets) outcomes by age, and what was due; faded
        self._curve: dict[str, Floats] = {}  # (days, n_markets) by age, until something is learned
        self._cache: dict[tuple[int, int], Floats] = {}  # of weights, likewise
        self._known: dict[tuple[int, int], Floats] = {}  # of known, until the next pane

    def inherit(self, other: "Delays") -> None:
        """What was seen and learned; the configured curves stay this one's own."""
        for name in ("inflow", "started", "came", "said", "vague", "learned"):
            setattr(self, name, getattr(other, name))
        self._forget_cache()

    def widen(self, markets: int) -> None:
        for name in ("inflow", "came", "said", "vague", "learned"):
            setattr(self, name, widened(getattr(self, name), markets))
        self._forget_cache()

    def jump(self) -> None:
        self.inflow[:] = 0
        self.came[:] = 0
        self.started = NEVER
        self._known.clear()

    def _forget_cache(self) -> None:
        self._curve.clear()
        self._cache.clear()
        self._known.clear()

    # -- outcomes, and the orders behind them ----------------------------------------------------------------------

    def arrive(self, time: Ints, ref_at: Ints, slot: Ints, worth: Floats) -> Bools:
        """Outcomes came, of orders placed at `ref_at` (NEVER where not said), each worth so many; which of them
        count."""
        market, says = self.people.market_of[slot], ref_at != NEVER
        np.add.at(self.said, (says.astype(np.int64), market), 1)
        ours = says & (ref_at >= (self.started if self.started != NEVER else time // HOUR * HOUR))
        age = np.clip(time // DAY - ref_at // DAY, 0, OUTCOME_DAYS - 1)
        np.add.at(self.came, (age[ours], market[ours]), fixed(worth[ours]))
        counts: Bools = ours | ~says | (self.vague[market] == 1)
        return counts

    def take_in(self, end: int, base: int, market: Ints, brings: Ints) -> None:
        """The orders of the base pane that ends now will bring so many outcomes (fixed point)."""
        self.started = end - base if self.started == NEVER else self.started
        self._known.clear()
        day = (end - 1) // DAY % OUTCOME_DAYS
        if (end - base) % DAY == 0:  # a new day began with this pane
            self.inflow[day] = 0
        np.add.at(self.inflow[day], market, brings)
        if end % DAY == 0:
            self._learn(end)

    def relevel(self, slot: Ints, market: Ints, change: Ints, orders: Ring, per: Floats | None = None) -> None:
        """The levels of these entities changed by so much (fixed point), and with them what their orders bring;
        `per` of an order sum are one."""
        newest = orders.newest
        known = newest + 1 if self.started == NEVER else self.started // DAY  # of days before it nothing is expected
        for day in range(max(newest - OUTCOME_DAYS + 1, known, 0), newest + 1):
            placed = orders.cells[day % orders.rows][slot].astype(np.int64)
            if placed.any():
                brings = placed * change if per is None else whole(placed / per * change)
                np.add.at(self.inflow[day % OUTCOME_DAYS], market, brings)

    def _learn(self, end: int) -> None:
        """A day is over: outcomes by the age of their orders, beside what orders of that age would bring in all."""
        rows = ((end - 1) // DAY - np.arange(OUTCOME_DAYS)) % OUTCOME_DAYS
        said = self.said[1] / np.maximum(self.said.sum(axis=0), 1)  # what doesn't say it can't be placed
        self.vague = (said < SAID).astype(np.int64) * (self.said.sum(axis=0) > 0)
        self.learned = FADE * self.learned + np.stack([self.came / SCALE, said * self.inflow[rows] / SCALE])
        self.came[:] = 0
        self._forget_cache()

    # -- what is due -----------------------------------------------------------------------------------------------

    def exposure(self, end: int, size: int, slot: Ints, orders: Ring) -> Floats:
        """The orders of each entity that are due in [end - size, end): a day's orders by their share."""
        market, today = self.people.market_of[slot], (end - 1) // DAY
        weights = self.weights(end, size)[: max(min(today - self.started // DAY + 1, OUTCOME_DAYS), 1)]
        rows = (today - np.arange(len(weights))) % orders.rows
        total = np.zeros(len(slot))
        for at in range(0, len(slot), CHUNK):
            some = slice(at, at + CHUNK)
            total[some] = in_order(orders.cells[rows[:, None], slot[some]] * weights[:, market[some]])
        unsaid = (self.people.born[slot] < self.started + DAY) & (self.vague[market] == 1)
        return np.where(unsaid, total / self.known(end, size)[market], total)

    def known(self, end: int, size: int) -> Floats:
        """(n_markets,): the part of the orders behind a window that the stream, still young, has seen."""
        if (end, size) not in self._known:
            self._known[end, size] = self._known_now(end, size)
        return self._known[end, size]

    def _known_now(self, end: int, size: int) -> Floats:
        weights, first = self.weights(end, size), max((end - 1) // DAY - self.started // DAY, 0)
        if first >= OUTCOME_DAYS:
            return np.ones(weights.shape[1])
        parts = weights[: first + 1].copy()
        parts[first] *= 1.0 - self.started % DAY / DAY
        return within(in_order(parts) / in_order(weights), KNOWN_MIN, 1.0)

    def due(self, end: int, size: int) -> Floats:
        """What the orders so far should bring in [end - size, end)."""  # (n_markets,)
        rows = ((end - 1) // DAY - np.arange(OUTCOME_DAYS)) % OUTCOME_DAYS
        due = np.maximum(in_order(self.inflow[rows] * self.weights(end, size)) / SCALE, 0.0)
        return np.where(self.vague == 1, due / self.known(end, size), due)

    def settled(self, end: int) -> bool:
        """Whether the stream is so old that all orders behind an outcome are known."""
        return end - self.started >= OUTCOME_DAYS * DAY

    def tells(self, end: int) -> Bools:
        """(n_markets,): whether so much is known, and has been learned from, that an outcome can be judged."""
        return self.known(end, DAY) >= np.where(self.vague == 1, TELLS, PLACED)

    def ripe(self, end: int, size: int) -> Bools:
        """(n_markets,): whether enough of the orders behind a window is known to learn from it."""
        return self.known(end, size) >= np.where(self.vague == 1, RIPE, PLACED)

    # -- the curve -------------------------------------------------------------------------------------------------

    def weights(self, end: int, size: int) -> Floats:
        """(days, n_markets) by age: the share of that day's orders whose outcomes fall into [end - size, end).

        The parts of the window in each calendar day, times the share of outcomes that come so many days later.
        """
        into = (end - 1) % DAY + 1  # the same at the same hour of every day
        if (into, size) not in self._cache:
            if len(self._cache) >= CACHE_MAX:
                self._cache.clear()
            curve = self.curve()
            weights = np.zeros_like(curve)
            for ago in range((size - into + DAY - 1) // DAY + 1):
                part = min(into, size) if ago == 0 else min(into + ago * DAY, size) - (into + (ago - 1) * DAY)
                weights[ago:] += part / DAY * curve[: OUTCOME_DAYS - ago]
            self._cache[into, size] = weights
        return self._cache[into, size]

    def curve(self) -> Floats:
        """(days, n_markets): the share of a day's outcomes that come so many calendar days after it; sums to 1."""
        if "curve" not in self._curve:
            came, due = self.learned
            markets = list(self.people.markets)[: came.shape[1]]
            if not markets:
                return np.zeros((OUTCOME_DAYS, 0))
            prior = np.stack([self._configured(market) for market in markets], axis=-1)
            share = (came + PRIOR_OUTCOMES * prior) / (due + PRIOR_OUTCOMES)
            self._curve["curve"] = share / in_order(share)
        return self._curve["curve"]

    def _configured(self, market: str) -> Floats:
        """(days,): the same of the configured gamma distribution."""
        curve = self.curves.get(market, self.curves["default"])
        scale = curve.shape * DAY / millis(curve.mean)
        left = 1.0 - (np.arange(PARTS) + 0.5) / PARTS  # of the order's own day
        reached = special.gammainc(curve.shape, (np.arange(OUTCOME_DAYS)[:, None] + left) * scale)
        by_end = in_order(np.ascontiguousarray(reached.T)) / PARTS
        share: Floats = np.diff(by_end, prepend=0.0)
        return share
