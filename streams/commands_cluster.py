"""The commands `run`, `check`, `init`, `topics`, `erase` and `acls`: the worker, its configuration, topics, state and
rights."""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from config.schema import Catalogue
from config.settings import unknown_variables
from streams.command_line import (
    FAILED,
    Config,
    Prefix,
    Refused,
    Servers,
    app,
    catalogue_of,
    catalogue_with_warnings,
    check_parent,
    examples,
    output,
    progress,
    say,
    settings_from,
)


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
    checkpoint_share: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Bytes of checkpoints for each byte of the source.")
    ] = None,
    tick_seconds: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="Silence after which the wall clock closes windows.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(metavar="LEVEL", help="DEBUG, INFO, WARNING, ERROR.")] = None,
) -> None:
    """Run the worker: events from Kafka in, alerts to Kafka out. Ends on SIGTERM or Ctrl-C.

    Each flag has an environment variable of its name: RIPCURRENT_HTTP_PORT for --http-port.
    """
    settings = settings_from(
        bootstrap_servers=bootstrap_servers, group=group, topic_prefix=topic_prefix, config=config,
        http_host=http_host, http_port=http_port, checkpoint_seconds=checkpoint_seconds,
        checkpoint_share=checkpoint_share, tick_seconds=tick_seconds, log_level=log_level,
    )  # fmt: skip
    from streams import first_contact, rights
    from streams.security import quiet_about_secrets
    from streams.topics import Topics

    catalogue_of(settings.config)
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    quiet_about_secrets()
    topics = Topics.with_prefix(settings.topic_prefix)

    def ask() -> None:
        rights.require(settings.bootstrap_servers, "run", topics, settings.group)

    answered = first_contact.answers(ask)
    from streams import app as worker

    worker.run(settings, None if answered else ask)


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
    catalogue, warnings = catalogue_with_warnings(settings_from(config=config).config)
    for name in unknown_variables(os.environ):
        say(f"warning: {name} is set but means nothing here; is it mistyped?")
    for warning in warnings:
        say(f"warning: {warning}")
    if explain is None:
        output().print(catalogue_table(catalogue))
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
    check_parent(folder / "engine.yaml" if folder.is_dir() else folder)
    copied = copy_shipped(folder)
    said = f"{copied} files to {folder}; say --config {folder} where it is to be used"
    output().print(said, highlight=False, soft_wrap=True)


def _explain(catalogue: Catalogue, name: str, market: str, category: str | None, groups: list[str]) -> None:
    from config.effective import explain
    from config.problems import one_of
    from streams.tables import explained_table

    if name not in catalogue.signals:
        raise Refused(f"--explain: there is no signal {name!r}; {one_of(name, catalogue.signals)}")
    if market not in catalogue.markets:
        say(f"note: {market} has no file in markets/; default.yaml stands for it")
    if unknown := [group for group in groups if group not in catalogue.groups]:
        raise Refused(f"--group: there is no group {unknown[0]!r}; {one_of(unknown[0], catalogue.groups)}")
    who = ", ".join([market, *([category] if category else []), *groups])
    output().print(explained_table(explain(catalogue, name, market, category, groups), f"{name} in {who}"))


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
    from streams import rights
    from streams import topics as kafka_topics

    settings = settings_from(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    names = kafka_topics.Topics.with_prefix(settings.topic_prefix)
    specs = names.specs(partitions, replication)
    rights.require(settings.bootstrap_servers, "topics --check", names)
    if not check:
        for name in kafka_topics.create(settings.bootstrap_servers, specs):
            output().print(f"created {name}", highlight=False)
    problems = kafka_topics.check(settings.bootstrap_servers, specs)
    for problem in problems:
        say(str(problem))
    if problems:
        raise typer.Exit(FAILED)
    output().print(f"{len(specs)} topics are as they must be", highlight=False)


@app.command(
    epilog=examples(
        "ripcurrent erase c_18233",
        "ripcurrent erase c_18233 --market TH --market VN",
    )
)
def erase(
    creator: Annotated[str, typer.Argument(metavar="CREATOR", help="Its creator_id, as in the events.")],
    market: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Only in this market; may be repeated. Else in all.")
    ] = None,
    bootstrap_servers: Servers = None,
    topic_prefix: Prefix = None,
) -> None:
    """Have the workers forget a creator: counts, baselines, open alerts (which end), cooldowns, links, its name.

    Waits until every partition's worker has answered. Two checkpoints later no checkpoint holds anything of it, nor the
    copies on the workers' disks; what stands on the topic before them goes when Kafka compacts it. Events that come
    later make it known again, as a newcomer. The events, alerts, dead letters and recordings are not touched: they are
    yours to delete (docs/security.md).
    """
    from streams import erasure, rights
    from streams.topics import Topics

    if not 1 <= len(creator) <= 64:
        raise Refused(f"CREATOR has {len(creator)} characters; expected the creator_id of its events, 1 to 64")
    if odd := [code for code in market or () if re.fullmatch("[A-Z]{2}", code) is None]:
        raise Refused(f"--market is {odd[0]!r}; expected two capital letters, such as TH")
    settings = settings_from(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    names, servers = Topics.with_prefix(settings.topic_prefix), settings.bootstrap_servers
    rights.require(servers, "erase", names)
    with progress("waiting for the workers", None) as moved:
        answers = erasure.erase(servers, names.ticks, creator, market or (), moved=moved)
    where = ", ".join(answers.markets)
    if where:
        output().print(f"forgotten in {where}", highlight=False)
    if answers.silent:
        silent = ", ".join(map(str, answers.silent))
        say(f"error: no worker has answered for partitions {silent}: does one run? It obeys when it does")
    elif not where:
        say(f"error: no worker knows {creator!r} there; is it the creator_id of its events, to the letter?")
    if answers.silent or not where:
        raise typer.Exit(FAILED)


@app.command(
    epilog=examples(
        "ripcurrent acls run --principal User:ripcurrent",
        "ripcurrent acls dlq redrive --principal User:oncall --topic-prefix staging-",
        "ripcurrent acls topics --principal User:operator",
    )
)
def acls(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="Of ripcurrent: run, topics, dlq redrive, …")],
    principal: Annotated[str, typer.Option(metavar="TYPE:NAME", help="Who is to have the rights: User:ripcurrent.")],
    bootstrap_servers: Servers = None,
    topic_prefix: Prefix = None,
    group: Annotated[str | None, typer.Option(metavar="NAME", help="Consumer group. [RIPCURRENT_GROUP]")] = None,
) -> None:
    """Print the rights that a command needs on Kafka, as kafka-acls commands: these and no others.

    Nothing is changed, and Kafka is not asked; whoever may change ACLs runs the lines.
    """
    from config.problems import one_of
    from streams import rights
    from streams.topics import Topics

    settings = settings_from(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix, group=group)
    name, known = " ".join(command), rights.needed(Topics.with_prefix(settings.topic_prefix), settings.group)
    if name not in known:
        raise Refused(f"COMMAND is {name!r}, which asks nothing of Kafka; {one_of(name, known)}")
    if re.fullmatch(r"[A-Za-z]{1,20}:[^'\x00-\x1f]{1,200}", principal) is None:
        raise Refused(f"--principal is {principal!r}; expected a type and a name, such as User:ripcurrent")
    for line in rights.acl_commands(known[name], principal, settings.bootstrap_servers):
        print(line)
