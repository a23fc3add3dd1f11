"""Plots of conduct: what creators do, are accused of, or buy."""

import numpy as np

from tests.stories.lives import Habits, Life
from tests.stories.plots import an_ordinary_life, two_of_four
from tests.stories.telling import Found, Silent, Tale

# ---- fake_engagement -------------------------------------------------------------------------------------------


def bought_likes(life: Life) -> None:
    life.lives()
    at = life.some(150, 10, 12)
    life.does("content.engaged", at[:120], kind="follow", trust="low")
    life.does("content.engaged", at[120:], kind="follow", trust="normal")


def viral_video(life: Life) -> None:
    life.lives()
    life.is_liked(40, life.world.during(0, 24, 12.0))


# ---- live_viewbot ----------------------------------------------------------------------------------------------


def goes_live_daily(life: Life) -> None:
    life.lives()
    for day in range(-life.world.day, life.world.days - life.world.day):
        life.is_watched(day * 24 + 11, 1, 60)


def buys_viewers(life: Life) -> None:
    """Six hundred guests who say nothing, among sixty viewers."""
    goes_live_daily(life)
    life.is_watched(14, 1.5, 660, guests=0.93, talking=0.005)


def is_raided(life: Life) -> None:
    """Eight times the viewers, who are logged in and talk."""
    goes_live_daily(life)
    life.is_watched(14, 1.5, 480, guests=0.2, talking=0.08)


def gives_away(life: Life) -> None:
    """Four times the viewers, most of them guests, and much talk."""
    goes_live_daily(life)
    life.is_watched(14, 1.5, 240, guests=0.6, talking=0.15)


# ---- complaint_rate, counterfeit_complaints ----------------------------------------------------------------------


def complaints_surge(life: Life) -> None:
    """Three of five orders of three days bring a complaint, half a day later."""
    bad = life.lives().between(life.at(0), life.at(72))
    life.brings("complaint.received", bad, 0.6, 0.5, kind="misleading")


def sells_counterfeits(life: Life) -> None:
    """Two of five orders of three days are called counterfeit."""
    bad = life.lives().between(life.at(0), life.at(72))
    life.brings("complaint.received", bad, 0.4, 0.5, kind="counterfeit")


def one_angry_buyer(life: Life) -> None:
    """One buyer calls goods counterfeit fifteen times within two days."""
    orders = life.lives()
    life.does("complaint.received", life.some(15, 2, 50), orders.buyer[0], orders.ref[0], orders.at[0],
              kind="counterfeit")  # fmt: skip


def is_large(life: Life) -> None:
    """Two thousand orders, and a complaint about a counterfeit every four days."""
    orders = life.lives(Habits(orders=130, complaints=0.01))
    for hours in (-72, 24):
        last = orders.between(life.at(hours - 48), life.at(hours))
        life.does("complaint.received", life.at(hours), last.buyer[:1], last.ref[:1], last.at[:1], kind="counterfeit")


# ---- report_spike, off_platform_redirect, violation_burst ----------------------------------------------------------


def is_reported(life: Life) -> None:
    """Forty people report within four hours."""
    life.lives()
    life.does("report.received", life.some(40, 4, 8), life.somebody(40, "x"))


def is_brigaded(life: Life) -> None:
    """Four people report twenty times each."""
    life.lives()
    life.does("report.received", life.some(80, 4, 8), life.somebody(4, "x") * 20)


def redirects(life: Life) -> None:
    """Thirty items are flagged within a day."""
    life.lives()
    life.does("content.flagged", life.some(30, 2, 22), kind="phone")


def redirects_seldom(life: Life) -> None:
    """An item every other day."""
    life.lives(Habits(flags=0.0))
    life.does("content.flagged", [life.at(48 * n + 3) for n in range(-4, 3)], kind="link")


def repeats_itself(life: Life) -> None:
    """The same violation eight times, every six hours."""
    life.lives()
    life.does("violation.confirmed", [life.at(2 + 6 * n) for n in range(8)], kind="counterfeit", points=6)


def this_and_that(life: Life) -> None:
    life.lives()
    for n, kind in enumerate(("misleading", "copyright", "low_quality", "redirect")):
        life.does("violation.confirmed", life.at(24 * (3.3 * n - 8)), kind=kind, points=4)


def is_overturned(life: Life) -> None:
    """The same violation five times in two days; two days later an appeal overturns all but one."""
    life.lives()
    those = life.does("violation.confirmed", [life.at(2 + 8 * n) for n in range(5)], kind="misleading", points=4)
    for n, violation in enumerate(those[:4]):
        life.does("violation.overturned", life.at(80 + n / 10), ref=violation)


# ---- account_takeover ------------------------------------------------------------------------------------------


def taken_over(life: Life) -> None:
    """Six failed logins, a strange device from abroad, a new payout account, all money gone: within an hour."""
    life.lives()
    theirs = {"device_id": "d_theirs", "country": "RU"}
    life.does("account.login", [life.at(3 + n / 60) for n in range(6)], success=False, **theirs)
    life.does("account.login", life.at(3.2), success=True, **theirs)
    life.does("account.payout_changed", life.at(3.4))
    life.does("account.withdrawal", life.at(3.9), amount=90 * life.place.price)


