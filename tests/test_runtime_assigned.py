"""What a plan knows of a resource that stands, and nobody asked for, against the schema of the real provider."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from auditlake.default_plan import terraform
from auditlake.runtime.assigned import ASSIGNED, asked
from auditlake.runtime.support import SUPPORT, Support
from tests.terraform_runs import initialised

JUDGED = {
    # An empty string where nobody asked; where somebody did, it is refused.
    ("aws_api_gateway_rest_api", "binary_media_types"),
    ("aws_api_gateway_rest_api", "minimum_compression_size"),
    ("aws_s3_bucket", "acceleration_status"),
    ("aws_s3_bucket", "acl"),
    ("aws_s3_bucket", "bucket_prefix"),
}
"""Attributes that somebody may set, that AWS fills in otherwise, and that the runtime refuses when they are set."""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The resource types of the real provider, by name."""
    root = initialised(tmp_path_factory.mktemp("stack"))
    providers = json.loads(terraform(root, "providers", "schema", "-json"))["provider_schemas"]
    found: Mapping[str, Any] = providers["registry.terraform.io/hashicorp/aws"]["resource_schemas"]
    return found


def computed(block: Mapping[str, Any], support: Mapping[str, Support], path: str = "") -> Iterator[tuple[str, bool]]:
    """Yield what AWS may fill in and the table does not hold, and whether nobody can set it."""
    for name, attribute in block.get("attributes", {}).items():
        if attribute.get("computed") and name not in support:
            # The provider calls an id optional; no plan of today can set one.
            yield f"{path}{name}", not attribute.get("optional") or name == "id"
    for name, inner in block.get("block_types", {}).items():
        below = support.get(name)
        if isinstance(below, Mapping):
            yield from computed(inner["block"], below, f"{path}{name}.")


def test_all_that_aws_sets_is_known(schema: Mapping[str, Any]) -> None:
    """Of each type that has a table, what nobody can set is assigned, and what AWS fills in otherwise was judged."""
    judged = set()
    for kind, support in SUPPORT.items():
        if isinstance(support, Mapping):
            for name, only_aws in computed(schema[kind]["block"], support):
                if name not in ASSIGNED[kind]:
                    assert not only_aws, f"{kind}.{name}"
                    judged.add((kind, name))
    assert judged == JUDGED


def test_nothing_that_somebody_sets_is_passed_over(schema: Mapping[str, Any]) -> None:
    """What is assigned is computed by the provider, and no type without a table has any."""
    for kind, names in ASSIGNED.items():
        assert isinstance(SUPPORT[kind], Mapping)
        attributes = schema[kind]["block"]["attributes"]
        assert [name for name in names if not attributes[name].get("computed")] == []


def test_what_the_document_says_is_asked_once() -> None:
    """API Gateway repeats the document's media types and least size to compress; anything else is asked for."""
    body = json.dumps(
        {
            "x-amazon-apigateway-binary-media-types": ["application/gzip"],
            "x-amazon-apigateway-minimum-compression-size": 0,
        }
    )
    said = {"body": body, "binary_media_types": ["application/gzip"], "minimum_compression_size": "0", "id": "abc"}
    assert asked("aws_api_gateway_rest_api", said) == {"body": body}
    other = {"body": body, "binary_media_types": ["image/png"], "minimum_compression_size": "10"}
    assert asked("aws_api_gateway_rest_api", other) == other
    for nothing in ("{}", "[]", "no JSON"):
        alone = {"body": nothing, "binary_media_types": ["image/png"], "minimum_compression_size": "10"}
        assert asked("aws_api_gateway_rest_api", alone) == alone


def test_other_types_keep_all_that_they_say() -> None:
    """A type that is not in the list has nothing that is passed over."""
    assert asked("aws_sqs_queue", {"id": "x", "arn": "y"}) == {"id": "x", "arn": "y"}
