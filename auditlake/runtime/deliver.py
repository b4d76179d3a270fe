"""deliver: the integrations of the API, which hand a request on to the stream or the receiver (F1, F3, F4)."""

import asyncio
import base64
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs

import msgspec

from auditlake.errors import PlanError, StoreError
from auditlake.runtime import vtl
from auditlake.runtime.exchange import GatewayError, Operation, Request, Response, parameters
from auditlake.runtime.function import FunctionError, Invocable
from auditlake.runtime.threads import Threads

MAX_TIMEOUT_MS = 29_000
"""How long API Gateway waits for an integration at most, and unless it says less (F1, documented)."""
MIN_TIMEOUT_MS = 50
"""The shortest time limit of an integration (F1, documented)."""
MAX_EVENT_BYTES = 6_291_456
"""The largest event that Lambda takes (B3, documented as 6 MB)."""

_STREAM_ACTION = re.compile(r"arn:[^:]+:apigateway:[^:]+:(firehose|kinesis):action/(\w+)")
_STATIC = re.compile(r"'(.*)'")
_HEADER = "method.response.header."
_PASSTHROUGH = ("never", "when_no_templates", "when_no_match")
_MEMBERS = frozenset(
    {"credentials", "httpMethod", "passthroughBehavior", "requestParameters", "requestTemplates", "responses"}
    | {"timeoutInMillis", "type", "uri"}
)
"""The members of an integration that the runtime implements, or that only say who may call whom."""
_RESPONSE_MEMBERS = frozenset({"responseParameters", "responseTemplates", "statusCode"})
_CONFIGURATION = "Internal server error"
"""API Gateway's message for an API that is configured wrongly."""


class StreamApi(Protocol):
    """The delivery stream's API, as the integration calls it."""

    async def call(self, operation: str, body: bytes | str, limit_s: float | None = None) -> Response:
        """Answer one call of the JSON 1.1 protocol; raises TimeoutError when that takes more than `limit_s` seconds."""


class FirehoseIntegration:
    """An AWS integration with the delivery stream, or the data stream before it: template, call, response template."""

    def __init__(self, operation: Operation, api: StreamApi, stage_variables: Mapping[str, str] | None = None) -> None:
        """Read the integration; raises PlanError naming what is not implemented."""
        integration = operation.integration
        _, self._action = stream_action(operation)
        self._api = api
        self._timeout_s = timeout_s(operation)
        self._passthrough = integration.get("passthroughBehavior", "when_no_match").lower()
        if self._passthrough not in _PASSTHROUGH:
            raise PlanError(
                f"{operation.name}: passthroughBehavior is {self._passthrough}; it can be {', '.join(_PASSTHROUGH)}."
            )
        _check_request_parameters(operation)
        self._templates = {name.lower(): text for name, text in integration.get("requestTemplates", {}).items()}
        for template in self._templates.values():
            check_template(operation, template)
        self._responses = Responses(operation, stage_variables or {})
        self._stage_variables = stage_variables or {}

    async def answer(self, request: Request, context: dict[str, Any]) -> Response:
        """Render, call the stream, and map its answer; raises GatewayError."""
        body = self._request_body(request, context)
        try:
            called = await self._api.call(self._action, body, self._timeout_s)
        except TimeoutError:
            raise GatewayError("INTEGRATION_TIMEOUT", "Endpoint request timed out") from None
        return self._responses.map(called.status, called.body.decode(), context)

    def _request_body(self, request: Request, context: Mapping[str, Any]) -> bytes | str:
        """Return what the stream is sent: the template's text, or the body itself where passthrough says so (F3)."""
        template = self._templates.get(request.content_type)
        if template is None:
            if self._passthrough == "when_no_match" or (
                self._passthrough == "when_no_templates" and not self._templates
            ):
                return request.body
            raise GatewayError("UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type")
        try:
            body = request.body.decode("utf-8")
        except UnicodeDecodeError as error:
            # What API Gateway does to such bytes before a template is not known; an audit log must not alter them.
            raise GatewayError(
                "BAD_REQUEST_BODY", "Invalid request body", f"[the body is not UTF-8: {error}]"
            ) from None
        return _render(template, body, context, parameters(request), self._stage_variables)


