"""A cluster to strike, for the tests that need more than one broker."""

from collections.abc import Iterator

import pytest

from streams import broker
from tests.integration.cluster import Cluster, cluster_of_three


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three brokers of our own: nobody else's is killed."""
    try:
        broker._find_java()
        broker.kafka_jars()
    except broker._UnavailableError as lacking:
        pytest.skip(f"no cluster of our own: {lacking}")
    with cluster_of_three() as three:
        yield three
