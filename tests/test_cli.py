"""The command line: every error is one clear line and an exit code, the help has examples, and files come out whole."""

import csv
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from config.catalogue import SHIPPED, load
from streams.cli import main
from tests.test_replay import takeover

COMMANDS = ("run", "check", "init", "topics", "simulate", "record", "replay", "calibrate", "compare", "convert",
            "demo")
DLQ_COMMANDS = ("dlq list", "dlq show", "dlq redrive")
NOWHERE = ("--bootstrap-servers", "127.0.0.1:1")


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line on standard error."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("ripcurrent: error: ")
        return lines[0].removeprefix("ripcurrent: error: ")


@pytest.fixture
def ripcurrent(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run a command in this process."""
    for name in [name for name in os.environ if name.startswith("RIPCURRENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "140")

    def run(*arguments: str | Path) -> Done:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in err
        return Done(ended.value.code, out, err)

    return run


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with events.jsonl and labels.csv: four days of thirty creators."""
    folder = tmp_path_factory.mktemp("simulated")
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "--seed", "5", "--days", "4", "--creators", "30", "--out", str(folder / "events.jsonl"),
              "--labels", str(folder / "labels.csv")])  # fmt: skip
    assert ended.value.code == 0
    return folder


# ---- help --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [*COMMANDS, *DLQ_COMMANDS])
def test_the_help_of_each_command_shows_examples(ripcurrent, command: str) -> None:
    done = ripcurrent(*command.split(), "--help")
    assert done.code == 0
    assert f"ripcurrent {command}" in done.out.split("Examples")[1]
    assert done.err == ""


def test_the_help_names_every_command(ripcurrent) -> None:
    done = ripcurrent("--help")
    assert done.code == 0
    assert all(command in done.out for command in (*COMMANDS, "dlq"))


def test_the_help_of_replay_says_when_the_end_of_the_file_ends_the_input(ripcurrent) -> None:
    assert "By default it does" in " ".join(ripcurrent("replay", "-h").out.split())


def test_no_command_at_all_shows_the_help_and_is_wrong_usage(ripcurrent) -> None:
    done = ripcurrent()
    assert done.code == 2
    assert "Usage: ripcurrent" in done.out + done.err


# ---- wrong usage: 2 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rnu",), "No such command 'rnu'"),
        (("replay",), "see: ripcurrent replay --help"),
        (("check", "--nope"), "--nope"),
        (("replay", "nope.jsonl", "--out", "out"), "nope.jsonl: there is no such file"),
        (("replay", ".", "--out", "out"), "is a folder"),
        (("replay", "events.jsonl", "--out", "events.jsonl"), "expected a folder"),
        (("replay", "events.jsonl", "--out", "out", "--partitions", "0"), "--partitions"),
        (("replay", "events.jsonl", "--out", "out", "--labels", "nope.csv"), "nope.csv: there is no such file"),
        (("replay", "events.jsonl", "--out", "out", "--labels", "events.jsonl"), "expected the columns"),
        (("replay", "events.jsonl", "--out", "out", "--labels", "bad.csv"), "bad.csv: line 2: start_ms and end_ms"),
        (("replay", "events.jsonl", "--out", "out", "--config", "nope"), "--config is 'nope'"),
        (("simulate",), "either --out FILE or --topic"),
        (("simulate", "--out", "a", "--topic"), "either --out FILE or --topic"),
        (("simulate", "--out", "a", "--speed", "5"), "--speed is for --topic"),
        (("simulate", "--topic", "--speed", "0"), "over 0"),
        (("simulate", "--out", "."), "is a folder"),
        (("simulate", "--out", "no/such/folder/a.jsonl"), "there is no folder"),
        (("simulate", "--out", "a", "--days", "0"), "--days"),
        (("record", "--out", "no/such/folder/a.jsonl"), "there is no folder"),
        (("run", "--http-port", "http"), "--http-port is 'http'; expected a whole number"),
        (("run", "--bootstrap-servers", "kafka"), "expected host:port"),
        (("topics", "--replication", "0"), "--replication"),
        (("dlq", "lst"), "No such command 'lst'"),
        (("dlq", "show", "41"), "'41': expected PARTITION:OFFSET"),
        (("dlq", "show", "0:-1"), "expected PARTITION:OFFSET"),
        (("dlq", "list", "--since", "soon"), "--since is 'soon'; expected how long ago"),
        (("dlq", "list", "--since", "1h", "--until", "2h"), "--since is not before --until"),
        (("dlq", "redrive", "--until", "2026-13-01"), "--until is '2026-13-01'"),
        (("dlq", "redrive", "--topic", "creator-events-dlq"), "the dead letters themselves"),
        (("dlq", "redrive", "--topic", "a b"), "--topic is 'a b'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    ripcurrent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.jsonl").write_text('{"event_id":"e"}\n')
    (tmp_path / "bad.csv").write_text("creator_id,market,kind,start_ms,end_ms\nc_1,TH,refund_surge,soon,5\n")
    done = ripcurrent(*arguments)
    assert done.code == 2
    assert said in done.error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "events.jsonl"]


