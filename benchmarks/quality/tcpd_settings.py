"""How much do the online default's figures on the Turing dataset hang on its settings? Left-one-out, and the grid.

    python benchmarks/quality/tcpd_settings.py FOLDER

Every combination of four settings around the default is scored. Left-one-out: each series is scored with the
combination that is best (F1 and covering together) on the others, as if it had not been there when they were chosen.
"""

import argparse
import itertools
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tcpd import load
from tcpd_online import broken_trend
from tcpd_scores import covering, f_measure

from detectors.broken_trend import BrokenTrend

GRID = {
    "shortest": (5, 6, 8),
    "confirm": (3, 5, 8),
    "share_min": (0.0, 0.03, 0.06),
    "correlation_max": (0.7, 0.8, 0.9),
}
DEFAULT = (6, 5, 0.03, 0.8)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    if not (options.folder / "annotations.json").is_file():
        print(f"{options.folder} holds no annotations.json: give the folder of the Turing Change Point Dataset")
        return 2
    data = load(options.folder)
    choices = list(itertools.product(*GRID.values()))
    cells = np.zeros((len(choices), len(data), 2))
    for i, (shortest, confirm, share, correlation) in enumerate(choices):
        spec = BrokenTrend(shortest=shortest, share_min=share, correlation_max=correlation)
        for j, (series, annotations) in enumerate(data.values()):
            changes = broken_trend(series, spec, confirm).changes
            cells[i, j] = f_measure(annotations, changes), covering(annotations, changes, len(series))
    means = cells.mean(axis=1)
    others = (cells.sum(axis=1, keepdims=True) - cells).sum(axis=2)
    left_out = cells[others.argmax(axis=0), np.arange(len(data))].mean(axis=0)
    print(f"{len(data)} series, {len(choices)} combinations, {datetime.now(UTC):%Y-%m-%d}; F1 / covering\n")
    for k, (name, values) in enumerate(GRID.items()):
        for value in values:
            f1, cover = means[[c[k] == value for c in choices]].mean(axis=0)
            print(f"all with {name} {value}: {f1:.3f} / {cover:.3f}")
    found = {"default": means[choices.index(DEFAULT)], "left_one_out": left_out, "mean": means.mean(axis=0)}
    found |= {"worst": means.min(axis=0), "best": means.max(axis=0)}
    figures: dict[str, float] = {"series": len(data), "combinations": len(choices)}
    for name, (f1, cover) in found.items():
        print(f"{name}: {f1:.3f} / {cover:.3f}")
        figures |= {f"{name}_f1": round(float(f1), 4), f"{name}_cover": round(float(cover), 4)}
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
