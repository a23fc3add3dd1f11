"""Plain events, which have no offsets: the partition where Kafka would put each, and whether their order can be right.

A source gives them as rows, `(number, key, time, value)`: the number of the line or row, counted from 1; `time` is the
event's own `occurred_at`, None where it has none that counts. Ordinals within a partition stand for offsets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from streams.columns import Record
from streams.files import RecordingError
from streams.records import MILLIS_MAX

Row = tuple[int, bytes | None, int | None, bytes | None]

# ---- where Kafka puts a key --------------------------------------------------------------------------------

_M, _MASK = 0x5BD1E995, 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 (seed 0x9747b28c), unsigned.

    >>> murmur2(b"21") - 2**32
    -973932308
    """
    n = len(data)
    h = (0x9747B28C ^ n) & _MASK
    whole = n & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if whole < n:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@lru_cache(maxsize=1 << 17)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that every Kafka client gives this key by default.

    >>> partition_of(b"c_18233", 4)
    3
    """
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def spread(rows: Iterable[Row], partitions: int, order: Order | None = None) -> Iterator[tuple[int, Record]]:
    """(partition, record) of each row; those without a key are bad records anyway."""
    ordinals: defaultdict[int, int] = defaultdict(int)
    numbers: list[int] = []
    times: list[int] = []
    for number, key, time, value in rows:
        if time is not None:
            numbers.append(number)
            times.append(time)
            if len(times) == BLOCK:
                if order is not None:
                    order.see(numbers, times)
                numbers, times = [], []
        partition = 0 if key is None else partition_of(key, partitions)
        yield partition, Record(ordinals[partition], key, value)
        ordinals[partition] += 1
    if order is not None:
        order.end(numbers, times)


# ---- what an event says of itself --------------------------------------------------------------------------


class _Probe(msgspec.Struct, gc=False):
    creator_id: str
    occurred_at: int


class _Lenient(msgspec.Struct, gc=False):
    creator_id: Any = None
    occurred_at: Any = None


_decode_probe = msgspec.json.Decoder(_Probe).decode
_decode_lenient = msgspec.json.Decoder(_Lenient).decode


def probed(value: bytes) -> tuple[bytes | None, int | None]:
    """The key that its producer gave this event, and its time; None for what it lacks.

    >>> probed(b'{"creator_id":"c_1","occurred_at":5}'), probed(b'{"creator_id":"c_1","occurred_at":-5}'), probed(b"{")
    ((b'c_1', 5), (b'c_1', None), (None, None))
    """
    try:
        probe = _decode_probe(value)
        time = probe.occurred_at
        return probe.creator_id.encode(), time if 0 <= time <= MILLIS_MAX else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _probed_anyway(value)


def _probed_anyway(value: bytes) -> tuple[bytes | None, int | None]:
    """Of what is no event: the time may be there without the key, and the key without the time."""
    try:
        probe = _decode_lenient(value)
        key = probe.creator_id.encode() if type(probe.creator_id) is str else None
        return key, time_of(probe.occurred_at)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None, None


def time_of(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= MILLIS_MAX else None


# ---- order -------------------------------------------------------------------------------------------------

OLD_MS = 7 * 86_400_000  # of which nothing can be made
LATE_MS = 3_600_000  # the windows that it belongs to have mostly been judged
BLOCK = 100  # events whose median says what time it is: one wrong clock says nothing
FIRST_LOOK = 100_000  # events; looked at again whenever there are twice as many, and at the end


class Order:
    """Whether events come roughly in the order of time: more than 1 in 100 that are over 7 days older than what came
    before are an error, more than 1 in 100 that are over an hour older are worth a warning.

    What came before is the newest median of a block of events, so that events with a clock that is years ahead don't
    make all behind them old. `where` gives the name of a line or row, by its number.
    """

    def __init__(self, where: Callable[[int], str]) -> None:
        self.where = where
        self.seen = self.old = self.late = 0
        self.first: tuple[int, int, int] | None = None  # the first that is old: its number, its time, what came before
        self._newest = 0
        self._look = FIRST_LOOK

    def see(self, numbers: list[int], times: list[int]) -> None:
        """A block of events, in their order."""
        self._count(numbers, times)
        self._newest = max(self._newest, sorted(times)[len(times) // 2])
        if self.seen >= self._look:
            self._look *= 2
            self._judge()

    def end(self, numbers: list[int], times: list[int]) -> None:
        """What is left. Raises if more than 1 in 100 was old."""
        self._count(numbers, times)
        self._judge()

    def _count(self, numbers: list[int], times: list[int]) -> None:
        self.seen += len(times)
        latest, oldest = self._newest - LATE_MS, self._newest - OLD_MS
        if not times or min(times) >= latest:
            return
        self.late += sum(time < latest for time in times)
        old = [(number, time) for number, time in zip(numbers, times, strict=True) if time < oldest]
        self.old += len(old)
        if old and self.first is None:
            self.first = *old[0], self._newest

    def warning(self) -> str | None:
        """What is to be said of the order, when all was seen."""
        if self.late * 100 <= self.seen:
            return None
        return (
            f"{self.late:,} of {self.seen:,} events are over an hour older than those before them, and count as late; "
            "--sort puts them in order"
        )

    def _judge(self) -> None:
        if self.first is not None and self.old * 100 > self.seen:
            number, time, newest = self.first
            raise RecordingError(
                f"{self.where(number)}: is of {_date(time)}, and events before it of {_date(newest)}; {self.old:,} of "
                f"{self.seen:,} events are over 7 days older than those before them: --sort puts them in order"
            )


def _date(time: int) -> str:
    """
    >>> _date(1767571200000)
    '2026-01-05'
    """
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d")
