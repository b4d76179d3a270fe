"""The delivery stream at work: transform by a few threads, then partition, convert and store by one.

A batch that the function hangs on holds up no other. Nothing leaves the buffer before what was made of it is stored, so
that a crash at any point repeats a step. A source backup takes the records as they came, beside all that: neither
waits for the other, and a record leaves the buffer when both have it.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from auditlake.errors import StoreError
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.destination import SOURCE_BACKUP, Destination
from auditlake.runtime.exchange import OpenRequests
from auditlake.runtime.function import Invocable
from auditlake.runtime.index import BufferFailedError
from auditlake.runtime.journal_format import Record
from auditlake.runtime.levels import Level
from auditlake.runtime.object_writer import NOTHING, ObjectWriter, Stored, buffering
from auditlake.runtime.placement import Placement
from auditlake.runtime.plan import Plan
from auditlake.runtime.problems import Problem, Problems
from auditlake.runtime.store import Store
from auditlake.runtime.transform import MAX_BATCH_RECORDS, MAX_INVOCATIONS, Answered, fitting, transform

RETRY_STORE_S = 5
"""Seconds before an object that could not be stored is tried again; AWS gives up after 24 h, this runtime never."""
CLOSE_S = 10
"""How long `close` waits for a store that does not answer: what it was given is repeated at the next start."""
RUSH = 4
"""From so many open requests on they go before the function, whose batches are only due by age or MAX_BEHIND_BYTES."""
MAX_BEHIND_BYTES = 64 * 1024 * 1024
"""From so many waiting bytes on batches are due whatever the number of open requests."""
_STOPS = "The stream stops; what is not delivered stays in the buffer."

logger = logging.getLogger("auditlake")


@dataclass(frozen=True)
class Flushed:
    """What a flush stored, and what it could not."""

    objects: int
    rows: int
    problem: str | None = None


class _StoppedError(Exception):
    """The stream stops: the batch stays in the buffer, its invocations are repeated at the next start."""


@dataclass(eq=False)
class _Flush:
    """A flush that waits until all up to a sequence number is answered; it adds up what is stored meanwhile."""

    upto: int
    objects: int = 0
    rows: int = 0
    done: "Future[Flushed]" = field(default_factory=Future)


@dataclass(frozen=True)
class _Invoked:
    """A batch that the function has been asked about."""

    batch: Sequence[Record]
    answer: "Future[Answered]"


class StreamWorker:
    """Runs a delivery stream; `start` it, `flush` it, `close` it."""

    def __init__(
        self,
        plan: Plan,
        buffer: Buffer,
        function: Invocable,
        store: Store,
        clock: Callable[[], float] = time.time,
        open_requests: OpenRequests | None = None,
    ) -> None:
        """Prepare the stream of `plan`; raises PlanError when a prefix or a column is not implemented.

        While `open_requests` are many, they go first.
        """
        self._stream = plan.stream
        self._buffer = buffer
        self._function = function
        self._clock = clock
        self._open_requests = open_requests or OpenRequests()
        self._placement = Placement(plan, clock)
        self._objects = ObjectWriter(plan, buffer, store, self._placement, clock)
        self._refused_ms: dict[Destination, int] = {}
        """When the store last refused the object of a destination (epoch ms)."""
        self._taken = 0
        """Up to this sequence number the function has been asked."""
        self._invoked: list[_Invoked] = []
        self._invokers = ThreadPoolExecutor(MAX_INVOCATIONS, "transform")
        self._flushes: list[_Flush] = []
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)
        self._problems = Problems(clock)
        self.failure: str | None = None
        """Why the stream can go on only after a new start; None while it can."""

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def flush(self) -> "Future[Flushed]":
        """Deliver all that was accepted until now, whatever the buffers' sizes and ages."""
        flush = _Flush(self._buffer.newest())
        flush.done.set_running_or_notify_cancel()  # who asked may hang up; the thread that answers must not fail of it
        with self._lock:
            stopped = self._stopping.is_set()
            if not stopped:
                self._flushes.append(flush)
        if stopped:
            flush.done.set_result(Flushed(0, 0, self.failure or _STOPS))
        self._wake.set()
        return flush.done

    def close(self) -> None:
        """Stop after the step at hand; what is not delivered stays in the buffer for the next start.

        An invocation that runs goes on until its function is closed; what it answers is not taken. A store that does
        not answer is waited for CLOSE_S seconds.
        """
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)
            if self._thread.is_alive():
                logger.warning(
                    "The store has not answered for %s s; its object is repeated at the next start.", CLOSE_S
                )
                self._finish_all(_STOPS)
        self._invokers.shutdown(wait=False, cancel_futures=True)

    def problem(self) -> Problem | None:
        """Return what keeps records from being delivered now, and since when; None when nothing does."""
        return self._problems.joined()

    def active_partitions(self) -> int:
        """Return the number of partitions that hold records which are not delivered (C2)."""
        return len(self._active())

    def partition_count_exceeded(self) -> bool:
        """Say whether a record of the last minute was refused because of the limit of active partitions (C2, I2)."""
        refused_s = self._placement.refused_s
        return refused_s is not None and self._clock() - refused_s < 60

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(timeout=0.2)
            self._wake.clear()
            with self._lock:
                flushes = list(self._flushes)
            try:
                self._turn(flushes)
                self._problems.end("turn")
            except BufferFailedError as error:
                logger.critical("%s", error)
                self.failure = str(error)
                self._stopping.set()
            except StoreError as error:
                logger.error("%s It is tried again in %s s.", error, RETRY_STORE_S)
                self._problems.begin("turn", str(error))
                self._finish(flushes, str(error))
                self._stopping.wait(RETRY_STORE_S)
            except Exception as error:  # the thread must live: records go on arriving
                logger.exception("The stream's step failed and is repeated; its records stay in the buffer.")
                self._problems.begin("turn", f"The stream's step failed: {error}.")
                self._finish(flushes, f"The stream's step failed: {error}.")
                self._stopping.wait(RETRY_STORE_S)
        self._finish_all(self.failure or _STOPS)

    def _turn(self, flushes: Sequence[_Flush]) -> Flushed:
        """Take what was answered, ask about what is due, deliver what is due; end the flushes that are through."""
        self._take_answers()
        try:
            while self._invoke_due(max((flush.upto for flush in flushes), default=None)):
                pass
        except BufferFailedError:
            raise
        except StoreError:  # of the journal: what is made of its records already does not need it
            self._deliver_due(everything=False)
            raise
        through = [flush for flush in flushes if self._is_answered(flush.upto)]
        delivered = self._deliver_due(everything=bool(through))
        for flush in flushes:
            flush.objects += delivered.objects
            flush.rows += delivered.rows
        self._finish(through, delivered.problem)
        return delivered

    def _finish_all(self, problem: str) -> None:
        with self._lock:
            flushes = list(self._flushes)
        self._finish(flushes, problem)

    def _finish(self, flushes: Sequence[_Flush], problem: str | None) -> None:
        with self._lock:
            ended = [flush for flush in flushes if flush in self._flushes]
            self._flushes = [flush for flush in self._flushes if flush not in flushes]
        for flush in ended:
            flush.done.set_result(Flushed(flush.objects, flush.rows, problem))

    def step(self, everything: bool) -> Flushed:
        """Take turns, without the thread, until the function has answered; and, with `everything`, all is delivered."""
        flushes = [_Flush(self._buffer.newest())] if everything else []
        objects = rows = 0
        while True:
            turned = self._turn(flushes)
            objects, rows = objects + turned.objects, rows + turned.rows
            if not self._invoked and all(self._is_answered(flush.upto) for flush in flushes):
                return Flushed(objects, rows, turned.problem)
            wait([invoked.answer for invoked in self._invoked], return_when=FIRST_COMPLETED)

    def _invoke_due(self, upto: int | None) -> bool:
        """Ask the function about a batch if one is due by size, by age or by a flush; returns whether one was."""
        if len(self._invoked) == MAX_INVOCATIONS:
            return False
        waiting = self._buffer.waiting(after=self._taken)
        if waiting.oldest_arrival_ms is None:
            return False
        processor = self._stream.processor
        asked = sum(len(record.data) for invoked in self._invoked for record in invoked.batch)
        full = waiting.bytes - asked >= (MAX_BEHIND_BYTES if self._is_rushed() else processor.buffer_size_bytes)
        flushed = upto is not None and self._taken < upto
        if not full and not flushed and not self._is_old(waiting.oldest_arrival_ms, processor.buffer_interval_s):
            return False
        found = self._buffer.next_batch(processor.buffer_size_bytes, MAX_BATCH_RECORDS, after=self._taken)
        batch = fitting(found, self._stream)
        if not batch:  # what was to be read is damaged, and is waited for no longer
            return False
        self._taken = batch[-1].seq
        answer = self._invokers.submit(self._invoke, batch)
        answer.add_done_callback(lambda _: self._wake.set())
        self._invoked.append(_Invoked(batch, answer))
        return True

    def _invoke(self, batch: Sequence[Record]) -> Answered:
        """Transform a batch; what goes wrong on this side of the function is tried again until it works."""
        while True:
            try:
                return transform(self._function, self._stream, batch, self._buffer.record_id, self._wait)
            except _StoppedError:
                raise
            except OSError as error:
                logger.error("The function cannot be invoked: %s. It is tried again in %s s.", error, RETRY_STORE_S)
            except Exception:
                logger.exception("The function cannot be invoked; it is tried again in %s s.", RETRY_STORE_S)
            self._wait(RETRY_STORE_S)

    def _take_answers(self) -> None:
        """Move the records of the batches that the function has answered for to their destinations."""
        for invoked in [invoked for invoked in self._invoked if invoked.answer.done()]:
            if invoked.answer.cancelled() or invoked.answer.exception() is not None:  # the stream stops
                return
            answered = invoked.answer.result()
            buffered, counted = self._placement.place(answered.outcomes, self._active())
            counted.update(
                {
                    "invocations": answered.attempts,
                    "invocations.succeeded": int(answered.succeeded),
                    "invocations.duration_ms": answered.duration_ms,
                }
            )
            self._buffer.move(invoked.batch, buffered, counted, self._now_ms())
            self._invoked.remove(invoked)

    def _is_answered(self, upto: int) -> bool:
        asked = self._taken >= upto or self._buffer.waiting(after=self._taken).oldest_arrival_ms is None
        return asked and all(invoked.batch[0].seq > upto for invoked in self._invoked)

    def _deliver_due(self, everything: bool) -> Flushed:
        """Deliver the destinations that are due by size or age, or all of them."""
        objects = rows = 0
        problem = None
        upto = self._buffer.last_accepted() if everything else None
        before: list[Level] = []
        while True:
            due = [level for level in self._buffer.levels() if self._is_wanted(level, upto)]
            for level in due:
                stored, refused = self._deliver(level.destination)
                objects += stored.objects
                rows += stored.rows
                problem = refused or problem
                if self._stopping.is_set():
                    return Flushed(objects, rows, problem or _STOPS)
            # A flush goes on: an object holds no more than the buffer's size, and a failed conversion fills the errors.
            # What waits and cannot be found, as when its file is gone, waits as before; then it ends too.
            if not everything or problem or due == before:
                return Flushed(objects, rows, problem)
            before = due

    def _deliver(self, destination: Destination) -> tuple[Stored, str | None]:
        """Store one object of a destination; returns what was stored, and why nothing was."""
        try:
            stored = self._objects.write(destination)
            self._refused_ms.pop(destination, None)
            if self._problems.end(destination):
                logger.warning("Objects for %s are stored again.", destination)
        except BufferFailedError:
            raise
        except StoreError as error:
            logger.error("%s It is tried again in %s s.", error, RETRY_STORE_S)
            self._refused_ms[destination] = self._now_ms()
            self._problems.begin(destination, str(error))
            # If the disk is full, the buffer can be as full as the store: that nothing was stored need not be counted.
            with contextlib.suppress(StoreError):
                of_backup = destination == SOURCE_BACKUP
                self._buffer.count({"backup.deliveries.failed" if of_backup else "deliveries.failed": 1})
            return NOTHING, str(error)
        return stored, None

    def _is_wanted(self, level: Level, upto: int | None) -> bool:
        """Whether a destination is due, or holds what a flush of all that was accepted up to a number delivers.

        The backup's records come while it is delivered: without an end a flush would go on as long as they come.
        """
        if upto is None:
            return self._is_due(level)
        return level.destination != SOURCE_BACKUP or self._buffer.backup_waits(upto)

    def _is_due(self, level: Level) -> bool:
        refused_ms = self._refused_ms.get(level.destination)
        if refused_ms is not None and not self._is_old(refused_ms, RETRY_STORE_S):
            return False
        size, interval_s = buffering(self._stream, level.destination)
        return level.bytes >= size or self._is_old(level.opened_ms, interval_s)

    def _is_rushed(self) -> bool:
        """Whether so many requests are open that what they put waits for the function until there are fewer.

        One thread of Python runs at a time: what a batch takes is taken from them. AWS, too, calls its buffer sizes
        hints (B2).
        """
        return self._open_requests.count >= RUSH

    def _is_old(self, since_ms: int, seconds: float) -> bool:
        """Whether seconds have passed; what lies in the future is old: a clock that was set back holds nothing up."""
        return not 0 <= self._now_ms() - since_ms < seconds * 1000

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise _StoppedError

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _active(self) -> set[Destination]:
        return {level.destination for level in self._buffer.levels() if level.destination.is_rows}
