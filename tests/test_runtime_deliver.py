"""The integrations of the API."""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, cast

import pytest

from auditlake.errors import PlanError
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.deliver import (
    MAX_EVENT_BYTES,
    FirehoseIntegration,
    LambdaIntegration,
    MockIntegration,
    Responses,
)
from auditlake.runtime.exchange import GatewayError, Operation, Request, Response
from auditlake.runtime.firehose_api import FirehoseApi
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

    async def call(self, operation: str, body: bytes | str, limit_s: float | None = None) -> Response:  # noqa: ARG002 - the protocol
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
        ({"passthroughBehavior": "sometimes"}, "passthroughBehavior"),
        ({"timeoutInMillis": 49}, "49"),
        ({"timeoutInMillis": 29_001}, "29001"),
        ({"contentHandling": "CONVERT_TO_BINARY"}, "contentHandling"),
        ({"requestParameters": {"integration.request.header.X-Amz-Target": "'x'"}}, "X-Amz-Target"),
        ({"requestTemplates": {"application/json": "$input.body.hashCode()"}}, "hashCode"),
        ({"responses": {"4(": {"statusCode": "200"}}}, "cannot be read"),
        ({"responses": {"default": {"statusCode": "200", "contentHandling": "CONVERT_TO_TEXT"}}}, "contentHandling"),
        ({"responses": {"default": {"responseTemplates": {"a/b": "$input.path('$').wait()"}}}}, "wait"),
        (
            {"responses": {"default": {"statusCode": "200", "responseParameters": {"method.response.header.X": "y"}}}},
            "X",
        ),
    ],
)
def test_what_is_not_implemented_stops_the_runtime(plan: Plan, members: dict[str, Any], words: str) -> None:
    """What the document asks for in vain is named at start, not found out by an event."""
    with pytest.raises(PlanError, match=words):
        FirehoseIntegration(operation(plan, **members), ScriptedApi(200, {}))


PASSTHROUGH = [
    # The documented table: behaviour, media type of the one template, content type, what becomes of the request.
    ("when_no_match", "application/json", None, "template"),
    ("when_no_templates", "application/json", None, "template"),
    ("never", "application/json", None, "template"),
    ("when_no_match", "application/json", "application/json", "template"),
    ("when_no_templates", "application/json", "application/json", "template"),
    ("never", "application/json", "application/json", "template"),
    ("when_no_match", "application/json", "application/xml", "as it is"),
    ("when_no_templates", "application/json", "application/xml", "415"),
    ("never", "application/json", "application/xml", "415"),
    ("when_no_match", "application/xml", None, "as it is"),
    ("when_no_templates", "application/xml", None, "415"),
    ("never", "application/xml", None, "415"),
    ("when_no_match", "application/xml", "application/json", "as it is"),
    ("when_no_templates", "application/xml", "application/json", "415"),
    ("never", "application/xml", "application/json", "415"),
    ("when_no_match", "application/xml", "application/xml", "template"),
    ("when_no_templates", "application/xml", "application/xml", "template"),
    ("never", "application/xml", "application/xml", "template"),
    ("when_no_match", "", "application/json", "as it is"),
    ("when_no_templates", "", "application/json", "as it is"),
    ("never", "", "application/json", "415"),
]


@pytest.mark.parametrize(("behaviour", "templated", "content_type", "becomes"), PASSTHROUGH)
def test_passthrough_follows_the_documented_table(
    plan: Plan, behaviour: str, templated: str, content_type: str | None, becomes: str
) -> None:
    """Behaviour, template and content type decide between the template, the body as it is, and a 415."""
    api = ScriptedApi(200, {"RecordId": "r"})
    templates = {templated: '{"by": "template"}'} if templated else {}
    changed = operation(plan, passthroughBehavior=behaviour.upper(), requestTemplates=templates)
    headers = {"content-type": content_type} if content_type else {}
    answering = FirehoseIntegration(changed, api).answer(Request("POST", "/events", "", headers, EVENT, ""), context())
    if becomes == "415":
        with pytest.raises(GatewayError, match="Unsupported Media Type"):
            asyncio.run(answering)
        assert api.calls == []
    else:
        assert asyncio.run(answering).status == 202
        assert api.calls[0][1] == ({"by": "template"} if becomes == "template" else json.loads(EVENT))


