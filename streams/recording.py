"""Recordings: what stood on the topics, as JSON Lines, plain, gzip or zstd. The form of each line:

    {"recording": {"version": 1, "topic": "creator-events", "partitions": 4}}        first, may be absent
    {"partition": 0, "offset": 41, "timestamp": 1767571200000, "key": "c_1", "value": "{\\"event_id\\": …}"}
    {"tick": {"partition": 0, "epoch": 3, "after_offset": 41, "up_to": 1767571200000}}
    {"tick": {"partition": 0, "epoch": 4}}                                            an epoch begins

A key or value that is not UTF-8 is `key_base64` or `value_base64`; null is Kafka's null. Of one over 128 KiB, which is
a dead letter however it goes on, so much is kept. Records of a partition
stand in order of offset; ticks of a partition stand in the order of their topic, anywhere in the file: they are
obeyed after their `after_offset`. A file of plain events (one event's JSON a line) is read too: a broker with
`partitions` partitions would put them so, and their ordinals stand for offsets. There a line that is no event is a bad
record, as it would be on the topic; in a recording it is an error, since the file itself is broken.

Reading holds one line and the ticks, never the file: a recording is read twice, for its ticks and for its records.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from streams.columns import Record
from streams.files import PARQUET, NoRecordingError, RecordingError, opened, said_of, whole_file
from streams.interleave import Placed, interleaved, kept
from streams.records import RECORD_BYTES_MAX
from streams.spread import Order, Row, probed, spread
from streams.ticks import Tick

VERSION = 1
TOPIC = "creator-events"
LINE_BYTES_MAX = 4 << 20  # a longer line is no record of ours; of a plain event only so much is kept, to be refused
KEPT_BYTES = 2 * RECORD_BYTES_MAX  # of a key or a value; a larger one is a dead letter however large, and its line one
BOM = b"\xef\xbb\xbf"

# ---- reading -----------------------------------------------------------------------------------------------

Kind = Literal["events", "recording"]


class Head(msgspec.Struct, forbid_unknown_fields=True):
    """What a recording says of itself."""

    version: int
    topic: str = TOPIC
    partitions: int | None = None


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Any line of a recording."""

    partition: int = -1
    offset: int = -1
    timestamp: int = 0
    key: str | None = None
    value: str | None = None
    key_base64: str | None = None
    value_base64: str | None = None
    tick: Tick | None = None
    recording: Head | None = None


class _Probe(msgspec.Struct):
    """Enough of a first line to tell what the file is."""

    recording: Any = None
    tick: Any = None
    offset: Any = None
    event_id: Any = None


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_probe = msgspec.json.Decoder(_Probe).decode


def head_of(line: bytes, name: str) -> Head:
    """What the first line of a recording says, for the file of this name."""
    try:
        head = _decode_line(line).recording
    except msgspec.DecodeError as error:
        raise RecordingError(f"{name}: is no recording: {error}") from None
    if head is None or head.version != VERSION:
        version = "unknown" if head is None else head.version
        raise RecordingError(f"{name}: is a recording of version {version}; this program reads {VERSION}")
    return head


