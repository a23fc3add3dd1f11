"""Creators who sell in live sessions: what they sell there is no spike, the same outside of one is."""

from functools import cache

import msgspec
import numpy as np

from config.schema import Catalogue
from streams import state
from streams.columns import Record
from streams.engine import Engine
from streams.records import Alert
from tests.streamed import DAY, HOUR, MINUTE, START, TOPIC, Result, event, keep, numbered, run, shipped

BURST = START + 7 * DAY + 12 * HOUR


@cache
def spikes(live: bool | None = False) -> Catalogue:
    """Only the signal that leaves live sessions out; or one that looks at nothing else, or at both."""
    base, change = shipped(), msgspec.structs.replace
    signal = base.signals["order_spike"]
    assert signal.measures["orders"].live is False
    measures = {"orders": change(signal.measures["orders"], live=live)}
    return change(base, signals={"order_spike": change(signal, measures=measures)})


def stream(session: tuple[int, int] | None, market: str = "TH") -> list[Record]:
    """A week of ten creators, an order an hour each; then the first one sells eighty times in forty minutes.

    `session`: minutes of the burst at which a live session starts and ends.
    """
    pairs = [
        event(f"{hour}-{who}", "order.paid", f"c{who}", START + hour * HOUR + who * 5 * MINUTE)
        for hour in range(8 * 24)
        for who in range(10)
    ]
    pairs += [event(f"burst{i}", "order.paid", "c0", BURST + i * MINUTE // 2 + 1) for i in range(80)]
    if session is not None:
        for mark, minute in zip(("started", "ended"), session, strict=True):
            pairs.append(event(mark, f"live.{mark}", "c0", BURST + minute * MINUTE, market))
    return numbered(sorted(pairs, key=lambda pair: msgspec.json.decode(pair[1])["occurred_at"]))


def told(session: tuple[int, int] | None, market: str = "TH", live: bool | None = False) -> list[Alert]:
    return run(stream(session, market), spikes(live))[1].alerts


def test_a_burst_in_a_live_session_is_no_spike_and_the_same_burst_outside_of_one_is() -> None:
    assert told((0, 41)) == []
    assert told((0, 11)) == []  # orders still follow a session for half an hour
    for session in (None, (-120, -60), (41, 60)):
        alerts = told(session)
        assert {(a.signal, a.entity.id) for a in alerts} == {("order_spike", "c0")}
        assert alerts[0].status == "opened"
        assert 80 <= alerts[0].observed <= 86


def test_a_measure_may_look_at_live_sessions_alone_or_at_everything() -> None:
    assert told((0, 41), live=True)[0].observed == 80  # the order of 12:00 is of the session, that of 11:00 is not
    assert told((-20, 0), live=True)[0].observed < 80
    assert told(None, live=True) == []
    assert told((0, 41), live=None)[0].observed > 80


def test_a_session_in_one_market_excuses_no_orders_in_another() -> None:
    assert told((0, 41), market="ID")[0].status == "opened"


def resumed(records: list[Record], at: int, *, forgetful: bool = False) -> tuple[Engine, Result]:
    """An engine that stops before this record, and another one that goes on from its state."""
    first, result = run(records[:at], spikes(), close=False)
    second = Engine(spikes(), TOPIC, 0)
    state.restore(second, state.take(first))
    if forgetful:
        second.people.lives.forget(np.arange(second.people.capacity))
    keep(result, second.feed(records[at:]))
    keep(result, second.close())
    return second, result


def test_state_taken_in_the_middle_of_a_session_goes_on_the_same() -> None:
    records = stream((0, 41))
    early = next(i for i, record in enumerate(records) if b'"eburst5"' in (record.value or b""))
    whole, expected = run(records, spikes())
    restored, result = resumed(records, early)
    assert result.lines == expected.lines == []
    one, other = state.take(whole), state.take(restored)
    assert one.memo == other.memo
    assert {path: array.tobytes() for path, array in one.arrays.items()} == {
        path: array.tobytes() for path, array in other.arrays.items()
    }
    assert resumed(records, early, forgetful=True)[1].alerts[0].status == "opened"  # what is not restored is seen
