"""What becomes of the events of a request."""

import json
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from lambda_src.common.envelope import decode
from lambda_src.common.partition import rule
from lambda_src.receiver.delivery import Clock
from lambda_src.receiver.receive import Outcome, ReceiverSettings, receive
from lambda_src.receiver.request import Request
from lambda_src.transform.answer import answer_records

RULE = rule(["login", "logout"], 7, 1)
NOW = 1_769_851_800_000  # 2026-01-31T09:30:00Z
CLOCK = Clock(lambda: 29.0, lambda _seconds: None, lambda longest: longest)


class Stream:
    """A stream that takes every record but those that hold one of the given ids, and never those."""

    def __init__(self, refusing: frozenset[str] = frozenset()) -> None:
        self.refusing = refusing
        self.records: list[bytes] = []
        self.calls = 0

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> dict[str, Any]:  # noqa: N803  # boto3's
        """Answer as Firehose does (A2)."""
        assert DeliveryStreamName == "stream"
        self.calls += 1
        entries: list[dict[str, str]] = []
        for record in Records:
            ids = {decode(line).event_id for line in record["Data"].split(b"\n")}
            if ids & self.refusing:
                entries.append({"ErrorCode": "InternalFailure", "ErrorMessage": "no"})
            else:
                self.records.append(record["Data"])
                entries.append({"RecordId": f"record-{len(self.records)}"})
        return {"RequestResponses": entries}


def event(**changed: Any) -> bytes:  # noqa: ANN401  # any JSON
    """Write the smallest event with some fields changed."""
    whole = {"eventType": "login", "timestamp": "2026-01-31T09:00:00Z", "actor": {"userId": "u-1"}} | changed
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


def received(bodies: list[bytes], stream: Stream, packing: bool = True, single: bool = False) -> Outcome:
    """Receive events, by line or as the one body."""
    request = Request(b"\n".join(bodies), single, not single, "api-1=", NOW, "203.0.113.9", "arn:user")
    left = iter([29.0] * 20)
    clock = Clock(lambda: next(left, 0.0), CLOCK.sleep, CLOCK.jitter)
    return receive(request, ReceiverSettings("stream", packing), stream, clock)


def test_envelopes() -> None:
    """An event travels byte for byte in an envelope with what the server knows."""
    stream = Stream()
    body = event(id="e-1", extra=[1, "ä"])
    received([body], stream)
    wrapped = decode(stream.records[0])

    assert wrapped.body == body
    assert (wrapped.event_id, wrapped.request_id, wrapped.received_at) == ("e-1", "api-1=", NOW)
    assert (wrapped.source_ip, wrapped.principal) == ("203.0.113.9", "arn:user")


def test_ids() -> None:
    """An event without an id is given a UUIDv7 and the sender is told; POST /events gives the request's id instead."""
    stream = Stream()
    outcome = received([event(id="e-1"), event(), event(_id="e-3")], stream)

    assert list(outcome.assigned) == [1]
    assert UUID(outcome.assigned[1]).version == 7
    assert [each.id for each, _ in outcome.durable] == ["e-1", outcome.assigned[1], "e-3"]
    assert received([event()], stream, single=True).durable[0][0].id == "api-1="


BODIES = st.sampled_from(
    [
        event(id="in-1"),
        event(id="in-2", eventType="logout"),
        event(id="stuck-1"),
        event(id="stuck-2", timestamp="2020-01-01T00:00:00Z"),
        event(id="bad", actor=None),
        b"{broken",
        b"5",
        b"\xff",
    ]
)


