"""transform: the Lambda processor of the delivery stream, and what becomes of each record it was given (B1 to B4)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pybase64

from auditlake.runtime.buffer import Record
from auditlake.runtime.function import FunctionError, Invocable
from auditlake.runtime.plan import DeliveryStream

MAX_BATCH_RECORDS = 10_000
"""Records of one invocation: with B3's 3 MB of data the event stays below Lambda's 6 MB. AWS names no number."""
RETRY_WAITS_S = (2, 6, 12)
"""Seconds before each retry; observed is only that four attempts take 20 to 30 s (B3)."""

PARSE_ERROR = (
    "Lambda.JsonProcessingException",
    "There was an error parsing returned records from the Lambda function. Ensure that the returned records comply "
    "with the status model required by Amazon Data Firehose.",
)
MISSING_ID = (
    "Lambda.MissingRecordId",
    "One or more record Ids were not returned. Ensure that the Lambda function returns all received record Ids.",
)
DUPLICATED_ID = (
    "Lambda.DuplicatedRecordId",
    "Multiple records were returned with the same record ID. Ensure that the Lambda function returns unique record "
    "IDs for each record.",
)
NO_DATA = (
    "Lambda.InvalidReturnFormat",
    "The data field cannot be null when the SourceType is DirectPut or KinesisStreamAsSource and processing result is "
    "Ok. Ensure that the Lambda function returns data for records whose result is Ok.",
)
PROCESSING_FAILED = ("Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record")
BAD_RESULT = (
    "Lambda.FunctionError",
    "Check your function and make sure the output is in required format. In addition to that, make sure the processed "
    "records contain valid result status of Dropped, Ok, or ProcessingFailed",
)
FUNCTION_ERROR = (
    "Lambda.FunctionError",
    "The Lambda function was successfully invoked but it returned an error result.",
)
TIMED_OUT = (
    "Lambda.FunctionTimedOut",
    "The Lambda function invocation timed out. Increase the Timeout setting in the Lambda function.",
)


@dataclass(frozen=True)
class Transformed:
    """A record that goes on, with its partition keys as the function gave them."""

    record: Record
    data: bytes
    partition_keys: Mapping[str, object]


@dataclass(frozen=True)
class Dropped:
    """A record that the function dropped: it leaves no trace (B4, documented)."""

    record: Record


@dataclass(frozen=True)
class Failed:
    """A record that goes under the error prefix as `processing-failed`."""

    record: Record
    code: str
    message: str
    attempts: int


Outcome = Transformed | Dropped | Failed


def transform(
    function: Invocable,
    stream: DeliveryStream,
    batch: Sequence[Record],
    record_id: Callable[[int], str],
    wait: Callable[[float], None],
) -> list[Outcome]:
    """Invoke the function for a batch and return one outcome a record.

    Only a thrown error and a timeout are tried again, the stream's number of times; `wait` sleeps seconds in between.
    """
    by_id = {record_id(record.seq): record for record in batch}
    event = invocation_event(stream, by_id)
    attempt = 1
    while isinstance(answer := function.invoke(event), FunctionError):
        if attempt > stream.processor.retries:
            code, message = TIMED_OUT if answer.kind == "timeout" else FUNCTION_ERROR
            return [Failed(record, code, message, attempt) for record in batch]
        wait(RETRY_WAITS_S[min(attempt, len(RETRY_WAITS_S)) - 1])
        attempt += 1
    return outcomes(by_id, answer, attempt)


def invocation_event(stream: DeliveryStream, by_id: Mapping[str, Record]) -> bytes:
    """Return the invocation's payload (B1, documented)."""
    records = [
        {
            "recordId": identity,
            "approximateArrivalTimestamp": record.arrival_ms,
            "data": pybase64.b64encode_as_string(record.data),
        }
        for identity, record in by_id.items()
    ]
    first = next(iter(by_id))
    return msgspec.json.encode(
        {"invocationId": first, "deliveryStreamArn": stream.arn, "region": stream.region, "records": records}
    )


def outcomes(by_id: Mapping[str, Record], answer: bytes, attempt: int) -> list[Outcome]:
    """Read a function's answer by the table of B4 (probed, but for the unparsable answer's scope and bad results)."""
    try:
        content = msgspec.json.decode(answer)
    except (msgspec.DecodeError, RecursionError):
        return [Failed(record, *PARSE_ERROR, attempt) for record in by_id.values()]
    returned = content.get("records") if isinstance(content, dict) else None
    answers: dict[str, list[Mapping[str, Any]]] = {}
    for item in returned if isinstance(returned, list) else []:
        if isinstance(item, dict) and isinstance(item.get("recordId"), str):
            answers.setdefault(item["recordId"], []).append(item)
    return [_outcome(record, answers.get(identity, []), attempt) for identity, record in by_id.items()]


def _outcome(record: Record, answers: Sequence[Mapping[str, Any]], attempt: int) -> Outcome:
    if len(answers) != 1:
        return Failed(record, *(DUPLICATED_ID if answers else MISSING_ID), attempt)
    (answer,) = answers
    match answer.get("result"):
        case "Dropped":
            return Dropped(record)
        case "ProcessingFailed":
            return Failed(record, *PROCESSING_FAILED, attempt)
        case "Ok":
            return _transformed(record, answer, attempt)
        case _:
            # The code for an unknown result is unverified (B4).
            return Failed(record, *BAD_RESULT, attempt)


def _transformed(record: Record, answer: Mapping[str, Any], attempt: int) -> Outcome:
    encoded = answer.get("data")
    if encoded is None:
        return Failed(record, *NO_DATA, attempt)
    try:
        data = pybase64.b64decode(encoded, validate=True)
    except (ValueError, TypeError):
        # The code for data that is not base64 is unverified (B4).
        return Failed(record, *BAD_RESULT, attempt)
    metadata = answer.get("metadata")
    keys = metadata.get("partitionKeys") if isinstance(metadata, dict) else None
    return Transformed(record, data, keys if isinstance(keys, dict) else {})


def destination(kind: str, *values: str) -> str:
    """Name a destination of the buffer: `rows` with the values of its partition keys, or `errors` with its type."""
    return json.dumps([kind, *values], separators=(",", ":"), ensure_ascii=False)
