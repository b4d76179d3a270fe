"""The default plan in the package, and the tool that makes it."""

import json
from pathlib import Path

import pytest

from auditlake import default_plan
from auditlake.default_plan import DEFAULT_PLAN, copy_stack, make, reduce, terraform
from auditlake.errors import PlanError
from tests.terraform_runs import need_terraform


def test_the_default_plan_is_what_terraform_plans_today() -> None:
    """The plan in the package is the plan of the stack as it is; where not, `make plan` makes it so."""
    need_terraform()
    kept = json.loads(DEFAULT_PLAN.read_text(encoding="utf-8"))
    assert kept == make(), "auditlake/runtime/default_plan.json is not the plan of terraform/: run `make plan`"


def test_reduce_keeps_what_every_build_and_machine_agrees_on() -> None:
    """Hashes of packages, times, configuration and prior state do not reach the default plan."""
    values = {"function_name": "f", "source_code_hash": "abc", "environment": [{"variables": {"A": "1"}}]}
    shown = {
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "timestamp": "2026-01-01T00:00:00Z",
        "variables": {"name": {"value": "auditlake"}},
        "planned_values": {"root_module": {"resources": [{"values": values, "sensitive_values": {}}]}},
        "configuration": {},
        "resource_changes": [],
    }
    assert reduce(shown) == {
        "format_version": "1.2",
        "variables": {"name": {"value": "auditlake"}},
        "planned_values": {
            "root_module": {
                "resources": [{"values": {"function_name": "f", "environment": [{"variables": {"A": "1"}}]}}]
            }
        },
    }


def test_a_copy_of_the_stack_takes_no_settings_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's own tfvars, state and provider do not change the default plan."""
    own = tmp_path / "checkout" / "terraform"
    own.mkdir(parents=True)
    (tmp_path / "checkout" / "glue").mkdir()
    for name in (
        "main.tf",
        "terraform.tfvars",
        "terraform.tfstate",
        "terraform.tfvars.example",
        ".terraform.lock.hcl",
        "backend.tf",
    ):
        (own / name).touch()
    monkeypatch.setattr(default_plan, "_ROOT", tmp_path / "checkout")
    copy = copy_stack(tmp_path / "copy", "# override")
    assert {file.name for file in copy.iterdir()} == {"main.tf", "terraform.tfvars.example", "override.tf"}


def test_outside_a_checkout_the_tool_says_where_to_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An installed package has no terraform/ beside it, and the tool says so in a sentence."""
    monkeypatch.setattr(default_plan, "_ROOT", tmp_path)
    assert default_plan.main() == 1
    assert (
        capsys.readouterr().err
        == f"There is no terraform/ in {tmp_path}: make the plan in a checkout of the project.\n"
    )


def test_without_terraform_the_tool_says_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where terraform is not on the PATH, the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlanError, match=r"terraform is not installed: install Terraform 1\.9 or newer"):
        terraform(tmp_path, "version")


def test_what_terraform_says_reaches_the_user(tmp_path: Path) -> None:
    """A failure of terraform is told with its own words."""
    need_terraform()
    (tmp_path / "main.tf").write_text("resource {}\n")
    with pytest.raises(PlanError, match=r"(?s)`terraform validate -no-color` failed.*resource"):
        terraform(tmp_path, "validate", "-no-color")
