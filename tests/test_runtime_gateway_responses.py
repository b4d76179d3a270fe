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


@pytest.mark.parametrize("name", sorted(DEFAULT_STATUS))
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
        ({"THROTTLED": {"responseParameters": {"gatewayresponse.header.X": "method.request.header.Y"}}}, "fixed value"),
    ],
)
def test_what_is_not_implemented_stops_the_runtime(responses: dict[str, Any], words: str) -> None:
    """An unknown type, or a header taken from the request, is refused at start."""
    with pytest.raises(PlanError, match=words):
        GatewayResponses({KEY: responses})
