"""Why the events of a spool wait: the sender says it in a file, for whoever looks at the spool from outside."""

import contextlib
import os
from datetime import datetime
from pathlib import Path

import msgspec

from auditlake.client.files import opened, write_all
from auditlake.client.spool import PROBLEM


class SendProblem(msgspec.Struct, frozen=True):
    """Why requests do not get through: the last reason, since when (UTC), how many in a row, when the last one was."""

    reason: str
    since: datetime
    last_try: datetime
    failures: int


_NEW = f"{PROBLEM}.new"
"""What is being written: one name will do, as one process sends at a time."""
_decoder = msgspec.json.Decoder(SendProblem)


def note_problem(directory: Path, problem: SendProblem) -> None:
    """Write the file anew; that a disk refuses it must not keep events from being sent."""
    path = directory / PROBLEM
    temporary = directory / _NEW
    with contextlib.suppress(OSError):
        try:
            with opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
                write_all(fd, msgspec.json.encode(problem))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def forget_problem(directory: Path) -> None:
    """Take the file away, which an earlier process may have left, and what it had begun when it was killed."""
    with contextlib.suppress(OSError):
        (directory / PROBLEM).unlink(missing_ok=True)
        (directory / _NEW).unlink(missing_ok=True)


def read_problem(directory: Path) -> SendProblem | None:
    """Return what the sender said last; None when it gets through, or what is there cannot be read."""
    try:
        return _decoder.decode((directory / PROBLEM).read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
