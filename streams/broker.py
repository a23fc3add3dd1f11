"""An Apache Kafka for the tests and the demo, whatever the machine has.

In this order: the address in ``KAFKA_BOOTSTRAP_SERVERS`` (used, never stopped); a container where a Docker
engine answers; else Kafka's own jars, fetched once by Maven and run by Java. `start_broker` gives a `Broker`,
`local_kafka` is the same as a context manager.

The broker must not outlive the process that asked for it, not even when that is killed with -9. So Java is
not our child but the child of a guard (this file run as a script, standard library only) that holds one end
of a pipe: when the pipe closes, the guard ends Java and removes its data. Should the guard be killed, the
kernel ends Java.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import ctypes
import errno
import gc
import logging
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

ENVIRONMENT = "KAFKA_BOOTSTRAP_SERVERS"
KAFKA_VERSION = "4.3.1"
SCALA_VERSION = "2.13"
LOG4J_VERSION = "2.24.3"
CONTAINER_IMAGE = "confluentinc/cp-kafka:7.9.0"
JAVA_NEEDED = 17

START_SECONDS = 60.0
STOP_SECONDS = 10.0
FETCH_SECONDS = 600.0
GIVEN_SECONDS = 15.0

log = logging.getLogger("ripcurrent.broker")


class BrokerError(RuntimeError):
    """No Kafka to be had; the text is one line that says what to do."""


class _UnavailableError(Exception):
    """This way of getting a Kafka does not exist on this machine; the text says what it lacks."""


# ---- what a broker is to its users -------------------------------------------------------------------------


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
    for way in (_container, _java):
        try:
            return way(keep_logs_to or Path(tempfile.gettempdir()))
        except _UnavailableError as why:
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
        _wait_for_cluster(address, GIVEN_SECONDS)
    except TimeoutError as e:
        raise BrokerError(f"No Kafka answers at {address} ({ENVIRONMENT}): start it or unset that.") from e
    return Broker(address, "given")


# ---- 2: a container ----------------------------------------------------------------------------------------


def _container(logs: Path) -> Broker:
    try:
        from testcontainers.community.kafka import KafkaContainer  # type: ignore[import-untyped, unused-ignore]
    except ImportError as e:
        raise _UnavailableError("testcontainers is not installed") from e
    if not _docker_answers():
        raise _UnavailableError("no Docker engine answers")

    container: Any = KafkaContainer(CONTAINER_IMAGE).with_kraft()
    for name, value in SHARED_PROPERTIES.items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)

    def read_log() -> bytes:
        stdout, stderr = container.get_logs()
        return bytes(stdout) + bytes(stderr)

    try:
        container.start()
        address = str(container.get_bootstrap_server())
        _wait_for_cluster(address, START_SECONDS)
    except Exception as e:  # an engine without the image, without network, without room …
        log.warning("Docker answers, but its Kafka did not start: %s", e)
        with contextlib.suppress(Exception):
            container.stop()
        raise _UnavailableError(f"the Docker engine could not start {CONTAINER_IMAGE}") from e
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


# ---- 3: Maven and Java -------------------------------------------------------------------------------------


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

# What tests and the demo need of any Kafka that we start, in a container or not.
SHARED_PROPERTIES: Mapping[str, str] = {
    "auto.create.topics.enable": "false",  # a misspelt topic is an error, not a topic
    "log.retention.ms": "-1",  # retention goes by record timestamps: a recording of last year would vanish
    "message.max.bytes": "1048588",  # Kafka's default, 1 MiB and the batch's overhead
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "4",  # 50 by default, each created at the first consumer
    "transaction.state.log.num.partitions": "4",
}


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


def _java(logs: Path) -> Broker:
    return java_broker(logs)


def java_broker(logs: Path, change: Callable[[dict[str, str]], dict[str, str]] = dict) -> Broker:
    """A Kafka from its jars. `change` is given its properties and says what they are to be; its PLAINTEXT listener must
    stay, since that tells when it is up.
    """
    java = _find_java()
    libs = kafka_jars()
    for attempt in range(3):
        try:
            return _java_broker(java, libs, logs, change)
        except _PortTakenError:
            log.info("attempt %d: another process took a port that was free a moment ago", attempt + 1)
    raise BrokerError("Kafka found its port taken three times in a row: has this machine any port left?")


def _find_java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    if java is None:
        raise _UnavailableError("Java is not installed")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) < JAVA_NEEDED:
        raise _UnavailableError(f"Java is {version[1] if version else 'broken'}, Kafka needs {JAVA_NEEDED}")
    return java


def kafka_jars() -> Path:
    """The folder with Kafka's jars, fetched by Maven if it is not in the user's cache yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ripcurrent"
    whole = cache / f"kafka-{KAFKA_VERSION}"
    if whole.is_dir():
        return whole / "libs"
    maven = shutil.which("mvn")
    if maven is None:
        raise _UnavailableError("Maven is not installed")
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
    broker_port, controller_port = _free_ports(2)
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
                 "kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", config],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False,
                timeout=START_SECONDS,
            )  # fmt: skip
            if formatted.returncode != 0:
                raise _DidNotStartError("its storage could not be formatted")
            guard = subprocess.Popen(
                [sys.executable, "-I", __file__, str(run),
                 java, "-Xms256m", "-Xmx1g", *options, "kafka.Kafka", config],
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        _wait_for_cluster(broker.bootstrap_servers, START_SECONDS, guard)
    except (_DidNotStartError, TimeoutError, subprocess.TimeoutExpired) as e:
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


class _DidNotStartError(Exception):
    pass


def _cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "A")


def _free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(n)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [int(s.getsockname()[1]) for s in sockets]


# ---- the guard ---------------------------------------------------------------------------------------------


def _end_guard(guard: subprocess.Popen[bytes]) -> None:
    assert guard.stdin is not None
    guard.stdin.close()  # the guard's sign to end Java
    try:
        guard.wait(STOP_SECONDS + 5)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(guard.pid, signal.SIGKILL)  # its own session: Java and the guard, nobody else
        guard.wait()


def _guard(run: Path, command: list[str]) -> int:
    """Run `command` until it ends, our parent ends, or the pipe that is our standard input is closed."""
    parent = os.getppid()
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)  # Linux only

    def die_with_guard() -> None:
        if prctl is not None:
            prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    def end(signum: int, frame: FrameType | None) -> None:
        sys.exit(128 + signum)

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, end)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_guard)
    try:
        while child.poll() is None and os.getppid() == parent:
            readable, _, _ = select.select([0], [], [], 0.2)
            if readable and os.read(0, 1) == b"":
                break
        ended_itself = child.poll()
    finally:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        # An orphan's data and log are nobody's; else the log is still the parent's to keep.
        shutil.rmtree(run if os.getppid() != parent else run / "data", ignore_errors=True)
    return ended_itself or 0


# ---- does it answer? ---------------------------------------------------------------------------------------


def _wait_for_cluster(bootstrap: str, seconds: float, process: subprocess.Popen[bytes] | None = None) -> None:
    """Until a broker of the cluster speaks Kafka and the cluster has a broker to lead partitions."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise _DidNotStartError(f"its process ended with code {process.returncode}")
        if any(_speaks_kafka(address) for address in bootstrap.split(",")) and _has_brokers(bootstrap):
            return
        time.sleep(0.1)
    raise TimeoutError(f"no answer from {bootstrap} within {seconds:.0f} s")


def _speaks_kafka(address: str) -> bool:
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


if __name__ == "__main__":
    sys.exit(_guard(Path(sys.argv[1]), sys.argv[2:]))
