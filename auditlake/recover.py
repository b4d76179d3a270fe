"""The events in a failed record, each with what the server knew of it when it was accepted.

A record is what was put (one envelope, several one a line, or a bare event), or what the transform made of it (rows,
whose column `raw` holds the exact bytes). Whichever it is, an event becomes an envelope again, with the id, the time of
receipt, the principal and the address that it first came with: a redrive neither loses nor invents them.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID, uuid5

import msgspec

from auditlake.events_input import top_level
from auditlake.failed_records import FailedRecord
from auditlake.outgoing import own_id
from lambda_src.common import envelope
from lambda_src.common.envelope import Envelope, EnvelopeError
from lambda_src.common.event import Event, read_event
from lambda_src.common.fields import RefusedError
from lambda_src.transform.record import event_lines

PUT_TYPES = frozenset({"processing-failed"})
"""The types whose records are as they were put (B6, documented); a row there would be a producer's, with a principal
of its own choosing."""

# Makes the ids of events that have none: of the place, so that every redrive of one object gives the same.
_PLACE_NAMESPACE = UUID("8d9a3c1e-6f0b-5d5a-9a8e-2f4b7c6d1e53")
_AROUND = b" \t\r\n"
_BASE64_PROBLEM = "raw holds the bytes as base64"


@dataclass(frozen=True)
class RecoveredEvent:
    """An event of a failed record: its place in it, its exact bytes, and its envelope.

    `line` is the record's own line when it is such an envelope already, which is then put again byte for byte.
    `has_id` says that the event or the server gave the id; else it was made of the event's place.
    """

    index: int
    envelope: Envelope
    line: bytes | None = None
    has_id: bool = True

    @property
    def event_id(self) -> str:
        """The id that the event has in the table."""
        return self.envelope.event_id

    @property
    def body(self) -> bytes:
        """The exact bytes of the event."""
        return self.envelope.body

    @property
    def sha256(self) -> str:
        """SHA-256 of the exact bytes, in hexadecimal."""
        return sha256(self.envelope.body).hexdigest()

    def data(self) -> bytes:
        """Return the line to put into the stream."""
        return envelope.encode(self.envelope) if self.line is None else self.line


@dataclass(frozen=True)
class Unrecoverable:
    """What lies in a failed record and is no event; `reason` is a sentence."""

    index: int
    reason: str


class _Row(msgspec.Struct):
    event_id: str
    raw: str
    received_at: str | None = None
    api_request_id: str | None = None
    source_ip: str | None = None
    principal: str | None = None
    problems: list[str] | None = None
    raw_sha256: str | None = None


_decode_row = msgspec.json.Decoder(_Row).decode


def recover(record: FailedRecord) -> Iterator[RecoveredEvent | Unrecoverable]:
    """Yield each event of a failed record, and what in it is none."""
    if record.problem is not None:
        yield Unrecoverable(0, f"This is no failed record: {record.problem}.")
        return
    lines = event_lines(record.raw_data)
    if not lines:
        yield Unrecoverable(0, "The record was empty: there is nothing to put again.")
    for index, line in enumerate(lines):
        if envelope.is_envelope(line):
            yield _enveloped(record, index, line)
        elif record.object.error_type not in PUT_TYPES and (row := _row(line)) is not None:
            yield _of_row(record, index, row)
        else:
            yield _bare(record, index, line)


def identity(body: bytes) -> str | None:
    """Return the id that an event carries itself; None when it has none or is no JSON object."""
    try:
        return own_id(top_level(body)) or None
    except (ValueError, RecursionError):
        return None


def stripped_sha256(body: bytes) -> str | None:
    """Return SHA-256 of an event without the white space of JSON around it; None when there is none around it."""
    stripped = body.strip(_AROUND)
    return None if stripped == body else sha256(stripped).hexdigest()


def read(body: bytes) -> Event | str:
    """Return the event as the transform of this version reads it, or the sentence with which it is refused."""
    try:
        return read_event(body)
    except RefusedError as refused:
        return str(refused)


def _made_id(record: FailedRecord, index: int) -> str:
    """Make the id of an event that has none, by its place.

    The id that the transform would have made is not known: it comes of the record's id, which no error object holds.
    Two equal events stay two, as they would be in the table.
    """
    return str(uuid5(_PLACE_NAMESPACE, f"{record.object.key}:{record.line}:{index}"))


def _enveloped(record: FailedRecord, index: int, line: bytes) -> RecoveredEvent | Unrecoverable:
    try:
        wrapped = envelope.decode(line)
    except EnvelopeError as error:
        return Unrecoverable(index, str(error))
    own = identity(wrapped.body)
    if own or wrapped.event_id:
        known = msgspec.structs.replace(wrapped, event_id=own or wrapped.event_id)
        return RecoveredEvent(index, known, line)
    return RecoveredEvent(index, msgspec.structs.replace(wrapped, event_id=_made_id(record, index)), has_id=False)


def _bare(record: FailedRecord, index: int, body: bytes) -> RecoveredEvent:
    """Wrap an event that was put bare; its receipt was its record's arrival, and nobody's name is put to it."""
    own = identity(body)
    wrapped = Envelope(own or _made_id(record, index), "", record.arrival_ms, "", "", body)
    return RecoveredEvent(index, wrapped, has_id=own is not None)


def _row(line: bytes) -> _Row | None:
    """Return the row that the transform made; None for an event, which has an eventType."""
    try:
        return None if "eventType" in top_level(line) else _decode_row(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _of_row(record: FailedRecord, index: int, row: _Row) -> RecoveredEvent | Unrecoverable:
    body = _exact_bytes(row)
    if body is None:
        return Unrecoverable(index, "The row's raw does not hold the bytes whose SHA-256 is its raw_sha256.")
    wrapped = Envelope(
        row.event_id,
        row.api_request_id or "",
        _epoch_ms(row.received_at, record.arrival_ms),
        row.source_ip or "",
        row.principal or "",
        body,
    )
    return RecoveredEvent(index, wrapped)


def _exact_bytes(row: _Row) -> bytes | None:
    text = row.raw.encode("utf-8", "surrogatepass")
    try:
        decoded = base64.b64decode(row.raw, validate=True)
    except (binascii.Error, ValueError):
        decoded = text
    if row.raw_sha256 is not None:
        return next((one for one in (text, decoded) if sha256(one).hexdigest() == row.raw_sha256), None)
    return decoded if any(_BASE64_PROBLEM in problem for problem in row.problems or ()) else text


def _epoch_ms(text: str | None, otherwise: int) -> int:
    try:
        return int(datetime.fromisoformat(text or "").timestamp() * 1000)
    except (ValueError, OverflowError):
        return otherwise
