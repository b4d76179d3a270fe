"""An HTTP request and its response, as the stages of the API hand them on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Request:
    """A request as it came, with header names in lower case; `raw_path` is the path before its escapes were read."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    source_ip: str
    raw_path: str = ""

    @property
    def content_type(self) -> str:
        """The media type without parameters; a request that names none counts as JSON (F3, documented)."""
        return self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Response:
    """What is answered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


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
        "querystring": dict(parse_qsl(request.query, keep_blank_values=True)),
        "header": request.headers,
    }


class GatewayError(Exception):
    """A request that API Gateway answers itself; `type` is the gateway response's (F3).

    `status` is only for DEFAULT_4XX and DEFAULT_5XX, which have no status of their own.
    """

    def __init__(self, response_type: str, message: str, validation_error: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.type = response_type
        self.message = message
        self.validation_error = validation_error
        self.status = status
