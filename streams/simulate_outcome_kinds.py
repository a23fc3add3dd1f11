"""Planted kinds that follow orders: refunds, chargebacks, complaints, reviews, cancellations, late parcels, clawbacks.

Each says the least usual volume of its creator, what `strength` is, and what is marked.
"""

import numpy as np

from streams.simulate_orders import (
    chargebacks_of,
    complaints_of,
    faults,
    ms,
    paid,
    refunds_of,
    reversals_of,
    reviews_of,
)
from streams.simulate_planting import (
    Planted,
    Slot,
    World,
    active_days,
    between,
    buyers,
    clicks_before,
    intensity,
    orders_at,
    per_day,
    some,
    spread,
    usual,
)
from streams.simulate_rows import joined, rows
from streams.simulate_spec import DAY

LOW_STARS = 2 / 3  # of the reviews that are not good: one or two stars


def refund_surge(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """15 orders a day or more: those of 2 to 5 days are refunded `strength` times as often, and sooner.

    Marked: the refunds. Commissions are reversed with them.
    """
    return _refunds(world, slot, rng, 0.8, False)


def seller_fault_surge(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """15 orders a day or more: refunds for the seller's fault, named each time, `strength` times as often.

    Those for the buyer's and the carrier's fault stay as they are. Marked: the refunds; commissions are reversed.
    """
    return _refunds(world, slot, rng, 0.45 * 0.5, True)


def _refunds(world: World, slot: Slot, rng: np.random.Generator, seller: float, named: bool) -> Planted | None:
    if per_day(world, world.act.usual, slot) < 15.0:
        return None
    which = between(world, slot.unit, slot.start_ms, slot.start_ms + slot.span_ms)
    which = which[~world.fate.refunded[which]]
    extra = world.pop.refund[slot.unit] * (slot.strength - 1.0) * (seller if named else 1.0)
    share = np.minimum(extra * intensity(slot, world.orders.at[which]), 0.7)
    which = which[rng.random(len(which)) < share]
    delay = np.clip(0.1 + rng.gamma(2.0, 0.5, len(which)), 0.1, 3.0)
    fault = np.zeros(len(which), dtype=np.int64) if named else faults(len(which), seller, rng)
    refunds = refunds_of(world.pop, world.orders, which, delay, fault, rng)
    return Planted(refunds, [reversals_of(world.orders, which, refunds.at, rng)])


def complaint_surge(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """15 orders a day or more: 2 to 4 days of `strength` times the usual complaints, on orders just before.

    Seven in ten are of one kind, never counterfeit. Marked: the complaints.
    """
    daily = per_day(world, world.act.usual, slot)
    recent = between(world, slot.unit, slot.start_ms - 5 * DAY, slot.start_ms - DAY // 2)
    if daily < 15.0 or len(recent) == 0:
        return None
    mean = daily * active_days(slot) * world.pop.complaint[slot.unit] * (slot.strength - 1.0)
    which = some(recent, mean, rng)
    delay = (spread(slot, len(which), rng) - world.orders.at[which]) / DAY
    focus = int(rng.integers(1, 4))
    return Planted(complaints_of(world.pop, world.orders, which, delay, focus, rng), [])


def counterfeit_wave(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """At least twice as many buyers in the ten days before: `strength` of them complain of counterfeits.

    Marked: the complaints, each by another buyer.
    """
    recent = between(world, slot.unit, slot.start_ms - 10 * DAY, slot.start_ms - DAY // 2)
    recent = recent[np.unique(world.orders.buyer[recent], return_index=True)[1]]
    n = round(slot.strength)
    if len(recent) < 2 * n:
        return None
    which = rng.choice(recent, n, replace=False)
    delay = (spread(slot, n, rng) - world.orders.at[which]) / DAY
    complaints = complaints_of(world.pop, world.orders, which, delay, 0, rng)
    return Planted(complaints._replace(a=np.zeros(n, dtype=np.int64)), [])


def chargeback_surge(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """20 orders a day or more: 3 to 8 days of `strength` times the usual chargebacks on the stream's orders so far.

    Marked: the chargebacks.
    """
    daily = per_day(world, world.act.usual, slot)
    first = max(slot.start_ms - 21 * DAY, world.spec.start_ms)  # those of earlier orders can't be judged
    recent = between(world, slot.unit, first, slot.start_ms - 3 * DAY)
    recent = recent[~world.fate.disputed[recent]]
    if daily < 20.0 or len(recent) == 0:
        return None
    which = some(recent, daily * active_days(slot) * world.pop.disputed[slot.unit] * (slot.strength - 1.0), rng)
    return Planted(chargebacks_of(world.orders, which, spread(slot, len(which), rng)), [])


def negative_reviews(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """20 orders a day or more: 2 to 6 days of `strength` times the usual reviews of one and two stars.

    They are of orders of 3 to 10 days before that had no review. Marked: the reviews.
    """
    daily = per_day(world, world.act.usual, slot)
    if daily < 20.0:
        return None
    recent = between(world, slot.unit, slot.start_ms - 10 * DAY, slot.start_ms - 3 * DAY)
    mean = daily * active_days(slot) * _low_reviews(world, slot.unit) * (slot.strength - 1.0)
    which = some(recent[~world.fate.reviewed[recent]], mean, rng)
    stars = np.where(rng.random(len(which)) < 0.7, 1, 2)
    return Planted(reviews_of(world.orders, which, spread(slot, len(which), rng), stars), [])


def _low_reviews(world: World, unit: int) -> float:
    """Of an order: that it is reviewed with one or two stars."""
    return 0.2 * LOW_STARS * (1.0 - float(world.pop.stars[unit]))


def defect_surge(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """40 orders a day or more: 4 to 7 days of `strength` times the usual low reviews, complaints and chargebacks.

    They are of different orders, two or more of each. Marked: all three.
    """
    daily = per_day(world, world.act.usual, slot)
    recent = between(world, slot.unit, slot.start_ms - 14 * DAY, slot.start_ms - 3 * DAY)
    recent = rng.permutation(recent[~world.fate.reviewed[recent] & ~world.fate.disputed[recent]])
    if daily < 40.0 or len(recent) < 30:
        return None
    base = daily * active_days(slot) * (slot.strength - 1.0)
    low, cross, charged = (
        some(third, base * share, rng)
        for third, share in zip(
            np.array_split(recent, 3),
            (_low_reviews(world, slot.unit), world.pop.complaint[slot.unit], world.pop.disputed[slot.unit]),
            strict=True,
        )
    )
    if min(map(len, (low, cross, charged))) < 2:
        return None
    times = [spread(slot, len(which), rng) for which in (low, cross, charged)]
    stars, delay = np.where(rng.random(len(low)) < 0.6, 1, 2), (times[1] - world.orders.at[cross]) / DAY
    parts = [
        reviews_of(world.orders, low, times[0], stars),
        complaints_of(world.pop, world.orders, cross, delay, -1, rng),
        chargebacks_of(world.orders, charged, times[2]),
    ]
    return Planted(joined(parts), [])


def cancellation_surge(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """10 orders a day or more: 1 to 4 days in which `strength` times the usual share (3 %) is cancelled within hours.

    The cancelled orders are additional ones, with their clicks, so that no order of the background is cancelled and
    delivered. Marked: the cancellations; commissions are reversed with them.
    """
    if per_day(world, world.act.usual, slot) < 10.0:
        return None
    target = min(0.03 * slot.strength, 0.45)
    n = int(rng.poisson(usual(world, world.act.usual, slot) * (target - 0.03) / (1.0 - target)))
    at = spread(slot, n, rng)
    orders = orders_at(world, slot, at, buyers(world, slot.unit, n, rng), rng)
    gone = orders.at + ms(rng.uniform(0.01, 0.4, n))
    cancelled = rows("order.cancelled", orders.unit, gone, ref=orders.id, a=orders.at)
    return Planted(cancelled, [*paid(orders, rng), clicks_before(world, slot.unit, at, rng),
                               reversals_of(orders, np.arange(n), gone, rng)])  # fmt: skip


def late_shipments(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """10 orders a day or more: 2 to 5 days in which `strength` times the usual share of parcels is late.

    The late ones are second parcels of orders of the days before, so that no order of the background is shipped twice
    in one piece. Marked: the late shipments.
    """
    if per_day(world, world.act.usual, slot) < 10.0:
        return None
    which = between(world, slot.unit, slot.start_ms - 4 * DAY, slot.start_ms + slot.span_ms)
    at = world.orders.at[which] + ms(2.1 + rng.exponential(0.6, len(which)))
    target = min(float(world.pop.late[slot.unit]) * slot.strength, 0.6)
    chosen = rng.random(len(which)) < target / (1.0 - target) * intensity(slot, at)
    which, at = which[chosen], at[chosen]
    return Planted(rows("order.shipped", world.orders.unit[which], at, ref=world.orders.id[which], a=1), [])


def commission_clawback(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """25 commissions or more in a week: a share, `strength`, of them is reversed within 1 to 4 days.

    Nothing is refunded or cancelled with it. Marked: the reversals.
    """
    recent = between(world, slot.unit, slot.start_ms - 7 * DAY, slot.start_ms)
    recent = recent[(world.orders.commission[recent] > 0) & ~world.fate.reversed[recent]]
    if len(recent) < 25:
        return None
    which = recent[rng.random(len(recent)) < slot.strength]
    o, at = world.orders, spread(slot, len(which), rng)
    money = o.commission[which]
    return Planted(rows("commission.reversed", o.unit[which], at, ref=o.id[which], amount=money, a=o.at[which]), [])
