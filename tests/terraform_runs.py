"""Runs Terraform on copies of the stack."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from auditlake.default_plan import copy_stack, init, terraform
from auditlake.errors import PlanError
from tests import standing_provider
from tests.terraform_rules import rules, unbroken

MODULES = Path(__file__).parent.parent / "terraform" / "modules"


UPGRADING = Path(__file__).parent.parent / "docs" / "upgrading.md"


def need_terraform() -> None:
    """Skip the test where Terraform is not installed; under CI=true it fails instead. One provider serves all runs."""
    if shutil.which("terraform") is None:
        reason = "terraform is not on the PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    standing_provider.stand()


def initialised(target: Path, module: str | None = None) -> Path:
    """Copy the stack into `target` and initialise `module` of it, or the root module; returns its folder."""
    need_terraform()
    root = copy_stack(target)
    folder = root / "modules" / module if module else root
    init(folder)
    return folder


def let_go(root: Path) -> None:
    """Let a copy of the stack be destroyed, by the command of docs/upgrading.md, run above its root module."""
    command = next(line for line in UPGRADING.read_text().splitlines() if "prevent_destroy = false" in line)
    subprocess.run(["bash", "-euc", command], cwd=root.parent, check=True, timeout=60)


def assert_own_tests_pass(folder: Path) -> None:
    """Run the module's `terraform test` and assert that every run in its files was run and passed."""
    runs = sum(len(re.findall(r"^run ", file.read_text(), re.MULTILINE)) for file in (folder / "tests").glob("*.hcl"))
    output = terraform(folder, "test", "-no-color")
    assert f"Success! {runs} passed, 0 failed." in output


def failure(folder: Path, *args: str) -> str:
    """Run terraform, assert that it fails, and return what it says in one line."""
    with pytest.raises(PlanError) as caught:
        terraform(folder, *args)
    # Terraform wraps its sentences in a frame.
    return " ".join(str(caught.value).replace("│", " ").split())


def assert_every_rule_has_a_failing_run(module: Path) -> None:
    """Assert that the module's tests break each of its validations and preconditions at least once."""
    assert rules(module)
    with tempfile.TemporaryDirectory() as target:
        folder = initialised(Path(target), module.name if module.parent == MODULES else None)
        assert [str(rule) for rule in unbroken(folder)] == []
