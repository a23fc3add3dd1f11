"""The guard of a Kafka of our own, run as a script: standard library only.

    python broker_guard.py FOLDER COMMAND...

The broker must not outlive the process that asked for it, not even when that is killed with -9. So Java is not its
child but ours, and we hold one end of a pipe from it: when the pipe closes, Java ends and its data goes. Should we be
killed, the kernel ends Java.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

STOP_SECONDS = 10.0


def guard(run: Path, command: list[str]) -> int:
    """Run `command` until it ends, our parent ends, or the pipe that is our standard input is closed."""
    parent = os.getppid()
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)  # Linux only

    def die_with_guard() -> None:
        if prctl is not None:
            prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    def end(signum: int, frame: FrameType | None) -> None:
        sys.exit(128 + signum)

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, end)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_guard)
    try:
        while child.poll() is None and os.getppid() == parent:
            readable, _, _ = select.select([0], [], [], 0.2)
            if readable and os.read(0, 1) == b"":
                break
        ended_itself = child.poll()
    finally:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        # An orphan's data and log are nobody's; else the log is still the parent's to keep.
        shutil.rmtree(run if os.getppid() != parent else run / "data", ignore_errors=True)
    return ended_itself or 0


if __name__ == "__main__":
    sys.exit(guard(Path(sys.argv[1]), sys.argv[2:]))
