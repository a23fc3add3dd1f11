"""The command `calibrate`: which thresholds keep to a budget of false alarms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.command_line import (
    Config,
    Events,
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
    from streams.command_labels import labels_of
    from streams.labels import read_kinds
    from streams.tables import budget_table

    catalogue = catalogue_of(settings_from(config=config).config)
    true = [] if labels is None else labels_of(labels)
    with source_of(events, partitions, sort) as source, progress("listening", source.total) as moved:
        heard = calibrator.listen(source.entries(), catalogue, source.topic, lambda _: moved(source.done))
    found = calibrator.curves([(heard, true)], sorted(catalogue.signals), read_kinds())
    rules = [name for name, one in catalogue.signals.items() if not any(hasattr(t, "detector") for t in one.tests)]
    shares = calibrator.share_out(found, budget, rules)
    output().print(budget_table(catalogue, found, shares, budget))
    if calibrator.spent(found, shares) > budget:
        say(f"warning: also at the strictest thresholds tried more is false than the budget of {budget:g} allows")
