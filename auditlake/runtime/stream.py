"""The delivery stream at work: transform by a few threads, then partition, convert and store by one.

A batch that the function hangs on holds up no other. Nothing leaves the buffer before what was made of it is stored, so
that a crash at any point repeats a step.
"""

import contextlib
import json
import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from auditlake.errors import StoreError
from auditlake.runtime import error_objects, partition
from auditlake.runtime.buffer import Buffer, Buffered, Destination, Record
from auditlake.runtime.convert import Converted, conversion_schema, convert
from auditlake.runtime.error_objects import CatalogTable, Failure
from auditlake.runtime.function import Invocable
from auditlake.runtime.plan import Plan
from auditlake.runtime.store import Store
from auditlake.runtime.transform import (
    MAX_BATCH_RECORDS,
    MAX_INVOCATIONS,
    Answered,
    Dropped,
    Failed,
    Outcome,
    Transformed,
    destination,
    fitting,
    transform,
)

MAX_ACTIVE_PARTITIONS = 500
"""Active partitions of a stream (C2, documented)."""
ACTIVE_PARTITION_EXCEEDED = "activePartitionExceeded"
RETRY_STORE_S = 5
"""Seconds before an object that could not be stored is tried again; AWS gives up after 24 h, this runtime never."""

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
    ) -> None:
        """Prepare the stream of `plan`; raises PlanError when a prefix or a column is not implemented."""
        self._stream = plan.stream
        self._buffer = buffer
        self._function = function
        self._store = store
        self._clock = clock
        self._columns = plan.table.columns
        conversion_schema(self._columns)  # refuses now, not at the first object, a column that cannot be converted
        self._catalog_table = CatalogTable(plan.account_id, plan.table.database, plan.table.name, plan.region)
        self._prefix = partition.parse_prefix(plan.stream.prefix)
        self._error_prefix = partition.parse_error_prefix(plan.stream.error_output_prefix)
        self._zone = partition.parse_time_zone(plan.stream.custom_time_zone)
        self._not_before: dict[str, float] = {}
        self._taken = 0
        """Up to this sequence number the function has been asked."""
        self._invoked: list[_Invoked] = []
        self._invokers = ThreadPoolExecutor(MAX_INVOCATIONS, "transform")
        self._refused_s: float | None = None
        self._flushes: list[_Flush] = []
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def flush(self) -> "Future[Flushed]":
        """Deliver all that was accepted until now, whatever the buffers' sizes and ages."""
        flush = _Flush(self._buffer.newest())
        flush.done.set_running_or_notify_cancel()  # who asked may hang up; the thread that answers must not fail of it
        with self._lock:
            self._flushes.append(flush)
        self._wake.set()
        return flush.done

    def close(self) -> None:
        """Stop after the step at hand; what is not delivered stays in the buffer for the next start.

        An invocation that runs goes on until its function is closed; what it answers is not taken.
        """
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._invokers.shutdown(wait=False, cancel_futures=True)

    def active_partitions(self) -> int:
        """Return the number of partitions that hold records which are not delivered (C2)."""
        return len(self._active())

    def partition_count_exceeded(self) -> bool:
        """Say whether a record of the last minute was refused because of the limit of active partitions (C2, I2)."""
        return self._refused_s is not None and self._clock() - self._refused_s < 60

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(timeout=0.2)
            self._wake.clear()
            with self._lock:
                flushes = list(self._flushes)
            try:
                self._turn(flushes)
            except Exception as error:  # the thread must live: records go on arriving
                logger.exception("The stream's step failed and is repeated; its records stay in the buffer.")
                self._finish(flushes, f"The stream's step failed: {error}.")
                self._stopping.wait(RETRY_STORE_S)
        self._finish(self._flushes, "The stream stops; what is not delivered stays in the buffer.")

    def _turn(self, flushes: Sequence[_Flush]) -> None:
        """Take what was answered, ask about what is due, deliver what is due; end the flushes that are through."""
        self._take_answers()
        while self._invoke_due(max((flush.upto for flush in flushes), default=None)):
            pass
        through = [flush for flush in flushes if self._is_answered(flush.upto)]
        delivered = self._deliver_due(everything=bool(through))
        for flush in flushes:
            flush.objects += delivered.objects
            flush.rows += delivered.rows
        self._finish(through, delivered.problem)

    def _finish(self, flushes: Sequence[_Flush], problem: str | None) -> None:
        with self._lock:
            self._flushes = [flush for flush in self._flushes if flush not in flushes]
        for flush in flushes:
            flush.done.set_result(Flushed(flush.objects, flush.rows, problem))

    def step(self, everything: bool) -> Flushed:
        """Transform and deliver what is due by size or age, or everything that was accepted until now."""
        upto = self._buffer.newest() if everything else None
        while self._invoke_due(upto) or self._invoked:
            wait([invoked.answer for invoked in self._invoked], return_when=FIRST_COMPLETED)
            self._take_answers()
        return self._deliver_due(everything)

    def _invoke_due(self, upto: int | None) -> bool:
        """Ask the function about a batch if one is due by size, by age or by a flush; returns whether one was."""
        if len(self._invoked) == MAX_INVOCATIONS:
            return False
        waiting = self._buffer.waiting(after=self._taken)
        if waiting.oldest_arrival_ms is None:
            return False
        processor = self._stream.processor
        asked = sum(len(record.data) for invoked in self._invoked for record in invoked.batch)
        full = waiting.bytes - asked >= processor.buffer_size_bytes
        age_ms = self._clock() * 1000 - waiting.oldest_arrival_ms
        flushed = upto is not None and self._taken < upto
        if not full and not flushed and age_ms < processor.buffer_interval_s * 1000:
            return False
        batch = self._buffer.next_batch(processor.buffer_size_bytes, MAX_BATCH_RECORDS, after=self._taken)
        batch = list(fitting(batch, self._stream))
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
            except Exception:
                logger.exception("The function cannot be invoked; it is tried again in %s s.", RETRY_STORE_S)
                self._wait(RETRY_STORE_S)

    def _take_answers(self) -> None:
        """Move the records of the batches that the function has answered for to their destinations."""
        for invoked in [invoked for invoked in self._invoked if invoked.answer.done()]:
            if invoked.answer.exception() is not None:  # the stream stops
                return
            answered = invoked.answer.result()
            buffered, counted = self._partition(answered.outcomes)
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
        return self._taken >= upto and all(invoked.batch[0].seq > upto for invoked in self._invoked)

    def _deliver_due(self, everything: bool) -> Flushed:
        """Deliver the destinations that are due by size or age, or all of them."""
        objects = rows = 0
        problem = None
        while True:
            due = [waiting for waiting in self._buffer.destinations() if everything or self._is_due(waiting)]
            for waiting in due:
                stored, problem = self._deliver(waiting, problem)
                objects += stored is not None
                rows += stored or 0
            # A flush goes on: an object holds no more than the buffer's size, and a failed conversion fills the errors.
            if not everything or problem or not due:
                return Flushed(objects, rows, problem)

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise _StoppedError

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _active(self) -> set[str]:
        return {waiting.name for waiting in self._buffer.destinations() if _is_rows(waiting.name)}

    def _partition(self, results: Sequence[Outcome]) -> tuple[list[Buffered], Counter[str]]:
        """Find the destination of every record; failures become error objects."""
        active = self._active()
        buffered: list[Buffered] = []
        counted: Counter[str] = Counter()
        for result in results:
            if isinstance(result, Dropped):
                counted.update({"dropped.records": 1, "processed.records": 1})
                continue
            if isinstance(result, Transformed):
                counted.update({"processed.records": 1, "processed.bytes": len(result.data)})
            item = self._failed(result) if isinstance(result, Failed) else self._placed(result, active)
            buffered.append(item)
            if _is_rows(item.destination):
                active.add(item.destination)
            else:
                counted[f"failed.{json.loads(item.destination)[1]}"] += 1
        return buffered, counted

    def _failed(self, result: Failed) -> Buffered:
        failure = self._failure(
            result.record.data, result.code, result.message, result.record.arrival_ms, result.attempts
        )
        line = error_objects.processing_failure_line(failure, self._stream.processor.function_arn)
        return self._error(result.record.seq, result.record.arrival_ms, error_objects.PROCESSING_FAILED, line)

    def _placed(self, result: Transformed, active: set[str]) -> Buffered:
        record = result.record
        values = partition.partition_values(self._prefix, result.partition_keys)
        if isinstance(values, partition.PartitioningFailure):
            return self._unpartitioned(record.seq, record.arrival_ms, result.data, values)
        name = destination("rows", *values)
        if name not in active and len(active) >= MAX_ACTIVE_PARTITIONS:
            self._refused_s = self._clock()
            failure = self._failure(
                result.data,
                "DynamicPartitioning.ActivePartitionsLimitExceeded",
                f"The stream has {MAX_ACTIVE_PARTITIONS} active partitions, and no more are allowed.",
                record.arrival_ms,
            )
            line = error_objects.partitioning_failure_line(failure)
            return self._error(record.seq, record.arrival_ms, ACTIVE_PARTITION_EXCEEDED, line)
        return Buffered(record.seq, name, record.arrival_ms, result.data)

    def _unpartitioned(self, seq: int, arrival_ms: int, data: bytes, why: partition.PartitioningFailure) -> Buffered:
        failure = self._failure(data, why.error_code, why.error_message, arrival_ms)
        return self._error(
            seq, arrival_ms, error_objects.PARTITIONING_FAILED, error_objects.partitioning_failure_line(failure)
        )

    def _failure(self, data: bytes, code: str, message: str, arrival_ms: int, attempts: int = 1) -> Failure:
        return Failure(data, code, message, attempts, arrival_ms, self._now_ms())

    def _error(self, seq: int, arrival_ms: int, kind: str, line: bytes) -> Buffered:
        return Buffered(seq, destination("errors", kind), arrival_ms, line)

    def _is_due(self, waiting: Destination) -> bool:
        if self._clock() < self._not_before.get(waiting.name, 0):
            return False
        full = waiting.bytes >= self._stream.buffer_size_bytes
        return full or self._now_ms() - waiting.opened_ms >= self._stream.buffer_interval_s * 1000

    def _deliver(self, waiting: Destination, problem: str | None) -> tuple[int | None, str | None]:
        """Store one object of a destination; returns its rows (None when there is no object) and the last problem."""
        try:
            stored = self._store_object(waiting.name)
            self._not_before.pop(waiting.name, None)
            return stored, problem
        except StoreError as error:
            logger.error("%s It is tried again in %s s.", error, RETRY_STORE_S)
            self._not_before[waiting.name] = self._clock() + RETRY_STORE_S
            # If the disk is full, the buffer can be as full as the store: that nothing was stored need not be counted.
            with contextlib.suppress(StoreError):
                self._buffer.count({"deliveries.failed": 1})
            return None, str(error)

    def _store_object(self, name: str) -> int | None:
        taken = self._buffer.contents(name, self._stream.buffer_size_bytes)
        if not taken:
            return None
        kind, *values = json.loads(name)
        if kind == "errors":
            return self._store_errors(name, values[0], taken)
        key = partition.object_key(
            self._prefix, tuple(values), self._object(taken, self._stream.file_extension or ".parquet")
        )
        if isinstance(key, partition.PartitioningFailure):
            failed = [self._unpartitioned(item.seq, item.arrival_ms, item.data, key) for item in taken]
            counted = {f"failed.{error_objects.PARTITIONING_FAILED}": len(failed)}
            self._buffer.stored(name, taken, failed, counted, self._now_ms())
            return None
        converted = convert([item.data for item in taken], self._columns, self._stream.conversion)
        if converted.rows:
            self._store.put(key, converted.parquet)
        unconverted = self._unconverted(taken, converted)
        self._buffer.stored(name, taken, unconverted, _counted(name, taken, converted), self._now_ms())
        return converted.rows if converted.rows else None

    def _store_errors(self, name: str, kind: str, taken: Sequence[Buffered]) -> int:
        context = self._object(taken, "", kind)
        self._store.put(partition.error_object_key(self._error_prefix, context), b"".join(item.data for item in taken))
        self._buffer.stored(name, taken, (), {"stored.error_objects": 1, "deliveries": 1}, self._now_ms())
        return 0

    def _object(self, taken: Sequence[Buffered], extension: str, kind: str = "") -> partition.ObjectContext:
        return partition.ObjectContext(
            stream_name=self._stream.name,
            oldest_arrival_ms=min(item.arrival_ms for item in taken),
            uuid=uuid.uuid4(),
            extension=extension,
            time_zone=self._zone,
            error_output_type=kind,
        )

    def _unconverted(self, taken: Sequence[Buffered], converted: Converted) -> list[Buffered]:
        failed = []
        for failure in converted.failed:
            item = taken[failure.index]
            why = self._failure(item.data, failure.error_code, failure.error_message, item.arrival_ms)
            line = error_objects.conversion_failure_line(why, self._catalog_table)
            failed.append(self._error(item.seq, item.arrival_ms, error_objects.FORMAT_CONVERSION_FAILED, line))
        return failed


def _is_rows(destination_name: str) -> bool:
    return destination_name.startswith('["rows"')


def _counted(name: str, taken: Sequence[Buffered], converted: Converted) -> Mapping[str, int]:
    failed_bytes = sum(len(taken[failure.index].data) for failure in converted.failed)
    counted = {
        "deliveries": int(converted.rows > 0),
        "converted.bytes": sum(len(item.data) for item in taken) - failed_bytes,
        "unconverted.bytes": failed_bytes,
        "stored.objects": int(converted.rows > 0),
        "stored.bytes": len(converted.parquet) if converted.rows else 0,
        "stored.rows": converted.rows,
        f"rows:{name}": converted.rows,
        f"failed.{error_objects.FORMAT_CONVERSION_FAILED}": len(converted.failed),
    }
    return {key: value for key, value in counted.items() if value}
