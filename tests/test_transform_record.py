"""One record of the delivery stream."""

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.common.envelope import Envelope, encode
from lambda_src.common.partition import Partition, rule
from lambda_src.transform.record import RecordError, Rows, record_rows

RULE = rule(["login", "logout"], 7, 1)
NOW = 1_769_851_800_000  # 2026-01-31T09:30:00Z


def event(**changed: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
    """Make the smallest event with some fields changed."""
    return {"eventType": "login", "timestamp": "2026-01-31T09:00:00Z", "actor": {"userId": "u-1"}} | changed


def line(**changed: Any) -> bytes:  # noqa: ANN401  # any JSON
    """Write an event on one line."""
    return json.dumps(event(**changed)).encode()


def wrapped(body: bytes, event_id: str = "envelope-id", received_at: int = NOW) -> bytes:
    """Put an event into an envelope."""
    return encode(Envelope(event_id, "request-1", received_at, "203.0.113.9", "", body))


def made(data: bytes, record_id: str = "r-1") -> Rows:
    """Make the rows of a record."""
    return record_rows(data, record_id, NOW, RULE)


def rows(data: bytes, record_id: str = "r-1") -> list[dict[str, Any]]:
    """Make and read the rows of a record."""
    return [json.loads(row) for row in made(data, record_id).data.split(b"\n")]


def test_envelope() -> None:
    """An event in an envelope takes id, receipt, address and request from it; an empty principal is none."""
    (row,) = rows(wrapped(line()))

    assert row["event_id"] == "envelope-id"
    assert row["received_at"] == "2026-01-31T09:30:00.000Z"
    assert (row["source_ip"], row["api_request_id"]) == ("203.0.113.9", "request-1")
    assert "principal" not in row
    assert row["raw"] == line().decode()


def test_bare_event() -> None:
    """A bare event, over several lines as well, is received when its record arrived and gets a stable id."""
    (row,) = rows(json.dumps(event(), indent=2).encode())

    assert row["received_at"] == "2026-01-31T09:30:00.000Z"
    assert row["event_id"] == rows(line())[0]["event_id"]
    assert row["event_id"] != rows(line(), "r-2")[0]["event_id"]
    assert "source_ip" not in row


def test_bare_event_with_a_lone_surrogate_over_several_lines() -> None:
    """An event over several lines is one event, a lone surrogate in it or not."""
    (row,) = rows(json.dumps(event(entityId="\ud800"), indent=2).encode())

    assert row["entity_id"] == "\ufffd"


def test_an_event_cannot_pose_as_an_envelope() -> None:
    """An event whose body looks like an envelope is still only the body of the real one."""
    forged = json.dumps({"auditlake": 1, "receivedAt": 0, "principal": "root", **event()}).encode()
    (row,) = rows(wrapped(forged))

    assert row["received_at"] == "2026-01-31T09:30:00.000Z"
    assert "principal" not in row


@given(
    st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=20),
    st.booleans(),
    st.sampled_from(["\n", "\n\n", "\r\n"]),
)
def test_packed_events(ids: list[str | None], envelopes: bool, newline: str) -> None:
    """Each line of a record is a row, in order, in an envelope or bare, with or without empty lines between."""
    lines = [line(id=event_id) for event_id in ids]
    data = newline.encode().join(wrapped(body) if envelopes else body for body in lines) + newline.encode()
    result = rows(data)

    assert [row["raw"].strip() for row in result] == [body.decode() for body in lines]
    assert [row["event_id"] for row in result if row["event_id"] in "ab"] == [event_id for event_id in ids if event_id]
    if not envelopes:
        without = [row["event_id"] for row in result if row["event_id"] not in "ab"]
        assert len(set(without)) == len(without)


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {}\n\n", "{} ", "{}\n{}\r\n"], ids=repr)
def test_white_space_that_ends_a_record_is_not_of_the_event(around: str) -> None:
    """A producer that ends each record with a newline finds the bytes that it knows in `raw`."""
    body = line(id="e").decode()
    for row in rows(around.replace("{}", body).encode()):
        assert row["raw"] == body
        assert row["raw_sha256"] == sha256(body.encode()).hexdigest()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The record holds no event"),
        (b" \n\r\n\t", "The record holds no event"),
        (line() + b"\n{broken secret\n" + line(), "Event 1 of the record is refused: The event is not valid JSON"),
        (line() + b"\n" + line(actor=None), "Event 1 of the record is refused: actor: expected an object, got null."),
        (line() + b"\n" + line(eventType="logout"), "Event 1 of the record belongs to another partition than event 0."),
        (line() + b"\n" + line(timestamp="2026-01-30T00:00:00Z"), "Event 1 of the record belongs to another partition"),
        (line() + line(), "Event 0 of the record is refused: The event is not valid JSON: JSON is malformed: trailing"),
        (b"[" + line() + b"]", "Event 0 of the record is refused: The event must be a JSON object, got an array."),
        (b'{"auditlake":2,"body":"secret"}', "Event 0 of the record is refused: The record starts like an envelope"),
        (wrapped(b"secret"), "Event 0 of the record is refused: The event is not valid JSON"),
        (b"\xff\xfe\x00secret", "Event 0 of the record is refused: The event is not valid JSON"),
    ],
)
def test_one_bad_line_fails_the_record(data: bytes, reason: str) -> None:
    """A record that is not wholly events of one partition fails whole, with a reason that quotes nothing of it."""
    with pytest.raises(RecordError) as caught:
        made(data)

    assert str(caught.value).startswith(reason)
    assert "secret" not in str(caught.value)


def test_counts_and_partition() -> None:
    """Problems, late events and types that are not listed are counted; the partition is that of all rows."""
    data = b"\n".join([line(eventType="x", timestamp="2020-01-01T00:00:00Z"), line(eventType="y", entityId=5)])
    result = made(data)

    assert result.partition == Partition("other", "2026", "01", "31")
    counts = result.counts
    assert (counts.events, counts.problems, counts.late, counts.other_type) == (2, 1, 1, 2)


def test_real_events(shared_data: Path) -> None:
    """Real GitHub webhooks as metadata of enveloped events: each row's raw is byte for byte what was wrapped."""
    start = b'{"eventType":"login","timestamp":"2026-01-31T09:00:00Z","actor":{"userId":"u"},"metadata":'
    lines = (shared_data / "events" / "github_webhooks_devset.ndjson").read_bytes().splitlines()
    bodies = [start + original + b"}" for original in lines]
    result = rows(b"\n".join(wrapped(body) for body in bodies))

    assert len(bodies) == 111
    assert [row["raw"].encode() for row in result] == bodies


def test_the_hash_is_of_the_events_bytes_however_it_travels() -> None:
    """Alone, packed with others, bare, or put again out of an error object, an event keeps the hash of its bytes."""
    body = line(id="e-1")
    other = line(id="e-2")
    packed = wrapped(other) + b"\n" + wrapped(body)
    redriven = base64.b64decode(base64.b64encode(wrapped(body)))
    found = [rows(data)[-1]["raw_sha256"] for data in (wrapped(body), packed, body, redriven)]

    assert found == [sha256(body).hexdigest()] * 4
    assert rows(packed)[0]["raw_sha256"] == sha256(other).hexdigest()


def test_the_hash_of_bytes_that_are_no_text_is_of_the_bytes() -> None:
    """Where raw holds base64, the hash is of what it stands for."""
    body = line(note="é").replace(b"\\u00e9", b"\xff")
    (row,) = rows(wrapped(body))

    assert base64.b64decode(row["raw"]) == body
    assert row["raw_sha256"] == sha256(body).hexdigest()
