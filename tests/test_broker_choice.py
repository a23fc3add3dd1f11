"""Which Kafka is taken, and what is said when there is none."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams import broker
from streams.broker import ENVIRONMENT, Broker, BrokerError, local_kafka, start_broker
from streams.broker_base import UnavailableError
from streams.broker_java import KAFKA_VERSION, kafka_jars, node_properties


@pytest.fixture(autouse=True)
def _no_given_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ways that were tried; none of them works unless a test says so."""
    tried: list[str] = []

    def fail(name: str, attribute: str) -> None:
        def way(logs: Path) -> Broker:
            tried.append(name)
            raise UnavailableError(f"no {name}")

        monkeypatch.setattr(broker, attribute, way)

    fail("container", "_container")
    fail("java", "java_broker")
    return tried


def test_an_address_in_the_environment_is_used_and_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    monkeypatch.setenv(ENVIRONMENT, "kafka.example:9092")
    monkeypatch.setattr(broker, "wait_for_cluster", lambda *_: None)
    with local_kafka() as given:
        assert (given.bootstrap_servers, given.kind) == ("kafka.example:9092", "given")
        assert given.keep_log(Path("nowhere")) is None
    assert asked == []


def test_an_address_in_the_environment_at_which_nothing_answers_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], nobody: str
) -> None:
    monkeypatch.setenv(ENVIRONMENT, nobody)
    monkeypatch.setattr(broker, "GIVEN_SECONDS", 0.3)
    with pytest.raises(BrokerError, match=f"^No Kafka answers at {nobody} .*{ENVIRONMENT}"):
        start_broker()
    assert asked == []  # a mistaken address is never papered over with another broker


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that is taken but at which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{s.getsockname()[1]}"


def test_an_empty_address_counts_as_none(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    monkeypatch.setenv(ENVIRONMENT, "  ")
    with pytest.raises(BrokerError):
        start_broker()
    assert asked == ["container", "java"]


def test_a_container_comes_before_java(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    monkeypatch.setattr(broker, "_container", lambda logs: Broker("c:1", "container"))
    assert start_broker().kind == "container"
    assert asked == []


def test_java_is_taken_where_no_docker_engine_answers(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    monkeypatch.setattr(broker, "java_broker", lambda logs: Broker("j:1", "java"))
    assert start_broker().kind == "java"
    assert asked == ["container"]


def test_no_way_at_all_is_one_line_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(broker, "_docker_answers", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BrokerError) as error:
        start_broker()
    assert str(error.value) == (
        "No Apache Kafka to be had (no Docker engine answers; Java is not installed): "
        "set KAFKA_BOOTSTRAP_SERVERS to a running one, start a Docker engine, "
        "or install Java 17 or newer and Maven."
    )


def script(path: Path, text: str) -> Path:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of programs before all others, an empty cache, no Docker."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(broker, "_docker_answers", lambda: False)
    return folder


def test_a_java_too_old_for_kafka_is_named(programs: Path) -> None:
    script(programs / "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    with pytest.raises(BrokerError, match=r"Java is 11, Kafka needs 17"):
        start_broker()


def test_what_maven_complained_of_is_in_the_one_line_and_no_half_cache_stays(
    programs: Path, tmp_path: Path
) -> None:
    script(programs / "mvn", "mkdir libs; touch libs/half.jar; echo '[ERROR] no route to host'; exit 1")
    with pytest.raises(BrokerError, match=r"^Maven could not fetch Kafka: \[ERROR\] no route to host$"):
        kafka_jars()
    assert list((tmp_path / "cache" / "ripcurrent").iterdir()) == []


def test_the_jars_are_fetched_once(programs: Path, tmp_path: Path) -> None:
    script(programs / "mvn", f"echo x >> {tmp_path}/calls; mkdir libs; touch libs/kafka.jar")
    for _ in range(2):
        assert [jar.name for jar in kafka_jars().iterdir()] == ["kafka.jar"]
    assert (tmp_path / "calls").read_text() == "x\n"


def test_a_run_that_was_slower_than_another_takes_what_the_other_fetched(
    programs: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "cache" / "ripcurrent" / f"kafka-{KAFKA_VERSION}"
    script(
        programs / "mvn",
        f"mkdir libs; touch libs/slow.jar; mkdir -p {whole}/libs; touch {whole}/libs/fast.jar",
    )
    assert [jar.name for jar in kafka_jars().iterdir()] == ["fast.jar"]
    assert [path.name for path in whole.parent.iterdir()] == [whole.name]


def test_a_nodes_properties_follow_from_how_many_nodes_there_are(tmp_path: Path) -> None:
    one = node_properties(1, broker_port=1000, controller_ports={1: 2000}, data=tmp_path)
    three = node_properties(2, broker_port=1001, controller_ports={1: 2000, 2: 2001, 3: 2002}, data=tmp_path)
    assert one["controller.quorum.voters"] == "1@127.0.0.1:2000"
    assert one["offsets.topic.replication.factor"] == "1"
    assert one["auto.create.topics.enable"] == "false"
    assert three["controller.quorum.voters"] == "1@127.0.0.1:2000,2@127.0.0.1:2001,3@127.0.0.1:2002"
    assert three["listeners"] == "PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:2001"
    assert three["offsets.topic.replication.factor"] == "3"
