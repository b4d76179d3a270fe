"""What API Gateway takes, and what does harm: open methods, throttles, logged bodies (A1, F)."""

import re
from collections.abc import Iterator

from auditlake.checks.finding import Check, Known, Place, Planned, number
from auditlake.checks.methods import API, documents, integrations, operations
from auditlake.checks.streams import streams
from auditlake.runtime.planned import block, blocks

LARGE_REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
LARGE_QUOTA, SMALL_QUOTA = 2_000, 1_000  # requests a second that a stream takes (A1)

_SETTINGS = "aws_api_gateway_method_settings"
_OVERRIDE = re.compile(r"responseOverride\.status\s*=\s*(\d{3})")


def quota(planned: Planned) -> int:
    """Return the requests a second that the plan's stream takes; the larger where the region is not known."""
    regions = {stream.region() for stream in streams(planned)} - {""}
    return LARGE_QUOTA if not regions or regions & set(LARGE_REGIONS) else SMALL_QUOTA


def stage_rate(planned: Planned) -> float | None:
    """Return the requests a second that the stage lets through by its settings for all methods; None for no limit."""
    for resource in planned.of(_SETTINGS):
        if resource.values.get("method_path") == "*/*":
            for settings in blocks(resource.values, "settings"):
                rate = number(settings.get("throttling_rate_limit"))
                if rate is not None and rate >= 0:
                    return rate
    return None


def _open_methods(planned: Planned) -> Iterator[Place]:
    for operation in operations(planned):
        integration = operation.integration
        if operation.open and integration is not None and integration.service:
            yield operation.at("security", operation.definition.get("security"))
    for resource in planned.of("aws_api_gateway_method"):
        if resource.values.get("authorization") == "NONE" and resource.values.get("http_method") != "OPTIONS":
            yield Place(resource, "authorization", "NONE")


def _throttle_above_quota(planned: Planned) -> Iterator[Place]:
    if not any(streams(planned)):
        return
    methods = sum(integration.service == "firehose" for integration in integrations(planned))
    for resource in planned.of(_SETTINGS):
        # What is set for all methods holds for each of them by itself (F5.6).
        count = max(1, methods) if resource.values.get("method_path") == "*/*" else 1
        for settings in blocks(resource.values, "settings"):
            rate = number(settings.get("throttling_rate_limit"))
            if rate is not None and rate * count > quota(planned):
                each = f" for each of {count} methods" if count > 1 else ""
                words = (
                    f"The stage lets {rate:g} requests/s through{each}, a stream in this region takes "
                    f"{quota(planned):,}, and clients get 503 from the stream instead of 429 from the stage."
                )
                yield Place(resource, "settings.throttling_rate_limit", rate, says=words)


def _no_throttle(planned: Planned) -> Iterator[Place]:
    calls = any(integration.service for integration in integrations(planned))
    if calls and any(streams(planned)) and stage_rate(planned) is None:
        for resource in [*planned.of("aws_api_gateway_stage"), *planned.of(API)][:1]:
            yield Place(resource, "throttling_rate_limit", None)


def _data_trace(planned: Planned) -> Iterator[Place]:
    for resource in planned.of(_SETTINGS):
        for settings in blocks(resource.values, "settings"):
            if settings.get("data_trace_enabled") is True:
                yield Place(resource, "settings.data_trace_enabled", True)


def _passes_through(planned: Planned) -> Iterator[Place]:
    for integration in integrations(planned):
        if integration.type != "aws" or not integration.service or "passthroughBehavior" not in integration.values:
            continue
        behavior = integration.values["passthroughBehavior"]
        # Without a word it is WHEN_NO_MATCH.
        if behavior is None or str(behavior).lower() in ("when_no_match", "when_no_templates"):
            yield integration.at("passthroughBehavior", behavior)


def _overridden_status(planned: Planned) -> Iterator[Place]:
    for operation in operations(planned):
        integration = operation.integration
        for attribute, template in integration.templates() if integration else ():
            for status in dict.fromkeys(_OVERRIDE.findall(template)):
                if operation.response(status) is None:
                    yield Place(operation.resource, attribute, status)


