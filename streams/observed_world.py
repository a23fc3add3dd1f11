"""The world that the simulator plants in, made of what was observed: rates, shares, orders and live sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from streams.observed import WEEK_HOURS, Habit, OrderBook, Survey, Unit
from streams.simulate_activity import Activity, shape_of_week
from streams.simulate_market import Floats, Population
from streams.simulate_planting import World
from streams.simulate_spec import DAY, HOUR, MARKETS, Simulation

OBSERVED = 10**17  # from here on ids of recorded orders and their buyers
PRIOR = 50.0  # events whose usual share is mixed into a creator's own


def creators_of(units: Sequence[Unit]) -> list[str]:
    """The creators of these units, each once: their place is the number that the simulator has for them."""
    return list(dict.fromkeys(creator for creator, _ in units))


def observed_world(spec: Simulation, survey: Survey, units: list[Unit], book: OrderBook) -> World:
    """Of these units, the largest of each creator before its others."""
    habits = [survey.units[unit] for unit in units]
    pop = _population(spec, habits, units)
    usual, engagement = (rate[:, None] * _profile(spec, pop, survey) for rate in (pop.level, pop.engagement))
    crowd = np.array([h.viewers / h.minutes if h.minutes else 0.0 for h in habits])
    act = Activity(usual, engagement, usual, usual, engagement, np.ones((len(units), 1)), book.sessions())
    orders, fate = book.sorted_orders(pop.price, OBSERVED)
    return World(spec, pop, act, orders, fate, [], crowd)


def _population(spec: Simulation, habits: list[Habit], units: list[Unit]) -> Population:
    """Shares are the creator's own with the usual one mixed in, which is that of the simulated market."""

    def each(of: Callable[[Habit], float]) -> Floats:
        return np.array([of(habit) for habit in habits], dtype=np.float64)

    def share(part: str, whole: str, usual: float) -> Floats:
        return each(lambda h: (getattr(h, part) + PRIOR * usual) / (getattr(h, whole) + PRIOR))

    names = tuple(MARKETS)
    number = {creator: n for n, creator in enumerate(creators_of(units))}
    market = np.array([names.index(name) for _, name in units], dtype=np.int64)
    creator = np.array([number[name] for name, _ in units], dtype=np.int64)
    first = np.unique(creator, return_index=True)[1]
    joined_ms = dict.fromkeys(number, 0)
    for (name, _), habit in zip(units, habits, strict=True):
        joined_ms[name] = max(joined_ms[name], habit.registered_ms)
    registered = np.array([joined_ms[name] for name, _ in units], dtype=np.int64)
    registered = np.where(registered > spec.start_ms, registered, 0)
    days = np.where(registered > 0, np.maximum(spec.end_ms - registered, DAY), spec.days * DAY) / DAY
    ramp = np.array([np.clip(0.15 + 0.085 * np.arange(0.0, d, 0.1), 0.0, 1.0).mean() for d in days.tolist()])
    lived = days * np.where(registered > 0, ramp, 1.0)
    listed = np.array([MARKETS[name].price for name in names])[market]
    return Population(
        creator=creator, market=market, names=names, home=first[creator] == np.arange(len(units)),
        category=np.zeros(len(units), dtype=np.int64),
        price=np.where(each(lambda h: h.paid) > 0, each(lambda h: h.paid / max(h.priced, 1)), listed),
        level=each(lambda h: h.orders) / lived, engagement=each(lambda h: h.engaged) / lived,
        clicks=np.minimum(share("clicks", "orders", 1.0), 10.0),
        refund=np.minimum(share("refunds", "orders", 0.045), 0.3),
        complaint=np.minimum(share("complaints", "orders", 0.01), 0.1),
        low_trust=np.minimum(share("low", "engaged", 0.05), 0.9), stars=np.minimum(share("good", "reviews", 0.94), 1.0),
        late=np.minimum(share("late", "shipped", 0.028), 0.5),
        disputed=np.minimum(share("chargebacks", "orders", 0.003), 0.05),
        commission=np.minimum(each(_commission), 0.5), promoted=np.minimum(share("earned", "orders", 0.55), 1.0),
        logged_in=np.minimum(share("logged_in", "viewers", 0.78), 1.0),
        talking=np.minimum(share("talking", "logged_in", 0.065), 1.0), steadiness=np.full(len(units), 8.0),
        goes_live=each(lambda h: h.lives) > 0, registered_ms=registered,
        offset_ms=np.array([MARKETS[m].offset_hours * HOUR for m in names])[market],
    )  # fmt: skip


def _commission(habit: Habit) -> float:
    """As a share of the price of an order."""
    if not habit.earned or not habit.priced or not habit.paid:
        return 0.1
    return (habit.commission / habit.earned) / (habit.paid / habit.priced)


def _profile(spec: Simulation, pop: Population, survey: Survey) -> Floats:
    """(units, hours) of the share of a plain day: the market's hours of the week, and a newcomer's first days."""
    hour = np.arange(spec.grid_ms // HOUR, spec.grid_ms // HOUR + spec.hours)
    out = np.empty((len(pop.market), spec.hours))
    for market, name in enumerate(pop.names):
        mine = pop.market == market
        if mine.any():
            out[mine] = _week(name, survey.week.get(name, [0] * WEEK_HOURS))[hour % WEEK_HOURS] / 24.0
    age = (hour[None, :] * HOUR - pop.registered_ms[:, None]) / DAY
    ramp = np.clip(0.15 + 0.085 * age, 0.0, 1.0) * (age > -1 / 24)
    return np.asarray(out * np.where(pop.registered_ms[:, None] == 0, 1.0, ramp))


def _week(name: str, orders: list[int]) -> Floats:
    """(168,) mean 1, from Thursday 00:00 UTC: the market's orders, with three hundred simulated ones mixed in."""
    law = MARKETS[name]
    local = np.arange(WEEK_HOURS) + law.offset_hours
    usual = shape_of_week(law)[(local // 24 + 3) % 7, local % 24]
    mixed = np.array(orders, dtype=np.float64) + usual * 300.0 / WEEK_HOURS
    return np.asarray(mixed / mixed.mean())
