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
    for number, key, time, value in rows:
        if order is not None and time is not None:
            order.see(number, time)
        partition = 0 if key is None else partition_of(key, partitions)
        yield partition, Record(ordinals[partition], key, value)
        ordinals[partition] += 1
    if order is not None:
        order.end()


# ---- what an event says of itself --------------------------------------------------------------------------


class _Probe(msgspec.Struct):
    creator_id: Any = None
    occurred_at: Any = None


_decode_probe = msgspec.json.Decoder(_Probe).decode


def probed(value: bytes) -> tuple[bytes | None, int | None]:
    """The key that its producer gave this event, and its time; None for what it lacks.

    >>> probed(b'{"creator_id":"c_1","occurred_at":5}'), probed(b'{"creator_id":5,"occurred_at":-5}'), probed(b"{")
    ((b'c_1', 5), (None, None), (None, None))
    """
    try:
        probe = _decode_probe(value)
        key, time = probe.creator_id, probe.occurred_at
        return key.encode() if type(key) is str else None, time_of(time)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None, None


def time_of(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= MILLIS_MAX else None


# ---- order -------------------------------------------------------------------------------------------------

OLD_MS = 7 * 86_400_000
BLOCK = 100  # events whose median says what time it is: one wrong clock says nothing
FIRST_LOOK = 100_000  # events; looked at again whenever there are twice as many, and at the end


class Order:
    """Whether events come roughly in the order of time: at most 1 in 100 is over 7 days older than what came before.

    What came before is the newest median of a block of events, so that events with a clock that is years ahead don't
    make all behind them old. `where` gives the name of a line or row, by its number.
    """

    def __init__(self, where: Callable[[int], str]) -> None:
        self.where = where
        self.seen = self.old = 0
        self.first: tuple[int, int, int] | None = None  # the first that is old: its number, its time, what came before
        self._block: list[int] = []
        self._newest = 0
        self._look = FIRST_LOOK

    def see(self, number: int, time: int) -> None:
        self._block.append(time)
        if time < self._newest - OLD_MS:
            self.old += 1
            if self.first is None:
                self.first = number, time, self._newest
        if len(self._block) == BLOCK:
            self._end_block()

    def _end_block(self) -> None:
        self.seen += BLOCK
        self._newest = max(self._newest, sorted(self._block)[BLOCK // 2])
        self._block.clear()
        if self.seen >= self._look:
            self._look *= 2
            self._judge(self.seen)

    def end(self) -> None:
        """Raises if more than 1 in 100 was old."""
        self._judge(self.seen + len(self._block))

    def _judge(self, seen: int) -> None:
        if self.first is not None and self.old * 100 > seen:
            number, time, newest = self.first
            raise RecordingError(
                f"{self.where(number)}: is of {_date(time)}, and events before it of {_date(newest)}; {self.old:,} of "
                f"{seen:,} events are over 7 days older than those before them: --sort puts them in order"
            )


def _date(time: int) -> str:
    """
    >>> _date(1767571200000)
    '2026-01-05'
    """
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d")
