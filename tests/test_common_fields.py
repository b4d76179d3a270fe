"""Reading JSON field by field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.common.fields import Fields, RefusedError, parse_object, readable


def fields(text: bytes) -> tuple[Fields, list[str]]:
    """Parse an object; give it with the list its problems go to."""
    problems: list[str] = []
    return parse_object(text, problems), problems


@pytest.mark.parametrize(
    ("json_text", "value", "got"),
    [
        (b'"a"', "a", None),
        (b"null", None, None),
        (b"1.10", "1.10", "a number"),
        (b"1e999", "1e999", "a number"),
        (b"true", "true", "true"),
        (b"false", "false", "false"),
        (b"[1]", None, "an array"),
        (b"{}", None, "an object"),
    ],
)
def test_text(json_text: bytes, value: str | None, got: str | None) -> None:
    """A string is taken as it is, another scalar as its JSON text with a problem, the rest is a problem only."""
    read, problems = fields(b'{"role":' + json_text + b"}")

    assert read.text("role") == value
    assert problems == ([] if got is None else [f"role: expected a string, got {got}"])


def test_paths() -> None:
    """A problem names the whole path to its field."""
    read, problems = fields(b'{"details":{"changes":[{"field":1},7]}}')
    details = read.object("details")
    assert details is not None
    changes = details.objects("changes")
    assert changes is not None
    changes[0].text("field")

    assert problems == [
        "details.changes[1]: expected an object, got a number",
        "details.changes[0].field: expected a string, got a number",
    ]


@pytest.mark.parametrize(
    ("json_text", "reason"),
    [
        (b"{}", "eventType: expected a string, got nothing: the field is required."),
        (b'{"eventType":null}', "eventType: expected a string, got null."),
        (b'{"eventType":5}', "eventType: expected a string, got a number."),
        (b'{"eventType":""}', "eventType: expected a string that is not empty, got an empty one."),
    ],
)
def test_required_text(json_text: bytes, reason: str) -> None:
    """A required string that is missing, null, of another type or empty refuses the event by name."""
    read, _ = fields(json_text)
    with pytest.raises(RefusedError) as caught:
        read.required_text("eventType")

    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[1]", "The event must be a JSON object, got an array."),
        (b' "x"', "The event must be a JSON object, got a string."),
        (b"{", "The event is not valid JSON: Input data was truncated."),
        (b'{"a":NaN}', "The event is not valid JSON: JSON is malformed: invalid character (byte 5)."),
        (b'{"a":' + b"[" * 100_000, "The event is nested too deeply to be read."),
    ],
)
def test_no_object(text: bytes, reason: str) -> None:
    """What is no JSON object is refused with a sentence."""
    with pytest.raises(RefusedError) as caught:
        parse_object(text, [])

    assert str(caught.value) == reason


@given(st.text(st.characters(), max_size=20))
def test_lone_surrogates_are_replaced(text: str) -> None:
    """Of any string, escaped or not, only lone surrogates change; pairs and escaped backslashes stay."""
    document = json.dumps(text).encode()
    repaired, problems = readable(document)
    expected = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    lone = any("\ud800" <= character <= "\udfff" for character in json.loads(document))

    assert bool(problems) == lone
    if not lone:
        assert repaired == document
    assert len(json.loads(repaired)) == len(json.loads(document))
    assert not any("\ud800" <= character <= "\udfff" for character in json.loads(repaired))
    assert json.loads(repaired).replace("\ufffd", "") == expected.replace("\ufffd", "")


def test_other_bytes_than_utf_8_are_replaced() -> None:
    """A byte that is no UTF-8 is replaced and its place told."""
    repaired, problems = readable(b'{"a":"\xff"}')

    assert repaired.decode() == '{"a":"\ufffd"}'
    assert problems == ["the event: expected UTF-8, got another byte at 6; raw holds the bytes as base64"]
