"""The command line in this process, which spares a test the second that a new one takes to start."""

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from auditlake import cli
from auditlake.cli import shared
from tests.conftest import Running


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: str) -> list[str]:
    """Return the command line for a process of its own."""
    return [sys.executable, "-m", "auditlake", *arguments]


def auditlake(data: Path, *arguments: str, **environment: str) -> Done:
    """Run a command on a data directory, as `main` does."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, {"AUDITLAKE_DATA": str(data), **environment}),
        patch.object(shared.out, "_width", 250),
        patch.object(shared.err, "_width", 250),
        patch.object(sys, "argv", ["auditlake", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = cli.run()
    return Done(code, out.getvalue(), err.getvalue())


def on(running: Running, *arguments: str) -> Done:
    """Run a command against a running runtime."""
    return auditlake(running.data, *arguments, AUDITLAKE_URL=running.url)
