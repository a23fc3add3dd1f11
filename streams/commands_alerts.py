"""The commands `explain` and `verify`: an alert beside the events that it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from streams.command_line import (
    FAILED,
    OK,
    Config,
    Refused,
    Sort,
    app,
    catalogue_of,
    examples,
    opening_of,
    output,
    progress,
    say,
    settings_from,
)

Given = Annotated[
    Path | None,
    typer.Option("--events", metavar="EVENTS", help="What was replayed; else where the replay's run.json says."),
]


@app.command(
    epilog=examples(
        "ripcurrent explain 5b0c --in out/",
        "ripcurrent explain 5b0c --in out/ --events archive/events.jsonl.zst --config my-config/",
    )
)
def explain(
    alert_id: Annotated[str, typer.Argument(metavar="ALERT_ID", help="Or as much of its beginning as is unambiguous.")],
    folder: Annotated[Path, typer.Option("--in", metavar="FOLDER", help="What ripcurrent replay wrote.")],
    events: Given = None,
    config: Config = None,
) -> None:
    """Say why an alert was raised: what was measured window by window, beside what, and what would have been silent.

    Reads the events again to do so. Where they are gone, or others decided, it prints what the alert itself says.
    """
    from streams import alert_tables as tables
    from streams.alert_files import run_of
    from streams.outcome import peak
    from streams.tables import explained_table

    revisions = [said.alert for said in _one_alert(folder, alert_id)]
    top, run, console = peak(revisions), run_of(folder), output()
    catalogue, why_not = _deciding(run, config, top)
    title = catalogue.signals[top.signal].title if catalogue is not None else top.signal
    _print_lines(tables.headline(revisions, title))
    console.print(tables.history_table(revisions), tables.baseline_table(top))
    if catalogue is not None:
        console.print(explained_table(tables.thresholds_rows(catalogue, top), "Thresholds"))
        trace, why_not = _trace(run, events, catalogue, revisions)
        if trace is not None:
            console.print(tables.trace_table(trace, revisions, top), tables.CALLS_FOR)
    if why_not:
        say(f"not window by window: {why_not}")
    console.print(tables.evidence_table(top))


def _one_alert(path: Path, alert_id: str) -> list[Any]:
    from streams.alert_files import NoAlertError, revisions_of, said_under
    from streams.files import NoRecordingError

    try:
        return revisions_of(said_under(path), alert_id, str(path))
    except (NoAlertError, NoRecordingError) as error:
        raise Refused(str(error)) from None


def _deciding(run: Any, config: Path | None, alert: Any) -> tuple[Any, str]:
    """The catalogue that decided, or why it is not at hand."""
    from config.catalogue import CatalogueError

    folder = _config(run, config)
    try:
        catalogue = _catalogue(folder, *_begun_with(run, config, None))
    except CatalogueError as error:
        if config is not None:
            raise
        return None, f"the configuration can't be read: {error.problems[0]}"
    if (why := _other_version(alert, catalogue.version, folder)) is not None:
        return None, why
    return catalogue, ""


def _begun_with(run: Any, config: Path | None, checkpoint: Path | None) -> tuple[Path | None, bool]:
    """The checkpoint that the alerts are of, if any, and whether a configuration was named that took over there."""
    named = config is not None or (run is not None and run.options.config is not None)
    if checkpoint is None and run is not None and run.options.from_checkpoint is not None:
        checkpoint = Path(run.options.from_checkpoint)
    return checkpoint, named


def _catalogue(folder: Path, checkpoint: Path | None, named: bool) -> Any:
    from streams.saved_state import catalogue_in

    return catalogue_of(folder) if checkpoint is None or named else catalogue_in(checkpoint)


def _config(run: Any, config: Path | None) -> Path:
    """The folder that was asked for, else that of the replay, else as for every command."""
    if config is None and run is not None and run.options.config is not None:
        config = Path(run.options.config)
    return settings_from(config=config).config


def _other_version(alert: Any, version: str, folder: Path) -> str | None:
    """Why these numbers can't come out again here, if they can't."""
    from streams.engine import ENGINE_VERSION

    if alert.engine_version != ENGINE_VERSION:
        return f"engine {alert.engine_version} decided; this one is {ENGINE_VERSION}, and its arithmetic is another"
    if alert.config_version != version:
        return f"configuration {alert.config_version} decided; {folder} has {version}: give its folder with --config"
    return None


def _trace(run: Any, events: Path | None, catalogue: Any, revisions: list[Any]) -> tuple[Any, str]:
    """The alert's trace, or why there is none."""
    from streams.errors import CheckpointError
    from streams.files import RecordingError
    from streams.outcome import peak
    from streams.trace import traces

    path = events or _events(run)
    if path is None or run is None:
        return None, "nothing says which events were replayed; --events names them, beside a run.json"
    try:
        with _again(path, run.options.partitions, run.options.sort, run) as again:
            if again.changed:
                return None, again.changed
            starts = _starts(again.source, catalogue, *_begun_with(run, None, None))
            with progress("replaying", again.source.total) as moved:
                found = traces(
                    starts.entries(again.source), catalogue, [revisions], topic=again.source.topic,
                    close=run.options.close, progress=lambda _: moved(again.source.done), begin=starts.part,
                )  # fmt: skip
    except (Refused, RecordingError, CheckpointError) as error:
        return None, str(error)
    trace, top = found.get(revisions[0].alert_id), peak(revisions)
    if trace is None:
        return None, "the alert does not come out again"
    if (top.window_end, top.observed, top.score) not in {(one.end, one.observed, one.score) for one in trace.points}:
        return None, "the alert comes out with other numbers; did it begin under another configuration?"
    return trace, ""


