"""Plain events in the order of time, however many they are: runs that fit into memory go to the disk and are merged.

A row without a time of its own, a bad record, stays behind the one before it. Rows of one time keep their order.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from typing import IO

from streams.files import scratch, written_to
from streams.spread import Row

RUN_ROWS = 200_000
RUN_BYTES = 128 << 20
WIDTH = 100  # runs that are merged at once: each is an open file
BUFFER_BYTES = 1 << 16
_HEAD = struct.Struct("<qqqqq")  # place in time, number, time, lengths of key and value; -1 stands for none

_Timed = tuple[int, Row]  # its place in time, the row


def in_time_order(rows: Iterable[Row], name: str, run_rows: int = RUN_ROWS) -> Iterator[Row]:
    """The rows by time, for the source of this name. RecordingError if the disk has no room for them."""
    doing = f"{name} was sorted"
    with scratch(doing) as folder:
        with written_to(folder, doing):
            runs = [_spill(run, folder / str(n)) for n, run in enumerate(_runs(rows, run_rows))]
            while len(runs) > WIDTH:
                runs = [_joined(runs[first : first + WIDTH]) for first in range(0, len(runs), WIDTH)]
        for _, row in _merged(runs):
            yield row


def _runs(rows: Iterable[Row], run_rows: int) -> Iterator[list[_Timed]]:
    """Sorted runs, in the order of what they were made of."""
    run: list[_Timed] = []
    size = last = 0
    for row in rows:
        _, key, time, value = row
        last = last if time is None else time
        run.append((last, row))
        size += len(key or b"") + len(value or b"")
        if len(run) >= run_rows or size >= RUN_BYTES:
            run.sort(key=itemgetter(0))
            yield run
            run, size = [], 0
    if run:
        run.sort(key=itemgetter(0))
        yield run


def _spill(run: Iterable[_Timed], path: Path) -> Path:
    with path.open("wb", BUFFER_BYTES) as file:
        for place, (number, key, time, value) in run:
            lengths = [-1 if data is None else len(data) for data in (key, value)]
            file.write(_HEAD.pack(place, number, -1 if time is None else time, *lengths))
            file.write(key or b"")
            file.write(value or b"")
    return path


def _joined(runs: list[Path]) -> Path:
    """Of several runs one, which takes the place of the first."""
    joined = _spill(_merged(runs), runs[0].with_suffix(".joined"))
    for path in runs:
        path.unlink()
    joined.replace(runs[0])
    return runs[0]


def _merged(runs: list[Path]) -> Iterator[_Timed]:
    with ExitStack() as files:
        opened = [_read(files.enter_context(path.open("rb", BUFFER_BYTES))) for path in runs]
        yield from heapq.merge(*opened, key=itemgetter(0))  # of what is equal, that of the earlier run first


def _read(file: IO[bytes]) -> Iterator[_Timed]:
    while head := file.read(_HEAD.size):
        place, number, time, key, value = _HEAD.unpack(head)
        texts = [None if length < 0 else file.read(length) for length in (key, value)]
        yield place, (number, texts[0], None if time < 0 else time, texts[1])
