"""Planted kinds that are sales or praise of sales: spikes, brushing, incentive abuse, bought reviews, newcomers."""

import numpy as np

from streams.simulate_market import Ints
from streams.simulate_orders import Orders, ms, paid, refunds_of, reversals_of, reviews_of
from streams.simulate_planting import (
    Planted,
    Slot,
    World,
    between,
    buyers,
    clicks_before,
    engaged,
    orders_at,
    outside_live,
    per_day,
    sold,
    spread,
    stretch,
    usual,
)
from streams.simulate_rows import Rows, joined, rows
from streams.simulate_spec import DAY, HOUR

REVIEWED = 0.2  # share of orders
NEWCOMER_DAYS = 10  # after registration, in which a newcomer's surge begins


def order_spike(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """5 orders a day or more: for 2 to 12 hours `strength` times the usual orders, without clicks.

    By few buyers, one for each one to five orders. Marked: the orders; they go the way of all orders.
    """
    if per_day(world, world.act.usual, slot) < 5.0:
        return None
    n = int(rng.poisson(usual(world, world.act.usual, slot) * (slot.strength - 1.0)))
    pool = buyers(world, slot.unit, max(n // int(rng.integers(1, 6)), 3), rng)
    at, price, given = spread(slot, n, rng), rng.uniform(0.3, 1.0), rng.uniform(0.1, 0.7)
    orders = orders_at(world, slot, at, rng.choice(pool, n), rng, price=price, subsidised=given)
    return Planted(*sold(world, orders, rng))


def clickless_orders(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """10 orders a day or more: for 6 to 72 hours `strength` times the usual orders, none with a click before it.

    The buyers are as different as ever. Marked: the orders; they go the way of all orders.
    """
    if per_day(world, world.act.usual, slot) < 10.0:
        return None
    n = int(rng.poisson(usual(world, world.act.usual, slot) * (slot.strength - 1.0)))
    orders = orders_at(world, slot, spread(slot, n, rng), buyers(world, slot.unit, n, rng), rng)
    return Planted(*sold(world, orders, rng))


def brushing(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """2 orders a day or more: for 3 to 8 days 3 to 8 buyers order again and again, at 10 to 30 % of the price.

    `strength` times the usual orders, at least 25 and 5 for each buyer, without clicks; all are delivered, and 70 to
    95 % praised with five stars one to four days later. Marked: the orders and the reviews.
    """
    if per_day(world, world.act.usual, slot) < 2.0:
        return None
    few = buyers(world, slot.unit, int(rng.integers(3, 9)), rng)
    n = max(int(rng.poisson(usual(world, world.act.usual, slot) * slot.strength)), 25, 5 * len(few))
    at = spread(slot, n, rng)
    orders = orders_at(world, slot, at, rng.choice(few, n), rng, price=rng.uniform(0.1, 0.3))
    first, *others = paid(orders, rng)
    told = np.flatnonzero(rng.random(n) < rng.uniform(0.7, 0.95))
    delivered = at + ms(rng.uniform(0.6, 1.0, n))
    reviews = reviews_of(orders, told, delivered[told] + ms(rng.uniform(0.4, 3.0, len(told))), np.full(len(told), 5))
    return Planted(joined([first, reviews]), [*others, *_delivered(orders, delivered, rng)])


def _delivered(orders: Orders, at: Ints, rng: np.random.Generator) -> list[Rows]:
    shipped = orders.at + ((at - orders.at) * rng.uniform(0.3, 0.7, len(at))).astype(np.int64)
    return [
        rows("order.shipped", orders.unit, shipped, ref=orders.id, a=0),
        rows("order.delivered", orders.unit, at, ref=orders.id),
    ]


def review_burst(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """3 orders a day or more: within 4 to 48 hours `strength` times the usual reviews, at least 20 to 60.

    85 to 97 % have five stars; four in five name no order. Marked: the reviews.
    """
    if per_day(world, world.act.usual, slot) < 3.0:
        return None
    expected = REVIEWED * usual(world, world.act.usual, slot)
    n = max(int(rng.poisson(expected * (slot.strength - 1.0))), int(stretch(rng, 20, 60)))
    at, stars = spread(slot, n, rng), np.where(rng.random(n) < rng.uniform(0.85, 0.97), 5, rng.integers(3, 5, n))
    recent = between(world, slot.unit, slot.start_ms - 12 * DAY, slot.start_ms - 3 * DAY)
    recent = recent[~world.fate.reviewed[recent]]
    real = rng.choice(recent, min(n // 5, len(recent)), replace=False)
    k = len(real)
    bought = rows("review.posted", np.full(n - k, slot.unit), at[k:], actor=buyers(world, slot.unit, n - k, rng),
                  a=stars[k:])  # fmt: skip
    return Planted(joined([reviews_of(world.orders, real, at[:k], stars[:k]), bought]), [])


def incentive_abuse(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """5 orders a day or more: for 1 to 4 days `strength` times the usual subsidised orders, at least 25.

    All by 3 to 10 redeemers, with clicks; half are cancelled and a third refunded within a day or two, and nothing else
    comes of them. Marked: redemptions, cancellations and refunds.
    """
    if per_day(world, world.act.usual, slot) < 5.0:
        return None
    n = max(int(rng.poisson(0.08 * usual(world, world.act.usual, slot) * slot.strength)), 25)
    few, at = buyers(world, slot.unit, int(rng.integers(3, 11)), rng), spread(slot, n, rng)
    orders = orders_at(world, slot, at, rng.choice(few, n), rng, subsidised=1.0)
    first, redeemed, earned = paid(orders, rng)
    fate = rng.choice(3, n, p=(0.5, 0.35, 0.15))
    gone, back = np.flatnonzero(fate == 0), np.flatnonzero(fate == 1)
    gone_at = at[gone] + ms(rng.uniform(0.02, 0.5, len(gone)))
    cancelled = rows("order.cancelled", orders.unit[gone], gone_at, ref=orders.id[gone], a=at[gone])
    fault = np.where(rng.random(len(back)) < 0.5, 1, -1)
    refunds = refunds_of(world.pop, orders, back, rng.uniform(0.3, 2.0, len(back)), fault, rng)
    after = [first, earned, clicks_before(world, slot.unit, at, rng), reversals_of(orders, gone, gone_at, rng),
             reversals_of(orders, back, refunds.at, rng)]  # fmt: skip
    return Planted(joined([redeemed, cancelled, refunds]), after)


def newcomer_surge(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """A newcomer in its first ten days: for 2 to 5 days `strength` times the orders of the median newcomer of its age.

    At least 12 a day, and as many times its own usual. With clicks and follows, by many buyers, outside of its live
    sessions. Marked: the orders; they go the way of all orders.
    """
    pop, act, unit = world.pop, world.act, slot.unit
    young = pop.registered_ms > 0
    age = (slot.start_ms - pop.registered_ms[unit]) / DAY
    typical = float(np.median(pop.level[young])) * min(0.15 + 0.085 * age, 1.0)
    daily = max(slot.strength * max(typical, per_day(world, act.usual, slot)), 12.0)
    days = sum(length for _, length in slot.pieces) / DAY
    at = outside_live(act.sessions, unit, _waking(world, slot, int(rng.poisson(daily * days)), rng))
    orders = orders_at(world, slot, at, buyers(world, unit, len(at), rng), rng)
    first, after = sold(world, orders, rng)
    liked = engaged(world, unit, rng.choice(at, len(at) // 3), rng, 0.5)
    return Planted(first, [*after, clicks_before(world, unit, at, rng), liked])


def _waking(world: World, slot: Slot, n: int, rng: np.random.Generator) -> Ints:
    """Times in the slot's pieces, none in the local night."""
    at = spread(slot, 2 * n, rng)
    hour = (at + int(world.pop.offset_ms[slot.unit])) % DAY // HOUR
    return np.asarray(at[hour >= 8][:n])
