"""A segment: a file of the spool that one process appends events to, and no other ever does.

While its writer lives it holds the file's lock. A segment is sealed when its writer leaves it (it is large enough, a
write or a sync failed, the process ended): from then on it only shrinks away.
"""

import contextlib
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from auditlake.client.files import PRIVATE, lock, sync_file, write_all
from auditlake.directories import sync_directory
from auditlake.errors import SpoolError

SUFFIX = ".events"
NEW_SUFFIX = ".new"
"""Of a segment that is not locked yet; the sender would take it for one whose writer died."""

fork_guard = threading.RLock()
"""Held while a locked file is opened or closed: a fork in between would leave the child a lock unknown to it."""


@dataclass(frozen=True)
class Disk:
    """The calls that can fail, passed in so that a test lets them."""

    write: Callable[[int, bytes], None] = write_all
    sync: Callable[[int], None] = sync_file


class Segment:
    """The segment that this process appends to; its methods are called by many threads."""

    def __init__(self, path: Path, fd: int, disk: Disk) -> None:
        """Append to a new, locked file."""
        self.path = path
        self.size = 0
        """Bytes written, all of them whole lines."""
        self._fd = fd
        self._disk = disk
        self._safe = 0  # bytes up to which what was written is acknowledged
        self._users = 0  # calls between their write and their acknowledgement
        self._leader: int | None = None  # the thread that syncs for all
        self._left = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition(threading.Lock())

    @classmethod
    def create(cls, directory: Path, now: datetime, disk: Disk) -> Self:
        """Make a segment and have its name on the disk; raises OSError. The caller holds the fork guard."""
        name = f"{now:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}-{secrets.token_hex(4)}"
        path = directory / f"{name}{SUFFIX}"
        new = directory / f"{name}{NEW_SUFFIX}"
        while True:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, PRIVATE)
            try:
                lock(fd)
                new.rename(path)
                sync_directory(directory)
            except FileNotFoundError:
                os.close(fd)  # a sender took it for one of a dead process, before it was locked
            except BaseException:
                os.close(fd)
                with contextlib.suppress(OSError):
                    new.unlink(missing_ok=True)
                    path.unlink(missing_ok=True)
                raise
            else:
                return cls(path, fd, disk)

    def append(self, line: bytes) -> int:
        """Write one line and return where it ends; `acknowledge` or `forget` must follow.

        Raises SpoolError, after which the segment takes no more.
        """
        with self._changed:
            if self._failure is not None:
                raise not_recorded(self.path.parent, self._failure)
            try:
                self._disk.write(self._fd, line)
            except BaseException as error:
                # Ctrl-C between the write and its count, too: the count would be wrong from here on.
                self._failure = error
                if isinstance(error, OSError):
                    raise not_recorded(self.path.parent, error) from error
                raise
            self.size += len(line)
            self._users += 1
            return self.size

    def acknowledge(self, end: int, *, sync: bool) -> None:
        """Return when what was written up to `end` is safe: on the disk, or with the operating system.

        One of the threads that wait syncs for all whose lines are written by then. Raises SpoolError.
        """
        try:
            if not sync:
                with self._changed:
                    self._safe = max(self._safe, end)
            elif (upto := self._wait_for_turn(end)) is not None:
                self._disk.sync(self._fd)
                self._safe = max(self._safe, upto)
        except BaseException as error:
            # A second sync of the same file would say that all is well, though the data was thrown away.
            if self._leader == threading.get_ident():
                self._failure = error
            if isinstance(error, OSError):
                raise not_recorded(self.path.parent, error) from error
            raise
        finally:
            self._done_with()

    def leave(self) -> None:
        """Append no more; the file is closed, and so unlocked, when no call waits for its acknowledgement."""
        with self._changed:
            self._left = True
            self._close_when_unused()

    def abandon(self) -> None:
        """Close this process's descriptor and nothing else: after a fork the file is the parent's."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def closed(self) -> bool:
        """Whether the file is closed, and so unlocked."""
        return self._fd < 0

    @property
    def failed(self) -> bool:
        """Whether a write or a sync failed, so that the file is not to be trusted with more."""
        return self._failure is not None

    def _wait_for_turn(self, end: int) -> int | None:
        """Return None when `end` is safe, else how far to sync, when it is this thread's turn; raises SpoolError."""
        with self._changed:
            while self._safe < end:
                if self._failure is not None:
                    raise not_recorded(self.path.parent, self._failure)
                if self._leader is None:
                    self._leader = threading.get_ident()
                    return self.size
                self._changed.wait()
            return None

    def _done_with(self) -> None:
        with self._changed:
            if self._leader == threading.get_ident():
                self._leader = None
                self._changed.notify_all()
            self._users -= 1
            self._close_when_unused()

    def _close_when_unused(self) -> None:
        """Close the file; of one that failed, take away what was never acknowledged, as far as the disk lets us."""
        if not self._left or self._users or self._fd < 0:
            return
        if self._failure is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._safe)
                if self._safe == 0:
                    self.path.unlink(missing_ok=True)
        with fork_guard, contextlib.suppress(OSError):  # what is acknowledged is synced; the number is free in any case
            fd, self._fd = self._fd, -1
            os.close(fd)


def not_recorded(directory: Path, error: BaseException) -> SpoolError:
    """Return what record raises when the spool cannot be written."""
    reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return SpoolError(
        f"The event is not recorded: the spool {directory} could not be written ({reason}). "
        "Make room or mend the disk and record it again; what was recorded before is safe."
    )
