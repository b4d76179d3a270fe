"""What waits for the source backup: in the journal, until an object holds it."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from auditlake.errors import StoreError
from auditlake.runtime import journal
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.destination import SOURCE_BACKUP, rows_of
from auditlake.runtime.index import Buffered
from auditlake.runtime.journal_format import HEADER_BYTES, RECORD_BYTES
from auditlake.runtime.levels import Level
from tests.test_runtime_buffer import accept, copy, flip, journal_files

ROWS = rows_of("d")
ALL = 10**9


def opened(directory: Path) -> Buffer:
    """A buffer whose stream has a source backup."""
    return Buffer(directory / "buffer.sqlite", has_backup=True)


def waiting(buffer: Buffer) -> list[bytes]:
    """What waits for the backup."""
    return [item.data for item in buffer.contents(SOURCE_BACKUP, ALL)]


def transformed(buffer: Buffer) -> None:
    """Have the transform drop all that waits for it."""
    buffer.move(buffer.next_batch(ALL, ALL), [], {}, 0)


def test_every_record_waits_as_it_came(tmp_path: Path) -> None:
    """Whatever the transform makes of it, a record waits for the backup with its own bytes, and the level says so."""
    buffer = opened(tmp_path)
    one, _two, _three = accept(buffer, b"1", b"22", b"3", arrival_ms=5)
    buffer.move(buffer.next_batch(3, 2), [Buffered(one, ROWS, 5, b"made of it")], {}, 0)
    accept(buffer, b"444", arrival_ms=9)

    assert waiting(buffer) == [b"1", b"22", b"3", b"444"]
    assert [item.data for item in buffer.contents(SOURCE_BACKUP, 3)] == [b"1", b"22"]
    assert buffer.levels()[-1] == Level(SOURCE_BACKUP, 4, 7, 5, 5)
    buffer.backed_up(buffer.contents(SOURCE_BACKUP, 4), {"backup.objects": 1})
    assert buffer.levels()[-1] == Level(SOURCE_BACKUP, 1, 3, 9, 9)
    assert [item.data for item in buffer.contents(ROWS, ALL)] == [b"made of it"]
    buffer.backed_up(buffer.contents(SOURCE_BACKUP, ALL), {"backup.objects": 1})
    assert [level.destination for level in buffer.levels()] == [ROWS]
    assert buffer.counters()["backup.objects"] == 2
    buffer.close()


def test_the_journal_goes_when_both_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file stays while a record of it waits for the backup, or for the transform, and goes with the last of them."""
    monkeypatch.setattr(journal, "FILE_BYTES", 1)
    buffer = opened(tmp_path)
    for each in (b"1", b"2", b"3"):
        accept(buffer, each)
    transformed(buffer)
    assert len(journal_files(tmp_path)) == 3, "delivered, but not backed up"

    buffer.backed_up(buffer.contents(SOURCE_BACKUP, 1), {})
    assert len(journal_files(tmp_path)) == 2
    accept(buffer, b"4")
    buffer.backed_up(buffer.contents(SOURCE_BACKUP, ALL), {})
    assert len(journal_files(tmp_path)) == 1
    accept(buffer, b"5")
    accept(buffer, b"6")
    buffer.backed_up(buffer.contents(SOURCE_BACKUP, ALL), {})
    assert len(journal_files(tmp_path)) == 3, "backed up, but not transformed"
    transformed(buffer)
    assert len(journal_files(tmp_path)) == 1
    buffer.close()


def test_a_crash_loses_no_place(tmp_path: Path) -> None:
    """The next process has what waits, the object that was begun with its key and records, and says so."""
    live, crashed = tmp_path / "live", tmp_path / "crashed"
    buffer = opened(live)
    accept(buffer, b"1", b"2", b"3")
    transformed(buffer)
    buffer.backed_up(buffer.contents(SOURCE_BACKUP, 1), {})
    buffer.begin(SOURCE_BACKUP, buffer.contents(SOURCE_BACKUP, 1), "raw/key")
    accept(buffer, b"4")
    transformed(buffer)
    copy(live, crashed)
    buffer.close()

    again = opened(crashed)
    assert waiting(again) == [b"2", b"3", b"4"]
    begun = again.begun(SOURCE_BACKUP)
    assert begun is not None
    assert (begun[0], [item.data for item in begun[1]]) == ("raw/key", [b"2"])
    assert (again.recovery.waiting, again.recovery.buffered, again.recovery.backup) == (0, 0, 3)
    assert "recovered from the buffer: 3 accepted records for the source backup waiting" in again.recovery.sentence()
    again.backed_up(begun[1], {})
    assert (again.begun(SOURCE_BACKUP), waiting(again)) == (None, [b"3", b"4"])
    again.close()


