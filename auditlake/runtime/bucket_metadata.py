"""What the local bucket knows of its versions: one SQLite file, in which a commit is what counts.

The rollback journal, not a log beside the file: whoever may only read the directory can still list the bucket.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from auditlake.runtime.object_lock import Retention, RetentionMode, Version
from auditlake.runtime.plan import ObjectLock

SCHEMA = """
CREATE TABLE IF NOT EXISTS bucket (id INTEGER PRIMARY KEY CHECK (id = 1), default_mode TEXT, default_days INTEGER);
CREATE TABLE IF NOT EXISTS versions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, version_id TEXT NOT NULL,
    last_modified_us INTEGER NOT NULL, size INTEGER NOT NULL, sha256 BLOB, mode TEXT, retain_until_us INTEGER,
    legal_hold INTEGER NOT NULL, is_delete_marker INTEGER NOT NULL, UNIQUE (key, version_id));
CREATE INDEX IF NOT EXISTS versions_of_key ON versions (key, seq);
CREATE TABLE IF NOT EXISTS unsettled (key TEXT PRIMARY KEY);
"""

BUSY_TIMEOUT_S = 30
"""Seconds to wait for another process's commit."""

_COLUMNS = "key, version_id, last_modified_us, size, sha256, mode, retain_until_us, legal_hold, is_delete_marker"


class Metadata:
    """The versions of every key, and the keys whose files may not yet agree; every method raises sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Work on an open connection, each statement its own transaction; see `open_metadata`."""
        self._connection = connection

    def object_lock(self) -> ObjectLock | None:
        """Return the default retention; None when the bucket has no Object Lock."""
        mode, days = self._connection.execute("SELECT default_mode, default_days FROM bucket").fetchone()
        return ObjectLock(mode, days) if mode else None

    def set_object_lock(self, object_lock: ObjectLock | None) -> None:
        """Keep the default retention for versions to come."""
        mode, days = (object_lock.mode, object_lock.days) if object_lock else (None, None)
        self._connection.execute("UPDATE bucket SET default_mode = ?, default_days = ?", (mode, days))

    def versions_of(self, key: str) -> tuple[Version, ...]:
        """Return the versions and delete markers of a key, newest first."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM versions WHERE key = ? ORDER BY seq DESC",  # noqa: S608 - our own columns
            (key,),
        )
        return tuple(map(_version, rows))

    def keys(self, prefix: str) -> Iterator[tuple[Version, ...]]:
        """Yield the versions of each key that starts with `prefix`, newest first, the keys in the order of S3."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM versions WHERE key >= ? ORDER BY key, seq DESC",  # noqa: S608 - our own columns
            (prefix,),
        )
        for key, versions in groupby(map(_version, rows), lambda version: version.key):
            if not key.startswith(prefix):
                return
            yield tuple(versions)

    def add(self, version: Version) -> None:
        """Make a version or a delete marker the newest of its key."""
        self._connection.execute(
            f"INSERT INTO versions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own columns
            _row(version),
        )

    def remove(self, version: Version) -> None:
        """Forget a version or a delete marker."""
        self._connection.execute(
            "DELETE FROM versions WHERE key = ? AND version_id = ?", (version.key, version.version_id)
        )

    def set_lock(self, version: Version) -> None:
        """Keep the retention and the legal hold that `version` has now."""
        *_, mode, until_us, legal_hold, _ = _row(version)
        self._connection.execute(
            "UPDATE versions SET mode = ?, retain_until_us = ?, legal_hold = ? WHERE key = ? AND version_id = ?",
            (mode, until_us, legal_hold, version.key, version.version_id),
        )

    def unsettled(self) -> tuple[str, ...]:
        """Return the keys whose files may not agree with their versions."""
        return tuple(key for (key,) in self._connection.execute("SELECT key FROM unsettled ORDER BY key"))

    def begin_change(self, key: str) -> None:
        """Note, before any file moves, that the files of a key may not agree with its versions."""
        self._connection.execute("INSERT OR IGNORE INTO unsettled VALUES (?)", (key,))

    def end_change(self, key: str) -> None:
        """Note that the files of a key agree with its versions again."""
        self._connection.execute("DELETE FROM unsettled WHERE key = ?", (key,))

    def made(self) -> bool:
        """Return whether the bucket has been made."""
        return self._connection.execute("SELECT 1 FROM bucket").fetchone() is not None

    def make(self, object_lock: ObjectLock | None, there_before: Iterator[Version]) -> None:
        """Make the bucket with the versions that were there before it, all or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:
            self._connection.execute("INSERT INTO bucket (id) VALUES (1)")
            for version in there_before:
                self.add(version)
            self.set_object_lock(object_lock)


@contextmanager
def open_metadata(path: Path, *, read_only: bool = False) -> Iterator[Metadata]:
    """Open the file while the block runs, and make it if need be; raises sqlite3.Error."""
    # A connection serves one thread; opening one is cheap beside the syncs of a change.
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}{'?mode=ro' if read_only else ''}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
    )
    try:
        if not read_only:
            # EXTRA also syncs the directory of the journal: what is committed survives a power cut.
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.executescript(SCHEMA)
        yield Metadata(connection)
    finally:
        connection.close()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def _row(version: Version) -> tuple[object, ...]:
    retention = version.retention
    return (
        version.key,
        version.version_id,
        (version.last_modified - _EPOCH) // _US,
        version.size,
        version.sha256,
        retention.mode.value if retention else None,
        (retention.until - _EPOCH) // _US if retention else None,
        version.legal_hold,
        version.is_delete_marker,
    )


def _version(row: tuple[str, str, int, int, bytes | None, str | None, int | None, int, int]) -> Version:
    key, version_id, last_modified_us, size, sha256, mode, until_us, legal_hold, is_delete_marker = row
    return Version(
        key=key,
        version_id=version_id,
        last_modified=_EPOCH + last_modified_us * _US,
        size=size,
        sha256=sha256,
        retention=None if mode is None or until_us is None else Retention(RetentionMode(mode), _EPOCH + until_us * _US),
        legal_hold=bool(legal_hold),
        is_delete_marker=bool(is_delete_marker),
    )
