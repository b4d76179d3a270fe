"""What all tests share."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from auditlake.runtime.plan import Plan
from auditlake.runtime.plan_reader import load_plan
from tests import standing_provider

ROOT = Path(__file__).resolve().parent.parent


def pytest_unconfigure() -> None:
    """Stop the provider that served the Terraform of these tests."""
    standing_provider.end()


def pytest_make_parametrize_id(val: object) -> None:
    """Refuse gzip bytes as a test's name: they hold the time, so two workers would collect different tests."""
    if isinstance(val, bytes) and val.startswith(b"\x1f\x8b\x08"):
        raise pytest.UsageError("A parameter holds gzip, whose bytes change each second: give the cases ids=[...].")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real events beside the project; where it is absent the test skips, and fails under CI=true."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        reason = "the folder ../shared/data with real events is not beside the project"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def plan() -> Plan:
    """The plan of the defaults, as the package keeps it."""
    return load_plan()


@dataclass(frozen=True)
class Running:
    """A runtime that was started with the command line, as a user starts it."""

    url: str
    data: Path
    process: "subprocess.Popen[str]"

    def auditlake(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run another command against it."""
        environment = {**os.environ, "AUDITLAKE_URL": self.url, "AUDITLAKE_DATA": str(self.data), "COLUMNS": "200"}
        command = [sys.executable, "-m", "auditlake", *arguments]
        return subprocess.run(
            command, input=stdin, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def flush(self) -> dict[str, object]:
        """Have it deliver all that it accepted."""
        answer = httpx.post(f"{self.url}/_auditlake/flush", timeout=120)
        content: dict[str, object] = answer.json()
        assert answer.status_code == httpx.codes.OK, content
        return content


Up = Callable[..., Running]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Start runtimes with `auditlake up` on free ports of loopback, and end them."""
    started: list[Running] = []

    def start(*arguments: str, data: Path | None = None) -> Running:
        directory = data or tmp_path_factory.mktemp("data")
        command = [sys.executable, "-m", "auditlake", "up", "--port", "0", "--data", str(directory), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert " at http://" in first, first + process.stdout.read()
        running = Running(first.rpartition(" at ")[2].strip(), directory, process)
        started.append(running)
        return running

    yield start
    for running in started:
        running.process.kill()
        running.process.wait()
        if running.process.stdout is not None:
            running.process.stdout.close()


@pytest.fixture(scope="module")
def running(up: Up) -> Running:
    """One runtime with the plan of the defaults for a module's tests."""
    return up()


LONG = (
    *("test_terraform_apply", "test_cli_on_aws", "test_terraform_replication"),
    *("test_terraform", "test_guards_break", "test_runbook", "test_permissions", "test_examples"),
)
"""How the names of files that take minutes begin, the longest first; each goes to one of the processes at work."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files: one that begins last would keep one process busy while others have nothing to do."""

    def rank(item: pytest.Item) -> int:
        return next((place for place, name in enumerate(LONG) if item.path.name.startswith(name)), len(LONG))

    items.sort(key=rank)
