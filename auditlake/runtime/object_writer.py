"""From the records that wait for a destination to an object in the store, exactly once per object.

Which records an object holds, and its key, are fixed in the buffer before the store is asked: a crash, or an answer
that got lost, repeats the same object under the same key or nothing.
"""

import gzip
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC

from auditlake.errors import ObjectExistsError
from auditlake.runtime import error_objects, partition
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.convert import Converted, conversion_schema, convert
from auditlake.runtime.destination import SOURCE_BACKUP, Destination
from auditlake.runtime.index import Buffered
from auditlake.runtime.placement import Placement
from auditlake.runtime.plan import DeliveryStream, Plan
from auditlake.runtime.store import Store

GZIP_LEVEL = 6
"""zlib's own default; Python's is 9, which takes three times as long for objects hardly smaller."""

logger = logging.getLogger("auditlake")


@dataclass(frozen=True)
class Stored:
    """What one delivery stored: objects (0 or 1) and their rows."""

    objects: int
    rows: int


NOTHING = Stored(0, 0)


class ObjectWriter:
    """Writes the objects of a stream."""

    def __init__(
        self, plan: Plan, buffer: Buffer, store: Store, placement: Placement, clock: Callable[[], float]
    ) -> None:
        """Prepare; raises PlanError when a prefix, the time zone or a column is not implemented."""
        self._stream = plan.stream
        self._columns = plan.table.columns
        conversion_schema(self._columns)  # refuses now, not at the first object, a column that cannot be converted
        self._prefix = partition.parse_prefix(plan.stream.prefix)
        self._error_prefix = partition.parse_error_prefix(plan.stream.error_output_prefix)
        self._backup = plan.stream.backup
        self._backup_prefix = partition.parse_backup_prefix(plan.stream.backup.prefix if plan.stream.backup else "")
        self._zone = partition.parse_time_zone(plan.stream.custom_time_zone)
        self._buffer = buffer
        self._store = store
        self._placement = placement
        self._clock = clock

    def write(self, destination: Destination) -> Stored:
        """Store the next object of a destination, or the one that was begun; raises StoreError.

        Then nothing has left the buffer, and the same object is tried at the next call.
        """
        begun = self._buffer.begun(destination)
        key, taken = begun or (None, self._buffer.contents(destination, buffering(self._stream, destination)[0]))
        if not taken:
            return NOTHING
        if destination == SOURCE_BACKUP:
            return self._write_backup(key, taken)
        if not destination.is_rows:
            return self._write_errors(destination, key, taken)
        new_key = self._row_key(destination, taken)
        if isinstance(new_key, partition.PartitioningFailure):
            failed = [self._placement.unpartitioned(item, new_key) for item in taken]
            counted = {f"failed.{error_objects.PARTITIONING_FAILED}": len(failed)}
            self._buffer.stored(destination, taken, failed, counted, self._now_ms())
            return NOTHING
        converted = convert([item.data for item in taken], self._columns, self._stream.conversion)
        if converted.rows:
            self._put(destination, taken, key, new_key, converted.parquet)
        unconverted = [self._placement.unconverted(taken[one.index], one) for one in converted.failed]
        self._buffer.stored(destination, taken, unconverted, _counted(destination, taken, converted), self._now_ms())
        return Stored(int(converted.rows > 0), converted.rows)

    def _write_errors(self, destination: Destination, key: str | None, taken: Sequence[Buffered]) -> Stored:
        context = self._object(taken, "", destination.values[0])
        new_key = partition.error_object_key(self._error_prefix, context)
        self._put(destination, taken, key, new_key, b"".join(item.data for item in taken))
        self._buffer.stored(destination, taken, (), {"stored.error_objects": 1, "deliveries": 1}, self._now_ms())
        return Stored(1, 0)

    def _write_backup(self, key: str | None, taken: Sequence[Buffered]) -> Stored:
        """Store records as they came, one after the other without anything between them (B6, documented)."""
        body, extension = b"".join(item.data for item in taken), ""
        if self._backup is not None and self._backup.compression == "GZIP":
            body, extension = gzip.compress(body, GZIP_LEVEL, mtime=0), ".gz"
        # CustomTimeZone is the extended destination's alone; the backup's description has none, and UTC is its default.
        context = replace(self._object(taken, extension), time_zone=UTC)
        self._put(SOURCE_BACKUP, taken, key, partition.backup_object_key(self._backup_prefix, context), body)
        counted = {
            "backup.deliveries": 1,
            "backup.objects": 1,
            "backup.records": len(taken),
            "backup.bytes": len(body),
        }
        self._buffer.backed_up(taken, counted)
        return Stored(1, 0)

    def _put(
        self, destination: Destination, taken: Sequence[Buffered], key: str | None, new_key: str, body: bytes
    ) -> None:
        """Store an object under the key that it was begun with, or begin it with a new one."""
        if key is not None:
            try:
                self._store.put(key, body)
            except ObjectExistsError as error:
                # Another version of auditlake, or another plan, made other bytes of the same records.
                logger.warning("%s It is stored once more under another key; its rows may be there twice.", error)
            else:
                return
        self._buffer.begin(destination, taken, new_key)
        self._store.put(new_key, body)

    def _row_key(self, destination: Destination, taken: Sequence[Buffered]) -> str | partition.PartitioningFailure:
        context = self._object(taken, self._stream.file_extension or ".parquet")
        return partition.object_key(self._prefix, destination.values, context)

    def _object(self, taken: Sequence[Buffered], extension: str, kind: str = "") -> partition.ObjectContext:
        return partition.ObjectContext(
            stream_name=self._stream.name,
            oldest_arrival_ms=min(item.arrival_ms for item in taken),
            uuid=uuid.uuid4(),
            extension=extension,
            time_zone=self._zone,
            error_output_type=kind,
        )

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def buffering(stream: DeliveryStream, destination: Destination) -> tuple[int, int]:
    """Return how many bytes and how many seconds a destination's buffer waits for (B2); the backup has its own."""
    hints = stream.backup if stream.backup is not None and destination == SOURCE_BACKUP else stream
    return hints.buffer_size_bytes, hints.buffer_interval_s


def _counted(destination: Destination, taken: Sequence[Buffered], converted: Converted) -> Mapping[str, int]:
    failed_bytes = sum(len(taken[failure.index].data) for failure in converted.failed)
    counted = {
        "deliveries": int(converted.rows > 0),
        "converted.records": len(taken) - len(converted.failed),
        "converted.bytes": sum(len(item.data) for item in taken) - failed_bytes,
        "unconverted.bytes": failed_bytes,
        "stored.objects": int(converted.rows > 0),
        "stored.bytes": len(converted.parquet) if converted.rows else 0,
        "stored.rows": converted.rows,
        f"rows:{destination.text}": converted.rows,
        f"failed.{error_objects.FORMAT_CONVERSION_FAILED}": len(converted.failed),
    }
    return {key: value for key, value in counted.items() if value}
