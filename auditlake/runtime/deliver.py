"""deliver: the integrations of the API, which hand a request on to the stream or the receiver (F1, F4)."""

import asyncio
import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl

from auditlake.errors import PlanError
from auditlake.runtime import vtl
from auditlake.runtime.exchange import GatewayError, Operation, Request, Response
from auditlake.runtime.function import FunctionError, Invocable

INTEGRATION_TIMEOUT_S = 29
"""How long API Gateway waits for an integration (F1, documented)."""

_FIREHOSE = re.compile(r"arn:[^:]+:apigateway:[^:]+:firehose:action/(\w+)")
_STATIC = re.compile(r"'(.*)'")
_HEADER = "method.response.header."


class StreamApi(Protocol):
    """The delivery stream's API, as the integration calls it."""

    async def call(self, operation: str, body: bytes | str) -> Response:
        """Answer one call of the JSON 1.1 protocol."""


class FirehoseIntegration:
    """An AWS integration with the delivery stream: request template, call, response template."""

    def __init__(self, operation: Operation, api: StreamApi) -> None:
        """Read the integration; raises PlanError naming what is not implemented."""
        integration = operation.integration
        name = f"{operation.method} {operation.path}"
        match = _FIREHOSE.fullmatch(integration["uri"])
        if match is None:
            raise PlanError(
                f"{name} integrates with {integration['uri']}; the local runtime implements firehose:action/*."
            )
        if integration.get("passthroughBehavior", "").lower() != "never":
            raise PlanError(
                f"{name}: the local runtime implements passthroughBehavior never, without which the model binds nobody."
            )
        self._action = match.group(1)
        self._api = api
        self._templates: Mapping[str, str] = integration.get("requestTemplates", {})
        self._responses: Mapping[str, Mapping[str, Any]] = integration["responses"]
        for response in self._responses.values():
            for parameter, value in response.get("responseParameters", {}).items():
                if not parameter.startswith(_HEADER) or not _STATIC.fullmatch(value):
                    raise PlanError(
                        f"{name} sets {parameter} to {value}; the local runtime implements headers with a fixed value."
                    )

    async def answer(self, request: Request, context: dict[str, Any]) -> Response:
        """Render, call the stream, and map its answer; raises GatewayError."""
        template = self._templates.get(request.content_type)
        if template is None:
            raise GatewayError("UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type")
        try:
            body = request.body.decode("utf-8")
        except UnicodeDecodeError as error:
            # What API Gateway does to such bytes before a template is not known; an audit log must not alter them.
            raise GatewayError(
                "BAD_REQUEST_BODY", "Invalid request body", f"[the body is not UTF-8: {error}]"
            ) from None
        called = await self._api.call(self._action, _render(template, body, context, request))
        return self._map(called, context)

    def _map(self, called: Response, context: dict[str, Any]) -> Response:
        status = str(called.status)
        patterns = [p for p in self._responses if p != "default" and re.fullmatch(p, status)]
        response = self._responses[patterns[0] if patterns else "default"]
        context["responseOverride"] = {"header": {}}
        body = called.body.decode()
        template = response.get("responseTemplates", {}).get("application/json")
        rendered = body if template is None else _render(template, body, context, None)
        headers = {"content-type": "application/json"}
        for parameter, value in response.get("responseParameters", {}).items():
            headers[parameter.removeprefix(_HEADER).lower()] = value[1:-1]
        override = context["responseOverride"]
        headers.update({name.lower(): str(value) for name, value in override["header"].items()})
        return Response(int(override.get("status") or response["statusCode"]), rendered.strip().encode(), headers)


def _render(template: str, body: str, context: dict[str, Any], request: Request | None) -> str:
    parameters = {"header": request.headers, "querystring": dict(parse_qsl(request.query))} if request else None
    try:
        return vtl.render(template, body, context, parameters)
    except vtl.PayloadError as error:
        raise GatewayError("BAD_REQUEST_BODY", str(error), f"[{error}]") from None
    except vtl.TemplateError as error:
        raise GatewayError("API_CONFIGURATION_ERROR", str(error)) from None


class MockIntegration:
    """A mock integration, which answers by itself."""

    def __init__(self, operation: Operation) -> None:
        """Take the integration's default response."""
        self._response = operation.integration["responses"]["default"]

    async def answer(self, request: Request, context: dict[str, Any]) -> Response:
        """Return the default response."""
        template = self._response.get("responseTemplates", {}).get("application/json", "")
        body = _render(template, request.body.decode("utf-8", "replace"), context, request)
        return Response(int(self._response["statusCode"]), body.encode(), {"content-type": "application/json"})


class LambdaIntegration:
    """A Lambda proxy integration; several processes answer side by side."""

    def __init__(self, processes: Sequence[Invocable], binary_media_types: Sequence[str]) -> None:
        """Hand requests to whichever process is free."""
        self._free: asyncio.Queue[Invocable] = asyncio.Queue()
        for process in processes:
            self._free.put_nowait(process)
        self._binary_media_types = binary_media_types

    async def answer(self, request: Request, context: dict[str, Any]) -> Response:
        """Invoke the function and return what it answers; raises GatewayError when it does not."""
        event = json.dumps(self._event(request, context)).encode()
        process = await self._free.get()
        try:
            answer = await asyncio.to_thread(process.invoke, event, INTEGRATION_TIMEOUT_S)
        finally:
            self._free.put_nowait(process)
        if isinstance(answer, FunctionError):
            kind = "INTEGRATION_TIMEOUT" if answer.kind == "timeout" else "INTEGRATION_FAILURE"
            raise GatewayError(
                kind, "Endpoint request timed out" if answer.kind == "timeout" else "Internal server error"
            )
        return _proxy_response(answer)

    def _event(self, request: Request, context: Mapping[str, Any]) -> dict[str, Any]:
        """Build the proxy event of a REST API (payload 1.0)."""
        binary = request.content_type in self._binary_media_types
        query = dict(parse_qsl(request.query)) or None
        request_context = {key: value for key, value in context.items() if key not in ("error", "responseOverride")}
        return {
            "resource": context["resourcePath"],
            "path": request.path,
            "httpMethod": request.method,
            "headers": request.headers,
            "multiValueHeaders": {name: [value] for name, value in request.headers.items()},
            "queryStringParameters": query,
            "multiValueQueryStringParameters": query and {name: [value] for name, value in query.items()},
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": request_context,
            # Text that is not UTF-8 cannot travel as a string; base64 keeps its bytes for the function to refuse.
            **_body(request.body, binary),
        }


def _body(body: bytes, binary: bool) -> dict[str, Any]:
    if not binary:
        try:
            return {"body": body.decode("utf-8"), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _proxy_response(answer: bytes) -> Response:
    try:
        content = json.loads(answer)
        body = content.get("body") or ""
        return Response(
            status=int(content["statusCode"]),
            body=base64.b64decode(body) if content.get("isBase64Encoded") else body.encode(),
            headers={"content-type": "application/json"}
            | {name.lower(): str(value) for name, value in (content.get("headers") or {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise GatewayError("INTEGRATION_FAILURE", "Internal server error") from None
