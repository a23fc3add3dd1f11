"""The command `ripcurrent`: one function for each subcommand, and one place where errors become a line.

Exit codes: 0 it worked; 1 it failed (Kafka, a broken file, the pipeline missed what it should catch); 2 the command
line or the configuration is wrong; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from config.catalogue import CatalogueError, Loaded, load, load_with_warnings
from config.schema import Catalogue
from config.settings import Settings, SettingsError, read_settings, unknown_variables
from streams.broker import BrokerError
from streams.errors import ConfigError, RipcurrentError
from streams.topics import TopicError

OK, FAILED, REFUSED, STOPPED = 0, 1, 2, 130


class Refused(Exception):  # noqa: N818  it is no error of ours
    """The command line is wrong; a line for each problem."""


def examples(*lines: str) -> str:
    return "\n\n".join(["[bold]Examples[/bold]", *(f"  {line}" for line in lines)])


app = typer.Typer(
    name="ripcurrent",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "ripcurrent demo", "ripcurrent check --config my-config/", "ripcurrent replay events.jsonl --out out/"
    ),
)

Servers = Annotated[
    str | None,
    typer.Option("--bootstrap-servers", metavar="HOST:PORT", help="Kafka; else KAFKA_BOOTSTRAP_SERVERS."),
]
Prefix = Annotated[
    str | None,
    typer.Option("--topic-prefix", metavar="TEXT", help="Before the name of each topic; else RIPCURRENT_TOPIC_PREFIX."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FOLDER", help="The catalogue; else RIPCURRENT_CONFIG, else what is shipped."),
]


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Finds risk in a stream of creator activity, live or replayed, and says it in plain words."""


# ---- the worker and its configuration ----------------------------------------------------------------------


@app.command(
    epilog=examples(
        "ripcurrent run",
        "ripcurrent run --bootstrap-servers kafka-1:9092,kafka-2:9092 --http-host 0.0.0.0",
        "RIPCURRENT_GROUP=staging RIPCURRENT_TOPIC_PREFIX=staging- ripcurrent run --log-level debug",
    )
)
def run(
    bootstrap_servers: Servers = None,
    group: Annotated[str | None, typer.Option(metavar="NAME", help="Consumer group. [RIPCURRENT_GROUP]")] = None,
    topic_prefix: Prefix = None,
    config: Config = None,
    http_host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Of /metrics, /healthz, /readyz.")] = None,
    http_port: Annotated[str | None, typer.Option(metavar="PORT", help="0: any that is free.")] = None,
    checkpoint_seconds: Annotated[str | None, typer.Option(metavar="SECONDS", help="Between checkpoints.")] = None,
    tick_seconds: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="Silence after which the wall clock closes windows.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(metavar="LEVEL", help="DEBUG, INFO, WARNING, ERROR.")] = None,
) -> None:
    """Run the worker: events from Kafka in, alerts to Kafka out. Ends on SIGTERM or Ctrl-C.

    Each flag has an environment variable of its name: RIPCURRENT_HTTP_PORT for --http-port.
    """
    settings = _settings(
        bootstrap_servers=bootstrap_servers, group=group, topic_prefix=topic_prefix, config=config,
        http_host=http_host, http_port=http_port, checkpoint_seconds=checkpoint_seconds,
        tick_seconds=tick_seconds, log_level=log_level,
    )  # fmt: skip
    _catalogue(settings.config)
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    from streams import app as worker

    worker.run(settings)


