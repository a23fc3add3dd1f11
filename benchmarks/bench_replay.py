"""How many events a second does a replay judge on one core, beside the same small job in Polars and in DuckDB?

    python benchmarks/bench_replay.py [--market 3000x3] [--runs 3] [--seed 2026] [--polars PYTHON] [--no-files]

Simulates a market (creators x days) into one Parquet file and one of JSON Lines, and then, --runs times in turn, each
in a process of its own on one core: a replay with all shipped signals of Parquet, and of JSON Lines; a replay of
Parquet with a catalogue of one signal, the hourly orders of each creator; and that job as a batch in DuckDB and, with
--polars, in the Polars of another interpreter (replay_peers.py). It is checked that each run of ours gave the same
alerts.

Starting up and writing tables don't count. Writes results/replay.json and the section "Replay" of RESULTS.md; ends with
one line of JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from replay_peers import peak_bytes
from report import Machine, machine, versions, write_result

import config
import streams
from config.catalogue import load
from streams.convert import Converter
from streams.records import encode_alert
from streams.replay import replay
from streams.simulate import Simulation, simulate, write_jsonl
from streams.sources import open_source

HERE = Path(__file__).resolve().parent
CODE = Path(streams.__file__).resolve().parent.parent
SHIPPED = Path(config.__file__).parent
PARTITIONS = 4
GOAL = 1_000_000  # events a second from Parquet, with all shipped signals
ONE = "hourly_orders"
SIGNAL = """title: Hourly orders
question: Does this creator get many more orders in an hour than usual?
lifecycle: performance
measures:
  orders: {one: order, many: orders, events: [order.paid]}
tests:
  - kind: volume
    measure: orders
    windows: [1h by 15m]
    detector: {type: negative_binomial, prior_strength: 0.4, dispersion_prior: 20}
    minimum: 10
    effect: 3
    severity: {warning: 4}
resolve_after: 12h
warmup: 1d
false_positives: ["Not looked at: it is here to be measured."]
thresholds_from: "Nowhere: it is here to be measured."
labels: {policy: order-manipulation, owner: performance-governance, runbook: order_spike}
"""


class Row(NamedTuple):
    key: str
    title: str


OURS = (
    Row("parquet", "ripcurrent, all shipped signals, Parquet"),
    Row("jsonl", "ripcurrent, all shipped signals, JSON Lines"),
    Row("one_signal", "ripcurrent, one signal, Parquet"),
)
PEERS = (Row("duckdb", "DuckDB, the one job as SQL, Parquet"), Row("polars", "Polars, the one job, Parquet"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--market", default="3000x3", help="CREATORSxDAYS")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=2_026)
    parser.add_argument("--polars", default="", help="a Python interpreter that has polars installed")
    parser.add_argument("--no-files", action="store_true", help="write nothing below benchmarks/")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)  # in a process of its own
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measured(*args.measure)))
        return
    found = machine()
    with tempfile.TemporaryDirectory(prefix="ripcurrent-bench-") as folder:
        events = prepare(Path(folder), args)
        runs = measure(Path(folder), args)
    tell(args, found, events, runs)


def prepare(folder: Path, args: argparse.Namespace) -> int:
    """The market as both files, and the catalogue of one signal; how many events there are."""
    creators, days = map(int, args.market.split("x"))
    events, _ = simulate(Simulation(seed=args.seed, creators=creators, days=days))
    write_jsonl(events, folder / "events.jsonl")
    with open_source(folder / "events.jsonl") as source:
        Converter(source).write(folder / "events.parquet")
    for part in ("engine.yaml", "kinds.yaml", "markets/default.yaml"):
        (folder / "one" / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SHIPPED / part, folder / "one" / part)
    (folder / "one" / "signals").mkdir()
    (folder / "one" / "signals" / f"{ONE}.yaml").write_text(SIGNAL)
    load(folder / "one")
    parquet, lines = ((folder / name).stat().st_size / 2**20 for name in ("events.parquet", "events.jsonl"))
    sizes = f"{parquet:,.0f} MiB of Parquet, {lines:,.0f} of JSON Lines"
    print(f"{len(events):,} events of {creators:,} creators in {days} days: {sizes}", flush=True)
    return len(events)


def measure(folder: Path, args: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Every row --runs times, in turn."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in range(args.runs):
        for row in (*OURS, *PEERS):
            if row.key == "polars" and not args.polars:
                continue
            took = child(row.key, folder, args)
            runs.setdefault(row.key, []).append(took)
            memory = f"{took['peak_bytes'] / 2**20:,.0f} MiB"
            seconds = f"{took['seconds']:.2f} s, of the core {took['cpu_seconds']:.2f}"
            print(f"run {run + 1}: {row.title}: {seconds}, {memory}", flush=True)
    for row in OURS:
        if len({run["digest"] for run in runs[row.key]}) != 1:
            raise SystemExit(f"{row.title}: the runs gave different alerts")
    if runs["parquet"][0]["digest"] != runs["jsonl"][0]["digest"]:
        raise SystemExit("Parquet and JSON Lines gave different alerts")
    if len({run["found"] for key in ("duckdb", "polars") for run in runs.get(key, ())}) != 1:
        raise SystemExit("DuckDB and Polars found different windows")
    return runs


def child(key: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One measurement, in a process with one core."""
    core = max(os.sched_getaffinity(0))
    if key in ("duckdb", "polars"):
        python = args.polars if key == "polars" else sys.executable
        command = [python, str(HERE / "replay_peers.py"), key, str(folder / "events.parquet")]
    else:
        name = "events.jsonl" if key == "jsonl" else "events.parquet"
        catalogue = folder / "one" if key == "one_signal" else SHIPPED
        command = [sys.executable, __file__, "--measure", key, str(folder / name), str(catalogue)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(CODE), "POLARS_MAX_THREADS": "1"}, capture_output=True, text=True,
        check=False, preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{key}: {done.stderr[-3_000:]}")
    took: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return took


