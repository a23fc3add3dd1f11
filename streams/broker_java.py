"""A Kafka of our own: its jars, fetched once by Maven, run by Java under a guard (streams.broker_guard)."""

from __future__ import annotations

import base64
import contextlib
import errno
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from streams import broker_guard
from streams.broker_base import (
    SHARED_PROPERTIES,
    START_SECONDS,
    Broker,
    BrokerError,
    DidNotStartError,
    UnavailableError,
    wait_for_cluster,
)

KAFKA_VERSION = "4.3.1"
SCALA_VERSION = "2.13"
LOG4J_VERSION = "2.24.3"
JAVA_NEEDED = 17
FETCH_SECONDS = 600.0

log = logging.getLogger("ripcurrent.broker")


def _dependency(group: str, artifact: str, version: str) -> str:
    of = f"<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
    return f"<dependency>{of}</dependency>"


POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ripcurrent</groupId><artifactId>kafka-for-tests</artifactId><version>{KAFKA_VERSION}</version>
  <packaging>pom</packaging>
  <dependencies>
    {_dependency("org.apache.kafka", f"kafka_{SCALA_VERSION}", KAFKA_VERSION)}
    {_dependency("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION)}
  </dependencies>
</project>
"""

LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
"""


def node_properties(
    node: int, *, broker_port: int, controller_ports: Mapping[int, int], data: Path
) -> dict[str, str]:
    """server.properties of a KRaft node, broker and controller; `controller_ports` has those of all nodes."""
    copies = str(min(3, len(controller_ports)))
    return {
        **SHARED_PROPERTIES,
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{p}" for n, p in controller_ports.items()),
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{broker_port},CONTROLLER://127.0.0.1:{controller_ports[node]}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data),
        "default.replication.factor": copies,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": "1",
        "log.cleaner.dedupe.buffer.size": str(16 << 20),  # 128 MiB of the heap by default
    }


def java_broker(logs: Path, change: Callable[[dict[str, str]], dict[str, str]] = dict) -> Broker:
    """A Kafka from its jars. `change` is given its properties and says what they are to be; its PLAINTEXT listener must
    stay, since that tells when it is up.
    """
    java = find_java()
    libs = kafka_jars()
    for attempt in range(3):
        try:
            return _java_broker(java, libs, logs, change)
        except _PortTakenError:
            log.info("attempt %d: another process took a port that was free a moment ago", attempt + 1)
    raise BrokerError("Kafka found its port taken three times in a row: has this machine any port left?")


def find_java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    if java is None:
        raise UnavailableError("Java is not installed")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) < JAVA_NEEDED:
        raise UnavailableError(f"Java is {version[1] if version else 'broken'}, Kafka needs {JAVA_NEEDED}")
    return java


def kafka_jars() -> Path:
    """The folder with Kafka's jars, fetched by Maven if it is not in the user's cache yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ripcurrent"
    whole = cache / f"kafka-{KAFKA_VERSION}"
    if whole.is_dir():
        return whole / "libs"
    maven = shutil.which("mvn")
    if maven is None:
        raise UnavailableError("Maven is not installed")
    cache.mkdir(parents=True, exist_ok=True)
    log.info("fetching Apache Kafka %s with Maven, once (43 MB)", KAFKA_VERSION)
    # Filled under another name and renamed when whole, so that a run beside this one never sees half of it.
    part = Path(tempfile.mkdtemp(prefix=f"{whole.name}.part-", dir=cache))
    try:
        (part / "pom.xml").write_text(POM)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=libs"]
        try:
            done = subprocess.run(
                [maven, "-q", "-B", *goal], cwd=part, stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=FETCH_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as e:
            raise BrokerError(f"Maven could not fetch Kafka within {FETCH_SECONDS:.0f} s.") from e
        if done.returncode != 0:
            errors = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
            why = re.sub(r"\x1b\[[\d;]*m", "", errors[0]) if errors else f"exit code {done.returncode}"
            raise BrokerError(f"Maven could not fetch Kafka: {why}")
        try:
            part.rename(whole)
        except OSError as e:
            if e.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            # another run was faster, and what it made is the same
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return whole / "libs"


class _PortTakenError(Exception):
    pass


def _java_broker(
    java: str, libs: Path, logs: Path, change: Callable[[dict[str, str]], dict[str, str]]
) -> Broker:
    run = Path(tempfile.mkdtemp(prefix="ripcurrent-kafka-"))
    log_path = run / "kafka.log"
    broker_port, controller_port = free_ports(2)
    properties = change(
        node_properties(1, broker_port=broker_port, controller_ports={1: controller_port}, data=run / "data")
    )
    (run / "server.properties").write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
    (run / "log4j2.properties").write_text(LOG4J)
    options = [
        *("-cp", f"{libs}/*"),
        f"-Dlog4j2.configurationFile={run / 'log4j2.properties'}",
        f"-Djava.io.tmpdir={run}",  # the codecs unpack their native halves there
        "-XX:-UsePerfData",
    ]
    config = str(run / "server.properties")
    guard: subprocess.Popen[bytes] | None = None

    def stop() -> None:
        try:
            if guard is not None:
                _end_guard(guard)
        finally:
            shutil.rmtree(run, ignore_errors=True)

    address = f"127.0.0.1:{broker_port}"
    broker = Broker(address, "java", log_path=log_path, read_log=log_path.read_bytes, stop=stop)
    try:
        with log_path.open("wb") as out:
            formatted = subprocess.run(
                [java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *options,
                 "kafka.tools.StorageTool", "format", "-t", cluster_id(), "-c", config],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False,
                timeout=START_SECONDS,
            )  # fmt: skip
            if formatted.returncode != 0:
                raise DidNotStartError("its storage could not be formatted")
            guard = subprocess.Popen(
                [sys.executable, "-I", broker_guard.__file__, str(run),
                 java, "-Xms256m", "-Xmx1g", *options, "kafka.Kafka", config],
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        wait_for_cluster(broker.bootstrap_servers, START_SECONDS, guard)
    except (DidNotStartError, TimeoutError, subprocess.TimeoutExpired) as e:
        if b"Address already in use" in log_path.read_bytes():
            broker.stop()
            raise _PortTakenError from e
        kept = broker.keep_log(logs)
        broker.stop()
        raise BrokerError(f"Kafka did not start: {e}; its log is kept in {kept}") from e
    except BaseException:
        broker.stop()
        raise
    return broker


def cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "A")


def free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(n)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [int(s.getsockname()[1]) for s in sockets]


def _end_guard(guard: subprocess.Popen[bytes]) -> None:
    assert guard.stdin is not None
    guard.stdin.close()  # the guard's sign to end Java
    try:
        guard.wait(broker_guard.STOP_SECONDS + 5)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(guard.pid, signal.SIGKILL)  # its own session: Java and the guard, nobody else
        guard.wait()
