"""Simulated orders and what comes of them, each outcome at its own delay."""

from typing import NamedTuple

import numpy as np

from streams.simulate_activity import Activity, Struck, force
from streams.simulate_market import Flags, Floats, Ints, Population
from streams.simulate_rows import Rows, chosen, rows
from streams.simulate_spec import DAY, HOUR, MINUTE, Simulation

LOYAL = 500_000_000  # from here on a creator's own loyal buyers


class Orders(NamedTuple):
    """Sorted by unit. `surged` is the campaign's lift at the hour of payment."""

    unit: Ints
    at: Ints
    id: Ints
    buyer: Ints
    amount: Floats
    surged: Floats
    subsidised: Ints
    commission: Floats  # 0: the order earns none


class Fate(NamedTuple):
    """What became of each order."""

    cancelled: Flags
    refunded: Flags
    reviewed: Flags
    disputed: Flags
    reversed: Flags  # its commission
    delivered_ms: Ints


class Fulfilled(NamedTuple):
    parts: list[Rows]
    cancelled: Flags
    cancelled_ms: Ints
    shipped_ms: Ints
    delivered_ms: Ints


def ms(days: Floats) -> Ints:
    return (days * DAY).astype(np.int64)


def arrivals(spec: Simulation, rate: Floats, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Poisson arrivals at `rate` for each (unit, hour): unit and time, sorted by unit."""
    cell = np.repeat(np.arange(rate.size), rng.poisson(rate).ravel())
    unit, hour = np.divmod(cell, rate.shape[1])
    return unit, spec.grid_ms + hour * HOUR + rng.integers(0, HOUR, len(cell))


def people(market: Ints, rng: np.random.Generator) -> Ints:
    """Buyers and viewers: 60,000 in a market, some far more active than others."""
    return market * 1_000_000 + (60_000 * rng.random(len(market)) ** 1.8).astype(np.int64)


def loyal(pop: Population, unit: Ints, rng: np.random.Generator) -> Ints:
    """A creator's own buyers, more of them for a larger one; the keenest have about one order in fifty."""
    pool = np.clip(15.0 * pop.level[unit], 25.0, 1_000.0)
    return LOYAL + unit * 1_000 + (pool * rng.random(len(unit)) ** 1.5).astype(np.int64)


def prices(pop: Population, unit: Ints, rng: np.random.Generator) -> Floats:
    return np.asarray(pop.price[unit] * rng.lognormal(0.0, 0.55, len(unit)))


def commissions(pop: Population, unit: Ints, amount: Floats, rng: np.random.Generator) -> Floats:
    """Of the orders that earn one; each creator has its own rate and its own share of such orders."""
    return np.where(rng.random(len(unit)) < pop.promoted[unit], amount * pop.commission[unit], 0.0)


def make_orders(spec: Simulation, pop: Population, act: Activity, rng: np.random.Generator) -> Orders:
    unit, at = arrivals(spec, act.orders, rng)
    buyer = np.where(rng.random(len(unit)) < 0.2, loyal(pop, unit, rng), people(pop.market[unit], rng))
    surged = act.campaign[unit, (at - spec.grid_ms) // HOUR]
    subsidised = (rng.random(len(unit)) < np.where(surged > 1.2, 0.3, 0.08)).astype(np.int64)
    amount = prices(pop, unit, rng)
    earned = commissions(pop, unit, amount, rng)
    return Orders(unit, at, np.arange(len(unit)), buyer, amount, surged, subsidised, earned)


def desk_hours(pop: Population, unit: Ints, at: Ints, rng: np.random.Generator) -> Ints:
    """What falls into the local night is done in the morning, never earlier than it was due."""
    hour = (at + pop.offset_ms[unit]) % DAY
    morning = at - hour + ms(rng.uniform(8.0, 13.0, len(at)) / 24.0)
    return np.where(hour < 8 * HOUR, np.maximum(morning, at), at)


def paid(o: Orders, rng: np.random.Generator) -> list[Rows]:
    """The orders themselves, the incentives that subsidise some, and the commissions that most earn."""
    given, earns = o.subsidised > 0, o.commission > 0
    worth = (o.amount * rng.uniform(0.1, 0.3, len(o.at)))[given]
    late = rng.integers(1_000, 10 * MINUTE, len(o.at))[earns]
    return [
        rows("order.paid", o.unit, o.at, actor=o.buyer, ref=o.id, amount=o.amount, a=o.subsidised),
        rows("incentive.redeemed", o.unit[given], o.at[given], actor=o.buyer[given], ref=o.id[given], amount=worth),
        rows("commission.earned", o.unit[earns], o.at[earns] + late, ref=o.id[earns], amount=o.commission[earns]),
    ]


def fulfilment(pop: Population, o: Orders, struck: list[Struck], rng: np.random.Generator) -> Fulfilled:
    """3 % are cancelled; the others are shipped, some late. An outage cancels, a strike delays."""
    n, market = len(o.unit), pop.market[o.unit]
    cancelled = rng.random(n) < 0.03 + 0.3 * force(struck, "payment_outage", market, o.at)
    shipped = o.at + ms(np.minimum(0.1 + rng.gamma(2.5, 0.4, n), 2.0))
    late = rng.random(n) < pop.late[o.unit] + 0.7 * force(struck, "carrier_strike", market, shipped)
    shipped += np.where(late, ms(1.0 + rng.exponential(0.7, n)), 0)
    delivered = shipped + ms(0.5 + rng.gamma(3.0, 0.7, n))
    cancelled_at, kept = o.at + ms(rng.uniform(0.01, 1.0, n)), ~cancelled
    parts = [
        chosen(rows("order.cancelled", o.unit, cancelled_at, ref=o.id, a=o.at), cancelled),
        chosen(rows("order.shipped", o.unit, shipped, ref=o.id, a=late.astype(np.int64)), kept),
        chosen(rows("order.delivered", o.unit, delivered, ref=o.id), kept),
    ]
    return Fulfilled(parts, cancelled, cancelled_at, shipped, delivered)


def refunds_of(pop: Population, o: Orders, which: Flags | Ints, delay: Floats, fault: Ints,
               rng: np.random.Generator) -> Rows:  # fmt: skip
    """Full or partial refunds; -1 is a fault that is not named. Half of them name the time of the order."""
    unit, paid_at, n = o.unit[which], o.at[which], len(delay)
    amount = o.amount[which] * np.where(rng.random(n) < 0.8, 1.0, rng.uniform(0.2, 0.9, n))
    ref_at = np.where(rng.random(n) < 0.5, paid_at, -1)
    at, buyer, ids = desk_hours(pop, unit, paid_at + ms(delay), rng), o.buyer[which], o.id[which]
    return rows("refund.approved", unit, at, actor=buyer, ref=ids, amount=amount, a=fault, b=ref_at)


def faults(n: int, seller: float, rng: np.random.Generator) -> Ints:
    """Whose fault; half are not named."""
    fault = rng.choice(3, n, p=(seller, (1 - seller) * 0.6, (1 - seller) * 0.4))
    return np.where(rng.random(n) < 0.5, fault, -1)


def complaints_of(pop: Population, o: Orders, which: Flags | Ints, delay: Floats, focus: int,
                  rng: np.random.Generator) -> Rows:  # fmt: skip
    """`focus` is the kind that seven in ten have; -1: the usual mixture."""
    unit, paid_at, n = o.unit[which], o.at[which], len(delay)
    kind = rng.choice(4, n, p=(0.10, 0.30, 0.08, 0.52))
    if focus >= 0:
        kind = np.where(rng.random(n) < 0.7, focus, kind)
    return rows(
        "complaint.received", unit, paid_at + ms(delay), actor=o.buyer[which], ref=o.id[which], a=kind,
        b=np.where(rng.random(n) < 0.5, paid_at, -1),
    )  # fmt: skip


def reviews_of(o: Orders, which: Flags | Ints, at: Ints, stars: Ints) -> Rows:
    return rows("review.posted", o.unit[which], at, actor=o.buyer[which], ref=o.id[which], a=stars, b=o.at[which])


def chargebacks_of(o: Orders, which: Flags | Ints, at: Ints) -> Rows:
    return rows("chargeback.received", o.unit[which], at, ref=o.id[which], amount=o.amount[which], a=o.at[which])


def reversals_of(o: Orders, which: Ints, at: Ints, rng: np.random.Generator) -> Rows:
    """The commissions of these orders are taken back within a day of `at`, where there is one."""
    r = rows("commission.reversed", o.unit[which], at + ms(rng.uniform(0.05, 1.0, len(at))), ref=o.id[which],
             amount=o.commission[which], a=o.at[which])  # fmt: skip
    return chosen(r, o.commission[which] > 0)


def outcomes(
    pop: Population, o: Orders, struck: list[Struck], rng: np.random.Generator
) -> tuple[list[Rows], list[Rows], Fate]:
    """The orders themselves, then what follows each: fulfilment, refund, complaint, review, chargeback, reversal."""
    first, done = paid(o, rng), fulfilment(pop, o, struck, rng)
    n, kept, strike = len(o.unit), ~done.cancelled, force(struck, "carrier_strike", pop.market[o.unit], done.shipped_ms)
    back, refunds = _refunds(pop, o, kept, strike, rng)
    cross = kept & (rng.random(n) < pop.complaint[o.unit] + 0.04 * strike)
    delay = np.clip(0.5 + rng.gamma(3.0, 0.9, n), 1.0, 8.0)
    complaints = complaints_of(pop, o, cross, delay[cross], -1, rng)
    told = kept & (rng.random(n) < 0.2)
    at = np.maximum(o.at + ms(rng.uniform(3.0, 8.0, n)), done.delivered_ms + HOUR)
    good = rng.random(n) < pop.stars[o.unit]
    stars = np.where(good, rng.integers(4, 6, n), rng.integers(1, 4, n))
    disputed = kept & (rng.random(n) < pop.disputed[o.unit])
    charged = o.at + ms(3.0 + rng.gamma(3.0, 3.5, n))
    over = np.flatnonzero(done.cancelled)
    parts = [
        *done.parts, *refunds, complaints, reviews_of(o, told, at[told], stars[told]),
        chargebacks_of(o, disputed, charged[disputed]), reversals_of(o, over, done.cancelled_ms[over], rng),
    ]  # fmt: skip
    taken = (done.cancelled | back) & (o.commission > 0)
    return first, parts, Fate(done.cancelled, back, told, disputed, taken, done.delivered_ms)


def _refunds(pop: Population, o: Orders, kept: Flags, strike: Floats,
             rng: np.random.Generator) -> tuple[Flags, list[Rows]]:  # fmt: skip
    """Which orders are refunded; their refunds, and the commissions that are reversed with them."""
    n = len(o.unit)
    mean = np.array([law.refund_days for law in pop.laws])[pop.market[o.unit]]
    delay = 0.3 + rng.gamma(3.0, (mean - 0.3) / 3.0, n)
    own = kept & (rng.random(n) < pop.refund[o.unit] * np.where(o.surged > 1.2, 1.25, 1.0))
    lost = kept & ~own & (rng.random(n) < 0.1 * strike)
    fault = np.where(lost, 2, faults(n, 0.45, rng))
    back = np.flatnonzero(own | lost)
    refunds = refunds_of(pop, o, back, delay[back], fault[back], rng)
    return own | lost, [refunds, reversals_of(o, back, refunds.at, rng)]
