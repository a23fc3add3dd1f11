"""What the commands share: the application, options that several have, and how they read, say and stop."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from config.catalogue import CatalogueError, Loaded, load, load_with_warnings
from config.schema import Catalogue
from config.settings import Settings, read_settings

OK, FAILED, REFUSED, STOPPED = 0, 1, 2, 130  # exit codes


class Refused(Exception):  # noqa: N818  it is no error of ours
    """The command line is wrong; a line for each problem."""


def examples(*lines: str) -> str:
    return "\n\n".join(["[bold]Examples[/bold]", *(f"  {line}" for line in lines)])


class GroupsLast(typer.core.TyperGroup):
    """In the help, commands that have commands of their own stand behind the others; typer has them first."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: hasattr(self.commands[name], "commands"))


app = typer.Typer(
    name="ripcurrent",
    cls=GroupsLast,
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
Events = Annotated[
    Path,
    typer.Argument(
        metavar="EVENTS",
        help="Events or a recording: JSON Lines, plain, gzip or zstd; Parquet, file or folder; - for standard input; "
        "kafka: for the source topic, kafka:NAME for another one.",
    ),
]
Sort = Annotated[bool, typer.Option("--sort", help="Put plain events in the order of occurred_at first, on the disk.")]


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Finds risk in a stream of creator activity, live or replayed, and says it in plain words."""


def settings_from(**flags: Any) -> Settings:
    return read_settings(os.environ, **flags)


def catalogue_of(folder: Path) -> Catalogue:
    with readable(folder):
        return load(folder)


def catalogue_with_warnings(folder: Path) -> Loaded:
    with readable(folder):
        return load_with_warnings(folder, datetime.now(UTC).date())


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CatalogueError([f"{error.filename or folder}: can't be read: {error.strerror}"]) from None


def output() -> Console:
    """Standard output; wide enough for tables where it is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=140)


def say(line: str) -> None:
    print(f"ripcurrent: {line}", file=sys.stderr)


def check_parent(path: Path | None) -> None:
    if path is None:
        return
    if path.is_dir():
        raise Refused(f"{path}: is a folder; expected a file")
    if not path.absolute().parent.is_dir():
        raise Refused(f"{path}: there is no folder {path.parent}; make it first")


KAFKA = "kafka:"


def is_topic(events: Path) -> bool:
    return str(events).startswith(KAFKA)


@contextmanager
def opening_of(
    events: Path, partitions: int, sort: bool, settings: Settings | None = None, span: tuple[Any, Any] = (None, None)
) -> Iterator[Any]:
    """How the source that EVENTS names is opened (sources.py), within the block. `span` is of a topic: from where, and
    up to where.
    """
    from streams.files import NoRecordingError
    from streams.sources import files_at

    try:
        if is_topic(events):
            yield _topic_of(str(events).removeprefix(KAFKA), sort, settings or settings_from(), *span)
        else:
            with files_at(events, partitions, sort=sort) as files:
                yield files
    except NoRecordingError as error:
        raise Refused(str(error)) from None


def _topic_of(name: str, sort: bool, settings: Settings, since: Any, until: Any) -> Any:
    from streams import rights
    from streams.kafka_source import topic_range
    from streams.topics import Topics

    if sort:
        raise Refused("--sort is for files: a topic has its order")
    names = Topics.with_prefix(settings.topic_prefix)
    rights.require(settings.bootstrap_servers, "replay", names, to=name or None)
    return topic_range(settings.bootstrap_servers, name or names.source, names.ticks, since, until)


@contextmanager
def source_of(events: Path, partitions: int, sort: bool) -> Iterator[Any]:
    """The source (sources.py) that EVENTS names, opened, within the block."""
    with opening_of(events, partitions, sort) as opening:
        source = opening.open()
        yield source
        if (told := source.warning()) is not None:
            say(f"warning: {source.name}: {told}")


def check_output(path: Path) -> None:
    """That a file of this name can be written, before anything is done for it."""
    from streams.files import MissingExtraError, check_writable

    check_parent(path)
    try:
        check_writable(path)
    except MissingExtraError as error:
        raise Refused(str(error)) from None


def check_converted(out: Path) -> None:
    """Likewise for events in any form: a file, or a folder of Parquet."""
    from streams.convert import check_name
    from streams.files import MissingExtraError, NoRecordingError, arrow

    try:
        check_name(out)
        if out.suffix:
            check_output(out)
        else:
            arrow(str(out))
    except (NoRecordingError, MissingExtraError) as error:
        raise Refused(str(error)) from None


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Any]:
    """A bar on standard error, where that is a terminal; gives a function that takes how far it is, and of how many
    events that was, for how many there are in a second."""
    console = Console(stderr=True)
    columns: list[ProgressColumn] = [TextColumn("{task.description}")]
    columns += [TextColumn("{task.completed:,}")] if total is None else [BarColumn(), TimeRemainingColumn()]
    columns.append(TextColumn("{task.fields[rate]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, began = bar.add_task(what, total=total, rate=""), time.monotonic()

        def moved(done: int, events: int = 0) -> None:
            seconds = time.monotonic() - began
            bar.update(task, completed=done, rate=f"{events / seconds:,.0f} events/s" if events else "")

        yield moved


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """SIGINT and SIGTERM end what is going on at its next pause: the list that this gives is no longer empty."""
    got: list[int] = []
    before = {s: signal.signal(s, lambda number, _: got.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
