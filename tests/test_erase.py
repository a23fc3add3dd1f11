"""A creator is forgotten: nothing of it is left in the state, and nobody else notices but by what markets add up to."""

import json
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.schema import Catalogue
from streams import checkpoint, state
from streams.columns import Record, hash64
from streams.engine import Engine
from streams.evidence import HOUR
from streams.local_copy import LocalCopy, Root
from streams.records import encode_alert
from streams.shard import Shard
from streams.ticks import Tick, unanswered, valid
from tests.streamed import TOPIC, eager, hostile, numbered

change = msgspec.structs.replace


@cache
def rules_only() -> Catalogue:
    """Without tests that compare creators with each other, or with what they usually do."""
    base = eager(inactive_after="60d")
    rules = {
        name: signal for name, signal in base.signals.items()
        if all(test.__struct_config__.tag in ("repeat", "sequence") for test in signal.tests)
    }  # fmt: skip
    return change(base, signals=rules)


@cache
def stream(seed: int = 15) -> list[Record]:
    """In which the creators have names that stand in nothing else."""
    renamed = []
    for key, value in ((r.key, r.value) for r in hostile(seed, n=900, hours=22)):
        try:
            fields = json.loads(value or b"")
            fields["creator_id"] = f"somebody-{fields['creator_id']}"
            renamed.append((fields["creator_id"].encode(), json.dumps(fields).encode()))
        except (ValueError, TypeError, KeyError):
            renamed.append((key, value))
    return numbered(renamed)


def fed(catalogue: Catalogue, upto: int = 500) -> Engine:
    engine = Engine(catalogue, TOPIC, 0)
    engine.feed(stream()[:upto])
    return engine


def busiest(engine: Engine) -> str:
    """A creator with an open alert, in several markets if there is one."""
    names = [engine.entities.names[slot] for _, slot in engine.episodes]
    creators = [name[0] for name in names if name]
    return max(sorted(set(creators)), key=creators.count)


def lines(out: object) -> list[bytes]:
    return [encode_alert(alert) for alert in (*out.alerts, *out.shadow)]  # type: ignore[attr-defined]


def of(creator: str, told: list[bytes]) -> list[bytes]:
    return [line for line in told if f'"id":"{creator}"'.encode() in line]


def blocks(engine: Engine) -> dict[str, bytes]:
    """All that a checkpoint writes, as the topic gets it."""
    return checkpoint.encode(state.take(engine), 1, 1, -1, None).blocks


def test_no_block_of_the_next_checkpoint_and_of_its_copy_on_disk_names_who_was_erased(tmp_path: object) -> None:
    engine = fed(eager())
    creator = busiest(engine)
    assert any(creator.encode() in data for data in blocks(engine).values())
    engine.erase(hash64(creator))
    written = blocks(engine)
    assert not any(creator.encode() in data for data in written.values())
    name = hash64(creator)
    for order in ("little", "big"):  # in arrays, and in msgpack
        assert not any(name.to_bytes(8, order) in data for data in written.values())  # type: ignore[arg-type]
    copy = LocalCopy(tmp_path, "checkpoints", 0)  # type: ignore[arg-type]
    copy.keep(Root(7, "m/1/1", b"checksum", []), written | {"m/1/1": b"manifest"}, [*written, "m/1/1"])
    assert not any(creator.encode() in file.read_bytes() for file in copy.folder.iterdir())


def test_its_row_is_as_one_that_nobody_ever_had() -> None:
    engine = fed(eager())
    creator = busiest(engine)
    rows = engine.known(hash64(creator))
    assert rows
    capacity = engine.entities.capacity
    unused = next(slot for slot in range(capacity) if slot >= len(engine.entities.names))
    engine.erase(hash64(creator))
    compared = 0
    for path, array in state.take(engine).arrays.items():
        for axis in (axis for axis, size in enumerate(array.shape) if size == capacity):
            for slot in rows:
                mine, never = array.take(slot, axis), array.take(unused, axis)
                assert np.array_equal(mine, never, equal_nan=True), path
                compared += 1
    assert compared > 100
    memo = state.take(engine).memo
    assert not {entry[1] for entry in (*memo.episodes, *memo.rested, *memo.overturned)} & rows.keys()
    assert not {slot for kept in memo.repeats for slot, _ in kept} & rows.keys()
    assert not {event[2] for kept in memo.pending for event in kept} & rows.keys()


