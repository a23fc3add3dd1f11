"""Recordings: what stood on the topics, as JSON Lines, plain or gzip. The form of each line:

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
import gzip
import os
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from streams.columns import Record
from streams.errors import RipcurrentError
from streams.records import RECORD_BYTES_MAX
from streams.ticks import Tick, valid

VERSION = 1
TOPIC = "creator-events"
LINE_BYTES_MAX = 4 << 20  # a longer line is no record of ours; of a plain event only so much is kept, to be refused
KEPT_BYTES = 2 * RECORD_BYTES_MAX  # of a key or a value; a larger one is a dead letter however large, and its line one
GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"


class RecordingError(RipcurrentError):
    """The file can't be read as events or as a recording: which, where, and what to do."""


class NoRecordingError(RecordingError):
    """There is no such file."""


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


# ---- reading -----------------------------------------------------------------------------------------------

Kind = Literal["events", "recording"]


class _Head(msgspec.Struct, forbid_unknown_fields=True):
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
    recording: _Head | None = None


class _Creator(msgspec.Struct):
    creator_id: str


class _Probe(msgspec.Struct):
    """Enough of a first line to tell what the file is."""

    recording: Any = None
    tick: Any = None
    offset: Any = None
    event_id: Any = None


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_creator = msgspec.json.Decoder(_Creator).decode
_decode_probe = msgspec.json.Decoder(_Probe).decode


