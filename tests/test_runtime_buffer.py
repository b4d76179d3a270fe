"""The durable buffer: journal and index together."""

import contextlib
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlake.errors import StoreError
from auditlake.runtime import journal
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.damage import DAMAGED, Damage, damage
from auditlake.runtime.destination import errors_of, rows_of
from auditlake.runtime.index import Buffered, BufferFailedError
from auditlake.runtime.journal import Journal, JournalSize
from auditlake.runtime.journal_format import HEADER_BYTES, RECORD_BYTES, Keyed, Placed
from auditlake.runtime.journal_scan import CutOff, Damaged, JournalFile, read_file
from auditlake.runtime.levels import Level, Waiting

D, E = rows_of("d"), errors_of("processing-failed")


def accept(buffer: Buffer, *records: bytes, arrival_ms: int = 1000) -> list[int]:
    """Accept records and wait for the disk."""
    return buffer.accept(arrival_ms, records).result(timeout=10)


def data(buffer: Buffer) -> list[bytes]:
    """The data of all that waits for the transform."""
    return [record.data for record in buffer.next_batch(10**9, 10**6)]


def copy(source: Path, target: Path) -> Path:
    """Copy a data directory as it is on the disk, as a crash would leave it; returns the index's place."""
    shutil.copytree(source, target)
    return target / "buffer.sqlite"


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Flip a bit of a file."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    path.write_bytes(content)


def journal_files(directory: Path) -> list[Path]:
    """The journal's files in their order."""
    return sorted((directory / "buffer.journal").iterdir())


def look(directory: Path) -> Damage:
    """The damage as another process sees it."""
    path = directory / "buffer.sqlite"
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return damage(path, connection)


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
    """Neither a record that left the buffer, nor one before a start, nor another buffer gives its id to a new one."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    (first,) = accept(buffer, b"a")
    buffer.move(buffer.next_batch(100, 100), [], {}, 0)
    (second,) = accept(buffer, b"a")
    buffer.move(buffer.next_batch(100, 100), [], {}, 0)
    buffer.close()
    again = Buffer(tmp_path / "buffer.sqlite")
    (third,) = accept(again, b"a")
    other = Buffer(tmp_path / "other.sqlite")
    (fourth,) = accept(other, b"a")

    ids = [again.record_id(first), again.record_id(second), again.record_id(third), other.record_id(fourth)]
    assert len(set(ids)) == 4
    again.close()
    other.close()


def test_a_request_that_fails_acknowledges_nothing_and_the_buffer_lives(tmp_path: Path) -> None:
    """What cannot be written is an error, nothing of it stays, and the next request is taken."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    with pytest.raises(StoreError, match="could not be written"):
        buffer.accept(1, [b"good", [1]]).result(timeout=10)  # type: ignore[list-item]  # a list has no bytes

    accept(buffer, b"good")

    assert data(buffer) == [b"good"]
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
    """Moved records wait at their destination, and the buffer opened when the first of them came."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    one, two = accept(buffer, b"one", b"two", arrival_ms=7)
    batch = buffer.next_batch(100, 100)
    buffer.move(batch[:1], [Buffered(one, D, 7, b"ONE!")], {"moved": 1}, now_ms=50)

    assert buffer.waiting() == Waiting(1, 3, 7)
    assert buffer.levels() == [Level(D, 1, 4, 7, 50)]
    assert buffer.contents(D, 100) == [Buffered(one, D, 7, b"ONE!")]
    assert buffer.counters()["moved"] == 1
    assert [r.seq for r in buffer.next_batch(100, 100)] == [two]
    buffer.close()


def test_stored_records_leave_and_failures_go_to_their_destination(tmp_path: Path) -> None:
    """After an object is stored its records are gone; those that failed wait under the error destination."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    one, two = accept(buffer, b"1", b"2", arrival_ms=7)
    buffer.move(buffer.next_batch(9, 9), [Buffered(one, D, 7, b"1"), Buffered(two, D, 7, b"2")], {}, 50)
    taken = buffer.contents(D, 100)
    buffer.stored(D, taken, [Buffered(two, E, 7, b"why")], {"stored": 1}, now_ms=60)

    assert buffer.levels() == [Level(E, 1, 3, 7, 60)]
    assert buffer.contents(D, 100) == []
    buffer.close()


