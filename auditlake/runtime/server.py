"""`auditlake up`: a runtime behind its listener, from the first request to the last delivery."""

import contextlib
import gc
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from auditlake.errors import AuditlakeError, StoreError
from auditlake.runtime.http_server import HttpServer
from auditlake.runtime.plan import Plan
from auditlake.runtime.settings import Settings
from auditlake.runtime.wiring import Runtime

DRAIN_S = 30
"""How long a stop delivers what is buffered; what is left is delivered after the next start."""

_log = logging.getLogger("auditlake")


def serve(
    plan: Plan, settings: Settings, started: Callable[[Runtime, str], None], stopping: Callable[[], None]
) -> None:
    """Run a plan until SIGINT or SIGTERM, then deliver what is buffered; a second signal leaves it in the buffer.

    Args:
        plan: what to run.
        settings: where.
        started: is called with the runtime and its URL once requests are taken.
        stopping: is called when the first signal came.

    Raises:
        PlanError, StoreError, AuditlakeError: it cannot start.
    """
    settings.authentication()
    os.umask(0o077)  # what is accepted and stored is for this user's eyes, unless the owner says otherwise
    listener = listen(settings)
    port = listener.getsockname()[1]
    with Runtime(plan, settings, port) as runtime:
        server = HttpServer(runtime, listener)
        abandoned = threading.Event()

        def stop(_signal: int, _frame: FrameType | None) -> None:
            # Only told, never raised: an exception from a signal may end up in whatever runs then, and be swallowed.
            if server.is_stopping:
                server.abandon()
                abandoned.set()
                return
            server.stop()
            stopping()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        started(runtime, settings.url(port))
        with _settled():
            server.run()
        _drain(runtime, abandoned)
        failure = runtime.worker.failure
    if failure is not None:
        raise StoreError(failure)


@contextlib.contextmanager
def _settled() -> Iterator[None]:
    """Take what is here now for what is here to the end: the collector need not walk over it every few requests."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()  # or what DuckDB is made of says at the end that it leaked


def _drain(runtime: Runtime, abandoned: threading.Event) -> None:
    """Deliver what is buffered, within DRAIN_S, unless it is to be left for the next start."""
    drained = runtime.worker.flush()
    until = time.monotonic() + DRAIN_S
    while not drained.done() and not abandoned.wait(0.05) and time.monotonic() < until:
        pass
    if not drained.done() and not abandoned.is_set():
        _log.error("Not all was delivered within %s s; the rest stays in the buffer for the next start.", DRAIN_S)
    if drained.done() and drained.result().problem and runtime.worker.failure is None:
        _log.error("%s", drained.result().problem)


def listen(settings: Settings) -> socket.socket:
    """Return what listens where the settings say; raises AuditlakeError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # By this protocol number asyncio knows to switch Nagle's algorithm off, which costs 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise AuditlakeError(
            f"Nothing can listen on {settings.host} port {settings.port}: {error.strerror}; choose another with --port."
        ) from None
    return listener
