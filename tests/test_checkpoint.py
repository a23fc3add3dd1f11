"""Checkpoints: whole or not at all, sparse, and never believed when a bit of them is wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.catalogue import load
from streams import checkpoint, state
from streams.app import _refused
from streams.checkpoint import Manifest
from streams.columns import Record
from streams.engine import Engine
from streams.errors import CheckpointError, CheckpointFormatError
from streams.simulate import Simulation, simulate


@pytest.fixture(scope="module")
def records() -> list[Record]:
    events, _ = simulate(Simulation(seed=5, creators=30, days=5))
    return [Record(i, key, value, 0) for i, (key, value, _) in enumerate(events.iter_records())]


@pytest.fixture(scope="module")
def engine(records: list[Record]) -> Engine:
    engine = Engine(load(), "creator-events", 0)
    engine.feed(records[: len(records) // 2])
    return engine


def stored(written: checkpoint.Written, into: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """What the topic holds after this checkpoint was written."""
    manifest = written.manifest
    key = checkpoint.manifest_key(manifest.epoch, manifest.sequence)
    return {**(into or {}), **written.blocks, key: checkpoint.encode_manifest(manifest)}


def same(one: state.Snapshot, other: state.Snapshot) -> bool:
    return (
        one.memo == other.memo
        and one.arrays.keys() == other.arrays.keys()
        and all(
            a.dtype == other.arrays[k].dtype and np.array_equal(a, other.arrays[k], equal_nan=True)
            for k, a in one.arrays.items()
        )
    )


def test_what_is_written_is_what_is_read(engine: Engine) -> None:
    snapshot = state.take(engine)
    found = checkpoint.newest(stored(checkpoint.encode(snapshot, 1, 1, 7, None)))
    assert found.snapshot is not None
    assert found.manifest is not None
    assert same(found.snapshot, snapshot)
    assert (found.manifest.next_offset, found.manifest.ticks_applied) == (engine.next_offset, 7)
    assert found.faults == []


def test_a_snapshot_does_not_move_while_the_engine_goes_on(records: list[Record]) -> None:
    """It is written by another thread: a vote that came later would close a pane at another record after a restart."""
    engine = Engine(load(), "creator-events", 0)
    middle = len(records) // 3
    for cut in range(middle, middle + 400):
        engine.feed(records[engine.next_offset : cut])
        if engine.clock.votes:
            break
    assert engine.clock.votes
    snapshot = state.take(engine)
    before = checkpoint.encode(snapshot, 1, 1, 0, None)
    engine.feed(records[engine.next_offset : middle + 2_000])
    assert checkpoint.encode(snapshot, 1, 1, 0, None) == before


def test_a_restored_engine_is_in_the_same_state(engine: Engine) -> None:
    snapshot = state.take(engine)
    other = Engine(load(), "creator-events", 0)
    state.restore(other, snapshot)
    assert same(state.take(other), snapshot)


def test_nothing_is_written_again_when_nothing_changed(engine: Engine) -> None:
    first = checkpoint.encode(state.take(engine), 1, 1, -1, None)
    second = checkpoint.encode(state.take(engine), 1, 2, -1, first.manifest)
    assert first.blocks
    assert second.blocks == {}
    found = checkpoint.newest(stored(second, stored(first)))
    assert found.manifest is not None
    assert found.manifest.sequence == 2


def test_a_torn_checkpoint_falls_back_to_the_one_before_and_says_so(engine: Engine, records: list[Record]) -> None:
    first = checkpoint.encode(state.take(engine), 1, 1, -1, None)
    later = Engine(load(), "creator-events", 0)
    state.restore(later, state.take(engine))
    later.feed(records[len(records) // 2 :])
    second = checkpoint.encode(state.take(later), 1, 2, -1, first.manifest)
    assert second.blocks
    for lost in second.blocks:
        topic = stored(second, stored(first))
        del topic[lost]
        found = checkpoint.newest(topic)
        assert found.manifest is not None
        assert found.manifest.sequence == 1
        assert "missing" in found.faults[0]


def test_blocks_without_their_manifest_are_no_checkpoint(engine: Engine) -> None:
    written = checkpoint.encode(state.take(engine), 1, 1, -1, None)
    assert checkpoint.newest(written.blocks) == checkpoint.Found(None, None, [])


def test_a_higher_epoch_wins_over_a_higher_sequence(engine: Engine) -> None:
    zombie = checkpoint.encode(state.take(engine), 1, 99, -1, None)
    owner = checkpoint.encode(state.take(engine), 2, 1, -1, None)
    found = checkpoint.newest(stored(zombie, stored(owner)))
    assert found.manifest is not None
    assert (found.manifest.epoch, found.manifest.sequence) == (2, 1)


def test_only_what_the_kept_manifests_name_stays(engine: Engine) -> None:
    first = checkpoint.encode(state.take(engine), 1, 1, -1, None)
    second = checkpoint.encode(state.take(engine), 2, 1, -1, None)
    topic = stored(second, stored(first))
    gone = checkpoint.obsolete(topic, [second.manifest])
    assert set(gone) == set(stored(first))
    assert checkpoint.obsolete(topic, [first.manifest, second.manifest]) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_noticed(engine: Engine, data: st.DataObject) -> None:
    topic = stored(checkpoint.encode(state.take(engine), 1, 1, -1, None))
    key = data.draw(st.sampled_from(sorted(topic)))
    at = data.draw(st.integers(0, len(topic[key]) - 1)) if topic[key] else None
    if at is None:
        return
    harmed = bytearray(topic[key])
    harmed[at] ^= 1 << data.draw(st.integers(0, 7))
    topic[key] = bytes(harmed)
    found = checkpoint.newest(topic)
    assert found.snapshot is None
    assert len(found.faults) == 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(junk=st.binary(max_size=200))
def test_junk_is_never_a_manifest(junk: bytes) -> None:
    with pytest.raises(CheckpointError):
        checkpoint.decode_manifest(junk)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(sparse=st.lists(st.sampled_from([0, 0, 0, 0, 0, 0, 0, 1, 255]), max_size=300), times=st.integers(1, 40))
def test_bytes_written_without_their_zeros_are_the_same_again(sparse: list[int], times: int) -> None:
    raw = np.array(sparse * times, dtype=np.uint8)
    written = checkpoint.squeeze(raw)
    again = np.zeros(raw.size, dtype=np.uint8)
    checkpoint.unsqueeze(written, again)
    assert np.array_equal(again, raw)
    assert len(written) <= raw.size + 1


def test_a_count_for_one_creator_in_a_hundred_costs_a_tenth_of_its_cells() -> None:
    cells = np.zeros(40_000, dtype=np.int32)
    cells[::100] = 7
    assert len(checkpoint.squeeze(cells.view(np.uint8))) < cells.nbytes / 10


@pytest.mark.parametrize(("field", "name"), [("config_version", "configuration"), ("engine_version", "engine version")])
def test_another_configuration_or_engine_is_refused_with_both_names(engine: Engine, field: str, name: str) -> None:
    snapshot = state.take(engine)
    odd = state.Snapshot(_changed(snapshot.memo, **{field: "another"}), snapshot.arrays)
    with pytest.raises(CheckpointError, match=f"{name} another, this worker"):
        state.restore(Engine(load(), "creator-events", 0), odd)


def test_the_refusal_names_the_partition_and_the_two_ways_out() -> None:
    said = str(_refused(3, CheckpointError("the checkpoint has engine version 6, this worker 7")))
    wrote = "partition 3: the checkpoint has engine version 6, this worker 7; go back to what was before"
    assert said.startswith(wrote)
    assert "another group and topic prefix" in said


def _changed(memo: state.Memo, **changes: object) -> state.Memo:
    kept = {name: getattr(memo, name) for name in state.Memo.__struct_fields__}
    return state.Memo(**{**kept, **changes})  # type: ignore[arg-type]


def test_a_checkpoint_of_another_format_is_refused_and_not_passed_over(engine: Engine) -> None:
    """An older one beside it, or none, would have the worker begin anew in silence."""
    ours = checkpoint.encode(state.take(engine), 1, 1, -1, None)
    theirs = Manifest(checkpoint.FORMAT - 1, 2, 1, 0, -1, {}, {})
    topic = {**stored(ours), checkpoint.manifest_key(2, 1): checkpoint.encode_manifest(theirs)}
    with pytest.raises(CheckpointFormatError, match=f"format {checkpoint.FORMAT - 1}; this version reads"):
        checkpoint.newest(topic)
