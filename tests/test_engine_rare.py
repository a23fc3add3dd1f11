"""Rules about repetition and ordered patterns: rare events that keep their times."""

import msgspec
import numpy as np
import pytest

from config.schema import Repeat, Sequence, Severity, Step
from streams.columns import Matcher, clauses_of
from streams.patterns import TIMES_MAX, VALUE_MAX, RepeatWatch, SequenceWatch
from streams.records import Event, decode_event
from tests.streamed import DAY, HOUR, MINUTE, START, event, numbered, run, shipped

MARKS = Severity(warning=2.0)


def read(what: str, at: int, **attrs: str | bool | int) -> Event:
    key, value = event("x", what, "c", at, attrs=attrs)
    return decode_event(key, value)


def repeat(size: int = 10 * HOUR) -> RepeatWatch:
    return RepeatWatch(Repeat(windows=["10h by 1h"], severity=MARKS, measure="m", by="kind"), size, 0)


def test_repeats_count_the_most_frequent_value_within_the_window() -> None:
    watch = repeat()
    for at, kind in [(0, "a"), (1, "a"), (2, "b"), (9 * HOUR, "b"), (10 * HOUR, "c")]:
        watch.add(3, read("violation.confirmed", at, kind=kind))
    assert watch.most(10 * HOUR, 3) == (2, "b", 2)
    assert watch.most(10 * HOUR + 2, 3) == (2, "b", 2)
    assert watch.most(10 * HOUR + 3, 3) == (1, "c", 1)
    assert watch.most(30 * HOUR, 3) == (0, "", 0)
    assert watch.most(HOUR, 4) == (0, "", 0)
    assert watch.score(10 * HOUR, np.array([3, 4])).tolist() == [2.0, 0.0]


def test_repeats_are_due_once_for_every_pane_that_they_moved() -> None:
    watch = repeat()
    for at in (10, HOUR + 10, HOUR + 20, 3 * HOUR):
        watch.add(1, read("violation.confirmed", at, kind="a"))
    watch.add(0, read("violation.confirmed", 2 * HOUR, kind="a"))
    assert [watch.due(hour * HOUR).tolist() for hour in range(1, 6)] == [[1], [1], [0], [1], []]
    watch.add(1, read("violation.confirmed", 5, kind="a"))  # late
    assert watch.due(6 * HOUR).tolist() == [1]
    watch.add(1, read("violation.confirmed", 6 * HOUR, kind="a"))
    watch.forget(np.array([1]))
    assert watch.due(9 * HOUR).tolist() == []
    assert watch.most(9 * HOUR, 1) == (0, "", 0)


def test_repeats_keep_a_bounded_memory_in_any_order() -> None:
    first, second = repeat(size=90 * DAY), repeat(size=90 * DAY)
    times = np.random.default_rng(1).permutation(300).tolist()
    for watch, order in ((first, times), (second, sorted(times))):
        for at in order:
            watch.add(0, read("violation.confirmed", at, kind="y" * 5_000 if at % 2 else "z"))
    assert first.times == second.times
    assert len(first.times[0]) == TIMES_MAX
    assert max(len(value) for _, value, _ in first.times[0]) == VALUE_MAX


@pytest.mark.parametrize("value", [0, 1, True, 1.5, "é{}\n", 10**30])
def test_a_value_of_any_type_can_be_repeated(value: str | bool | int) -> None:
    watch = repeat()
    for at in range(3):
        watch.add(0, read("violation.confirmed", at, kind=value))
    watch.add(0, read("violation.confirmed", 4))
    assert watch.most(HOUR, 0) == (3, str(value), 3)


def sequence(*steps: Step) -> SequenceWatch:
    test = Sequence(windows=["24h by 15m"], severity=MARKS, steps=list(steps))
    return SequenceWatch(test, DAY, list(range(len(steps))), 4)


def login(says: str, **more: object) -> Step:
    return Step(name="step", says=says, events=["account.login"], within="2h", **more)  # type: ignore[arg-type]


