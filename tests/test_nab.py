"""The NAB benchmark (benchmarks/quality/nab.py): no look-ahead, and what it writes."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from detectors.ensemble import Ensemble

ROOT = Path(__file__).parent.parent
QUALITY = str(ROOT / "benchmarks" / "quality")


@pytest.fixture(scope="module")
def nab():
    sys.path.insert(0, QUALITY)
    try:
        import nab
    finally:
        sys.path.remove(QUALITY)
    return nab


def series(nab, name, value, windows=()):
    time = np.arange(len(value), dtype=np.int64) * 300_000
    return nab.Series(name, tuple(str(t) for t in time), time, value, windows)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(17).gamma(3.0, 2.0, (3, 400))


def test_neither_a_series_length_nor_its_neighbours_change_a_score(nab, values):
    spec = Ensemble()
    long = nab.Corpus([series(nab, "a/x.csv", values[0]), series(nab, "a/y.csv", values[1])])
    short = nab.Corpus([series(nab, "b/z.csv", values[0, :250]), series(nab, "b/y.csv", values[2, :30])])
    ours, theirs = long.scores(spec), short.scores(spec)
    np.testing.assert_array_equal(ours[:250], theirs[:250])
    np.testing.assert_array_equal(long.emitted(ours)[:250], short.emitted(theirs)[:250])
    np.testing.assert_array_equal(long.ranks(ours)[:250], short.ranks(theirs)[:250])


def test_emitted_scores_lie_in_0_to_1_and_are_silent_after_an_alert(nab, values):
    corpus = nab.Corpus([series(nab, "a/x.csv", values[0])])
    scores = np.zeros(400)
    again = 50 + nab.SILENCE
    scores[[50, 60, again - 1, again, again + 1]] = nab.ALERT + 1.0, 300.0, 300.0, nab.ALERT, 300.0
    emitted = corpus.emitted(scores)
    assert np.flatnonzero(emitted).tolist() == [50, again]
    assert ((emitted >= 0) & (emitted <= 1)).all()


def test_the_plain_baseline_is_the_z_score_of_the_last_values(nab, values):
    z = nab.moving_z(values[0], window=60)
    past = values[0, 240:300]
    assert z[300] == pytest.approx(abs(values[0, 300] - past.mean()) / past.std())


def test_what_is_written_has_nabs_layout(nab, values, tmp_path):
    corpus = nab.Corpus([series(nab, "kind/x.csv", values[0], ((10, 12),))])
    nab.write(tmp_path, "ripcurrent", np.linspace(0, 1, 400), corpus)
    with (tmp_path / "ripcurrent" / "kind" / "ripcurrent_x.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["timestamp", "value", "anomaly_score", "label"]
    assert [i for i, row in enumerate(rows) if row["label"] == "1"] == [10, 11, 12]
    assert float(rows[-1]["anomaly_score"]) == 1.0
    assert len(rows) == 400


def test_without_the_data_it_says_so_and_ends_with_2(tmp_path):
    command = [sys.executable, f"{QUALITY}/nab.py", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 2
    assert "combined_windows.json" in done.stderr


def test_the_last_line_is_json_with_the_agreed_keys():
    text = (ROOT / "benchmarks" / "results" / "nab.json").read_text(encoding="utf-8")
    assert {"standard", "low_fp", "low_fn", "nested", "held_out", "rows"} <= set(json.loads(text))
