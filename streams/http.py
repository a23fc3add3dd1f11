"""The worker's own port: `/metrics`, `/healthz`, `/readyz`, and nothing else.

It lives in a thread of its own, so that it can say that the worker's loop hangs. The loop calls `Health.beat` every
second or so; each request reads what was said last. Everything is bounded: threads, seconds for a connection.

- `/healthz` 200: the loop answered lately, and every partition with records waiting has moved lately. 503 says to
  restart the worker. A worker that restores is healthy: the wait is for the alert on `restored_partitions`.
- `/readyz` 200: every assigned shard is restored.

Both say why in one line of JSON.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import msgspec

from streams.errors import ConfigError
from streams.metrics import CONTENT_TYPE, Metrics

__all__ = ["Health", "HttpServer", "Progress", "start_http"]

CONNECTIONS_MAX = 16  # at once; a further one gets a 503
CONNECTION_SECONDS = 5.0  # for a request and its answer
POLL_SECONDS = 0.1  # how soon `stop` and the limit of seconds are noticed
BODY_BYTES_MAX = 1 << 16

log = logging.getLogger(__name__)


class Progress(NamedTuple):
    """Where a partition stands."""

    next_offset: int  # all before it is applied
    end_offset: int  # the partition's end, as last heard

    @property
    def lag_records(self) -> int:
        return max(self.end_offset - self.next_offset, 0)


class _Said(NamedTuple):
    """What the loop said last. Replaced as a whole, so a reader in another thread needs no lock."""

    heartbeat: float  # s, monotonic
    ready: bool = False
    progress: Mapping[int, Progress] = {}
    moved: Mapping[int, float] = {}  # s, monotonic: when a partition last advanced or had nothing to do


class Health:
    """Whether the worker makes progress. `beat` is the loop's, the rest is for any thread."""

    def __init__(
        self,
        silent_seconds: float = 30.0,  # without a heartbeat: longer than the longest run and its panes
        stalled_seconds: float = 120.0,  # without progress although records wait
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.silent_seconds = silent_seconds
        self.stalled_seconds = stalled_seconds
        self._clock = clock
        self._said = _Said(clock())

    def beat(self, ready: bool, progress: Mapping[int, Progress]) -> None:
        """The loop is alive. `ready`: all assigned shards are restored; `progress` of those, by partition."""
        now, before = self._clock(), self._said
        moved = {}
        for partition, at in progress.items():
            stuck = before.ready and ready and at.lag_records and before.progress.get(partition, at)[0] == at[0]
            moved[partition] = before.moved.get(partition, now) if stuck else now
        self._said = _Said(now, ready, dict(progress), moved)

    def healthz(self) -> tuple[bool, dict[str, Any]]:
        """Whether the worker makes progress, and why it is thought so."""
        now, said = self._clock(), self._said
        age = now - said.heartbeat
        stalled = {p: now - since for p, since in said.moved.items() if said.progress[p].lag_records}
        stalled = {p: seconds for p, seconds in stalled.items() if seconds > self.stalled_seconds}
        if age > self.silent_seconds:
            why = f"the worker's loop has not answered for {age:.0f} s; at most {self.silent_seconds:g} are allowed"
        elif stalled and said.ready:
            which = ", ".join(str(p) for p in sorted(stalled))
            why = f"records wait and partitions {which} have not moved for {max(stalled.values()):.0f} s"
        else:
            lag = sum(at.lag_records for at in said.progress.values())
            why = "restoring" if not said.ready else "partitions move" if lag else "nothing to do"
            return True, {"healthy": True, "why": why, "heartbeat_age_seconds": round(age, 3), "lag_records": lag}
        return False, {"healthy": False, "why": why, "heartbeat_age_seconds": round(age, 3)}

    def readyz(self) -> tuple[bool, dict[str, Any]]:
        """Whether every assigned shard is restored."""
        said = self._said
        why = f"{len(said.progress)} partitions restored" if said.ready else "not all assigned shards are restored yet"
        return said.ready, {"ready": said.ready, "why": why}


class _Handler(BaseHTTPRequestHandler):
    timeout = CONNECTION_SECONDS
    server: HttpServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, CONTENT_TYPE, self.server.metrics.exposition())
        elif path in ("/healthz", "/readyz"):
            good, said = self.server.health.healthz() if path == "/healthz" else self.server.health.readyz()
            self._answer(200 if good else 503, "application/json", msgspec.json.encode(said) + b"\n")
        else:
            self._answer(404, "text/plain; charset=utf-8", b"here are /metrics, /healthz and /readyz\n")

    do_HEAD = do_GET  # noqa: N815

    def __getattr__(self, name: str) -> Any:
        """http.server looks for do_<method>; any that isn't above is refused with 405, not with its 501."""
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def _refuse(self) -> None:
        length = self.headers.get("Content-Length", "")
        if length.isdigit():
            self.rfile.read(min(int(length), BODY_BYTES_MAX))  # a body left unread would reset the connection
        self._answer(405, "text/plain; charset=utf-8", b"GET or HEAD\n", Allow="GET, HEAD")

    def _answer(self, status: int, content_type: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Cache-Control": "no-store", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "ripcurrent"

    def log_message(self, *_: Any) -> None:
        """Probes and scrapes are no news."""


class HttpServer(ThreadingHTTPServer):
    """Made by `start_http`; `port` is the one that was chosen."""

    daemon_threads = True
    request_queue_size = 2 * CONNECTIONS_MAX

    def __init__(self, metrics: Metrics, health: Health, host: str, port: int) -> None:
        self.metrics, self.health = metrics, health
        self._connections: dict[Any, float] = {}  # since when; the accepting thread adds, the handlers remove
        self._free = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(POLL_SECONDS,), name="http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer would ask the name service for the host's name

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            request.settimeout(0.1)
            request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        self._connections[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.pop(request, None)
            self._free.release()

    def service_actions(self) -> None:
        """At every poll: hang up on who takes too long, also one who sends a byte now and then."""
        for request, since in list(self._connections.items()):
            if time.monotonic() - since > CONNECTION_SECONDS:
                try:
                    request.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it hung up by itself

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a request failed", exc_info=True)

    def stop(self) -> None:
        """Stop serving and free the port."""
        self.shutdown()
        self.server_close()
        self._thread.join()


def start_http(metrics: Metrics, health: Health, host: str = "127.0.0.1", port: int = 9464) -> HttpServer:
    """Serve in a thread of its own; port 0 takes any free one (`.port`). `.stop()` ends it."""
    try:
        return HttpServer(metrics, health, host, port)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(f"can't serve metrics on {host}:{port}: {why}; choose another address") from None
