"""How does a worker drain a backlog of 20 million events, and what does a burst of ten times its load do to it?

    python benchmarks/bench_backlog.py [--events 20000000] [--creators 20000] [--rate R] [--memory-max 1500]

Starts Apache Kafka and fills `creator-events` with so many events. Then `ripcurrent run`, all as shipped, drains them
from an empty start: rate, memory, rebalances, and for how long its group did not confirm that it is a member. The same
worker, still running, then gets a steady load by the wall clock (a twentieth of the rate just measured, at least 500
events/s) for --steady-seconds, ten times as much for --burst-seconds, and the steady load again until the lag is gone
and --after-seconds more. The worker has one core to itself, Kafka and this script another one.

One simulated period is repeated without end, each time later by its length, with events, people, orders, videos and
sessions of its own (backlog_load.py).

Promised, and the exit code is not 0 where one does not hold: one generation of the group and no rebalance after it,
every record applied, by one process, and none a dead letter, never six seconds without the group's word, memory at
most --memory-max. Writes results/backlog.json and the section "Backlog" of RESULTS.md; ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from backlog_load import Lag, Load, endless, fill, one_period
from bench_live import (
    STALL_SECONDS,
    START_SECONDS,
    Cores,
    Process,
    Span,
    free_port,
    metrics,
    remove,
    said_of,
    stage,
    start_worker,
    topics_of,
    wait,
)
from report import Machine, versions, write_result

from streams.topics import Topics, create

PREFIX = "bench-backlog-"
LOOK_SECONDS = 0.5
SETTLED_SECONDS = 2.0  # after the first record the gauge of silence may still tell of the start, when nobody was asked
SESSION_SECONDS = 6.0  # after so long a silence the group gives our partitions away
BURST = 10  # times the steady load
STEADY_SHARE = 20  # the steady load is this part of the rate of draining
STEADY_MIN = 500  # events/s
COUNTERS = ("records_total", "dead_letters_total", "duplicates_total", "too_late_events_total", "alerts_total",
            "group_silence_seconds")  # fmt: skip


class Look(NamedTuple):
    """The worker at one moment."""

    at: float  # monotonic
    applied: int
    silence: float  # s since the group confirmed the membership
    rss: float  # MiB
    peak: float  # MiB, since the process began


class Drained(NamedTuple):
    """The backlog, from the first record seen to be applied to the last."""

    span: Span
    looks: list[Look]


class Burst(NamedTuple):
    """The load after the backlog."""

    rate: float  # the steady load, events/s
    reached: float  # in the burst, by what was sent
    steady_lag: Lag  # the highest before the burst
    highest: Lag
    recovered: float  # s from the burst's end until the lag was under a second of the steady load
    sent: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000, help="of the backlog")
    parser.add_argument("--creators", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=1, help="of the period that is repeated")
    parser.add_argument("--volume", type=float, default=0.25, help="as of `ripcurrent simulate`")
    parser.add_argument("--seed", type=int, default=2_026)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--rate", type=float, help="the steady load, events/s; else from the rate of draining")
    parser.add_argument("--steady-seconds", type=float, default=60.0)
    parser.add_argument("--burst-seconds", type=float, default=30.0)
    parser.add_argument("--after-seconds", type=float, default=30.0)
    parser.add_argument("--memory-max", type=int, default=1_500, help="MiB")
    parser.add_argument("--no-files", action="store_true", help="write nothing below benchmarks/")
    args = parser.parse_args()
    with stage() as (found, cores, kafka, folder):
        said = measured(kafka.bootstrap_servers, args, cores, folder)
        if kafka.kind == "given":
            remove(kafka.bootstrap_servers, topics_of(Topics.with_prefix(PREFIX)))
    said |= {"kafka": kafka.kind, "machine": found._asdict(),
             "versions": versions("faust-streaming", "aiokafka", "numpy", "scipy", "msgspec")}  # fmt: skip
    tell(args, found, said)
    if said["broken"]:
        raise SystemExit(f"not as promised: {'; '.join(said['broken'])}")


def measured(bootstrap: str, args: argparse.Namespace, cores: Cores, folder: Path) -> dict[str, Any]:
    """The backlog, then the load, of one worker."""
    topics, port = Topics.with_prefix(PREFIX), free_port()
    remove(bootstrap, topics_of(topics))
    create(bootstrap, topics.specs(args.partitions, 1))
    os.sched_setaffinity(0, cores.kafka | cores.worker)
    period = one_period(args)
    records = endless(period)
    target = bootstrap, topics.source, args.partitions
    filled = asyncio.run(fill(target, records, args.events))
    os.sched_setaffinity(0, cores.kafka)
    with start_worker(bootstrap, PREFIX, "backlog", port, cores, folder, {}) as process:
        watch = Watch(process, port)
        drained = drain(watch, args.events)
        print(f"drained: {said_of(drained.span)}, {watch.said()}", flush=True)
        rate = args.rate or max(drained.span.events / drained.span.seconds / STEADY_SHARE, STEADY_MIN)
        burst = burdened(watch, Load(target, records, args.events), rate, args)
        total = args.events + burst.sent
        wait("every record is applied", lambda: watch.look().applied >= total, STALL_SECONDS, every=LOOK_SECONDS)
        time.sleep(1.0)  # other counts follow within a second
        watch.look()
        return figures(args, watch, drained, burst, total) | {
            "period_events": len(period), "fill_events_per_s": round(args.events / filled),
        }  # fmt: skip


# ---- what is measured ------------------------------------------------------------------------------------------


class Watch:
    """Looks at the worker, and keeps what it saw."""

    def __init__(self, process: Process, port: int) -> None:
        self.process, self._port = process, port
        self.looks: list[Look] = []
        self.counts: dict[str, int] = {}
        self._begun = False

    def look(self) -> Look:
        found: dict[str, float] = {}
        while not found or (self._begun and not found["ripcurrent_records_total"]):  # else it gave no answer in time
            self.process.check()
            found = metrics(self._port, *(f"ripcurrent_{name}" for name in COUNTERS))
        self.counts = {name: int(found[f"ripcurrent_{name}"]) for name in COUNTERS[:-1]}
        rss, peak = self.process.memory_mib()
        silence = found["ripcurrent_group_silence_seconds"]
        self._begun = self.counts["records_total"] > 0
        self.looks.append(Look(time.monotonic(), self.counts["records_total"], silence, rss, peak))
        return self.looks[-1]

    def over(self, seconds: float, done: Callable[[Look], object]) -> None:
        """Look until the time is over or something holds."""
        deadline = time.monotonic() + seconds
        while not done(self.look()) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)

    def silence(self) -> float:
        """The longest that was seen since the worker settled."""
        settled = next((look.at for look in self.looks if look.applied), 0.0) + SETTLED_SECONDS
        return max((look.silence for look in self.looks if look.applied and look.at >= settled), default=0.0)

    def generations(self) -> int:
        """How often the group gave out its partitions: the first time, and at each rebalance."""
        return len(re.findall(r"generation -?\d+: kept ", self.process.said()))

    def said(self) -> str:
        last = self.looks[-1]
        return (f"memory {last.rss:,.0f} MiB, at most {last.peak:,.0f}; longest silence of the group "
                f"{self.silence():.1f} s; generations {self.generations()}")  # fmt: skip


def drain(watch: Watch, total: int) -> Drained:
    """From the first look at which records had been applied to the one at which the last was."""
    wait("the worker applies records", lambda: watch.look().applied, START_SECONDS)
    began, cpu = time.monotonic(), watch.process.cpu_seconds()
    looks = [watch.looks[-1]]
    first, moved = looks[0].applied, began
    while looks[-1].applied < total:
        each = (looks[-1].at - looks[0].at) / max(looks[-1].applied - first, 1)
        left = (total - looks[-1].applied) * each
        time.sleep(min(max(left / 4, 0.02), LOOK_SECONDS))  # often at the end, so that it is dated well
        looks.append(watch.look())
        moved = looks[-1].at if looks[-1].applied > looks[-2].applied else moved
        if looks[-1].at - moved > STALL_SECONDS:
            raise SystemExit(f"the worker stands still at {looks[-1].applied:,} of {total:,} records")
    return Drained(Span(total - first, looks[-1].at - looks[0].at, watch.process.cpu_seconds() - cpu), looks)


def burdened(watch: Watch, load: Load, rate: float, args: argparse.Namespace) -> Burst:
    """Steady, ten times as much, steady again."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load.run)
        try:
            return _burdened(watch, load, rate, args, running)
        finally:
            load.stopped = True  # else the pool never ends
            running.result()


