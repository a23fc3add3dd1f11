"""The contract of creator-events to the letter, and the form of an alert."""

import json
import math
import re
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from streams.errors import RecordError
from streams.records import (
    RECORD_BYTES_MAX,
    TYPES,
    Alert,
    Contributor,
    Entity,
    Event,
    Evidence,
    EvidenceEvent,
    Peers,
    SourceRange,
    dead_letter_headers,
    decode_alert,
    decode_event,
    encode_alert,
)

BASE: dict[str, Any] = {
    "event_id": "e1", "type": "order.paid", "creator_id": "c1", "occurred_at": 1_763_812_345_678, "market": "TH"
}  # fmt: skip
REASONS = {"too_large", "invalid_json", "invalid_field", "missing_field", "key_mismatch"}


def encoded(**changes: Any) -> bytes:
    return json.dumps(BASE | changes).encode()


def fault(value: bytes, key: bytes | None = b"c1") -> RecordError:
    with pytest.raises(RecordError) as caught:
        decode_event(key, value)
    assert caught.value.reason in REASONS
    return caught.value


def test_the_contracts_example_is_read() -> None:
    example = (
        b'{"event_id":"01JDA6V3","type":"refund.approved","creator_id":"c_18233","occurred_at":1763812345678,\n'
        b' "market":"TH","category":"beauty","actor_id":"u_552","ref_id":"o_99812","amount":349.0,'
        b'"attrs":{"fault":"seller"}}'
    )
    event = decode_event(b"c_18233", example)
    assert event == Event(
        "01JDA6V3", "refund.approved", "c_18233", 1763812345678, "TH", "beauty", "u_552", "o_99812", 349.0,
        UNSET, {"fault": "seller"},
    )  # fmt: skip


def test_all_types_of_the_contract_are_known() -> None:
    table = """account.registered account.login account.credential_changed account.payout_changed account.withdrawal
    video.published live.started live.minute live.ended content.engaged content.flagged
    product.clicked order.paid order.cancelled order.shipped order.delivered refund.approved chargeback.received
    review.posted complaint.received report.received violation.confirmed violation.overturned case.decided
    incentive.redeemed commission.earned commission.reversed sample.received sample.posted"""
    assert set(table.split()) == TYPES


@pytest.mark.parametrize("field", ["event_id", "type", "creator_id", "occurred_at", "market"])
def test_a_missing_required_field_is_named(field: str) -> None:
    error = fault(json.dumps({k: v for k, v in BASE.items() if k != field}).encode())
    assert error.reason == "missing_field"
    assert field in error.detail


@pytest.mark.parametrize("field", ["event_id", "type", "creator_id", "occurred_at", "market", "category", "actor_id",
                                   "ref_id", "amount", "currency", "attrs"])  # fmt: skip
@pytest.mark.parametrize("value", [None, [], [1], {"a": {}}, True])
def test_null_and_other_types_are_refused_with_their_path(field: str, value: Any) -> None:
    error = fault(encoded(**{field: value}))
    assert error.reason == "invalid_field"
    assert error.path.startswith(f"$.{field}")


