"""The request as API Gateway hands it over."""

import base64
import gzip
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.receiver.problem import Problem
from lambda_src.receiver.request import MAX_BODY_BYTES, parse_request


def proxy_event(body: str | bytes, headers: dict[str, str] | None = None, **context: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
    """Make the event of a REST API's proxy integration, as the developer guide shows it; bytes go in as base64."""
    return {
        "resource": "/events/batch",
        "path": "/v1/events/batch",
        "httpMethod": "POST",
        "headers": headers,
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": isinstance(body, bytes),
        "requestContext": {
            "requestId": "chosen-by-client",
            "extendedRequestId": "api-1=",
            "requestTimeEpoch": 1_769_851_800_000,
            "identity": {"sourceIp": "203.0.113.9", "userArn": None},
        }
        | context,
    }


def refused(event: dict[str, Any]) -> Problem:
    """Parse a request that is refused; give the problem."""
    with pytest.raises(Problem) as caught:
        parse_request(event)
    return caught.value


def test_what_the_server_knows() -> None:
    """Request id, time and address come from API Gateway's context, the id from the one no client can choose."""
    request = parse_request(proxy_event("[]"))

    assert (request.request_id, request.received_at, request.source_ip) == ("api-1=", 1_769_851_800_000, "203.0.113.9")
    assert (request.principal, request.single, request.lines) == ("", False, False)


@pytest.mark.parametrize(
    ("context", "principal"),
    [
        ({"identity": {"sourceIp": "1.2.3.4", "userArn": "arn:aws:iam::1:user/a"}}, "arn:aws:iam::1:user/a"),
        ({"authorizer": {"claims": {"sub": "subject-1"}}}, "subject-1"),
        ({"authorizer": None}, ""),
        ({"authorizer": {"principalId": "alice"}}, "alice"),
        ({"identity": {"clientCert": {"subjectDN": "CN=shop"}}}, "CN=shop"),
        ({"identity": {"clientCert": {"subjectDN": "CN=shop"}}, "authorizer": {"principalId": "alice"}}, "alice"),
    ],
)
def test_principal(context: dict[str, Any], principal: str) -> None:
    """The principal is the IAM identity or the token's subject, else the certificate's subject, else none."""
    assert parse_request(proxy_event("[]", **context)).principal == principal


def test_route() -> None:
    """POST /events is for one event, POST /events/batch for many."""
    assert parse_request(proxy_event("{}") | {"resource": "/events"}).single is True
    assert parse_request(proxy_event("{}")).single is False


@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_body_is_exact(body: bytes, packed: bool, twice: bool) -> None:
    """The bytes come out as they went in, plain or as one or two gzip members, whatever the header says."""
    parts = [body[:50], body[50:]] if twice else [body]
    sent = b"".join(gzip.compress(part) for part in parts) if packed else body
    headers = {"content-encoding": "gzip"}
    if sent.startswith(b"\x1f\x8b") and not packed:
        return

    assert parse_request(proxy_event(sent, headers)).body == body


@pytest.mark.parametrize(
    ("content_type", "lines"),
    [
        ("application/json", False),
        ("Application/JSON; charset=UTF-8", False),
        ("application/x-ndjson", True),
        ("application/ndjson", True),
        ("application/gzip", False),
    ],
)
def test_content_types(content_type: str, lines: bool) -> None:
    """JSON, newline-delimited JSON and gzip are taken, whatever the case of header and type."""
    assert parse_request(proxy_event("[]", {"CONTENT-type": content_type})).lines is lines


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        (
            {"Content-Type": "text/plain"},
            "The Content-Type is 'text/plain' and nothing was stored: send one of application/json",
        ),
        ({"Content-Type": "application/json; charset=utf-16"}, "The Content-Type names another charset than UTF-8"),
        (
            {"Content-Encoding": "br"},
            "The Content-Encoding is 'br' and nothing was stored: send the body plain or as gzip.",
        ),
    ],
)
def test_unsupported_media(headers: dict[str, str], detail: str) -> None:
    """Another content type, charset or encoding is a 415 that says what is taken."""
    problem = refused(proxy_event("[]", headers))

    assert problem.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    assert problem.detail.startswith(detail)


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b" " * (MAX_BODY_BYTES + 1)),
        gzip.compress(b" " * MAX_BODY_BYTES) + gzip.compress(b" "),
        gzip.compress(b" " * 200_000_000),
        b" " * (MAX_BODY_BYTES + 1),
    ],
    ids=["gzip", "members", "bomb", "plain"],
)
def test_too_large(body: bytes) -> None:
    """A body over the limit is a 413, however it is packed."""
    assert refused(proxy_event(body)).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_largest() -> None:
    """A body of exactly the limit is taken."""
    assert len(parse_request(proxy_event(gzip.compress(b" " * MAX_BODY_BYTES))).body) == MAX_BODY_BYTES


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"[1]")[:-3], gzip.compress(b"[1]") + b"x", b"\x1f\x8bbroken"],
    ids=["cut", "trailing", "no header"],  # gzip stamps the time: the bytes themselves would name each run's test anew
)
def test_broken_gzip(body: bytes) -> None:
    """Gzip that is cut, broken or followed by something else is a 400."""
    assert refused(proxy_event(body)).status == HTTPStatus.BAD_REQUEST


def test_broken_base64() -> None:
    """A body that claims to be base64 and is not is a 400."""
    assert refused(proxy_event("[1!") | {"isBase64Encoded": True}).status == HTTPStatus.BAD_REQUEST


def test_lone_surrogate_in_the_body() -> None:
    """A text that no UTF-8 holds still becomes bytes, so that the event's own reader can deal with it."""
    assert parse_request(proxy_event('"\ud800"')).body == b'"\xed\xa0\x80"'
