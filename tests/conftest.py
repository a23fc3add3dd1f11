"""One Apache Kafka for the whole test run, and names in it that no two tests share."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from streams.broker import Broker, start_broker

LOGS = Path(__file__).parent.parent / ".kafka"  # where the broker's log goes when a test failed
_kept_log = pytest.StashKey[Path]()


settings.register_profile("untimed", deadline=None)  # no test is timed: a busy machine is no mistake
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "kafka_broker" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)


def pytest_collection_finish() -> None:
    """What is imported and collected stays to the end: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # a test makes many small tuples that are no cycles


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if (kept := config.stash.get(_kept_log, None)) is not None:
        terminalreporter.write_line(f"Kafka's log is kept in {kept}")


@pytest.fixture(scope="session")
def kafka_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """The broker itself; most tests want only its address, the fixture `kafka`."""
    broker = start_broker(LOGS)
    try:
        yield broker
        if request.session.testsfailed and (kept := broker.keep_log(LOGS)) is not None:
            request.config.stash[_kept_log] = kept
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def kafka(kafka_broker: Broker) -> str:
    """The bootstrap address of an Apache Kafka that answers."""
    return kafka_broker.bootstrap_servers


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> Iterator[str]:
    """A prefix for the names of topics and groups, of this test alone."""
    prefix = f"t{uuid.uuid4().hex[:10]}-"
    yield prefix
    broker = request.getfixturevalue("kafka_broker") if "kafka_broker" in request.fixturenames else None
    if broker is not None and broker.kind == "given":  # a broker of our own goes with its topics
        from kafka.admin import KafkaAdminClient

        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers.split(","))
        try:
            if ours := [name for name in admin.list_topics() if name.startswith(prefix)]:
                admin.delete_topics(ours)
        finally:
            admin.close()


@pytest.fixture
def topic_name(topic_prefix: str) -> str:
    """A name that no other test uses; the topic does not exist yet (see `make_topic`)."""
    return f"{topic_prefix}topic"


@pytest.fixture
def make_topic(kafka: str, topic_prefix: str) -> Callable[..., str]:
    """make_topic("events", partitions=4, **config) creates a topic of this test and returns its full name."""
    from kafka.admin import KafkaAdminClient

    def make(name: str = "topic", partitions: int = 1, **config: str) -> str:
        full = topic_prefix + name
        options = {
            "num_partitions": partitions,
            "replication_factor": 1,
            "configs": {key.replace("_", "."): value for key, value in config.items()},
        }
        admin = KafkaAdminClient(bootstrap_servers=kafka.split(","))
        try:
            admin.create_topics({full: options}, wait_for_metadata=True)
        finally:
            admin.close()
        return full

    return make