GOOD: list[dict[str, Any]] = [
    {"event_id": "x" * 64}, {"event_id": "é" * 64}, {"event_id": "\x00"}, {"occurred_at": 0},
    {"occurred_at": 4102444800000}, {"market": "ZZ"}, {"category": ""}, {"category": "😀" * 64}, {"actor_id": ""},
    {"ref_id": "r" * 64}, {"amount": 0}, {"amount": 3}, {"amount": 1e12}, {"amount": -0.0}, {"amount": 0.1},
    {"currency": "THB"}, {"attrs": {}}, {"attrs": {"a": "x", "b": 1, "c": 1.5, "d": False}}, {"attrs": {"": ""}},
    {"attrs": {"ref_at": 0}}, {"attrs": {"ref_at": 1_763_812_345_678}}, {"surprise": {"deep": [None, {"a": 1}]}},
    {"type": "a"}, {"type": "brand.new_type.v2"}, {"type": "product.clicked", "attrs": {"stars": 0}},
    {"type": "brand.new", "attrs": {"stars": "many"}}, {"type": "review.posted", "attrs": {"stars": 1}},
    {"type": "review.posted", "attrs": {"stars": 4.5}}, {"type": "review.posted", "attrs": {"stars": 5}},
]  # fmt: skip
BAD: list[dict[str, Any]] = [
    {"event_id": ""}, {"event_id": "x" * 65}, {"event_id": 5}, {"type": ""}, {"type": "Order.Paid"},
    {"type": "order."}, {"type": ".paid"}, {"type": "order..paid"}, {"type": "order paid"}, {"type": "order.paid\n"},
    {"type": "órder.paid"}, {"occurred_at": -1}, {"occurred_at": 4102444800001}, {"occurred_at": 1.0},
    {"occurred_at": 1.5}, {"occurred_at": "1763812345678"}, {"occurred_at": 10**30}, {"market": "th"},
    {"market": "T"}, {"market": "THA"}, {"market": "T\n"}, {"market": ""}, {"market": "ÄÖ"}, {"market": "12"},
    {"category": "x" * 65}, {"category": 1}, {"actor_id": "x" * 65}, {"ref_id": "x" * 65}, {"ref_id": 99812},
    {"amount": -0.01}, {"amount": 1.0000001e12}, {"amount": "349.0"}, {"currency": "THB\n"}, {"currency": "thb"},
    {"currency": ""}, {"currency": "THBX"}, {"attrs": "x"}, {"attrs": {"a": None}}, {"attrs": {"a": []}},
    {"attrs": {"ref_at": -1}}, {"attrs": {"ref_at": 1.5}}, {"attrs": {"ref_at": "1"}}, {"attrs": {"ref_at": True}},
    {"type": "review.posted", "attrs": {"stars": 0}}, {"type": "review.posted", "attrs": {"stars": 6}},
    {"type": "review.posted", "attrs": {"stars": "5"}}, {"type": "review.posted", "attrs": {"stars": True}},
]  # fmt: skip


@pytest.mark.parametrize("changes", GOOD, ids=repr)
def test_what_the_contract_allows_is_an_event(changes: dict[str, Any]) -> None:
    event = decode_event(b"c1", encoded(**changes))
    for name, value in changes.items():
        if name != "surprise":
            assert getattr(event, name) == value


@pytest.mark.parametrize("changes", BAD, ids=repr)
def test_what_the_contract_forbids_is_a_dead_letter(changes: dict[str, Any]) -> None:
    error = fault(encoded(**changes))
    assert error.reason == "invalid_field"
    assert error.path.startswith(("$.attrs", f"$.{next(iter(changes))}"))
    assert error.detail


def test_the_key_is_the_creator() -> None:
    for key in (None, b"", b"c2", b"C1", b"c1 ", b"\xff\xfe"):
        assert fault(encoded(), key).reason == "key_mismatch"
    assert decode_event("çré😀".encode(), encoded(creator_id="çré😀")).creator_id == "çré😀"
    assert fault(encoded(creator_id="c" * 65), b"c" * 65).reason == "invalid_field"


@pytest.mark.parametrize(
    "value",
    [b"", b" ", b"{", encoded()[:-1], encoded() + b"x", b"\xef\xbb\xbf" + encoded(), b"\x00", b"nul", b"NaN",
     encoded().replace(b"TH", b"T\\ud800"), encoded(category="?").replace(b"?", b"\xff"),
     encoded(category="?").replace(b"?", b"\xed\xa0\x80"), encoded(surprise="?").replace(b"?", b"\xff"),
     encoded(amount=1).replace(b": 1}", b": NaN}"), encoded(attrs={"a": 1}).replace(b": 1}}", b": Infinity}}"),
     b'{"x":' + b"[" * 60_000, b'{"x":' + b'{"x":' * 10_000],
    ids=lambda v: repr(v[:30]),
)  # fmt: skip
def test_what_is_not_json_in_utf8_is_a_dead_letter(value: bytes) -> None:
    assert fault(value).reason == "invalid_json"


@pytest.mark.parametrize("value", [b"[]", b"[]x", b"1", b"null", b'"text"', b"true"])
def test_json_that_is_no_object_is_a_dead_letter(value: bytes) -> None:
    assert fault(value).reason == "invalid_field"


