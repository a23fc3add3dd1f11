"""How many events a second does a worker with all shipped signals apply, from Kafka to its alerts, on one core?

    python benchmarks/bench_live.py [--runs 3] [--market 3000x7 --market 20000x1] [--seed 2026]

Starts Apache Kafka, fills `creator-events` with a simulated market (creators x days, events of all types, lz4), and
then, --runs times in turn: a plain Faust agent that only counts (plain_faust.py), for --faust-seconds; and
`ripcurrent run` over the whole topic, with the shipped catalogue and its checkpoints. Both have one core to
themselves, Kafka and this script another one. The first market gives the headline.

A rate goes from the first look at which records had been handled to the one at which the last was (the agent: to
the end of its time): starting up doesn't count, checkpoints do. It is checked that every record was applied, that
none is a dead letter, and that each run gave the same alerts.

Writes results/live.json and the section "Live" of RESULTS.md; ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from report import Machine, machine, versions, write_result

import streams
from streams import clients
from streams.broker import Broker, start_broker
from streams.simulate import Simulation, simulate
from streams.topics import Topics, create

HERE = Path(__file__).resolve().parent
CODE = Path(streams.__file__).resolve().parent.parent  # the worker runs what is imported here
PREFIX = "bench-live-"
MARKETS = ("3000x7", "20000x1")
START_SECONDS = 90.0
STALL_SECONDS = 60.0
WARM_SECONDS = 2.0  # that the plain agent counts before it is measured
NEVER_SECONDS = "3600"  # a silent partition here is one whose records are done: no tick


class Cores(NamedTuple):
    kafka: set[int]
    worker: set[int]


class Filled(NamedTuple):
    events: int
    bytes: int
    seconds: float


class Market(NamedTuple):
    creators: int
    days: int


class Span(NamedTuple):
    """What was handled between two looks."""

    events: int
    seconds: float
    cpu_seconds: float


class Applied(NamedTuple):
    """One run of the worker."""

    span: Span
    alerts: int
    digest: str  # of all alert revisions
    checkpoints: int


class Result(NamedTuple):
    market: Market
    filled: Filled
    agent: list[Span]
    worker: list[Applied]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--market", action="append", help="CREATORSxDAYS; may be given again")
    parser.add_argument("--seed", type=int, default=2_026)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--faust-seconds", type=float, default=12.0)
    parser.add_argument("--checkpoint-seconds", type=float, default=10.0, help="as shipped")
    parser.add_argument("--no-files", action="store_true", help="write nothing below benchmarks/")
    args = parser.parse_args()
    with stage() as (found, cores, kafka, folder):
        results = [
            measured(kafka, args, Market(*map(int, text.split("x"))), cores, folder) for text in args.market or MARKETS
        ]
    tell(args, found, kafka.kind, results)


def measured(kafka: Broker, args: argparse.Namespace, market: Market, cores: Cores, folder: Path) -> Result:
    """The agent and the worker in turn over one market."""
    bootstrap, topics = kafka.bootstrap_servers, Topics.with_prefix(PREFIX)
    remove(bootstrap, topics_of(topics))
    create(bootstrap, topics.specs(args.partitions, 1))
    os.sched_setaffinity(0, cores.kafka | cores.worker)
    filled = fill(bootstrap, topics.source, Simulation(seed=args.seed, creators=market.creators, days=market.days))
    os.sched_setaffinity(0, cores.kafka)
    print(f"{filled.events:,} events of {market.creators:,} creators in {market.days} days are on {args.partitions} "
          f"partitions after {filled.seconds:.0f} s; Kafka is {kafka.kind}", flush=True)  # fmt: skip
    agent: list[Span] = []
    worker: list[Applied] = []
    for run in range(args.runs):
        name = f"{market.creators}x{market.days}-{run}"
        agent.append(plain_agent(bootstrap, topics.source, name, args.faust_seconds, cores, folder))
        remove(bootstrap, [topic for topic in topics_of(topics) if topic != topics.source])
        create(bootstrap, topics.specs(args.partitions, 1))
        worker.append(ripcurrent(bootstrap, topics, name, args, filled.events, cores, folder))
        print(f"run {run + 1}: plain agent {said_of(agent[-1])}; worker {said_of(worker[-1].span)}, "
              f"{worker[-1].alerts} alerts, {worker[-1].checkpoints} checkpoints", flush=True)  # fmt: skip
    if kafka.kind == "given":
        remove(bootstrap, topics_of(topics))
    if len({run.digest for run in worker}) != 1:
        raise SystemExit("the runs gave different alerts")
    return Result(market, filled, agent, worker)


# ---- the machine ---------------------------------------------------------------------------------------------


def split_cores() -> Cores:
    """The last core for what is measured, the others for Kafka and this script."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("two cores are needed: one for Kafka, one for what is measured")
    return Cores(set(cores[:-1]), {cores[-1]})


