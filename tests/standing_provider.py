"""One AWS provider that serves all runs of Terraform of a test process.

Terraform starts the provider anew for each run of a test file and reads its schema each time, which takes longer than
the run. A provider started for debugging stands until it is stopped, and TF_REATTACH_PROVIDERS tells Terraform of it.
"""

import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from auditlake.default_plan import init

REATTACH = "TF_REATTACH_PROVIDERS"
_TOLD = re.compile(rf"{REATTACH}='(.+)'")
_VERSIONS = Path(__file__).parent.parent / "terraform" / "versions.tf"

_standing: "list[subprocess.Popen[str]]" = []


def stand() -> None:
    """Have Terraform use one provider from now on, if it does not yet; the version is what `terraform init` chooses.

    A variable TF_REATTACH_PROVIDERS that a developer set stays as it is.
    """
    if _standing or REATTACH in os.environ:
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "versions.tf").write_text(_VERSIONS.read_text())
        init(Path(folder))
        installed = Path(folder) / ".terraform" / "providers" / "registry.terraform.io" / "hashicorp" / "aws"
        (binary,) = (found.resolve() for found in installed.glob("*/*/terraform-provider-aws_v*"))
        # Configured a second time, a provider refuses a bundle of certificates ("has no WithTransportOptions").
        environment = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}
        # In a group of its own: ctrl-C is for the tests, which end it when they have ended their Terraform.
        process = subprocess.Popen(
            [binary, "-debug"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            process_group=0,
        )
        _standing.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if told := _TOLD.search(line):
                os.environ[REATTACH] = told[1]
                return
    raise AssertionError(f"{binary} -debug ended without the line {REATTACH}.")


def end() -> None:
    """Stop the provider, if one stands."""
    while _standing:
        os.environ.pop(REATTACH, None)
        process = _standing.pop()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()
