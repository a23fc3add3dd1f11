"""Everyday trade: clicks, orders, and whatever comes of an order."""

from typing import Any

import numpy as np
from strangers_world import HOUR_MS, START_MS, Order, Unit, World

COMPLAINTS = ("misleading", "misleading", "misleading", "misleading", "other", "other", "other", "other", "safety")


def trade(w: World, u: Unit, live: list[Any]) -> None:
    """All of a creator's orders; `live` holds the times of those from its live sessions."""
    rng = w.rng
    bought = [(t, "") for t in np.concatenate([w.spread(u, u.rate * (1 - u.live_share), -24 * u.history), *live])]
    for _ in range(rng.poisson(0.003 * u.days)):  # a reseller buys ten at once, or somebody for a whole office
        at, who = rng.uniform(0, w.hours), f"r{rng.integers(10**5)}" if rng.random() < 0.6 else ""
        bought += [(t, who) for t in at + rng.exponential(0.05, rng.integers(5, 13))]
    for at, buyer in sorted(bought):
        if at >= u.join and rng.random() < (at - u.join) / 96 and paid(w, u, at):  # sales grow over the first days
            one = order(w, u, at, buyer or None)
            clicks(w, u, one)
            fulfil(w, u, one)
            regret(w, u, one)
    u.times = [o.at for o in u.orders]
    for at in w.spread(u, u.rate * u.habits.browse, 0):
        click(w, u, at)
    ask(w, u)


def paid(w: World, u: Unit, at: float) -> bool:
    return not w.outage.hits(u.market, at) or w.rng.random() < 0.3


def order(w: World, u: Unit, at: float, buyer: str | None = None, price: float = 1.0, subsidy: float | None = None,
          ) -> Order:  # fmt: skip
    rng, habits = w.rng, u.habits
    if buyer is None:
        own = rng.random() < habits.regular
        buyer = f"g{u.id[3:]}_{rng.integers(habits.regulars)}" if own else f"b{rng.integers(10**6)}"
    one = Order(at, f"o{u.id[3:]}{u.market}{len(u.orders)}", buyer, price * rng.lognormal(3, 0.7))
    u.orders.append(one)
    cheap = bool(rng.random() < (habits.subsidised if subsidy is None else subsidy))
    chance = rng.random()
    w.put(u, "order.paid", at, {"subsidised": cheap}, ref_id=one.id, actor_id=None if chance < 0.01 else buyer,
          amount=round(one.amount, 2), currency="USD" if u.market == "US" and chance < 0.5 else None,
          category=None if chance > 0.94 else u.categories[-1 if rng.random() < 0.3 else 0])  # fmt: skip
    if cheap:
        redeem(w, u, one, at)
    return one


def redeem(w: World, u: Unit, one: Order, at: float) -> bool:
    worth = round(one.amount * w.rng.uniform(0.1, 0.3), 2)
    return w.put(u, "incentive.redeemed", at, actor_id=one.buyer, ref_id=one.id, amount=worth)


def click(w: World, u: Unit, at: float, actor: str | None = None) -> bool:
    """Half of those who click are guests."""
    chance = int(w.rng.integers(40))
    category = u.categories[0] if chance % 4 else None
    return w.put(u, "product.clicked", at, actor_id=actor, ref_id=f"p{u.id[3:]}_{chance % 7}", category=category)


def clicks(w: World, u: Unit, one: Order, part: float = 1.0) -> None:
    """What was clicked before an order, the buyer's own click last."""
    rng = w.rng
    for before in rng.exponential(0.5, rng.poisson(part * (u.habits.clicks - 1))):
        click(w, u, one.at - before, f"b{rng.integers(10**6)}" if rng.random() < 0.5 else None)
    if part > rng.random():
        click(w, u, one.at - rng.exponential(0.05), one.buyer)


def fulfil(w: World, u: Unit, one: Order) -> None:
    """The order is cancelled, or shipped, delivered and paid for to its creator."""
    rng, at = w.rng, one.at
    broken = w.outage.hits(u.market, at)
    if rng.random() < u.habits.cancel * (4 if broken else 1):
        cancel(w, u, one, at + rng.exponential(5))
        return
    struck = w.strike.hits(u.market, at + 24)
    late = bool(rng.random() < (0.5 if struck else u.habits.late))
    packed = at + (rng.lognormal(np.log(75), 0.4) if late else min(rng.lognormal(np.log(20), 0.6), 47))
    if outcome(w, u, "order.shipped", one, packed, late=late) and not late:
        u.shipped[one.id] = len(w.rows) - 1
    there = packed + 24 * struck + rng.lognormal(np.log(50), 0.4)
    w.put(u, "order.delivered", there, ref_id=one.id, actor_id=one.buyer)
    if u.habits.commission:
        earn(w, u, one, there)


