"""`ripcurrent explain`: why an alert was raised, from the folder of a replay; what it says where events are gone."""

import io
import json
import shutil
from contextlib import chdir
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.table import Table

from config.catalogue import SHIPPED, load
from config.schema import Change
from streams import alert_tables
from streams.cli import main
from streams.records import Alert
from streams.tables import explained_table, time_text
from streams.traced import Point, Trace
from tests.test_replay import takeover
from tests.test_trace import golden, traced

SIGNALS = sorted(load().signals)


def written(table: Table) -> str:
    console = Console(width=140, file=(file := io.StringIO()))
    console.print(table)
    return file.getvalue()


@pytest.fixture(scope="session")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events, and what a replay of them wrote to `out`."""
    folder = tmp_path_factory.mktemp("replayed")
    (folder / "events.jsonl").write_bytes(b"".join(line + b"\n" for line in takeover()))
    with chdir(folder):
        assert done("replay", "events.jsonl", "--out", "out", "--no-tables", "--config", str(SHIPPED)) == 0
    return folder


@pytest.fixture
def folder(
    replayed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Path:
    """The same, to be changed."""
    shutil.copytree(replayed, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RIPCURRENT_CONFIG", raising=False)
    capfd.readouterr()
    return tmp_path


def done(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


def id_of(folder: Path) -> str:
    return str(json.loads((folder / "out" / "alerts.jsonl").read_bytes().splitlines()[0])["alert_id"])


# ---- what is shown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_signals_alert_is_shown_with_its_numbers_and_what_would_have_been_silent(signal: str) -> None:
    revisions = golden(signal)
    alert = revisions[0]
    history, baseline = written(alert_tables.history_table(revisions)), written(alert_tables.baseline_table(alert))
    assert all(f" {one.revision} │ {time_text(one.window_end)} " in history for one in revisions)
    shown = alert_tables.figure(alert.clears_at, alert) if alert.clears_at is not None else "none: no single window"
    assert f"nearest value that would have been silent │ {shown}" in baseline
    assert alert_tables.figure(alert.observed, alert) in baseline
    if alert.cohort is not None:
        assert f"({alert.cohort.key}, {alert.cohort.size} creators)" in baseline
    assert all(one.event_id in written(alert_tables.evidence_table(alert)) for one in alert.evidence.events)


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_thresholds_are_those_of_the_test_that_decided(signal: str) -> None:
    alert = golden(signal)[0]
    rows = alert_tables.thresholds_rows(load(), alert)
    (told,) = (row.value for row in rows if row.path.endswith(f"scores in {alert.window}"))
    marks = {name: float(mark) for name, mark in (part.split(" ") for part in told.split(", "))}
    assert alert.score >= marks[alert.severity]
    assert written(explained_table(rows, "Thresholds"))


def test_a_threshold_of_its_market_is_named_with_its_place() -> None:
    catalogue, alert = load(), golden("off_platform_redirect")[0]
    change = Change(because="a test of what is shown", minimum=7.0)
    market = msgspec.structs.replace(catalogue.markets[alert.market], thresholds={alert.signal: change})
    catalogue = msgspec.structs.replace(catalogue, markets={**catalogue.markets, alert.market: market})
    (row,) = (row for row in alert_tables.thresholds_rows(catalogue, alert) if row.path == "test 1: minimum")
    assert row.value == "7"
    assert row.source == f"markets/{alert.market}.yaml: $.thresholds.{alert.signal}: a test of what is shown"


def test_a_long_trace_shows_what_is_near_its_revisions_and_says_how_much_it_leaves_out() -> None:
    trace, revisions = traced("fake_engagement"), golden("fake_engagement")
    assert len(trace.points) > alert_tables.ROWS_MAX
    lines = written(alert_tables.trace_table(trace, revisions, revisions[0])).splitlines()
    shown = [line for line in lines if " 2026-" in line]
    left_out = [int(line.split("… ")[1].split(" more")[0]) for line in lines if "… " in line]
    assert len(shown) + sum(left_out) == len(trace.points)
    assert all(any(time_text(one.window_end) in line and one.status in line for line in shown) for one in revisions)


def test_a_short_trace_is_shown_whole() -> None:
    points = [Point(at * 3_600_000, 1.0, 1.0, None, 2.0, 0.5, None) for at in range(alert_tables.ROWS_MAX)]
    alert = golden("off_platform_redirect")[0]
    lines = written(alert_tables.trace_table(Trace("a", "events", "PT24H", 3_600_000, points), [alert], alert))
    assert lines.count("1970-01-0") == len(points)
    assert "…" not in lines


def hostile_alert() -> Alert:
    """Texts of events: markup, what moves the cursor, what turns writing round."""
    text = "[red]x[/red]\x1b[2J\u202e\n"
    alert = golden("refund_rate")[0]
    entity = msgspec.structs.replace(alert.entity, id=text)
    events = [msgspec.structs.replace(one, event_id=text) for one in alert.evidence.events]
    evidence = msgspec.structs.replace(alert.evidence, events=events)
    return msgspec.structs.replace(alert, entity=entity, reason=text, labels={text: text}, evidence=evidence)


def test_text_of_events_is_neither_markup_nor_moves_the_cursor() -> None:
    alert = hostile_alert()
    shown = "\n".join(alert_tables.headline([alert], "Refunds"))
    for table in (alert_tables.evidence_table(alert), alert_tables.baseline_table(alert)):
        shown += written(table)
    assert "[red]x[/red]" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


# ---- the command -------------------------------------------------------------------------------------------


def test_it_shows_an_alert_by_the_beginning_of_its_id(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert done("explain", id_of(folder)[:4], "--in", "out") == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert "Account takeover: c_1 in TH" in out
    assert "Window by window: PT24H, every 15 minutes" in out
    assert "Thresholds" in out
    assert "event e" in out


def test_events_that_are_elsewhere_now_are_named(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "events.jsonl").rename(folder / "moved.jsonl")
    assert done("explain", id_of(folder), "--in", "out") == 0
    out, err = capfd.readouterr()
    assert err == "ripcurrent: not window by window: events.jsonl: there is no such file; is the path right?\n"
    assert "Account takeover: c_1 in TH" in out
    assert "Window by window" not in out
    assert done("explain", id_of(folder), "--in", "out", "--events", "moved.jsonl") == 0
    assert "Window by window" in capfd.readouterr().out


def test_events_that_were_changed_are_not_taken_for_those(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"d_9"', b'"d_8"'))
    assert done("explain", id_of(folder), "--in", "out") == 0
    out, err = capfd.readouterr()
    assert err.startswith("ripcurrent: not window by window: events.jsonl: is not what was replayed: the hash")
    assert "Window by window" not in out


def test_another_configuration_is_told_and_what_the_alert_says_is_shown(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert done("init", "other") == 0
    engine = folder / "other" / "engine.yaml"
    engine.write_text(engine.read_text() + "\ninactive_after: 50d\n")
    capfd.readouterr()
    assert done("explain", id_of(folder), "--in", "out", "--config", "other") == 0
    out, err = capfd.readouterr()
    assert " decided; other has " in err
    assert "nearest value that would have been silent" in out


def test_an_alert_whose_numbers_do_not_come_out_again_gets_no_windows(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = folder / "out" / "alerts.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"observed":', b'"observed":1'))
    assert done("explain", id_of(folder), "--in", "out") == 0
    out, err = capfd.readouterr()
    assert "comes out with other numbers" in err
    assert "Window by window" not in out


@pytest.mark.parametrize("wanted", ["zz", ""])
def test_an_id_of_no_alert_is_one_line_with_the_nearest(
    wanted: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = (folder / "out" / "alerts.jsonl").read_bytes().splitlines()
    other = lines[0].replace(id_of(folder).encode(), b"0" * 32)
    (folder / "out" / "alerts.jsonl").write_bytes(b"\n".join([*lines, other]) + b"\n")
    assert done("explain", wanted, "--in", "out") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("ripcurrent: error: out: has 2 alerts, and of the id ")
    assert id_of(folder) in line


@pytest.mark.parametrize(
    ("broken", "said"),
    [(b"{", "line 1: is no alert"), (b"[]\n", "line 1: is no alert"), (b'{"alert_id":"a"}\n', "line 1: is no alert"),
     (b"\xff\n", "line 1: is no alert"), (b"x" * (1 << 21), "line 1: is over 1 MiB")],
)  # fmt: skip
def test_a_broken_file_of_alerts_is_one_line_with_its_place(
    broken: bytes, said: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "out" / "alerts.jsonl").write_bytes(broken)
    assert done("explain", "a", "--in", "out") in (1, 2)
    (line,) = capfd.readouterr().err.splitlines()
    assert f"out/alerts.jsonl: {said}" in line


def test_a_folder_of_something_else_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert done("explain", "a", "--in", "empty") == 2
    assert capfd.readouterr().err.startswith("ripcurrent: error: empty: there is no alerts.jsonl")
