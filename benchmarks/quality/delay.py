"""How soon is a lasting rise of a count found, and how many short bursts, at the same rate of false alarms?

    python benchmarks/quality/delay.py [--runs 2000] [--seed 11] [--river PYTHON]

The stream is negative binomial with a known mean (3, dispersion 1/2; then 0.3, dispersion 1). Every row's threshold
is the lowest whose mean time to a false alarm (ARL0) is at least 10,000 steps: measured over `runs` null streams of
10,000 steps, as steps until the first alarm or the end, over alarms (the estimate for exponential run lengths). Then
`runs` streams change after 200 steps. Streams with an alarm before the change are left out; the delay is 1 where the
first changed step alarms. A burst is 3 steps at 6 times the mean, and caught if one of those 3 steps alarms. All rows
see the same streams. The default is CountShift as it comes; "best" is over tuned CUSUMs, FOCuS and EWMA charts.
With --river, an interpreter that has river installed, its ADWIN and PageHinkley are rows too (on 400 streams).
Nanoseconds are for an entity and a step, at 10,000 entities.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from detectors.base import Floats, Observation, observe
from detectors.cusum import CountCusum, GaussianCusum
from detectors.focus import PoissonFocus
from detectors.page_hinkley import PageHinkley
from detectors.shift import CountShift
from detectors.tails import count_tail, surprise

ARL0, HORIZON, QUIET, BURST, BURST_SIZE = 10_000, 10_000, 200, 3, 6.0
SIZES = (1.25, 1.5, 2.0, 4.0, 8.0)
LONGEST = 1_500  # steps after the change; a median beyond is printed as >1500
PANELS = ((3.0, 0.5), (0.3, 1.0))
DEFAULT = "CountShift (our default)"
Step = Callable[[Any, Observation], tuple[Any, Floats]]


class Row(NamedTuple):
    name: str
    init: Callable[[int], Any]
    step: Step
    rival: bool = False  # whether the default is measured against it


class Result(NamedTuple):
    name: str
    threshold: float
    arl0: float
    arl0_se: float
    medians: list[float]
    burst: float
    ns: float


def shipped(name: str, spec: Any, rival: bool = False) -> Row:
    def step(state: Any, x: Observation) -> tuple[Any, Floats]:
        state, score = spec.step(state, x)
        return state, score.score

    return Row(name, spec.init, step, rival)


def pointwise(state: Any, x: Observation) -> tuple[Any, Floats]:
    return state, surprise(count_tail(x.value, x.expected, x.dispersion))


def ewma_chart(weight: float) -> Step:
    def step(level: Any, x: Observation) -> tuple[Any, Floats]:
        level = level + weight * (x.value / x.expected - level)
        return level, level

    return step


def window(state: Any, x: Observation) -> tuple[Any, Floats]:
    state = np.column_stack([state[:, 1:], x.value / x.expected])
    return state, state.sum(axis=1)


def negative_binomial_focus(state: Any, x: Observation) -> tuple[Any, Floats]:
    """FOCuS with the negative binomial's own likelihood: exact for a constant mean, which has the same hull."""
    state, _ = PoissonFocus().step(state, x._replace(dispersion=np.zeros_like(x.dispersion)))  # unweighted sums
    mean, phi = x.expected[:, None], x.dispersion[:, None]
    rate = np.maximum(state.hits / np.maximum(state.mass, 1e-9), 1.0)
    gain = np.log1p((rate - 1.0) / (1.0 + phi * rate * mean))
    cost = np.log1p(phi * mean * (rate - 1.0) / (1.0 + phi * mean)) / phi
    return state, (state.hits * gain - state.mass / mean * cost).max(axis=1)


def rows() -> list[Row]:
    return [
        Row("negative binomial tail, one step", np.zeros, pointwise),
        Row("EWMA chart .2", np.ones, ewma_chart(0.2), True),
        Row("EWMA chart .05", np.ones, ewma_chart(0.05), True),
        *(shipped(f"CountCusum x{r:g}", CountCusum(rate=r), True) for r in SIZES),
        shipped("PoissonFocus", PoissonFocus(), True),
        Row("FOCuS, NB likelihood", PoissonFocus().init, negative_binomial_focus, True),
        Row("window of 24 steps", lambda n: np.ones((n, 24)), window),
        shipped("GaussianCusum (learns its mean)", GaussianCusum()),
        shipped("PageHinkley (learns its mean)", PageHinkley()),
        shipped(DEFAULT, CountShift()),
    ]


