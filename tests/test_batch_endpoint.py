"""What the answers of `/events/batch` mean."""

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from auditlake.batch_endpoint import Answer, batch_url, encode_body, post_batch, retry_after
from auditlake.errors import SendError
from lambda_src.receiver.delivery import CALL_S, Clock
from lambda_src.receiver.problem import Problem
from lambda_src.receiver.receive import ReceiverSettings, receive
from lambda_src.receiver.request import parse_request
from lambda_src.receiver.response import outcome_response, problem_response

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
URL = "https://example.com/v1/events/batch"


def answered(status: int, count: int = 3, **response: Any) -> Answer:  # noqa: ANN401  # httpx's arguments
    """POST to a transport that gives one answer."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, **response))
    with httpx.Client(transport=transport) as client:
        return post_batch(client, URL, encode_body([b"{}"] * count), count, NOW)


def test_body_is_gzip_ndjson_and_always_the_same_bytes() -> None:
    """One line an event; gzip without a time, so that a repeat is the same request."""
    assert gzip.decompress(encode_body([b"{}", b'{"a":1}'])) == b'{}\n{"a":1}\n'
    assert encode_body([b"{}"])[4:8] == b"\0\0\0\0"


@pytest.mark.parametrize("url", ["https://example.com/v1", "https://example.com/v1/"])
def test_batch_url_is_below_the_base(url: str) -> None:
    """The stage's path stays."""
    assert batch_url(url) == URL


def test_results_are_sorted_by_event() -> None:
    """What is neither rejected nor to be sent again is accepted; unknown members of the answer are left alone."""
    answer = answered(
        503,
        json={
            "accepted": 1,
            "rejected": [{"index": 2, "id": "x", "reason": "why"}],
            "retry": [{"index": 0, "id": "y"}],
            "requestId": "r",
        },
        headers={"Retry-After": "2"},
    )
    assert (answer.accepted, answer.rejected, answer.again, answer.retry_after_s) == ((1,), ((2, "why"),), (0,), 2.0)


@pytest.mark.parametrize(
    "document",
    [
        {"accepted": 2},
        {"accepted": 4},
        {"accepted": 2, "rejected": [{"index": 3, "reason": "r"}]},
        {"accepted": 2, "rejected": [{"index": -1, "reason": "r"}]},
        {"accepted": 2, "rejected": [{"index": 1, "reason": "r"}], "retry": [{"index": 1}]},
    ],
)
def test_answer_that_does_not_add_up_is_an_error(document: dict[str, Any]) -> None:
    """An event without a fate, or with two, is never counted as accepted."""
    with pytest.raises(SendError, match="does not add up"):
        answered(202, json=document)


@pytest.mark.parametrize("status", [200, 201, 204, 301, 401, 403, 404, 405, 415])
def test_other_answers_are_errors_with_the_endpoints_words(status: int) -> None:
    """Only 202 is success; what trying again cannot change is said with the endpoint's own sentence."""
    with pytest.raises(SendError, match=f"answered {status} No such thing"):
        answered(status, json={"message": "No such thing."})


def test_long_or_empty_bodies_are_quoted_with_measure() -> None:
    """HTML of a proxy is cut; an empty body is told by its status."""
    assert len(answered(502, text="<html>" + "x " * 5000).reason) < 310
    assert answered(502).reason == "502 Bad Gateway."


def test_503_without_results_is_for_all() -> None:
    """A gateway's 503 names no event: all are sent again."""
    assert answered(503, json={"detail": "Busy."}).again == (0, 1, 2)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("5", 5),
        ("Tue, 24 Nov 2026 12:01:00 GMT", 60),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("soon", 0),
        ("-3", 0),
    ],
)
def test_retry_after_reads_seconds_and_dates(value: str | None, seconds: float) -> None:
    """Both forms of RFC 9110; the past and what is neither ask for no wait."""
    assert retry_after(value, NOW) == seconds


class Firehose:
    """A stream that takes records by their number; where it takes none it throttles the entry (A2)."""

    def __init__(self, takes: list[bool]) -> None:
        self._takes = takes

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> Any:  # noqa: ANN401, ARG002, N803  # boto3's
        """Answer with an entry a record."""
        entries = [
            {"RecordId": "r"} if self._takes.pop(0) else {"ErrorCode": "ServiceUnavailableException"} for _ in Records
        ]
        return {"FailedPutCount": sum("ErrorCode" in entry for entry in entries), "RequestResponses": entries}


def real_receiver(takes: list[bool]) -> httpx.MockTransport:
    """A transport that hands each request to the receiver's own code, as API Gateway would; it puts once."""
    settings = ReceiverSettings("stream", packing=False)

    def answer(request: httpx.Request) -> httpx.Response:
        left = iter([CALL_S, 0.0])
        clock = Clock(lambda: next(left, 0.0), lambda _: None, lambda longest: longest)
        event = {
            "resource": "/events/batch",
            "headers": dict(request.headers),
            "body": base64.b64encode(request.content).decode(),
            "isBase64Encoded": True,
            "requestContext": {"requestId": "q", "requestTimeEpoch": int(NOW.timestamp() * 1000)},
        }
        try:
            parsed = parse_request(event)
            made = outcome_response(parsed, receive(parsed, settings, Firehose(takes), clock))
        except Problem as problem:
            made = problem_response(problem)
        return httpx.Response(made["statusCode"], headers=made["headers"], content=made["body"])

    return httpx.MockTransport(answer)


def post_to_receiver(bodies: list[bytes], takes: list[bool]) -> Answer:
    """POST events to the receiver's own code."""
    with httpx.Client(transport=real_receiver(takes)) as client:
        return post_batch(client, URL, encode_body(bodies), len(bodies), NOW)


def event(number: int) -> bytes:
    """One valid event."""
    actor = {"userId": "ann"}
    return json.dumps(
        {"id": f"e-{number}", "eventType": "login", "timestamp": "2026-11-24T10:00:00Z", "actor": actor}
    ).encode()


def test_receivers_own_answers_are_understood() -> None:
    """Accepted, rejected and to be sent again, as the code of the receiver Lambda says them."""
    answer = post_to_receiver([event(0), b"{}", event(2), b"{", event(4)], [True, False, True])
    assert (answer.accepted, answer.again, answer.retry_after_s) == ((0, 4), (2,), 1.0)
    assert [index for index, _ in answer.rejected] == [1, 3]
    assert "timestamp" in answer.rejected[0][1] or "eventType" in answer.rejected[0][1]
    assert post_to_receiver([event(0)], [True]).accepted == (0,)


def test_receivers_400_names_each_event() -> None:
    """When the receiver refuses every event, the reasons are by event and the body is not divided."""
    answer = post_to_receiver([b"{}", b"[]"], [])
    assert not answer.divide
    assert [index for index, _ in answer.rejected] == [0, 1]


def test_receivers_413_for_the_body_divides_it() -> None:
    """More events than the receiver takes in a request are to be sent in parts."""
    answer = post_to_receiver([b"{}"] * 10_001, [])
    assert answer.divide
    assert "10,001 events" in answer.reason