def test_a_variable_that_is_wrong_is_named(ripcurrent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIPCURRENT_TICK_SECONDS", "soon")
    done = ripcurrent("check")
    assert done.code == 2
    assert done.error.startswith("RIPCURRENT_TICK_SECONDS is 'soon'; expected a number of seconds")


# ---- failures: 1 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (gzip.compress(os.urandom(4_000))[:2_000], "broken gzip"),
        (b'{"recording":{"version":1}}\nnot json\n', "line 2: is no line of a recording"),
    ],
)
def test_a_broken_file_is_one_line_and_exit_code_1(ripcurrent, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "events").write_bytes(content)
    done = ripcurrent("replay", tmp_path / "events", "--out", tmp_path / "out")
    assert done.code == 1
    assert said in done.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [("topics",), ("record", "--out", "r.jsonl"), ("simulate", "--topic", "--days", "1"), ("dlq", "list"),
     ("dlq", "show", "0:0"), ("dlq", "redrive"), ("dlq", "redrive", "--dry-run"), ("erase", "c_1")],
)
def test_without_kafka_it_is_one_line_and_exit_code_1(
    ripcurrent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = ripcurrent(*arguments, *NOWHERE)
    assert done.code == 1
    assert done.error == "No Kafka answers at 127.0.0.1:1: is it running, is the address right?"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(ripcurrent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from streams import replay

    def full(alert: object) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(replay, "encode_alert", full)
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(takeover()))
    done = ripcurrent("replay", tmp_path / "events.jsonl", "--out", tmp_path / "out", "--partitions", "1")
    assert done.code == 1
    assert "No space left on device" in done.error
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".unfinished"]
    monkeypatch.undo()
    again = ripcurrent("replay", tmp_path / "events.jsonl", "--out", tmp_path / "out", "--partitions", "1", "--resume")
    assert again.code == 0, "when there is room, what was done is not done again"
    assert (tmp_path / "out" / "alerts.jsonl").read_bytes().count(b"\n") > 0


def test_debug_shows_the_traceback_wherever_it_stands() -> None:
    for arguments in (["--debug", "topics", *NOWHERE], ["topics", *NOWHERE, "--debug"]):
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "Traceback" in done.stderr


# ---- check -------------------------------------------------------------------------------------------------


def test_check_prints_the_catalogue(ripcurrent) -> None:
    done = ripcurrent("check")
    assert done.code == 0
    for path in (SHIPPED / "signals").glob("*.yaml"):
        assert path.stem in done.out
    for said in ("lifecycle", "question", "windows", "thresholds", "24h by 1h", "critical"):
        assert said in done.out
    assert done.err == ""


def test_check_prints_a_line_for_each_problem_and_exits_2(ripcurrent, tmp_path: Path) -> None:
    folder = tmp_path / "config"
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    signal_file = folder / "signals" / "refund_rate.yaml"
    signal_file.write_text(signal_file.read_text().replace("question", "qestion"))
    (folder / "signals" / "order_spike.yaml").write_text("- 1\n- : :\n")
    (folder / "markets" / "default.yaml").unlink()
    done = ripcurrent("check", "--config", folder)
    assert done.code == 2
    lines = done.err.splitlines()
    assert all(line.startswith("ripcurrent: error: ") for line in lines)
    assert any("refund_rate.yaml" in line and "qestion" in line for line in lines)
    assert any("order_spike.yaml" in line for line in lines)
    assert any("default.yaml" in line for line in lines)


