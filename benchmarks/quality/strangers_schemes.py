"""Planted episodes of trade: what goes wrong with orders, and what is done to look better than one is.

`at` is the hour at which an episode may begin. Extra orders are shipped, delivered and paid for like any other; those
are ordinary consequences and no part of the episode.
"""

from typing import Any

import numpy as np
from strangers_trade import (
    cancel,
    click,
    clicks,
    complain,
    delay,
    dispute,
    fulfil,
    order,
    outcome,
    redeem,
    refund,
    review,
    unearn,
)  # fmt: skip
from strangers_world import DAY_CURVE, Order, Unit, World


def awake(w: World, u: Unit, at: float, long: float, n: Any) -> list[float]:
    """n times within `long` hours, by the hour of the day."""
    hour = at + np.arange(0, long, 0.5)
    curve = DAY_CURVE[np.floor(hour + u.offset).astype(int) % 24]
    return list((w.rng.choice(hour, n, p=curve / curve.sum()) + w.rng.uniform(0, 0.5, n)).tolist())


def clumps(w: World, at: float, long: float, n: Any, many: Any, spread: float = 0.7) -> list[float]:
    """n times in a few clumps: somebody's shift, a bank's file, a settlement."""
    middles = at + np.sort(w.rng.uniform(0, long, many))
    middles[0] = at
    return list((w.rng.choice(middles, n) + w.rng.exponential(spread, n)).tolist())


def clicked(w: World, u: Unit, at: float, part: float) -> bool:
    for before in w.rng.exponential(0.5, w.rng.poisson(part * u.habits.clicks)):
        click(w, u, at - before)
    return True


def sales(w: World, u: Unit, times: Any, part: float = 1.0, **how: Any) -> list[float]:
    """Extra orders with the given part of the usual clicks."""
    for t in times:
        one = order(w, u, t, **how)
        clicks(w, u, one, part)
        fulfil(w, u, one)
    return list(times)


def whole(w: World, u: Unit, first: float, last: float) -> list[Order]:
    """Orders that nobody has cancelled or been refunded."""
    return [o for o in u.between(first, last) if o.id not in u.refunded and o.id not in u.cancelled]


def refund_surge(w: World, u: Unit, at: float) -> list[float]:
    """Propensity x 3-6 for 3-7 days: of orders placed then, or of what is decided then on the last ten days'."""
    rng, long, extra = w.rng, w.rng.uniform(72, 168), u.refund * w.rng.uniform(2, 5)
    batch = rng.random() < 0.5
    past = whole(w, u, at if batch else at - 240, at + long * batch)
    if batch:
        bad = rng.random(len(past)) < min(extra / (1 - u.refund), 0.8)
        due = [(o, o.at + delay(w, u)) for o, is_bad in zip(past, bad, strict=True) if is_bad]
    else:
        n = min(rng.poisson(u.level(at) * extra * long / 24), len(past))
        due = [(o, rng.uniform(at, at + long)) for o in w.some(past, n)]
    return [when for o, when in due if refund(w, u, o, when)]


def seller_fault_surge(w: World, u: Unit, at: float) -> list[float]:
    """15-40 % of some days' orders come back by the seller's fault; or what is at fault is paid back in shifts."""
    rng, long, share = w.rng, w.rng.uniform(60, 140), w.rng.uniform(0.15, 0.4)
    if rng.random() < 0.6:
        bad = [o for o in whole(w, u, at - 24, at + long) if rng.random() < share]
        due = [max(at, o.at) + rng.lognormal(np.log(40), 0.7) for o in bad]
    else:
        bad = [o for o in whole(w, u, at - 200, at) if rng.random() < share]
        due = clumps(w, at, 72, len(bad), 4, 1.5)
    return [t for o, t in zip(bad, due, strict=True) if refund(w, u, o, t, "seller")]


def complaint_surge(w: World, u: Unit, at: float) -> list[float]:
    """In 1-4 days come complaints for 8-20 % of that many days' orders, about the orders of the last week."""
    long, past = w.rng.uniform(24, 96), u.between(at - 168, at)
    many = w.rng.poisson(u.level(at) * long / 24 * w.rng.uniform(0.08, 0.2))
    when = w.rng.uniform(at, at + long, many).tolist() if past else []
    about = [past[w.rng.integers(len(past))] for _ in when]
    return [t for t, o in zip(when, about, strict=True) if complain(w, u, o, t)]