def measured(_: str, path: str, folder: str) -> dict[str, Any]:
    """A replay of ours, without starting up."""
    catalogue = load(Path(folder))
    with open_source(Path(path), PARTITIONS) as source:
        began, cpu = time.perf_counter(), time.process_time()
        result = replay(source.entries(), catalogue, topic=source.topic, close=True)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    digest = hashlib.sha256(b"\n".join(map(encode_alert, result.alerts))).hexdigest()
    peak = peak_bytes()
    alerts = len({alert.alert_id for alert in result.alerts})
    return {"seconds": seconds, "cpu_seconds": cpu, "found": alerts, "peak_bytes": peak, "digest": digest}


# ---- what is said ----------------------------------------------------------------------------------------------


def tell(args: argparse.Namespace, on: Machine, events: int, runs: dict[str, list[dict[str, Any]]]) -> None:
    rate, core = (
        {key: events / statistics.median(run[of] for run in each) for key, each in runs.items()}
        for of in ("seconds", "cpu_seconds")
    )
    peak = {key: max(run["peak_bytes"] for run in each) for key, each in runs.items()}
    said: dict[str, Any] = {f"{key}_events_per_s": round(value) for key, value in rate.items()}
    said |= {f"{key}_events_per_core_second": round(value) for key, value in core.items()}
    said |= {
        "peak_bytes": peak["parquet"],
        "peak_bytes_by": peak,
        "seconds": {key: [round(run["seconds"], 3) for run in each] for key, each in runs.items()},
        "found": {key: each[0]["found"] for key, each in runs.items()},
        "one_signal_of": {row.key: round(core["one_signal"] / core[row.key], 4) for row in PEERS if row.key in core},
        "events": events, "market": args.market, "seed": args.seed, "runs": args.runs,
        "machine": on._asdict(), "versions": versions("numpy", "scipy", "msgspec", "pyarrow", "duckdb"),
    }  # fmt: skip
    if "polars" in runs:
        said["versions"]["polars"] = runs["polars"][0]["version"]
    lines = text(args, events, rate, core, said)
    print("\n".join(lines))
    if not args.no_files:
        write_result("replay", "Replay", lines, said, on)
    print(json.dumps(said))


def text(args: argparse.Namespace, events: int, rate: dict[str, float], core: dict[str, float],
         said: dict[str, Any]) -> list[str]:  # fmt: skip
    creators, days = args.market.split("x")
    lines = [
        f"{events:,} simulated events of all types, of {int(creators):,} creators in {days} days (seed {args.seed}), "
        f"in {PARTITIONS} shards. One core each, one after the other, without starting up; runs: {args.runs}, the "
        "median of them. A core second is one in which the process had its core: what else the machine does shows less "
        "there.",
        "",
        "| | events/s | for each core second | beside one signal | most memory | found |",
        "|---|---|---|---|---|---|",
    ]
    for row in (*OURS, *PEERS):
        if row.key in rate:
            found = f"{said['found'][row.key]:,} {'alerts' if row in OURS else 'windows'}"
            rates = f"{rate[row.key]:,.0f} | {core[row.key]:,.0f} | x {core[row.key] / core['one_signal']:,.2f}"
            lines.append(f"| {row.title} | {rates} | {said['peak_bytes_by'][row.key] / 2**20:,.0f} MiB | {found} |")
    if (load := said["machine"]["load"]) > 1:
        lines += ["", f"**The machine was busy** (load {load:g} when it began): read the column of core seconds."]
    if rate["parquet"] < GOAL:
        lines += ["", f"The goal of {GOAL:,} events/s from Parquet with all shipped signals is **not met**."]
    return [
        *lines,
        "",
        "The job of the last three rows: orders of each creator in a sliding hour by 15 minutes, beside its own past. "
        "The libraries read three columns of the orders only and give a z-score of each window. Ours decodes, checks "
        "and dedupes every event, learns levels, the week and what the market does now, decides in event time what a "
        "worker would have decided, and gives alerts with their reasons. For a question that one query answers, ask a "
        "query.",
    ]


if __name__ == "__main__":
    main()
