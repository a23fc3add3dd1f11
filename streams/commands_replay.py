"""The commands `replay` and `calibrate`: the engine of the worker over events of the past."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.command_line import (
    Config,
    Events,
    Refused,
    Sort,
    app,
    catalogue_of,
    examples,
    output,
    progress,
    say,
    settings_from,
    source_of,
)


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
            help="For report.html, alerts.jsonl, shadow_alerts.jsonl, dead_letters.jsonl, run.json and tables.",
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
    minutes_per_case: Annotated[
        float, typer.Option(min=0.1, max=1_440, help="What the review of an alert takes, for the hours on the report.")
    ] = 15,
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
        "tables": with_tables, "minutes_per_case": minutes_per_case,
    }  # fmt: skip
    run = run_facts(result, catalogue, sources, options)
    write_outcome(
        result, out, catalogue, run, labels=true, topic=source.topic, tables=with_tables, timings=took,
        minutes_per_case=minutes_per_case,
    )  # fmt: skip
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