def _starts(source: Any, catalogue: Any, checkpoint: Path | None, named: bool) -> Any:
    """How the shards begin: with nothing, or with the state that a checkpoint holds, under the configuration of then
    if none was named."""
    from streams.share import Starts

    return Starts(source, catalogue if checkpoint is None or named else None, checkpoint)


def _events(run: Any) -> Path | None:
    """What was replayed, where run.json names it."""
    if run is None or run.options.events == "-":
        return None
    if run.options.events is not None:
        return Path(run.options.events)
    return Path(run.sources[0].path) if len(run.sources) == 1 and run.sources[0].path != "standard input" else None


class _Again(NamedTuple):
    source: Any
    changed: str  # how it differs from what was replayed


@contextmanager
def _again(path: Path, partitions: int, sort: bool, run: Any) -> Iterator[_Again]:
    """The source, and whether it is the one that was replayed."""
    from streams.run_facts import as_then, source_facts

    with opening_of(path, partitions, sort) as opening:
        source, changed = as_then(opening, [] if run is None else run.sources).open(), ""
        if run is not None:
            now = [source_facts(name, file, source.kind).sha256 for name, file in source.files]
            then = [one.sha256 for one in run.sources]
            if sorted(map(str, now)) != sorted(map(str, then)):
                changed = f"{source.name}: is not what was replayed: the hash of {_first_other(now, then)} differs"
        yield _Again(source, changed)


def _first_other(now: list[Any], then: list[Any]) -> str:
    return "its content" if len(now) == len(then) == 1 else f"{len(set(now) - set(then)) or 1} of its files"


# ---- verify ------------------------------------------------------------------------------------------------


