"""How well is a change of a count's rate dated, some panes after it, by how large it is and how long ago?

    python benchmarks/quality/dating.py [--seed 1] [--streams 400]

Counts of a stream are Poisson, or negative binomial with dispersion 0.3, around a known expectation of 0.5, 3 or 20 a
pane; after 120 panes the rate is multiplied and stays. After 5, 10 or 30 panes more the change is dated by Bocpd's
date_change (which does not know the level), by PoissonFocus (which knows the level before), and by GaussianFocus
(which knows neither level nor scale); all know the direction. Printed: the share dated within 2 panes, and the median
error in panes, of all streams; a date that a method cannot give is as wrong as can be. No threshold is involved.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detectors.base import Detector, observe
from detectors.bocpd import Bocpd, date_change
from detectors.focus import PoissonFocus
from detectors.gaussian_focus import GaussianFocus

Floats = NDArray[np.float64]
BEFORE = 120
LEVELS, RATES, SINCE, DISPERSIONS = (0.5, 3.0, 20.0), (0.5, 1.5, 2.0, 4.0), (5, 10, 30), (0.0, 0.3)
METHODS = ("bocpd", "poisson_focus", "gaussian_focus")


def counts(rng: np.random.Generator, streams: int, level: float, rate: float, since: int, dispersion: float) -> Floats:
    mean = np.where(np.arange(BEFORE + since) < BEFORE, level, level * rate)
    shape = (streams, BEFORE + since)
    if dispersion:
        mean = mean * rng.gamma(1.0 / dispersion, dispersion, shape)
    return rng.poisson(np.broadcast_to(mean, shape)).astype(float)


def stepped(spec: Detector, values: Floats, level: float, dispersion: float) -> NDArray[np.int64]:  # type: ignore[type-arg]
    state = spec.init(len(values))
    for i in range(values.shape[1]):
        state, _ = spec.step(state, observe(values[:, i], expected=level, dispersion=dispersion, time=i))
    return spec.changed_at(state)  # type: ignore[attr-defined,no-any-return]


def dates(values: Floats, level: float, rate: float, dispersion: float) -> dict[str, NDArray[np.int64]]:
    times = np.arange(values.shape[1])
    expected = np.full(values.shape, level)
    side: Literal["up", "down"] = "up" if rate > 1 else "down"
    return {
        "bocpd": date_change(values, expected, times, Bocpd(), dispersion=dispersion, side=side).changed_at,
        "poisson_focus": stepped(PoissonFocus(direction=side), values, level, dispersion),
        "gaussian_focus": stepped(GaussianFocus(direction=side, shortest=2), values, level, dispersion),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--streams", type=int, default=400)
    options = parser.parse_args(arguments)
    print(f"{options.streams} streams in each cell, seed {options.seed}, {datetime.now(UTC):%Y-%m-%d}")
    print("share dated within 2 panes / median error in panes\n")
    print(f"{'':10s}{'level':>6s}{'rate':>6s}{'panes':>7s}" + "".join(f"{m:>20s}" for m in METHODS))
    shares: dict[str, list[float]] = {m: [] for m in METHODS}
    errors: dict[str, list[float]] = {m: [] for m in METHODS}
    for k, dispersion in enumerate(DISPERSIONS):
        for cell in np.ndindex(len(LEVELS), len(RATES), len(SINCE)):
            level, rate, since = LEVELS[cell[0]], RATES[cell[1]], SINCE[cell[2]]
            rng = np.random.default_rng([options.seed, k, *cell])
            values = counts(rng, options.streams, level, rate, since, dispersion)
            line = f"{'Poisson' if not dispersion else 'over':10s}{level:6.1f}{rate:6.1f}{since:7d}"
            for method, at in dates(values, level, rate, dispersion).items():
                off = np.where(at < 0, BEFORE, np.abs(at - BEFORE))
                shares[method].append(float((off <= 2).mean()))
                errors[method].append(float(np.median(off)))
                line += f"{shares[method][-1]:13.2f} /{errors[method][-1]:5.1f}"
            print(line)
    figures: dict[str, float] = {"seed": options.seed, "streams": options.streams}
    for m in METHODS:
        figures[f"{m}_within_2"] = round(float(np.mean(shares[m])), 4)
        figures[f"{m}_error_panes"] = round(float(np.mean(errors[m])), 2)
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
