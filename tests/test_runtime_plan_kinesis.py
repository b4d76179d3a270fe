"""The data stream before a delivery stream, as the plan says it, and what of it is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from auditlake.errors import PlanError
from auditlake.runtime.plan import KinesisStream
from auditlake.runtime.plan_reader import parse_plan
from tests.kinesis_plan import SOURCE, SOURCE_ARN, kinesis_plan, resource


def test_the_source_is_read() -> None:
    """Name, ARN, mode, retention and key are the plan's."""
    stream = parse_plan(json.dumps(kinesis_plan()), "plan.json").stream
    assert stream.source == KinesisStream(SOURCE, SOURCE_ARN, "ON_DEMAND", 168, "alias/aws/kinesis")
    assert not stream.encrypted


def _other_name(plan: dict[str, Any]) -> None:
    resource(plan, "aws_kinesis_stream")["name"] = "other"


def _no_data_stream(plan: dict[str, Any]) -> None:
    for module in plan["planned_values"]["root_module"]["child_modules"]:
        module["resources"] = [one for one in module["resources"] if one["type"] != "aws_kinesis_stream"]


def _both_encrypt(plan: dict[str, Any]) -> None:
    resource(plan, "aws_kinesis_firehose_delivery_stream")["server_side_encryption"] = [{"enabled": True}]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_other_name, "is not what"),
        (_no_data_stream, "is no aws_kinesis_stream of the plan"),
        (_both_encrypt, "server_side_encryption.enabled must be false"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: Callable[[dict[str, Any]], None], says: str) -> None:
    """A data stream that nothing reads, one that is not there, and encryption twice stop the start by name."""
    plan = kinesis_plan()
    change(plan)
    with pytest.raises(PlanError, match=says):
        parse_plan(json.dumps(plan), "plan.json")