def _wrong_failure_count(planned: Planned) -> Iterator[Place]:
    for integration in integrations(planned):
        for attribute, template in integration.templates():
            if integration.service == "firehose" and "FailedRecordCount" in template:
                yield Place(integration.resource, attribute, "FailedRecordCount")


def _unread_failures(planned: Planned) -> Iterator[Place]:
    for integration in integrations(planned):
        batch = integration.service == "firehose" and str(integration.values["uri"]).endswith("/PutRecordBatch")
        templates = [template for _, template in integration.templates()]
        # What reads Kinesis' FailedRecordCount is told so by a check of its own.
        read = any(re.search(r"Failed(Put|Record)Count", template) for template in templates)
        if batch and integration.responses and not read:
            yield integration.at("responses", "no FailedPutCount")


def _fixed_answer(planned: Planned) -> Iterator[Place]:
    for resource, document in documents(planned):
        name = "x-amazon-apigateway-gateway-responses"
        if "REQUEST_TOO_LARGE" in block(document, name):
            yield Place(resource, f"body.{name}.REQUEST_TOO_LARGE")


def _no_access_log(planned: Planned) -> Iterator[Place]:
    for resource in planned.of("aws_api_gateway_stage"):
        if not block(resource.values, "access_log_settings"):
            yield Place(resource, "access_log_settings", None)


WARNINGS: tuple[Check, ...] = (
    Check(
        "method-without-authorization",
        "F5.3",
        Known.JUDGEMENT,
        _open_methods,
        "Anybody on the internet may write events.",
        "Ask for IAM, Cognito or a Lambda authorizer.",
    ),
    Check(
        "throttle-above-stream",
        "A1.6",
        Known.DOCUMENTED,
        _throttle_above_quota,
        "The stage lets more requests through than the stream takes.",
        "Lower throttling_rate_limit, or have AWS raise the stream's quota.",
    ),
    Check(
        "no-throttle",
        "F5.1",
        Known.JUDGEMENT,
        _no_throttle,
        "Without a throttle one client can use up the account's 10,000 requests/s, which is more than a stream takes.",
        'Set throttling_rate_limit with aws_api_gateway_method_settings for "*/*".',
    ),
    Check(
        "data-trace",
        "",
        Known.JUDGEMENT,
        _data_trace,
        "Data trace writes whole events into CloudWatch Logs, where neither lock nor retention holds them.",
        "Set data_trace_enabled = false.",
    ),
    Check(
        "passthrough-unvalidated",
        "F3.1",
        Known.DOCUMENTED,
        _passes_through,
        "A body of another content type reaches the service without template and validation.",
        "Set passthroughBehavior to NEVER.",
    ),
    Check(
        "overridden-status-undeclared",
        "F4.3",
        Known.UNVERIFIED,
        _overridden_status,
        "A template overrides the status with one that the method does not declare, and API Gateway may answer 500.",
        "Declare the status under the method's responses.",
    ),
    Check(
        "failure-count-misnamed",
        "F4.4",
        Known.OBSERVED,
        _wrong_failure_count,
        "Firehose has no FailedRecordCount, so that the template never sees a failed record.",
        "Read FailedPutCount.",
    ),
    Check(
        "failure-count-unread",
        "I.12",
        Known.OBSERVED,
        _unread_failures,
        "PutRecordBatch answers 200 also when records failed, and no template reads FailedPutCount: those are lost.",
        "Answer 503 in the response template when FailedPutCount is not 0.",
    ),
    Check(
        "gateway-response-ignored",
        "F3.7",
        Known.DOCUMENTED,
        _fixed_answer,
        "API Gateway answers a body over 10 MB in its own words, and clients that look for yours do not find them.",
        "Drop the response, and have clients tell a 413 by its status.",
    ),
    Check(
        "no-access-log",
        "",
        Known.JUDGEMENT,
        _no_access_log,
        "Without access logs nobody can tell who wrote, and who was refused.",
        "Set access_log_settings.",
    ),
)
"""What of an API is legal and harmful."""
