"""An Apache Kafka for the tests and the demo, whatever the machine has.

In this order: the address in ``KAFKA_BOOTSTRAP_SERVERS`` (used, never stopped); a container where a Docker
engine answers; else Kafka's own jars, fetched once by Maven and run by Java (streams.broker_java). `start_broker` gives
a `Broker`, `local_kafka` is the same as a context manager.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streams.broker_base import (
    SHARED_PROPERTIES,
    START_SECONDS,
    Broker,
    BrokerError,
    UnavailableError,
    wait_for_cluster,
)
from streams.broker_java import JAVA_NEEDED, java_broker

__all__ = ["ENVIRONMENT", "Broker", "BrokerError", "local_kafka", "start_broker"]

ENVIRONMENT = "KAFKA_BOOTSTRAP_SERVERS"
CONTAINER_IMAGE = "confluentinc/cp-kafka:7.9.0"
GIVEN_SECONDS = 15.0

log = logging.getLogger("ripcurrent.broker")


@contextlib.contextmanager
def local_kafka(keep_logs_to: Path | None = None) -> Iterator[Broker]:
    """A broker for the body of a `with`. If the body raises, the log is kept and its path is printed."""
    broker = start_broker(keep_logs_to)
    try:
        yield broker
    except BaseException:
        with contextlib.suppress(OSError):
            kept = broker.keep_log(keep_logs_to or Path(tempfile.gettempdir()))
            if kept is not None:
                print(f"Kafka's log is kept in {kept}", file=sys.stderr)
        raise
    finally:
        broker.stop()


def start_broker(keep_logs_to: Path | None = None) -> Broker:
    """The first Kafka to be had; `BrokerError` with one line when there is none."""
    given = os.environ.get(ENVIRONMENT, "").strip()
    if given:
        return _given(given)
    lacking: list[str] = []
    for way in (_container, java_broker):
        try:
            return way(keep_logs_to or Path(tempfile.gettempdir()))
        except UnavailableError as why:
            log.info("no Kafka this way: %s", why)
            lacking.append(str(why))
    raise BrokerError(
        f"No Apache Kafka to be had ({'; '.join(lacking)}): set {ENVIRONMENT} to a running one, "
        f"start a Docker engine, or install Java {JAVA_NEEDED} or newer and Maven."
    )


# ---- 1: a Kafka that is there already ----------------------------------------------------------------------


def _given(address: str) -> Broker:
    from config.security import PROTOCOL
    from streams import security

    if os.environ.get(PROTOCOL, "PLAINTEXT") != "PLAINTEXT":  # else it may still be starting
        try:
            security.reach(address)
        except (security.KafkaRefusesError, security.NobodyAnswersError) as e:
            raise BrokerError(str(e)) from e
        return Broker(address, "given")
    try:
        wait_for_cluster(address, GIVEN_SECONDS)
    except TimeoutError as e:
        raise BrokerError(f"No Kafka answers at {address} ({ENVIRONMENT}): start it or unset that.") from e
    return Broker(address, "given")


# ---- 2: a container ----------------------------------------------------------------------------------------


def _container(logs: Path) -> Broker:
    try:
        from testcontainers.community.kafka import KafkaContainer  # type: ignore[import-untyped, unused-ignore]
    except ImportError as e:
        raise UnavailableError("testcontainers is not installed") from e
    if not _docker_answers():
        raise UnavailableError("no Docker engine answers")

    container: Any = KafkaContainer(CONTAINER_IMAGE).with_kraft()
    for name, value in SHARED_PROPERTIES.items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)

    def read_log() -> bytes:
        stdout, stderr = container.get_logs()
        return bytes(stdout) + bytes(stderr)

    try:
        container.start()
        address = str(container.get_bootstrap_server())
        wait_for_cluster(address, START_SECONDS)
    except Exception as e:  # an engine without the image, without network, without room …
        log.warning("Docker answers, but its Kafka did not start: %s", e)
        with contextlib.suppress(Exception):
            container.stop()
        raise UnavailableError(f"the Docker engine could not start {CONTAINER_IMAGE}") from e
    return Broker(address, "container", read_log=read_log, stop=container.stop)


def _docker_answers() -> bool:
    import docker  # type: ignore[import-untyped]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the client forgets its socket when nobody listens
        try:
            with contextlib.closing(docker.from_env(timeout=5)) as engine:
                return bool(engine.ping())
        except Exception:  # it lets errors of requests and urllib3 through; all mean the same here
            return False
        finally:
            gc.collect()
