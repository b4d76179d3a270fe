"""The events in a data directory that are in no object yet: in the journal, or in a buffer of the stream."""

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from auditlake.error_store import ErrorObject
from auditlake.errors import ReconcileError
from auditlake.failed_records import failed_records
from auditlake.recover import RecoveredEvent, identity, recover, stripped_sha256
from auditlake.runtime.buffer import record_id, unanswered_records
from auditlake.runtime.destination import parse_destination
from lambda_src.common import envelope
from lambda_src.common.envelope import EnvelopeError
from lambda_src.transform.record import event_lines, made_id


@dataclass(frozen=True)
class Waiting:
    """An event that waits, its bytes' SHA-256 where it is known; `failed` when it waits to become an error object.

    `stripped` is the SHA-256 without the white space around it, where there is any.
    """

    id: str
    sha256: str | None
    failed: bool = False
    stripped: str | None = None


class _Row(msgspec.Struct):
    event_id: str
    raw_sha256: str | None = None
    raw: str = ""


def waiting_events(data: Path) -> Iterator[Waiting]:
    """Yield the events that wait in a data directory, whether a runtime runs on it or not; raises ReconcileError."""
    path = data / "buffer.sqlite"
    if not path.is_file():
        raise ReconcileError(f"There is no buffer in {data}; give the directory that `auditlake up --data` was given.")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("BEGIN")  # one view of what was answered and what is buffered
            (buffer_id,) = connection.execute("SELECT value FROM meta WHERE key = 'id'").fetchone()
            for record in unanswered_records(path, connection):
                yield from _accepted(record.data, record_id(buffer_id, record.seq))
            for destination, content in connection.execute("SELECT destination, data FROM buffered ORDER BY seq"):
                where = parse_destination(destination)
                yield from _rows(content) if where.is_rows else _failed(content, where.values[0])
    except (sqlite3.Error, OSError) as error:
        raise ReconcileError(f"The buffer {path} cannot be read: {error}.") from None


def buffer_id(data: Path) -> str | None:
    """Return the id of a data directory's buffer, which its runtime's status tells; None where there is no buffer."""
    path = data / "buffer.sqlite"
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            (found,) = connection.execute("SELECT value FROM meta WHERE key = 'id'").fetchone()
    except (sqlite3.Error, OSError, TypeError) as error:
        raise ReconcileError(f"The buffer {path} cannot be read: {error}.") from None
    return str(found)


def _accepted(record: bytes, identity_of_record: str) -> Iterator[Waiting]:
    """Yield the events of a record with the ids that the transform will give them."""
    for index, line in enumerate(event_lines(record)):
        body, given = line, ""
        if envelope.is_envelope(line):
            try:
                wrapped = envelope.decode(line)
            except EnvelopeError:
                continue  # the transform will refuse it
            body, given = wrapped.body, wrapped.event_id
        event_id = identity(body) or given or made_id(identity_of_record, index)
        yield Waiting(event_id, sha256(body).hexdigest(), stripped=stripped_sha256(body))


def _rows(content: bytes) -> Iterator[Waiting]:
    for line in content.split(b"\n"):
        try:
            row = msgspec.json.decode(line, type=_Row)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue  # a row that is none cannot be converted, and is found when it fails
        # Base64 has no white space around it, so this is asked of the event's own text alone.
        yield Waiting(row.event_id, row.raw_sha256, stripped=stripped_sha256(row.raw.encode("utf-8", "surrogatepass")))


def _failed(content: bytes, error_type: str) -> Iterator[Waiting]:
    waits = ErrorObject("the buffer", "", len(content), datetime.fromtimestamp(0, UTC), error_type)
    for record in failed_records(io.BytesIO(content), waits):
        for event in recover(record):
            if isinstance(event, RecoveredEvent) and event.has_id:
                yield Waiting(event.event_id, event.sha256, failed=True, stripped=stripped_sha256(event.body))
