"""Clocks that are wrong, gaps, late events and ticks."""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest

from config.catalogue import load
from streams.columns import Matcher, Record
from streams.engine import FAR_MAX, Engine
from tests.streamed import (
    DAY,
    HOUR,
    MINUTE,
    START,
    TOPIC,
    Result,
    eager,
    event,
    hostile,
    keep,
    numbered,
    run,
    simulated,
)

IN_2099 = 4_070_908_800_000


def lates(engine: Engine) -> int:
    return sum(n for (what, _), n in engine.counts.items() if what == "late")


def steady(hours: float, creators: int = 6, every: int = 3 * MINUTE, start: int = START) -> list[tuple[bytes, bytes]]:
    """Orders in turn, and a burst of engagement from low-trust accounts after 20 hours."""
    pairs = []
    for i in range(int(hours * HOUR // every)):
        at, day = start + i * every, start // DAY  # ids of their own
        pairs.append(event(f"{i}-{day}", "order.paid", f"c{i % creators}", at, actor_id=f"u{i % 7}", amount=3.0))
        if i % 2:
            more = {"attrs": {"trust": "normal"}}
            pairs.append(event(f"{i}n-{day}", "content.engaged", f"c{i // 2 % creators}", at, **more))
        if 20 * HOUR <= at - start < 21 * HOUR:
            pairs += [event(f"{i}l{j}-{day}", "content.engaged", "c1", at, attrs={"trust": "low"}) for j in range(3)]
    return pairs


def with_odd(at: dict[int, bytes], pairs: list[tuple[bytes, bytes]]) -> list[Record]:
    """At these places a record of an unknown type, or the odd one instead: the offsets stay."""
    out = list(pairs)
    for place in sorted(at):
        out.insert(place, (b"odd", at[place]))
    return numbered(out)


def odd(kind: str, at: int, number: int = 0) -> bytes:
    return event(f"odd{number}", kind, "odd", at)[1]


@pytest.mark.parametrize(
    ("place", "at"), [(0, IN_2099), (1, START + 60 * DAY), (300, 4_102_444_800_000), (700, IN_2099)]
)
def test_one_event_with_a_clock_in_the_future_changes_nothing(place: int, at: int) -> None:
    pairs = steady(30)
    _, expected = run(with_odd({place: odd("un.known", START)}, pairs), eager())
    _, result = run(with_odd({place: odd("order.paid", at)}, pairs), eager())
    assert len(expected.lines) >= 2
    assert result.lines == expected.lines
    assert result.rejected == [(place, "time_unconfirmed")]
    assert not expected.dead


@pytest.mark.parametrize("many", [3, 200])
def test_many_events_of_one_creator_in_the_future_change_nothing(many: int) -> None:
    pairs = steady(30)
    places = range(40, 40 + 3 * many, 3)
    _, expected = run(with_odd({p: odd("un.known", START) for p in places}, pairs), eager())
    _, result = run(with_odd({p: odd("order.paid", IN_2099 + p, p) for p in places}, pairs), eager())
    assert result.lines == expected.lines
    assert result.rejected == [(p, "time_unconfirmed") for p in places]


def test_a_clock_far_in_the_past_changes_nothing() -> None:
    pairs = steady(30)
    for place in (0, 500):
        old = [*pairs[:place], event("old", "order.paid", "c3", 0), *pairs[place:]]
        _, expected = run(with_odd({place: odd("un.known", START)}, pairs), eager())
        engine, result = run(numbered(old), eager())
        assert result.lines == expected.lines
        assert not result.dead
        assert lates(engine) == engine.counts["late", "more"] == 1


def test_events_that_wait_are_limited_and_the_oldest_gives_way() -> None:
    pairs = steady(60, every=2 * MINUTE)[: FAR_MAX + 50]
    records = with_odd({50 + 2 * i: odd("order.paid", IN_2099 - i * 25 * HOUR, i) for i in range(FAR_MAX)}, pairs)
    engine = Engine(eager(ahead="30d"), TOPIC, 0)
    out = engine.feed(records)
    assert len(engine.far) == FAR_MAX
    more = [(b"odd", odd("order.paid", IN_2099 - DAY * i, i)) for i in range(20)]
    out = engine.feed(numbered(more, first=len(records)))
    assert len(engine.far) == FAR_MAX
    assert [letter.record.offset for letter in out.dead] == [50 + 2 * i for i in range(20)]


def test_what_waited_before_a_gap_was_believed_is_not_lost_by_it() -> None:
    later = START + 10 * DAY
    lone = event("lone", "order.paid", "c1", later)
    rest = [event(f"r{i}", "order.paid", f"c{i % 4}", later + 20 * HOUR + i * HOUR) for i in range(24)]
    engine, result = run(numbered([*steady(10), lone, *rest]), eager(inactive_after="60d"), close=False)
    assert not result.dead
    assert not [1 for batch, *_ in engine.far if batch.events[0].event_id == "elone"]
    assert engine.clock.closed >= later + 30 * HOUR


def test_after_a_gap_of_days_the_stream_goes_on_by_itself() -> None:
    before, after = steady(30), steady(30, start=START + 30 * HOUR + 5 * DAY)
    engine, result = run(numbered(before + after), eager(), close=False)
    assert not result.dead
    assert engine.clock.closed >= START + 59 * HOUR + 5 * DAY
    assert max(alert.window_end for alert in result.alerts) > START + 50 * HOUR + 5 * DAY
    times = [alert.window_end for alert in result.alerts]
    assert times == sorted(times)


def test_after_a_gap_a_stream_of_one_creator_goes_on_too() -> None:
    pairs = steady(4, creators=1) + steady(4, creators=1, start=START + 10 * DAY)
    engine, result = run(numbered(pairs), eager(), close=False)
    assert not result.dead
    assert engine.clock.closed >= START + 10 * DAY - HOUR


def test_a_stream_of_two_creators_with_few_events_loses_none() -> None:
    pairs = [event(i, "order.paid", f"c{i % 2}", START + i * 3 * HOUR) for i in range(160)]
    engine, result = run(numbered(pairs), eager(inactive_after="60d"), close=False)
    assert not result.dead
    assert engine.clock.closed > START + 16 * DAY
    assert len(engine.far) < 40


def test_a_gap_of_years_forgets_everybody_and_costs_little() -> None:
    later = START + 3 * 365 * DAY
    engine, result = run(numbered(steady(30) + steady(30, start=later)), eager(), close=False)
    assert engine.counts["panes_closed", ""] < 1_200
    assert engine.clock.closed >= later + 28 * HOUR
    assert int(engine.people.born[engine.people.born >= 0].min()) >= later
    _, fresh = run(numbered(steady(30, start=later)), eager(), close=False)
    assert {a.signal for a in result.alerts if a.opened_at >= later} == {a.signal for a in fresh.alerts}


def test_a_tiny_stream_is_told_when_it_closes() -> None:
    pairs = [event(i, "violation.confirmed", "c1", START + i * HOUR, attrs={"kind": "spam"}) for i in range(10)]
    engine, result = run(numbered(pairs), eager())
    assert not result.dead
    assert engine.clock.closed > START + 9 * HOUR
    assert {(a.signal, a.entity.id) for a in result.alerts} == {("violation_burst", "c1")}
    assert max(a.observed for a in result.alerts) >= 8.0


@pytest.mark.parametrize("pairs", [[], [event(1, "order.paid", "c", START)], [event(1, "order.paid", "c", 0)]])
def test_streams_of_nothing_or_one_event_close_in_peace(pairs: list[Any]) -> None:
    engine, result = run(numbered(pairs), eager())
    assert not result.alerts
    assert not result.dead
    assert not engine.far
    assert not engine.near
    keep(result, engine.close())
    assert not result.alerts


def test_ancient_clocks_at_the_start_do_not_use_up_the_warm_up() -> None:
    ancient = [event(f"a{i}", "order.paid", f"c{i}", i) for i in range(4)]
    engine, _ = run(numbered([*ancient, *steady(10)]), eager(), close=False)
    assert START - HOUR < engine.started <= START


def test_a_producer_that_is_hours_ahead_waits_and_is_let_in() -> None:
    ahead = [event(f"a{i}", "content.engaged", "c1", START + 9 * HOUR + i * 1_000) for i in range(2_000)]
    pairs = steady(12)
    records = numbered(pairs[:40] + ahead + pairs[40:])
    engine, result = run(records, eager(), close=False)
    assert not result.dead
    assert not engine.near
    all_engaged = engine.plan.routes.matchers.index(Matcher((("content.engaged", ()),)))
    ring = engine.plan.rings[all_engaged, HOUR]
    assert int(ring.window(START + 10 * HOUR, HOUR, np.array([engine.entities.slots["c1", "TH"]]))[0]) >= 2_000


def plain(matcher: Matcher) -> bool:
    """Whether it counts every order, or every order outside live sessions, whoever buys."""
    return ("order.paid", ()) in matcher.clauses and matcher.again is None


def test_a_late_event_is_counted_and_changes_only_later_windows() -> None:
    pairs = steady(24)
    late = event("late", "order.paid", "c2", START + 15 * HOUR)
    place = len(pairs) - 60
    without, first = run(with_odd({place: odd("un.known", START)}, pairs), eager(), close=False)
    records = numbered([*pairs[:place], late, *pairs[place:]])
    engine, second = run(records, eager(), close=False)
    assert lates(engine) == lates(without) + 1
    assert engine.clock.closed == without.clock.closed
    cut = without.clock.closed - 2 * HOUR
    early = [a for a in first.alerts if a.window_end <= cut]
    assert [a for a in second.alerts if a.window_end <= cut] == early
    slot, other = engine.entities.slots["c2", "TH"], without.entities.slots["c2", "TH"]
    for key, ring in engine.plan.rings.items():
        difference = int(ring.cells[:, slot].sum()) - int(without.plan.rings[key].cells[:, other].sum())
        inside = key[1] * ring.rows > 12 * HOUR
        orders = plain(engine.plan.routes.matchers[key[0]])
        assert difference == (1 if orders and inside else 0)


def test_too_late_for_a_ring_is_counted_for_it() -> None:
    pairs = steady(30)
    engine, _ = run(numbered([*pairs, event("late", "order.paid", "c1", START - 80 * DAY)]), eager(), close=False)
    too_late = {pane for (what, pane), n in engine.counts.items() if what == "too_late" and n}
    matchers = engine.plan.routes.matchers
    assert too_late == {str(pane) for i, pane in engine.plan.rings if plain(matchers[i])}


# -- ticks -------------------------------------------------------------------------------------------------------


def ticked(records: list[Record], ticks: Iterable[int], *, between: dict[int, list[int]] | None = None) -> Result:
    engine, result = Engine(eager(), TOPIC, 0), Result()
    at = 0
    for place, times in sorted((between or {}).items()):
        keep(result, engine.feed(records[at:place]))
        at = place
        for time in times:
            keep(result, engine.tick(time))
    keep(result, engine.feed(records[at:]))
    for time in ticks:
        keep(result, engine.tick(time))
    return result


def test_a_tick_closes_the_windows_of_a_quiet_partition() -> None:
    records = numbered(steady(21))
    quiet, woken = ticked(records, []), ticked(records, [START + 50 * HOUR])
    assert woken.lines[: len(quiet.lines)] == quiet.lines
    more = woken.alerts[len(quiet.lines) :]
    assert {a.status for a in more} >= {"resolved"}
    last = {a.alert_id: a.status for a in woken.alerts}
    assert set(last.values()) == {"resolved"}


def test_one_tick_is_as_good_as_many() -> None:
    records = numbered(steady(21))
    end = START + 45 * HOUR
    rng = np.random.default_rng(3)
    many = sorted(rng.integers(START, end, 400).tolist())
    one = ticked(records, [end]).lines
    assert one == ticked(records, [*many[::4], end, end - DAY, end]).lines
    assert one == ticked(records, range(START, end + 1, 15 * MINUTE)).lines


def test_ticks_between_the_same_records_give_the_same_bytes() -> None:
    records = hostile(12, n=1_500, hours=24)
    middle = START + 11 * HOUR
    one = ticked(records, [], between={700: [middle]})
    two = ticked(records, [], between={200: [], 700: [middle - 3 * HOUR, middle], 900: [START]})
    assert one.lines == two.lines
    assert one.rejected == two.rejected


def test_a_tick_behind_the_watermark_or_before_the_first_does_nothing() -> None:
    engine = Engine(eager(), TOPIC, 0)
    assert engine.tick(START + 100 * DAY) == ([], [], [])
    assert engine.clock.closed == -1
    records = numbered(steady(30))
    plain = ticked(records, [])
    result = Result()
    keep(result, engine.feed(records))
    for time in (0, -1, START, engine.clock.closed, engine.clock.closed + 1):
        keep(result, engine.tick(time))
    assert result.lines == plain.lines


def test_events_after_a_tick_that_ran_ahead_are_late_but_counted() -> None:
    records = numbered(steady(22))
    engine = Engine(eager(inactive_after="60d"), TOPIC, 0)
    engine.feed(records[:200])
    engine.tick(START + 22 * HOUR)
    engine.feed(records[200:])
    assert lates(engine) == len(records) - 200
    for (matcher, pane), ring in engine.plan.rings.items():
        if pane == DAY and plain(engine.plan.routes.matchers[matcher]):
            assert int(ring.cells.sum()) == sum(b"order.paid" in r.value for r in records if r.value)


def test_a_simulated_stream_with_one_wrong_clock_is_unmoved() -> None:
    records = simulated(8, creators=12, days=2, campaign_days=(1,), planted=1)
    place = len(records) // 2
    tail = [msgspec.structs.replace(r, offset=r.offset + 1) for r in records[place:]]
    key, value = event("odd", "un.known", "c_00001", START)
    _, expected = run([*records[:place], Record(place, key, value, 0), *tail], eager())
    key, value = event("odd", "order.paid", "c_00001", IN_2099)
    _, result = run([*records[:place], Record(place, key, value, 0), *tail], eager())
    assert result.lines == expected.lines
    assert len(result.lines) > 5


def test_panes_may_close_before_any_event_is_in_one_that_is_open() -> None:
    """With panes of an hour the first events lie beyond the open ones, and a turn comes while no market is known."""
    base = load()
    catalogue = msgspec.structs.replace(base, engine=msgspec.structs.replace(base.engine, pane="1h"))
    records = numbered([event(i, "order.paid", f"c{i % 4}", START + MINUTE + i * 10 * MINUTE) for i in range(60)])
    engine, result = run(records, catalogue)
    assert result.dead == []
    assert engine.people.live == 4


def test_the_events_that_wait_for_others_are_limited_even_where_all_confirm_each_other_in_vain() -> None:
    base = load()
    blind = msgspec.structs.replace(base, engine=msgspec.structs.replace(base.engine, lateness="24h"), signals={})
    engine = Engine(blind, TOPIC, 0)
    out = engine.feed(list(numbered(steady(60.0))))
    assert len(engine.far) <= FAR_MAX < len(out.dead) + len(engine.far)
    assert {letter.error.reason for letter in out.dead} == {"time_unconfirmed"}
