"""What is planted: how much of each kind, in whom, and the episodes of accounts, content and live sessions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import strangers_alike as alike
import strangers_schemes as schemes
from strangers_life import FLAGS, VIOLATIONS, change, engaged, flag, give, login, report, violation
from strangers_trade import order
from strangers_world import CAMPAIGN, HOUR_MS, START_MS, Unit, World

from streams.scorecard import Label

Plot = Callable[[World, Unit, float], list[float]]  # puts extra events into the rows and says when they are


def fake_engagement(w: World, u: Unit, at: float) -> list[float]:
    """Half a day's to three days' engagements within 0.5-12 hours, 60-90 % of them from low-trust accounts."""
    n, low = int(max(u.engagement * w.rng.uniform(0.5, 3), 50)), w.rng.uniform(0.6, 0.9)
    when = at + w.rng.uniform(0, w.rng.uniform(0.5, 12), n)
    return [t for t in when if engaged(w, u, t, bool(w.rng.random() < low))]


def violation_burst(w: World, u: Unit, at: float) -> list[float]:
    """4-9 violations in 6-48 hours; in seven of ten bursts nearly all of one kind."""
    rng, usual, same = w.rng, VIOLATIONS[w.rng.integers(6)], 0.9 * (w.rng.random() < 0.7)
    when = at + rng.uniform(0, rng.uniform(6, 48), rng.integers(4, 10))
    return [t for t in when if violation(w, u, t, usual if rng.random() < same else VIOLATIONS[rng.integers(6)])]


def account_takeover(w: World, u: Unit, at: float) -> list[float]:
    """Failed logins, a stranger's login, changes, and in four of five the money goes; a third goes slowly."""
    rng, slow, device = w.rng, w.rng.random() < 1 / 3, f"bad{u.id[3:]}"
    country = ("RU", "NG", "BR", u.market)[rng.integers(4)]
    when = sorted(at + rng.uniform(0, rng.uniform(3, 6) if slow else rng.uniform(0.1, 1), rng.integers(5, 16)))
    for t in when:
        login(w, u, t, False, device, country)
    changes = rng.permutation(["credential_changed", "payout_changed"])[: rng.integers(1, 3)].tolist()
    for kind in ["login", *changes, *(["withdrawal"] if rng.random() < 0.8 else [])]:
        when.append(when[-1] + (rng.uniform(3, 14) if slow else rng.lognormal(-0.5, 1.0)))
        if kind == "login":
            login(w, u, when[-1], True, device, country)
        else:
            change(w, u, kind, when[-1])
    return when


def order_spike(w: World, u: Unit, at: float) -> list[float]:
    """x 4-8 for 6-24 hours, whatever the hour, of the week before; not within a day of the campaign."""
    rng, long, times = w.rng, w.rng.uniform(6, 24), w.rng.uniform(4, 8)
    if abs(at / 24 - CAMPAIGN - 0.5) < 2:
        return []
    when = at + rng.uniform(0, long, rng.poisson(u.level(at) * (times - 1) * long / 24))
    part = rng.uniform(0.3, 1)  # of the clicks that such orders would have had
    return [order(w, u, t).at for t in when if schemes.clicked(w, u, t, part)]


