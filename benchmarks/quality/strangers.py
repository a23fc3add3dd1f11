"""How well do the shipped signals do in a market on which nothing was tuned? A second simulator, of other habits.

    python benchmarks/quality/strangers.py --seeds 1 2 --variant base [--volume 0.3] [--out FOLDER]

Orders a day are Pareto among creators; days follow an AR(1) in logs, with idle days, holidays, own weekends and
drift; live sessions sell in drops; 11.11 lifts creators unevenly; refunds are fast cancellations and a log-normal tail
(uniform over a week in one market); propensities and low-trust shares differ by creator. Harmless oddities: viral days,
a carrier's strike, bulk buyers, forgotten passwords, new phones, travel, sweeps that find two or three violations.

Each seed runs planted and null, on one background. An episode is planted from day 7 on, at most one a creator, and
counts when so many extra events fall into the stream: 12 refunds, 15 orders, 8 complaints, 40 engagements, 4
violations, 5 steps. Its label lasts from its first extra event to its last. `creators.py` makes the tables.
"""

import argparse
import csv
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from creators import Run, alerts_of, band, false_table, judged, kinds_table

from streams.columns import Record
from streams.recording import murmur2
from streams.scorecard import Label

START_MS, HOUR_MS = 1_761_955_200_000, 3_600_000  # Saturday 1 November 2025
CAMPAIGN, HISTORY = 10, 14  # the day of 11.11; days of orders before the stream
MARKETS = {"ID": (0.4, 7, 1), "TH": (0.25, 7, 1), "PH": (0.2, 8, 1), "US": (0.15, -6, 0.2)}  # part, UTC+, campaign
CATEGORIES = {"fashion": 1.5, "beauty": 0.9, "electronics": 1.1, "food": 0.5}  # refunds against the mean
DAY_CURVE = np.array([3, 2, 1, 1, 1, 2, 3, 5, 6, 7, 8, 9, 10, 9, 8, 8, 8, 8, 9, 11, 13, 13, 10, 6]) / 161 * 24
VIOLATIONS = ("misleading", "low_quality", "redirect", "copyright", "prohibited_product", "late_sample")
COUNTS = {"refund_surge": 12, "complaint_surge": 8, "order_spike": 15, "fake_engagement": 40, "violation_burst": 4,
          "account_takeover": 5}  # fmt: skip
Random = np.random.Generator


class Variant(NamedTuple):
    volume: float = 1.0
    day_sd: float = 0.35  # stationary, of the AR(1) in logs
    hour_shape: float = 8.0  # of the gamma noise of each hour
    live: float = 0.5  # part of creators that go live
    live_share: tuple[float, float] = (0.3, 0.8)  # of their orders
    live_sd: float = 0.5  # one session against another, in logs
    fast: float = 0.3  # part of refunds that are cancellations within hours
    slow: float = 1.0  # the others' delay against a median of 5 days
    history: int = HISTORY
    ref_at: bool = True


VARIANTS = {
    "base": Variant(),
    "bursty": Variant(live=0.8, live_share=(0.6, 0.95), live_sd=0.9),
    "lowvolume": Variant(volume=0.3),
    "heavy": Variant(day_sd=0.7, hour_shape=2.0),
    "slow-refunds": Variant(fast=0.1, slow=1.8),
    "nolive": Variant(live=0.0),
    "cold": Variant(history=0),  # nobody sold before the stream began
    "noref": Variant(ref_at=False),
}


class Spec(NamedTuple):
    seed: int
    variant: str
    null: bool
    creators: int
    days: int
    volume: float
    shards: int
    out: Path | None = None


class Order(NamedTuple):
    at: float  # hours from the stream's start
    id: str
    buyer: str
    amount: float


