"""The durable buffer."""

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlake.errors import StoreError
from auditlake.runtime.buffer import Buffer, Buffered, Destination, Waiting


def accept(buffer: Buffer, *records: bytes, arrival_ms: int = 1000) -> list[int]:
    """Accept records and wait for the disk."""
    return buffer.accept(arrival_ms, records).result(timeout=10)


def test_accepted_records_are_there_after_a_restart(tmp_path: Path) -> None:
    """What was acknowledged is found by the next process, in order, with its arrival."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"a", b"b", arrival_ms=5)
    buffer.close()

    again = Buffer(tmp_path / "buffer.sqlite")

    assert [(r.arrival_ms, r.data) for r in again.next_batch(100, 100)] == [(5, b"a"), (5, b"b")]
    assert again.waiting() == Waiting(2, 2, 5)
    again.close()


def test_record_ids_are_never_used_twice(tmp_path: Path) -> None:
    """Neither a record that left the buffer nor another buffer gives its id to a new record."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    (first,) = accept(buffer, b"a")
    buffer.move(buffer.next_batch(100, 100), [], {}, 0)
    (second,) = accept(buffer, b"a")
    other = Buffer(tmp_path / "other.sqlite")
    (third,) = accept(other, b"a")

    assert len({buffer.record_id(first), buffer.record_id(second), other.record_id(third)}) == 3
    buffer.close()
    other.close()


def test_requests_that_wait_together_share_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one commit runs, what arrives is gathered and committed at once."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    sizes: list[int] = []
    go_on = threading.Event()
    commit = buffer._commit

    def slow_commit(jobs: object) -> None:
        sizes.append(len(jobs))  # type: ignore[arg-type]  # a sequence of jobs
        go_on.wait(10)
        commit(jobs)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(buffer, "_commit", slow_commit)
    futures = [buffer.accept(1, [b"x"]) for _ in range(20)]
    go_on.set()
    for future in futures:
        future.result(timeout=10)

    assert len(sizes) < 20
    assert sum(sizes) == 20
    buffer.close()


def test_a_commit_that_fails_acknowledges_nothing_and_the_buffer_lives(tmp_path: Path) -> None:
    """Every request of a failed commit gets the error, none of their records stays, and the next request is taken."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    with pytest.raises(StoreError, match="could not be written"):
        buffer.accept(1, [b"good", [1]]).result(timeout=10)  # type: ignore[list-item]  # a list is what SQLite refuses

    accept(buffer, b"good")

    assert [r.data for r in buffer.next_batch(100, 100)] == [b"good"]
    assert buffer.counters()["accepted.records"] == 1
    buffer.close()


def test_a_batch_holds_at_least_one_record_and_keeps_both_limits(tmp_path: Path) -> None:
    """A record larger than the limit still comes, alone; otherwise bytes and count bound the batch."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"x" * 50, b"a", b"b", b"c")

    assert [len(r.data) for r in buffer.next_batch(10, 10)] == [50]
    assert len(buffer.next_batch(1000, 3)) == 3
    assert len(buffer.next_batch(51, 10)) == 2
    buffer.close()


def test_a_move_is_whole_and_levels_follow(tmp_path: Path) -> None:
    """Moved records leave `accepted`, wait at their destination, and the buffer opened when the first of them came."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    one, two = accept(buffer, b"one", b"two", arrival_ms=7)
    batch = buffer.next_batch(100, 100)
    buffer.move(batch[:1], [Buffered(one, "d", 7, b"ONE!")], {"moved": 1}, now_ms=50)

    assert buffer.waiting() == Waiting(1, 3, 7)
    assert buffer.destinations() == [Destination("d", 1, 4, 7, 50)]
    assert buffer.contents("d", 100) == [Buffered(one, "d", 7, b"ONE!")]
    assert buffer.counters()["moved"] == 1
    assert [r.seq for r in buffer.next_batch(100, 100)] == [two]
    buffer.close()


def test_stored_records_leave_and_failures_go_to_their_destination(tmp_path: Path) -> None:
    """After an object is stored its records are gone; those that failed wait under the error destination."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    one, two = accept(buffer, b"1", b"2", arrival_ms=7)
    buffer.move(buffer.next_batch(9, 9), [Buffered(one, "d", 7, b"1"), Buffered(two, "d", 7, b"2")], {}, 50)
    taken = buffer.contents("d", 100)
    buffer.stored("d", taken, [Buffered(two, "e", 7, b"why")], {"stored": 1}, now_ms=60)

    assert buffer.destinations() == [Destination("e", 1, 3, 7, 60)]
    assert buffer.contents("d", 100) == []
    buffer.close()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=30), min_size=1, max_size=5), max_size=6), st.integers(1, 60))
