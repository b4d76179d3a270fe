"""The ledger of a redrive: which events were put again, so that no run repeats them.

One SQLite file, synced at each commit, so that a crash forgets at most the batch in flight. An event is known by its
place (object, version, line, number in the record) and its SHA-256; the file can be read with any SQLite tool, also
while a redrive runs. It says what an auditor asks of a repaired event: where its original lies, and what was put.
"""

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from auditlake.errors import RedriveError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS redriven (
    object TEXT NOT NULL, version TEXT NOT NULL, line INTEGER NOT NULL, event INTEGER NOT NULL, sha256 TEXT NOT NULL,
    event_id TEXT NOT NULL, put_sha256 TEXT NOT NULL, record_id TEXT NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (object, version, line, event, sha256)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Entry:
    """An event that was put again: where it lay, its bytes' SHA-256 before and as it was put, and the stream's answer.

    `at_ms` is epoch milliseconds; `event` its number in the record from 0, `line` that of the record from 1.
    """

    object: str
    version: str
    line: int
    event: int
    sha256: str
    event_id: str
    put_sha256: str
    record_id: str
    at_ms: int


Place = tuple[int, int, str]
"""Line, number of the event and SHA-256, within one object."""


class Ledger:
    """An opened ledger; `open_ledger` opens one to write, `read_ledger` one to look into."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def redriven(self, key: str, version: str) -> set[Place]:
        """Return which events of an object were put again; raises RedriveError."""
        query = "SELECT line, event, sha256 FROM redriven WHERE object = ? AND version = ?"
        with self._explained():
            return set(self._connection.execute(query, (key, version)).fetchall())

    def repaired(self) -> Iterator[tuple[str, str, str]]:
        """Yield id, SHA-256 before and SHA-256 as put of the events that were changed; raises RedriveError."""
        with self._explained():
            query = "SELECT event_id, sha256, put_sha256 FROM redriven WHERE sha256 <> put_sha256"
            yield from self._connection.execute(query)

    def add(self, entries: Iterable[Entry]) -> None:
        """Write entries; they are on the disk when this returns. Raises RedriveError."""
        rows = [
            (e.object, e.version, e.line, e.event, e.sha256, e.event_id, e.put_sha256, e.record_id, e.at_ms)
            for e in entries
        ]
        with self._explained(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO redriven VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RedriveError(f"The ledger {self._path} cannot be used: {error}.") from None


@contextlib.contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """Open a ledger to write, made when it is not there, and hold it alone; raises RedriveError."""
    lock_path = path.with_name(f"{path.name}.lock")
    try:
        # A lock beside it: closing a second handle on SQLite's own file would give up SQLite's locks.
        lock = lock_path.open("a")
    except OSError as error:
        raise RedriveError(
            f"The ledger {path} cannot be written ({error.strerror}): name another with --ledger."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RedriveError(f"Another redrive uses the ledger {path}: wait for it, or end it.") from None
        with _connected(path, f"file:{path.resolve().as_uri()[7:]}?mode=rwc") as ledger:
            yield ledger


@contextlib.contextmanager
def read_ledger(path: Path) -> Iterator[Ledger]:
    """Open a ledger to look into; one that is not there is empty. Raises RedriveError."""
    there = path.is_file()
    with _connected(
        path, f"file:{path.resolve().as_uri()[7:]}?mode=ro" if there else ":memory:", make=not there
    ) as ledger:
        yield ledger


@contextlib.contextmanager
def _connected(path: Path, uri: str, *, make: bool = True) -> Iterator[Ledger]:
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=30)
    except sqlite3.Error as error:
        raise RedriveError(f"The ledger {path} cannot be opened: {error}.") from None
    with contextlib.closing(connection):
        try:
            if make:
                connection.execute("PRAGMA synchronous = EXTRA")  # the directory of the journal is synced, too
                connection.executescript(_SCHEMA)
            else:
                connection.execute("SELECT 1 FROM redriven LIMIT 1")
        except sqlite3.Error as error:
            raise RedriveError(
                f"The ledger {path} cannot be used: {error}. Name another with --ledger; what was put again would be "
                "put once more, with the same ids."
            ) from None
        yield Ledger(path, connection)
