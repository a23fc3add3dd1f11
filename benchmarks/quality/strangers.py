"""How well do the shipped signals do in a market on which nothing was tuned? A second simulator, of other habits.

    python benchmarks/quality/strangers.py --seeds 1 2 --variant base [--volume 0.3] [--out FOLDER]

Orders a day are Pareto among creators; days follow an AR(1) in logs, with idle days, holidays, own weekends and
drift; live sessions sell in drops; 11.11 lifts creators unevenly; refunds are quick or log-normal (uniform over a week
in one market); commissions come by the night in two markets; samples come in parcels. Habits differ: some creators
have regulars who buy again and again, ask for reviews, always ship late, show a phone number, or play to guests.
Harmless oddities: viral days, resellers, forgotten passwords, new phones, travel, grudges, content swept for old sins.
And what happens to a whole market: a carrier's strike, broken payments, a reminder to review, a sweep.

Each seed runs planted and null, on one background. An episode is planted from day 7 on, at most one a creator, and
counts when so many extra events fall into the stream as strangers_plant.py says for its kind. Its label lasts from its
first extra event to its last; of samples that are never shown it is their deadlines. Planted as well: lookalikes, good
days that must not alert. In two kinds events are altered instead of added: late shipments and viewbots.
"""

import argparse
import csv
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from strangers_life import background
from strangers_plant import plant
from strangers_score import Run, false_table, judged, kinds_table, lookalikes_table
from strangers_world import VARIANTS, Row, Spec, World

from config.catalogue import load
from streams.columns import Record
from streams.engine import Engine
from streams.records import Alert
from streams.scorecard import Label
from streams.spread import partition_of

BATCH = 2_000
CREATORS_PER_EPISODE = 50  # of each kind


def market(spec: Spec) -> tuple[World, list[Row], list[Label]]:
    """The rows in the order in which they arrive, and what was planted."""
    world = background(spec)
    labels = [] if spec.null else plant(world, max(spec.creators // CREATORS_PER_EPISODE, 1))
    rows = [row for row in world.rows for _ in range(row.copies)]
    return world, sorted(rows, key=lambda row: row.arrives), labels


def run(spec: Spec) -> Run:
    world, rows, labels = market(spec)
    shards: list[list[Record]] = [[] for _ in range(spec.shards)]
    for row in rows:
        mine = shards[partition_of(row.key, spec.shards)]
        mine.append(Record(len(mine), row.key, row.value))
    alerts = [alert for shard, records in enumerate(shards) for alert in alerts_of(shard, records)]
    if spec.out:
        write(spec.out / f"{spec.variant}-{spec.seed}-{'null' if spec.null else 'planted'}", rows, labels, alerts)
    sold = {u.id: sum(o.at >= 0 for o in u.orders) / spec.days for u in world.units}
    return judged(alerts, labels, sold, spec.null, len(rows), spec.creators * spec.days)


def alerts_of(shard: int, records: list[Record]) -> Iterable[Alert]:
    engine = Engine(load(), "creator-events", shard)
    for at in range(0, len(records), BATCH):
        yield from engine.feed(records[at : at + BATCH]).alerts
    yield from engine.close().alerts


def write(folder: Path, rows: Sequence[Row], labels: Sequence[Label], alerts: Sequence[Alert]) -> None:
    """Events and labels as `ripcurrent replay` reads them, and the alerts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "events.jsonl").write_bytes(b"".join(row.value + b"\n" for row in rows))
    (folder / "alerts.jsonl").write_bytes(b"".join(msgspec.json.encode(alert) + b"\n" for alert in alerts))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([Label.__struct_fields__, *map(msgspec.structs.astuple, labels)])


def told(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    print(f"\n== {name}")
    kinds, false, alike = kinds_table(runs), false_table(runs), lookalikes_table(runs)
    events = [r.n_events for r in runs]
    print(f"\n{min(events):,} to {max(events):,} events a run")
    return {"kinds": kinds, "false_per_1000_creator_days": false, "lookalikes": alike, "events": events}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--variant", nargs="+", choices=list(VARIANTS), default=["base"])
    for name, default in (("creators", 400), ("days", 21), ("volume", 1.0), ("shards", 4), ("workers", None)):
        parser.add_argument(f"--{name}", type=type(default or 1), default=default)
    parser.add_argument("--out", type=Path, help="a folder for events, labels and alerts")
    a = parser.parse_args()
    specs = [
        Spec(seed, name, null, a.creators, a.days, a.volume, a.shards, a.out)
        for name in a.variant for seed in a.seeds for null in (False, True)
    ]  # fmt: skip
    with ProcessPoolExecutor(a.workers) as pool:
        runs = list(zip(specs, pool.map(run, specs), strict=True))
    variants = {name: told(name, [r for spec, r in runs if spec.variant == name]) for name in a.variant}
    said = {"seeds": a.seeds, "creators": a.creators, "days": a.days, "volume": a.volume, "shards": a.shards}
    print("\n" + json.dumps(said | {"variants": variants}))


if __name__ == "__main__":
    main()
