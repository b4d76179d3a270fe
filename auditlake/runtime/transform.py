"""transform: the Lambda processor of the delivery stream, and what becomes of each record it was given (B1 to B4)."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pybase64

from auditlake.runtime.function import FunctionError, Invocable
from auditlake.runtime.journal_format import Record
from auditlake.runtime.kinesis_api import SHARD_ID, sequence_number
from auditlake.runtime.plan import DeliveryStream

MAX_INVOCATIONS = 5
"""Invocations that may run side by side (B3, documented: 5 "per shard" for S3; that a stream counts as one is UNV)."""
MAX_INVOCATION_S = 300
"""After five minutes an invocation has timed out, whatever the function's own timeout (B3, documented)."""
MAX_EVENT_BYTES = 6_291_456
"""The largest event of an invocation, base64 included (B3, documented as 6 MB)."""
RETRY_WAITS_S = (2, 6, 12)
"""Seconds before each retry, the last for all further ones; observed is that four attempts take 20 to 30 s (B3)."""

_RECORD = '{"recordId":"","approximateArrivalTimestamp":,"data":""},'
_EVENT = '{"invocationId":"","deliveryStreamArn":"","region":"","records":[]}'
_METADATA = ',"kinesisRecordMetadata":'
_SOURCE = '"sourceKinesisStreamArn":"",'
_ID_BYTES, _TIMESTAMP_BYTES = 52, 13
_RECORD_BYTES = len(_RECORD) + _ID_BYTES + _TIMESTAMP_BYTES
MAX_BATCH_RECORDS = MAX_EVENT_BYTES // _RECORD_BYTES
"""More records than this never fit an event, however small. AWS names no number."""

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


@dataclass(frozen=True)
class Answered:
    """What a batch's invocations came to: an outcome a record, how often the function ran, for how many ms in all."""

    outcomes: Sequence[Outcome]
    attempts: int
    succeeded: bool
    duration_ms: int


def fitting(batch: Sequence[Record], stream: DeliveryStream) -> Sequence[Record]:
    """Return as many of the first records of a batch, at least one, as an invocation's event can hold (B3).

    A record alone always fits: its 1,000 KiB are 1.4 MB in base64.
    """
    size = len(_EVENT) + len(stream.arn) + len(stream.region) + 36
    if stream.source is not None:
        size += len(_SOURCE) + len(stream.source.arn)
    for place, record in enumerate(batch):
        size += _RECORD_BYTES + (len(record.data) + 2) // 3 * 4
        if stream.source is not None:
            size += len(_METADATA) + len(msgspec.json.encode(_metadata(record)))
        if size > MAX_EVENT_BYTES:
            return batch[:place]
    return batch


def transform(
    function: Invocable,
    stream: DeliveryStream,
    batch: Sequence[Record],
    record_id: Callable[[int], str],
    wait: Callable[[float], None],
) -> Answered:
    """Invoke the function for a batch and return one outcome a record.

    Only a thrown error and a timeout are tried again, the stream's number of times (B4, probed); a function that dies
    or answers more than 6 MB has thrown. `wait` sleeps seconds in between.
    """
    by_id = {record_id(record.seq): record for record in batch}
    event = invocation_event(stream, by_id)
    duration_s = 0.0
    attempt = 0
    while True:
        attempt += 1
        started = time.monotonic()
        answer = function.invoke(event, MAX_INVOCATION_S)
        duration_s += time.monotonic() - started
        if not isinstance(answer, FunctionError):
            return Answered(outcomes(by_id, answer, attempt), attempt, True, int(duration_s * 1000))
        if attempt > stream.processor.retries:
            code, message = TIMED_OUT if answer.kind == "timeout" else FUNCTION_ERROR
            failed = [Failed(record, code, message, attempt) for record in batch]
            return Answered(failed, attempt, False, int(duration_s * 1000))
        wait(RETRY_WAITS_S[min(attempt, len(RETRY_WAITS_S)) - 1])


def invocation_event(stream: DeliveryStream, by_id: Mapping[str, Record]) -> bytes:
    """Return the invocation's payload (B1, documented)."""
    source = stream.source
    records = [
        {
            "recordId": identity,
            "approximateArrivalTimestamp": record.arrival_ms,
            "data": pybase64.b64encode_as_string(record.data),
            **({} if source is None else {"kinesisRecordMetadata": _metadata(record)}),
        }
        for identity, record in by_id.items()
    ]
    return msgspec.json.encode(
        {
            "invocationId": str(uuid.uuid4()),
            "deliveryStreamArn": stream.arn,
            **({} if source is None else {"sourceKinesisStreamArn": source.arn}),
            "region": stream.region,
            "records": records,
        }
    )


def _metadata(record: Record) -> dict[str, object]:
    """Return what a data stream knows of a record (B1.1, documented; that subsequenceNumber is empty is assumed).

    A record of a journal that was written before keys were kept has no `partitionKey`: a function that asks for it
    fails, and does not go on with a key that is none.
    """
    return {
        "shardId": SHARD_ID,
        **({} if record.partition_key is None else {"partitionKey": record.partition_key}),
        "approximateArrivalTimestamp": record.arrival_ms,
        "sequenceNumber": sequence_number(record.seq),
        "subsequenceNumber": "",
    }


def outcomes(by_id: Mapping[str, Record], answer: bytes, attempt: int) -> list[Outcome]:
    """Read a function's answer by the table of B4 (probed, but for the unparsable answer's scope and bad results)."""
    try:
        content = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
