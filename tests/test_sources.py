"""Sources: zstd, standard input, order and sorting; the same events give the same alerts however they come."""

import errno
import io
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streams import files, sorting
from streams.columns import Record
from streams.files import MissingExtraError, RecordingError, whole_file
from streams.recording import Recording, write_recording
from streams.simulate import Simulation, simulate, write_jsonl
from streams.sources import open_source
from streams.spread import Order, Row, probed, spread
from streams.ticks import Tick
from tests.test_cli import ripcurrent as ripcurrent

DAY = 86_400_000
T0 = 1_767_571_200_000


def event(n: int, at: int = T0, creator: str = "c_1") -> bytes:
    return json.dumps({"event_id": f"e{n}", "type": "order.paid", "creator_id": creator, "occurred_at": at,
                       "market": "TH"}).encode()  # fmt: skip


def lines(*events: bytes) -> bytes:
    return b"".join(one + b"\n" for one in events)


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def entries(path: Path, **how: Any) -> list[tuple[int, Record | Tick]]:
    with open_source(path, **how) as source:
        return list(source.entries())


def values(path: Path, **how: Any) -> list[bytes | None]:
    return [entry.value for _, entry in entries(path, **how) if isinstance(entry, Record)]


def refusal(path: Path, **how: Any) -> str:
    with pytest.raises(RecordingError) as caught:
        entries(path, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, which is empty again afterwards."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def piped(data: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    return Path("-")


# ---- zstd --------------------------------------------------------------------------------------------------


def test_zstd_is_known_by_its_content_not_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(zstd(lines(event(1), event(2))))
    (tmp_path / "e.jsonl.zst").write_bytes(lines(event(1), event(2)))
    assert values(tmp_path / "e.jsonl") == values(tmp_path / "e.jsonl.zst") == [event(1), event(2)]


def test_zstd_that_was_appended_to_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "e.zst").write_bytes(zstd(lines(event(1))) + zstd(lines(event(2))))
    assert values(tmp_path / "e.zst") == [event(1), event(2)]


def test_a_truncated_zstd_says_which_file(tmp_path: Path) -> None:
    rng = random.Random(1)
    whole = zstd(lines(*(event(n, T0 + rng.randrange(DAY)) for n in range(3_000))))
    for kept in (5, len(whole) // 2, len(whole) - 1):
        (tmp_path / "e.zst").write_bytes(whole[:kept])
        assert refusal(tmp_path / "e.zst").startswith(f"{tmp_path / 'e.zst'}: is broken zstd (Truncated")


def test_a_zstd_that_is_not_what_its_checksum_says_is_refused(tmp_path: Path) -> None:
    data = lines(*(event(n) for n in range(3_000)))
    damaged = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(data))  # as the program `zstd` does
    damaged[-1] ^= 0xFF
    (tmp_path / "e.zst").write_bytes(damaged)
    assert "is broken zstd" in refusal(tmp_path / "e.zst")


def test_a_recording_in_zstd_is_read_again_and_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    written: list[tuple[int, Record | Tick]] = [(0, Record(n, b"c_1", event(n), n)) for n in range(3_000)]
    for name in ("a.jsonl.zst", "b.jsonl.zst"):
        write_recording(tmp_path / name, iter(written), topic="t", partitions=1)
    assert (tmp_path / "a.jsonl.zst").read_bytes() == (tmp_path / "b.jsonl.zst").read_bytes()
    assert (tmp_path / "a.jsonl.zst").read_bytes().startswith(files.ZSTD)
    source = Recording(tmp_path / "a.jsonl.zst")
    assert list(source.entries()) == list(source.entries()) == written
    assert source.done == source.total


def test_a_zstd_file_is_whole_or_not_there(tmp_path: Path) -> None:
    def interrupted() -> None:
        with whole_file(tmp_path / "e.jsonl.zst") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_without_pyarrow_one_line_says_what_to_install(
    ripcurrent: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "e").write_bytes(zstd(lines(event(1))))
    (tmp_path / "p").write_bytes(b"PAR1....PAR1")
    (tmp_path / "plain").write_bytes(lines(event(1)))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("e", "p"):
        with pytest.raises(MissingExtraError, match=r"pip install 'ripcurrent\[tables\]'"):
            entries(tmp_path / name)
        done = ripcurrent("replay", tmp_path / name, "--out", tmp_path / "out", "--no-tables")
        assert (done.code, "ripcurrent[tables]" in done.error) == (2, True)
    for command in (("convert", tmp_path / "plain"), ("record",), ("simulate",)):
        done = ripcurrent(*command, "--out", tmp_path / "x.jsonl.zst")
        assert (done.code, "ripcurrent[tables]" in done.error) == (2, True)
    assert values(tmp_path / "plain") == [event(1)]
    assert not (tmp_path / "out").exists()