@app.command(
    epilog=examples(
        "ripcurrent check",
        "ripcurrent check --config my-config/ && ripcurrent run --config my-config/",
        "ripcurrent check --explain refund_rate ID --category beauty --group partners",
    )
)
def check(
    config: Config = None,
    explain: Annotated[
        tuple[str, str] | None,
        typer.Option("--explain", metavar="SIGNAL MARKET", help="Print the policy that holds there, and why."),
    ] = None,
    category: Annotated[str | None, typer.Option(metavar="NAME", help="With --explain: of such a creator.")] = None,
    group: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="With --explain: of a member; may be repeated.")
    ] = None,
) -> None:
    """Check the whole configuration and print its signals. Exit code 2 and a line for each problem if it is wrong.

    Warnings say what is allowed but probably not meant; they change no exit code.
    """
    from streams.tables import catalogue_table

    if explain is None and (category is not None or group):
        raise Refused("--category and --group are for --explain SIGNAL MARKET")
    catalogue, warnings = _catalogue_with_warnings(_settings(config=config).config)
    for name in unknown_variables(os.environ):
        _say(f"warning: {name} is set but means nothing here; is it mistyped?")
    for warning in warnings:
        _say(f"warning: {warning}")
    if explain is None:
        _out().print(catalogue_table(catalogue))
    else:
        _explain(catalogue, *explain, category, group or [])


@app.command(
    epilog=examples(
        "ripcurrent init my-config/",
        "ripcurrent init my-config/ && ripcurrent check --config my-config/",
    )
)
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Made if it is not there; must be empty.")],
) -> None:
    """Write the shipped configuration to a folder, to change it there: signals, markets, groups, JSON Schemas."""
    from config.catalogue import copy_shipped

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder}: is there already, and not empty; expected a new folder: nothing is overwritten")
    _check_parent(folder / "engine.yaml" if folder.is_dir() else folder)
    copied = copy_shipped(folder)
    said = f"{copied} files to {folder}; say --config {folder} where it is to be used"
    _out().print(said, highlight=False, soft_wrap=True)


def _explain(catalogue: Catalogue, name: str, market: str, category: str | None, groups: list[str]) -> None:
    from config.effective import explain
    from config.problems import one_of
    from streams.tables import explained_table

    if name not in catalogue.signals:
        raise Refused(f"--explain: there is no signal {name!r}; {one_of(name, catalogue.signals)}")
    if market not in catalogue.markets:
        _say(f"note: {market} has no file in markets/; default.yaml stands for it")
    if unknown := [group for group in groups if group not in catalogue.groups]:
        raise Refused(f"--group: there is no group {unknown[0]!r}; {one_of(unknown[0], catalogue.groups)}")
    who = ", ".join([market, *([category] if category else []), *groups])
    _out().print(explained_table(explain(catalogue, name, market, category, groups), f"{name} in {who}"))


