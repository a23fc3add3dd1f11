"""Golden stories: a small market, one protagonist, and the alerts that must come of it, to the byte.

    python -m tests.stories            tell every story and say what came of it (half a minute)
    python -m tests.stories --write    and write that down in tests/golden/

Each signal has the episode that it exists for, its known false positives, the campaign day (nobody innocent is
alerted, and the episode is found all the same), and a small creator of whom nothing can be said yet.
A golden file holds every alert of the story's signal, whoever it is about: the first line says which story it is, each
other line is one revision as it would stand on the topic. What a story must be is asserted as well (`Story.wrong`),
so that writing the files anew cannot make a wrong story right.

WHOEVER CHANGES A FILE IN tests/golden/ SAYS SO IN CHANGELOG.md: somebody's alerts will change.
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from config.catalogue import load
from config.schema import Catalogue
from detectors.base import Floats, Ints
from streams.columns import Record
from streams.engine import Engine
from streams.records import Alert, encode_alert

GOLDEN = Path(__file__).parent / "golden"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_767_571_200_000  # Monday 2026-01-05T00:00Z
DAYS = 15
HOURS = DAYS * 24
CREATORS = 40
SEED = 4  # a market in which nobody else stands out: how often one does is the null run's question, not this one's
CAMPAIGN = 10  # the day of the market's campaign
HERO = "hero"  # every story is about this creator
AHEAD = 4_000  # records in one batch

# ---- lives -------------------------------------------------------------------------------------------------

SHAPE = 0.25 + np.exp(-0.5 * ((np.arange(24) - 13.0) / 3.5) ** 2)  # of a day in UTC: the evening in TH
SHAPE /= SHAPE.mean()


class Market(NamedTuple):
    """What happens to everybody, by hour."""

    demand: Floats  # (HOURS,) times the usual orders
    attention: Floats  # times the usual engagement
    anger: Floats  # times the usual complaints
    sweep: int = 0  # violations that moderation confirms for everybody on the campaign day


def flat() -> Floats:
    return np.ones(HOURS)


def during(first_day: float, days: float, times: float) -> Floats:
    """(HOURS,): so many times the usual from a day on, for so many days; 1 elsewhere."""
    lift = flat()
    lift[round(first_day * 24) : round((first_day + days) * 24)] = times
    return lift


MARKETS = {
    "plain": Market(flat(), flat(), flat()),
    "campaign": Market(during(CAMPAIGN, 1, 4.0), during(CAMPAIGN, 1, 2.5), flat(), sweep=1),
    "strike": Market(flat(), flat(), during(CAMPAIGN, 3, 6.0)),  # a carrier's
}


def on(day: float, hours: float = 0.0) -> int:
    """A time of the story."""
    return START + round(day * DAY + hours * HOUR)


class Life:
    """One creator's events. Everybody draws from a name of their own, so that nobody changes another's life."""

    def __init__(self, creator: str, market: Market, category: str = "beauty", draws: str = "") -> None:
        self.creator, self.market, self.category = creator, market, category
        self.rng = np.random.default_rng([SEED, zlib.crc32((draws or creator).encode())])
        self.events: list[tuple[int, str, dict[str, str | int | bool]]] = []

    def does(self, what: str, at: Ints | list[int] | int, /, **attrs: str | int | bool) -> None:
        self.events += [(int(time), what, attrs) for time in np.atleast_1d(at)]

    def often(self, per_day: float, lift: Floats) -> Ints:
        """Times at which something happens so often a day, as the hour and the lift will have it."""
        rate = per_day / 24 * np.tile(SHAPE, DAYS) * lift
        hour = np.repeat(np.arange(HOURS), self.rng.poisson(rate))
        return np.sort(START + hour * HOUR + self.rng.integers(0, HOUR, len(hour)))

    def restless(self) -> Floats:
        """(HOURS,): good days and bad days, good hours and bad hours."""
        return np.repeat(self.rng.gamma(12.0, 1 / 12.0, DAYS), 24) * self.rng.gamma(6.0, 1 / 6.0, HOURS)

    def sells(self, per_day: float, lift: Floats | float = 1.0, *, steady: bool = False) -> Ints:
        orders = self.often(per_day, lift * self.market.demand * (1.0 if steady else self.restless()))
        self.does("order.paid", orders)
        return orders

    def brings(self, what: str, orders: Ints, share: float, days: float, /, **attrs: str | int | bool) -> None:
        """So many of the orders have this outcome, so many days later on average."""
        which = orders[self.rng.random(len(orders)) < share]
        self.does(what, which + (self.rng.gamma(2.0, days / 2.0, len(which)) * DAY).astype(np.int64), **attrs)

    def is_liked(self, per_day: float, lift: Floats | float = 1.0, low: float = 0.05) -> None:
        at = self.often(per_day, lift * self.market.attention * self.restless())
        doubtful = self.rng.random(len(at)) < low
        self.does("content.engaged", at[doubtful], kind="like", trust="low")
        self.does("content.engaged", at[~doubtful], kind="like", trust="normal")

    def logs_in(self, per_day: float = 1.5) -> None:
        own = {"device_id": f"d_{self.creator}", "country": "TH"}
        self.does("account.login", on(0, 0.2), success=True, **own)
        at = self.often(per_day, flat())
        self.does("account.login", at, success=True, **own)
        self.does("account.login", at[::9] - MINUTE, success=False, **own)  # typing errors
        self.does("account.withdrawal", [on(day, 6) for day in range(3, DAYS, 7)])

    def annoys(self, orders: Ints, share: float) -> None:
        """Complaints: an order in so many, more when the market is angry."""
        anger = self.market.anger[(orders - START) // HOUR]
        self.brings("complaint.received", orders[self.rng.random(len(orders)) < share * anger], 1.0, 3.0, kind="other")

    def lives(self, orders: float, liked: float, *, refunds: float = 0.06, complaints: float = 0.015,
              demand: Floats | float = 1.0) -> Ints:  # fmt: skip
        """An ordinary life; gives its orders."""
        paid = self.sells(orders, demand)
        self.brings("refund.approved", paid, refunds, 4.5)
        self.annoys(paid, complaints)
        self.is_liked(liked, np.sqrt(demand))
        self.logs_in()
        for _ in range(self.market.sweep):
            self.does("violation.confirmed", on(CAMPAIGN, 9 * self.rng.random()), kind="misleading")
        return paid

    def records(self) -> Iterator[tuple[int, str, int, bytes]]:
        """(time, creator, number, value) of what happens within the story."""
        for number, (time, kind, attrs) in enumerate(self.events):
            if START <= time < START + DAYS * DAY:
                fields = {
                    "event_id": f"{self.creator}-{number}", "type": kind, "creator_id": self.creator,
                    "occurred_at": time, "market": "TH",
                }  # fmt: skip
                if not kind.startswith("account."):
                    fields["category"] = self.category
                yield time, self.creator, number, msgspec.json.encode(fields | ({"attrs": attrs} if attrs else {}))


def ordinary(number: int, market: Market) -> Life:
    """One of the others: some large, most small, every fourth of them live on some evenings."""
    life = Life(f"c{number:02d}", market, ("beauty", "fashion")[number % 2])
    rng, lift = life.rng, flat()
    if number % 4 == 0:
        for day in np.flatnonzero(rng.random(DAYS) < 0.4):
            lift *= during(day + 13 / 24, 2 / 24, 3.0)
    size = float(np.clip(rng.lognormal(2.6, 0.8), 2.0, 70.0))
    refunds, complaints = float(rng.beta(6, 94)), float(rng.beta(4, 250))
    life.lives(size, 1.6 * size, refunds=refunds, complaints=complaints, demand=lift)
    if number % 3 == 0:
        life.does("violation.confirmed", on(DAYS * rng.random()), kind="low_quality")
    return life


@cache
def others(market: str) -> list[tuple[int, str, int, bytes]]:
    return sorted(record for number in range(CREATORS) for record in ordinary(number, MARKETS[market]).records())


# ---- protagonists ------------------------------------------------------------------------------------------
# Each gets a life in which nothing has happened yet, and fills it.

Plot = Callable[[Life], object]


def plain_life(life: Life) -> None:
    life.lives(40, 60)


def refunds_surge(life: Life) -> None:
    """Two of three orders of two days come back, most of them at once."""
    paid = life.lives(40, 60)
    bad = paid[(paid >= on(CAMPAIGN)) & (paid < on(CAMPAIGN + 2))]
    life.brings("refund.approved", bad, 0.65, 0.8, fault="seller")


def own_campaign(life: Life) -> None:
    """Eight times the orders on one day; their refunds come together, at the usual rate, days later."""
    life.lives(40, 60, demand=during(7, 1, 8.0))


def stops_selling(life: Life) -> None:
    life.lives(60, 60, demand=during(8, DAYS - 8, 0.03))


def spike(life: Life) -> None:
    """Fifteen times the orders in the six hours before the evening."""
    life.lives(20, 40, demand=during(CAMPAIGN + 0.25, 0.25, 15.0))


def goes_live(life: Life) -> None:
    """Five times the orders for two hours on every other evening."""
    lift = flat()
    for day in range(1, DAYS, 2):
        lift *= during(day + 13 / 24, 2 / 24, 5.0)
    life.lives(20, 40, demand=lift)


def bought_likes(life: Life) -> None:
    life.lives(30, 60)
    at = life.rng.integers(on(CAMPAIGN, 10), on(CAMPAIGN, 12), 150)
    life.does("content.engaged", at[:120], kind="follow", trust="low")
    life.does("content.engaged", at[120:], kind="follow", trust="normal")


def viral_video(life: Life) -> None:
    life.lives(30, 0)
    life.is_liked(60, during(CAMPAIGN, 1, 10.0), low=0.06)


def repeats_itself(life: Life) -> None:
    """The same violation six times, every eight hours."""
    life.lives(30, 60)
    life.does("violation.confirmed", [on(CAMPAIGN, 2 + 8 * n) for n in range(6)], kind="counterfeit", points=6)


def this_and_that(life: Life) -> None:
    life.lives(30, 60)
    for n, kind in enumerate(("misleading", "copyright", "low_quality", "redirect")):
        life.does("violation.confirmed", on(2 + 3.3 * n), kind=kind)


def complaints_surge(life: Life) -> None:
    """Two of five orders of three days bring a complaint, a day later."""
    paid = life.lives(40, 60)
    bad = paid[(paid >= on(CAMPAIGN)) & (paid < on(CAMPAIGN + 3))]
    life.brings("complaint.received", bad, 0.4, 1.0, kind="counterfeit")


def taken_over(life: Life) -> None:
    """Six failed logins, a strange device from abroad, a new payout account, all money gone: within an hour."""
    life.lives(30, 60)
    theirs: dict[str, str | int | bool] = {"device_id": "d_theirs", "country": "RU"}
    life.does("account.login", [on(CAMPAIGN, 3) + n * MINUTE for n in range(6)], success=False, **theirs)
    life.does("account.login", on(CAMPAIGN, 3.2), success=True, **theirs)
    life.does("account.payout_changed", on(CAMPAIGN, 3.4))
    life.does("account.withdrawal", on(CAMPAIGN, 3.9))


def travels(life: Life) -> None:
    """Logs in abroad with a new telephone, and withdraws money there."""
    life.lives(30, 60)
    at = [on(CAMPAIGN, 5 * n) for n in range(9)]
    life.does("account.login", at, success=True, device_id="d_travel", country="JP")
    life.does("account.withdrawal", on(CAMPAIGN, 7))


def forgets_password(life: Life) -> None:
    """Seven failed logins on the usual device, then the right password, changed at once; later a withdrawal."""
    life.lives(30, 60)
    own: dict[str, str | int | bool] = {"device_id": f"d_{life.creator}", "country": "TH"}
    life.does("account.login", [on(CAMPAIGN, 3) + n * MINUTE for n in range(7)], success=False, **own)
    life.does("account.login", on(CAMPAIGN, 3.3), success=True, **own)
    life.does("account.credential_changed", on(CAMPAIGN, 3.4))
    life.does("account.withdrawal", on(CAMPAIGN, 4))


def three_of_five(life: Life) -> None:
    """A small creator of whom three of five of everything is bad."""
    life.does("account.login", on(0, 1), success=True, device_id="d_own", country="TH")
    life.does("order.paid", [on(CAMPAIGN, 2 * n) for n in range(5)])
    life.does("refund.approved", [on(CAMPAIGN, 30 + n) for n in range(3)])
    life.does("complaint.received", [on(CAMPAIGN, 30 + n) for n in range(3)], kind="misleading")
    life.does("content.engaged", [on(CAMPAIGN, 10 + 0.1 * n) for n in range(3)], kind="like", trust="low")
    life.does("content.engaged", [on(CAMPAIGN, 10 + 0.1 * n) for n in range(2)], kind="like", trust="normal")
    life.does("violation.confirmed", [on(CAMPAIGN, n) for n in range(3)], kind="misleading")
    new: dict[str, str | int | bool] = {"device_id": "d_new", "country": "TH"}
    life.does("account.login", [on(CAMPAIGN, 5) + n * MINUTE for n in range(3)], success=False, **new)
    life.does("account.login", [on(CAMPAIGN, 5.2), on(CAMPAIGN, 5.3)], success=True, **new)
    life.does("account.withdrawal", on(CAMPAIGN, 5.4))


# ---- stories -----------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """What an episode's alert must be."""

    by: int  # ms, opened by then, and not before `since`
    severity: str  # of the newest revision
    says: tuple[str, ...]  # each of these in some revision's reason
    since: int = on(CAMPAIGN)


