"""The local bucket, against a small model of what S3 documents."""

import contextlib
import errno
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from auditlake.errors import S3Error, StoreError
from auditlake.runtime.bucket import LocalBucket
from auditlake.runtime.bucket_metadata import Metadata
from auditlake.runtime.object_lock import Retention, RetentionMode, Version
from auditlake.runtime.plan import ObjectLock

START = 1_795_489_200.0  # 2026-11-24T03:00:00Z
DAY = 86_400
KEY = "events/audit_type=login/year=2026/one.parquet"
LOCK = ObjectLock("COMPLIANCE", 10)


def sha256(body: bytes) -> bytes:
    """The checksum that a put must carry."""
    return hashlib.sha256(body).digest()


class Made:
    """A bucket in a directory, with a clock that is set by hand."""

    def __init__(self, root: Path, object_lock: ObjectLock | None = LOCK) -> None:
        self.now = START
        self.bucket = LocalBucket(root, lambda: self.now)
        self.bucket.open(object_lock)

    def put(self, key: str = KEY, body: bytes = b"body") -> Version:
        """Put with the right checksum."""
        return self.bucket.put(key, body, sha256=sha256(body))

    def shown(self) -> dict[str, bytes]:
        """What lies in the directory, as a query sees it."""
        paths = [p for p in self.bucket.root.rglob("*") if p.is_file() and ".bucket" not in p.parts]
        return {str(path.relative_to(self.bucket.root)): path.read_bytes() for path in paths}

    def inside(self) -> set[str]:
        """The bodies in the bucket's own folder, by version id."""
        area = self.bucket.root / ".bucket"
        return {p.name for p in area.rglob("*") if p.is_file() and p.name not in ("metadata.sqlite", "lock")}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A bucket with COMPLIANCE for ten days."""
    return Made(tmp_path / "bucket")


@dataclass(frozen=True)
class Expected:
    """A version in the model."""

    version_id: str
    body: bytes | None  # None is a delete marker
    mode: str | None = None
    until: float = 0
    hold: bool = False


KEYS = ("a", "b/c", "b/d", "b/c2/e")


class S3(RuleBasedStateMachine):
    """The bucket does what S3 documents: each operation is tried on it and on a dict of version lists."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[str, list[Expected]] = {}

    @initialize(lock=st.sampled_from([None, ObjectLock("GOVERNANCE", 5), ObjectLock("COMPLIANCE", 5)]))
    def make(self, lock: ObjectLock | None) -> None:
        """Make a bucket with one of the default retentions."""
        self.lock = lock
        self.made = Made(Path(self.folder.name) / "bucket", lock)

    def teardown(self) -> None:
        """Remove the directory."""
        self.folder.cleanup()

    def locked(self, version: Expected, *, bypass: bool) -> bool:
        """The model's own reading of E2."""
        retained = version.mode is not None and version.until > self.made.now
        return version.hold or (retained and not (version.mode == "GOVERNANCE" and bypass))

    def some_version(self, data: st.DataObject, *, marker: bool) -> tuple[str, int]:
        """Draw a version of the model: its key and its place, 0 is the newest."""
        found = [
            (key, index)
            for key, versions in self.model.items()
            for index, one in enumerate(versions)
            if marker or one.body is not None
        ]
        return data.draw(st.sampled_from(found))

    def has_version(self, *, marker: bool = True) -> bool:
        """Return whether `some_version` has any to draw from."""
        return any(marker or one.body is not None for versions in self.model.values() for one in versions)

    @rule(key=st.sampled_from(KEYS), body=st.binary(max_size=3), checksum=st.sampled_from(["right", "wrong", "none"]))
    def put(self, key: str, body: bytes, checksum: str) -> None:
        """A put is a new version with the default retention; a wrong or missing checksum is refused."""
        given = {"right": sha256(body), "wrong": sha256(body + b"!"), "none": None}[checksum]
        if checksum == "wrong" or (checksum == "none" and self.lock):
            with pytest.raises(S3Error) as caught:
                self.made.bucket.put(key, body, sha256=given)
            assert caught.value.code == ("BadDigest" if checksum == "wrong" else "InvalidRequest")
            return
        version = self.made.bucket.put(key, body, sha256=given)
        until = self.made.now + self.lock.days * DAY if self.lock else 0
        expected = Expected(version.version_id, body, self.lock.mode if self.lock else None, until)
        self.model.setdefault(key, []).insert(0, expected)

    @rule(key=st.sampled_from(KEYS))
    def delete(self, key: str) -> None:
        """A plain delete is a marker, whatever is locked."""
        marker = self.made.bucket.delete(key)
        assert marker is not None
        self.model.setdefault(key, []).insert(0, Expected(marker.version_id, None))

    @precondition(lambda self: self.has_version())
    @rule(data=st.data(), bypass=st.booleans())
    def delete_version(self, data: st.DataObject, bypass: bool) -> None:
        """A version goes for ever unless it is locked."""
        key, index = self.some_version(data, marker=True)
        version = self.model[key][index]
        if self.locked(version, bypass=bypass):
            with pytest.raises(S3Error) as caught:
                self.made.bucket.delete(key, version.version_id, bypass_governance=bypass)
            assert caught.value.code == "AccessDenied"
            return
        self.made.bucket.delete(key, version.version_id, bypass_governance=bypass)
        del self.model[key][index]
        if not self.model[key]:
            del self.model[key]

    @rule(key=st.sampled_from(KEYS))
    def delete_a_version_that_is_not_there(self, key: str) -> None:
        """What is not there is no error."""
        assert self.made.bucket.delete(key, "0" * 32) is None

    @precondition(lambda self: self.has_version(marker=False))
    @rule(data=st.data(), days=st.integers(-1, 12), mode=st.sampled_from([None, *RetentionMode]), bypass=st.booleans())
    def retain(self, data: st.DataObject, days: int, mode: RetentionMode | None, bypass: bool) -> None:
        """A retention is set where it protects no less than the one that holds."""
        key, index = self.some_version(data, marker=False)
        held, until = self.model[key][index], self.made.now + days * DAY
        new = Retention(mode, datetime.fromtimestamp(until, UTC)) if mode else None
        code = None
        if not self.lock:
            code = "InvalidRequest"
        elif mode and days <= 0:
            code = "InvalidArgument"
        elif (held.mode and held.until > self.made.now and not (held.mode == "GOVERNANCE" and bypass)) and (
            mode != held.mode or until < held.until
        ):
            code = "AccessDenied"
        if code:
            with pytest.raises(S3Error) as caught:
                self.made.bucket.put_retention(key, held.version_id, new, bypass_governance=bypass)
            assert caught.value.code == code
            return
        self.made.bucket.put_retention(key, held.version_id, new, bypass_governance=bypass)
        self.model[key][index] = replace(held, mode=mode.value if mode else None, until=until if mode else 0)

    @precondition(lambda self: self.lock and self.has_version(marker=False))
    @rule(data=st.data(), on=st.booleans())
    def hold(self, data: st.DataObject, on: bool) -> None:
        """A legal hold is put on or taken off."""
        key, index = self.some_version(data, marker=False)
        self.made.bucket.put_legal_hold(key, self.model[key][index].version_id, on=on)
        self.model[key][index] = replace(self.model[key][index], hold=on)

    @rule(days=st.integers(1, 6))
    def time_passes(self, days: int) -> None:
        """Retentions end."""
        self.made.now += days * DAY

    @rule()
    def restart(self) -> None:
        """Another process opens the bucket."""
        now = self.made.now
        self.made = Made(self.made.bucket.root, self.lock)
        self.made.now = now

    @invariant()
    def listings_and_files_are_those_of_the_model(self) -> None:
        """What is listed and what lies in the directory is what the model holds."""
        current = {k: versions[0].body for k, versions in self.model.items() if versions[0].body is not None}
        assert self.made.shown() == current
        assert [one.version.key for one in self.made.bucket.objects()] == sorted(current)
        listed = self.made.bucket.objects(versions=True)
        found = [
            (
                one.version.key,
                Expected(
                    one.version.version_id,
                    None if one.version.is_delete_marker else self.made.bucket.body(one).read_bytes(),
                    one.version.retention.mode.value if one.version.retention else None,
                    one.version.retention.until.timestamp() if one.version.retention else 0,
                    one.version.legal_hold,
                ),
            )
            for one in listed
        ]
        assert found == [(key, one) for key in sorted(self.model) for one in self.model[key]]
        noncurrent = {
            one.version_id for versions in self.model.values() for one in versions[1:] if one.body is not None
        }
        assert self.made.inside() == noncurrent
        assert list(self.made.bucket.check()) == []


