"""Jobs of a replay, each in a process of its own; or one job, in this one.

Processes are spawned: what a fork would copy of this one's threads is not whole. Ctrl-C is this one's to take: it
tells the others to stop, and they write down how far they are.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from streams.errors import RipcurrentError

WAIT_SECONDS = 0.2
Pause = Callable[[int, int], bool]  # is told how far the source was read and how many entries there were; True: stop
Job = Callable[[Pause], Any]  # top-level, or a partial of one; None is what it gives when it was stopped
Moved = Callable[[int, int], None]  # is told how far all sources were read together, and how many entries there were


class ProcessEndedError(RipcurrentError):
    """A process of a replay ended before its share did."""


class StoppedError(Exception):
    """Somebody asked us to stop; what is worth it is saved."""


def heeding(pause: Pause, read: Callable[[], int]) -> Callable[[int], None]:
    """Takes the number of entries now and then, and raises StoppedError when it is time to stop; `read` says how far
    the source was read.
    """

    def progress(entries: int) -> None:
        if pause(read(), entries):
            raise StoppedError

    return progress


class _Told(NamedTuple):
    """What a process says: how far it is, or how it ended."""

    done: int = 0
    entries: int = 0
    result: Any = None
    ended: bool = False
    error: bytes | None = None  # pickled


def run(jobs: Sequence[Job], moved: Moved, stopped: Callable[[], bool], at_once: int | None = None) -> list[Any]:
    """What the jobs give when they are done, or when `stopped` says that they are to end; at most `at_once` at a time,
    else all.
    """
    if len(jobs) == 1:
        return [jobs[0](lambda done, entries: _told(moved, done, entries) or stopped())]
    running: dict[Connection, tuple[int, BaseProcess]] = {}  # with the number of its job
    try:
        return _heard(jobs, running, moved, stopped, at_once or len(jobs))
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()


def _told(moved: Moved, done: int, entries: int) -> bool:
    moved(done, entries)
    return False


def _heard(
    jobs: Sequence[Job], running: dict[Connection, tuple[int, BaseProcess]], moved: Moved,
    stopped: Callable[[], bool], at_once: int,
) -> list[Any]:  # fmt: skip
    """Begin them one after the other, and listen until each has ended; when stopped, no other one is begun."""
    newest = [_Told() for _ in jobs]
    begun, asked = 0, False
    while running or (begun < len(jobs) and not stopped()):
        while len(running) < at_once and begun < len(jobs) and not stopped():
            pipe, process = _begun(jobs[begun])
            running[pipe], begun = (begun, process), begun + 1
        if stopped() and not asked:
            asked = True
            for pipe in running:
                with contextlib.suppress(OSError):
                    pipe.send("stop")
        ready: list[Any] = wait(list(running), WAIT_SECONDS)
        for pipe in ready:
            number, process = running[pipe]
            newest[number] = told = _next(pipe, process)
            if told.error is not None:
                raise pickle.loads(told.error)
            if told.ended:
                process.join()
                process.close()
                pipe.close()
                del running[pipe]
        moved(sum(told.done for told in newest) // len(jobs), sum(told.entries for told in newest))
    return [told.result for told in newest]


def _begun(job: Job) -> tuple[Connection, BaseProcess]:
    """A process at work. It is born deaf to Ctrl-C, also while it is still loading what it needs."""
    resource_tracker.ensure_running()  # which would unblock signals below
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process: BaseProcess = context.Process(target=_begin, args=(job, theirs), daemon=True)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which it inherits
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    theirs.close()
    return ours, process


def _next(pipe: Connection, process: BaseProcess) -> _Told:
    try:
        told: _Told = pipe.recv()
        return told
    except EOFError:
        process.join()
        how = _name(process.exitcode)
        raise ProcessEndedError(
            f"a process of the replay was ended by {how}; was there enough memory?"
        ) from None


def _name(code: int | None) -> str:
    """
    >>> _name(-9), _name(1)
    ('SIGKILL', 'exit code 1')
    """
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _begin(job: Job, pipe: Connection) -> None:
    """A process's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    newest = _Told()

    def pause(done: int, entries: int) -> bool:
        nonlocal newest
        newest = _Told(done, entries)
        pipe.send(newest)
        return pipe.poll()

    try:
        result = job(pause)
        pipe.send(newest._replace(result=result, ended=True))
    except Exception as error:
        with contextlib.suppress(OSError):  # whom we would tell is gone
            pipe.send(_Told(error=_pickled(error)))


def _pickled(error: Exception) -> bytes:
    """With its trace as a note, for `--debug`."""
    error.add_note(traceback.format_exc())
    error.__cause__ = error.__context__ = None
    try:
        pickle.loads(data := pickle.dumps(error))
    except Exception:
        return pickle.dumps(RuntimeError(traceback.format_exc()))
    return data
