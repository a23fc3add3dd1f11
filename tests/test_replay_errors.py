"""What can be wrong with a replay's input and where its output goes: each is one line that says what and where."""

import gzip
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import config
from streams import files
from streams.replay_run import UNFINISHED
from tests.test_cli import ripcurrent as ripcurrent
from tests.test_replay import takeover

HEADER = "creator_id,market,kind,start_ms,end_ms\n"


class Wrong(NamedTuple):
    """What is wrong, what is said of it and the exit code."""

    files: dict[str, bytes]
    arguments: tuple[str, ...]
    said: str
    code: int


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"event_id": ["e1"], "type": ["order.paid"]}), sink)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


EVENTS = b"\n".join(takeover())
WITH_LABELS = ("events.jsonl", "--labels", "labels.csv")


def labels(text: str) -> dict[str, bytes]:
    return {"labels.csv": text.encode()}


WRONG = {
    "a file that is not there": Wrong({}, ("gone.jsonl",), "gone.jsonl: there is no such file; is the path right?", 2),
    "an empty file": Wrong({"e.jsonl": b""}, ("e.jsonl",), "e.jsonl: is empty; expected events", 1),
    "a truncated gzip": Wrong(
        {"e.jsonl.gz": gzip.compress(EVENTS)[:-20]}, ("e.jsonl.gz",), "e.jsonl.gz: is broken gzip (", 1
    ),
    "wrong columns": Wrong({"e.parquet": parquet()}, ("e.parquet",), "e.parquet: ", 1),
    "a line that is no line of a recording": Wrong(
        {"r.jsonl": b'{"partition":0,"offset":1,"value":"{}"}\n{"partition":0,"ofset":2}\n'},
        ("r.jsonl",), "r.jsonl: line 2: is no line of a recording: ", 1,
    ),
    "labels that are not there": Wrong(
        {}, ("events.jsonl", "--labels", "gone.csv"), "gone.csv: there is no such file; is the path right?", 2
    ),
    "labels without a column": Wrong(
        labels("creator_id,market,kind,start_ms\n"), WITH_LABELS, "labels.csv: expected the columns creator_id, ", 2
    ),
    "empty labels": Wrong(labels(""), WITH_LABELS, "labels.csv: expected the columns creator_id, market", 2),
    "labels whose time is a word": Wrong(
        labels(HEADER + "c_1,TH,order_spike,1,2\nc_1,TH,order_spike,now,2\n"), WITH_LABELS,
        "labels.csv: line 3: start_ms and end_ms are 'now' and '2'; expected whole numbers", 2,
    ),
    "labels of which a row is short": Wrong(
        labels(HEADER + "c_1,TH\n"), WITH_LABELS, "labels.csv: line 2: start_ms and end_ms are None and None", 2
    ),
    "labels that are not UTF-8": Wrong(
        {"labels.csv": b"\xff\xfe"}, WITH_LABELS, "labels.csv: is no file of labels: ", 2
    ),
    "labels of nobody who is in the events": Wrong(
        labels(HEADER + "c_77,TH,order_spike,1,2\nc_78,TH,order_spike,1,2\n"), WITH_LABELS,
        "labels.csv: line 2: 'c_77' is not in events.jsonl, nor is any other of its creators", 1,
    ),
    "an output that is a file": Wrong({"out": b""}, ("events.jsonl",), "--out out: is a file; expected a folder", 2),
    "an option that is not there": Wrong({}, ("events.jsonl", "--label", "x.csv"), "No such option", 2),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "events.jsonl").write_bytes(EVENTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def replay(ripcurrent: Any, *arguments: str) -> Any:
    return ripcurrent("replay", *arguments, "--out", "out", "--partitions", "1", "--no-tables")


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_line_with_its_place_and_leaves_nothing(what: str, ripcurrent: Any, folder: Path) -> None:
    wrong = WRONG[what]
    for name, content in wrong.files.items():
        (folder / name).write_bytes(content)
    before = sorted(folder.rglob("*"))
    done = replay(ripcurrent, *wrong.arguments)
    assert done.code == wrong.code, done.err
    assert done.err.startswith("ripcurrent: error: ")
    assert done.err.count("\n") == 1
    assert wrong.said in done.err
    there = [path for path in sorted(folder.rglob("*")) if UNFINISHED not in path.parts]
    if what == "labels of nobody who is in the events":
        there.remove(folder / "out")
    assert there == before, "but for what --resume could go on with"


def test_a_mistyped_configuration_is_one_line_with_file_and_line(ripcurrent: Any, folder: Path) -> None:
    shutil.copytree(Path(config.__file__).parent, folder / "mine", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    signal_file = folder / "mine" / "signals" / "refund_rate.yaml"
    signal_file.write_text(signal_file.read_text().replace("question:", "qestion:", 1))
    done = replay(ripcurrent, "events.jsonl", "--config", "mine")
    assert done.code == 2
    (line,) = [line for line in done.err.splitlines() if "qestion" in line]
    assert line.startswith("ripcurrent: error: mine/signals/refund_rate.yaml:")
    assert not (folder / "out").exists()


def test_a_label_of_somebody_who_is_not_there_is_a_warning_and_counts_as_missed(ripcurrent: Any, folder: Path) -> None:
    (folder / "labels.csv").write_text(HEADER + "c_1,TH,order_spike,1,2\n\nc_77,TH,order_spike,1,2\n")
    done = replay(ripcurrent, *WITH_LABELS)
    assert done.code == 0
    assert done.err == (
        "ripcurrent: warning: labels.csv: line 4: 'c_77' is not in events.jsonl; 1 of 2 labels are of creators that "
        "are not: they count as missed\n"
    )
    assert "order_spike │       2 │      0" in done.out


def test_where_nobody_is_named_everybody_may_be_looked_at(ripcurrent: Any, folder: Path) -> None:
    (folder / "labels.csv").write_text(HEADER + ",TH,covered,1,2\n")
    done = replay(ripcurrent, *WITH_LABELS)
    assert (done.code, done.err) == (0, "")
    assert "1 of them unlabelled" in done.out


# ---- no room ---------------------------------------------------------------------------------------------------


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system itself refuses to let files grow."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_without_room_for_the_result_is_one_line_and_leaves_nothing(ripcurrent: Any, folder: Path) -> None:
    with files_of_at_most(1_500):
        done = replay(ripcurrent, "events.jsonl")
    assert done.code == 1
    assert "out: no room there (File too large); nothing was written, and what was there stays" in done.err
    assert done.err.count("\n") == 1
    assert not (folder / "out").exists()


def test_a_disk_without_room_for_standard_input_is_one_line(
    ripcurrent: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.tempfile, "tempdir", str(folder))
    with (folder / "events.jsonl").open() as stdin, files_of_at_most(1_000):
        monkeypatch.setattr("sys.stdin", stdin)
        done = replay(ripcurrent, "-")
    assert done.code == 1
    assert "no room on the disk while standard input was kept there; the variable TMPDIR may name another" in done.err
    assert sorted(os.listdir(folder)) == ["events.jsonl"]


def test_a_disk_without_room_for_what_is_injected_leaves_neither_events_nor_labels(
    ripcurrent: Any, folder: Path
) -> None:
    days = b"".join(EVENTS.replace(b"176757", b"1767%02d" % (57 + 9 * n)).replace(b': "e', b': "d%d' % n) + b"\n"
                    for n in range(4))  # fmt: skip
    (folder / "events.jsonl").write_bytes(days)
    (folder / "s.yaml").write_text("kinds: {report_wave: {}}\n")
    with files_of_at_most(1_000):
        done = ripcurrent("inject", "events.jsonl", "--scenario", "s.yaml", "--out", "i.jsonl", "--labels", "l.csv")
    assert done.code == 1, done.err
    assert "i.jsonl: File too large" in done.err
    assert sorted(os.listdir(folder)) == ["events.jsonl", "s.yaml"]
