"""An alert recomputed from its events: identical to the last digit, or the field, count or event that differs."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from config.catalogue import load
from config.schema import Catalogue
from streams import recount
from streams.columns import Record
from streams.records import Alert, encode_alert
from streams.replay import replay
from streams.ticks import Tick
from streams.verify import Case, Finding, Said, Verification, cases_of, differences
from tests.stories.telling import only
from tests.streamed import hostile
from tests.test_trace import Entries, entries_of, golden, small

SIGNALS = sorted(load().signals)
RULE = "violation_burst"


def verified(said: Sequence[Said], entries: Sequence[tuple[int, Record | Tick]], catalogue: Catalogue) -> list[Case]:
    check = Verification(cases := cases_of(said, catalogue))
    replay(check.entries(entries), catalogue, close=True, engine=check.engine)
    return cases


def finding_of(alert: Alert, entries: Sequence[tuple[int, Record | Tick]], catalogue: Catalogue) -> Finding:
    (case,) = verified([Said(alert, encode_alert(alert))], entries, catalogue)
    return case.findings()[0]


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_alert_of_every_signals_story_is_identical(signal: str) -> None:
    said = [Said(alert, encode_alert(alert)) for alert in golden(signal)]
    (case,) = verified(said, entries_of(signal), only(signal))
    assert [finding.differences for finding in case.findings()] == [[]] * len(said)
    assert all(finding.identical for finding in case.findings())


@cache
def raised() -> tuple[Entries, list[Alert]]:
    """Two days of everything that may go wrong, and what one rule says of them."""
    entries = [(0, record) for record in hostile(2, 1_500)]
    return entries, replay(entries, small(RULE), close=True).alerts


@pytest.mark.parametrize("seed", [3, 5])
def test_whatever_goes_wrong_in_a_stream_all_its_alerts_are_identical(seed: int) -> None:
    catalogue = small(RULE, "review_burst", "account_takeover", "fake_engagement", "complaint_rate", "sample_integrity")
    entries = [(0, record) for record in hostile(seed)]
    alerts = replay(entries, catalogue, close=True).alerts
    cases = verified([Said(alert, encode_alert(alert)) for alert in alerts], entries, catalogue)
    assert len(alerts) > 20
    assert [f for case in cases for f in case.findings() if not f.identical] == []


# ---- tampering ---------------------------------------------------------------------------------------------


def tampered(entries: Entries, event_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Entries:
    """The same with one event changed, wherever it was delivered."""
    return [
        (partition, msgspec.structs.replace(record, value=json.dumps(change(event)).encode()))
        if (event := _event(record)).get("event_id") == event_id else (partition, record)
        for partition, record in entries
    ]  # fmt: skip


def without(entries: Entries, event_id: str) -> Entries:
    return [(partition, record) for partition, record in entries if _event(record).get("event_id") != event_id]


def _event(record: Record) -> dict[str, Any]:
    try:
        found = json.loads(record.value or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@cache
def counted(at: int) -> tuple[Alert, list[str]]:
    """The revision of this number, and the events that it counted, where its window's events tell."""
    entries, alerts = raised()
    (case,) = verified([Said(alerts[at], encode_alert(alerts[at]))], entries, small(RULE))
    (finding,) = case.findings()
    sure = all(not one.unsure for one in finding.counted)
    value = str(alerts[at].reason_args.get("value", ""))
    (recount,) = case.recounts[0].of.values()
    kinds = {event.event_id: str(event.attrs["kind"]) for event in recount.events if event.attrs is not msgspec.UNSET}
    return alerts[at], [one for one, kind in kinds.items() if sure and value in ("", kind)]


def sure() -> Alert:
    """One that quotes events, all of which it counted."""
    _, alerts = raised()
    return next(counted(at)[0] for at in range(len(alerts)) if counted(at)[1] and alerts[at].evidence.events)


@settings(max_examples=15)
@given(data=st.data())
def test_an_event_that_was_counted_and_is_gone_is_found(data: st.DataObject) -> None:
    entries, alerts = raised()
    alert, events = counted(data.draw(st.integers(0, len(alerts) - 1)))
    assume(events)
    gone = data.draw(st.sampled_from(events))
    assert not finding_of(alert, without(entries, gone), small(RULE)).identical


@pytest.mark.parametrize("signal", ["off_platform_redirect", "fake_engagement"])
def test_an_event_more_in_the_window_is_found(signal: str) -> None:
    alert, entries = golden(signal)[0], entries_of(signal)
    quoted = alert.evidence.events[-1]
    like = next(record for _, record in entries if record.offset == quoted.offset)
    more = json.dumps(_event(like) | {"event_id": "another"}).encode()
    at = max(r.offset for _, r in entries if r.offset < quoted.offset and r.key != like.key)  # somebody else's goes
    entries = [(p, Record(at, like.key, more, r.timestamp) if r.offset == at else r) for p, r in entries]
    finding = finding_of(alert, entries, only(signal))
    assert not finding.identical
    assert [one.figure for one in finding.counted if not one.agrees]


CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "type": lambda event: event | {"type": "video.published"},
    "id": lambda event: event | {"event_id": "e_other"},
    "market": lambda event: event | {"market": "VN"},
    "time, to before the window": lambda event: event | {"occurred_at": event["occurred_at"] - 91 * 86_400_000},
    "no event any more": lambda event: {},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_quoted_event_that_was_changed_is_found(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    alert, (entries, _) = sure(), raised()
    quoted = alert.evidence.events[0]
    finding = finding_of(alert, tampered(entries, quoted.event_id, change), small(RULE))
    assert not finding.identical
    (said,) = finding.quoted
    assert said.startswith(f"event {quoted.event_id} at offset {quoted.offset} of partition 0")


def test_a_changed_amount_is_found() -> None:
    alert, entries = golden("live_viewbot")[0], entries_of("live_viewbot")
    quoted = alert.evidence.events[0].event_id
    entries = tampered(entries, quoted, lambda event: event | {"attrs": event["attrs"] | {"viewers": 0}})
    finding = finding_of(alert, entries, only("live_viewbot"))
    assert {one.figure for one in finding.counted if not one.agrees} == {"numerator", "denominator"}
    assert {"numerator", "denominator", "observed", "score"} <= {one.field for one in finding.differences or ()}


def test_a_change_of_the_past_outside_of_the_window_is_found_by_the_score() -> None:
    alert, entries = golden("off_platform_redirect")[0], entries_of("off_platform_redirect")
    before = [_event(r) for _, r in entries if _event(r)["occurred_at"] < alert.window_start - 4 * 86_400_000]
    mine = [event["event_id"] for event in before if event["type"] == "content.flagged"]
    assert mine
    finding = finding_of(alert, [e for e in entries if _event(e[1])["event_id"] not in mine], only(alert.signal))
    assert all(one.agrees for one in finding.counted)
    assert not finding.identical


def test_an_event_that_is_not_where_the_alert_says_is_named() -> None:
    alert, (entries, _) = sure(), raised()
    quoted = alert.evidence.events[0]
    finding = finding_of(alert, without(entries, quoted.event_id), small(RULE))
    assert finding.quoted == [f"event {quoted.event_id} at offset {quoted.offset} of partition 0 is not there"]


@pytest.mark.parametrize("field", Alert.__struct_fields__)
def test_a_changed_field_of_the_alert_is_named(field: str) -> None:
    alert = sure()
    line = json.dumps(json.loads(encode_alert(alert)) | {field: {"other": 1}}).encode()
    assert {one.field.split(".")[0].split("[")[0] for one in differences(line, alert)} == {field}
    assert differences(encode_alert(alert), alert) == []


def test_the_last_digit_counts() -> None:
    alert = sure()
    said = msgspec.structs.replace(alert, score=alert.score * (1 + 2**-51))
    (found,) = differences(encode_alert(said), alert)
    assert (found.field, float(found.now)) == ("score", alert.score)


def test_where_no_such_revision_comes_out_the_others_are_told() -> None:
    alert, (entries, alerts) = sure(), raised()
    wrong = msgspec.structs.replace(alert, alert_id="0" * 32)
    (case,) = verified([Said(wrong, encode_alert(wrong))], entries, small(RULE))
    assert case.findings()[0].differences is None
    mine = [one for one in alerts if (one.entity, one.market) == (alert.entity, alert.market)]
    assert case.instead()[0] == alert
    assert {one.alert_id for one in case.instead()} <= {one.alert_id for one in mine}


def test_reading_stops_where_nothing_can_matter_any_more() -> None:
    alert = golden("off_platform_redirect")[0]
    read = iter(entries_of(alert.signal))
    check = Verification(cases := cases_of([Said(alert, encode_alert(alert))], only(alert.signal)))
    replay(check.entries(read), only(alert.signal), close=True, engine=check.engine)
    assert cases[0].findings()[0].identical
    assert next(read, None) is not None


def test_more_events_than_are_held_say_nothing_and_the_engine_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recount, "EVENTS_MAX", 2)
    alert = golden("off_platform_redirect")[0]
    finding = finding_of(alert, entries_of(alert.signal), only(alert.signal))
    assert [one.unsure for one in finding.counted] == ["over 2 of them"]
    assert finding.identical