@app.command(
    epilog=examples(
        "ripcurrent topics",
        "ripcurrent topics --partitions 12 --replication 3",
        "ripcurrent topics --partitions 12 --replication 3 --check",
    )
)
def topics(
    bootstrap_servers: Servers = None,
    topic_prefix: Prefix = None,
    partitions: Annotated[int, typer.Option(min=1, max=10_000, help="Of the source: shards to come.")] = 4,
    replication: Annotated[int, typer.Option(min=1, max=100, help="Copies of each partition.")] = 1,
    check: Annotated[bool, typer.Option("--check", help="Create nothing, only look.")] = False,
) -> None:
    """Create the topics that are missing, and check all: partitions, replication, retention, compaction.

    Exit code 1 and a line for each thing that is not as it must be.
    """
    from streams import topics as kafka_topics

    settings = _settings(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    specs = kafka_topics.Topics.with_prefix(settings.topic_prefix).specs(partitions, replication)
    if not check:
        for name in kafka_topics.create(settings.bootstrap_servers, specs):
            _out().print(f"created {name}", highlight=False)
    problems = kafka_topics.check(settings.bootstrap_servers, specs)
    for problem in problems:
        _say(str(problem))
    if problems:
        raise typer.Exit(FAILED)
    _out().print(f"{len(specs)} topics are as they must be", highlight=False)


# ---- events from somewhere, to somewhere -------------------------------------------------------------------


@app.command(
    epilog=examples(
        "ripcurrent simulate --out events.jsonl --labels labels.csv",
        "ripcurrent simulate --seed 7 --days 60 --creators 2000 --null --out quiet.jsonl.gz",
        "ripcurrent simulate --scenario scenario.yaml --seed 3 --out events.jsonl",
        "ripcurrent simulate --topic --speed 3600      [dim]# an hour of the market in a second[/dim]",
    )
)
def simulate(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="JSON Lines; gzip if it ends in .gz.")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="The planted episodes, as CSV.")] = None,
    topic: Annotated[bool, typer.Option("--topic", help="To the source topic, not to a file.")] = False,
    speed: Annotated[float | None, typer.Option(metavar="X", help="With --topic: X times real time.")] = None,
    scenario: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What to simulate, as YAML; what is given beside it wins.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed gives the same bytes; else 1.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3_650, help="Else 21.")] = None,
    creators: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Else 400.")] = None,
    kinds: Annotated[
        str | None, typer.Option(metavar="KIND,…", help="Plant episodes of these kinds only; else of all.")
    ] = None,
    null: Annotated[bool, typer.Option("--null", help="Plant nothing.")] = False,
    bootstrap_servers: Servers = None,
    topic_prefix: Prefix = None,
) -> None:
    """Simulate a market of creators with planted episodes: events and labels to files, or events to Kafka."""
    if topic == (out is not None):
        raise Refused("expected either --out FILE or --topic")
    if speed is not None and (not topic or not speed > 0):
        raise Refused("--speed is for --topic, and over 0: how many times as fast as it happened")
    for path in (out, labels):
        _check_parent(path)
    from streams import simulate as simulator

    settings = _settings(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    flags = {"seed": seed, "days": days, "creators": creators, "null": null or None}
    spec = _spec(scenario, {name: given for name, given in flags.items() if given is not None}, kinds)
    events, planted = simulator.simulate(spec)
    with _progress("simulating", len(events)) as moved:
        if out is not None:
            _write_events(events, out, moved)
        else:
            _send_events(events, settings, speed, moved)
    where = str(out) if out is not None else f"the topic at {settings.bootstrap_servers}"
    said = f"{len(events):,} events of {spec.creators:,} creators in {spec.days} days to {where}"
    _out().print(said, highlight=False)
    if labels is not None:
        simulator.write_labels(planted, labels)
        alike = sum(label.kind.startswith("lookalike:") for label in planted)
        more = f" and {alike} lookalikes" if alike else ""
        _out().print(f"{len(planted) - alike} planted episodes{more} to {labels}", highlight=False)
        if len(planted) < (asked := simulator.asked_for(spec)):
            _say(f"warning: {asked} were asked for, but there are too few creators or days for all of them")


def _spec(file: Path | None, flags: dict[str, Any], kinds: str | None) -> Any:
    """What to simulate: the scenario, or the usual; and the flags, which go before it."""
    from streams.scenario import Scenario, read_scenario

    scenario = Scenario() if file is None else read_scenario(file)
    if kinds is not None:
        flags |= {"only": tuple(kinds.split(","))}
    try:
        return scenario.simulation(**flags)
    except ValueError as error:
        raise Refused(str(error) if file is None else f"{file}: {error}") from None


def _write_events(events: Any, out: Path, moved: Any) -> None:
    from streams.recording import whole_file

    with whole_file(out) as file:
        for n, (_, value, _) in enumerate(events.iter_records()):
            file.write(value + b"\n")
            if n % 10_000 == 0:
                moved(n)


def _send_events(events: Any, settings: Settings, speed: float | None, moved: Any) -> None:
    from streams import clients
    from streams.topics import Topics

    name = Topics.with_prefix(settings.topic_prefix).source
    with clients.kafka_errors(settings.bootstrap_servers):
        with clients.consumer(settings.bootstrap_servers) as reader:
            clients.partitions(reader, name)
        with clients.producer(settings.bootstrap_servers) as to:
            clients.send_all(to, name, events.iter_records(), lambda n, _: moved(n), speed)


@app.command(
    epilog=examples(
        "ripcurrent record --out today.jsonl.gz --until-end",
        "ripcurrent record --out incident.jsonl      [dim]# until Ctrl-C[/dim]",
    )
)
def record(
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSON Lines; gzip if it ends in .gz.")],
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop at what is there now; else go on until Ctrl-C.")
    ] = False,
    bootstrap_servers: Servers = None,
    topic_prefix: Prefix = None,
) -> None:
    """Record the source topic and its ticks: what `ripcurrent replay` needs to say what the worker said."""
    from streams import clients
    from streams.recording import write_recording
    from streams.topics import Topics

    _check_parent(out)
    settings = _settings(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    names, servers = Topics.with_prefix(settings.topic_prefix), settings.bootstrap_servers
    with clients.kafka_errors(servers), clients.consumer(servers) as reader:
        shards = len(clients.partitions(reader, names.source))
    with _stoppable() as stopped, _progress("recording", None) as moved:
        entries = clients.dump(servers, names.source, names.ticks, until_end=until_end, stopped=lambda: bool(stopped))
        records = write_recording(out, entries, topic=names.source, partitions=shards, progress=moved)
    if stopped and until_end:
        out.unlink()
        raise KeyboardInterrupt
    _out().print(f"{records:,} records of {names.source} to {out}", highlight=False)


@app.command(
    epilog=examples(
        "ripcurrent replay events.jsonl --out out/",
        "ripcurrent replay events.jsonl --out out/ --labels labels.csv",
        "ripcurrent replay today.jsonl.gz --out out/ --config my-config/",
    )
)
def replay(
    events: Annotated[Path, typer.Argument(metavar="EVENTS", help="Events or a recording; plain or gzip.")],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="For alerts.jsonl, shadow_alerts.jsonl and dead_letters.jsonl.")
    ],
    config: Config = None,
    partitions: Annotated[
        int, typer.Option(min=1, max=10_000, help="Shards to spread plain events over; a recording has its own.")
    ] = 4,
    close: Annotated[
        bool | None,
        typer.Option(
            "--close/--no-close",
            help="Whether the end of the file ends the input, so that the last windows are judged. By default it does "
            "for a file of plain events, and not for a recording, which says with ticks what was judged.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="True episodes, as CSV: prints what was caught and what was false."),
    ] = None,
) -> None:
    """Run the engine over a file and write the alerts that it would have raised, byte for byte.

    EVENTS holds one event a line (spread over shards as Kafka would), or is what [bold]ripcurrent record[/bold] wrote.
    """
    from streams import replay as replayer

    if out.exists() and not out.is_dir():
        raise Refused(f"--out {out}: is a file; expected a folder, made if it is not there")
    source = _recording(events, partitions)
    catalogue = _catalogue(_settings(config=config).config)
    true = None if labels is None else _labels(labels)
    source.head()
    with _progress("replaying", source.bytes_total) as moved:
        result = replayer.replay(
            source.entries(), catalogue, topic=source.topic,
            close=source.kind == "events" if close is None else close, progress=lambda _: moved(source.bytes_read),
        )  # fmt: skip
        replayer.write_result(result, out, source.topic)
    console = _out()
    alerts = len({alert.alert_id for alert in result.alerts})
    console.print(
        f"{result.records:,} records in {len(result.partitions)} shards: {alerts} alerts "
        f"({len(result.alerts)} revisions) in {out / replayer.ALERTS}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if result.shadow:
        aside = len({alert.alert_id for alert in result.shadow})
        console.print(
            f"{aside} more ({len(result.shadow)} revisions) in {out / replayer.SHADOW}: of signals on trial, and of "
            "creators that a group exempts",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    if result.dead:
        reasons = ", ".join(f"{reason} {n}" for reason, n in _by_reason(result.dead).items())
        where = out / replayer.DEAD_LETTERS
        console.print(f"{len(result.dead):,} bad records ({reasons}) in {where}", highlight=False, soft_wrap=True)
    if true is not None:
        _print_scorecard(result, true)


def _recording(path: Path, partitions: int) -> Any:
    from streams.recording import NoRecordingError, Recording

    try:
        return Recording(path, partitions)
    except NoRecordingError as error:
        raise Refused(str(error)) from None


def _by_reason(dead: list[Any]) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for entry in dead:
        reasons[entry.letter.error.reason] = reasons.get(entry.letter.error.reason, 0) + 1
    return dict(sorted(reasons.items()))


def _labels(path: Path) -> list[Any]:
    from streams.scorecard import read_labels

    try:
        return list(read_labels(path))
    except FileNotFoundError:
        raise Refused(f"{path}: there is no such file; is the path right?") from None
    except (ValueError, TypeError) as error:  # a short row has None for a number
        text = str(error)
        raise Refused(text if text.startswith(str(path)) else f"{path}: is no file of labels: {text}") from None


def _print_scorecard(result: Any, labels: list[Any]) -> None:
    from streams.scorecard import LOOKALIKE, read_kinds, score
    from streams.tables import scorecard_lines, scorecard_table

    kinds = read_kinds()
    told = {label.kind for label in labels if not label.kind.startswith(LOOKALIKE)}
    if unknown := sorted(told - kinds.keys()):
        _say(f"warning: no signal speaks for {', '.join(unknown)} (config/kinds.yaml): those episodes can't be caught")
    card = score(result.alerts, labels, kinds)
    _out().print(scorecard_table(card, "Labelled episodes"))
    for line in scorecard_lines(card, result.creators, result.days):
        _out().print(line, highlight=False)


@app.command(
    epilog=examples(
        "ripcurrent calibrate last-month.jsonl --budget 2",
        "ripcurrent calibrate events.jsonl --labels labels.csv --budget 1.5",
    )
)
def calibrate(
    events: Annotated[Path, typer.Argument(metavar="EVENTS", help="Events or a recording; plain or gzip.")],
    budget: Annotated[
        float, typer.Option(min=0.0, help="False alarms of all signals together, per 1,000 creators and days.")
    ] = 2.0,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="True episodes, as CSV. Without it nothing in EVENTS is taken to be true."),
    ] = None,
    config: Config = None,
    partitions: Annotated[
        int, typer.Option(min=1, max=10_000, help="Shards to spread plain events over; a recording has its own.")
    ] = 4,
) -> None:
    """Propose thresholds: how often each signal would be wrong, and how to share a budget of false alarms out.

    With labels the budget goes where it finds most, without them evenly. Nothing is written; the thresholds of a signal
    move together, so that one number is enough.
    """
    from streams import calibrate as calibrator
    from streams.scorecard import read_kinds
    from streams.tables import budget_table

    source = _recording(events, partitions)
    catalogue = _catalogue(_settings(config=config).config)
    true = [] if labels is None else _labels(labels)
    with _progress("listening", source.bytes_total) as moved:
        heard = calibrator.listen(source.entries(), catalogue, source.topic, lambda _: moved(source.bytes_read))
    found = calibrator.curves([(heard, true)], sorted(catalogue.signals), read_kinds())
    shares = calibrator.share_out(found, budget)
    _out().print(budget_table(catalogue, found, shares, budget))
    if calibrator.spent(found, shares) > budget:
        _say(f"warning: also at the strictest thresholds tried more is false than the budget of {budget:g} allows")


