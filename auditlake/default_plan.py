"""Makes the default plan: what `terraform plan` says of a stack with nothing set, kept in the package for the runtime.

Run it as `python -m auditlake.default_plan` (`make plan`) in a checkout. Terraform and the real provider make the plan,
without network or credentials; TF_PLUGIN_DIR names an unpacked provider mirror if there is one.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditlake.errors import AuditlakeError, PlanError

DEFAULT_PLAN = Path(__file__).parent / "runtime" / "default_plan.json"
ACCOUNT_ID = "123456789012"

_ROOT = Path(__file__).parent.parent
# A stack's own state, where it is kept, settings and provider would make another plan than the defaults, or none.
_OWN_FILES = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars", "tfplan*", "backend.tf")
# Without an account to ask, the provider must not try to.
_OFFLINE = """provider "aws" {
  access_key                  = "offline"
  secret_key                  = "offline"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}
"""


def copy_stack(target: Path, override: str = _OFFLINE) -> Path:
    """Copy what a plan reads into `target`, with `override` as override file; returns the copy's root module.

    The packages in the copy are placeholders: a plan reads nothing but their hashes, which the default plan leaves out.

    Raises:
        PlanError: this is no checkout of the project.
    """
    if not (_ROOT / "terraform").is_dir():
        raise PlanError(f"There is no terraform/ in {_ROOT}: make the plan in a checkout of the project.")
    for folder in ("terraform", "glue"):
        shutil.copytree(_ROOT / folder, target / folder, ignore=_OWN_FILES)
    (target / "dist").mkdir()
    for package in ("transform", "receiver", "canary", "authorizer"):
        (target / "dist" / f"{package}.zip").write_bytes(b"placeholder")
    (target / "terraform" / "override.tf").write_text(override)
    return target / "terraform"


def terraform(folder: Path, *args: str) -> str:
    """Run terraform in `folder` and return what it prints.

    Raises:
        PlanError: terraform is not installed, or it failed; the message holds what it said.
    """
    environment = {**os.environ, "TF_IN_AUTOMATION": "1"}
    try:
        run = subprocess.run(  # noqa: S603  # the arguments are this module's and its tests'
            ["terraform", *args],  # noqa: S607  # the user's own terraform, wherever it is
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise PlanError("terraform is not installed: install Terraform 1.9 or newer and put it on the PATH.") from None
    if run.returncode != 0:
        raise PlanError(f"`terraform {' '.join(args)}` failed in {folder}:\n{run.stdout}{run.stderr}")
    return run.stdout


def init(folder: Path) -> None:
    """Get the provider for the module in `folder`, from the mirror that TF_PLUGIN_DIR names or from the registry."""
    mirror = os.environ.get("TF_PLUGIN_DIR")
    terraform(folder, "init", "-no-color", "-input=false", *([f"-plugin-dir={mirror}"] if mirror else []))


def plan(folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the plan of the root module in `folder` with `variables`, as `terraform show -json` tells it."""
    settings = [f"-var={name}={value}" for name, value in variables.items()]
    terraform(folder, "plan", "-no-color", "-input=false", "-out=tfplan", *settings)
    shown: dict[str, Any] = json.loads(terraform(folder, "show", "-json", "tfplan"))
    return shown


def reduce(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a plan what the runtime reads and what every build and machine agrees on."""
    reduced = {key: shown[key] for key in ("format_version", "variables", "planned_values")}
    return {key: _without(value, {"source_code_hash", "sensitive_values"}) for key, value in reduced.items()}


def make() -> dict[str, Any]:
    """Make the default plan afresh, in a copy of the stack that is removed again.

    Raises:
        PlanError: this is no checkout, or terraform is not installed or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = copy_stack(Path(folder))
        init(root)
        return reduce(plan(root, {"account_id": ACCOUNT_ID}))


def _without(value: Any, names: set[str]) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(value, dict):
        return {name: _without(inner, names) for name, inner in value.items() if name not in names}
    if isinstance(value, list):
        return [_without(inner, names) for inner in value]
    return value


def main() -> int:
    """Write the default plan into the package; returns the exit status."""
    try:
        text = json.dumps(make(), indent=1, sort_keys=True, ensure_ascii=False)
    except AuditlakeError as error:
        print(error, file=sys.stderr)  # noqa: T201  # this module is a command
        return 1
    DEFAULT_PLAN.write_text(text + "\n", encoding="utf-8")
    print(f"{DEFAULT_PLAN.relative_to(_ROOT)}: {len(text):,} bytes")  # noqa: T201  # this module is a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
