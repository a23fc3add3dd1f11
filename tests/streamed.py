"""Streams and catalogues for the tests of the shard engine: small, hostile, the same on every run."""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from config.catalogue import load
from config.packed import deciding
from config.schema import Catalogue
from streams.columns import DeadLetter, Record
from streams.engine import Engine
from streams.records import Alert, encode_alert
from streams.simulate import Simulation, simulate

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_767_571_200_000  # Monday 2026-01-05T00:00Z
TOPIC = "creator-events"


@cache
def shipped() -> Catalogue:
    """As it comes out of a checkpoint: without what was measured of its signals."""
    catalogue = load()
    return msgspec.structs.replace(catalogue, signals=deciding(catalogue.signals))


def eager(**limits: Any) -> Catalogue:
    """The shipped catalogue with low marks and a short memory, so that two days of events move everything."""
    base = shipped()
    change = msgspec.structs.replace
    signals = {}
    for name, signal in base.signals.items():
        tests = []
        for test in signal.tests:
            rate = "detector" in test.__struct_fields__
            low = {"minimum": 2, "effect": 1} if rate else {"minimum": min(test.minimum, 2)}
            marks = change(test.severity, info=1.0, warning=2.0, critical=4.0)
            tests.append(change(test, severity=marks, **low))
        measures = {key: change(m, after="5h") if m.after else m for key, m in signal.measures.items()}
        signals[name] = change(
            signal, tests=tests, warmup="3h", resolve_after="3h", cooldown="4h", measures=measures
        )
    settings = {key: limits.pop(key) for key in ("quorum", "ahead", "lateness") if key in limits}
    engine = change(
        base.engine,
        inactive_after=limits.pop("inactive_after", "12h"),
        freeze="5h",
        limits=change(base.engine.limits, **limits),
        **settings,
    )
    return change(base, engine=engine, signals=signals)


def event(
    number: int | str, kind: str, creator: str, at: int, market: str = "TH", **more: Any
) -> tuple[bytes, bytes]:
    """Key and value of one record."""
    fields = {"event_id": f"e{number}", "type": kind, "creator_id": creator, "occurred_at": at, "market": market}
    return creator.encode(), json.dumps(fields | more).encode()


def numbered(pairs: Iterable[tuple[bytes | None, bytes | None]], first: int = 0) -> list[Record]:
    return [Record(first + i, key, value, 0) for i, (key, value) in enumerate(pairs)]


def simulated(seed: int, **spec: Any) -> list[Record]:
    events, _ = simulate(Simulation(seed=seed, **spec))
    return numbered((key, value) for key, value, _ in events.iter_records())


KINDS: tuple[tuple[str, float], ...] = (
    ("order.paid", 50), ("refund.approved", 12), ("complaint.received", 8), ("content.engaged", 50),
    ("violation.confirmed", 6), ("account.login", 15), ("account.payout_changed", 2), ("account.withdrawal", 2),
    ("video.published", 2), ("some.newtype", 2), ("account.registered", 1), ("order.cancelled", 4),
    ("order.shipped", 4), ("chargeback.received", 3), ("review.posted", 5), ("product.clicked", 8),
    ("content.flagged", 2), ("report.received", 3), ("live.minute", 4), ("live.started", 1), ("live.ended", 1),
    ("violation.overturned", 2), ("incentive.redeemed", 3), ("commission.earned", 5), ("commission.reversed", 3),
    ("sample.received", 3), ("sample.posted", 1),
)  # fmt: skip
MARKETS = ("TH", "ID", "VN", "SG", "MY", "PH")
CATEGORIES = ("beauty", "fashion", "electronics", "food", "toys")


