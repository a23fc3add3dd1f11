"""The simulated background: from hourly rates to events in columns, and from orders to what comes of them."""

from typing import NamedTuple

import numpy as np

from streams.simulate_market import (
    CATEGORIES,
    COUNTRIES,
    DAY,
    HISTORY_DAYS,
    HOUR,
    MINUTE,
    Activity,
    Flags,
    Floats,
    Ints,
    Population,
    Sessions,
    Simulation,
    shape_of_week,
)

TYPES = (
    "account.registered", "account.login", "account.credential_changed", "account.payout_changed",
    "account.withdrawal", "video.published", "live.started", "live.minute", "live.ended", "content.engaged",
    "product.clicked", "order.paid", "order.cancelled", "order.shipped", "order.delivered", "refund.approved",
    "chargeback.received", "review.posted", "complaint.received", "report.received", "violation.confirmed",
    "violation.overturned",
)  # fmt: skip
ENGAGEMENTS = ("like", "follow", "comment", "share")
TRUSTS = ("low", "normal")
FAULTS = ("seller", "buyer", "carrier")
COMPLAINTS = ("counterfeit", "misleading", "safety", "other")
VIOLATIONS = ("misleading", "counterfeit", "low_quality", "prohibited", "redirect", "copyright")
POINTS = (4, 8, 2, 6, 2, 4)


Column = Ints | int


class Rows(NamedTuple):
    """Events as columns. -1 is an absent integer, NaN an absent amount; a, b, c are attributes."""

    kind: Ints
    unit: Ints
    at: Ints
    actor: Ints
    ref: Ints
    amount: Floats
    a: Ints
    b: Ints
    c: Ints


def rows(kind: str, unit: Ints, at: Ints, *, actor: Column = -1, ref: Column = -1, a: Column = -1,
         b: Column = -1, c: Column = -1, amount: Floats | float = np.nan) -> Rows:  # fmt: skip
    whole = (TYPES.index(kind), unit, at, actor, ref, a, b, c)
    columns = [np.broadcast_to(np.asarray(x, dtype=np.int64), np.shape(at)) for x in whole]
    money = np.broadcast_to(np.asarray(amount, dtype=np.float64), np.shape(at))
    return Rows._make([*columns[:5], money, *columns[5:]])


def joined(parts: list[Rows]) -> Rows:
    return Rows._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


def chosen(r: Rows, mask: Flags | Ints) -> Rows:
    return Rows._make(column[mask] for column in r)


class Orders(NamedTuple):
    """Sorted by unit. `surged` is the campaign's lift at the hour of payment."""

    unit: Ints
    at: Ints
    id: Ints
    buyer: Ints
    amount: Floats
    surged: Floats
    subsidised: Ints


class Fate(NamedTuple):
    cancelled: Flags
    refunded: Flags
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


def prices(pop: Population, unit: Ints, rng: np.random.Generator) -> Floats:
    units = np.array([c[1] for c in CATEGORIES])[pop.category[unit]]
    worth = np.array([law.price for law in pop.laws])
    return np.asarray(units * worth[pop.market[unit]] * rng.lognormal(0.0, 0.55, len(unit)))


