"""What recorded events show of their creators, in two readings: what each usually does, then the orders of a few.

The first keeps sums for each (creator, market), the second orders and live sessions of those that are asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np
from msgspec import UNSET, Struct

from streams.records import Event
from streams.simulate_activity import Sessions
from streams.simulate_market import Floats, Ints
from streams.simulate_orders import Fate, Orders
from streams.simulate_spec import DAY, HOUR, MARKETS

UNITS_MAX = 500_000  # (creator, market); of more nothing is learned
WEEK_HOURS = 7 * 24
STRAY = 0.001  # of all events, at either end: clocks that are wrong
LIVE_HOURS = 3  # for how long a session is taken to last
NUMBER_MAX = 1e9  # a larger attribute is no count

Unit = tuple[str, str]  # creator, market


class Habit(Struct):
    """Sums of what a creator did in a market."""

    partition: int  # of its newest event
    category: str | None = None  # the newest
    registered_ms: int = 0  # 0: not seen
    events: int = 0
    orders: int = 0
    priced: int = 0  # orders with an amount in the market's currency
    paid: float = 0.0  # for those
    clicks: int = 0
    engaged: int = 0
    low: int = 0  # of low trust
    refunds: int = 0
    complaints: int = 0
    chargebacks: int = 0
    reviews: int = 0
    good: int = 0  # of four stars or more
    shipped: int = 0
    late: int = 0
    earned: int = 0  # commissions
    commission: float = 0.0
    lives: int = 0
    minutes: int = 0  # live minutes that were told
    viewers: float = 0.0
    logged_in: float = 0.0
    talking: float = 0.0


class Survey:
    """The first reading."""

    def __init__(self) -> None:
        self.units: dict[Unit, Habit] = {}
        self.hours: Counter[int] = Counter()  # events by hour since 1970
        self.week: dict[str, list[int]] = {}  # orders of a market by hour of the week, from Thursday 00:00 UTC on
        self.events = 0

    def see(self, partition: int, event: Event) -> None:
        self.events += 1
        self.hours[event.occurred_at // HOUR] += 1
        if event.market not in MARKETS:
            return
        habit = self._habit((event.creator_id, event.market), partition)
        if habit is None:
            return
        habit.events += 1
        habit.partition = partition
        if event.category is not UNSET:
            habit.category = event.category
        if (add := ADD.get(event.type)) is not None:
            add(habit, event)
        if event.type == "order.paid":
            week = self.week.setdefault(event.market, [0] * WEEK_HOURS)
            week[event.occurred_at // HOUR % WEEK_HOURS] += 1

    def _habit(self, unit: Unit, partition: int) -> Habit | None:
        habit = self.units.get(unit)
        if habit is None and len(self.units) < UNITS_MAX:
            habit = self.units[unit] = Habit(partition)
        return habit

    def span(self) -> tuple[int, int]:
        """From the first to the last whole hour, leaving out what only a few clocks say.

        >>> survey = Survey()
        >>> survey.hours.update({10: 5_000, 40: 5_000, 9_000: 1})
        >>> survey.events = 10_001
        >>> [ms // HOUR for ms in survey.span()]
        [10, 41]
        """
        stray, seen, inside = STRAY * self.events, 0, []
        for hour, n in sorted(self.hours.items()):
            if seen + n > stray and seen < self.events - stray:
                inside.append(hour)
            seen += n
        return (inside[0] * HOUR, (inside[-1] + 1) * HOUR) if inside else (0, 0)


def number(event: Event, name: str) -> float:
    """An attribute that counts something; 0 where it is absent or no such number."""
    found = 0 if event.attrs is UNSET else event.attrs.get(name, 0)
    return float(found) if type(found) in (int, float) and 0 <= float(found) <= NUMBER_MAX else 0.0


def attribute(event: Event, name: str) -> object:
    return None if event.attrs is UNSET else event.attrs.get(name)


def price_of(event: Event) -> float:
    """In the market's currency; NaN where it is in another or not said."""
    own = event.currency is UNSET or event.currency == MARKETS[event.market].currency
    return float(event.amount) if own and event.amount is not UNSET else float("nan")


def _order(habit: Habit, event: Event) -> None:
    price = price_of(event)
    habit.orders += 1
    if price == price:
        habit.priced, habit.paid = habit.priced + 1, habit.paid + price


def _engaged(habit: Habit, event: Event) -> None:
    habit.engaged, habit.low = habit.engaged + 1, habit.low + (attribute(event, "trust") == "low")


def _review(habit: Habit, event: Event) -> None:
    habit.reviews, habit.good = habit.reviews + 1, habit.good + (number(event, "stars") >= 4)


def _shipped(habit: Habit, event: Event) -> None:
    habit.shipped, habit.late = habit.shipped + 1, habit.late + (attribute(event, "late") is True)


def _earned(habit: Habit, event: Event) -> None:
    price = price_of(event)
    if price == price:
        habit.earned, habit.commission = habit.earned + 1, habit.commission + price


def _minute(habit: Habit, event: Event) -> None:
    habit.minutes += 1
    habit.viewers += number(event, "viewers")
    habit.logged_in += number(event, "logged_in_viewers")
    habit.talking += number(event, "commenters")


def _registered(habit: Habit, event: Event) -> None:
    habit.registered_ms = event.occurred_at


def _counted(name: str) -> Callable[[Habit, Event], None]:
    return lambda habit, _: setattr(habit, name, getattr(habit, name) + 1)


ADD: Mapping[str, Callable[[Habit, Event], None]] = {
    "order.paid": _order, "content.engaged": _engaged, "review.posted": _review, "order.shipped": _shipped,
    "commission.earned": _earned, "live.minute": _minute, "account.registered": _registered,
    "product.clicked": _counted("clicks"), "refund.approved": _counted("refunds"), "live.started": _counted("lives"),
    "complaint.received": _counted("complaints"), "chargeback.received": _counted("chargebacks"),
}  # fmt: skip


# ---- the second reading ------------------------------------------------------------------------------------


class Order(Struct):
    """One of the orders, and what became of it."""

    unit: int
    at: int
    ref: str
    buyer: str
    amount: float
    subsidised: bool
    commission: float = 0.0
    fate: set[str] = msgspec.field(default_factory=set)
    delivered_ms: int = 0


FATES = ("order.cancelled", "refund.approved", "review.posted", "chargeback.received", "commission.reversed")  # of Fate


class OrderBook:
    """Orders and live sessions of these units, which are called by their place."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self.place = {unit: n for n, unit in enumerate(units)}
        self.orders: list[Order] = []
        self.live: list[tuple[int, int]] = []  # unit, start
        self._by_ref: dict[tuple[int, str], Order] = {}

    def see(self, event: Event) -> None:
        unit = self.place.get((event.creator_id, event.market))
        if unit is None:
            return
        if event.type == "live.started":
            self.live.append((unit, event.occurred_at))
        if event.ref_id is UNSET:
            return
        if event.type == "order.paid":
            buyer = "" if event.actor_id is UNSET else event.actor_id
            order = Order(unit, event.occurred_at, event.ref_id, buyer, price_of(event),
                          attribute(event, "subsidised") is True)  # fmt: skip
            if self._by_ref.setdefault((unit, order.ref), order) is order:
                self.orders.append(order)
        elif (order_of := self._by_ref.get((unit, event.ref_id))) is not None:
            _happened(order_of, event)

    def sessions(self) -> Sessions:
        unit, start = (np.array(x, dtype=np.int64) for x in (zip(*self.live, strict=True) if self.live else ((), ())))
        return Sessions(unit, start, np.full(len(unit), LIVE_HOURS))

    def sorted_orders(self, price: Floats, first_id: int) -> tuple[Orders, Fate]:
        """By unit; `first_id` and what follows are their ids, and their buyers', in the order of `self.orders`.
        `price` is what an order of each unit costs, where it does not say.
        """
        found = self.orders
        unit = _column(found, "unit")
        order = np.argsort(unit, kind="stable")
        ids = first_id + order
        amount = np.array([one.amount for one in found], dtype=np.float64)[order]
        amount = np.where(np.isnan(amount), price[unit[order]], amount)
        buyer = np.where([one.buyer != "" for one in found], first_id + np.arange(len(found)), -1)[order]
        orders = Orders(unit[order], _column(found, "at")[order], ids, _same(buyer, found, first_id), amount,
                        np.ones(len(found)), _column(found, "subsidised")[order],
                        np.array([one.commission for one in found])[order])  # fmt: skip
        flags = [np.array([kind in one.fate for one in found], dtype=bool)[order] for kind in FATES]
        return orders, Fate._make([*flags, _column(found, "delivered_ms")[order]])


def _column(found: list[Order], name: str) -> Ints:
    return np.array([getattr(one, name) for one in found], dtype=np.int64)


def _same(buyer: Ints, found: list[Order], first_id: int) -> Ints:
    """One number for each buyer: that of its first order."""
    first: dict[str, int] = {}
    for n, one in enumerate(found):
        first.setdefault(one.buyer, first_id + n)
    return np.array([b if b < 0 else first[found[b - first_id].buyer] for b in buyer.tolist()], dtype=np.int64)


def _happened(order: Order, event: Event) -> None:
    if event.type in FATES:
        order.fate.add(event.type)
    elif event.type == "order.delivered":
        order.delivered_ms = event.occurred_at
    elif event.type == "commission.earned":
        price = price_of(event)
        order.commission = price if price == price else 0.0


def days_between(start_ms: int, end_ms: int) -> int:
    return (end_ms - start_ms) // DAY
