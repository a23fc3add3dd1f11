"""Plots of demand: who orders, how many, how often, after which clicks, and who is new."""

import numpy as np

from tests.stories.lives import Habits, Life
from tests.stories.plots import an_ordinary_life, two_of_four
from tests.stories.telling import Found, Silent, Tale
from tests.stories.worlds import DAY

# ---- order_spike -----------------------------------------------------------------------------------------------


def spike(life: Life) -> None:
    """Fifteen times the orders in the six hours before the evening."""
    life.lives(Habits(orders=20), life.world.during(6, 6, 15.0))


def goes_live(life: Life) -> None:
    """Five times the orders for two hours on every other evening."""
    lift = np.ones(life.world.hours)
    for day in range(1 - life.world.day, life.world.days - life.world.day, 2):
        lift *= life.world.during(day * 24 + 13, 2, 5.0)
        life.is_watched(day * 24 + 13, 2, 60)
    life.lives(Habits(orders=20), lift)


def has_restless_days(life: Life) -> None:
    """Every third day brings more than twice the orders, the others fewer."""
    lift = np.full(life.world.hours, 0.8)
    for day in range(-life.world.day, life.world.days - life.world.day, 3):
        lift *= life.world.during(day * 24, 24, 2.2)
    life.lives(Habits(orders=20), lift)


# ---- conversion_outlier ----------------------------------------------------------------------------------------


def orders_without_clicks(life: Life) -> None:
    """Three hundred orders in six hours, by as many buyers, none of whom clicked."""
    life.lives()
    life.pays(life.some(300, 6, 12), life.somebody(300, "x"), np.zeros(300, dtype=np.bool_))


def restocks(life: Life) -> None:
    """Eight times the clicks and orders for half a day."""
    life.lives(lift=life.world.during(4, 12, 8.0))


# ---- brushing_concentration --------------------------------------------------------------------------------------


def brushes(life: Life) -> None:
    """Five buyers order twelve times each within a day."""
    life.lives()
    few = life.somebody(5, "x")
    life.pays(life.some(60, 2, 20), [few[n % 5] for n in range(60)], np.zeros(60, dtype=np.bool_))


def has_loyal_buyers(life: Life) -> None:
    """One order in seven is by somebody who has just bought, all the time."""
    life.lives(Habits(loyal=0.15))


def sells_live_to_some_twice(life: Life) -> None:
    """A live session of two hours: sixty orders, of which five are second ones."""
    life.lives()
    life.is_watched(13, 2, 90)
    buyers = life.somebody(55, "x")
    life.pays(life.some(60, 13, 15), buyers + buyers[:5], np.zeros(60, dtype=np.bool_))


# ---- new_creator_velocity ----------------------------------------------------------------------------------------


def registers(life: Life, days_before: float) -> None:
    life.began = life.at(0) - round(days_before * DAY)
    life.does("account.registered", life.began)


def sells_at_once(life: Life) -> None:
    """Registers two days before, and sells four hundred a day from then on."""
    registers(life, 2)
    life.lives(Habits(orders=4), life.world.during(0, 72, 100.0))


def gives_a_launch_party(life: Life) -> None:
    """Registers in the morning, and sells a hundred and fifty orders in a live session of the first evening."""
    registers(life, 0)
    life.lives(Habits(orders=4))
    life.is_watched(13, 3, 200)
    life.pays(life.some(150, 13.1, 16), life.somebody(150, "x"), np.zeros(150, dtype=np.bool_))


def begins_small(life: Life) -> None:
    """A newcomer as others are."""
    registers(life, 5)
    life.lives(Habits(orders=4))


# ---- incentive_abuse ---------------------------------------------------------------------------------------------


def redeems_again(life: Life) -> None:
    """Sixty subsidised orders of a day by five buyers, who redeem a voucher for each."""
    life.lives()
    few = life.somebody(5, "x")
    orders = life.pays(life.some(60, 2, 18), [few[n % 5] for n in range(60)], np.ones(60, dtype=np.bool_))
    life.redeems(orders, Habits(redeemed=1.0))


def is_subsidised(life: Life) -> None:
    """Eight times the orders on one day, most of them subsidised and with a voucher, by as many buyers."""
    life.lives(lift=life.world.during(0, 24, 2.0))
    orders = life.pays(life.some(150, 4, 18), life.somebody(150, "x"), np.ones(150, dtype=np.bool_))
    life.redeems(orders, Habits(redeemed=0.9))
    life.fulfils(orders, Habits())


def is_often_cancelled(life: Life) -> None:
    """One order in twelve is cancelled, subsidised or not, all the time."""
    life.lives(Habits(cancelled=0.08))


# ---- commission_clawback -----------------------------------------------------------------------------------------


def claws_back(life: Life) -> None:
    """The commissions of most orders of two days are reversed within a day."""
    bad = life.lives().between(life.at(0), life.at(48))
    life.brings("commission.reversed", bad, 0.9, 0.3, amount=0.1)


def own_returns(life: Life) -> None:
    """Eight times the orders on one day; commissions are taken back together, at the usual rate, days later."""
    life.lives(lift=life.world.during(-72, 24, 8.0))


def one_large_return(life: Life) -> None:
    """A small creator, of whom one order at twenty times the usual price comes back."""
    life.lives(Habits(orders=4, reversed=0.0))
    price = 2 * life.place.price
    life.does("commission.earned", life.at(-40), ref="o_large", ref_at=life.at(-41), amount=price)
    life.does("commission.reversed", life.at(6), ref="o_large", ref_at=life.at(-40), amount=price)


TALES = (
    Tale(
        "order_spike", "Orders jump fifteenfold for an afternoon", spike,
        Found(12, (" orders outside live sessions in the last ",)), two_of_four,
        an_ordinary_life, (
            Silent("Live evenings bring bursts of orders", goes_live),
            Silent("Restless days are its own way", has_restless_days),
        ),
    ),
    Tale(
        "conversion_outlier", "Orders come that nobody clicked for", orders_without_clicks,
        Found(13, (" clicks and orders (", "were orders; this creator's usual share is "), 6),
        two_of_four, an_ordinary_life,
        (Silent("A restock brings clicks and orders together", restocks),),
    ),
    Tale(
        "brushing_concentration", "Five buyers order again and again", brushes,
        Found(20, ("were orders by buyers who had bought in the day before; ",)), two_of_four, an_ordinary_life, (
            Silent("Loyal buyers come back all the time", has_loyal_buyers),
            Silent("A live session sells to some buyers twice", sells_live_to_some_twice),
        ),
    ),
    Tale(
        "new_creator_velocity", "A newcomer sells four hundred orders a day", sells_at_once,
        Found(30, ("by a creator who registered at most 30 days ago; about ",)), begins_small, begins_small,
        (Silent("A launch party sells in a live session", gives_a_launch_party),),
    ),
    Tale(
        "incentive_abuse", "Five buyers redeem again and again", redeems_again,
        Found(20, ("were redemptions by buyers who had redeemed in the three days before; ",), 2), two_of_four,
        an_ordinary_life, (
            Silent("Subsidies bring many redemptions by as many buyers", is_subsidised),
            Silent("Orders are often cancelled, subsidised or not", is_often_cancelled),
        ),
    ),
    Tale(
        "commission_clawback", "Commissions of two days are taken back", claws_back,
        Found(60, ("eversed commission", "this creator's usual rate is ")), two_of_four, an_ordinary_life, (
            Silent("An own campaign's returns take their commissions back", own_returns),
            Silent("One large return of a small creator", one_large_return),
        ),
    ),
)  # fmt: skip
