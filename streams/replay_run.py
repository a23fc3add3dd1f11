"""A replay as the command line asks for it: begun or taken up again, on one or several cores, and what it gives.

    run = Run(out, share, catalogue, workers=2)
    run.begin(options, resume=False)
    run.play(moved, stopped) is not None  # else it was stopped, and `resume` goes on
    result = run.result()
    ...                                   # write it
    run.end()
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from config.schema import Catalogue
from streams import processes
from streams.engine import ENGINE_VERSION
from streams.errors import ConfigError
from streams.files import whole_path
from streams.records import Alert
from streams.replay import Result, result_of
from streams.run_facts import SourceFacts, as_then, facts_of
from streams.saved_state import marks_of
from streams.share import Share, trace, work
from streams.sources import Opening
from streams.traced import Trace
from streams.unfinished import ALERTS, SHADOW, DeadLetters, Unfinished, alerts_in

UNFINISHED = ".unfinished"
FACTS = "replay.json"
SMALL_BYTES = 32 << 20  # a smaller source is played before a second process has begun


class ResumeError(ConfigError):
    """What was begun there is another replay, or there is none."""


def workers_for(asked: int | None, total: int, partitions: int) -> int:
    """How many processes: as asked, else as many as there are cores if it pays; never more than shards."""
    usual = len(os.sched_getaffinity(0)) if total > SMALL_BYTES else 1
    return max(min(asked or usual, partitions), 1)


class Run:
    """One replay, with its folder for what isn't finished."""

    def __init__(self, out: Path, share: Share, catalogue: Catalogue, workers: int | None) -> None:
        """`share` says what all processes have in common, and `catalogue` what decides at first."""
        self.source = share.opening.open()
        self.close = self.source.kind == "events" if share.close is None else share.close
        self.folder = out / UNFINISHED
        self.catalogue, self.sources = catalogue, facts_of(self.source, share.opening)
        self.checkpoint = None if share.checkpoint is None else marks_of(share.checkpoint)
        self._alone: Callable[[], object] = lambda: None  # lets others write there
        many = workers_for(workers, self.source.total, self.source.partitions)
        self.shares = [
            share._replace(close=self.close, number=n, of=many, folder=self.folder / str(n), resume=True)
            for n in range(many)
        ]

    def begin(self, options: Mapping[str, Any], *, resume: bool) -> bool:
        """Take up what was begun with these options, or begin; whether something unfinished had to go for it."""
        facts = {
            **options, "close": self.close, "cases": self.shares[0].cases, "workers": len(self.shares),
            "sources": self.sources, "checkpoint": self.checkpoint,
            "config_version": self.catalogue.version, "engine_version": ENGINE_VERSION,
        }  # fmt: skip
        said = msgspec.json.encode(facts, order="deterministic", enc_hook=str)
        there = self.folder / FACTS
        if resume and not there.exists():
            raise ResumeError(f"{self.folder.parent}: nothing was begun there; leave --resume out")
        self._take_alone()
        if resume:
            _same(there, said)
            return False
        stale = there.exists()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        with whole_path(there) as part:
            part.write_bytes(said)
        return stale

    def _take_alone(self) -> None:
        """Two replays into one folder would write into each other's files."""
        out = self.folder.parent
        out.mkdir(parents=True, exist_ok=True)
        lock = os.open(out, os.O_RDONLY)
        self._alone = weakref.finalize(self, os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResumeError(f"{out}: another replay is writing there") from None

    def play(self, moved: processes.Moved, stopped: Callable[[], bool]) -> str | None:
        """To the end, or until stopped: then None. Else what is to be said of the source, if anything."""
        warnings = processes.run([partial(work, share) for share in self.shares], moved, stopped)
        return None if None in warnings else next(filter(None, warnings), "")

    @property
    def folders(self) -> list[Path]:
        """Of the processes."""
        return [share.folder for share in self.shares]

    def result(self) -> Result:
        """What came out."""
        folders = self.folders
        files = [Unfinished(folder) for folder in folders]
        for file in files:
            file.begin(resume=True)
        summaries = sorted((one for file in files for one in file.progress.summaries), key=lambda one: one.partition)
        return result_of(summaries, alerts_in(folders, ALERTS), alerts_in(folders, SHADOW), DeadLetters(folders))

    def traces(
        self, alerts: Sequence[Sequence[Alert]], moved: processes.Moved, stopped: Callable[[], bool]
    ) -> dict[str, Trace] | None:
        """What was measured around these alerts (all revisions of each), by a second reading; None if stopped."""
        found = processes.run([partial(trace, share, alerts) for share in self.shares], moved, stopped)
        return None if None in found else {alert_id: one for each in found for alert_id, one in each.items()}

    def end(self) -> None:
        """All is written elsewhere, or there is nothing to be had."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # there is something in it
            self.folder.parent.rmdir()
        self.leave()

    def leave(self) -> None:
        """Others may write there."""
        self._alone()


def taken_up(opening: Opening, out: Path) -> Opening:
    """The same of a topic as was to be read when the replay there was begun; of a file, the file."""
    with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
        return as_then(opening, msgspec.json.decode((out / UNFINISHED / FACTS).read_bytes(), type=_Begun).sources)
    return opening


class _Begun(msgspec.Struct):
    """Of the facts that a replay was begun with."""

    sources: list[SourceFacts]


def _same(there: Path, said: bytes) -> None:
    """ResumeError where what was begun is of other facts, with the first that differs."""
    try:
        begun = msgspec.json.decode(there.read_bytes())
    except msgspec.DecodeError as error:
        raise ResumeError(f"{there}: can't be read ({error}); leave --resume out to begin anew") from None
    now = msgspec.json.decode(said)
    for name in sorted(begun.keys() | now.keys()):
        if begun.get(name) != now.get(name):
            raise ResumeError(
                f"{there.parent.parent}: what was begun there has another {name}: {_brief(begun.get(name))}, now "
                f"{_brief(now.get(name))}; leave --resume out to begin anew"
            )


def _brief(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else text[:117] + "…"
