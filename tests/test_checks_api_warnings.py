"""What does harm in an API: each trap, planted alone, is found once by its name."""

from typing import Any

import pytest

from auditlake.checks.api_warnings import WARNINGS, quota
from tests.broken_plans import Draft, Edit, both, names, put

INTEGRATION = "x-amazon-apigateway-integration"
RESPONSES = "x-amazon-apigateway-gateway-responses"
BATCH = "arn:aws:apigateway:us-east-1:firehose:action/PutRecordBatch"


def _settings(draft: Draft, **members: Any) -> None:  # noqa: ANN401 - any JSON
    put(draft.values("aws_api_gateway_method_settings")["settings"][0], **members)


def _answers(draft: Draft, template: str) -> None:
    def edit(post: dict[str, Any]) -> None:
        post[INTEGRATION]["responses"]["default"]["responseTemplates"]["application/json"] = template

    draft.post(edit)


def _region(draft: Draft, region: str) -> None:
    arn = draft.processors[0]["parameters"][0]
    arn["parameter_value"] = arn["parameter_value"].replace("us-east-1", region)


def _second_method(draft: Draft) -> None:
    draft.body(lambda body: put(body["paths"], **{"/again": {"post": body["paths"]["/events"]["post"]}}))


TRAPS: list[tuple[str, Edit]] = [
    ("method-without-authorization", lambda d: d.post(lambda post: put(post, security=[]))),
    ("method-without-authorization", lambda d: d.post(lambda post: post.pop("security"))),
    (
        "method-without-authorization",
        lambda d: d.add("aws_api_gateway_method", http_method="POST", authorization="NONE"),
    ),
    ("throttle-above-stream", lambda d: _settings(d, throttling_rate_limit=2001)),
    (
        "throttle-above-stream",
        both(lambda d: _region(d, "eu-central-1"), lambda d: _settings(d, throttling_rate_limit=1001)),
    ),
    (
        "throttle-above-stream",
        both(_second_method, lambda d: _settings(d, throttling_rate_limit=1001)),
    ),
    ("no-throttle", lambda d: _settings(d, throttling_rate_limit=-1)),
    ("no-throttle", lambda d: d.drop("aws_api_gateway_method_settings")),
    ("data-trace", lambda d: _settings(d, data_trace_enabled=True)),
    ("passthrough-unvalidated", lambda d: d.integration(passthroughBehavior="when_no_match")),
    ("passthrough-unvalidated", lambda d: d.integration(passthroughBehavior=None)),
    ("overridden-status-undeclared", lambda d: _answers(d, "#set($context.responseOverride.status = 507)")),
    ("failure-count-misnamed", lambda d: _answers(d, "$input.path('$.FailedRecordCount')")),
    ("failure-count-unread", lambda d: d.integration(uri=BATCH)),
    ("gateway-response-ignored", lambda d: d.body(lambda body: put(body[RESPONSES], REQUEST_TOO_LARGE={}))),
    ("no-access-log", lambda d: put(d.values("aws_api_gateway_stage"), access_log_settings=[])),
]

FINE: list[tuple[str, Edit]] = [
    ("as many requests as the stream takes", lambda d: _settings(d, throttling_rate_limit=2000)),
    ("as many from two methods", both(_second_method, lambda d: _settings(d, throttling_rate_limit=1000))),
    (
        "as many as in a smaller region",
        both(lambda d: _region(d, "eu-central-1"), lambda d: _settings(d, throttling_rate_limit=1000)),
    ),
    ("a status that the method declares", lambda d: _answers(d, "#set($context.responseOverride.status = 503)")),
    (
        "the preflight of a browser",
        lambda d: d.add("aws_api_gateway_method", http_method="OPTIONS", authorization="NONE"),
    ),
    (
        "authorization asked for by the whole document",
        both(
            lambda d: d.body(lambda b: put(b, security=[{"sigv4": []}])),
            lambda d: d.post(lambda post: post.pop("security")),
        ),
    ),
    (
        "a batch whose failures are read",
        both(
            lambda d: d.integration(uri=BATCH), lambda d: _answers(d, "#if($input.path('$.FailedPutCount') != 0)#end")
        ),
    ),
]


@pytest.mark.parametrize(("name", "edit"), TRAPS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(TRAPS)])
def test_a_planted_trap_is_found_once_by_its_name(name: str, edit: Edit) -> None:
    """The default plan with one trap has one finding, the trap."""
    assert names(edit) == [name]


@pytest.mark.parametrize("edit", [edit for _, edit in FINE], ids=[what for what, _ in FINE])
def test_what_does_no_harm_is_not_found(edit: Edit) -> None:
    """Values at the edge of harm have no finding."""
    assert names(edit) == []


def test_every_check_has_a_planted_trap() -> None:
    """No check is without a plan that it finds something in."""
    assert {check.name for check in WARNINGS} == {name for name, _ in TRAPS}


def test_the_quota_is_the_regions() -> None:
    """A stream takes 2,000 requests/s in the three large regions and 1,000 in the others."""
    draft = Draft()
    assert quota(draft.planned) == 2000
    _region(draft, "ap-south-1")
    assert quota(draft.planned) == 1000