def stream_action(operation: Operation) -> tuple[str, str]:
    """Return service and action of an AWS integration, e.g. `firehose`, `PutRecord`; raises PlanError for another."""
    uri = operation.integration["uri"]
    match = _STREAM_ACTION.fullmatch(uri)
    if match is None:
        raise PlanError(
            f"{operation.name} integrates with {uri}; the local runtime implements firehose:action/* and, with a data "
            "stream before the delivery stream, kinesis:action/*."
        )
    return match.group(1), match.group(2)


class Responses:
    """The integration responses of an operation, which map what an integration answered (F4)."""

    def __init__(self, operation: Operation, stage_variables: Mapping[str, str]) -> None:
        """Read them; raises PlanError naming what is not implemented, or what is no regular expression."""
        self._stage_variables = stage_variables
        self._declared = frozenset(str(status) for status in operation.definition.get("responses", {}))
        self._responses: Mapping[str, Mapping[str, Any]] = operation.integration.get("responses", {})
        self._patterns: list[tuple[re.Pattern[str], Mapping[str, Any]]] = []
        self._by_status: dict[int, _Mapping] = {}
        for pattern, response in self._responses.items():
            if pattern != "default":
                self._patterns.append((_pattern(operation, pattern), response))
            _refuse(operation, f"the response {pattern}", response, _RESPONSE_MEMBERS)
            for parameter, value in response.get("responseParameters", {}).items():
                if not parameter.startswith(_HEADER) or not _STATIC.fullmatch(value):
                    raise PlanError(
                        f"{operation.name} sets {parameter} to {value}; the local runtime implements headers with a "
                        "fixed value in single quotes."
                    )
            for template in response.get("responseTemplates", {}).values():
                check_template(operation, template)

    def map(self, status: int, body: str, context: dict[str, Any]) -> Response:
        """Return the response to the client for the integration's status and body.

        `selectionPattern` is a regular expression that the whole status must match (F4, documented; that the first of
        several wins is unverified). A status that the method does not declare is answered with 500 (F4, documented for
        mapped statuses; unverified for overridden ones, where the stricter reading holds here).

        Raises:
            GatewayError: nothing matches, the status is not declared, or the template is wrong.
        """
        response = self._selected(status)
        overrides = vtl.Overrides()
        rendered = body
        if response.template is not None:
            context["responseOverride"] = overrides
            rendered = _render(response.template, body, context, None, self._stage_variables)
        headers = response.headers.copy()
        headers.update({name.lower(): str(value) for name, value in overrides["header"].items()})
        answered = str(overrides.get("status") or response.status)
        if answered not in self._declared:
            raise GatewayError("API_CONFIGURATION_ERROR", _CONFIGURATION)
        return Response(int(answered), rendered.strip().encode(), headers)

    def _selected(self, status: int) -> "_Mapping":
        found = self._by_status.get(status)
        if found is None:
            matching = [response for pattern, response in self._patterns if pattern.fullmatch(str(status))]
            response = matching[0] if matching else self._responses.get("default")
            if response is None:
                raise GatewayError("API_CONFIGURATION_ERROR", _CONFIGURATION)
            found = self._by_status[status] = _mapping(response)
        return found


@dataclass(frozen=True)
class _Mapping:
    """One integration response: its status, headers and template."""

    status: str
    headers: dict[str, str]
    template: str | None


def _mapping(response: Mapping[str, Any]) -> _Mapping:
    templates = response.get("responseTemplates", {})
    headers = {"content-type": "application/json"}
    for parameter, value in response.get("responseParameters", {}).items():
        headers[parameter.removeprefix(_HEADER).lower()] = value[1:-1]
    # Which template is taken for an answer that is neither kind is not documented: JSON's, else the first (F4).
    template = templates.get("application/json") or next(iter(templates.values()), None)
    return _Mapping(str(response["statusCode"]), headers, template)


