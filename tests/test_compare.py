"""What another configuration would have told: which alerts are the same finding, and what changed of them."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from streams.cli import main
from streams.compare import NEAR_MS, by_signal, changes, creators, label_changes, pairs, quality
from streams.compare_rows import COMPARED, ChangeRow
from streams.outcome import SEVERITIES, episodes
from streams.outcome_rows import EpisodeRow
from streams.outcome_score import labelled, scorecard
from streams.records import Alert
from streams.simulate import Simulation, simulate, write_jsonl, write_labels
from tests.catalogues import spoil, write_catalogue
from tests.outcomes import DAY, HOUR, KINDS, T0, TITLES, Case, cases, opened

FOREVER = 1 << 62


def rows_of(case: Case) -> list[EpisodeRow]:
    return episodes(case.result.alerts, case.result.shadow, TITLES, case.labels, KINDS)


def told(*alerts: Alert, ended: int | None = None) -> list[EpisodeRow]:
    """Episodes of alerts with one revision; all of them end there, if they end."""
    return [replace(row, ended_at=ended) for row in episodes(alerts, [], TITLES)]


def meet(one: EpisodeRow, other: EpisodeRow) -> bool:
    """Of one thing, and on at the same time or opened within a day."""
    same = (one.creator_id, one.signal, one.market) == (other.creator_id, other.signal, other.market)
    near = abs(one.opened_at - other.opened_at) <= NEAR_MS
    return same and (near or (one.opened_at <= (other.ended_at or FOREVER)
                              and other.opened_at <= (one.ended_at or FOREVER)))  # fmt: skip


# ---- pairs -----------------------------------------------------------------------------------------------------


@given(cases())
def test_under_the_same_configuration_nothing_appears_vanishes_or_moves(case: Case) -> None:
    rows = rows_of(case)
    found = changes(rows, rows)
    assert {row.change for row in found} <= {"unchanged"}
    assert sorted(row.alert_base for row in found) == sorted(row.alert_id for row in rows if not row.shadow)
    assert all(row.alert_base == row.alert_new and not row.aside for row in found)
    assert creators(found) == []


@given(cases(), cases())
@settings(max_examples=50)
def test_every_alert_is_in_one_pair_and_no_two_that_belong_together_are_alone(one: Case, other: Case) -> None:
    base, new = rows_of(one), rows_of(other)
    found = pairs(base, new)
    assert Counter(id(p.base) for p in found if p.base) == Counter(id(row) for row in base)
    assert Counter(id(p.new) for p in found if p.new) == Counter(id(row) for row in new)
    assert all(meet(p.base, p.new) for p in found if p.base and p.new)
    alone = [p.base for p in found if p.new is None], [p.new for p in found if p.base is None]
    assert not any(meet(x, y) for x in alone[0] for y in alone[1] if x and y)


@given(cases(), cases())
@settings(max_examples=50)
def test_the_other_way_round_what_appeared_vanished(one: Case, other: Case) -> None:
    mirror = {"appeared": "vanished", "vanished": "appeared", "hit": "released", "released": "hit"}
    there, back = changes(rows_of(one), rows_of(other)), changes(rows_of(other), rows_of(one))

    def seen(rows: list[ChangeRow]) -> list[tuple[object, ...]]:
        return sorted((row.change, str(row.alert_base), str(row.alert_new), row.moved_hours or 0.0) for row in rows)

    turned = [(mirror.get(change, change), new, base, -hours) for change, base, new, hours in seen(back)]
    assert seen(there) == sorted(turned)
    assert sorted((mirror[row.change], row.creator_id, row.alerts) for row in creators(back)) == sorted(
        (row.change, row.creator_id, row.alerts) for row in creators(there)
    )


@given(cases(), cases())
@settings(max_examples=50)
def test_counts_by_signal_add_up_to_the_alerts_that_were_told(one: Case, other: Case) -> None:
    base, new = rows_of(one), rows_of(other)
    found = by_signal(changes(base, new))
    assert sum(row.alerts_base for row in found) == sum(not row.shadow for row in base)
    assert sum(row.alerts_new for row in found) == sum(not row.shadow for row in new)
    assert all(row.alerts_base - row.vanished == row.alerts_new - row.appeared for row in found)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (opened("b", at=T0), ("unchanged", 0.0)),
        (opened("b", at=T0 - 3 * HOUR), ("moved", -3.0)),
        (opened("b", at=T0 + 24 * HOUR), ("moved", 24.0)),
        (opened("b", at=T0, severity="critical"), ("moved", 0.0)),
        (opened("b", at=T0 + 24 * HOUR + 1), ("vanished", None)),
        (opened("b", at=T0, signal="order_spike"), ("vanished", None)),
        (opened("b", at=T0, market="VN"), ("vanished", None)),
        (opened("b", "c_2", at=T0), ("vanished", None)),
    ],
)
def test_an_alert_is_the_same_within_a_day_and_moves_in_time_or_severity(
    new: Alert, said: tuple[str, float | None]
) -> None:
    rows = changes(told(opened("a", at=T0), ended=T0 + HOUR), told(new, ended=T0 + 26 * HOUR))
    (row,) = [row for row in rows if row.alert_base == "a"]
    assert (row.change, row.moved_hours) == said
    assert [row.change for row in rows if row.alert_base is None] == ["appeared"] * (said[0] == "vanished")


def test_an_alert_that_is_still_on_when_the_other_opens_is_the_same_days_later() -> None:
    base, new = told(opened("a", at=T0)), told(opened("b", at=T0 + 3 * DAY))
    (row,) = changes(base, new)
    assert (row.change, row.moved_hours) == ("moved", 72.0)


def test_the_nearest_openings_belong_together_and_what_is_left_names_the_alert_that_covers_it() -> None:
    """Two alerts that become one: one is left over, and is within it."""
    base = told(opened("a", at=T0), opened("b", at=T0 + 2 * HOUR), ended=T0 + 4 * HOUR)
    rows = changes(base, told(opened("c", at=T0 + HOUR // 2), ended=T0 + 9 * HOUR))
    assert [(row.change, row.alert_base, row.alert_new, row.within) for row in rows] == [
        ("moved", "a", "c", None), ("vanished", "b", None, "c"),
    ]  # fmt: skip


def test_a_signal_that_is_put_on_trial_vanishes_and_says_so() -> None:
    base, new = [opened("a")], [opened("b")]
    (row,) = changes(episodes(base, [], TITLES), episodes([], new, TITLES))
    assert (row.change, row.aside, row.alert_new) == ("vanished", True, None)
    assert changes(episodes([], base, TITLES), episodes([], new, TITLES)) == []


def test_an_alert_aside_covers_none_that_is_told() -> None:
    """Nobody was told of it."""
    aside = [replace(row, ended_at=T0 + 9 * HOUR) for row in episodes([], [opened("a")], TITLES)]
    rows = changes(aside, told(opened("b"), opened("c", at=T0 + 2 * HOUR), ended=T0 + 3 * HOUR))
    assert [(row.alert_new, row.change, row.aside, row.within) for row in rows] == [
        ("b", "appeared", True, None), ("c", "appeared", False, None),
    ]  # fmt: skip


# ---- creators and labels ---------------------------------------------------------------------------------------


def test_a_creator_is_hit_or_released_only_where_the_other_says_nothing_of_it() -> None:
    base = told(opened("a", "c_1"), opened("b", "c_2"), opened("c", "c_2", "order_spike"))
    new = told(opened("d", "c_1"), opened("e", "c_1", "order_spike"), opened("f", "c_3", severity="critical"))
    found = creators(changes(base, new))
    assert [(row.change, row.creator_id, row.alerts, row.severity, row.signals) for row in found] == [
        ("hit", "c_3", 1, "critical", "refund_rate"),
        ("released", "c_2", 2, "info", "order_spike, refund_rate"),
    ]


@given(cases(), cases())
@settings(max_examples=50)
def test_episodes_are_won_and_lost_as_the_scorecards_of_both_say(one: Case, other: Case) -> None:
    labels = one.labels
    base, new = (labelled(case.result.alerts, labels, KINDS) for case in (one, other))
    kinds = Counter(row.change for row in label_changes(base, new))
    caught = [sum(bool(row.caught) for row in rows) for rows in (base, new)]
    assert kinds["won"] - kinds["lost"] == caught[1] - caught[0]
    assert kinds["both"] + kinds["lost"] == caught[0]
    assert sum(kinds.values()) == sum(not row.lookalike for row in base)


@given(cases())
def test_recall_has_its_interval_and_is_none_without_labels(case: Case) -> None:
    found = quality("new", scorecard(case.result, rows_of(case), case.labels, KINDS))
    for row in found:
        assert (row.recall is None) == (row.labels == 0) == (row.recall_low is None)
        if row.recall is not None and row.recall_low is not None and row.recall_high is not None:
            assert row.recall_low <= row.recall <= row.recall_high
    assert [row.name for row in found if row.about == "all"] == [None]


# ---- the command -----------------------------------------------------------------------------------------------


def ran(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events with refunds of six days, the small catalogue, and one that speaks of refunds more readily."""
    folder = tmp_path_factory.mktemp("compared")
    for name in ("base", "new"):
        (folder / name).mkdir()
        write_catalogue(folder / name)
    spoil(folder / "new", "signals/refunds.yaml", "    severity: {warning: 3, critical: 5}\n",
          "    minimum: 2\n    effect: 1.2\n    severity: {warning: 1.5, critical: 2.5}\n")  # fmt: skip
    spoil(folder / "new", "markets/TH.yaml", "    severity: {warning: 4}\n", "    severity: {warning: 1.5}\n")
    kinds = ("refund_surge", "seller_fault_surge", "account_takeover")
    events, labels = simulate(Simulation(seed=11, days=6, creators=20, kinds=kinds, planted=4, lookalikes=0))
    write_jsonl(events, folder / "events.jsonl")
    write_labels(labels, folder / "labels.csv")
    return folder


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("RIPCURRENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "140")
    return folder


@pytest.fixture(scope="module")
def out(folder: Path) -> Path:
    """What the command leaves of the two."""
    events, labels = str(folder / "events.jsonl"), str(folder / "labels.csv")
    out = folder / "out"
    assert ran("compare", str(folder / "base"), str(folder / "new"), events, "--labels", labels, "--partitions", "1",
               "--out", str(out)) == 0  # fmt: skip
    return out


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_lower_marks_only_add_alerts_raise_them_or_open_them_earlier_and_touch_no_other_signal(out: Path) -> None:
    rows = table(out / "changes.csv")
    assert {row["change"] for row in rows if row["signal"] == "takeover"} <= {"unchanged"}
    assert "vanished" not in {row["change"] for row in rows}
    assert {row["change"] for row in rows} >= {"appeared", "moved"}
    for row in (row for row in rows if row["change"] == "moved"):
        assert float(row["moved_hours"]) <= 0
        assert SEVERITIES.index(row["severity_new"]) >= SEVERITIES.index(row["severity_base"])


def test_the_folder_has_every_table_and_its_days_add_up_to_the_alerts(out: Path) -> None:
    assert {path.stem for path in out.glob("*.csv")} == set(COMPARED)
    assert {path.name for path in out.iterdir()} >= {"compare.json", "compare.html"}
    days, found = table(out / "days.csv"), table(out / "changes.csv")
    for side in ("base", "new"):
        assert sum(int(row[f"alerts_{side}"]) for row in days) == sum(bool(row[f"alert_{side}"]) for row in found)
    facts = json.loads((out / "compare.json").read_bytes())
    volume = {(row["market"], row["under"]): row for row in table(out / "volume.csv")}
    counted = [row for row in days if row["counted"] == "true"]
    assert sum(int(row["alerts_new"]) for row in counted) == int(volume["all", "new"]["alerts"])
    assert facts["days_counted"] == [counted[0]["day"], counted[-1]["day"]]
    assert facts["bootstrap"]["seed"] > 0
    assert len(facts["sources"][0]["sha256"]) == 64


def test_the_same_input_gives_the_same_bytes_also_from_standard_input(
    out: Path, inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (inside / "events.jsonl").open(encoding="utf-8") as events:
        monkeypatch.setattr("sys.stdin", events)
        assert ran("compare", "base", "new", "-", "--labels", "labels.csv", "--partitions", "1",
                   "--out", str(tmp_path)) == 0  # fmt: skip
    events = str(inside / "events.jsonl").encode()
    for path in out.iterdir():
        if path.suffix != ".parquet":
            other = (tmp_path / path.name).read_bytes().replace(b"standard input", events)
            assert other == path.read_bytes(), path.name


def test_without_labels_nothing_is_called_false_and_tables_of_before_are_gone(
    out: Path, inside: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for path in out.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert ran("compare", "base", "base", "events.jsonl", "--partitions", "1", "--out", str(tmp_path)) == 0
    told = capfd.readouterr().out
    assert "false" not in told
    assert "0 creators newly hit" in told
    assert not list(tmp_path.glob("quality.*"))
    rows = table(tmp_path / "changes.csv")
    assert {(row["change"], row["verdict_base"], row["verdict_new"]) for row in rows} == {
        ("unchanged", "unlabelled", "unlabelled")
    }


def lines(capfd: pytest.CaptureFixture[str], arguments: Sequence[str]) -> list[str]:
    assert ran("compare", *arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    return err.splitlines()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["base", "nowhere", "events.jsonl"], "nowhere: expected a folder with signals/"),
        (["base", "new", "nothing.jsonl"], "nothing.jsonl: there is no such file"),
        (["base", "events.jsonl"], "2 paths; expected BASE NEW EVENTS"),
        (["base", "new", "events.jsonl", "--sweep", "refunds.cooldown=1h"], "3 paths; expected BASE EVENTS"),
        (["base", "new", "events.jsonl", "--budget", "TH=4"], "--budget is for --sweep"),
        (["base", "new", "events.jsonl", "--out", "labels.csv"], "--out labels.csv: is a file"),
        (["base", "new", "events.jsonl", "--labels", "no.csv"], "no.csv: there is no such file"),
    ],
)
def test_what_can_not_be_compared_is_one_line(
    inside: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (line,) = lines(capfd, arguments)
    assert said in line


def test_a_mistake_in_a_configuration_is_told_with_its_place(
    inside: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_catalogue(tmp_path)
    spoil(tmp_path, "signals/refunds.yaml", "    minimum: 3\n", "    minimun: 3\n")
    (line,) = lines(capfd, ["base", str(tmp_path), "events.jsonl"])
    assert "refunds.yaml:20: $.tests[1].minimun: unknown key; did you mean minimum?" in line


def test_ctrl_c_ends_all_processes_and_leaves_nothing(inside: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streams.cli", "compare", "base", "new", "-", "--out", str(tmp_path / "out")]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    started = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip
    assert started.stdin is not None
    started.stdin.write((inside / "events.jsonl").read_bytes() * 4)  # the same days again: repeated deliveries
    started.stdin.close()
    started.stdin = None
    while not children(started.pid):
        assert started.poll() is None
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGINT)
    _, err = started.communicate(timeout=60)
    assert (started.returncode, err.decode()) == (130, "ripcurrent: stopped\n")
    assert not (tmp_path / "out").exists()
    while children(started.pid):  # they end within a moment
        time.sleep(0.05)


def children(session: int) -> list[str]:
    """Processes of this session that replay."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            told = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z" and b"spawn_main" in told:
            found.append(path.parent.name)
    return found
