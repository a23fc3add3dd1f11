"""How often is a count or a share called too high when nothing is wrong, against how often its p-value says?

    python benchmarks/quality/counts.py [--entities 12000] [--steps 200] [--seed 5]

Each row is a kind of stream, each with so many entities in parallel. Every detector learns level and dispersion online
from 200 steps of the stream itself, then so many steps are counted (2.4 million points a row); it goes on learning. The
expectation that it is given is the true one times a factor of the entity's own, lognormal with sd 0.5, that never
changes. Cells are measured over nominal at p <= 1e-3, 1e-4 and 3.2e-5; for z above the normal's quantile.
"ours", as they come: PredictiveTail for counts and for shares whose variation nobody tells, else BetaBinomialTail (the
share tail). Bar: at most 2 in each cell (5 where values hang together in time), goal 1.5. NB tail:
NegativeBinomialTail as it comes, and with x.dispersion told (what the engine does, from peers). Baselines: z, MAD z
(on a sixth of the entities) and a Poisson tail, all over the last 200 values, each divided by its expectation. So that
rare alarms are not silence, the last column is the share of entities that ours calls at 3.2e-5 in one further step
whose value is four times as large, then the NB tail's (told, where it can be). Standard errors allow for each entity's
alarms hanging together.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from counts_streams import ROWS, WARMUP, Row
from scipy import special, stats

from detectors.base import Floats, Observation
from detectors.beta_binomial import BetaBinomialTail
from detectors.negative_binomial import NegativeBinomialTail
from detectors.predictive import PredictiveTail

NOMINAL = np.array([1e-3, 1e-4, 3.2e-5])
QUANTILES = stats.norm.isf(NOMINAL)
MAD_SHARE = 6  # one entity in so many
PLANTED = 4.0


class Column(NamedTuple):
    """A way to judge: alarms (levels, n) of each step, from a state of its own."""

    name: str
    alarms: Callable[[Observation, "Window"], Floats]
    learns: bool = True  # in a state of its own; the others know only the window


class Window:
    """The last 200 values over their expectations, of each entity; and their sums."""

    def __init__(self, n: int) -> None:
        self.ratios, self.values, self.masses = (np.zeros((WARMUP, n)) for _ in range(3))
        self.t = 0

    def learn(self, x: Observation) -> None:
        i = self.t % WARMUP
        self.ratios[i], self.values[i], self.masses[i] = x.value / x.expected, x.value, x.expected
        self.t += 1


def tail(spec: Any, told: bool) -> Callable[[Observation, Window], Floats]:
    state = None

    def alarms(x: Observation, _: Window) -> Floats:
        nonlocal state
        x = x if told else x._replace(dispersion=np.zeros_like(x.dispersion))
        state, score = spec.step(spec.init(len(x.value)) if state is None else state, x)
        return score.p_value <= NOMINAL[:, None]

    return alarms


def plain_z(x: Observation, w: Window) -> Floats:
    sd = np.maximum(w.ratios.std(axis=0), 1e-9)
    return (x.value / x.expected - w.ratios.mean(axis=0)) / sd > QUANTILES[:, None]


def mad_z(x: Observation, w: Window) -> Floats:
    some = slice(0, len(x.value) // MAD_SHARE)
    ratios = w.ratios[:, some]
    middle = np.median(ratios, axis=0)
    sd = np.maximum(1.4826 * np.median(np.abs(ratios - middle), axis=0), 1e-9)
    return (x.value[some] / x.expected[some] - middle) / sd > QUANTILES[:, None]


def poisson(x: Observation, w: Window) -> Floats:
    mean = np.maximum(w.values.sum(axis=0), 0.5) / w.masses.sum(axis=0) * x.expected
    p = np.where(x.value > 0, special.gammainc(np.maximum(x.value, 1.0), mean), 1.0)
    return p <= NOMINAL[:, None]


def columns(row: Row) -> Iterator[Column]:
    if row.share and row.untold:
        yield Column("ours", tail(PredictiveTail(), told=False))
        yield Column("share tail", tail(BetaBinomialTail(), told=False))
    elif row.share:
        yield Column("ours", tail(BetaBinomialTail(), told=True))
    else:
        yield Column("ours", tail(PredictiveTail(), told=False))
        yield Column("NB tail", tail(NegativeBinomialTail(), told=False))
        if row.told:
            yield Column("NB tail, told", tail(NegativeBinomialTail(), told=True))
    yield Column("z", plain_z, learns=False)
    yield Column("MAD z", mad_z, learns=False)
    yield Column("Poisson tail", poisson, learns=False)


def measure(row: Row, entities: int, steps: int, seed: int) -> dict[str, Any]:
    """Measured over nominal of each column, and its standard error."""
    rng = np.random.default_rng([seed, *row.name.encode()])
    judges, window, counted = list(columns(row)), Window(entities), {}
    caught: dict[str, float] = {}
    for t, x in zip(range(WARMUP + steps + 1), row.stream(rng, entities), strict=False):
        if t == WARMUP + steps:
            planted = x._replace(value=np.minimum(x.value * PLANTED, x.exposure if row.share else np.inf))
            caught = {judge.name: float(judge.alarms(planted, window)[2].mean()) for judge in judges}
            break
        for judge in judges:
            alarms = judge.alarms(x, window) if judge.learns or t >= WARMUP else 0.0
            if t >= WARMUP:
                counted[judge.name] = counted.get(judge.name, 0.0) + alarms
        window.learn(x)
    cells = {}
    for name, alarms in counted.items():
        shares = alarms / steps
        cells[name] = {
            "ratio": (shares.mean(axis=1) / NOMINAL).tolist(),
            "error": (shares.std(axis=1) / np.sqrt(shares.shape[1]) / NOMINAL).tolist(),
            "caught": caught[name],
        }
    return cells


def shown(cell: dict[str, list[float]] | None) -> str:
    return "" if cell is None else " ".join(f"{v:.2f}" if v < 10 else f"{v:.0f}" for v in cell["ratio"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entities", type=int, default=12_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    asked = f"--entities {args.entities} --steps {args.steps} --seed {args.seed}"
    print(f"python benchmarks/quality/counts.py {asked}    ({date.today()})")
    print("false alarms, measured / nominal, at 1e-3, 1e-4 and 3.2e-5; +- standard error of ours at 3.2e-5\n")
    names = ["NB tail", "NB tail, told", "share tail", "z", "MAD z", "Poisson tail"]
    print(f"{'stream':45}{'ours':16}{'+-':>5}  " + "".join(f"{name:16}" for name in names) + "x4 caught")
    rows: dict[str, Any] = {}
    lost: dict[str, list[str]] = {"bar": [], "goal": []}
    for row in ROWS:
        cells = measure(row, args.entities, args.steps, args.seed)
        worst, bar = max(cells["ours"]["ratio"]), 5.0 if row.hangs_together else 2.0
        for what, most in (("bar", bar), ("goal", min(bar, 1.5))):
            lost[what] += [row.name] if worst > most else []
        told = "".join(f"{shown(cells.get(name)):16}" for name in names)
        best = names[1] if names[1] in cells else names[0]
        told += " ".join(f"{cells[name]['caught']:.1%}" for name in ("ours", best) if name in cells)
        verdict = "  LOST" if worst > bar else ""
        print(f"{row.name:45}{shown(cells['ours']):16}{cells['ours']['error'][2]:>5.2f}  {told}{verdict}", flush=True)
        rows[row.name] = cells
    for what, names in lost.items():
        print(f"rows of ours over the {what}: {', '.join(names) if names else 'none'}")
    points = args.entities * args.steps
    print(json.dumps({"seed": args.seed, "nominal": NOMINAL.tolist(), "points": points, "lost": lost, "rows": rows}))


if __name__ == "__main__":
    main()