def travels(life: Life) -> None:
    """Logs in abroad with a new telephone, and withdraws money there."""
    life.lives()
    at = [life.at(5 * n) for n in range(9)]
    life.does("account.login", at, success=True, device_id="d_travel", country="JP")
    life.does("account.withdrawal", life.at(7), amount=life.place.price)


def forgets_password(life: Life) -> None:
    """Seven failed logins on the usual device, then the right password, changed at once; later a withdrawal."""
    life.lives()
    life.does("account.login", [life.at(3 + n / 60) for n in range(7)], success=False, **life.own)
    life.does("account.login", life.at(3.3), success=True, **life.own)
    life.does("account.credential_changed", life.at(3.4))
    life.does("account.withdrawal", life.at(4), amount=life.place.price)


# ---- sample_integrity ------------------------------------------------------------------------------------------


def keeps_samples(life: Life) -> None:
    """Fourteen samples come within two days, and nothing is ever posted about them."""
    life.lives()
    at = [life.at(-14 * 24 + 2 * n + 1) for n in range(14)]
    life.does("sample.received", at, ref=[f"s_kept_{n}" for n in range(14)])


def shows_its_samples(life: Life) -> None:
    """Eight samples come within four days, and each is shown on the last day but one."""
    life.lives(Habits(idle=0.0))
    at, refs = [life.at(-14 * 24 + 12 * n + 3) for n in range(8)], [f"s_shown_{n}" for n in range(8)]
    life.does("sample.received", at, ref=refs)
    life.does("sample.posted", np.array(at) + 12 * 86_400_000, ref=refs)


TALES = (
    Tale(
        "fake_engagement", "Follows are bought from low-trust accounts", bought_likes,
        Found(12, (" low-trust accounts", "; this creator's usual share is "), 10), two_of_four, an_ordinary_life,
        (Silent("A viral video brings twelve times the usual mix", viral_video),),
    ),
    Tale(
        "live_viewbot", "Silent guests are bought for a live session", buys_viewers,
        Found(15.5, ("were viewer-minutes without a login; ",), 14), two_of_four, goes_live_daily, (
            Silent("A raid brings viewers who talk", is_raided),
            Silent("A giveaway brings guests and much talk", gives_away),
        ),
    ),
    Tale(
        "complaint_rate", "A bad batch brings complaints", complaints_surge,
        Found(60, ("omplaints ", "this creator")), two_of_four, an_ordinary_life,  # the series may be first
        (Silent("A carrier's strike makes everybody's buyers complain", an_ordinary_life, "trouble"),),
    ),
    Tale(
        "counterfeit_complaints", "Many buyers call the goods counterfeit", sells_counterfeits,
        Found(60, ("ounterfeit complaints by distinct reporters ", "this creator's usual rate is ")), two_of_four,
        an_ordinary_life, (
            Silent("One buyer complains again and again", one_angry_buyer),
            Silent("A large creator has a few among thousands of orders", is_large, markets=("TH",)),
        ),
    ),
    Tale(
        "report_spike", "Forty people report within hours", is_reported,
        Found(8, (" reports by distinct reporters in the last ", " would be usual for this creator "), 4),
        two_of_four, an_ordinary_life, (
            Silent("The same few people report again and again", is_brigaded),
            Silent("A topic upsets the whole market", an_ordinary_life, "trouble", ("TH",)),
        ),
    ),
    Tale(
        "off_platform_redirect", "Items with telephone numbers are flagged all day", redirects,
        Found(22, (" flagged items in the last ", " would be usual for this creator ")), two_of_four,
        an_ordinary_life, (
            Silent("Single items are flagged over weeks", redirects_seldom),
            Silent("A sweep of moderation flags everybody's items", an_ordinary_life, "trouble", ("TH",)),
        ),
    ),
    Tale(
        "violation_burst", "The same violation comes back eight times", repeats_itself,
        Found(28, (" violations of the same kind (counterfeit) in the last 90 days",)), two_of_four,
        an_ordinary_life, (Silent("Violations of different kinds come over weeks", this_and_that),),
        more=((
            "Violations are overturned on appeal", is_overturned,
            Found(40, (": withdrawn. Events that it rested on were overturned",), severity="warning",
                  retracted=True),
        ),),
    ),
    Tale(
        "account_takeover", "An account is broken into, changed and emptied", taken_over, Found(4, (
            "Repeated failed logins, then a login from a new device or country, then a change of credentials or "
            "payout account, then a withdrawal in the last 24 hours: all 4 steps",
        ), 3), two_of_four, an_ordinary_life, (
            Silent("A traveller logs in from abroad with a new phone", travels),
            Silent("A forgotten password is tried, found and changed", forgets_password),
        ),
    ),
    Tale(
        "sample_integrity", "Fourteen samples are kept and never shown", keeps_samples,
        Found(96, ("were samples without content; this creator's usual share is ",)), two_of_four,
        an_ordinary_life, (
            Silent("Many samples come and are shown in time", shows_its_samples),
            Silent("Content is late in the whole market", an_ordinary_life, "trouble", ("TH",)),
        ), long=True,
    ),
)  # fmt: skip