def test_an_object_that_was_begun_stays_as_it_was_begun(tmp_path: Path) -> None:
    """After a start key and records are the same, whatever came to the destination meanwhile."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    one, two, three = accept(buffer, b"1", b"2", b"3")
    first, second, third = buffer.next_batch(9, 9)
    buffer.move([first, third], [Buffered(one, D, 1, b"1"), Buffered(three, D, 1, b"3")], {}, 0)
    buffer.begin(D, buffer.contents(D, 100), "the/key")
    buffer.move([second], [Buffered(two, D, 1, b"2")], {}, 0)
    buffer.close()
    again = Buffer(tmp_path / "buffer.sqlite")

    begun = again.begun(D)
    assert begun is not None
    assert (begun[0], [item.data for item in begun[1]]) == ("the/key", [b"1", b"3"])
    assert again.recovery.begun == 1
    again.stored(D, begun[1], [], {}, 0)
    assert again.begun(D) is None
    assert [item.data for item in again.contents(D, 100)] == [b"2"]
    again.close()


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


def test_a_file_that_is_no_buffer_is_refused(tmp_path: Path) -> None:
    """A file that SQLite does not know gives a sentence, and stays as it was."""
    path = tmp_path / "buffer.sqlite"
    path.write_text("this is not a database, and long enough for SQLite to be sure of that" * 20)
    before = path.read_bytes()

    with pytest.raises(StoreError, match="cannot be opened"):
        Buffer(path)

    assert path.read_bytes() == before


def test_what_was_taken_is_skipped(tmp_path: Path) -> None:
    """After a sequence number come the records behind it, and the oldest arrival is theirs."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    first, second = accept(buffer, b"a", arrival_ms=1)[0], accept(buffer, b"bb", arrival_ms=2)[0]

    assert [r.seq for r in buffer.next_batch(100, 100, after=first)] == [second]
    assert buffer.waiting(after=first) == Waiting(2, 3, 2)
    assert buffer.waiting(after=second) == Waiting(2, 3, None)
    assert buffer.newest() == second
    buffer.move(buffer.next_batch(100, 100, after=first), [], {}, 0)
    assert buffer.newest() == first
    buffer.close()


def test_counts_and_the_day_of_making_survive_a_restart(tmp_path: Path) -> None:
    """What was counted adds up over restarts, and the buffer knows when it was made."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"aa")
    buffer.count({"deliveries.failed": 2})
    created = buffer.created_ms
    buffer.close()
    again = Buffer(tmp_path / "buffer.sqlite")
    accept(again, b"b")
    again.count({"deliveries.failed": 1})

    assert again.counters() == {"accepted.bytes": 3, "accepted.records": 2, "deliveries.failed": 3}
    assert again.created_ms == created
    again.close()


def test_a_partition_key_survives_a_crash_and_counts_as_no_data(tmp_path: Path) -> None:
    """What was put with a key has it after the crash, its neighbour has none, and both count by their data alone."""
    buffer = Buffer(tmp_path / "data" / "buffer.sqlite")
    buffer.accept(1000, [Keyed(b"aa", "tenant-ä"), b"b"]).result(timeout=10)
    assert buffer.waiting() == Waiting(2, 3, 1000)
    again = Buffer(copy(tmp_path / "data", tmp_path / "crashed"))

    found = [(record.data, record.partition_key) for record in again.next_batch(100, 100)]
    assert found == [(b"aa", "tenant-ä"), (b"b", None)]
    assert (again.waiting(), again.counters()) == (buffer.waiting(), {"accepted.bytes": 3, "accepted.records": 2})
    again.close()
    buffer.close()


def test_a_request_that_is_given_up_costs_no_other(tmp_path: Path) -> None:
    """Cancelling what waits for the disk changes nothing: the record is stored, and the writer goes on."""
    buffer = Buffer(tmp_path / "buffer.sqlite")

    assert not buffer.accept(1, [b"given up"]).cancel()
    accept(buffer, b"next")

    assert data(buffer) == [b"given up", b"next"]
    buffer.close()


def test_a_closed_buffer_refuses(tmp_path: Path) -> None:
    """A request that comes after the close gets an answer, and so does a step of the stream."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    buffer.close()

    with pytest.raises(StoreError, match="is closed"):
        accept(buffer, b"late")
    with pytest.raises(StoreError, match="it is closed"):
        buffer.count({"a": 1})


