"""What resembles an episode and is none: planted with labels of its own, and nothing may be said of it."""

import numpy as np

from streams.simulate_market import Ints
from streams.simulate_planting import (
    Guests,
    Planted,
    Slot,
    World,
    afternoon,
    buyers,
    clicks_before,
    engaged,
    extra_live,
    orders_at,
    per_day,
    sold,
    spread,
    usual,
)
from streams.simulate_rows import Rows, joined
from streams.simulate_spec import DAY, HOUR, MINUTE


def honest_orders(world: World, slot: Slot, at: Ints, rng: np.random.Generator) -> tuple[Rows, list[Rows]]:
    """With clicks, by many buyers, and going the way of all orders."""
    orders = orders_at(world, slot, at, buyers(world, slot.unit, len(at), rng), rng)
    first, after = sold(world, orders, rng)
    return first, [*after, clicks_before(world, slot.unit, at, rng)]


def viral_video(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """10 engagements a day or more: for 6 to 24 hours `strength` times the usual, of the usual mixture, and fading.

    1.5 to 3 times the usual orders and clicks come with it. Marked: the engagements.
    """
    if per_day(world, world.act.usual_engagement, slot) < 10.0:
        return None
    n = int(rng.poisson(usual(world, world.act.usual_engagement, slot) * (slot.strength - 1.0)))
    at = slot.start_ms + (slot.span_ms * rng.random(n) ** 1.4).astype(np.int64)
    more = int(rng.poisson(usual(world, world.act.usual, slot) * rng.uniform(0.5, 2.0)))
    first, after = honest_orders(world, slot, spread(slot, more, rng), rng)
    return Planted(engaged(world, slot.unit, at, rng, 0.2), [first, *after])


def live_giveaway(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """A creator that goes live, with 15 usual viewers or more: `strength` times the crowd comes for a giveaway.

    As logged in as ever, three to five times as talkative; a good part follows, and orders of a third to a whole day
    fall in the session. Marked: the live minutes and the follows.
    """
    pop, unit = world.pop, slot.unit
    if not pop.goes_live[unit] or world.crowd[unit] < 15.0:
        return None
    talk = min(float(pop.talking[unit]) * rng.uniform(3.0, 5.0), 0.5)
    guests = Guests(slot.strength - 1.0, float(pop.logged_in[unit]), talk, False)
    start, length = afternoon(world, unit, slot.start_ms, rng), int(rng.uniform(1.0, 3.0) * HOUR)
    minutes, rest = extra_live(world, slot, start, length, guests, rng)
    inside = slot._replace(pieces=((start + 20 * MINUTE, length - 20 * MINUTE),))
    follows = int(world.crowd[unit] * slot.strength * rng.uniform(0.2, 0.6))
    liked = engaged(world, unit, spread(inside, follows, rng), rng, 0.7)
    n = int(rng.poisson(per_day(world, world.act.usual, slot) * rng.uniform(0.3, 1.0)))
    first, after = honest_orders(world, slot, spread(inside, n, rng), rng)
    return Planted(joined([minutes, liked]), [*rest, first, *after])


def raid(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """A creator that goes live, with 15 usual viewers or more: another's viewers come over, `strength` times the crowd.

    They are as logged in and as talkative as the creator's own. Marked: the live minutes from then on.
    """
    pop, unit = world.pop, slot.unit
    if not pop.goes_live[unit] or world.crowd[unit] < 15.0:
        return None
    guests = Guests(slot.strength, float(pop.logged_in[unit]), float(pop.talking[unit]), False)
    start, length = afternoon(world, unit, slot.start_ms, rng), int(rng.uniform(1.0, 3.0) * HOUR)
    return Planted(*extra_live(world, slot, start, length, guests, rng))


def restock(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """5 orders a day or more, never live: for 3 to 10 hours `strength` times the usual orders, with their clicks.

    The buyers are many. Marked: the orders; they go the way of all orders.
    """
    if world.pop.goes_live[slot.unit] or per_day(world, world.act.usual, slot) < 5.0:
        return None
    n = int(rng.poisson(usual(world, world.act.usual, slot) * (slot.strength - 1.0)))
    return Planted(*honest_orders(world, slot, spread(slot, n, rng), rng))


def launch_party(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """A newcomer's first evening: a live session of 2 to 3 hours with `strength` orders and about as many follows.

    The orders have clicks and many buyers. Marked: the orders and the engagements.
    """
    pop, unit = world.pop, slot.unit
    joined_at, offset = int(pop.registered_ms[unit]), int(pop.offset_ms[unit])
    midnight = (joined_at + offset) // DAY * DAY - offset
    start = midnight + int(rng.uniform(18.5, 20.0) * HOUR)
    start += DAY if start < joined_at + HOUR else 0
    if start + slot.span_ms + HOUR > world.spec.end_ms:
        return None
    guests = Guests(2.0, float(pop.logged_in[unit]), float(pop.talking[unit]), False)
    minutes, rest = extra_live(world, slot, start, slot.span_ms, guests, rng)
    inside = slot._replace(start_ms=start, pieces=((start + 5 * MINUTE, slot.span_ms - 5 * MINUTE),))
    n = int(rng.poisson(slot.strength * world.spec.volume))
    first, after = honest_orders(world, inside, spread(inside, n, rng), rng)
    liked = engaged(world, unit, spread(inside, int(n * rng.uniform(0.7, 1.5)), rng), rng, 0.7)
    return Planted(joined([first, liked]), [minutes, *rest, *after])
