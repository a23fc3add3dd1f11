"""The simulated background beside orders: clicks and likes, accounts, live sessions, samples, violations."""

import numpy as np

from streams.simulate_activity import Activity, Sessions, shape_of_week
from streams.simulate_market import COUNTRIES, Floats, Ints, Population
from streams.simulate_orders import arrivals, desk_hours, ms, people, prices
from streams.simulate_rows import FLAGS, POINTS, VIOLATIONS, Rows, chosen, rows
from streams.simulate_spec import DAY, HISTORY_DAYS, HOUR, MINUTE, Simulation

SAMPLE_DAYS = 14  # within which content is due


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


def content(spec: Simulation, pop: Population, live: Sessions, rng: np.random.Generator) -> tuple[list[Rows], Floats]:
    """Videos, some of them flagged, and live sessions; and the usual crowd of each unit's sessions."""
    every = np.arange(len(pop.level))
    unit = drawn(rng.gamma(2.0, 0.35, len(every)), every, spec, rng)
    parts = [rows("video.published", unit, moments(spec, pop, unit, rng), ref=np.arange(len(unit)))]
    flagged = drawn(0.015 * rng.gamma(1.0, 1.0, len(every)), every, spec, rng)
    video = flagged * 1_000 + rng.integers(0, 40, len(flagged))
    kind = rng.choice(len(FLAGS), len(flagged), p=(0.45, 0.15, 0.3, 0.1))
    parts.append(rows("content.flagged", flagged, moments(spec, pop, flagged, rng), ref=video, a=kind))
    usual = 4.0 + 3.0 * pop.engagement
    crowd = usual[live.unit] * rng.lognormal(0.0, 0.4, len(live.unit))
    length = live.hours * HOUR - rng.integers(2, 25, len(live.unit)) * MINUTE
    return parts + broadcast(pop, live, np.arange(len(live.unit)), length, crowd, rng), usual


def broadcast(pop: Population, live: Sessions, ids: Ints, length: Ints, crowd: Floats,
              rng: np.random.Generator) -> list[Rows]:  # fmt: skip
    """Sessions from their start to their end, and every ten minutes the crowd with its creator's own habits."""
    start = rows("live.started", live.unit, live.start_ms, ref=ids)
    end = rows("live.ended", live.unit, live.start_ms + length, ref=ids)
    minute = np.repeat(np.arange(len(ids)), length // (10 * MINUTE))
    tick = np.arange(len(minute)) - np.searchsorted(minute, minute) + 1
    viewers = rng.poisson(crowd[minute] * rng.gamma(12.0, 1.0 / 12.0, len(minute)))
    unit = live.unit[minute]
    known = rng.binomial(viewers, pop.logged_in[unit])
    at, talking = live.start_ms[minute] + tick * 10 * MINUTE, rng.binomial(known, pop.talking[unit])
    return [start, end, rows("live.minute", unit, at, ref=ids[minute], a=viewers, b=known, c=talking)]


def samples(spec: Simulation, pop: Population, rng: np.random.Generator) -> list[Rows]:
    """Samples that nearly all creators show within 14 days; of one in twenty they are shown later or never."""
    days = spec.days + SAMPLE_DAYS + 7  # of those that came before the run only the content is seen
    rate = 0.25 * np.clip(pop.level / 8.0, 0.2, 6.0) ** 0.5
    unit = np.repeat(np.arange(len(rate)), rng.poisson(rate * days))
    n = len(unit)
    at = spec.end_ms - ms(rng.uniform(0.0, days, n))
    due = rng.random(n) < 0.95
    after = np.where(due, np.minimum(0.5 + rng.gamma(2.5, 2.0, n), 13.5), rng.uniform(14.5, 28.0, n))
    ids = np.arange(n)
    posted = rows("sample.posted", unit, at + ms(after), ref=ids)
    return [rows("sample.received", unit, at, ref=ids), chosen(posted, due | (rng.random(n) < 0.4))]


def compliance(spec: Simulation, pop: Population, rng: np.random.Generator) -> list[Rows]:
    """Rare violations, one in eight overturned; one creator in eighty gathers some of different kinds."""
    every = np.arange(len(pop.level))
    unit = drawn(0.03 * np.clip(pop.level / 10.0, 0.3, 8.0) ** 0.5, every, spec, rng)
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
    lifted = rng.random(len(unit)) < 0.12
    at = desk_hours(pop, unit, at + ms(rng.uniform(2.0, 7.0, len(unit))), rng)
    parts.append(chosen(rows("violation.overturned", unit, at, ref=ids), lifted))
    return parts
