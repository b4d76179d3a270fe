"""Runs strace on a process: lists what it does to files, and makes one of these calls fail or kill the process."""

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
SYNCS = ("fsync", "fdatasync", "sync_file_range")
NAMES = ("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir")
SIZES = ("ftruncate", "fallocate")
CHANGES = (*WRITES, *SYNCS, *NAMES, *SIZES)
"""The system calls by which a process changes files."""
ATTACH_TIMEOUT_S = 20
_CALL = re.compile(r"^(?:\[?(?:pid +)?(\d+)\]? +)?(\w+)\((.*)$")
_UNIQUE = re.compile(
    r"\d{8}T\d{6}\.\d+Z-\d+-[0-9a-f]{8}|[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}(?:-\d\d){5}|\d{20}"
)


@dataclass(frozen=True)
class Call:
    """A system call of one thread on a file below a directory: the `nth` (from 1) of its name in that thread."""

    thread: int
    name: str
    nth: int
    path: str

    def __str__(self) -> str:
        """Return e.g. `fsync 3 of <id>.journal`."""
        return f"{self.name} {self.nth} on {self.path}"


@functools.cache
def unavailable() -> str | None:
    """Return why processes cannot be traced here, None when they can."""
    if shutil.which("strace") is None:
        return "strace is not installed; install it by: apt-get install strace"
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        try:
            with tracing(sleeping.pid, Path(os.devnull), ["-e", "trace=none"]):
                return None
        except RuntimeError as error:
            return f"strace cannot attach to a process: {error}"
        finally:
            sleeping.kill()


@contextlib.contextmanager
def tracing(thread: int, log: Path, options: Sequence[str]) -> Iterator[None]:
    """Trace a thread, or with `-f` among the options the whole process, while the block runs.

    Raises RuntimeError when strace cannot attach.
    """
    command = ["strace", "-o", str(log), *options, "-p", str(thread)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as tracer:
        try:
            _await_attached(tracer)
            yield
        finally:
            # On this signal strace lets the process go on untraced.
            with contextlib.suppress(ProcessLookupError):
                tracer.send_signal(signal.SIGINT)
            try:
                tracer.communicate(timeout=ATTACH_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                tracer.kill()


def _await_attached(tracer: "subprocess.Popen[str]") -> None:
    """Wait for strace's word that it holds the process; it says that or ends."""
    line = tracer.stderr.readline() if tracer.stderr else ""
    if " attached" not in line:
        raise RuntimeError(line.strip() or "it ended at once")


def listing(names: Sequence[str] = CHANGES) -> list[str]:
    """Return strace's options that list calls with the paths of their descriptors."""
    return ["-y", "-e", f"trace={_known(names)}"]


def killing(call: str, nth: int) -> list[str]:
    """Return strace's options that kill the process as it enters the nth call of a name."""
    return [*listing([call]), "-e", f"inject={call}:signal=KILL:when={nth}"]


def failing(call: str, nth: str, error: str) -> list[str]:
    """Return strace's options that make calls of a name fail; `nth` is strace's `when`, e.g. `3` or `3+`."""
    return [*listing([call]), "-e", f"inject={call}:error={error}:when={nth}"]


def _known(names: Sequence[str]) -> str:
    # The question mark: not every architecture has each of them.
    return ",".join(f"?{name}" for name in names)


def injected(log: Path) -> int:
    """Count the calls that strace made fail, or during which it killed the process."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return text.count("(INJECTED)") + ("+++ killed by SIGKILL +++" in text)


def calls(log: Path, below: Path, thread: int = 0) -> list[Call]:
    """Return the calls of a log on files below a directory, counted as strace counts: by thread and name."""
    found = []
    counted: Counter[tuple[int, str]] = Counter()
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        tid, name = int(match[1] or thread), match[2]
        counted[tid, name] += 1
        # The last path is where a rename or a link goes to.
        paths = re.findall(re.escape(str(below)) + r"([^>\"]*)", match[3])
        if paths:
            label = _UNIQUE.sub("*", paths[-1].lstrip("/")) or "."
            found.append(Call(tid, name, counted[tid, name], label))
    return found
