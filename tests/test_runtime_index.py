"""The index of the buffer: one SQLite file that is never trusted further than it was checked."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from auditlake.errors import StoreError
from auditlake.runtime import index as index_file
from auditlake.runtime.destination import rows_of
from auditlake.runtime.index import Accepted, Buffered, BufferFailedError, Delivery, Index, IndexDamagedError
from auditlake.runtime.seq_ranges import SeqRanges

D = rows_of("d")


class FailingCommit:
    """A connection whose next commit fails as a disk fails it: before or after the log was written."""

    def __init__(self, connection: sqlite3.Connection, code: int, *, written: bool = False) -> None:
        self.connection = connection
        self.code = code
        self.written = written

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:  # noqa: ANN401 - SQLite's own
        """Run a statement, or fail."""
        if statement != "COMMIT":
            return self.connection.execute(statement, *parameters)
        self.connection.execute("COMMIT" if self.written else "ROLLBACK")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = self.code
        raise error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the connection's own
        return getattr(self.connection, name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "buffer.sqlite"


def fail_next_commit(index: Index, code: int, *, written: bool = False) -> None:
    """Have the disk fail."""
    index._connection = FailingCommit(index._connection, code, written=written)  # type: ignore[assignment]  # a connection


def counted(index: Index) -> dict[str, int]:
    """The counters."""
    return dict(index.read("SELECT name, value FROM counters"))


def count(index: Index) -> None:
    """Count one."""
    index.write(lambda connection: index_file.count(connection, {"n": 1}))


def test_every_transaction_is_synced(path: Path) -> None:
    """Write-ahead log, synced at every commit, readable for its owner alone."""
    index = Index(path, None, None)
    assert index.read("PRAGMA synchronous") == [(2,)]
    assert index.read("PRAGMA journal_mode") == [("wal",)]
    assert [file.stat().st_mode & 0o077 for file in path.parent.iterdir()] == [0, 0, 0]
    index.close(Accepted())


def test_a_failed_sync_is_not_taken_for_a_commit(path: Path) -> None:
    """The file is opened anew: what is not in it was not done, and the next transaction works."""
    index = Index(path, None, None)
    count(index)
    fail_next_commit(index, sqlite3.SQLITE_IOERR_FSYNC)
    with pytest.raises(StoreError, match="It was opened anew") as failed:
        count(index)
    assert not isinstance(failed.value, BufferFailedError)

    count(index)
    assert counted(index) == {"n": 2}
    index.close(Accepted())


def test_a_commit_that_was_written_all_the_same_is_not_done_twice(path: Path) -> None:
    """When the file that was opened anew has the transaction, it counts as done."""
    index = Index(path, None, None)
    fail_next_commit(index, sqlite3.SQLITE_IOERR_FSYNC, written=True)
    count(index)

    assert counted(index) == {"n": 1}
    index.close(Accepted())


def test_a_file_that_lost_what_it_held_is_used_no_more(path: Path) -> None:
    """Opened anew it lacks what was committed: nothing is read or written, and the sentence says what to do."""
    index = Index(path, None, None)
    count(index)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("UPDATE meta SET value = 1 WHERE key = 'generation'")
    other.close()
    fail_next_commit(index, sqlite3.SQLITE_IOERR_WRITE)

    with pytest.raises(
        BufferFailedError, match=r"what was opened anew is not what was written\. .* start auditlake again"
    ):
        count(index)
    for use in (lambda: count(index), lambda: index.read("SELECT 1"), lambda: list(index.rows(D, None))):
        with pytest.raises(BufferFailedError):
            use()
    index.close(Accepted())


def test_a_full_disk_costs_nothing(path: Path) -> None:
    """The transaction is undone, the sentence says what is wrong, and the file is used on."""
    index = Index(path, None, None)
    fail_next_commit(index, sqlite3.SQLITE_FULL)
    with pytest.raises(StoreError, match="the disk is full; free some space"):
        count(index)

    index._connection = index._connection.connection  # type: ignore[attr-defined]  # there is space again
    count(index)
    assert counted(index) == {"n": 1}
    index.close(Accepted())


def test_an_error_of_the_work_undoes_it(path: Path) -> None:
    """What the caller raises goes through, and nothing of its transaction stays."""
    index = Index(path, None, None)

    def work(connection: sqlite3.Connection) -> None:
        index_file.count(connection, {"n": 1})
        raise KeyError("n")

    with pytest.raises(KeyError):
        index.write(work)
    assert counted(index) == {}
    index.close(Accepted())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE buffered SET data = x'00'",
        "UPDATE buffered SET arrival_ms = 2",
        "UPDATE buffered SET seq = 9",
        "UPDATE buffered SET destination = 'rows'",
        "UPDATE answered SET last = 9",
        "UPDATE deliveries SET key = 'elsewhere'",
        "UPDATE deliveries SET last_position = 9",
        "UPDATE meta SET value = 'another' WHERE key = 'id'",
        "UPDATE meta SET value = '9 1 4 ' || substr(value, 7) WHERE key = 'accepted'",
        "UPDATE meta SET value = 'x' WHERE key = 'generation'",
    ],
)
def test_what_was_never_written_is_found_at_the_start(path: Path, statement: str) -> None:
    """A value that changed on the disk has no matching checksum, whatever SQLite thinks of its pages."""
    index = Index(path, "f" * 32, 5)

    def work(connection: sqlite3.Connection) -> None:
        index_file.put_buffered(connection, [Buffered(1, D, 1, b"data")])
        index_file.put_answered(connection, SeqRanges([(1, 1)]))
        index_file.put_delivery(connection, Delivery(D, 1, "key"))

    index.write(work)
    index.close(Accepted(last_seq=1, records=1, bytes=4))
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()

    with pytest.raises(IndexDamagedError):
        Index(path, "f" * 32, 5)


def test_what_was_written_is_found_at_the_start(path: Path) -> None:
    """Rows, ranges, deliveries, counters and what was accepted; and whether it was closed."""
    index = Index(path, None, 5)

    def work(connection: sqlite3.Connection) -> None:
        index_file.put_buffered(connection, [Buffered(1, D, 7, b"data")])
        index_file.put_answered(connection, SeqRanges([(1, 1), (4, 5)]))
        index_file.put_delivery(connection, Delivery(D, 1, "key"))

    index.write(work)
    index.close(Accepted(last_seq=9, records=9, bytes=90))
    again = Index(path, index.id, None)

    assert (again.was_closed, again.created_ms) == (True, 5)
    assert list(again.rows(D, None)) == [Buffered(1, D, 7, b"data")]
    assert list(again.answered) == [(1, 1), (4, 5)]
    assert again.delivery(D) == Delivery(D, 1, "key")
    assert again.accepted() == Accepted(9, 9, 90)
    again.abandon()
    unclosed = Index(path, index.id, None)
    assert not unclosed.was_closed
    unclosed.abandon()


def test_the_index_of_another_buffer_is_not_taken(path: Path) -> None:
    """Its numbers mean other records."""
    Index(path, "a" * 32, 5).close(Accepted())

    with pytest.raises(IndexDamagedError, match="of another buffer"):
        Index(path, "b" * 32, 5)


def test_the_buffer_of_an_earlier_version_is_refused(path: Path) -> None:
    """What waits in it is not left behind without a word."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE accepted (seq INTEGER)")
    connection.close()

    with pytest.raises(StoreError, match=r"cannot be opened: it is of an earlier version .* Deliver it with that one"):
        Index(path, None, None)
