"""How many of the planted episodes could anybody find at a budget of false alarms?

    python benchmarks/quality/bound.py --seeds 1-10

The reader imagined here knows what no detector knows: the law of every delay, the order book, what befell the market,
how long, how strong and in which shapes each kind is planted, and from which size and day on a creator is chosen. It
reads all hours at which an episode may begin and takes the likelihood ratio of such an episode against none
(bound_scan.py); its false alarms are those of the same market without episodes. `known`: it knows each creator's true
rate as well. `learned`: it learns that by Bayes' rule from what the creator and its peers do. For kinds that add orders
(bound_sales.py) both know each mean and the law of what varies around it; a newcomer's level is learned by both. It
looks at the counts that bound_outcomes.py and bound_sales.py name, and at nothing else: other attributes and references
might tell still more. It weighs an episode as a whole, so it may speak when the episode is over; and what defects,
clawbacks and cancellations are expected from (rates, orders by the hour) is known to both.

The other kinds, of which the engine misses few or whose episodes leave no doubt, are held to be found always, at no
false alarm. The budget is shared among the kinds so that the mean recall is largest. Prints, by kind, what is found at
some rates and at its share of the budgets, beside what creators.py measured, and ends with one line of JSON.
"""

import argparse
import datetime
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import bound_sales
import numpy as np
from bound_outcomes import CASES, Case, market_book
from bound_scan import Channel, scan, templates
from creators import seeds

from streams.scorecard import Label
from streams.simulate import Simulation, background, streams_of
from streams.simulate_market import Floats, Ints
from streams.simulate_plant import FIRST_DAY, World, plant
from streams.simulate_rows import Rows, chosen, joined
from streams.simulate_spec import DAY, HOUR, KINDS

MEASURED = Path(__file__).parent.parent / "results" / "creators.json"
SALES = ("order_spike", "clickless_orders", "newcomer_surge")
READERS = ("known", "learned")
BUDGETS = (1.0, 2.0)  # false alerts per 1,000 creator-days, of all kinds together
SINGLE = (0.05, 0.1, 0.2, 0.5)  # of a kind
NODES = 9  # rates that a creator may have, where they are learned
APART = 120  # hours within which two readings are one alarm
KEPT = 120  # of the highest alarms of a kind and seed


class Found(NamedTuple):
    """Of one seed, kind and reader, as log likelihood ratios."""

    seed: int
    kind: str
    reader: str
    planted: tuple[float, ...]
    false: tuple[float, ...]  # highest first


def run(seed: int) -> list[Found]:
    spec = Simulation(seed=seed)
    rng = streams_of(spec)
    world, null = background(spec, rng)
    added, labels = plant(world, rng["planted"])
    parts = joined(added)
    both = joined([null, chosen(parts, (parts.at >= spec.start_ms) & (parts.at < spec.end_ms))])
    mean = bound_sales.means(world, streams_of(spec))
    out = []
    for kind in (*CASES, *SALES):
        mine = [label for label in labels if label.kind == kind]
        outcome = kind in CASES
        scored = of_outcome(world, kind, null, both, mine) if outcome else of_sales(world, kind, null, both, mean, mine)
        for reader, alone, planted in scored:
            found = tuple(best(spec, row, label) for row, label in zip(planted, mine, strict=True))
            out.append(Found(seed, kind, reader, found, alarms(alone)))
    return out


# reader; log ratios of all units that fit without episodes, and with them of each label's: (units or labels, hours)
Scored = Iterator[tuple[str, Floats, Floats]]


def of_outcome(world: World, kind: str, null: Rows, both: Rows, labels: list[Label]) -> Scored:
    """By each reader: all units without what is planted, then those that it is planted to."""
    rng_of = [world.spec.seed, len(CASES)]
    alone, planted = (CASES[kind](market_book(world, rows, np.random.default_rng(rng_of))) for rows in (null, both))
    fits = np.flatnonzero(world.pop.level >= 0.75 * alone.least)
    for reader in READERS:
        of_all = _ratio(world, kind, alone, fits, reader)
        yield reader, of_all, _ratio(world, kind, planted, units(world, labels), reader)