class Story(NamedTuple):
    name: str  # a sentence
    signal: str
    market: str
    plot: Plot
    found: Found | None = None  # None: nobody hears of it

    @property
    def path(self) -> Path:
        return GOLDEN / f"{self.signal}-{self.name.lower().translate(_FILE_NAME)}.jsonl"

    def lines(self, alerts: list[Alert]) -> bytes:
        """The golden file."""
        head = {"story": self.name, "signal": self.signal, "others": sum(a.entity.id != HERO for a in alerts)}
        return b"".join(line + b"\n" for line in [msgspec.json.encode(head), *map(encode_alert, alerts)])

    def wrong(self, alerts: list[Alert]) -> list[str]:
        """What is not as it must be."""
        faults = [f"{a.entity.id} is innocent: {a.reason}" for a in alerts if a.entity.id != HERO and a.revision == 1]
        hero = [alert for alert in alerts if alert.entity.id == HERO]
        if self.found is None:
            return faults + [f"should be silent: {a.severity}, score {a.score:.1f}: {a.reason}" for a in hero]
        if not hero:
            return [*faults, "no alert"]
        if len({alert.alert_id for alert in hero}) > 1:
            faults.append(f"expected one alert; there are {len({alert.alert_id for alert in hero})}")
        first, last = hero[0], hero[-1]
        if not self.found.since <= first.opened_at <= self.found.by:
            faults.append(f"opened {(first.opened_at - self.found.since) / HOUR:.2f} h after the beginning")
        if last.severity != self.found.severity:
            scores = ", ".join(f"{alert.score:.1f}" for alert in hero)
            faults.append(f"ends as {last.severity}, expected {self.found.severity}; scores {scores}")
        said = "\n".join(alert.reason for alert in hero)
        return faults + [f"no reason says {what!r}:\n{said}" for what in self.found.says if what not in said]


