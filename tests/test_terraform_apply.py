"""The whole stack of examples/production, applied by the real provider to moto, planned again, and destroyed."""

import json
from pathlib import Path
from typing import Any

import boto3

from auditlake import doctor
from auditlake.default_plan import copy_stack, init, terraform
from tests.conftest import Up
from tests.terraform_moto import moto, override
from tests.terraform_runs import let_go, need_terraform

EXAMPLE = Path(__file__).parent.parent / "examples" / "production" / "terraform.tfvars"


def changes(planned: dict[str, Any]) -> dict[str, list[str]]:
    """Return the actions of a plan that would do something, by address."""
    return {
        change["address"]: change["change"]["actions"]
        for change in planned["resource_changes"]
        if change["change"]["actions"] != ["no-op"]
    }


def client(service: str, url: str) -> Any:  # noqa: ANN401  # boto3 makes its clients at run time
    """Return a client of a service of moto."""
    return boto3.client(
        service,  # type: ignore[call-overload]  # one of many literals
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # moto takes any
    )


def rotates(kms: Any, alias: str) -> bool:  # noqa: ANN401  # boto3 makes its clients at run time
    """Return whether the key behind an alias rotates; moto takes no alias for this question."""
    keys = {one["AliasName"]: one.get("TargetKeyId") for one in kms.list_aliases()["Aliases"]}
    return bool(kms.get_key_rotation_status(KeyId=keys[alias])["KeyRotationEnabled"])


def shown(root: Path, *settings: str) -> str:
    """Plan into the file `tfplan` and return the plan's JSON."""
    terraform(root, "plan", "-no-color", "-input=false", "-out=tfplan", *settings)
    return terraform(root, "show", "-json", "tfplan")


def assert_judged_alike(folder: Path, fresh: str, standing: str, up: Up) -> None:
    """Assert that `doctor` says of the plan of a stack that stands what it said before the apply, and that it runs."""
    plans = folder / "fresh.json", folder / "standing.json"
    for path, text in zip(plans, (fresh, standing), strict=True):
        path.write_text(text)
    before, after = map(doctor.examine, plans)
    assert after == before
    assert doctor.exit_code(after, strict=False) == 0
    up("--plan", str(plans[1]))


def test_the_stack_applies_settles_and_destroys(tmp_path: Path, up: Up) -> None:
    """One apply makes everything, a second plan finds nothing to do, and a destroy leaves nothing.

    The plan of what stands is judged as the one before it stood, and runs on one machine.
    """
    need_terraform()
    with moto() as url:
        root = copy_stack(tmp_path / "stack", override(url))
        init(root)
        settings = f"-var-file={EXAMPLE}"
        fresh = shown(root, settings)
        terraform(root, "apply", "-no-color", "-input=false", "tfplan")
        outputs = {name: output["value"] for name, output in json.loads(terraform(root, "output", "-json")).items()}
        made = {
            "stream": client("firehose", url).list_delivery_streams()["DeliveryStreamNames"],
            "apis": [api["name"] for api in client("apigateway", url).get_rest_apis()["items"]],
            "functions": sorted(f["FunctionName"] for f in client("lambda", url).list_functions()["Functions"]),
            "tables": sorted(t["Name"] for t in client("glue", url).get_tables(DatabaseName="audit")["TableList"]),
            "rotates": rotates(client("kms", url), "alias/auditlake"),
            "policy": json.loads(client("s3", url).get_bucket_policy(Bucket=outputs["bucket"])["Policy"]),
            "alarms": sorted(a["AlarmName"] for a in client("cloudwatch", url).describe_alarms()["MetricAlarms"]),
            "runs": [rule["ScheduleExpression"] for rule in client("events", url).list_rules()["Rules"]],
            "lock": client("s3", url).get_object_lock_configuration(Bucket=outputs["bucket"]),
        }
        standing = shown(root, settings)
        let_go(root)
        terraform(root, "destroy", "-no-color", "-input=false", "-auto-approve", settings)
        left = terraform(root, "state", "list"), client("s3", url).list_buckets()["Buckets"]

    assert made["stream"] == [outputs["stream"]["name"]]
    assert made["apis"] == ["auditlake"]
    assert made["functions"] == ["auditlake-canary", "auditlake-receiver", "auditlake-transform"]
    assert made["tables"] == ["conflicting_events", outputs["table"], outputs["view"]]
    retention = made["lock"]["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Years"]) == ("COMPLIANCE", 7)
    assert made["rotates"]
    assert [statement["Sid"] for statement in made["policy"]["Statement"]] == [
        "OnlyTls",
        "OnlyTls12",
        "OnlyTheStreamWrites",
        "NobodyDeletes",
        "NoShorterRetention",
        "NoOtherKey",
        "OnlyAdministratorsChangeTheBucket",
    ]
    assert made["alarms"] == sorted([*outputs["alarms"].values(), "auditlake-canary-absent"])
    assert made["runs"] == ["rate(15 minutes)"]
    assert outputs["try_it"].endswith(f" {outputs['endpoint']}/events")
    assert changes(json.loads(standing)) == {}
    assert_judged_alike(tmp_path, fresh, standing, up)
    assert left == ("", [])
