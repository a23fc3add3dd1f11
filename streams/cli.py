"""The command `ripcurrent`: one function for each subcommand, and one place where errors become a line.

Exit codes: 0 it worked; 1 it failed (Kafka, a broken file, the pipeline missed what it should catch); 2 the command
line or the configuration is wrong; 130 stopped by Ctrl-C.
"""
from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from config.catalogue import CatalogueError
from config.settings import SettingsError
from streams import (  # they fill `app`, in the order of the help
    commands_cluster,  # noqa: F401
    commands_compare,  # noqa: F401
    commands_dlq,  # noqa: F401
    commands_events,  # noqa: F401
    commands_inject,  # noqa: F401
    commands_replay,  # noqa: F401
    commands_sources,  # noqa: F401
    commands_thresholds,  # noqa: F401
)
from streams.broker import BrokerError
from streams.command_line import FAILED, OK, REFUSED, STOPPED, Refused, examples, output, say
from streams.command_line import app as app
from streams.commands_alerts import explain, verify  # noqa: F401  here, so that they stand behind the others
from streams.errors import ConfigError, RipcurrentError
from streams.rights import MissingRightsError
from streams.topics import TopicError


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

    raise typer.Exit(OK if show.run_demo(output(), keep=keep, creators=creators, seed=seed) else FAILED)


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
            say("stopped")
    except BaseException as error:
        if debug and not isinstance(error, SystemExit | typer.Exit):
            raise
        code = _explained(error)
    sys.exit(code if isinstance(code, int) else OK)


def _explained(error: BaseException) -> int:
    """Say what went wrong; the exit code."""
    match error:
        case KeyboardInterrupt() | typer.Abort():
            say("stopped")
            return STOPPED
        case SystemExit():
            return error.code if isinstance(error.code, int) else FAILED
        case typer.Exit():
            return error.exit_code
        case typer.TyperException():
            text, context = error.format_message().rstrip("."), getattr(error, "ctx", None)
            if text:  # else it has shown the help
                say(f"error: {text}; see: {context.command_path if context else 'ripcurrent'} --help")
            return REFUSED
        case CatalogueError() | SettingsError():
            for problem in error.problems:
                say(f"error: {problem}")
            return REFUSED
        case MissingRightsError():
            for problem in error.problems:
                say(f"error: {problem}")
            return FAILED
        case Refused() | ConfigError():
            say(f"error: {error}")
            return REFUSED
        case BrokenPipeError():  # the reader of our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        case RipcurrentError() | TopicError() | BrokerError():
            say(f"error: {error}")
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            say(f"error: {where}{error.strerror or error}")
        case _:
            text = " ".join(str(error).split())
            say(f"error: {type(error).__name__}: {text}; run it with --debug for more")
    return FAILED


if __name__ == "__main__":
    main()