def _burdened(watch: Watch, load: Load, rate: float, args: argparse.Namespace, running: Future[None]) -> Burst:
    before = load.total
    lags: list[Lag] = []

    def gone(look: Look) -> bool:
        if running.done():
            running.result()  # what stopped the producer is raised
        lags.append(load.lag(look.applied, look.at))
        return lags[-1].records < rate

    def told(what: str) -> None:
        print(f"{what}: lag {lags[-1].records:,} records, {lags[-1].seconds:.1f} s; {watch.said()}", flush=True)

    load.rate = rate
    watch.over(args.steady_seconds, lambda look: gone(look) and False)
    steady = highest(lags)
    told(f"after {args.steady_seconds:g} s of {rate:,.0f} events/s")
    load.rate, began, sent = BURST * rate, time.monotonic(), load.total
    watch.over(args.burst_seconds, lambda look: gone(look) and False)
    load.rate, ended = rate, time.monotonic()
    reached = (load.total - sent) / (ended - began)
    told(f"after {ended - began:.0f} s of {reached:,.0f} events/s")
    watch.over(STALL_SECONDS + 10 * args.burst_seconds, gone)
    if lags[-1].records >= rate:
        raise SystemExit(f"{lags[-1].records:,} records still wait {time.monotonic() - ended:.0f} s after the burst")
    recovered = watch.looks[-1].at - ended
    watch.over(args.after_seconds, lambda look: gone(look) and False)
    told(f"recovered {recovered:.1f} s after the burst, and {args.after_seconds:g} s later")
    load.stopped = True
    running.result()
    return Burst(rate, reached, steady, highest(lags), recovered, load.total - before)


