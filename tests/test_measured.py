"""`measured` in a signal's file: as fresh as the results, and all else as it was; sizes are those that are planted."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from config.catalogue import SHIPPED, copy_shipped, load
from config.schema import Measure, Measured, PlantedKind, Repeat, Series, Severity, Signal, Volume
from streams import reference
from streams.labels import read_kinds
from streams.measured import (
    Kind,
    Results,
    episode_size,
    false_alarms,
    lowest_mark,
    measured,
    nominal,
    read_results,
    signal_files,
    with_figures,
)
from streams.simulate_plant import PLANTS
from streams.simulate_spec import KINDS
from tests.streamed import eager, hostile, run

FIGURES = Measured(
    among="simulated creators, a trial",
    false_per_1000_creator_days=0.25,
    nominal_per_1000_creator_days=1,
    episodes=[PlantedKind(kind="surge", size='"large" for a creator: 3 times', caught_share=0.5)],
)
FILE = """\
# a remark: measured: nothing yet
title:  'A question'   # with its own layout
question: >
  measured: not here
labels: {runbook: a,
  measured: by hand}  # the last line, without an end"""
RESULTS = Results(
    seeds=[3, 4], creators=400, days=21,
    kinds={"refund_surge": Kind(32, 25, 0.78125, 31.9, 0.7), "order_spike": Kind(32, 0, 0.0, None, 0.0)},
    false_by_signal={"null": {"refund_rate": 0.4167}, "planted": {"refund_rate": 0.5}},
)  # fmt: skip


# ---- the files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(load().signals))
def test_the_file_of_a_signal_is_as_fresh_as_the_results(name: str) -> None:
    path, signals = SHIPPED / "signals" / f"{name}.yaml", {name: load().signals[name]}
    fresh = signal_files(SHIPPED / "signals", signals, read_results())[path]
    assert path.read_bytes().decode() == fresh, "stale: python -m streams.reference"


@pytest.mark.parametrize("name", sorted(load().signals))
def test_figures_are_read_back_as_they_were_written_and_stand_last(name: str) -> None:
    signal = load().signals[name]
    assert signal.measured == measured(name, signal, read_results())
    keys = list(yaml.safe_load((SHIPPED / "signals" / f"{name}.yaml").read_text(encoding="utf-8")))
    assert keys[-2:] == ["labels", "measured"]


def test_the_command_writes_what_is_stale_and_the_second_time_nothing(tmp_path: Path) -> None:
    docs, stale = tmp_path / "docs", tmp_path / "signals" / "refund_rate.yaml"
    docs.mkdir()
    copy_shipped(tmp_path)
    fresh = stale.read_bytes()
    stale.write_bytes(with_figures(fresh.decode(), FIGURES).encode())
    assert [path for path in reference.write(docs, tmp_path) if path.parent != docs] == [stale]
    assert stale.read_bytes() == fresh
    assert reference.write(docs, tmp_path) == []


def test_all_else_in_a_file_stays_to_the_byte() -> None:
    once = with_figures(FILE, FIGURES)
    assert once.startswith(FILE + "\nmeasured:")
    assert with_figures(once, FIGURES) == once
    assert with_figures(once, None) == FILE + "\n"
    assert yaml.safe_load(once)["labels"] == yaml.safe_load(FILE)["labels"]


def test_figures_that_stand_elsewhere_move_to_the_end() -> None:
    below = "overrides:  # somebody's\n- because: They asked for it.\n\n# the end\n"
    text = with_figures(FILE, msgspec.structs.replace(FIGURES, false_per_1000_creator_days=9)) + below
    assert with_figures(text, FIGURES) == with_figures(f"{FILE}\n{below}", FIGURES)


def test_line_ends_are_left_as_they_are() -> None:
    text = FILE.replace("\n", "\r\n") + "\r\n"
    assert with_figures(text, FIGURES).startswith(text + "measured:")


def test_every_reader_of_yaml_takes_the_figures_for_the_same() -> None:
    read = yaml.safe_load(with_figures("title: x\n", FIGURES))["measured"]
    assert msgspec.convert(read, Measured) == FIGURES


