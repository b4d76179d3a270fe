"""The integrations of the API."""

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from auditlake.errors import PlanError
from auditlake.runtime.deliver import FirehoseIntegration, LambdaIntegration, MockIntegration
from auditlake.runtime.exchange import GatewayError, Operation, Request, Response
from auditlake.runtime.function import FunctionError
from auditlake.runtime.plan import Plan

EVENT = b'{"eventType": "login"}'


def context() -> dict[str, Any]:
    """A fresh `$context`."""
    return {
        "authorizer": {},
        "extendedRequestId": "ext=",
        "identity": {"sourceIp": "10.1.2.3", "userArn": "arn:aws:sts::1:assumed-role/r/o'neil"},
        "requestTimeEpoch": 1_795_490_911_500,
        "requestId": "chosen-by-the-client",
        "resourcePath": "/events",
    }


class ScriptedApi:
    """A delivery stream's API that gives one answer."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        self.response = Response(status, json.dumps(answer).encode())
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def call(self, operation: str, body: bytes | str) -> Response:
        """Answer."""
        self.calls.append((operation, json.loads(body)))
        return self.response


def operation(plan: Plan, **members: Any) -> Operation:  # noqa: ANN401 - any JSON
    """POST /events of the plan, with some members of its integration changed."""
    definition = plan.api.document["paths"]["/events"]["post"]
    key = "x-amazon-apigateway-integration"
    return Operation("POST", "/events", {**definition, key: {**definition[key], **members}})


def post(plan: Plan, api: ScriptedApi, body: bytes = EVENT, content_type: str = "application/json") -> Response:
    """Send one request through the integration."""
    request = Request("POST", "/events", "", {"content-type": content_type}, body, "10.1.2.3")
    return asyncio.run(FirehoseIntegration(operation(plan), api).answer(request, context()))


def test_the_event_is_wrapped_in_what_only_the_server_knows(plan: Plan) -> None:
    """The record is the envelope: exact body, and id, time, address and principal of the server."""
    api = ScriptedApi(200, {"RecordId": "r1", "Encrypted": True})
    body = '{"eventType": "é\\n", "principal": "forged"}'.encode()
    response = post(plan, api, body)

    ((action, call),) = api.calls
    envelope = json.loads(base64.b64decode(call["Record"]["Data"]))
    assert action == "PutRecord"
    assert call["DeliveryStreamName"] == plan.stream.name
    assert base64.b64decode(envelope.pop("body")) == body
    assert envelope == {
        "auditlake": 1,
        "eventId": "ext=",
        "requestId": "ext=",
        "receivedAt": 1_795_490_911_500,
        "sourceIp": "10.1.2.3",
        "principal": "arn:aws:sts::1:assumed-role/r/o'neil",
    }
    assert response.status == 202
    assert json.loads(response.body) == {"status": "accepted", "requestId": "ext=", "recordId": "r1"}


@pytest.mark.parametrize(
    ("status", "error", "answered", "words"),
    [
        (400, "ValidationException", 413, "1,000 KiB"),
        (400, "com.amazonaws.firehose#ThrottlingException", 503, "takes no more"),
        (400, "ResourceNotFoundException", 502, "fault lies in this stack"),
        (403, "AccessDeniedException", 502, "fault lies in this stack"),
        (500, "InternalFailure", 503, "did not confirm"),
        (503, "ServiceUnavailableException", 503, "did not confirm"),
    ],
)
def test_a_refusal_of_the_stream_is_mapped(plan: Plan, status: int, error: str, answered: int, words: str) -> None:
    """What the stream does not take is never a 202: each kind has its status and sentence; 503 says when to retry."""
    response = post(plan, ScriptedApi(status, {"__type": error, "message": "m"}))

    content = json.loads(response.body)
    assert (response.status, content["status"]) == (answered, answered)
    assert words in content["detail"]
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.get("retry-after") == ("1" if answered == 503 else None)


def test_a_content_type_without_a_template_is_refused(plan: Plan) -> None:
    """Passthrough is never: nothing unvalidated reaches the stream."""
    api = ScriptedApi(200, {})
    with pytest.raises(GatewayError) as caught:
        post(plan, api, content_type="text/plain")

    assert caught.value.type == "UNSUPPORTED_MEDIA_TYPE"
    assert api.calls == []


def test_bytes_that_are_no_text_are_refused_rather_than_altered(plan: Plan) -> None:
    """A template works on text; a body that is not UTF-8 must not be stored as something else."""
    with pytest.raises(GatewayError) as caught:
        post(plan, ScriptedApi(200, {}), b'{"a": "\xff"}')

    assert caught.value.type == "BAD_REQUEST_BODY"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"uri": "arn:aws:apigateway:us-east-1:sqs:action/SendMessage"}, "sqs:action"),
        ({"passthroughBehavior": "when_no_match"}, "passthroughBehavior"),
        (
            {"responses": {"default": {"statusCode": "200", "responseParameters": {"method.response.header.X": "y"}}}},
            "X",
        ),
    ],
)
def test_what_is_not_implemented_stops_the_runtime(plan: Plan, members: dict[str, Any], words: str) -> None:
    """Another service, passthrough, or a header from the integration is refused at start."""
    with pytest.raises(PlanError, match=words):
        FirehoseIntegration(operation(plan, **members), ScriptedApi(200, {}))


def test_a_broken_template_is_the_apis_fault(plan: Plan) -> None:
    """A template that cannot be rendered answers API_CONFIGURATION_ERROR and puts nothing."""
    integration = FirehoseIntegration(
        operation(plan, requestTemplates={"application/json": "#if($x"}), ScriptedApi(200, {})
    )
    with pytest.raises(GatewayError) as caught:
        asyncio.run(integration.answer(Request("POST", "/events", "", {}, EVENT, ""), context()))

    assert caught.value.type == "API_CONFIGURATION_ERROR"


class ScriptedProcess:
    """A function whose answer is given."""

    def __init__(self, answer: bytes | FunctionError) -> None:
        self.answer = answer
        self.events: list[dict[str, Any]] = []

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:  # noqa: ARG002 - the seam
        """Answer."""
        self.events.append(json.loads(event))
        return self.answer


def invoke(process: ScriptedProcess, body: bytes = EVENT, content_type: str = "application/json") -> Response:
    """Send one request through a Lambda integration."""
    integration = LambdaIntegration([process], ["application/gzip"])
    request = Request("POST", "/events/batch", "a=1", {"content-type": content_type}, body, "10.1.2.3")
    return asyncio.run(integration.answer(request, context()))


def test_a_function_gets_the_proxy_event_and_its_answer_is_the_response() -> None:
    """Status, headers and body are the function's; the event is API Gateway's."""
    process = ScriptedProcess(json.dumps({"statusCode": 207, "headers": {"X-A": "b"}, "body": "é"}).encode())
    response = invoke(process)

    (event,) = process.events
    assert (response.status, response.body, response.headers["x-a"]) == (207, "é".encode(), "b")
    assert (event["body"], event["isBase64Encoded"], event["httpMethod"]) == (EVENT.decode(), False, "POST")
    assert event["queryStringParameters"] == {"a": "1"}
    assert event["requestContext"]["identity"]["sourceIp"] == "10.1.2.3"


@pytest.mark.parametrize(("body", "content_type"), [(b"\x1f\x8b", "application/gzip"), (b"\xff", "application/json")])
def test_bytes_travel_as_base64(body: bytes, content_type: str) -> None:
    """A binary media type, and text that is no UTF-8, reach the function unchanged."""
    process = ScriptedProcess(b'{"statusCode": 200}')
    invoke(process, body, content_type)

    assert (base64.b64decode(process.events[0]["body"]), process.events[0]["isBase64Encoded"]) == (body, True)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (FunctionError("error", "m"), "INTEGRATION_FAILURE"),
        (FunctionError("timeout", "m"), "INTEGRATION_TIMEOUT"),
        (b"[]", "INTEGRATION_FAILURE"),
        (b'{"body": "x"}', "INTEGRATION_FAILURE"),
        (b"not json", "INTEGRATION_FAILURE"),
    ],
)
def test_a_function_that_fails_is_a_gateway_response(answer: bytes | FunctionError, kind: str) -> None:
    """An error, a timeout and a malformed answer are never taken for success."""
    with pytest.raises(GatewayError) as caught:
        invoke(ScriptedProcess(answer))

    assert caught.value.type == kind


def test_a_mock_answers_its_template(plan: Plan) -> None:
    """GET /health needs nothing behind it."""
    health = Operation("GET", "/health", plan.api.document["paths"]["/health"]["get"])
    response = asyncio.run(MockIntegration(health).answer(Request("GET", "/health", "", {}, b"", ""), context()))

    assert (response.status, response.body) == (200, b'{"status": "ok"}')
