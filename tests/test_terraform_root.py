"""The root module: its form, its variables, and what a plan of the defaults holds."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from auditlake.default_plan import ACCOUNT_ID, plan, terraform
from auditlake.permissions import DOOR, OPTIONS
from tests.terraform_runs import (
    MODULES,
    assert_every_rule_has_a_failing_run,
    assert_own_tests_pass,
    failure,
    initialised,
)

# AWS knows no tags for these, or they are part of something that has them.
UNTAGGED = {
    "aws_api_gateway_deployment",
    "aws_api_gateway_method_settings",
    "aws_athena_named_query",
    "aws_cloudwatch_dashboard",
    "aws_cloudwatch_log_stream",
    "aws_glue_catalog_table",
    "aws_iam_role_policy",
    "aws_lambda_permission",
    "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_metric",
    "aws_s3_bucket_object_lock_configuration",
    "aws_s3_bucket_ownership_controls",
    "aws_s3_bucket_policy",
    "aws_s3_bucket_public_access_block",
    "aws_s3_bucket_server_side_encryption_configuration",
    "aws_s3_bucket_versioning",
    "aws_sns_topic_policy",
    "terraform_data",
}
TABLE = "aws_glue_catalog_table"
NAME_ATTRIBUTES = ("name", "bucket", "function_name")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised copy of the root module."""
    return initialised(tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="module")
def planned(root: Path) -> dict[str, Any]:
    """The plan of the defaults, made offline."""
    return plan(root, {"account_id": ACCOUNT_ID})