class Streams(NamedTuple):
    mean: float
    dispersion: float
    null: Floats  # (horizon, runs)
    before: Floats  # (200, runs)
    after: dict[float, Floats]  # by size, (longest, runs)
    burst: Floats  # (3, runs)


def streams(mean: float, dispersion: float, runs: int, seed: int) -> Streams:
    rng = np.random.default_rng([seed, round(mean * 10)])

    def counts(size: float, steps: int) -> Floats:
        level = rng.gamma(1.0 / dispersion, dispersion, (steps, runs)) * (mean * size)
        return rng.poisson(level).astype(np.float64)

    after = {size: counts(size, LONGEST if size < 4 else 200) for size in SIZES}
    return Streams(
        mean, dispersion, counts(1.0, HORIZON), counts(1.0, QUIET), after, counts(BURST_SIZE, BURST)
    )


def observation(s: Streams, n: int) -> Observation:
    return observe(np.zeros(n), expected=s.mean, dispersion=s.dispersion)


def records(row: Row, s: Streams) -> tuple[Any, ...]:
    """Each null stream's new highest scores, as steps, streams and values: they tell any threshold's run lengths."""
    n = s.null.shape[1]
    state, x, best, found = row.init(n), observation(s, n), np.full(n, -np.inf), []
    for t, value in enumerate(s.null):
        state, score = row.step(state, x._replace(value=value, time=x.time + t))
        up = np.flatnonzero(score > best)
        if up.size:
            best[up] = score[up]
            found.append((np.full(up.size, t + 1), up, score[up]))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def run_length(steps: Any, stream: Any, value: Any, n: int, threshold: float) -> tuple[float, int]:
    """ARL0 of a threshold, and the alarms it rests on."""
    first = np.full(n, HORIZON)
    alarms = value >= threshold
    np.minimum.at(first, stream[alarms], steps[alarms])
    hit = len(np.unique(stream[alarms]))
    return float(first.sum() / max(hit, 1)), hit


def calibrate(row: Row, s: Streams) -> tuple[float, float, float]:
    """The lowest threshold of ARL0 10,000 or more, its ARL0 and that estimate's standard error."""
    found, n = records(row, s), s.null.shape[1]
    levels = np.unique(found[2])
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        enough = run_length(*found, n, levels[middle])[0] >= ARL0
        low, high = (low, middle) if enough else (middle + 1, high)
    arl0, alarms = run_length(*found, n, levels[low])
    return float(levels[low]), arl0, arl0 / np.sqrt(max(alarms, 1))


def first_alarms(row: Row, state: Any, x: Observation, values: Floats, threshold: float) -> Floats:
    """Steps until the first alarm of each stream; infinite where none. Stops once the median is known."""
    delay = np.full(values.shape[1], np.inf)
    for t, value in enumerate(values):
        state, score = row.step(state, x._replace(value=value, time=x.time + QUIET + t))
        delay = np.where(np.isinf(delay) & (score >= threshold), t + 1.0, delay)
        if np.isfinite(delay).mean() > 0.6:
            break
    return delay


def nanoseconds(row: Row, s: Streams, n: int = 10_000) -> float:
    state, x = row.init(n), observation(s, n)
    values = np.resize(s.null[:60], (60, n))
    for value in values[:20]:
        state, _ = row.step(state, x._replace(value=value))
    start = time.perf_counter()
    for value in values[20:]:
        state, _ = row.step(state, x._replace(value=value))
    return (time.perf_counter() - start) / (len(values) - 20) / n * 1e9


