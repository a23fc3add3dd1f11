"""The port: metrics, and health that means progress."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from config.catalogue import load
from config.schema import Catalogue
from streams.errors import ConfigError
from streams.http import CONNECTIONS_MAX, Health, HttpServer, Progress, start_http
from streams.metrics import CONTENT_TYPE, Metrics
from tests.test_metrics import samples


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


@pytest.fixture
def metrics(catalogue: Catalogue) -> Metrics:
    return Metrics(catalogue)


class Steady:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def steady() -> Steady:
    return Steady()


@pytest.fixture
def health(steady: Steady) -> Health:
    return Health(silent_seconds=30, stalled_seconds=120, clock=steady)


@pytest.fixture
def server(metrics: Metrics, health: Health) -> Iterator[HttpServer]:
    server = start_http(metrics, health, port=0)
    yield server
    server.stop()


def ask(
    server: HttpServer, path: str, method: str = "GET", body: bytes | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def said(server: HttpServer, path: str) -> tuple[int, dict[str, object]]:
    status, headers, body = ask(server, path)
    assert headers["Content-Type"] == "application/json"
    assert body.endswith(b"\n")
    assert body.count(b"\n") == 1
    return status, json.loads(body)


def test_metrics_are_served_as_prometheus_text(server: HttpServer, metrics: Metrics) -> None:
    metrics.fed(600, 0.004)
    status, headers, body = ask(server, "/metrics?from=test")
    assert (status, headers["Content-Type"], headers["Server"]) == (200, CONTENT_TYPE, "ripcurrent")
    assert int(headers["Content-Length"]) == len(body)
    assert samples(body.decode())["ripcurrent_records_total", frozenset()] == 600


def test_it_listens_on_loopback_on_a_port_that_it_tells(server: HttpServer) -> None:
    assert server.server_address == ("127.0.0.1", server.port)
    assert server.port > 0


@pytest.mark.parametrize("path", ["/", "/metrics/", "/healthz/x", "/debug", "/METRICS", "/%2e%2e/metrics"])
def test_anything_else_is_not_there(server: HttpServer, path: str) -> None:
    assert ask(server, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_only_reading_is_allowed(server: HttpServer, method: str) -> None:
    status, headers, _ = ask(server, "/metrics", method, b"x" * 1_000 if method in ("POST", "PUT") else None)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head_answers_without_a_body(server: HttpServer) -> None:
    status, headers, body = ask(server, "/healthz", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0


def test_a_worker_that_begins_is_healthy_but_not_ready(server: HttpServer, health: Health) -> None:
    assert said(server, "/healthz") == (
        200,
        {"healthy": True, "why": "restoring", "heartbeat_age_seconds": 0, "lag_records": 0},
    )
    assert said(server, "/readyz") == (503, {"ready": False, "why": "not all assigned shards are restored yet"})
    health.beat(True, {0: Progress(5, 5), 1: Progress(0, 0)})
    assert said(server, "/readyz") == (200, {"ready": True, "why": "2 partitions restored"})
    assert said(server, "/healthz")[1]["why"] == "nothing to do"
    health.beat(False, {0: Progress(5, 5)})  # a rebalance brought another partition
    assert said(server, "/readyz")[0] == 503


def test_a_loop_that_does_not_answer_is_unhealthy(server: HttpServer, health: Health, steady: Steady) -> None:
    health.beat(True, {0: Progress(5, 5)})
    steady.at += 29
    assert said(server, "/healthz")[0] == 200
    steady.at += 2
    status, body = said(server, "/healthz")
    assert (status, body["healthy"]) == (503, False)
    assert body["why"] == "the worker's loop has not answered for 31 s; at most 30 are allowed"
    health.beat(True, {0: Progress(5, 5)})
    assert said(server, "/healthz")[0] == 200


def beats(health: Health, steady: Steady, seconds: int, progress: dict[int, Progress], ready: bool = True) -> None:
    for _ in range(seconds):
        steady.at += 1
        health.beat(ready, progress)


def test_a_partition_that_stands_still_while_records_wait_is_unhealthy_although_the_loop_answers(
    server: HttpServer, health: Health, steady: Steady
) -> None:
    beats(health, steady, 60, {0: Progress(5, 9), 1: Progress(7, 7)})
    assert said(server, "/healthz")[0] == 200
    beats(health, steady, 62, {0: Progress(5, 20), 1: Progress(7, 7)})
    status, body = said(server, "/healthz")
    assert status == 503
    assert body["why"] == "records wait and partitions 0 have not moved for 121 s"
    beats(health, steady, 1, {0: Progress(6, 20), 1: Progress(7, 7)})
    assert said(server, "/healthz") == (
        200,
        {"healthy": True, "why": "partitions move", "heartbeat_age_seconds": 0, "lag_records": 14},
    )


def test_a_partition_with_nothing_to_do_is_healthy_for_ever(health: Health, steady: Steady) -> None:
    beats(health, steady, 1_000, {0: Progress(7, 7)})
    beats(health, steady, 100, {0: Progress(7, 8)})  # its first new record is not late by the silence before
    assert health.healthz()[0]


def test_partitions_that_wait_for_a_restore_are_not_stalled(health: Health, steady: Steady) -> None:
    beats(health, steady, 100, {0: Progress(5, 9)})
    beats(health, steady, 500, {0: Progress(5, 9)}, ready=False)
    assert health.healthz()[0]
    beats(health, steady, 100, {0: Progress(5, 9)})
    assert health.healthz()[0]  # its time begins anew
    beats(health, steady, 30, {0: Progress(5, 9)})
    assert not health.healthz()[0]


def test_a_request_that_never_ends_is_hung_up_on_and_others_are_served_meanwhile(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.http.CONNECTION_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
        slow.sendall(b"GET /met")
        assert ask(server, "/healthz")[0] == 200
        assert slow.recv(100) == b""


def test_more_connections_than_allowed_are_told_so_and_the_port_recovers(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(CONNECTIONS_MAX)]
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as one_more:
            assert one_more.recv(100).startswith(b"HTTP/1.0 503 ")
    finally:
        for connection in held:
            connection.close()
    deadline = time.monotonic() + 10
    while ask(server, "/healthz")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_port_that_is_taken_is_one_line_that_says_so(server: HttpServer, metrics: Metrics, health: Health) -> None:
    with pytest.raises(ConfigError, match=f"^can't serve metrics on 127.0.0.1:{server.port}: Address already in use"):
        start_http(metrics, health, port=server.port)


def test_after_stop_the_port_is_free(metrics: Metrics, health: Health) -> None:
    server = start_http(metrics, health, port=0)
    server.stop()
    start_http(metrics, health, port=server.port).stop()
