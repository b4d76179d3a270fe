"""The stack of the defaults, applied by the real Terraform and provider to moto's server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditlake.default_plan import copy_stack, init, terraform
from tests.terraform_moto import client, moto, override


@dataclass(frozen=True)
class Deployed:
    """Where the stack answers, its plan and its outputs, as Terraform tells them."""

    url: str
    plan: Path
    outputs: Path

    def client(self, service: str) -> Any:  # noqa: ANN401  # boto3 makes its clients at run time
        """Return boto3's client of a service."""
        return client(service, self.url)

    def names(self) -> dict[str, Any]:
        """Return the values of the outputs."""
        return {name: output["value"] for name, output in json.loads(self.outputs.read_text()).items()}


@contextmanager
def deployed_stack(folder: Path, *settings: str) -> Iterator[Deployed]:
    """Apply the stack with `settings` (`-var=...`) while the block runs."""
    with moto() as url:
        root = copy_stack(folder / "stack", override(url))
        init(root)
        terraform(root, "plan", "-no-color", "-input=false", "-out=tfplan", *settings)
        plan, outputs = folder / "plan.json", folder / "outputs.json"
        plan.write_text(terraform(root, "show", "-json", "tfplan"), encoding="utf-8")
        terraform(root, "apply", "-no-color", "-input=false", "tfplan")
        outputs.write_text(terraform(root, "output", "-json"), encoding="utf-8")
        yield Deployed(url, plan, outputs)
