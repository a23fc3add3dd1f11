"""What river's detectors score on NAB's series, for nab.py --river. Run it where river, no dependency, is installed.

    python benchmarks/quality/nab_river.py FOLDER FILE.npz
"""

import sys
from pathlib import Path

import numpy as np
from nab_scoring import read
from river import anomaly

DETECTORS = {
    "GaussianScorer": lambda: anomaly.GaussianScorer(window_size=None, grace_period=20),
    "HalfSpaceTrees": lambda: anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=250, seed=42),
}


def scores(name: str, values: list[float]) -> list[float]:
    """Each value is judged before it is learned. Half-space trees want 0..1: the first 20 values' range, widened."""
    model, found = DETECTORS[name](), []
    low, high = min(values[:20]), max(values[:20])
    wide = max(high - low, 1e-9)
    for value in values:
        if name == "GaussianScorer":
            found.append(model.score_one(None, value))
            model.learn_one(None, value)
        else:
            x = {"value": min(max((value - low + wide) / (3.0 * wide), 0.0), 1.0)}
            found.append(model.score_one(x))
            model.learn_one(x)
    return found


if __name__ == "__main__":
    corpus = read(Path(sys.argv[1]))
    rows = {name: [scores(name, one.value.tolist()) for one in corpus] for name in DETECTORS}
    np.savez(sys.argv[2], **{name: np.concatenate(series) for name, series in rows.items()})
