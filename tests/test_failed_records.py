"""Failed records are read in every shape that was seen or documented."""

import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlake.failed_records import UNREADABLE, FailedRecord, failed_records
from tests.failures import ARRIVAL_MS, MODIFIED, conversion_line, found, processing_line


def read(data: bytes) -> list[FailedRecord]:
    """Return the failed records of an object's bytes."""
    return list(failed_records(io.BytesIO(data), found()))


def test_a_processing_failure_is_read() -> None:
    """The shape captured on AWS (B6)."""
    (record,) = read(processing_line(b"the record") + b"\n")

    assert (record.error_code, record.raw_data, record.line) == ("Lambda.FunctionError", b"the record", 1)
    assert (record.arrival_ms, record.attempts, record.problem) == (ARRIVAL_MS, 4, None)


@pytest.mark.parametrize("names", [("lastErrorCode", "lastErrorMessage"), ("ErrorCode", "ErrorMessage")])
def test_a_conversion_failure_is_read_under_both_names(names: tuple[str, str]) -> None:
    """Objects hold `lastErrorCode`, the live documentation says `ErrorCode` (D7)."""
    (record,) = read(conversion_line(b"{}", names))

    assert record.error_code == "DataFormatConversion.MalformedData"
    assert record.error_message == "Data does not match the schema."


@pytest.mark.parametrize(
    "between", [b"\n", b"", b" ", b"\n\n", b"\r\n"], ids=["line", "nothing", "space", "empty", "crlf"]
)
def test_records_stand_a_line_each_or_back_to_back(between: bytes) -> None:
    """No line end is promised between the records of an object (D7)."""
    records = read(between.join(processing_line(raw) for raw in (b"one", b"two", b"three")))

    assert [(record.line, record.raw_data) for record in records] == [(1, b"one"), (2, b"two"), (3, b"three")]


def test_a_compressed_object_is_read() -> None:
    """A stream without conversion may compress its objects, the failed ones as well."""
    (record,) = read(gzip.compress(processing_line(b"one"), mtime=0))
    assert record.raw_data == b"one"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"not json", "it is not JSON"),
        (b"[1]", "it is no JSON object"),
        (b'{"errorCode":"x"}', "it has no rawData"),
        (b'{"rawData":5}', "it has no rawData"),
        (b'{"rawData":"%%%"}', "its rawData is not base64"),
        (b'{"rawData":"\xff"}', "its rawData is not base64"),
    ],
    ids=["text", "array", "no data", "number", "no base64", "no utf-8"],
)
def test_what_is_no_failed_record_costs_no_other(line: bytes, problem: str) -> None:
    """It is told with its line, and those around it are read."""
    first, bad, last = read(b"\n".join([processing_line(b"one"), line, processing_line(b"two")]))

    assert (first.raw_data, last.raw_data, last.line) == (b"one", b"two", 3)
    assert (bad.error_code, bad.line) == (UNREADABLE, 2)
    assert problem in (bad.problem or "")


def test_a_torn_gzip_object_is_told() -> None:
    """What came before the tear is read."""
    whole = gzip.compress(b"".join(processing_line(bytes([n]) * 9) + b"\n" for n in range(200)), mtime=0)
    records = read(whole[:-20])
    assert "damaged or ends early" in (records[-1].problem or "")


@pytest.mark.parametrize("arrival", [None, "soon", -1, True, 1 << 70])
def test_a_record_without_a_time_has_that_of_its_object(arrival: object) -> None:
    """The object was written after its records arrived."""
    document = {**json.loads(processing_line(b"one")), "arrivalTimestamp": arrival}
    (record,) = read(json.dumps(document).encode())
    assert record.arrival_ms == MODIFIED.timestamp() * 1000


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80)))
def test_any_bytes_come_back(raws: list[bytes]) -> None:
    """Whatever a record held, it is given back."""
    records = read(b"".join(processing_line(raw) + b"\n" for raw in raws))
    assert [record.raw_data for record in records] == raws


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_object_is_read_to_its_end(data: bytes) -> None:
    """No bytes under the error prefix end a listing."""
    read(data)
