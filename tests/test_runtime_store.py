"""The store in a directory."""

import errno
import os
import resource
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlake.errors import StoreError
from auditlake.runtime.plan import ObjectLock
from auditlake.runtime.store import DirectoryStore, StoredObject, object_lock_notice

KEY = "events/audit_type=login/year=2026/one.parquet"


def test_an_object_is_a_read_only_file_at_its_key(tmp_path: Path) -> None:
    """The file lies where the key says, holds exactly the bytes, cannot be written to, and nothing else is left."""
    root = tmp_path / "data" / "bucket"
    store = DirectoryStore(root)

    store.put(KEY, b"\x00body\xff")

    assert (root / KEY).read_bytes() == b"\x00body\xff"
    assert stat.S_IMODE((root / KEY).stat().st_mode) & 0o222 == 0
    assert (root / KEY).stat().st_nlink == 1
    assert list((root / ".incoming").iterdir()) == []


def test_put_syncs_the_file_and_every_new_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After put a crash of the machine can lose neither the bytes nor a directory on the way to them."""
    store = DirectoryStore(tmp_path)
    synced: set[int] = set()
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    store.put("a/b/c", b"x")

    needed = [tmp_path, tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/c"]
    assert {path.stat().st_ino for path in needed} <= synced


@settings(max_examples=30, deadline=None)
@given(puts=st.lists(st.tuples(st.sampled_from(["a", "b/c", "b/d", "b/c2/e"]), st.binary(max_size=20)), max_size=12))
def test_the_first_object_of_a_key_stays(puts: list[tuple[str, bytes]]) -> None:
    """Whatever is put in whatever order, each key keeps what was put first, and each later put is refused."""
    with tempfile.TemporaryDirectory() as folder:
        store = DirectoryStore(Path(folder))
        expected: dict[str, bytes] = {}
        for key, body in puts:
            if key in expected:
                with pytest.raises(StoreError, match="never overwritten"):
                    store.put(key, body)
            else:
                store.put(key, body)
            expected.setdefault(key, body)

        assert {found.key: (Path(folder) / found.key).read_bytes() for found in store.objects()} == expected


def test_of_many_writers_of_one_key_one_wins(tmp_path: Path) -> None:
    """Concurrent puts of one key store one body whole and refuse the others."""
    store = DirectoryStore(tmp_path)
    refused: list[int] = []

    def put(number: int) -> None:
        try:
            store.put("a/b/key", bytes([number]) * 1000)
        except StoreError:
            refused.append(number)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (winner,) = set(range(8)) - set(refused)
    assert (tmp_path / "a/b/key").read_bytes() == bytes([winner]) * 1000


@pytest.mark.parametrize(
    "key",
    [
        *("", "/etc/passwd", "a//b", "a/", "..", "../x", "a/../../x", "./a", "a/./b", "a\0b"),
        *(".incoming/x", ".incoming", "a/" + "n" * 256, "é" * 128, "a/" * 512 + "b", "\ud800"),
    ],
)
def test_a_key_that_is_no_path_below_the_store_is_refused(tmp_path: Path, key: str) -> None:
    """No key reaches outside the directory, into its own files, or beyond what S3 and file systems hold."""
    root = tmp_path / "store"
    store = DirectoryStore(root)

    with pytest.raises(StoreError, match="cannot be stored in a directory"):
        store.put(key, b"x")

    assert [path.name for path in tmp_path.rglob("*")] == ["store", ".incoming"]


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a", "a/b/c")])
def test_an_object_and_a_folder_of_one_name_cannot_both_exist(tmp_path: Path, first: str, second: str) -> None:
    """S3 holds `a` and `a/b`; a directory cannot, and the error says so."""
    store = DirectoryStore(tmp_path)
    store.put(first, b"x")

    with pytest.raises(StoreError, match=r"cannot hold both an object `a` and an object `a/b`\."):
        store.put(second, b"y")


def test_what_a_crash_left_half_written_is_removed_at_start(tmp_path: Path) -> None:
    """A temporary file of an earlier process goes, stored objects stay."""
    DirectoryStore(tmp_path).put(KEY, b"kept")
    (tmp_path / ".incoming" / "half").write_bytes(b"ha")

    DirectoryStore(tmp_path)

    assert list((tmp_path / ".incoming").iterdir()) == []
    assert (tmp_path / KEY).read_bytes() == b"kept"


_LIMITED = """
import resource, signal, sys
from pathlib import Path
from auditlake.errors import StoreError
from auditlake.runtime.store import DirectoryStore
store = DirectoryStore(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    store.put("big", b"x" * 5000)
except StoreError as error:
    print(error)
"""


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """When the system stops a write, no object and no temporary file is left, and the reason is a sentence."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] in (resource.RLIM_INFINITY, -1)

    run = subprocess.run([sys.executable, "-c", _LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)

    assert run.stdout == f"The object big cannot be written to the store {tmp_path}: File too large.\n"
    assert [path.name for path in tmp_path.rglob("*")] == [".incoming"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "the disk is full; free some space and the records, which stay in the buffer, are delivered."),
        (errno.EACCES, "permission is denied; let this user write there or choose another data directory."),
        (errno.EPERM, "the file system refuses it; choose a data directory on one that has hard links."),
        (errno.EROFS, "the file system is read-only; choose another data directory."),
        (errno.EIO, "Input/output error."),
    ],
)
def test_a_disk_that_refuses_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    """A refusal by the system becomes a sentence with what to do next, and nothing is stored."""
    store = DirectoryStore(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StoreError) as caught:
        store.put("a", b"x")

    assert str(caught.value) == f"The object a cannot be written to the store {tmp_path}: {advice}"
    assert list(store.objects()) == []
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_a_store_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """A file where the directory should be is a sentence at start, not a traceback."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StoreError, match=r"The store .*/file/bucket cannot be opened: a part of the path is a file"):
        DirectoryStore(tmp_path / "file" / "bucket")


def test_objects_are_listed_by_prefix_in_the_order_of_s3(tmp_path: Path) -> None:
    """A prefix is text, not a folder; keys come in the order of their bytes, with their sizes."""
    store = DirectoryStore(tmp_path)
    for key in ["a/x", "a-b", "a0", "events/y", "events/é", "events-old"]:
        store.put(key, key.encode())
    (tmp_path / ".incoming" / "half").write_bytes(b"ha")

    assert [found.key for found in store.objects()] == ["a-b", "a/x", "a0", "events-old", "events/y", "events/é"]
    assert list(store.objects("events/y")) == [StoredObject("events/y", 8)]
    assert [found.key for found in store.objects("a")] == ["a-b", "a/x", "a0"]
    assert [found.key for found in store.objects("events/")] == ["events/y", "events/é"]


@pytest.mark.parametrize("prefix", ["nothing", "nothing/here/", "a/x/", "../", ".incoming/", "/"])
def test_a_prefix_of_no_object_lists_nothing(tmp_path: Path, prefix: str) -> None:
    """A prefix that no key has, or can have, gives an empty list."""
    store = DirectoryStore(tmp_path / "store")
    store.put("a/x", b"")
    (tmp_path / "outside").write_bytes(b"")
    (tmp_path / "store" / ".incoming" / "half").write_bytes(b"")

    assert list(store.objects(prefix)) == []


def test_it_is_said_that_a_directory_is_not_locked() -> None:
    """With Object Lock in the plan, the user is told that a directory does not enforce it."""
    assert object_lock_notice(ObjectLock("COMPLIANCE", 365)) == (
        "Object Lock (COMPLIANCE, 365 days) is not enforced on a directory: objects are written once, "
        "never overwritten and read-only, but who owns the directory can delete them; in S3 nobody can."
    )
    assert object_lock_notice(None) is None