@app.command(
    epilog=examples(
        "ripcurrent verify out/alerts.jsonl      [dim]# all of a replay[/dim]",
        "ripcurrent verify out/ --id 5b0c",
        "ripcurrent verify appealed.json --events today.jsonl.gz --config my-config/",
        "ripcurrent verify appealed.json --events kafka: --from-checkpoint state/",
    )
)
def verify(
    alert: Annotated[
        Path,
        typer.Argument(
            metavar="ALERT", help="Alerts, one revision a line; the folder of a replay; - for standard input."
        ),
    ],
    events: Given = None,
    alert_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Only this alert; the beginning of its id will do.")
    ] = None,
    config: Config = None,
    partitions: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="As in the replay. By default as run.json says, else 4.")
    ] = None,
    sort: Sort = False,
    close: Annotated[
        bool | None,
        typer.Option("--close/--no-close", help="As in the replay. By default as run.json says, else as replay does."),
    ] = None,
    from_checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Recompute from a checkpoint on, as replay does; else as run.json says."),
    ] = None,
) -> None:
    """Recompute alerts from their events, and say whether they are identical, or where they differ.

    What can be counted from a window's events is counted without the engine; then the engine decides anew, and every
    field must be the same to the last digit. Exit code 1 if anything differs.
    """
    from streams.alert_files import run_of

    said = _all_alerts(alert) if alert_id is None else _one_alert(alert, alert_id)
    run = None if str(alert) == "-" else run_of(alert)
    path = events or _events(run)
    if path is None:
        raise Refused("--events is needed: nothing beside the alerts says which events they are of")
    folder, begun = _config(run, config), _begun_with(run, config, from_checkpoint)
    catalogue = _catalogue(folder, *begun)
    many, in_order, end = _options(run, partitions, sort, close)
    with _again(path, many, in_order, run) as again:
        starts = _starts(again.source, catalogue, *begun)
        cases = _verified(again.source, said, catalogue, folder, end, starts)
    if again.changed:
        say(f"warning: {again.changed}")
    same = _print_findings(cases)
    raise typer.Exit(OK if same and not (again.changed and events is None) else FAILED)


def _all_alerts(path: Path) -> list[Any]:
    from streams.alert_files import NoAlertError, all_of, said_under
    from streams.files import NoRecordingError

    try:
        return all_of(said_under(path), str(path))
    except (NoAlertError, NoRecordingError) as error:
        raise Refused(str(error)) from None


def _options(run: Any, partitions: int | None, sort: bool, close: bool | None) -> tuple[int, bool, bool | None]:
    """Of the replay, where nothing else is asked for."""
    if run is None:
        return partitions or 4, sort, close
    close = run.options.close if close is None else close
    return partitions or run.options.partitions, sort or run.options.sort, close


def _verified(
    source: Any, said: list[Any], catalogue: Any, folder: Path, close: bool | None, starts: Any
) -> list[Any]:
    """The alerts as cases, once the engine has decided anew."""
    from streams.replay import replay
    from streams.security import pseudonyms_for
    from streams.verify import Verification, cases_of

    if source.kind == "events":
        _check_versions(said, {catalogue.version}, folder)
    ends = source.kind == "events" if close is None else close
    cases = cases_of(said, catalogue)
    check = Verification(cases, pseudonyms_for(catalogue))
    with progress("verifying", source.total) as moved:
        replay(
            check.entries(starts.entries(source)), catalogue, topic=source.topic, close=ends, engine=check.engine,
            progress=lambda _: moved(source.done), begin=starts.part,
        )  # fmt: skip
    _check_versions(said, check.configurations or {catalogue.version}, folder)
    return cases


def _check_versions(said: list[Any], versions: set[str], folder: Path) -> None:
    """Numbers of another configuration or arithmetic can't come out."""
    for one in said:
        known = one.alert.config_version if one.alert.config_version in versions else min(versions)
        if (why := _other_version(one.alert, known, folder)) is not None:
            raise Refused(f"alert {one.alert.alert_id} can't be verified here: {why}")


def _print_findings(cases: list[Any]) -> bool:
    """All of one alert; of many what differs, and how many. Whether all are identical."""
    from streams import alert_tables as tables

    same, revisions = 0, 0
    for case in cases:
        for finding in case.findings():
            revisions += 1
            same += finding.identical
            if not finding.identical or len(cases) == 1:
                _print_lines(tables.finding_lines(finding))
            if finding.differences:
                output().print(tables.differences_table(finding))
            if finding.differences is None:
                _print_lines(tables.instead_lines(case.instead()))
    verdict = "identical" if same == revisions else f"{revisions - same} of them differ"
    _print_lines([f"{len(cases)} alerts, {revisions} revisions: {verdict}"])
    return same == revisions


def _print_lines(lines: list[str]) -> None:
    for line in lines:
        output().print(line, highlight=False, markup=False, soft_wrap=True)
