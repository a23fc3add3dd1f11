"""Lives in which nothing happens, or too little to say."""

from tests.stories.lives import Life


def an_ordinary_life(life: Life) -> None:
    life.lives()


def two_of_four(life: Life) -> None:
    """A small creator of whom two of four of everything are bad."""
    orders = [life.at(2 * n) for n in range(4)]
    buyers, refs, two = life.somebody(4), [f"o_small_{n}" for n in range(4)], slice(2)
    named = {"actor": buyers[two], "ref": refs[two], "ref_at": orders[two]}
    price = life.place.price
    life.does("account.login", life.at(-239), success=True, **life.own)
    life.does("product.clicked", orders)
    life.does("order.paid", orders, buyers, refs, amount=price, subsidised=True)
    life.does("commission.earned", orders, buyers, refs, orders, price / 10)
    life.does("incentive.redeemed", orders, [buyers[0]] * 3 + buyers[3:], refs, orders, price / 10)
    later = [life.at(30), life.at(31)]
    life.does("order.cancelled", [life.at(9), life.at(10)], **named)
    life.does("order.shipped", later, **named, late=True)
    life.does("order.shipped", later, buyers[2:], refs[2:], orders[2:], late=False)
    life.does("refund.approved", later, **named, amount=price, fault="seller")
    life.does("chargeback.received", later, **named, amount=price)
    life.does("complaint.received", later, **named, kind="counterfeit")
    life.does("review.posted", later, **named, stars=1)
    life.does("review.posted", later, buyers[2:], refs[2:], orders[2:], stars=5)
    life.does("commission.reversed", later, **named, amount=price / 10)
    life.does("content.engaged", [life.at(10 + 0.1 * n) for n in range(2)], kind="like", trust="low")
    life.does("content.engaged", [life.at(10 + 0.1 * n) for n in range(2)], kind="like", trust="normal")
    life.does("violation.confirmed", [life.at(n) for n in range(2)], kind="misleading", points=4)
    life.does("content.flagged", [life.at(n) for n in range(2)], kind="link")
    life.does("report.received", [life.at(n) for n in range(2)], life.somebody(2, "r"))
    life.does("sample.received", [life.at(-14.5 * 24 + n) for n in range(2)], ref=["s_small_1", "s_small_2"])
    stranger = {"device_id": "d_new", "country": life.market}
    life.does("account.login", [life.at(5 + n / 60) for n in range(3)], success=False, **stranger)
    life.does("account.login", [life.at(5.2), life.at(5.3)], success=True, **stranger)
    life.does("account.withdrawal", life.at(5.4), amount=price)
