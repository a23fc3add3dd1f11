"""river's change detectors on delay.py's streams; run by delay.py --river with an interpreter that has river.

    PYTHON benchmarks/quality/delay_river.py FOLDER ARL0

FOLDER holds streams.npz. ADWIN has no score, so its delta is set by bisection to the ARL0 (and looks at every step:
clock 1); PageHinkley's threshold likewise (mode up, the rest as it comes). Prints one line of JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from river import drift  # type: ignore[import-not-found, unused-ignore]

Make = Callable[[float], Any]
ROWS: list[tuple[str, Make, float, float]] = [  # name, detector of a strictness, its lowest and highest log10
    ("river ADWIN", lambda v: drift.ADWIN(delta=10.0**-v, clock=1), 0.0, 12.0),
    ("river PageHinkley", lambda v: drift.PageHinkley(threshold=10.0**v, mode="up"), 0.0, 5.0),
]


def first(detector: Any, values: list[float]) -> float:
    """Steps until the first alarm; infinite where none."""
    for t, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            return t + 1.0
    return float("inf")


def run_length(make: Make, level: float, null: list[list[float]]) -> tuple[float, int]:
    lengths = np.array([first(make(level), values) for values in null])
    alarms = int(np.isfinite(lengths).sum())
    return float(np.minimum(lengths, len(null[0])).sum() / max(alarms, 1)), alarms


def measure(name: str, make: Make, low: float, high: float, streams: Any, arl0: float) -> dict[str, Any]:
    null = [list(map(float, row)) for row in streams["null"].T]
    for _ in range(9):
        level = (low + high) / 2
        enough = run_length(make, level, null)[0] >= arl0
        low, high = (low, level) if enough else (level, high)
    start = time.perf_counter()
    length, alarms = run_length(make, high, null)
    ns = (time.perf_counter() - start) / (length * max(alarms, 1)) * 1e9

    def delays(key: str) -> Any:
        before = [list(map(float, row)) for row in streams["before"].T]
        after = [list(map(float, row)) for row in streams[key].T]
        found = np.array([first(make(high), b + a) - len(b) for b, a in zip(before, after, strict=True)])
        return found[found > 0]

    sizes = sorted((k for k in streams.files if k.startswith("after")), key=lambda k: float(k[5:]))
    return {
        "name": name, "threshold": high, "arl0": length, "arl0_se": length / np.sqrt(max(alarms, 1)),
        "medians": [float(np.median(delays(k))) for k in sizes],
        "burst": float(np.isfinite(delays("burst")).mean()), "ns": ns,
    }  # fmt: skip


if __name__ == "__main__":
    loaded = np.load(Path(sys.argv[1]) / "streams.npz")
    print(json.dumps([measure(*row, loaded, float(sys.argv[2])) for row in ROWS]))