def test_without_a_passthrough_behaviour_the_body_passes_when_nothing_matches(plan: Plan) -> None:
    """API Gateway's default is WHEN_NO_MATCH."""
    definition = operation(plan).definition
    key = "x-amazon-apigateway-integration"
    integration = {name: value for name, value in definition[key].items() if name != "passthroughBehavior"}
    api = ScriptedApi(200, {"RecordId": "r"})
    asyncio.run(
        FirehoseIntegration(Operation("POST", "/events", {**definition, key: integration}), api).answer(
            Request("POST", "/events", "", {"content-type": "text/plain"}, EVENT, ""), context()
        )
    )

    assert api.calls[0][1] == json.loads(EVENT)


@pytest.mark.parametrize(
    ("status", "body"), [(400, b"matched whole"), (4000, b"by default"), (302, b"by default"), (503, b"first of two")]
)
def test_the_pattern_must_match_the_whole_status(plan: Plan, status: int, body: bytes) -> None:
    """A selection pattern is matched against all of the status; what none matches takes the default response."""
    responses = {
        r"4\d{2}": {"statusCode": "400", "responseTemplates": {"application/json": "matched whole"}},
        r"5\d{2}": {"statusCode": "503", "responseTemplates": {"application/json": "first of two"}},
        "503": {"statusCode": "503", "responseTemplates": {"application/json": "second of two"}},
        "default": {"statusCode": "202", "responseTemplates": {"application/json": "by default"}},
    }
    assert Responses(operation(plan, responses=responses), {}).map(status, "{}", context()).body == body


@pytest.mark.parametrize(
    "responses",
    [
        {r"4\d{2}": {"statusCode": "400"}},
        {"default": {"statusCode": "299"}},
        {
            "default": {
                "statusCode": "202",
                "responseTemplates": {"application/json": "#set($context.responseOverride.status = 299)"},
            }
        },
        {
            "default": {
                "statusCode": "202",
                "responseTemplates": {
                    "application/json": "#set($context.responseOverride.status = 400)"
                    "#set($context.responseOverride.status = 400)"
                },
            }
        },
    ],
    ids=["no default", "undeclared status", "undeclared override", "second override"],
)
def test_a_response_that_is_configured_wrongly_is_a_500(plan: Plan, responses: dict[str, Any]) -> None:
    """Nothing that matches, a status that the method does not declare, and a second override are the API's fault."""
    with pytest.raises(GatewayError) as caught:
        Responses(operation(plan, responses=responses), {}).map(200, "{}", context())

    assert caught.value.type == "API_CONFIGURATION_ERROR"


def test_an_override_holds_after_the_whole_template(plan: Plan) -> None:
    """Status and header are overridden once the template has run, the header above the mapped one."""
    template = (
        "#set($r = $input.path('$'))#if($r.FailedPutCount != 0)#set($context.responseOverride.status = 503)"
        "#set($context.responseOverride.header.content-type = 'text/plain')#end$input.json('$')"
    )
    responses = {
        "default": {
            "statusCode": "202",
            "responseParameters": {"method.response.header.Content-Type": "'application/json'"},
            "responseTemplates": {"application/json": template},
        }
    }
    mapped = Responses(operation(plan, responses=responses), {})

    failed = mapped.map(200, '{"FailedPutCount": 2}', context())
    assert (failed.status, failed.headers["content-type"], failed.body) == (503, "text/plain", b'{"FailedPutCount": 2}')
    passed = mapped.map(200, '{"FailedPutCount": 0}', context())
    assert (passed.status, passed.headers["content-type"]) == (202, "application/json")


def test_a_stream_that_does_not_answer_in_time_is_a_504(plan: Plan) -> None:
    """The integration's time limit ends the wait for a disk that does not answer."""

    class Hanging:
        def accept(self, arrival_ms: int, records: Sequence[bytes]) -> "Future[list[int]]":  # noqa: ARG002 - a buffer's
            return Future()

    api = FirehoseApi(plan.stream, cast("Buffer", Hanging()))
    integration = FirehoseIntegration(operation(plan, timeoutInMillis=50), api)
    with pytest.raises(GatewayError) as caught:
        asyncio.run(integration.answer(Request("POST", "/events", "", {}, EVENT, ""), context()))

    assert caught.value.type == "INTEGRATION_TIMEOUT"


