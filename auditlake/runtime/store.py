"""The store on one machine: a directory with the same keys as the bucket.

An object appears whole or not at all, under its final name, durable when `put` returns, and is never overwritten.
"""

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auditlake.errors import StoreError
from auditlake.runtime.plan import ObjectLock

INCOMING = ".incoming"
MAX_KEY_BYTES = 1024  # S3's limit for a key in UTF-8
MAX_SEGMENT_BYTES = 255  # what common file systems hold in one name

_WHAT_TO_DO = {
    errno.ENOSPC: "the disk is full; free some space and the records, which stay in the buffer, are delivered",
    errno.EDQUOT: "the disk quota is used up; free some space and the records, which stay in the buffer, are delivered",
    errno.EACCES: "permission is denied; let this user write there or choose another data directory",
    errno.EPERM: "the file system refuses it; choose a data directory on one that has hard links",
    errno.ENOTSUP: "the file system has no hard links; choose a data directory on one that has",
    errno.EROFS: "the file system is read-only; choose another data directory",
    errno.ENOTDIR: "a part of the path is a file; a directory cannot hold both an object `a` and an object `a/b`",
}


@dataclass(frozen=True)
class StoredObject:
    """An object of the store: its key and its size in bytes."""

    key: str
    size: int


class DirectoryStore:
    """A directory laid out like the bucket; one process at a time may write to it."""

    def __init__(self, root: Path) -> None:
        """Make the directory if need be and remove what a crash left half written; raises StoreError."""
        self.root = root
        self._incoming = root / INCOMING
        try:
            _make_directories(self._incoming)
            for leftover in self._incoming.iterdir():
                leftover.unlink()
        except OSError as error:
            raise StoreError(_sentence(f"The store {root} cannot be opened", error)) from None

    def put(self, key: str, body: bytes) -> None:
        """Write a new object durably: it is on the disk, with its directories, when this returns.

        Raises StoreError when the key cannot be a path here, when the key exists (a bucket with versioning would keep
        both versions; a directory cannot), or when the disk refuses.
        """
        problem = key_problem(key)
        if problem:
            raise StoreError(f"The object key {key!r} cannot be stored in a directory: {problem}.")
        target = self.root / key
        incoming = self._incoming / uuid.uuid4().hex
        try:
            _write_durably(incoming, body)
            _make_directories(target.parent)
            # A link, not a rename: rename would replace an object that is already there.
            os.link(incoming, target)
            _sync_directory(target.parent)
        except FileExistsError:
            raise StoreError(
                f"The object {key} is already in the store {self.root}; objects are never overwritten."
            ) from None
        except OSError as error:
            raise StoreError(_sentence(f"The object {key} cannot be written to the store {self.root}", error)) from None
        finally:
            # What cannot be removed now is removed at the next start; the object itself is safe or was refused.
            with contextlib.suppress(OSError):
                incoming.unlink(missing_ok=True)

    def objects(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose key starts with `prefix`, in S3's order (by the key's bytes); raises StoreError."""
        folder = prefix.rpartition("/")[0]
        if folder and key_problem(folder):
            return
        try:
            yield from (
                found
                for found in _walk(self.root / folder, f"{folder}/" if folder else "")
                if found.key.startswith(prefix)
            )
        except OSError as error:
            raise StoreError(
                _sentence(f"The objects under {prefix!r} in the store {self.root} cannot be listed", error)
            ) from None


def object_lock_notice(object_lock: ObjectLock | None) -> str | None:
    """Return the sentence that says what a directory does not do for Object Lock; None when the plan has no lock."""
    if object_lock is None:
        return None
    return (
        f"Object Lock ({object_lock.mode}, {object_lock.days} days) is not enforced on a directory: objects are "
        "written once, never overwritten and read-only, but who owns the directory can delete them; in S3 nobody can."
    )


def key_problem(key: str) -> str | None:
    """Say why a key cannot be a path below the store's directory, as the end of a sentence; None when it can."""
    try:
        size = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    segments = key.split("/")
    if size > MAX_KEY_BYTES:
        return f"it is {size} bytes long; S3 allows {MAX_KEY_BYTES}"
    if "\0" in key:
        return "it holds a NUL character"
    if any(segment in ("", ".", "..") for segment in segments):
        return "a part between slashes is empty, `.` or `..`"
    if any(len(segment.encode("utf-8")) > MAX_SEGMENT_BYTES for segment in segments):
        return f"a part between slashes is longer than {MAX_SEGMENT_BYTES} bytes"
    if segments[0] == INCOMING:
        return f"`{INCOMING}` is the store's own directory"
    return None


def _write_durably(path: Path, body: bytes) -> None:
    # Read-only from the start; the umask may narrow it further.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(descriptor)


def _make_directories(path: Path) -> None:
    """Make the directory and its parents, each durable: a crash must not lose the directory above a synced file."""
    if path.is_dir():
        return
    _make_directories(path.parent)
    try:
        path.mkdir(exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, "a file is in the way") from None
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _walk(folder: Path, key_prefix: str) -> Iterator[StoredObject]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    # A directory sorts as `name/`, which is how the keys below it compare with a file beside it.
    for name, entry in sorted((f"{entry.name}/" if entry.is_dir() else entry.name, entry) for entry in entries):
        key = key_prefix + name
        if key == f"{INCOMING}/":
            continue
        if entry.is_dir():
            yield from _walk(folder / entry.name, key)
        else:
            yield StoredObject(key, entry.stat().st_size)


def _sentence(what: str, error: OSError) -> str:
    return f"{what}: {_WHAT_TO_DO.get(error.errno or 0, os.strerror(error.errno or 0))}."