_FILE_NAME = str.maketrans({" ": "-", ",": None, ";": None, "'": None})


def _stories() -> Iterator[Story]:
    episodes: dict[str, tuple[str, Plot, Found]] = {
        "refund_rate": (
            "Two days of bad orders come back", refunds_surge,
            Found(on(CAMPAIGN + 2), "critical", ("efunds ", "this creator's usual rate is ", "beauty creators in TH")),
        ),
        "order_spike": (
            "Orders jump fifteenfold for an afternoon", spike,
            Found(on(CAMPAIGN, 12), "critical", (" orders outside live sessions in the last 6 hours, where about ",)),
        ),
        "fake_engagement": (
            "Follows are bought from low-trust accounts", bought_likes,
            Found(on(CAMPAIGN, 12), "critical", (" low-trust accounts", "; this creator's usual share is ")),
        ),
        "violation_burst": (
            "The same violation comes back six times", repeats_itself,
            Found(on(CAMPAIGN, 28), "critical", ("6 violations of the same kind (counterfeit) in the last 90 days",)),
        ),
        "complaint_rate": (
            "A counterfeit batch brings complaints", complaints_surge,
            Found(on(CAMPAIGN + 2), "critical", ("omplaints ", "creator's usual rate is ", "beauty creators in TH")),
        ),
        "account_takeover": (
            "An account is broken into, changed and emptied", taken_over,
            Found(on(CAMPAIGN, 3.75), "critical", (
                "Repeated failed logins, then a login from a new device or country, then a change of credentials or "
                "payout account, then a withdrawal in the last 24 hours: 4 of the 4 steps",
            )),
        ),
    }  # fmt: skip
    for signal, (name, plot, found) in episodes.items():
        yield Story(name, signal, "plain", plot, found)
        yield Story(f"{name} on the campaign day", signal, "campaign", plot, found)
        yield Story("The campaign day lifts everybody and nobody is alerted", signal, "campaign", plain_life)
        yield Story("A small creator has three of five", signal, "plain", three_of_five)
    for name, signal, market, plot in (
        ("An own campaign's orders come back together, days later", "refund_rate", "plain", own_campaign),
        ("Orders end while refunds of earlier ones still arrive", "refund_rate", "plain", stops_selling),
        ("Live evenings bring bursts of orders", "order_spike", "plain", goes_live),
        ("A viral video brings ten times the usual mix", "fake_engagement", "plain", viral_video),
        ("Violations of different kinds come over weeks", "violation_burst", "plain", this_and_that),
        ("A carrier's strike makes everybody's buyers complain", "complaint_rate", "strike", plain_life),
        ("A traveller logs in from abroad with a new phone", "account_takeover", "plain", travels),
        ("A forgotten password is tried, found and changed", "account_takeover", "plain", forgets_password),
    ):
        yield Story(name, signal, market, plot)


