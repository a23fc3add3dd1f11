"""An event counts once, however often it is delivered within the horizon; and no first delivery is lost."""

from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.columns import Record
from streams.duplicates import Deliveries
from streams.engine import Engine
from tests.streamed import HOUR, START, TOPIC, Result, eager, event, keep, numbered, run, simulated

examples = settings(max_examples=200, derandomize=True, deadline=None)
streams = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4)), max_size=60)  # (id, offsets since the last)


def placed(stream: list[tuple[int, int]]) -> tuple[list[int], list[str]]:
    return np.cumsum([gap for _, gap in stream]).tolist(), [f"e{i}" for i, _ in stream]


def by_hand(offsets: list[int], ids: list[str], horizon: int) -> list[bool]:
    return [not any(ids[j] == ids[i] and offsets[j] > offsets[i] - horizon for j in range(i)) for i in range(len(ids))]


@examples
@given(streams, st.integers(1, 30), st.lists(st.integers(0, 60), max_size=4))
def test_a_delivery_is_a_repetition_if_one_of_the_same_id_is_within_the_horizon_however_they_are_cut(
    stream: list[tuple[int, int]], horizon: int, cuts: list[int]
) -> None:
    (offsets, ids), deliveries, said = placed(stream), Deliveries(horizon), []
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(ids)], strict=True):
        said += deliveries.first(offsets[start:stop], ids[start:stop]).tolist()
    assert said == by_hand(offsets, ids, horizon)
    assert len(deliveries) <= 2 * horizon + max((b - a for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(ids)],
                                                                       strict=True)), default=0)  # fmt: skip


@examples
@given(streams, st.integers(1, 30), st.integers(0, 60))
def test_what_is_read_again_after_a_restart_tells_the_same_repetitions(
    stream: list[tuple[int, int]], horizon: int, restart: int
) -> None:
    offsets, ids = placed(stream)
    restart = min(restart, len(ids))
    position = offsets[restart - 1] + 1 if restart else 0
    again = Deliveries(horizon)
    from_here = [i for i in range(restart) if offsets[i] >= position - horizon]
    again.again([offsets[i] for i in from_here], [ids[i] for i in from_here], waiting=())
    assert again.first(offsets[restart:], ids[restart:]).tolist() == by_hand(offsets, ids, horizon)[restart:]


def doubled(records: list[Record], rng: np.random.Generator) -> list[Record]:
    """Every tenth record comes again, up to 50 records later."""
    rows = [(float(i), r) for i, r in enumerate(records)]
    rows += [(i + rng.uniform(0.5, 50.0), records[i]) for i in range(0, len(records), 10)]
    return numbered((r.key, r.value) for _, r in sorted(rows, key=lambda row: row[0]))


def told(result: Result) -> list[Any]:
    """What alerts say, but for where it was read."""
    return [msgspec.structs.replace(alert, evidence=None) for alert in result.alerts]  # type: ignore[arg-type]


def test_a_stream_whose_every_tenth_event_comes_twice_raises_the_very_same_alerts() -> None:
    records = simulated(5, creators=16, days=4, campaign_days=(1,), planted=1)
    plain = run(records, eager())[1]
    engine, twice = run(doubled(records, np.random.default_rng(3)), eager())
    assert len(plain.alerts) > 10
    assert told(twice) == told(plain)
    assert engine.counts["duplicates", "events"] == len(range(0, len(records), 10))


def steady(first: int, start: int, hours: int) -> list[tuple[bytes, bytes]]:
    return [event(f"{first}-{i}", "order.paid", f"c{i % 6}", start + i * HOUR // 6) for i in range(hours * 6)]


def test_an_event_that_became_a_dead_letter_for_its_time_counts_when_it_comes_again() -> None:
    ahead = event("early", "violation.confirmed", "c1", START + 80 * HOUR, attrs={"kind": "spam", "points": 3})
    pairs = [*steady(0, START, 30), ahead, *steady(1, START + 30 * HOUR, 60), ahead, *steady(2, START + 90 * HOUR, 4)]
    engine, result = Engine(eager(), TOPIC, 0), Result()
    keep(result, engine.feed(numbered(pairs)))
    assert [letter.error.reason for letter in result.dead] == ["time_unconfirmed"]
    assert engine.counts["duplicates", "events"] == 0
    assert engine.deliveries.newer["eearly"] == 541
