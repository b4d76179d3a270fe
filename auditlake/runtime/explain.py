"""Where one event is and was: a look into everything that a data directory holds.

There is no index: the buffer, the objects under the error prefix and the column `event_id` of the table's objects are
read through, so that it works as well on the directory of a runtime that is stopped.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditlake.errors import QueryError, StoreError
from auditlake.runtime.buffer import record_id, unanswered_records
from auditlake.runtime.damage import damage
from auditlake.runtime.event_search import Found, carried, in_error_line, in_rows, row_receipt
from auditlake.runtime.object_key import BUCKET_AREA
from auditlake.runtime.plan import Plan
from auditlake.runtime.query import run_query
from auditlake.runtime.store_location import S3Location, location_of

MAX_LOOKS = 3
"""Looks before it is told that records move faster than they can be looked for."""
_ROW_COLUMNS = ("event_id", "received_at", "api_request_id", "source_ip", "principal")


@dataclass(frozen=True)
class Scanned:
    """What was looked through; objects behind an S3 endpoint are not (`objects_read` is false).

    `dropped_records` is how many the transform has dropped since the buffer was made: of those nothing is kept (B4).
    Where nothing was found, `damaged_records` is how many accepted records cannot be read any more, and `damaged_files`
    where their bytes are.
    """

    objects_in: str
    objects_read: bool
    waiting_records: int
    buffered_records: int
    dropped_records: int
    error_objects: int
    table_objects: int
    table_bytes_read: int
    damaged_records: int = 0
    damaged_files: Sequence[str] = ()


@dataclass(frozen=True)
class Explanation:
    """All copies of an event, and what was looked through for them."""

    event_id: str
    found: Sequence[Found]
    scanned: Scanned

    def content(self) -> dict[str, Any]:
        """Return it as JSON values, without what is not known."""
        found = [{name: value for name, value in asdict(one).items() if value is not None} for one in self.found]
        for one, copy in zip(found, self.found, strict=True):
            one["stages"] = [{"stage": stage, "what": what} for stage, what in stages(copy)]
        return {"event_id": self.event_id, "found": found, "scanned": asdict(self.scanned)}


def explain(data: Path, plan: Plan, event_id: str) -> Explanation:
    """Find every copy of an event in a data directory, whether a runtime runs on it or not.

    Raises StoreError or QueryError when the directory cannot be read, or the table has no column `event_id`, or no id
    is given.
    """
    if not event_id:
        raise QueryError("The event id is empty; give the one of the event, as in `auditlake explain EVENT_ID`.")
    if "event_id" not in [column.name for column in plan.table.columns]:
        raise QueryError(f"The table {plan.table.name} has no column event_id, by which an event could be found.")
    path = data / "buffer.sqlite"
    if not path.is_file():
        raise StoreError(f"There is no buffer in {data}; give the directory that `auditlake up --data` was given.")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            for _ in range(MAX_LOOKS):
                buffered = _look_into_buffer(path, connection, plan, event_id)
                stored = _look_into_objects(data, plan, event_id)
                # Records move on while the objects are read: what has moved may have been missed, or found twice.
                if _look_into_buffer(path, connection, plan, event_id).found == buffered.found:
                    explanation = _explanation(event_id, data, buffered, stored)
                    return explanation if explanation.found else _with_damage(explanation, path, connection)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"The buffer {path} cannot be read: {error}.") from None
    raise StoreError(f"The event {event_id} moved on at each of {MAX_LOOKS} looks; look again.")


def stages(found: Found) -> Iterator[tuple[str, str]]:
    """Yield what is known of a copy's way, stage by stage, as pairs of stage and words."""
    came = [f"from {found.source_ip}" if found.source_ip else "", f"by {found.principal}" if found.principal else ""]
    request = f"request {found.request_id}" if found.request_id else "put to the stream, not POSTed"
    when = [f"received {_time(found.received_ms)}"] if found.received_ms is not None else []
    yield "post", ", ".join([*when, *filter(None, came), request])
    accepted = [f"record {found.record_id}"] if found.record_id else []
    accepted += [f"accepted {_time(found.arrival_ms)}"] if found.arrival_ms is not None else []
    if found.unreadable:
        accepted += ["no event can be read in it, its text holds the id"]
    yield "deliver", ", ".join(accepted) or "accepted; a stored row does not keep its record's id"
    if found.place == "transform":
        yield "transform", "waits for the transform, or is being transformed"
        return
    if found.place == "errors":
        yield from _failed_stages(found)
        return
    yield "transform", "done"
    yield "partition", ", ".join(f"{name}={value}" for name, value in (found.partition or {}).items())
    if found.place == "partition":
        yield "store", "waits in the buffer of its partition"
        return
    yield "convert", "done"
    yield "store", f"in {found.object_key}"


_FAILED_STAGE = {"processing-failed": "transform", "format-conversion-failed": "convert"}