@app.command(epilog=examples("ripcurrent demo", "ripcurrent demo --keep"))
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep all running at the end, until Ctrl-C.")] = False,
    creators: Annotated[int, typer.Option(min=50, max=5_000, help="Of the simulated market.")] = 350,
    seed: Annotated[int, typer.Option(min=0)] = 2_026,
) -> None:
    """The whole pipeline in two minutes: a Kafka, a worker, three simulated weeks, and the alerts as they arrive.

    Uses the Kafka in KAFKA_BOOTSTRAP_SERVERS (under topics of its own, deleted afterwards), else starts one. Exit
    code 1 if fewer than 80 % of the planted episodes are caught, or more than 2 in 1,000 creator-days are false.
    """
    from streams import demo as show

    raise typer.Exit(OK if show.run_demo(_out(), keep=keep, creators=creators, seed=seed) else FAILED)


# ---- what the commands share -------------------------------------------------------------------------------


def _settings(**flags: Any) -> Settings:
    return read_settings(os.environ, **flags)


def _catalogue(folder: Path) -> Catalogue:
    with _readable(folder):
        return load(folder)


def _catalogue_with_warnings(folder: Path) -> Loaded:
    with _readable(folder):
        return load_with_warnings(folder, datetime.now(UTC).date())


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CatalogueError([f"{error.filename or folder}: can't be read: {error.strerror}"]) from None


