"""The request as API Gateway hands it to a Lambda (REST API, proxy integration), parsed once at the edge."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pybase64

from lambda_src.common.inflate import InflateError, inflate
from lambda_src.receiver.problem import Problem

MAX_BODY_BYTES = 10 * 1024 * 1024
"""How large a body may be once it is unpacked: what API Gateway takes plain (F1, documented); gzip opens no more."""

CONTENT_TYPES = (
    "application/json",
    "application/x-ndjson",
    "application/ndjson",
    "application/gzip",
    "application/x-gzip",
)
_LINES = ("application/x-ndjson", "application/ndjson")
_ENCODINGS = ("", "identity", "gzip", "x-gzip")
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Request:
    """A POST of events."""

    body: bytes
    """Unpacked."""
    single: bool
    """POST /events: the body is one event."""
    lines: bool
    """The content type says that each line is an event."""
    request_id: str
    """API Gateway's extendedRequestId, which no client can choose (F2, documented)."""
    received_at: int
    """Milliseconds since 1970, UTC."""
    source_ip: str
    principal: str
    """Who was authenticated: the IAM ARN, the token's subject or principal, or the subject of a client certificate.

    Empty when the API asks for none of them.
    """


def parse_request(event: Mapping[str, Any]) -> Request:
    """Read API Gateway's event; raises Problem 400, 413 or 415."""
    context = event["requestContext"]
    identity = context.get("identity") or {}
    authorizer = context.get("authorizer") or {}
    claims = authorizer.get("claims") or {}
    certificate = identity.get("clientCert") or {}
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    lines = _content_type(headers.get("content-type") or CONTENT_TYPES[0]) in _LINES
    _check_encoding(headers.get("content-encoding") or "")
    return Request(
        body=_unpacked(_body(event)),
        single=not event["resource"].rstrip("/").endswith("/batch"),
        lines=lines,
        request_id=context.get("extendedRequestId") or context["requestId"],
        received_at=context["requestTimeEpoch"],
        source_ip=identity.get("sourceIp") or "",
        # As the mapping template of POST /events has it.
        principal=(identity.get("userArn") or "") + (claims.get("sub") or "") + (authorizer.get("principalId") or "")
        or certificate.get("subjectDN")
        or "",
    )


def _content_type(header: str) -> str:
    media_type, _, parameters = header.partition(";")
    media_type = media_type.strip().lower()
    if media_type not in CONTENT_TYPES:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The Content-Type is {media_type[:100]!r} and nothing was stored: send one of {', '.join(CONTENT_TYPES)}.",
        )
    charset = parameters.lower().replace(" ", "").replace('"', "")
    if charset.startswith("charset=") and charset.removeprefix("charset=") not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "The Content-Type names another charset than UTF-8 and nothing was stored: JSON is UTF-8, send it so.",
        )
    return media_type


def _check_encoding(header: str) -> None:
    if header.strip().lower() not in _ENCODINGS:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The Content-Encoding is {header[:100]!r} and nothing was stored: send the body plain or as gzip.",
        )


def _body(event: Mapping[str, Any]) -> bytes:
    """Give the bytes that API Gateway passed on; it uses base64 only for its binary media types."""
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        # A lone surrogate can only stand in a text that JSON escapes brought here; as bytes it is then not UTF-8.
        return body.encode(errors="surrogatepass")
    try:
        return pybase64.b64decode(body, validate=True)
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "The body claims to be base64 and is not; nothing was stored.") from None


def _unpacked(body: bytes) -> bytes:
    """Unpack gzip, told by its magic number: API Gateway unpacks some bodies itself and leaves the header standing."""
    if body.startswith(_GZIP_MAGIC):
        try:
            body = inflate(body, MAX_BODY_BYTES)
        except InflateError as error:
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                f"The body is gzip but {error}; nothing was stored: send it again, packed whole.",
            ) from None
    if len(body) > MAX_BODY_BYTES:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body is larger than {MAX_BODY_BYTES:,} bytes unpacked and nothing was stored: send smaller batches.",
        )
    return body
