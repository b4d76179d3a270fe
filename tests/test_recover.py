"""Events come out of failed records with the id, the receipt and the bytes that they had."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlake.recover import RecoveredEvent, Unrecoverable, recover
from lambda_src.common import envelope
from lambda_src.common.partition import rule
from lambda_src.transform.record import record_rows
from tests.failures import ARRIVAL_MS, RECEIVED_MS, enveloped, event, record

RULE = rule(["login"], days_back=7, days_ahead=1)
AFTER_TRANSFORM = [
    "format-conversion-failed",
    "partitioning-failed",
    "activePartitionExceeded",
    "metadata-extraction-failed",
]
BODIES = [
    event("e1"),
    event("e1")[:-1] + ',"note":"café \U0001f600"}'.encode(),
    event("e1")[:-1] + b',"x":"\xff"}',
]


def recovered(raw: bytes, error_type: str = "processing-failed", line: int = 1) -> list[RecoveredEvent]:
    """Return the events of a record, all of which must be such."""
    events = list(recover(record(raw, error_type, line)))
    assert all(isinstance(one, RecoveredEvent) for one in events), events
    return [one for one in events if isinstance(one, RecoveredEvent)]


def rows(data: bytes) -> list[dict[str, object]]:
    """Return the rows that the transform makes of a record, arrived when the failed one did."""
    made = record_rows(data, "record", ARRIVAL_MS, RULE).data
    return [json.loads(line) for line in made.split(b"\n")]


def test_an_envelope_is_put_again_byte_for_byte() -> None:
    """The same line goes to the stream, and so the same receipt."""
    line = enveloped(event("e1"), "e1").replace(b"{", b"{", 1)
    (one,) = recovered(line)

    assert one.data() == line
    assert (one.event_id, one.body, one.envelope.received_at) == ("e1", event("e1"), RECEIVED_MS)


def test_packed_envelopes_come_out_one_by_one() -> None:
    """A record of several events is several events."""
    lines = [enveloped(event(f"e{n}"), f"e{n}") for n in range(3)]
    events = recovered(b"\n".join(lines))

    assert [(one.index, one.data()) for one in events] == list(enumerate(lines))


def test_a_bare_event_gets_the_receipt_of_its_record() -> None:
    """The row is the one that the transform would have made at first: no principal, received on arrival."""
    body = event("e1")
    (one,) = recovered(body)

    (again,), (at_first,) = rows(one.data()), rows(body)
    assert again == at_first
    assert again["event_id"] == "e1"
    assert "principal" not in again


def test_an_event_without_id_has_the_same_at_every_redrive_and_its_own() -> None:
    """Equal events at two places stay two; one place gives one id."""
    body = event(None)
    (first,), (again,), (other,) = recovered(body), recovered(body), recovered(body, line=2)

    assert first.event_id == again.event_id != other.event_id
    assert not first.has_id
    assert [row["event_id"] for row in rows(first.data())] == [first.event_id]
    assert rows(first.data())[0]["raw"] == body.decode()


@pytest.mark.parametrize("error_type", AFTER_TRANSFORM)
@pytest.mark.parametrize("body", BODIES, ids=["ascii", "utf-8", "not utf-8"])
def test_a_row_becomes_its_event_again(error_type: str, body: bytes) -> None:
    """What failed after the transform is a row; the exact bytes and the receipt are in it."""
    line = enveloped(body, "e1")
    (row,) = rows(line)
    (one,) = recovered(json.dumps(row).encode(), error_type)

    assert one.body == body
    assert rows(one.data()) == [row]
    assert (one.envelope.received_at, one.envelope.source_ip) == (RECEIVED_MS, "203.0.113.9")
    assert (one.envelope.principal, one.envelope.request_id) == ("arn:aws:iam::1:user/ana", "request-1")


def test_several_rows_become_several_events() -> None:
    """A packed record that was transformed holds a row a line."""
    made = record_rows(b"\n".join(enveloped(event(f"e{n}"), f"e{n}") for n in range(3)), "r", ARRIVAL_MS, RULE).data
    assert [one.event_id for one in recovered(made, "format-conversion-failed")] == ["e0", "e1", "e2"]


def test_a_row_from_before_the_hash_column_is_read() -> None:
    """Then its problems say whether raw is base64."""
    (row,) = rows(enveloped(event("e1")[:-1] + b',"x":"\xff"}', "e1"))
    del row["raw_sha256"]
    (one,) = recovered(json.dumps(row).encode(), "format-conversion-failed")
    assert one.body == event("e1")[:-1] + b',"x":"\xff"}'


def test_a_row_with_other_bytes_than_its_hash_is_not_put() -> None:
    """It was changed since; nobody can say what was POSTed."""
    (row,) = rows(enveloped(event("e1"), "e1"))
    row["raw"] = event("e1", actor={"userId": "bob"}).decode()
    (one,) = recover(record(json.dumps(row).encode(), "format-conversion-failed"))
    assert isinstance(one, Unrecoverable)
    assert "raw_sha256" in one.reason


def test_a_row_that_a_producer_put_is_no_row() -> None:
    """Or it would get the principal that its producer wrote into it."""
    (row,) = rows(enveloped(event("e1"), "e1"))
    (one,) = recovered(json.dumps({**row, "principal": "arn:aws:iam::1:root"}).encode())
    assert one.envelope.principal == ""


def test_an_event_after_the_transform_is_an_event() -> None:
    """Whether partitioning failures hold the record before or after the transform is not known (C4): both are read."""
    (one,) = recovered(event("e1", event_id="x", raw="y"), "partitioning-failed")
    assert (one.event_id, one.body) == ("e1", event("e1", event_id="x", raw="y"))


@pytest.mark.parametrize("raw", [b"", b"  \n "], ids=["empty", "blank"])
def test_an_empty_record_is_told(raw: bytes) -> None:
    """There is nothing to put again (D2)."""
    (one,) = recover(record(raw))
    assert isinstance(one, Unrecoverable)
    assert "nothing to put again" in one.reason


def test_what_claims_to_be_an_envelope_and_is_none_is_told() -> None:
    """The sentence is the transform's."""
    (one,) = recover(record(b'{"auditlake":1,"body":5}'))
    assert isinstance(one, Unrecoverable)
    assert "envelope" in one.reason


def test_an_envelopes_event_keeps_its_own_id() -> None:
    """As in the transform: what the client gave counts."""
    (one,) = recovered(enveloped(event("mine"), "servers"))
    assert one.event_id == "mine"
    assert envelope.decode(one.data()).event_id == "servers"


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["processing-failed", *AFTER_TRANSFORM]))
def test_any_record_is_recovered_or_told(raw: bytes, error_type: str) -> None:
    """What comes out as an event is put as an envelope that the transform can read, or is the record's own line."""
    for one in recover(record(raw, error_type)):
        if isinstance(one, RecoveredEvent):
            assert envelope.decode(one.data()).body == one.body
            assert one.event_id
