"""What reviewers decided: `case.decided` events, each a verdict on an alert of before, by that alert's id. Pure.

An alert of a replay has the id of before if the same events, configuration and start raised it. A case says nothing of
what raised no alert, so precision can be read from cases, recall not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

from msgspec import UNSET, Struct

from streams.columns import Record
from streams.errors import RecordError
from streams.outcome_rows import CaseRow
from streams.records import Alert, decode_event

DECIDED = "case.decided"
CASES_MAX = 1_000_000  # alerts that were decided on
ID_MAX = 64  # characters of an alert's id
Decision = Literal["confirmed", "rejected", "unclear"]
Entry = TypeVar("Entry")  # a record or a tick
VERDICTS: dict[str, str] = {"confirmed": "true", "rejected": "false"}  # of the alert; any other says nothing


class Case(Struct, frozen=True):
    """The newest decision on an alert."""

    alert_id: str
    creator_id: str
    market: str
    decision: str
    decided_ms: int
    event_id: str


class Cases:
    """The decisions in a stream, while it goes through `watch`."""

    def __init__(self) -> None:
        self.by_alert: dict[str, Case] = {}
        self.left_out = 0  # of more alerts than CASES_MAX, or without an alert's id or a verdict that is known

    def watch(self, entries: Iterable[tuple[int, Entry]]) -> Iterator[tuple[int, Entry]]:
        """The entries as they are."""
        for partition, entry in entries:
            if isinstance(entry, Record) and entry.value is not None and DECIDED.encode() in entry.value:
                self._see(entry)
            yield partition, entry

    def _see(self, record: Record) -> None:
        try:
            event = decode_event(record.key, record.value or b"")
        except RecordError:
            return
        if event.type != DECIDED:
            return
        said = {} if event.attrs is UNSET else event.attrs
        alert, decision = said.get("alert_id"), said.get("verdict")
        if not isinstance(alert, str) or len(alert) > ID_MAX or decision not in ("confirmed", "rejected", "unclear"):
            self.left_out += 1
            return
        case = Case(alert, event.creator_id, event.market, str(decision), event.occurred_at, event.event_id)
        self.add(case)

    def add(self, case: Case) -> None:
        """The newest stands; of two at once that of the greater event id, so that no order counts."""
        before = self.by_alert.get(case.alert_id)
        if before is None and len(self.by_alert) >= CASES_MAX:
            self.left_out += 1
        elif before is None or (case.decided_ms, case.event_id) > (before.decided_ms, before.event_id):
            self.by_alert[case.alert_id] = case

    def of(self, alert: Alert) -> Case | None:
        """On this alert, if it is about the same creator."""
        case = self.by_alert.get(alert.alert_id)
        return case if case is not None and case.creator_id == alert.entity.id else None

    def verdict(self, alert: Alert) -> str:
        """true, false or unlabelled."""
        case = self.of(alert)
        return "unlabelled" if case is None else VERDICTS.get(case.decision, "unlabelled")


def case_rows(cases: Cases, alerts: Iterable[Alert]) -> list[CaseRow]:
    """Each decided alert, and whether it was raised again, by the time of the decision."""
    raised = {alert.alert_id: alert for alert in alerts if cases.of(alert) is not None}
    rows = []
    for case in cases.by_alert.values():
        again = raised.get(case.alert_id)
        signal = None if again is None else again.signal
        rows.append(CaseRow(case.alert_id, case.creator_id, case.market, case.decision, case.decided_ms,
                            again is not None, signal))  # fmt: skip
    return sorted(rows, key=lambda row: (row.decided_at, row.alert_id))
