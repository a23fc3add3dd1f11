"""A trace: what was measured around an alert, window after window, by an engine that decides as ever."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from config.schema import Catalogue
from streams import trace
from streams.columns import Record
from streams.engine import Engine
from streams.records import Alert, decode_alert, encode_alert
from streams.replay import replay
from streams.trace import Tracer, Wanted, traces
from streams.traced import Trace
from tests.stories import STORIES, TALES, Story, reads, stream, told_with
from tests.stories.telling import only
from tests.streamed import eager, hostile

Entries = list[tuple[int, Record]]
EVERY_KIND = {  # a story whose alert is of such a test
    "volume": "off_platform_redirect", "share": "fake_engagement", "series": "complaint_rate",
    "repeat": "violation_burst", "sequence": "account_takeover", "sum": "live_viewbot",
}  # fmt: skip


def story_of(signal: str) -> Story:
    return next(next(tale for tale in TALES if tale.signal == signal).stories())


@cache
def entries_of(signal: str) -> Entries:
    """The stream in which the signal's story is told."""
    story = story_of(signal)
    cast = dict.fromkeys(other.plot for other in told_with(story))
    records = stream(story.market, story.world, *((plot.__name__, plot) for plot in cast), reads=reads(signal))
    return [(0, record) for record in records]


def golden(signal: str) -> list[Alert]:
    """All revisions of the hero's alert."""
    story = story_of(signal)
    lines = story.path.read_bytes().splitlines()[1:]
    return [alert for alert in map(decode_alert, lines) if alert.entity.id == story.hero]


@cache
def traced(signal: str) -> Trace:
    revisions = golden(signal)
    return traces(entries_of(signal), only(signal), [revisions], close=True)[revisions[0].alert_id]


def small(*signals: str) -> Catalogue:
    catalogue = eager()
    return msgspec.structs.replace(catalogue, signals={name: catalogue.signals[name] for name in signals})


def by_id(alerts: list[Alert]) -> list[list[Alert]]:
    found: dict[str, list[Alert]] = {}
    for alert in alerts:
        found.setdefault(alert.alert_id, []).append(alert)
    return list(found.values())


@pytest.mark.parametrize("signal", EVERY_KIND.values(), ids=EVERY_KIND)
def test_the_point_at_a_revision_has_its_own_numbers_to_the_last_digit(signal: str) -> None:
    found, points = traced(signal), {point.end: point for point in traced(signal).points}
    mine = [a for a in golden(signal) if (a.window, a.unit) == (found.window, found.unit)]
    assert mine
    for alert in mine:
        point = points[alert.window_end]
        assert (point.observed, point.expected, point.score) == (alert.observed, alert.expected, alert.score)
        assert (point.low, point.high) == (alert.expected_low, alert.expected_high)
        if alert.status in ("opened", "escalated"):
            assert point.severity == alert.severity


@pytest.mark.parametrize("signal", EVERY_KIND.values(), ids=EVERY_KIND)
def test_it_goes_from_before_the_opening_to_the_end_in_steps_of_the_hop(signal: str) -> None:
    ends = [point.end for point in traced(signal).points]
    revisions = golden(signal)
    assert ends[0] < revisions[0].opened_at
    assert ends[-1] >= revisions[-1].window_end
    if len(ends) <= trace.POINTS_MAX:
        assert {later - one for one, later in pairwise(ends)} == {traced(signal).hop_ms}
    assert ends == sorted(ends)


def test_what_is_over_has_no_point_behind_its_end() -> None:
    assert golden("fake_engagement")[-1].status == "resolved"
    assert traced("fake_engagement").points[-1].end == golden("fake_engagement")[-1].window_end


def test_a_traced_run_gives_the_same_alerts_to_the_byte() -> None:
    catalogue = small("violation_burst", "review_burst", "account_takeover", "fake_engagement")
    entries = [(0, record) for record in hostile(3)]
    plain = replay(entries, catalogue, close=True)
    wanted = [Wanted(revisions) for revisions in by_id(plain.alerts)]

    def tracer(catalogue: Catalogue, topic: str, partition: int) -> Engine:
        return Tracer(catalogue, topic, partition, wanted)

    again = replay(entries, catalogue, close=True, engine=tracer)
    assert len(wanted) > 10
    assert all(one.points for one in wanted)
    assert [encode_alert(alert) for alert in again.alerts] == [encode_alert(alert) for alert in plain.alerts]


def test_many_alerts_of_many_partitions_are_traced_in_one_pass_and_other_partitions_are_not_run() -> None:
    catalogue = small("violation_burst")
    streams = [(partition, record) for partition in (3, 5) for record in hostile(partition, 1_200)]
    alerts = by_id(replay(streams, catalogue, close=True).alerts)
    nothing: Any = object()  # no engine could be fed with it
    read = iter([(4, nothing), *streams, (6, nothing)])
    found = traces(read, catalogue, alerts, close=True)
    assert set(found) == {revisions[0].alert_id for revisions in alerts}
    assert {source.partition for a in alerts for source in a[0].evidence.sources} == {3, 5}
    assert next(read, None) is None  # once, to its end


def test_nothing_is_read_for_no_alerts() -> None:
    def never() -> Iterator[tuple[int, Record]]:
        raise AssertionError
        yield

    assert traces(never(), small("violation_burst"), [], close=True) == {}


def test_it_stops_where_all_alerts_are_over() -> None:
    read = iter(entries_of("fake_engagement"))
    found = traces(read, only("fake_engagement"), [golden("fake_engagement")], close=True)
    assert found == {golden("fake_engagement")[0].alert_id: traced("fake_engagement")}
    assert next(read, None) is not None


def test_a_long_one_has_a_limit_and_keeps_the_points_of_its_revisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "POINTS_MAX", 5)
    revisions = golden("account_takeover")
    found = traces(entries_of("account_takeover"), only("account_takeover"), [revisions], close=True)
    ends = {point.end for point in found[revisions[0].alert_id].points}
    assert {alert.window_end for alert in revisions} <= ends
    assert 5 <= len(ends) <= 5 + len(revisions)


def test_an_alert_that_does_not_come_out_has_no_trace() -> None:
    other = [msgspec.structs.replace(alert, alert_id="0" * 32) for alert in golden("account_takeover")]
    assert traces(entries_of("account_takeover"), only("account_takeover"), [other], close=True) == {}


def test_every_kind_of_test_has_a_story_here() -> None:
    kinds = {test.__struct_config__.tag for name in EVERY_KIND.values() for test in only(name).signals[name].tests}
    assert {story.signal for story in STORIES} >= set(EVERY_KIND.values())
    assert kinds >= {"volume", "share", "outcome", "series", "repeat", "sequence"}
