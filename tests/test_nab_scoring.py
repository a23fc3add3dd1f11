"""NAB's scoring rules (benchmarks/quality/nab_scoring.py)."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

QUALITY = str(Path(__file__).parent.parent / "benchmarks" / "quality")


@pytest.fixture(scope="module")
def rules():
    sys.path.insert(0, QUALITY)
    try:
        import nab_scoring
    finally:
        sys.path.remove(QUALITY)
    return nab_scoring


@pytest.fixture
def corpus(rules, tmp_path):
    """100 points with a window of 10 (points 40 to 49), and 40 points without any."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "data" / "kind").mkdir(parents=True)
    stamps = [f"2014-04-{1 + i // 24:02d} {i % 24:02d}:00:00" for i in range(100)]
    for name, n in (("a.csv", 100), ("b.csv", 40)):
        rows = "".join(f"{stamps[i]},{i}\n" for i in range(n))
        (tmp_path / "data" / "kind" / name).write_text("timestamp,value\n" + rows)
    (tmp_path / "data" / "kind" / "unlabelled.csv").write_text("timestamp,value\n2014-04-01 00:00:00,1\n")
    labels = {"kind/a.csv": [[stamps[40] + ".000000", stamps[49] + ".000000"]], "kind/b.csv": [], "kind/gone.csv": []}
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps(labels))
    return rules.read(tmp_path)


def at(points, *hits):
    detected = np.zeros(points, dtype=bool)
    detected[list(hits)] = True
    return detected


def f(position):
    return 2 / (1 + np.exp(5 * position)) - 1


def test_the_series_with_labels_are_read_with_their_windows(corpus):
    assert [(one.name, len(one.value), one.windows) for one in corpus] == [
        ("kind/a.csv", 100, ((40, 49),)),
        ("kind/b.csv", 40, ()),
    ]
    assert np.diff(corpus[0].time).tolist() == [3_600_000] * 99


@pytest.mark.parametrize("name", ["standard", "low_fp", "low_fn"])
def test_no_detection_scores_0_and_a_perfect_detector_100(rules, corpus, name):
    judged, profile = rules.judge(corpus), rules.PROFILES[name]
    assert rules.worth_of(at(140), judged, profile) == 0
    assert rules.worth_of(at(140, 40), judged, profile) == pytest.approx(100)
    assert rules.best_threshold(at(140, 40).astype(float), judged, profile) == (1.0, pytest.approx(100))


@pytest.mark.parametrize(("name", "false", "miss"), [("standard", 0.11, 1), ("low_fp", 0.22, 1), ("low_fn", 0.11, 2)])
def test_an_example_computed_by_hand(rules, corpus, name, false, miss):
    judged, profile = rules.judge(corpus), rules.PROFILES[name]
    # 5: unscored; 20: nothing before it; 44 and 47: the earlier counts; 53: 4 points past a width of 9; 95: far; 130: b
    raw = f(-(49 - 44 + 1) / 10) / f(-1) + false * (-1 + f(4 / 9) - 1 - 1)
    assert rules.worth_of(at(140, 5, 20, 44, 47, 53, 95, 130), judged, profile) == pytest.approx(
        100 * (raw + miss) / (1 + miss)
    )
    assert rules.counts(at(140, 5, 20, 44, 47, 53, 95, 130), judged) == (1, 4)


def test_the_best_threshold_is_the_best_of_all_thresholds(rules, corpus):
    judged = rules.judge(corpus)
    rng = np.random.default_rng(8)
    for profile in rules.PROFILES.values():
        for _ in range(20):
            scores = np.round(rng.random(140) + 0.5 * at(140, 43, 60), 1)
            worths = [rules.worth_of(scores >= t, judged, profile) for t in np.unique(scores)]
            assert rules.best_threshold(scores, judged, profile)[1] == pytest.approx(max([0.0, *worths]))


def test_the_first_points_are_not_scored(rules):
    assert [rules.unscored(n) for n in (40, 100, 4_032, 5_000, 22_695)] == [6, 15, 604, 750, 750]


def test_silence_after_a_detection_ends_with_its_series(rules):
    kept = rules.spaced(at(30, 3, 5, 8, 12, 19, 21, 22), np.array([0, 20, 30]), 5)
    assert np.flatnonzero(kept).tolist() == [3, 8, 19, 21]


def test_the_table_of_outcomes_agrees_with_the_score_of_the_same_detections(rules, corpus):
    judged, starts = rules.judge(corpus), np.array([0, 100, 140])
    scores = np.random.default_rng(9).random(140)
    for profile in rules.PROFILES.values():
        table = rules.outcomes(scores, judged, starts, 7, profile)
        for threshold, found in zip(table.thresholds, table.of(np.arange(2), profile), strict=True):
            kept = rules.spaced(scores >= threshold, starts, 7)
            assert found == pytest.approx(rules.worth_of(kept, judged, profile))