class Recording:
    """A file of events or a recording. `entries` may be called again and again."""

    def __init__(self, path: Path, partitions: int = 4) -> None:
        if partitions < 1:
            raise RecordingError(f"partitions is {partitions}; expected 1 or more")
        self.path = path
        self.partitions = partitions  # over which plain events are spread; a recording has its own
        self.topic = TOPIC
        self.kind: Kind = "events"
        self.bytes_read = 0  # of the file as it lies on the disk, by the newest `entries`
        self.ticks_void = 0
        try:
            self.bytes_total = path.stat().st_size
        except FileNotFoundError:
            raise NoRecordingError(f"{path}: there is no such file; is the path right?") from None
        except OSError as error:
            raise RecordingError(f"{path}: can't be read: {error.strerror}") from None
        if path.is_dir():
            raise NoRecordingError(f"{path}: is a folder; expected a file of events, one JSON object a line")
        if not path.is_file():
            raise NoRecordingError(f"{path}: is a pipe or a device; expected a file, since it is read more than once")
        self._recognise()

    def _recognise(self) -> None:
        first = next((line for _, line in self._lines()), None)
        if first is None:
            raise RecordingError(f"{self.path}: is empty; expected events, one JSON object a line")
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            probe = _decode_probe(first)
            ours = probe.recording, probe.tick, probe.offset
            if probe.event_id is None and any(what is not None for what in ours):
                self.kind = "recording"

    def entries(self) -> Iterator[tuple[int, Record | Tick]]:
        """(partition, record or tick), each partition in its own order."""
        return self._events() if self.kind == "events" else self._recorded()

    def _events(self) -> Iterator[tuple[int, Record | Tick]]:
        ordinals: defaultdict[int, int] = defaultdict(int)
        for _, line in self._lines():
            key = _key_of(line)
            partition = 0 if key is None else partition_of(key, self.partitions)
            yield partition, Record(ordinals[partition], key, line)
            ordinals[partition] += 1

    def _recorded(self) -> Iterator[tuple[int, Record | Tick]]:
        ticks = self._ticks()
        newest: dict[int, int] = {}
        for number, line in self._lines():
            parsed = self._parse(number, line)
            if parsed.tick is not None or parsed.recording is not None:
                continue
            partition, record = parsed.partition, self._record(number, parsed)
            if record.offset <= newest.get(partition, -1):
                raise RecordingError(
                    f"{self.path}: line {number}: offset {record.offset} of partition {partition} comes after "
                    f"{newest[partition]}; expected the records of a partition in order of offset"
                )
            due = ticks.get(partition)
            while due and due[-1].after_offset < record.offset:
                yield partition, due.pop()
            newest[partition] = record.offset
            yield partition, record
        for partition, last in sorted(newest.items()):
            due = ticks.get(partition)
            while due and due[-1].after_offset <= last:  # those behind it follow records that are not here
                yield partition, due.pop()

    def _ticks(self) -> dict[int, list[Tick]]:
        """The ticks that count, by partition, the first one last."""
        found: defaultdict[int, list[Tick]] = defaultdict(list)
        for number, line in self._lines():
            if line.find(b'"tick"', 0, 64) >= 0 or line.find(b'"recording"', 0, 64) >= 0:
                parsed = self._parse(number, line)
                if parsed.recording is not None:
                    self._begin(parsed.recording)
                if parsed.tick is not None:
                    found[parsed.tick.partition].append(parsed.tick)
        kept = {partition: [tick for _, tick in valid(enumerate(ticks))] for partition, ticks in found.items()}
        moving = sum(tick.moves for ticks in found.values() for tick in ticks)
        self.ticks_void = moving - sum(map(len, kept.values()))
        return {partition: ticks[::-1] for partition, ticks in kept.items()}

    def _begin(self, head: _Head) -> None:
        if head.version != VERSION:
            raise RecordingError(f"{self.path}: is a recording of version {head.version}; this program reads {VERSION}")
        self.topic = head.topic

    def head(self) -> None:
        """Learn the topic that was recorded, without reading further."""
        if self.kind == "recording":
            number, line = next(self._lines())
            if (head := self._parse(number, line).recording) is not None:
                self._begin(head)

    def _parse(self, number: int, line: bytes) -> _Line:
        try:
            return _decode_line(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecordingError(f"{self.path}: line {number}: is no line of a recording: {error}") from None

    def _record(self, number: int, line: _Line) -> Record:
        if line.partition < 0 or line.offset < 0:
            raise RecordingError(f"{self.path}: line {number}: expected a partition and an offset, 0 or more")
        try:
            key, value = _bytes(line.key, line.key_base64), _bytes(line.value, line.value_base64)
        except ValueError:
            raise RecordingError(f"{self.path}: line {number}: expected base64") from None
        return Record(line.offset, key, value, line.timestamp)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """(number, line without its end) of all lines that are not blank."""
        self.bytes_read = 0
        try:
            with self.path.open("rb") as raw, _opened(raw) as file:
                for number, line in enumerate(_long_lines(file), 1):
                    if number % 1024 == 0:
                        self.bytes_read = raw.tell()
                    text = (line.removeprefix(BOM) if number == 1 else line).rstrip(b"\r\n")
                    if text and not text.isspace():
                        yield number, text
                self.bytes_read = self.bytes_total
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            why = str(error).rstrip(".") or type(error).__name__
            raise RecordingError(f"{self.path}: is broken gzip ({why}); was it copied whole?") from None
        except OSError as error:
            raise RecordingError(f"{self.path}: can't be read: {error.strerror or error}") from None


@contextlib.contextmanager
def _opened(raw: IO[bytes]) -> Iterator[IO[bytes]]:
    start = raw.read(2)
    raw.seek(0)
    if start == GZIP:
        with gzip.GzipFile(fileobj=raw) as file:
            yield file  # type: ignore[misc]
    else:
        yield raw


def _long_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines, cut at LINE_BYTES_MAX: a file without line ends must not fill the memory."""
    while line := file.readline(LINE_BYTES_MAX):
        if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
            while (rest := file.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                pass
        yield line


def _key_of(line: bytes) -> bytes | None:
    """The key that its producer gave this event; None where there is no creator_id, which is a bad record anyway."""
    try:
        return _decode_creator(line).creator_id.encode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


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


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name when it is complete, and not at all when the body raises. Gzip where the
    name ends in .gz, with nothing of the clock or the name in its header.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
                    yield file  # type: ignore[misc]
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
