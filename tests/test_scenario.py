"""Scenario files: what they may say, what they turn into, and one clear line where they are wrong."""

import re
from pathlib import Path

import pytest

from streams import cli
from streams.scenario import Scenario, ScenarioError, read_scenario
from streams.simulate import KINDS, LOOKALIKES, Plan, Shock, Simulation, asked_for
from streams.simulate_spec import SHAPES, SHOCKS, Kind

ROOT = Path(__file__).parent.parent
SHIPPED = sorted((ROOT / "config" / "scenarios").glob("*.yaml"))


def written(folder: Path, text: str) -> Path:
    path = folder / "s.yaml"
    path.write_text(text)
    return path


def test_an_empty_file_is_the_usual_simulation(tmp_path: Path) -> None:
    assert read_scenario(written(tmp_path, "")).simulation() == Simulation()
    assert read_scenario(written(tmp_path, "# nothing\n")).simulation(seed=4) == Simulation(seed=4)


def test_a_scenario_says_everything_that_a_simulation_can_be() -> None:
    assert set(Scenario.__struct_fields__) == set(Simulation.__struct_fields__) - {"plans"}


def test_each_kind_may_have_its_count_strength_and_shapes_and_the_rest_is_not_planted(tmp_path: Path) -> None:
    path = written(tmp_path, """
creators: 50
campaign_days: [3, 9]
kinds:
  brushing: {count: 5, strength: [1, 2], shapes: [ramp]}
  report_wave:
lookalikes: {raid: {count: 2}}
shocks: [{kind: payment_outage, market: TH, day: 2.5, hours: 8}]
null: false
""")  # fmt: skip
    spec = read_scenario(path).simulation()
    assert spec.kinds == ("brushing", "report_wave")
    assert spec.campaign_days == (3, 9)
    assert spec.shocks == (Shock(kind="payment_outage", market="TH", day=2.5, hours=8),)
    assert (spec.count("brushing"), spec.count("report_wave"), spec.count("raid")) == (5, 1, 2)
    assert (spec.strength("brushing"), spec.shapes("brushing")) == ((1, 2), ("ramp",))
    assert asked_for(spec) == 8
    assert asked_for(read_scenario(path).simulation(null=True)) == 0
    assert asked_for(read_scenario(path).simulation(only=("report_wave",))) == 3


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_the_shipped_scenarios_are_sound(path: Path) -> None:
    spec = read_scenario(path).simulation()
    assert (asked_for(spec) == 0) == (path.stem == "null_month")
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("sead: 3", "$", "unknown field `sead`"),
        ("days: many", "$.days", "Expected `int`"),
        ("kinds: {moon_phase: }", "$.kinds", "moon_phase; known are"),
        ("kinds: {brushing: {strength: [5, 2]}}", "$.kinds.brushing", "the smaller first"),
        ("kinds: {brushing: {shape: ramp}}", "$.kinds.brushing", "unknown field `shape`"),
        ("kinds: {brushing: {shapes: [wave]}}", "$.kinds.brushing", "burst, ramp, repeated"),
        ("kinds: {violation_burst: {shapes: [repeated]}}", "violation_burst", "shapes must be some of burst, ramp"),
        ("lookalikes: {brushing: }", "$.lookalikes", "known are viral_video"),
        ("shocks: [{kind: flood}]", "$.shocks[0]", "carrier_strike, payment_outage"),
        ("shocks: [{kind: carrier_strike, market: US}]", "markets of shocks", "US"),
        ("markets: {XX: 1}", "markets", "XX"),
        ("days: 0", "", "must be positive"),
        ("- days", "$", "Expected `object`"),
        ("a: [", "$", "is no YAML"),
        ("a: &a [1]\nb: *a", "$", "expected no YAML alias"),
        ("a: !!python/object/apply:os.system [ls]", "$", "expected no tag"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_place(text: str, place: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        read_scenario(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: {place}" if ": is no" not in told and ": expected no" not in told else f"{path}:")
    assert said in told
    assert "\n" not in told


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="can't be read"):
        read_scenario(tmp_path / "none.yaml")
    (tmp_path / "s.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match="UTF-8"):
        read_scenario(tmp_path / "s.yaml")


def test_the_command_reads_a_scenario_and_what_is_given_beside_it_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = written(tmp_path, "days: 9\ncreators: 30\nkinds: {report_wave: {count: 2}}\nlookalikes: {}\n"), tmp_path
    files = ["--out", str(out / "e.jsonl"), "--labels", str(out / "l.csv")]
    for flags, code, said in (
        ((), 0, "of 30 creators in 9 days"),
        (("--creators", "20", "--seed", "5"), 0, "of 20 creators in 9 days"),
        (("--kinds", "moon_phase"), 2, "moon_phase; known are"),
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(["simulate", "--scenario", str(path), *flags, *files])
        shown = capsys.readouterr()
        assert ended.value.code == code
        assert said in (shown.out if code == 0 else shown.err)
        if code == 0:
            assert [line.split(",")[2] for line in (out / "l.csv").read_text().splitlines()[1:]] == ["report_wave"] * 2


def test_the_page_names_each_field_kind_shape_and_shock_and_gives_the_usual_figures() -> None:
    text = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    names = {*Scenario.__struct_fields__, *Plan.__struct_fields__, *Shock.__struct_fields__, *SHAPES, *SHOCKS}
    assert sorted(name for name in names if f"`{name}`" not in text) == []
    rows = {row[1]: row[0] for row in re.finditer(r"^\| `(\w+)` \|.*$", text, re.MULTILINE)}
    for kind, known in (KINDS | LOOKALIKES).items():
        assert isinstance(known, Kind)
        low, high = known.strength
        assert f"| {low:g} to {high:g} |" in rows[kind], kind
        if kind in KINDS and kind != "live_viewbot":
            assert f"| {known.hours[0]:g} to {known.hours[1]:g} |" in rows[kind], kind