def test_a_worker_never_loads_pyarrow() -> None:
    told = "import sys, streams.app, streams.cli, streams.sources, streams.convert; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_parquet_within_gzip_is_refused_and_not_taken_for_bad_records(tmp_path: Path) -> None:
    (tmp_path / "e.zst").write_bytes(zstd(b"PAR1 and so on\n"))
    assert "decompress it first" in refusal(tmp_path / "e.zst")


# ---- standard input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [bytes, zstd], ids=["plain", "zstd"])
def test_standard_input_is_read_again_and_again_and_then_gone(
    packed: Any, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_source(piped(packed(lines(event(1), event(2))), monkeypatch), 2) as source:
        assert list(source.entries()) == list(source.entries())
        ((name, path),) = source.files
        assert (name, [path]) == ("standard input", list(scratch.rglob("input")))


def test_what_is_wrong_with_standard_input_is_said_of_it(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(piped(b"", monkeypatch)).startswith("standard input: is empty")
    broken = lines(b'{"recording":{"version":1}}', b"nonsense")
    assert refusal(piped(broken, monkeypatch)).startswith("standard input: line 2: ")
    assert refusal(piped(zstd(lines(event(1)))[:-1], monkeypatch)).startswith("standard input: is broken zstd")
    assert refusal(piped(b"PAR1 and no more", monkeypatch)).startswith("standard input: is broken Parquet")


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_not_waited_for(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Terminal()))
    assert "is a terminal" in refusal(Path("-"))


def test_an_error_of_who_reads_stays_what_it_is_and_the_copy_is_gone(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(OSError, match="elsewhere"),
        open_source(piped(lines(event(1)), monkeypatch)),
    ):
        raise OSError(errno.ENOSPC, "elsewhere")


def test_a_full_disk_says_which_folder(scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    said = refusal(piped(lines(event(1)), monkeypatch))
    assert said.startswith(str(scratch))
    assert "no room on the disk while standard input was kept there" in said
    (tmp_path / "e.jsonl").write_bytes(lines(event(1)))
    monkeypatch.setattr(sorting, "_spill", full)
    said = refusal(tmp_path / "e.jsonl", sort=True)
    assert said.startswith(str(scratch))
    assert f"no room on the disk while {tmp_path / 'e.jsonl'} was sorted" in said


def test_a_full_disk_under_what_is_written_says_which_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, whole_file(tmp_path / "e.jsonl"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "e.jsonl")


def test_a_command_reads_standard_input(
    ripcurrent: Any, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(lines(event(1), event(2)), monkeypatch)
    done = ripcurrent("replay", "-", "--out", tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("2 records in 1 shards")


# ---- order -------------------------------------------------------------------------------------------------


def shuffled(n: int, days: int) -> list[bytes]:
    found = [event(i, T0 + i * days * DAY // n, f"c_{i % 50}") for i in range(n)]
    random.Random(3).shuffle(found)
    return found


def test_a_file_far_out_of_order_is_refused_with_its_first_such_line(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    ordered = sorted(shuffled(2_000, 60), key=lambda line: probed(line)[1] or 0)
    path.write_bytes(lines(*ordered[1_000:], *ordered[:1_000]))
    said = refusal(path)
    assert said.startswith(f"{path}: line 1001: is of 2026-01-05, and events before it of 2026-03-0")
    assert said.endswith("--sort puts them in order")
    path.write_bytes(lines(*shuffled(2_000, 60)))
    assert "line 1" in refusal(path)
    assert len(entries(path, sort=True)) == 2_000


def test_a_file_of_one_creator_after_the_other_is_refused(tmp_path: Path) -> None:
    by_creator = [event(n, T0 + n * DAY // 10, creator) for creator in ("c_1", "c_2") for n in range(300)]
    (tmp_path / "e.jsonl").write_bytes(lines(*by_creator))
    assert "line 301" in refusal(tmp_path / "e.jsonl")


def test_clocks_that_are_wrong_and_a_few_old_events_make_no_disorder(tmp_path: Path) -> None:
    ordered = [event(n, T0 + n * DAY // 100) for n in range(3_000)]
    for n in range(0, 3_000, 20):
        ordered[n] = event(n, T0 + 9_000 * DAY)  # one in twenty is from the next decade
    for n in range(1_000, 3_000, 150):
        ordered[n] = event(n, T0 - 30 * DAY)
    (tmp_path / "e.jsonl").write_bytes(lines(*ordered, b"not json"))
    assert len(entries(tmp_path / "e.jsonl")) == 3_001


def test_events_that_are_out_of_order_by_hours_are_told_of_and_not_refused(ripcurrent: Any, tmp_path: Path) -> None:
    by_market = [event(n, T0 + n * 60_000, market) for market in ("c_1", "c_2") for n in range(600)]
    (tmp_path / "e.jsonl").write_bytes(lines(*by_market))
    done = ripcurrent("replay", tmp_path / "e.jsonl", "--out", tmp_path / "out")
    assert done.code == 0
    told = f"ripcurrent: warning: {tmp_path / 'e.jsonl'}: 490 of 1,200 events are over an hour older than those before"
    assert done.err.startswith(told)
    assert ripcurrent("replay", tmp_path / "e.jsonl", "--out", tmp_path / "out", "--sort").err == ""


def test_a_large_file_is_refused_before_its_end() -> None:
    rows: Iterator[Row] = ((n, b"c_1", T0 + (n * 7_919 % 100) * DAY, b"") for n in range(1_000_000))
    with pytest.raises(RecordingError, match="of 100,000 events"):
        list(spread(rows, 4, Order(lambda number: f"line {number}")))
    assert next(rows)[0] == 100_000


def test_what_the_simulator_writes_is_in_order(tmp_path: Path) -> None:
    events, _ = simulate(Simulation(seed=2, days=40, creators=12, null=True))
    write_jsonl(events, tmp_path / "e.jsonl")
    assert len(entries(tmp_path / "e.jsonl")) == len(events)


# ---- sorting -----------------------------------------------------------------------------------------------

some_rows = st.lists(
    st.tuples(st.none() | st.binary(max_size=3), st.none() | st.integers(0, 20), st.none() | st.binary(max_size=5)),
    max_size=60,
)


@given(some_rows, st.integers(1, 9))
def test_sorting_on_the_disk_is_a_stable_sort(drawn: list[tuple[Any, Any, Any]], run_rows: int) -> None:
    rows: list[Row] = [(number, *row) for number, row in enumerate(drawn, 1)]
    times, last = [], 0
    for _, _, time, _ in rows:
        last = last if time is None else time
        times.append(last)
    expected = [row for _, row in sorted(zip(times, rows, strict=True), key=lambda timed: timed[0])]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sorting, "WIDTH", 3)  # so that merges are merged
        assert list(sorting.in_time_order(rows, "e.jsonl", run_rows)) == expected


def test_sorted_events_have_their_offsets_in_the_order_of_time(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(lines(event(2, T0 + 2), b"not json", event(1, T0 + 1), event(3, T0 + 2)))
    found = [entry for _, entry in entries(tmp_path / "e.jsonl", partitions=1, sort=True)]
    assert [(record.offset, record.value) for record in found if isinstance(record, Record)] == list(
        enumerate([event(1, T0 + 1), event(2, T0 + 2), b"not json", event(3, T0 + 2)])
    )


def test_runs_that_are_not_read_to_the_end_are_gone(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(lines(*shuffled(100, 3)))
    with open_source(tmp_path / "e.jsonl", sort=True) as source:
        found = source.entries()
        next(found)
        assert list(scratch.iterdir()) != []
        found.close()  # type: ignore[attr-defined]


def test_a_recording_is_not_sorted(ripcurrent: Any, tmp_path: Path) -> None:
    write_recording(tmp_path / "r.jsonl", iter([(0, Record(0, b"c_1", event(1)))]), topic="t", partitions=1)
    done = ripcurrent("replay", tmp_path / "r.jsonl", "--out", tmp_path / "out", "--sort")
    assert done.code == 2
    assert done.error == f"{tmp_path / 'r.jsonl'}: is a recording, which has its order from Kafka; leave --sort out"
