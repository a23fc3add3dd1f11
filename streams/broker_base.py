"""What a broker is to whoever asked for one, and whether one answers."""

from __future__ import annotations

import atexit
import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

START_SECONDS = 60.0

# What tests and the demo need of any Kafka that we start, in a container or not.
SHARED_PROPERTIES: Mapping[str, str] = {
    "auto.create.topics.enable": "false",  # a misspelt topic is an error, not a topic
    "log.retention.ms": "-1",  # retention goes by record timestamps: a recording of last year would vanish
    "message.max.bytes": "1048588",  # Kafka's default, 1 MiB and the batch's overhead
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "4",  # 50 by default, each created at the first consumer
    "transaction.state.log.num.partitions": "4",
}


class BrokerError(RuntimeError):
    """No Kafka to be had; the text is one line that says what to do."""


class UnavailableError(Exception):
    """This way of getting a Kafka does not exist on this machine; the text says what it lacks."""


class DidNotStartError(Exception):
    """A broker of our own ended before it answered; the text says how."""


class Broker:
    """A Kafka that answers. `kind` is "given", "container" or "java"."""

    def __init__(
        self,
        bootstrap_servers: str,
        kind: str,
        *,
        log_path: Path | None = None,
        read_log: Callable[[], bytes] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.kind = kind
        self.log_path = log_path  # of the running broker, later of the kept copy; None where there is no file
        self._read_log = read_log
        self._stop = stop
        if stop is not None:
            atexit.register(self.stop)

    def __repr__(self) -> str:
        return f"Broker({self.bootstrap_servers!r}, kind={self.kind!r})"

    def keep_log(self, folder: Path) -> Path | None:
        """Copy the broker's log into `folder`, before `stop`. None for a broker that was given to us."""
        if self._read_log is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / f"kafka-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        kept.write_bytes(self._read_log())
        self.log_path = kept
        return kept

    def stop(self) -> None:
        """End the broker and remove its data. Harmless when it has ended, or was never ours to end."""
        stop, self._stop, self._read_log = self._stop, None, None
        if stop is not None:
            atexit.unregister(self.stop)
            stop()


def wait_for_cluster(bootstrap: str, seconds: float, process: subprocess.Popen[bytes] | None = None) -> None:
    """Until a broker of the cluster speaks Kafka and the cluster has a broker to lead partitions."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise DidNotStartError(f"its process ended with code {process.returncode}")
        if any(speaks_kafka(address) for address in bootstrap.split(",")) and _has_brokers(bootstrap):
            return
        time.sleep(0.1)
    raise TimeoutError(f"no answer from {bootstrap} within {seconds:.0f} s")


def speaks_kafka(address: str) -> bool:
    host, _, port = address.strip().rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2) as s:
            s.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))  # ApiVersions version 0, no client id
            answer = b""
            while len(answer) < 10:
                more = s.recv(64)
                if not more:
                    return False
                answer += more
            _, correlation, error = struct.unpack(">iih", answer[:10])
            return bool(correlation == 1 and error == 0)
    except (OSError, ValueError):
        return False


def _has_brokers(bootstrap: str) -> bool:
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(
            bootstrap_servers=[a.strip() for a in bootstrap.split(",")],
            bootstrap_timeout_ms=5000,
            request_timeout_ms=5000,
        )
    except KafkaError:
        return False
    try:
        return bool(admin.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        admin.close()