def make_orders(spec: Simulation, pop: Population, act: Activity, rng: np.random.Generator) -> Orders:
    unit, at = arrivals(spec, act.orders, rng)
    loyal = unit * 1_000 + 500_000_000 + rng.integers(0, 200, len(unit))
    buyer = np.where(rng.random(len(unit)) < 0.2, loyal, people(pop.market[unit], rng))
    surged = act.campaign[unit, (at - spec.grid_ms) // HOUR]
    subsidised = (rng.random(len(unit)) < np.where(surged > 1.2, 0.3, 0.08)).astype(np.int64)
    return Orders(unit, at, np.arange(len(unit)), buyer, prices(pop, unit, rng), surged, subsidised)


def desk_hours(pop: Population, unit: Ints, at: Ints, rng: np.random.Generator) -> Ints:
    """What falls into the local night is done in the morning, never earlier than it was due."""
    hour = (at + pop.offset_ms[unit]) % DAY
    morning = at - hour + ms(rng.uniform(8.0, 13.0, len(at)) / 24.0)
    return np.where(hour < 8 * HOUR, np.maximum(morning, at), at)


def fulfilment(pop: Population, o: Orders, rng: np.random.Generator) -> tuple[list[Rows], Fate]:
    n = len(o.unit)
    cancelled = rng.random(n) < 0.03
    shipped = o.at + ms(0.1 + rng.gamma(2.5, 0.4, n))
    delivered = shipped + ms(0.5 + rng.gamma(3.0, 0.7, n))
    kept = ~cancelled
    late = (shipped - o.at > 2 * DAY).astype(np.int64)
    parts = [
        rows("order.paid", o.unit, o.at, actor=o.buyer, ref=o.id, amount=o.amount, a=o.subsidised),
        rows("order.cancelled", o.unit, o.at + ms(rng.uniform(0.01, 1.0, n)), ref=o.id),
        rows("order.shipped", o.unit, shipped, ref=o.id, a=late),
        rows("order.delivered", o.unit, delivered, ref=o.id),
    ]
    parts = [parts[0], chosen(parts[1], cancelled), chosen(parts[2], kept), chosen(parts[3], kept)]
    return parts, Fate(cancelled, np.zeros(n, dtype=bool), delivered)


def refunds_of(pop: Population, o: Orders, which: Flags | Ints, delay: Floats, seller: float,
               rng: np.random.Generator) -> Rows:  # fmt: skip
    """Full or partial refunds; half of them name the fault, and another half the time of the order."""
    unit, paid, n = o.unit[which], o.at[which], len(delay)
    fault = rng.choice(3, n, p=(seller, (1 - seller) * 0.6, (1 - seller) * 0.4))
    amount = o.amount[which] * np.where(rng.random(n) < 0.8, 1.0, rng.uniform(0.2, 0.9, n))
    fault, ref_at = np.where(rng.random(n) < 0.5, fault, -1), np.where(rng.random(n) < 0.5, paid, -1)
    at, buyer, ids = desk_hours(pop, unit, paid + ms(delay), rng), o.buyer[which], o.id[which]
    return rows("refund.approved", unit, at, actor=buyer, ref=ids, amount=amount, a=fault, b=ref_at)


def complaints_of(pop: Population, o: Orders, which: Flags | Ints, delay: Floats, focus: int,
                  rng: np.random.Generator) -> Rows:  # fmt: skip
    """`focus` is the kind that seven in ten have; -1: the usual mixture."""
    unit, paid, n = o.unit[which], o.at[which], len(delay)
    kind = rng.choice(4, n, p=(0.10, 0.30, 0.08, 0.52))
    if focus >= 0:
        kind = np.where(rng.random(n) < 0.7, focus, kind)
    return rows(
        "complaint.received", unit, paid + ms(delay), actor=o.buyer[which], ref=o.id[which], a=kind,
        b=np.where(rng.random(n) < 0.5, paid, -1),
    )  # fmt: skip


def outcomes(pop: Population, o: Orders, rng: np.random.Generator) -> tuple[list[Rows], Fate]:
    """All that follows an order, each at its own delay: fulfilment, refund, complaint, review, chargeback."""
    parts, fate = fulfilment(pop, o, rng)
    n, kept = len(o.unit), ~fate.cancelled
    mean = np.array([law.refund_days for law in pop.laws])[pop.market[o.unit]]
    delay = 0.3 + rng.gamma(3.0, (mean - 0.3) / 3.0, n)
    back = kept & (rng.random(n) < pop.refund[o.unit] * np.where(o.surged > 1.2, 1.25, 1.0))
    parts.append(refunds_of(pop, o, back, delay[back], 0.45, rng))
    cross = kept & (rng.random(n) < pop.complaint[o.unit])
    delay = np.clip(0.5 + rng.gamma(3.0, 0.9, n), 1.0, 8.0)
    parts.append(complaints_of(pop, o, cross, delay[cross], -1, rng))
    told = np.flatnonzero(kept & (rng.random(n) < 0.2))
    good = rng.random(len(told)) < pop.stars[o.unit[told]]
    stars = np.where(good, rng.integers(4, 6, len(told)), rng.integers(1, 4, len(told)))
    at = np.maximum(o.at[told] + ms(rng.uniform(3.0, 8.0, len(told))), fate.delivered_ms[told] + HOUR)
    parts.append(rows("review.posted", o.unit[told], at, actor=o.buyer[told], ref=o.id[told], a=stars))
    disputed = np.flatnonzero(kept & (rng.random(n) < 0.0006))
    at = o.at[disputed] + ms(3.0 + rng.gamma(3.0, 3.5, len(disputed)))
    money = o.amount[disputed]
    parts.append(rows("chargeback.received", o.unit[disputed], at, ref=o.id[disputed], amount=money))
    return parts, fate._replace(refunded=back)


def attention(spec: Simulation, pop: Population, act: Activity, rng: np.random.Generator) -> list[Rows]:
    """Clicks and engagement. The share of low trust is a creator's own and wanders a little by day."""
    unit, at = arrivals(spec, act.clicks * _shown(spec), rng)
    product = unit * 1_000 + (40 * rng.random(len(unit)) ** 2).astype(np.int64)
    clicks = rows("product.clicked", unit, at, actor=people(pop.market[unit], rng), ref=product)
    unit, at = arrivals(spec, act.engagement * _shown(spec), rng)
    n, q = len(unit), pop.low_trust[:, None]
    share = rng.beta(q * 150.0, (1.0 - q) * 150.0, (len(pop.level), HISTORY_DAYS + spec.days))
    low = rng.random(n) < share[unit, (at - spec.grid_ms) // DAY]
    kind = rng.choice(4, n, p=(0.62, 0.14, 0.15, 0.09))
    liked = rows("content.engaged", unit, at, actor=people(pop.market[unit], rng), ref=unit * 1_000, a=kind,
                 b=np.where(low, 0, 1))  # fmt: skip
    return [clicks, liked]


def _shown(spec: Simulation) -> Floats:
    """Nothing of the hours before the start: it would be cut off anyway."""
    return (np.arange(spec.hours) >= HISTORY_DAYS * 24).astype(np.float64)


def moments(spec: Simulation, pop: Population, unit: Ints, rng: np.random.Generator) -> Ints:
    """A time for each row: any day of the run, by the market's waking hours."""
    day = np.stack([shape_of_week(law)[0] for law in pop.laws])
    cumulated = np.cumsum(day / day.sum(axis=1, keepdims=True), axis=1)[pop.market[unit]]
    hour = np.minimum((rng.random(len(unit))[:, None] > cumulated).sum(axis=1), 23)
    local = (rng.integers(0, spec.days + 1, len(unit)) * 24 + hour) * HOUR + rng.integers(0, HOUR, len(unit))
    return np.asarray(spec.start_ms + local - pop.offset_ms[unit])


def drawn(rate: Floats | float, unit: Ints, spec: Simulation, rng: np.random.Generator) -> Ints:
    """Each unit as often as its Poisson count at `rate` a day says."""
    return np.repeat(unit, rng.poisson(np.broadcast_to(rate * (spec.days + 1), unit.shape)))


def device(pop: Population, unit: Ints, number: Ints | int) -> Ints:
    """Numbers 0 and 1 are the creator's own; others are new."""
    return pop.creator[unit] * 100_000 + number


def home_country(pop: Population) -> Ints:
    return np.array([COUNTRIES.index(name) for name in pop.names])[pop.market]


def logins(spec: Simulation, pop: Population, rng: np.random.Generator) -> list[Rows]:
    """One or two own devices, a new one now and then, a trip abroad for one creator in twelve, and typos."""
    home = np.flatnonzero(pop.home)
    unit = drawn(rng.uniform(0.4, 2.5, len(home)), home, spec, rng)
    at, n = moments(spec, pop, unit, rng), len(unit)
    own = (rng.random(n) < 0.3 * (pop.creator[unit] % 3 > 0)).astype(np.int64)
    number = np.where(rng.random(n) < 0.003, rng.integers(10, 90_000, n), own)
    country = home_country(pop)
    leaves = rng.random(len(pop.level)) < 0.085
    away_from = spec.start_ms + ms(rng.uniform(1.0, max(spec.days - 1.0, 1.5), len(leaves)))
    away_to = away_from + ms(rng.uniform(1.0, 4.0, len(leaves)))
    abroad = (country + rng.integers(1, len(COUNTRIES), len(leaves))) % len(COUNTRIES)
    away = leaves[unit] & (at >= away_from[unit]) & (at < away_to[unit])
    where, which = np.where(away, abroad[unit], country[unit]), device(pop, unit, number)
    parts = [rows("account.login", unit, at, a=1, b=which, c=where)]
    for share, before in ((0.035, 15), (0.012, 40)):
        t = rng.random(n) < share
        late = at[t] - rng.integers(before - 8, before + 20, int(t.sum())) * 1_000
        parts.append(rows("account.login", unit[t], late, a=0, b=which[t], c=where[t]))
    return parts


def accounts(spec: Simulation, pop: Population, rng: np.random.Generator) -> list[Rows]:
    """Registrations, honest changes of credentials and payout soon after a login, and weekly withdrawals."""
    home = np.flatnonzero(pop.home)
    new = home[pop.registered_ms[home] > 0]
    parts = [rows("account.registered", new, pop.registered_ms[new]), *logins(spec, pop, rng)]
    for kind, rate in (("account.credential_changed", 0.004), ("account.payout_changed", 0.002)):
        unit = drawn(rate, home, spec, rng)
        at = moments(spec, pop, unit, rng)
        parts.append(rows("account.login", unit, at, a=1, b=device(pop, unit, 0), c=home_country(pop)[unit]))
        parts.append(rows(kind, unit, at + rng.integers(1, 15, len(unit)) * MINUTE))
    weekly = home[rng.random(len(home)) < 0.7]
    weekday = rng.integers(0, 7, len(weekly))
    for week in range(spec.days // 7 + 1):
        at = spec.start_ms + (week * 7 + weekday) * DAY + ms(rng.uniform(9.0, 19.0, len(weekly)) / 24.0)
        money = prices(pop, weekly, rng) * pop.level[weekly] * 0.8
        parts.append(rows("account.withdrawal", weekly, at - pop.offset_ms[weekly], amount=money))
    return parts


def content(spec: Simulation, pop: Population, live: Sessions, rng: np.random.Generator) -> list[Rows]:
    every = np.arange(len(pop.level))
    unit = drawn(rng.gamma(2.0, 0.35, len(every)), every, spec, rng)
    parts = [rows("video.published", unit, moments(spec, pop, unit, rng), ref=np.arange(len(unit)))]
    ids, length = np.arange(len(live.unit)), live.hours * HOUR - rng.integers(2, 25, len(live.unit)) * MINUTE
    parts.append(rows("live.started", live.unit, live.start_ms, ref=ids))
    parts.append(rows("live.ended", live.unit, live.start_ms + length, ref=ids))
    minute = np.repeat(ids, length // (10 * MINUTE))
    tick = np.arange(len(minute)) - np.searchsorted(minute, minute) + 1
    crowd = 4.0 + 3.0 * pop.engagement[live.unit] * rng.lognormal(0.0, 0.4, len(ids))
    viewers = rng.poisson(crowd[minute] * rng.gamma(12.0, 1.0 / 12.0, len(minute)))
    known = rng.binomial(viewers, 0.78)
    at, talking = live.start_ms[minute] + tick * 10 * MINUTE, rng.binomial(known, 0.06)
    parts.append(rows("live.minute", live.unit[minute], at, ref=minute, a=viewers, b=known, c=talking))
    return parts


def compliance(spec: Simulation, pop: Population, rng: np.random.Generator) -> list[Rows]:
    """Rare violations, one in twelve overturned; one creator in eighty gathers some of different kinds."""
    every = np.arange(len(pop.level))
    unit = drawn(0.008 * np.clip(pop.level / 10.0, 0.3, 8.0) ** 0.5, every, spec, rng)
    at = moments(spec, pop, unit, rng)
    parts = [rows("report.received", unit, at, actor=people(pop.market[unit], rng))]
    unit = drawn(0.004 * rng.gamma(1.0, 1.0, len(every)), every, spec, rng)
    kind = rng.integers(0, len(VIOLATIONS), len(unit))
    unlucky = np.flatnonzero(rng.random(len(every)) < 0.0125)
    different = rng.permuted(np.tile(np.arange(len(VIOLATIONS)), (len(unlucky), 1)), axis=1)[:, :4]
    unit, kind = np.concatenate([unit, np.repeat(unlucky, 4)]), np.concatenate([kind, different.ravel()])
    at, ids = moments(spec, pop, unit, rng), np.arange(len(unit))
    points = np.array(POINTS)[kind]
    parts.append(rows("violation.confirmed", unit, at, ref=ids, a=kind, b=points))
    lifted = rng.random(len(unit)) < 0.08
    at = desk_hours(pop, unit, at + ms(rng.uniform(2.0, 7.0, len(unit))), rng)
    parts.append(chosen(rows("violation.overturned", unit, at, ref=ids), lifted))
    return parts
