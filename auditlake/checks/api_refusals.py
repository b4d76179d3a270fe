"""What API Gateway refuses of a REST API and its stage when they are made (F)."""

import re
from collections.abc import Iterator

from auditlake.checks.finding import Check, Known, Place, Planned, outside, text
from auditlake.checks.methods import (
    API,
    Operation,
    documents,
    integrations,
    operations,
    references,
    resolve,
    unreadable,
)
from auditlake.runtime.planned import block

MAX_TEMPLATE_BYTES = 300 * 1024  # F1
MIN_TIMEOUT_MS, MAX_TIMEOUT_MS = 50, 29_000  # F1
MAX_COMPRESSION_SIZE = 10 * 1024 * 1024  # bytes (F1)

_PASSTHROUGH = ("when_no_match", "when_no_templates", "never")
_VALIDATOR = "x-amazon-apigateway-request-validator"
_MAPPING_ERROR = "Invalid mapping expression specified: Validation Result: warnings : [], errors : [{}]"
_REQUEST_VALUE = re.compile(r"'.*'|(method\.request|stageVariables|context)\..+|integration\.request\..+", re.DOTALL)


def _template_size(planned: Planned) -> Iterator[Place]:
    for integration in integrations(planned):
        for attribute, template in integration.templates():
            size = len(template.encode())
            if size > MAX_TEMPLATE_BYTES:
                media_type = attribute.partition("Templates.")[2] or attribute.rpartition(".")[2]
                words = f"Mapping template for content type {media_type} exceeds the maximum size of 300 KB"
                yield Place(integration.resource, attribute, f"{size} bytes", aws=words)


def _timeout(planned: Planned) -> Iterator[Place]:
    for integration in integrations(planned):
        timeout = integration.values.get("timeoutInMillis")
        if outside(timeout, MIN_TIMEOUT_MS, MAX_TIMEOUT_MS):
            yield integration.at("timeoutInMillis", timeout)


def _credentials(planned: Planned) -> Iterator[Place]:
    for integration in integrations(planned):
        # A Lambda may allow API Gateway by its own policy; every other service needs a role.
        needs = integration.type == "aws" and integration.service not in ("", "lambda")
        if needs and "credentials" in integration.values and not integration.values["credentials"]:
            yield integration.at("credentials", integration.values["credentials"])


def _http_method(planned: Planned) -> Iterator[Place]:
    for integration in integrations(planned):
        calls = integration.type in ("aws", "aws_proxy", "http", "http_proxy")
        if calls and "httpMethod" in integration.values and not integration.values["httpMethod"]:
            yield integration.at("httpMethod", integration.values["httpMethod"])


def _uri(planned: Planned) -> Iterator[Place]:
    for integration in integrations(planned):
        uri = text(integration.values.get("uri"))
        if uri and integration.type in ("aws", "aws_proxy") and not re.search(r":(path|action)/", uri):
            yield integration.at("uri", uri)


def _passthrough(planned: Planned) -> Iterator[Place]:
    for integration in integrations(planned):
        behavior = integration.values.get("passthroughBehavior")
        if behavior is not None and str(behavior).lower() not in _PASSTHROUGH:
            yield integration.at("passthroughBehavior", behavior)


def _request_parameters(planned: Planned) -> Iterator[Place]:
    for integration in integrations(planned):
        parameters = integration.values.get("requestParameters")
        for name, value in (parameters if isinstance(parameters, dict) else {}).items():
            if isinstance(value, str) and not _REQUEST_VALUE.fullmatch(value):
                yield integration.at("requestParameters", f"{name} = {value}")


def _validators(planned: Planned) -> Iterator[Place]:
    for resource, document in documents(planned):
        if _undefined(document, document.get(_VALIDATOR)):
            yield Place(resource, f"body.{_VALIDATOR}", document[_VALIDATOR])
    for operation in operations(planned):
        if _undefined(operation.document, operation.definition.get(_VALIDATOR)):
            yield operation.at(_VALIDATOR, operation.definition[_VALIDATOR])