@given(st.lists(BODIES, min_size=1, max_size=20), st.booleans())
def test_every_event_has_one_outcome(bodies: list[bytes], packing: bool) -> None:
    """Each index is durable, rejected or to be sent again, exactly once; durable is what the stream took, once each."""
    stream = Stream(frozenset({"stuck-1", "stuck-2"}))
    outcome = received(bodies, stream, packing)
    durable = sorted(each.index for each, _ in outcome.durable)
    rejected = [each.index for each in outcome.rejected]
    retry = [each.index for each in outcome.retry]

    assert sorted(durable + rejected + retry) == list(range(len(bodies)))
    assert rejected == [index for index, body in enumerate(bodies) if b"in-" not in body and b"stuck" not in body]
    assert retry == sorted(retry)
    stored = [decode(line).body for record in stream.records for line in record.split(b"\n")]
    assert sorted(stored) == sorted({bodies[index] for index in durable})
    assert [each.index for each, _ in outcome.durable] == durable
    assert not {bodies[index] for index in durable} & {bodies[index] for index in retry}
    assert all(b"stuck" in bodies[index] or packing for index in retry)


def test_an_event_that_stands_there_twice_is_put_once_and_answered_alike() -> None:
    """Same id and bytes are one event; without an id two alike are two, since each happened."""
    stream = Stream()
    outcome = received([event(id="a"), event(), event(id="a"), event()], stream)

    assert [(each.index, each.id) for each, _ in outcome.durable if each.id == "a"] == [(0, "a"), (2, "a")]
    assert [each.index for each, _ in outcome.durable] == [0, 1, 2, 3]
    assert len({record_id for each, record_id in outcome.durable if each.id == "a"}) == 1
    assert len([line for record in stream.records for line in record.split(b"\n")]) == 3
    assert outcome.conflicting == []
    stuck = received([event(id="a"), event(id="a")], Stream(frozenset({"a"})))
    assert [each.index for each in stuck.retry] == [0, 1]


def test_other_bytes_under_one_id_are_stored_and_marked() -> None:
    """Events that share an id and differ are all put, and each of them is told to conflict."""
    stream = Stream()
    outcome = received([event(id="a"), event(id="b"), event(id="a", n=1), event(_id="a"), event(id="a")], stream)

    assert [each.index for each, _ in outcome.durable] == [0, 1, 2, 3, 4]
    assert [each.index for each in outcome.conflicting] == [0, 2, 3, 4]
    assert len([line for record in stream.records for line in record.split(b"\n")]) == 4


def test_rejected_events_are_named() -> None:
    """A refused event is told by index, reason and, when it can be read, id."""
    outcome = received([event(id="a", timestamp="soon"), b"[1]", event(id="b")], Stream())

    assert [(each.index, each.id) for each in outcome.rejected] == [(0, "a"), (1, None)]
    assert outcome.rejected[0].reason.startswith("timestamp: expected RFC 3339")


def test_too_large_events_are_rejected() -> None:
    """What does not fit into one record is refused with the numbers, and costs no other event."""
    outcome = received([event(id="large", note="x" * 800_000), event(id="b")], Stream())

    assert [(each.index, each.id, each.status) for each in outcome.rejected] == [(0, "large", 413)]
    assert "a record of the stream holds 1,024,000" in outcome.rejected[0].reason
    assert [each.id for each, _ in outcome.durable] == ["b"]


def test_the_stream_is_not_called_for_nothing() -> None:
    """When every event is refused, nothing is put."""
    stream = Stream()
    received([b"1"], stream)

    assert stream.calls == 0


@given(
    st.lists(
        st.sampled_from(
            [
                event(),
                event(eventType="logout"),
                event(eventType="login.failed"),
                event(timestamp="2026-01-25T00:00:00Z"),
            ]
        ),
        min_size=1,
        max_size=50,
    )
)
def test_the_transform_takes_what_is_packed(bodies: list[bytes]) -> None:
    """What is packed is Ok for the transform by any settings, also by those that came while it was in flight."""
    import base64

    stream = Stream()
    received(bodies, stream)
    records = [
        {"recordId": str(number), "approximateArrivalTimestamp": 0, "data": base64.b64encode(data).decode()}
        for number, data in enumerate(stream.records)
    ]
    for current in (RULE, rule(["login.failed"], 0, 0), rule(["login", "login.failed", "logout"], 366, 366)):
        answer = answer_records(records, current)

        assert answer.failures == []
        assert answer.counts.events == len(bodies)