class Stage(NamedTuple):
    """What a benchmark on Kafka plays on."""

    machine: Machine  # as it was before
    cores: Cores
    kafka: Broker
    folder: Path


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Kafka on its cores, which this script shares; all is gone at the end, also by SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found, cores = machine(), split_cores()
    os.sched_setaffinity(0, cores.kafka)  # inherited by what is started from here
    kafka = start_broker()
    try:
        with tempfile.TemporaryDirectory(prefix="ripcurrent-bench-") as folder:
            yield Stage(found, cores, kafka, Path(folder))
    finally:
        kafka.stop()


# ---- the topic -----------------------------------------------------------------------------------------------


def fill(bootstrap: str, topic: str, spec: Simulation) -> Filled:
    began, size = time.monotonic(), 0
    events, _ = simulate(spec)

    def records() -> Iterator[tuple[bytes, bytes, int]]:
        nonlocal size
        for key, value, at in events.iter_records():
            size += len(value)
            yield key, value, at

    with clients.producer(bootstrap) as to:
        sent = clients.send_all(to, topic, records())
    return Filled(sent, size, time.monotonic() - began)


def remove(bootstrap: str, names: list[str]) -> None:
    """Take topics away, and see them gone."""
    with clients.admin(bootstrap) as admin:
        admin.delete_topics(names, raise_errors=False)
        wait("the old topics are gone", lambda: not set(names) & set(admin.list_topics()), START_SECONDS)


def topics_of(topics: Topics) -> list[str]:
    return [getattr(topics, name) for name in topics.__struct_fields__]


# ---- what is measured ----------------------------------------------------------------------------------------