def test_no_alert_hangs_on_what_was_measured() -> None:
    bare = eager()
    figured = {name: msgspec.structs.replace(signal, measured=FIGURES) for name, signal in bare.signals.items()}
    told = [
        run(hostile(11, n=900, hours=22), catalogue)[1].lines
        for catalogue in (bare, msgspec.structs.replace(bare, signals=figured))
    ]
    assert len(told[0]) > 10
    assert told[0] == told[1]


# ---- the figures -------------------------------------------------------------------------------------------


def test_a_signal_says_its_false_alarms_and_each_kind_that_it_is_made_for() -> None:
    figures = measured("refund_rate", load().signals["refund_rate"], RESULTS)
    assert figures is not None
    assert figures.among == "simulated creators, seeds 3 to 4, 16,800 creator-days"
    assert figures.false_per_1000_creator_days == 0.417
    kind = figures.episodes[0]
    assert [one.kind for one in figures.episodes] == ["refund_surge"], "seller_fault_surge did not run"
    assert (kind.caught_share, kind.own_share, kind.delay_hours_median) == (0.781, 0.7, 31.9)


def test_a_kind_of_which_nothing_was_caught_has_no_delay() -> None:
    figures = measured("order_spike", load().signals["order_spike"], RESULTS)
    assert figures is not None
    assert (figures.episodes[0].caught_share, figures.episodes[0].delay_hours_median) == (0, None)
    assert figures.false_per_1000_creator_days == 0, "never false, so that it is in no list"


@pytest.mark.parametrize("results", [None, msgspec.structs.replace(RESULTS, false_by_signal={}), RESULTS])
def test_a_signal_that_was_not_measured_has_no_figures(results: Results | None) -> None:
    """Not even a rate of zero: it did not run."""
    assert false_alarms("review_burst", results) is None
    assert measured("review_burst", load().signals["review_burst"], results) is None


def volume(mark: float) -> Volume:
    return Volume(measure="orders", windows=["1h by 15m", "24h by 1h"], severity=Severity(warning=mark, critical=9))


SERIES = Series(measure="orders", windows=["1h by 1h"], severity=Severity(warning=3))
LIMIT = Repeat(measure="orders", windows=["90d by 1h"], severity=Severity(info=3))


@pytest.mark.parametrize(
    ("tests", "require", "rate"),
    [
        ([volume(3)], "any", 1.0),
        ([volume(3), volume(4), SERIES, LIMIT], "any", 1.1),
        ([volume(3), volume(4)], "all", None),
        ([SERIES, LIMIT], "any", None),
    ],
)
def test_nominal_is_one_window_of_a_day_for_each_test_that_speaks_by_itself(
    tests: list[Volume | Series | Repeat], require: str, rate: float | None
) -> None:
    signal = Signal(
        title="A question", question="Is it so, or is it not?", lifecycle="performance", tests=tests,
        measures={"orders": Measure(one="order", many="orders", events=["order.paid"])}, require=require,
        false_positives=["None that we know."], thresholds_from="A proposal of our own.",
    )  # fmt: skip
    assert nominal(signal) == (None if rate is None else pytest.approx(rate))


def test_the_lowest_severity_is_what_a_test_speaks_from() -> None:
    assert lowest_mark(volume(3)) == 3
    assert lowest_mark(LIMIT) == 3


# ---- what was planted --------------------------------------------------------------------------------------


def test_every_kind_that_a_signal_is_made_for_has_a_size() -> None:
    assert set(read_kinds()) == set(KINDS)
    assert all(len(episode_size(kind)) >= 8 for kind in KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_size_of_an_episode_says_only_numbers_that_it_is_planted_by(kind: str) -> None:
    known, told = KINDS[kind], PLANTS[kind].__doc__ or ""
    days = [round(hours / 24) for hours in known.hours]
    shares = [100 * strength for strength in known.strength]
    planted = {f"{number:g}" for number in (*known.hours, *days, *known.strength, *shares, known.fewest)}
    assert set(numbers(episode_size(kind))) <= planted | set(numbers(told))


def test_the_size_of_an_episode_follows_the_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "report_wave", KINDS["report_wave"]._replace(strength=(3, 5), hours=(24, 72)))
    assert episode_size("report_wave") == "3 to 5 reports within 1 to 3 days, by as many reporters, or nearly"


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?", text)
