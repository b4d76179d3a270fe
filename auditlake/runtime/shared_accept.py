"""Requests that wait for a sync of the disk together: one job of the buffer for all that came while the last one ran.

The buffer shares a sync between jobs by itself; what is spared here is the way between the threads, which for one
record costs more than the rest of its request: the event loop is woken once a commit, not once a request.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from auditlake.runtime.buffer import Buffer
from auditlake.runtime.journal_format import Put

MAX_SHARED_BYTES = 8 * 1024 * 1024
"""How many bytes share one job at most, so that the first of them does not wait without end."""

Parameters = Mapping[str, Any]
Operation = Callable[[Parameters, float | None], Awaitable[dict[str, Any]]]
"""What answers a call of an API by its parameters, within a number of seconds where that is given."""


@dataclass(frozen=True)
class _Waiting:
    records: Sequence[Put]
    accepted: "asyncio.Future[list[int]]"


class SharedAccept:
    """Accepts records for the requests of one event loop."""

    def __init__(self, buffer: Buffer, clock: Callable[[], float]) -> None:
        """Put records into `buffer`; `clock` gives the epoch time in seconds. Call it within a running loop."""
        self._buffer = buffer
        self._clock = clock
        self.loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._writing = False

    async def accept(self, records: Sequence[Put], limit_s: float | None = None) -> list[int]:
        """Return the records' sequence numbers once they are on the disk.

        Raises StoreError when they are not, and TimeoutError when they are not within `limit_s` seconds: then they may
        be, later.
        """
        waiting = _Waiting(records, self.loop.create_future())
        self._waiting.append(waiting)
        if not self._writing:
            self._writing = True
            # Not at once: the requests that came in the same turn of the loop share the sync.
            self.loop.call_soon(self._write)
        if limit_s is None:
            return await waiting.accepted
        # Not asyncio.timeout: it asks for the running loop and task, which costs more than the rest of this.
        timer = self.loop.call_later(limit_s, _give_up, waiting.accepted)
        try:
            return await waiting.accepted
        finally:
            timer.cancel()

    def _write(self) -> None:
        """Hand what waits to the buffer as one job."""
        taken, size = [], 0
        while self._waiting and size < MAX_SHARED_BYTES:
            taken.append(self._waiting.popleft())
            size += sum(map(len, taken[-1].records))
        together = [record for waiting in taken for record in waiting.records]
        done = self._buffer.accept(int(self._clock() * 1000), together)
        done.add_done_callback(lambda done: self._wake(taken, done))

    def _wake(self, taken: list[_Waiting], done: "Future[list[int]]") -> None:
        """Runs in the buffer's thread; a loop that has ended meanwhile has nobody who waits."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._written, taken, done)

    def _written(self, taken: list[_Waiting], done: "Future[list[int]]") -> None:
        self._writing = bool(self._waiting)
        if self._writing:
            self._write()
        error = done.exception()
        sequence = iter(() if error else done.result())
        for waiting in taken:
            numbers = [] if error else [next(sequence) for _ in waiting.records]
            if waiting.accepted.done():  # its request was given up
                continue
            if error is None:
                waiting.accepted.set_result(numbers)
            else:
                waiting.accepted.set_exception(error)


class Accept:
    """Accepts records for an API, whichever event loop it is called in: requests of one loop share their syncs."""

    def __init__(self, buffer: Buffer, clock: Callable[[], float]) -> None:
        """Put records into `buffer`; `clock` gives the epoch time in seconds."""
        self._buffer = buffer
        self._clock = clock
        self._shared: SharedAccept | None = None

    def __call__(self, records: Sequence[Put], limit_s: float | None = None) -> Coroutine[Any, Any, list[int]]:
        """Accept as `SharedAccept.accept` does, in the running loop."""
        # asyncio.get_running_loop asks the kernel for the process each time, which is dear where this is asked.
        if self._shared is None or not self._shared.loop.is_running():
            self._shared = SharedAccept(self._buffer, self._clock)
        return self._shared.accept(records, limit_s)


def _give_up(accepted: "asyncio.Future[list[int]]") -> None:
    if not accepted.done():
        accepted.set_exception(TimeoutError())
