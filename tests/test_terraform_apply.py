"""Stacks that are applied settle, are upgraded by docs/upgrading.md, and give nothing away that cannot be had again."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from auditlake import doctor
from auditlake.default_plan import ACCOUNT_ID, terraform
from tests.conftest import Up
from tests.standing_stacks import Account, Stack, standing_stacks
from tests.terraform_runs import UPGRADING, failure, let_go, need_terraform

TRUSTSTORE = {"truststoreUri": "s3://trust/store.pem", "truststoreVersion": "1"}  # DOOR's
BLOCKS = [
    dedent(text)
    for text in re.findall(
        r"<!-- run by: tests/test_terraform_apply.py -->\n *```sh\n(.*?)^ *```", UPGRADING.read_text(), re.S | re.M
    )
]
IDENTITY = {
    "name": ("name=third", "name must stay second, because buckets and delivery streams cannot be renamed"),
    "account_id": ("account_id=210987654321", "account_id must stay 123456789012, where this state's stack is"),
    "region": ("region=eu-central-1", "region must stay us-east-1, where this state's stack is"),
    "object_lock": ("object_lock={enabled=false}", "object_lock.enabled must stay true, because S3 decides it"),
}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Both stacks; what changes the second comes last."""
    need_terraform()
    with standing_stacks(tmp_path_factory.mktemp("stacks")) as account:
        yield account


def changes(planned: dict[str, Any]) -> dict[str, list[str]]:
    """Return the actions of a plan that would do something, by address."""
    return {
        change["address"]: change["change"]["actions"]
        for change in planned["resource_changes"]
        if change["change"]["actions"] != ["no-op"]
    }


@pytest.mark.parametrize("name", ["production", "second"])
def test_a_second_plan_finds_nothing_to_do(account: Account, name: str) -> None:
    """What was applied is what the next plan reads back."""
    stack: Stack = getattr(account, name)
    assert changes(json.loads(stack.standing)) == {}


@pytest.mark.parametrize("name", ["production", "second"])
def test_the_plan_of_a_stack_that_stands_is_judged_alike(account: Account, name: str, tmp_path: Path, up: Up) -> None:
    """`doctor` says of it what it said before the apply, and it runs on one machine."""
    stack: Stack = getattr(account, name)
    plans = tmp_path / "fresh.json", tmp_path / "standing.json"
    for path, text in zip(plans, (stack.fresh, stack.standing), strict=True):
        path.write_text(text)
    before, after = map(doctor.examine, plans)
    assert after == before
    assert doctor.exit_code(after, strict=False) == 0
    up("--plan", str(plans[1]))


def test_two_stacks_stand_in_one_account(account: Account) -> None:
    """Each has its own API, stream, functions, buckets and table."""
    first, second = account.production.outputs, account.second.outputs
    assert sorted(account.client("firehose").list_delivery_streams()["DeliveryStreamNames"]) == sorted(
        [first["stream"]["name"], second["stream"]["name"]]
    )
    assert sorted(api["name"] for api in account.client("apigateway").get_rest_apis()["items"]) == [
        "auditlake",
        "second",
    ]
    functions = account.client("lambda").list_functions()["Functions"]
    assert sorted(function["FunctionName"] for function in functions) == [
        "auditlake-canary",
        "auditlake-receiver",
        "auditlake-transform",
        "second-authorizer",
        "second-receiver",
        "second-transform",
    ]
    for database, outputs in (("audit", first), ("second", second)):
        tables = account.client("glue").get_tables(DatabaseName=database)["TableList"]
        assert sorted(table["Name"] for table in tables) == ["conflicting_events", outputs["table"], outputs["view"]]
    assert len({one[key] for one in (first, second) for key in ("bucket", "endpoint")}) == 4


def test_the_bucket_of_production_is_locked_and_guarded(account: Account) -> None:
    """Object Lock holds seven years in COMPLIANCE mode, the key rotates, and the policy has all its statements."""
    s3, kms, bucket = account.client("s3"), account.client("kms"), account.production.outputs["bucket"]
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Years"]) == ("COMPLIANCE", 7)
    keys = {alias["AliasName"]: alias.get("TargetKeyId") for alias in kms.list_aliases()["Aliases"]}
    assert kms.get_key_rotation_status(KeyId=keys["alias/auditlake"])["KeyRotationEnabled"]
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == [
        "OnlyTls",
        "OnlyTls12",
        "OnlyTheStreamWrites",
        "NobodyDeletes",
        "NobodyReplicatesInto",
        "NoShorterRetention",
        "NoOtherKey",
        "OnlyAdministratorsChangeTheBucket",
    ]


def test_production_is_watched(account: Account) -> None:
    """Each alarm of the outputs stands, and the canary runs every 15 minutes."""
    outputs = account.production.outputs
    alarms = sorted(alarm["AlarmName"] for alarm in account.client("cloudwatch").describe_alarms()["MetricAlarms"])
    assert [name for name in alarms if name.startswith("auditlake-")] == sorted(
        [*outputs["alarms"].values(), "auditlake-canary-absent"]
    )
    assert [rule["ScheduleExpression"] for rule in account.client("events").list_rules()["Rules"]] == [
        "rate(15 minutes)"
    ]
    assert outputs["try_it"].endswith(f" {outputs['endpoint']}/events")


