"""What API Gateway answers by itself: the gateway responses of the OpenAPI document (F3)."""

import json
import re
from collections.abc import Mapping
from typing import Any

from auditlake.errors import PlanError
from auditlake.runtime.exchange import GatewayError, Response

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

_VARIABLE = re.compile(r"\$context\.([A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)")
_STATIC = re.compile(r"'(.*)'")


class GatewayResponses:
    """The document's gateway responses, by type."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Read the responses of an OpenAPI document; raises PlanError naming a type or a parameter it does not know."""
        self._responses: Mapping[str, Any] = document.get("x-amazon-apigateway-gateway-responses", {})
        for name, response in self._responses.items():
            if name not in DEFAULT_STATUS and name not in ("DEFAULT_4XX", "DEFAULT_5XX"):
                raise PlanError(f"The API's document has a gateway response {name}, which API Gateway does not know.")
            for parameter, value in response.get("responseParameters", {}).items():
                if not parameter.startswith("gatewayresponse.header.") or not _STATIC.fullmatch(value):
                    raise PlanError(
                        f"The gateway response {name} sets {parameter} to {value}; the local runtime implements "
                        "headers with a fixed value in single quotes."
                    )

    def answer(self, error: GatewayError, context: Mapping[str, Any]) -> Response:
        """Return the response of the document for an error, or API Gateway's own where the document has none."""
        own = self._responses.get(error.type)
        status = DEFAULT_STATUS[error.type]
        response = own or self._responses.get("DEFAULT_4XX" if status < 500 else "DEFAULT_5XX") or {}
        template = response.get("responseTemplates", {}).get(
            "application/json", '{"message":$context.error.messageString}'
        )
        values = {
            **context,
            "error": {
                "message": error.message,
                "messageString": json.dumps(error.message),
                "validationErrorString": error.validation_error,
                "responseType": error.type,
            },
        }
        headers = {"content-type": "application/json"}
        for parameter, value in response.get("responseParameters", {}).items():
            headers[parameter.removeprefix("gatewayresponse.header.").lower()] = value[1:-1]
        body = _VARIABLE.sub(lambda match: _value(values, match.group(1)), template)
        return Response(int(response.get("statusCode") or status), body.encode(), headers)


def _value(values: Mapping[str, Any], path: str) -> str:
    """Return a variable's text for a place inside a JSON string.

    Whether API Gateway escapes quotes there is not documented (F3, unverified); unescaped ones would break the JSON.
    """
    if path == "error.messageString":
        return str(values["error"]["messageString"])
    value: Any = values
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return json.dumps("" if value is None else str(value), ensure_ascii=False)[1:-1]
