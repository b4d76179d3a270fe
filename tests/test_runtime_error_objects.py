"""The objects under the error prefix."""

import base64
import json

import pytest

from auditlake.runtime.error_objects import (
    CatalogTable,
    Failure,
    conversion_failure_line,
    partitioning_failure_line,
    processing_failure_line,
)

ARN = "arn:aws:lambda:us-west-2:123456789012:function:NAME"
TABLE = CatalogTable("123456789012", "audit", "events", "us-west-2")


def failure(raw_data: bytes = b"FAIL this one\n", message: str = "ProcessingFailed status set for record") -> Failure:
    """Return a failure with the values of the object captured on AWS (B6)."""
    return Failure(raw_data, "Lambda.ProcessingFailedStatus", message, 1, 1789014240448, 1789014301529)


def test_a_lambda_failure_is_written_as_captured_on_aws() -> None:
    """The line is byte for byte what Firehose wrote for such a record (B6), but for the newline's place."""
    expected = (
        '{"rawData":"RkFJTCB0aGlzIG9uZQo=","errorCode":"Lambda.ProcessingFailedStatus",'
        '"errorMessage":"ProcessingFailed status set for record","attemptsMade":1,"arrivalTimestamp":1789014240448,'
        f'"attemptEndingTimestamp":1789014301529,"lambdaARN":"{ARN}"}}\n'
    )

    assert processing_failure_line(failure(), ARN) == expected.encode()


def test_a_partitioning_failure_has_the_same_members_but_no_lambda() -> None:
    """What failed is the partition key, so no function is named."""
    members = json.loads(partitioning_failure_line(failure()))

    assert list(members) == [
        *("rawData", "errorCode", "errorMessage"),
        *("attemptsMade", "arrivalTimestamp", "attemptEndingTimestamp"),
    ]


def test_a_conversion_failure_names_the_table_and_the_last_error() -> None:
    """The members and their order are those of D7, with the names that real objects have."""
    members = json.loads(conversion_failure_line(failure(), TABLE))

    assert list(members) == [
        *("attemptsMade", "arrivalTimestamp", "lastErrorCode", "lastErrorMessage", "attemptEndingTimestamp"),
        *("rawData", "sequenceNumber", "subSequenceNumber", "dataCatalogTable"),
    ]
    assert members["dataCatalogTable"] == {
        "catalogId": "123456789012",
        "databaseName": "audit",
        "tableName": "events",
        "region": "us-west-2",
        "versionId": "LATEST",
    }


@pytest.mark.parametrize("raw_data", [b"", b"\x00\xff\xfe", b"two\nlines", "é".encode()])
def test_every_line_is_one_line_and_keeps_the_bytes(raw_data: bytes) -> None:
    """Whatever the record holds, the object is one line from which its exact bytes come back."""
    record = failure(raw_data, message='a "quoted"\nmessage \u2028 with é and \udc80')
    lines = [
        processing_failure_line(record, ARN),
        partitioning_failure_line(record),
        conversion_failure_line(record, TABLE),
    ]

    for line in lines:
        assert line.count(b"\n") == 1
        assert line.endswith(b"}\n")
        members = json.loads(line)
        assert base64.b64decode(members["rawData"]) == raw_data
        assert members.get("errorMessage", members.get("lastErrorMessage")) == record.error_message
