"""The durable buffer between deliver and store: one SQLite file, written by one thread.

A record lives in exactly one place until its object is stored: in `accepted` until the transform has answered for it,
then in `buffered` under its destination. Each move is one transaction, so a crash repeats a step and loses nothing.
Requests that arrive together share one commit, hence one sync of the disk.
"""

import queue
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditlake.errors import StoreError

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS accepted (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, arrival_ms INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS buffered (
    seq INTEGER PRIMARY KEY, destination TEXT NOT NULL, arrival_ms INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS buffered_destination ON buffered (destination, seq);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""

MAX_SHARED_COMMIT = 1_000
"""How many waiting jobs share one commit at most, so that the first of them does not wait without end."""


@dataclass(frozen=True)
class Record:
    """A record as it was accepted: its place in the order, arrival (epoch ms, UTC) and bytes."""

    seq: int
    arrival_ms: int
    data: bytes


@dataclass(frozen=True)
class Buffered:
    """A record that goes to a destination; `data` is what will be converted, or an error object."""

    seq: int
    destination: str
    arrival_ms: int
    data: bytes


@dataclass(frozen=True)
class Waiting:
    """The accepted records that the transform has not answered for: count, bytes, oldest arrival (epoch ms, UTC)."""

    records: int
    bytes: int
    oldest_arrival_ms: int | None


@dataclass(frozen=True)
class Destination:
    """What waits for one destination: count, bytes, oldest arrival, and when its buffer was opened (epoch ms, UTC)."""

    name: str
    records: int
    bytes: int
    oldest_arrival_ms: int
    opened_ms: int


@dataclass(frozen=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    done: "Future[Any]"


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL syncs the log at every commit: what is committed survives a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    return connection


class Buffer:
    """The buffer's file; all writing happens in its own thread, in the order of arrival."""

    def __init__(self, path: Path) -> None:
        """Open or make the file at `path`; raises StoreError when it cannot be opened or is no buffer."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connect(path)
            self._connection.executescript(SCHEMA)
            self._reader = _connect(path)
            self._reading = threading.RLock()
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('id', ?)", (uuid.uuid4().hex,))
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('created_ms', ?)", (int(time.time() * 1000),))
            meta = dict(self._connection.execute("SELECT key, value FROM meta").fetchall())
            self.id = meta["id"]
            self.created_ms = int(meta["created_ms"])
            self._levels = _Levels(self._reader)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"The buffer {path} cannot be opened: {error}.") from None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="buffer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what was asked for and close the file."""
        self._jobs.put(None)
        self._thread.join()
        self._reader.close()
        self._connection.close()

    def record_id(self, seq: int) -> str:
        """Return the RecordId of a record, which is never reused, not even by another buffer."""
        return record_id(self.id, seq)

    def accept(self, arrival_ms: int, records: Sequence[bytes]) -> "Future[list[int]]":
        """Store records; the future holds their sequence numbers once they are on the disk, or the error."""

        size = sum(map(len, records))

        def work(connection: sqlite3.Connection) -> list[int]:
            insert = "INSERT INTO accepted (arrival_ms, data) VALUES (?, ?)"
            sequence = [connection.execute(insert, (arrival_ms, data)).lastrowid or 0 for data in records]
            _count(connection, {"accepted.records": len(records), "accepted.bytes": size})
            return sequence

        def committed(done: "Future[list[int]]") -> None:
            if done.exception() is None:
                self._levels.add_waiting(len(records), size)

        return self._submit(work, committed)

    def move(
        self, answered: Sequence[Record], buffered: Sequence[Buffered], counted: Mapping[str, int], now_ms: int
    ) -> None:
        """Replace accepted records by what the transform and the partitioning made of them; waits for the disk.

        `now_ms` (epoch ms) is when the buffer of a destination opens that was empty. Raises StoreError.
        """

        def work(connection: sqlite3.Connection) -> None:
            _insert(connection, buffered)
            connection.executemany("DELETE FROM accepted WHERE seq = ?", [(record.seq,) for record in answered])
            _count(connection, counted)

        self._submit(work).result()
        self._levels.add_waiting(-len(answered), -sum(len(record.data) for record in answered))
        self._levels.add_buffered(buffered, now_ms)

    def stored(
        self,
        destination: str,
        taken: Sequence[Buffered],
        failed: Sequence[Buffered],
        counted: Mapping[str, int],
        now_ms: int,
    ) -> None:
        """Drop records of a destination that are stored, and put those that failed under their error destination.

        `now_ms` (epoch ms) is when the buffer of an error destination opens that was empty. Raises StoreError.
        """

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM buffered WHERE seq = ?", [(item.seq,) for item in taken])
            _insert(connection, failed)
            _count(connection, counted)

        self._submit(work).result()
        with self._reading:
            self._levels.reload(self._reader, destination)
        self._levels.add_buffered(failed, now_ms)

    def count(self, counted: Mapping[str, int]) -> None:
        """Add to the counters; raises StoreError."""
        self._submit(lambda connection: _count(connection, counted)).result()

    def waiting(self, after: int = 0) -> Waiting:
        """Return what the transform has not answered for; the oldest arrival is that of the records after `after`."""
        with self._reading:
            oldest = self._reader.execute(
                "SELECT arrival_ms FROM accepted WHERE seq > ? ORDER BY seq LIMIT 1", (after,)
            ).fetchone()
        records, size = self._levels.waiting()
        return Waiting(records, size, oldest[0] if oldest else None)

    def newest(self) -> int:
        """Return the sequence number of the newest accepted record that waits for the transform; 0 when none does."""
        with self._reading:
            return int(self._reader.execute("SELECT coalesce(max(seq), 0) FROM accepted").fetchone()[0])

    def next_batch(self, max_bytes: int, max_records: int, after: int = 0) -> list[Record]:
        """Return the oldest accepted records after sequence number `after`, at least one if there is one.

        They hold no more than `max_bytes` and are no more than `max_records`.
        """
        batch: list[Record] = []
        size = 0
        query = "SELECT seq, arrival_ms, data FROM accepted WHERE seq > ? ORDER BY seq"
        with (
            self._reading,
            closing(self._reader.execute(query, (after,))) as rows,
        ):
            for seq, arrival_ms, data in rows:
                size += len(data)
                if batch and (size > max_bytes or len(batch) >= max_records):
                    break
                batch.append(Record(seq, arrival_ms, data))
        return batch

    def destinations(self) -> list[Destination]:
        """Return what waits for each destination."""
        return self._levels.destinations()

    def contents(self, destination: str, max_bytes: int) -> list[Buffered]:
        """Return the oldest records of a destination, at least one if there is one, up to `max_bytes`."""
        found: list[Buffered] = []
        size = 0
        query = "SELECT seq, destination, arrival_ms, data FROM buffered WHERE destination = ? ORDER BY seq"
        with self._reading, closing(self._reader.execute(query, (destination,))) as rows:
            for row in rows:
                size += len(row[3])
                if found and size > max_bytes:
                    break
                found.append(Buffered(*row))
        return found

    def counters(self) -> dict[str, int]:
        """Return what was counted since the buffer was made, by name."""
        with self._reading:
            return dict(self._reader.execute("SELECT name, value FROM counters ORDER BY name").fetchall())

    def _submit(
        self, work: Callable[[sqlite3.Connection], Any], committed: "Callable[[Future[Any]], None] | None" = None
    ) -> "Future[Any]":
        job = _Job(work, Future())
        # From now on nobody can cancel it: a client that hangs up must not make the writer's answer an error.
        job.done.set_running_or_notify_cancel()
        if committed is not None:
            job.done.add_done_callback(committed)
        self._jobs.put(job)
        return job.done

    def _write(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs = [first]
            stop = False
            while len(jobs) < MAX_SHARED_COMMIT and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    stop = True
                    break
                jobs.append(job)
            self._commit(jobs)
            if stop:
                return

    def _commit(self, jobs: Sequence[_Job]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = [job.work(self._connection) for job in jobs]
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever failed, every waiting request must hear of it
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for job in jobs:
                job.done.set_exception(StoreError(f"The buffer could not be written: {error}."))
            return
        for job, result in zip(jobs, results, strict=True):
            job.done.set_result(result)


def record_id(buffer_id: str, seq: int) -> str:
    """Return the RecordId of a record by its buffer's id and its sequence number."""
    return f"{buffer_id}{seq:020d}"


class _Levels:
    """How full the buffer is, kept in memory because it is asked for at every step; any thread may ask."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._lock = threading.Lock()
        count, size = connection.execute("SELECT count(*), coalesce(sum(length(data)), 0) FROM accepted").fetchone()
        self._waiting = (int(count), int(size))
        self._destinations: dict[str, Destination] = {}
        for (name,) in connection.execute("SELECT DISTINCT destination FROM buffered").fetchall():
            self.reload(connection, name)

    def waiting(self) -> tuple[int, int]:
        with self._lock:
            return self._waiting

    def destinations(self) -> list[Destination]:
        with self._lock:
            return list(self._destinations.values())

    def add_waiting(self, records: int, size: int) -> None:
        with self._lock:
            self._waiting = (self._waiting[0] + records, self._waiting[1] + size)

    def add_buffered(self, items: Iterable[Buffered], now_ms: int) -> None:
        with self._lock:
            for item in items:
                old = self._destinations.get(item.destination) or Destination(
                    item.destination, 0, 0, item.arrival_ms, now_ms
                )
                self._destinations[item.destination] = Destination(
                    name=item.destination,
                    records=old.records + 1,
                    bytes=old.bytes + len(item.data),
                    oldest_arrival_ms=min(old.oldest_arrival_ms, item.arrival_ms),
                    opened_ms=old.opened_ms,
                )

    def reload(self, connection: sqlite3.Connection, destination: str) -> None:
        """Count one destination anew; what was left over from an object opened its buffer when it arrived."""
        count, size, oldest = connection.execute(
            "SELECT count(*), sum(length(data)), min(arrival_ms) FROM buffered WHERE destination = ?", (destination,)
        ).fetchone()
        with self._lock:
            self._destinations.pop(destination, None)
            if count:
                self._destinations[destination] = Destination(destination, count, size, oldest, oldest)


def _insert(connection: sqlite3.Connection, items: Iterable[Buffered]) -> None:
    rows = [(item.seq, item.destination, item.arrival_ms, item.data) for item in items]
    connection.executemany("INSERT OR REPLACE INTO buffered VALUES (?, ?, ?, ?)", rows)


def _count(connection: sqlite3.Connection, counted: Mapping[str, int]) -> None:
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        Counter(counted).items(),
    )
