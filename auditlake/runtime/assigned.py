"""What AWS itself set of a resource that stands: the plan of such a stack knows it, and nobody asked for it."""

import json
from collections.abc import Mapping
from typing import Any

ASSIGNED: Mapping[str, frozenset[str]] = {
    "aws_kinesis_firehose_delivery_stream": frozenset({"destination_id", "id", "version_id"}),
    "aws_kinesis_stream": frozenset({"id"}),
    "aws_api_gateway_rest_api": frozenset({"arn", "created_date", "execution_arn", "id", "root_resource_id"}),
    "aws_api_gateway_method_settings": frozenset({"id"}),
    "aws_api_gateway_stage": frozenset({"arn", "execution_arn", "id", "invoke_url", "web_acl_arn"}),
    "aws_lambda_function": frozenset(
        {
            "code_sha256",
            "id",
            "invoke_arn",
            "last_modified",
            "qualified_arn",
            "qualified_invoke_arn",
            "signing_job_arn",
            "signing_profile_version_arn",
            "source_code_size",
            "version",
        }
    ),
    "aws_glue_catalog_table": frozenset({"arn", "id"}),
    "aws_s3_bucket": frozenset(
        {
            "arn",
            "bucket_domain_name",
            "bucket_regional_domain_name",
            "hosted_zone_id",
            "id",
            "region",
            "website_domain",
            "website_endpoint",
        }
    ),
    "aws_s3_bucket_object_lock_configuration": frozenset({"id"}),
    "aws_s3_bucket_versioning": frozenset({"id"}),
    "aws_athena_named_query": frozenset({"id"}),
    "aws_wafv2_web_acl": frozenset({"application_integration_url", "arn", "capacity", "id", "lock_token"}),
}
"""By resource type the attributes that no configuration decides: ids, ARNs, dates, sums."""

_REPEATED = {
    "binary_media_types": "x-amazon-apigateway-binary-media-types",
    "minimum_compression_size": "x-amazon-apigateway-minimum-compression-size",
}
"""Attributes of a REST API that API Gateway fills in from the document, and the document's words for them."""


def asked(resource_type: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a resource's values somebody may have asked for."""
    assigned = ASSIGNED.get(resource_type, frozenset())
    return {
        name: value
        for name, value in values.items()
        if name not in assigned
        and not (resource_type == "aws_api_gateway_rest_api" and _repeats_document(name, value, values.get("body")))
    }


def _repeats_document(name: str, value: object, body: object) -> bool:
    """Say whether an attribute of a REST API holds what its document says, so that it asks for nothing more."""
    if name not in _REPEATED or not isinstance(body, str):
        return False
    try:
        said = json.loads(body).get(_REPEATED[name])
    except (ValueError, AttributeError):
        return False  # told where the document is read
    return said == value if isinstance(value, list) else said is not None and str(said) == str(value)