def highest(lags: list[Lag]) -> Lag:
    return Lag(max(lag.records for lag in lags), max(lag.seconds for lag in lags))


# ---- what is said ----------------------------------------------------------------------------------------------


def figures(args: argparse.Namespace, watch: Watch, drained: Drained, burst: Burst, total: int) -> dict[str, Any]:
    span, looks, peak = drained.span, drained.looks, watch.looks[-1].peak
    at = {name: next(look.rss for look in looks if look.applied >= part * args.events)
          for name, part in (("start", 0.0), ("tenth", 0.1), ("half", 0.5), ("end", 1.0))}  # fmt: skip
    memory = {**at, "backlog_max": looks[-1].peak, "max": peak, "limit": args.memory_max}
    return {
        "events": args.events,
        "events_per_s": round(span.events / span.seconds),
        "events_per_core_s": round(span.events / span.cpu_seconds),
        "seconds": round(span.seconds, 1),
        "memory_mib": {name: round(mib) for name, mib in memory.items()},
        "group_silence_seconds_max": round(watch.silence(), 2),
        "generations": watch.generations(),
        "burst": {
            "steady_events_per_s": round(burst.rate),
            "wanted_events_per_s": round(BURST * burst.rate),
            "reached_events_per_s": round(burst.reached),
            "events": burst.sent,
            "steady_lag_records_max": burst.steady_lag.records,
            "steady_lag_seconds_max": round(burst.steady_lag.seconds, 2),
            "lag_records_max": burst.highest.records,
            "lag_seconds_max": round(burst.highest.seconds, 2),
            "recovered_seconds": round(burst.recovered, 1),
        },
        "sent": total,
        **watch.counts,
        "broken": broken(args, watch, total),
        "creators": args.creators, "days": args.days, "volume": args.volume, "seed": args.seed,
        "partitions": args.partitions, "steady_seconds": args.steady_seconds, "burst_seconds": args.burst_seconds,
    }  # fmt: skip


