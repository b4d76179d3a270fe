"""What the local bucket knows, in its file."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.runtime import bucket_metadata
from auditlake.runtime.bucket_metadata import Metadata, open_metadata
from auditlake.runtime.object_lock import Retention, RetentionMode, Version
from auditlake.runtime.plan import ObjectLock

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)

moments = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2300, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
versions = st.builds(
    Version,
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5),
    version_id=st.uuids().map(lambda one: one.hex),
    last_modified=moments,
    size=st.integers(0, 2**40),
    sha256=st.none() | st.binary(min_size=32, max_size=32),
    retention=st.none() | st.builds(Retention, st.sampled_from(RetentionMode), moments),
    legal_hold=st.booleans(),
    is_delete_marker=st.booleans(),
)


def in_memory() -> Metadata:
    """Metadata that nothing was put into."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(bucket_metadata.SCHEMA)
    metadata = Metadata(connection)
    metadata.make(None, iter(()))
    return metadata


@given(st.lists(versions, max_size=12, unique_by=lambda one: (one.key, one.version_id)))
def test_every_version_comes_back_as_it_was_in_the_order_of_s3(added: list[Version]) -> None:
    """Keys come by their bytes, the versions of each newest first, each field exact to the microsecond."""
    metadata = in_memory()
    for version in added:
        metadata.add(version)

    listed = list(metadata.keys(""))

    assert [of_key[0].key for of_key in listed] == sorted({one.key for one in added}, key=lambda key: key.encode())
    for of_key in listed:
        assert list(of_key) == [one for one in reversed(added) if one.key == of_key[0].key]
        assert metadata.versions_of(of_key[0].key) == of_key


def test_a_prefix_is_text() -> None:
    """A prefix need not end at a slash, and what sorts behind it is left out."""
    metadata = in_memory()
    for key in ("a/x", "a-b", "a0", "b", "é"):
        metadata.add(Version(key, "v", NOW))

    assert [of_key[0].key for of_key in metadata.keys("a")] == ["a-b", "a/x", "a0"]
    assert [of_key[0].key for of_key in metadata.keys("a/")] == ["a/x"]
    assert list(metadata.keys("c")) == []


def test_a_lock_is_changed_and_a_version_forgotten() -> None:
    """Only the version that is named changes."""
    metadata = in_memory()
    one, other = Version("k", "1", NOW), Version("k", "2", NOW)
    metadata.add(one)
    metadata.add(other)

    locked = Version("k", "1", NOW, retention=Retention(RetentionMode.COMPLIANCE, NOW), legal_hold=True)
    metadata.set_lock(locked)
    assert metadata.versions_of("k") == (other, locked)

    metadata.remove(other)
    assert metadata.versions_of("k") == (locked,)


def test_a_bucket_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    """If what was there before cannot be read, nothing is kept of the attempt."""

    def there_before() -> Iterator[Version]:
        yield Version("k", "null", NOW)
        raise PermissionError("no entry")

    with open_metadata(tmp_path / "m.sqlite") as metadata:
        with pytest.raises(PermissionError, match="no entry"):
            metadata.make(ObjectLock("COMPLIANCE", 1), there_before())
        assert not metadata.made()
        assert metadata.versions_of("k") == ()


def test_who_may_only_read_can_list(tmp_path: Path) -> None:
    """Reading makes no file and changes nothing."""
    path = tmp_path / "m.sqlite"
    with open_metadata(path) as metadata:
        metadata.make(ObjectLock("GOVERNANCE", 7), iter([Version("k", "v", NOW)]))
    before = path.read_bytes()

    with open_metadata(path, read_only=True) as metadata:
        assert metadata.object_lock() == ObjectLock("GOVERNANCE", 7)
        assert metadata.versions_of("k") == (Version("k", "v", NOW),)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            metadata.add(Version("k", "w", NOW))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