def test_a_damaged_index_costs_the_backup_no_record(tmp_path: Path) -> None:
    """The index is made anew, and all that the journal holds is backed up, some of it perhaps once more."""
    buffer = opened(tmp_path)
    accept(buffer, b"1", b"2")
    buffer.backed_up(buffer.contents(SOURCE_BACKUP, 1), {})
    buffer.close()
    (tmp_path / "buffer.sqlite").write_bytes(b"nothing that SQLite knows")

    again = opened(tmp_path)
    assert waiting(again) == [b"1", b"2"]
    again.close()


def test_what_the_journal_holds_when_the_backup_begins_is_backed_up(tmp_path: Path) -> None:
    """A data directory whose stream had no backup gets one: what was delivered and is still there comes into it too."""
    before = Buffer(tmp_path / "buffer.sqlite")
    accept(before, b"1", b"2")
    before.move(before.next_batch(1, 1), [], {}, 0)
    before.close()

    buffer = opened(tmp_path)
    assert waiting(buffer) == [b"1", b"2"]
    buffer.close()


def test_a_backup_is_never_disabled(tmp_path: Path) -> None:
    """As on AWS a backup stays (B6): a plan without it does not start on the directory, and one with it still does."""
    buffer = opened(tmp_path)
    accept(buffer, b"1")
    buffer.close()

    with pytest.raises(StoreError, match="has its source backup enabled, which AWS lets nobody disable"):
        Buffer(tmp_path / "buffer.sqlite")
    again = opened(tmp_path)
    assert waiting(again) == [b"1"]
    again.close()


def damaged(directory: Path, records: Sequence[bytes], which: int) -> None:
    """Damage a record of a journal's only file."""
    offset = HEADER_BYTES + sum(RECORD_BYTES + len(record) for record in records[:which])
    flip(journal_files(directory)[0], offset + RECORD_BYTES)


def test_damage_costs_the_backup_one_record_and_stalls_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A record that was transformed and then damaged is told and counted as lacking, and what comes after it waits."""
    buffer = opened(tmp_path)
    records = (b"first", b"second", b"third")
    accept(buffer, *records)
    transformed(buffer)
    damaged(tmp_path, records, 1)

    with caplog.at_level(logging.ERROR):
        assert waiting(buffer) == [b"first", b"third"]
    assert "1 records, numbers 2 to 2, cannot be read for the source backup, which lacks them" in caplog.text
    assert (buffer.counters()["backup.damaged"], buffer.counters().get("damaged.records")) == (1, None)
    (level,) = buffer.levels()
    assert (level.records, level.bytes) == (2, len(b"firstthird"))
    buffer.backed_up(buffer.contents(SOURCE_BACKUP, ALL), {})
    assert buffer.levels() == []
    buffer.close()
    again = opened(tmp_path)
    assert (again.levels(), again.recovery.problems) == ([], ()), "it is told once"
    again.close()


def test_an_object_whose_records_are_damaged_gives_way(tmp_path: Path) -> None:
    """What was begun and cannot be read any more is not waited for: the next object begins with what is left."""
    buffer = opened(tmp_path)
    records = (b"first", b"second")
    accept(buffer, *records)
    transformed(buffer)
    buffer.begin(SOURCE_BACKUP, buffer.contents(SOURCE_BACKUP, 1), "raw/key")
    damaged(tmp_path, records, 0)

    assert buffer.begun(SOURCE_BACKUP) is None
    assert waiting(buffer) == [b"second"]
    buffer.close()


def test_a_journal_that_is_gone_at_a_start_is_told(tmp_path: Path) -> None:
    """What was transformed and not backed up is counted as lacking in the backup alone."""
    buffer = opened(tmp_path)
    accept(buffer, b"1", b"2")
    transformed(buffer)
    buffer.close()
    shutil.rmtree(tmp_path / "buffer.journal")

    again = opened(tmp_path)
    (problem,) = again.recovery.problems
    assert "2 records, numbers 1 to 2, cannot be read for the source backup" in problem
    assert (again.counters()["backup.damaged"], again.levels()) == (2, [])
    again.close()


def test_a_journal_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    """What waits for the backup waits until the disk reads it."""
    buffer = opened(tmp_path)
    accept(buffer, b"1")
    (tmp_path / "buffer.journal").rename(tmp_path / "away")
    with pytest.raises(StoreError, match=r"The journal file .* of the buffer cannot be read"):
        waiting(buffer)

    (tmp_path / "away").rename(tmp_path / "buffer.journal")
    assert waiting(buffer) == [b"1"]
    buffer.close()
