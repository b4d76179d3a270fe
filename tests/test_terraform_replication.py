"""The module replication and the root module of the copy: their own tests, and both by the real provider on moto."""

import json
from pathlib import Path

from auditlake.default_plan import ACCOUNT_ID, copy_stack, init, terraform
from tests.terraform_moto import client, moto, override
from tests.terraform_runs import (
    MODULES,
    assert_every_rule_has_a_failing_run,
    assert_own_tests_pass,
    failure,
    initialised,
    let_go,
    need_terraform,
)

EVENTS, COPIES = f"auditlake-events-{ACCOUNT_ID}", "auditlake-copies"
SOURCE = f"""
resource "aws_s3_bucket" "events" {{
  bucket              = "{EVENTS}"
  object_lock_enabled = true
}}

resource "aws_s3_bucket_versioning" "events" {{
  bucket = aws_s3_bucket.events.bucket

  versioning_configuration {{
    status = "Enabled"
  }}
}}

module "replication" {{
  source = "../modules/replication"

  name        = "auditlake"
  account     = {{ id = "{ACCOUNT_ID}", region = "us-east-1", partition = "aws" }}
  bucket      = {{ name = aws_s3_bucket_versioning.events.bucket, arn = aws_s3_bucket.events.arn }}
  encryption  = {{ customer_managed = false, key_arn = null }}
  monitoring  = {{ topic_arn = "arn:aws:sns:us-east-1:{ACCOUNT_ID}:alarms", runbook_url = "runbook.md" }}
  replication = {{
    bucket_arn    = "arn:aws:s3:::{COPIES}"
    account_id    = null
    kms_key_arn   = null
    storage_class = "GLACIER_IR"
    time_control  = false
  }}
}}
"""
"""A bucket like the stack's, and the module that copies it."""


def test_own_tests_pass(tmp_path: Path) -> None:
    """The runs in the module's tests pass with a mocked provider."""
    assert_own_tests_pass(initialised(tmp_path, "replication"))


def test_the_copys_own_tests_pass(tmp_path: Path) -> None:
    """And those of the root module that makes the copy's bucket."""
    need_terraform()
    folder = copy_stack(tmp_path) / "replica"
    init(folder)
    assert_own_tests_pass(folder)


def test_every_rule_has_a_failing_run() -> None:
    """Each validation is broken by a run of the tests."""
    assert_every_rule_has_a_failing_run(MODULES / "replication")
    assert_every_rule_has_a_failing_run(MODULES.parent / "replica")


def test_both_sides_apply_settle_and_destroy(tmp_path: Path) -> None:
    """The copy's bucket, then the rule that copies; second plans find nothing to do, and nothing is left."""
    need_terraform()
    with moto() as url:
        stack = copy_stack(tmp_path, override(url))
        replica, source = stack / "replica", stack / "source"
        source.mkdir()
        (source / "main.tf").write_text(SOURCE)
        for folder in (replica, source):
            (folder / "override.tf").write_text(override(url).replace("{\n", '{\n  region = "us-east-1"\n', 1))
            init(folder)
        role = f"arn:aws:iam::{ACCOUNT_ID}:role/auditlake-replication"
        given = [f"-var=bucket={COPIES}", "-var=region=us-east-1", f"-var=source_role_arn={role}"]
        for folder, variables in ((replica, given), (source, [])):
            terraform(folder, "apply", "-no-color", "-auto-approve", *variables)
            assert "No changes." in terraform(folder, "plan", "-no-color", *variables)

        s3 = client("s3", url)
        (rule,) = s3.get_bucket_replication(Bucket=EVENTS)["ReplicationConfiguration"]["Rules"]
        assert (rule["Status"], rule["Destination"]["Bucket"]) == ("Enabled", f"arn:aws:s3:::{COPIES}")
        lock = s3.get_object_lock_configuration(Bucket=COPIES)["ObjectLockConfiguration"]
        assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 365, "Years": 0}  # moto's zero
        policy = json.loads(s3.get_bucket_policy(Bucket=COPIES)["Policy"])
        assert role in json.dumps(policy)

        assert "Instance cannot be destroyed" in failure(replica, "destroy", "-no-color", "-auto-approve", *given)
        let_go(stack)
        for folder, variables in ((source, []), (replica, given)):
            terraform(folder, "destroy", "-no-color", "-auto-approve", *variables)
        assert s3.list_buckets()["Buckets"] == []