class Unit:
    """A creator in one market, and its habits."""

    def __init__(self, rng: Random, number: int, market: str, v: Variant, volume: float, days: int) -> None:
        self.id, self.market, self.offset = f"cr_{number:05d}", market, MARKETS[market][1]
        self.categories = rng.permutation(list(CATEGORIES)).tolist()[: 2 if rng.random() < 0.1 else 1]
        rate = min(3.0 * (1 + rng.pareto(1.3)), 300.0)
        self.engagement = min(8 * (rate / 3) ** 0.5 * rng.lognormal(0, 0.9), 400.0) * volume
        self.rate = rate * volume  # orders a day
        self.refund = rng.beta(2, 31) * CATEGORIES[self.categories[0]]
        if rng.random() < 0.03:
            self.refund = rng.uniform(0.15, 0.22)
        self.complaint = 0.008 * rng.gamma(1.5, 1 / 1.5)
        self.low_trust = rng.uniform(0.2, 0.35) if rng.random() < 0.05 else rng.beta(1.2, 18)
        self.join = rng.uniform(1, 18) * 24 if rng.random() < 0.08 else -1e9
        self.phase, self.days, self.history = rng.normal(0, 1.5), days, v.history
        self.orders: list[Order] = []
        self.refunded: set[str] = set()
        n = v.history + days + 2
        shock, logs = rng.normal(0, v.day_sd, n), np.zeros(n)
        for i in range(n):
            logs[i] = 0.6 * logs[i - 1] + 0.8 * shock[i] if i else shock[i]
        self.weekday = (np.arange(n) - v.history + 5) % 7  # the stream begins on a Saturday
        self.factor = np.exp(logs - v.day_sd**2 / 2 + rng.normal(0, 0.015) * np.arange(n))
        self.factor *= np.where(self.weekday >= 5, rng.lognormal(0, 0.3), 1.0)
        idle = rng.random(n) < rng.beta(1, 9)
        if rng.random() < 0.1:
            at = rng.integers(0, n)
            idle[at : at + rng.integers(3, 8)] = True
        self.factor[idle] *= rng.choice([0.0, 0.1], idle.sum())
        lift = max(rng.lognormal(np.log(2.2), 0.5), 1.0) if rng.random() < 0.7 else rng.uniform(1, 1.3)
        self.factor[v.history + CAMPAIGN] *= 1 + (lift - 1) * MARKETS[market][2]
        self.live_share = rng.uniform(*v.live_share) if rng.random() < v.live else 0.0
        self.live_days = rng.permutation(7)[: rng.integers(1, 7)]
        self.live_hour = rng.choice([12, 19, 20, 21]) + rng.normal()

    def day(self, hour: Any) -> Any:
        """The local day's place in `factor`."""
        day = np.floor((np.asarray(hour) + self.offset) / 24).astype(int) + self.history
        return np.clip(day, 0, len(self.factor) - 1)

    def level(self, at: float) -> float:
        """Orders a day in the week before."""
        return sum(at - 168 <= o.at < at for o in self.orders) / 7


