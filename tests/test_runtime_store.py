"""The store of a stream that is a directory, and which store is opened."""

import hashlib
from pathlib import Path

import pytest

from auditlake.errors import ObjectExistsError, S3Error
from auditlake.runtime.bucket import LocalBucket
from auditlake.runtime.bucket_metadata import Metadata
from auditlake.runtime.plan import ObjectLock
from auditlake.runtime.query import run_query
from auditlake.runtime.store import DirectoryStore, open_store
from tests.lake import BUCKET, glue_plan, row, write_rows

LOCK = ObjectLock("COMPLIANCE", 365)
NOW = 1_795_489_200.0


def test_an_object_is_put_with_its_checksum_and_locked(tmp_path: Path) -> None:
    """The store sends what a locked bucket demands, and the bucket stamps its default."""
    store = DirectoryStore(tmp_path, LOCK, lambda: NOW)
    store.put("events/one", b"body")

    (listed,) = store.bucket.objects()
    assert listed.version.sha256 == hashlib.sha256(b"body").digest()
    assert listed.version.retention is not None
    assert listed.version.retention.until.timestamp() == NOW + 365 * 86_400
    with pytest.raises(S3Error, match="AccessDenied"):
        store.bucket.delete("events/one", listed.version.version_id, bypass_governance=True)


def test_a_delivery_that_is_repeated_makes_no_second_version(tmp_path: Path) -> None:
    """The same bytes under the same key are stored once, also in a locked bucket; other bytes are refused."""
    store = DirectoryStore(tmp_path, LOCK)
    store.put("k", b"first")
    store.put("k", b"first")
    with pytest.raises(ObjectExistsError, match=r"The object k is in the store .* with other bytes"):
        store.put("k", b"second")

    (listed,) = store.bucket.objects(versions=True)
    assert store.bucket.body(listed).read_bytes() == b"first"


def test_an_object_that_was_damaged_or_hidden_is_not_as_good_as_stored(tmp_path: Path) -> None:
    """Only a file that still holds the bytes counts; behind a delete marker the object is put again."""
    store = DirectoryStore(tmp_path)
    store.put("k", b"first")
    file = tmp_path / "k"
    file.chmod(0o600)
    file.write_bytes(b"fIrst")
    with pytest.raises(ObjectExistsError):
        store.put("k", b"first")

    store.put("l", b"body")
    store.bucket.delete("l")
    store.put("l", b"body")
    assert (tmp_path / "l").read_bytes() == b"body"


def test_a_directory_is_opened_as_a_bucket_of_the_plans_name(tmp_path: Path) -> None:
    """The bucket lies below the location, laid out by its name."""
    store = open_store(tmp_path, "bucket", None)
    store.put("events/one", b"body")

    assert (tmp_path / "bucket" / "events" / "one").read_bytes() == b"body"


def test_it_is_told_what_a_directory_cannot_enforce(tmp_path: Path) -> None:
    """With Object Lock the user is told who can get around it; without there is nothing to tell."""
    (notice,) = DirectoryStore(tmp_path / "locked", LOCK).notices()
    assert notice.startswith("Object Lock (COMPLIANCE, 365 days) holds for all that is done through auditlake")
    assert "who owns the files can still change or delete them" in notice
    assert DirectoryStore(tmp_path / "unlocked").notices() == ()


def test_an_interrupted_change_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start takes it back or finishes it, says so once, and the object is put again."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    store = DirectoryStore(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(LocalBucket, "_settle", lambda *_: None)
        patched.setattr(Metadata, "add", crash)
        with pytest.raises(KeyboardInterrupt):
            store.put("k", b"body")
    again = DirectoryStore(tmp_path)

    assert again.notices() == ("1 changes of objects were interrupted last time, and are finished or taken back now.",)
    assert DirectoryStore(tmp_path).notices() == ()
    again.put("k", b"body")
    assert (tmp_path / "k").read_bytes() == b"body"


def test_a_query_reads_current_versions_only(tmp_path: Path) -> None:
    """Neither a noncurrent version nor an object under a delete marker is in the table."""
    keys = {}
    for name, ids in (("old", ["a"]), ("new", ["b"]), ("hidden", ["c"])):
        (file,) = write_rows(tmp_path / name, [row(one, "2026-11-24T03:00:00Z") for one in ids])
        keys[name] = str(file.relative_to(tmp_path / name / BUCKET)), file.read_bytes()
    key = keys["old"][0]
    store = DirectoryStore(tmp_path / "data" / BUCKET, LOCK)
    store.put(*keys["old"])
    store.bucket.put(*keys["new"], sha256=hashlib.sha256(keys["new"][1]).digest())
    store.put(key.replace("-1.parquet", "-2.parquet"), keys["hidden"][1])
    store.bucket.delete(key.replace("-1.parquet", "-2.parquet"))

    with run_query(tmp_path / "data", glue_plan(), "SELECT event_id FROM events") as result:
        assert list(result.rows()) == [("b",)]
        assert result.scan().files_total == 1
