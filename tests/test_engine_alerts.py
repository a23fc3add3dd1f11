"""What every alert promises, whatever the stream: numbers, order, ids, revisions, evidence."""

import json
import math
import re
from collections import defaultdict
from typing import Any

import pytest

from config.schema import Catalogue, millis
from streams.columns import Record
from streams.engine import ENGINE_VERSION, Engine
from streams.policy import alert_id
from streams.reasons import reason
from streams.records import Alert, decode_alert, encode_alert
from tests.streamed import HOUR, TOPIC, Result, eager, event, hostile, numbered, run, simulated

ORDER = {"info": 1, "warning": 2, "critical": 3}


class Run:
    def __init__(self, catalogue: Catalogue, records: list[Record]) -> None:
        self.catalogue = catalogue
        self.records = {record.offset: record for record in records}
        self.engine, self.result = run(records, catalogue, range(0, len(records), 500))
        self.episodes: dict[str, list[Alert]] = defaultdict(list)
        for alert in self.result.alerts:
            self.episodes[alert.alert_id].append(alert)


@pytest.fixture(scope="module", params=["simulated", "hostile", "tight"])
def told(request: pytest.FixtureRequest) -> Run:
    if request.param == "simulated":
        return Run(eager(inactive_after="30d"), simulated(21, creators=20, days=4, campaign_days=(2,), planted=2))
    if request.param == "hostile":
        return Run(eager(), hostile(22))
    return Run(eager(evidence=150, entities=25), hostile(23, n=1_500, hours=20))


RATIOS = {"conversion_outlier"}  # one count beside another, of which it is no part