def _out() -> Console:
    """Standard output; wide enough for tables where it is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=140)


def _say(line: str) -> None:
    print(f"ripcurrent: {line}", file=sys.stderr)


def _check_parent(path: Path | None) -> None:
    if path is None:
        return
    if path.is_dir():
        raise Refused(f"{path}: is a folder; expected a file")
    if not path.absolute().parent.is_dir():
        raise Refused(f"{path}: there is no folder {path.parent}; make it first")


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Any]:
    """A bar on standard error, where that is a terminal; gives a function that takes how far it is."""
    console = Console(stderr=True)
    columns: list[ProgressColumn] = [TextColumn("{task.description}")]
    columns += [TextColumn("{task.completed:,}")] if total is None else [BarColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def _stoppable() -> Iterator[list[int]]:
    """SIGINT and SIGTERM end what is going on at its next pause: the list that this gives is no longer empty."""
    got: list[int] = []
    before = {s: signal.signal(s, lambda number, _: got.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(arguments: list[str] | None = None) -> None:
    """The console script: runs a command, and turns every error into one clear line and an exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    if debug:  # wherever it stands
        given = ["--debug", *(argument for argument in given if argument != "--debug")]
    else:
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what it logs comes to us as an error, too
    try:
        code = app(given, prog_name="ripcurrent", standalone_mode=False)
        if code == STOPPED:  # what typer makes of Ctrl-C
            _say("stopped")
    except BaseException as error:
        if debug and not isinstance(error, SystemExit | typer.Exit):
            raise
        code = _explained(error)
    sys.exit(code if isinstance(code, int) else OK)


def _explained(error: BaseException) -> int:
    """Say what went wrong; the exit code."""
    match error:
        case KeyboardInterrupt() | typer.Abort():
            _say("stopped")
            return STOPPED
        case SystemExit():
            return error.code if isinstance(error.code, int) else FAILED
        case typer.Exit():
            return error.exit_code
        case typer.TyperException():
            text, context = error.format_message().rstrip("."), getattr(error, "ctx", None)
            if text:  # else it has shown the help
                _say(f"error: {text}; see: {context.command_path if context else 'ripcurrent'} --help")
            return REFUSED
        case CatalogueError() | SettingsError():
            for problem in error.problems:
                _say(f"error: {problem}")
            return REFUSED
        case Refused() | ConfigError():
            _say(f"error: {error}")
            return REFUSED
        case BrokenPipeError():  # the reader of our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        case RipcurrentError() | TopicError() | BrokerError():
            _say(f"error: {error}")
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            _say(f"error: {where}{error.strerror or error}")
        case _:
            text = " ".join(str(error).split())
            _say(f"error: {type(error).__name__}: {text}; run it with --debug for more")
    return FAILED


if __name__ == "__main__":
    main()
