"""A seeded market of creators: its events in the order of their arrival, and labels of what was planted.

    events, labels = simulate(Simulation(seed=7, days=21, creators=400))
    for key, value, occurred_at in events.iter_records(): ...

Everything is drawn from `numpy.random.default_rng([seed, n])`, a stream for each part in the order of
`STREAMS`. Planted episodes have streams of their own and only add events, so a null run holds the very
background of the planted one. Clicks and live minutes are a sample of what a platform would log, so that
a run stays small.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from streams.scorecard import Label
from streams.simulate_activity import activity, shocks
from streams.simulate_events import accounts, attention, compliance, content, samples
from streams.simulate_market import CATEGORIES, COUNTRIES, Ints, Population, population
from streams.simulate_orders import make_orders, outcomes
from streams.simulate_plant import World, lookalikes, plant
from streams.simulate_rows import (
    COMPLAINTS,
    ENGAGEMENTS,
    FAULTS,
    FLAGS,
    TRUSTS,
    TYPES,
    VIOLATIONS,
    Rows,
    chosen,
    joined,
)
from streams.simulate_spec import KINDS, LOOKALIKES, MARKETS, Plan, Shock, Simulation

__all__ = [
    "KINDS", "LOOKALIKES", "Events", "Label", "Plan", "Shock", "Simulation", "asked_for", "background", "simulate",
    "write_jsonl", "write_labels",
]  # fmt: skip

STREAMS = ("population", "activity", "orders", "outcomes", "attention", "accounts", "content", "compliance",
           "arrival", "planted", "planted arrival", "campaigns", "mood", "shocks", "samples", "lookalikes")  # fmt: skip
LATE_SHARE = 0.002  # these arrive one to four minutes late, the others within seconds
CHUNK = 65_536

Decode = Callable[[int], str | int | bool]


def _name(names: tuple[str, ...]) -> Decode:
    return names.__getitem__


ATTRS: dict[str, tuple[tuple[str, Decode], ...]] = {  # what the columns a, b and c mean
    "account.login": (("success", bool), ("device_id", "d_{}".format), ("country", _name(COUNTRIES))),
    "live.minute": (("viewers", int), ("logged_in_viewers", int), ("commenters", int)),
    "content.engaged": (("kind", _name(ENGAGEMENTS)), ("trust", _name(TRUSTS))),
    "content.flagged": (("kind", _name(FLAGS)),),
    "order.paid": (("subsidised", bool),),
    "order.cancelled": (("ref_at", int),),
    "order.shipped": (("late", bool),),
    "refund.approved": (("fault", _name(FAULTS)), ("ref_at", int)),
    "chargeback.received": (("ref_at", int),),
    "review.posted": (("stars", int), ("ref_at", int)),
    "complaint.received": (("kind", _name(COMPLAINTS)), ("ref_at", int)),
    "violation.confirmed": (("kind", _name(VIOLATIONS)), ("points", int)),
    "commission.reversed": (("ref_at", int),),
}
REFS = {"content.engaged": "v_", "content.flagged": "v_", "sample.received": "s_", "sample.posted": "s_",
        "product.clicked": "p_", "video.published": "v_", "live.started": "l_", "live.minute": "l_",
        "live.ended": "l_", "violation.confirmed": "x_", "violation.overturned": "x_"}  # fmt: skip


class Wire(msgspec.Struct, omit_defaults=True):
    """One event as the contract has it; what is absent is left out."""

    event_id: str
    type: str
    creator_id: str
    occurred_at: int
    market: str
    category: str | None = None
    actor_id: str | None = None
    ref_id: str | None = None
    amount: float | None = None
    currency: str | None = None
    attrs: dict[str, str | int | bool] | None = None


class Events(NamedTuple):
    """The events as columns, in the order of their arrival."""

    spec: Simulation
    pop: Population
    rows: Rows
    arrived_at: Ints

    def __len__(self) -> int:
        return len(self.rows.at)

    def count_by_type(self) -> dict[str, int]:
        return dict(zip(TYPES, np.bincount(self.rows.kind, minlength=len(TYPES)).tolist(), strict=True))

    def iter_records(self) -> Iterator[tuple[bytes, bytes, int]]:
        """(key, value, occurred_at) for each event: ready for the topic."""
        who = _whose(self.pop)
        encode = msgspec.json.Encoder().encode
        for first in range(0, len(self), CHUNK):
            columns = (column[first : first + CHUNK].tolist() for column in self.rows)
            for i, row in enumerate(zip(*columns, strict=True), first):
                key, wire = wire_of(f"e{self.spec.seed:x}-{i:x}", who, row)
                yield key, encode(wire), wire.occurred_at


class Who(NamedTuple):
    key: bytes
    creator_id: str
    market: str
    category: str | None
    currency: str
    decimals: int


def _whose(pop: Population) -> list[Who]:
    out = []
    for creator, market, category in zip(pop.creator, pop.market, pop.category, strict=True):
        name, creator_id = pop.names[market], f"c_{creator:05d}"
        law, sells = MARKETS[name], CATEGORIES[category][0]
        out.append(Who(creator_id.encode(), creator_id, name, sells, law.currency, law.decimals))
    return out


def wire_of(event_id: str, who: Sequence[Who], row: tuple[Any, ...]) -> tuple[bytes, Wire]:
    """A row of `Rows` as an event of one of these creators, and its key."""
    kind, unit, at, actor, ref, amount, *abc = row
    name, me = TYPES[kind], who[unit]
    wire = Wire(event_id, name, me.creator_id, at, me.market)
    if not name.startswith("account."):
        wire.category = me.category
    if actor >= 0:
        wire.actor_id = f"u_{actor}"
    if ref >= 0:
        wire.ref_id = f"{REFS.get(name, 'o_')}{ref}"
    if amount == amount:
        wire.amount = max(round(amount, me.decimals), 0.01)
        if name != "refund.approved":  # the market's own where absent
            wire.currency = me.currency
    if name in ATTRS:
        known = zip(ATTRS[name], abc, strict=False)
        wire.attrs = {key: decode(x) for (key, decode), x in known if x >= 0} or None
    return me.key, wire


def streams_of(spec: Simulation) -> dict[str, np.random.Generator]:
    return {name: np.random.default_rng([spec.seed, n]) for n, name in enumerate(STREAMS)}


def background(spec: Simulation, rng: dict[str, np.random.Generator]) -> tuple[World, Rows]:
    """The market without what is planted, and its events."""
    pop = population(spec, rng["population"])
    struck = shocks(spec, pop, rng["shocks"])
    act = activity(spec, pop, struck, rng)
    orders = make_orders(spec, pop, act, rng["orders"])
    paid, after, fate = outcomes(pop, orders, struck, rng["outcomes"])
    shown, crowd = content(spec, pop, act.sessions, rng["content"])
    parts = paid + after + shown + attention(spec, pop, act, rng["attention"]) + accounts(spec, pop, rng["accounts"])
    parts += samples(spec, pop, rng["samples"]) + compliance(spec, pop, rng["compliance"])
    return World(spec, pop, act, orders, fate, struck, crowd), emitted(spec, pop, joined(parts))


def simulate(spec: Simulation) -> tuple[Events, list[Label]]:
    """The whole run in memory, as columns; encoding happens when records are asked for."""
    rng = streams_of(spec)
    world, everything = background(spec, rng)
    arrived = arrival(everything.at, rng["arrival"])
    added, labels = plant(world, rng["planted"])
    resembling, theirs = lookalikes(world, labels, rng["lookalikes"])
    added, labels = added + resembling, labels + theirs
    if labels:
        planted = emitted(spec, world.pop, joined(added))
        arrived = np.concatenate([arrived, arrival(planted.at, rng["planted arrival"])])
        everything = joined([everything, planted])
    order = np.lexsort((everything.kind, everything.unit, everything.at, arrived))
    labels = sorted(labels, key=lambda x: (x.start_ms, x.creator_id, x.kind))
    return Events(spec, world.pop, chosen(everything, order), arrived[order]), labels


def asked_for(spec: Simulation) -> int:
    """Episodes and lookalikes together; fewer are planted if too few creators suit them."""
    return sum(spec.count(kind) for kind in (*KINDS, *LOOKALIKES))


def emitted(spec: Simulation, pop: Population, r: Rows) -> Rows:
    """Only what happens within the run, and to a newcomer nothing before it registers."""
    return chosen(r, (r.at >= spec.start_ms) & (r.at < spec.end_ms) & (r.at >= pop.registered_ms[r.unit]))


def arrival(at: Ints, rng: np.random.Generator) -> Ints:
    """Seconds after it happened, up to a minute; one in 500 up to four minutes."""
    delay = np.minimum(rng.exponential(4_000.0, len(at)), 60_000.0)
    late = rng.random(len(at)) < LATE_SHARE
    return at + np.where(late, rng.uniform(60_000.0, 240_000.0, len(at)), delay).astype(np.int64)


def write_jsonl(events: Events, path: Path) -> int:
    """One event's JSON a line, in the order of arrival; how many there were."""
    with path.open("wb") as file:
        file.writelines(value + b"\n" for _, value, _ in events.iter_records())
    return len(events)


def write_labels(labels: Iterable[Label], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Label.__struct_fields__)
        writer.writerows(msgspec.structs.astuple(label) for label in labels)
