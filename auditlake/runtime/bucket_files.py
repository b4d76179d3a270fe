"""The files of the local bucket: the current objects at their keys, all other versions aside.

    ROOT/<key>                             the body of the current version, where readers and queries look
    ROOT/.bucket/versions/<key>/<id>       the bodies of noncurrent versions
    ROOT/.bucket/incoming/<id>             bodies that come or go while a key changes

A body is never written twice: it moves by hard links, and a file at a key is replaced or removed only while another
link to it exists. Until `tidy`, every step can therefore be taken back by `show` with the versions that were before.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from auditlake.directories import make_directories, sync_directory
from auditlake.runtime.object_key import BUCKET_AREA
from auditlake.runtime.object_lock import Version


class BucketFiles:
    """The files below one root; who changes them holds `locked`. Every method raises OSError."""

    def __init__(self, root: Path) -> None:
        """Name the folders; nothing is touched."""
        self.root = root
        self.area = root / BUCKET_AREA
        self._incoming = self.area / "incoming"
        self._versions = self.area / "versions"

    def make(self) -> None:
        """Make the folders, durably."""
        make_directories(self._incoming)
        make_directories(self._versions)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other thread and process from changing the bucket."""
        with (self.area / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def write(self, version_id: str, body: bytes) -> None:
        """Write the body of a version that comes, durably and read-only.

        Its name too: a power cut that kept the body's name at its key and lost the one here would leave a file that the
        bucket does not know, and that no put of this key could replace.
        """
        descriptor = os.open(self._incoming / version_id, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(descriptor)
        sync_directory(self._incoming)

    def keep_aside(self, version: Version) -> None:
        """Link the body of the current version aside, before another takes its place."""
        _link(self.root / version.key, self._aside(version.key) / version.version_id)

    def keep_outgoing(self, version: Version) -> None:
        """Link the body of the current version to where `tidy` removes it, before the version is deleted."""
        _link(self.root / version.key, self._incoming / version.version_id)

    def show(self, key: str, versions: Sequence[Version]) -> None:
        """Make the file at a key the body of the newest of `versions`, or no file when that is a delete marker."""
        target = self.root / key
        current = _current(versions)
        if current is None:
            self._remove(key, target)
            return
        places = (self._aside(key) / current.version_id, self._incoming / current.version_id)
        body = next((place for place in places if place.exists()), None)
        if body is None or _is_same(body, target):
            return  # it is at its key
        make_directories(target.parent)
        if target.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a folder is in the way")
        if self._is_known(key, target):
            replacement = self._incoming / f"{current.version_id}.link"
            replacement.unlink(missing_ok=True)
            os.link(body, replacement)
            replacement.rename(target)
        else:
            # A link is refused where a file is that the bucket does not know; a rename would destroy it.
            os.link(body, target)
        sync_directory(target.parent)

    def tidy(self, key: str, versions: Sequence[Version]) -> None:
        """Remove what is aside of a key and belongs to no noncurrent version of it, and all that came or went."""
        current = _current(versions)
        kept = {v.version_id for v in versions if not v.is_delete_marker and v is not current}
        aside = self._aside(key)
        for name in _file_names(aside) - kept:
            (aside / name).unlink()
            sync_directory(aside)
        self._remove_empty(aside, self._versions)
        self.clear_incoming()

    def clear_incoming(self) -> None:
        """Remove all that came or went."""
        for name in _file_names(self._incoming):
            (self._incoming / name).unlink()

    def body(self, version: Version, *, is_latest: bool) -> Path:
        """Return the file with a version's body."""
        return self.root / version.key if is_latest else self._aside(version.key) / version.version_id

    def shown(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the key of every file that is no file of the bucket's own, with its status."""
        for folder, folders, names in os.walk(self.root):
            if Path(folder) == self.root and BUCKET_AREA in folders:
                folders.remove(BUCKET_AREA)
            for name in names:
                path = Path(folder, name)
                yield path.relative_to(self.root).as_posix(), path.stat()

    def _aside(self, key: str) -> Path:
        return self._versions / key

    def _is_known(self, key: str, target: Path) -> bool:
        """Return whether the file at a key has another link in the bucket's own folders."""
        folders = (self._aside(key), self._incoming)
        return any(_is_same(folder / name, target) for folder in folders for name in _file_names(folder))

    def _remove(self, key: str, target: Path) -> None:
        if self._is_known(key, target):
            target.unlink()
            sync_directory(target.parent)
            self._remove_empty(target.parent, self.root)

    def _remove_empty(self, folder: Path, top: Path) -> None:
        """Remove empty folders upwards: S3 has none, and one in the way of an object of its name would refuse it."""
        while folder != top:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return
            folder = folder.parent


def _current(versions: Sequence[Version]) -> Version | None:
    return versions[0] if versions and not versions[0].is_delete_marker else None


def _link(source: Path, target: Path) -> None:
    """Link durably; no link is made of a file that somebody has removed, nor over one that is there."""
    make_directories(target.parent)
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        os.link(source, target)
    sync_directory(target.parent)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _file_names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
