"""How many of the planted outcome surges could anybody find, who knew when to look?

    python benchmarks/quality/bound.py --seeds 152-155

The reader imagined here knows what no detector knows: the exact window of each episode, the law of every delay, the
order book, what befell the market, and how the creators' true rates are spread. It has to learn only one thing, the
creator's own rate, from that creator's past, and does so by Bayes' rule. Its expectation of a window comes from drawing
the fate of the very same orders again, `DRAWS` times. It looks once: at the window. A null creator has as many such
windows as fit into its days, so a rate of r false alerts per 1,000 creator-days allows p <= r / 1,000 x days.

A real detector must look at every window, of several lengths, and learn the laws as well: it finds fewer. Prints, by
kind, what this reader finds at some rates beside what creators.py measured, and ends with one line of JSON.
"""

import argparse
import json
import math
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from creators import seeds
from scipy import stats

from streams.scorecard import Label
from streams.simulate import Simulation, background, streams_of
from streams.simulate_market import Floats, Population
from streams.simulate_orders import outcomes
from streams.simulate_plant import World, plant
from streams.simulate_rows import TYPES, Rows, joined
from streams.simulate_spec import DAY

DRAWS = 150
RATES = (0.05, 0.1, 0.2, 0.5)  # false alerts per 1,000 creator-days for the kind
MEASURED = Path(__file__).parent.parent / "results" / "creators.json"
COMPLAINTS = (None, 1, 2, 3)  # all of them, or those of one kind
WHAT: dict[str, tuple[str, tuple[int | None, ...]]] = {  # the events that are counted, and the values of their first
    "refund_surge": ("refund.approved", (None,)),  # column that are: by each of these, and the most telling is taken
    "seller_fault_surge": ("refund.approved", (0,)),
    "complaint_surge": ("complaint.received", COMPLAINTS),
    "chargeback_surge": ("chargeback.received", (None,)),
    "negative_reviews": ("review.posted", (2,)),
    "cancellation_surge": ("order.cancelled", (None,)),
    "late_shipments": ("order.shipped", (1,)),
}


class Found(NamedTuple):
    kind: str
    days: float
    score: float  # -log10 of the p-value, of the most telling count, times the number of counts


def counted(rows: Rows, kind: str, value: int | None) -> Floats:
    """Which of the rows an episode's count holds."""
    of = rows.kind == TYPES.index(WHAT[kind][0])
    if value is None:
        return of
    return of & (rows.a <= value if kind == "negative_reviews" else rows.a == value)


def rates_of(kind: str, pop: Population) -> Floats | None:
    """(units,) each one's true rate, up to a factor; None where all have the same."""
    return {
        "refund_surge": pop.refund, "seller_fault_surge": pop.refund, "complaint_surge": pop.complaint,
        "chargeback_surge": pop.disputed, "negative_reviews": 1.0 - pop.stars, "late_shipments": pop.late,
    }.get(kind)  # fmt: skip


def score(pop: Population, kind: str, unit: int, seen: int, usual: float, past: int, past_usual: float) -> float:
    """-log10 P(so many): Poisson at the true rate where all have it, else with the rate learned from the past."""
    usual = max(usual, 0.5 / DRAWS)
    own = rates_of(kind, pop)
    if own is None:
        return float(-stats.poisson.logsf(seen - 1, usual) / math.log(10.0))
    peers = own[pop.market == pop.market[unit]]
    times, prior = own[unit] / peers.mean(), peers.mean() ** 2 / peers.var()
    shape = prior + past
    mean = usual / times * shape / (prior + past_usual / times)
    return float(-stats.nbinom.logsf(seen - 1, shape, shape / (shape + mean)) / math.log(10.0))