@pytest.mark.parametrize("number", [b"9" * 5_000, b"1e999", b"-1e999", b"1" + b"0" * 400, b"0." + b"9" * 5_000])
def test_numbers_of_any_size_are_a_value_or_a_dead_letter(number: bytes) -> None:
    for field in ("amount", "occurred_at"):
        value = encoded(**{field: 7777}).replace(b"7777", number)
        if field == "amount" and number.startswith(b"0."):
            assert decode_event(b"c1", value).amount == 1.0
        else:
            fault(value)
    try:
        attrs = decode_event(b"c1", encoded(attrs={"n": 7777}).replace(b"7777", number)).attrs
    except RecordError:
        return
    assert isinstance(attrs, dict)
    assert isinstance(attrs["n"], int) or math.isfinite(float(attrs["n"]))
    assert len(str(attrs["n"])) < 5_000


def test_the_size_limit_is_64_kib_and_comes_first() -> None:
    room = RECORD_BYTES_MAX - len(encoded(surprise=""))
    assert RECORD_BYTES_MAX == 65_536
    assert decode_event(b"c1", encoded(surprise="x" * room)).event_id == "e1"
    error = fault(encoded(surprise="x" * (room + 1)))
    assert (error.reason, error.path) == ("too_large", "$")
    assert fault(b"\xff" * 70_000).reason == "too_large"


def test_of_a_repeated_key_the_last_one_stands() -> None:
    assert decode_event(b"c1", encoded()[:-1] + b',"event_id":"e2"}').event_id == "e2"
    assert fault(encoded()[:-1] + b',"event_id":""}').path == "$.event_id"


utf8 = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)
events = st.builds(
    Event,
    event_id=utf8.filter(bool),
    type=st.sampled_from(sorted(TYPES)),
    creator_id=utf8.filter(bool),
    occurred_at=st.integers(0, 4102444800000),
    market=st.text("ABCXYZ", min_size=2, max_size=2),
    category=utf8 | st.just(UNSET),
    actor_id=utf8 | st.just(UNSET),
    ref_id=utf8 | st.just(UNSET),
    amount=st.floats(0, 1e12) | st.just(UNSET),
    currency=st.text("ABC", min_size=3, max_size=3) | st.just(UNSET),
    attrs=st.just(UNSET)
    | st.dictionaries(
        utf8.filter(lambda s: s not in ("stars", "ref_at")),
        utf8 | st.integers(-(2**63), 2**64 - 1) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
        max_size=5,
    ),
)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(events)
def test_every_event_survives_its_encoding(event: Event) -> None:
    wire = msgspec.json.encode(event)
    again = decode_event(event.creator_id.encode(), wire)
    assert again == event
    assert msgspec.json.encode(again) == wire


ODD = [b"", b"null", b"-1", b"1e309", b"9" * 40, b"[]", b"{}", b'""', b"true", b'"\\ud800"', b"\xff", b"\x00", b'"',
       b"," , b"}", b"\\", "é".encode(), b'{"a":{"b":[[[[]]]]}}', b"0x1", b"1.0", b'"1"', b"[" * 500]  # fmt: skip


def mutated(rng: np.random.Generator, value: bytes) -> bytes:
    """One to three small harms."""
    data = bytearray(value)
    for _ in range(int(rng.integers(1, 4))):
        at, kind = int(rng.integers(len(data) + 1)), int(rng.integers(6))
        if kind == 0 and at < len(data):
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[at : at + int(rng.integers(1, 12))]
        elif kind == 2:
            data[at:at] = ODD[int(rng.integers(len(ODD)))]
        elif kind == 3 and at < len(data):
            data[at] = int(rng.integers(256))
        elif kind == 4:
            data[at:at] = data[: int(rng.integers(40))]
        else:
            text = bytes(data)
            places = [i for i, c in enumerate(text) if c == ord(":")]
            if places:
                at = places[int(rng.integers(len(places)))] + 1
                stop = min((i for i in (text.find(b",", at), text.find(b"}", at)) if i >= 0), default=len(text))
                data[at:stop] = ODD[int(rng.integers(len(ODD)))]
    return bytes(data)


