"""The journal's files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditlake.errors import StoreError
from auditlake.runtime import journal
from auditlake.runtime.journal import Journal, keep_aside, open_journal
from auditlake.runtime.journal_format import HEADER_BYTES, Record
from auditlake.runtime.journal_scan import CutOff, Damaged, first_header, read_journal, scan

ID = bytes(16)


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each file hold one append."""
    monkeypatch.setattr(journal, "FILE_BYTES", 1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The journal's directory."""
    directory = tmp_path / "buffer.journal"
    directory.mkdir()
    return directory


def reopen(directory: Path, witnessed: int = 0) -> Journal:
    """Open the journal as the next process does."""
    return open_journal(directory, directory.parent / "damaged", scan(directory, witnessed), ID, 5, witnessed)


def records(found: Iterator[Record | Damaged]) -> list[bytes]:
    """The data of the records."""
    return [one.data for one in found if isinstance(one, Record)]


def test_files_follow_each_other_and_are_read_as_one(directory: Path) -> None:
    """Records come in order over all files, also from the middle, and the next process goes on after them."""
    written = reopen(directory)
    assert [written.append([(1, each), (2, each * 2)]) for each in (b"a", b"b", b"c")] == [[1, 2], [3, 4], [5, 6]]
    written.close()

    again = reopen(directory)
    assert again.append([(3, b"next")]) == [7]
    assert records(again.read(3)) == [b"bb", b"c", b"cc", b"next"]
    assert (again.newest, again.accepted_records, again.accepted_bytes) == (7, 7, 13)
    assert [record.data for record in read_journal(directory)] == [b"a", b"aa", b"b", b"bb", b"c", b"cc", b"next"]
    again.close()


def test_files_say_whose_they_are(directory: Path) -> None:
    """The buffer's id and birth can be told without the index; an empty directory tells nothing."""
    assert first_header(directory) is None
    written = reopen(directory)
    written.append([(1, b"a")])
    header = first_header(directory)

    assert header is not None
    assert (header.buffer_id, header.created_ms) == (ID, 5)


def test_only_delivered_files_go_and_damaged_ones_are_kept_aside(directory: Path) -> None:
    """The oldest go first, the newest stays, and one with damage moves to where it is kept."""
    written = reopen(directory)
    for each in (b"a", b"b", b"c", b"d"):
        written.append([(1, each)])
    second = sorted(directory.iterdir())[1]
    content = bytearray(second.read_bytes())
    content[-1] ^= 1
    second.write_bytes(content)
    again = reopen(directory)

    assert again.clear(lambda first, _last: first <= 2) == 2
    assert [path.name[18:20] for path in sorted(directory.iterdir())] == ["03", "04"]
    assert [path.name for path in (directory.parent / "damaged").iterdir()] == [second.name]
    assert again.clear(lambda *_: True) == 1
    assert len(list(directory.iterdir())) == 1


def test_a_file_whose_header_is_lost_is_named_and_set_aside(directory: Path) -> None:
    """Its records are known by number, from its name and from the file after it."""
    written = reopen(directory)
    for each in (b"a", b"b", b"c"):
        written.append([(1, each), (1, each)])
    second = sorted(directory.iterdir())[1]
    second.write_bytes(b"\0" * HEADER_BYTES)

    scanned = scan(directory)
    assert scanned.damaged == [Damaged(3, 4, second.name, 0, HEADER_BYTES)]
    assert records(reopen(directory).read(0)) == [b"a", b"a", b"c", b"c"]
    assert [path.name for path in (directory.parent / "damaged").iterdir()] == [second.name]


def test_a_file_that_is_gone_is_missed(directory: Path) -> None:
    """The file after it knows what was accepted before."""
    written = reopen(directory)
    for each in (b"a", b"b", b"c"):
        written.append([(1, each)])
    sorted(directory.iterdir())[1].unlink()

    (damaged,) = scan(directory).damaged
    assert (damaged.first, damaged.last, damaged.length) == (2, 2, 0)


def test_garbage_at_the_end_is_kept_and_its_numbers_are_not_used(directory: Path) -> None:
    """What may have been a record that was answered gives its number to no other."""
    written = reopen(directory)
    written.append([(1, b"a")])
    (file,) = directory.iterdir()
    with file.open("ab") as out:
        out.write(b"\0" * 100)

    scanned = scan(directory)
    assert scanned.cut_off == [CutOff(file.name, file.stat().st_size - 100, 100, cut_short=False)]
    again = reopen(directory)
    assert again.append([(1, b"b")])[0] > 2
    again.clear(lambda *_: True)
    assert [path.name for path in (directory.parent / "damaged").iterdir()] == [file.name]


def test_a_file_that_cannot_be_made_leaves_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the reason, no file is left, and the next request makes one."""
    written = reopen(directory)

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StoreError, match="the disk is full"):
            written.append([(1, b"a")])
    assert list(directory.iterdir()) == []
    assert written.append([(1, b"a")]) == [1]


def test_a_name_is_never_synced_without_its_file(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the sync of the directory fails nothing is acknowledged, as the file could be gone after a power cut."""
    written = reopen(directory)

    def fail(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "sync_directory", fail)
        with pytest.raises(StoreError, match="Input/output error"):
            written.append([(1, b"a")])
    assert written.append([(1, b"b")]) == [2]
    assert records(written.read(0)) == [b"b"]


def test_what_is_kept_aside_replaces_nothing(tmp_path: Path) -> None:
    """A second damaged file of one name gets another."""
    for content in ("one", "two"):
        (tmp_path / "file").write_text(content)
        keep_aside(tmp_path / "file", tmp_path / "damaged")

    assert {path.name: path.read_text() for path in (tmp_path / "damaged").iterdir()} == {
        "file": "one",
        "file.2": "two",
    }


def test_a_name_that_cannot_be_removed_stops_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When neither the header can be written nor its file removed, the next request uses another name."""
    written = reopen(directory)

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fail)
        patched.setattr(Path, "unlink", fail)
        with pytest.raises(StoreError, match="the disk is full"):
            written.append([(1, b"a")])
    assert written.append([(1, b"b")]) == [2]
    written.close()
    again = reopen(directory)
    assert records(again.read(0)) == [b"b"]
