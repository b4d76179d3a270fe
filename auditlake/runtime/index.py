"""The index of the buffer: what became of each accepted record until its object is stored, in one SQLite file.

It can be made again from the journal, which keeps a record until it is delivered: an index that is damaged costs work
and perhaps repeated rows, never a record. Every transaction is synced.
"""

import contextlib
import sqlite3
import threading
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from auditlake.errors import StoreError
from auditlake.runtime.destination import Destination, parse_destination
from auditlake.runtime.seq_ranges import SeqRanges

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value NOT NULL);
CREATE TABLE IF NOT EXISTS answered (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS backed_up (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS buffered (
    position INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL UNIQUE, destination TEXT NOT NULL,
    arrival_ms INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS buffered_destination ON buffered (destination, position);
CREATE TABLE IF NOT EXISTS deliveries (
    destination TEXT PRIMARY KEY, last_position INTEGER NOT NULL, key TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""

_IO_ERRORS = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_WRONG = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)
"""What our own statements never meet in a file that holds what was written."""
T = TypeVar("T")


class IndexDamagedError(Exception):
    """The index holds what was never written into it, or lacks what was; it has to be made again."""


class BufferFailedError(StoreError):
    """The disk does not hold what it was given: the process has to stop, and the next start recovers."""


@dataclass(frozen=True)
class Buffered:
    """A record that goes to a destination; `data` is what will be converted, or an error object.

    `position` is its place in the order of arrival at its destination, once it is there.
    """

    seq: int
    destination: Destination
    arrival_ms: int
    data: bytes
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Delivery:
    """An object that was begun: the key that it gets, and the last position of its records."""

    destination: Destination
    last_position: int
    key: str


@dataclass(frozen=True)
class Accepted:
    """What was accepted since the buffer was made: the newest sequence number, how many records and bytes."""

    last_seq: int = 0
    records: int = 0
    bytes: int = 0


class Index:
    """The file; any thread may call, one at a time gets in. Every method raises StoreError."""

    def __init__(self, path: Path, buffer_id: str | None, created_ms: int | None) -> None:
        """Open the file or make it; with an id, which the journal knows, it must be of that buffer.

        Raises:
            IndexDamagedError: what the file holds cannot be trusted.
            StoreError: it cannot be opened.
        """
        self.path = path
        self._lock = threading.RLock()
        self._broken: str | None = None
        self._connection = self._open(buffer_id or uuid.uuid4().hex, created_ms or int(time.time() * 1000))
        try:
            meta = self._meta()
            if buffer_id not in (None, meta["id"]):
                raise IndexDamagedError("it is of another buffer")
            self.was_closed = bool(meta.get("closed"))
            self.id: str = meta["id"]
            self.created_ms: int = meta["created_ms"]
            self.answered = self._read_ranges("answered")
            self.backed_up = self._read_ranges("backed_up")
            """Which records wait for the source backup no longer; empty where the stream has none."""
            self.has_backup = bool(meta.get("source_backup"))
            self._generation = int(meta["generation"])
            self._noted = _accepted(meta.get("accepted"))
            self.kept_from = _kept_from(meta.get("kept_from"))
            """From which sequence number on the journal's files are kept; None in an index that never noted it."""
            self._check_rows()
            self.write(lambda connection: _set_meta(connection, "closed", 0))
        except (IndexDamagedError, StoreError):
            self._connection.close()
            raise
        except (sqlite3.Error, KeyError, ValueError, TypeError) as error:
            self._connection.close()
            raise IndexDamagedError(str(error)) from None

    def close(self, accepted: Accepted) -> None:
        """Note that all is written and close the file; a disk that refuses the note makes the next start say so."""

        def work(connection: sqlite3.Connection) -> None:
            _set_meta(connection, "closed", 1)
            note_accepted(connection, accepted)

        with self._lock, contextlib.suppress(StoreError, sqlite3.Error):
            if self._broken is None:
                self.write(work)
                self._broken = "it is closed"
            self._connection.close()

    def abandon(self) -> None:
        """Close the file without a note, for a start that fails."""
        self._connection.close()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction, which is on the disk when this returns.

        Raises BufferFailedError when the file has lost what it held, StoreError when nothing was done.
        """
        with self._lock:
            self._require()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                result = work(self._connection)
                _set_meta(self._connection, "generation", self._generation + 1)
                self._connection.execute("COMMIT")
            except UnicodeError as error:
                self._roll_back()
                raise self._failed(str(error)) from None
            except sqlite3.Error as error:
                self._roll_back()
                if _code(error) in _WRONG:
                    raise self._failed(str(error)) from None
                if not _is_io_error(error):
                    raise StoreError(f"The buffer could not be written: {_why(error)}.") from None
                if self._reopen(error) == self._generation:
                    raise StoreError(f"The buffer could not be written: {error}. It was opened anew.") from None
            except BaseException:
                self._roll_back()
                raise
            self._generation += 1
            return result

    def read(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._lock:
            self._require()
            try:
                return self._connection.execute(query, parameters).fetchall()
            except (sqlite3.Error, UnicodeError) as error:
                raise self._failed(f"cannot be read: {error}") from None

    def accepted(self) -> Accepted:
        """Return what was accepted before the start, as far as the index knows; the journal may know of more."""
        last = max((last for _, last in self.answered), default=0)
        return replace(self._noted, last_seq=max(last, self._noted.last_seq))

    def rows(self, destination: Destination, upto: int | None) -> Iterator[Buffered]:
        """Yield the rows of a destination in the order of their arrival there; `upto` is the last position."""
        query = (
            "SELECT position, seq, destination, arrival_ms, crc, data FROM buffered WHERE destination = ?"
            " AND position <= ? ORDER BY position"
        )
        with self._lock:
            self._require()
            try:
                last = upto if upto is not None else 2**62
                with closing(self._connection.execute(query, (destination.text, last))) as rows:
                    for row in rows:
                        yield _buffered(row, destination)
            except IndexDamagedError as error:
                raise self._failed(str(error)) from None
            except (sqlite3.Error, UnicodeError) as error:
                raise self._failed(f"cannot be read: {error}") from None

    def delivery(self, destination: Destination) -> Delivery | None:
        """Return the object of a destination that was begun and is not known to be stored."""
        found = self.read("SELECT last_position, key, crc FROM deliveries WHERE destination = ?", (destination.text,))
        if not found:
            return None
        last_position, key, crc = found[0]
        if crc != _crc(destination.text, last_position, key):
            raise self._failed("a delivery has a wrong checksum")
        return Delivery(destination, last_position, key)

    def _open(self, buffer_id: str, created_ms: int) -> sqlite3.Connection:
        connection = None
        try:
            connection = _connect(self.path)
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "accepted" in tables:
                raise StoreError(
                    f"The buffer {self.path} cannot be opened: it is of an earlier version of auditlake. Deliver it "
                    "with that one (auditlake flush), or choose another --data."
                )
            problems = [problem for (problem,) in connection.execute("PRAGMA integrity_check(3)")]
            if problems != ["ok"]:
                raise IndexDamagedError("; ".join(str(problem).replace("\n", " ") for problem in problems))
            connection.executescript(SCHEMA)
            for key, value in (("id", buffer_id), ("created_ms", created_ms), ("generation", 0)):
                connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
        except (sqlite3.Error, OSError, UnicodeError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, UnicodeError):  # a name or a message that holds what was never written
                raise IndexDamagedError(str(error)) from None
            if isinstance(error, OSError):
                raise StoreError(f"The buffer {self.path} cannot be opened: {error.strerror}.") from None
            if _is_damage(error):
                raise IndexDamagedError(str(error)) from None
            raise StoreError(f"The buffer {self.path} cannot be opened: {_why(error)}.") from None
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return connection

    def _require(self) -> None:
        if self._broken is not None:
            raise BufferFailedError(f"The buffer's index {self.path} is not used any more: {self._broken}.")

    def _failed(self, why: str) -> BufferFailedError:
        self._broken = why
        return BufferFailedError(
            f"The buffer's index {self.path} is not used any more: {why}. What was accepted is in the journal; "
            "start auditlake again, which recovers it."
        )

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # what failed is told; a transaction that is not committed is undone when the file is opened

    def _reopen(self, error: sqlite3.Error) -> int:
        """Open the file anew after the disk failed, and return the generation that it holds.

        After a failed sync the system may take for written what is not: the log is written out into the file by a
        checkpoint, which writes and syncs every page of it once more, before anything is added to it.
        """
        try:
            self._connection.close()
            self._connection = _connect(self.path)
            (busy, *_rest) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            problems = [problem for (problem,) in self._connection.execute("PRAGMA integrity_check(1)")]
            generation = int(self._meta()["generation"])
        except (sqlite3.Error, KeyError, ValueError) as again:
            raise self._failed(f"{error}, and then: {again}") from None
        if busy or problems != ["ok"] or generation not in (self._generation, self._generation + 1):
            raise self._failed(f"{error}, and what was opened anew is not what was written")
        return generation

    def _meta(self) -> dict[str, Any]:
        return dict(self._connection.execute("SELECT key, value FROM meta").fetchall())

    def _read_ranges(self, table: str) -> SeqRanges:
        rows = self._connection.execute(f"SELECT first, last, crc FROM {table}").fetchall()  # noqa: S608 - our own name
        if any(crc != _crc(first, last) for first, last, crc in rows):
            raise IndexDamagedError(f"a range of {table} records has a wrong checksum")
        return SeqRanges((first, last) for first, last, _ in rows)

    def _check_rows(self) -> None:
        query = "SELECT position, seq, destination, arrival_ms, crc, data FROM buffered"
        with closing(self._connection.execute(query)) as rows:
            for row in rows:
                _buffered(row)
        for destination, last, key, crc in self._connection.execute("SELECT * FROM deliveries").fetchall():
            if crc != _crc(destination, last, key):
                raise IndexDamagedError("a delivery has a wrong checksum")


def put_answered(connection: sqlite3.Connection, answered: SeqRanges) -> None:
    """Keep which records the transform has answered for; they are few ranges."""
    connection.execute("DELETE FROM answered")
    connection.executemany("INSERT INTO answered VALUES (?, ?, ?)", _range_rows(answered))


def put_backed_up(connection: sqlite3.Connection, backed_up: SeqRanges) -> None:
    """Keep which records wait for the source backup no longer; they are few ranges."""
    connection.execute("DELETE FROM backed_up")
    connection.executemany("INSERT INTO backed_up VALUES (?, ?, ?)", _range_rows(backed_up))


def _range_rows(ranges: SeqRanges) -> list[tuple[int, int, int]]:
    return [(first, last, _crc(first, last)) for first, last in ranges]


def put_buffered(connection: sqlite3.Connection, items: Iterable[Buffered]) -> None:
    """Add records to their destinations."""
    texts: dict[Destination, str] = {}
    rows = []
    for item in items:
        text = texts.get(item.destination) or texts.setdefault(item.destination, item.destination.text)
        crc = _row_crc(item.seq, text, item.arrival_ms, item.data)
        rows.append((item.seq, text, item.arrival_ms, crc, item.data))
    connection.executemany(
        "INSERT INTO buffered (seq, destination, arrival_ms, crc, data) VALUES (?, ?, ?, ?, ?)", rows
    )


def put_delivery(connection: sqlite3.Connection, delivery: Delivery) -> None:
    """Keep what object is begun for a destination."""
    text = delivery.destination.text
    connection.execute(
        "INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, ?)",
        (text, delivery.last_position, delivery.key, _crc(text, delivery.last_position, delivery.key)),
    )


def drop_delivery(connection: sqlite3.Connection, destination: Destination) -> None:
    """Keep no longer what object is begun for a destination."""
    connection.execute("DELETE FROM deliveries WHERE destination = ?", (destination.text,))


def count(connection: sqlite3.Connection, counted: Mapping[str, int]) -> None:
    """Add to the counters."""
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        Counter(counted).items(),
    )


def note_accepted(connection: sqlite3.Connection, accepted: Accepted) -> None:
    """Keep what was accepted, so that it is missed if the end of the journal is gone at the next start."""
    members = (accepted.last_seq, accepted.records, accepted.bytes)
    _set_meta(connection, "accepted", " ".join(map(str, (*members, _crc(*members)))))


def accepted_in(connection: sqlite3.Connection) -> int:
    """Return the newest sequence number that an index has noted as accepted, for who only reads it; 0 for none."""
    noted = connection.execute("SELECT value FROM meta WHERE key = 'accepted'").fetchone()
    try:
        return _accepted(noted[0] if noted else None).last_seq
    except (IndexDamagedError, ValueError, TypeError):
        return 0


def note_kept_from(connection: sqlite3.Connection, seq: int) -> None:
    """Keep from which sequence number on the journal has its files, so that an older one that is gone is missed."""
    _set_meta(connection, "kept_from", f"{seq} {_crc('kept_from', seq)}")


def note_backup(connection: sqlite3.Connection) -> None:
    """Keep that the stream has a source backup, which is never disabled again (B6, documented)."""
    _set_meta(connection, "source_backup", 1)


def _kept_from(noted: str | None) -> int | None:
    if noted is None:
        return None
    seq, crc = map(int, noted.split())
    if crc != _crc("kept_from", seq):
        raise IndexDamagedError("what the journal keeps is noted with a wrong checksum")
    return seq


def _accepted(noted: str | None) -> Accepted:
    if noted is None:
        return Accepted()
    *members, crc = map(int, noted.split())
    if crc != _crc(*members):
        raise IndexDamagedError("what was accepted is noted with a wrong checksum")
    return Accepted(*members)


def _connect(path: Path) -> sqlite3.Connection:
    # A private mode before SQLite makes it: the log and its index get that of the file.
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL syncs the log at every commit: what is committed survives a power cut.
        connection.execute("PRAGMA synchronous = FULL")
    except (sqlite3.Error, UnicodeError):
        connection.close()
        raise
    return connection


def _set_meta(connection: sqlite3.Connection, key: str, value: int | str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _buffered(row: tuple[Any, ...], destination: Destination | None = None) -> Buffered:
    """Return a row, whose destination is parsed unless it is known; raises IndexDamagedError."""
    position, seq, text, arrival_ms, crc, data = row
    try:
        if crc != _row_crc(seq, text, arrival_ms, data):
            raise IndexDamagedError(f"the buffered record {seq} has a wrong checksum")
        return Buffered(seq, destination or parse_destination(text), arrival_ms, data, position)
    except (ValueError, TypeError, AttributeError):
        raise IndexDamagedError(f"the buffered record {seq} is damaged") from None


def _row_crc(seq: int, destination: str, arrival_ms: int, data: bytes) -> int:
    return zlib.crc32(data, _crc(seq, destination, arrival_ms))


def _crc(*values: object) -> int:
    return zlib.crc32("\0".join([str(value) for value in values]).encode("utf-8", "surrogatepass"))


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_io_error(error: sqlite3.Error) -> bool:
    return _code(error) in _IO_ERRORS


def _is_damage(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, *_WRONG)


def _why(error: sqlite3.Error) -> str:
    if _code(error) == sqlite3.SQLITE_FULL:
        return "the disk is full; free some space"
    return str(error)
