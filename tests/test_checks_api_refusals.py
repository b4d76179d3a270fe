"""What API Gateway refuses: each fault, planted alone, is found once by its name."""

import json
from typing import Any

import pytest

from auditlake.checks.api_refusals import REFUSALS
from tests.broken_plans import Draft, Edit, names, put

INTEGRATION = "x-amazon-apigateway-integration"
FIREHOSE = "arn:aws:apigateway:us-east-1:firehose:action/PutRecord"


def _response(draft: Draft, pattern: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
    draft.post(lambda post: put(post[INTEGRATION]["responses"][pattern], **members))


def _resource(draft: Draft, **values: Any) -> None:  # noqa: ANN401 - any JSON
    fine = {"type": "AWS", "uri": FIREHOSE, "credentials": "arn:aws:iam::123456789012:role/api"}
    draft.add("aws_api_gateway_integration", **{"integration_http_method": "POST", **fine, **values})


FAULTS: list[tuple[str, Edit]] = [
    ("api-document", lambda d: put(d.values("aws_api_gateway_rest_api"), body="{openapi: [")),
    ("mapping-template-size", lambda d: d.integration(requestTemplates={"application/json": "x" * 307201})),
    ("mapping-template-size", lambda d: _response(d, "default", responseTemplates={"application/json": "é" * 153601})),
    ("integration-timeout", lambda d: d.integration(timeoutInMillis=30000)),
    ("integration-timeout", lambda d: d.integration(timeoutInMillis=49)),
    ("integration-timeout", lambda d: _resource(d, timeout_milliseconds=60000)),
    ("integration-credentials", lambda d: d.integration(credentials=None)),
    ("integration-credentials", lambda d: _resource(d, credentials=None)),
    ("integration-http-method", lambda d: d.integration(httpMethod=None)),
    ("integration-uri", lambda d: d.integration(uri="arn:aws:firehose:us-east-1:123456789012:deliverystream/e")),
    ("integration-passthrough", lambda d: d.integration(passthroughBehavior="sometimes")),
    (
        "integration-request-parameter",
        lambda d: d.integration(requestParameters={"integration.request.header.Content-Type": "application/json"}),
    ),
    ("request-validator", lambda d: d.body(lambda b: b.pop("x-amazon-apigateway-request-validators"))),
    ("request-validator", lambda d: d.body(lambda b: put(b, **{"x-amazon-apigateway-request-validator": "all"}))),
    ("request-validator", lambda d: d.body(lambda b: put(b, **{"x-amazon-apigateway-request-validator": ["body"]}))),
    ("api-reference", lambda d: d.body(lambda b: b["components"]["schemas"].pop("Event"))),
    ("model-name", lambda d: d.body(lambda b: put(b["components"]["schemas"], audit_event={"type": "object"}))),
    ("response-status-undeclared", lambda d: _response(d, "default", statusCode="201")),
    (
        "response-header-undeclared",
        lambda d: _response(d, "default", responseParameters={"method.response.header.Location": "'x'"}),
    ),
    ("stage-name", lambda d: put(d.values("aws_api_gateway_stage"), stage_name="v-1")),
    (
        "access-log-format",
        lambda d: put(d.values("aws_api_gateway_stage")["access_log_settings"][0], format='{"path":"$context.path"}'),
    ),
    (
        "minimum-compression-size",
        lambda d: d.body(lambda b: put(b, **{"x-amazon-apigateway-minimum-compression-size": 10485761})),
    ),
    ("minimum-compression-size", lambda d: put(d.values("aws_api_gateway_rest_api"), minimum_compression_size="-2")),
]

FINE: list[tuple[str, Edit]] = [
    ("the largest template", lambda d: d.integration(requestTemplates={"application/json": "x" * 307200})),
    ("the longest timeout", lambda d: d.integration(timeoutInMillis=29000)),
    ("a body that is not known yet", lambda d: d.values("aws_api_gateway_rest_api").pop("body")),
    ("an integration of resources, not known yet", lambda d: d.add("aws_api_gateway_integration", type="AWS")),
    (
        "a Lambda without credentials",
        lambda d: _resource(
            d, credentials=None, uri="arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/f/invocations"
        ),
    ),
    (
        "a mapped request parameter",
        lambda d: d.integration(
            requestParameters={"integration.request.header.A": "method.request.header.A", "b": "context.requestId"}
        ),
    ),
    ("a header in another case", lambda d: _header_in_another_case(d)),
    ("no compression", lambda d: put(d.values("aws_api_gateway_rest_api"), minimum_compression_size="-1")),
    ("a Swagger 2 document", lambda d: d.body(_swagger)),
]


def _header_in_another_case(draft: Draft) -> None:
    _response(draft, "default", responseParameters={"method.response.header.CONTENT-TYPE": "'application/json'"})


def _swagger(document: dict[str, Any]) -> None:
    """Turn the document's models into those of the older form."""
    text = json.dumps(document).replace("#/components/schemas/", "#/definitions/")
    changed = json.loads(text)
    changed["definitions"] = changed["components"].pop("schemas")
    document.clear()
    document.update(changed)


@pytest.mark.parametrize(("name", "edit"), FAULTS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(FAULTS)])
def test_a_planted_fault_is_found_once_by_its_name(name: str, edit: Edit) -> None:
    """The default plan with one fault has one finding, the fault."""
    assert names(edit) == [name]


@pytest.mark.parametrize("edit", [edit for _, edit in FINE], ids=[what for what, _ in FINE])
def test_what_aws_takes_is_not_found(edit: Edit) -> None:
    """Values at the edge of what AWS takes, and values that are not known before the apply, have no finding."""
    assert [name for name in names(edit) if name in {check.name for check in REFUSALS}] == []


def test_every_check_has_a_planted_fault() -> None:
    """No check is without a plan that it finds something in."""
    assert {check.name for check in REFUSALS} == {name for name, _ in FAULTS}


def test_the_words_name_the_header_and_the_media_type() -> None:
    """Where AWS's message names what came, ours does too."""
    draft = Draft()
    _response(draft, "default", responseParameters={"method.response.header.Location": "'x'"})
    draft.integration(requestTemplates={"application/json": "x" * 307201})

    assert [finding.aws for finding in draft.findings()] == [
        "Mapping template for content type application/json exceeds the maximum size of 300 KB",
        "Invalid mapping expression specified: Validation Result: warnings : [], errors : "
        "[Invalid mapping expression parameter specified: method.response.header.Location]",
    ]


def test_a_method_of_the_document_is_named() -> None:
    """The attribute leads to the method, as a reader of the document would call it."""
    draft = Draft()
    draft.integration(timeoutInMillis=30000)
    (finding,) = draft.findings()
    assert (finding.attribute, finding.came) == ("body.POST /events.timeoutInMillis", 30000)
