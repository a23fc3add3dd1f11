"""How well do the general-purpose detectors and their ensemble do on the Numenta Anomaly Benchmark?

    python benchmarks/quality/nab.py FOLDER [--out DIR] [--river FILE]

FOLDER has NAB's layout (data/*/*.csv, labels/combined_windows.json); every series there that has labels is scored. All
series are entities of one array, stepped together; where a series has ended its value is NaN. No detector is told a
series' name, length, minimum, maximum or step. The rules are NAB's own (nab_scoring.py), one threshold for the corpus.

"+ silence": after an alert a series stays silent for 100 points, whatever its step or length. The silence belongs to
the threshold, as in a service that alerts at one. "rank": the detector's score as its
conformal rank in its own past. "held out": the threshold is chosen on one half of the series, the score is the other
half's, mean and sd over 20 random halvings; "nested": which detectors are fused, with which weight for agreement, is
chosen on the first half as well, out of all sets of single detectors. "emitted": the scores that --out writes, where
the ensemble alerts at a fixed p-value of its own and stays silent after it; NAB's rules see nothing but these scores.
--out DIR writes DIR/<detector>/<category>/<detector>_<file>.csv. --river takes what nab_river.py wrote.
"""

import argparse
import csv
import itertools
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from nab_scoring import (
    PROFILES,
    UNSCORED,
    Floats,
    Ints,
    Judged,
    Outcomes,
    Series,
    best_threshold,
    counts,
    judge,
    outcomes,
    read,
    spaced,
)

from detectors.base import observe
from detectors.conformal import ConformalRank
from detectors.ensemble import LASTING, LEVEL, SEASON, SHAPE, Ensemble, merged, refractory
from detectors.generalized_pareto import PeaksOverThreshold
from detectors.histogram import RelativeEntropy
from detectors.robust_z import RobustZ

SILENCE = 100  # points
ALERT = 1.7  # -log10 p at which the emitted scores count as an alert of the ensemble
HALVINGS = 20
SEED = 20
POOL = {
    "EWMA z, long memory": LEVEL,
    "EWMA chart": LASTING,
    "seasonal residual": SEASON,
    "nearest neighbours": SHAPE,
    "robust z": RobustZ(direction="both", window=201, sd_min=1e-9),
    "relative entropy": RelativeEntropy(),
    "peaks over threshold": PeaksOverThreshold(direction="both"),
}
CAVEATS = """Caveats: NAB's labels are partly wrong or trivial (Wu and Keogh, arXiv 2009.13807), and windows are a tenth
of a series, so an alert anywhere in them counts. The best threshold is chosen on the series that are scored, as in NAB;
"held out" and "nested" are not. Published figures of HTM, CAD OSE and ARTime (70 to 75 on all 58 series) come from
detectors that are given each file's minimum and maximum; none here is. The ensemble's members, the fixed alert level
and the silence were settled with 31 of the 58 series at hand, so "held out" flatters the ensemble there; "nested" does
not choose the silence (75, 150, 200 and 288 points gave 73.4, 73.1, 73.4 and 67.6 on those 31)."""


class Corpus:
    """The series side by side, and how they are judged."""

    def __init__(self, series: list[Series]) -> None:
        self.series = series
        self.judged: Judged = judge(series)
        self.lengths = [len(one.value) for one in series]
        self.starts: Ints = np.concatenate([[0], np.cumsum(self.lengths)])
        self.values, self.times = self.grid([s.value for s in series]), np.zeros((len(series), max(self.lengths)), int)
        for row, one in zip(self.times, series, strict=True):
            row[: len(one.time)] = one.time
        self.moving = np.concatenate([moving_z(one.value) for one in series])

    def grid(self, rows: list[Floats]) -> Floats:
        wide = np.full((len(rows), max(self.lengths)), np.nan)
        for row, values in zip(wide, rows, strict=True):
            row[: len(values)] = values
        return wide

    def points(self, wide: Floats) -> Floats:
        return np.concatenate([row[:n] for row, n in zip(wide, self.lengths, strict=True)])

    def split(self, points: Floats) -> list[Floats]:
        return np.split(points, self.starts[1:-1])

    def scores(self, spec: Any) -> Floats:
        """Every point's score by a detector, series after series."""
        state, wide = spec.init(len(self.series)), np.zeros_like(self.values)
        for i in range(wide.shape[1]):
            state, score = spec.step(state, observe(self.values[:, i], time=self.times[:, i]))
            wide[:, i] = score.score
        return self.points(wide)

    def ranks(self, scores: Floats) -> Floats:
        """-log10 of each score's conformal p-value in its series' past."""
        given, spec = self.grid(self.split(scores)), ConformalRank()
        state, wide, learn = spec.init(len(given)), np.zeros_like(given), np.ones(len(given), dtype=bool)
        for i in range(wide.shape[1]):
            state, p = spec.calibrate(state, np.ascontiguousarray(given[:, i]), learn)
            wide[:, i] = -np.log10(p)
        return self.points(wide)

    def emitted(self, scores: Floats) -> Floats:
        """Scores of 0..1 as they are emitted: 0 while silent after an alert."""
        given = self.grid(self.split(scores))
        left, wide = np.zeros(len(given), dtype=np.int64), np.zeros_like(given)
        for i in range(wide.shape[1]):
            silent = left > 0
            left, _ = refractory(left, given[:, i] >= ALERT, SILENCE)
            wide[:, i] = np.where(silent, 0.0, given[:, i] / (1.0 + given[:, i]))
        return self.points(wide)


