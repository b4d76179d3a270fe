"""Directories that outlive a power cut."""

import errno
import os
from pathlib import Path

import pytest

from auditlake.directories import make_directories


class Disk:
    """What is synced, by path; `fails` lets the next syncs of a directory fail with an error number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand between the module and the operating system's fsync."""
        self.synced: list[Path] = []
        self.fails: dict[Path, int] = {}
        fsync = os.fsync

        def watched(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if (number := self.fails.pop(path, None)) is not None:
                raise OSError(number, os.strerror(number))
            fsync(descriptor)
            self.synced.append(path)

        monkeypatch.setattr(os, "fsync", watched)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk, watched."""
    return Disk(monkeypatch)


def test_every_name_on_the_way_is_synced(tmp_path: Path, disk: Disk) -> None:
    """Making a/b/c syncs the names of a, b and c, each in its parent, and those above."""
    make_directories(tmp_path / "a" / "b" / "c")
    assert {tmp_path, tmp_path / "a", tmp_path / "a" / "b", tmp_path.parent} <= set(disk.synced)
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_known_directory_costs_nothing(tmp_path: Path, disk: Disk) -> None:
    """The second time nothing is synced."""
    make_directories(tmp_path / "a")
    disk.synced.clear()
    make_directories(tmp_path / "a")
    assert disk.synced == []


def test_a_failed_sync_is_made_up_for(tmp_path: Path, disk: Disk) -> None:
    """When the sync of a new directory's name fails, the next call does not take the directory for durable."""
    disk.fails[tmp_path] = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        make_directories(tmp_path / "a")
    disk.synced.clear()
    make_directories(tmp_path / "a")
    assert tmp_path in disk.synced


def test_what_a_killed_process_made_is_synced(tmp_path: Path, disk: Disk) -> None:
    """A directory that is there is no directory that is on the disk."""
    (tmp_path / "a").mkdir()
    make_directories(tmp_path / "a")
    assert tmp_path in disk.synced


def test_a_directory_that_is_made_again_is_synced_again(tmp_path: Path, disk: Disk) -> None:
    """What was durable and was removed is not durable when it is back."""
    make_directories(tmp_path / "a")
    (tmp_path / "a").rmdir()
    disk.synced.clear()
    make_directories(tmp_path / "a")
    assert disk.synced == [tmp_path]


@pytest.mark.parametrize(
    ("number", "is_new", "raises"), [(errno.EACCES, False, False), (errno.EIO, False, True), (errno.EACCES, True, True)]
)
def test_a_directory_of_somebody_else_need_not_be_synced(
    tmp_path: Path, disk: Disk, number: int, is_new: bool, raises: bool
) -> None:
    """A parent that this user cannot read is no obstacle for what is there already; an I/O error always is."""
    if not is_new:
        (tmp_path / "a").mkdir()
    disk.fails[tmp_path] = number
    if raises:
        with pytest.raises(OSError, match=os.strerror(number)):
            make_directories(tmp_path / "a")
    else:
        make_directories(tmp_path / "a")


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    """A file where a directory should be is an error that says so."""
    (tmp_path / "a").write_text("")
    with pytest.raises(NotADirectoryError, match="a file is in the way"):
        make_directories(tmp_path / "a" / "b")


def test_the_mode_is_for_what_is_made(tmp_path: Path) -> None:
    """New directories get the mode, those that are there keep theirs."""
    (tmp_path / "a").mkdir(0o755)
    make_directories(tmp_path / "a" / "b", 0o700)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