S3.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestS3 = S3.TestCase


def test_the_default_retention_is_stamped_at_put(made: Made) -> None:
    """E2: every new version, errors too, is retained from its put for the days of the default, in UTC."""
    for key in (KEY, "errors/processing-failed/one"):
        version = made.put(key)
        assert version.retention == Retention(
            RetentionMode.COMPLIANCE, datetime(2026, 11, 24, 3, tzinfo=UTC) + timedelta(days=10)
        )


def test_another_default_is_for_versions_to_come(made: Made) -> None:
    """E2: the default retention may change; what is stored keeps what it was stamped with."""
    first = made.put("a")
    made.bucket.open(ObjectLock("GOVERNANCE", 1))
    second = made.put("b")

    listed = {one.version.key: one.version for one in made.bucket.objects()}
    assert listed["a"].retention == first.retention
    assert second.retention == Retention(RetentionMode.GOVERNANCE, datetime(2026, 11, 25, 3, tzinfo=UTC))
    assert made.bucket.object_lock() == ObjectLock("GOVERNANCE", 1)


def test_object_lock_is_never_switched_off(made: Made) -> None:
    """E2: a bucket that has Object Lock refuses a plan without, and keeps its default."""
    with pytest.raises(S3Error, match="can never be switched off") as caught:
        made.bucket.open(None)
    assert caught.value.code == "InvalidBucketState"
    assert made.bucket.object_lock() == LOCK