def _ratio(world: World, kind: str, case: Case, unit: Ints, reader: str) -> Floats:
    """(units, hours) log likelihood ratio."""
    nodes = np.ones((1, len(unit)))
    if reader == "learned" and case.rate is not None:
        nodes = np.stack([_peers(world, case.rate, u) / case.rate[u] for u in unit], axis=1)
    total = np.zeros((len(unit), world.spec.days * 24))
    for variant in case.variants:
        some = [Channel(*(a[unit] for a in c)) for c in variant]
        total += scan(some, templates(kind), lambda one: _of(case.gain(one), unit), nodes) / len(case.variants)
    return np.asarray(np.where(_possible(world, unit, case.least), np.log(total + 1e-300), -np.inf))


def _of(gain: float | Floats, unit: Ints) -> float | Floats:
    return gain if np.ndim(gain) == 0 else np.asarray(gain)[unit]


def _peers(world: World, rate: Floats, unit: int) -> Floats:
    """Rates as those of the same category are, each as likely."""
    same = rate[world.pop.category == world.pop.category[unit]]
    return np.asarray(np.quantile(same, (np.arange(NODES) + 0.5) / NODES))


def _possible(world: World, unit: Ints, least: float) -> np.ndarray:
    """(units, hours) where an episode may begin: from a day on, and where the creator sells enough on the day after."""
    hours = world.spec.days * 24
    usual = np.pad(world.act.usual[unit][:, -hours:], ((0, 0), (1, 24)), mode="edge")
    sums = np.cumsum(usual, axis=1)
    enough = sums[:, 24 : 24 + hours] - sums[:, :hours] >= 0.98 * least
    return enough & (np.arange(hours) >= FIRST_DAY * 24)


