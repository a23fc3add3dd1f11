"""Three Kafka brokers as processes of our own, to be killed, hung and started again: `streams.broker` has the jars and
the properties of a node."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from streams.broker_base import speaks_kafka
from streams.broker_java import LOG4J, cluster_id, find_java, free_ports, kafka_jars, node_properties

NODES = (1, 2, 3)
PROPERTIES = {
    "broker.session.timeout.ms": "6000",  # a broker that hangs is out after this, 9 s by default
    "log.segment.bytes": str(16 << 20),  # compaction leaves the newest segment alone, by default 1 GiB
    "log.cleaner.min.cleanable.ratio": "0.2",
    "log.cleaner.backoff.ms": "3000",
}
START_SECONDS = 90.0  # for any of it, on a busy machine


def _die_with_parent() -> None:
    """No broker outlives the tests, not even when they are killed (Linux only)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Node:
    """One broker, which votes as a controller too. Started by the main thread only: it ends with its thread."""

    def __init__(self, number: int, folder: Path, properties: Mapping[str, str]) -> None:
        self.number = number
        self._folder = folder
        folder.mkdir()
        (folder / "server.properties").write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
        (folder / "log4j2.properties").write_text(LOG4J)
        self._process: subprocess.Popen[bytes] | None = None

    def _command(self, memory: str, *what: str) -> list[str]:
        java, libs = find_java(), kafka_jars()
        flags = [memory, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"]
        logging = f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}"
        return [java, *flags, logging, f"-Djava.io.tmpdir={self._folder}", "-cp", f"{libs}/*", *what]

    def format(self, cluster: str) -> None:
        config = str(self._folder / "server.properties")
        what = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", config)
        subprocess.run(self._command("-Xmx128m", *what), check=True, capture_output=True, timeout=START_SECONDS)

    def start(self) -> None:
        """Begin, or begin again with the same data. Returns at once."""
        what = ("kafka.Kafka", str(self._folder / "server.properties"))
        with (self._folder / "kafka.log").open("ab") as out:
            self._process = subprocess.Popen(
                self._command("-Xmx384m", *what), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=_die_with_parent,
            )  # fmt: skip

    def _signal(self, what: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, what)

    def kill(self) -> None:
        """As a machine that loses power would, but that its disk is whole."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)

    def hang(self) -> None:
        """Its connections stay open, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)


class Cluster:
    """Three nodes; `nodes` to strike one."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(6)
        self.ports, voters = ports[:3], dict(zip(NODES, ports[3:], strict=True))
        self.bootstrap_servers = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.nodes = []
        for number, port in zip(NODES, self.ports, strict=True):
            data = folder / f"node-{number}"
            properties = node_properties(number, broker_port=port, controller_ports=voters, data=data / "data")
            self.nodes.append(Node(number, data, {**properties, **PROPERTIES}))

    def start(self) -> None:
        """Format and start them all; returns when each is a member and answers."""
        cluster = cluster_id()
        for node in self.nodes:
            node.format(cluster)
            node.start()
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Until all three are members, and every partition has all its copies again."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(KafkaError, OSError):
                if self._whole():
                    return
            time.sleep(0.5)
        raise TimeoutError(f"the cluster is not whole after {START_SECONDS:g} s")

    def _whole(self) -> bool:
        if not all(speaks_kafka(f"127.0.0.1:{port}") for port in self.ports):
            return False
        admin = KafkaAdminClient(
            bootstrap_servers=self.bootstrap_servers.split(","), bootstrap_timeout_ms=5_000, request_timeout_ms=5_000
        )
        try:
            if len(admin.describe_cluster()["brokers"]) < len(self.nodes):
                return False
            topics = admin.describe_topics(list(admin.list_topics()))
            parts = [part for topic in topics for part in topic["partitions"]]
            return all(len(part["isr_nodes"]) == len(part["replica_nodes"]) for part in parts)
        finally:
            admin.close()

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


@contextlib.contextmanager
def cluster_of_three() -> Iterator[Cluster]:
    """A cluster for the body of a `with`, and its data gone after it."""
    folder = Path(tempfile.mkdtemp(prefix="ripcurrent-cluster-"))
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