def test_a_locked_object_is_hidden_by_a_marker_and_shown_again_without(made: Made) -> None:
    """E2: a delete succeeds on a locked object, loses nothing, and is undone by deleting the marker."""
    version = made.put()
    marker = made.bucket.delete(KEY)
    assert marker is not None
    assert made.shown() == {}
    assert made.bucket.objects() == []
    assert [one.version for one in made.bucket.objects(versions=True)] == [marker, version]

    made.bucket.delete(KEY, marker.version_id)
    assert made.shown() == {KEY: b"body"}


def test_what_has_no_lock_says_so(made: Made, tmp_path: Path) -> None:
    """E2: a marker, a version that is not there and a bucket without Object Lock have no lock to change."""
    version = made.put()
    marker = made.bucket.delete(KEY)
    assert marker is not None
    unlocked = Made(tmp_path / "unlocked", None)
    other = unlocked.put()
    for bucket, version_id, code in (
        (made.bucket, marker.version_id, "MethodNotAllowed"),
        (made.bucket, "none", "NoSuchVersion"),
        (unlocked.bucket, other.version_id, "InvalidRequest"),
    ):
        with pytest.raises(S3Error) as caught:
            bucket.put_legal_hold(KEY, version_id, on=True)
        assert caught.value.code == code
    assert made.bucket.put_legal_hold(KEY, version.version_id, on=True).legal_hold


def test_files_that_were_there_before_become_null_versions(tmp_path: Path) -> None:
    """E2: a bucket made over existing files lists them without retention, and can put over them."""
    root = tmp_path / "bucket"
    (root / "events").mkdir(parents=True)
    (root / "events" / "old").write_bytes(b"old")
    os.utime(root / "events" / "old", (START, START))

    made = Made(root)
    made.put("events/old", b"new")

    new, old = made.bucket.objects(versions=True)
    assert (old.version.version_id, old.version.retention, old.version.size) == ("null", None, 3)
    assert old.version.last_modified.timestamp() == START
    assert made.bucket.body(old).read_bytes() == b"old"
    assert new.is_latest
    assert list(made.bucket.check()) == []
    made.bucket.delete("events/old", "null")


def test_check_finds_what_was_done_behind_its_back(made: Made) -> None:
    """Changed bytes, other sizes, files that are gone and files that were never put are each one sentence."""
    for key in ("changed", "longer", "gone", "kept", "old"):
        made.put(key, b"body")
    made.put("old", b"newer")
    root = made.bucket.root
    for key, body in (("changed", b"BODY"), ("longer", b"bodybody"), ("foreign", b"")):
        (root / key).unlink(missing_ok=True)
        (root / key).write_bytes(body)
    (root / "gone").unlink()
    (old,) = (root / ".bucket" / "versions" / "old").iterdir()
    old.unlink()

    found = list(made.bucket.check())

    assert [sentence.partition(" ")[0] for sentence in found] == ["changed", "gone", "longer", "old", "foreign:"]
    assert found[0].endswith("its bytes are not those that were put.")
    assert found[1].endswith("its file is gone.")
    assert found[2].endswith("its file has 8 bytes, not the 4 that were put.")
    assert "was not put by the bucket" in found[4]
    assert list(made.bucket.check("kept")) == []


