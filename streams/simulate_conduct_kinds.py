"""Planted kinds that are conduct: fake engagement, bots, violations, redirects, reports, samples, takeovers."""

import numpy as np

from streams.simulate_events import SAMPLE_DAYS, device, home_country
from streams.simulate_market import COUNTRIES
from streams.simulate_orders import desk_hours, prices
from streams.simulate_planting import (
    Guests,
    Planted,
    Slot,
    World,
    afternoon,
    buyers,
    extra_live,
    per_day,
    spread,
    stretch,
    usual,
)
from streams.simulate_rows import FLAGS, POINTS, VIOLATIONS, joined, rows
from streams.simulate_spec import DAY, HOUR, KINDS, MINUTE

SAMPLES = 10_000_000  # from here on samples that are planted


def fake_engagement(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """10 engagements a day or more: for 1 to 6 hours `strength` times the usual, at least 35 to 120.

    60 to 95 % are of low trust; follows, likes, or both. Marked: the engagements.
    """
    if per_day(world, world.act.usual_engagement, slot) < 10.0:
        return None
    mean = usual(world, world.act.usual_engagement, slot) * slot.strength
    n = int(rng.poisson(max(mean, stretch(rng, 35.0, 120.0))))
    follows = rng.choice((0.05, 0.5, 0.95))
    kind = (rng.random(n) < follows).astype(np.int64)  # 0 like, 1 follow
    low = rng.random(n) < rng.uniform(0.6, 0.95)
    at, unit = spread(slot, n, rng), np.full(n, slot.unit)
    actor, trust = 900_000_000 + rng.integers(0, 4_000, n), np.where(low, 0, 1)
    return Planted(rows("content.engaged", unit, at, actor=actor, ref=unit * 1_000, a=kind, b=trust), [])


def violation_burst(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """`strength` confirmed violations, of one kind, within 2 to 10 days. Marked: the violations."""
    n, kind = round(slot.strength), int(rng.integers(0, len(VIOLATIONS)))
    at = np.sort(spread(slot, n, rng))
    at = np.sort(desk_hours(world.pop, np.full(n, slot.unit), at, rng))
    ids = 1_000_000 + slot.unit * 100_000 + (slot.start_ms - world.spec.start_ms) // DAY * 100 + np.arange(n)
    unit = np.full(n, slot.unit)
    return Planted(rows("violation.confirmed", unit, at, ref=ids, a=kind, b=POINTS[kind]), [])


def account_takeover(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """`strength` failed logins, success from a new device and country, a change or two, a withdrawal. Marked: all."""
    pop, unit = world.pop, np.array([slot.unit])
    country = (home_country(pop)[unit] + rng.integers(1, len(COUNTRIES), 1)) % len(COUNTRIES)
    fails = round(slot.strength)
    tries = slot.start_ms + np.sort(rng.integers(0, HOUR, fails))
    steps = np.cumsum(rng.integers(2 * MINUTE, 50 * MINUTE, 4)) + tries[-1]
    theirs = device(pop, unit, 95_000 + int(rng.integers(0, 4_000)))
    spoilt = np.where(rng.random(fails) < 0.5, theirs, device(pop, unit, 99_500))
    both = ("account.credential_changed", "account.payout_changed")
    changes = (both[:1], both[1:], both)[rng.integers(0, 3)]
    out = steps[3:] + rng.integers(0, 2 * HOUR)
    parts = [
        rows("account.login", np.repeat(unit, fails), tries, a=0, b=spoilt, c=np.repeat(country, fails)),
        rows("account.login", unit, steps[:1], a=1, b=theirs, c=country),
        *(rows(kind, unit, steps[i : i + 1]) for i, kind in enumerate(changes, 1)),
        rows("account.withdrawal", unit, out, amount=prices(pop, unit, rng) * 30.0),
    ]
    return Planted(joined(parts), [])


def live_viewbot(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """A creator that goes live, with 15 usual viewers or more: bots of `strength` times the crowd in a session.

    5 to 25 % of the bots are logged in, and none comments; they come at once, or more and more (ramp), or in three to
    five sessions on following days (repeated). The sessions are additional ones, soon after noon. Marked: the live
    minutes with bots, from 20 minutes after the start on.
    """
    if not world.pop.goes_live[slot.unit] or world.crowd[slot.unit] < 15.0:
        return None
    guests = Guests(slot.strength, rng.uniform(0.05, 0.25), 0.0, slot.shape == "ramp")
    marked, after = [], []
    for start, _ in slot.pieces:
        at, length = afternoon(world, slot.unit, start, rng), int(rng.uniform(1.0, 3.0) * HOUR)
        minutes, rest = extra_live(world, slot, at, length, guests, rng)
        marked.append(minutes)
        after += rest
    return Planted(joined(marked), after)


def off_platform_redirect(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """`strength` items of content flagged within 6 to 72 hours, four in five for one reason. Marked: the flags."""
    n, focus = round(slot.strength), int(rng.integers(0, len(FLAGS)))
    kind = np.where(rng.random(n) < 0.8, focus, rng.integers(0, len(FLAGS), n))
    unit, video = np.full(n, slot.unit), slot.unit * 1_000 + 100 + np.arange(n)
    return Planted(rows("content.flagged", unit, spread(slot, n, rng), ref=video, a=kind), [])


def report_wave(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """`strength` reports by as many reporters, or nearly, within 2 to 48 hours. Marked: the reports."""
    n = round(slot.strength)
    unit = np.full(n, slot.unit)
    actor = buyers(world, slot.unit, n, rng)
    return Planted(rows("report.received", unit, spread(slot, n, rng), actor=actor), [])


def unposted_samples(world: World, slot: Slot, rng: np.random.Generator) -> Planted | None:
    """`strength` samples received within 2 to 5 days, of which none is shown. Marked: the samples received.

    The label is from the first missed deadline, 14 days after a sample came, to the last that the run sees.
    """
    n = round(slot.strength)
    at = np.sort(spread(slot, n, rng))
    due = at + SAMPLE_DAYS * DAY
    seen = due[due < world.spec.end_ms - HOUR]
    if len(seen) < KINDS["unposted_samples"].fewest:
        return None
    ids = SAMPLES + slot.unit * 100_000 + (slot.start_ms - world.spec.start_ms) // DAY * 100 + np.arange(n)
    received = rows("sample.received", np.full(n, slot.unit), at, ref=ids)
    return Planted(received, [], (int(seen[0]), int(seen[-1])))
