"""Lookalikes: good days that look like bad ones. Whatever alerts about them is wrong."""

from typing import Any

import numpy as np
import strangers_schemes as schemes
from strangers_life import engaged, report
from strangers_trade import cancel, click, clicks, fulfil, order, review
from strangers_world import Live, Unit, World


def mixed(w: World, u: Unit, times: Any, kinds: tuple[str, ...] = (), more: float = 1.0) -> list[float]:
    """Engagements of the creator's usual low-trust share, times `more`."""
    low = min(u.low_trust * more, 0.45)
    pick = [kinds[w.rng.integers(len(kinds))] if kinds else None for _ in times]
    return [t for t, kind in zip(times, pick, strict=True) if engaged(w, u, t, bool(w.rng.random() < low), kind)]


def viral_video(w: World, u: Unit, at: float) -> list[float]:
    """A video goes round for a day or two: engagements, then clicks, then orders of many, more than ever and late."""
    rng, long = w.rng, w.rng.uniform(3, 10)
    many = float(np.clip(u.engagement * rng.uniform(8, 25), 400, 3000))
    w.put(u, "video.published", at, ref_id=f"v{u.id[3:]}_viral")
    seen = mixed(w, u, at + rng.gamma(2, long, rng.poisson(many)), (), 1.2)
    looked = [t for t in at + rng.gamma(2, 1.2 * long, rng.poisson(many * 0.4)) if click(w, u, t)]
    n = rng.poisson(min(many * 0.04, u.level(at) * rng.uniform(0.8, 2.5)))
    bought = schemes.sales(w, u, [t for t in at + rng.gamma(2, 1.4 * long, n) if t < w.hours])
    return [*seen, *looked, *bought]


def next_live(u: Unit, at: float) -> Live | None:
    return next((live for live in u.lives if at <= live.at < at + 168 and len(live.minutes) >= 60), None)


def crowd(w: World, live: Live, first: int, times: Any, logged_in: float, chatty: float) -> list[float]:
    """`times` as many viewers, minute by minute from the `first` on, with their share of logins and of comments."""
    when = []
    for i, (place, factor) in enumerate(zip(live.minutes[first:], times, strict=False), first):
        told = w.attrs(place)
        seen = max(told["viewers"], 1)
        share, spoken = told["logged_in_viewers"] / seen, told.get("commenters", 0) / seen
        viewers = int(seen * factor)
        logins, comments = min(share * logged_in, 0.97) * viewers, min(spoken * chatty, 0.6) * viewers
        more = {"viewers": viewers, "logged_in_viewers": int(logins)}
        w.change(place, **more, **({"commenters": int(comments)} if "commenters" in told else {}))
        when.append(live.at + i / 60)
    return when


def live_giveaway(w: World, u: Unit, at: float) -> list[float]:
    """Comment and follow to win: twice to four times the viewers for half an hour, and nearly all of them type."""
    rng, live = w.rng, next_live(u, at)
    if live is None:
        return []
    first, long = int(rng.integers(10, 30)), int(rng.integers(20, 31))
    came = crowd(w, live, first, rng.uniform(2, 4) * rng.uniform(0.9, 1.1, long), rng.uniform(0.9, 1.05), 4.0)
    when = live.at + (first + rng.beta(1.5, 2, rng.integers(80, 260)) * long) / 60
    won = schemes.sales(w, u, live.at + (first + long + rng.uniform(0, 20, rng.integers(1, 5))) / 60, subsidy=1.0)
    return [*came, *mixed(w, u, when, ("comment", "comment", "follow"), 1.3), *won]


def raid(w: World, u: Unit, at: float) -> list[float]:
    """Another creator ends and sends all its viewers: three to six times as many in a minute, fewer by and by."""
    rng, live = w.rng, next_live(u, at)
    if live is None:
        return []
    first, peak, fall = int(rng.integers(10, 40)), rng.uniform(2, 5), rng.uniform(8, 25)
    times = 1 + peak * np.exp(-np.arange(len(live.minutes) - first) / fall)
    came = crowd(w, live, first, times[times > 1.3].tolist(), rng.uniform(0.85, 1.05), rng.uniform(0.7, 1.1))
    start = live.at + first / 60
    hello = mixed(w, u, start + rng.exponential(0.2, rng.integers(20, 90)), ("comment", "follow", "like"))
    rude = [t for t in start + rng.exponential(0.5, rng.integers(0, 4)) if report(w, u, t)]
    return [*came, *hello, *rude]


def restock(w: World, u: Unit, at: float) -> list[float]:
    """What was sold out is back: half a day's to a day's orders within three hours, of people who waited for it."""
    rng, when = w.rng, []
    for t in at + rng.exponential(1.2, rng.poisson(u.level(at) * rng.uniform(0.5, 0.9))):
        if t < w.hours:
            one = order(w, u, t)
            clicks(w, u, one, 0.7)
            when.append(t)
            if rng.random() < 0.04:
                cancel(w, u, one, t + rng.exponential(3))
            else:
                fulfil(w, u, one)
    return when


def launch_party(w: World, u: Unit, at: float) -> list[float]:
    """A newcomer's first evening: friends and fans order with the welcome voucher, follow and praise."""
    rng, start = w.rng, u.join + w.rng.uniform(4, 40)
    fans = [f"b{rng.integers(10**6)}" for _ in range(rng.integers(12, 35))]
    for fan in fans:
        one = order(w, u, start + rng.gamma(2, 0.8), fan, subsidy=0.5)
        clicks(w, u, one)
        fulfil(w, u, one)
        if rng.random() < 0.15:
            review(w, u, one, one.at + rng.uniform(60, 130), 5)
    hello = mixed(w, u, start + rng.gamma(2, 1.0, rng.integers(50, 150)), ("like", "follow", "comment"), 1.5)
    return [*hello, *(one.at for one in u.orders[-len(fans) :])]