def test_there_is_enough_to_look_at(told: Run) -> None:
    assert len(told.result.alerts) >= 20
    assert {a.status for a in told.result.alerts} >= {"opened", "resolved"}
    assert len({a.signal for a in told.result.alerts}) >= 3


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [x for part in value.values() for x in numbers(part)]
    if isinstance(value, list):
        return [x for part in value for x in numbers(part)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_json_is_compact_in_order_finite_and_read_again_as_it_was(told: Run) -> None:
    for alert in told.result.alerts:
        wire = encode_alert(alert)
        plain = json.loads(wire)
        assert decode_alert(wire) == alert
        assert encode_alert(decode_alert(wire)) == wire
        assert list(plain) == list(Alert.__struct_fields__)
        assert json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode() == wire or b"e-" in wire
        assert all(math.isfinite(x) for x in numbers(plain))
        for name in ("observed", "expected", "score"):
            assert isinstance(plain[name], int | float)


def test_numbers_agree_with_each_other(told: Run) -> None:
    for a in told.result.alerts:
        assert a.expected >= 0
        assert a.score >= 0
        assert a.p_value is None or 0.0 < a.p_value <= 1.0
        if a.numerator is not None and a.denominator is not None:
            assert a.numerator >= 0
            assert a.numerator <= a.denominator or a.signal in RATIOS
            assert a.observed == round(a.numerator / a.denominator, 6)
            assert a.unit in ("ratio", "share")
        else:
            assert (a.numerator, a.denominator) == (None, None)
            assert a.unit in ("events", "steps", "actors", "THB", "SGD", "USD")
        if a.unit in ("ratio", "share") and a.signal not in RATIOS:
            assert 0.0 <= a.observed <= 1.0
        if a.expected_low is not None and a.expected_high is not None and a.p_value is not None:
            slack = 1.0 if a.denominator is None else 1.0 / a.denominator
            assert 0.0 <= a.expected_low <= a.expected + slack + 1e-6
            assert a.expected <= a.expected_high + slack + 1e-6
        if a.clears_at is not None:
            assert (a.clears_at > a.observed) == a.reason_code.endswith("_low") != (a.clears_at < a.observed)
        if a.status in ("opened", "escalated"):
            assert a.clears_at is not None
        if a.cohort is not None:
            assert a.cohort.size >= 1
            assert a.cohort.key.split("/")[0] == a.market


def test_windows_are_whole_and_in_order(told: Run) -> None:
    parts = {"M": 60_000, "H": HOUR, "D": 24 * HOUR}
    waits = {name: millis(s.lateness) if s.lateness else 0 for name, s in told.catalogue.signals.items()}
    closed = [a.window_end + waits[a.signal] for a in told.result.alerts if a.status_reason != "late_data"]
    assert closed == sorted(closed)
    for a in told.result.alerts:
        match = re.fullmatch(r"P(?:T(\d+)([HM])|(\d+)(D))", a.window)
        assert match
        count, unit = (group for group in match.groups() if group)
        assert a.window_end - a.window_start == int(count) * parts[unit]
        assert a.opened_at <= a.window_end
        assert a.window_end % (15 * 60_000) == 0


def test_ids_revisions_and_states_follow_the_contract(told: Run) -> None:
    signals = told.catalogue.signals
    for episode in told.episodes.values():
        assert [a.revision for a in episode] == list(range(1, len(episode) + 1))
        first = episode[0]
        assert (first.status, first.status_reason, first.opened_at) == ("opened", "threshold", first.window_end)
        same = {(a.signal, a.entity.kind, a.entity.id, a.market, a.opened_at) for a in episode}
        assert len(same) == 1
        assert first.alert_id == alert_id(*same.pop())
        assert all(a.status in ("updated", "escalated") for a in episode[1:-1])
        severity = [ORDER[a.severity] for a in episode]
        for before, after, a in zip(severity, severity[1:], episode[1:], strict=False):
            assert (after > before) == (a.status == "escalated")
            assert after >= before
        for a in episode:
            assert a.status_reason in {
                "opened": ["threshold"], "updated": ["threshold"], "escalated": ["severity"],
                "resolved": ["normal_again", "silent"], "retracted": ["overturned", "late_data"],
            }[a.status]  # fmt: skip
            assert a.lifecycle == signals[a.signal].lifecycle
            assert signals[a.signal].labels.items() <= a.labels.items()
            assert a.labels.keys() - signals[a.signal].labels.keys() <= {"campaign"}
            assert (a.config_version, a.engine_version) == (told.catalogue.version, ENGINE_VERSION)
            assert (a.q_value, a.incident_id) == (None, None)
            assert a.changed_at is None or a.changed_at < a.window_end


def test_one_episode_is_open_at_a_time_and_rests_when_it_is_over(told: Run) -> None:
    open_now: dict[tuple[str, str, str], str] = {}
    rested: dict[tuple[str, str, str], Alert] = {}
    done: set[str] = set()
    for a in told.result.alerts:
        key = (a.signal, a.entity.id, a.market)
        assert a.alert_id not in done
        if a.status == "opened":
            assert key not in open_now
            open_now[key] = a.alert_id
            before = rested.get(key)
            cooldown = millis(told.catalogue.signals[a.signal].cooldown)
            if before is not None and a.window_end < before.window_end + cooldown:
                assert ORDER[a.severity] > ORDER[before.severity]
        assert open_now[key] == a.alert_id
        if a.status == "resolved":
            done.add(open_now.pop(key))
            rested[key] = a
    names = {(told.engine.plan.names[s], *(told.engine.entities.names[slot] or ())) for s, slot in told.engine.episodes}
    assert names == set(open_now)


def test_evidence_is_really_there(told: Run) -> None:
    quoted = 0
    for a in told.result.alerts:
        matchers = {
            kind for test in told.catalogue.signals[a.signal].tests for kind in _events(told.catalogue, a.signal, test)
        }
        offsets = [e.offset for e in a.evidence.events]
        assert offsets == sorted(set(offsets))
        assert len(offsets) <= 5
        for e in a.evidence.events:
            record = told.records[e.offset]
            source = json.loads(record.value or b"")
            assert (e.event_id, e.partition) == (source["event_id"], 0)
            assert (source["creator_id"], source["market"]) == (a.entity.id, a.market)
            assert a.window_start <= source["occurred_at"] < a.window_end
            assert a.window_end - source["occurred_at"] <= 6 * HOUR
            assert source["type"] in matchers
            quoted += 1
        for s in a.evidence.sources:
            assert (s.topic, s.partition) == (TOPIC, 0)
            assert 0 <= s.first_offset < s.next_offset <= max(told.records) + 1
            assert all(s.first_offset <= offset < s.next_offset for offset in offsets)
        assert len(a.evidence.sources) <= 1
        shares = [c.share for c in a.evidence.contributors]
        assert len(shares) <= 5
        assert shares == sorted(shares, reverse=True)
        assert all(0.0 < share <= 1.0 for share in shares)
        assert sum(shares) <= 1.0005
    assert quoted > 10


def _events(catalogue: Catalogue, signal: str, test: Any) -> list[str]:
    if hasattr(test, "steps"):
        return [kind for step in test.steps for kind in step.events]
    events = catalogue.signals[signal].measures[test.measure].events
    return [entry if isinstance(entry, str) else entry.type for entry in events]


def test_a_reason_is_one_plain_sentence_that_its_arguments_make_again(told: Run) -> None:
    for a in told.result.alerts:
        assert a.reason.endswith(".")
        assert a.reason[0].isupper() or a.reason[0].isdigit()
        assert not re.search(r"[{}\n]|nan|inf\b|None|  ", a.reason)
        assert reason(a.reason_code, a.reason_args) == a.reason
        assert len(a.reason) < 400
        if a.numerator is not None:
            assert a.reason_args["count"] == a.numerator
            assert a.reason_args["of"] == a.denominator


def test_metrics_count_what_was_told(told: Run) -> None:
    counts = told.engine.counts
    assert counts["panes_closed", ""] > 60


def test_strange_values_in_an_alert_stay_values() -> None:
    """Names, kinds and actors of any characters; they are quoted, and harm nothing."""
    odd = 'ü{0}%s"\\\n\u2028😀'
    pairs = []
    for i in range(400):
        at = 1_767_571_200_000 + i * 10 * 60_000
        pairs.append(event(i, "order.paid", f"c{i % 5}", at, category=odd, actor_id=odd))
        if i % 8 == 0 and i > 200:
            pairs.append(event(f"{odd}{i}", "violation.confirmed", odd, at, attrs={"kind": odd * 50}, actor_id=odd))
            pairs.append(event(f"v{i}", "violation.confirmed", odd, at, attrs={"kind": i}, actor_id=""))
    engine, result = run(numbered(pairs), eager())
    ours = [a for a in result.alerts if a.entity.id == odd]
    assert ours
    for a in ours:
        assert decode_alert(encode_alert(a)) == a
        assert len(encode_alert(a)) < 8_192
    assert engine.people.live == 6


def test_a_limit_of_no_evidence_leaves_alerts_without() -> None:
    records = hostile(24, n=1_200, hours=20)
    _, full = run(records, eager())
    _, bare = run(records, eager(evidence=0))
    assert len(bare.alerts) == len(full.alerts) > 5
    assert not any(a.evidence.events or a.evidence.contributors for a in bare.alerts)
    assert [a.observed for a in bare.alerts] == [a.observed for a in full.alerts]


def test_evidence_leaves_with_its_records() -> None:
    records = hostile(25, n=1_200, hours=20)
    for limit in (1, 7, 100):
        engine = Engine(eager(evidence=limit), TOPIC, 0)
        result = Result()
        for start in range(0, len(records), 90):
            out = engine.feed(records[start : start + 90])
            result.alerts += out.alerts
            held = [int(offset) for batch in engine.evidence.recent for offset in batch.offset]
            assert held == sorted(held)
            assert len(held) <= limit + 2 * 1_024 + 90
        assert sum(len(a.evidence.events) for a in result.alerts) <= 5 * len(result.alerts)
        quoted = [e.offset for a in result.alerts for e in a.evidence.events]
        assert limit > 50 or len(quoted) <= limit * len(result.alerts)