def moving_z(value: Floats, window: int = 6_400) -> Floats:
    """The plain baseline: abs(z) against the last values' mean and sd."""
    at = np.arange(len(value))
    first = np.maximum(at - window, 0)
    off = value - value[0]
    sums, squares = (np.concatenate([[0.0], np.cumsum(a)]) for a in (off, off * off))
    size = np.maximum(at - first, 1)
    mean = (sums[at] - sums[first]) / size
    sd = np.sqrt(np.maximum((squares[at] - squares[first]) / size - mean * mean, 0.0))
    return np.where(at < 20, 0.0, np.abs(off - mean) / np.maximum(sd, 1e-9))


def halvings(n: int) -> list[tuple[Ints, Ints]]:
    rng = np.random.default_rng(SEED)
    orders = [rng.permutation(n) for _ in range(HALVINGS)]
    return [(order[: n // 2], order[n // 2 :]) for order in orders]


def held_out(candidates: list[Outcomes]) -> tuple[float, float]:
    """The other half's score when candidate and threshold are chosen on one half: mean and sd."""
    profile, found = PROFILES["standard"], []
    for chosen_on, scored_on in halvings(len(candidates[0].raw)):
        best = max(candidates, key=lambda c: float(c.of(chosen_on, profile).max()))
        threshold = best.of(chosen_on, profile).argmax()
        found.append(float(best.of(scored_on, profile)[threshold]))
    return float(np.mean(found)), float(np.std(found))


def row(name: str, scores: Floats, corpus: Corpus, steps: int) -> dict[str, float]:
    """One line of the table: three profiles, hits and false positives at the standard threshold."""
    result: dict[str, float] = {}
    everyone = np.arange(len(corpus.series))
    for key, profile in PROFILES.items():
        if steps:
            table = outcomes(scores, corpus.judged, corpus.starts, steps, profile)
            worth = table.of(everyone, profile)
            threshold, found = float(table.thresholds[worth.argmax()]), float(worth.max())
        else:
            threshold, found = best_threshold(scores, corpus.judged, profile)
        result[key] = round(found, 2)
        if key == "standard":
            result["threshold"] = threshold
    hits, false = counts(spaced(scores >= result["threshold"], corpus.starts, steps), corpus.judged)
    print(
        f"{name:<44}{result['standard']:>9.1f}{result['low_fp']:>8.1f}{result['low_fn']:>8.1f}"
        f"{hits:>7}/{corpus.judged.windows}{false:>7}", flush=True,
    )  # fmt: skip
    return {**result, "hits": hits, "false_positives": false}


def both(name: str, scores: Floats, corpus: Corpus) -> dict[str, Any]:
    return {"plain": row(name, scores, corpus, 0), "silence": row(f"{name} + silence", scores, corpus, SILENCE)}


def categories(name: str, scores: Floats, threshold: float, corpus: Corpus) -> None:
    print(f"\n{name}: by category, at the corpus' threshold")
    found = spaced(scores >= threshold, corpus.starts, SILENCE)
    kinds = np.repeat([one.name.split("/")[0] for one in corpus.series], corpus.lengths)
    for kind in np.unique(kinds):
        here = kinds == kind
        windows = sum(len(one.windows) for one in corpus.series if one.name.startswith(kind + "/"))
        hits, false = counts(found & here, corpus.judged)
        scored = int((corpus.judged.window[here] != UNSCORED).sum())
        print(f"  {kind:<24}{hits:>4}/{windows:<4} hits{false:>6} false positives in {scored:,} scored points")


def write(folder: Path, name: str, scores: Floats, corpus: Corpus) -> None:
    """NAB's results layout."""
    for one, own in zip(corpus.series, corpus.split(scores), strict=True):
        category, file = one.name.split("/")
        path = folder / name / category / f"{name}_{file}"
        path.parent.mkdir(parents=True, exist_ok=True)
        inside = np.zeros(len(own), dtype=int)
        for first, last in one.windows:
            inside[first : last + 1] = 1
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(["timestamp", "value", "anomaly_score", "label"])
            writer.writerows(zip(one.stamps, one.value.tolist(), own.round(9).tolist(), inside.tolist(), strict=True))


def baselines(corpus: Corpus, river: Path | None) -> dict[str, Any]:
    found = {"moving z": both("moving z, 6400 points", corpus.moving, corpus)}
    noise = np.random.default_rng(SEED).random(int(corpus.starts[-1]))
    found["random"] = both("uniform random", noise, corpus)
    if river is None:
        print("river                                       not run: see nab_river.py and --river")
        return found
    with np.load(river) as file:
        for name in file.files:
            found[f"river {name}"] = both(f"river {name}", file[name], corpus)
    return found


def fusions(ranks: dict[str, Floats], corpus: Corpus) -> list[Outcomes]:
    """What each set of the pool's detectors comes to, with and without weight for agreement."""
    found = []
    for size in range(1, len(ranks) + 1):
        for names, agreement in itertools.product(itertools.combinations(ranks, size), (0.0, 0.5)):
            if size > 1 or agreement == 0.0:
                p = merged(np.stack([ranks[name] for name in names]), agreement)
                found.append(outcomes(-np.log10(p), corpus.judged, corpus.starts, SILENCE, PROFILES["standard"]))
    return found


def pool(corpus: Corpus, found: dict[str, Any]) -> dict[str, Floats]:
    """The single detectors' rows, and their ranks."""
    ranks = {}
    for name, spec in POOL.items():
        scores = corpus.scores(spec)
        found[name] = both(name, scores, corpus)
        ranks[name] = corpus.ranks(scores)
        found[f"{name}, rank"] = both(f"{name}, rank", ranks[name], corpus)
    return ranks


def splits(scores: Floats, ranks: dict[str, Floats], corpus: Corpus) -> dict[str, dict[str, float]]:
    def table(points: Floats) -> list[Outcomes]:
        return [outcomes(points, corpus.judged, corpus.starts, SILENCE, PROFILES["standard"])]

    print("\nstandard, chosen on one half of the series and scored on the other, mean (sd):")
    found = {}
    for key, text, candidates in (
        ("held_out_moving_z", "moving z + silence, the threshold", table(corpus.moving)),
        ("held_out", "ensemble + silence, the threshold", table(scores)),
        ("nested", "threshold, members and agreement", fusions(ranks, corpus)),
    ):
        mean, sd = held_out(candidates)
        print(f"  {text:<42}{mean:>9.1f} ({sd:.1f})")
        found[key] = {"mean": round(mean, 2), "sd": round(sd, 2)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--river", type=Path)
    args = parser.parse_args()
    if not (args.folder / "labels" / "combined_windows.json").is_file():
        print(f"{args.folder}: no labels/combined_windows.json there; NAB's layout is needed", file=sys.stderr)
        sys.exit(2)
    corpus = Corpus(read(args.folder))
    points, windows = int(corpus.starts[-1]), corpus.judged.windows
    print(f"NAB: {len(corpus.series)} series, {points:,} points, {windows} windows", end="; ")
    print(f"seed {SEED}, {datetime.now(UTC):%Y-%m-%d}\n")
    print(f"{'':<44}{'standard':>9}{'low FP':>8}{'low FN':>8}{'hits':>10}{'false':>7}")
    found = baselines(corpus, args.river)
    ranks = pool(corpus, found)
    scores = corpus.scores(Ensemble())
    found["ensemble"] = both("ensemble (default)", scores, corpus)
    emitted = corpus.emitted(scores)
    found["emitted"] = row("ensemble, emitted scores", emitted, corpus, 0)
    default = found["ensemble"]["silence"]
    categories("ensemble + silence", scores, default["threshold"], corpus)
    categories("moving z + silence", corpus.moving, found["moving z"]["silence"]["threshold"], corpus)
    halves = splits(scores, ranks, corpus)
    print(f"\n{CAVEATS}\n")
    if args.out:
        write(args.out, "ripcurrent", emitted, corpus)
    keys = {key: default[key] for key in PROFILES}
    print(json.dumps({"series": len(corpus.series), "windows": windows, **keys, **halves, "rows": found}))


if __name__ == "__main__":
    main()
