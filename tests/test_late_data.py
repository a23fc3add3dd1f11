"""Events that come late: what they withdraw, and for whom a signal waits."""

from collections.abc import Iterator

import msgspec
import pytest

from config.checks import Around, signal_problems
from config.schema import Catalogue, Severity
from streams.engine import Engine
from streams.grounds import Ground
from streams.records import Alert
from streams.shard import Shard
from streams.state import restore, take
from streams.ticks import Tick
from tests.streamed import DAY, HOUR, MINUTE, START, TOPIC, Result, event, keep, numbered, run, shipped

SIGNAL = "negative_review_rate"
DAYS = 6
BURST = START + DAYS * DAY  # an hour in which c0 has ten bad reviews and no other
Pair = tuple[bytes, bytes]


def catalogue(**changes: object) -> Catalogue:
    """Only low reviews, of one window, with a mark that the burst is well over."""
    base = shipped()
    signal = base.signals[SIGNAL]
    tests = [msgspec.structs.replace(test, severity=Severity(warning=3.0)) for test in signal.tests[:1]]
    signal = msgspec.structs.replace(signal, tests=tests, warmup="48h", **changes)
    markets = {code: msgspec.structs.replace(m, thresholds={}) for code, m in base.markets.items()}
    return msgspec.structs.replace(base, signals={SIGNAL: signal}, markets=markets)


def review(name: str, who: int, at: int, stars: int) -> Pair:
    return event(name, "review.posted", f"c{who}", at, attrs={"stars": stars})


def usual(until: int) -> Iterator[tuple[int, Pair]]:
    """Eight creators, a review every two hours, one in ten of them bad."""
    for hour in range(0, (until - START) // HOUR, 2):
        for who in range(8):
            at = START + hour * HOUR + who * MINUTE
            yield at, review(f"u{hour}-{who}", who, at, 1 if (hour // 2 + who) % 10 == 0 else 5)


def stream(late: int, at: int = BURST + 62 * MINUTE, until: int = BURST + 30 * HOUR) -> list[Pair]:
    """The burst; and `late` good reviews of the very same hour that arrive only when it is `at`."""
    rows = list(usual(until))
    rows += [(BURST + 10 * MINUTE + i, review(f"bad{i}", 0, BURST + 10 * MINUTE + i, 1)) for i in range(10)]
    rows += [(at + i, review(f"late{i}", 0, BURST + 20 * MINUTE + i, 5)) for i in range(late)]
    for i in range(40):  # event time goes on
        now = BURST + 60 * MINUTE + 7 * MINUTE * i
        rows += [(now, review(f"now{i}-{who}", who, now, 5)) for who in (5, 6, 7)]
    return [pair for _, pair in sorted(rows, key=lambda row: row[0])]


def alerts(pairs: list[Pair], cat: Catalogue | None = None) -> list[Alert]:
    return [a for a in run(numbered(pairs), cat or catalogue())[1].alerts if a.entity.id == "c0"]


LATE = BURST + 80 * MINUTE  # after the alert, and within the hour


def test_an_alert_whose_ground_late_events_take_is_retracted_and_says_why() -> None:
    opened, over = alerts(stream(60, LATE))[:2]
    assert (opened.status, opened.opened_at) == ("opened", BURST + HOUR)
    assert (over.status, over.status_reason, over.revision) == ("retracted", "late_data", 2)
    assert over.alert_id == opened.alert_id
    assert (over.window_start, over.window_end) == (opened.window_start, opened.window_end)
    assert over.denominator == (opened.denominator or 0) + 60
    assert over.numerator == opened.numerator
    assert over.reason_code == "over_late_data"


def test_a_few_late_events_leave_an_alert_as_it_was() -> None:
    statuses = [a.status for a in alerts(stream(1, LATE))]
    assert statuses[0] == "opened"
    assert "retracted" not in statuses


def test_events_that_come_in_time_give_no_alert_in_the_first_place() -> None:
    assert alerts(stream(60, BURST + 30 * MINUTE)) == []


def test_what_comes_hours_later_withdraws_nothing() -> None:
    assert "retracted" not in [a.status for a in alerts(stream(60, BURST + 5 * HOUR))]


def test_a_retraction_does_not_depend_on_batches_or_a_restart() -> None:
    records, cat = numbered(stream(60, LATE)), catalogue()
    whole = run(records, cat)[1].lines
    assert any(b'"late_data"' in line for line in whole)
    first = next(i for i, record in enumerate(records) if b'"ebad9"' in (record.value or b""))
    for cut in range(first, first + 90, 7):
        result, before = Result(), Shard(Engine(cat, TOPIC, 0))
        keep(result, before.feed(records[:cut]))
        engine = Engine(cat, TOPIC, 0)
        restore(engine, take(before.engine))
        after = Shard(engine)
        keep(result, after.feed(records))
        keep(result, engine.close())
        assert result.lines == whole


def test_a_signal_that_waits_counts_what_comes_meanwhile() -> None:
    assert alerts(stream(60, LATE), catalogue(lateness="1h")) == []


def test_a_signal_that_waits_says_the_same_of_the_same_window_so_much_later() -> None:
    records = numbered(stream(0))
    soon, patient = catalogue(), catalogue(lateness="45m")
    opened = [next(a for a in run(records, cat)[1].alerts if a.entity.id == "c0") for cat in (soon, patient)]
    assert opened[0].opened_at == opened[1].opened_at == BURST + HOUR
    assert (opened[0].numerator, opened[0].denominator) == (opened[1].numerator, opened[1].denominator)
    seen = []
    for cat in (soon, patient):
        shard, out = Shard(Engine(cat, TOPIC, 0)), []
        for record in records:
            out += [(shard.engine.clock.closed, a) for a in shard.feed([record]).alerts if a.entity.id == "c0"]
        seen.append(out[0][0])
    assert seen[1] - seen[0] == 45 * MINUTE


def test_a_waiting_signal_is_judged_to_the_end_when_the_input_ends() -> None:
    pairs = [pair for pair in stream(0, until=BURST + HOUR) if b'"now' not in pair[1]]
    assert [a.status for a in alerts(pairs, catalogue(lateness="6h"))][:1] == ["opened"]


def test_what_an_alert_was_opened_on_is_kept_for_an_hour() -> None:
    shard = Shard(Engine(catalogue(), TOPIC, 0))
    shard.feed(numbered(stream(0)))
    key = (0, shard.engine.entities.slot("c0", "TH"))
    assert key in shard.engine.episodes
    assert key not in shard.engine.grounds.of

    shard = Shard(Engine(catalogue(), TOPIC, 0))
    shard.feed(numbered(stream(0, until=BURST + HOUR))[: -3 * 30])
    shard.tick(0, Tick(0, 1, 0, BURST + HOUR))
    assert shard.engine.grounds.of == {key: Ground(BURST + HOUR, (0,), 0)}


@pytest.mark.parametrize(("lateness", "fault"), [
    ("7m", "'7m'; expected a multiple of engine.yaml's pane, 15m"),
    ("0m", "'0m'; expected more than nothing and at most 24h"),
    ("25h", "'25h'; expected more than nothing and at most 24h"),
    ("90m", None),
])  # fmt: skip
def test_a_signal_waits_for_whole_panes_and_at_most_a_day(lateness: str, fault: str | None) -> None:
    cat = shipped()
    around = Around(cat.engine, cat.signals, cat.markets, cat.groups, None, cat.signals)
    signal = msgspec.structs.replace(cat.signals[SIGNAL], lateness=lateness)
    assert [p.text for p in signal_problems(signal, around)] == ([] if fault is None else [fault])
