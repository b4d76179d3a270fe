"""Gateway responses."""

import json
from typing import Any

import pytest

from auditlake.errors import PlanError
from auditlake.runtime.exchange import GatewayError
from auditlake.runtime.gateway_responses import DEFAULT_STATUS, GatewayResponses
from auditlake.runtime.plan import Plan

KEY = "x-amazon-apigateway-gateway-responses"
CONTEXT = {"extendedRequestId": "id", "httpMethod": "GET", "path": '/a"b'}


@pytest.mark.parametrize("name", sorted(set(DEFAULT_STATUS) - {"REQUEST_TOO_LARGE"}))
def test_every_type_answers_with_json_and_a_sentence(plan: Plan, name: str) -> None:
    """Each response of the plan's document is problem+json, whatever stands in the variables."""
    response = GatewayResponses(plan.api.document).answer(GatewayError(name, 'a "message"', '[a "complaint"]'), CONTEXT)

    content = json.loads(response.body)
    assert response.headers["content-type"] == "application/problem+json"
    assert content["detail"].endswith(".")
    assert content.get("status", response.status) == response.status


def test_without_a_response_of_the_document_api_gateways_own_is_given() -> None:
    """The default body is API Gateway's message."""
    response = GatewayResponses({}).answer(GatewayError("THROTTLED", "Too Many Requests"), CONTEXT)

    assert (response.status, response.body) == (429, b'{"message":"Too Many Requests"}')


def test_a_default_response_stands_for_types_without_their_own() -> None:
    """DEFAULT_4XX changes the body and keeps the type's status."""
    default: dict[str, Any] = {
        KEY: {"DEFAULT_4XX": {"responseTemplates": {"application/json": '{"x":"$context.error.responseType"}'}}}
    }
    response = GatewayResponses(default).answer(GatewayError("THROTTLED", "m"), CONTEXT)

    assert (response.status, response.body) == (429, b'{"x":"THROTTLED"}')


def test_an_unknown_variable_is_empty() -> None:
    """A variable that is not set prints nothing."""
    document: dict[str, Any] = {
        KEY: {"THROTTLED": {"responseTemplates": {"application/json": '{"x":"$context.no.such"}'}}}
    }

    assert GatewayResponses(document).answer(GatewayError("THROTTLED", "m"), CONTEXT).body == b'{"x":""}'


@pytest.mark.parametrize(
    ("responses", "words"),
    [
        ({"TEAPOT": {}}, "TEAPOT"),
        ({"THROTTLED": {"responseParameters": {"gatewayresponse.header.X": "method.request.body"}}}, "fixed value"),
        ({"THROTTLED": {"responseParameters": {"gatewayresponse.path.X": "'y'"}}}, r"gatewayresponse\.path\.X"),
    ],
)
def test_what_is_not_implemented_stops_the_runtime(responses: dict[str, Any], words: str) -> None:
    """An unknown type, or a header taken from elsewhere, is refused at start."""
    with pytest.raises(PlanError, match=words):
        GatewayResponses({KEY: responses})


def test_a_413_cannot_be_customized() -> None:
    """Whatever the document says, REQUEST_TOO_LARGE is answered with API Gateway's own body."""
    own = {"statusCode": 400, "responseTemplates": {"application/json": '{"x": 1}'}}
    document = {KEY: {"REQUEST_TOO_LARGE": own, "DEFAULT_4XX": own}}
    response = GatewayResponses(document).answer(GatewayError("REQUEST_TOO_LARGE", "Request Too Long"), CONTEXT)

    assert (response.status, response.body) == (413, b'{"message":"Request Too Long"}')
    assert response.headers["content-type"] == "application/json"


def test_the_status_of_a_default_response_changes_all_others() -> None:
    """DEFAULT_4XX with a status gives it to every type without its own response; an error's own status holds else."""
    default: dict[str, Any] = {KEY: {"DEFAULT_4XX": {"statusCode": "418"}}}

    assert GatewayResponses(default).answer(GatewayError("THROTTLED", "m"), CONTEXT).status == 418
    assert GatewayResponses({}).answer(GatewayError("DEFAULT_5XX", "m", status=502), CONTEXT).status == 502


def test_headers_and_bodies_take_variables() -> None:
    """A header may come from context, stage variables and the request; a body from the first two."""
    response = {
        "responseParameters": {
            "gatewayresponse.header.A": "context.extendedRequestId",
            "gatewayresponse.header.B": "stageVariables.table",
            "gatewayresponse.header.C": "method.request.header.X-Trace",
            "gatewayresponse.header.D": "method.request.querystring.q",
            "gatewayresponse.header.E": "method.request.path.absent",
        },
        "responseTemplates": {"application/json": '{"t":"$stageVariables.table","n":"$stageVariables.none"}'},
    }
    parameters = {"header": {"x-trace": "t"}, "querystring": {"q": "1"}, "path": {}}
    answered = GatewayResponses({KEY: {"THROTTLED": response}}, {"table": 'a"b'}).answer(
        GatewayError("THROTTLED", "m"), CONTEXT, parameters
    )

    assert [answered.headers[name] for name in "abcde"] == ["id", 'a"b', "t", "1", ""]
    assert json.loads(answered.body) == {"t": 'a"b', "n": ""}
