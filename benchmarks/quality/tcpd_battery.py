"""Synthetic series of the kinds that the Turing benchmark has: what its online default was made with.

    python benchmarks/quality/tcpd_battery.py [--seeds 8]

Twelve kinds, short (30 to 70 points) and long (100 to 1,000): noise, autocorrelated noise, random walks, trends, all
without a change; levels in white and autocorrelated noise and with outliers; bends, levels on a trend, seasons with and
without levels, a change of variance only, growth with a drop. Scored as the benchmark, the planted changes as the one
annotator. The share of kinds is made up, so the means say little; the rows beside each other say more.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
from tcpd_offline import Floats, pelt, restart_glr, standardised
from tcpd_online import broken_trend, gaussian_focus
from tcpd_scores import covering, f_measure

KINDS = (
    "noise", "waves", "walk", "trend", "levels", "levels in waves", "levels, outliers", "bends", "level on trend",
    "seasons", "variance", "growth",
)  # fmt: skip
ROWS = {
    "ours": lambda s: broken_trend(s).changes,
    "gaussian_focus": lambda s: gaussian_focus(s).changes,
    "no_change": lambda s: [],
    "pelt": lambda s: pelt(standardised(s), 3.0 * np.log(len(s))),
    "restart_glr": lambda s: restart_glr(standardised(s), 3.0 * np.log(len(s)))[0],
}


def waves(rng: np.random.Generator, n: int, phi: float) -> Floats:
    """Autocorrelated noise of variance 1."""
    x = rng.normal(0.0, 1.0, n)
    for i in range(1, n):
        x[i] = phi * x[i - 1] + np.sqrt(1.0 - phi * phi) * x[i]
    return x


def places(rng: np.random.Generator, n: int, count: int, apart: int) -> list[int]:
    while True:
        at = sorted(int(v) for v in rng.choice(np.arange(apart, n - apart), count, replace=False))
        if all(b - a >= apart for a, b in pairwise(at)):
            return at


def steps(rng: np.random.Generator, n: int, at: list[int], low: float, high: float) -> Floats:
    x = np.zeros(n)
    for start in at:
        x[start:] += rng.uniform(low, high) * rng.choice([-1.0, 1.0])
    return x


def bends(rng: np.random.Generator, n: int, at: list[int]) -> Floats:
    x = rng.normal() * 20.0 / n * np.arange(n)
    for start in at:
        x[start:] += rng.uniform(20.0, 60.0) / n * rng.choice([-1.0, 1.0]) * np.arange(n - start)
    return x + waves(rng, n, rng.uniform(0.3, 0.95)) * rng.uniform(0.1, 1.0)


def seasons(rng: np.random.Generator, n: int) -> Floats:
    t = np.arange(n)
    height = rng.uniform(0.5, 2.0) * (1.0 + rng.uniform(0.0, 2.0) * t / n)
    wave = height * np.sin(2.0 * np.pi * t / 12 + rng.uniform(0.0, 6.0))
    return wave + rng.uniform(0.0, 8.0) * t / n + 0.7 * waves(rng, n, rng.uniform(0.0, 0.6))


def series(kind: str, seed: int) -> tuple[Floats, list[int]]:
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    short = rng.random() < 0.4
    n = int(rng.integers(30, 70)) if short else int(np.exp(rng.uniform(np.log(100), np.log(1000))))
    gap, wide, t = max(8, n // 12), max(8, n // 5), np.linspace(0.0, 1.0, n)
    if kind in ("noise", "waves", "walk", "trend"):
        plain = {
            "noise": lambda: rng.normal(size=n),
            "waves": lambda: waves(rng, n, rng.uniform(0.4, 0.95)),
            "walk": lambda: np.cumsum(rng.normal(rng.uniform(-0.1, 0.1), 1.0, n)),
            "trend": lambda: rng.uniform(2.0, 20.0) * t + waves(rng, n, rng.uniform(0.0, 0.8)),
        }
        return plain[kind](), []
    if kind in ("levels", "levels in waves", "levels, outliers"):
        at = places(rng, n, int(rng.integers(1, 3 if short else 6)), gap)
        phi = rng.uniform(0.3, 0.8) if kind == "levels in waves" else 0.0
        x = steps(rng, n, at, 3.0, 6.0) + waves(rng, n, phi)
        wild = (rng.random(n) < 0.01) & (kind == "levels, outliers")
        return x + wild * rng.uniform(6.0, 15.0, n) * rng.choice([-1.0, 1.0], n), at
    at = places(rng, n, int(rng.integers(1, 3)) if kind == "bends" else 1, wide)
    if kind == "bends":
        return bends(rng, n, at), at
    if kind == "level on trend":
        return rng.uniform(-10.0, 10.0) * t + steps(rng, n, at, 4.0, 8.0) + waves(rng, n, rng.uniform(0.0, 0.6)), at
    if kind == "variance":
        louder = np.where(np.arange(n) < at[0], 1.0, rng.uniform(3.0, 5.0))
        return rng.normal(size=n) * louder, at
    at = at if rng.random() < 0.5 else []
    if kind == "seasons":
        return seasons(rng, n) + steps(rng, n, at, 4.0, 8.0), at
    drift = np.cumsum(rng.normal(0.0, 0.02 * np.sqrt(60.0 / n), n))
    return np.exp(rng.uniform(0.5, 2.5) * t + steps(rng, n, at, 0.2, 0.5) + drift), at


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=8)
    options = parser.parse_args(arguments)
    print(f"{len(KINDS)} kinds, seeds 1000 to {999 + options.seeds}, {datetime.now(UTC):%Y-%m-%d}; F1 / covering\n")
    print(f"{'':18s}" + "".join(f"{row:>17s}" for row in ROWS))
    means: dict[str, list[tuple[float, float]]] = {row: [] for row in ROWS}
    for kind in KINDS:
        line = f"{kind:18s}"
        for row, method in ROWS.items():
            cells = []
            for seed in range(1000, 1000 + options.seeds):
                x, at = series(kind, seed)
                found = method(x)
                cells.append((f_measure({"": at}, found), covering({"": at}, found, len(x))))
            f1, cover = (float(v) for v in np.mean(cells, axis=0))
            means[row].append((f1, cover))
            line += f"{f1:10.3f} /{cover:5.3f}"
        print(line, flush=True)
    figures: dict[str, float] = {"seeds": options.seeds}
    for row, cells in means.items():
        f1, cover = (float(v) for v in np.mean(cells, axis=0))
        figures |= {f"{row}_f1": round(f1, 4), f"{row}_cover": round(cover, 4)}
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