def _undefined(document: object, validator: object) -> bool:
    defined = block(document, "x-amazon-apigateway-request-validators") if isinstance(document, dict) else {}
    # A document may hold anything there, also what cannot be looked up.
    return validator is not None and not (isinstance(validator, str) and validator in defined)


def _models(planned: Planned) -> Iterator[Place]:
    for resource, document in documents(planned):
        leads_nowhere: dict[str, str] = {}
        for path, reference in references(document):
            if reference.startswith("#/") and resolve(document, {"$ref": reference}) is None:
                leads_nowhere.setdefault(reference, path)
        for reference, path in leads_nowhere.items():
            yield Place(resource, f"body.{path}", reference)


def _model_names(planned: Planned) -> Iterator[Place]:
    for resource, document in documents(planned):
        for group in (block(document, "components", "schemas"), block(document, "definitions")):
            for name in group:
                if not re.fullmatch(r"[A-Za-z0-9]+", str(name)):
                    yield Place(resource, "body.components.schemas", name)


def _responses(operation: Operation) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Yield the integration responses of a method with a status: pattern, status, definition."""
    integration = operation.integration
    if integration is None or integration.type.endswith("_proxy"):
        return
    for pattern, response in integration.responses.items():
        if isinstance(response, dict) and response.get("statusCode") is not None:
            yield str(pattern), str(response["statusCode"]), response


def _statuses(planned: Planned) -> Iterator[Place]:
    for operation in operations(planned):
        for pattern, status, _ in _responses(operation):
            if operation.response(status) is None:
                yield operation.at(f"responses.{pattern}.statusCode", status)


def _response_headers(planned: Planned) -> Iterator[Place]:
    for operation in operations(planned):
        for pattern, status, response in _responses(operation):
            declared = operation.response(status)
            if declared is None:
                continue
            names = {str(name).lower() for name in block(declared, "headers")}
            for parameter in block(response, "responseParameters"):
                header = parameter.removeprefix("method.response.header.")
                if header != parameter and header.lower() not in names:
                    reason = f"Invalid mapping expression parameter specified: {parameter}"
                    place = f"responses.{pattern}.responseParameters"
                    yield operation.at(place, parameter, aws=_MAPPING_ERROR.format(reason))


def _stage_name(planned: Planned) -> Iterator[Place]:
    for resource in planned.of("aws_api_gateway_stage"):
        name = text(resource.values.get("stage_name"))
        if name and not re.fullmatch(r"[A-Za-z0-9_]+", name):
            yield Place(resource, "stage_name", name)


def _access_log(planned: Planned) -> Iterator[Place]:
    for resource in planned.of("aws_api_gateway_stage"):
        written = text(block(resource.values, "access_log_settings").get("format"))
        if written and not re.search(r"\$context\.(requestId|extendedRequestId)\b", written):
            yield Place(resource, "access_log_settings.format", written[:40])


def _compression_size(planned: Planned) -> Iterator[Place]:
    for resource, document in documents(planned):
        size = document.get("x-amazon-apigateway-minimum-compression-size")
        if outside(size, 0, MAX_COMPRESSION_SIZE):
            yield Place(resource, "body.x-amazon-apigateway-minimum-compression-size", size)
    for resource in planned.of(API):
        size = resource.values.get("minimum_compression_size")
        if size not in (-1, "-1") and outside(size, 0, MAX_COMPRESSION_SIZE):
            yield Place(resource, "minimum_compression_size", size)


REFUSALS: tuple[Check, ...] = (
    Check(
        "api-document",
        "",
        Known.UNVERIFIED,
        unreadable,
        "The API's body is neither JSON nor YAML.",
        "Give an OpenAPI document.",
    ),
    Check(
        "mapping-template-size",
        "F1.5",
        Known.DOCUMENTED,
        _template_size,
        "A mapping template has at most 300 KB.",
        "Shorten the template.",
    ),
    Check(
        "integration-timeout",
        "F1.5",
        Known.OBSERVED,
        _timeout,
        "An integration waits 50 to 29000 ms; more only on request, for Regional and private APIs.",
        "Set a timeout between 50 and 29000 ms.",
        "Timeout should be between 50 ms and 29000 ms",
    ),
    Check(
        "integration-credentials",
        "F1.1",
        Known.THIRD_PARTY,
        _credentials,
        "API Gateway calls an AWS service only in a role.",
        "Give the integration credentials: the ARN of a role that API Gateway may assume.",
        "Role ARN must be specified for AWS integrations",
    ),
    Check(
        "integration-http-method",
        "F1.1",
        Known.OBSERVED,
        _http_method,
        "An integration that calls something needs the HTTP method to call it with.",
        "Set httpMethod: POST for Firehose and Lambda.",
        "Enumeration value for HttpMethod must be non-empty",
    ),
    Check(
        "integration-uri",
        "F1.1",
        Known.OBSERVED,
        _uri,
        "The URI of an AWS integration wraps the action that it calls.",
        "Use arn:aws:apigateway:REGION:firehose:action/PutRecord.",
        "AWS ARN for integration must contain path or action",
    ),
    Check(
        "integration-passthrough",
        "F3.1",
        Known.THIRD_PARTY,
        _passthrough,
        "The passthrough behavior is WHEN_NO_MATCH, WHEN_NO_TEMPLATES or NEVER.",
        "Use NEVER.",
        "Invalid passthrough behavior specified",
    ),
    Check(
        "integration-request-parameter",
        "F1.2",
        Known.OBSERVED,
        _request_parameters,
        "A request parameter is neither a static value in single quotes nor a mapping expression.",
        "Put a static value into single quotes within the string.",
        "Invalid mapping expression specified",
    ),
    Check(
        "request-validator",
        "F3.2",
        Known.UNVERIFIED,
        _validators,
        "A method names a request validator that the document does not define.",
        "Define it under x-amazon-apigateway-request-validators, or name one that is there.",
        "Invalid Request Validator identifier specified",
    ),
    Check(
        "api-reference",
        "F3.2",
        Known.UNVERIFIED,
        _models,
        "A $ref of the document leads nowhere, so that a model or response is missing.",
        "Define what it names.",
    ),
    Check(
        "model-name",
        "",
        Known.OBSERVED,
        _model_names,
        "A model's name has letters and digits only.",
        "Rename the schema.",
        "Model name must be alphanumeric",
    ),
    Check(
        "response-status-undeclared",
        "F4.3",
        Known.OBSERVED,
        _statuses,
        "An integration response has a status that the method does not declare.",
        "Declare the status under the method's responses.",
        _MAPPING_ERROR.format("No method response exists for method."),
    ),
    Check(
        "response-header-undeclared",
        "F4.3",
        Known.OBSERVED,
        _response_headers,
        "An integration response sets a header that the method response does not declare.",
        "Declare the header in the method's response of that status.",
    ),
    Check(
        "stage-name",
        "",
        Known.OBSERVED,
        _stage_name,
        "A stage's name has letters, digits and `_` only.",
        "Choose another stage_name.",
        "Stage name only allows a-zA-Z0-9_",
    ),
    Check(
        "access-log-format",
        "F2",
        Known.OBSERVED,
        _access_log,
        "The access log's format holds no request id.",
        "Put $context.extendedRequestId into the format.",
        "Access Log format must include either $context.requestId or $context.extendedRequestId",
    ),
    Check(
        "minimum-compression-size",
        "F1.9",
        Known.DOCUMENTED,
        _compression_size,
        "The minimum compression size lies between 0 and 10485760 bytes.",
        "Set a size in that range, or leave it out for no compression.",
    ),
)
"""What of an API is refused when it is imported, or when its stage is made."""