def test_no_event_is_two_steps() -> None:
    watch = sequence(login("one"), login("two"))
    watch.add(0, 1, read("account.login", 5), [0, 1])
    assert watch.pending == [(5, 1, 0, 1)]


def test_a_value_is_new_only_after_another_was_known() -> None:
    watch = sequence(login("one"), login("two", novel=["device_id"]))
    for offset, device in enumerate(["a", "a", "b", "a", "b", "c"]):
        watch.add(0, offset, read("account.login", offset, device_id=device), [1])
    assert [offset for _, offset, _, _ in watch.pending] == [2, 5]
    watch.add(1, 9, read("account.login", 9), [1])
    assert len(watch.pending) == 2


def test_a_late_event_takes_no_step_back() -> None:
    watch = sequence(login("one"), login("two"))
    watch.add(0, 0, read("account.login", HOUR), [0])
    watch.add(0, 1, read("account.login", HOUR + 5), [1])
    assert watch.due(2 * HOUR).tolist() == [0]
    assert watch.score(2 * HOUR, np.array([0])).tolist() == [2.0]
    watch.add(0, 2, read("account.login", HOUR - 5), [0])
    assert watch.due(3 * HOUR).tolist() == [0]
    assert watch.score(3 * HOUR, np.array([0])).tolist() == [2.0]
    assert watch.score(3 * HOUR + DAY, np.array([0])).tolist() == [0.0]


def test_events_of_a_pattern_count_in_the_order_of_their_times() -> None:
    def reached(order: list[int]) -> float:
        watch = sequence(login("one"), login("two"), login("three"))
        for i in order:
            watch.add(0, i, read("account.login", 10 * i), [i])
        watch.due(HOUR)
        return float(watch.score(HOUR, np.array([0]))[0])

    assert reached([0, 1, 2]) == reached([2, 1, 0]) == reached([1, 2, 0]) == 3.0


def test_forgetting_and_growing_keep_the_others() -> None:
    watch = sequence(login("one"), login("two"))
    for slot in (0, 1):
        watch.add(slot, slot, read("account.login", 5), [0])
    watch.due(HOUR)
    watch.grow(50)
    watch.forget(np.array([0]))
    assert watch.score(HOUR, np.array([0, 1, 49])).tolist() == [0.0, 1.0, 0.0]


def test_a_matcher_takes_what_the_catalogue_asks_for() -> None:
    matcher = Matcher(clauses_of(["account.login"], {"success": False, "country": ["TH", "ID"]}))
    assert matcher.takes(read("account.login", 1, success=False, country="ID"))
    assert not matcher.takes(read("account.login", 1, success=False))
    assert not matcher.takes(read("account.login", 1, success="false", country="TH"))
    assert not matcher.takes(read("account.withdrawal", 1, success=False, country="TH"))


def test_a_takeover_is_told_step_by_step() -> None:
    quiet = [event(i, "order.paid", f"c{i % 5}", START + i * 10 * MINUTE) for i in range(100)]
    at = START + 12 * HOUR

    def victim(i: int, what: str, minutes: int, **attrs: object) -> tuple[bytes, bytes]:
        return event(f"v{i}", what, "victim", at + minutes * MINUTE, attrs=attrs)

    story = [
        event("v", "account.login", "victim", START, attrs={"success": True, "device_id": "mine", "country": "TH"}),
        *(victim(i, "account.login", i, success=False) for i in range(4)),
        victim(5, "account.login", 10, success=True, device_id="theirs", country="TH"),
        victim(6, "account.payout_changed", 30),
        victim(7, "account.withdrawal", 50),
    ]
    stream = sorted(quiet + story, key=lambda pair: msgspec.json.decode(pair[1])["occurred_at"])
    _, result = run(numbered(stream), shipped())
    assert [(a.status, a.severity, a.observed) for a in result.alerts] == [
        ("opened", "warning", 3.0), ("escalated", "critical", 4.0),
    ]  # fmt: skip
    assert {a.entity.id for a in result.alerts} == {"victim"}
    assert [e.event_id for e in result.alerts[1].evidence.events] == ["ev7"]
