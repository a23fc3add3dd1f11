"""Everyday life beside trade: live sessions, engagement, accounts, compliance, samples; and all of it together."""

from typing import Any

import numpy as np
from strangers_trade import click, trade
from strangers_world import HOUR_MS, START_MS, Live, Spec, Unit, World

VIOLATIONS = ("misleading", "low_quality", "redirect", "copyright", "prohibited_product", "late_sample")
FLAGS = ("link", "phone", "handle", "qr")


def background(spec: Spec) -> World:
    """A market in which nothing is planted."""
    w = World(spec)
    everybody = [*w.units, *w.abroad]
    w.turn(2)
    live = [sessions(w, u) for u in everybody]
    w.turn(3)
    for u, times in zip(everybody, live, strict=True):
        trade(w, u, times)
    for page, part in enumerate((engage, comply, sample), 4):
        w.turn(page)
        for u in everybody:
            part(w, u)
    w.turn(7)
    for u in w.units:
        account(w, u)
    return w


def sessions(w: World, u: Unit) -> list[Any]:
    if not u.live_share:
        return []
    days = np.flatnonzero(np.isin(u.weekday, u.live_days) & (u.factor > 0))
    return [session(w, u, day) for day in days if w.rng.random() < 0.85]  # one in seven falls out


def session(w: World, u: Unit, day: Any) -> Any:
    """Orders of one live session, of which half follow one of its drops within minutes."""
    rng, sd = w.rng, w.v.live_sd
    at = (day - u.history) * 24 - u.offset + u.live_hour + rng.normal(0, 0.5)
    long = float(np.clip(rng.lognormal(0.7, 0.4), 0.5, 6))
    mean = u.rate * u.live_share * 7 / (0.85 * len(u.live_days)) * rng.lognormal(-sd * sd / 2, sd) * u.factor[day]
    watched(w, u, at, long, mean, f"l{u.id[3:]}_{day}")
    n, drops = rng.poisson(mean), at + rng.random(1 + rng.poisson(long)) * long
    return np.where(rng.random(n) < 0.5, rng.choice(drops, n) + rng.exponential(0.07, n), at + rng.random(n) * long)


def watched(w: World, u: Unit, at: float, long: float, mean: float, live: str) -> None:
    """Who watches, minute by minute: they gather, come and go; now and then another site shows the session too."""
    rng, n, habits = w.rng, int(long * 60), u.habits
    w.put(u, "live.started", at, ref_id=live)
    drift = np.cumsum(rng.normal(0, 0.03, n)) + np.log(np.minimum(1, (np.arange(n) + 3) / 18))
    seen = rng.poisson((12 + 9 * mean**0.8) * habits.crowd * rng.lognormal(0, 0.3) * np.exp(drift))
    share = np.full(n, np.clip(habits.logged_in + rng.normal(0, 0.03), 0.05, 0.97))
    if rng.random() < 0.03:
        first = rng.integers(n)
        seen[first : first + 20] = (seen[first : first + 20] * rng.uniform(1.3, 2)).astype(int)
        share[first : first + 20] *= 0.75
    spoken, minutes = habits.comments * rng.lognormal(0, 0.25), []
    for minute in range(n):
        told = {"viewers": int(seen[minute]), "logged_in_viewers": int(rng.binomial(seen[minute], share[minute]))}
        if rng.random() > 0.01:  # an old client does not count who comments
            told["commenters"] = int(min(rng.poisson(spoken * seen[minute]), seen[minute]))
        if w.put(u, "live.minute", at + minute / 60, told, ref_id=live):
            minutes.append(len(w.rows) - 1)
    w.put(u, "live.ended", at + long, ref_id=live)
    if len(minutes) == n:
        u.lives.append(Live(at, minutes))


def engage(w: World, u: Unit) -> None:
    rng, times, daily = w.rng, [w.spread(u, 0.4 * u.engagement, 0)], w.rng.uniform(0.1, 1.5)
    for at in rng.uniform(-24, w.hours, rng.poisson(daily * (u.days + 1))):
        w.put(u, "video.published", at, ref_id=f"v{u.id[3:]}_{int(at * 60)}")
        times.append(at + rng.exponential(10, rng.poisson(0.6 * u.engagement / daily * rng.lognormal(-0.5, 1.0))))
    for _ in range(rng.poisson(0.004 * u.days)):  # many more of the usual mix, and they look at the products
        at, many = rng.uniform(0, w.hours), u.engagement * rng.uniform(8, 25)
        times.append(at + rng.gamma(2, 6, rng.poisson(many)))
        for when in at + rng.gamma(2, 7, rng.poisson(0.15 * many)):
            click(w, u, when)
    odds = np.log(u.low_trust / (1 - u.low_trust)) + rng.normal(0, 0.35, len(u.factor))
    for at in np.concatenate(times):
        engaged(w, u, at, rng.random() < 1 / (1 + np.exp(-odds[u.day(at)])))
    for _ in range(rng.poisson(u.days / 30)):  # a handful of bots passes by
        for at in rng.uniform(0, w.hours) + rng.exponential(0.1, rng.integers(3, 9)):
            engaged(w, u, at, True)


