"""What docs/client.md shows is run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from auditlake.client import AuditClient
from tests.batch_receiver import running_receiver
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
URL = "http://127.0.0.1:7070"


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_every_program_works(number: int, tmp_path: Path) -> None:
    """Each block is a program by itself, whose events arrive."""
    with running_receiver() as receiver:
        program = blocks("python")[number].replace(URL, receiver.url)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=tmp_path, env=environment, check=True)
        assert receiver.taken
        assert [path.name for path in (tmp_path / "audit-spool").iterdir()] == ["sender.lock"]


def test_every_command_works(tmp_path: Path) -> None:
    """The commands succeed on a spool with an event that waits."""
    with AuditClient("http://127.0.0.1:9", tmp_path / "audit-spool", exit_timeout_s=0) as client:
        client.record(event_type="login", actor="ana")
    (text,) = blocks("sh")
    with running_receiver() as receiver:
        environment = {
            **os.environ,
            "AUDITLAKE_URL": receiver.url,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=tmp_path, env=environment, check=True, timeout=60)
        assert len(receiver.taken) == 1


def test_the_arguments_are_those_of_the_client() -> None:
    """Every argument and status that the tables name is one that the client has."""
    table = TEXT[TEXT.index("| argument |") : TEXT.index("Threads that record")]
    named = {
        name
        for row in table.splitlines()
        for name in re.findall(r"`([a-z_]+)[`=]", row.partition("|")[2].partition("|")[0])
    }
    code = AuditClient.__init__.__code__
    assert named <= set(code.co_varnames)
    assert {"token", "auth", "region", "durability", "max_spool_bytes", "full", "keep_sent"} <= named
