"""The data directory of a running process: one process only, and who that is.

The lock is `flock`, which the system takes back when its holder dies: no lock is ever stale. What the file says of the
holder is only told, and whether that still runs is looked up before it is told.
"""

import contextlib
import fcntl
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from errno import EACCES, EAGAIN, EROFS
from pathlib import Path
from typing import IO

import msgspec

from auditlake.errors import StoreError

LOCK_FILE = "lock"


@dataclass(frozen=True)
class Holder:
    """The process that holds a data directory; `since` is UTC."""

    pid: int
    host: str
    since: str
    url: str
    command: str


@contextlib.contextmanager
def only_process(data: Path, url: str) -> Iterator[None]:
    """Hold the data directory for this process alone: two would deliver each record twice.

    `url` is where this process answers. Raises StoreError, which names the process that holds it.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.fdopen(os.open(data / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
    except OSError as error:
        raise StoreError(f"The data directory {data} cannot be used: {_why(error)}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (EAGAIN, EACCES):
                raise StoreError(
                    f"The data directory {data} cannot be locked ({error.strerror}), and two processes on it would "
                    "store each record twice: choose --data on a file system with flock, such as a local disk."
                ) from None
            raise StoreError(
                f"Another process runs on the data directory {data}{_holder(lock)}: stop it, or choose another with "
                "--data."
            ) from None
        _write_holder(lock, url)
        yield


def _write_holder(lock: IO[bytes], url: str) -> None:
    """Say who holds the lock; a full disk keeps nobody from running, the next one only learns less."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    holder = Holder(os.getpid(), platform.node(), now, url, " ".join([Path(sys.argv[0]).name, *_shown(sys.argv[1:])]))
    with contextlib.suppress(OSError):
        lock.truncate(0)
        lock.write(msgspec.json.encode(holder))
        lock.flush()


def _shown(arguments: list[str]) -> list[str]:
    """Return the arguments without the token, which whoever may read the file need not know."""
    return ["--token=..." if one.startswith("--token=") else "..." if before == "--token" else one
            for before, one in zip(["", *arguments], arguments, strict=False)]  # fmt: skip


def _holder(lock: IO[bytes]) -> str:
    try:
        found = msgspec.json.decode(lock.read(), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return ", which has not said who it is"
    told = f"process {found.pid} since {found.since}, at {found.url} ({found.command})"
    if found.host != platform.node():
        return f", by what it says {told} on the machine {found.host}"
    if not _runs(found.pid):
        return f", which has not said who it is; the last that did, {told}, has ended"
    return f": {told}"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _why(error: OSError) -> str:
    if error.errno == EROFS:
        return "the file system is read-only; choose another with --data"
    if error.errno == EACCES:
        return "permission is denied; let this user write there, or choose another with --data"
    return error.strerror or str(error)