def test_what_is_delivered_leaves_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the journal goes once its records are answered and stored, not before, and the newest stays."""
    monkeypatch.setattr(journal, "FILE_BYTES", 1)
    buffer = Buffer(tmp_path / "buffer.sqlite")
    one, two, three = (accept(buffer, each)[0] for each in (b"1", b"2", b"3"))
    assert len(journal_files(tmp_path)) == 3

    buffer.move(buffer.next_batch(9, 9), [Buffered(one, D, 1, b"1"), Buffered(two, E, 1, b"2")], {}, 0)
    assert len(journal_files(tmp_path)) == 3, "both are still needed: nothing is stored"
    buffer.stored(E, buffer.contents(E, 9), [], {}, 0)
    buffer.stored(D, buffer.contents(D, 9), [], {}, 0)
    assert [path.name for path in journal_files(tmp_path)] == [f"{three:020d}.journal"]
    buffer.close()


def test_the_next_start_tells_what_it_recovered(tmp_path: Path) -> None:
    """Counts of what waits and what is buffered, and whether the last process stopped by itself."""
    live = tmp_path / "live"
    buffer = Buffer(live / "buffer.sqlite")
    assert buffer.recovery.sentence() == "The buffer is new."
    one, *_ = accept(buffer, b"1", b"2", b"3", arrival_ms=buffer.recovery.opened_ms - 600_000)
    buffer.move(buffer.next_batch(1, 1), [Buffered(one, D, buffer.recovery.opened_ms, b"1")], {}, 0)
    crashed = Buffer(copy(live, tmp_path / "crashed"))
    buffer.close()
    closed = Buffer(live / "buffer.sqlite")

    waits = "recovered from the buffer: 2 accepted records for the transform and 1 accepted record for 1 object waiting"
    assert f"The last process did not stop cleanly; {waits}, the oldest for 10 minutes." == crashed.recovery.sentence()
    assert f"The last process stopped cleanly; {waits}, the oldest for 10 minutes." == closed.recovery.sentence()
    crashed.close()
    closed.close()


def test_a_flipped_bit_costs_one_record_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The others are transformed; the damaged one is counted and named, its bytes are kept, and it stalls nothing."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"first", b"second", b"third")
    buffer.close()
    (file,) = journal_files(tmp_path)
    flip(file, HEADER_BYTES + RECORD_BYTES + len(b"first") + RECORD_BYTES + 2, 3)
    damaged_bytes = file.read_bytes()

    with caplog.at_level(logging.ERROR):
        again = Buffer(tmp_path / "buffer.sqlite")
    assert data(again) == [b"first", b"third"]
    assert again.counters()["damaged.records"] == 1
    assert again.waiting().records == 2
    (problem,) = again.recovery.problems
    assert "1 accepted records, numbers 2 to 2, cannot be read" in problem
    assert problem in caplog.text
    assert f" of {file}; that file is kept in {tmp_path / 'damaged'} when its other records are delivered." in problem
    again.move(again.next_batch(99, 99), [], {}, 0)
    accept(again, b"next")
    again.move(again.next_batch(99, 99), [], {}, 0)
    again.close()

    last = Buffer(tmp_path / "buffer.sqlite")
    assert last.counters()["damaged.records"] == 1, "it is counted once"
    assert (tmp_path / "damaged" / file.name).read_bytes() == damaged_bytes
    last.close()


def test_damage_while_it_runs_is_found_when_it_is_read(tmp_path: Path) -> None:
    """A record that is damaged after the start is given up when its turn comes, and the others go on."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"first", b"second")
    (file,) = journal_files(tmp_path)
    flip(file, HEADER_BYTES + RECORD_BYTES, 0)

    assert data(buffer) == [b"second"]
    assert buffer.counters()["damaged.records"] == 1
    buffer.close()


