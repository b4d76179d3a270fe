"""One record of the delivery stream: the events in it become the rows of one partition, or the whole record fails.

Firehose's answer is 1:1 (B2, documented): a record can be neither split nor kept in part. A failed one lands whole
under `errors/`, where it can be redriven.
"""

from uuid import UUID, uuid5

import msgspec

from lambda_src.common import envelope
from lambda_src.common.envelope import EnvelopeError
from lambda_src.common.event import Event, read_event
from lambda_src.common.fields import RefusedError, readable
from lambda_src.common.partition import OTHER, Partition, PartitionRule
from lambda_src.transform.row import Receipt, row_json

# Makes the ids of events that have none and came without an envelope.
_RECORD_NAMESPACE = UUID("3f0b7a52-9f0e-5c34-8d6e-6f3d1d7f2a10")

_AROUND = b" \t\r\n"
"""White space of JSON, which may stand around a document and is no part of it."""
_DOCUMENT = msgspec.json.Decoder(msgspec.Raw)


class RecordError(ValueError):
    """A record cannot become rows of one partition; the message says why and quotes nothing of it."""


class Counts(msgspec.Struct, gc=False):
    """What was seen in the rows of an invocation."""

    events: int = 0
    problems: int = 0
    """Events with problems."""
    late: int = 0
    other_type: int = 0
    """Events whose type is not listed."""

    def add(self, other: "Counts") -> None:
        """Add the counts of a record."""
        self.events += other.events
        self.problems += other.problems
        self.late += other.late
        self.other_type += other.other_type


class Rows(msgspec.Struct, frozen=True, gc=False):
    """The rows of one record, one JSON a line (D2, documented: a record may hold several), and where they belong."""

    data: bytes
    partition: Partition
    counts: Counts


def record_rows(data: bytes, record_id: str, arrived_at: int, rule: PartitionRule) -> Rows:
    """Make the rows of a record's bytes; raises RecordError.

    `arrived_at` is the record's approximateArrivalTimestamp in milliseconds since 1970 (B1, documented): the receipt of
    an event that came without an envelope.
    """
    rows = []
    first: Partition | None = None
    problems = late_events = 0
    for index, line in enumerate(event_lines(data)):
        event, body, receipt = _read(line, index, record_id, arrived_at)
        partition, late = rule.partition(event.document.event_type, event.moment.day, receipt.received_at)
        if partition != (first or partition):
            raise RecordError(f"Event {index} of the record belongs to another partition than event 0.")
        first = partition
        rows.append(row_json(event, body, receipt, late))
        problems += bool(event.problems)
        late_events += late
    if first is None:
        raise RecordError("The record holds no event: it is empty, or only whitespace.")
    other_type = len(rows) if first.audit_type == OTHER else 0
    return Rows(b"\n".join(rows), first, Counts(len(rows), problems, late_events, other_type))


def event_lines(data: bytes) -> list[bytes]:
    """Split a record into the bytes of its events: one a line, or one event over several lines.

    White space around an event parts it from the next; it is not of the event, or the newline with which a producer
    ends its record would make other bytes of it than the producer knows.
    """
    if b"\n" not in data or (not envelope.is_envelope(data) and _is_one_document(data)):
        lines = [data]
    else:
        lines = data.split(b"\n")
    return [event for line in lines if (event := line.strip(_AROUND))]


def _is_one_document(data: bytes) -> bool:
    try:
        _DOCUMENT.decode(readable(data)[0])
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def made_id(record_id: str, index: int) -> str:
    """Make the id of an event that has none, by its place in its record.

    It is stable over Firehose's retries of an invocation, so that a retry makes no second event.
    """
    return str(uuid5(_RECORD_NAMESPACE, f"{record_id}:{index}"))


def _read(line: bytes, index: int, record_id: str, arrived_at: int) -> tuple[Event, bytes, Receipt]:
    """Read the event of a line, with its exact bytes and what the server knows; raises RecordError."""
    try:
        if not envelope.is_envelope(line):
            return read_event(line), line, Receipt(made_id(record_id, index), arrived_at)
        wrapped = envelope.decode(line)
        event_id = wrapped.event_id or made_id(record_id, index)
        receipt = Receipt(
            event_id,
            wrapped.received_at,
            wrapped.request_id or None,
            wrapped.source_ip or None,
            wrapped.principal or None,
        )
        return read_event(wrapped.body), wrapped.body, receipt
    except (EnvelopeError, RefusedError) as error:
        raise RecordError(f"Event {index} of the record is refused: {error}") from None
