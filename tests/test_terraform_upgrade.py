"""A stack that stands is upgraded by docs/upgrading.md, and nothing of it that cannot be had again is destroyed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from auditlake.default_plan import copy_stack, init, terraform
from tests.terraform_moto import moto, override
from tests.terraform_runs import UPGRADING, failure, let_go, need_terraform

BLOCKS = [
    dedent(text)
    for text in re.findall(
        r"<!-- run by: tests/test_terraform_upgrade.py -->\n *```sh\n(.*?)^ *```", UPGRADING.read_text(), re.S | re.M
    )
]
IDENTITY = {
    "name": ("name=second", "name must stay auditlake, because buckets and delivery streams cannot be renamed"),
    "account_id": ("account_id=210987654321", "account_id must stay 123456789012, where this state's stack is"),
    "region": ("region=eu-central-1", "region must stay us-east-1, where this state's stack is"),
    "object_lock": ("object_lock={enabled=false}", "object_lock.enabled must stay true, because S3 decides it"),
}


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stack of the defaults that stands on moto; gives its root module."""
    need_terraform()
    with moto() as url:
        root = copy_stack(tmp_path_factory.mktemp("stack") / "project", override(url))
        init(root)
        terraform(root, "apply", "-no-color", "-input=false", "-auto-approve")
        yield root


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


def test_the_steps_change_in_place_and_settle(applied: Path) -> None:
    """Another buffering interval is planned, read and applied as the document says, and then nothing is left to do."""
    plan_it, apply_it, _ = BLOCKS
    settings = applied / "terraform.tfvars"
    settings.write_text("buffering = { interval_s = 300 }\n")
    run_as_written(applied, plan_it)
    run_as_written(applied, apply_it)
    assert "No changes." in terraform(applied, "plan", "-no-color", "-input=false")


@pytest.mark.parametrize("changed", IDENTITY)
def test_what_a_stack_is_stays(applied: Path, changed: str) -> None:
    """A change that would make another stack out of this one is refused with a sentence."""
    variable, sentence = IDENTITY[changed]
    said = failure(applied, "plan", "-no-color", "-input=false", "-refresh=false", f"-var={variable}")
    assert sentence in said
    assert "make a second stack with another state (docs/upgrading.md)." in said


def test_the_stream_is_not_replaced(applied: Path) -> None:
    """Dynamic partitioning cannot be switched in place, and a plan that replaces the stream for it is refused."""
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


def test_a_stack_is_not_destroyed_until_it_is_let_go(applied: Path) -> None:
    """A destroy is refused and removes nothing; after the document's command it removes everything."""
    before = terraform(applied, "state", "list")
    said = failure(applied, "destroy", "-no-color", "-input=false", "-refresh=false", "-auto-approve")
    assert "Instance cannot be destroyed" in said
    assert terraform(applied, "state", "list") == before
    let_go(applied)
    terraform(applied, "destroy", "-no-color", "-input=false", "-auto-approve")
    assert terraform(applied, "state", "list") == ""


def test_the_guards_stand_in_the_modules() -> None:
    """The bucket of events, the stream and the key are what Terraform may not destroy; nothing else is in the way."""
    modules = UPGRADING.parent.parent / "terraform" / "modules"
    guarded = [
        re.findall(r'^resource "(\w+)" "\w+"', file.read_text()[: match.start()], re.MULTILINE)[-1]
        for file in sorted(modules.glob("*/*.tf"))
        for match in re.finditer("prevent_destroy = true", file.read_text())
    ]
    assert guarded == ["aws_kinesis_firehose_delivery_stream", "aws_kms_key", "aws_s3_bucket"]
