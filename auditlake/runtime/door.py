"""What a plan asks of the door that AWS alone can do: said at start, so that nobody takes it for done."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol


class PlannedResource(Protocol):
    """A resource of the plan, as far as this needs it."""

    @property
    def type(self) -> str:
        """The resource type."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The planned values."""


def unenforced(resources: Iterable[PlannedResource], document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each part of the door that is not there on one machine."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for resource in resources:
        found.setdefault(resource.type, []).append(resource.values)
    for domain in found.get("aws_api_gateway_domain_name", ()):
        tls = "its mutual TLS asks nobody for a certificate" if domain.get("mutual_tls_authentication") else "no TLS"
        yield f"The plan's domain {domain.get('domain_name')} is API Gateway's: here there is plain HTTP, and {tls}."
    policies = [api["policy"] for api in found.get("aws_api_gateway_rest_api", ()) if api.get("policy")]
    if policies or "x-amazon-apigateway-policy" in document:
        yield "The plan's resource policy is API Gateway's: here it keeps out no account, network or VPC endpoint."
    schemes = document.get("components", {}).get("securitySchemes", {})
    if "aws_api_gateway_usage_plan" in found or any(is_api_key(scheme) for scheme in schemes.values()):
        yield "The plan's usage plan is API Gateway's: here no API key is asked for, and no client has a quota."
    if any(_managed(acl) for acl in found.get("aws_wafv2_web_acl", ())):
        yield "The managed rules of the plan's web ACL are AWS's: here only its own rules for rate and size block."


def is_api_key(scheme: Mapping[str, Any]) -> bool:
    """Whether a security scheme asks for a key of a usage plan."""
    return str(scheme.get("name", "")).lower() == "x-api-key" and "x-amazon-apigateway-authtype" not in scheme


def _managed(acl: Mapping[str, Any]) -> bool:
    return any(rule["statement"][0].get("managed_rule_group_statement") for rule in acl.get("rule") or ())
