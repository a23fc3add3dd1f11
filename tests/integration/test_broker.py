"""The Kafka of the tests: it carries every codec, and nothing of it outlives whoever asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams import broker as broker_module
from streams import broker_java
from streams.broker import ENVIRONMENT, Broker, BrokerError, local_kafka, start_broker

CODECS = ["gzip", "snappy", "lz4", "zstd"]
VALUES = [f'{{"event_id":"{i}"}}'.encode() * 5 for i in range(200)]


def read_with_kafka_python(kafka: str, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, consumer_timeout_ms=10_000)
    try:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek_to_beginning()
        values: list[bytes] = []
        for record in consumer:
            values.append(record.value)
            if len(values) == len(VALUES):
                break
        return values
    finally:
        consumer.close()


async def write_with_aiokafka(kafka: str, topic: str, codec: str | None) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, compression_type=codec)
    await producer.start()
    try:
        for value in VALUES:
            await producer.send(topic, value)
    finally:
        await producer.stop()


async def read_with_aiokafka(kafka: str, topic: str) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [(await consumer.getone()).value for _ in VALUES]
    finally:
        await consumer.stop()


@pytest.mark.parametrize("codec", CODECS)
async def test_aiokafka_reads_what_it_compressed(
    kafka: str, make_topic: Callable[..., str], codec: str
) -> None:
    topic = make_topic()
    await write_with_aiokafka(kafka, topic, codec)
    assert await read_with_aiokafka(kafka, topic) == VALUES


# kafka-python has gzip alone unless further packages are installed; it is here for administration.
async def test_kafka_python_reads_what_aiokafka_compressed_with_gzip(
    kafka: str, make_topic: Callable[..., str]
) -> None:
    topic = make_topic()
    await write_with_aiokafka(kafka, topic, "gzip")
    assert read_with_kafka_python(kafka, topic) == VALUES


async def test_aiokafka_reads_what_kafka_python_compressed_with_gzip(
    kafka: str, make_topic: Callable[..., str]
) -> None:
    topic = make_topic()
    producer = KafkaProducer(bootstrap_servers=kafka, compression_type="gzip")
    try:
        for value in VALUES:
            producer.send(topic, value)
        producer.flush()
    finally:
        producer.close()
    assert await read_with_aiokafka(kafka, topic) == VALUES


@pytest.mark.parametrize("codec", CODECS)
async def test_aiokafka_reads_what_the_broker_itself_compressed(
    kafka: str, make_topic: Callable[..., str], codec: str
) -> None:
    topic = make_topic(compression_type=codec)  # a broker that lacked the codec would refuse the batch
    await write_with_aiokafka(kafka, topic, None)
    assert await read_with_aiokafka(kafka, topic) == VALUES


# ---- our own Java broker; these tests start another, whatever the session has ----------------------


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_kafka: None) -> Iterator[Path]:
    """The folder in which the brokers of this test live; they come from Maven and Java."""
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.setattr(broker_module, "_container", broker_java.java_broker)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert processes_that_mention(tmp_path) == []


def processes_that_mention(folder: Path) -> list[int]:
    """The guard and Java both have their run folder on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in command and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_stopped_broker_leaves_no_process_and_no_data(own: Path) -> None:
    broker = start_broker()
    assert broker.kind == "java"
    assert len(processes_that_mention(own)) == 2
    broker.stop()
    broker.stop()  # a second time is harmless
    assert processes_that_mention(own) == []
    assert list(own.iterdir()) == []


def test_a_body_that_raises_keeps_the_log_and_says_where(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError), local_kafka(tmp_path / "kept"):
        _ = 1 / 0
    (kept,) = (tmp_path / "kept").iterdir()
    assert "Kafka Server started" in kept.read_text()
    assert str(kept) in capsys.readouterr().err


def test_a_body_that_ends_well_keeps_nothing(own: Path) -> None:
    with local_kafka(own / "kept") as broker:
        assert broker.log_path is not None
    assert list(own.iterdir()) == []


def test_a_broker_that_dies_at_its_start_is_one_line_with_the_path_of_its_log(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_java, "SHARED_PROPERTIES", {"message.max.bytes": "many"})
    with pytest.raises(BrokerError, match=r"^Kafka did not start: .*; its log is kept in (\S+)$") as error:
        start_broker(own / "kept")
    assert "\n" not in str(error.value)
    (kept,) = (own / "kept").iterdir()
    assert str(kept) in str(error.value)
    assert "message.max.bytes" in kept.read_text()


ASKS_FOR_A_BROKER = """
import tempfile, time
from pathlib import Path
from streams import broker_java
print(broker_java.java_broker(Path(tempfile.gettempdir())).bootstrap_servers, flush=True)
time.sleep(600)
"""


@pytest.fixture
def other(own: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has started a broker."""
    process = subprocess.Popen(
        [sys.executable, "-c", ASKS_FOR_A_BROKER],
        env={**os.environ, "TMPDIR": str(own)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        assert process.stdout.readline().startswith("127.0.0.1:")
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_process_that_asked_is_killed(
    own: Path, other: subprocess.Popen[str], signum: signal.Signals
) -> None:
    assert len(processes_that_mention(own)) == 2
    other.send_signal(signum)
    other.wait(20)
    assert until(lambda: processes_that_mention(own) == [])
    assert until(lambda: list(own.iterdir()) == [])


def test_java_ends_even_when_its_guard_is_killed_first(own: Path, other: subprocess.Popen[str]) -> None:
    guard, java = sorted(processes_that_mention(own), key=lambda pid: b"java" in executable(pid))
    os.kill(guard, signal.SIGKILL)
    assert until(lambda: java not in processes_that_mention(own))


def executable(pid: int) -> bytes:
    return os.path.basename(os.readlink(f"/proc/{pid}/exe")).encode()


def test_the_broker_of_the_run_answers_with_a_kind(kafka_broker: Broker) -> None:
    assert kafka_broker.kind in ("given", "container", "java")
