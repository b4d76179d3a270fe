"""The methods of a plan's REST APIs, as the checks see them."""

import json

import yaml

from auditlake.checks.methods import documents, integrations, operations, references, resolve
from tests.broken_plans import Draft


def test_a_document_may_be_yaml() -> None:
    """Terraform's body takes both forms of OpenAPI."""
    draft = Draft()
    api = draft.values("aws_api_gateway_rest_api")
    api["body"] = yaml.safe_dump(json.loads(api["body"]))

    assert [operation.name for operation in operations(draft.planned)] == [
        "POST /events",
        "POST /events/batch",
        "GET /health",
    ]
    assert draft.findings() == []


def test_integrations_come_from_documents_and_resources() -> None:
    """Both are read with OpenAPI's names; what a resource does not know is missing, not null."""
    draft = Draft()
    uri = "arn:aws:apigateway:us-east-1:firehose:action/PutRecord"
    draft.add("aws_api_gateway_integration", type="AWS", uri=uri, timeout_milliseconds=29000)
    found = list(integrations(draft.planned))

    assert [(one.type, one.service) for one in found] == [
        ("aws", "firehose"),
        ("aws_proxy", "lambda"),
        ("mock", ""),
        ("aws", "firehose"),
    ]
    assert found[0].values["timeoutInMillis"] is None
    assert found[3].values == {"type": "AWS", "uri": uri, "timeoutInMillis": 29000}
    assert found[3].at("timeoutInMillis").attribute == "timeout_milliseconds"


def test_references_are_followed() -> None:
    """A chain of references leads to its end, with escaped names; a loop and a dead end lead nowhere."""
    document = {"a/b": {"$ref": "#/c"}, "c": {"d": 1}, "loop": {"$ref": "#/loop"}}
    assert resolve(document, {"$ref": "#/a~1b"}) == {"d": 1}
    assert resolve(document, {"$ref": "#/loop"}) is None
    assert resolve(document, {"$ref": "#/nowhere"}) is None
    assert resolve(document, {"$ref": "other.yaml#/c"}) is None
    assert list(references(document)) == [("a/b", "#/c"), ("loop", "#/loop")]


def test_a_body_that_is_no_object_is_no_document() -> None:
    """A list or a sentence is not an API."""
    for body in ("[1]", "a sentence", ""):
        draft = Draft()
        draft.values("aws_api_gateway_rest_api")["body"] = body
        assert list(documents(draft.planned)) == []
