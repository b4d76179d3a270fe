"""The module kinesis: its own tests, and the plan of the whole stack with a data stream."""

import json
from pathlib import Path
from typing import Any

import pytest

from auditlake.default_plan import ACCOUNT_ID, copy_stack, init, plan
from auditlake.permissions import resources
from auditlake.runtime.plan_reader import parse_plan
from tests.kinesis_plan import SOURCE_ARN, kinesis_plan
from tests.terraform_runs import (
    MODULES,
    assert_every_rule_has_a_failing_run,
    assert_own_tests_pass,
    initialised,
    need_terraform,
)

KEY = f"arn:aws:kms:us-east-1:{ACCOUNT_ID}:key/1234"


def test_own_tests_pass(tmp_path: Path) -> None:
    """The runs in the module's tests pass with a mocked provider."""
    assert_own_tests_pass(initialised(tmp_path, "kinesis"))


def test_every_rule_has_a_failing_run() -> None:
    """Each validation of the module is broken by a run of its tests."""
    assert_every_rule_has_a_failing_run(MODULES / "kinesis")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised copy of the stack."""
    need_terraform()
    root = copy_stack(tmp_path_factory.mktemp("stack"))
    init(root)
    return root


def statements(planned: dict[str, Any], address: str) -> list[dict[str, Any]]:
    """Return the statements of a policy of the plan."""
    (policy,) = (one["values"]["policy"] for one in resources(planned) if one["address"] == address)
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def test_everybody_may_do_what_a_data_stream_needs_and_no_more(root: Path) -> None:
    """Firehose reads and decrypts, the API and the receiver put and encrypt, nobody puts to Firehose."""
    encryption = f'{{mode="customer_managed",kms_key_arn="{KEY}"}}'
    planned = plan(root, {"account_id": ACCOUNT_ID, "kinesis_source": "{}", "encryption": encryption})
    reads = statements(planned, "module.delivery.aws_iam_role_policy.stream")
    via = {"StringLike": {"kms:ViaService": "kinesis.us-east-1.amazonaws.com*"}}
    actions = ["kinesis:DescribeStream", "kinesis:GetShardIterator", "kinesis:GetRecords", "kinesis:ListShards"]
    assert {"Effect": "Allow", "Action": actions, "Resource": SOURCE_ARN} in reads
    assert {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY, "Condition": via} in reads
    encrypts = {"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": KEY, "Condition": via}
    puts = statements(planned, "module.ingest.aws_iam_role_policy.api[0]")
    assert puts == [{"Effect": "Allow", "Action": "kinesis:PutRecord", "Resource": SOURCE_ARN}, encrypts]
    receives = statements(planned, "module.ingest.aws_iam_role_policy.receiver")
    assert receives[0] == {"Effect": "Allow", "Action": "kinesis:PutRecords", "Resource": SOURCE_ARN}
    assert encrypts in receives
    (source,) = (one["values"] for one in resources(planned) if one["type"] == "aws_kinesis_stream")
    assert source["kms_key_id"] == KEY
    assert "firehose:Put" not in json.dumps(planned["planned_values"])


def test_the_plan_that_the_runtime_is_tested_with_is_terraforms(root: Path) -> None:
    """API, source and functions of the written plan are those that Terraform plans."""
    planned = parse_plan(json.dumps(plan(root, {"account_id": ACCOUNT_ID, "kinesis_source": "{}"})), "Terraform's")
    written = parse_plan(json.dumps(kinesis_plan()), "the tests'")
    assert planned.stream.source == written.stream.source
    assert planned.api.document == written.api.document
    assert {one.name: one.environment for one in planned.functions} == {
        one.name: one.environment for one in written.functions
    }
