"""The command `convert`: any source of events as a file of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.command_line import Events, Sort, app, check_converted, examples, output, progress, source_of


@app.command(
    epilog=examples(
        "ripcurrent convert events.jsonl.gz --out events.parquet",
        "ripcurrent convert today.jsonl --out today/      [dim]# a recording that has ticks[/dim]",
        "ripcurrent convert lake/events/ --sort --out events.jsonl.zst",
    )
)
def convert(
    events: Events,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Named .jsonl, .jsonl.gz, .jsonl.zst or .parquet; or a folder for Parquet."),
    ],
    raw: Annotated[
        bool, typer.Option("--raw", help="Of plain events: key and value as they are, not a column for each field.")
    ] = False,
    sort: Sort = False,
) -> None:
    """Write events or a recording as a file of another kind: JSON Lines, plain, gzip or zstd, or Parquet.

    What is written replays to the same alerts. Fields that the contract does not name are not kept in columns.
    """
    from streams.convert import Converter

    check_converted(out)
    with source_of(events, 4, sort) as source, progress("converting", source.total) as moved:
        converter = Converter(source, raw=raw, progress=moved)
        converter.write(out)
    ticks = f" and {len(converter.ticks):,} ticks" if converter.ticks else ""
    what = "records" if source.kind == "recording" else "events"
    output().print(f"{converter.records:,} {what}{ticks} of {source.name} to {out}", highlight=False, soft_wrap=True)
