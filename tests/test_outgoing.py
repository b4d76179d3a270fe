"""Events on their way: ids, one line each, and the file of rejected ones."""

import json
from pathlib import Path

import pytest

from auditlake.errors import SendError
from auditlake.events_input import InputEvent
from auditlake.outgoing import Outgoing, RejectedFile, identified


@pytest.mark.parametrize(
    ("body", "own"),
    [
        (b'{"id":"a","_id":"b"}', "a"),
        (b'{"_id":"b"}', "b"),
        (b'{"id":null,"_id":"b"}', "b"),
        (b'{"id":17}', "17"),
        (b'{"id":"\\u00e9"}', "é"),
        (b'{"id":"","_id":""}', None),
    ],
)
def test_event_with_id_keeps_its_bytes(body: bytes, own: str | None) -> None:
    """`id`, else `_id`, as the server reads it; where neither name is free nothing is added."""
    outgoing = identified(InputEvent(0, body))
    assert (outgoing.id, outgoing.body, outgoing.id_given) == (own, body, False)


@pytest.mark.parametrize(
    ("body", "name"), [(b"{}", "id"), (b'{ "a":1}', "id"), (b'{"id":null}', "_id"), (b'{"id":{}}', "_id")]
)
def test_event_without_id_gets_one_under_the_free_name(body: bytes, name: str) -> None:
    """The id is added in front, the rest stays, and the result is JSON without a repeated name."""
    outgoing = identified(InputEvent(3, body))
    members = json.loads(outgoing.body)
    assert members.pop(name) == outgoing.id
    assert members == json.loads(body)
    assert outgoing.body.endswith(body[1:])


def test_lines_of_an_event_are_joined() -> None:
    """An event over several lines becomes one line with the same value; one of a single line keeps every byte."""
    assert identified(InputEvent(0, b'{"id":"a",\r\n"b":1}')).body == b'{"id":"a",  "b":1}'
    assert identified(InputEvent(0, b'{"id":"a",\r"b":1}')).body == b'{"id":"a",\r"b":1}'


@pytest.mark.parametrize("body", [b"1", b'"x"', b"null"])
def test_what_is_no_object_has_a_problem(body: bytes) -> None:
    """A scalar is rejected before it is sent."""
    outgoing = identified(InputEvent(0, body))
    assert outgoing.problem is not None
    assert "must be a JSON object" in outgoing.problem


def test_rejected_lines_are_json_whatever_the_event_holds(tmp_path: Path) -> None:
    """Events that are JSON stand as they are, on one line; others as text."""
    originals = [b'{"a":\n12345678901234567890123}', b'{"a"', b"\xff\xfe", b'"\xe2\x82\xac"']
    with RejectedFile(tmp_path / "r.ndjson") as rejects:
        for index, original in enumerate(originals):
            rejects.write(Outgoing(index, "é", b"", original), "why")
    lines = (tmp_path / "r.ndjson").read_bytes().splitlines()
    assert b'"event": {"a": 12345678901234567890123}}' in lines[0]
    assert [json.loads(line)["event"] for line in lines[1:]] == ['{"a"', "\ufffd\ufffd", "€"]
    assert {json.loads(line)["id"] for line in lines} == {"é"}


def test_rejected_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    """A rejected event is never dropped silently."""
    with RejectedFile(tmp_path / "none" / "r.ndjson") as rejects, pytest.raises(SendError, match="cannot be written"):
        rejects.write(Outgoing(0, None, b"", b"{}"), "why")
