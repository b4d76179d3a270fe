"""An HTTP request and its response, as the stages of the API hand them on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """A request as it came: header names in lower case, the body unpacked."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    source_ip: str

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
    def integration(self) -> Mapping[str, Any]:
        """The `x-amazon-apigateway-integration` of the method."""
        integration: Mapping[str, Any] = self.definition["x-amazon-apigateway-integration"]
        return integration


class GatewayError(Exception):
    """A request that API Gateway answers itself; `type` is the gateway response's (F3)."""

    def __init__(self, response_type: str, message: str, validation_error: str = "") -> None:
        super().__init__(message)
        self.type = response_type
        self.message = message
        self.validation_error = validation_error
