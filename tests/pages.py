"""Reports for tests: as many episodes as asked for, made by rule, with texts that would like to be markup."""

import json
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from streams.outcome import Rows, daily, outcome
from streams.outcome_rows import EpisodeRow
from streams.traced import Point, Trace
from tests.outcomes import HOUR, KINDS, T0, TITLES, opened, result
from tests.test_tables_written import LABELS

HOSTILE = (
    "<script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"' onmouseover='document.title=1' x=\"",
    "<!-- --!> <style>*{display:none}</style>",
    "a\u2028b\u2029c\x00d\u202ee",
    "&lt;b&gt; &amp; {{7*7}} ${7*7}",
)
SEVERITIES, MARKETS = ("info", "warning", "critical"), ("TH", "VN", "ID", "MY")
SIGNALS = {"refund_rate": "Refunds", "order_spike": "Order spike", "fake_engagement": "Bought engagement"}
RUN: Mapping[str, Any] = {
    "config_version": "cfg1:0123", "engine_version": "8", "program_version": "0.1.0", "records": 5_000,
    "bad_records": 2, "creators": 400, "days": 30.0, "options": {"close": True, "labels": None},
    "sources": [{"path": "events.jsonl", "kind": "events", "bytes": 1_234, "sha256": "ab" * 32}],
}  # fmt: skip
_ANY: EpisodeRow = outcome(result([opened("a")]), TITLES)["episodes"][0]  # type: ignore[assignment]


def episode(n: int, **more: Any) -> EpisodeRow:
    """The n-th: its creator, market, signal, severity and times follow from n."""
    signal = sorted(SIGNALS)[n % 3]
    made = replace(
        _ANY, alert_id=f"alert-{n:05}", creator_id=f"creator-{n:05}", market=MARKETS[n % 4], signal=signal,
        title=SIGNALS[signal], severity=SEVERITIES[(n % 10 > 5) + 2 * (n % 10 == 0)], score=3 + n * 37 % 1_000 / 100,
        opened_at=T0 + n % 720 * HOUR, ended_at=None if n % 5 == 0 else T0 + (n % 720 + 5) * HOUR,
        status="opened" if n % 5 == 0 else "resolved", duration_hours=None if n % 5 == 0 else 5.0,
        reason=f"Refunds on {n} of the {2 * n} orders that were due for one (50 %) in the last 24 hours.",
    )  # fmt: skip
    return replace(made, **more)


def many_rows(n: int) -> Rows:
    rows = [episode(one) for one in range(n)]
    return {"episodes": rows, "daily": daily(rows)}


def hostile_rows(n: int = 60) -> Rows:
    """Each text of an event, and each that quotes one, would like to be markup."""
    rows = []
    for one in range(n):
        text = HOSTILE[one % len(HOSTILE)]
        said = {"creator_id": text, "category": text, "market": text, "reason": text, "title": text}
        rows.append(episode(one, alert_id=f"{text}{one}", **said))
    return {"episodes": rows, "daily": daily(rows)}


def labelled_rows() -> Rows:
    """Two labels, three alerts, one of them false, one aside."""
    told = [opened("a", severity="critical"), opened("b", "c_2", "order_spike")]
    return outcome(result(told, [opened("c", "c_3", market="VN")]), TITLES, LABELS, KINDS)


def trace(row: EpisodeRow, hours: int = 240, gap: range = range(60, 80)) -> Trace:
    """A creator as usual, then the rise that the row tells of; nothing was read in the gap."""
    points = []
    for n in range(hours):
        if n in gap:
            continue
        end = row.opened_at + (n - hours * 2 // 3) * HOUR
        risen = max(0.0, 1 - abs(n - hours * 2 // 3) / 30)
        observed = row.observed * risen + row.expected * (1 - risen) * (0.8 + 0.4 * (n * 13 % 10) / 10)
        high = None if row.expected_high is None else row.expected_high * (1 + 0.2 * (n * 7 % 5) / 5)
        severity = "critical" if risen > 0.8 else "warning" if risen > 0.5 else "info" if risen > 0.4 else None
        score = row.score if risen == 1 else row.score * risen
        points.append(Point(end, observed, row.expected, row.expected_low, high, score, severity))
    return Trace(row.alert_id, row.unit, row.window, HOUR, points)


def data_of(text: str) -> list[Any]:
    """What stands in the page for its script."""
    blocks = text.split('<script type="application/json">')[1:]
    return [json.loads(block.split("</script>")[0]) for block in blocks]


def rows_of_case(case: Any) -> Rows:
    return outcome(case.result, TITLES, case.labels, KINDS)
