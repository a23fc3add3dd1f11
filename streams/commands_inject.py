"""The command `inject`: known episodes planted into recorded activity, with their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.command_line import (
    Events,
    app,
    check_converted,
    check_parent,
    examples,
    output,
    progress,
    say,
    source_of,
)


@app.command(
    epilog=examples(
        "ripcurrent inject last-month.jsonl.gz --scenario episodes.yaml --out injected.jsonl --labels labels.csv",
        "ripcurrent inject today.jsonl --scenario episodes.yaml --seed 7 --out injected.jsonl.zst --labels labels.csv",
        "ripcurrent replay injected.jsonl --out out/ --labels labels.csv      [dim]# what is found of them[/dim]",
    )
)
def inject(
    events: Events,
    scenario: Annotated[Path, typer.Option(metavar="FILE", help="What to plant, as YAML (docs/scenarios.md).")],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Named .jsonl, .jsonl.gz, .jsonl.zst or .parquet; or a folder for Parquet."),
    ],
    labels: Annotated[Path, typer.Option(metavar="FILE", help="What was planted, as CSV.")],
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Wins over the scenario's; else 1.")] = None,
) -> None:
    """Plant known episodes into recorded activity: how much of them would be found among your own creators?

    Creators, times and strengths are drawn by the seed among those whose activity suits; every record of EVENTS stays
    as it is, but for its offset. Nothing is known of EVENTS itself: what is truly wrong there has no label.
    """
    import msgspec

    from streams.convert import Converter
    from streams.files import whole_path
    from streams.inject import plan_episodes
    from streams.injected import Injected
    from streams.scenario import read_injection
    from streams.scorecard import LOOKALIKE, is_episode
    from streams.simulate import write_labels

    check_parent(labels)
    check_converted(out)
    injection = read_injection(scenario)
    if seed is not None:
        injection = msgspec.structs.replace(injection, seed=seed)
    with source_of(events, 4, False) as source, whole_path(labels) as part:
        with progress("looking", source.total) as moved:
            plan = plan_episodes(source, injection, moved)
        write_labels(plan.labels, part)
        with progress("writing", source.total) as moved:
            converter = Converter(Injected(source, plan.events), progress=moved)
            converter.write(out)
    episodes = sum(map(is_episode, plan.labels))
    alike = sum(label.kind.startswith(LOOKALIKE) for label in plan.labels)
    more = f" and {alike} lookalikes" if alike else ""
    output().print(
        f"{converter.records - len(plan.events):,} records of {source.name} and {len(plan.events):,} that are planted "
        f"to {out}\n{episodes} planted episodes{more} to {labels}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if plan.short:
        each = ", ".join(f"{kind} {planted} of {n}" for kind, (planted, n) in plan.short.items())
        say(f"warning: too few creators or days suit: {each}")
