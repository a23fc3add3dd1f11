"""The commands `simulate`, `record`, `replay` and `calibrate`: events from somewhere, to somewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from config.settings import Settings
from streams.command_line import (
    Config,
    Events,
    Prefix,
    Refused,
    Servers,
    Sort,
    app,
    catalogue_of,
    check_output,
    check_parent,
    examples,
    output,
    progress,
    say,
    settings_from,
    source_of,
    stoppable,
)


@app.command(
    epilog=examples(
        "ripcurrent simulate --out events.jsonl --labels labels.csv",
        "ripcurrent simulate --seed 7 --days 60 --creators 2000 --null --out quiet.jsonl.gz",
        "ripcurrent simulate --scenario scenario.yaml --seed 3 --out events.jsonl",
        "ripcurrent simulate --topic --speed 3600      [dim]# an hour of the market in a second[/dim]",
    )
)
def simulate(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON Lines; gzip if it ends in .gz, zstd if in .zst.")
    ] = None,
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
    check_parent(labels)
    if out is not None:
        check_output(out)
    from streams import simulate as simulator

    settings = settings_from(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    flags = {"seed": seed, "days": days, "creators": creators, "null": null or None}
    spec = _spec(scenario, {name: given for name, given in flags.items() if given is not None}, kinds)
    events, planted = simulator.simulate(spec)
    with progress("simulating", len(events)) as moved:
        if out is not None:
            _write_events(events, out, moved)
        else:
            _send_events(events, settings, speed, moved)
    where = str(out) if out is not None else f"the topic at {settings.bootstrap_servers}"
    said = f"{len(events):,} events of {spec.creators:,} creators in {spec.days} days to {where}"
    output().print(said, highlight=False)
    if labels is not None:
        simulator.write_labels(planted, labels)
        alike = sum(label.kind.startswith("lookalike:") for label in planted)
        more = f" and {alike} lookalikes" if alike else ""
        output().print(f"{len(planted) - alike} planted episodes{more} to {labels}", highlight=False)
        if len(planted) < (asked := simulator.asked_for(spec)):
            say(f"warning: {asked} were asked for, but there are too few creators or days for all of them")


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
    from streams.files import whole_file

    with whole_file(out) as file:
        for n, (_, value, _) in enumerate(events.iter_records()):
            file.write(value + b"\n")
            if n % 10_000 == 0:
                moved(n)


def _send_events(events: Any, settings: Settings, speed: float | None, moved: Any) -> None:
    from streams import clients, rights
    from streams.topics import Topics

    names = Topics.with_prefix(settings.topic_prefix)
    name = names.source
    rights.require(settings.bootstrap_servers, "simulate --topic", names)
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
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSON Lines; gzip if it ends in .gz, zstd if in .zst.")],
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop at what is there now; else go on until Ctrl-C.")
    ] = False,
    bootstrap_servers: Servers = None,
    topic_prefix: Prefix = None,
) -> None:
    """Record the source topic and its ticks: what `ripcurrent replay` needs to say what the worker said."""
    from streams import clients, rights
    from streams.recording import write_recording
    from streams.topics import Topics

    check_output(out)
    settings = settings_from(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    names, servers = Topics.with_prefix(settings.topic_prefix), settings.bootstrap_servers
    rights.require(servers, "record", names)
    with clients.kafka_errors(servers), clients.consumer(servers) as reader:
        shards = len(clients.partitions(reader, names.source))
    with stoppable() as stopped, progress("recording", None) as moved:
        entries = clients.dump(servers, names.source, names.ticks, until_end=until_end, stopped=lambda: bool(stopped))
        records = write_recording(out, entries, topic=names.source, partitions=shards, progress=moved)
    if stopped and until_end:
        out.unlink()
        raise KeyboardInterrupt
    output().print(f"{records:,} records of {names.source} to {out}", highlight=False)


@app.command(
    epilog=examples(
        "ripcurrent replay events.jsonl --out out/",
        "ripcurrent replay events.jsonl --out out/ --labels labels.csv",
        "ripcurrent replay today.jsonl.gz --out out/ --config my-config/",
        "ripcurrent replay lake/events/ --out out/ --sort      [dim]# Parquet[/dim]",
    )
)
def replay(
    events: Events,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="For alerts.jsonl, shadow_alerts.jsonl, dead_letters.jsonl, run.json and tables of what was found.",
        ),
    ],
    config: Config = None,
    partitions: Annotated[
        int, typer.Option(min=1, max=10_000, help="Shards to spread plain events over; a recording has its own.")
    ] = 4,
    sort: Sort = False,
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
    tables: Annotated[
        bool | None,
        typer.Option(
            "--tables/--no-tables",
            help="Whether to write Parquet, DuckDB and Excel beside CSV. By default if the extra `tables`, which "
            "brings what they need, is installed.",
        ),
    ] = None,
) -> None:
    """Run the engine over a file and write the alerts that it would have raised, byte for byte.

    EVENTS holds one event a line or row (spread over shards as Kafka would, in the order of time or else with --sort),
    or is what [bold]ripcurrent record[/bold] wrote.
    """
    import time
    from functools import partial

    from streams import replay as replayer
    from streams.engine import Engine
    from streams.run_facts import run_facts, source_facts
    from streams.security import pseudonyms_for
    from streams.write_outcome import write_outcome

    with_tables = _tables(tables)
    if out.exists() and not out.is_dir():
        raise Refused(f"--out {out}: is a file; expected a folder, made if it is not there")
    catalogue = catalogue_of(settings_from(config=config).config)
    pseudonyms = pseudonyms_for(catalogue)
    true = None if labels is None else _labels(labels)
    began = time.monotonic()
    with source_of(events, partitions, sort) as source, progress("replaying", source.bytes_total) as moved:
        ends = source.kind == "events" if close is None else close
        sources = [source_facts(name, path, source.kind) for name, path in source.files]
        result = replayer.replay(
            source.entries(), catalogue, topic=source.topic,
            close=ends, progress=lambda _: moved(source.bytes_read), engine=partial(Engine, pseudonyms=pseudonyms),
        )  # fmt: skip
    took = {"replay_seconds": round(time.monotonic() - began, 3)}
    options = {
        "partitions": partitions, "sort": sort, "close": ends, "config": config, "labels": labels,
        "tables": with_tables,
    }  # fmt: skip
    run = run_facts(result, catalogue, sources, options)
    write_outcome(result, out, catalogue, run, labels=true, topic=source.topic, tables=with_tables, timings=took)
    _print_result(result, out)
    if true is not None:
        _print_scorecard(result, true)


def _print_result(result: Any, out: Path) -> None:
    from streams import replay as replayer

    console = output()
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


def _tables(asked: bool | None) -> bool:
    """Whether to write tables; says in a line why not, if nobody said so."""
    from streams.files import INSTALL
    from streams.write_outcome import missing

    absent = ", ".join(missing()) if asked is not False else ""
    if asked and absent:
        raise Refused(f"--tables needs {absent}: {INSTALL}")
    if absent:
        say(f"CSV and JSON Lines only: Parquet, DuckDB and Excel need {absent}: {INSTALL}")
    return asked is not False and not absent


def _by_reason(dead: list[Any]) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for entry in dead:
        reasons[entry.letter.error.reason] = reasons.get(entry.letter.error.reason, 0) + 1
    return dict(sorted(reasons.items()))


def _labels(path: Path) -> list[Any]:
    from streams.labels import read_labels

    try:
        return list(read_labels(path))
    except FileNotFoundError:
        raise Refused(f"{path}: there is no such file; is the path right?") from None
    except (ValueError, TypeError) as error:  # a short row has None for a number
        text = str(error)
        raise Refused(text if text.startswith(str(path)) else f"{path}: is no file of labels: {text}") from None


def _print_scorecard(result: Any, labels: list[Any]) -> None:
    from streams.labels import read_kinds
    from streams.scorecard import LOOKALIKE, score
    from streams.tables import scorecard_lines, scorecard_table

    kinds = read_kinds()
    told = {label.kind for label in labels if not label.kind.startswith(LOOKALIKE)}
    if unknown := sorted(told - kinds.keys()):
        say(f"warning: no signal speaks for {', '.join(unknown)} (config/kinds.yaml): those episodes can't be caught")
    card = score(result.alerts, labels, kinds)
    output().print(scorecard_table(card, "Labelled episodes"))
    for line in scorecard_lines(card, result.creators, result.days):
        output().print(line, highlight=False)


@app.command(
    epilog=examples(
        "ripcurrent calibrate last-month.jsonl --budget 2",
        "ripcurrent calibrate events.jsonl --labels labels.csv --budget 1.5",
    )
)
def calibrate(
    events: Events,
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
    sort: Sort = False,
) -> None:
    """Propose thresholds: how often each signal would be wrong, and how to share a budget of false alarms out.

    With labels the budget goes where it finds most, without them evenly. Nothing is written; the thresholds of a signal
    move together, so that one number is enough; those of rules, which count steps or points, stay.
    """
    from streams import calibrate as calibrator
    from streams.labels import read_kinds
    from streams.tables import budget_table

    catalogue = catalogue_of(settings_from(config=config).config)
    true = [] if labels is None else _labels(labels)
    with source_of(events, partitions, sort) as source, progress("listening", source.bytes_total) as moved:
        heard = calibrator.listen(source.entries(), catalogue, source.topic, lambda _: moved(source.bytes_read))
    found = calibrator.curves([(heard, true)], sorted(catalogue.signals), read_kinds())
    rules = [name for name, one in catalogue.signals.items() if not any(hasattr(t, "detector") for t in one.tests)]
    shares = calibrator.share_out(found, budget, rules)
    output().print(budget_table(catalogue, found, shares, budget))
    if calibrator.spent(found, shares) > budget:
        say(f"warning: also at the strictest thresholds tried more is false than the budget of {budget:g} allows")
