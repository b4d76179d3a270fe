"""Directories that outlive a power cut: a file is on the disk only when every name on the way to it is."""

import errno
import os
from pathlib import Path

_durable: set[Path] = set()
"""The directories of which this process knows that their names are on the disk."""
_CANNOT_SYNC = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.EROFS)
"""What a directory answers that cannot be synced by this user, or on this file system, at all."""


def make_directories(path: Path, mode: int = 0o777) -> None:
    """Make the directory and its parents, and have their names on the disk when this returns.

    Names of directories that are there already are synced as well, once a process: whoever made them may have been
    killed before its sync, or its sync may have failed. Raises OSError.
    """
    path = path.absolute()
    if path in _durable and path.is_dir():
        return
    _durable.discard(path)  # somebody removed it: what is made anew is to be synced anew
    if path.parent != path:
        make_directories(path.parent, mode)
        _make(path, mode)
    _durable.add(path)


def _make(path: Path, mode: int) -> None:
    try:
        path.mkdir(mode)
        is_new = True
    except FileExistsError:
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a file is in the way") from None
        is_new = False
    try:
        sync_directory(path.parent)
    except OSError as error:
        # One that is there and stands in a directory of somebody else is that one's to sync.
        if is_new or error.errno not in _CANNOT_SYNC:
            raise


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk when this returns; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
