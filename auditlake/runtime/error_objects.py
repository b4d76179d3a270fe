"""The JSON objects that Firehose writes under the error prefix, one line each.

Times are milliseconds since the epoch. Numbers are JSON numbers, bytes are base64, members stand in the order seen on
AWS where an object was captured.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

# The values of `!{firehose:error-output-type}`: documented, and for partitioning observed on AWS (C4).
PROCESSING_FAILED = "processing-failed"
PARTITIONING_FAILED = "partitioning-failed"
FORMAT_CONVERSION_FAILED = "format-conversion-failed"


@dataclass(frozen=True)
class Failure:
    """One record that a stage gave up on: its bytes, why, after how many attempts, and from when to when."""

    raw_data: bytes
    error_code: str
    error_message: str
    attempts_made: int
    arrival_ms: int
    attempt_ending_ms: int


@dataclass(frozen=True)
class CatalogTable:
    """The Glue table that a conversion failed for; `catalog_id` is the account id."""

    catalog_id: str
    database: str
    table: str
    region: str
    version_id: str = "LATEST"


def processing_failure_line(failure: Failure, lambda_arn: str) -> bytes:
    """Return the line for a record the transform failed on (B6, order captured on AWS).

    `raw_data` is the record as it was put, before the transform. The ARN's key is `lambdaARN` as captured; AWS's
    documentation writes `lambdaArn`.
    """
    return _line({**_processing_members(failure), "lambdaARN": lambda_arn})


def partitioning_failure_line(failure: Failure) -> bytes:
    """Return the line for a record whose partition keys cannot be used.

    UNV (C4): no such object was found anywhere. The layout is B6's without the Lambda's ARN, and `raw_data` is taken
    to be the record as the transform returned it, which is what partitioning was given.
    """
    return _line(_processing_members(failure))


def conversion_failure_line(failure: Failure, table: CatalogTable) -> bytes:
    """Return the line for a record that could not be converted (D7, names as observed: `lastErrorCode`).

    UNV (D7): `raw_data` is taken to be the record after the transform. `sequenceNumber` and `subSequenceNumber` are
    null, because a record that was put directly has no Kinesis sequence; what AWS writes there is not known.
    """
    return _line(
        {
            "attemptsMade": failure.attempts_made,
            "arrivalTimestamp": failure.arrival_ms,
            "lastErrorCode": failure.error_code,
            "lastErrorMessage": failure.error_message,
            "attemptEndingTimestamp": failure.attempt_ending_ms,
            "rawData": _base64(failure.raw_data),
            "sequenceNumber": None,
            "subSequenceNumber": None,
            "dataCatalogTable": {
                "catalogId": table.catalog_id,
                "databaseName": table.database,
                "tableName": table.table,
                "region": table.region,
                "versionId": table.version_id,
            },
        }
    )


def _processing_members(failure: Failure) -> dict[str, object]:
    return {
        "rawData": _base64(failure.raw_data),
        "errorCode": failure.error_code,
        "errorMessage": failure.error_message,
        "attemptsMade": failure.attempts_made,
        "arrivalTimestamp": failure.arrival_ms,
        "attemptEndingTimestamp": failure.attempt_ending_ms,
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _line(members: Mapping[str, object]) -> bytes:
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
    # A message may quote text that is no valid Unicode; `\udc80` is what JSON writes for it, so no line is lost.
    return text.encode("utf-8", "backslashreplace") + b"\n"