def test_what_joins_its_events_is_gone_and_of_others_all_is_there() -> None:
    engine, plain = fed(eager()), fed(eager())
    creator = busiest(engine)
    engine.erase(hash64(creator))
    theirs = {(hash64(creator) * 0x1E3779B97F4A7C15 + code) & (1 << 63) - 1 for code in plain.entities.markets.values()}
    state.take(engine)
    state.take(plain)
    before, after = plain.links.packed, engine.links.packed
    tables = before[0] >= 0
    gone = tables & np.isin(before[3], sorted(theirs))
    assert gone.any()
    assert np.array_equal(after[:, after[0] >= 0], before[:, tables & ~gone])


def test_its_open_alerts_end_with_a_last_revision_that_quotes_nothing() -> None:
    engine = fed(eager())
    creator = busiest(engine)
    open_before = [e.alert_id for (_, slot), e in engine.episodes.items() if engine.entities.names[slot][0] == creator]  # type: ignore[index]
    out = engine.erase(hash64(creator))
    told = [*out.alerts, *out.shadow]
    assert sorted(alert.alert_id for alert in told) == sorted(open_before)
    assert {(a.status, a.status_reason, a.reason_code) for a in told} == {("resolved", "config", "over_erased")}
    assert all(not a.evidence.events and not a.evidence.contributors for a in told)


def test_erasing_again_and_erasing_a_stranger_change_nothing() -> None:
    engine = fed(eager())
    creator = busiest(engine)
    engine.erase(hash64(creator))
    before = blocks(engine)
    for who in (creator, "a stranger"):
        assert not engine.known(hash64(who))
        assert engine.erase(hash64(who)) == ([], [], [])
    assert blocks(engine) == before


def test_only_the_markets_that_are_named_are_forgotten() -> None:
    engine = fed(eager())
    names = [name for name in engine.entities.names if name]
    creator = next(c for c, _ in names if len([m for other, m in names if other == c]) > 1)
    first, *others = sorted(engine.known(hash64(creator)).values())
    engine.erase(hash64(creator), (first,))
    assert sorted(engine.known(hash64(creator)).values()) == others


def test_what_markets_have_learned_stays_and_what_is_due_is_the_sum_of_who_is_left() -> None:
    engine, plain = fed(eager()), fed(eager())
    creator = busiest(engine)
    engine.erase(hash64(creator))
    mine, theirs = state.take(engine).arrays, state.take(plain).arrays
    learned = (".week.", ".peers.", ".spread.", ".calibration.", ".levels.", ".campaigns.", ".delays.learned",
               ".delays.came", ".delays.said", ".lift.seen")  # fmt: skip
    paths = [path for path in mine if any(part in path for part in learned)]
    assert len(paths) > 50
    assert [path for path in paths if not np.array_equal(mine[path], theirs[path], equal_nan=True)] == []
    for watch in engine.plan.rate_watches():
        assert watch.total.sum() == watch.own.sum()


@settings(max_examples=12, derandomize=True)
@given(data=st.data())
def test_erasing_one_creator_changes_no_later_byte_about_another_where_nothing_is_summed(data: st.DataObject) -> None:
    cut = data.draw(st.integers(100, 800))
    plain, erased = fed(rules_only(), cut), fed(rules_only(), cut)
    creator = data.draw(st.sampled_from(sorted({name[0] for name in plain.entities.names if name})))
    erased.erase(hash64(creator))
    rest = [record for record in stream()[cut:] if record.key != creator.encode()]
    ours, expected = lines(erased.feed(rest)), lines(plain.feed(rest))
    assert ours == [line for line in expected if line not in of(creator, expected)]


