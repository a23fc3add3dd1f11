"""Recordings: what is written is read again, ticks stand at their place, and a broken file says where it is broken."""

import errno
import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.columns import Record
from streams.files import NoRecordingError, RecordingError, whole_file
from streams.recording import LINE_BYTES_MAX, Recording, head_line, record_line, tick_line, write_recording
from streams.records import RECORD_BYTES_MAX
from streams.spread import murmur2, partition_of
from streams.ticks import Tick


def event(creator: str, n: int = 0) -> bytes:
    return json.dumps({"event_id": f"e{n}", "creator_id": creator, "type": "order.paid", "market": "TH",
                       "occurred_at": n}).encode()  # fmt: skip


def entries(path: Path, partitions: int = 4) -> list[tuple[int, Record | Tick]]:
    return list(Recording(path, partitions).entries())


# ---- where Kafka puts a key --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "signed"),
    [  # org.apache.kafka.common.utils.UtilsTest
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_has_the_values_of_kafkas_own_test(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed % 2**32


def test_murmur2_equals_that_of_both_kafka_clients() -> None:
    from aiokafka.partitioner import murmur2 as aiokafkas
    from kafka.partitioner.default import murmur2 as kafka_pythons

    rng = random.Random(5)
    for _ in range(2_000):
        key = rng.randbytes(rng.randrange(70))
        assert murmur2(key) == kafka_pythons(key) % 2**32 == aiokafkas(key) % 2**32


@pytest.mark.parametrize("partitions", [1, 4, 12, 97])
def test_a_key_falls_where_a_producer_would_put_it(partitions: int) -> None:
    from aiokafka.partitioner import DefaultPartitioner

    everywhere = list(range(partitions))
    for n in range(500):
        key = f"c_{n:05d}".encode()
        assert partition_of(key, partitions) == DefaultPartitioner()(key, everywhere, everywhere)


# ---- plain events ------------------------------------------------------------------------------------------


def test_plain_events_are_spread_by_their_creator_and_ordinals_stand_for_offsets(tmp_path: Path) -> None:
    lines = [event(f"c_{n % 7}", n) for n in range(50)]
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(lines))  # no line end behind the last
    found = entries(tmp_path / "e.jsonl")
    assert [record.value for _, record in found if isinstance(record, Record)] == lines
    offsets: dict[int, int] = {}
    for partition, record in found:
        assert isinstance(record, Record)
        assert record.key is not None
        assert partition == partition_of(record.key, 4)
        assert record.offset == offsets.get(partition, 0)
        offsets[partition] = record.offset + 1
    assert len(offsets) > 1


def test_a_line_that_is_no_event_is_a_bad_record_and_not_an_error(tmp_path: Path) -> None:
    bad = [b"not json", b"[1]", b'{"creator_id": 5}', b"\xff\xfe\x00", b"{" * 3_000, b'{"creator_id": "c_1"']
    (tmp_path / "e.jsonl").write_bytes(b"\n".join([event("c_1"), *bad]))
    found = [record for _, record in entries(tmp_path / "e.jsonl")]
    assert [record.value for record in found[1:] if isinstance(record, Record)] == bad
    assert [record.key for record in found if isinstance(record, Record)] == [b"c_1"] + [None] * len(bad)


def test_blank_lines_a_byte_order_mark_and_windows_line_ends_are_no_part_of_an_event(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(b"\xef\xbb\xbf" + event("c_1") + b"\r\n\r\n  \n" + event("c_2") + b"\n")
    values = [record.value for _, record in entries(tmp_path / "e.jsonl") if isinstance(record, Record)]
    assert values == [event("c_1"), event("c_2")]


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(event("c_1") + b"\n" + b"x" * (2 * LINE_BYTES_MAX + 5) + b"\n" + event("c_2"))
    values = [record.value or b"" for _, record in entries(tmp_path / "e.jsonl") if isinstance(record, Record)]
    assert [len(value) for value in values] == [len(event("c_1")), LINE_BYTES_MAX, len(event("c_2"))]


def test_gzip_is_known_by_its_content_not_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(gzip.compress(event("c_1")))
    (tmp_path / "e.jsonl.gz").write_bytes(event("c_1"))
    assert entries(tmp_path / "e.jsonl") == entries(tmp_path / "e.jsonl.gz") != []


# ---- recordings --------------------------------------------------------------------------------------------

some_bytes = st.none() | st.binary(max_size=40) | st.text(max_size=20).map(lambda text: text.encode())


@given(st.lists(st.tuples(st.integers(0, 3), some_bytes, some_bytes, st.integers(0, 2**42)), min_size=1, max_size=30))
def test_what_is_recorded_is_read_again_byte_for_byte(rows: list[tuple[int, Any, Any, int]]) -> None:
    import tempfile

    written = [(p, Record(n, key, value, at)) for n, (p, key, value, at) in enumerate(rows)]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("r.jsonl", "r.jsonl.gz"):
            path = Path(folder) / name
            assert write_recording(path, iter(written), topic="staging-events", partitions=4) == len(rows)
            source = Recording(path)
            assert source.kind == "recording"
            assert list(source.entries()) == written
            assert list(source.entries()) == written  # again and again
            assert source.topic == "staging-events"


def test_the_same_recording_is_the_same_gzip(tmp_path: Path) -> None:
    written = [(0, Record(0, b"k", b"v", 1))]
    for name in ("a.gz", "b.gz"):
        write_recording(tmp_path / name, iter(written), topic="t", partitions=1)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def place(*lines: bytes, at: Path) -> list[tuple[int, int, str]]:
    """(partition, offset or up_to, kind) in the order of reading."""
    at.write_bytes(b"".join(lines))
    return [
        (p, entry.up_to or 0, "tick") if isinstance(entry, Tick) else (p, entry.offset, "record")
        for p, entry in entries(at)
    ]


def rec(partition: int, offset: int) -> bytes:
    return record_line(partition, Record(offset, b"k", b"v", 0))


def test_a_tick_is_obeyed_after_its_record_wherever_it_stands_in_the_file(tmp_path: Path) -> None:
    ticks = [tick_line(Tick(0, 1, 1, 900)), tick_line(Tick(1, 1, 0, 700)), tick_line(Tick(0, 1, 2, 950))]
    records = [rec(0, 0), rec(1, 0), rec(0, 1), rec(0, 2), rec(1, 1)]
    expected = {
        0: [(0, 0, "record"), (0, 1, "record"), (0, 900, "tick"), (0, 2, "record"), (0, 950, "tick")],
        1: [(1, 0, "record"), (1, 700, "tick"), (1, 1, "record")],
    }
    for lines in ([*ticks, *records], [*records, *ticks], [*records[:2], *ticks, *records[2:]]):
        found = place(head_line("creator-events", 2), *lines, at=tmp_path / "r.jsonl")
        assert {p: [entry for entry in found if entry[0] == p] for p in (0, 1)} == expected


def test_offsets_with_holes_keep_ticks_at_their_place(tmp_path: Path) -> None:
    found = place(rec(0, 3), rec(0, 9), tick_line(Tick(0, 1, 5, 900)), at=tmp_path / "r.jsonl")
    assert [entry[2] for entry in found] == ["record", "tick", "record"]


def test_a_tick_of_a_lower_epoch_than_one_before_it_is_void(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    found = place(
        rec(0, 0), tick_line(Tick(0, 1)), tick_line(Tick(0, 1, 0, 100)), tick_line(Tick(0, 2)),
        tick_line(Tick(0, 1, 0, 500)), tick_line(Tick(0, 2, 0, 200)), at=path,
    )  # fmt: skip
    assert found == [(0, 0, "record"), (0, 100, "tick"), (0, 200, "tick")]
    source = Recording(path)
    list(source.entries())
    assert source.ticks_void == 1


def test_a_tick_behind_records_that_were_not_recorded_is_not_obeyed(tmp_path: Path) -> None:
    found = place(rec(0, 0), tick_line(Tick(0, 1, 7, 900)), at=tmp_path / "r.jsonl")
    assert found == [(0, 0, "record")]


# ---- what is refused ---------------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(RecordingError) as caught:
        entries(path)
    said = str(caught.value)
    assert "\n" not in said
    assert str(path) in said
    return said


def test_a_file_that_is_not_there_and_a_folder_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(NoRecordingError, match="no such file"):
        Recording(tmp_path / "nope.jsonl")
    with pytest.raises(NoRecordingError, match="is a folder"):
        Recording(tmp_path)


def test_a_pipe_is_refused_and_not_read_half(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NoRecordingError, match="is a pipe"):
        Recording(tmp_path / "pipe")


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "e.jsonl").write_bytes(content)
    assert "is empty" in refusal(tmp_path / "e.jsonl")


def test_truncated_and_damaged_gzip_is_refused(tmp_path: Path) -> None:
    rng = random.Random(1)
    whole = gzip.compress(b"".join(event(f"c_{rng.random()}", n) + b"\n" for n in range(3_000)))
    (tmp_path / "e.gz").write_bytes(whole[: len(whole) // 2])
    assert "broken gzip" in refusal(tmp_path / "e.gz")
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    (tmp_path / "d.gz").write_bytes(damaged)
    assert "broken gzip" in refusal(tmp_path / "d.gz")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"not json\n", "line 3: is no line of a recording"),
        (b'{"partition":0,"offset":5,"typo":1}\n', "typo"),
        (b'{"partition":0,"offset":-5}\n', "expected a partition and an offset"),
        (b'{"offset":5}\n', "expected a partition and an offset"),
        (b'{"partition":0,"offset":5,"value_base64":"%%"}\n', "expected base64"),
        (b'{"tick":{"partition":0}}\n', "epoch"),
        (rec(0, 0), "in order of offset"),
    ],
)
def test_a_broken_line_of_a_recording_is_an_error_that_names_the_line(tmp_path: Path, line: bytes, why: str) -> None:
    (tmp_path / "r.jsonl").write_bytes(head_line("t", 1) + rec(0, 0) + line)
    said = refusal(tmp_path / "r.jsonl")
    assert "line 3" in said
    assert why in said


def test_a_recording_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b'{"recording":{"version":9}}\n')
    assert "version 9" in refusal(tmp_path / "r.jsonl")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "e.jsonl").write_bytes(event("c_1"))

    def forbidden(*_: Any) -> None:  # root may read everything
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    assert "can't be read: Permission denied" in refusal(tmp_path / "e.jsonl")


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def interrupted() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


LARGE = {"nul": bytes(5 << 20), "odd": b"\xff" * (5 << 20), "text": "é".encode() * (3 << 20)}


@pytest.mark.parametrize("large", LARGE.values(), ids=LARGE)
def test_a_record_that_is_far_too_large_is_recorded_so_that_it_can_be_read(large: bytes, tmp_path: Path) -> None:
    lines = [record_line(0, Record(0, b"c_1", large)), record_line(0, Record(1, large, event("c_1")))]
    assert all(len(line) < LINE_BYTES_MAX for line in lines)
    (tmp_path / "r.jsonl").write_bytes(head_line("creator-events", 1) + b"".join(lines))
    read = [entry for _, entry in Recording(tmp_path / "r.jsonl", 1).entries()]
    records = [record for record in read if isinstance(record, Record)]
    assert [len(record.value or b"") > RECORD_BYTES_MAX for record in records] == [True, False]