class Process:
    """A process on the measured core, its output in a file."""

    def __init__(self, command: list[str], output: Path, cores: Cores, **environ: str) -> None:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("RIPCURRENT_")}
        self.output = output
        with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                env={**kept, "PYTHONPATH": str(CODE), **environ},
                cwd=output.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                preexec_fn=lambda: os.sched_setaffinity(0, cores.worker),
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def check(self) -> None:
        if self._process.poll() is not None:
            raise SystemExit(f"{self.output.stem} ended by itself:\n{self.said()[-3_000:]}")

    def said(self) -> str:
        """All that it wrote so far."""
        return "".join(file.read_text(errors="replace") for file in (self.output.with_suffix(".err"), self.output))

    def memory_mib(self) -> tuple[float, float]:
        """What is resident now, and the most that ever was."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", text, re.MULTILINE))
        return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def plain_agent(bootstrap: str, topic: str, name: str, seconds: float, cores: Cores, folder: Path) -> Span:
    """What it counts in so many seconds, after it has counted for a while."""
    environ = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "TOPIC": topic, "GROUP": f"{PREFIX}plain-{name}"}
    command = [str(HERE / "plain_faust.py"), "worker", "--without-web", "--loglevel", "warn"]
    with Process(command, folder / f"plain-{name}.out", cores, **environ) as process:

        def looks() -> list[dict[str, Any]]:
            process.check()
            lines = process.output.read_text().rpartition("\n")[0].splitlines()
            told = [json.loads(line) for line in lines if line.startswith("{")]  # Faust's banner is there too
            return [look for look in told if look["counted"]]

        wait("the plain agent counts", looks, START_SECONDS, every=0.25)
        time.sleep(WARM_SECONDS)
        first, cpu = looks()[-1], process.cpu_seconds()
        time.sleep(seconds)
        last = looks()[-1]
        return Span(last["counted"] - first["counted"], last["at"] - first["at"], process.cpu_seconds() - cpu)


def start_worker(
    bootstrap: str, prefix: str, name: str, port: int, cores: Cores, folder: Path, flags: dict[str, str]
) -> Process:
    """`ripcurrent run` as shipped, but for the flags."""
    where = {"bootstrap-servers": bootstrap, "group": f"{prefix}worker-{name}", "topic-prefix": prefix,
             "http-port": str(port)}  # fmt: skip
    command = ["-m", "streams.cli", "run", *(f"--{flag}={text}" for flag, text in (where | flags).items())]
    return Process(command, folder / f"worker-{name}.out", cores)


def ripcurrent(
    bootstrap: str, topics: Topics, name: str, args: argparse.Namespace, total: int, cores: Cores, folder: Path
) -> Applied:
    """The worker over the whole topic."""
    port = free_port()
    flags = {"checkpoint-seconds": str(args.checkpoint_seconds), "tick-seconds": NEVER_SECONDS}
    with start_worker(bootstrap, PREFIX, name, port, cores, folder, flags) as process:

        def applied() -> int:
            process.check()
            return int(metric(port, "ripcurrent_records_total"))

        wait("the worker applies records", applied, START_SECONDS, every=0.02)
        began, cpu, first = time.monotonic(), process.cpu_seconds(), applied()
        moved, before, done = began, first, first
        while done < total:
            left = (total - done) / max((done - first) / (time.monotonic() - began), 1.0) if done > first else 1.0
            time.sleep(min(max(left / 4, 0.01), 0.5))  # seldom, since each look costs the worker time; often at the end
            before, done, now = done, applied(), time.monotonic()
            moved = now if done > before else moved
            if now - moved > STALL_SECONDS:
                raise SystemExit(f"the worker stands still at {done:,} of {total:,} records")
        span = Span(total - first, time.monotonic() - began, process.cpu_seconds() - cpu)
        checkpoints = int(metric(port, "ripcurrent_checkpoint_seconds_count"))
        wait("the metrics have counted all events", lambda: metric(port, "ripcurrent_events_total") == total, 5.0)
        counts = {name: int(metric(port, f"ripcurrent_{name}_total")) for name in ("records", "dead_letters", "ticks")}
        if counts != {"records": total, "dead_letters": 0, "ticks": 0}:
            raise SystemExit(f"{total:,} records were on the topic; the worker says {counts}")
    alerts = sorted(everything(bootstrap, topics.alerts))
    if len(set(alerts)) != len(alerts):
        raise SystemExit("an alert revision is on the topic twice, though nothing was restarted")
    return Applied(span, len(alerts), hashlib.sha256(b"\n".join(alerts)).hexdigest()[:16], checkpoints)


def metric(port: int, name: str) -> float:
    """The sum of a metric's samples."""
    return metrics(port, name)[name]


def metrics(port: int, *names: str) -> dict[str, float]:
    """The sum of each one's samples, all of the same moment; 0 where there are none."""
    sums = dict.fromkeys(names, 0.0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return sums  # not up yet
    # parsing all of it takes longer than asking
    lines = "\n".join(line for line in text.splitlines() if any(name in line for name in names))
    for family in text_string_to_metric_families(lines + "\n"):
        for sample in family.samples:
            if sample.name in sums:
                sums[sample.name] += sample.value
    return sums


def everything(bootstrap: str, topic: str) -> list[bytes]:
    with clients.consumer(bootstrap) as reader:
        tps = clients.partitions(reader, topic)
        reader.assign(tps)
        reader.seek_to_beginning()
        ends, values = reader.end_offsets(tps), []
        while any(reader.position(tp) < end for tp, end in ends.items()):
            values += [m.value for batch in reader.poll(timeout_ms=200).values() for m in batch]
        return values


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(what: str, holds: Callable[[], object], seconds: float, every: float = 0.1) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:.0f} s: {what}")
        time.sleep(every)