def test_every_accepted_record_comes_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, puts: list[list[bytes]], limit: int
) -> None:
    """Whatever the requests and the batch size, every record is handed out once, in the order of arrival."""
    buffer = Buffer(tmp_path_factory.mktemp("buffer") / "buffer.sqlite")
    for records in puts:
        accept(buffer, *records)
    seen: list[bytes] = []
    while batch := buffer.next_batch(limit, 100):
        seen += [record.data for record in batch]
        buffer.move(batch, [], {}, 0)

    assert seen == [record for records in puts for record in records]
    assert buffer.waiting() == Waiting(0, 0, None)
    buffer.close()


def test_commits_are_synced(tmp_path: Path) -> None:
    """The log is synced at every commit: full synchronous mode, write-ahead log."""
    buffer = Buffer(tmp_path / "buffer.sqlite")

    assert buffer._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert buffer._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    buffer.close()


def test_a_file_that_is_no_buffer_is_refused(tmp_path: Path) -> None:
    """A file that SQLite does not know gives a sentence, and stays as it was."""
    path = tmp_path / "buffer.sqlite"
    path.write_text("this is not a database, and long enough for SQLite to be sure of that" * 20)
    before = path.read_bytes()

    with pytest.raises(StoreError, match="cannot be opened"):
        Buffer(path)

    assert path.read_bytes() == before


def test_the_buffer_is_one_plain_sqlite_file(tmp_path: Path) -> None:
    """At 3 a.m. the sqlite3 shell shows what waits."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"a")
    buffer.close()

    with sqlite3.connect(tmp_path / "buffer.sqlite") as connection:
        assert connection.execute("SELECT data FROM accepted").fetchall() == [(b"a",)]
    connection.close()


def test_what_was_taken_is_skipped(tmp_path: Path) -> None:
    """After a sequence number come the records behind it, and the oldest arrival is theirs."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    first, second = accept(buffer, b"a", arrival_ms=1)[0], accept(buffer, b"bb", arrival_ms=2)[0]

    assert [r.seq for r in buffer.next_batch(100, 100, after=first)] == [second]
    assert buffer.waiting(after=first) == Waiting(2, 3, 2)
    assert buffer.waiting(after=second) == Waiting(2, 3, None)
    buffer.close()


def test_counts_and_the_day_of_making_survive_a_restart(tmp_path: Path) -> None:
    """What was counted adds up over restarts, and the buffer knows when it was made."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    buffer.count({"deliveries.failed": 2})
    created = buffer.created_ms
    buffer.close()
    again = Buffer(tmp_path / "buffer.sqlite")
    again.count({"deliveries.failed": 1})

    assert again.counters() == {"deliveries.failed": 3}
    assert again.created_ms == created
    again.close()


def test_a_request_that_is_given_up_costs_no_other(tmp_path: Path) -> None:
    """Cancelling what waits for the disk changes nothing: the record is stored, and the writer goes on."""
    buffer = Buffer(tmp_path / "buffer.sqlite")

    assert not buffer.accept(1, [b"given up"]).cancel()
    accept(buffer, b"next")

    assert [r.data for r in buffer.next_batch(100, 100)] == [b"given up", b"next"]
    buffer.close()
