"""The local bucket: a directory that keeps versions, delete markers and Object Lock as an S3 bucket does (E2).

Versioning is always on and nothing suspends it. What a directory cannot do is stop the owner of its files: `check`
finds what was changed behind the bucket's back.
"""

import hashlib
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from errno import EACCES, EDQUOT, ENOSPC, ENOTDIR, ENOTSUP, EPERM, EROFS
from pathlib import Path

from auditlake.errors import S3Error, StoreError
from auditlake.runtime.bucket_files import BucketFiles
from auditlake.runtime.bucket_metadata import Metadata, open_metadata
from auditlake.runtime.object_key import key_problem
from auditlake.runtime.object_lock import Retention, RetentionMode, Version, check_delete, check_retention
from auditlake.runtime.plan import ObjectLock

NULL_VERSION = "null"
"""The version id of an object that was there before the bucket had versioning (S3, documented)."""

PRECONDITION_FAILED = "PreconditionFailed"
"""S3's error code for an object that is there, or not, against what a request asks."""

_WHAT_TO_DO = {
    ENOSPC: "the disk is full; free some space and the records, which stay in the buffer, are delivered",
    EDQUOT: "the disk quota is used up; free some space and the records, which stay in the buffer, are delivered",
    EACCES: "permission is denied; let this user write there or choose another data directory",
    EPERM: "the file system refuses it; choose a data directory on one that has hard links",
    ENOTSUP: "the file system has no hard links; choose a data directory on one that has",
    EROFS: "the file system is read-only; choose another data directory",
    ENOTDIR: "a directory cannot hold both an object `a` and an object `a/b`",
}


@dataclass(frozen=True)
class Listed:
    """A version in a listing; `is_latest` says that it is what a plain GET would find."""

    version: Version
    is_latest: bool