# ---- what is said ----------------------------------------------------------------------------------------------


def said_of(span: Span) -> str:
    return f"{span.events / span.seconds:,.0f} events/s ({span.events / span.cpu_seconds:,.0f} a core second)"


def spread(values: list[float]) -> dict[str, Any]:
    whole = [round(value) for value in values]
    return {"median": round(statistics.median(values)), "min": min(whole), "max": max(whole), "runs": whole}


def figures(result: Result) -> dict[str, Any]:
    """One market's part of the JSON."""
    spans = [run.span for run in result.worker]
    ours, theirs = (spread([span.events / span.seconds for span in some]) for some in (spans, result.agent))
    our_core, their_core = (spread([s.events / s.cpu_seconds for s in some]) for some in (spans, result.agent))
    return {
        "ripcurrent_events_per_s": ours["median"],
        "faust_agent_events_per_s": theirs["median"],
        "ratio": round(ours["median"] / theirs["median"], 1),
        "ratio_per_core_second": round(our_core["median"] / their_core["median"], 1),
        "events": result.filled.events,
        "creators": result.market.creators,
        "days": result.market.days,
        "bytes_per_event": round(result.filled.bytes / result.filled.events),
        "alerts": result.worker[0].alerts,
        "checkpoints": [run.checkpoints for run in result.worker],
        "ripcurrent": ours,
        "ripcurrent_per_core_second": our_core,
        "faust_agent": theirs,
        "faust_agent_per_core_second": their_core,
    }


def tell(args: argparse.Namespace, found: Machine, kafka: str, results: list[Result]) -> None:
    markets = [figures(result) for result in results]
    said = {
        **markets[0],
        "runs": args.runs,
        "seed": args.seed,
        "partitions": args.partitions,
        "checkpoint_seconds": args.checkpoint_seconds,
        "kafka": kafka,
        "machine": found._asdict(),
        "versions": versions("faust-streaming", "aiokafka", "numpy", "scipy", "msgspec"),
        "other_markets": markets[1:],
    }
    text = [
        f"Simulated events of all types (seed {args.seed}, lz4) on {args.partitions} partitions of one Kafka. One "
        f"worker on one core, Kafka on another; from the first record to the last, with checkpoints as shipped: "
        f"by the source's bytes, no sooner than after {args.checkpoint_seconds:g} s. "
        f"Every record was applied, and each run gave the same alerts. "
        f"The agent counts for {args.faust_seconds:g} s. A core second is one in which the process had its core: what "
        f"else the machine does shows less there. The fewer events a pane of 15 minutes has, the more its closing "
        f"weighs.",
    ]
    for m in markets:
        ours = f"{cell(m['ripcurrent'])} | {cell(m['ripcurrent_per_core_second'])}"
        theirs = f"{cell(m['faust_agent'])} | {cell(m['faust_agent_per_core_second'])}"
        text += [
            "",
            f"**{m['events']:,} events** of {m['bytes_per_event']} bytes: {m['creators']:,} creators, "
            f"days: {m['days']}; {m['alerts']} alert revisions; checkpoints within each run: "
            f"{', '.join(map(str, m['checkpoints']))}.",
            "",
            f"| median of {args.runs} (lowest to highest) | events/s | events for each core second |",
            "|---|---:|---:|",
            f"| `ripcurrent run`, all shipped signals | {ours} |",
            f"| plain Faust agent that only counts | {theirs} |",
            f"| ratio of the medians | **{m['ratio']}** | **{m['ratio_per_core_second']}** |",
        ]
    text += ["", "Made with `make bench-live`; all figures in [results/live.json](results/live.json)."]
    if not args.no_files:
        write_result("live", "Live: Kafka to alerts", text, said, found)
    print("\n".join(text) + "\n")
    print(json.dumps(said))


def cell(found: dict[str, Any]) -> str:
    return f"{found['median']:,} ({found['min']:,} to {found['max']:,})"


if __name__ == "__main__":
    main()
