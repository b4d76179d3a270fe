"""Files as the spool uses them: locked, synced, appended to line by line."""

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from auditlake.directories import sync_directory
from auditlake.errors import SpoolError

try:
    import fcntl
except ModuleNotFoundError as error:
    raise SpoolError("A spool needs the file locks of Linux, macOS or another Unix, which Windows lacks.") from error

PRIVATE = 0o600


def sync_file(fd: int) -> None:
    """Have a file's data on the disk before returning; raises OSError, after which the file is not to be trusted."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: its fsync leaves the data in the drive's memory
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, however little a call takes; raises OSError, when a part of it may be written."""
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, data[written:])


# flock and not lockf: lockf's locks are the process's, and go when it closes any descriptor of the file.


def lock(fd: int) -> None:
    """Take the exclusive lock of an open file, which ends with the file's last descriptor.

    It waits for whoever asks `is_locked` right now: a file taken for locked that is not would be taken away.
    """
    fcntl.flock(fd, fcntl.LOCK_EX)


def try_lock(fd: int) -> bool:
    """Take the exclusive lock of an open file unless another holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(fd: int) -> bool:
    """Tell whether another open file holds the exclusive lock."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file, private to its user, and close it; raises OSError."""
    fd = os.open(path, flags | os.O_CLOEXEC, PRIVATE)
    try:
        yield fd
    finally:
        os.close(fd)


def append_synced(path: Path, lines: bytes) -> None:
    """Append whole lines to a file and sync it, and its directory when it is new; raises OSError.

    A line that an earlier process left without its end is ended first, so that it spoils no other.
    """
    new = not path.exists()
    with opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND) as fd:
        size = os.fstat(fd).st_size
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        write_all(fd, b"\n" + lines if torn else lines)
        sync_file(fd)
    if new:
        sync_directory(path.parent)


def checked(text: bytes) -> bytes:
    """Return a line of `text` with its checksum before it."""
    return b"%08x %b\n" % (zlib.crc32(text), text)


def last_checked(data: bytes) -> bytes | None:
    """Return the text of the last line whose checksum matches, or None."""
    for line in reversed(data.split(b"\n")):
        checksum, _, text = line.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(text):
            return text
    return None
