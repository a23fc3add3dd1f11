"""The Turing benchmark scores as its authors define, its rivals are exact, and our row looks at nothing ahead."""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks" / "quality"))

import tcpd
import tcpd_battery
import tcpd_settings
from tcpd_offline import binary_segmentation, pelt, restart_glr
from tcpd_online import bocpd, broken_trend, gaussian_focus
from tcpd_scores import covering, f_measure, true_positives

METHODS = [broken_trend, gaussian_focus, bocpd]


def test_no_change_scores_as_computed_by_hand():
    annotations = {"a": [], "b": [10], "c": [10, 20]}
    # precision 1 of 1; recall (1/1 + 1/2 + 1/3) / 3 = 11/18
    assert f_measure(annotations, []) == pytest.approx(2 * (11 / 18) / (1 + 11 / 18))
    # a: 1; b: 10/40 * 10/40 + 30/40 * 30/40; c: twice a quarter, and a half of it
    assert covering(annotations, [], 40) == pytest.approx((1 + (1 / 16 + 9 / 16) + (1 / 16 + 1 / 16 + 1 / 4)) / 3)


def test_a_prediction_counts_once_and_within_the_margin_only():
    assert true_positives({10, 12}, {11}, 5) == 1
    assert true_positives({10}, {16}, 5) == 0
    assert true_positives({1, 10, 20, 23}, {1, 3, 5, 8, 20}, 5) == 3
    # of precision, the marks of all annotators together: {0, 10, 12, 30}, predicted {0, 11, 31, 50}: 3 of 4
    # recall: a 2 of 2; b {0, 12, 30} 3 of 3
    annotations = {"a": [10], "b": [12, 30]}
    assert f_measure(annotations, [11, 31, 50]) == pytest.approx(2 * 0.75 / 1.75)


def test_the_start_counts_as_a_change_also_when_predicted():
    assert f_measure({"a": [3]}, [4]) == 1.0
    assert f_measure({"a": []}, [4]) == pytest.approx(2 * 0.5 / 1.5)  # 0 serves 0, 4 serves nothing
    assert f_measure({"a": []}, [0]) == 1.0


def test_covering_takes_the_best_overlap_of_each_annotated_segment():
    # [0, 4) best of [0, 5) 4/5; [4, 10) best of [5, 10) 5/6
    assert covering({"a": [4]}, [5], 10) == pytest.approx(0.4 * 0.8 + 0.6 * 5 / 6)
    assert covering({"a": [4]}, [4], 10) == 1.0


def squared_error(part):
    return ((part - part.mean()) ** 2).sum()


@settings(max_examples=40, derandomize=True, deadline=None)
@given(values=st.lists(st.integers(-9, 9), min_size=4, max_size=10), penalty=st.floats(0.5, 60.0))
def test_optimal_partitioning_is_optimal(values, penalty):
    series = np.array(values, dtype=float)
    n = len(series)

    def cost(changes):
        edges = [0, *changes, n]
        return sum(squared_error(series[a:b]) for a, b in itertools.pairwise(edges)) + penalty * len(changes)

    inner = range(2, n - 1)
    choices = [c for k in range(n // 2) for c in itertools.combinations(inner, k) if min(np.diff([0, *c, n])) >= 2]
    assert cost(pelt(series, penalty)) == pytest.approx(min(cost(c) for c in choices))


def test_every_method_finds_plain_steps():
    rng = np.random.default_rng(1)
    series = np.concatenate([rng.normal(m, 1.0, 80) for m in (0.0, 8.0, 3.0)])
    for changes in (
        pelt(series, 15.0), binary_segmentation(series, 15.0), restart_glr(series, 15.0)[0],
        *(method(series).changes for method in METHODS),
    ):  # fmt: skip
        assert f_measure({"truth": [80, 160]}, changes) > 0.7, changes


@pytest.mark.parametrize("method", METHODS)
def test_what_was_decided_does_not_depend_on_what_came_later(method):
    rng = np.random.default_rng(2)
    series = np.concatenate([rng.normal(m, 1.0, 60) for m in (0.0, 6.0, -5.0, 9.0)])
    whole = method(series)
    for n in (70, 130, 200):
        part = method(series[:n])
        known = [at for at in whole.decided if at < n]
        assert part.decided == known
        assert part.changes == whole.changes[: len(known)]
        np.testing.assert_array_equal(part.scores, whole.scores[:n])
    assert all(change <= at for change, at in zip(whole.changes, whole.decided, strict=True))


def test_our_row_has_no_scale_of_its_own():
    rng = np.random.default_rng(3)
    series = np.concatenate([rng.normal(m, 1.0, 60) for m in (0.0, 6.0)])
    assert broken_trend(series).changes == broken_trend(1e6 * series + 1e8).changes


def test_it_reads_the_layout_leaves_out_what_it_must_and_prints_one_line_of_json(tmp_path, capsys):
    rng = np.random.default_rng(4)
    steps = np.concatenate([rng.normal(m, 1.0, 50) for m in (0.0, 9.0)]).tolist()
    series = {"kept": [steps], "missing": [[*steps[:-1], None]], "two": [steps, steps], "nobody": [steps]}
    for name, columns in series.items():
        folder = tmp_path / "datasets" / name
        folder.mkdir(parents=True)
        data = {"name": name, "n_obs": 100, "n_dim": len(columns), "series": [{"raw": c} for c in columns]}
        (folder / f"{name}.json").write_text(json.dumps(data))
    marks = {name: {"6": [50], "7": []} for name in ("kept", "missing", "two")}
    (tmp_path / "annotations.json").write_text(json.dumps(marks))
    assert tcpd.main([str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["series"] == 1
    assert figures["f1"] > figures["no_change_f1"]
    assert len((tmp_path / "out" / "kept.csv").read_text().splitlines()) == 101
    assert json.loads((tmp_path / "out" / "kept.json").read_text())["changes"] == [50]


def test_the_battery_is_the_same_each_time_and_its_changes_lie_inside():
    for kind in tcpd_battery.KINDS:
        x, at = tcpd_battery.series(kind, 3)
        again, at_again = tcpd_battery.series(kind, 3)
        np.testing.assert_array_equal(x, again)
        assert at == at_again
        assert np.isfinite(x).all()
        assert all(8 <= change <= len(x) - 8 for change in at)


def test_without_data_it_says_so_and_exits_with_2(tmp_path, capsys):
    assert tcpd.main([str(tmp_path)]) == 2
    assert tcpd_settings.main([str(tmp_path)]) == 2
    assert "annotations.json" in capsys.readouterr().out
