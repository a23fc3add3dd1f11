"""How well do the shipped signals find planted episodes among simulated creators, and how often are they wrong?

    python benchmarks/quality/creators.py --seeds 101-103 [--creators 400] [--days 21] [--shards 4]

Each seed is run twice: planted, and null (the same background, nothing planted). Creators are spread over the shards
by Kafka's murmur2 of their id, as a broker would. Prints one table by kind (recall by any signal that may speak for
it, and "right": by the one that it is made for), one of lookalikes of which something was said, one of false alerts by
signal, and ends with one line of JSON.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from config.catalogue import load
from streams.columns import Record
from streams.engine import Engine
from streams.labels import read_kinds
from streams.records import Alert
from streams.scorecard import (
    HOUR_MS,
    LOOKALIKE,
    Episode,
    Label,
    LookalikeScore,
    Scorecard,
    episode_recall,
    false_alarm_rate,
    median_delay,
    score,
)
from streams.simulate import KINDS, Simulation, simulate
from streams.spread import murmur2

BATCH = 2_000
BANDS = ((8.0, "small"), (25.0, "middle"), (float("inf"), "large"))  # a creator's events a day, by its orders


class Run(NamedTuple):
    seed: int
    null: bool
    episodes: tuple[Episode, ...]
    bands: tuple[str, ...]  # of the episodes' creators
    false: dict[str, int]
    creator_days: float
    right: tuple[bool, ...]  # whether the signal that the kind is made for caught the episode
    lookalikes: tuple[LookalikeScore, ...] = ()


class Job(NamedTuple):
    seed: int
    null: bool
    creators: int
    days: int
    shards: int
    volume: float
    campaign: bool
    kinds: tuple[str, ...]


def run(job: Job) -> Run:
    spec = Simulation(
        seed=job.seed, creators=job.creators, days=job.days, volume=job.volume, null=job.null,
        campaign_days=(16,) if job.campaign else (), kinds=job.kinds,
    )  # fmt: skip
    events, labels = simulate(spec)
    shards: list[list[Record]] = [[] for _ in range(job.shards)]
    orders: Counter[str] = Counter()
    for key, value, _ in events.iter_records():
        mine = shards[(murmur2(key) & 0x7FFFFFFF) % job.shards]
        mine.append(Record(len(mine), key, value))
        orders[key.decode()] += b'"order.paid"' in value
    alerts = [alert for shard, records in enumerate(shards) for alert in alerts_of(shard, records)]
    card, right = judged(alerts, labels)
    bands = tuple(band(orders[e.label.creator_id] / job.days) for e in card.episodes)
    return Run(job.seed, job.null, card.episodes, bands, card.false_by_signal, job.creators * job.days, right,
               card.lookalikes)  # fmt: skip


def judged(alerts: Sequence[Alert], labels: Sequence[Label]) -> tuple[Scorecard, tuple[bool, ...]]:
    """By all signals that may speak for a kind; and which episodes the one that it is made for caught."""
    kinds = read_kinds()
    made_for = {kind: signals[:1] for kind, signals in kinds.items()}
    return score(alerts, labels, kinds), tuple(e.caught for e in score(alerts, labels, made_for).episodes)


def alerts_of(shard: int, records: list[Record]) -> Iterable[Alert]:
    engine = Engine(load(), "creator-events", shard)
    for at in range(0, len(records), BATCH):
        yield from engine.feed(records[at : at + BATCH]).alerts
    yield from engine.close().alerts


def band(orders_a_day: float) -> str:
    return next(name for limit, name in BANDS if orders_a_day < limit)


def seeds(text: str) -> list[int]:
    """
    >>> seeds("1-3,7")
    [1, 2, 3, 7]
    """
    parts = [part.split("-") for part in text.split(",")]
    return [seed for part in parts for seed in range(int(part[0]), int(part[-1]) + 1)]


def kinds_table(runs: list[Run]) -> dict[str, dict[str, object]]:
    found = [
        (e, b, right) for r in runs if not r.null for e, b, right in zip(r.episodes, r.bands, r.right, strict=True)
    ]
    print(f"{'kind':<22}{'caught':>9}{'recall':>8}{'right':>7}{'median h':>10}   by the creator's orders a day")
    out: dict[str, dict[str, object]] = {}
    for kind in [*sorted({e.label.kind for e, _, _ in found}), "all"]:
        mine = [(e, b) for e, b, _ in found if kind in (e.label.kind, "all")]
        episodes = [e for e, _ in mine]
        delay = median_delay(episodes)
        hours = None if delay is None else round(delay / HOUR_MS, 1)
        n_caught, recall = sum(e.caught for e in episodes), episode_recall(episodes)
        right = sum(x for e, _, x in found if kind in (e.label.kind, "all")) / max(len(mine), 1)
        found_in = {name: [e.caught for e, b in mine if b == name] for _, name in BANDS}
        said = "  ".join(f"{name} {sum(caught)}/{len(caught)}" for name, caught in found_in.items())
        shown = f"{f'{n_caught}/{len(mine)}':>9}{recall:>8.0%}{right:>7.0%}{'-' if hours is None else hours:>10}"
        print(f"{kind:<22}{shown}   {said}")
        out[kind] = {"planted": len(mine), "caught": n_caught, "recall": round(recall, 4), "right": round(right, 4),
                     "median_delay_hours": hours}  # fmt: skip
    return out


def lookalikes_table(runs: list[Run]) -> dict[str, list[int]]:
    """By kind: how many there were, and of how many of them something was said."""
    out: dict[str, list[int]] = {}
    for one in (one for r in runs for one in r.lookalikes):
        planted, alerted = out.get(one.kind.removeprefix(LOOKALIKE), (0, 0))
        out[one.kind.removeprefix(LOOKALIKE)] = [planted + one.planted, alerted + one.alerted]
    if out:
        print(f"\n{'lookalikes':<22}{'alerted':>9}")
    for kind, (planted, alerted) in sorted(out.items()):
        print(f"  {kind:<20}{f'{alerted}/{planted}':>9}")
    return dict(sorted(out.items()))


def false_table(runs: list[Run]) -> dict[str, dict[str, float]]:
    """By null and planted runs: the rate of each signal that was false at all, and of all signals."""
    out: dict[str, dict[str, float]] = {"null": {}, "planted": {}}
    print(f"\n{'false alerts per 1,000 creator-days':<38}{'null':>8}{'planted':>9}")
    rates: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    days = {null: sum(r.creator_days for r in runs if r.null == null) for null in (True, False)}
    for r in runs:
        rates[r.null].update(r.false)
    for name in [*sorted(rates[True] | rates[False]), "all signals"]:
        row = [
            false_alarm_rate(sum(rates[null].values()) if name == "all signals" else rates[null][name], days[null])
            for null in (True, False)
        ]
        print(f"  {name:<36}{row[0]:>8.2f}{row[1]:>9.2f}")
        out["null"][name], out["planted"][name] = round(row[0], 3), round(row[1], 3)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds, required=True)
    parser.add_argument("--creators", type=int, default=400)
    parser.add_argument("--days", type=int, default=21)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--volume", type=float, default=1.0)
    parser.add_argument("--no-campaign", action="store_true")
    parser.add_argument("--kinds", type=lambda text: tuple(text.split(",")), default=tuple(KINDS), help="else all")
    parser.add_argument("--workers", type=int, default=None)
    args = parser.parse_args()
    jobs = [
        Job(seed, null, args.creators, args.days, args.shards, args.volume, not args.no_campaign, args.kinds)
        for seed in args.seeds
        for null in (False, True)
    ]
    with ProcessPoolExecutor(args.workers) as pool:
        runs = list(pool.map(run, jobs))
    kinds, alike, false = kinds_table(runs), lookalikes_table(runs), false_table(runs)
    total = {runs_of: rates.pop("all signals") for runs_of, rates in false.items()}
    said = {"seeds": args.seeds, "creators": args.creators, "days": args.days, "shards": args.shards,
            "volume": args.volume, "false_per_1000_creator_days": total, "false_by_signal": false,
            "kinds": kinds, "lookalikes": alike}  # fmt: skip
    print("\n" + json.dumps(said))


if __name__ == "__main__":
    main()
