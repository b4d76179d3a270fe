"""The examples: each is planned as it stands, and says how it is applied."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from auditlake.default_plan import ACCOUNT_ID, terraform
from auditlake.doctor import examine, exit_code
from auditlake.permissions import resources
from auditlake.runtime.plan_reader import load_plan
from tests.terraform_moto import client, moto
from tests.terraform_runs import initialised, need_terraform

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised copy of the root module."""
    return initialised(tmp_path_factory.mktemp("stack"))


def planned(root: Path, name: str) -> dict[str, Any]:
    """Return the plan of an example."""
    file = EXAMPLES / name / "terraform.tfvars"
    terraform(root, "plan", "-no-color", "-out=tfplan", f"-var=account_id={ACCOUNT_ID}", f"-var-file={file}")
    shown: dict[str, Any] = json.loads(terraform(root, "show", "-json", "tfplan"))
    return shown


@pytest.mark.parametrize("name", NAMES)
def test_an_example_plans(root: Path, name: str, tmp_path: Path) -> None:
    """Terraform takes the settings, the doctor finds nothing that AWS would refuse, and one machine can run it."""
    shown = planned(root, name)
    kinds = Counter(resource["type"] for resource in resources(shown))
    assert kinds["aws_kinesis_firehose_delivery_stream"] == 1
    assert kinds["aws_s3_bucket_object_lock_configuration"] == 1
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(shown))
    findings = examine(file)
    assert exit_code(findings, strict=False) == 0, findings
    assert load_plan(file).stream.name == "auditlake-events"


@pytest.mark.parametrize("name", NAMES)
def test_an_example_says_how_it_is_applied(name: str) -> None:
    """The page of an example holds the commands, with its own file of settings."""
    text = (EXAMPLES / name / "README.md").read_text()
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    assert "python build.py" in commands
    assert f"apply -var-file=../examples/{name}/terraform.tfvars" in commands


def test_production_has_what_a_review_asks_for(root: Path) -> None:
    """A lock in COMPLIANCE mode, a key of the account, and somebody who is called."""
    by_type: dict[str, list[dict[str, Any]]] = {}
    for resource in resources(planned(root, "production")):
        by_type.setdefault(resource["type"], []).append(resource["values"])
    retention = by_type["aws_s3_bucket_object_lock_configuration"][0]["rule"][0]["default_retention"][0]
    assert (retention["mode"], retention["years"]) == ("COMPLIANCE", 7)
    assert by_type["aws_kms_key"][0]["enable_key_rotation"]
    assert by_type["aws_sns_topic_subscription"][0]["protocol"] == "email"
    assert len(by_type["aws_cloudwatch_metric_alarm"]) == 19
    assert not any(bucket.get("force_destroy") for bucket in by_type["aws_s3_bucket"] if "events" in bucket["bucket"])


def test_production_keeps_the_state_encrypted_and_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terraform takes the file as it stands, and S3 gets the state encrypted, under a lock that is let go of."""
    need_terraform()
    shutil.copy(EXAMPLES / "production" / "backend.tf", tmp_path)
    (tmp_path / "main.tf").write_text('output "stands" {\n  value = true\n}\n')
    (bucket,) = re.findall(r'bucket = "(.+)"', (tmp_path / "backend.tf").read_text())
    (key,) = re.findall(r'key    = "(.+)"', (tmp_path / "backend.tf").read_text())
    with moto() as url:
        s3 = client("s3", url)
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for name, value in (("ENDPOINT_URL", url), ("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test")):
            monkeypatch.setenv(f"AWS_{name}", value)
        terraform(tmp_path, "init", "-no-color", "-input=false", "-backend-config=use_path_style=true")
        terraform(tmp_path, "apply", "-no-color", "-auto-approve")

        kept = s3.get_object(Bucket=bucket, Key=key)
        assert json.loads(kept["Body"].read())["outputs"]["stands"]["value"] is True
        assert kept["ServerSideEncryption"] == "AES256"
        versions = s3.list_object_versions(Bucket=bucket)
        assert {marker["Key"] for marker in versions["DeleteMarkers"]} == {f"{key}.tflock"}
        assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert not (tmp_path / "terraform.tfstate").exists()
