"""Whether the door is as planned: who may call each method, the stage's throttle and its logs."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from auditlake.aws_ask import Absent, Aws
from auditlake.aws_stack import Names, Promise
from auditlake.doctor_aws.outcome import Facts, Outcome, compared, judged, looked
from auditlake.doctor_aws.watching import log_outcomes
from auditlake.runtime.planned import block

_VERBS = ("get", "put", "post", "delete", "options", "head", "patch")
MEND = "terraform apply puts it back; who changed it: docs/runbook.md"


def check(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    """Yield the outcomes of the API's checks."""
    subject = f"api {names.api}"
    yield from looked(subject, "api", lambda: _api(promise, aws, names))


def _api(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    subject = f"api {names.api}"
    items = aws.ask("apigateway", "get_rest_apis", limit=500)["items"]
    found = [item["id"] for item in items if item["name"] == names.api]
    if not found:
        raise Absent(f"no REST API is named {names.api}")
    yield judged(subject, "apis of this name", well=len(found) == 1, promised=1, deployed=len(found))
    yield from looked(subject, "methods", lambda: _methods(promise, aws, subject, found[0]))
    yield from looked(subject, f"stage {names.stage}", lambda: _stage(promise, aws, names, found[0]))
    nameless = [group for group in promise.of("aws_cloudwatch_log_group") if not group.get("name")]
    if len(nameless) == 1:  # its name holds the API's id
        log = f"API-Gateway-Execution-Logs_{found[0]}/{names.stage}"
        yield from looked(f"log {log}", "retention", lambda: log_outcomes(aws, log, nameless[0]))


def planned_auth(document: Mapping[str, Any]) -> Facts:
    """Return how each method of an OpenAPI document authenticates, by API Gateway's authorizationType."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    facts = {}
    for path, verbs in document.get("paths", {}).items():
        for verb, definition in verbs.items():
            if verb in _VERBS:
                security = definition.get("security", document.get("security", ())) or ()
                names = [name for one in security for name in one]
                kinds = [_auth(schemes.get(name, {})) for name in names]
                facts[f"auth of {verb.upper()} {path}"] = next((kind for kind in kinds if kind), "NONE")
    return facts


def _auth(scheme: Mapping[str, Any]) -> str:
    """Return the authorizationType of a security scheme; empty for an API key, which authenticates nobody."""
    kind = scheme.get("x-amazon-apigateway-authtype")
    if kind == "awsSigv4":
        return "AWS_IAM"
    if kind == "cognito_user_pools":
        return "COGNITO_USER_POOLS"
    return "CUSTOM" if scheme.get("x-amazon-apigateway-authorizer") else ""


def deployed_auth(resources: list[Mapping[str, Any]]) -> Facts:
    """Return how each method of an API authenticates, from GetResources with its methods."""
    return {
        f"auth of {verb} {resource['path']}": method.get("authorizationType", "NONE")
        for resource in resources
        for verb, method in (resource.get("resourceMethods") or {}).items()
    }


def stage_facts(settings: Mapping[str, Any]) -> Facts:
    """Return what a stage's settings for all methods say, by their names in API Gateway's answer."""
    return {
        "throttle (requests/s)": _number(settings.get("throttlingRateLimit")),
        "throttle (burst)": _number(settings.get("throttlingBurstLimit")),
        "data trace": settings.get("dataTraceEnabled", False),
        "metrics": settings.get("metricsEnabled", False),
    }


def _methods(promise: Promise, aws: Aws, subject: str, api: str) -> Iterator[Outcome]:
    document = json.loads(promise.one("aws_api_gateway_rest_api").get("body") or "{}")
    items = aws.ask("apigateway", "get_resources", restApiId=api, limit=500, embed=["methods"])["items"]
    promised, deployed = planned_auth(document), deployed_auth(items)
    yield from compared(subject, promised, deployed, MEND)
    for name in sorted(deployed.keys() - promised.keys()):
        yield judged(subject, name, well=False, promised="no such method", deployed=deployed[name], advice=MEND)


def _stage(promise: Promise, aws: Aws, names: Names, api: str) -> Iterator[Outcome]:
    subject = f"api {names.api}"
    stage = aws.ask("apigateway", "get_stage", restApiId=api, stageName=names.stage)
    planned = promise.of("aws_api_gateway_method_settings")
    yield from settings_outcomes(subject, planned, stage.get("methodSettings") or {})
    log = block(promise.one("aws_api_gateway_stage"), "access_log_settings").get("destination_arn")
    found = stage.get("accessLogSettings", {}).get("destinationArn")
    yield from compared(subject, {"access log": log}, {"access log": found and found.removesuffix(":*")}, MEND)


def settings_outcomes(
    subject: str, planned: list[Mapping[str, Any]], deployed: Mapping[str, Mapping[str, Any]]
) -> Iterator[Outcome]:
    """Compare the stage's settings and those of single methods, whose own take the place of the stage's."""
    found = {_method_path(path): stage_facts(settings) for path, settings in deployed.items()}
    promised = {_method_path(one["method_path"]): _planned_settings(block(one, "settings")) for one in planned}
    for path, facts in promised.items():
        of = "" if path == "*/*" else f" of {path}"
        has = found.get(path, {})
        yield from compared(
            subject,
            {f"{name}{of}": v for name, v in facts.items()},
            {f"{name}{of}": v for name, v in has.items()},
            MEND,
        )
    for path in sorted(found.keys() - promised.keys()):
        check, has = f"settings of {path}", dict(found[path])
        yield judged(subject, check, well=False, promised="none of its own", deployed=has, advice=MEND)


def _planned_settings(planned: Mapping[str, Any]) -> Facts:
    return {
        "throttle (requests/s)": _number(planned.get("throttling_rate_limit")),
        "throttle (burst)": _number(planned.get("throttling_burst_limit")),
        "data trace": planned.get("data_trace_enabled"),
        "metrics": planned.get("metrics_enabled"),
    }


def _method_path(path: str) -> str:
    return path.replace("~1", "/").strip("/")


def _number(value: Any) -> float | None:  # noqa: ANN401 - any JSON value
    return None if value is None else float(value)
