"""One event in what may hold it; the way of an event through a data directory is in test_runtime_explain.py."""

import base64
import json
from typing import Any

import pytest

from auditlake.runtime.event_search import carried, in_error_line, in_rows
from auditlake.runtime.plan import Plan

RAW = base64.b64encode(b'{"id":"e"}').decode()


def line(**members: Any) -> bytes:  # noqa: ANN401 - any JSON
    """A line of an error object."""
    return json.dumps(members).encode()


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        ({"errorCode": "Lambda.FunctionError", "rawData": RAW, "attemptsMade": 4, "arrivalTimestamp": 5}, True),
        ({"lastErrorCode": "DataFormatConversion.ParseError", "rawData": RAW}, True),
        ({"errorCode": "no raw data"}, False),
        ({"rawData": 5}, False),
        ({"rawData": "=no base64"}, False),
    ],
)
def test_a_line_that_is_no_failed_record_holds_no_event(failure: dict[str, Any], code: bool) -> None:
    """Both shapes are read, whatever of their members is missing; what somebody else wrote ends no search."""
    assert [found.error_code for found in in_error_line(line(**failure), "e", "processing-failed", "k", None)] == (
        [failure.get("errorCode") or failure["lastErrorCode"]] if code else []
    )


@pytest.mark.parametrize("text", [b"", b"no json", b"[]", b"5", b"[" * 100_000, b"\xff"])
def test_text_that_is_no_object_holds_no_event(text: bytes) -> None:
    """No line of an error object raises, however it is broken."""
    assert list(in_error_line(text, "e", "processing-failed", "k", None)) == []


def test_rows_that_are_none_are_passed_over(plan: Plan) -> None:
    """Of the rows that a record became the one with the id is found, beside one that cannot be read."""
    content = b'no json\n{"event_id":"other"}\n{"event_id":"e","received_at":"not a time"}'
    (found,) = in_rows(content, "e", plan, ["login"], "record-1", 7)
    assert (found.record_id, found.arrival_ms, found.received_ms) == ("record-1", 7, None)


def test_a_record_that_no_event_can_be_read_in_counts_by_its_text() -> None:
    """What was accepted must be found, even if its text only holds the id in quotes."""
    assert list(carried(b'{"id":"e"', "e", None)) == [{"unreadable": True}]
    assert list(carried(b'{"id":"e"', "f", None)) == []