def test_a_broken_template_is_the_apis_fault(plan: Plan) -> None:
    """A template that cannot be rendered answers API_CONFIGURATION_ERROR and puts nothing."""
    integration = FirehoseIntegration(
        operation(plan, requestTemplates={"application/json": "#set($x = $input.body - 1)"}), ScriptedApi(200, {})
    )
    with pytest.raises(GatewayError) as caught:
        asyncio.run(integration.answer(Request("POST", "/events", "", {}, EVENT, ""), context()))

    assert caught.value.type == "API_CONFIGURATION_ERROR"


def test_a_template_that_cannot_be_parsed_stops_the_start(plan: Plan) -> None:
    """The error names the method and the place, before the first event."""
    broken = operation(plan, requestTemplates={"application/json": "#if($x"})
    with pytest.raises(PlanError, match="template of POST /events cannot be run here: it cannot be parsed: line 1"):
        FirehoseIntegration(broken, ScriptedApi(200, {}))


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
        (FunctionError("error", "m"), ("DEFAULT_5XX", 502)),
        (FunctionError("timeout", "m"), ("INTEGRATION_TIMEOUT", None)),
        (b"[]", ("DEFAULT_5XX", 502)),
        (b'{"body": "x"}', ("DEFAULT_5XX", 502)),
        (b'{"statusCode": 200, "multiValueHeaders": {"a": 5}}', ("DEFAULT_5XX", 502)),
        (b"not json", ("DEFAULT_5XX", 502)),
    ],
)
def test_a_function_that_fails_is_a_gateway_response(
    answer: bytes | FunctionError, kind: tuple[str, int | None]
) -> None:
    """An error and a malformed answer are a 502, a timeout a 504; neither is ever taken for success."""
    with pytest.raises(GatewayError) as caught:
        invoke(ScriptedProcess(answer))

    assert (caught.value.type, caught.value.status) == kind


def test_an_event_that_lambda_would_not_take_is_too_large() -> None:
    """A body whose event exceeds Lambda's 6 MB never reaches the function."""
    process = ScriptedProcess(b'{"statusCode": 200}')
    with pytest.raises(GatewayError) as caught:
        invoke(process, b"x" * MAX_EVENT_BYTES)

    assert caught.value.type == "REQUEST_TOO_LARGE"
    assert process.events == []


def test_repeated_parameters_and_headers_reach_and_leave_a_function() -> None:
    """The event has every value of a name, and an answer may give a header several."""
    process = ScriptedProcess(b'{"statusCode": 200, "headers": {"A": 1}, "multiValueHeaders": {"Via": ["x", "y"]}}')
    integration = LambdaIntegration([process], [], stage_variables={"table": "events"})
    request = Request("POST", "/events/batch", "a=1&a=2&b=", {}, EVENT, "10.1.2.3")
    response = asyncio.run(integration.answer(request, context()))

    (event,) = process.events
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert (event["queryStringParameters"], event["stageVariables"]) == ({"a": "2", "b": ""}, {"table": "events"})
    assert (response.headers["a"], response.headers["via"]) == ("1", "x, y")


def test_a_mock_answers_its_template(plan: Plan) -> None:
    """GET /health needs nothing behind it."""
    health = Operation("GET", "/health", plan.api.document["paths"]["/health"]["get"])
    response = asyncio.run(MockIntegration(health).answer(Request("GET", "/health", "", {}, b"", ""), context()))

    assert (response.status, response.body) == (200, b'{"status": "ok"}')


@pytest.mark.parametrize("template", ['{"statusCode": 503}', '{"status": 200}', "no json", None])
def test_a_mock_answers_with_the_status_that_its_template_says(plan: Plan, template: str | None) -> None:
    """The template's statusCode selects the response; without one the API is configured wrongly."""
    definition = dict(plan.api.document["paths"]["/health"]["get"])
    definition["responses"] = {"200": {}, "503": {}}
    definition["x-amazon-apigateway-integration"] = {
        "type": "mock",
        "requestTemplates": {"application/json": template} if template else {},
        "responses": {"5..": {"statusCode": "503"}, "default": {"statusCode": "200"}},
    }
    mock = MockIntegration(Operation("GET", "/health", definition))
    answering = mock.answer(Request("GET", "/health", "", {}, b"", ""), context())
    if template == '{"statusCode": 503}':
        assert asyncio.run(answering).status == 503
    else:
        with pytest.raises(GatewayError) as caught:
            asyncio.run(answering)
        assert caught.value.type == ("API_CONFIGURATION_ERROR" if template else "UNSUPPORTED_MEDIA_TYPE")