def chargeback_surge(w: World, u: Unit, at: float) -> list[float]:
    """Buyers of a fortnight dispute, bank file by bank file; or stolen cards buy dearly and are found out."""
    rng = w.rng
    if rng.random() < 0.6:
        bad = w.some(whole(w, u, at - 300, at), rng.poisson(u.level(at) * 12 * rng.uniform(0.06, 0.14)))
        when = clumps(w, at, rng.uniform(60, 150), len(bad), rng.integers(3, 7), 0.4)
        return [t for o, t in zip(bad, when, strict=True) if dispute(w, u, o, t)]
    bought = awake(w, u, at, rng.uniform(8, 40), int(rng.integers(11, 16 + int(u.level(at)))))
    found = []
    for t in bought:
        one = order(w, u, t, price=3.0)
        clicks(w, u, one, 0.5)
        fulfil(w, u, one)
        back = t + rng.uniform(18, 96)
        found += [back] * (rng.random() < 0.85 and dispute(w, u, one, back))
    return [*bought, *found] if len(found) >= 8 else []


def defect_surge(w: World, u: Unit, at: float) -> list[float]:
    """8-16 % of ten days' orders: of them 54 % get a low review, 33 % a complaint, 13 % a chargeback."""
    rng, long, share = w.rng, w.rng.uniform(84, 180), w.rng.uniform(0.08, 0.16)
    when: list[float] = []
    for one in whole(w, u, at - 180, at + long / 2):
        if rng.random() > share:
            continue
        t, kind = max(at, one.at + 12) + rng.uniform(0, long / 2), rng.random()
        if kind < 0.54:
            done = review(w, u, one, t, int(rng.integers(1, 3)))
        elif kind < 0.87:
            done = complain(w, u, one, t)
        else:
            done = dispute(w, u, one, t)
        when += [t] * done
    return when


def negative_reviews(w: World, u: Unit, at: float) -> list[float]:
    """What was sold in a fortnight disappoints: low reviews for 6-15 % of its orders, in two to seven days."""
    rng = w.rng
    bad = w.some(u.between(at - 336, at), rng.poisson(14 * u.level(at) * rng.uniform(0.06, 0.15)))
    when = awake(w, u, at, rng.uniform(48, 168), len(bad))
    return [t for o, t in zip(bad, when, strict=True) if review(w, u, o, t, int(rng.choice([1, 1, 2])))]


def cancellation_surge(w: World, u: Unit, at: float) -> list[float]:
    """Oversold: a quarter to two thirds of two to five days' orders are cancelled, or a backlog in a few mornings."""
    rng, share = w.rng, w.rng.uniform(0.25, 0.65)
    if rng.random() < 0.6:
        bad = [o for o in whole(w, u, at, at + rng.uniform(40, 120)) if rng.random() < share]
        when = [o.at + rng.exponential(6) for o in bad]
    else:
        bad = [o for o in whole(w, u, at - 84, at) if rng.random() < share]
        when = clumps(w, at, 50, len(bad), 3, 0.3)
    return [t for o, t in zip(bad, when, strict=True) if cancel(w, u, o, t)]


def late_shipments(w: World, u: Unit, at: float) -> list[float]:
    """The packers are behind: of the orders of two to six days 50-90 % that were shipped in time are late instead."""
    rng, share, when = w.rng, w.rng.uniform(0.5, 0.9), []
    for one in u.between(at, at + rng.uniform(48, 144)):
        if one.id in u.shipped and rng.random() < share:
            when.append(w.change(u.shipped[one.id], rng.uniform(0.5, 15), late=True))
    return [t for t in when if t is not None]


def commission_clawback(w: World, u: Unit, at: float) -> list[float]:
    """An audit: 35-80 % of ten days' commissions are taken back, in a few settlements or as the auditors go."""
    rng, share = w.rng, w.rng.uniform(0.35, 0.8)
    bad = [one for t, one in u.earned if at - 240 <= t < at and rng.random() < share]
    long = rng.uniform(48, 110)
    when = clumps(w, at, long, len(bad), 3, 0.2) if rng.random() < 0.5 else awake(w, u, at, long, len(bad))
    return [t for one, t in zip(bad, when, strict=True) if unearn(w, u, one, t)]


