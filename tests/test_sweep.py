"""Sweeps: a setting is what a changed file would be, and the best of those within a budget is named."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.catalogue import SHIPPED, CatalogueError, load, variants
from config.edits import Edit, EditError, Place, edited, place
from streams.cli import main
from streams.compare_rows import SettingRow
from streams.outcome import episodes
from streams.outcome_score import labelled
from streams.simulate import Simulation, simulate, write_jsonl
from streams.sweep import SETTINGS_MAX, SweepError, axes, budgets, grid, said
from streams.sweep_score import Seen, best, curve, setting_rows, with_best
from streams.what_if import draws
from tests.catalogues import spoil, write_catalogue
from tests.outcomes import DAY, KINDS, T0, TITLES, Case, cases


def settings_of(*texts: str) -> list[list[Edit]]:
    return grid(axes(texts))


# ---- what is tried ---------------------------------------------------------------------------------------------


def test_a_setting_is_what_the_changed_file_would_be(tmp_path: Path) -> None:
    write_catalogue(tmp_path)
    _, one, other = variants(tmp_path, settings_of("refunds.tests[0].severity.warning=2.5,4"))
    spoil(tmp_path, "signals/refunds.yaml", "{warning: 3, critical: 5}", "{warning: 2.5, critical: 5}")
    assert one == load(tmp_path)
    spoil(tmp_path, "signals/refunds.yaml", "{warning: 2.5, critical: 5}", "{warning: 4, critical: 5}")
    assert other == load(tmp_path)


def test_a_field_that_is_not_written_down_can_be_set_too(tmp_path: Path) -> None:
    write_catalogue(tmp_path)
    _, changed = variants(tmp_path, settings_of("refunds.cooldown=3h"))
    spoil(tmp_path, "signals/refunds.yaml", "lifecycle: performance\n", "lifecycle: performance\ncooldown: 3h\n")
    assert changed == load(tmp_path)


def test_one_number_moves_every_mark_of_tests_that_score_and_none_of_rules(tmp_path: Path) -> None:
    write_catalogue(tmp_path)
    _, changed = variants(tmp_path, settings_of("refunds.severity_add=-0.5"))
    spoil(tmp_path, "signals/refunds.yaml", "{warning: 3, critical: 5}", "{warning: 2.5, critical: 4.5}")
    assert changed == load(tmp_path)


def test_nothing_changed_is_the_configuration_itself() -> None:
    (same,) = variants(SHIPPED, [[]])
    assert same == load()


@pytest.mark.parametrize("name", sorted(load().signals))
def test_any_shipped_signal_stays_itself_when_a_value_is_set_to_what_it_is(name: str) -> None:
    signal = load().signals[name]
    same = edited(signal, Edit(Place(name, ("cooldown",)), signal.cooldown))
    assert same.tests == signal.tests
    assert same.measures == signal.measures
    assert same.overrides == signal.overrides


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True), min_size=1, max_size=3))
def test_every_combination_is_tried_once_behind_the_configuration_as_it_is(values: list[list[int]]) -> None:
    texts = [f"refunds.tests[{i}].minimum={','.join(map(str, each))}" for i, each in enumerate(values)]
    found = settings_of(*texts)
    n = 1
    for each in values:
        n *= len(each)
    assert len(found) == 1 + n == len({said(edits) for edits in found})
    assert found[0] == []
    assert all(len(edits) == len(values) for edits in found[1:])


@given(st.from_regex(r"[a-z][a-z0-9_]{1,8}(\.[a-z_]{1,6}|\[[1-9][0-9]?\]){1,4}", fullmatch=True))
def test_a_place_is_said_as_it_is_written(text: str) -> None:
    assert str(place(text)) == text


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["refunds"], "'refunds'; expected a signal and a field of it, such as"),
        (["refunds.cooldown"], "has no values"),
        (["refunds.cooldown="], "has no values"),
        (["refunds.cooldown=1h,1h"], "'1h' stands twice"),
        (["refunds.cooldown=1h", "refunds.cooldown=2h"], "refunds.cooldown stands twice"),
        (["refunds.cooldown=[1h"], "is no YAML"),
        (["refunds.tests[x].effect=2"], "expected a signal and a field of it"),
        ([f"refunds.tests[0].effect={','.join(map(str, range(SETTINGS_MAX + 1)))}"], "501 settings; expected at most"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(SweepError) as refused:
        settings_of(*texts)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("refnds.cooldown=1h", "refnds.cooldown=1h: there is no signal refnds; did you mean refunds?"),
        ("refunds.cooldwn=1h", "refunds.cooldwn=1h: there is no cooldwn; did you mean cooldown?"),
        ("refunds.efect=2", "refunds.efect=2: there is no efect; did you mean tests[0].effect?"),
        ("refunds.critical=2", "did you mean tests[0].severity.critical?"),
        ("refunds.severity_ad=1", "did you mean severity_add?"),
        ("refunds.tests[0].severity.warnin=2", "there is no warnin; did you mean warning?"),
        ("refunds.tests[2].effect=2", "there is no [2]; expected [0] to [1]"),
        ("refunds.tests.effect=2", "there is no [effect]; expected [0] to [1]"),
        ("refunds.cooldown.x=2", "there is no x in '24h'; expected a field that has parts"),
        ("refunds.cooldown=12x", "refunds.cooldown=12x: '12x'; expected a duration: `15m`, `24h`, `7d`"),
        ("refunds.tests[0].effect=0.5", "0.5; expected a number, at least 1"),
        ("refunds.severity_add=much", "'much'; expected a number, to be added to each mark"),
        ("takeover.severity_add=1", "none of its tests scores how rare something is"),
        ("refunds.tests[0].severity.warning=6", "refunds.yaml:16: $.tests[0].severity.critical: 5 is not over"),
    ],
)
def test_a_value_that_no_file_could_have_is_refused_with_what_is_expected(
    tmp_path: Path, text: str, message: str
) -> None:
    write_catalogue(tmp_path)
    with pytest.raises(CatalogueError) as refused:
        variants(tmp_path, settings_of(text))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=40))
def test_any_text_is_a_place_or_refused_in_a_line(text: str) -> None:
    told = ""
    try:
        assert str(place(text)) == text or "[0" in text
    except EditError as error:
        told = str(error)
    assert "\n" not in told


# ---- which is best ---------------------------------------------------------------------------------------------


def seen_of(case: Case, labels: bool = True) -> Seen:
    rows = episodes(case.result.alerts, case.result.shadow, TITLES, case.labels if labels else None, KINDS)
    days = range(T0 // DAY, T0 // DAY + 14)
    told = [row for row in rows if not row.shadow]
    counts = {
        market: [sum(row.market == market and row.opened_at // DAY == day for row in told) for day in days]
        for market in ("TH", "VN")
    }
    arrays = {market: np.array(each, dtype=np.int64) for market, each in counts.items()}
    mine = labelled(case.result.alerts, case.labels, KINDS) if labels else None
    return Seen(rows, mine, arrays, {"TH": 20.0, "VN": 10.0})


def rows_of(runs: list[Case], limits: dict[str, float], labels: bool = True) -> list[SettingRow]:
    starts = draws(14)[:200]
    return with_best([
        row for number, case in enumerate(runs)
        for row in setting_rows(number, f"setting {number}", seen_of(case, labels), starts, 30.0, limits)
    ])  # fmt: skip


RUNS = st.lists(cases(), min_size=1, max_size=4)
LIMITS = st.dictionaries(st.sampled_from(["all", "TH", "VN"]), st.floats(0, 0.6), min_size=1)


@given(RUNS, LIMITS, st.booleans())
@settings(max_examples=40)
def test_the_setting_that_is_named_keeps_every_budget_and_no_other_that_does_is_better(
    runs: list[Case], limits: dict[str, float], labels: bool
) -> None:
    rows = rows_of(runs, limits, labels)
    kept = [
        row for row in rows if row.market == "all" and all(
            other.per_day is not None and other.per_day <= limits[other.market]
            for other in rows if other.setting == row.setting and other.market in limits
        )
    ]  # fmt: skip
    chosen = [row for row in rows if row.chosen and row.market == "all"]
    assert len(chosen) == bool(kept)
    for row in chosen:
        assert row in kept
        if labels:
            assert row.caught == max(other.caught or 0 for other in kept)
        else:
            assert row.per_day == max(other.per_day or 0.0 for other in kept)


@given(RUNS)
@settings(max_examples=40)
def test_without_a_budget_none_is_named(runs: list[Case]) -> None:
    rows = rows_of(runs, {})
    assert best(rows) is None
    assert {row.within_budget for row in rows} == {None}


@given(RUNS)
@settings(max_examples=40)
def test_the_curve_rises_and_no_setting_is_above_it(runs: list[Case]) -> None:
    rows = rows_of(runs, {})
    found = curve(rows)
    points = [(row.false_alerts or 0, row.caught or 0) for row in found]
    assert points == sorted(points)
    assert len({caught for _, caught in points}) == len({false for false, _ in points}) == len(points) > 0
    for row in (row for row in rows if row.market == "all"):
        assert any(caught >= (row.caught or 0) and false <= (row.false_alerts or 0) for false, caught in points)


@given(RUNS)
@settings(max_examples=40)
def test_markets_add_up_to_all_and_values_are_within_their_intervals(runs: list[Case]) -> None:
    rows = rows_of(runs, {})
    for number in range(len(runs)):
        mine = {row.market: row for row in rows if row.setting == number}
        everything = mine.pop("all")
        assert everything.alerts == sum(row.alerts for row in mine.values())
        assert everything.false_alerts == sum(row.false_alerts or 0 for row in mine.values())
        for row in (everything, *mine.values()):
            for name in ("per_day", "next_week", "recall", "false_per_1000"):
                value, low, high = (getattr(row, name + end) for end in ("", "_low", "_high"))
                assert value is None or low <= value <= high
            assert row.hours_per_day == pytest.approx((row.per_day or 0.0) / 2)


@given(RUNS)
@settings(max_examples=40)
def test_without_labels_nothing_is_called_false(runs: list[Case]) -> None:
    rows = rows_of(runs, {"TH": 1.0}, labels=False)
    assert {(row.labels, row.recall, row.false_alerts, row.false_per_1000) for row in rows} == {(None,) * 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [("TH=x", "expected at most so many"), ("TH=-1", "expected at most so many"), ("nan", "expected at most so many"),
     ("XX=4", "no events of 'XX'; expected one of: all, TH"), ("all=4", "all has two budgets")],
)  # fmt: skip
def test_a_budget_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(SweepError) as refused:
        budgets([text, "3"], ["TH"])
    assert message in str(refused.value)


# ---- the command -----------------------------------------------------------------------------------------------


def ran(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_command_tries_every_setting_and_names_the_one_that_keeps_to_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    Path("base").mkdir()
    write_catalogue(Path("base"))
    events, _ = simulate(Simulation(seed=11, days=4, creators=12, kinds=("account_takeover",), planted=3))
    write_jsonl(events, Path("events.jsonl"))
    sweep = ("--sweep", "takeover.status=shadow", "--partitions", "1", "--learning-days", "0")
    assert ran("compare", "base", "events.jsonl", *sweep, "--budget", "0.5", "--out", "out") == 0
    told = capfd.readouterr().out
    assert "at most 0.5 alerts a day in all markets: takeover.status=shadow (it tells most" in told
    with Path("out/sweep.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["setting"], row["market"]): row for row in csv.DictReader(file)}
    assert float(rows["0", "all"]["per_day"]) > 0.5 >= float(rows["1", "all"]["per_day"])
    assert (rows["0", "all"]["chosen"], rows["1", "all"]["chosen"]) == ("false", "true")
    assert ran("compare", "base", "events.jsonl", *sweep, "--budget", "XX=0") == 2
    assert "no events of 'XX'; expected one of: all, " in capfd.readouterr().err
