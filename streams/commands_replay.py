"""The command `replay`: the engine of the worker over events of the past."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.command_line import (
    Config,
    Events,
    Prefix,
    Refused,
    Servers,
    Sort,
    app,
    catalogue_of,
    examples,
    is_topic,
    opening_of,
    output,
    progress,
    say,
    settings_from,
    stoppable,
)
from streams.errors import RipcurrentError

KEPT = "what was done is kept: the same command with --resume goes on"
WARMUP_MAX_MS = 3_650 * 86_400_000


@app.command(
    epilog=examples(
        "ripcurrent replay events.jsonl --out out/",
        "ripcurrent replay events.jsonl --out out/ --labels labels.csv",
        "ripcurrent replay today.jsonl.gz --out out/ --labels cases      [dim]# what reviewers decided[/dim]",
        "ripcurrent replay today.jsonl.gz --out out/ --config my-config/",
        "ripcurrent replay lake/events/ --out out/ --sort --warmup 14d      [dim]# Parquet[/dim]",
        "ripcurrent replay kafka: --since 2026-01-05 --out out/",
        "ripcurrent replay today.jsonl --from-checkpoint state/ --out out/ --workers 4",
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
        typer.Option(
            metavar="FILE|cases",
            help="True episodes, as CSV: prints what was caught and what was false. Or what reviewers decided: "
            "`cases`, the case.decided events of EVENTS.",
        ),
    ] = None,
    tables: Annotated[
        bool | None,
        typer.Option(
            "--tables/--no-tables",
            help="Whether to write Parquet, DuckDB and Excel beside CSV. By default if the extra `tables`, which "
            "brings what they need, is installed.",
        ),
    ] = None,
    traces: Annotated[
        int,
        typer.Option(
            min=0, max=1_000, metavar="N",
            help="Episodes whose time series stand on the report; for them the events are read once more.",
        ),
    ] = 20,
    warmup: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long levels are guesses after the first events, as 14d or 36h: alerts that open then are marked, "
            "and left out of the scorecard.",
        ),
    ] = None,
    from_checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Begin with the state of a worker: its RIPCURRENT_STATE_DIR, or what `ripcurrent checkpoint` wrote.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Of a topic: when records were appended, as 2026-01-05T08:00 (UTC), or "
                     "offsets, as 0:120,1:98."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Likewise; else what is there now.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Processes, which share the shards; else one for each core if it pays."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the same replay, which was stopped or killed.")
    ] = False,
    bootstrap_servers: Servers = None,
    topic_prefix: Prefix = None,
    minutes_per_case: Annotated[
        float, typer.Option(min=0.1, max=1_440, help="What the review of an alert takes, for the hours on the report.")
    ] = 15,
) -> None:
    """Run the engine over a file or a topic and write the alerts that it would have raised, byte for byte.

    EVENTS holds one event a line or row (spread over shards as Kafka would, in the order of time or else with --sort),
    or is what [bold]ripcurrent record[/bold] wrote, or the topic itself.
    """
    import time

    from streams.command_labels import CASES, truth_of
    from streams.replay_run import Run, taken_up
    from streams.run_facts import run_facts
    from streams.security import pseudonyms_for
    from streams.share import Share
    from streams.write_outcome import write_outcome

    with_tables, cold = _tables(tables), _warmup(warmup, from_checkpoint)
    if out.exists() and not out.is_dir():
        raise Refused(f"--out {out}: is a file; expected a folder, made if it is not there")
    settings = settings_from(config=config, bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    catalogue, decides = _catalogues(settings.config, config, from_checkpoint)
    truth, began = truth_of(labels), time.monotonic()
    options: dict[str, Any] = {"partitions": partitions, "sort": sort, "from_checkpoint": from_checkpoint}
    with opening_of(events, partitions, sort, settings, _span(events, since, until)) as opening:
        read = taken_up(opening, out) if resume else opening
        share = Share(read, decides, pseudonyms_for(catalogue), close, from_checkpoint, labels == CASES)
        run = Run(out, share, catalogue, workers)
        _play(run, options, resume)
        result = run.result().after_warmup(cold)
        truth.check(result, run)
        measured = _traces(run, result, traces)
    took = {"replay_seconds": round(time.monotonic() - began, 3), "workers": len(run.shares)}
    options |= {
        "events": events, "close": run.close, "config": config, "labels": labels, "tables": with_tables,
        "warmup": warmup, "minutes_per_case": minutes_per_case, "traces": traces, "checkpoint": run.checkpoint,
    }  # fmt: skip
    facts = run_facts(result, catalogue, run.sources, options)
    write_outcome(
        result, out, catalogue, facts, labels=truth.found, topic=run.source.topic, tables=with_tables, timings=took,
        minutes_per_case=minutes_per_case, traces=measured,
    )  # fmt: skip
    _print_result(result, out)
    truth.tell(result)
    run.end()


def _warmup(said: str | None, checkpoint: Path | None) -> int:
    """Milliseconds."""
    import re

    from config.schema import millis

    if said is None:
        return 0
    if not re.fullmatch("[1-9][0-9]*[smhd]", said):
        raise Refused(f"--warmup {said}: expected a number and s, m, h or d, such as 14d")
    if millis(said) > WARMUP_MAX_MS:
        raise Refused(f"--warmup {said}: expected at most 3650d")
    if checkpoint is not None:
        raise Refused("--warmup is for a replay that begins with nothing; --from-checkpoint brings what was learned")
    return millis(said)


def _catalogues(folder: Path, asked: Path | None, checkpoint: Path | None) -> tuple[Any, bytes | None]:
    """What decides at first; and the same packed, None where each shard goes on under what its state was made under."""
    from config.packed import pack
    from streams.saved_state import catalogue_in

    if checkpoint is not None and asked is None:
        return catalogue_in(checkpoint), None
    catalogue = catalogue_of(folder)
    return catalogue, pack(catalogue)


def _span(events: Path, since: str | None, until: str | None) -> tuple[Any, Any]:
    """From where to where a topic is to be read."""
    from streams.kafka_source import when

    if not is_topic(events) and (since or until):
        raise Refused("--since and --until are for a topic: kafka:")
    try:
        return when(since) if since else None, when(until) if until else None
    except ValueError as error:
        raise Refused(f"{error}; expected a time such as 2026-01-05T08:00, or offsets such as 0:120,1:98") from None


def _play(run: Any, options: dict[str, Any], resume: bool) -> None:
    """To its end; KeyboardInterrupt if it was stopped."""
    from streams.clients import KafkaUnusableError
    from streams.processes import ProcessEndedError

    if run.begin(options, resume=resume):
        say("warning: an unfinished replay was thrown away for this one; --resume would have gone on with it")
    with stoppable() as stopped, progress("replaying", run.source.total) as moved:
        try:
            warning = run.play(moved, lambda: bool(stopped))
        except (ProcessEndedError, KafkaUnusableError):
            say(KEPT)
            raise
        except RipcurrentError:  # there is no going on with it
            run.end()
            raise
    if warning is None:
        say(KEPT)
        raise KeyboardInterrupt
    if warning:
        say(f"warning: {run.source.name}: {warning}")


def _traces(run: Any, result: Any, n: int) -> dict[str, Any]:
    """What was measured around the episodes that stand first on the report."""
    from streams.outcome import episodes
    from streams.report_episodes import ranked

    first = [row.alert_id for row in ranked(episodes(result.alerts, [], {}))[:n]]
    revisions: dict[str, list[Any]] = {alert_id: [] for alert_id in first}
    for alert in sorted(result.alerts, key=lambda alert: alert.revision):
        if alert.alert_id in revisions:
            revisions[alert.alert_id].append(alert)
    if not first:
        return {}
    with stoppable() as stopped, progress("tracing", run.source.total) as moved:
        found = run.traces(list(revisions.values()), moved, lambda: bool(stopped))
    if found is None:
        say(KEPT)
        raise KeyboardInterrupt
    return dict(found)


def _print_result(result: Any, out: Path) -> None:
    from streams import replay as replayer
    from streams.tables import time_text

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
    if result.warm_at >= 0:
        cold = alerts - len({alert.alert_id for alert in result.warm.alerts})
        console.print(f"{cold} of them opened during the warm-up, before {time_text(result.warm_at)}", highlight=False)
    for partition, gap in sorted(result.gaps.items()):
        say(f"warning: partition {partition}: {gap:,} offsets between the checkpoint and the first record are missing")
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