def resources(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the resources of a module of the planned values and of those below it."""
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from resources(child)


def names(planned: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Return type, name and container of everything in a plan that has a name of its own in the account."""
    found = set()
    for resource in resources(planned["planned_values"]["root_module"]):
        values = resource["values"]
        if resource["type"] in UNTAGGED - {"aws_glue_catalog_table"} | {"aws_api_gateway_stage"}:
            continue  # it belongs to something that has a name
        name = next((values[attribute] for attribute in NAME_ATTRIBUTES if attribute in values), None)
        if name is not None:  # the execution log's holds the id that AWS gives the API
            found.add((resource["type"], values.get("database_name", ""), name))
    return found


def test_every_file_is_formatted(root: Path) -> None:
    """Every Terraform file, tests included, is as `terraform fmt` writes it."""
    (root / "override.tf").rename(root / "override.kept")
    try:
        terraform(root, "fmt", "-check", "-recursive", "-diff", "-no-color")
    finally:
        (root / "override.kept").rename(root / "override.tf")


def test_the_stack_is_valid(root: Path) -> None:
    """The real provider's schema takes the whole stack."""
    assert json.loads(terraform(root, "validate", "-json"))["diagnostics"] == []


def test_own_tests_pass(root: Path) -> None:
    """The runs in terraform/tests pass with a mocked provider."""
    assert_own_tests_pass(root)


def test_every_rule_has_a_failing_run() -> None:
    """Each validation of the root's variables is broken by a run of its tests."""
    assert_every_rule_has_a_failing_run(MODULES.parent)


def test_main_holds_the_modules_in_path_order_and_nothing_else() -> None:
    """A reader of main.tf sees the key, the path and its options, what watches, what copies."""
    blocks = re.findall(r'^(\w+) "?(\w*)', (MODULES.parent / "main.tf").read_text(), re.MULTILINE)
    assert blocks == [
        ("module", name)
        for name in (
            *("encryption", "ingest", "waf", "kinesis", "delivery", "storage", "catalog"),
            *("monitoring", "canary", "replication"),
        )
    ]


def test_a_missing_package_is_told_with_the_command_that_makes_it(root: Path) -> None:
    """Without the Lambdas' packages, plan says to run build.py instead of failing over a file name."""
    package = root.parent / "dist" / "receiver.zip"
    package.rename(package.with_suffix(".kept"))
    try:
        said = failure(root, "plan", "-no-color", f"-var=account_id={ACCOUNT_ID}")
    finally:
        package.with_suffix(".kept").rename(package)
    assert "dist/receiver.zip does not exist: run `python build.py` at the top of the project first." in said


def test_the_only_thing_asked_of_aws_is_the_account(root: Path, planned: dict[str, Any]) -> None:
    """A plan reads no data source once the account is given, so it needs neither network nor credentials."""
    data = re.findall(r'^data "(\w+)"', "".join(file.read_text() for file in root.rglob("*.tf")), re.MULTILINE)
    assert data == ["aws_caller_identity"]
    assert list(resources(planned["prior_state"]["values"].get("root_module", {}))) == []


def test_a_plan_knows_what_the_runtime_reads(planned: dict[str, Any]) -> None:
    """The API's document, the stream's prefixes and processor, and the names are known before the apply."""
    known = {
        resource["address"]: resource["values"] for resource in resources(planned["planned_values"]["root_module"])
    }
    stream = known["module.delivery.aws_kinesis_firehose_delivery_stream.events"]["extended_s3_configuration"][0]
    processor = stream["processing_configuration"][0]["processors"][0]
    assert set(json.loads(known["module.ingest.aws_api_gateway_rest_api.events"]["body"])["paths"]) == {
        "/events",
        "/events/batch",
        "/health",
    }
    assert stream["prefix"].startswith("events/audit_type=!{partitionKeyFromLambda:audit_type}/year=")
    assert processor["parameters"] == [
        {
            "parameter_name": "LambdaArn",
            "parameter_value": f"arn:aws:lambda:us-east-1:{ACCOUNT_ID}:function:auditlake-transform:$LATEST",
        }
    ]
    unknown = {name for name, output in planned["planned_values"]["outputs"].items() if "value" not in output}
    assert unknown == {"endpoint", "try_it"}


def test_everything_that_can_carry_tags_does(planned: dict[str, Any]) -> None:
    """Each resource that AWS can tag carries application = name."""
    untagged = {
        resource["type"]
        for resource in resources(planned["planned_values"]["root_module"])
        if resource["values"].get("tags_all") != {"application": "auditlake"}
    }
    assert untagged == UNTAGGED


def test_two_stacks_fit_into_one_account(root: Path, planned: dict[str, Any]) -> None:
    """With another name and database, no name of the one stack is a name of the other."""
    other = plan(root, {"account_id": ACCOUNT_ID, "name": "second", "catalog": '{database="second"}'})
    assert len(names(planned)) == len(names(other)) > 10
    assert names(planned) & names(other) == set()


@pytest.mark.parametrize(("days", "moves"), [("{}", [90]), ("{glacier_ir=30}", [30]), ("{glacier_ir=0}", [])])
def test_what_moves_to_glacier_can_be_said_and_also_that_nothing_does(root: Path, days: str, moves: list[int]) -> None:
    """Terraform puts a default in the place of null, so that 0 stands for never."""
    planned = plan(root, {"account_id": ACCOUNT_ID, "lifecycle_days": days})
    rules = [
        rule
        for one in resources(planned["planned_values"]["root_module"])
        if one["type"] == "aws_s3_bucket_lifecycle_configuration"
        for rule in one["values"]["rule"]
    ]
    assert [move["days"] for rule in rules for move in rule["transition"]] == moves


def test_the_example_settings_are_accepted(root: Path) -> None:
    """The settings in terraform.tfvars.example plan, and each commented setting is one that exists."""
    example = root / "terraform.tfvars.example"
    variables = set(re.findall(r'^variable "(\w+)"', (root / "variables.tf").read_text(), re.MULTILINE))
    assert set(re.findall(r"^(?:# )?(\w+) += ", example.read_text(), re.MULTILINE)) <= variables
    terraform(root, "plan", "-no-color", f"-var=account_id={ACCOUNT_ID}", f"-var-file={example}")


@pytest.mark.parametrize("settings", [{}, OPTIONS, DOOR], ids=["defaults", "options", "door"])
def test_checkov_finds_nothing_that_is_not_explained(root: Path, settings: Mapping[str, str]) -> None:
    """Of a plan, too, checkov has no finding without a reason beside the resource."""
    checkov = MODULES.parent.parent / ".venv" / "checkov" / "bin" / "checkov"
    if not checkov.exists():
        reason = "checkov is not installed: `make lint` does that"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    shown = root / "shown.json"
    shown.write_text(json.dumps(plan(root, {"account_id": ACCOUNT_ID, **settings})))
    command = [str(checkov), "--file", str(shown), "--repo-root-for-plan-enrichment", str(root)]
    command += ["--framework", "terraform_plan", "--compact", "--quiet", "--skip-download"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout
    assert "Failed checks: 0" in run.stdout


def test_a_subscriber_is_told_its_table(root: Path) -> None:
    """The statement is one that Athena reads, with the columns and partitions of the stack's own table."""
    subscribed = plan(root, {"account_id": ACCOUNT_ID, "subscription": '{account_ids=["210987654321"]}'})
    ddl = subscribed["planned_values"]["outputs"]["subscription_ddl"]["value"]
    statement = sqlglot.parse_one(ddl, read="athena")
    assert isinstance(statement, sqlglot.exp.Create)
    tables = [one["values"] for one in resources(subscribed["planned_values"]["root_module"]) if one["type"] == TABLE]
    (table,) = (one for one in tables if one["table_type"] == "EXTERNAL_TABLE")
    named = [
        column.name for column in statement.this.find_all(sqlglot.exp.ColumnDef) if column.parent is statement.this
    ]
    assert named == [column["name"] for column in table["storage_descriptor"][0]["columns"]]
    for key in table["partition_keys"]:
        assert f"`{key['name']}` {key['type']}" in ddl
    for name, value in table["parameters"].items():
        assert name == "EXTERNAL" or f"'{name}' = '{value}'" in ddl
    assert f"LOCATION '{table['storage_descriptor'][0]['location']}'" in ddl


def test_without_a_subscriber_there_is_no_statement(planned: dict[str, Any]) -> None:
    """Nothing is offered that nobody may read."""
    outputs = planned["planned_values"]["outputs"]
    assert outputs["subscription_ddl"].get("value") is None
    assert outputs["replication_role_arn"].get("value") is None
