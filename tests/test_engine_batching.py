"""However a stream is cut into batches, the same bytes come out, and the same is remembered."""

from typing import Any

import msgspec
import numpy as np
import pytest

from config.schema import Catalogue
from streams.columns import Record
from streams.engine import Engine
from streams.state import take
from tests.streamed import HOUR, START, TOPIC, Result, eager, event, hostile, keep, numbered, run, simulated


def memory(engine: Engine) -> dict[Any, Any]:
    """What the engine knows, by name instead of by row, to the last bit."""
    people, entities = engine.people, engine.entities
    market = {code: name for name, code in people.markets.items()}
    category = {code: name for name, code in entities.categories.items()} | {-1: None}
    cohort = {i: (market[m], category[c]) for (m, c), i in people.cohorts.items()}
    born = [(name, slot) for name, slot in sorted(entities.slots.items()) if people.born[slot] >= 0]
    known: dict[Any, Any] = {
        "closed": engine.clock.closed,
        "votes": engine.clock.votes,
        "hours": engine.evidence.hours,
        "episodes": {(s, entities.names[slot]): e for (s, slot), e in engine.episodes.items()},
        "rested": {(s, entities.names[slot]): v for (s, slot), v in engine.rested.items()},
        "categories": {name: category[int(people.category[s])] for name, s in born},
        "cohorts": {name: cohort[int(people.cohort[s])] for name, s in born},
    }
    coded = ("people.cohort", "people.category", "entities.market_of", "counted_in")
    for path, array in take(engine).arrays.items():
        if path.endswith(coded) or not array.ndim:
            continue
        wide = array.shape[-1]
        if array.shape[0] == people.capacity:
            known[path] = {name: array[s].tobytes() for name, s in born}
        elif wide == people.capacity:
            known[path] = {name: array[..., s].tobytes() for name, s in born}
        elif wide == len(market):
            known[path] = {market[m]: array[..., m].tobytes() for m in market}
        elif wide == len(cohort):
            known[path] = {cohort[c]: array[..., c].tobytes() for c in cohort}
    return known


def cuts(rng: np.random.Generator, n: int, many: int) -> list[int]:
    return sorted(rng.integers(1, n, many).tolist())


def same(records: list[Record], catalogue: Catalogue, ways: list[list[int]], least: int) -> Engine:
    """Each way of cutting gives what the whole gives; the engine of the whole."""
    whole, expected = run(records, catalogue)
    assert len(expected.alerts) >= least
    known = memory(whole)
    assert len(known) > 60
    for way in ways:
        engine, result = run(records, catalogue, way)
        assert result.lines == expected.lines
        assert result.rejected == expected.rejected
        remembered = memory(engine)
        for key, value in known.items():
            assert remembered[key] == value, key
        assert engine.next_offset == whole.next_offset
    return whole


@pytest.mark.parametrize("seed", [1, 2])
def test_any_batching_gives_the_same_bytes(seed: int) -> None:
    records = hostile(seed)
    rng = np.random.default_rng(seed)
    same(records, eager(), [cuts(rng, len(records), 3), cuts(rng, len(records), 400)], 30)


def test_one_record_at_a_time_gives_the_same_bytes() -> None:
    records = hostile(4, n=1_500, hours=24)
    same(records, eager(), [list(range(len(records)))], 30)


def test_limits_hit_in_the_middle_of_a_batch_give_the_same_bytes() -> None:
    records = hostile(5, n=1_500, hours=24)
    rng = np.random.default_rng(5)
    tight = eager(entities=22, waiting=1, evidence=60, open_episodes=6)
    ways = [cuts(rng, len(records), 300), list(range(len(records)))]
    engine = same(records, tight, ways, 6)
    hit = {label for what, label in engine.counts if what == "limit_hit"}
    assert hit == {"entities", "waiting", "open_episodes"}
    assert engine.people.live <= 22


def test_a_simulated_market_gives_the_same_bytes_however_it_is_cut() -> None:
    records = simulated(5, creators=16, days=3, campaign_days=(1,), planted=1)
    rng = np.random.default_rng(6)
    same(records, eager(inactive_after="1d"), [cuts(rng, len(records), 500)], 10)


@pytest.mark.parametrize("seed", [7, 8])
def test_which_row_an_entity_has_can_not_show(seed: int) -> None:
    records = hostile(seed, n=1_500, hours=24)
    _, expected = run(records, eager())
    engine = Engine(eager(), TOPIC, 0)
    rows = [engine.entities.slot(f"x{i}", "SG") for i in range(300)]
    for row in np.random.default_rng(seed).permutation(rows).tolist():
        engine.entities.forget(row)
    result = Result()
    keep(result, engine.feed(records))
    keep(result, engine.close())
    assert result.lines == expected.lines
    assert len(result.lines) > 10


def test_an_empty_batch_and_a_batch_of_bad_records_change_nothing() -> None:
    records = hostile(9, n=1_000, hours=20)
    whole, expected = run(records, eager())
    engine, result = Engine(eager(), TOPIC, 0), Result()
    for start in range(0, len(records), 100):
        keep(result, engine.feed([]))
        keep(result, engine.feed(records[start : start + 100]))
    keep(result, engine.feed([Record(len(records), b"c", b"{", 0), Record(len(records) + 1, b"c", None, 0)]))
    assert engine.next_offset == len(records) + 2
    keep(result, engine.close())
    assert result.lines == expected.lines
    assert len(result.dead) == len(expected.dead) + 1
    assert memory(engine) == memory(whole)


def test_refilling_evidence_with_creators_of_the_past_makes_room_and_changes_nothing() -> None:
    records = hostile(10, n=1_000, hours=20)
    _, expected = run(records, eager(evidence=500))
    engine, result = Engine(eager(evidence=500), TOPIC, 0), Result()
    past = numbered([event(f"p{i}", "order.paid", f"past{i}", START, "SG") for i in range(300)])
    shifted = [msgspec.structs.replace(r, offset=r.offset + 300) for r in records]
    engine.prefill(past)
    keep(result, engine.feed([]))
    keep(result, engine.tick(START))
    keep(result, engine.feed(shifted))
    keep(result, engine.close())
    assert [(a.alert_id, a.revision, a.score) for a in result.alerts] == [
        (a.alert_id, a.revision, a.score) for a in expected.alerts
    ]
    keep(result, engine.feed([]))
    assert len(engine.entities.slots) == engine.people.live


def test_rows_of_those_who_never_counted_are_given_away() -> None:
    engine = Engine(eager(entities=10), TOPIC, 0)
    for i in range(40):
        who = [f"c{j % 9}x{i if j > 5 else 0}" for j in range(50)]
        pairs = [event(f"{i}-{j}", "order.paid", name, START + i * HOUR) for j, name in enumerate(who)]
        engine.feed(numbered(pairs, first=50 * i))
    assert engine.people.live <= 10
    assert engine.entities.capacity == 64
    assert len(engine.entities.slots) < 64