def hostile(seed: int, n: int = 2_200, hours: int = 26, creators: int = 32) -> list[Record]:
    """Two days of everything that may go wrong: wrong clocks, repetitions, newcomers, returners, bad records."""
    rng = np.random.default_rng(seed)
    names = [kind for kind, _ in KINDS]
    weight = np.array([w for _, w in KINDS]) / sum(w for _, w in KINDS)
    pairs: list[tuple[bytes | None, bytes | None]] = []
    for i in range(n):
        now = START + hours * HOUR * i // n
        fate = rng.random()
        if fate < 0.01:
            pairs.append((b"c1", [None, b"{", b'{"event_id":"x"}', b"\xff\xfe", b"[]"][int(rng.integers(5))]))
            continue
        if fate > 0.96 and pairs:  # delivered again
            pairs.append(pairs[-int(rng.integers(1, min(len(pairs), 400) + 1))])
            continue
        at = now - int(rng.exponential(20_000))
        if fate < 0.03:
            at = now - int(rng.integers(1, 30 * HOUR))
        elif fate < 0.05:
            at = now + int(rng.integers(1, 23 * HOUR))
        elif fate < 0.055:
            at = int(rng.choice([i, 4_070_908_800_000 + i * DAY, now + 30 * HOUR, now + i * 3 * DAY]))
        # who is there changes with the hours: newcomers, some leave, some come back
        awake = [c for c in range(creators) if (c + i * 8 // n) % 4 and i >= n * (c % 5) // 8]
        who = int(rng.choice(awake[:3])) if rng.random() < 0.4 else int(rng.choice(awake))
        market = MARKETS[(who + (rng.random() < 0.2)) % min(2 + i * 8 // n, len(MARKETS))]
        kind = names[int(rng.choice(len(names), p=weight))]
        if (i // 60) % 4 == who % 4:  # bursts
            kind = ("content.engaged", "refund.approved", "violation.confirmed", "account.login")[who % 4]
        more: dict[str, Any] = {}
        if rng.random() < 0.7:
            more["category"] = CATEGORIES[int(rng.integers(len(CATEGORIES)))]
        if rng.random() < 0.6:
            more["actor_id"] = f"u{int(rng.integers(12))}"
        if kind == "content.engaged":
            more["attrs"] = {"trust": "low" if rng.random() < 0.5 else "normal"}
        elif kind == "account.login":
            more["attrs"] = {"success": bool(rng.random() < 0.5), "device_id": f"d{int(rng.integers(4))}"}
        elif kind == "violation.confirmed":
            more["attrs"] = {"kind": ("spam", "fake")[int(rng.integers(2))], "points": int(rng.integers(0, 9))}
        extra = _details(kind, i, now, rng)
        attrs = more.get("attrs", {}) | extra.pop("attrs", {})
        more |= extra | ({"attrs": attrs} if attrs else {})
        pairs.append(event(i, kind, f"c{who}", at, market, **more))
    return numbered(pairs)


def _details(kind: str, number: int, now: int, rng: np.random.Generator) -> dict[str, Any]:
    """What the measures look at: references that repeat, money, attributes."""
    attrs: dict[str, Any] = {
        "order.paid": {"subsidised": bool(rng.random() < 0.5)},
        "order.shipped": {"late": bool(rng.random() < 0.5)},
        "refund.approved": {"fault": "seller"} if rng.random() < 0.5 else {},
        "review.posted": {"stars": int(rng.integers(1, 6))},
        "complaint.received": {"kind": "counterfeit" if rng.random() < 0.5 else "other"},
        "content.flagged": {"kind": "link"},
        "live.minute": {"viewers": int(rng.integers(0, 3_000)), "logged_in_viewers": int(rng.integers(0, 900)),
                        "commenters": int(rng.integers(0, 4))},
    }.get(kind, {})  # fmt: skip
    more: dict[str, Any] = {"attrs": attrs} if attrs else {}
    if kind.split(".")[0] in ("order", "refund", "chargeback", "review", "commission", "violation", "sample"):
        if rng.random() < 0.8:
            more["ref_id"] = f"r{int(rng.integers(max(number // 6 - 12, 0), number // 6 + 1))}"
        if rng.random() < 0.3:
            more["attrs"] = attrs | {"ref_at": max(now - int(rng.integers(0, 20 * HOUR)), 0)}
    if kind.startswith("commission"):
        more |= {"amount": round(float(rng.gamma(1.0, 900.0)), 2)}
        more |= {"currency": "XXX"} if rng.random() < 0.1 else {}
    return more


class Result:
    """Everything that a run gave."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.dead: list[DeadLetter] = []

    @property
    def lines(self) -> list[bytes]:
        return [encode_alert(alert) for alert in self.alerts]

    @property
    def rejected(self) -> list[tuple[int, str]]:
        """Offset and reason of the dead letters; their order is not promised."""
        return sorted((letter.record.offset, letter.error.reason) for letter in self.dead)


def run(
    records: Sequence[Record], catalogue: Catalogue, cuts: Sequence[int] = (), *, close: bool = True
) -> tuple[Engine, Result]:
    """Feed the records, cut before these indexes."""
    engine, result = Engine(catalogue, TOPIC, 0), Result()
    edges = [0, *sorted(set(cuts) & set(range(len(records)))), len(records)]
    for start, stop in pairwise(edges):
        keep(result, engine.feed(list(records[start:stop])))
    if close:
        keep(result, engine.close())
    return engine, result


def keep(result: Result, out: Any) -> None:
    result.alerts += out.alerts
    result.dead += out.dead