def run(seed: int) -> list[Found]:
    spec = Simulation(seed=seed)
    rng = streams_of(spec)
    world, everything = background(spec, rng)
    added, labels = plant(world, rng["planted"])
    mine = [label for label in labels if label.kind in WHAT]
    names, markets = world.pop.names, world.pop.market.tolist()
    unit = {(f"c_{c:05d}", names[m]): u for u, (c, m) in enumerate(zip(world.pop.creator, markets, strict=True))}
    where = [(label, unit[label.creator_id, label.market]) for label in mine]
    usual = expected(world, where, np.random.default_rng([seed, len(labels)]))
    extra = joined(added)
    pairs = zip(where, usual, strict=True)
    return [judged(world.pop, label, u, everything, extra, means) for (label, u), means in pairs]


def judged(pop: Population, label: Label, u: int, everything: Rows, extra: Rows, means: np.ndarray) -> Found:
    scores = []
    own, more = (Rows._make(c[rows.unit == u] for c in rows) for rows in (everything, extra))
    for value, (within, before) in zip(WHAT[label.kind][1], means, strict=True):
        seen = sum(int((counted(r, label.kind, value) & inside(r, label)).sum()) for r in (own, more))
        past = int((counted(own, label.kind, value) & (own.at < label.start_ms)).sum())
        if label.kind == "cancellation_surge":  # its orders are additional ones, of which some would be cancelled
            within += 0.03 * float(((more.kind == TYPES.index("order.paid")) & inside(more, label)).sum())
        scores.append(score(pop, label.kind, u, seen, within, past, before))
    return Found(label.kind, (label.end_ms - label.start_ms) / DAY, max(scores) - math.log10(len(scores)))


def inside(rows: Rows, label: Label) -> np.ndarray:
    return (rows.at >= label.start_ms) & (rows.at <= label.end_ms)


def expected(world: World, where: list[tuple[Label, int]], rng: np.random.Generator) -> list[np.ndarray]:
    """For each episode, (counts, 2): what its window and the time before it bring on average, with these orders."""
    sums = [np.zeros((len(WHAT[label.kind][1]), 2)) for label, _ in where]
    units = np.array([u for _, u in where])
    for _ in range(DRAWS):
        first, after, _ = outcomes(world.pop, world.orders, world.struck, rng)
        rows = joined([*first, *after])
        rows = Rows._make(c[np.isin(rows.unit, units) & (rows.at >= world.spec.start_ms)] for c in rows)
        for (label, u), total in zip(where, sums, strict=True):
            own = Rows._make(c[rows.unit == u] for c in rows)
            for i, value in enumerate(WHAT[label.kind][1]):
                at = own.at[counted(own, label.kind, value)]
                total[i] += inside(own, label)[counted(own, label.kind, value)].sum(), (at < label.start_ms).sum()
    return [total / DRAWS for total in sums]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds, required=True)
    args = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        found = [one for each in pool.map(run, args.seeds) for one in each]
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))["kinds"]
    print(f"{'kind':<22}{'planted':>9}" + "".join(f"{f'at {rate}':>9}" for rate in RATES) + f"{'measured':>10}")
    said = {}
    for kind in [*WHAT, "all"]:
        mine = [one for one in found if kind in (one.kind, "all")]
        least = [-math.log10(rate / 1_000.0) for rate in RATES]  # of a day's window
        share = [sum(one.score + math.log10(max(one.days, 1.0)) >= x for one in mine) / len(mine) for x in least]
        here = [measured[k] for k in (WHAT if kind == "all" else [kind])]
        recall = sum(k["caught"] for k in here) / sum(k["planted"] for k in here)
        print(f"{kind:<22}{len(mine):>9}" + "".join(f"{x:>9.0%}" for x in share) + f"{recall:>10.0%}")
        by_rate = {str(rate): round(x, 4) for rate, x in zip(RATES, share, strict=True)}
        said[kind] = {"planted": len(mine), **by_rate, "measured": round(recall, 4)}
    print("\n" + json.dumps({"seeds": args.seeds, "kinds": said}))


if __name__ == "__main__":
    main()