class Recording:
    """A file of events or a recording. `entries` may be called again and again."""

    def __init__(self, path: Path, partitions: int = 4, name: str | None = None) -> None:
        """`name` is what errors call it, where that is not its path."""
        if partitions < 1:
            raise RecordingError(f"partitions is {partitions}; expected 1 or more")
        self.path = path
        self.name = name or str(path)
        self.files = [(self.name, path)]
        self.partitions = partitions  # over which plain events are spread; a recording has its own
        self.topic = TOPIC
        self.kind: Kind = "events"
        self.done = 0  # of the file as it lies on the disk, by the newest `entries`
        self.ticks_void = 0
        self._order = Order(self.where)
        with said_of(self.name):
            self.total = path.stat().st_size
        if path.is_dir():
            raise NoRecordingError(f"{self.name}: is a folder; expected a file of events, one JSON object a line")
        if not path.is_file():
            raise NoRecordingError(
                f"{self.name}: is a pipe or a device; expected a file, since it is read more than once "
                "(`-` keeps what comes by standard input)"
            )
        self._recognise()

    def _recognise(self) -> None:
        first = next((line for _, line in self._lines()), None)
        if first is None:
            raise RecordingError(f"{self.name}: is empty; expected events, one JSON object a line")
        if first.startswith(PARQUET):
            raise RecordingError(f"{self.name}: is Parquet that was compressed once more; decompress it first")
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            probe = _decode_probe(first)
            ours = probe.recording, probe.tick, probe.offset
            if probe.event_id is None and any(what is not None for what in ours):
                self.kind = "recording"

    def entries(self) -> Iterator[tuple[int, Record | Tick]]:
        """(partition, record or tick), each partition in its own order."""
        if self.kind == "events":
            self._order = Order(self.where)
            yield from spread(self.plain(), self.partitions, self._order)
        else:
            ticks, self.ticks_void = kept(self.ticks())
            yield from interleaved(self._records(), ticks, self.where)

    def warning(self) -> str | None:
        return self._order.warning()

    def where(self, number: int) -> str:
        return f"{self.name}: line {number}"

    def plain(self) -> Iterator[Row]:
        """(number, key, time, line) of each plain event, as they come."""
        for number, line in self._lines():
            key, time = probed(line)
            yield number, key, time, line

    def _records(self) -> Iterator[Placed]:
        for number, line in self._lines():
            parsed = self._parse(number, line)
            if parsed.tick is None and parsed.recording is None:
                yield number, parsed.partition, self._record(number, parsed)

    def ticks(self) -> Iterator[Tick]:
        """All that stand in the file, in its order."""
        for number, line in self._lines():
            if line.find(b'"tick"', 0, 64) >= 0 or line.find(b'"recording"', 0, 64) >= 0:
                parsed = self._parse(number, line)
                if parsed.recording is not None:
                    self._begin(line)
                if parsed.tick is not None:
                    yield parsed.tick

    def _begin(self, line: bytes) -> None:
        head = head_of(line, self.name)
        self.topic, self.partitions = head.topic, head.partitions or self.partitions

    def head(self) -> None:
        """Learn the topic that was recorded, without reading further."""
        if self.kind == "recording":
            number, line = next(self._lines())
            if self._parse(number, line).recording is not None:
                self._begin(line)

    def begin_at(self, starts: Mapping[int, int]) -> None:
        """A file is read from its beginning."""

    def _parse(self, number: int, line: bytes) -> _Line:
        try:
            return _decode_line(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecordingError(f"{self.where(number)}: is no line of a recording: {error}") from None

    def _record(self, number: int, line: _Line) -> Record:
        if line.partition < 0 or line.offset < 0:
            raise RecordingError(f"{self.where(number)}: expected a partition and an offset, 0 or more")
        try:
            key, value = _bytes(line.key, line.key_base64), _bytes(line.value, line.value_base64)
        except ValueError:
            raise RecordingError(f"{self.where(number)}: expected base64") from None
        return Record(line.offset, key, value, line.timestamp)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """(number, line without its end) of all lines that are not blank."""
        self.done = 0
        with said_of(self.name), self.path.open("rb") as raw, opened(raw, self.name) as file:
            for number, line in enumerate(_long_lines(file), 1):
                if number % 1024 == 0:
                    self.done = raw.tell()
                text = (line.removeprefix(BOM) if number == 1 else line).rstrip(b"\r\n")
                if text and not text.isspace():
                    yield number, text
            self.done = self.total


def _long_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines, cut at LINE_BYTES_MAX: a file without line ends must not fill the memory."""
    while line := file.readline(LINE_BYTES_MAX):
        if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
            while (rest := file.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                pass
        yield line


def _bytes(text: str | None, encoded: str | None) -> bytes | None:
    if encoded is not None:
        return base64.b64decode(encoded, validate=True)
    return None if text is None else text.encode()


# ---- writing -----------------------------------------------------------------------------------------------

_encode = msgspec.json.Encoder().encode


def head_line(topic: str, partitions: int) -> bytes:
    """
    >>> head_line("creator-events", 4)
    b'{"recording":{"version":1,"topic":"creator-events","partitions":4}}\\n'
    """
    return _encode({"recording": {"version": VERSION, "topic": topic, "partitions": partitions}}) + b"\n"


def bytes_of(record: Record) -> dict[str, str | None]:
    """A record's key and value as JSON can hold them: text where they are UTF-8, else in base64.

    >>> bytes_of(Record(7, b"c_1", b"\\xff"))
    {'key': 'c_1', 'value_base64': '/w=='}
    """
    line: dict[str, str | None] = {}
    for name, data in (("key", record.key), ("value", record.value)):
        try:
            line[name] = None if data is None else data.decode()
        except UnicodeDecodeError:
            line[f"{name}_base64"] = base64.b64encode(data or b"").decode()
    return line


def record_line(partition: int, record: Record) -> bytes:
    """
    >>> record_line(2, Record(7, b"c_1", b"\\xff", 5))
    b'{"partition":2,"offset":7,"timestamp":5,"key":"c_1","value_base64":"/w=="}\\n'
    """
    key, value = (data and data[:KEPT_BYTES] for data in (record.key, record.value))
    record = Record(record.offset, key, value, record.timestamp)
    line: dict[str, int | str | None] = {
        "partition": partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
    }
    return _encode(line | bytes_of(record)) + b"\n"


def tick_line(tick: Tick) -> bytes:
    """
    >>> tick_line(Tick(0, 3, 41, 1767571200000))
    b'{"tick":{"partition":0,"epoch":3,"after_offset":41,"up_to":1767571200000}}\\n'
    """
    return _encode({"tick": tick}) + b"\n"


def write_recording(
    path: Path, entries: Iterator[tuple[int, Record | Tick]], *, topic: str, partitions: int,
    progress: Callable[[int], None] = lambda n: None,
) -> int:  # fmt: skip
    """Write entries as they come; how many records there were."""
    records = 0
    with whole_file(path) as file:
        file.write(head_line(topic, partitions))
        for partition, entry in entries:
            if isinstance(entry, Tick):
                file.write(tick_line(entry))
            else:
                file.write(record_line(partition, entry))
                records += 1
                if records % 1_000 == 0:
                    progress(records)
    return records
