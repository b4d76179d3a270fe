"""Two stacks in one account of moto's, applied by the real provider.

The first is examples/production; the second, under names of its own, has every other way of letting callers in.
"""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditlake.default_plan import copy_stack, init, terraform
from auditlake.permissions import DOOR
from tests.terraform_moto import client, moto, override

EXAMPLE = Path(__file__).parent.parent / "examples" / "production" / "terraform.tfvars"
SECOND = {"name": '"second"', "catalog": '{database="second"}', **DOOR}


@dataclass(frozen=True)
class Stack:
    """A stack that stands: its root module, the plan before it stood and the one after, and its outputs."""

    root: Path
    fresh: str
    standing: str
    outputs: dict[str, Any]


@dataclass(frozen=True)
class Account:
    """The account with both stacks; `url` is moto's."""

    url: str
    production: Stack
    second: Stack

    def client(self, service: str) -> Any:  # noqa: ANN401  # boto3 makes its clients at run time
        """Return a client of a service of moto."""
        return client(service, self.url)


@contextmanager
def standing_stacks(folder: Path) -> Iterator[Account]:
    """Apply both while the block runs, side by side: each waits a minute for what S3 says of a bucket's lifecycle."""
    with moto() as url, ThreadPoolExecutor() as threads:
        roots = [copy_stack(folder / name, override(url)) for name in ("production", "second")]
        shutil.copy(EXAMPLE, roots[0])
        (roots[1] / EXAMPLE.name).write_text("".join(f"{name} = {value}\n" for name, value in SECOND.items()))
        yield Account(url, *threads.map(_stand, roots))


def shown(root: Path) -> str:
    """Plan into the file `tfplan` and return the plan's JSON."""
    terraform(root, "plan", "-no-color", "-input=false", "-out=tfplan")
    return terraform(root, "show", "-json", "tfplan")


def _stand(root: Path) -> Stack:
    init(root)
    fresh = shown(root)
    terraform(root, "apply", "-no-color", "-input=false", "tfplan")
    outputs = json.loads(terraform(root, "output", "-json"))
    return Stack(root, fresh, shown(root), {name: output["value"] for name, output in outputs.items()})