def clickless_orders(w: World, u: Unit, at: float) -> list[float]:
    """Somebody's script orders and clicks nothing, two to four days long: as many as are sold anyway, or far more."""
    rng, long = w.rng, w.rng.uniform(40, 96)
    n = int(max(float(rng.integers(45, 70)), u.level(at) * long / 24 * rng.uniform(1.2, 2.2)))
    night = rng.random() < 0.4
    when = clumps(w, at, long, n, 9, 2) if night else awake(w, u, at, long, n)
    return sales(w, u, [t for t in when if t < w.hours], 0.0)


def brushing(w: World, u: Unit, at: float) -> list[float]:
    """Three to seven buyers, or a dozen, order again and again, in shifts, and click once for each; a few praise it."""
    rng, long = w.rng, w.rng.uniform(20, 90)
    buyers = [f"b{rng.integers(10**6)}" for _ in range(rng.integers(3, 8) if rng.random() < 0.7 else 12)]
    n = int(max(float(rng.integers(40, 70)), u.level(at) * long / 24 * rng.uniform(0.8, 1.6)))
    when = [t for t in clumps(w, at, long, n, rng.integers(3, 9), 1.2) if t < w.hours]
    for t in when:
        one = order(w, u, t, buyers[rng.integers(len(buyers))], price=0.4)
        click(w, u, t - 0.02, one.buyer)
        fulfil(w, u, one)
        if rng.random() < 0.08:
            review(w, u, one, t + rng.uniform(40, 120), 5)
    return when


def incentive_abuse(w: World, u: Unit, at: float) -> list[float]:
    """Two to five people redeem on every order, often twice; most orders are then cancelled, or sent back."""
    rng, long, when = w.rng, w.rng.uniform(10, 60), []
    buyers = [f"b{rng.integers(10**6)}" for _ in range(rng.integers(2, 6))]
    for t in clumps(w, at, long, int(rng.integers(32, 70)), rng.integers(2, 6), 1.5):
        one = order(w, u, t, buyers[rng.integers(len(buyers))], price=0.7, subsidy=1.0)
        clicks(w, u, one, 0.6)
        when += [t] + [t] * (rng.random() < 0.3 and redeem(w, u, one, t + 0.01))
        after = rng.random()
        if after < 0.5:
            back = t + rng.exponential(6)
            when += [back] * cancel(w, u, one, back)
        elif after < 0.85:
            back = t + rng.uniform(10, 70)
            when += [back] * refund(w, u, one, back, "buyer")
    return when


def review_burst(w: World, u: Unit, at: float) -> list[float]:
    """40-90 reviews of five stars in 3-20 hours, of people of whom hardly anyone bought; some sellers pay for four."""
    rng, n, past = w.rng, w.rng.integers(40, 90), u.between(at - 300, at)
    when = at + rng.gamma(2, rng.uniform(1.5, 6), n)
    four, done = rng.choice([0.02, 0.2]), []
    for t in when:
        stars = 4 if rng.random() < four else 5
        if past and rng.random() < 0.2:
            put = outcome(w, u, "review.posted", past[rng.integers(len(past))], t, stars=stars)
        else:
            who = f"b{rng.integers(10**6)}"
            put = w.put(u, "review.posted", t, {"stars": stars}, actor_id=who, ref_id=f"p{u.id[3:]}_1")
        done += [t] * put
    return done


def counterfeit_wave(w: World, u: Unit, at: float) -> list[float]:
    """6-20 buyers say within three days that it is a fake; or a brand's agents file in one afternoon."""
    rng = w.rng
    if rng.random() < 0.6:
        past = u.between(at - 240, at)
        about = w.some(past, int(rng.integers(6, 20)))
        when = awake(w, u, at, rng.uniform(10, 70), len(about))
        return [t for o, t in zip(about, when, strict=True) if w.put(
            u, "complaint.received", t, {"kind": "counterfeit"}, actor_id=o.buyer, ref_id=o.id)]  # fmt: skip
    when = (at + rng.uniform(0, 5, rng.integers(6, 10))).tolist()
    return [t for i, t in enumerate(when) if w.put(
        u, "complaint.received", t, {"kind": "counterfeit"}, actor_id=f"brand{rng.integers(40)}_{i}",
        ref_id=f"p{u.id[3:]}_{i % 3}")]  # fmt: skip
