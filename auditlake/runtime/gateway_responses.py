"""What API Gateway answers by itself: the gateway responses of the OpenAPI document (F3)."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from auditlake.errors import PlanError
from auditlake.runtime.exchange import GatewayError, Response, problem

DEFAULT_STATUS = {
    "ACCESS_DENIED": 403,
    "API_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_FAILURE": 500,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "EXPIRED_TOKEN": 403,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "QUOTA_EXCEEDED": 429,
    "REQUEST_TOO_LARGE": 413,
    "RESOURCE_NOT_FOUND": 404,
    "THROTTLED": 429,
    "UNAUTHORIZED": 401,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "WAF_FILTERED": 403,
}
"""The documented types with their default status; DEFAULT_4XX and DEFAULT_5XX stand for those without their own."""

_NOT_CUSTOMIZED = frozenset({"REQUEST_TOO_LARGE"})
"""API Gateway's notes say that a 413 cannot be customized (F3, documented; a user saw the default body)."""
_VARIABLE = re.compile(r"\$(context|stageVariables)\.([A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)")
_STATIC = re.compile(r"'(.*)'")
_MAPPED = re.compile(r"(context|stageVariables|method\.request\.(?:header|querystring|path))\.(.+)")
_HEADER = "gatewayresponse.header."
_DEFAULT_TEMPLATE = '{"message":$context.error.messageString}'


class GatewayResponses:
    """The document's gateway responses, by type."""

    def __init__(self, document: Mapping[str, Any], stage_variables: Mapping[str, str] | None = None) -> None:
        """Read the responses of an OpenAPI document; raises PlanError naming a type or a parameter it does not know."""
        self._responses: Mapping[str, Any] = document.get("x-amazon-apigateway-gateway-responses", {})
        self._stage_variables = stage_variables or {}
        for name, response in self._responses.items():
            if name not in DEFAULT_STATUS and name not in ("DEFAULT_4XX", "DEFAULT_5XX"):
                raise PlanError(f"The API's document has a gateway response {name}, which API Gateway does not know.")
            for parameter, value in response.get("responseParameters", {}).items():
                if not parameter.startswith(_HEADER) or not (_STATIC.fullmatch(value) or _MAPPED.fullmatch(value)):
                    raise PlanError(
                        f"The gateway response {name} sets {parameter} to {value}; headers are set to a fixed value in "
                        "single quotes, context.*, stageVariables.* or method.request.header|querystring|path.*."
                    )

    def answer(
        self,
        error: GatewayError,
        context: Mapping[str, Any],
        parameters: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Response:
        """Return the response of the document for an error, or API Gateway's own where the document has none.

        Args:
            error: what went wrong.
            context: `$context`.
            parameters: the request's `header`, `querystring` and `path`, which headers may be mapped from.
        """
        status = error.status or DEFAULT_STATUS[error.type]
        if error.detail is not None:
            return problem(status, HTTPStatus(status).phrase, error.detail)
        response = self._response(error.type, status)
        template = response.get("responseTemplates", {}).get("application/json", _DEFAULT_TEMPLATE)
        values = {
            "context": {
                **context,
                "error": {
                    "message": error.message,
                    "messageString": json.dumps(error.message),
                    "validationErrorString": error.validation_error,
                    "responseType": error.type,
                },
            },
            "stageVariables": self._stage_variables,
            **{f"method.request.{place}": given for place, given in (parameters or {}).items()},
        }
        headers = {"content-type": "application/json"}
        for parameter, value in response.get("responseParameters", {}).items():
            headers[parameter.removeprefix(_HEADER).lower()] = _header(values, value)
        body = _VARIABLE.sub(lambda match: _in_json(values[match.group(1)], match.group(2)), template)
        return Response(int(response.get("statusCode") or status), body.encode(), headers)

    def _response(self, name: str, status: int) -> Mapping[str, Any]:
        if name in _NOT_CUSTOMIZED:
            return {}
        fallback = self._responses.get("DEFAULT_4XX" if status < 500 else "DEFAULT_5XX")
        response: Mapping[str, Any] = self._responses.get(name) or fallback or {}
        return response


def _found(values: Mapping[str, Any], path: str) -> str:
    """Return the text of a variable, "" where it is not set."""
    value: Any = values
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)


def _header(values: Mapping[str, Any], expression: str) -> str:
    if static := _STATIC.fullmatch(expression):
        return static.group(1)
    mapped = _MAPPED.fullmatch(expression)
    if mapped is None:
        raise ValueError(f"{expression} passed the check at start")
    place, name = mapped.groups()
    if place == "method.request.header":
        name = name.lower()
    if place.startswith("method."):
        return str(values.get(place, {}).get(name, ""))
    return _found(values[place], name)


def _in_json(values: Mapping[str, Any], path: str) -> str:
    """Return a variable's text for a place inside a JSON string.

    Whether API Gateway escapes quotes there is not documented (F3, unverified); unescaped ones would break the JSON.
    """
    if path == "error.messageString":
        return str(values["error"]["messageString"])
    return json.dumps(_found(values, path), ensure_ascii=False)[1:-1]
