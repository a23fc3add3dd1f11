"""The commands `dlq list`, `dlq show` and `dlq redrive`: what was set aside, why, and back to where it came from."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from config.schema import UNIT_MS, millis
from streams.command_line import (
    FAILED,
    Prefix,
    Refused,
    Servers,
    app,
    examples,
    progress,
    say,
    settings_from,
)
from streams.dead_letters import TOPIC, Choice, Letter, cut, escaped

dlq = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]}
)
app.add_typer(
    dlq,
    name="dlq",
    help="Dead letters: records that the worker set aside, with their reason. List, show and redrive them.",
    epilog=examples("ripcurrent dlq list --since 24h", "ripcurrent dlq redrive --reason too_large --dry-run"),
)

Reasons = Annotated[list[str] | None, typer.Option("--reason", metavar="REASON", help="Only these; may be repeated.")]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Set aside then or later: 24h (so long ago), or a UTC time: 2026-11-25T09:00."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Set aside before that.")]

HEAD = (("partition", 9), ("offset", 10), ("set aside, UTC", 19), ("reason", 16), ("path", 22), ("from", 34))
AT = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")


@dlq.command(
    "list",
    epilog=examples(
        "ripcurrent dlq list",
        "ripcurrent dlq list --reason invalid_json --reason too_large --since 24h",
        "ripcurrent dlq list --json > dead-letters.jsonl",
    ),
)
def list_letters(
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    json: Annotated[bool, typer.Option("--json", help="Lines of JSON; the counts to standard error.")] = False,
    bootstrap_servers: Servers = None,
    topic_prefix: Prefix = None,
) -> None:
    """List dead letters: where each stands and came from, why and when it was set aside, whether it was redriven.

    Ends with how many there are of each reason. Keys and values are not shown; see: ripcurrent dlq show.
    """
    from streams.redrive import reading

    choice = _choice(reason, since, until)
    servers, topic = _where("dlq list", bootstrap_servers, topic_prefix)
    found: Counter[str] = Counter()
    redriven: Counter[str] = Counter()
    with reading(servers, topic) as reader:
        for letter, done in reader.letters():
            if choice.takes(letter):
                if not json and not found:
                    print(*(name.ljust(width) for name, width in HEAD), "    bytes  redriven")
                found[letter.reason] += 1
                redriven[letter.reason] += done
                print(letter.line(done) if json else _row(letter, done))
    for line in _totals(found, redriven, topic):
        print(line, file=sys.stderr if json else sys.stdout)


@dlq.command(
    epilog=examples("ripcurrent dlq show 0:41", "ripcurrent dlq show 3:1207 --topic-prefix staging-"),
)
def show(
    at: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="Of the dead letter, as listed.")],
    bootstrap_servers: Servers = None,
    topic_prefix: Prefix = None,
) -> None:
    r"""Show a dead letter: its headers, and its key and value as they came.

    UTF-8 stays as it is. What can't be seen, or would move the cursor, is escaped (\n, \x1b, \u202e), and so are bytes
    that are no UTF-8 (\xff); a backslash is doubled.
    """
    from streams.redrive import reading

    if (match := AT.fullmatch(at)) is None:
        raise Refused(f"{at!r}: expected PARTITION:OFFSET, two whole numbers such as 0:41")
    servers, topic = _where("dlq show", bootstrap_servers, topic_prefix)
    with reading(servers, topic) as reader:
        letter, redriven = reader.letter(int(match[1]), int(match[2]))
    rows = [("dead letter", f"{topic}:{at}"), ("set aside", f"{_time(letter)} UTC"), ("redriven", _yes(redriven))]
    rows += [(escaped(name), escaped(value or b"")) for name, value in letter.headers]
    width = max(len(name) for name, _ in rows) + 2
    for name, text in rows:
        print(f"{name.ljust(width)}{text}")
    for name, data in (("key", letter.key), ("value", letter.value)):
        print(f"\n{name}, null" if data is None else f"\n{name}, {len(data):,} bytes:\n{escaped(data)}")


@dlq.command(
    epilog=examples(
        "ripcurrent dlq redrive --dry-run",
        "ripcurrent dlq redrive --reason time_unconfirmed --until 1h",
        "ripcurrent dlq redrive",
    )
)
def redrive(
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    topic: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where to; else the topic that its header says it came from.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing, only say what would be sent.")] = False,
    bootstrap_servers: Servers = None,
    topic_prefix: Prefix = None,
) -> None:
    """Send dead letters back as they were: the same key, the same value, the partition that they came from.

    A letter is redriven once. Whatever stops the command, kill -9 included, run it again: it goes on behind the last
    batch that was done. What the options leave out, a later run may take. A header of each record, redriven_from, says
    which dead letter it was.
    """
    from streams import redrive as sender

    choice = _choice(reason, since, until)
    if topic is not None and not TOPIC.fullmatch(topic):
        raise Refused(f"--topic is {topic!r}; expected letters, digits, dots, dashes and underscores")
    command = "dlq redrive --dry-run" if dry_run else "dlq redrive"
    servers, letters = _where(command, bootstrap_servers, topic_prefix, topic)
    out = sender.Outcome()
    try:
        with progress("reading dead letters", None) as moved:
            sender.redrive(servers, letters, choice, out, to=topic, dry_run=dry_run, moved=moved)
    except BaseException:
        if out.sent and not dry_run:
            _tell(out, dry_run)
            say("what was done is done; run it again to go on")
        raise
    _tell(out, dry_run)
    if out.homeless_total:
        first = ", ".join(out.homeless)
        say(f"error: {out.homeless_total:,} don't say which topic they came from ({first}); give --topic for them")
        raise typer.Exit(FAILED)


def _tell(out: Any, dry_run: bool) -> None:
    total = sum(out.sent.values())
    to = f" to {', '.join(sorted(out.targets))}" if out.targets else ""
    print(f"{total:,} dead letters {'would be ' if dry_run else ''}redriven{to}{_by(out.sent)}")
    print(f"{out.before:,} were redriven before, {out.left:,} were not chosen")
    if out.cut:
        print(f"{out.cut:,} stay: they were too large to be kept whole, and only their producer can send them again")


def _by(counts: Mapping[str, int]) -> str:
    named = ", ".join(f"{escaped(reason)} {n:,}" for reason, n in sorted(counts.items()))
    return f": {named}" if named else ""


def _totals(found: Counter[str], redriven: Counter[str], topic: str) -> list[str]:
    if not found:
        return [f"no dead letters of that kind in {topic}"]
    rows = [*sorted((escaped(reason), n, redriven[reason]) for reason, n in found.items())]
    rows.append(("all", found.total(), redriven.total()))
    return ["", *(f"{name}: {n:,}, of which {done:,} redriven" for name, n, done in rows)]


def _row(letter: Letter, redriven: bool) -> str:
    origin = letter.origin
    cells = (
        str(letter.partition), str(letter.offset), _time(letter), escaped(letter.reason),
        escaped(letter.header("path")), str(origin) if origin else "not said",
    )  # fmt: skip
    fitted = [cut(cell, width) for cell, (_, width) in zip(cells, HEAD, strict=True)]
    return " ".join([*fitted, f"{letter.size:>9,}", f" {_yes(redriven)}"])


def _time(letter: Letter) -> str:
    try:
        return datetime.fromtimestamp(letter.timestamp / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # any producer may say any
        return str(letter.timestamp)


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _where(
    command: str, bootstrap_servers: str | None, topic_prefix: str | None, to: str | None = None
) -> tuple[str, str]:
    """Kafka's address and the dead-letter topic, where we may do what the command does."""
    from streams import rights
    from streams.topics import Topics

    settings = settings_from(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    topics = Topics.with_prefix(settings.topic_prefix)
    if to == topics.dlq:
        raise Refused(f"--topic is {to!r}, the dead letters themselves; expected where they are to go")
    rights.require(settings.bootstrap_servers, command, topics, to=to)
    return settings.bootstrap_servers, topics.dlq


def _choice(reasons: list[str] | None, since: str | None, until: str | None) -> Choice:
    now = int(time.time() * 1000)
    first = None if since is None else _moment(since, "--since", now)
    end = None if until is None else _moment(until, "--until", now)
    if first is not None and end is not None and first >= end:
        raise Refused("--since is not before --until; nothing could be meant")
    return Choice(tuple(reasons or ()), first, end)


def _moment(text: str, option: str, now: int) -> int:
    """
    >>> _moment("2h", "--since", 10_000_000), _moment("1970-01-01T01:00+00:30", "--since", 0)
    (2800000, 1800000)
    """
    if re.fullmatch(rf"[0-9]{{1,9}}[{''.join(UNIT_MS)}]", text):
        return now - millis(text)
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            f"{option} is {text!r}; expected how long ago (90m, 24h, 7d) or a time such as 2026-11-25T09:00 (UTC)"
        ) from None
    return int((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp() * 1000)
