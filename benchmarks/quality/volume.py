"""How often is the number of alerts of the week to come within the interval that `ripcurrent compare` gives for it?

    python benchmarks/quality/volume.py --seeds 301-310 [--creators 200] [--weeks 7] [--held-out 3]

Each seed is a market of its own, with planted episodes, a campaign, a strike and an outage every three weeks. The first
two weeks are left out, since levels are learned in them. Then each of the last weeks is predicted from all that counted
before it, by market and for all markets together. Beside it stands what a bootstrap of the mean would have said, which
knows how sure the mean is and not how much a week differs from it.

Prints how many weeks were within their interval (95 % are promised), and ends with one line of JSON.
"""

import argparse
import json
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from creators import seeds

from config.catalogue import load
from streams.columns import Record
from streams.compare_volume import ALL, LEARNING_DAYS, daily, weeks_to_come, with_all
from streams.outcome import episodes
from streams.outcome_score import wilson
from streams.replay import replay
from streams.simulate import Shock, Simulation, simulate
from streams.volume import WEEK, Interval, mean_interval
from streams.what_if import draws

DAY_MS = 86_400_000
EVERY_DAYS = 21  # one campaign, strike and outage in so many, and the usual number of planted episodes


class Job(NamedTuple):
    seed: int
    creators: int
    weeks: int  # behind the first two
    held_out: int


class Week(NamedTuple):
    """A week that was predicted."""

    market: str
    truth: int
    ours: Interval
    mean: Interval  # a bootstrap of the mean, times seven


def simulation(job: Job) -> Simulation:
    days = LEARNING_DAYS + job.weeks * WEEK
    times = days / EVERY_DAYS
    shocks = [Shock(kind=kind) for _ in range(int(times)) for kind in ("carrier_strike", "payment_outage")]
    return Simulation(
        seed=job.seed, creators=job.creators, days=days, planted=max(1, round(8 * job.creators / 400 * times)),
        campaign_days=tuple(range(16, days, EVERY_DAYS)), shocks=tuple(shocks),
    )  # fmt: skip


def run(job: Job) -> list[Week]:
    spec = simulation(job)
    events, _ = simulate(spec)
    entries = ((0, Record(n, key, value)) for n, (key, value, _) in enumerate(events.iter_records()))
    told = episodes(replay(entries, load(), close=True).alerts, [], {})
    first = spec.start_ms // DAY_MS + LEARNING_DAYS
    counts = with_all(daily(told, sorted(spec.markets), range(first, first + job.weeks * WEEK)))
    return [
        week
        for at in range((job.weeks - job.held_out) * WEEK, job.weeks * WEEK, WEEK)
        for week in predicted({market: each[: at + WEEK] for market, each in counts.items()})
    ]


def predicted(counts: dict[str, np.ndarray]) -> Iterable[Week]:
    """The last week from those before it."""
    before = {market: each[:-WEEK] for market, each in counts.items()}
    for market, ours in weeks_to_come(before).items():
        mean = mean_interval(before[market], draws(len(before[market])))
        assert ours is not None
        assert mean is not None
        yield Week(market, int(counts[market][-WEEK:].sum()), ours, Interval(*(WEEK * end for end in mean)))


def table(weeks: list[Week]) -> dict[str, dict[str, object]]:
    """By market, the truth beside what was said of it."""
    print(f"{'market':<10}{'weeks':>6}{'alerts':>8}{'within':>9}{'95 %':>18}{'width':>8}   bootstrap of the mean")
    markets, out = sorted({week.market for week in weeks} - {ALL}), {}
    groups = [(market, [w for w in weeks if w.market == market]) for market in markets]
    groups += [("each", [w for w in weeks if w.market != ALL]), ("together", [w for w in weeks if w.market == ALL])]
    for name, mine in groups:
        n, hits = len(mine), sum(w.ours.low <= w.truth <= w.ours.high for w in mine)
        naive = sum(w.mean.low <= w.truth <= w.mean.high for w in mine)
        low, high = wilson(hits, n)
        width, truth = (float(np.mean(x)) for x in ([w.ours.high - w.ours.low for w in mine], [w.truth for w in mine]))
        print(f"{name:<10}{n:>6}{truth:>8.1f}{hits / n:>9.1%}{f'{low:.1%} to {high:.1%}':>18}{width:>8.1f}"
              f"   {naive / n:.1%}")  # fmt: skip
        out[name] = {
            "weeks": n, "within": round(hits / n, 4), "low": round(low, 4), "high": round(high, 4),
            "width": round(width, 1), "alerts": round(truth, 1), "bootstrap_of_mean": round(naive / n, 4),
        }  # fmt: skip
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds, required=True)
    parser.add_argument("--creators", type=int, default=200)
    parser.add_argument("--weeks", type=int, default=7, help="that count; the first two of the market are before them")
    parser.add_argument("--held-out", type=int, default=3, help="the last of them are predicted")
    parser.add_argument("--workers", type=int, default=None)
    args = parser.parse_args()
    jobs = [Job(seed, args.creators, args.weeks, args.held_out) for seed in args.seeds]
    with ProcessPoolExecutor(args.workers) as pool:
        weeks = [week for found in pool.map(run, jobs) for week in found]
    found = table(weeks)
    said = {"seeds": args.seeds, "creators": args.creators, "weeks": args.weeks, "held_out": args.held_out, **found}
    print("\n" + json.dumps(said))


if __name__ == "__main__":
    main()