def of_sales(world: World, kind: str, null: Rows, both: Rows, mean: Floats, labels: list[Label]) -> Scored:
    pop, hours = world.pop, world.spec.days * 24
    least = {"order_spike": 5.0, "clickless_orders": 10.0, "newcomer_surge": 0.0}[kind]
    young = (pop.registered_ms > 0) & pop.home
    fits = young if kind == "newcomer_surge" else pop.level >= 0.75 * least
    levels = np.quantile(pop.level[young], (np.arange(9) + 0.5) / 9)
    scores = []
    for seen, unit in ((null, np.flatnonzero(fits)), (both, units(world, labels))):
        s = bound_sales.sales(world, mean, seen, null, unit)
        if kind == "newcomer_surge":
            ratio = bound_sales.newcomers(world, s, levels[:, None] / pop.level[unit])
        else:
            ratio = bound_sales.surge(world, s, kind)
        offset = (pop.offset_ms[unit] // HOUR) % 24
        aligned = np.stack([row[k : k + hours] for row, k in zip(ratio, offset, strict=True)])
        scores.append(np.where(_possible(world, unit, least), np.log(aligned + 1e-300), -np.inf))
    for reader in READERS:
        yield reader, scores[0], scores[1]


def units(world: World, labels: list[Label]) -> Ints:
    pop = world.pop
    place = {(f"c_{c:05d}", pop.names[m]): u for u, (c, m) in enumerate(zip(pop.creator, pop.market, strict=True))}
    return np.array([place[label.creator_id, label.market] for label in labels], dtype=np.int64)


def best(spec: Simulation, ratio: Floats, label: Label) -> float:
    """Of the starts that are within the episode, or up to a day before."""
    first, last = ((t - spec.start_ms) // HOUR for t in (label.start_ms - DAY, label.end_ms))
    return float(ratio[max(first, 0) : last + 1].max())


def alarms(ratio: Floats) -> tuple[float, ...]:
    """(units, hours) The highest readings, each unit's at least so far apart."""
    out: list[float] = []
    for row in ratio.copy():
        while row.max(initial=-np.inf) > 0.0:
            at = int(row.argmax())
            out.append(float(row[at]))
            row[max(at - APART, 0) : at + APART] = -np.inf
    return tuple(sorted(out, reverse=True)[:KEPT])


class Curve(NamedTuple):
    """What a kind's threshold brings: the share found, by the false alarms that are let through."""

    kind: str
    planted: list[tuple[int, float]]  # seed and ratio
    false: Floats  # highest first

    def least(self, n: int) -> float:
        """The threshold that lets n false alarms through."""
        return float(self.false[n]) if n < len(self.false) else 0.0

    def recall(self, n: int) -> float:
        return float(np.mean([x > self.least(n) for _, x in self.planted]))


def curves(found: list[Found], reader: str) -> list[Curve]:
    out = []
    for kind in (*CASES, *SALES):
        mine = [f for f in found if f.kind == kind and f.reader == reader]
        false = np.sort(np.array([x for f in mine for x in f.false]))[::-1]
        out.append(Curve(kind, [(f.seed, x) for f in mine for x in f.planted], false))
    return out


def shared(all_of: list[Curve], budget: int) -> dict[str, int]:
    """False alarms by kind: each time to the kind, and as many, that bring the most for each."""
    given = {c.kind: 0 for c in all_of}
    while (left := budget - sum(given.values())) > 0:
        steps = [
            ((c.recall(given[c.kind] + n) - c.recall(given[c.kind])) / n, c.kind, n)
            for c in all_of
            for n in range(1, min(left, 60) + 1)
        ]
        gain, kind, n = max(steps)
        if gain <= 0.0:
            break
        given[kind] += n
    return given


def mean_recall(all_of: list[Curve], given: dict[str, int]) -> tuple[float, float]:
    """Over all kinds, those without a bound as found always; and its standard error over seeds."""
    by_seed: dict[int, list[float]] = {}
    for c in all_of:
        for seed in {s for s, _ in c.planted}:
            mine = [x > c.least(given[c.kind]) for s, x in c.planted if s == seed]
            by_seed.setdefault(seed, []).append(float(np.mean(mine)))
    rest = len(KINDS) - len(all_of)
    each = [(sum(x) + rest) / (len(x) + rest) for x in by_seed.values()]
    mean = (sum(c.recall(given[c.kind]) for c in all_of) + rest) / len(KINDS)
    return mean, float(np.std(each, ddof=1) / np.sqrt(len(each))) if len(each) > 1 else 0.0


def report(all_of: list[Curve], reader: str, days: float, measured: dict[str, dict[str, float]]) -> dict[str, object]:
    """Prints one reader's table."""
    said: dict[str, object] = {}
    given = {b: shared(all_of, round(b * days / 1_000)) for b in BUDGETS}
    print(f"\n{f'rates {reader}':<22}{'planted':>9}" + "".join(f"{f'at {r}':>9}" for r in SINGLE), end="")
    print("".join(f"{f'of {b:g}':>14}" for b in BUDGETS) + f"{'engine':>9}")
    for c in all_of:
        alone = [c.recall(round(r * days / 1_000)) for r in SINGLE]
        parts = [(given[b][c.kind] * 1_000 / days, c.recall(given[b][c.kind])) for b in BUDGETS]
        print(f"{c.kind:<22}{len(c.planted):>9}" + "".join(f"{x:>9.0%}" for x in alone), end="")
        engine = measured[c.kind]["recall"]
        print("".join(f"{f'{x:.0%} at {r:.2f}':>14}" for r, x in parts) + f"{engine:>9.0%}")
        by_rate = {str(r): round(x, 4) for r, x in zip(SINGLE, alone, strict=True)}
        shares = {f"of_{b:g}": [round(r, 3), round(x, 4)] for b, (r, x) in zip(BUDGETS, parts, strict=True)}
        said[c.kind] = {"planted": len(c.planted), **by_rate, **shares, "engine": engine}
    for b in BUDGETS:
        mean, error = mean_recall(all_of, given[b])
        print(f"all {len(KINDS)} kinds at {b:g}: {mean:.1%} (standard error {error:.1%})")
        said[f"all_at_{b:g}"] = [round(mean, 4), round(error, 4)]
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds, required=True)
    parser.add_argument("--workers", type=int, default=None)
    args = parser.parse_args()
    with ProcessPoolExecutor(args.workers) as pool:
        found = [one for each in pool.map(run, args.seeds) for one in each]
    days = 400.0 * 21.0 * len(args.seeds)
    today = datetime.date.today().isoformat()
    print(f"python benchmarks/quality/bound.py --seeds {args.seeds[0]}-{args.seeds[-1]}    ({today})")
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    print(f"engine: seeds {measured['seeds'][0]}-{measured['seeds'][-1]}, by any signal that may speak for the kind")
    said = {reader: report(curves(found, reader), reader, days, measured["kinds"]) for reader in READERS}
    print("\n" + json.dumps({"seeds": args.seeds, "date": today, "engine": measured["seeds"], "readers": said}))


if __name__ == "__main__":
    main()
