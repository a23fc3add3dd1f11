"""The simulator: lawful events, the same bytes for the same seed, and a market worth testing detectors on."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams import records
from streams.simulate import (
    Events,
    Label,
    Simulation,
    simulate,
    write_jsonl,
    write_labels,
)
from streams.simulate_rows import TYPES

DAY = 86_400_000
SPEC = Simulation(seed=11, days=14, creators=150, campaign_days=(10,), planted=2)
ATTRS: dict[str, dict[str, Any]] = {
    "account.login": {"success": bool, "device_id": str, "country": re.compile(r"[A-Z]{2}")},
    "live.minute": {"viewers": int, "logged_in_viewers": int, "commenters": int},
    "content.engaged": {"kind": ("like", "follow", "comment", "share"), "trust": ("low", "normal")},
    "order.paid": {"subsidised": bool},
    "content.flagged": {"kind": ("link", "phone", "handle", "qr")},
    "order.shipped": {"late": bool},
    "order.cancelled": {"ref_at": int},
    "chargeback.received": {"ref_at": int},
    "commission.reversed": {"ref_at": int},
    "refund.approved": {"fault": ("seller", "buyer", "carrier"), "ref_at": int},
    "review.posted": {"stars": (1, 2, 3, 4, 5), "ref_at": int},
    "complaint.received": {"kind": ("counterfeit", "misleading", "safety", "other"), "ref_at": int},
    "violation.confirmed": {"kind": str, "points": int},
}
OPTIONAL = {"category", "actor_id", "ref_id", "amount", "currency", "attrs"}


def check(key: bytes, value: bytes) -> dict[str, Any]:
    """The contract of creator-events, field by field."""
    records.decode_event(key, value)
    event: dict[str, Any] = json.loads(value.decode("utf-8"))
    assert event.keys() - OPTIONAL == {"event_id", "type", "creator_id", "occurred_at", "market"}
    assert key.decode("utf-8") == event["creator_id"]
    assert all(isinstance(event[k], str) and 1 <= len(event[k]) <= 64 for k in ("event_id", "creator_id"))
    assert event["type"] in TYPES
    assert type(event["occurred_at"]) is int
    assert 0 <= event["occurred_at"] <= 4_102_444_800_000
    assert re.fullmatch("[A-Z]{2}", event["market"])
    for name in ("category", "actor_id", "ref_id"):
        assert name not in event or (isinstance(event[name], str) and 1 <= len(event[name]) <= 64)
    if "amount" in event:
        assert type(event["amount"]) in (int, float)
        assert 0 < event["amount"] <= 1e12
    assert re.fullmatch("[A-Z]{3}", event.get("currency", "THB"))
    for name, x in event.get("attrs", {}).items():
        rule = ATTRS[event["type"]][name]
        if isinstance(rule, re.Pattern):
            assert rule.fullmatch(x)
        else:
            assert x in rule if isinstance(rule, tuple) else type(x) is rule, (event["type"], name, x)
    return event


@pytest.fixture(scope="module")
def run() -> tuple[Events, list[Label]]:
    return simulate(SPEC)


@pytest.fixture(scope="module")
def decoded(run: tuple[Events, list[Label]]) -> list[dict[str, Any]]:
    return [check(key, value) for key, value, _ in run[0].iter_records()]


def digest(spec: Simulation) -> str:
    h = hashlib.sha256()
    events, labels = simulate(spec)
    for key, value, at in events.iter_records():
        h.update(key + value + str(at).encode())
    return h.hexdigest() + str(labels)


def of_type(decoded: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [e for e in decoded if e["type"] == name]


def per_creator_day(events: Events, name: str) -> Any:
    r = events.rows
    on = r.kind == TYPES.index(name)
    counts = np.zeros((len(events.pop.level), events.spec.days))
    np.add.at(counts, (r.unit[on], (r.at[on] - events.spec.start_ms) // DAY), 1)
    return counts


def test_every_event_keeps_the_contract_and_every_type_occurs(decoded: list[dict[str, Any]]) -> None:
    assert len({e["event_id"] for e in decoded}) == len(decoded)
    assert {e["type"] for e in decoded} == set(TYPES) == records.TYPES - {"case.decided"}
    whole = {"amount", "currency", "actor_id", "ref_id", "attrs"}
    assert all(whole <= e.keys() for e in of_type(decoded, "order.paid"))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others() -> None:
    small = Simulation(seed=3, days=6, creators=40)
    assert digest(small) == digest(small)
    assert digest(small) != digest(Simulation(seed=4, days=6, creators=40))


def test_events_come_nearly_in_order_and_a_few_come_minutes_late(run: tuple[Events, list[Label]]) -> None:
    events, _ = run
    delay = events.arrived_at - events.rows.at
    assert (np.diff(events.arrived_at) >= 0).all()
    assert (np.diff(events.rows.at) < 0).any()
    assert delay.min() >= 0
    assert delay.max() <= 240_000
    assert 0.001 < (delay > 60_000).mean() < 0.003
    assert events.rows.at.min() >= SPEC.start_ms
    assert events.rows.at.max() < SPEC.end_ms


def test_two_episodes_of_a_creator_lie_five_days_apart() -> None:
    _, labels = simulate(Simulation(seed=5, days=40, creators=30, planted=4))
    by_creator = defaultdict(list)
    for label in labels:
        by_creator[label.creator_id].append(label)
    assert max(map(len, by_creator.values())) > 1
    for mine in by_creator.values():
        for a, b in pairwise(mine):
            assert b.start_ms - a.end_ms >= 5 * DAY


def test_a_takeover_runs_from_failures_through_a_new_device_and_a_change_to_a_withdrawal(
    run: tuple[Events, list[Label]], decoded: list[dict[str, Any]]
) -> None:
    for label in (x for x in run[1] if x.kind == "account_takeover"):
        mine = sorted(
            (e for e in decoded if e["creator_id"] == label.creator_id and e["type"].startswith("account.")),
            key=lambda e: e["occurred_at"],
        )
        story = [e for e in mine if label.start_ms <= e["occurred_at"] <= label.end_ms]
        foreign = [e for e in story if e["type"] == "account.login" and e["attrs"]["country"] != label.market]
        assert sum(not e["attrs"]["success"] for e in foreign) >= 5
        assert foreign[-1]["attrs"]["success"]
        after = [e["type"] for e in story if e["occurred_at"] > foreign[-1]["occurred_at"]]
        assert {"account.credential_changed", "account.payout_changed"} & set(after)
        assert after[-1] == "account.withdrawal"


def test_a_null_run_has_no_labels_and_is_the_planted_run_without_what_was_planted(
    run: tuple[Events, list[Label]],
) -> None:
    null, labels = simulate(Simulation(seed=11, days=14, creators=150, campaign_days=(10,), null=True))
    events, planted = run
    assert labels == []

    def whole(e: Events) -> Counter[tuple[int, ...]]:
        r = e.rows
        columns = (r.kind, r.unit, r.at, r.actor, r.ref, r.a, r.b, r.c)
        return Counter(zip(*(column.tolist() for column in columns), strict=True))

    more, fewer = whole(events) - whole(null), whole(null) - whole(events)
    assert not fewer
    assert {key[1] for key in more} <= {
        u for u, c in enumerate(events.pop.creator) if f"c_{c:05d}" in {x.creator_id for x in planted}
    }


def test_outcomes_lag_their_orders_and_are_there_from_the_first_day(decoded: list[dict[str, Any]]) -> None:
    paid = {e["ref_id"]: e["occurred_at"] for e in of_type(decoded, "order.paid")}
    for name, low, high in (("refund.approved", 2, 6), ("review.posted", 3, 8), ("complaint.received", 1, 6)):
        told = [(e["occurred_at"], e["ref_id"]) for e in of_type(decoded, name) if "ref_id" in e]
        lags = [(at - paid[ref]) / DAY for at, ref in told if ref in paid]
        assert min(lags) > 0
        assert low < np.mean(lags) < high
        days = Counter((at - SPEC.start_ms) // DAY for at, _ in told)
        assert np.mean([days[d] for d in range(3)]) > 0.6 * np.mean([days[d] for d in range(3, 8)])


def test_half_of_the_refunds_name_the_fault_and_half_the_order_s_time(decoded: list[dict[str, Any]]) -> None:
    refunds = of_type(decoded, "refund.approved")
    paid = {e["ref_id"]: e for e in of_type(decoded, "order.paid")}
    for name in ("fault", "ref_at"):
        assert 0.4 < np.mean([name in e.get("attrs", {}) for e in refunds]) < 0.6
    for e in refunds:
        if e["ref_id"] in paid:
            order = paid[e["ref_id"]]
            assert e.get("attrs", {}).get("ref_at", order["occurred_at"]) == order["occurred_at"]
            assert e["amount"] <= order["amount"]


def test_levels_are_heavy_tailed_and_counts_over_dispersed(run: tuple[Events, list[Label]]) -> None:
    events, _ = run
    counts = np.delete(per_creator_day(events, "order.paid"), [9, 10, 11], axis=1)
    old = counts[(counts.mean(axis=1) > 3) & (events.pop.registered_ms == 0)]
    assert np.median(old.var(axis=1, ddof=1) / old.mean(axis=1)) > 1.3
    assert 6 < np.median(events.pop.level) < 15
    assert events.pop.level.max() / events.pop.level.min() > 200
    assert simulate(Simulation(days=1))[0].pop.level.max() > 600


def test_the_campaign_day_stands_out_and_its_refunds_follow(run: tuple[Events, list[Label]]) -> None:
    totals = per_creator_day(run[0], "order.paid").sum(axis=0)
    assert totals[10] > 2.2 * np.median(totals)
    calm, _ = simulate(Simulation(seed=11, days=14, creators=150, campaign_days=(), null=True))
    stirred, _ = simulate(Simulation(seed=11, days=14, creators=150, campaign_days=(4,), null=True))
    after = slice(7, 13)
    refunds = [per_creator_day(e, "refund.approved").sum(axis=0)[after].sum() for e in (calm, stirred)]
    assert refunds[1] > 1.2 * refunds[0]


def test_evenings_are_busier_than_nights_in_each_market_s_own_time(run: tuple[Events, list[Label]]) -> None:
    r, pop = run[0].rows, run[0].pop
    paid = r.kind == TYPES.index("order.paid")
    hour = (r.at[paid] + pop.offset_ms[r.unit[paid]]) // 3_600_000 % 24
    by_hour = np.bincount(hour, minlength=24)
    assert by_hour[19:22].mean() > 4 * by_hour[2:5].mean()


def test_newcomers_register_and_grow_and_have_no_events_before(decoded: list[dict[str, Any]]) -> None:
    joined = {e["creator_id"]: e["occurred_at"] for e in of_type(decoded, "account.registered")}
    assert len(joined) >= 4
    assert all(e["occurred_at"] >= joined.get(e["creator_id"], 0) for e in decoded)


def test_some_creators_sell_in_two_markets(decoded: list[dict[str, Any]]) -> None:
    markets = defaultdict(set)
    for e in of_type(decoded, "order.paid"):
        markets[e["creator_id"]].add(e["market"])
    assert 4 <= sum(len(m) == 2 for m in markets.values()) <= 30


def test_the_background_holds_what_resembles_an_episode_and_is_none() -> None:
    null, _ = simulate(Simulation(seed=2, null=True, days=14))
    found: dict[str, set[str]] = defaultdict(set)
    kinds: dict[str, set[str]] = defaultdict(set)
    for _, value, _ in null.iter_records():
        if b'"account.login"' not in value and b'"violation.confirmed"' not in value:
            continue  # most of them, and decoding takes longer than all the rest
        event = json.loads(value)
        if event["type"] == "account.login" and event["attrs"]["country"] != event["market"]:
            found["traveller"].add(event["creator_id"])
        elif event["type"] == "account.login" and not event["attrs"]["success"]:
            found["typo"].add(event["creator_id"])
        elif event["type"] == "violation.confirmed":
            kinds[event["creator_id"]].add(event["attrs"]["kind"])
    assert len(found["traveller"]) > 10
    assert len(found["typo"]) > 100
    assert max(map(len, kinds.values())) >= 4
    likes = per_creator_day(null, "content.engaged")
    busy = likes[np.median(likes, axis=1) > 20]
    assert (busy.max(axis=1) > 2.5 * np.median(busy, axis=1)).any()


def test_the_writers_put_an_event_on_a_line_and_a_label_in_a_row(tmp_path: Path) -> None:
    events, labels = simulate(Simulation(seed=9, days=10, creators=60, planted=1))
    assert write_jsonl(events, tmp_path / "events.jsonl") == len(events)
    assert sum(events.count_by_type().values()) == len(events)
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert lines == [value for _, value, _ in events.iter_records()]
    write_labels(labels, tmp_path / "labels.csv")
    table = (tmp_path / "labels.csv").read_text().splitlines()
    assert table[0] == "creator_id,market,kind,start_ms,end_ms"
    assert len(table) == len(labels) + 1


def test_volume_scales_and_a_senseless_spec_is_refused() -> None:
    one, two = (len(simulate(Simulation(seed=1, days=4, creators=50, volume=v))[0]) for v in (1.0, 3.0))
    assert 2.0 < two / one < 3.5
    with pytest.raises(ValueError, match="known are"):
        Simulation(markets={"XX": 1.0})
    with pytest.raises(ValueError, match="positive"):
        Simulation(days=0)
