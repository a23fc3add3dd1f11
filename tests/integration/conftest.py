"""Brokers of our own, for the tests that strike them, begin before them, or need more than one."""

import signal
from collections.abc import Iterator

import pytest

from streams.broker_base import UnavailableError
from streams.broker_java import find_java, kafka_jars
from tests.integration.cluster import Cluster, cluster_of_three

# Begun in a shell's background we would ignore SIGINT, and so would the processes whose end by Ctrl-C is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def own_kafka() -> None:
    """Java and Kafka themselves; where the tests' Kafka comes from elsewhere, these tests can't be had."""
    try:
        find_java()
        kafka_jars()
    except UnavailableError as lacking:
        pytest.skip(f"no broker of our own: {lacking}")


@pytest.fixture(scope="session")
def cluster(own_kafka: None) -> Iterator[Cluster]:
    """Three brokers of our own: nobody else's is killed."""
    with cluster_of_three() as three:
        yield three
