"""The log of a function: bounded, shared by its processes, and never a reason for an invocation to fail.

Used inside of the function's process, whose standard output and error are the log.
"""

import contextlib
import fcntl
import io
import os
from pathlib import Path

MAX_LOG_BYTES = 10 * 1024 * 1024
"""A log that has reached this size is kept as `.1`, instead of the one before, and a new one is begun."""
STDOUT, STDERR = 1, 2


class FunctionLog(io.TextIOBase):
    """Standard output and error of a function; what a full disk does not take of it is dropped."""

    encoding = "utf-8"

    def __init__(self, path: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
        """Write to standard error, which is the log at `path` or nothing."""
        super().__init__()
        self._path = path
        self._max_bytes = max_bytes
        self._begun = ""

    def writable(self) -> bool:
        """Return that it is written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the log."""
        return STDERR

    def write(self, text: str) -> int:
        """Append each line once it is whole, so that those of several processes do not mix."""
        lines, end, rest = text.rpartition("\n")
        if end:
            self._append(self._begun + lines + end)
            self._begun = rest
        else:
            self._begun += rest
        return len(text)

    def flush(self) -> None:
        """Append what is there of a line."""
        if self._begun:
            self._append(self._begun)
            self._begun = ""

    def _append(self, text: str) -> None:
        # The function's work counts, and not what it says of it.
        with contextlib.suppress(OSError):
            self._rotate()
            rest = memoryview(text.encode("utf-8", "backslashreplace"))
            while rest:
                rest = rest[os.write(STDERR, rest) :]

    def _rotate(self) -> None:
        """Begin a new file when this one is full, or when another process of the function has begun one."""
        if os.fstat(STDERR).st_size < self._max_bytes:
            return
        fcntl.flock(STDERR, fcntl.LOCK_EX)  # let go of with the descriptor that is replaced
        try:
            if self._path.exists() and os.path.samestat(os.fstat(STDERR), self._path.stat()):
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            begun = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for descriptor in (STDOUT, STDERR):
                os.dup2(begun, descriptor)
            os.close(begun)
        except OSError:
            fcntl.flock(STDERR, fcntl.LOCK_UN)
            raise
