"""The files of the local bucket."""

import errno
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditlake.directories import make_directories
from auditlake.runtime.bucket_files import BucketFiles
from auditlake.runtime.object_lock import Version

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
KEY = "events/audit_type=login/one.parquet"
FIRST, SECOND = Version(KEY, "first", NOW, 3), Version(KEY, "second", NOW, 3)
MARKER = Version(KEY, "marker", NOW, is_delete_marker=True)


@pytest.fixture
def files(tmp_path: Path) -> BucketFiles:
    """The files of an empty bucket."""
    made = BucketFiles(tmp_path / "bucket")
    made.make()
    return made


def paths(files: BucketFiles) -> list[str]:
    """All files below the bucket's directory."""
    return sorted(str(path.relative_to(files.root)) for path in files.root.rglob("*") if path.is_file())


def put(files: BucketFiles, version: Version, *before: Version) -> None:
    """Put a version over those that were before."""
    files.write(version.version_id, version.version_id.encode())
    if before:
        files.keep_aside(before[0])
    files.show(KEY, (version, *before))


def test_an_object_is_one_read_only_file_at_its_key(files: BucketFiles) -> None:
    """The file lies where the key says, cannot be written to, and no second link is left."""
    put(files, FIRST)
    files.tidy(KEY, (FIRST,))

    path = files.root / KEY
    assert paths(files) == [KEY]
    assert path.read_bytes() == b"first"
    assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0
    assert path.stat().st_nlink == 1


def test_the_version_before_goes_aside(files: BucketFiles) -> None:
    """The key shows the newest body, the other lies in the bucket's own folder."""
    put(files, FIRST)
    put(files, SECOND, FIRST)
    files.tidy(KEY, (SECOND, FIRST))

    assert paths(files) == [f".bucket/versions/{KEY}/first", KEY]
    assert (files.root / KEY).read_bytes() == b"second"
    assert files.body(FIRST, is_latest=False).read_bytes() == b"first"
    assert files.body(SECOND, is_latest=True).read_bytes() == b"second"


def test_what_is_not_tidied_is_taken_back(files: BucketFiles) -> None:
    """Until tidy, the versions that were before can be shown again."""
    put(files, FIRST)
    files.tidy(KEY, (FIRST,))
    put(files, SECOND, FIRST)

    files.show(KEY, (FIRST,))
    files.tidy(KEY, (FIRST,))

    assert paths(files) == [KEY]
    assert (files.root / KEY).read_bytes() == b"first"


def test_a_delete_marker_hides_the_file_and_its_folders(files: BucketFiles) -> None:
    """Nothing is at the key, no empty folder is left, and the body lies aside."""
    put(files, FIRST)
    files.tidy(KEY, (FIRST,))
    files.keep_aside(FIRST)
    files.show(KEY, (MARKER, FIRST))
    files.tidy(KEY, (MARKER, FIRST))

    assert paths(files) == [f".bucket/versions/{KEY}/first"]
    assert not (files.root / "events").exists()


@pytest.mark.parametrize("versions", [(FIRST,), (MARKER,), ()])
def test_a_file_that_the_bucket_does_not_know_is_never_touched(
    files: BucketFiles, versions: tuple[Version, ...]
) -> None:
    """Neither a new object nor a delete marker replaces or removes what somebody else put there."""
    foreign = files.root / KEY
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"foreign")
    files.write("first", b"first")

    if versions == (FIRST,):
        with pytest.raises(FileExistsError):
            files.show(KEY, versions)
    else:
        files.show(KEY, versions)
    files.tidy(KEY, ())

    assert paths(files) == [KEY]
    assert foreign.read_bytes() == b"foreign"


def test_every_name_on_the_way_to_a_body_is_synced(files: BucketFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a put a crash of the machine can lose neither the bytes nor a directory on the way to them."""
    synced: set[int] = set()
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    put(files, FIRST)
    put(files, SECOND, FIRST)

    shown, aside = files.root / KEY, files.body(FIRST, is_latest=False)
    # incoming/ too: by the name there a crash knows the file at the key again for one of the bucket's own.
    needed = [shown, *shown.parents[:3], aside, *aside.parents[:4], files.area / "incoming"]
    assert {path.stat().st_ino for path in needed} <= synced


def test_a_folder_in_the_way_is_told(files: BucketFiles) -> None:
    """S3 holds `a` and `a/b`; a directory cannot, in either order."""
    put(files, FIRST)
    parent = Version("events", "parent", NOW)
    files.write("parent", b"")
    with pytest.raises(NotADirectoryError):
        files.show("events", (parent,))

    with pytest.raises(NotADirectoryError) as caught:
        make_directories(files.root / KEY / "below")
    assert caught.value.errno == errno.ENOTDIR
