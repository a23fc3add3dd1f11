"""The two contracts as types: what is read from `creator-events` and what is written to `risk-alerts`.

Rules of evolution, for both:
1. An unknown top-level field is ignored, so producers add fields first.
2. A new field has a default and is added at the end.
3. A field never changes its type or its meaning, and is never used again under another one.
4. An unknown event `type` is counted and skipped; an unknown key of `attrs` is ignored.
"""

import re
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from config.schema import EventType, Lifecycle
from streams.errors import RecordError

RECORD_BYTES_MAX = 64 * 1024

TYPES = frozenset(get_args(EventType))

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=64)]
MILLIS_MAX = 4102444800000  # the beginning of the year 2100
Millis = Annotated[int, Meta(ge=0, le=MILLIS_MAX)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Amount = Annotated[float, Meta(ge=0, le=1e12)]
Attribute = str | int | float | bool


class Event(Struct, frozen=True, gc=False):
    """One creator activity event (contract/events). Absent optional fields are UNSET; null is not a value."""

    event_id: Id
    type: Annotated[str, Meta(min_length=1)]
    creator_id: Id
    occurred_at: Millis  # ms since the Unix epoch, UTC
    market: Annotated[str, Meta(min_length=2, max_length=2)]
    category: Text | UnsetType = UNSET
    actor_id: Text | UnsetType = UNSET
    ref_id: Text | UnsetType = UNSET
    amount: Amount | UnsetType = UNSET  # major units of `currency`
    currency: Currency | UnsetType = UNSET  # the market's own where absent
    attrs: dict[str, Attribute] | UnsetType = UNSET


_decode = msgspec.json.Decoder(Event).decode
_DOTTED = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*\Z")
_MARKET = re.compile(r"[A-Z]{2}\Z")
_PATH = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)
_known_markets: set[str] = set()  # at most 676 codes: a regular expression for each event costs more than decoding


def decode_event(key: bytes | None, value: bytes) -> Event:
    """One record as an Event, or a RecordError that says which rule it breaks and where.

    >>> decode_event(b"c1", b'{"event_id":"e1","type":"order.paid","creator_id":"c1","occurred_at":-1,"market":"TH"}')
    Traceback (most recent call last):
    streams.errors.RecordError: Expected `int` >= 0 - at `$.occurred_at`
    """
    if len(value) > RECORD_BYTES_MAX:
        raise RecordError("too_large", "$", f"Expected at most {RECORD_BYTES_MAX} bytes, got {len(value)}")
    try:
        if not value.isascii():
            value.decode()  # the decoder does not look into fields that it skips
        event = _decode(value)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _as_record_error(error) from None
    if key is None or key != event.creator_id.encode():
        raise RecordError("key_mismatch", "$.creator_id", "Expected the record key to be the creator_id")
    kind, attrs = event.type, event.attrs
    if kind not in TYPES and not _DOTTED.match(kind):
        raise RecordError("invalid_field", "$.type", "Expected dotted lower case")
    if event.market not in _known_markets:
        if not _MARKET.match(event.market):
            raise RecordError("invalid_field", "$.market", "Expected two capital letters (ISO 3166-1 alpha-2)")
        _known_markets.add(event.market)
    if attrs is not UNSET and ("ref_at" in attrs or kind == "review.posted"):
        _check_attrs(kind, attrs)
    return event


def _check_attrs(kind: str, attrs: dict[str, Attribute]) -> None:
    ref_at = attrs.get("ref_at", 0)
    if type(ref_at) is not int or not 0 <= ref_at <= MILLIS_MAX:
        raise RecordError("invalid_field", "$.attrs.ref_at", f"Expected `int` from 0 to {MILLIS_MAX}")
    stars = attrs.get("stars", 1) if kind == "review.posted" else 1
    if isinstance(stars, str | bool) or not 1 <= stars <= 5:
        raise RecordError("invalid_field", "$.attrs.stars", "Expected a number from 1 to 5")


def _as_record_error(error: Exception) -> RecordError:
    if isinstance(error, msgspec.ValidationError):
        match = _PATH.match(str(error))
        what, path = (match["what"], match["path"] or "$") if match else (str(error), "$")
        return RecordError("missing_field" if "missing required field" in what else "invalid_field", path, what)
    if isinstance(error, UnicodeDecodeError):
        return RecordError("invalid_json", "$", "Expected UTF-8")
    return RecordError("invalid_json", "$", str(error) or type(error).__name__)


def dead_letter_headers(
    error: RecordError, topic: str, partition: int, offset: int, timestamp: int
) -> list[tuple[str, bytes]]:
    """What a dead letter says of itself; its key and value are the original bytes, untouched."""
    said = {
        "reason": error.reason,
        "path": error.path,
        "detail": error.detail[:500],
        "source_topic": topic,
        "source_partition": str(partition),
        "source_offset": str(offset),
        "source_timestamp": str(timestamp),
    }
    return [(name, text.encode("utf-8", "replace")) for name, text in said.items()]


Severity = Literal["info", "warning", "critical"]
Status = Literal["opened", "updated", "escalated", "resolved", "retracted"]
StatusReason = Literal["threshold", "severity", "normal_again", "silent", "late_data", "overturned", "config"]


class Entity(Struct, frozen=True):
    kind: Literal["creator", "cohort", "market"]
    id: str


class Peers(Struct, frozen=True):
    """The peers compared with; `expected` is in the alert's unit."""

    key: str
    level: str
    size: int
    expected: float


class SourceRange(Struct, frozen=True):
    topic: str
    partition: int
    first_offset: int
    next_offset: int


class EvidenceEvent(Struct, frozen=True):
    event_id: str
    partition: int
    offset: int


class Contributor(Struct, frozen=True):
    kind: str
    id: str
    share: float


class Evidence(Struct, frozen=True):
    sources: list[SourceRange]
    events: list[EvidenceEvent]
    contributors: list[Contributor]


class Alert(Struct, frozen=True):
    """One revision of one alert (contract/alerts), fields in the order of the contract's table."""

    alert_id: str
    revision: int
    status: Status
    signal: str
    lifecycle: Lifecycle
    entity: Entity
    market: str
    category: str | None
    severity: Severity
    opened_at: int  # ms, end of the pane at which the episode opened
    window_start: int  # ms
    window_end: int  # ms
    window: str  # ISO 8601 duration
    unit: str
    observed: float
    expected: float
    expected_low: float | None
    expected_high: float | None
    clears_at: float | None
    numerator: float | None
    denominator: float | None
    detector: str
    score: float
    p_value: float | None
    q_value: float | None
    changed_at: int | None
    cohort: Peers | None
    reason: str
    reason_code: str
    reason_args: dict[str, str | int | float]
    status_reason: StatusReason | None
    evidence: Evidence
    incident_id: str | None
    labels: dict[str, str]
    config_version: str
    engine_version: str


encode_alert = msgspec.json.Encoder().encode
decode_alert = msgspec.json.Decoder(Alert).decode