def test_who_comes_back_is_a_newcomer() -> None:
    engine = fed(eager())
    creator = busiest(engine)
    (market, *_), since = sorted(engine.known(hash64(creator)).values()), engine.clock.closed
    engine.erase(hash64(creator))
    fields = {"event_id": "back", "type": "order.paid", "creator_id": creator, "occurred_at": since + HOUR // 2}
    engine.feed([Record(500, creator.encode(), json.dumps(fields | {"market": market}).encode())])
    (slot,) = engine.known(hash64(creator))
    assert engine.people.born[slot] == since + HOUR // 2


@pytest.mark.parametrize("cut", [7, 160, 900])
def test_a_restart_behind_an_erasure_and_a_replay_say_what_was_said_live(cut: int) -> None:
    """The records of before are read again for evidence and repetitions; nothing of the erased is quoted from them."""
    live = fed(eager())
    creator = busiest(live)
    expected = lines(live.erase(hash64(creator)))
    snapshot = state.take(live)
    expected += (later := lines(live.feed(stream()[500:])))
    assert of(creator, later), "it has to come back, and be told of"
    tick = Tick(0, 1, 499, erase=hash64(creator), asked=3)
    shard, told = Shard(Engine(eager(), TOPIC, 0), [(4, tick)]), []
    for at in range(0, 900, cut):
        told += lines(shard.feed(stream()[at : at + cut]))
    assert told[-len(expected):] == expected
    restored = Engine(eager(), TOPIC, 0)
    state.restore(restored, snapshot)
    again = Shard(restored)
    assert [line for at in range(0, 900, cut) for line in lines(again.feed(stream()[at : at + cut]))] == later


def test_a_checkpoint_right_after_a_restart_names_nobody_who_is_read_again() -> None:
    engine = fed(eager())
    creator = busiest(engine)
    engine.erase(hash64(creator))
    restored = Engine(eager(), TOPIC, 0)
    state.restore(restored, state.take(engine))
    restored.prefill(stream()[:500])
    restored.tick(restored.clock.closed + 2 * HOUR)
    assert not any(creator.encode() in data for data in blocks(restored).values())


def test_a_request_counts_for_nothing_until_the_owner_answers_it() -> None:
    wish = Tick(0, 0, erase=5)
    answer = Tick(0, 2, 9, erase=5, asked=1)
    void = change(answer, epoch=1)
    log = list(enumerate([Tick(0, 1), wish, Tick(0, 2), void]))
    assert list(valid(log)) == []
    assert unanswered(log) == [(1, wish)]
    assert list(valid([(0, wish)])) == []
    assert list(valid([*log, (4, answer)])) == [(4, answer)]
    assert unanswered([*log, (4, answer)]) == []


def everybody(engine: Engine) -> list[str]:
    return sorted({name[0] for name in engine.entities.names if name})


def test_when_all_are_erased_nothing_that_waits_or_is_remembered_of_anybody_is_left() -> None:
    engine = fed(eager(), 700)
    engine.overturned = {next(iter(engine.episodes))}
    before = state.take(engine).memo
    waiting = [one[0] for one in (*before.near, *before.far)]
    assert waiting
    assert all((sum(map(len, before.pending)), before.repeats, before.episodes, before.rested, before.overturned))
    for creator in everybody(engine):
        engine.erase(hash64(creator))
    memo = state.take(engine).memo
    assert not any((memo.near, memo.far, memo.episodes, memo.rested, memo.overturned, sum(map(len, memo.pending))))
    assert not any(kept for watch in (*memo.repeats, *memo.repeats_touched) for kept in watch)
    assert {name for name in memo.names if name} == set()
    assert memo.live == 0
    assert set(waiting) <= set(memo.void), "should they come again, that is their first delivery, live and restored"


def test_the_vote_of_the_erased_stays_and_is_nobodys() -> None:
    engine = next(e for e in (fed(eager(quorum=9), cut) for cut in range(300, 500, 7)) if len(e.clock.votes) > 2)
    times = sorted(engine.clock.votes.values())
    for creator in everybody(engine):
        engine.erase(hash64(creator))
    assert sorted(engine.clock.votes.values()) == times
    assert max(engine.clock.votes) < 0


def test_what_the_erased_did_before_is_quoted_neither_live_nor_after_a_restart() -> None:
    engine = fed(eager())
    creator = busiest(engine)
    quoted = lambda e: {event.creator_id for batch in e.evidence.recent for event in batch.events}  # noqa: E731
    assert creator in quoted(engine)
    engine.erase(hash64(creator))
    restored = Engine(eager(), TOPIC, 0)
    state.restore(restored, state.take(engine))
    for at in range(0, 500, 100):
        restored.prefill(stream()[at : at + 100])
    assert creator not in quoted(engine)
    assert quoted(restored) == quoted(engine)
