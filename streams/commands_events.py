"""The commands `simulate`, `record` and `checkpoint`: events and state from somewhere, to somewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from config.settings import Settings
from streams.command_line import (
    Prefix,
    Refused,
    Servers,
    app,
    check_output,
    check_parent,
    examples,
    output,
    progress,
    say,
    settings_from,
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
        "ripcurrent checkpoint --out state/",
        "ripcurrent replay kafka: --from-checkpoint state/ --out out/      [dim]# what came since[/dim]",
    )
)
def checkpoint(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where nothing is yet.")],
    bootstrap_servers: Servers = None,
    topic_prefix: Prefix = None,
) -> None:
    """Copy the newest checkpoint of each shard from Kafka: what `ripcurrent replay --from-checkpoint` begins with."""
    from streams import clients, rights, saved_state
    from streams.local_copy import LocalCopy
    from streams.topics import Topics

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refused(f"--out {out}: something is there already; expected a folder that is empty, or is made")
    settings = settings_from(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    names, servers = Topics.with_prefix(settings.topic_prefix), settings.bootstrap_servers
    rights.require(servers, "checkpoint", names)
    copied = {}
    with clients.kafka_errors(servers), clients.consumer(servers) as reader:
        for tp in clients.partitions(reader, names.checkpoints):
            found = saved_state.keep(clients.all_of(reader, tp), LocalCopy(out, names.checkpoints, tp.partition))
            if found is not None:
                copied[tp.partition] = found.next_offset
    if not copied:
        raise clients.KafkaUnusableError(f"the topic {names.checkpoints} holds no checkpoint that can be used yet")
    for partition, offset in copied.items():
        output().print(f"partition {partition}: the state before offset {offset:,}", highlight=False)
    output().print(f"{len(copied)} checkpoints to {out}", highlight=False)
