"""The keys that a directory can hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.runtime.object_key import key_problem


@pytest.mark.parametrize(
    "key",
    [
        *("", "/etc/passwd", "a//b", "a/", "..", "../x", "a/../../x", "./a", "a/./b", "a\0b"),
        *(".bucket/x", ".bucket", "a/" + "n" * 256, "é" * 128, "a/" * 512 + "b", "\ud800"),
    ],
)
def test_a_key_that_is_no_path_below_the_store_has_a_problem(key: str) -> None:
    """No key reaches outside the directory, into its own files, or beyond what S3 and file systems hold."""
    assert key_problem(key)


@pytest.mark.parametrize("key", ["a", "events/a=b/c.parquet", ".hidden", "a/.bucket", "a b/ü", "n" * 255, "..."])
def test_a_key_that_is_a_path_below_the_store_has_none(key: str) -> None:
    """What S3 and a file system both hold is taken."""
    assert key_problem(key) is None


@given(st.text(alphabet="./\0ab", max_size=12))
def test_no_key_without_a_problem_leaves_the_store(key: str) -> None:
    """Whatever the key, it has a problem or stays below the directory."""
    if key_problem(key) is None:
        assert not key.startswith("/")
        assert not {"", ".", ".."} & set(key.split("/"))