def live_viewbot(w: World, u: Unit, at: float) -> list[float]:
    """In one to three live sessions bots come at once, or within minutes, and stay: they watch, and do nothing else."""
    rng, when = w.rng, []
    lives = [live for live in u.lives if at <= live.at < at + 144 and len(live.minutes) >= 50]
    real, chatty = rng.uniform(0.02, 0.15), rng.choice([0.0, 0.004])
    for live in lives[: rng.integers(1, 4)]:
        first, ramp = int(rng.integers(3, len(live.minutes) // 3)), rng.choice([1, 12])
        usual = np.mean([w.attrs(place)["viewers"] for place in live.minutes[first:]])
        many = max(250.0, usual * rng.uniform(1.5, 4))
        for i, place in enumerate(live.minutes[first:]):
            told, n = w.attrs(place), int(rng.poisson(many * min(1.0, (i + 1) / ramp)))
            more = {"viewers": told["viewers"] + n, "logged_in_viewers": told["logged_in_viewers"] + int(n * real)}
            if "commenters" in told:
                more["commenters"] = told["commenters"] + int(rng.binomial(n, chatty))
            w.change(place, **more)
            when.append(live.at + (first + i) / 60)
    return when


def off_platform_redirect(w: World, u: Unit, at: float) -> list[float]:
    """8-25 items in half a day to four days send people away, nearly all in one way; some of them in bulk edits."""
    rng, usual, n = w.rng, FLAGS[w.rng.integers(4)], w.rng.integers(9, 26)
    when = schemes.clumps(w, at, rng.uniform(12, 96), n, rng.integers(2, 7))
    return [t for t in when if flag(w, u, t, usual if rng.random() < 0.85 else FLAGS[rng.integers(4)])]


def report_wave(w: World, u: Unit, at: float) -> list[float]:
    """18-60 reporters, each once or twice: within hours after a call to report, or over two days."""
    rng, n = w.rng, w.rng.integers(18, 60)
    if rng.random() < 0.6:
        when = (at + rng.gamma(1.5, rng.uniform(0.5, 3), n)).tolist()
    else:
        when = schemes.awake(w, u, at, rng.uniform(24, 60), n)
    crowd = [f"u{u.id[3:]}_{i}" for i in range(n)]
    for again in rng.integers(1, n, n // 6):
        crowd[again] = crowd[again - 1]
    return [t for t, who in zip(when, crowd, strict=True) if report(w, u, t, who)]


def unposted_samples(w: World, u: Unit, at: float) -> list[float]:
    """7-15 samples come in parcels and are never shown. What happens is that a deadline passes: 14 days later."""
    rng, left = w.rng, w.spec.days - 14.3
    if left < 1:
        return []
    first, n = rng.uniform(0.1, left * 0.5) * 24, rng.integers(7, 16)
    came = schemes.clumps(w, first, rng.uniform(6, 24 * left / 2), n, rng.integers(1, 6))
    came = [t for i, t in enumerate(came) if t + 336 < w.hours and give(w, u, t, f"kept{i}", None)]
    return [t + 336 for t in came]


def newcomer_surge(w: World, u: Unit, at: float) -> list[float]:
    """From the second day on a new account sells 30-90 a day for four to seven days: at once, or in a hump."""
    rng, start, long = w.rng, u.join + w.rng.uniform(6, 30), w.rng.uniform(96, 168)
    n = rng.poisson(rng.uniform(30, 90) * max(w.spec.volume * w.v.volume, 0.5) * long / 24)
    shape = (1, 1) if rng.random() < 0.5 else (2, 2)
    when = start + long * rng.beta(*shape, n)
    return schemes.sales(w, u, [t for t in when if t < w.hours])


PLOTS: dict[str, tuple[int, Plot]] = {  # the fewest extra events, and what puts them there
    "refund_surge": (12, schemes.refund_surge),  # refunds
    "seller_fault_surge": (10, schemes.seller_fault_surge),  # refunds by the seller's fault
    "chargeback_surge": (8, schemes.chargeback_surge),  # chargebacks, and the orders made for them
    "defect_surge": (12, schemes.defect_surge),  # orders with a low review, a complaint or a chargeback
    "complaint_surge": (8, schemes.complaint_surge),  # complaints
    "negative_reviews": (10, schemes.negative_reviews),  # reviews of one or two stars
    "cancellation_surge": (12, schemes.cancellation_surge),  # cancelled orders
    "late_shipments": (20, schemes.late_shipments),  # shipments that are late now and were not
    "commission_clawback": (12, schemes.commission_clawback),  # commissions taken back
    "order_spike": (15, order_spike),  # orders
    "live_viewbot": (40, live_viewbot),  # minutes with at least 250 bots, or on the way there
    "clickless_orders": (40, schemes.clickless_orders),  # orders
    "brushing": (35, schemes.brushing),  # orders
    "incentive_abuse": (45, schemes.incentive_abuse),  # redemptions, cancellations and refunds
    "review_burst": (35, schemes.review_burst),  # reviews
    "counterfeit_wave": (5, schemes.counterfeit_wave),  # complaints of distinct actors
    "fake_engagement": (40, fake_engagement),  # engagements
    "violation_burst": (4, violation_burst),  # violations
    "account_takeover": (5, account_takeover),  # steps
    "off_platform_redirect": (8, off_platform_redirect),  # flagged items
    "report_wave": (15, report_wave),  # reports
    "unposted_samples": (6, unposted_samples),  # deadlines
    "newcomer_surge": (60, newcomer_surge),  # orders
    "lookalike:viral_video": (150, alike.viral_video),  # engagements and clicks
    "lookalike:live_giveaway": (60, alike.live_giveaway),  # engagements
    "lookalike:raid": (15, alike.raid),  # minutes
    "lookalike:restock": (8, alike.restock),  # orders
    "lookalike:launch_party": (10, alike.launch_party),  # orders
}
COUNTS = {kind: least for kind, (least, _) in PLOTS.items()}
NEW = ("newcomer_surge", "lookalike:launch_party")  # of creators that join within the stream
START_DAY = 7  # the first day on which an episode may begin, but for newcomers and for samples


def plant(w: World, each: int) -> list[Label]:
    """Up to `each` episodes of each kind, at most one a creator, in turns: no kind takes the large creators first."""
    w.turn(100)
    order_of = w.rng.permutation(len(w.units)).tolist()
    free = {new: [i for i in order_of if (w.units[i].join > 48) == new] for new in (False, True)}
    left = {kind: list(free[kind in NEW]) for kind in PLOTS}  # those not tried yet
    labels: list[Label] = []
    for turn in range(each):
        for kind in PLOTS:
            if kind in NEW and turn >= (each + 1) // 2:
                continue  # most newcomers must stay usual ones
            here = free[kind in NEW]
            label = next((found for i in untried(left[kind], here) if (found := planted(w, i, kind)) is not None), None)
            if label is not None:
                labels.append(label)
                here.remove(int(label.creator_id[3:]))
    return labels


def untried(left: list[int], free: list[int]) -> Any:
    while left:
        i = left.pop(0)
        if i in free:
            yield i


def planted(w: World, i: int, kind: str) -> Label | None:
    """The episode's label; or None, and the rows as they were, where it would be too small to be seen."""
    u, (least, plot) = w.units[i], PLOTS[kind]
    n, sold, earned, w.replaced = len(w.rows), len(u.orders), len(u.earned), []
    kept = set(u.refunded), set(u.cancelled)
    at = w.rng.uniform(START_DAY, max(w.spec.days - 3.5, START_DAY + 0.1)) * 24
    times = [t for t in plot(w, u, at) if 0 <= t < w.hours]
    if len(times) >= least:
        return Label(u.id, u.market, kind, *(START_MS + int(t * HOUR_MS) for t in (min(times), max(times))))
    for place, row in reversed(w.replaced):
        w.rows[place] = row
    del w.rows[n:], u.orders[sold:], u.earned[earned:]
    u.refunded, u.cancelled = kept
    return None