@pytest.mark.parametrize("command", [("run",), ("replay", "events.jsonl", "--out", "out")])
def test_nothing_runs_on_a_broken_configuration(
    ripcurrent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.jsonl").write_text('{"event_id":"e"}\n')
    (tmp_path / "empty").mkdir()
    done = ripcurrent(*command, "--config", "empty")
    assert done.code == 2
    assert "expected a folder with signals/" in done.error


def test_init_writes_a_configuration_that_is_the_shipped_one(ripcurrent, tmp_path: Path) -> None:
    done = ripcurrent("init", tmp_path / "mine")
    assert (done.code, done.err) == (0, "")
    assert load(tmp_path / "mine").version == load().version
    assert {path.name for path in (tmp_path / "mine").glob("*.json")} == {p.name for p in SHIPPED.glob("*.schema.json")}
    assert f"{sum(path.is_file() for path in (tmp_path / 'mine').rglob('*'))} files to" in done.out


def test_init_overwrites_nothing(ripcurrent, tmp_path: Path) -> None:
    (tmp_path / "engine.yaml").write_text("pane: 5m\n")
    done = ripcurrent("init", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.error == f"{tmp_path}: is there already, and not empty; expected a new folder: nothing is overwritten"
    assert [path.name for path in tmp_path.iterdir()] == ["engine.yaml"]
    assert ripcurrent("init", tmp_path / "a" / "b").error.endswith("make it first")


def test_replay_says_what_stood_aside(ripcurrent, simulated: Path, tmp_path: Path) -> None:
    assert ripcurrent("init", tmp_path / "mine").code == 0
    for path in (tmp_path / "mine" / "signals").iterdir():
        path.write_text(path.read_text(encoding="utf-8") + "status: shadow\n", encoding="utf-8")
    out = tmp_path / "out"
    done = ripcurrent("replay", simulated / "events.jsonl", "--out", out, "--config", tmp_path / "mine")
    ids = {json.loads(line)["alert_id"] for line in (out / "shadow_alerts.jsonl").read_text().splitlines()}
    assert ids
    assert f"{len(ids)} more (" in done.out
    assert "4 shards: 0 alerts (0 revisions)" in done.out


def test_check_notices_a_mistyped_variable(ripcurrent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIPCURRENT_HTTPPORT", "9000")
    done = ripcurrent("check")
    assert done.code == 0
    assert "RIPCURRENT_HTTPPORT is set but means nothing" in done.err


# ---- simulate and replay -----------------------------------------------------------------------------------


def test_simulate_gives_the_same_bytes_for_the_same_seed_plain_or_gzip(
    ripcurrent, simulated: Path, tmp_path: Path
) -> None:
    done = ripcurrent("simulate", "--seed", "5", "--days", "4", "--creators", "30", "--out", tmp_path / "e.jsonl.gz")
    assert done.code == 0
    assert gzip.decompress((tmp_path / "e.jsonl.gz").read_bytes()) == (simulated / "events.jsonl").read_bytes()


def test_simulate_plants_nothing_on_a_null_run(ripcurrent, tmp_path: Path) -> None:
    out, labels = tmp_path / "e.jsonl", tmp_path / "l.csv"
    done = ripcurrent("simulate", "--null", "--days", "2", "--creators", "20", "--out", out, "--labels", labels)
    assert done.code == 0
    with labels.open() as file:
        assert list(csv.reader(file)) == [["creator_id", "market", "kind", "start_ms", "end_ms"]]
    assert len(out.read_bytes().splitlines()) > 100


def test_replay_writes_alerts_and_dead_letters_and_prints_the_scorecard(
    ripcurrent, simulated: Path, tmp_path: Path
) -> None:
    events = tmp_path / "events.jsonl"
    events.write_bytes((simulated / "events.jsonl").read_bytes() + b"not json\n")
    out = tmp_path / "deep" / "out"
    done = ripcurrent("replay", events, "--out", out, "--partitions", "2", "--labels", simulated / "labels.csv")
    assert done.code == 0
    alerts = [json.loads(line) for line in (out / "alerts.jsonl").read_bytes().splitlines()]
    assert f"{len({a['alert_id'] for a in alerts})} alerts ({len(alerts)} revisions)" in done.out
    assert "1 bad records (invalid_json 1)" in done.out
    (letter,) = (json.loads(line) for line in (out / "dead_letters.jsonl").read_bytes().splitlines())
    assert letter["value"] == "not json"
    for said in ("planted", "caught", "median delay", "account_takeover", "false alerts per 1,000 creator-days"):
        assert said in done.out


def test_replay_writes_tables_unless_it_is_told_not_to(ripcurrent, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(takeover()))
    command = ("replay", tmp_path / "e.jsonl", "--partitions", "1", "--out")
    assert ripcurrent(*command, tmp_path / "with").err == ripcurrent(*command, tmp_path / "no", "--no-tables").err == ""
    lines = {"alerts.jsonl", "shadow_alerts.jsonl", "dead_letters.jsonl"}
    plain = lines | {"run.json", "report.html", "episodes.csv", "daily.csv"}
    assert {path.name for path in (tmp_path / "no").iterdir()} == plain
    more = {"episodes.parquet", "daily.parquet", "replay.duckdb", "replay.xlsx"}
    assert {path.name for path in (tmp_path / "with").iterdir()} == plain | more
    run = json.loads((tmp_path / "with" / "run.json").read_bytes())
    (source,), options = run["sources"], run["options"]
    assert (source["path"], source["kind"], run["records"]) == (str(tmp_path / "e.jsonl"), "events", len(takeover()))
    told = {"partitions": 1, "sort": False, "close": True, "tables": True, "minutes_per_case": 15, "traces": 20}
    unasked = dict.fromkeys(("config", "labels", "warmup", "from_checkpoint", "checkpoint"))
    assert options == told | unasked | {"events": str(tmp_path / "e.jsonl")}
    (row,) = csv.DictReader((tmp_path / "no" / "episodes.csv").read_text().splitlines())
    assert (row["signal"], row["creator_id"], row["verdict"]) == ("account_takeover", "c_1", "unlabelled")


def test_the_report_reckons_with_the_minutes_that_a_case_is_said_to_take(ripcurrent, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(takeover()))
    command = ("replay", tmp_path / "e.jsonl", "--out", tmp_path / "out", "--no-tables", "--minutes-per-case")
    assert ripcurrent(*command, "90").code == 0
    assert "At 90 minutes a case they take 1.5 hours to review." in (tmp_path / "out" / "report.html").read_text()
    assert ripcurrent(*command, "0").code == 2


def test_without_what_tables_need_replay_says_what_to_install_and_writes_the_rest(
    ripcurrent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streams import write_outcome

    monkeypatch.setattr(write_outcome, "find_spec", lambda name: None if name == "duckdb" else True)
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(takeover()))
    done = ripcurrent("replay", tmp_path / "e.jsonl", "--out", tmp_path / "out")
    assert done.code == 0
    assert done.err == (
        "ripcurrent: CSV and JSON Lines only: Parquet, DuckDB and Excel need duckdb: pip install 'ripcurrent[tables]'\n"
    )
    assert (tmp_path / "out" / "episodes.csv").exists()
    assert not (tmp_path / "out" / "replay.xlsx").exists()
    done = ripcurrent("replay", tmp_path / "e.jsonl", "--out", tmp_path / "new", "--tables")
    assert (done.code, done.error) == (2, "--tables needs duckdb: pip install 'ripcurrent[tables]'")
    assert not (tmp_path / "new").exists()


def test_a_label_of_a_kind_that_no_signal_speaks_for_is_noticed(ripcurrent, simulated: Path, tmp_path: Path) -> None:
    lines = (simulated / "events.jsonl").read_bytes().splitlines()[:500]
    creator = json.loads(lines[0])["creator_id"]
    (tmp_path / "l.csv").write_text(f"creator_id,market,kind,start_ms,end_ms\n{creator},TH,moon_phase,1,5\n")
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(lines))
    done = ripcurrent("replay", tmp_path / "e.jsonl", "--out", tmp_path / "out", "--labels", tmp_path / "l.csv")
    assert done.code == 0
    assert "no signal speaks for moon_phase" in done.err


def test_ctrl_c_leaves_no_half_written_result(simulated: Path, tmp_path: Path) -> None:
    """In a process of its own, stopped while it reads."""
    events, out = tmp_path / "events.jsonl", tmp_path / "out"
    events.write_bytes((simulated / "events.jsonl").read_bytes() * 60)  # for half a minute
    command = [sys.executable, "-m", "streams.cli", "replay", str(events), "--out", str(out)]
    # a shell without job control has its background jobs ignore SIGINT, and this process's children with them
    heeds = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heeds) as process:
        files = Path(f"/proc/{process.pid}/fd")
        while not any(os.path.realpath(file) == str(events.resolve()) for file in files.iterdir()):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip() == "ripcurrent: stopped"
    assert not out.exists()


def test_the_installed_command_and_the_module_are_the_same() -> None:
    command = Path(sys.executable).parent / "ripcurrent"
    both = [[str(command)], [sys.executable, "-m", "streams.cli"]]
    said = [subprocess.run([*one, "--help"], capture_output=True, text=True, check=True).stdout for one in both]
    assert said[0] == said[1]


def test_a_reader_that_has_seen_enough_is_no_traceback() -> None:
    shell = f"{sys.executable} -m streams.cli check | true"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