def _pattern(operation: Operation, pattern: str) -> "re.Pattern[str]":
    try:
        return re.compile(pattern)
    except re.error as error:
        raise PlanError(f"{operation.name} selects a response by {pattern!r}, which cannot be read: {error}.") from None


def timeout_s(operation: Operation) -> float:
    """Return the time limit of an integration in seconds; raises PlanError outside API Gateway's range (F1)."""
    milliseconds = operation.integration.get("timeoutInMillis", MAX_TIMEOUT_MS)
    if not MIN_TIMEOUT_MS <= milliseconds <= MAX_TIMEOUT_MS:
        raise PlanError(
            f"{operation.name}: timeoutInMillis is {milliseconds}; API Gateway takes {MIN_TIMEOUT_MS} to "
            f"{MAX_TIMEOUT_MS} (longer only on request, which the local runtime does not implement)."
        )
    return float(milliseconds) / 1000


def check_template(operation: Operation, template: str) -> None:
    """Raise PlanError for a mapping template that asks for what is not implemented."""
    try:
        vtl.check(template)
    except vtl.TemplateError as error:
        raise PlanError(f"A mapping template of {operation.name} cannot be run here: {error}") from None


def _check_request_parameters(operation: Operation) -> None:
    _refuse(operation, "the integration", operation.integration, _MEMBERS)
    for parameter, value in operation.integration.get("requestParameters", {}).items():
        if parameter.lower() != "integration.request.header.content-type" or not _STATIC.fullmatch(value):
            raise PlanError(
                f"{operation.name} sets {parameter} to {value}; the local runtime implements a fixed "
                "integration.request.header.Content-Type, which the stream's API does not look at."
            )


def _refuse(operation: Operation, what: str, given: Mapping[str, Any], members: frozenset[str]) -> None:
    if unknown := sorted(set(given) - members):
        raise PlanError(f"{operation.name}: {', '.join(unknown)} of {what} is not implemented by the local runtime.")


def _render(
    template: str,
    body: str,
    context: Mapping[str, Any],
    given: Mapping[str, Mapping[str, str]] | None,
    stage_variables: Mapping[str, str],
) -> str:
    try:
        return vtl.render(template, body, context, given, stage_variables)
    except vtl.PayloadError as error:
        raise GatewayError("BAD_REQUEST_BODY", str(error), f"[{error}]") from None
    except vtl.TemplateError as error:
        raise GatewayError("API_CONFIGURATION_ERROR", str(error)) from None


class MockIntegration:
    """A mock integration: its request template says the status, which selects the response (F4)."""

    def __init__(self, operation: Operation, stage_variables: Mapping[str, str] | None = None) -> None:
        """Read the integration; raises PlanError naming what is not implemented."""
        _check_request_parameters(operation)
        self._templates: Mapping[str, str] = operation.integration.get("requestTemplates", {})
        for template in self._templates.values():
            check_template(operation, template)
        self._responses = Responses(operation, stage_variables or {})
        self._stage_variables = stage_variables or {}

    async def answer(self, request: Request, context: dict[str, Any]) -> Response:
        """Return the response that the template's `statusCode` selects; raises GatewayError when it says none."""
        template = self._templates.get(request.content_type)
        if template is None:
            raise GatewayError("UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type")
        text = request.body.decode("utf-8", "replace")
        rendered = _render(template, text, context, parameters(request), self._stage_variables)
        try:
            status = int(json.loads(rendered)["statusCode"])
        except (ValueError, KeyError, TypeError):
            raise GatewayError("API_CONFIGURATION_ERROR", _CONFIGURATION) from None
        return self._responses.map(status, "", context)


