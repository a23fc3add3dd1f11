"""Several replays of the same events at a time, each under a catalogue and in a process of its own.

    for told in replays([Replay(opening, catalogue) for catalogue in catalogues], moved, stopped): ...

A process gives back what alerts came to, as rows, and not its engine.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from config.schema import Catalogue
from streams.engine import Engine
from streams.labels import read_kinds
from streams.outcome import outcome
from streams.outcome_rows import EpisodeRow, LabelRow, ScoreRow
from streams.processes import Moved, Pause, StoppedError, heeding, run
from streams.replay import replay
from streams.scorecard import Label
from streams.security import pseudonyms_for
from streams.sources import Opening


class Replay(NamedTuple):
    """What to replay, and how."""

    opening: Opening
    catalogue: Catalogue
    labels: Sequence[Label] | None = None


class Told(NamedTuple):
    """What came out."""

    episodes: list[EpisodeRow]  # also those aside
    labels: list[LabelRow]
    scores: list[ScoreRow]
    creators: dict[str, int]  # by market, at the end
    records: int
    days: float  # of event time that was looked at
    started: int  # ms
    ended: int  # ms
    warning: str | None  # of the source


def told(job: Replay, pause: Pause) -> Told | None:
    """Replay, in this process; None if it was stopped."""
    engines: list[Engine] = []
    pseudonyms, source = pseudonyms_for(job.catalogue), job.opening.open()

    def engine(catalogue: Catalogue, topic: str, partition: int) -> Engine:
        engines.append(Engine(catalogue, topic, partition, pseudonyms))
        return engines[-1]

    try:
        result = replay(source.entries(), job.catalogue, topic=source.topic, close=source.kind == "events",
                        engine=engine, progress=heeding(pause, lambda: source.done))  # fmt: skip
    except StoppedError:
        return None
    titles = {name: one.title for name, one in job.catalogue.signals.items()}
    rows = outcome(result, titles, job.labels, read_kinds())
    began = [one for one in engines if one.counts["panes_closed", ""]]
    return Told(
        rows["episodes"], rows.get("labels", []), rows.get("scorecard", []),  # type: ignore[arg-type]  # by their names
        dict(sorted(Counter(market for _, market in result.entities).items())), result.records, result.days,
        min((one.started for one in began), default=0), max((one.clock.closed for one in began), default=0),
        source.warning(),
    )  # fmt: skip


def replays(jobs: Sequence[Replay], moved: Moved, stopped: Callable[[], bool]) -> list[Told] | None:
    """What came out of each, in their order, on as many processes as there are processors; None if it was stopped."""
    found = run([partial(told, job) for job in jobs], moved, stopped, len(os.sched_getaffinity(0)))
    return None if None in found else found
