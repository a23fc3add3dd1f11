"""Results of replays as hypothesis makes them, without a replay: real revisions with other names, times and marks."""

from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from streams.records import Alert, Entity, decode_alert
from streams.replay import Result
from streams.scorecard import COVERED, Label

HOUR, DAY = 3_600_000, 86_400_000
T0 = 1_767_571_200_000
GOLDEN = Path(__file__).parent / "golden" / "refund_rate" / "th-two-days-of-bad-orders-come-back.jsonl"
ANY = next(decode_alert(line) for line in GOLDEN.read_bytes().splitlines() if b"alert_id" in line)
KINDS = {"refund_surge": ["refund_rate", "order_spike"], "order_spike": ["order_spike"], "nobody": []}
CREATORS, MARKETS = ("c_1", "c_2", "c_3"), ("TH", "VN")
SIGNALS = ("order_spike", "refund_rate", "unknown")
TITLES = {"refund_rate": "Refunds"}


class Case(NamedTuple):
    result: Result
    labels: list[Label]


def result(alerts: list[Alert], shadow: list[Alert] | None = None, days: float = 10.0) -> Result:
    people = [("c_1", "TH"), ("c_2", "TH"), ("c_3", "VN")]
    return Result(alerts, shadow or [], [], 500, 0, (0,), 3, days, people, {"c_1": 3, "c_2": 50, "c_3": 20_000})


def opened(number: str, creator: str = "c_1", signal: str = "refund_rate", at: int = T0, **more: object) -> Alert:
    first = {"alert_id": number, "signal": signal, "entity": Entity("creator", creator), "opened_at": at,
             "window_end": at, "window_start": at - DAY, "revision": 1, "status": "opened",
             "status_reason": "threshold", "severity": "info"}  # fmt: skip
    return replace(ANY, **{**first, **more})


@st.composite
def revisions(draw: st.DrawFn, number: str) -> list[Alert]:
    """One alert from its opening to wherever it is when the input ends."""
    at = T0 + HOUR * draw(st.integers(0, 240))
    alert = opened(number, draw(st.sampled_from(CREATORS)), draw(st.sampled_from(SIGNALS)), at,
                   market=draw(st.sampled_from(MARKETS)), score=draw(st.integers(0, 9)))  # fmt: skip
    found = [alert]
    for status in draw(st.lists(st.sampled_from(["updated", "escalated"]), max_size=3)):
        at += HOUR * draw(st.integers(0, 9))
        severity = draw(st.sampled_from(["info", "warning", "critical"]))
        more = {"revision": len(found) + 1, "status": status, "window_end": at, "severity": severity}
        found.append(replace(alert, **more, score=draw(st.integers(0, 9))))
    if draw(st.booleans()):
        more = {"revision": len(found) + 1, "status": draw(st.sampled_from(["resolved", "retracted"]))}
        found.append(replace(found[-1], **more, window_end=at + HOUR, score=99.0))
    return found


LABELS = st.lists(
    st.builds(
        lambda creator, kind, start, hours: Label(creator, "TH", kind, T0 + start * HOUR, T0 + (start + hours) * HOUR),
        st.sampled_from(CREATORS), st.sampled_from([*KINDS, "lookalike:raid", COVERED]), st.integers(0, 240),
        st.integers(0, 48),
    ),
    max_size=6,
)  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    numbers = [f"a{n}" for n in range(draw(st.integers(0, 6)))]
    told: list[Alert] = []
    aside: list[Alert] = []
    for number in numbers:
        (aside if draw(st.integers(0, 4)) == 0 else told).extend(draw(revisions(number)))
    return Case(result(told, aside), draw(LABELS))