def outcome(value: bytes) -> Event | RecordError:
    try:
        return decode_event(b"c1", value)
    except RecordError as error:
        return error


def test_a_harmed_record_is_an_event_or_a_dead_letter_and_nothing_else() -> None:
    rng = np.random.default_rng(20260105)
    attrs = {"stars": 4, "ref_at": 5, "kind": "like", "ok": True, "w": 1.5}
    optional = {"category": "beauty", "actor_id": "u1", "ref_id": "o1", "amount": 3.5, "currency": "THB"}
    good = encoded(**optional, attrs=attrs, type="review.posted")
    fates = {"event": 0, "dead": 0}
    for _ in range(20_000):
        value = mutated(rng, good)
        read = outcome(value)
        if isinstance(read, RecordError):
            fates["dead"] += 1
            assert read.reason in REASONS
            assert read.path.startswith("$")
            assert all(len(text) < 4_000 for _, text in dead_letter_headers(read, "t", 0, 0, 0))
        else:
            fates["event"] += 1
            assert 0 <= read.occurred_at <= 4102444800000
            assert read.creator_id == "c1"
            value.decode()
    assert min(fates.values()) > 1_000


def test_the_headers_of_a_dead_letter_say_why_and_from_where() -> None:
    error = fault(encoded(occurred_at=-1))
    headers = dict(dead_letter_headers(error, "creator-events", 3, 42, 1_763_812_345_678))
    assert headers == {
        "reason": b"invalid_field",
        "path": b"$.occurred_at",
        "detail": b"Expected `int` >= 0",
        "source_topic": b"creator-events",
        "source_partition": b"3",
        "source_offset": b"42",
        "source_timestamp": b"1763812345678",
    }
    long = RecordError("invalid_field", "$", "\ud800" + "x" * 9_000)
    assert max(len(text) for _, text in dead_letter_headers(long, "t", 0, 0, 0)) <= 510


ALERT_FIELDS = re.split(r"\s+", """alert_id revision status signal lifecycle entity
market category severity opened_at window_start
window_end window unit observed expected expected_low expected_high clears_at numerator denominator detector score
p_value q_value changed_at cohort reason reason_code reason_args status_reason evidence incident_id labels
config_version engine_version""")


def test_an_alert_has_the_fields_of_the_contract_in_their_order() -> None:
    assert list(Alert.__struct_fields__) == ALERT_FIELDS
    nested = (Entity, Peers, SourceRange, EvidenceEvent, Contributor, Evidence)
    assert [list(kind.__struct_fields__) for kind in nested] == [
        ["kind", "id"],
        ["key", "level", "size", "expected"],
        ["topic", "partition", "first_offset", "next_offset"],
        ["event_id", "partition", "offset"],
        ["kind", "id", "share"],
        ["sources", "events", "contributors"],
    ]


def test_an_alert_is_written_without_spaces_and_read_again() -> None:
    evidence = Evidence([SourceRange("t", 0, 1, 9)], [EvidenceEvent("e", 0, 8)], [Contributor("actor", "u", 0.5)])
    alert = Alert(
        "id", 1, "opened", "refund_rate", "performance", Entity("creator", "ç1"), "TH", None, "warning", 9, 1, 9,
        "PT24H", "ratio", 0.5, 0.1, 0.0, 0.2, 0.25, 5.0, 10.0, "negative_binomial", 7.5, 1e-300, None, None,
        Peers("TH", "market", 3, 0.1), "A sentence.", "outcome_high", {"count": 5, "of": 1.5, "many": "x"}, "threshold",
        evidence, None, {"policy": "p"}, "v", "1",
    )  # fmt: skip
    wire = encode_alert(alert)
    assert decode_alert(wire) == alert
    assert list(json.loads(wire)) == ALERT_FIELDS
    assert wire == json.dumps(json.loads(wire), separators=(",", ":"), ensure_ascii=False).encode()
    assert b'"category":null' in wire
    assert decode_alert(wire[:-1] + b',"new_field":1}') == alert