def broken(args: argparse.Namespace, watch: Watch, total: int) -> list[str]:
    """The promises that did not hold, in words."""
    counts, silence, peak = watch.counts, watch.silence(), watch.looks[-1].peak
    promises = {
        f"{total:,} records were sent, {counts['records_total']:,} applied": counts["records_total"] == total,
        f"{counts['dead_letters_total']:,} dead letters": not counts["dead_letters_total"],
        f"{counts['duplicates_total']:,} events were taken for repetitions": not counts["duplicates_total"],
        f"the group had {watch.generations()} generations": watch.generations() == 1,
        f"the group was silent for {silence:.1f} s": silence < SESSION_SECONDS,
        f"{peak:,.0f} MiB of memory, over {args.memory_max:,}": peak <= args.memory_max,
    }
    return [text for text, holds in promises.items() if not holds]


def tell(args: argparse.Namespace, found: Machine, said: dict[str, Any]) -> None:
    text = [
        setting(args, said),
        "",
        *backlog_table(said),
        "",
        *burst_table(said),
        "",
        *whole_table(said),
        "",
        f"**Not as promised:** {'; '.join(said['broken'])}." if said["broken"] else "All that is promised held.",
        "",
        "Made with `python benchmarks/bench_backlog.py`; all figures in [results/backlog.json](results/backlog.json).",
    ]
    if not args.no_files:
        write_result("backlog", "Backlog and burst", text, said, found)
    print("\n".join(text) + "\n")
    print(json.dumps(said), flush=True)


def setting(args: argparse.Namespace, said: dict[str, Any]) -> str:
    return (
        f"A backlog of **{said['events']:,} events** of all types on {args.partitions} partitions of one Kafka: "
        f"{args.creators:,} simulated creators, days: {args.days} (volume {args.volume:g}, seed {args.seed}), repeated "
        f"one after the other in event time. One worker on one core, all as shipped, from an empty start; Kafka and "
        f"the producer on another. Then, with the same worker still running, a load by the wall clock of "
        f"{said['burst']['steady_events_per_s']:,} events/s for {args.steady_seconds:g} s, {BURST} times as much for "
        f"{args.burst_seconds:g} s, and the first one again. "
        f"Of {said['sent']:,} records sent in all, {said['records_total']:,} were applied."
    )


def backlog_table(said: dict[str, Any]) -> list[str]:
    memory = said["memory_mib"]
    return [
        "| the backlog | |",
        "|---|---:|",
        f"| drained in | **{said['seconds']:,} s** |",
        f"| events/s; for each core second | **{said['events_per_s']:,}**; {said['events_per_core_s']:,} |",
        f"| resident memory at its start, a tenth, half, its end | "
        f"{memory['start']:,}, {memory['tenth']:,}, {memory['half']:,}, {memory['end']:,} MiB |",
        f"| the highest | **{memory['backlog_max']:,} MiB** |",
    ]


def burst_table(said: dict[str, Any]) -> list[str]:
    memory, burst = said["memory_mib"], said["burst"]
    return [
        "| the burst | |",
        "|---|---:|",
        f"| events/s wanted; sent | {burst['wanted_events_per_s']:,}; {burst['reached_events_per_s']:,} |",
        f"| highest lag before it | {burst['steady_lag_records_max']:,} records, "
        f"{burst['steady_lag_seconds_max']:g} s |",
        f"| highest lag | **{burst['lag_records_max']:,} records, {burst['lag_seconds_max']:g} s** |",
        f"| lag under a second of the steady load again after | **{burst['recovered_seconds']:g} s** |",
        f"| highest memory of the whole run; the limit | {memory['max']:,}; {memory['limit']:,} MiB |",
    ]


def whole_table(said: dict[str, Any]) -> list[str]:
    return [
        "| of the whole run | |",
        "|---|---:|",
        f"| rebalances after the first assignment | {said['generations'] - 1} |",
        f"| longest time without the group's word; a session | {said['group_silence_seconds_max']:g} s; "
        f"{SESSION_SECONDS:g} s |",
        f"| dead letters | {said['dead_letters_total']} |",
    ]


if __name__ == "__main__":
    main()
