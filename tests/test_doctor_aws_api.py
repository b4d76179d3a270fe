"""How the authentication of an OpenAPI document's methods is read."""

from collections.abc import Mapping
from typing import Any

import pytest

from auditlake.doctor_aws.api import deployed_auth, planned_auth

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
