"""Version 6 of the AWS provider knows every attribute that the stack sets."""

import json
from typing import Any

import pytest

from auditlake.permissions import Plans, make_plans
from tests.provider_schema import FILE, Schema, unknown, used
from tests.terraform_runs import need_terraform


@pytest.fixture(scope="module")
def plans() -> Plans:
    """The plans of the defaults, of every option, and of a key."""
    need_terraform()
    return make_plans()


@pytest.fixture(scope="module")
def schema() -> dict[str, Schema]:
    """The attributes of version 6, by resource type."""
    found: dict[str, Schema] = json.loads(FILE.read_text())["resources"]
    return found


def test_version_6_knows_every_attribute(plans: Plans, schema: dict[str, Schema]) -> None:
    """No attribute of any resource is one that version 6 has dropped or renamed."""
    for planned in (plans.defaults, plans.options, plans.own_key, plans.door):
        for name, attributes in used(planned).items():
            assert name in schema, f"{name} is new: make tests/provider_6.json again (tests/provider_schema.py)"
            assert list(unknown(attributes, schema[name])) == [], name


def test_what_is_set_is_seen_down_to_the_last_block(plans: Plans) -> None:
    """Attributes of nested and of dynamic blocks are looked at, not only those at the top."""
    found: Any = used(plans.options)
    stream = found["aws_kinesis_firehose_delivery_stream"]["extended_s3_configuration"]
    assert "parameter_name" in stream["processing_configuration"]["processors"]["parameters"]
    assert "days" in found["aws_s3_bucket_lifecycle_configuration"]["rule"]["transition"]


def test_a_dropped_attribute_is_named(schema: dict[str, Schema]) -> None:
    """`stage_name` of a deployment, which version 6 dropped, is told with its path, and so is one inside a block."""
    deployment = schema["aws_api_gateway_deployment"]
    assert list(unknown({"rest_api_id": {}, "stage_name": {}}, deployment)) == ["stage_name"]
    rule: Schema = {"rule": {"default_retention": {"weeks": {}}}}
    assert list(unknown(rule, schema["aws_s3_bucket_object_lock_configuration"])) == ["rule.default_retention.weeks"]
