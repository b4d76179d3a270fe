"""A runtime's HTTP server in this process, with limits of one's own, and raw connections to it."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from auditlake.runtime.http_server import HttpServer
from auditlake.runtime.plan import Plan
from auditlake.runtime.server import listen
from auditlake.runtime.settings import Limits, Settings
from auditlake.runtime.wiring import Runtime

EVENT = b'{"eventType":"login","timestamp":"2026-11-24T03:00:00Z","actor":{"userId":"u"}}'


@dataclass(frozen=True)
class Served:
    """A runtime that is served in a thread."""

    runtime: Runtime
    server: HttpServer
    url: str
    address: tuple[str, int]
    thread: threading.Thread

    def accepted(self) -> int:
        """How many records are in the stream."""
        return int(self.runtime.buffer.counters().get("accepted.records", 0))

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(self.address, timeout=20)

    def talk(self, *parts: bytes, end: bool = True) -> bytes:
        """Send bytes over a connection of their own and read to its end; `end` says that nothing more is sent."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            if end:
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    received = b""
    while part := connection.recv(65_536):
        received += part
    return received


def statuses(received: bytes) -> list[int]:
    """The status of each answer in what was received."""
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


def detail(received: bytes) -> str:
    """The sentence of the one problem that was received."""
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, received
    content: dict[str, Any] = json.loads(body)
    return str(content["detail"])


@contextmanager
def serving(plan: Plan, data: Path, limits: Limits | None = None, token: str | None = None) -> Iterator[Served]:
    """Serve a plan without a throttle on a free port of loopback."""
    plan = replace(plan, api=replace(plan.api, throttle=None))
    settings = Settings(data, "127.0.0.1", 0, token)
    listener = listen(settings)
    port = listener.getsockname()[1]
    with Runtime(plan, settings, port) as runtime:
        server = HttpServer(runtime, listener, limits)
        thread = threading.Thread(target=server.run)
        thread.start()
        url = f"http://127.0.0.1:{port}"
        try:
            assert httpx.get(f"{url}/health").status_code == httpx.codes.OK
            yield Served(runtime, server, url, ("127.0.0.1", port), thread)
        finally:
            server.stop()
            thread.join()
