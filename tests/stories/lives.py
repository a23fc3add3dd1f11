"""What creators do, and what befalls them: orders, and all that follows orders; viewers, reports, logins."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.base import Bools, Floats, Ints
from tests.stories.worlds import DAY, HOUR, MINUTE, PLACES, SHAPE, START, World

GOLDEN_RATIO = 0.6180339887498949
Told = tuple[int, str, int, str, bytes]  # time, creator, number, type, value


class Orders(NamedTuple):
    """Some orders of one creator, in order of time."""

    at: Ints  # (n,) ms
    ref: list[str]
    buyer: list[str]
    amount: Floats  # (n,)
    subsidised: Bools  # (n,)

    def where(self, some: Bools) -> "Orders":
        kept = np.flatnonzero(some).tolist()
        ref, buyer = ([column[i] for i in kept] for column in (self.ref, self.buyer))
        return Orders(self.at[some], ref, buyer, self.amount[some], self.subsidised[some])

    def between(self, first: int, last: int) -> "Orders":
        return self.where((self.at >= first) & (self.at < last))


class Habits(NamedTuple):
    """An ordinary life: shares of orders, and what comes so often a day."""

    orders: float = 30.0  # a day
    clicks: float = 5.0  # for each order: of those that the stream has
    loyal: float = 0.03  # orders by who bought just before
    subsidised: float = 0.2
    cancelled: float = 0.04
    late: float = 0.06
    refunded: float = 0.06
    at_fault: float = 0.3  # of the refunds, the seller's
    complaints: float = 0.015
    disputed: float = 0.01
    reviewed: float = 0.4
    low_stars: float = 0.08  # of the reviews
    reversed: float = 0.07  # of the commissions
    likes: float = 1.3  # for each order
    low_trust: float = 0.05
    redeemed: float = 0.3  # of the orders, a voucher
    samples: float = 0.3  # a day
    idle: float = 0.08  # of the samples, without content
    flags: float = 0.05  # a day
    reports: float = 0.1
    viewers: float = 60.0  # of a live session


USUAL = Habits()


class Life:
    """One creator's events. Everybody draws from a name of their own, so that nobody changes another's life."""

    def __init__(self, creator: str, market: str, world: World, category: int = 0) -> None:
        self.creator, self.market, self.world = creator, market, world
        self.place = PLACES[market]
        self.category = self.place.categories[category]
        self.rng = np.random.default_rng([self.place.seed, zlib.crc32(creator.encode())])
        self.events: list[tuple[int, str, dict[str, Any], dict[str, Any]]] = []
        self.began = START  # ms, when it began to sell
        self.sold = 0
        self.own: dict[str, Any] = {"device_id": f"d_{creator}", "country": market}

    # -- the pen -----------------------------------------------------------------------------------------------

    def does(self, what: str, at: Any, /, actor: Any = None, ref: Any = None, ref_at: Any = None, amount: Any = None,
             **attrs: Any) -> list[str]:  # fmt: skip
        """Write down events, each with its own actor, reference and amount where lists are given; gives their ids."""
        first, times = len(self.events), np.atleast_1d(np.asarray(at, dtype=np.int64)).tolist()
        for i, time in enumerate(times):
            fields = {"actor_id": _nth(actor, i), "ref_id": _nth(ref, i), "amount": _nth(amount, i)}
            more = attrs if ref_at is None else attrs | {"ref_at": int(_nth(ref_at, i))}
            self.events.append((time, what, {k: v for k, v in fields.items() if v is not None}, more))
        return [f"{self.creator}-{first + i}" for i in range(len(times))]

    def at(self, hours: float) -> int:
        return self.world.at(hours)

    def often(self, per_day: float, lift: Floats | float = 1.0) -> Ints:
        """Times at which something happens so often a day, as the hour and the lift will have it."""
        rate = per_day / 24 * np.tile(SHAPE, self.world.days) * lift
        hour = np.repeat(np.arange(self.world.hours), self.rng.poisson(rate))
        at = np.sort(START + hour * HOUR + self.rng.integers(0, HOUR, len(hour)))
        return at[at >= self.began]

    def some(self, n: int, first: float, last: float) -> Ints:
        """So many times between two hours of the day that counts."""
        return np.sort(self.rng.integers(self.at(first), self.at(last), n))

    def somebody(self, n: int, who: str = "u") -> list[str]:
        """So many different people."""
        first = int(self.rng.integers(10**6))
        return [f"{who}_{self.creator}_{first + i}" for i in range(n)]

    def evenly(self, n: int, share: Floats | float) -> Bools:
        """(n,): which of so many have something that a share of them has: as evenly as can be.

        By chance alone somebody stands out now and then: that is the null run's question, not a story's.
        """
        reached = np.floor(np.cumsum(np.full(n, share)) + self.rng.random())
        some: Bools = np.diff(reached, prepend=0.0) >= 1.0
        return some

    def later(self, n: int, days: float, shape: float) -> Ints:
        """(n,) ms: so many delays of a gamma distribution, those of neighbours far from each other."""
        place = (np.arange(n) * GOLDEN_RATIO + self.rng.random()) % 1.0
        delay: Ints = (special.gammaincinv(shape, place) * (days / shape * DAY)).astype(np.int64)
        return delay

    def restless(self) -> Floats:
        """(hours,): good days and bad days, good hours and bad hours."""
        days = self.rng.gamma(20.0, 1 / 20.0, self.world.days)
        return np.repeat(days, 24) * self.rng.gamma(10.0, 1 / 10.0, self.world.hours)

    # -- orders, and what follows them ---------------------------------------------------------------------------

    def pays(self, at: Ints, buyer: Sequence[str], subsidised: Bools) -> Orders:
        """Orders at these times, by these buyers."""
        ref = [f"o_{self.creator}_{self.sold + i}" for i in range(len(at))]
        self.sold += len(at)
        amount = np.round(self.place.price * self.rng.lognormal(-0.08, 0.4, len(at)), 2)
        for given in (False, True):
            i = np.flatnonzero(subsidised == given).tolist()
            self.does("order.paid", at[i], [buyer[j] for j in i], [ref[j] for j in i], None, amount[i],
                      subsidised=given)  # fmt: skip
        return Orders(at, ref, list(buyer), amount, subsidised)

    def sells(self, habits: Habits, lift: Floats | float = 1.0) -> Orders:
        at = self.often(habits.orders, lift * self.world.lift("orders"))
        buyer = self.somebody(len(at))
        for i in np.flatnonzero(self.evenly(len(at), habits.loyal)).tolist():
            buyer[i] = buyer[max(i - 1 - int(self.rng.integers(3)), 0)]
        share = habits.subsidised * self.world.lift("subsidies")[(at - START) // HOUR]
        return self.pays(at, buyer, self.evenly(len(at), share))

    def brings(self, what: str, orders: Orders, share: Floats | float, days: float, shape: float = 2.0, /,
               amount: float | None = None, **attrs: Any) -> Orders:  # fmt: skip
        """So many of the orders have this outcome, so many days later on average; gives those."""
        those = orders.where(self.evenly(len(orders.at), share))
        at = those.at + self.later(len(those.at), days, shape)
        money = None if amount is None else np.round(amount * those.amount, 2)
        self.does(what, at, those.buyer, those.ref, those.at, money, **attrs)
        return those

    def lifted(self, what: str, orders: Orders) -> Floats:
        """What befalls the orders of a time."""
        return self.world.lift(what)[np.clip((orders.at - START) // HOUR, 0, self.world.hours - 1)]

    def fulfils(self, orders: Orders, habits: Habits) -> None:
        """Cancellations, shipments, refunds, complaints, disputes, reviews, commissions."""
        self.brings("order.cancelled", orders, habits.cancelled * self.lifted("cancellations", orders), 0.5, 1.0)
        late = self.evenly(len(orders.at), habits.late * self.lifted("late", orders))
        self.brings("order.shipped", orders.where(late), 0.96, 1.2, 6.0, late=True)
        self.brings("order.shipped", orders.where(~late), 0.96, 0.6, 6.0, late=False)
        self.brings("refund.approved", orders, habits.refunded * habits.at_fault, 4.5, amount=1.0, fault="seller")
        self.brings("refund.approved", orders, habits.refunded * (1 - habits.at_fault), 4.5, amount=1.0, fault="buyer")
        anger = habits.complaints * self.lifted("complaints", orders)
        for kind, share in (("counterfeit", 0.05), ("misleading", 0.35), ("other", 0.6)):
            self.brings("complaint.received", orders, share * anger, 3.0, kind=kind)
        self.brings("chargeback.received", orders, habits.disputed * self.lifted("disputes", orders), 12.0, amount=1.0)
        self.is_reviewed(orders, habits)
        self.earns(orders, habits)

    def is_reviewed(self, orders: Orders, habits: Habits) -> None:
        low = self.evenly(len(orders.at), habits.low_stars * self.lifted("low stars", orders))
        for some, stars in ((low, (1, 2)), (~low, (4, 5))):
            for which in stars:
                self.brings("review.posted", orders.where(some), habits.reviewed / 2, 5.5, 2.5, stars=which)
        if self.world.lift("reminders").max() > 1.0:  # the platform's: buyers of the last days review at once
            late = orders.between(self.at(-144), self.at(0))
            those = late.where(self.evenly(len(late.at), 0.3))
            at = self.some(len(those.at), 0, 12)
            self.does("review.posted", at, those.buyer, those.ref, those.at, stars=5)

    def earns(self, orders: Orders, habits: Habits) -> None:
        self.brings("commission.earned", orders, 1.0, 0.02, amount=0.1)
        self.brings("commission.reversed", orders, habits.reversed, 5.0, amount=0.1)

    # -- everything else -----------------------------------------------------------------------------------------

    def is_seen(self, orders: Orders, habits: Habits, lift: Floats | float) -> None:
        """Clicks before the orders, and likes."""
        clicks = self.rng.poisson(habits.clicks * self.lifted("clicks", orders))
        before = self.rng.exponential(20 * MINUTE, clicks.sum()).astype(np.int64)
        self.does("product.clicked", np.sort(np.repeat(orders.at, clicks) - before))
        self.is_liked(habits.likes * habits.orders, np.sqrt(lift), habits.low_trust)

    def is_liked(self, per_day: float, lift: Floats | float = 1.0, low: float = 0.05) -> None:
        at = self.often(per_day, lift * self.world.lift("likes"))
        doubtful = self.evenly(len(at), low)
        self.does("content.engaged", at[doubtful], kind="like", trust="low")
        self.does("content.engaged", at[~doubtful], kind="like", trust="normal")

    def is_watched(
        self, start: float, hours: float, viewers: float, guests: float = 0.25, talking: float = 0.06
    ) -> None:
        """A live session, with so many viewers on average; with a minute that counts every other."""
        first = self.at(start)
        self.does("live.started", first)
        for minute in range(0, round(60 * hours), 2):
            seen = int(self.rng.poisson(viewers))
            unknown, heard = int(self.rng.binomial(seen, guests)), int(self.rng.binomial(seen, talking))
            self.does("live.minute", first + minute * MINUTE, viewers=seen, logged_in_viewers=seen - unknown,
                      commenters=heard)  # fmt: skip
        self.does("live.ended", first + round(hours * HOUR))

    def redeems(self, orders: Orders, habits: Habits) -> None:
        self.brings("incentive.redeemed", orders, habits.redeemed, 0.01, amount=0.1)

    def gets_samples(self, habits: Habits) -> None:
        """One a day at noon or none; shown ten days later, most of them."""
        days = np.flatnonzero(self.evenly(self.world.days, habits.samples))
        idle = self.evenly(len(days), habits.idle * self.world.lift("idle samples")[days * 24 + 5])
        for day, kept in zip(days.tolist(), idle.tolist(), strict=True):
            at, ref = START + day * DAY + 5 * HOUR, f"s_{self.creator}_{day}"
            self.does("sample.received", at, ref=ref)
            if not kept:
                self.does("sample.posted", at + int(self.rng.uniform(3, 13) * DAY), ref=ref)

    def is_watched_over(self, habits: Habits) -> None:
        """Flags, reports, and moderation's own sweep."""
        flags = self.often(habits.flags, self.world.lift("flags"))
        self.does("content.flagged", flags, kind="link")
        reports = self.often(habits.reports, self.world.lift("reports"))
        self.does("report.received", reports, self.somebody(len(reports), "r"))
        if self.world.sweep:
            self.does("violation.confirmed", self.at(9 * self.rng.random()), kind="misleading")

    def logs_in(self, per_day: float = 1.5) -> None:
        self.does("account.login", self.began + 12 * MINUTE, success=True, **self.own)
        at = self.often(per_day)
        self.does("account.login", at, success=True, **self.own)
        self.does("account.login", at[::9] - MINUTE, success=False, **self.own)  # typing errors
        weeks = [START + day * DAY + 6 * HOUR for day in range(3, self.world.days, 7)]
        self.does("account.withdrawal", [at for at in weeks if at > self.began], amount=self.place.price)

    def lives(self, habits: Habits = USUAL, lift: Floats | float = 1.0) -> Orders:
        """An ordinary life; gives its orders."""
        lift = lift * self.restless()
        paid = self.sells(habits, lift)
        self.fulfils(paid, habits)
        self.is_seen(paid, habits, lift)
        self.redeems(paid, habits)
        self.gets_samples(habits)
        self.is_watched_over(habits)
        self.logs_in()
        return paid

    def told(self) -> Iterator[Told]:
        """What happens within the story."""
        for number, (time, kind, fields, attrs) in enumerate(self.events):
            if not self.began <= time < START + self.world.days * DAY:
                continue
            later = self.place.later
            event = {
                "event_id": f"{self.creator}-{number}", "type": kind, "creator_id": self.creator,
                "occurred_at": time + later, "market": self.market,
            } | fields  # fmt: skip
            if not kind.startswith("account."):
                event["category"] = self.category
            if attrs:
                event["attrs"] = attrs | ({"ref_at": attrs["ref_at"] + later} if "ref_at" in attrs else {})
            yield time + later, self.creator, number, kind, msgspec.json.encode(event)


def _nth(values: Any, i: int) -> Any:
    """One of several, or the one for all."""
    if values is None or isinstance(values, str):
        return values
    if isinstance(values, np.ndarray):
        return values[i].item()
    return values[i] if isinstance(values, list) else values
