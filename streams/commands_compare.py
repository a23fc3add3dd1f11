"""The command `compare`: what another configuration would have told of the same events, and sweeps of values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.markup import escape

from streams.command_line import (
    Refused,
    Sort,
    app,
    catalogue_of,
    examples,
    opening_of,
    output,
    progress,
    readable,
    say,
    stoppable,
)

if TYPE_CHECKING:
    from config.schema import Catalogue
    from streams.page import Page
    from streams.replays import Told
    from streams.what_if import Asked


@app.command(
    epilog=examples(
        "ripcurrent compare base/ new/ events.jsonl --out what-if/",
        "ripcurrent compare base/ new/ lake/events/ --labels labels.csv --minutes-per-case 10",
        "ripcurrent compare base/ events.jsonl --sweep refund_rate.severity_add=-0.5,0.5,1 --budget TH=40",
        "ripcurrent compare base/ events.jsonl --labels labels.csv --sweep order_spike.tests[0].effect=2,3,4",
    )
)
def compare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="BASE [NEW] EVENTS",
            help="Folders of two configurations (with --sweep of one), then events or a recording: JSON Lines, plain, "
            "gzip or zstd; Parquet, file or folder; - for standard input.",
        ),
    ],
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIGNAL.FIELD=A,B,…",
            help="Try these values under BASE; repeated, every combination. A field is written as check does; "
            "severity_add moves all marks of a signal.",
        ),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(metavar="MARKET=N", help="With --sweep: at most N alerts a day there; N alone: in all markets."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="True episodes, as CSV: what is won, lost and false.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="For compare.html, compare.json and the tables.")
    ] = None,
    minutes_per_case: Annotated[
        float, typer.Option(metavar="MINUTES", min=0.0, max=10_000.0, help="Of a reviewer, for an alert.")
    ] = 15.0,
    learning_days: Annotated[
        int | None,
        typer.Option(
            metavar="DAYS", min=0,
            help="At the start, no part of volumes: levels are learned. Else 14, but at most half of all.",
        ),
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=1, max=10_000, help="Shards to spread plain events over; a recording has its own.")
    ] = 4,
    sort: Sort = False,
) -> None:  # fmt: skip
    """What would another configuration have told of the same events? Alerts that appear, vanish or move, creators newly
    hit and released, alerts and reviewer hours a day, and how many alerts to expect in the week to come.

    With --sweep one configuration is tried with other values; with --budget the best of those that keep to it is named.
    """
    from streams.command_labels import labels_of
    from streams.sweep import SweepError
    from streams.what_if import Asked

    _check_paths(paths, bool(sweep), out)
    if budget and not sweep:
        raise Refused("--budget is for --sweep: which of its settings keeps to it")
    true = None if labels is None else labels_of(labels)
    asked = Asked(minutes_per_case, learning_days, true is not None)
    replayed = _Events(paths[-1], partitions, sort, true)
    try:
        if sweep:
            _sweep(paths[0], replayed, asked, sweep, budget or [], out)
        else:
            _compare(paths[0], paths[1], replayed, asked, out)
    except SweepError as error:
        raise Refused(str(error)) from None


class _Events(NamedTuple):
    """What is replayed under each catalogue."""

    path: Path
    partitions: int
    sort: bool
    labels: list[Any] | None


def _check_paths(paths: list[Path], sweep: bool, out: Path | None) -> None:
    wanted = ["BASE", "EVENTS"] if sweep else ["BASE", "NEW", "EVENTS"]
    if len(paths) != len(wanted):
        one = " (a sweep has one configuration)" if sweep else ""
        raise Refused(f"{len(paths)} paths; expected {' '.join(wanted)}{one}")
    if out is not None and out.exists() and not out.is_dir():
        raise Refused(f"--out {out}: is a file; expected a folder, made if it is not there")


def _compare(base: Path, new: Path, events: _Events, asked: Asked, out: Path | None) -> None:
    from streams import compare_tables as tables
    from streams.compare_report import compared_page
    from streams.what_if import compared, days_of, facts

    catalogues = [catalogue_of(base), catalogue_of(new)]
    told, sources = _replayed(events, catalogues)
    days = days_of(told, asked.learning_days)
    rows = compared(told[0], told[1], days, asked)
    console = output()
    _say_input(told[0])
    for table in (tables.signals_table(rows["by_signal"]), tables.volume_table(rows["volume"])):
        console.print(table)
    if "quality" in rows:
        console.print(tables.quality_table(rows["quality"]))
    made_of = tables.made_of(days, asked)
    for line in (*tables.compared_lines(rows), made_of):
        console.print(escape(line), highlight=False, soft_wrap=True)
    if out is not None:
        versions = {"base": catalogues[0].version, "new": catalogues[1].version}
        made = facts(told[0], days, asked, config_versions=versions, sources=sources)
        _write(rows, made, compared_page(rows, made, made_of), out)


def _sweep(base: Path, events: _Events, asked: Asked, texts: list[str], limits: list[str], out: Path | None) -> None:
    from config.catalogue import variants
    from streams import compare_tables as tables
    from streams import sweep
    from streams.sweep_report import swept_page
    from streams.what_if import days_of, facts, markets_of, swept

    for text in limits:
        sweep.limit(text)  # before the work
    settings = sweep.grid(sweep.axes(texts))
    with readable(base):
        catalogues = variants(base, settings)
    told, sources = _replayed(events, catalogues)
    days, kept = days_of(told, asked.learning_days), sweep.budgets(limits, markets_of(told))
    rows = swept(told, [sweep.said(edits) for edits in settings], days, asked, kept)
    _say_input(told[0])
    output().print(tables.sweep_table(rows, kept))
    made_of = tables.made_of(days, asked)
    for line in (*tables.curve_lines(rows), *tables.budget_lines(rows, kept), made_of):
        output().print(escape(line), highlight=False, soft_wrap=True)
    if out is not None:
        versions = [catalogue.version for catalogue in catalogues]
        made = facts(told[0], days, asked, config_versions=versions, sources=sources, budgets=kept)
        _write({"sweep": rows}, made, swept_page(rows, made, [*tables.budget_lines(rows, kept), made_of]), out)


def _replayed(events: _Events, catalogues: Sequence[Catalogue]) -> tuple[list[Told], list[dict[str, Any]]]:
    """What each came to, and from what."""
    from msgspec import to_builtins

    from streams.replays import Replay, replays
    from streams.run_facts import facts_of
    from streams.security import pseudonyms_for

    for catalogue in catalogues:
        pseudonyms_for(catalogue)  # without a key where one is needed: before the work
    with opening_of(events.path, events.partitions, events.sort) as opening:
        source = opening.open()
        sources = [to_builtins(one) for one in facts_of(source, opening)]
        jobs = [Replay(opening, catalogue, events.labels) for catalogue in catalogues]
        with stoppable() as stopped, progress("replaying", source.total) as moved:
            told = replays(jobs, moved, lambda: bool(stopped))
        if told is None:
            raise KeyboardInterrupt
        if told[0].warning is not None:
            say(f"warning: {source.name}: {told[0].warning}")
    return told, sources


def _say_input(told: Told) -> None:
    creators = sum(told.creators.values())
    said = f"{told.records:,} records of {creators:,} creators in {told.days:.1f} days"
    output().print(said, highlight=False, soft_wrap=True)


def _write(rows: Any, facts: dict[str, Any], page: Page, out: Path) -> None:
    from streams.write_compare import PAGE, write_compare
    from streams.write_outcome import missing

    write_compare(rows, facts, page, out, parquet="pyarrow" not in missing())
    output().print(f"all of it in {out / PAGE} and the tables beside it", highlight=False, soft_wrap=True)