def _failed_stages(found: Found) -> Iterator[tuple[str, str]]:
    attempts = "1 attempt" if found.attempts == 1 else f"{found.attempts} attempts"
    stage = _FAILED_STAGE.get(found.error_type or "", "partition")
    yield stage, f"failed after {attempts}: {found.error_code}: {found.error_message}"
    yield "store", f"in {found.object_key}" if found.object_key else f"waits in the buffer of {found.error_type}"


def _time(epoch_ms: int | None) -> str:
    return datetime.fromtimestamp((epoch_ms or 0) / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class _Look:
    found: Sequence[Found]
    waiting: int = 0
    buffered: int = 0
    dropped: int = 0
    error_objects: int = 0
    table_objects: int = 0
    table_bytes_read: int = 0


def _explanation(event_id: str, data: Path, buffered: _Look, stored: _Look) -> Explanation:
    location = location_of(data)
    scanned = Scanned(
        objects_in=str(location),
        objects_read=not isinstance(location, S3Location),
        waiting_records=buffered.waiting,
        buffered_records=buffered.buffered,
        dropped_records=buffered.dropped,
        error_objects=stored.error_objects,
        table_objects=stored.table_objects,
        table_bytes_read=stored.table_bytes_read,
    )
    return Explanation(event_id, [*buffered.found, *stored.found], scanned)


def _with_damage(explanation: Explanation, path: Path, connection: sqlite3.Connection) -> Explanation:
    """Add what of the buffer cannot be read: an event that is nowhere else may be there."""
    found = damage(path, connection)
    scanned = replace(explanation.scanned, damaged_records=found.records, damaged_files=found.files)
    return replace(explanation, scanned=scanned)


def _look_into_buffer(path: Path, connection: sqlite3.Connection, plan: Plan, event_id: str) -> _Look:
    connection.execute("BEGIN")  # one view of what was answered and what is buffered: a record is in one of them
    try:
        (buffer_id,) = connection.execute("SELECT value FROM meta WHERE key = 'id'").fetchone()
        found: list[Found] = []
        waiting = buffered = 0
        for record in unanswered_records(path, connection):
            waiting += 1
            identity = record_id(buffer_id, record.seq)
            found += (
                Found("transform", record_id=identity, arrival_ms=record.arrival_ms, **one)
                for one in carried(record.data, event_id, identity)
            )
        query = "SELECT seq, destination, arrival_ms, data FROM buffered ORDER BY seq"
        for seq, destination, arrival_ms, content in connection.execute(query):
            buffered += 1
            kind, *values = json.loads(destination)
            identity = record_id(buffer_id, seq)
            if kind == "errors":
                found += in_error_line(content, event_id, values[0], None, identity)
            else:
                found += in_rows(content, event_id, plan, values, identity, arrival_ms)
        dropped = connection.execute("SELECT value FROM counters WHERE name = 'dropped.records'").fetchone()
    finally:
        connection.execute("ROLLBACK")
    return _Look(found, waiting=waiting, buffered=buffered, dropped=dropped[0] if dropped else 0)


def _look_into_objects(data: Path, plan: Plan, event_id: str) -> _Look:
    location = location_of(data)
    if isinstance(location, S3Location):
        return _Look([])
    root = (location / plan.bucket.name).resolve()
    found: list[Found] = []
    errors = 0
    for key in _error_keys(root, plan.stream.error_output_prefix.partition("!{")[0]):
        errors += 1
        with (root / key).open("rb") as lines:
            for line in lines:
                found += in_error_line(line, event_id, _error_type(plan, key), key, None)
    keys = [key.name for key in plan.table.partition_keys]
    names = [name for name in _ROW_COLUMNS if name in {column.name for column in plan.table.columns}]
    selected = ", ".join(f'"{name}"' for name in ["$path", *names, *keys])
    sql = f'SELECT {selected} FROM "{plan.table.name}" WHERE event_id = ?'  # noqa: S608 - names of the plan, quoted
    with run_query(data, plan, sql, [event_id]) as result:
        for row in result.rows():
            values = dict(zip(["$path", *names, *keys], row, strict=True))
            key = Path(values["$path"]).relative_to(root).as_posix()
            partition = {name: values[name] for name in keys}
            found.append(Found("store", partition=partition, object_key=key, **row_receipt(values)))
        scan = result.scan()
    return _Look(found, error_objects=errors, table_objects=scan.files_total, table_bytes_read=scan.bytes_read)


def _error_keys(root: Path, literal: str) -> Iterator[str]:
    """Yield the keys of the objects that begin with the literal part of the error prefix, but no Parquet ones."""
    for path in sorted((root / literal.rpartition("/")[0]).rglob("*")):
        key = path.relative_to(root).as_posix()
        is_error = key.startswith(literal) and not key.startswith(f"{BUCKET_AREA}/") and path.suffix != ".parquet"
        if is_error and path.is_file():
            yield key


def _error_type(plan: Plan, key: str) -> str:
    """Return the error-output-type that an object's key was made of."""
    before = plan.stream.error_output_prefix.partition("!{firehose:error-output-type}")[0]
    # What stands before may itself hold expressions: each evaluates to as many parts as it has slashes.
    return key.split("/")[before.count("/")]
