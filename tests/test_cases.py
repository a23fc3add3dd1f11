"""Decided cases as labels: a verdict is on an alert, the newest stands, and nothing is known of what raised none."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cases import CASES_MAX, Case, Cases, case_rows
from streams.columns import Record
from streams.outcome import outcome
from streams.tables import cases_lines
from tests.outcomes import HOUR, KINDS, T0, TITLES, opened, result
from tests.test_cli import ripcurrent as ripcurrent
from tests.test_replay import takeover

DECISIONS = ("confirmed", "rejected", "unclear")


def decided(alert: Any, verdict: Any, n: int = 0, creator: str = "c_1", at: int = T0) -> bytes:
    attrs = {"alert_id": alert, "verdict": verdict}
    return json.dumps({"event_id": f"case-{n}", "type": "case.decided", "creator_id": creator, "occurred_at": at,
                       "market": "TH", "attrs": attrs}).encode()  # fmt: skip


def seen(*values: bytes) -> Cases:
    cases = Cases()
    entries = [(0, Record(n, json.loads(v)["creator_id"].encode(), v)) for n, v in enumerate(values)]
    assert list(cases.watch(entries)) == entries
    return cases


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(DECISIONS), st.integers(0, 5)), max_size=8),
       st.randoms())  # fmt: skip
def test_the_newest_decision_stands_in_whatever_order_they_come(found: list[tuple[str, str, int]], random: Any) -> None:
    cases = [Case(alert, "c_1", "TH", said, T0 + at, f"e{n}") for n, (alert, said, at) in enumerate(found)]
    newest = {case.alert_id: case for case in sorted(cases, key=lambda case: (case.decided_ms, case.event_id))}
    random.shuffle(cases)
    kept = Cases()
    for case in cases:
        kept.add(case)
    assert kept.by_alert == newest


def test_a_confirmed_alert_is_true_a_rejected_one_false_and_no_other_is_either() -> None:
    cases = seen(decided("a", "confirmed", 1), decided("b", "rejected", 2), decided("c", "unclear", 3))
    rows = outcome(result([opened(name) for name in "abcd"]), TITLES, cases, KINDS)
    assert {row.alert_id: row.verdict for row in rows["episodes"]} == {  # type: ignore[attr-defined]
        "a": "true", "b": "false", "c": "unlabelled", "d": "unlabelled",
    }  # fmt: skip
    assert set(rows) == {"episodes", "daily", "scorecard", "cases"}
    every: Any = rows["scorecard"][0]
    assert (every.alerts, every.true_alerts, every.false_alerts, every.unlabelled_alerts) == (4, 1, 1, 2)
    assert (every.precision, every.recall, every.false_per_1000) == (0.5, None, None)


def test_a_case_of_another_creator_says_nothing_of_an_alert() -> None:
    assert seen(decided("a", "rejected", creator="c_2")).verdict(opened("a", "c_1")) == "unlabelled"


@pytest.mark.parametrize("more", [{"verdict": "guilty"}, {"alert": 7}, {"alert": "x" * 65}, {"verdict": True}])
def test_a_case_without_an_alert_or_a_known_verdict_is_left_out_and_counted(more: dict[str, Any]) -> None:
    cases = seen(decided(**({"alert": "a", "verdict": "confirmed"} | more)))
    assert (cases.by_alert, cases.left_out) == ({}, 1)


def test_what_only_mentions_a_case_is_none() -> None:
    cases = Cases()
    values = [b'{"type":"case.decided"', decided("a", "confirmed").replace(b'"case.decided"', b'"order.paid"'), None]
    entries = [(0, Record(n, b"c_1", value)) for n, value in enumerate(values)]
    assert list(cases.watch(entries)) == entries
    assert (cases.by_alert, cases.left_out) == ({}, 0)


def test_decisions_on_more_alerts_than_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CASES_MAX >= 100_000
    monkeypatch.setattr("streams.cases.CASES_MAX", 1)
    cases = seen(decided("a", "confirmed", 1), decided("b", "confirmed", 2), decided("a", "rejected", 3, at=T0 + 1))
    assert (list(cases.by_alert), cases.by_alert["a"].decision, cases.left_out) == (["a"], "rejected", 1)


def test_alerts_that_are_not_raised_again_are_counted_apart() -> None:
    cases = seen(decided("a", "confirmed", 1), decided("gone", "confirmed", 2), decided("lost", "rejected", 3))
    rows = case_rows(cases, [opened("a"), opened("b", at=T0 + HOUR)])
    assert {row.alert_id: (row.raised, row.signal) for row in rows} == {
        "a": (True, "refund_rate"), "gone": (False, None), "lost": (False, None),
    }  # fmt: skip
    assert cases_lines(rows, 2) == [
        "2 alerts: 1 confirmed, 0 rejected, 0 unclear, 1 that nobody decided on",
        "precision of those confirmed or rejected: 100% (21% to 100%)",
        "2 decided cases are about alerts that are not raised here: 1 confirmed, 1 rejected, 0 unclear",
        "recall is not known: a case is about an alert, and nobody decides on what raised none",
    ]


def test_a_replay_of_decided_cases_raises_the_same_alerts_and_says_what_was_decided(
    ripcurrent: Any, tmp_path: Path
) -> None:
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(takeover()))
    before = ripcurrent("replay", events, "--out", tmp_path / "a", "--partitions", "1", "--no-tables")
    (opening,) = [json.loads(line) for line in (tmp_path / "a" / "alerts.jsonl").read_bytes().splitlines()]
    case = decided(opening["alert_id"], "confirmed", at=T0 + 20 * 60_000)
    events.write_bytes(b"\n".join([*takeover(), case]))
    done = ripcurrent("replay", events, "--out", tmp_path / "b", "--partitions", "1", "--no-tables",
                      "--labels", "cases")  # fmt: skip
    assert (before.code, done.code, done.err) == (0, 0, "")
    assert "1 alerts: 1 confirmed, 0 rejected, 0 unclear, 0 that nobody decided on" in done.out
    (row,) = csv.DictReader((tmp_path / "b" / "cases.csv").read_text().splitlines())
    assert (row["alert_id"], row["decision"], row["raised"]) == (opening["alert_id"], "confirmed", "true")
    (row,) = csv.DictReader((tmp_path / "b" / "episodes.csv").read_text().splitlines())
    assert row["verdict"] == "true"
    assert not (tmp_path / "b" / "labels.csv").exists()


def test_events_without_a_case_are_told_and_nothing_is_called_false(ripcurrent: Any, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(takeover()))
    done = ripcurrent("replay", tmp_path / "events.jsonl", "--out", tmp_path / "out", "--labels", "cases",
                      "--partitions", "1", "--no-tables")  # fmt: skip
    assert done.code == 0
    assert "holds no case.decided with an alert_id and a verdict: no alert is true or false" in done.err
    assert "0 confirmed, 0 rejected, 0 unclear, 1 that nobody decided on" in done.out