class World:
    """Everybody's events."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.v = spec, VARIANTS[spec.variant]
        self.rng, self.hours = np.random.default_rng([spec.seed, 0]), spec.days * 24
        self.rows: list[tuple[float, bytes, bytes]] = []  # hour of arrival, key, value
        names, volume = list(MARKETS), spec.volume * self.v.volume
        home = self.rng.choice(len(names), spec.creators, p=[part for part, _, _ in MARKETS.values()])
        self.mood = {m: np.exp(self.rng.normal(0, 0.1, HISTORY + spec.days + 2)) for m in names}
        self.strike = (names[self.rng.integers(len(names))], self.rng.uniform(72, self.hours - 72))
        self.units = [Unit(self.rng, i, names[m], self.v, volume, spec.days) for i, m in enumerate(home)]
        abroad = [i for i in range(spec.creators) if self.rng.random() < 0.04]
        second = [Unit(self.rng, i, names[home[i] - 1], self.v, 0.3 * volume, spec.days) for i in abroad]
        for unit in [*self.units, *second]:
            self.trade(unit)
            self.engage(unit)
        for unit in self.units:
            self.account(unit)
            self.comply(unit)

    def put(self, u: Unit, kind: str, hour: float, attrs: dict[str, Any] | None = None, **more: Any) -> bool:
        if not max(0.0, u.join) <= hour < self.hours:
            return False
        event = {"event_id": f"e{len(self.rows)}", "type": kind, "creator_id": u.id, "market": u.market,
                 "occurred_at": START_MS + int(hour * HOUR_MS), "attrs": attrs or {}, **more}  # fmt: skip
        late, wait = self.rng.random(), 0.0
        if late < 0.02 or late > 0.9995:
            wait = self.rng.exponential(1 / 60) if late < 0.02 else self.rng.uniform(1, 6)
        twice = 2 if self.rng.random() < 0.001 else 1
        self.rows += [(hour + wait, u.id.encode(), msgspec.json.encode(event))] * twice
        return True

    # ---- everyday life ---------------------------------------------------------------------------------------

    def spread(self, u: Unit, level: float, first: int) -> Any:
        """Times of a Poisson process of `level` a day, by the hour of the day, the creator's days and noise."""
        hour = np.arange(first, self.hours)
        curve = np.interp((hour + u.offset + u.phase) % 24, np.arange(25), np.append(DAY_CURVE, DAY_CURVE[0]))
        noise = self.rng.gamma(self.v.hour_shape, 1 / self.v.hour_shape, len(hour))
        n = self.rng.poisson(level / 24 * curve * u.factor[u.day(hour)] * self.mood[u.market][u.day(hour)] * noise)
        return np.repeat(hour, n) + self.rng.random(n.sum())

    def trade(self, u: Unit) -> None:
        times = [self.spread(u, u.rate * (1 - u.live_share), -24 * u.history)]
        if u.live_share:
            times += [self.session(u, d) for d in np.flatnonzero(np.isin(u.weekday, u.live_days)) if u.factor[d]]
        for _ in range(self.rng.poisson(0.002 * u.days)):  # somebody buys for a whole office
            times.append(self.rng.uniform(0, self.hours) + self.rng.exponential(0.05, self.rng.integers(5, 13)))
        for at in np.sort(np.concatenate(times)):
            if at >= u.join and self.rng.random() < (at - u.join) / 96:  # sales grow over the first four days
                self.outcomes(u, self.order(u, at))

    def session(self, u: Unit, day: Any) -> Any:
        """Orders of one live session, of which half follow one of its drops within minutes; one in seven falls out."""
        rng, sd = self.rng, self.v.live_sd
        if rng.random() > 0.85:
            return np.zeros(0)
        at = (day - u.history) * 24 - u.offset + u.live_hour + rng.normal(0, 0.5)
        long, live = float(np.clip(rng.lognormal(0.7, 0.4), 0.5, 6)), f"l{u.id[3:]}_{day}"
        mean = u.rate * u.live_share * 7 / (0.85 * len(u.live_days)) * rng.lognormal(-sd * sd / 2, sd) * u.factor[day]
        self.put(u, "live.started", at, ref_id=live)
        for minute in range(0, int(long * 60), 15):
            seen = int(rng.poisson(10 + 10 * mean))
            told = {"viewers": seen, "logged_in_viewers": int(seen * 0.7), "commenters": seen // 9}
            self.put(u, "live.minute", at + minute / 60, told, ref_id=live)
        self.put(u, "live.ended", at + long, ref_id=live)
        n, drops = rng.poisson(mean), at + rng.random(1 + rng.poisson(long)) * long
        return np.where(rng.random(n) < 0.5, rng.choice(drops, n) + rng.exponential(0.07, n), at + rng.random(n) * long)

    def order(self, u: Unit, at: float) -> Order:
        rng = self.rng
        order = Order(at, f"o{u.id[3:]}{u.market}{len(u.orders)}", f"b{rng.integers(10**6)}", rng.lognormal(3, 0.7))
        u.orders.append(order)
        self.put(u, "order.paid", at, {"subsidised": bool(rng.random() < 0.2)}, ref_id=order.id, actor_id=order.buyer,
                 amount=round(order.amount, 2), category=u.categories[-1 if rng.random() < 0.3 else 0])  # fmt: skip
        return order

    def outcomes(self, u: Unit, order: Order) -> None:
        rng, at = self.rng, order.at
        if rng.random() < u.refund:
            self.refund(u, order, at + self.delay(u))
        waited = at + rng.lognormal(np.log(90), 0.5)
        strike = u.market == self.strike[0] and 0 <= waited - self.strike[1] < 48
        if rng.random() < u.complaint * (3 if strike else 1):
            self.outcome(u, "complaint.received", order, waited)
        if rng.random() < 0.03:
            self.outcome(u, "order.cancelled", order, at + rng.exponential(5))
        if rng.random() < 0.08:
            stars = int(rng.choice(5, p=[0.04, 0.03, 0.08, 0.2, 0.65])) + 1
            self.outcome(u, "review.posted", order, at + rng.lognormal(np.log(150), 0.4), stars=stars)

    def outcome(self, u: Unit, kind: str, order: Order, at: float, **attrs: Any) -> bool:
        if self.v.ref_at:
            attrs["ref_at"] = START_MS + int(order.at * HOUR_MS)
        return self.put(u, kind, at, attrs, ref_id=order.id, actor_id=order.buyer, amount=round(order.amount, 2))

    def delay(self, u: Unit) -> float:
        """Hours from an order to its refund."""
        if self.rng.random() < self.v.fast:
            return self.rng.exponential(6)
        return self.v.slow * (self.rng.uniform(4, 168) if u.market == "US" else self.rng.lognormal(np.log(120), 0.6))

    def refund(self, u: Unit, order: Order, at: float) -> bool:
        u.refunded.add(order.id)
        return self.outcome(u, "refund.approved", order, at, fault=("seller", "buyer")[self.rng.integers(2)])

    def engage(self, u: Unit) -> None:
        rng, times, daily = self.rng, [self.spread(u, 0.4 * u.engagement, 0)], self.rng.uniform(0.1, 1.5)
        for at in rng.uniform(-24, self.hours, rng.poisson(daily * (u.days + 1))):
            self.put(u, "video.published", at, ref_id=f"v{int(at * 60)}")
            times.append(at + rng.exponential(10, rng.poisson(0.6 * u.engagement / daily * rng.lognormal(-0.5, 1.0))))
        for _ in range(rng.poisson(0.004 * u.days)):  # viral: many more of the usual mix
            at, many = rng.uniform(0, self.hours), u.engagement * rng.uniform(8, 25)
            times.append(at + rng.gamma(2, 6, rng.poisson(many)))
        odds = np.log(u.low_trust / (1 - u.low_trust)) + rng.normal(0, 0.35, len(u.factor))
        for at in np.concatenate(times):
            self.engaged(u, at, rng.random() < 1 / (1 + np.exp(-odds[u.day(at)])))
        for _ in range(rng.poisson(u.days / 30)):  # a handful of bots passes by
            for at in rng.uniform(0, self.hours) + rng.exponential(0.1, rng.integers(3, 9)):
                self.engaged(u, at, True)

    def engaged(self, u: Unit, at: float, low: bool) -> bool:
        kind = ("like", "like", "like", "like", "like", "like", "follow", "comment", "share")[self.rng.integers(9)]
        return self.put(u, "content.engaged", at, {"kind": kind, "trust": "low" if low else "normal"})

    def login(self, u: Unit, at: float, success: bool, device: str, country: str) -> bool:
        attrs = {"success": success, "device_id": device, "country": country}
        return self.put(u, "account.login", at, attrs, actor_id=device)

    def change(self, u: Unit, kind: str, at: float) -> bool:
        more: dict[str, Any] = {"amount": round(self.rng.lognormal(5, 1), 2)} if kind == "withdrawal" else {}
        return self.put(u, f"account.{kind}", at, **more)

    def account(self, u: Unit) -> None:
        rng, devices = self.rng, [f"d{u.id[3:]}_{i}" for i in range(self.rng.integers(1, 4))]
        self.put(u, "account.registered", u.join)
        for at in np.sort(rng.uniform(0, self.hours, rng.poisson(u.days))):
            odd, device = rng.random(), devices[rng.integers(len(devices))]
            failed = rng.integers(1, 3) if odd < 0.03 else 0  # a typing error
            if 0.03 <= odd < 0.034:  # a forgotten password, one in ten on a new phone
                failed, device = rng.integers(3, 8), device if rng.random() < 0.9 else f"f{int(at)}"
                self.change(u, "credential_changed", at + 0.05)
            elif 0.03 <= odd < 0.04:  # a new phone
                devices.append(f"p{u.id[3:]}_{int(at)}")
                device = devices[-1]
            for before in rng.uniform(0, 0.5, failed):
                self.login(u, at - before, False, device, u.market)
            self.login(u, at, True, device, "JP" if odd > 0.995 else u.market)  # or travel
        for kind, a_day in (("payout_changed", 0.003), ("credential_changed", 0.005), ("withdrawal", 0.15)):
            for at in rng.uniform(0, self.hours, rng.poisson(a_day * u.days)):
                self.change(u, kind, at)

    def comply(self, u: Unit) -> None:
        rng = self.rng
        for at in rng.uniform(0, self.hours, rng.poisson(rng.choice([0.0, 0.01, 0.08], p=[0.6, 0.36, 0.04]) * u.days)):
            self.violation(u, at, VIOLATIONS[rng.integers(6)])
        if rng.random() < 0.01:  # a sweep of old videos
            kind = VIOLATIONS[rng.integers(6)]
            for at in rng.uniform(0, self.hours) + rng.uniform(0, 8, rng.integers(2, 4)):
                self.violation(u, at, kind)

    def violation(self, u: Unit, at: float, kind: str) -> bool:
        attrs = {"kind": kind, "points": int(self.rng.integers(1, 13))}
        return self.put(u, "violation.confirmed", at, attrs, ref_id=f"x{len(self.rows)}")

    # ---- episodes --------------------------------------------------------------------------------------------

    def plant(self, each: int) -> list[Label]:
        self.rng, labels = np.random.default_rng([self.spec.seed, 1]), []
        free = self.rng.permutation([i for i, u in enumerate(self.units) if u.join < 48]).tolist()
        for kind in COUNTS:  # the hardest to place first
            for i in list(free):
                u, at, n = self.units[i], self.rng.uniform(7, self.spec.days - 3) * 24, len(self.rows)
                kept, sold = set(u.refunded), len(u.orders)
                times = [t for t in getattr(self, kind)(u, at) if t < self.hours]
                if len(times) < COUNTS[kind]:
                    del self.rows[n:], u.orders[sold:]
                    u.refunded = kept
                    continue
                free.remove(i)
                bounds = (START_MS + int(t * HOUR_MS) for t in (min(times), max(times)))
                labels.append(Label(u.id, u.market, kind, *bounds))
                if sum(label.kind == kind for label in labels) == each:
                    break
        return labels

    def refund_surge(self, u: Unit, at: float) -> list[float]:
        """Propensity x 3-6 for 3-7 days: of orders placed then, or of what is decided then on the last ten days'."""
        rng, long, extra = self.rng, self.rng.uniform(72, 168), u.refund * self.rng.uniform(2, 5)
        batch = rng.random() < 0.5
        past = [o for o in u.orders if at - 240 * (not batch) <= o.at < at + long * batch and o.id not in u.refunded]
        if batch:
            bad = rng.random(len(past)) < min(extra / (1 - u.refund), 0.8)
            due = [(o, o.at + self.delay(u)) for o, is_bad in zip(past, bad, strict=True) if is_bad]
        else:
            n = min(rng.poisson(u.level(at) * extra * long / 24), len(past))
            due = [(past[i], rng.uniform(at, at + long)) for i in rng.permutation(len(past))[:n]]
        return [when for o, when in due if self.refund(u, o, when)]

    def complaint_surge(self, u: Unit, at: float) -> list[float]:
        """In 1-4 days come complaints for 8-20 % of that many days' orders, about the orders of the last week."""
        long, past = self.rng.uniform(24, 96), [o for o in u.orders if at - 168 <= o.at < at]
        when = self.rng.uniform(at, at + long, self.rng.poisson(u.level(at) * long / 24 * self.rng.uniform(0.08, 0.2)))
        about = [past[self.rng.integers(len(past))] for _ in when]
        return [t for t, o in zip(when, about, strict=True) if self.outcome(u, "complaint.received", o, t)]

    def order_spike(self, u: Unit, at: float) -> list[float]:
        """x 4-8 for 6-24 hours, whatever the hour, of the week before; not within a day of the campaign."""
        long, times = self.rng.uniform(6, 24), self.rng.uniform(4, 8)
        when = at + self.rng.uniform(0, long, self.rng.poisson(u.level(at) * (times - 1) * long / 24))
        return [] if abs(at / 24 - CAMPAIGN - 0.5) < 2 else [self.order(u, t).at for t in when]

    def fake_engagement(self, u: Unit, at: float) -> list[float]:
        """Half a day's to three days' engagements within 0.5-12 hours, 60-90 % of them from low-trust accounts."""
        n, low = int(max(u.engagement * self.rng.uniform(0.5, 3), 50)), self.rng.uniform(0.6, 0.9)
        when = at + self.rng.uniform(0, self.rng.uniform(0.5, 12), n)
        return [t for t in when if self.engaged(u, t, bool(self.rng.random() < low))]

    def violation_burst(self, u: Unit, at: float) -> list[float]:
        """4-9 violations in 6-48 hours; in seven of ten bursts nearly all of one kind."""
        rng, usual, same = self.rng, VIOLATIONS[self.rng.integers(6)], 0.9 * (self.rng.random() < 0.7)
        when = at + rng.uniform(0, rng.uniform(6, 48), rng.integers(4, 10))
        return [t for t in when if self.violation(u, t, usual if rng.random() < same else VIOLATIONS[rng.integers(6)])]

    def account_takeover(self, u: Unit, at: float) -> list[float]:
        """Failed logins, a stranger's login, changes, and in four of five the money goes; a third goes slowly."""
        rng, slow, device = self.rng, self.rng.random() < 1 / 3, f"bad{u.id[3:]}"
        country = ("RU", "NG", "BR", u.market)[rng.integers(4)]
        when = sorted(at + rng.uniform(0, rng.uniform(3, 6) if slow else rng.uniform(0.1, 1), rng.integers(5, 16)))
        for t in when:
            self.login(u, t, False, device, country)
        changes = rng.permutation(["credential_changed", "payout_changed"])[: rng.integers(1, 3)].tolist()
        for kind in ["login", *changes, *(["withdrawal"] if rng.random() < 0.8 else [])]:
            when.append(when[-1] + (rng.uniform(3, 14) if slow else rng.lognormal(-0.5, 1.0)))
            if kind == "login":
                self.login(u, when[-1], True, device, country)
            else:
                self.change(u, kind, when[-1])
        return when


# ---- the engine ----------------------------------------------------------------------------------------------


def run(spec: Spec) -> Run:
    world = World(spec)
    labels = [] if spec.null else world.plant(max(spec.creators // 40, 1))
    rows = sorted(world.rows, key=lambda row: row[0])
    shards: list[list[Record]] = [[] for _ in range(spec.shards)]
    for _, key, value in rows:
        mine = shards[(murmur2(key) & 0x7FFFFFFF) % spec.shards]
        mine.append(Record(len(mine), key, value))
    alerts = [alert for shard, records in enumerate(shards) for alert in alerts_of(shard, records)]
    if spec.out:  # events and labels as `ripcurrent replay` reads them
        folder = spec.out / f"{spec.variant}-{spec.seed}-{'null' if spec.null else 'planted'}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "events.jsonl").write_bytes(b"".join(value + b"\n" for _, _, value in rows))
        (folder / "alerts.jsonl").write_bytes(b"".join(msgspec.json.encode(alert) + b"\n" for alert in alerts))
        with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([Label.__struct_fields__, *map(msgspec.structs.astuple, labels)])
    card, right = judged(alerts, labels)
    sold = {u.id: sum(o.at >= 0 for o in u.orders) / spec.days for u in world.units}
    bands = tuple(band(sold[label.creator_id]) for label in labels)
    return Run(spec.seed, spec.null, card.episodes, bands, card.false_by_signal, spec.creators * spec.days, right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--variant", nargs="+", choices=list(VARIANTS), default=["base"])
    for name, default in (("creators", 400), ("days", 21), ("volume", 1.0), ("shards", 4), ("workers", None)):
        parser.add_argument(f"--{name}", type=type(default or 1), default=default)
    parser.add_argument("--out", type=Path, help="a folder for events, labels and alerts")
    a = parser.parse_args()
    specs = [
        Spec(seed, name, null, a.creators, a.days, a.volume, a.shards, a.out)
        for name in a.variant for seed in a.seeds for null in (False, True)
    ]  # fmt: skip
    with ProcessPoolExecutor(a.workers) as pool:
        runs = list(zip(specs, pool.map(run, specs), strict=True))
    for name in a.variant:
        print(f"\n== {name}")
        mine = [r for spec, r in runs if spec.variant == name]
        kinds_table(mine)
        false_table(mine)


if __name__ == "__main__":
    main()
