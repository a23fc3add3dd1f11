"""Reading the dead-letter topic, and sending letters back to where they came from: each once, wherever it is stopped.

A batch is one Kafka transaction: the letters to the source topic, and the note that they were redriven to the
dead-letter topic itself. So both are there or neither is, for whoever reads committed records only, as the worker and
all commands do. There is no offset of a group to go on from: what a filter left out is found by the next run.

The order that makes it safe: first `init_transactions`, which ends what a run before left open and shuts that run out
if it still lives, then the ends of the topic, then its notes. What is committed after that is only our own.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from streams import clients, security
from streams.clients import KafkaUnusableError
from streams.dead_letters import CUT, FROM, NOTE, Choice, Letter, NoteError, Redriven, encode_note, is_note
from streams.rights import transactional_id

if TYPE_CHECKING:
    from kafka import KafkaConsumer, KafkaProducer

BATCH = 500  # letters of a transaction
BATCH_BYTES = 8 << 20  # of their keys and values; the letter that goes over it still belongs to it
TRANSACTION_SECONDS = 30  # after this Kafka ends what a killed run left open, and readers of the source go on
STALLED_SECONDS = 60.0  # without a record that must be there


class Outcome:
    """What became of the letters."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()  # by reason
        self.targets: Counter[str] = Counter()  # by topic
        self.before = 0  # chosen, and redriven by an earlier run
        self.left = 0  # left out by the choice
        self.cut = 0  # chosen, but not whole
        self.homeless: list[str] = []  # PARTITION:OFFSET of the first that can't go anywhere
        self.homeless_total = 0

    def lost(self, letter: Letter) -> None:
        self.homeless_total += 1
        if len(self.homeless) < 5:
            self.homeless.append(f"{letter.partition}:{letter.offset}")


# ---- reading -----------------------------------------------------------------------------------------------


class Reader:
    """The dead letters as they are when this is made."""

    def __init__(self, consumer: KafkaConsumer, topic: str) -> None:
        self._consumer = consumer
        self.topic = topic
        self.parts = clients.partitions(consumer, topic)
        self._first = consumer.beginning_offsets(self.parts)
        self._end = consumer.end_offsets(self.parts)

    def letters(self, moved: Callable[[int], None] = lambda records: None) -> Iterator[tuple[Letter, bool]]:
        """Each letter and whether it was redriven, partition by partition. Every partition is read twice: a note stands
        anywhere behind its letters."""
        seen = 0
        for tp in self.parts:
            known = self._notes(tp)
            for record in self._records(tp, self._first[tp]):
                seen += 1
                if not is_note(record.headers):
                    yield _letter(record), record.offset in known
                if seen % 1_000 == 0:
                    moved(seen)

    def letter(self, partition: int, offset: int) -> tuple[Letter, bool]:
        """One letter, and whether it was redriven."""
        tp = next((tp for tp in self.parts if tp.partition == partition), None)
        if tp is None:
            raise KafkaUnusableError(f"{self.topic} has no partition {partition}, only {len(self.parts)} from 0 on")
        where = f"{self.topic}:{partition}:{offset}"
        record = next(self._records(tp, offset), None) if self._first[tp] <= offset < self._end[tp] else None
        if record is None or record.offset != offset:
            first, end = self._first[tp], self._end[tp]
            span = f"has offsets from {first} to {end - 1}" if first < end else "is empty"
            raise KafkaUnusableError(f"{where}: there is no dead letter; the partition {span}")
        if is_note(record.headers):
            raise KafkaUnusableError(f"{where}: is no dead letter, but the note of what was redriven; see: dlq list")
        return _letter(record), offset in self._notes(tp, offset)

    def _notes(self, tp: Any, first: int | None = None) -> Redriven:
        start = self._first[tp] if first is None else first
        known = Redriven(start, self._end[tp])
        for record in self._records(tp, start):
            if is_note(record.headers):
                try:
                    known.add(record.value)
                except NoteError as error:
                    raise NoteError(f"{self.topic}:{tp.partition}:{record.offset}: {error}") from None
        return known

    def _records(self, tp: Any, start: int) -> Iterator[Any]:
        """Committed records from `start` to the end. The position goes on over what is no record of anybody (the ends
        of transactions, and those that were aborted)."""
        reader, end = self._consumer, self._end[tp]
        reader.assign([tp])
        reader.seek(tp, start)
        heard = time.monotonic()
        while (at := reader.position(tp)) < end:
            for record in reader.poll(timeout_ms=500).get(tp, ()):
                if record.offset >= end:
                    return
                yield record
                heard = time.monotonic()
            if reader.position(tp) > at:
                heard = time.monotonic()
            elif time.monotonic() - heard > STALLED_SECONDS:
                raise KafkaUnusableError(f"{self.topic}:{tp.partition}: Kafka gives no record from {at} on")


def _letter(record: Any) -> Letter:
    return Letter(record.partition, record.offset, record.timestamp, record.key, record.value, record.headers)


@contextlib.contextmanager
def reading(servers: str, topic: str) -> Iterator[Reader]:
    with clients.kafka_errors(servers), clients.consumer(servers) as consumer:
        yield Reader(consumer, topic)


# ---- sending back ------------------------------------------------------------------------------------------


