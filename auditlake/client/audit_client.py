"""The client of a service: records events in a spool on the disk, and sends them in the background."""

import atexit
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from auditlake.client.clock import Clock
from auditlake.client.event import Members, by_name, encode_event
from auditlake.client.line import encode_line
from auditlake.client.operation import Operation
from auditlake.client.segment import fork_guard
from auditlake.client.spool import make_directory
from auditlake.client.status import SpoolStatus, spool_status
from auditlake.client.writer import Limits, Writer, unsettled
from auditlake.errors import SpoolError
from lambda_src.receiver.event_id import new_event_id

_EXIT_TIMEOUT_S = 5.0
_SETTLED_POLL_S = 0.05  # another process may be the one that sends, and it does not tell this one
_ASYNC_THREADS = 16

_open_clients: "set[AuditClient]" = set()


class AuditClient:
    """Records audit events; safe for threads, for asyncio, and for processes that share a spool or fork.

    `record` returns when the event is in the spool, on the disk. A thread sends the spool's events in batches to
    `POST /events/batch`, again and again until each is accepted, or refused and so kept in the spool's
    `dead-letter.ndjson`. What is not sent when the process ends is sent by the next one that uses the spool.
    """

    # asyncio is imported where it is used: it takes longer than all the rest, and few services use both halves.

    def __init__(
        self,
        url: str,
        spool: str | os.PathLike[str],
        *,
        token: str | Callable[[], str] | None = None,
        auth: Literal["sigv4"] | None = None,
        region: str | None = None,
        durability: Literal["sync", "os"] = "sync",
        max_spool_bytes: int = 1 << 30,
        full: Literal["block", "raise"] = "block",
        segment_bytes: int = 8 << 20,
        linger_s: float = 0.1,
        timeout_s: float = 60.0,
        exit_timeout_s: float = _EXIT_TIMEOUT_S,
        keep_sent: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Open a spool and send what is left in it.

        Args:
            url: the endpoint, e.g. http://127.0.0.1:7070.
            spool: a directory on a local disk, made when it is not there.
            token: a bearer token, or a function that returns the one valid now.
            auth: `sigv4` signs with the AWS credentials of the environment; needs the extra `aws`.
            region: for `sigv4`; else that of the host name or the profile.
            durability: `sync` returns from record when the event is on the disk; `os` when the operating system has
                it, which survives the death of the process, not of the machine.
            max_spool_bytes: how many bytes may wait in the spool, of all its processes.
            full: what record does in a full spool: `block` waits for room, `raise` raises SpoolFullError.
            segment_bytes: the size of a segment file.
            linger_s: how long the first event of a batch waits for others, in seconds.
            timeout_s: how long a request may take, in seconds.
            exit_timeout_s: how long the end of the process waits for what is recorded to be sent, in seconds.
            keep_sent: keep sent segments under `sent/`, for `auditlake reconcile`; nothing removes them.
            clock: time and chance.

        Raises:
            SendError: the URL or the authentication cannot be.
            SpoolError: the spool cannot be used.
        """
        # Imported here: it takes a tenth of a second, which `import auditlake.client` must not.
        from auditlake.client.background import Background
        from auditlake.client.post import Connection, authentication
        from auditlake.client.sender import SendLimits

        if not os.fspath(spool):
            raise SpoolError("spool is empty: name a directory, e.g. /var/spool/shop-audit.")
        self.spool = Path(spool).absolute()
        signer = authentication(url, token, auth, region)
        connect = partial(Connection, url, signer, timeout_s)
        # Says what is wrong with the URL before anything is made, and imports all that a request needs: a fork while
        # the sender's thread imports would leave the child half a module.
        connect().close()
        limits = _checked(Limits(durability, max_spool_bytes, full, segment_bytes))
        make_directory(self.spool)
        self._clock = clock or Clock()
        self._exit_timeout_s = exit_timeout_s
        self._writer = Writer(self.spool, limits, self._clock)
        self._background = Background(self.spool, connect, SendLimits(keep_sent=keep_sent), self._clock, linger_s)
        self._executor: ThreadPoolExecutor | None = None
        self._closed = False
        _open_clients.add(self)
        self._background.start()

    @by_name
    def record(
        self,
        *,
        event_type: str,
        actor: str | Members,
        action: Members | None = None,
        entity_type: str | None = None,
        entity_id: str | None = None,
        request_id: str | None = None,
        context: Members | None = None,
        details: Members | None = None,
        metadata: Members | None = None,
        timestamp: datetime | None = None,
        event_id: str | None = None,
        extra: Members | None = None,
    ) -> str:
        """Record an event and return its id, when it is as safe as `durability` says.

        Args:
            event_type: what happened, e.g. `login.failed`.
            actor: the user's id, or the members of `actor` with `userId` among them.
            action: `resource`, `operation`, `status`.
            entity_type: the kind of what it was done to.
            entity_id: the id of what it was done to.
            request_id: the request that caused it.
            context: `ipAddress`, `userAgent`.
            details: `entityType`, `entityId`, `changeType`, and `changes`: a list of `field`, `oldValue`, `newValue`.
            metadata: `source`, and whatever you like.
            timestamp: when it happened, with its zone; now by default.
            event_id: the idempotency key; a new UUIDv7 by default.
            extra: members of your own, beside those.

        Raises:
            EventError: an argument is missing or not known, or is nothing that JSON holds.
            SpoolError: the spool cannot be written; the event is not recorded. SpoolFullError when it is full.
        """
        now = self._clock.now()
        recorded_ms = int(now.timestamp() * 1000)
        chosen = event_id if event_id is not None else new_event_id(recorded_ms)
        optional = {
            "action": action,
            "entityType": entity_type,
            "entityId": entity_id,
            "requestId": request_id,
            "context": context,
            "details": details,
            "metadata": metadata,
        }
        body = encode_event(chosen, event_type, actor, now if timestamp is None else timestamp, optional, extra)
        self._writer.write(encode_line(recorded_ms, body))
        self._background.news()
        return chosen

    async def arecord(self, **event: object) -> str:
        """Record an event as `record` does, in a thread: neither the disk nor a full spool blocks the event loop."""
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(
            self._threads(),
            partial(self.record, **event),  # type: ignore[arg-type]  # record checks them
        )

    @by_name
    def operation(
        self, *, event_type: str, actor: str | Members | Callable[..., str | Members], **event: object
    ) -> Operation:
        """Return a context manager and decorator that records one event when the operation ends, with its outcome.

        `action.status` is `success`, or `failure` when an exception leaves it, whose class is `metadata.error`; the
        exception goes on, whatever recording does. As a decorator, of a coroutine function too, `actor` may be a
        function of the arguments. Raises EventError for what cannot be recorded, before any work is done.
        """
        return Operation(self, {"event_type": event_type, "actor": actor, **event})

    def flush(self, timeout_s: float | None = None) -> bool:
        """Return when all that this process recorded is accepted or refused; False when the time is over before."""
        deadline = None if timeout_s is None else self._clock.monotonic() + timeout_s
        ends = self._writer.unsettled()
        if not ends:
            return True
        background = self._background
        background.start()
        background.signals.hurry()
        while True:
            ends = unsettled(ends)
            if not ends:
                return True
            left_s = _SETTLED_POLL_S if deadline is None else deadline - self._clock.monotonic()
            if left_s <= 0:
                return False
            with background.settled:
                background.settled.wait(min(left_s, _SETTLED_POLL_S))

    async def aflush(self, timeout_s: float | None = None) -> bool:
        """Do as `flush` does, without blocking the event loop."""
        import asyncio

        return await asyncio.to_thread(self.flush, timeout_s)

    def close(self, timeout_s: float = _EXIT_TIMEOUT_S) -> bool:
        """Record no more, send what this process recorded for at most `timeout_s`, and stop the thread.

        Returns whether all of it is settled; what is not stays in the spool for whoever opens it next.
        """
        if self._closed:
            return True
        self._closed = True
        self._writer.close()
        began = self._clock.monotonic()
        settled = self.flush(timeout_s)
        # A request in flight may be answered in the time that is left; a second at least, for a thread that waits.
        self._background.stop(max(1.0, timeout_s - (self._clock.monotonic() - began)))
        if self._executor is not None:
            self._executor.shutdown(wait=False)
        _open_clients.discard(self)
        return settled

    async def aclose(self, timeout_s: float = _EXIT_TIMEOUT_S) -> bool:
        """Do as `close` does, without blocking the event loop."""
        import asyncio

        return await asyncio.to_thread(self.close, timeout_s)

    def status(self) -> SpoolStatus:
        """Return what waits in the spool and what is put aside, of all its processes; raises SpoolError."""
        return spool_status(self.spool, self._clock.now())

    @property
    def problem(self) -> str | None:
        """Why the last request of this process did not get through; None when it did, or another process sends."""
        return self._background.problem

    @property
    def sender_thread(self) -> int | None:
        """The identity of the thread that sends, so that a logging handler can tell its log lines."""
        return self._background.thread_id

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(self._exit_timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose(self._exit_timeout_s)

    def _threads(self) -> ThreadPoolExecutor:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_ASYNC_THREADS, thread_name_prefix="auditlake-record")
        return self._executor

    def _after_fork(self) -> None:
        self._writer.after_fork()
        self._background.after_fork()
        self._executor = None

    def _at_exit(self) -> None:
        self.close(self._exit_timeout_s)


def _checked(limits: Limits) -> Limits:
    """Return the limits; raises ValueError for what cannot be."""
    if limits.durability not in ("sync", "os"):
        raise ValueError(f"durability: expected 'sync' or 'os', got {limits.durability!r}.")
    if limits.full not in ("block", "raise"):
        raise ValueError(f"full: expected 'block' or 'raise', got {limits.full!r}.")
    if limits.max_spool_bytes <= 0 or limits.segment_bytes <= 0:
        raise ValueError("max_spool_bytes and segment_bytes: expected more than 0 bytes.")
    return limits


def _close_all() -> None:
    for client in tuple(_open_clients):
        client._at_exit()


def _after_fork_in_child() -> None:
    for client in tuple(_open_clients):
        client._after_fork()
    fork_guard.release()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=fork_guard.acquire, after_in_parent=fork_guard.release, after_in_child=_after_fork_in_child
    )