@pytest.mark.parametrize("part", ["buffer.sqlite", "buffer.sqlite-wal"])
def test_any_flipped_bit_of_the_index_costs_no_record(tmp_path: Path, part: str) -> None:
    """Whichever byte of the index or its log is damaged, every record that is not stored is still there."""
    live = tmp_path / "live"
    buffer = Buffer(live / "buffer.sqlite")
    one, two, three = accept(buffer, b"one", b"two", b"three")
    buffer.move(buffer.next_batch(6, 2), [Buffered(one, D, 1, b"ONE"), Buffered(two, E, 1, b"TWO")], {}, 0)
    buffer.begin(D, buffer.contents(D, 100), "key")
    crashed = copy(live, tmp_path / "crashed").parent
    buffer.close()
    if part == "buffer.sqlite":
        shutil.rmtree(crashed)
        copy(live, crashed)
    size = (crashed / part).stat().st_size
    for offset in range(0, size, max(1, size // 60)):
        case = copy(crashed, tmp_path / f"case{offset}").parent
        flip(case / part, offset, offset % 8)
        again = Buffer(case / "buffer.sqlite")
        found = {item.seq for level in again.levels() for item in again.contents(level.destination, 100)}
        assert found | {record.seq for record in again.next_batch(99, 99)} == {one, two, three}, offset
        again.close()
        shutil.rmtree(case)


def test_a_damaged_index_is_kept_and_made_anew(tmp_path: Path) -> None:
    """The start says so; the records are transformed again under their ids."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    (one,) = accept(buffer, b"one")
    identity = buffer.record_id(one)
    buffer.move(buffer.next_batch(9, 9), [Buffered(one, D, 1, b"ONE")], {}, 0)
    buffer.close()
    (tmp_path / "buffer.sqlite").write_bytes(b"nothing of it is left" * 1000)

    again = Buffer(tmp_path / "buffer.sqlite")
    assert [again.record_id(record.seq) for record in again.next_batch(9, 9)] == [identity]
    assert "The buffer's index was damaged" in again.recovery.problems[0]
    assert [path.read_bytes()[:7] for path in (tmp_path / "damaged").iterdir()] == [b"nothing"]
    again.close()


def test_records_missing_at_the_end_of_the_journal_are_told(tmp_path: Path) -> None:
    """What the index saw accepted and the journal's end lacks is counted and named, and its ids are not used again."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"one", b"two", b"three")
    buffer.close()
    (file,) = journal_files(tmp_path)
    os.truncate(file, file.stat().st_size - 1)

    again = Buffer(tmp_path / "buffer.sqlite")
    assert data(again) == [b"one", b"two"]
    assert again.counters()["damaged.records"] == 1
    assert accept(again, b"next")[0] > 3
    again.close()


def test_a_tail_that_was_not_acknowledged_is_cut_off(tmp_path: Path) -> None:
    """Wherever the last write stopped, all before it is there, the start says so, and the next record is accepted."""
    buffer = Buffer(tmp_path / "live" / "buffer.sqlite")
    accept(buffer, b"one")
    (file,) = journal_files(tmp_path / "live")
    whole = file.stat().st_size
    accept(buffer, b"two!")
    crashed = copy(tmp_path / "live", tmp_path / "crashed").parent
    buffer.close()
    for size in range(whole, whole + RECORD_BYTES + 4):
        case = copy(crashed, tmp_path / f"case{size}").parent
        os.truncate(journal_files(case)[0], size)
        again = Buffer(case / "buffer.sqlite")
        assert data(again) == [b"one"]
        assert len(again.recovery.problems) == (size > whole)
        for problem in again.recovery.problems:
            assert str(journal_files(case)[0]) in problem
            words = "as far as is known it was not acknowledged" if "was not written to its end" in problem else DAMAGED
            assert words in problem
        accept(again, b"after")
        assert data(again) == [b"one", b"after"]
        again.close()


def test_a_failed_sync_is_a_refusal_and_the_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a sync has failed nothing is written to that file any more, and what was acknowledged is there."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"one")
    (file,) = journal_files(tmp_path)

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(StoreError, match="Nothing of the request was accepted; it can be sent again"):
            accept(buffer, b"refused")
    refused_size = file.stat().st_size
    accept(buffer, b"two")

    assert file.stat().st_size == refused_size
    assert len(journal_files(tmp_path)) == 2
    assert data(buffer) == [b"one", b"two"]
    buffer.close()


def test_a_full_disk_is_a_refusal_and_the_file_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written of a refused request is cut off, and the next one takes its place."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"one")
    (file,) = journal_files(tmp_path)
    size = file.stat().st_size
    write = os.write

    def fill_up(descriptor: int, body: bytes) -> int:
        if len(body) < 10:
            raise OSError(28, "No space left on device")
        return write(descriptor, body[:10])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fill_up)
        with pytest.raises(StoreError, match="the disk is full; free some space"):
            accept(buffer, b"refused")
    assert file.stat().st_size == size
    accept(buffer, b"two")

    assert journal_files(tmp_path) == [file]
    assert data(buffer) == [b"one", b"two"]
    buffer.close()


def test_an_index_that_lost_what_it_held_stops_the_stream_and_not_the_data(tmp_path: Path) -> None:
    """The step fails with what to do; the next start has every record."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    (one,) = accept(buffer, b"one")
    buffer.move(buffer.next_batch(9, 9), [Buffered(one, D, 1, b"ONE")], {}, 0)
    buffer._index.write(lambda connection: connection.execute("UPDATE buffered SET data = x'00'"))

    with pytest.raises(
        BufferFailedError, match=r"wrong checksum\. What was accepted is in the journal; start auditlake"
    ):
        buffer.contents(D, 9)
    with pytest.raises(BufferFailedError):
        buffer.count({})
    accept(buffer, b"two")
    buffer.close()
    again = Buffer(tmp_path / "buffer.sqlite")
    assert data(again) == [b"one", b"two"]
    again.close()


def test_a_journal_that_was_removed_is_noticed(tmp_path: Path) -> None:
    """A file that has no name any more acknowledges nothing."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"one")
    shutil.rmtree(tmp_path / "buffer.journal")

    with pytest.raises(StoreError, match="the data directory was removed"):
        accept(buffer, b"two")
    buffer.close()


def test_a_journal_that_is_gone_at_a_start_is_told(tmp_path: Path) -> None:
    """The records that the index saw accepted and nobody answered for are counted once, and the buffer is not new."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"one", b"two", b"three")
    buffer.move(buffer.next_batch(9, 1), [], {}, 0)
    buffer.close()
    shutil.rmtree(tmp_path / "buffer.journal")

    again = Buffer(tmp_path / "buffer.sqlite")
    assert not again.recovery.is_new
    (problem,) = again.recovery.problems
    assert "2 accepted records, numbers 1 to 3, cannot be read; buffer.journal does not hold them." in problem
    assert again.counters()["damaged.records"] == 2
    again.close()
    last = Buffer(tmp_path / "buffer.sqlite")
    assert (last.recovery.problems, last.counters()["damaged.records"]) == ((), 2), "it is counted once"
    assert accept(last, b"next")[0] > 3
    last.close()


def test_what_was_refused_is_never_told_as_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync the disk may hold any part of a request that was refused; none of it was accepted."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"one")

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(StoreError):
            accept(buffer, b"written", b"LOST", b"written too")
    accept(buffer, b"two")
    buffer.close()
    flip(journal_files(tmp_path)[0], journal_files(tmp_path)[0].read_bytes().index(b"LOST"))

    for _ in range(2):
        again = Buffer(tmp_path / "buffer.sqlite")
        assert data(again) == [b"one", b"written", b"written too", b"two"]
        assert (again.recovery.problems, again.counters().get("damaged.records", 0)) == ((), 0)
        again.close()


def test_files_that_are_answered_for_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is down lets the journal grow; what waits in it for the transform is found without reading it."""
    monkeypatch.setattr(journal, "FILE_BYTES", 1)
    buffer = Buffer(tmp_path / "buffer.sqlite")
    for _ in range(5):
        (seq,) = accept(buffer, b"x")
        buffer.move(buffer.next_batch(9, 9), [Buffered(seq, D, 1, b"row")], {}, 0)
    accept(buffer, b"new")
    opened: list[str] = []

    def recording(file: JournalFile, *rest: int) -> Iterator[Placed | Damaged | CutOff]:
        opened.append(file.path.name)
        return read_file(file, *rest)

    monkeypatch.setattr(journal, "read_file", recording)

    newest = journal_files(tmp_path)[-1].name
    assert buffer.waiting() == buffer.waiting(after=0) == Waiting(1, 3, 1000)
    assert data(buffer) == [b"new"]
    assert set(opened) == {newest}
    buffer.close()
    opened.clear()
    again = Buffer(tmp_path / "buffer.sqlite")
    assert again.waiting() == Waiting(1, 3, 1000)
    assert set(opened) == {newest}
    again.close()


def test_a_disk_that_does_not_answer_does_not_hold_the_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The close returns while a sync hangs, and what was not acknowledged then never is."""
    monkeypatch.setattr("auditlake.runtime.buffer.CLOSE_S", 0.1)
    let_go, hangs = threading.Event(), threading.Event()

    def hang(_journal: Journal, _records: object) -> list[int]:
        hangs.set()
        let_go.wait(60)
        raise StoreError("The disk came back too late.")

    monkeypatch.setattr(Journal, "append", hang)
    buffer = Buffer(tmp_path / "buffer.sqlite")
    future = buffer.accept(1, [b"one"])
    assert hangs.wait(10)
    buffer.close()

    assert not future.done()
    let_go.set()
    with pytest.raises(StoreError):
        future.result(timeout=10)


def test_damage_is_found_by_who_only_looks(tmp_path: Path) -> None:
    """Whether a start has counted it or not, the damaged records are told with the files that hold their bytes."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"first", b"second", b"third")
    buffer.close()
    (file,) = journal_files(tmp_path)
    assert look(tmp_path) == Damage(0, ())
    flip(file, HEADER_BYTES + RECORD_BYTES + len(b"first") + RECORD_BYTES + 2)
    assert look(tmp_path) == Damage(1, (str(file),))

    again = Buffer(tmp_path / "buffer.sqlite")
    assert look(tmp_path) == Damage(1, (str(file),)), "it is counted once"
    accept(again, b"next")
    again.move(again.next_batch(99, 99), [], {}, 0)
    assert look(tmp_path) == Damage(1, (str(tmp_path / DAMAGED / file.name),))
    again.close()


def test_a_refusal_is_a_problem_until_a_request_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Since when and why is known while it lasts; that it is over is told once, and as no error."""
    buffer = Buffer(tmp_path / "buffer.sqlite", clock=lambda: 7.0)
    assert buffer.problem() is None

    def fail(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fail)
        for _ in range(2):
            with pytest.raises(StoreError):
                accept(buffer, b"refused")
    problem = buffer.problem()
    assert problem is not None
    assert (problem.since_ms, "the disk is full" in problem.sentence) == (7000, True)
    accept(buffer, b"one")
    accept(buffer, b"two")

    assert buffer.problem() is None
    over = [record for record in caplog.records if record.message == "Records are accepted again."]
    assert [record.levelno for record in over] == [logging.WARNING]
    buffer.close()


def test_the_journal_says_how_large_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and bytes are those on the disk, while it runs and after a start."""
    monkeypatch.setattr(journal, "FILE_BYTES", 1)
    buffer = Buffer(tmp_path / "buffer.sqlite")
    assert buffer.journal() == JournalSize(0, 0)
    for size in (10, 20, 30):
        accept(buffer, b"x" * size)
    sizes = [path.stat().st_size for path in journal_files(tmp_path)]
    assert buffer.journal() == JournalSize(3, sum(sizes))
    buffer.close()
    again = Buffer(tmp_path / "buffer.sqlite")
    assert again.journal() == JournalSize(3, sum(sizes))
    again.close()


def test_a_journal_that_one_record_keeps_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A large journal of which little waits is a warning that names its oldest file; one that just waits is none."""
    monkeypatch.setattr(journal, "FILE_BYTES", 1)
    monkeypatch.setattr("auditlake.runtime.buffer.LARGE_JOURNAL_BYTES", 10_000)
    buffer = Buffer(tmp_path / "buffer.sqlite")
    (stuck,) = accept(buffer, b"stuck")
    for _ in range(20):
        accept(buffer, b"x" * 1000)
    buffer.move(buffer.next_batch(1, 1), [Buffered(stuck, D, 1, b"stuck")], {}, 0)
    assert caplog.messages == []
    for _ in range(20):
        buffer.move(buffer.next_batch(1, 1), [], {}, 0)

    (told,) = caplog.messages
    assert str(journal_files(tmp_path)[0]) in told
    assert "21 files" in told
    buffer.close()


def test_a_file_that_the_disk_does_not_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start is refused with the file's path and what to do; nothing is changed."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"one")
    buffer.close()
    (file,) = journal_files(tmp_path)

    def fail(*_: object) -> Iterator[Placed]:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("auditlake.runtime.journal_scan.read_records", fail)
        with pytest.raises(StoreError, match=f"{file} cannot be read: Input/output error.*move that file aside"):
            Buffer(tmp_path / "buffer.sqlite")
    again = Buffer(tmp_path / "buffer.sqlite")
    assert data(again) == [b"one"]
    again.close()


def test_the_oldest_file_that_somebody_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its records that were not answered for are counted and named once; a file that was delivered is not."""
    monkeypatch.setattr(journal, "FILE_BYTES", 1)
    live = tmp_path / "live"
    buffer = Buffer(live / "buffer.sqlite")
    for each in (b"1", b"2", b"3", b"4"):
        accept(buffer, each)
    buffer.move(buffer.next_batch(9, 1), [], {}, 0)  # of the first, so that its file goes
    buffer.close()
    assert len(journal_files(live)) == 3
    unharmed = Buffer(copy(live, tmp_path / "unharmed"))
    assert (unharmed.recovery.problems, data(unharmed)) == ((), [b"2", b"3", b"4"])
    unharmed.close()

    removed = journal_files(live)[0]
    removed.unlink()
    again = Buffer(live / "buffer.sqlite")
    (problem,) = again.recovery.problems
    assert "1 accepted records, numbers 2 to 2, cannot be read" in problem
    assert f"{removed} is gone" in problem
    assert "may be lost" in problem
    assert (data(again), again.counters()["damaged.records"]) == ([b"3", b"4"], 1)
    again.close()
    last = Buffer(live / "buffer.sqlite")
    assert (last.recovery.problems, last.counters()["damaged.records"]) == ((), 1), "it is counted once"
    last.close()


def test_a_removed_file_whose_records_are_answered_for_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the index holds is delivered from there; nothing is lost."""
    monkeypatch.setattr(journal, "FILE_BYTES", 1)
    buffer = Buffer(tmp_path / "buffer.sqlite")
    one = accept(buffer, b"1")[0]
    accept(buffer, b"2")
    buffer.move(buffer.next_batch(9, 1), [Buffered(one, D, 1, b"1")], {}, 0)
    buffer.close()
    journal_files(tmp_path)[0].unlink()
    again = Buffer(tmp_path / "buffer.sqlite")
    assert (again.recovery.problems, data(again)) == ((), [b"2"])
    assert [item.data for item in again.contents(D, 9)] == [b"1"]
    again.close()


def test_a_file_that_cannot_be_read_while_it_runs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks after the disk has to know which; what it holds waits."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    accept(buffer, b"one")
    (file,) = journal_files(tmp_path)

    def fail(*_: object) -> Iterator[Placed]:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("auditlake.runtime.journal_scan.read_records", fail)
        with pytest.raises(StoreError, match=f"The journal file {file} of the buffer cannot be read: Input/output"):
            buffer.next_batch(9, 9)
    assert data(buffer) == [b"one"]
    buffer.close()
