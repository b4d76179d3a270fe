"""The store of a running stream: a bucket in a directory, or one behind an S3 endpoint.

An object appears whole or not at all, under its final name, durable when `put` returns.
"""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from auditlake.errors import ObjectExistsError, S3Error
from auditlake.runtime.bucket import PRECONDITION_FAILED, LocalBucket
from auditlake.runtime.plan import ObjectLock
from auditlake.runtime.store_location import Location, S3Location


class Store(Protocol):
    """Where a stream puts its objects."""

    def put(self, key: str, body: bytes) -> None:
        """Store an object durably; one with these bytes that is there already is as good as stored.

        Raises StoreError, upon which the stream keeps the records and tries the same object again, and
        ObjectExistsError when other bytes are stored under the key.
        """

    def notices(self) -> tuple[str, ...]:
        """Return the sentences that the user is told at start: what the store keeps of what the plan promises."""


class DirectoryStore:
    """A bucket in a directory, as the store of a stream."""

    def __init__(
        self, root: Path, object_lock: ObjectLock | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Make the bucket if need be, and finish what a crash interrupted; raises StoreError."""
        self.bucket = LocalBucket(root, clock)
        self._object_lock = object_lock
        self._interrupted = self.bucket.open(object_lock)

    def put(self, key: str, body: bytes) -> None:
        """Store an object durably with its checksum, as a locked bucket demands (E2), where there is none of its key.

        Raises StoreError, and ObjectExistsError when other bytes are stored under the key.
        """
        sha256 = hashlib.sha256(body).digest()
        try:
            self.bucket.put(key, body, sha256=sha256, if_none_match=True)
        except S3Error as error:
            if error.code != PRECONDITION_FAILED:
                raise
            if not self.bucket.holds(key, sha256):
                raise ObjectExistsError(
                    f"The object {key} is in the store {self.bucket.root} with other bytes, and is not overwritten."
                ) from None

    def notices(self) -> tuple[str, ...]:
        """Return what was interrupted last time, what a directory keeps of Object Lock, and what it cannot."""
        finished = (
            f"{self._interrupted} changes of objects were interrupted last time, and are finished or taken back now.",
        )
        told = finished if self._interrupted else ()
        if self._object_lock is None:
            return told
        return (
            *told,
            f"Object Lock ({self._object_lock.mode}, {self._object_lock.days} days) holds for all that is done through "
            "auditlake; who owns the files can still change or delete them, which auditlake objects --check finds. In "
            "S3 nobody can.",
        )


def open_store(
    location: Location, bucket: str, object_lock: ObjectLock | None, clock: Callable[[], float] = time.time
) -> Store:
    """Open the store at a location with the default retention that the plan promises; raises StoreError."""
    if isinstance(location, S3Location):
        # Not before it is wanted: boto3 takes long to import.
        from auditlake.runtime.s3_store import S3Store

        return S3Store(location, object_lock)
    return DirectoryStore(location / bucket, object_lock, clock)
