"""The two HTTP servers of a runtime in one event loop: its API for everybody, and the wire for its functions."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
import uvloop

from auditlake.runtime.asgi import Asgi
from auditlake.runtime.exchange import Front, OpenRequests
from auditlake.runtime.http_protocol import with_limits
from auditlake.runtime.settings import Limits, default_limits
from auditlake.runtime.wiring import Runtime

OPEN_REQUESTS_S = 30
"""How long a stop waits for requests that are not finished: the 29 s of an integration, and no client for ever."""
KEEP_ALIVE_S = 30
"""How long a connection may be idle between two requests."""


class HttpServer:
    """Serves a runtime until it is told to stop."""

    def __init__(self, runtime: Runtime, listener: socket.socket, limits: Limits | None = None) -> None:
        """Serve the API on `listener`, which this closes; and the functions on the runtime's own."""
        self._api = _Server(
            _config(runtime, limits or default_limits(), runtime.open_requests),
            lambda: runtime.worker.failure is not None,
        )
        # The functions are ours: they are not turned away, and not hurried.
        wire = Limits(connections=10_000, requests=10_000, held_bytes=1 << 40, body_s=60)
        self._wire = _Server(_config(runtime.wire, wire, OpenRequests()), lambda: False)
        self._sockets = (listener, runtime.wire_listener)

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._api.should_exit

    def stop(self) -> None:
        """Have `run` answer what is open and return; no new connection is taken meanwhile."""
        self._api.should_exit = True

    def abandon(self) -> None:
        """Have `run` return at once."""
        self._api.should_exit = self._api.force_exit = self._wire.force_exit = True

    def run(self) -> None:
        """Serve until `stop`, or until the stream can go on only after a new start."""
        # uvloop takes half the time of asyncio's own loop for a request.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        api_listener, wire_listener = self._sockets
        wire = asyncio.create_task(self._wire.serve(sockets=[wire_listener]))
        try:
            await self._api.serve(sockets=[api_listener])
        finally:
            # Last: until here a request that was open may have needed a function, and the function the stream.
            self._wire.should_exit = True
            await wire


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to others, and also stops when `must_stop` says so."""

    def __init__(self, config: uvicorn.Config, must_stop: Callable[[], bool]) -> None:
        super().__init__(config)
        self._must_stop = must_stop

    async def on_tick(self, counter: int) -> bool:
        return self._must_stop() or await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(front: Front, limits: Limits, open_requests: OpenRequests) -> uvicorn.Config:
    return uvicorn.Config(
        Asgi(front, limits, open_requests),
        http=with_limits(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # or X-Forwarded-For would say what source_ip is
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=OPEN_REQUESTS_S,
    )