def redrive(
    servers: str, dlq: str, choice: Choice, out: Outcome, *, to: str | None = None, dry_run: bool = False,
    batch: int = BATCH, moved: Callable[[int], None] = lambda records: None,
) -> None:  # fmt: skip
    """Send the chosen letters back, and write to `out` what became of them; a letter counts once it is committed."""
    with clients.kafka_errors(servers), contextlib.ExitStack() as stack:
        writer = None if dry_run else stack.enter_context(_transactions(servers, transactional_id(dlq)))
        consumer = stack.enter_context(clients.consumer(servers))
        reader = Reader(consumer, dlq)
        routes = _Routes(consumer, dlq, to)
        letters = _waiting(reader, choice, routes, out, moved)
        for several in _batches(letters, batch, routes):
            if writer is not None:
                _send(writer, dlq, several, routes)
            for letter in several:
                out.sent[letter.reason] += 1
                out.targets[routes.topic(letter) or ""] += 1


class _Routes:
    """Where letters go: to one topic, or each to its own."""

    def __init__(self, consumer: KafkaConsumer, dlq: str, to: str | None) -> None:
        self._consumer, self._dlq, self._to = consumer, dlq, to
        self._counts: dict[str, int] = {}  # partitions of the topics that were asked for

    def topic(self, letter: Letter) -> str | None:
        origin = letter.origin
        return self._to or (origin.topic if origin else None)

    def partition(self, letter: Letter) -> int | None:
        """The very partition that it came from, whatever its producer made of the key; None: as the key says."""
        origin, topic = letter.origin, self.topic(letter)
        if origin is None or origin.topic != topic or origin.partition >= self._counts[topic]:
            return None
        return origin.partition

    def check(self, letter: Letter) -> bool:
        """Whether it has anywhere to go; a topic that isn't there is an error."""
        topic = self.topic(letter)
        if topic in (None, self._dlq) or (letter.key is None and letter.value is None):
            return False
        if topic not in self._counts:
            self._counts[topic] = len(clients.partitions(self._consumer, topic))
        return True


def _waiting(
    reader: Reader, choice: Choice, routes: _Routes, out: Outcome, moved: Callable[[int], None]
) -> Iterator[Letter]:
    """The letters that are to be redriven."""
    for letter, redriven in reader.letters(moved):
        if not choice.takes(letter):
            out.left += 1
        elif redriven:
            out.before += 1
        elif letter.header(CUT):
            out.cut += 1
        elif routes.check(letter):
            yield letter
        else:
            out.lost(letter)


def _batches(letters: Iterable[Letter], size: int, routes: _Routes) -> Iterator[list[Letter]]:
    """Of one partition and one topic each, since their note has one place and says one name."""
    held: list[Letter] = []
    weight = 0
    for letter in letters:
        apart = held and (held[0].partition != letter.partition or routes.topic(held[0]) != routes.topic(letter))
        if apart or len(held) >= size or weight >= BATCH_BYTES:
            yield held
            held, weight = [], 0
        held.append(letter)
        weight += letter.size
    if held:
        yield held


def _send(writer: KafkaProducer, dlq: str, letters: list[Letter], routes: _Routes) -> None:
    """One transaction. Stopped anywhere in here, nobody sees anything of it, or all of it is done."""
    writer.begin_transaction()
    topic = routes.topic(letters[0]) or ""
    sent = []
    for letter in letters:
        headers = [(FROM, f"{dlq}:{letter.partition}:{letter.offset}".encode())]
        sent.append(writer.send(topic, letter.value, letter.key, headers, routes.partition(letter)))
    note = encode_note(topic, (letter.offset for letter in letters))
    sent.append(writer.send(dlq, note, NOTE.encode(), [(NOTE, b"1")], letters[0].partition))
    writer.flush(timeout=TRANSACTION_SECONDS)
    for one in sent:
        if one.failed():
            raise one.exception
    writer.commit_transaction()


@contextlib.contextmanager
def _transactions(servers: str, name: str) -> Iterator[KafkaProducer]:
    """A producer that alone may use this name: a run before that still lives fails at its next step."""
    from kafka import KafkaProducer

    made = KafkaProducer(
        bootstrap_servers=servers.split(","),
        transactional_id=name,
        transaction_timeout_ms=TRANSACTION_SECONDS * 1_000,
        compression_type="lz4",
        max_request_size=4 << 20,
        bootstrap_timeout_ms=10_000,
        metrics_enabled=False,
        allow_auto_create_topics=False,
        **security.for_kafka_python(),
    )
    try:
        made.init_transactions()
        yield made
    except BaseException as error:
        # So that readers of the source need not wait until Kafka does it. In a thread, because there is no time limit.
        abort = threading.Thread(target=_abort, args=(made,), daemon=True)
        abort.start()
        abort.join(5)
        if any(fenced in str(error) for fenced in ("ProducerFenced", "InvalidProducerEpoch")):
            raise KafkaUnusableError("Another redrive has begun, and goes on with what is left") from error
        if "TransactionalIdAuthorizationFailed" in str(error):
            raise KafkaUnusableError(security.not_allowed(f"Write on the transactional-id {name}")) from error
        raise
    finally:
        made.close(timeout=5)


def _abort(writer: KafkaProducer) -> None:
    from kafka.errors import KafkaError

    with contextlib.suppress(KafkaError):  # there is none open, or none of ours any more
        writer.abort_transaction()
