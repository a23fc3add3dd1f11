"""Several replays of the same events at a time, each under a catalogue and in a process of its own.

    for told in replays(Replay(Path("events.jsonl"), 4, False, catalogue) for catalogue in catalogues): ...

A process gives back what alerts came to, as rows, and not its engine.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from config.schema import Catalogue
from streams.engine import Engine
from streams.errors import RipcurrentError
from streams.labels import read_kinds
from streams.outcome import outcome
from streams.outcome_rows import EpisodeRow, LabelRow, ScoreRow
from streams.replay import replay
from streams.scorecard import Label
from streams.security import pseudonyms_for
from streams.sources import open_source


class ReplaysError(RipcurrentError):
    """A process that replays came to an end by itself."""


class Replay(NamedTuple):
    """What to replay, and how."""

    events: Path
    partitions: int
    sort: bool
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


def told(job: Replay) -> Told:
    """Replay, in this process."""
    engines: list[Engine] = []
    pseudonyms = pseudonyms_for(job.catalogue)

    def engine(catalogue: Catalogue, topic: str, partition: int) -> Engine:
        engines.append(Engine(catalogue, topic, partition, pseudonyms))
        return engines[-1]

    with open_source(job.events, job.partitions, sort=job.sort) as source:
        result = replay(source.entries(), job.catalogue, topic=source.topic, close=source.kind == "events",
                        engine=engine)  # fmt: skip
        warning = source.warning()
    titles = {name: one.title for name, one in job.catalogue.signals.items()}
    rows = outcome(result, titles, job.labels, read_kinds())
    began = [one for one in engines if one.counts["panes_closed", ""]]
    return Told(
        rows["episodes"], rows.get("labels", []), rows.get("scorecard", []),  # type: ignore[arg-type]  # by their names
        dict(sorted(Counter(market for _, market in result.entities).items())), result.records, result.days,
        min((one.started for one in began), default=0), max((one.clock.closed for one in began), default=0), warning,
    )  # fmt: skip


def replays(jobs: Sequence[Replay], progress: Callable[[int], None] = lambda done: None) -> list[Told]:
    """What came out of each, in their order, on as many processes as there are processors. `progress` hears how many
    are done.
    """
    with _processes(min(len(jobs), os.cpu_count() or 1)) as pool:
        futures = _submitted(pool, jobs)
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()  # an error ends all
                progress(done)
            return [future.result() for future in futures]
        except BrokenProcessPool:
            raise ReplaysError("a process that replays was ended from outside; was there enough memory?") from None


def _submitted(pool: ProcessPoolExecutor, jobs: Sequence[Replay]) -> list[Future[Told]]:
    """Processes are started here, and inherit that they don't hear Ctrl-C: we do, and end them. It waits until they are
    started, since one that is half started would tell of it; a mask alone does not make it wait, for libraries have
    threads that hear it, too.
    """
    got: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: got.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        futures = [pool.submit(told, job) for job in jobs]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if got:
        raise KeyboardInterrupt
    return futures


@contextmanager
def _processes(n: int) -> Iterator[ProcessPoolExecutor]:
    """They end with the block: at once when it is left by an error or Ctrl-C."""
    pool = ProcessPoolExecutor(n, multiprocessing.get_context("spawn"), _end_with_parent)
    try:
        yield pool
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """A process must not outlive the one that asked for it, however that ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
