"""What only AWS does of a plan's door is said."""

from dataclasses import dataclass, field
from typing import Any

from auditlake.runtime.door import is_api_key, unenforced
from auditlake.runtime.plan import Plan


@dataclass
class Planned:
    """A resource of a plan."""

    type: str
    values: dict[str, Any] = field(default_factory=dict)


def test_the_defaults_ask_for_nothing_that_is_not_here(plan: Plan) -> None:
    """No sentence without a reason."""
    assert plan.api.notices() == ()


def test_each_part_that_is_not_here_is_named() -> None:
    """One sentence each, for a domain with and without mutual TLS, a policy, a usage plan, and managed rules."""
    managed: dict[str, Any] = {"rule": [{"statement": [{"managed_rule_group_statement": [{}]}]}]}
    own: dict[str, Any] = {"rule": [{"statement": [{"rate_based_statement": [{}]}]}]}
    said = list(
        unenforced(
            [
                Planned("aws_api_gateway_domain_name", {"domain_name": "a.example", "mutual_tls_authentication": [{}]}),
                Planned("aws_api_gateway_domain_name", {"domain_name": "b.example", "mutual_tls_authentication": []}),
                Planned("aws_api_gateway_usage_plan"),
                Planned("aws_wafv2_web_acl", managed),
                Planned("aws_wafv2_web_acl", own),
            ],
            {"x-amazon-apigateway-policy": {}},
        )
    )
    for sentence, words in zip(said, ("a.example", "b.example", "policy", "usage plan", "managed rules"), strict=True):
        assert words in sentence
    assert "mutual TLS" in said[0]
    assert "mutual TLS" not in said[1]


def test_a_policy_beside_the_document_is_named_too() -> None:
    """Once the API stands, the provider reads the policy back as an attribute."""
    (said,) = unenforced([Planned("aws_api_gateway_rest_api", {"policy": "{}"})], {})
    assert "resource policy" in said
    assert list(unenforced([Planned("aws_api_gateway_rest_api", {"policy": ""})], {})) == []


def test_an_api_key_is_told_from_an_authorizer() -> None:
    """Both are of type apiKey in OpenAPI; a key has the header x-api-key and no type of authentication."""
    assert is_api_key({"type": "apiKey", "name": "x-api-key"})
    assert not is_api_key({"type": "apiKey", "name": "Authorization"})
    assert not is_api_key({"type": "apiKey", "name": "x-api-key", "x-amazon-apigateway-authtype": "custom"})