def earn(w: World, u: Unit, one: Order, there: float) -> None:
    """A commission within hours; in two markets all of a day's in the night that follows."""
    at = there + w.rng.exponential(2)
    if u.market in ("US", "TH"):
        at = (np.ceil((there + u.offset) / 24) * 24) + 3 - u.offset + w.rng.exponential(0.3)
    if w.put(u, "commission.earned", at, ref_id=one.id, amount=round(one.amount * u.habits.commission, 2)):
        if w.rng.random() < 0.006:  # a clerk's mistake
            unearn(w, u, one, at + w.rng.uniform(12, 200))
        else:
            u.earned.append((at, one))


def unearn(w: World, u: Unit, one: Order, at: float) -> bool:
    attrs = {"ref_at": START_MS + int(one.at * HOUR_MS)} if w.v.ref_at else {}
    return w.put(u, "commission.reversed", at, attrs, ref_id=one.id, amount=round(one.amount * u.habits.commission, 2))


def regret(w: World, u: Unit, one: Order) -> None:
    """Refund, complaint, chargeback, review."""
    rng, at = w.rng, one.at
    if one.id not in u.cancelled and rng.random() < u.refund:
        when = at + delay(w, u)
        refund(w, u, one, when)
        if u.earned and u.earned[-1][1] is one and u.earned[-1][0] < when:
            unearn(w, u, u.earned.pop()[1], when + rng.exponential(1))
    waited = at + rng.lognormal(np.log(90), 0.5)
    if rng.random() < u.complaint * (3 if w.strike.hits(u.market, waited) else 1):
        complain(w, u, one, waited)
    if rng.random() < u.habits.chargeback * (6 if w.outage.hits(u.market, at) else 1):
        early = rng.random() < 0.4  # the bank itself found it
        dispute(w, u, one, at + (rng.uniform(30, 150) if early else rng.lognormal(np.log(18 * 24), 0.5)))
    asked = w.reminder.market == u.market and 0 < w.reminder.at - at < 240
    if rng.random() < u.habits.review:
        review(w, u, one, at + rng.lognormal(np.log(150), 0.4))
    elif asked and rng.random() < 0.06:
        review(w, u, one, w.reminder.at + rng.exponential(6))


def ask(w: World, u: Unit) -> None:
    """A creator asks the buyers of a fortnight for reviews, and within two days a part of them writes one."""
    for _ in range(int(u.habits.asks)):
        at = w.rng.uniform(24, w.hours)
        for one in u.between(at - 336, at):
            if w.rng.random() < 0.12:
                review(w, u, one, at + w.rng.exponential(14))


def outcome(w: World, u: Unit, kind: str, one: Order, at: float, /, **attrs: Any) -> bool:
    if w.v.ref_at:
        attrs["ref_at"] = START_MS + int(one.at * HOUR_MS)
    amount = round(one.amount, 2) if kind != "review.posted" else None
    actor = None if w.rng.random() < 0.02 else one.buyer
    return w.put(u, kind, at, attrs, ref_id=one.id, actor_id=actor, amount=amount)


def cancel(w: World, u: Unit, one: Order, at: float) -> bool:
    u.cancelled.add(one.id)
    return outcome(w, u, "order.cancelled", one, at)


def dispute(w: World, u: Unit, one: Order, at: float) -> bool:
    return outcome(w, u, "chargeback.received", one, at)


def complain(w: World, u: Unit, one: Order, at: float) -> bool:
    fake, i = w.rng.random() < u.habits.fakes, w.rng.integers(len(COMPLAINTS))
    kind = "counterfeit" if fake else COMPLAINTS[i]
    return outcome(w, u, "complaint.received", one, at, kind=kind)


def review(w: World, u: Unit, one: Order, at: float, stars: int = 0) -> bool:
    """Five stars or one, and little between."""
    if not stars:
        low = w.rng.random() < u.habits.low_stars
        stars = 1 + int(w.rng.random() < 0.3) if low else 3 + int(w.rng.choice(3, p=[0.08, 0.17, 0.75]))
    return outcome(w, u, "review.posted", one, at, stars=stars)


def delay(w: World, u: Unit) -> float:
    """Hours from an order to its refund."""
    if w.rng.random() < w.v.fast:
        return float(w.rng.exponential(6))
    slow = w.rng.uniform(4, 168) if u.market == "US" else w.rng.lognormal(np.log(120), 0.6)
    return float(w.v.slow * slow)


def refund(w: World, u: Unit, one: Order, at: float, fault: str | None = None) -> bool:
    u.refunded.add(one.id)
    if fault is None:
        carrier = 0.6 if w.strike.hits(u.market, one.at + 24) else 0.08
        fault = "seller" if w.rng.random() < u.habits.seller_fault else "buyer"
        fault = "carrier" if w.rng.random() < carrier else fault
    return outcome(w, u, "refund.approved", one, at, fault=fault)