class LambdaIntegration:
    """A Lambda proxy integration; several processes answer side by side."""

    def __init__(
        self,
        processes: Sequence[Invocable],
        binary_media_types: Sequence[str],
        limit_s: float = MAX_TIMEOUT_MS / 1000,
        stage_variables: Mapping[str, str] | None = None,
    ) -> None:
        """Hand requests to whichever process is free; `limit_s` is the integration's time limit in seconds."""
        self._free: asyncio.Queue[Invocable] = asyncio.Queue()
        for process in processes:
            self._free.put_nowait(process)
        # A thread for each process: what else waits for a disk must not use up an invocation's time.
        self._threads = Threads(len(processes), "invocations")
        self._binary_media_types = binary_media_types
        self._limit_s = limit_s
        self._stage_variables = stage_variables

    async def answer(self, request: Request, context: dict[str, Any]) -> Response:
        """Invoke the function and return what it answers.

        Raises GatewayError when it does not, StoreError when it cannot be started. A function that fails, or answers
        in another format, is a 502 (F3, documented for the format).
        """
        event = msgspec.json.encode(self._event(request, context))
        if len(event) > MAX_EVENT_BYTES:
            # Which answer API Gateway gives when Lambda refuses an event for its size is not documented.
            raise GatewayError("REQUEST_TOO_LARGE", "Request Too Long")
        deadline = time.monotonic() + self._limit_s
        try:
            # The limit holds for the wait for a free process too, or a queue of requests would wait without end.
            async with asyncio.timeout(self._limit_s):
                process = await self._free.get()
        except TimeoutError:
            raise GatewayError("INTEGRATION_TIMEOUT", "Endpoint request timed out") from None
        try:
            answer = await asyncio.wrap_future(self._threads.submit(_invoke, process, event, deadline))
        except OSError as error:
            # No process can be started, e.g. without a free descriptor; what a running one does is its own answer.
            raise StoreError(
                f"The function of this method cannot be started: {error.strerror or error}. Nothing of the request was "
                "accepted; send it again."
            ) from None
        finally:
            self._free.put_nowait(process)
        if not isinstance(answer, FunctionError):
            return _proxy_response(answer)
        if answer.kind == "timeout":
            raise GatewayError("INTEGRATION_TIMEOUT", "Endpoint request timed out")
        raise _bad_gateway()

    def close(self) -> None:
        """End the threads that invoke."""
        self._threads.shutdown()

    def _event(self, request: Request, context: Mapping[str, Any]) -> dict[str, Any]:
        """Build the proxy event of a REST API (payload 1.0)."""
        binary = request.content_type in self._binary_media_types
        query = parse_qs(request.query, keep_blank_values=True)
        return {
            "resource": context["resourcePath"],
            "path": request.path,
            "httpMethod": request.method,
            "headers": request.headers,
            "multiValueHeaders": {name: [value] for name, value in request.headers.items()},
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": None,
            "stageVariables": self._stage_variables or None,
            "requestContext": context,
            # Text that is not UTF-8 cannot travel as a string; base64 keeps its bytes for the function to refuse.
            **_body(request.body, binary),
        }


def _invoke(process: Invocable, event: bytes, deadline: float) -> bytes | FunctionError:
    """Invoke with the time that is left when it begins; `deadline` is in seconds of the monotonic clock."""
    return process.invoke(event, max(0.001, deadline - time.monotonic()))


def _body(body: bytes, binary: bool) -> dict[str, Any]:
    if not binary:
        try:
            return {"body": body.decode("utf-8"), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _bad_gateway() -> GatewayError:
    return GatewayError("DEFAULT_5XX", "Internal server error", status=502)


def _proxy_response(answer: bytes) -> Response:
    try:
        content = json.loads(answer)
        body = content.get("body") or ""
        several = {name: ", ".join(values) for name, values in (content.get("multiValueHeaders") or {}).items()}
        headers = {"content-type": "application/json", **(content.get("headers") or {}), **several}
        return Response(
            status=int(content["statusCode"]),
            body=base64.b64decode(body) if content.get("isBase64Encoded") else body.encode(),
            headers={name.lower(): str(value) for name, value in headers.items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _bad_gateway() from None
