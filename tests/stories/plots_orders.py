"""Plots of orders, and of what follows them."""

import numpy as np

from tests.stories.lives import Habits, Life
from tests.stories.plots import an_ordinary_life, two_of_four
from tests.stories.telling import Found, Silent, Tale

# ---- refund_rate -----------------------------------------------------------------------------------------------


def refunds_surge(life: Life) -> None:
    """Two of three orders of two days come back, most of them at once."""
    bad = life.lives().between(life.at(0), life.at(48))
    life.brings("refund.approved", bad, 0.65, 0.4, amount=1.0, fault="seller")


def own_campaign(life: Life) -> None:
    """Eight times the orders on one day; what follows them comes together, at the usual rate, days later."""
    life.lives(lift=life.world.during(-72, 24, 8.0))


def stops_selling(life: Life) -> None:
    life.lives(Habits(orders=60), life.world.during(-48, 480, 0.03))


# ---- cancellation_rate -----------------------------------------------------------------------------------------


def cancellations_surge(life: Life) -> None:
    """Four of five orders of two days are cancelled within hours."""
    bad = life.lives().between(life.at(0), life.at(48))
    life.brings("order.cancelled", bad, 0.8, 0.15)


# ---- chargeback_rate -------------------------------------------------------------------------------------------


def disputes_surge(life: Life) -> None:
    """Two of three orders of three days are disputed, most of them within a day."""
    bad = life.lives().between(life.at(0), life.at(72))
    life.brings("chargeback.received", bad, 0.7, 0.5, amount=1.0)


def campaign_weeks_ago(life: Life) -> None:
    """Eight times the orders on one day; their disputes come together, two weeks later."""
    life.lives(lift=life.world.during(-14 * 24, 24, 8.0))


# ---- late_shipment_rate ----------------------------------------------------------------------------------------


def ships_late(life: Life) -> None:
    """Most orders of three days are shipped late."""
    bad = life.lives().between(life.at(0), life.at(72))
    life.brings("order.shipped", bad, 0.9, 0.8, 6.0, late=True)


def is_always_late(life: Life) -> None:
    life.lives(Habits(late=0.13))


# ---- negative_review_rate, review_burst --------------------------------------------------------------------------


def bad_reviews(life: Life) -> None:
    """Two of three orders of three days are reviewed badly, half a day later."""
    bad = life.lives().between(life.at(0), life.at(72))
    life.brings("review.posted", bad, 0.7, 0.5, stars=1)


def asks_for_reviews(life: Life) -> None:
    """A reminder of its own: six times the reviews on one day, of the usual mix."""
    orders = life.lives().between(life.at(-144), life.at(0))
    for stars, share in ((1, 0.04), (2, 0.04), (4, 0.4), (5, 0.5)):
        those = orders.where(life.evenly(len(orders.at), share))
        life.does("review.posted", life.some(len(those.at), 0, 12), those.buyer, those.ref, those.at, stars=stars)


def bought_reviews(life: Life) -> None:
    """Eighty reviews of five stars in an afternoon, of no order."""
    life.lives()
    life.does("review.posted", life.some(80, 4, 10), life.somebody(80, "x"), stars=5)


# ---- order_defect_rate -----------------------------------------------------------------------------------------


def defects(life: Life) -> None:
    """Of the orders of three days a third is complained about, as many reviewed badly, a tenth disputed."""
    bad = life.lives(Habits(orders=40)).between(life.at(0), life.at(72))
    life.brings("complaint.received", bad, 0.35, 0.5, kind="other")
    life.brings("review.posted", bad, 0.3, 0.5, stars=1)
    life.brings("chargeback.received", bad, 0.1, 0.5, amount=1.0)


def one_order_many_defects(life: Life) -> None:
    """The buyers of two orders complain, write bad reviews and dispute their payments, twice each."""
    orders = life.lives()
    bad = orders.where(np.isin(np.arange(len(orders.at)), np.flatnonzero(orders.at >= life.at(-24))[:2]))
    for hours in (2, 6):
        at = [life.at(hours + n) for n in range(2)]
        life.does("complaint.received", at, bad.buyer, bad.ref, bad.at, kind="other")
        life.does("review.posted", at, bad.buyer, bad.ref, bad.at, stars=1)
        life.does("chargeback.received", at, bad.buyer, bad.ref, bad.at)


USUAL = ("this creator's usual rate is ", " creators in ")
TALES = (
    Tale(
        "refund_rate", "Two days of bad orders come back", refunds_surge,
        Found(48, ("efunds for the seller's fault ", "their usual level since ")),
        two_of_four, an_ordinary_life, (
            Silent("An own campaign's orders come back together, days later", own_campaign),
            Silent("Orders end while refunds of earlier ones still arrive", stops_selling),
        ),
    ),
    Tale(
        "cancellation_rate", "Orders of two days are cancelled", cancellations_surge,
        Found(36, ("ancellations ", *USUAL)), two_of_four, an_ordinary_life, (
            Silent("A burst of orders brings its usual cancellations", own_campaign),
            Silent("A broken payment provider cancels everybody's orders", an_ordinary_life, "trouble"),
        ),
    ),
    Tale(
        "chargeback_rate", "Buyers of three days dispute their payments", disputes_surge,
        Found(72, ("hargebacks ", *USUAL)), two_of_four, an_ordinary_life, (
            Silent("An own campaign's orders are disputed together, weeks later", campaign_weeks_ago),
            Silent("A broken payment provider brings disputes to everybody", an_ordinary_life, "trouble", ("TH",)),
        ), long=True,
    ),
    Tale(
        "late_shipment_rate", "Most orders of three days are shipped late", ships_late,
        Found(60, ("ate shipments ", *USUAL)),
        two_of_four, an_ordinary_life,
        (
            Silent("Every eighth shipment is late, all the time", is_always_late),
            Silent("A carrier's strike makes everybody late", an_ordinary_life, "trouble"),
        ),
    ),
    Tale(
        "negative_review_rate", "Most orders of three days are reviewed badly", bad_reviews,
        Found(60, ("reviews (", "were negative reviews; this creator's usual share is ")),
        two_of_four, an_ordinary_life,
        (Silent("Six times the reviews come, of the usual mix", asks_for_reviews),),
    ),
    Tale(
        "review_burst", "Reviews are bought for an afternoon", bought_reviews, Found(10, ("reviews in the last ",), 4),
        two_of_four, an_ordinary_life, (
            Silent("An own campaign's buyers review their orders days later", own_campaign),
            Silent("The platform's reminder brings reviews to everybody", an_ordinary_life, "trouble", ("TH",)),
        ),
    ),
    Tale(
        "order_defect_rate", "Orders of three days end badly in every way", defects,
        Found(60, ("efects ", "off their usual level since ")),
        two_of_four, an_ordinary_life, (
            Silent("Two orders with all defects are two defects", one_order_many_defects),
            Silent("A carrier's strike annoys everybody's buyers", an_ordinary_life, "trouble", ("TH",)),
        ),
    ),
)  # fmt: skip
