"""What the ideal reader counts of kinds that follow orders, and what it expects.

An order's outcomes are spread over time by `DRAWS` of its own delay, each weighted by how likely it is: the laws are
those of streams/simulate_orders.py and of the functions that plant each kind.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from bound_scan import Channel, Gain, Template
from scipy.ndimage import uniform_filter1d

from streams.simulate_activity import force
from streams.simulate_market import Flags, Floats, Ints
from streams.simulate_orders import Orders, desk_hours, ms
from streams.simulate_plant import World
from streams.simulate_rows import TYPES, Rows
from streams.simulate_spec import DAY, HOUR

DRAWS = 6
AGES = (0.0, 1.0, 2.0, 3.2, np.inf)  # days from an order to its refund
FAULT = {True: (1.0, 0.0, 0.0), False: (0.4, 0.5, 0.1)}  # of planted refunds, where it is named each time, or is not
KINDS_OF = (0.10, 0.30, 0.08, 0.52)  # of complaints
LOW = 0.2 * 2 / 3  # of orders that are reviewed and not good ones: one or two stars
QUICK = 0.4  # days within which planted orders are cancelled


class Case(NamedTuple):
    """What is counted for a kind; one list of channels for each variant of it, as likely as one another."""

    variants: list[list[Channel]]
    gain: Gain
    rate: Floats | None  # (units,) the creators' true rates; None: all have the same, or it is known
    least: float  # orders a day


class Book(NamedTuple):
    """A market's orders, `DRAWS` times, and what has happened."""

    world: World
    seen: Rows  # with what is planted, or without
    order: Ints  # which order each of these is
    rng: np.random.Generator

    @property
    def hours(self) -> int:
        return self.world.spec.days * 24

    @property
    def size(self) -> tuple[int, int]:
        return len(self.world.pop.level), self.hours

    def flow(self, unit: Ints, at: Ints, weight: Floats | Flags) -> Floats:
        """(units, hours) of the run."""
        hour = (at - self.world.spec.start_ms) // HOUR
        in_it = (hour >= 0) & (hour < self.hours)
        cell = unit[in_it] * self.hours + hour[in_it]
        weights = np.asarray(weight, dtype=float)[in_it]
        return np.asarray(np.bincount(cell, weights, self.size[0] * self.hours), dtype=float).reshape(self.size)

    def even(self, unit: Ints, at: Ints, weight: Floats) -> Floats:
        """The same, over three hours each, and never far below the day's mean: draws leave gaps."""
        x = self.flow(unit, at, weight)
        return np.maximum(uniform_filter1d(x, 3, axis=1), 0.2 * uniform_filter1d(x, 25, axis=1))

    def kept(self) -> Flags:
        return ~self.world.fate.cancelled[self.order]

    def of(self, array: Floats) -> Floats:
        """A habit of the creator of each order."""
        return array[self.world.orders.unit[self.order]]

    def strike(self) -> Floats:
        """How hard the carriers' strike was when each order was shipped."""
        market = self.world.pop.market[self.world.orders.unit[self.order]]
        n = len(self.order)
        shipped = self.paid + ms(np.minimum(0.1 + self.rng.gamma(2.5, 0.4, n), 2.0))
        return force(self.world.struck, "carrier_strike", market, shipped)

    @property
    def unit(self) -> Ints:
        return self.world.orders.unit[self.order]

    @property
    def paid(self) -> Ints:
        return self.world.orders.at[self.order]

    def counted(self, kind: str, which: Callable[[Rows], Flags] = lambda r: np.ones(len(r.at), bool)) -> Floats:
        r = self.seen
        mine = (r.kind == TYPES.index(kind)) & which(r)
        return self.flow(r.unit[mine], r.at[mine], np.ones(int(mine.sum())))

    def daily(self) -> Floats:
        """(units, hours) orders an hour on a plain day, spread evenly."""
        first = self.world.act.usual.shape[1] - self.hours
        sums = np.cumsum(np.pad(self.world.act.usual, ((0, 0), (1, 24)), mode="edge"), axis=1)
        return (sums[:, first + 24 : first + 24 + self.hours] - sums[:, first : first + self.hours]) / 24.0

    def ages(self, delay: Floats) -> Floats:
        """(ages, units, hours) share of the refunds of an hour's orders that are so old, and come within the run."""
        pop, spec = self.world.pop, self.world.spec
        at = desk_hours(pop, self.unit, self.paid + ms(delay), self.rng)
        aged = np.searchsorted(AGES, (at - self.paid) / DAY, side="right") - 1
        local = (self.paid + pop.offset_ms[self.unit]) // HOUR % 24
        cell = (aged * len(pop.names) + pop.market[self.unit]) * 24 + local
        n = np.bincount(cell, minlength=(len(AGES) - 1) * len(pop.names) * 24).reshape(len(AGES) - 1, -1, 24)
        share = n / n.sum(axis=0)
        hour = np.arange(self.hours)
        clock = (spec.start_ms // HOUR + hour[None, :] + pop.offset_ms[:, None] // HOUR) % 24
        left = (self.hours - hour) / 24.0
        long = np.minimum(np.diff(AGES), 10.0)
        seen = np.clip((left - np.array(AGES[:-1])[:, None]) / long[:, None], 0.0, 1.0)
        return np.asarray(share[:, pop.market[:, None], clock] * seen[:, None, :])

    def origin(self, r: Rows) -> Ints:
        """When the orders were paid that these rows are of; planted orders' rows say so themselves."""
        orders: Orders = self.world.orders
        known = (r.ref >= 0) & (r.ref < len(orders.at))
        return np.where(known, orders.at[np.where(known, r.ref, 0)], np.where(r.b > 0, r.b, -1))


def market_book(world: World, seen: Rows, rng: np.random.Generator) -> Book:
    return Book(world, seen, np.repeat(np.arange(len(world.orders.at)), DRAWS), rng)


def more(one: Template) -> float:
    return one.strength - 1.0


def refunds(book: Book, named: bool) -> Case:
    """By the hour of the order, the refund's age and its fault: the seller's, none named, another's."""
    o, pop, n = book.world.orders, book.world.pop, len(book.order)
    mean = np.array([law.refund_days for law in pop.laws])[pop.market[book.unit]]
    slow = book.ages(0.3 + book.rng.gamma(3.0, (mean - 0.3) / 3.0, n))
    quick = book.ages(np.clip(0.1 + book.rng.gamma(2.0, 0.5, n), 0.1, 3.0))
    share = book.kept() * book.of(pop.refund) / DRAWS
    lost = book.flow(book.unit, book.paid, book.kept() * 0.1 * book.strike() / DRAWS)
    usual = book.flow(book.unit, book.paid, share * np.where(o.surged[book.order] > 1.2, 1.25, 1.0))
    extra = book.flow(book.unit, book.paid, share) * (0.225 if named else 1.0)
    r = Rows._make(c[book.seen.kind == TYPES.index("refund.approved")] for c in book.seen)
    paid = book.origin(r)
    aged = np.searchsorted(AGES, (r.at - paid) / DAY, side="right") - 1
    whose = np.where(r.a < 0, 1, np.minimum(r.a, 1) * 2)
    channels = []
    for age, (old, new) in enumerate(zip(slow, quick, strict=True)):
        for fault, (often, planted) in enumerate(zip((0.225, 0.5, 0.275), FAULT[named], strict=True)):
            mine = (aged == age) & (paid >= 0) & (whose == fault)
            seen = book.flow(r.unit[mine], paid[mine], np.ones(int(mine.sum())))
            channels.append(Channel(seen, (usual * often + lost * (fault == 2)) * old, extra * planted * new))
    return Case([channels], more, pop.refund, 15.0)


def complaints(book: Book) -> Case:
    pop = book.world.pop
    channels = [_complaints(book, book.daily(), value) for value in range(4)]
    variants = []
    for focus in (1, 2, 3):
        parts = [0.3 * share + 0.7 * (value == focus) for value, share in enumerate(KINDS_OF)]
        variants.append([c._replace(extra=c.extra * p) for c, p in zip(channels, parts, strict=True)])
    return Case(variants, more, pop.complaint, 15.0)


def _complaints(book: Book, daily: Floats, value: int | None) -> Channel:
    pop, n = book.world.pop, len(book.order)
    delay = np.clip(0.5 + book.rng.gamma(3.0, 0.9, n), 1.0, 8.0)
    weight = book.kept() * (book.of(pop.complaint) + 0.04 * book.strike()) / DRAWS
    usual = book.even(book.unit, book.paid + ms(delay), weight) * (1.0 if value is None else KINDS_OF[value])
    seen = book.counted("complaint.received", lambda r: (r.a == value) if value is not None else (r.a >= 0))
    return Channel(seen, usual, daily * pop.complaint[:, None])


def _chargebacks(book: Book) -> Channel:
    pop, n = book.world.pop, len(book.order)
    weight = book.kept() * book.of(pop.disputed) / DRAWS
    usual = book.even(book.unit, book.paid + ms(3.0 + book.rng.gamma(3.0, 3.5, n)), weight)
    return Channel(book.counted("chargeback.received"), usual, book.daily() * pop.disputed[:, None])


def chargebacks(book: Book) -> Case:
    return Case([[_chargebacks(book)]], more, book.world.pop.disputed, 20.0)


def _low_reviews(book: Book) -> Channel:
    pop, n = book.world.pop, len(book.order)
    at = np.maximum(book.paid + ms(book.rng.uniform(3.0, 8.0, n)), book.world.fate.delivered_ms[book.order] + HOUR)
    weight = book.kept() * LOW * (1.0 - book.of(pop.stars)) / DRAWS
    seen = book.counted("review.posted", lambda r: r.a <= 2)
    return Channel(seen, book.even(book.unit, at, weight), book.daily() * LOW * (1.0 - pop.stars[:, None]))


def low_reviews(book: Book) -> Case:
    return Case([[_low_reviews(book)]], more, 1.0 - book.world.pop.stars, 20.0)


def defects(book: Book) -> Case:
    return Case([[_low_reviews(book), _complaints(book, book.daily(), None), _chargebacks(book)]], more, None, 40.0)


def cancellations(book: Book) -> Case:
    """By the hour of the order, quick ones and others; the true rate of orders is known for each hour."""
    world, first = book.world, book.world.act.orders.shape[1] - book.hours
    hour = world.spec.start_ms + np.arange(book.hours) * HOUR
    share = 0.03 + 0.3 * force(world.struck, "payment_outage", world.pop.market[:, None], hour[None, :])
    usual = world.act.orders[:, first:] * share
    r = Rows._make(c[book.seen.kind == TYPES.index("order.cancelled")] for c in book.seen)
    quick = (r.at - r.a) / DAY < QUICK
    seen = [book.flow(r.unit[m], r.a[m], np.ones(int(m.sum()))) for m in (quick, ~quick)]
    soon = (QUICK - 0.01) / 0.99
    channels = [Channel(seen[0], usual * soon, book.daily()), Channel(seen[1], usual * (1 - soon), 0.0 * usual)]

    def gain(one: Template) -> float:
        target = min(0.03 * one.strength, 0.45)
        return (target - 0.03) / (1.0 - target)

    return Case([channels], gain, None, 10.0)


def late(book: Book) -> Case:
    pop, n = book.world.pop, len(book.order)
    shipped = book.paid + ms(np.minimum(0.1 + book.rng.gamma(2.5, 0.4, n), 2.0))
    strike = force(book.world.struck, "carrier_strike", pop.market[book.unit], shipped)
    weight = book.kept() * (book.of(pop.late) + 0.7 * strike) / DRAWS
    usual = book.even(book.unit, shipped + ms(1.0 + book.rng.exponential(0.7, n)), weight)
    extra = book.even(book.unit, book.paid + ms(2.1 + book.rng.exponential(0.6, n)), book.kept() / DRAWS)
    seen = book.counted("order.shipped", lambda r: r.a == 1)

    def gain(one: Template) -> Floats:
        target = np.minimum(pop.late * one.strength, 0.6)[:, None]
        return np.asarray(target / (1.0 - target))

    return Case([[Channel(seen, usual, extra)]], gain, pop.late, 10.0)


def clawbacks(book: Book) -> Case:
    """Of commissions by the week before; usual are those of the orders that were cancelled or refunded."""
    world, o = book.world, book.world.orders
    r = book.seen
    back = (r.kind == TYPES.index("order.cancelled")) | (r.kind == TYPES.index("refund.approved"))
    unit, at = np.repeat(r.unit[back], DRAWS), np.repeat(r.at[back], DRAWS)
    at = at + ms(book.rng.uniform(0.05, 1.0, len(at)))
    usual = book.even(unit, at, world.pop.promoted[unit] / DRAWS)
    earns = (o.commission > 0) & ~world.fate.reversed
    hour = (o.at[earns] - world.spec.grid_ms) // HOUR
    hours = world.act.usual.shape[1]
    n = np.bincount(o.unit[earns] * hours + hour, minlength=book.size[0] * hours).reshape(-1, hours)
    week = np.cumsum(np.pad(n, ((0, 0), (1, 0))), axis=1).astype(float)
    first = hours - book.hours
    extra = week[:, first : first + book.hours] - week[:, first - 168 : first - 168 + book.hours]
    channel = Channel(book.counted("commission.reversed"), usual, np.where(extra >= 25, extra, 0.0))
    return Case([[channel]], lambda one: one.strength / one.active_hours, None, 0.0)


CASES: dict[str, Callable[[Book], Case]] = {
    "refund_surge": lambda book: refunds(book, False),
    "seller_fault_surge": lambda book: refunds(book, True),
    "complaint_surge": complaints,
    "chargeback_surge": chargebacks,
    "negative_reviews": low_reviews,
    "defect_surge": defects,
    "cancellation_surge": cancellations,
    "late_shipments": late,
    "commission_clawback": clawbacks,
}