def engaged(w: World, u: Unit, at: float, low: bool, kind: str | None = None) -> bool:
    i = int(w.rng.integers(9))
    kind = kind or ("like", "like", "like", "like", "like", "like", "follow", "comment", "share")[i]
    actor = f"{'z' if low else 'w'}{w.rng.integers(10**6)}" if i else None
    return w.put(u, "content.engaged", at, {"kind": kind, "trust": "low" if low else "normal"}, actor_id=actor)


def comply(w: World, u: Unit) -> None:
    """Violations, flagged content, reports; a sweep finds old sins of many creators at once."""
    rng = w.rng
    for at in rng.uniform(0, w.hours, rng.poisson(rng.choice([0.0, 0.01, 0.08], p=[0.6, 0.36, 0.04]) * u.days)):
        violation(w, u, at, VIOLATIONS[rng.integers(6)])
    for at in rng.uniform(0, w.hours, rng.poisson(u.habits.flags * u.days)):
        flag(w, u, at, FLAGS[rng.integers(4)])
    for at in rng.uniform(0, w.hours, rng.poisson(u.habits.reports * u.days)):
        report(w, u, at)
    if rng.random() < 0.02:  # a grudge: one reporter, again and again
        for at in rng.uniform(0, w.hours) + rng.exponential(20, rng.integers(4, 15)):
            report(w, u, at, f"u{u.id[3:]}_grudge")
    swept = w.sweep.market == u.market and rng.random() < 0.2
    if swept or rng.random() < 0.01:
        first, kind = w.sweep.at if swept else rng.uniform(0, w.hours), VIOLATIONS[rng.integers(6)]
        for at in first + rng.uniform(0, 8, rng.integers(1, 3)):
            violation(w, u, at, kind)
        for at in first + rng.uniform(0, 8, rng.integers(0, 4)):
            flag(w, u, at, "link")


def violation(w: World, u: Unit, at: float, kind: str) -> bool:
    attrs, ref = {"kind": kind, "points": int(w.rng.integers(1, 13))}, f"x{len(w.rows)}"
    done = w.put(u, "violation.confirmed", at, attrs, ref_id=ref)
    if w.rng.random() < 0.12:
        w.put(u, "violation.overturned", at + w.rng.uniform(24, 200), ref_id=ref)
    return done


def flag(w: World, u: Unit, at: float, kind: str) -> bool:
    return w.put(u, "content.flagged", at, {"kind": kind}, ref_id=f"v{u.id[3:]}_{int(at * 60)}")


def report(w: World, u: Unit, at: float, reporter: str | None = None) -> bool:
    reporter = reporter or (f"u{w.rng.integers(10**6)}" if w.rng.random() < 0.97 else None)
    return w.put(u, "report.received", at, actor_id=reporter)


def sample(w: World, u: Unit) -> None:
    """Samples come in parcels; most are shown within days, a few at the last moment or never."""
    rng, habits = w.rng, u.habits
    for at in rng.uniform(0, w.hours, rng.poisson(habits.samples * u.days / 2)):
        for i in range(rng.choice([1, 2, 3, 6], p=[0.5, 0.3, 0.15, 0.05])):
            shown = at + 24 * habits.post_days * rng.gamma(6, 1 / 6) if rng.random() < habits.posts else None
            give(w, u, at, f"{int(at * 60)}_{i}", shown)


def give(w: World, u: Unit, at: float, name: str, shown: float | None) -> bool:
    """A sample, and the content about it."""
    ref, attrs = f"s{u.id[3:]}_{name}", {"ref_at": START_MS + int(at * HOUR_MS)} if w.v.ref_at else {}
    done = w.put(u, "sample.received", at, ref_id=ref)
    if done and shown is not None:
        w.put(u, "sample.posted", shown, attrs, ref_id=ref)
    return done


def login(w: World, u: Unit, at: float, success: bool, device: str, country: str) -> bool:
    attrs = {"success": success, "device_id": device, "country": country}
    return w.put(u, "account.login", at, attrs, actor_id=device)


def change(w: World, u: Unit, kind: str, at: float) -> bool:
    more: dict[str, Any] = {"amount": round(w.rng.lognormal(5, 1), 2)} if kind == "withdrawal" else {}
    return w.put(u, f"account.{kind}", at, **more)


def account(w: World, u: Unit) -> None:
    rng, devices = w.rng, [f"d{u.id[3:]}_{i}" for i in range(w.rng.integers(1, 4))]
    w.put(u, "account.registered", u.join)
    for at in np.sort(rng.uniform(0, w.hours, rng.poisson(u.days))):
        odd, device = rng.random(), devices[rng.integers(len(devices))]
        failed = rng.integers(1, 3) if odd < 0.03 else 0  # a typing error
        if 0.03 <= odd < 0.034:  # a forgotten password, one in ten on a new phone
            failed, device = rng.integers(3, 8), device if rng.random() < 0.9 else f"f{int(at)}"
            change(w, u, "credential_changed", at + 0.05)
        elif 0.03 <= odd < 0.04:  # a new phone
            devices.append(f"p{u.id[3:]}_{int(at)}")
            device = devices[-1]
        for before in rng.uniform(0, 0.5, failed):
            login(w, u, at - before, False, device, u.market)
        login(w, u, at, True, device, "JP" if odd > 0.995 else u.market)  # or travel
    for kind, a_day in (("payout_changed", 0.003), ("credential_changed", 0.005), ("withdrawal", 0.15)):
        for at in rng.uniform(0, w.hours, rng.poisson(a_day * u.days)):
            change(w, u, kind, at)