class LocalBucket:
    """A bucket in a directory; threads and processes may change it side by side, one at a time gets in.

    Every method raises StoreError when the disk or the metadata refuses, and its subclass S3Error where S3 refuses.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        """Name the bucket; `clock` gives seconds since the epoch. Nothing is touched."""
        self.root = root
        self._clock = clock
        self._files = BucketFiles(root)
        self._metadata_path = self._files.area / "metadata.sqlite"

    def open(self, object_lock: ObjectLock | None) -> int:
        """Make the bucket, or finish what a crash interrupted and take a default retention for versions to come.

        Returns how many changes a crash had interrupted.

        Files that are there before the bucket become versions `null` without retention, as objects of a bucket whose
        versioning and Object Lock are switched on later (E2, documented).

        Raises:
            S3Error: the bucket has Object Lock and is to have none, which S3 does not do (E2, documented).
        """
        with self._explained(f"The store {self.root} cannot be opened"):
            self._files.make()
            with self._files.locked(), open_metadata(self._metadata_path) as metadata:
                if not metadata.made():
                    metadata.make(object_lock, self._there_before())
                interrupted = len(metadata.unsettled())
                self._settle(metadata)
                self._files.clear_incoming()
                if object_lock is None and metadata.object_lock() is not None:
                    raise S3Error(
                        "InvalidBucketState",
                        f"The bucket {self.root} has Object Lock, which can never be switched off, and the plan has "
                        "none: keep object_lock in the plan, or choose another data directory.",
                    )
                metadata.set_object_lock(object_lock)
        return interrupted

    def object_lock(self) -> ObjectLock | None:
        """Return the default retention; None when the bucket has no Object Lock."""
        with self._reading() as metadata:
            return metadata.object_lock()

    def put(self, key: str, body: bytes, *, sha256: bytes | None = None, if_none_match: bool = False) -> Version:
        """Store an object durably as the newest version of its key, retained as the bucket's default says.

        An object that is there stays as a noncurrent version, locked or not (E2, documented).

        Args:
            key: the object key, which must be possible as a path.
            body: the bytes.
            sha256: their SHA-256; a bucket with default retention demands a checksum (E2, observed).
            if_none_match: store only where no object shows at the key, as `If-None-Match: *` asks (S3, documented).

        Raises:
            S3Error: InvalidRequest without the checksum, BadDigest when it is of other bytes, PreconditionFailed when
                an object is there that `if_none_match` does not want.
        """
        with (
            self._explained(f"The object {key} cannot be written to the store {self.root}"),
            self._changing(key) as metadata,
        ):
            object_lock = metadata.object_lock()
            _check_checksum(key, body, sha256, required=object_lock is not None)
            before = metadata.versions_of(key)
            if if_none_match and before and not before[0].is_delete_marker:
                raise S3Error(
                    PRECONDITION_FAILED, f"At least one of the pre-conditions you specified did not hold: {key}."
                )
            version = Version(key, uuid.uuid4().hex, self._now(), len(body), sha256, self._default(object_lock))
            self._files.write(version.version_id, body)
            if before and not before[0].is_delete_marker:
                self._files.keep_aside(before[0])
            self._files.show(key, (version, *before))
            metadata.add(version)
        return version

    def holds(self, key: str, sha256: bytes) -> bool:
        """Return whether the object that shows at a key was put with this checksum, and its file still has it."""
        with self._reading() as metadata:
            newest = next(iter(metadata.versions_of(key)), None)
        if newest is None or newest.is_delete_marker or newest.sha256 != sha256:
            return False
        with self._explained(f"The object {key} cannot be read from the store {self.root}"):
            return _changed(newest, self._files.body(newest, is_latest=True)) is None

    def delete(self, key: str, version_id: str | None = None, *, bypass_governance: bool = False) -> Version | None:
        """Hide an object behind a delete marker, or delete one version for ever.

        Without `version_id` a delete marker becomes the newest version, also of a locked object and of a key that has
        none; a marker itself is never protected (E2, documented). A version that is not there is no error (observed:
        versitygw#1758). When the newest version goes, the one before it shows again.

        Returns:
            The marker that was made or the version that was deleted; None when it was not there.

        Raises:
            S3Error: AccessDenied, the version is locked.
        """
        with (
            self._explained(f"The object {key} cannot be deleted from the store {self.root}"),
            self._changing(key) as metadata,
        ):
            before = metadata.versions_of(key)
            newest = before[0] if before and not before[0].is_delete_marker else None
            if version_id is None:
                marker = Version(key, uuid.uuid4().hex, self._now(), is_delete_marker=True)
                if newest:
                    self._files.keep_aside(newest)
                self._files.show(key, (marker, *before))
                metadata.add(marker)
                return marker
            version = next((one for one in before if one.version_id == version_id), None)
            if version is None:
                return None
            check_delete(version, self._now(), bypass_governance=bypass_governance)
            if version is newest:
                self._files.keep_outgoing(version)
            self._files.show(key, [one for one in before if one is not version])
            metadata.remove(version)
            return version

    def put_retention(
        self, key: str, version_id: str, retention: Retention | None, *, bypass_governance: bool = False
    ) -> Version:
        """Give a version another retention, or none, and return the version.

        Raises:
            S3Error: AccessDenied and InvalidArgument (`check_retention`), InvalidRequest in a bucket without Object
                Lock, NoSuchVersion, MethodNotAllowed for a delete marker.
        """
        with self._locking(key, version_id) as (metadata, version):
            check_retention(version, retention, self._now(), bypass_governance=bypass_governance)
            changed = replace(version, retention=retention)
            metadata.set_lock(changed)
        return changed

    def put_legal_hold(self, key: str, version_id: str, *, on: bool) -> Version:
        """Put a version under legal hold, which has no end, or take it off, and return the version (E2, documented).

        Raises:
            S3Error: InvalidRequest in a bucket without Object Lock, NoSuchVersion, MethodNotAllowed for a marker.
        """
        with self._locking(key, version_id) as (metadata, version):
            changed = replace(version, legal_hold=on)
            metadata.set_lock(changed)
        return changed

    def objects(self, prefix: str = "", *, versions: bool = False) -> list[Listed]:
        """List the current objects whose key starts with `prefix`, or every version and delete marker, newest first.

        The keys come in S3's order, by their bytes.
        """
        with self._reading() as metadata:
            listed = [
                Listed(version, is_latest=position == 0)
                for of_key in metadata.keys(prefix)
                for position, version in enumerate(of_key)
            ]
        return [one for one in listed if versions or (one.is_latest and not one.version.is_delete_marker)]

    def body(self, listed: Listed) -> Path:
        """Return the file that holds the bytes of a version."""
        return self._files.body(listed.version, is_latest=listed.is_latest)

    def check(self, prefix: str = "") -> Iterator[str]:
        """Yield a sentence for each version whose bytes are not what was put, and for each file that was never put."""
        known = set()
        for listed in self.objects(prefix, versions=True):
            if listed.version.is_delete_marker:
                continue
            if listed.is_latest:
                known.add(listed.version.key)
            with self._explained(f"The version {listed.version.version_id} of {listed.version.key} cannot be read"):
                problem = _changed(listed.version, self.body(listed))
            if problem:
                yield f"{listed.version.key} (version {listed.version.version_id}): {problem}."
        with self._explained(f"The store {self.root} cannot be read"):
            found = sorted(key for key, _ in self._files.shown() if key.startswith(prefix))
        yield from (f"{key}: the file was not put by the bucket; queries read it." for key in found if key not in known)

    def _require(self) -> None:
        if not self._metadata_path.is_file():
            raise StoreError(f"There is no bucket in {self.root}; `auditlake up` makes it.")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _default(self, object_lock: ObjectLock | None) -> Retention | None:
        """Return what S3 stamps on a new version: now and the days of the default retention (E2, documented)."""
        if object_lock is None:
            return None
        return Retention(RetentionMode(object_lock.mode), self._now() + timedelta(days=object_lock.days))

    def _there_before(self) -> Iterator[Version]:
        for key, status in self._files.shown():
            yield Version(key, NULL_VERSION, datetime.fromtimestamp(status.st_mtime, UTC), status.st_size)

    @contextmanager
    def _changing(self, key: str) -> Iterator[Metadata]:
        """Let nobody else change the bucket; whatever happens, the files agree with the metadata afterwards.

        A crash leaves the key noted as unsettled, and the next change or start makes its files agree.
        """
        problem = key_problem(key)
        if problem:
            raise StoreError(f"The object key {key!r} cannot be stored in a directory: {problem}.")
        self._require()
        with self._files.locked(), open_metadata(self._metadata_path) as metadata:
            self._settle(metadata)
            metadata.begin_change(key)
            try:
                yield metadata
            finally:
                self._settle(metadata)

    def _settle(self, metadata: Metadata) -> None:
        for key in metadata.unsettled():
            versions = metadata.versions_of(key)
            self._files.show(key, versions)
            self._files.tidy(key, versions)
            metadata.end_change(key)

    @contextmanager
    def _locking(self, key: str, version_id: str) -> Iterator[tuple[Metadata, Version]]:
        """Find the version whose lock is to change, and let nobody else change the bucket."""
        name = f"the version {version_id} of {key}"
        self._require()
        with (
            self._explained(f"The lock of {name} cannot be changed"),
            self._files.locked(),
            open_metadata(self._metadata_path) as metadata,
        ):
            if metadata.object_lock() is None:
                raise S3Error(
                    "InvalidRequest", f"Bucket is missing Object Lock Configuration: the plan of {self.root} has none."
                )
            version = next((one for one in metadata.versions_of(key) if one.version_id == version_id), None)
            if version is None:
                raise S3Error("NoSuchVersion", f"There is no {name[4:]}; see: auditlake objects --versions")
            if version.is_delete_marker:
                raise S3Error("MethodNotAllowed", f"{name[0].upper()}{name[1:]} is a delete marker, which has no lock.")
            yield metadata, version

    @contextmanager
    def _reading(self) -> Iterator[Metadata]:
        self._require()
        with (
            self._explained(f"The store {self.root} cannot be read"),
            open_metadata(self._metadata_path, read_only=True) as metadata,
        ):
            yield metadata

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn what the disk or SQLite refuses into a StoreError of one sentence."""
        try:
            yield
        except FileExistsError as error:
            raise StoreError(
                f"{what}: a file that the bucket does not know is in the way at {error.filename2 or error.filename}; "
                "it is not overwritten: move it away."
            ) from None
        except OSError as error:
            raise StoreError(f"{what}: {_WHAT_TO_DO.get(error.errno or 0, os.strerror(error.errno or 0))}.") from None
        except sqlite3.Error as error:
            raise StoreError(f"{what}: {self._metadata_path} says: {error}.") from None


def _check_checksum(key: str, body: bytes, sha256: bytes | None, *, required: bool) -> None:
    if sha256 is None:
        if required:
            raise S3Error(
                "InvalidRequest",
                "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock "
                f"parameters: {key} came without a checksum.",
            )
    elif sha256 != hashlib.sha256(body).digest():
        raise S3Error("BadDigest", f"The SHA256 you specified did not match the calculated checksum of {key}.")


def _changed(version: Version, body: Path) -> str | None:
    """Say how a body differs from what was put; None when it does not, as far as its checksum tells."""
    try:
        with body.open("rb") as file:
            sha256, size = hashlib.file_digest(file, "sha256").digest(), file.tell()
    except (FileNotFoundError, NotADirectoryError):
        return "its file is gone"
    if size != version.size:
        return f"its file has {size} bytes, not the {version.size} that were put"
    if version.sha256 is not None and sha256 != version.sha256:
        return "its bytes are not those that were put"
    return None
