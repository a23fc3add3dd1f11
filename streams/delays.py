"""How long after its order an outcome comes: the share of each day's orders that is due in a window."""

import numpy as np
from scipy import special

from config.schema import Delay, millis
from detectors.base import Bools, Floats, Ints
from streams.entities import Population
from streams.market import DAY, SCALE, in_order, widened
from streams.windows import Ring

OUTCOME_DAYS = 45  # orders older than this cause no more outcomes
CACHE_MAX = 4_096
CHUNK = 4_096  # entities at a time: bounds the memory
RIPE = 0.25  # nothing is learned before so much of the orders behind a window is known
TELLS = 0.5  # nor is anything said before so much is known
KNOWN_MIN = 0.01
NEVER = -1


class Delays:
    """The delay curve of each market, and what the orders so far will bring to it."""

    def __init__(self, curves: dict[str, Delay], people: Population) -> None:
        self.curves = curves  # by market, "default" among them
        self.people = people
        self.inflow = np.zeros((OUTCOME_DAYS, 0), dtype=np.int64)  # (days, n_markets) fixed: outcomes of a day's orders
        self.started = NEVER  # ms, the first pane: no order from before it is known
        self._cache: dict[tuple[int, int, int], Floats] = {}

    def widen(self, markets: int) -> None:
        self.inflow = widened(self.inflow, markets)

    def jump(self) -> None:
        self.inflow[:] = 0
        self.started = NEVER

    def exposure(self, end: int, size: int, slot: Ints, orders: Ring) -> Floats:
        """The orders of each entity that are due in [end - size, end): a day's orders by their share."""
        market, today = self.people.market_of[slot], (end - 1) // DAY
        weights = self.weights(end, size)[: max(min(today - self.started // DAY + 1, OUTCOME_DAYS), 1)]
        rows = (today - np.arange(len(weights))) % orders.rows
        total = np.zeros(len(slot))
        for at in range(0, len(slot), CHUNK):
            some = slice(at, at + CHUNK)
            total[some] = in_order(orders.cells[np.ix_(rows, slot[some])] * weights[:, market[some]])
        old = self.people.born[slot] < self.started + DAY
        return np.where(old, total / self.known(end, size)[market], total)

    def known(self, end: int, size: int) -> Floats:
        """(n_markets,): the part of the orders behind a window that the stream, still young, has seen.

        Of creators who were there when it began; they are taken to have sold before as they did since.
        """
        weights, first = self.weights(end, size), (end - 1) // DAY - self.started // DAY
        if first >= OUTCOME_DAYS:
            return np.ones(weights.shape[1])
        parts = weights[: first + 1].copy()
        parts[first] *= 1.0 - self.started % DAY / DAY
        known: Floats = np.clip(in_order(parts) / in_order(weights), KNOWN_MIN, 1.0)
        return known

    def take_in(self, end: int, base: int, market: Ints, brings: Ints) -> None:
        """The orders of the base pane that ends now will bring so many outcomes (fixed point)."""
        self.started = end - base if self.started == NEVER else self.started
        day = (end - 1) // DAY % OUTCOME_DAYS
        if (end - base) % DAY == 0:  # a new day began with this pane
            self.inflow[day] = 0
        np.add.at(self.inflow[day], market, brings)

    def relevel(self, slot: Ints, market: Ints, change: Ints, orders: Ring) -> None:
        """The levels of these entities changed by so much (fixed point), and with them what their orders bring."""
        newest = orders.newest
        for day in range(max(newest - OUTCOME_DAYS + 1, 0), newest + 1):
            placed = orders.cells[day % orders.rows][slot].astype(np.int64)
            if placed.any():
                np.add.at(self.inflow[day % OUTCOME_DAYS], market, placed * change)

    def due(self, end: int, size: int) -> Floats:
        """What the orders so far should bring in [end - size, end)."""  # (n_markets,)
        rows = ((end - 1) // DAY - np.arange(OUTCOME_DAYS)) % OUTCOME_DAYS
        n = self.inflow.shape[1]
        due = in_order(self.inflow[rows] * self.weights(end, size)[:, :n])
        return np.maximum(due / SCALE, 0.0) / self.known(end, size)[:n]

    def settled(self, end: int) -> bool:
        """Whether the stream is so old that all orders behind an outcome are known."""
        return end - self.started >= OUTCOME_DAYS * DAY

    def tells(self, end: int) -> Bools:
        """(n_markets,): whether so much is known, and has been learned from, that an outcome can be judged."""
        return self.known(end, DAY) >= TELLS

    def ripe(self, end: int, size: int) -> Bools:
        """(n_markets,): whether enough of the orders behind a window is known to learn from it."""
        return self.known(end, size) >= RIPE

    def weights(self, end: int, size: int) -> Floats:
        """(days, n_markets) by age: the share of that day's orders whose outcomes fall into [end - size, end)."""
        into = (end - 1) % DAY + 1  # the same at the same hour of every day
        key = (into, size, len(self.people.markets))
        if key not in self._cache:
            if len(self._cache) >= CACHE_MAX:
                self._cache.clear()
            self._cache[key] = self._weights(into, size)
        return self._cache[key]

    def _weights(self, into: int, size: int) -> Floats:
        weights = np.empty((OUTCOME_DAYS, len(self.people.markets)))
        ages = np.arange(OUTCOME_DAYS) * DAY + into - DAY / 2  # from the middle of the day's orders
        ages[0] = into / 2
        for market, code in self.people.markets.items():
            curve = self.curves.get(market, self.curves["default"])
            scale = curve.shape / millis(curve.mean)
            upper = special.gammainc(curve.shape, ages * scale)
            weights[:, code] = upper - special.gammainc(curve.shape, np.maximum(ages - size, 0.0) * scale)
        return weights
