"""One event in the records, rows and error lines that may hold it."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from auditlake.runtime.plan import Plan
from lambda_src.common import envelope
from lambda_src.common.envelope import Envelope, EnvelopeError
from lambda_src.common.fields import RefusedError, parse_object, readable
from lambda_src.transform.record import event_lines, made_id


@dataclass(frozen=True)
class Found:
    """One copy of the event, and what is known of its way; times are epoch ms (UTC), what is not known is None.

    `place` is where it is: `transform` (accepted, waits for the transform), `partition` (buffered, waits for its
    object), `store` (in an object of the table), or `errors` (failed; its line waits for an object or is in one).
    """

    place: str
    received_ms: int | None = None
    request_id: str | None = None
    source_ip: str | None = None
    principal: str | None = None
    record_id: str | None = None
    arrival_ms: int | None = None
    partition: Mapping[str, str] | None = None
    error_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    attempts: int | None = None
    object_key: str | None = None
    unreadable: bool | None = None
    """True when no event can be read where it was found, and its text holds the id in quotes."""


class _Row(msgspec.Struct):
    event_id: str | None = None
    received_at: str | None = None
    api_request_id: str | None = None
    source_ip: str | None = None
    principal: str | None = None


def carried(record: bytes, event_id: str, identity: str | None) -> Iterator[dict[str, Any]]:
    """Yield what is known of how it came in, for each event in a record that has the id.

    A line that no event can be read in counts when its text holds the id: what was accepted must be found.
    """
    for index, line in enumerate(event_lines(record)):
        try:
            wrapped = envelope.decode(line) if envelope.is_envelope(line) else None
            own = _own_id(wrapped.body if wrapped else line)
        except EnvelopeError:  # the transform refuses what claims to be an envelope and is none
            wrapped, own = None, None
        given = (wrapped.event_id if wrapped else "") or (made_id(identity, index) if identity else "")
        if event_id == (own or given):
            yield _receipt(wrapped)
        elif own is None and any(quoted in (wrapped.body if wrapped else line) for quoted in _quoted(event_id)):
            yield {**_receipt(wrapped), "unreadable": True}


def _own_id(body: bytes) -> str | None:
    """Return the id that the transform will read in an event, "" when it has none, None when it cannot be read."""
    text, problems = readable(body)
    try:
        fields = parse_object(text, problems)
        return fields.key("id") or fields.key("_id") or ""
    except (RefusedError, RecursionError):
        return None


def _quoted(event_id: str) -> tuple[bytes, ...]:
    """Return the id as JSON writes it, with and without escapes for what is not ASCII."""
    return json.dumps(event_id).encode(), json.dumps(event_id, ensure_ascii=False).encode("utf-8", "replace")


def in_rows(
    content: bytes, event_id: str, plan: Plan, values: Sequence[str], identity: str, arrival_ms: int
) -> Iterator[Found]:
    """Find the event in the rows that a record became; `values` are those of its partition."""
    partition = dict(zip([key.name for key in plan.table.partition_keys], values, strict=False))
    for row in _rows(content):
        if row.event_id == event_id:
            yield Found(
                "partition",
                record_id=identity,
                arrival_ms=arrival_ms,
                partition=partition,
                **row_receipt(msgspec.to_builtins(row)),
            )


def in_error_line(
    line: bytes, event_id: str, error_type: str, key: str | None, identity: str | None
) -> Iterator[Found]:
    """Find the event in a line of an error object: in the record as it was put, or as the transform returned it.

    A line that is no failed record, because somebody else wrote it, holds no event.
    """
    try:
        failure = json.loads(line)
        raw = base64.b64decode(failure["rawData"])
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return
    receipts = list(carried(raw, event_id, identity))
    receipts += [row_receipt(msgspec.to_builtins(row)) for row in _rows(raw) if row.event_id == event_id]
    for receipt in receipts:
        yield Found(
            "errors",
            record_id=identity,
            arrival_ms=failure.get("arrivalTimestamp"),
            error_type=error_type,
            error_code=failure.get("errorCode") or failure.get("lastErrorCode"),
            error_message=failure.get("errorMessage") or failure.get("lastErrorMessage"),
            attempts=failure.get("attemptsMade"),
            object_key=key,
            **receipt,
        )


def _rows(content: bytes) -> Iterator[_Row]:
    for line in content.split(b"\n"):
        try:
            yield msgspec.json.decode(line, type=_Row)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue  # a row that is none cannot be converted, and is found when it fails


def _receipt(wrapped: Envelope | None) -> dict[str, Any]:
    """Return what the envelope says of how the event came in."""
    if wrapped is None:
        return {}
    return {
        "received_ms": wrapped.received_at,
        "request_id": wrapped.request_id or None,
        "source_ip": wrapped.source_ip or None,
        "principal": wrapped.principal or None,
    }


def row_receipt(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row says of how its event came in."""
    received = row.get("received_at")
    if isinstance(received, str):
        try:
            received = datetime.fromisoformat(received)
        except ValueError:  # a transform that is not ours may write anything there
            received = None
    return {
        "received_ms": None if received is None else int(received.replace(tzinfo=UTC).timestamp() * 1000),
        "request_id": row.get("api_request_id"),
        "source_ip": row.get("source_ip"),
        "principal": row.get("principal"),
    }