def test_a_file_that_is_in_the_way_is_kept_and_told(made: Made) -> None:
    """What somebody else put at a key is not overwritten, and nothing of the attempt is left."""
    (made.bucket.root / "a").write_bytes(b"foreign")

    with pytest.raises(StoreError, match="a file that the bucket does not know is in the way"):
        made.put("a")

    assert made.shown() == {"a": b"foreign"}
    assert made.inside() == set()
    assert made.bucket.objects(versions=True) == []
    made.put("b")


@pytest.mark.parametrize("keys", [("a", "a/b"), ("a/b/c", "a/b")])
def test_an_object_and_a_folder_of_one_name_cannot_both_exist(made: Made, keys: tuple[str, str]) -> None:
    """S3 holds `a` and `a/b`; a directory cannot, says so, and goes on with other keys."""
    first, second = keys
    made.put(first)

    with pytest.raises(StoreError, match=r"cannot hold both an object `a` and an object `a/b`\."):
        made.put(second)
    made.bucket.delete(first)
    version = made.put(second)
    marker = next(one.version for one in made.bucket.objects(first, versions=True) if one.version.key == first)
    with pytest.raises(StoreError, match=r"cannot hold both"):
        made.bucket.delete(first, marker.version_id)

    assert made.shown() == {second: b"body"}
    assert [one.version for one in made.bucket.objects()] == [version]
    made.put("other")


@pytest.mark.parametrize("key", ["", "../x", "a//b", ".bucket/metadata.sqlite"])
def test_a_key_that_is_no_path_below_the_store_is_refused(made: Made, key: str) -> None:
    """Neither a put nor a delete reaches outside the directory or into its own files."""
    (made.bucket.root.parent / "x").mkdir()
    for change in (made.put, made.bucket.delete):
        with pytest.raises(StoreError, match="cannot be stored in a directory"):
            change(key)
    assert (made.bucket.root.parent / "x").is_dir()


def test_a_bucket_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Listing or changing a bucket that nobody made says how one is made, and makes nothing."""
    bucket = LocalBucket(tmp_path / "none")
    calls: tuple[Callable[[], object], ...] = (
        bucket.objects,
        bucket.object_lock,
        lambda: bucket.delete("a"),
        lambda: bucket.put_legal_hold("a", "v", on=True),
        lambda: list(bucket.check()),
    )
    for call in calls:
        with pytest.raises(StoreError, match=r"There is no bucket in .*none; `auditlake up` makes it\."):
            call()
    assert list(tmp_path.iterdir()) == []


def test_of_many_writers_of_one_key_each_makes_a_version(made: Made) -> None:
    """Concurrent puts of one key, by threads that share nothing but the directory, all stay."""
    ids: list[str] = []

    def put(number: int) -> None:
        bucket = LocalBucket(made.bucket.root, lambda: START)
        body = bytes([number]) * 1000
        ids.append(bucket.put(KEY, body, sha256=sha256(body)).version_id)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {one.version.version_id for one in made.bucket.objects(versions=True)} == set(ids)
    assert len(ids) == len(threads)
    assert list(made.bucket.check()) == []


class Crash(BaseException):
    """The process dies."""


STEPS = (
    *((os, name) for name in ("link", "rename", "unlink", "mkdir", "rmdir", "fsync")),
    *((Metadata, name) for name in ("begin_change", "add", "remove", "end_change")),
)


@contextlib.contextmanager
def dying_at(step: int) -> Iterator[list[int]]:
    """Die before the step of that number, counted from 0: no later one happens either."""
    count = [0]
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in STEPS:
            original = getattr(owner, name)

            def dying(*args: object, _original: Callable[..., object] = original, **kwargs: object) -> object:
                count[0] += 1
                if count[0] > step:
                    raise Crash
                return _original(*args, **kwargs)

            patch.setattr(owner, name, dying)
        yield count


def change(made: Made, name: str) -> None:
    """Make one change of a kind to a bucket with a current and a noncurrent version, and one under a marker."""
    by_key = {key: [one.version for one in made.bucket.objects(key, versions=True)] for key in ("two", "hidden")}
    match name:
        case "put":
            made.put("new/key")
        case "put over":
            made.put("two", b"third")
        case "put over a marker":
            made.put("hidden", b"shown")
        case "delete":
            made.bucket.delete("two")
        case "delete current":
            made.bucket.delete("two", by_key["two"][0].version_id)
        case "delete noncurrent":
            made.bucket.delete("two", by_key["two"][1].version_id)
        case "delete marker":
            made.bucket.delete("hidden", by_key["hidden"][0].version_id)
        case "delete the only version":
            made.bucket.delete("one/only", made.bucket.objects("one/only")[0].version.version_id)


CHANGES = (
    *("put", "put over", "put over a marker", "delete", "delete current", "delete noncurrent", "delete marker"),
    "delete the only version",
)


def state(made: Made) -> list[tuple[str, bool, bytes]]:
    """What a bucket holds, without what differs between two buckets: ids."""
    listed = made.bucket.objects(versions=True)
    return [
        (one.version.key, one.is_latest, b"" if one.version.is_delete_marker else made.bucket.body(one).read_bytes())
        for one in listed
    ]


def prepared(root: Path) -> Made:
    """A bucket with two versions of a key, a hidden key, and a key of one version."""
    made = Made(root, None)
    for key, body in (("two", b"first"), ("two", b"second"), ("hidden", b"hidden"), ("one/only", b"only")):
        made.put(key, body)
    made.bucket.delete("hidden")
    return made


@pytest.mark.parametrize("name", CHANGES)
def test_a_crash_at_any_step_leaves_a_change_whole_or_undone(tmp_path: Path, name: str) -> None:
    """Wherever the process dies, the next start finds the bucket as before or as after, files and listing alike."""
    before = state(prepared(tmp_path / "before"))
    done = prepared(tmp_path / "after")
    with dying_at(10_000) as count:
        change(done, name)
    after = state(done)
    seen = set()

    for step in range(count[0]):
        made = prepared(tmp_path / f"{step}")
        with dying_at(step), pytest.raises(Crash):
            change(made, name)
        made.bucket.open(None)

        found = state(made)
        assert found in (before, after), f"died before step {step}"
        assert list(made.bucket.check()) == [], f"died before step {step}"
        noncurrent = {one.version for one in made.bucket.objects(versions=True) if not one.is_latest}
        assert made.inside() == {one.version_id for one in noncurrent if not one.is_delete_marker}
        seen.add(found == after)

    assert seen == {False, True}, "a crash early undoes the change, one late does not"


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
    made: Made, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    """A refusal by the system becomes a sentence with what to do next, and nothing is stored."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", refuse)
        with pytest.raises(StoreError) as caught:
            made.put("a")

    assert str(caught.value) == f"The object a cannot be written to the store {made.bucket.root}: {advice}"
    assert made.bucket.objects(versions=True) == []
    assert made.inside() == set()
    made.put("a")


