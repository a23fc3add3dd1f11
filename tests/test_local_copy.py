"""The copy on disk is whole, or it is nothing."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.local_copy import INDEX, LocalCopy, Root

ROOT = Root(7, "m/1/1", b"checksum", ["m/1/1", "b/1/1/small#0"], 100)
LATER = Root(7, "m/1/1", b"checksum", ["m/1/1", "b/1/1/small#0"], 900)
FIRST = {"m/1/2": b"manifest", "b/1/2/small#0": b"one", "b/1/2/ring#0": b"two"}
SECOND = {"m/1/3": b"manifest two", "b/1/3/small#0": b"three"}
HELD = {"m/1/3": b"manifest two", "b/1/3/small#0": b"three", "b/1/2/ring#0": b"two"}


def copied(folder: Path) -> LocalCopy:
    copy = LocalCopy(folder, "checkpoints", 3)
    copy.keep(ROOT, FIRST, FIRST)
    return copy


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    assert copied(tmp_path).read() == (ROOT, FIRST)


def test_the_next_keeps_what_is_still_held_and_drops_the_rest(tmp_path: Path) -> None:
    copy = copied(tmp_path)
    copy.keep(LATER, SECOND, HELD)
    assert copy.read() == (LATER, HELD)
    assert len(list(copy.folder.iterdir())) == len(HELD) + 1


def test_a_reading_says_how_far_it_is(tmp_path: Path) -> None:
    told: list[float] = []
    copied(tmp_path).read(told.append)
    assert told == [0, 1 / 3, 2 / 3]


def test_partitions_and_topics_have_copies_of_their_own(tmp_path: Path) -> None:
    copied(tmp_path)
    assert LocalCopy(tmp_path, "checkpoints", 4).read() is None
    assert LocalCopy(tmp_path, "staging-checkpoints", 3).read() is None


@pytest.mark.parametrize("dies_at", range(4))
def test_a_death_between_two_files_leaves_the_copy_before(
    tmp_path: Path, dies_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each write, and at the moment before the index is put in its place."""
    copy, calls, write, replace = copied(tmp_path), 0, Path.write_bytes, Path.replace

    def until(do: object) -> object:
        def counted(*args: object) -> object:
            nonlocal calls
            calls += 1
            if calls > dies_at:
                raise SystemExit
            return do(*args)  # type: ignore[operator]

        return counted

    monkeypatch.setattr(Path, "write_bytes", until(write))
    monkeypatch.setattr(Path, "replace", until(replace))
    if dies_at < len(SECOND) + 1:
        with pytest.raises(SystemExit):
            copy.keep(LATER, SECOND, HELD)
        monkeypatch.undo()
        assert copy.read() == (ROOT, FIRST)
    else:
        copy.keep(LATER, SECOND, HELD)
        monkeypatch.undo()
        assert copy.read() == (LATER, HELD)


def test_a_missing_file_makes_it_no_copy(tmp_path: Path) -> None:
    copy = copied(tmp_path)
    next(f for f in copy.folder.iterdir() if f.name != INDEX).unlink()
    assert copy.read() is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_harmed_index_is_never_followed(tmp_path: Path, at: int, bit: int) -> None:
    copy = copied(tmp_path)
    data = bytearray((copy.folder / INDEX).read_bytes())
    data[at % len(data)] ^= 1 << bit
    (copy.folder / INDEX).write_bytes(bytes(data))
    assert copy.read() is None


def test_what_is_forgotten_is_gone_from_the_disk(tmp_path: Path) -> None:
    copy = copied(tmp_path)
    copy.forget()
    assert copy.read() is None
    assert os.listdir(copy.folder) == []
