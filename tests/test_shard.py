"""A shard: records and ticks in the one order that counts, from any checkpoint."""

import random

import msgspec
import pytest

from config.catalogue import load
from streams import state
from streams.columns import Record
from streams.engine import Engine
from streams.records import encode_alert
from streams.shard import Shard
from streams.simulate import Simulation, simulate
from streams.ticks import Tick

CATALOGUE = load()
ONE = {"order_spike": CATALOGUE.signals["order_spike"]}
change = msgspec.structs.replace
SHORT = change(CATALOGUE.engine, limits=change(CATALOGUE.engine.limits, duplicates=5_000))
CLOCK = change(CATALOGUE, signals=ONE, engine=SHORT)  # where only time is asked
PANE = 15 * 60 * 1000


@pytest.fixture(scope="module")
def records() -> list[Record]:
    events, _ = simulate(Simulation(seed=6, creators=30, days=8, planted=3))
    return [Record(i, key, value, 0) for i, (key, value, _) in enumerate(events.iter_records())]


@pytest.fixture(scope="module")
def ticks(records: list[Record]) -> list[tuple[int, Tick]]:
    """Ticks as a live worker would have recorded them: a few, each a little ahead of the watermark there."""
    probe, ticks, at = Shard(Engine(CLOCK, "t", 0)), [], 0
    for n, cut in enumerate((9_000, 17_001, 17_002, len(records))):
        probe.feed(records[at:cut])
        at = cut
        tick = Tick(0, 1, records[cut - 1].offset, probe.engine.clock.closed + (1 + n % 2) * PANE)
        ticks.append((n, tick))
        probe.tick(n, tick)
    return ticks


def run(records: list[Record], ticks: list[tuple[int, Tick]], sizes: list[int], restarts: int = 0) -> list[bytes]:
    """The alerts of these records in runs of these sizes, restored from a checkpoint now and then."""
    rng = random.Random(len(sizes))
    shard, out, at, left = Shard(Engine(CATALOGUE, "t", 0), ticks), [], 0, restarts
    while at < len(records):
        size = sizes[rng.randrange(len(sizes))]
        out += shard.feed(records[at : at + size]).alerts
        at += size
        if left and shard.restored is not None and rng.random() < 0.2:
            left -= 1
            snapshot, applied = state.take(shard.engine), shard.ticks_applied
            engine = Engine(CATALOGUE, "t", 0)
            state.restore(engine, snapshot)
            shard = Shard(engine, [(offset, tick) for offset, tick in ticks if offset > applied])
            shard.ticks_applied = applied
            at = min(shard.start, engine.next_offset)
    return [encode_alert(alert) for alert in out]


def test_any_runs_any_restarts_and_recorded_ticks_give_the_same_bytes(
    records: list[Record], ticks: list[tuple[int, Tick]]
) -> None:
    reference = run(records, ticks, [1_000])
    assert len(reference) >= 10
    assert run(records, ticks, [len(records)]) == reference
    assert run(records, ticks, [37, 999, 5_000]) == reference
    assert run(records, ticks, [500, 3_000], restarts=6) == reference


def test_a_tick_at_another_place_is_another_history(records: list[Record], ticks: list[tuple[int, Tick]]) -> None:
    moved = [(n, Tick(0, 1, tick.after_offset - 4_000, tick.up_to)) for n, tick in ticks]
    shards = Shard(Engine(CLOCK, "t", 0), ticks), Shard(Engine(CLOCK, "t", 0), moved)
    late = []
    for shard in shards:
        shard.feed(records)
        late.append(sum(n for (what, _), n in shard.engine.counts.items() if what == "late"))
    assert late[0] < late[1]


def test_evidence_is_refilled_before_anything_is_judged(records: list[Record]) -> None:
    engine = Engine(CLOCK, "t", 0)
    engine.feed(records[:20_500])
    restored = Engine(CLOCK, "t", 0)
    state.restore(restored, state.take(engine))
    shard = Shard(restored)
    assert shard.start == 20_500 - CLOCK.engine.limits.evidence
    assert not shard.restored
    shard.feed(records[shard.start : 20_500])
    assert shard.restored
    assert restored.next_offset == 20_500
