"""What becomes of each record that the transform answered for: a destination, or a line under the error prefix."""

from collections import Counter
from collections.abc import Callable, Sequence

from auditlake.runtime import error_objects, partition
from auditlake.runtime.convert import FailedRecord
from auditlake.runtime.destination import Destination, errors_of, rows_of
from auditlake.runtime.error_objects import CatalogTable, Failure
from auditlake.runtime.index import Buffered
from auditlake.runtime.plan import Plan
from auditlake.runtime.transform import Dropped, Failed, Outcome, Transformed

MAX_ACTIVE_PARTITIONS = 500
"""Active partitions of a stream (C2, documented)."""
ACTIVE_PARTITION_EXCEEDED = "activePartitionExceeded"
PARTITIONS_LIMIT_CODE = "DynamicPartitioning.ActivePartitionsLimitExceeded"


class Placement:
    """Finds destinations by a plan's prefix, and writes the lines of failures."""

    def __init__(self, plan: Plan, clock: Callable[[], float]) -> None:
        """Read the prefix; raises PlanError when one of its expressions is not implemented."""
        self._lambda_arn = plan.stream.processor.function_arn
        self._prefix = partition.parse_prefix(plan.stream.prefix)
        self._table = CatalogTable(plan.account_id, plan.table.database, plan.table.name, plan.region)
        self._clock = clock
        self.refused_s: float | None = None
        """When a record was last refused because of the limit of active partitions (epoch seconds)."""

    def place(self, outcomes: Sequence[Outcome], active: set[Destination]) -> tuple[list[Buffered], Counter[str]]:
        """Find the destination of every record; `active` are the partitions that hold records, and grows.

        Returns the records for the buffer, and what they add to the counters.
        """
        buffered: list[Buffered] = []
        counted: Counter[str] = Counter()
        for outcome in outcomes:
            if isinstance(outcome, Dropped):
                counted.update({"dropped.records": 1, "processed.records": 1})
                continue
            if isinstance(outcome, Transformed):
                counted.update({"processed.records": 1, "processed.bytes": len(outcome.data)})
            item = self._failed(outcome) if isinstance(outcome, Failed) else self._placed(outcome, active)
            buffered.append(item)
            if item.destination.is_rows:
                active.add(item.destination)
            else:
                counted[f"failed.{item.destination.values[0]}"] += 1
        return buffered, counted

    def unpartitioned(self, item: Buffered, why: partition.PartitioningFailure) -> Buffered:
        """Return the line of a record whose partition cannot have an object."""
        return self._unpartitioned(item.seq, item.arrival_ms, item.data, why)

    def unconverted(self, item: Buffered, why: FailedRecord) -> Buffered:
        """Return the line of a record that could not be converted."""
        failure = self._failure(item.data, why.error_code, why.error_message, item.arrival_ms)
        line = error_objects.conversion_failure_line(failure, self._table)
        return _error(item.seq, item.arrival_ms, error_objects.FORMAT_CONVERSION_FAILED, line)

    def _failed(self, outcome: Failed) -> Buffered:
        record = outcome.record
        failure = self._failure(record.data, outcome.code, outcome.message, record.arrival_ms, outcome.attempts)
        line = error_objects.processing_failure_line(failure, self._lambda_arn)
        return _error(record.seq, record.arrival_ms, error_objects.PROCESSING_FAILED, line)

    def _placed(self, outcome: Transformed, active: set[Destination]) -> Buffered:
        record = outcome.record
        values = partition.partition_values(self._prefix, outcome.partition_keys)
        if isinstance(values, partition.PartitioningFailure):
            return self._unpartitioned(record.seq, record.arrival_ms, outcome.data, values)
        destination = rows_of(*values)
        if destination not in active and len(active) >= MAX_ACTIVE_PARTITIONS:
            self.refused_s = self._clock()
            message = f"The stream has {MAX_ACTIVE_PARTITIONS} active partitions, and no more are allowed."
            failure = self._failure(outcome.data, PARTITIONS_LIMIT_CODE, message, record.arrival_ms)
            line = error_objects.partitioning_failure_line(failure)
            return _error(record.seq, record.arrival_ms, ACTIVE_PARTITION_EXCEEDED, line)
        return Buffered(record.seq, destination, record.arrival_ms, outcome.data)

    def _unpartitioned(self, seq: int, arrival_ms: int, data: bytes, why: partition.PartitioningFailure) -> Buffered:
        failure = self._failure(data, why.error_code, why.error_message, arrival_ms)
        line = error_objects.partitioning_failure_line(failure)
        return _error(seq, arrival_ms, error_objects.PARTITIONING_FAILED, line)

    def _failure(self, data: bytes, code: str, message: str, arrival_ms: int, attempts: int = 1) -> Failure:
        return Failure(data, code, message, attempts, arrival_ms, int(self._clock() * 1000))


def _error(seq: int, arrival_ms: int, kind: str, line: bytes) -> Buffered:
    return Buffered(seq, errors_of(kind), arrival_ms, line)
