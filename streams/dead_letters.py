"""What stands on the dead-letter topic: letters, and notes of which letters were redriven.

A letter is a record of the source as it was, key and value untouched (but for one that no topic could take, see
`fitting`), and headers that say why it is here and where it
came from (`streams.records.dead_letter_headers`). A note stands behind the letters that it names, in their partition:
key `redriven`, a header of that name, and the offsets as ranges, both ends included:

    {"to": "creator-events", "redriven": [[0, 41], [45, 45]]}

So no letter is ever changed, and Kafka, which deletes from the beginning, never deletes a note before its letters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from streams.errors import RipcurrentError

NOTE = "redriven"  # the header that only a note has, and its key
FROM = "redriven_from"  # the header of a redriven record: DLQ:PARTITION:OFFSET
CUT = "cut_from"  # the header of a letter that could not be kept whole: what it was
LETTER_BYTES_MAX = 1_500_000  # of key and value; more comes only out of a compressed batch, which may hold any size
KEPT_BYTES = 64 * 1024  # of each, where it is more
NO_REASON = "unknown"  # of a record that the worker didn't put here
TOPIC, _NUMBER = re.compile(r"[A-Za-z0-9._-]{1,249}"), re.compile(r"[0-9]{1,18}")


class NoteError(RipcurrentError):
    """A note that can't be read: what it says was redriven would be redriven again."""


class Origin(NamedTuple):
    """Where a letter was read from."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


class Letter(NamedTuple):
    """A dead letter. Headers are what the worker said; but anybody may have written others, so none is relied on."""

    partition: int
    offset: int
    timestamp: int  # ms, when it was set aside
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    def header(self, name: str) -> str:
        """A header as text; empty where there is none."""
        return next((_text(value) for known, value in self.headers if known == name), "")

    @property
    def reason(self) -> str:
        return self.header("reason") or NO_REASON

    @property
    def origin(self) -> Origin | None:
        """None where the headers don't say it."""
        numbers = self.header("source_partition"), self.header("source_offset")
        topic = self.header("source_topic")
        if not TOPIC.fullmatch(topic) or not all(map(_NUMBER.fullmatch, numbers)):
            return None
        return Origin(topic, int(numbers[0]), int(numbers[1]))

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")

    def line(self, redriven: bool) -> str:
        """The letter as a line of JSON in ASCII, which does nothing to a terminal; without its key and value."""
        origin = self.origin
        return json.dumps(
            {
                "partition": self.partition,
                "offset": self.offset,
                "timestamp": self.timestamp,
                "reason": self.reason,
                "path": self.header("path"),
                "detail": self.header("detail"),
                "source_topic": origin and origin.topic,
                "source_partition": origin and origin.partition,
                "source_offset": origin and origin.offset,
                "bytes": self.size,
                "redriven": redriven,
            }
        )


def fitting(
    key: bytes | None, value: bytes | None
) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    """The key and value of a letter as far as Kafka takes them, and a header if that is not all.

    >>> fitting(b"k", b"v"), fitting(b"k", bytes(2_000_000))[2]
    ((b'k', b'v', []), [('cut_from', b'key 1, value 2000000 bytes')])
    """
    if len(key or b"") + len(value or b"") <= LETTER_BYTES_MAX:
        return key, value, []
    was = f"key {len(key or b'')}, value {len(value or b'')} bytes"
    return key and key[:KEPT_BYTES], value and value[:KEPT_BYTES], [(CUT, was.encode())]


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


class Choice(NamedTuple):
    """Which letters are meant: of these reasons (all, if none is named), set aside from `since` to before `until`."""

    reasons: Collection[str] = ()
    since: int | None = None  # ms
    until: int | None = None  # ms

    def takes(self, letter: Letter) -> bool:
        """
        >>> letter = Letter(0, 7, 1_000, b"k", b"v", [("reason", b"too_large")])
        >>> Choice(("too_large",), since=1_000).takes(letter), Choice(until=1_000).takes(letter)
        (True, False)
        """
        if self.since is not None and letter.timestamp < self.since:
            return False
        if self.until is not None and letter.timestamp >= self.until:
            return False
        return not self.reasons or letter.reason in self.reasons


# ---- notes -------------------------------------------------------------------------------------------------


class Note(msgspec.Struct):
    to: str
    redriven: list[tuple[int, int]]


def is_note(headers: Iterable[tuple[str, Any]]) -> bool:
    return any(name == NOTE for name, _ in headers)


def encode_note(to: str, offsets: Iterable[int]) -> bytes:
    """
    >>> encode_note("creator-events", [3, 4, 5, 9])
    b'{"to":"creator-events","redriven":[[3,5],[9,9]]}'
    """
    ranges: list[tuple[int, int]] = []
    for offset in offsets:
        if ranges and ranges[-1][1] + 1 == offset:
            ranges[-1] = (ranges[-1][0], offset)
        else:
            ranges.append((offset, offset))
    return msgspec.json.encode(Note(to, ranges))


class Redriven:
    """Which letters of one partition were redriven. A byte for each offset from `first` to before `end`: that, and one
    batch, is all that is held in memory, however large the letters are.

    >>> known = Redriven(10, 20)
    >>> known.add(encode_note("creator-events", [4, 5, 10, 11, 19]))
    >>> [offset for offset in range(20) if offset in known]
    [10, 11, 19]
    """

    def __init__(self, first: int, end: int) -> None:
        self.first = first
        self._known = bytearray(max(end - first, 0))

    def add(self, value: bytes | None) -> None:
        """Learn from a note; letters that are gone are left out."""
        try:
            note = msgspec.json.decode(value or b"", type=Note)
        except msgspec.DecodeError as error:
            raise NoteError(f"is no note of what was redriven: {error}") from None
        for first, last in note.redriven:
            low, high = max(first - self.first, 0), min(last + 1 - self.first, len(self._known))
            if low < high:
                self._known[low:high] = b"\1" * (high - low)

    def __contains__(self, offset: int) -> bool:
        at = offset - self.first
        return 0 <= at < len(self._known) and self._known[at] == 1


# ---- for people to read ------------------------------------------------------------------------------------

_SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escaped(data: bytes | str) -> str:
    """Bytes as text on one line that does nothing to a terminal, and from which the bytes can be told.

    UTF-8 that can be seen stays. A byte that is no UTF-8, or a control character, becomes `\\x…`, any other character
    that can't be seen (a change of direction, say) `\\u…`, and a backslash is doubled.

    >>> print(escaped(b'{"name":"\\xe0\\xb8\\x81"}\\n\\x1b[2J\\xff'))
    {"name":"ก"}\\n\\x1b[2J\\xff
    """
    text = data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data
    return "".join(_SHORT.get(one, one) if one.isprintable() else _hidden(one) for one in text)


def _hidden(one: str) -> str:
    if one in _SHORT:
        return _SHORT[one]
    code = ord(one)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cut(text: str, width: int) -> str:
    """
    >>> cut("$.attrs.stars", 8), cut("$", 8)
    ('$.attrs…', '$       ')
    """
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
