"""The delivery stream at work: one thread takes records through transform, partition, convert and store.

Nothing leaves the buffer before what was made of it is stored, so that a crash at any point repeats a step.
"""

import json
import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from auditlake.errors import StoreError
from auditlake.runtime import error_objects, partition
from auditlake.runtime.buffer import Buffer, Buffered, Destination
from auditlake.runtime.convert import Converted, conversion_schema, convert
from auditlake.runtime.error_objects import CatalogTable, Failure
from auditlake.runtime.function import Invocable
from auditlake.runtime.plan import Plan
from auditlake.runtime.store import DirectoryStore
from auditlake.runtime.transform import MAX_BATCH_RECORDS, Dropped, Failed, Outcome, Transformed, destination, transform

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


class StreamWorker:
    """Runs a delivery stream; `start` it, `flush` it, `close` it."""

    def __init__(
        self,
        plan: Plan,
        buffer: Buffer,
        function: Invocable,
        store: DirectoryStore,
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
        self._flushes: list[Future[Flushed]] = []
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def flush(self) -> "Future[Flushed]":
        """Deliver all that was accepted until now, whatever the buffers' sizes and ages."""
        done: Future[Flushed] = Future()
        with self._lock:
            self._flushes.append(done)
        self._wake.set()
        return done

    def close(self) -> None:
        """Stop after the step at hand; what is not delivered stays in the buffer for the next start."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(timeout=0.2)
            self._wake.clear()
            with self._lock:
                flushes, self._flushes = self._flushes, []
            try:
                flushed = self.step(everything=bool(flushes))
            except Exception as error:  # the thread must live: records go on arriving
                logger.exception("The stream's step failed and is repeated; its records stay in the buffer.")
                flushed = Flushed(0, 0, f"The stream's step failed: {error}.")
                self._stopping.wait(RETRY_STORE_S)
            for done in flushes:
                done.set_result(flushed)
        for done in self._flushes:
            done.set_result(Flushed(0, 0, "The stream stops; what is not delivered stays in the buffer."))

    def step(self, everything: bool) -> Flushed:
        """Transform and deliver what is due by size or age, or everything that was accepted until now."""
        upto = self._buffer.newest() if everything else None
        while self._transform_due(upto):
            if self._stopping.is_set() and not everything:
                break
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

    def _transform_due(self, upto: int | None) -> bool:
        """Transform one batch if one is due; returns whether there may be another."""
        waiting = self._buffer.waiting()
        if waiting.oldest_arrival_ms is None:
            return False
        processor = self._stream.processor
        age_ms = self._clock() * 1000 - waiting.oldest_arrival_ms
        full = waiting.bytes >= processor.buffer_size_bytes
        if upto is None and not full and age_ms < processor.buffer_interval_s * 1000:
            return False
        batch = self._buffer.next_batch(processor.buffer_size_bytes, MAX_BATCH_RECORDS)
        if not batch or (upto is not None and batch[0].seq > upto):
            return False
        results = transform(self._function, self._stream, batch, self._buffer.record_id, self._wait)
        buffered, counted = self._partition(results)
        self._buffer.move(batch, buffered, counted, self._now_ms())
        return True

    def _wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _partition(self, results: Sequence[Outcome]) -> tuple[list[Buffered], Counter[str]]:
        """Find the destination of every record; failures become error objects."""
        active = {waiting.name for waiting in self._buffer.destinations()}
        buffered: list[Buffered] = []
        counted: Counter[str] = Counter()
        for result in results:
            if isinstance(result, Dropped):
                counted["dropped.records"] += 1
                continue
            item = self._failed(result) if isinstance(result, Failed) else self._placed(result, active)
            active.add(item.destination)
            buffered.append(item)
            if item.destination.startswith('["errors"'):
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
        if name not in active and sum(other.startswith('["rows"') for other in active) >= MAX_ACTIVE_PARTITIONS:
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
            return self._store_object(waiting.name), problem
        except StoreError as error:
            logger.error("%s It is tried again in %s s.", error, RETRY_STORE_S)
            self._not_before[waiting.name] = self._clock() + RETRY_STORE_S
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
        self._buffer.stored(name, taken, self._unconverted(taken, converted), _counted(name, converted), self._now_ms())
        return converted.rows if converted.rows else None

    def _store_errors(self, name: str, kind: str, taken: Sequence[Buffered]) -> int:
        context = self._object(taken, "", kind)
        self._store.put(partition.error_object_key(self._error_prefix, context), b"".join(item.data for item in taken))
        self._buffer.stored(name, taken, (), {"stored.error_objects": 1}, self._now_ms())
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


def _counted(name: str, converted: Converted) -> Mapping[str, int]:
    counted = {
        "stored.objects": int(converted.rows > 0),
        "stored.bytes": len(converted.parquet) if converted.rows else 0,
        "stored.rows": converted.rows,
        f"rows:{name}": converted.rows,
        f"failed.{error_objects.FORMAT_CONVERSION_FAILED}": len(converted.failed),
    }
    return {key: value for key, value in counted.items() if value}
