"""How the authentication of an OpenAPI document's methods is read."""

from collections.abc import Mapping
from typing import Any

import pytest

from auditlake.doctor_aws.api import deployed_auth, planned_auth, settings_outcomes
from auditlake.doctor_aws.outcome import State

SCHEMES = {
    "sigv4": {"x-amazon-apigateway-authtype": "awsSigv4"},
    "pool": {"x-amazon-apigateway-authtype": "cognito_user_pools", "x-amazon-apigateway-authorizer": {}},
    "jwt": {"x-amazon-apigateway-authtype": "custom", "x-amazon-apigateway-authorizer": {"type": "request"}},
    "key": {"type": "apiKey", "name": "x-api-key"},
}


@pytest.mark.parametrize(
    ("security", "kind"),
    [
        ([{"sigv4": []}], "AWS_IAM"),
        ([{"pool": [], "key": []}], "COGNITO_USER_POOLS"),
        ([{"key": [], "jwt": []}], "CUSTOM"),
        ([{"key": []}], "NONE"),
        ([], "NONE"),
    ],
)
def test_a_key_authenticates_nobody(security: list[dict[str, list[str]]], kind: str) -> None:
    """The other schemes do, each by the authorizationType that API Gateway gives it."""
    document = {
        "components": {"securitySchemes": SCHEMES},
        "paths": {"/events": {"post": {"security": security}, "parameters": []}},
    }
    assert planned_auth(document) == {"auth of POST /events": kind}


def test_deployed_methods_are_named_alike() -> None:
    """A resource without methods has none."""
    resources: list[Mapping[str, Any]] = [
        {"path": "/"},
        {"path": "/events", "resourceMethods": {"POST": {"authorizationType": "AWS_IAM"}}},
    ]
    assert deployed_auth(resources) == {"auth of POST /events": "AWS_IAM"}


def test_settings_of_a_single_method_are_compared() -> None:
    """A method's own throttle that is planned must be there, and one that is not planned is told."""
    throttle = {"throttling_rate_limit": 5, "throttling_burst_limit": 9}
    planned = [{"method_path": "events/POST", "settings": [throttle]}]
    same: dict[str, object] = {"throttlingRateLimit": 5.0, "throttlingBurstLimit": 9}

    def differing(deployed: dict[str, dict[str, object]], wanted: list[Mapping[str, Any]]) -> list[str]:
        return [one.check for one in settings_outcomes("api", wanted, deployed) if one.state is State.DIFFERS]

    assert differing({"~1events/POST": same}, [*planned]) == []
    slower: dict[str, object] = {**same, "throttlingRateLimit": 1.0}
    assert differing({"events/POST": slower}, [*planned]) == ["throttle (requests/s) of events/POST"]
    assert differing({"~1events~1batch/POST": same}, []) == ["settings of events/batch/POST"]
