"""Error objects for tests: written as Firehose writes them, into a directory laid out like a bucket."""

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from auditlake.error_store import DirectoryErrors, ErrorObject, ErrorPrefix
from auditlake.failed_records import FailedRecord
from lambda_src.common.envelope import Envelope, encode

PREFIX = "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/"
ARRIVAL_MS = 1_790_000_000_000
RECEIVED_MS = 1_789_999_999_123
MODIFIED = datetime(2026, 9, 21, 15, tzinfo=UTC)


def event(event_id: str | None, /, **members: object) -> bytes:
    """Return an event that the transform takes; None is one without an id."""
    own = {} if event_id is None else {"id": event_id}
    body = {**own, "eventType": "login", "timestamp": "2026-09-21T14:00:00Z", "actor": {"userId": "ana"}, **members}
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


def enveloped(body: bytes, event_id: str = "", principal: str = "arn:aws:iam::1:user/ana") -> bytes:
    """Return an event in the envelope of the API."""
    return encode(Envelope(event_id, "request-1", RECEIVED_MS, "203.0.113.9", principal, body))


def processing_line(raw: bytes, code: str = "Lambda.FunctionError", arrival_ms: int = ARRIVAL_MS) -> bytes:
    """Return a line of a processing failure, in the order captured on AWS (B6)."""
    return json.dumps(
        {
            "rawData": base64.b64encode(raw).decode(),
            "errorCode": code,
            "errorMessage": "The Lambda function was successfully invoked but it returned an error result.",
            "attemptsMade": 4,
            "arrivalTimestamp": arrival_ms,
            "attemptEndingTimestamp": arrival_ms + 80_000,
            "lambdaARN": "arn:aws:lambda:us-east-1:1:function:transform",
        }
    ).encode()


def conversion_line(raw: bytes, names: tuple[str, str] = ("lastErrorCode", "lastErrorMessage")) -> bytes:
    """Return a line of a conversion failure (D7), under the observed or the documented names."""
    return json.dumps(
        {
            "attemptsMade": 1,
            "arrivalTimestamp": ARRIVAL_MS,
            names[0]: "DataFormatConversion.MalformedData",
            names[1]: "Data does not match the schema.",
            "attemptEndingTimestamp": ARRIVAL_MS + 1,
            "rawData": base64.b64encode(raw).decode(),
            "sequenceNumber": None,
            "subSequenceNumber": None,
            "dataCatalogTable": {"databaseName": "audit"},
        }
    ).encode()


def found(error_type: str = "processing-failed", size: int = 0) -> ErrorObject:
    """Return an error object of a type."""
    key = f"errors/{error_type}/2026/09/21/stream-1-2026-09-21-14-13-20-0"
    return ErrorObject(key, "v1", size, MODIFIED, error_type)


def record(raw: bytes, error_type: str = "processing-failed", line: int = 1) -> FailedRecord:
    """Return a failed record with these bytes."""
    return FailedRecord(found(error_type), line, "Lambda.FunctionError", "It failed.", ARRIVAL_MS, raw)


def write_object(root: Path, error_type: str, lines: Iterable[bytes], name: str = "0") -> str:
    """Write an error object below a bucket's directory and return its key."""
    key = f"errors/{error_type}/2026/09/21/stream-1-2026-09-21-14-13-20-{name}"
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return key


def store_of(root: Path) -> DirectoryErrors:
    """Return the error objects below a bucket's directory."""
    return DirectoryErrors(root, ErrorPrefix(PREFIX))
