"""`ripcurrent calibrate`: a table of every signal's false alarms, with labels and without; a bad input is one line."""

from pathlib import Path

import pytest

from streams.cli import main
from tests.catalogues import write_catalogue


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of twenty creators, their labels, and a catalogue of two signals."""
    folder = tmp_path_factory.mktemp("calibrated")
    (folder / "config").mkdir()
    write_catalogue(folder / "config")
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "--seed", "5", "--days", "3", "--creators", "20", "--out", str(folder / "events.jsonl"),
              "--labels", str(folder / "labels.csv")])  # fmt: skip
    assert ended.value.code == 0
    return folder


@pytest.fixture
def calibrate(folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run it in that folder: (exit code, output, errors)."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("RIPCURRENT_CONFIG", raising=False)
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["calibrate", *arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return ended.value.code, out, err

    return run


@pytest.mark.parametrize("labels", [(), ("--labels", "labels.csv")], ids=["without labels", "with labels"])
def test_a_table_of_every_signal_comes_out_and_nothing_is_written(calibrate, folder: Path, labels: tuple[str]) -> None:  # type: ignore[no-untyped-def]
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    code, out, err = calibrate("events.jsonl", "--config", "config", "--budget", "50", *labels)
    assert (code, err) == (0, "")
    assert "50 false alarms per 1,000 creator-days" in out
    rows = [line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│")]
    assert rows == ["refunds", "takeover", "all"]
    assert (" of " in out) == bool(labels)  # episodes that are found, of those that there are
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


def test_the_same_file_gives_the_same_table(calibrate) -> None:  # type: ignore[no-untyped-def]
    runs = [calibrate("events.jsonl", "--config", "config", "--partitions", "2") for _ in range(2)]
    assert runs[0] == runs[1]
    assert "2 false alarms per 1,000 creator-days" in runs[0][1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nope.jsonl",), "nope.jsonl: there is no such file"),
        ((".",), "is a folder"),
        ((), "see: ripcurrent calibrate --help"),
        (("events.jsonl", "--labels", "nope.csv"), "nope.csv: there is no such file"),
        (("events.jsonl", "--labels", "events.jsonl"), "expected the columns"),
        (("events.jsonl", "--budget", "-1"), "--budget"),
        (("events.jsonl", "--partitions", "0"), "--partitions"),
        (("events.jsonl", "--config", "nope"), "--config is 'nope'"),
    ],
)
def test_a_bad_input_is_refused_in_one_line(calibrate, arguments: tuple[str, ...], said: str) -> None:  # type: ignore[no-untyped-def]
    code, out, err = calibrate(*arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("ripcurrent: error: ")
    assert said in err
