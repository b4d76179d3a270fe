"""An HTTP request and its response, as the stages of the API hand them on.

Both are msgspec structs rather than dataclasses: several are made for each event, at a tenth of the cost.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec


class Request(msgspec.Struct, frozen=True):
    """A request as it came, with header names in lower case; `raw_path` is the path before its escapes were read."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    source_ip: str
    raw_path: str = ""

    def with_body(self, body: bytes) -> "Request":
        """Return the same request with its body."""
        return Request(self.method, self.path, self.query, self.headers, body, self.source_ip, self.raw_path)

    @property
    def content_type(self) -> str:
        """The media type without parameters; a request that names none counts as JSON (F3, documented)."""
        return self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()


class Response(msgspec.Struct, frozen=True):
    """What is answered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


@dataclass
class OpenRequests:
    """How many requests are being answered: those of the loop count, any thread may look."""

    count: int = 0


Finish = Callable[[Request], Awaitable[Response]]
"""Answers a request that was let in by its head, once its body is there."""


class Front(Protocol):
    """What stands behind a listener."""

    def admit(self, head: Request) -> Response | Finish:
        """Look at a request's method, path and headers before its body is read: refuse it, or say what answers it."""

    def too_large(self, head: Request) -> Response:
        """Answer a request that was let in and whose body is larger than API Gateway takes."""


def json_response(code: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer in JSON."""
    return Response(code, json.dumps(content).encode(), {"content-type": "application/json", **(headers or {})})


def problem(code: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem (RFC 9457), whose `detail` is the sentence that the client is told."""
    content = {"type": "about:blank", "title": title, "status": code, "detail": detail}
    return json_response(code, content, {"content-type": "application/problem+json", **(headers or {})})


@dataclass(frozen=True)
class Operation:
    """One method of one path of the OpenAPI document."""

    method: str
    path: str
    definition: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The method and path, for messages."""
        return f"{self.method} {self.path}"

    @property
    def integration(self) -> Mapping[str, Any]:
        """The `x-amazon-apigateway-integration` of the method."""
        integration: Mapping[str, Any] = self.definition["x-amazon-apigateway-integration"]
        return integration


def parameters(request: Request) -> dict[str, Mapping[str, str]]:
    """Return a request's parameters by place: `path`, `querystring`, `header`; of a name that repeats, the last."""
    return {
        "path": {},
        "querystring": dict(parse_qsl(request.query, keep_blank_values=True)) if request.query else {},
        "header": request.headers,
    }


class GatewayError(Exception):
    """A request that API Gateway answers itself; `type` is the gateway response's (F3).

    `status` is only for DEFAULT_4XX and DEFAULT_5XX, which have no status of their own. `detail` is a sentence about
    what API Gateway does not know, told as a problem instead of the document's gateway response.
    """

    def __init__(
        self,
        response_type: str,
        message: str,
        validation_error: str = "",
        status: int | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.detail = detail
        self.type = response_type
        self.message = message
        self.validation_error = validation_error
        self.status = status