_LIMITED = """
import hashlib, resource, sys
from pathlib import Path
from auditlake.errors import StoreError
from auditlake.runtime.bucket import LocalBucket
bucket = LocalBucket(Path(sys.argv[1]))
bucket.open(None)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    bucket.put("big", b"x" * 500_000)
except StoreError as error:
    print(error)
"""


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """When the system stops a write, no object and no temporary file is left, and the reason is a sentence."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] in (resource.RLIM_INFINITY, -1)

    run = subprocess.run([sys.executable, "-c", _LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)

    assert run.stdout == f"The object big cannot be written to the store {tmp_path}: File too large.\n"
    again = Made(tmp_path, None)
    assert again.shown() == {}
    assert again.inside() == set()


def test_a_bucket_that_cannot_be_opened_is_explained(tmp_path: Path) -> None:
    """A file where the directory should be, or metadata that is no database, is a sentence, not a traceback."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"The store .*/file/bucket cannot be opened: "):
        LocalBucket(tmp_path / "file" / "bucket").open(None)

    (tmp_path / "bucket" / ".bucket").mkdir(parents=True)
    (tmp_path / "bucket" / ".bucket" / "metadata.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match=r"metadata\.sqlite says: file is not a database\."):
        LocalBucket(tmp_path / "bucket").open(None)


def test_a_put_may_ask_that_nothing_be_there(tmp_path: Path) -> None:
    """`If-None-Match: *` is refused where an object shows, and not behind a delete marker (S3, documented)."""
    made = Made(tmp_path)
    made.put(body=b"first")
    with pytest.raises(S3Error, match="PreconditionFailed"):
        made.bucket.put(KEY, b"second", sha256=sha256(b"second"), if_none_match=True)
    assert [made.bucket.holds(KEY, sha256(body)) for body in (b"first", b"second")] == [True, False]

    made.bucket.delete(KEY)
    assert not made.bucket.holds(KEY, sha256(b"first"))
    made.bucket.put(KEY, b"second", sha256=sha256(b"second"), if_none_match=True)
    assert made.bucket.holds(KEY, sha256(b"second"))