STORIES = tuple(sorted(_stories(), key=lambda story: (story.signal, story.name)))


# ---- telling -----------------------------------------------------------------------------------------------


@cache
def only(*signals: str) -> Catalogue:
    """The shipped catalogue with these signals. Its version says nothing: a golden file is of its own signal alone."""
    shipped = load()
    return msgspec.structs.replace(
        shipped, version="story", signals={name: shipped.signals[name] for name in signals}
    )


@cache
def stream(market: str, *plots: tuple[str, Plot]) -> list[Record]:
    """A market and its protagonists: (who, what becomes of them)."""
    events = list(others(market))
    for hero, plot in plots:
        life = Life(hero, MARKETS[market], draws=HERO)
        plot(life)
        events += life.records()
    return [Record(offset, who.encode(), value, at) for offset, (at, who, _, value) in enumerate(sorted(events))]


def told(story: Story) -> list[Alert]:
    """Every alert of the story's signal, of everybody."""
    return alerts_of(stream(story.market, (HERO, story.plot)), story.signal)


def alerts_of(records: list[Record], *signals: str) -> list[Alert]:
    engine = Engine(only(*signals), "creator-events", 0)
    alerts: list[Alert] = []
    for first in range(0, len(records), AHEAD):
        out = engine.feed(records[first : first + AHEAD])
        assert not out.dead, out.dead[0].error
        alerts += out.alerts
    return alerts + engine.close().alerts


def main(args: list[str]) -> int:
    write, bad = "--write" in args, 0
    if write:
        GOLDEN.mkdir(exist_ok=True)
        for old in set(GOLDEN.glob("*.jsonl")) - {story.path for story in STORIES}:
            old.unlink()
    for story in STORIES:
        alerts = told(story)
        faults = story.wrong(alerts)
        bad += bool(faults)
        print(f"{'WRONG' if faults else 'right'}  {story.signal}: {story.name}")
        for alert in alerts:
            hours = (alert.window_end - on(CAMPAIGN)) / HOUR
            said = f"{alert.status} {alert.severity}, score {alert.score:.1f}: {alert.reason}"
            print(f"       {alert.entity.id} {hours:+.2f} h {said}")
        for fault in faults:
            print(f"       {fault}")
        if write:
            story.path.write_bytes(story.lines(alerts))
    print(f"{len(STORIES)} stories, {bad} wrong" + (f"; written to tests/{GOLDEN.name}/" if write else ""))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
