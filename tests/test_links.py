"""Joins between events: what counts once, again, after, and what is taken back."""

import numpy as np
import pytest

from streams.engine import Engine
from streams.links import Deadlines, Table
from streams.records import decode_event
from tests.streamed import DAY, HOUR, MINUTE, START, TOPIC, eager, event, hostile, numbered


def crowd(n: int = 6, at: int = START) -> list[tuple[bytes, bytes]]:
    return [event(f"w{i}-{at}", "order.paid", f"w{i}", at) for i in range(n)]


def fed(*pairs: tuple[bytes, bytes]) -> Engine:
    engine = Engine(eager(quorum=2, inactive_after="60d"), TOPIC, 0)
    engine.feed(numbered([*crowd(), *pairs]))
    return engine


def count(engine: Engine, signal: str, measure: str, creator: str) -> int:
    """All that the shortest ring of a measure holds of a creator in TH."""
    matcher = engine.plan.measure(engine.plan.signals[engine.plan.names.index(signal)], measure)
    _, ring = min(engine.plan.rings_of[matcher], key=lambda item: item[0])
    return int(ring.cells[:, engine.entities.slots[creator, "TH"]].sum())


def test_a_buyer_counts_again_within_a_day_but_not_what_is_bought_at_once() -> None:
    at = [START + t for t in (0, MINUTE, 2 * HOUR, 3 * HOUR, 2 * DAY)]
    engine = fed(*(event(i, "order.paid", "c", t, actor_id="u1") for i, t in enumerate(at[:4])))
    assert count(engine, "brushing_concentration", "repeats", "c") == 0  # beyond the open panes: they wait
    at = [START + t for t in (0, MINUTE, 20 * MINUTE)]
    engine = fed(*(event(i, "order.paid", "c", t, actor_id="u1") for i, t in enumerate(at)))
    assert count(engine, "brushing_concentration", "repeats", "c") == 1


def test_who_reports_again_and_again_is_one_reporter_and_nobody_is_not_the_same_as_nobody() -> None:
    engine = fed(*(event(i, "report.received", "c", START + i, actor_id=f"u{i % 3}") for i in range(12)))
    assert count(engine, "report_spike", "reports", "c") == 3
    engine = fed(*(event(i, "report.received", "c", START + i) for i in range(12)))
    assert count(engine, "report_spike", "reports", "c") == 12


def test_an_order_is_one_defect_whatever_befell_it() -> None:
    kinds = ("complaint.received", "chargeback.received", "review.posted")
    engine = fed(*(event(k, k, "c", START + i, ref_id="o1", attrs={"stars": 1} if "review" in k else {})
                   for i, k in enumerate(kinds)))  # fmt: skip
    signal = engine.plan.signals[engine.plan.names.index("order_defect_rate")]
    matcher = engine.plan.measure(signal, "defects", outcome=True)
    ring = engine.plan.rings_of[matcher][0][1]
    assert int(ring.cells[:, engine.entities.slots["c", "TH"]].sum()) == 1


def test_each_of_several_samples_of_one_name_waits_for_an_answer_of_its_own() -> None:
    deadlines = Deadlines(10)
    for due in (10, 11, 12):
        deadlines.put(7, due, 3)
    deadlines.answer(7)
    assert deadlines.pop(100) == [(11, 3), (12, 3)]
    deadlines.put(8, 20, 4)
    deadlines.forget({4})
    assert deadlines.pop(100) == []


def test_a_table_forgets_what_is_too_old_and_too_much_oldest_first() -> None:
    table = Table(100)
    for time in range(0, 500, 50):
        table.put(time, time)
    assert table.trim(now=500, limit=3) == 0
    assert list(table.times) == [400, 450]
    table.put(1, 460)
    table.put(2, 470)
    assert table.trim(now=500, limit=3) == 1
    assert list(table.times) == [450, 1, 2]


@pytest.mark.parametrize("named", ["event_id", "ref_id"])
def test_an_overturned_violation_leaves_its_pane_by_either_of_its_names_once(named: str) -> None:
    violations = [
        event(f"x{i}", "violation.confirmed", "c", START + i, ref_id=f"v{i}", attrs={"kind": "spam", "points": 2})
        for i in range(3)
    ]
    what = "ex1" if named == "event_id" else "v1"
    over = [event(f"o{i}", "violation.overturned", "c", START + 9 + i, ref_id=what) for i in range(2)]
    engine = fed(*violations, *over)
    assert count(engine, "violation_burst", "violations", "c") == 2


def test_no_cell_is_ever_negative() -> None:
    engine = Engine(eager(), TOPIC, 0)
    engine.feed(hostile(22))
    assert engine.counts["overturned", "violation.confirmed"] > 0
    assert all(int(ring.cells.min()) >= 0 for ring in engine.plan.rings.values())


def test_whole_numbers_beyond_all_bounds_are_a_dead_letter_or_a_bounded_sum() -> None:
    vast = int("9" * 400)
    odd = [
        event(1, "live.minute", "c", START, attrs={"viewers": vast, "logged_in_viewers": -vast}),
        event(2, "commission.earned", "c", START, amount=1e12),
        event(3, "violation.confirmed", "c", START, attrs={"points": vast}),
        event(4, "refund.approved", "c", START, attrs={"ref_at": 1 << 63}),
    ]
    engine = Engine(eager(), TOPIC, 0)
    out = engine.feed(numbered([*crowd(), *odd, *crowd(at=START + DAY)]))
    assert [str(letter.error)[:24] for letter in out.dead] == ["Expected `int` from 0 to"]
    assert decode_event(*odd[0]).type == "live.minute"
    assert np.isfinite(engine.plan.rate_watches()[0].level[0]).all()