def measure(row: Row, s: Streams) -> Result:
    threshold, arl0, se = calibrate(row, s)
    n = s.before.shape[1]
    state, x, early = row.init(n), observation(s, n), np.zeros(n, dtype=bool)
    for t, value in enumerate(s.before):
        state, score = row.step(state, x._replace(value=value, time=x.time + t))
        early |= score >= threshold
    medians = [
        float(np.median(first_alarms(row, state, x, values, threshold)[~early])) for values in s.after.values()
    ]
    caught = np.isfinite(first_alarms(row, state, x, s.burst, threshold))[~early]
    return Result(row.name, threshold, arl0, se, medians, float(caught.mean()), nanoseconds(row, s))


def river(python: str, s: Streams) -> list[Result]:
    """river's detectors on the first 400 of the same streams, by an interpreter that has it."""
    script = Path(__file__).with_name("delay_river.py")
    with tempfile.TemporaryDirectory() as folder:
        parts = {"null": s.null, "before": s.before, "burst": s.burst}
        parts |= {f"after{size:g}": s.after[size] for size in SIZES}
        np.savez(Path(folder) / "streams.npz", **{k: v[:, :400] for k, v in parts.items()})
        done = subprocess.run([python, script, folder, str(ARL0)], capture_output=True, text=True, check=True)
    return [Result(**row) for row in json.loads(done.stdout)]


def bar(results: list[Result], rivals: set[str]) -> dict[str, Any]:
    """The default against the best of the rivals at each size: must be within 25% or a step, and 5 points of bursts."""
    ours = next(r for r in results if r.name == DEFAULT)
    best = [min(r.medians[i] for r in results if r.name in rivals) for i in range(len(SIZES))]
    burst = max(r.burst for r in results)
    within = [
        all(a <= max(b * share, b + 1) for a, b in zip(ours.medians, best, strict=True)) for share in (1.25, 1.1)
    ]
    return {
        "best": best, "default": ours.medians, "best_burst": burst, "default_burst": ours.burst,
        "delays_within_25_percent": within[0], "delays_within_10_percent": within[1],
        "burst_within_5_points": ours.burst >= burst - 0.05,
    }  # fmt: skip


def shown(delay: float) -> str:
    return f">{LONGEST}" if np.isinf(delay) else f"{delay:.0f}"


def report(s: Streams, results: list[Result], verdict: dict[str, Any]) -> None:
    print(f"\nnegative binomial, mean {s.mean:g}, dispersion {s.dispersion:g}: median delay, steps; ARL0 +- its error")
    sizes = "".join(f"{f'x{size:g}':>7}" for size in SIZES)
    print(f"{'detector':34}{'ARL0':>15}{sizes}{'burst':>8}{'ns':>7}")
    for r in results:
        delays = "".join(f"{shown(d):>7}" for d in r.medians)
        print(f"{r.name:34}{r.arl0:>8.0f} +-{r.arl0_se:>4.0f}{delays}{r.burst:>8.1%}{r.ns:>7.0f}")
    best = "".join(f"{shown(d):>7}" for d in verdict["best"])
    print(f"{'best of the tuned rows and FOCuS':34}{'':15}{best}{verdict['best_burst']:>8.1%}  (bursts: of all rows)")
    told = {k.replace("_", " "): v for k, v in verdict.items() if isinstance(v, bool)}
    print(", ".join(f"{k}: {'yes' if v else 'NO'}" for k, v in told.items()))


def finite(result: Result) -> dict[str, Any]:
    """For JSON, which has no infinity: a median beyond the longest run is null."""
    return result._asdict() | {"medians": [None if np.isinf(d) else d for d in result.medians]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--river", default="", help="a Python interpreter that has river installed")
    args = parser.parse_args()
    asked = f"--runs {args.runs} --seed {args.seed}{' --river PYTHON' if args.river else ''}"
    print(f"python benchmarks/quality/delay.py {asked}    ({date.today()})")
    line = {}
    for mean, dispersion in PANELS:
        s = streams(mean, dispersion, args.runs, args.seed)
        results = [measure(row, s) for row in rows()]
        if args.river:
            results += river(args.river, s)
        verdict = bar(results, {row.name for row in rows() if row.rival})
        report(s, results, verdict)
        line[f"mean {mean:g}"] = {"rows": [finite(r) for r in results]} | verdict
    print(json.dumps({"seed": args.seed, "runs": args.runs, "sizes": SIZES, "panels": line}))


if __name__ == "__main__":
    main()