def test_the_second_stacks_door_stands(account: Account) -> None:
    """A domain with mutual TLS, the default endpoint off, a client's key with its quota, and a web ACL that logs."""
    gateway, waf = account.client("apigateway"), account.client("wafv2")
    (api,) = [one for one in gateway.get_rest_apis()["items"] if one["name"] == "second"]
    domain = gateway.get_domain_name(domainName="audit.example.com")
    assert domain["mutualTlsAuthentication"] == TRUSTSTORE
    assert account.second.outputs["endpoint"] == "https://audit.example.com"
    assert api["disableExecuteApiEndpoint"]
    (usage,) = gateway.get_usage_plans()["items"]
    assert (usage["quota"]["limit"], usage["quota"]["period"]) == (1000, "DAY")
    (key,) = gateway.get_usage_plan_keys(usagePlanId=usage["id"])["items"]
    assert key["name"] == "second-shop"
    stage = f"arn:aws:apigateway:us-east-1::/restapis/{api['id']}/stages/v1"
    assert waf.get_web_acl_for_resource(ResourceArn=stage)["WebACL"]["Name"] == "second"
    (logged,) = waf.list_logging_configurations(Scope="REGIONAL")["LoggingConfigurations"]
    assert logged["LogDestinationConfigs"] == [f"arn:aws:logs:us-east-1:{ACCOUNT_ID}:log-group:aws-waf-logs-second"]


def run_as_written(root: Path, block: str) -> None:
    """Run a block of the document in the project's folder; the provider comes from the mirror, if there is one."""
    mirror = os.environ.get("TF_PLUGIN_DIR")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TF_CLI_ARGS_init": f"-plugin-dir={mirror}" if mirror else "",
    }
    command = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(
        command, cwd=root.parent, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"


def test_the_steps_change_in_place_and_settle(account: Account) -> None:
    """Another buffering interval is planned, read and applied as the document says, and then nothing is left to do."""
    plan_it, apply_it, _ = BLOCKS
    applied = account.second.root
    with (applied / "terraform.tfvars").open("a") as settings:
        settings.write("buffering = { interval_s = 300 }\n")
    run_as_written(applied, plan_it)
    run_as_written(applied, apply_it)
    assert "No changes." in terraform(applied, "plan", "-no-color", "-input=false")


def test_what_a_stack_is_stays(account: Account) -> None:
    """A change that would make another stack out of this one is refused, each of several with a sentence of its own."""
    settings = [f"-var={variable}" for variable, _ in IDENTITY.values()]
    said = failure(account.second.root, "plan", "-no-color", "-input=false", "-refresh=false", *settings)
    for _, sentence in IDENTITY.values():
        assert sentence in said
    assert said.count("make a second stack with another state (docs/upgrading.md).") == len(IDENTITY)


def test_the_stream_is_not_replaced(account: Account) -> None:
    """Dynamic partitioning cannot be switched in place, and a plan that replaces the stream for it is refused."""
    applied = account.second.root
    file = applied / "modules" / "delivery" / "stream.tf"
    text = file.read_text()
    switched = text.replace(
        "partitioning_configuration {\n      enabled = true", "partitioning_configuration {\n      enabled = false"
    )
    assert switched != text
    file.write_text(switched)
    try:
        said = failure(applied, "plan", "-no-color", "-input=false", "-refresh=false")
    finally:
        file.write_text(text)
    assert "events has lifecycle.prevent_destroy set" in said
    assert "module.delivery.aws_kinesis_firehose_delivery_stream.events" in said


def test_a_stack_is_not_destroyed_until_it_is_let_go(account: Account) -> None:
    """A destroy is refused and removes nothing; after the document's command it leaves nothing, not even a bucket."""
    roots = account.production.root, account.second.root
    before = terraform(roots[1], "state", "list")
    said = failure(roots[1], "destroy", "-no-color", "-input=false", "-refresh=false", "-auto-approve")
    assert "Instance cannot be destroyed" in said
    assert terraform(roots[1], "state", "list") == before

    def destroy(root: Path) -> str:
        let_go(root)
        terraform(root, "destroy", "-no-color", "-input=false", "-auto-approve")
        return terraform(root, "state", "list")

    with ThreadPoolExecutor() as threads:
        assert list(threads.map(destroy, roots)) == ["", ""]
    assert account.client("s3").list_buckets()["Buckets"] == []


def test_the_guards_stand_in_the_modules() -> None:
    """The buckets of events and copies, the stream and the key may not be destroyed; nothing else is in the way."""
    folder = UPGRADING.parent.parent / "terraform"
    guarded = [
        re.findall(r'^resource "(\w+)" "\w+"', file.read_text()[: match.start()], re.MULTILINE)[-1]
        for file in sorted([*folder.glob("modules/*/*.tf"), *folder.glob("replica/*.tf")])
        for match in re.finditer("prevent_destroy = true", file.read_text())
    ]
    assert guarded == ["aws_kinesis_firehose_delivery_stream", "aws_kms_key", "aws_s3_bucket", "aws_s3_bucket"]
