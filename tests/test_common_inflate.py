"""Unpacking within a limit."""

import contextlib
import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.common.inflate import GZIP_OR_DEFLATE, InflateError, inflate

LIMIT = 100_000


@given(st.lists(st.binary(max_size=9000), max_size=5), st.integers(0, 9))
def test_members_come_out_one_after_the_other(parts: list[bytes], level: int) -> None:
    """Whatever is packed in however many members comes out whole and in order."""
    packed = b"".join(gzip.compress(part, level) for part in parts)
    assert inflate(packed, LIMIT) == b"".join(parts)
    assert inflate(packed, LIMIT, GZIP_OR_DEFLATE) == b"".join(parts)


@given(st.binary(min_size=1, max_size=300), st.integers(0, 310))
def test_the_limit_is_where_it_says(data: bytes, limit: int) -> None:
    """Up to the limit the result is whole; beyond it, it is one byte longer than the limit and no more."""
    assert inflate(gzip.compress(data), limit) == data[: limit + 1]


@given(st.binary(min_size=20, max_size=6000), st.data())
def test_what_is_cut_anywhere_is_told(data: bytes, choose: st.DataObject) -> None:
    """No part of a member passes for the whole."""
    packed = gzip.compress(data)
    cut = choose.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(InflateError, match="ends too soon"):
        inflate(packed[:cut], LIMIT)


@given(st.binary(min_size=1, max_size=6000))
def test_any_bytes_are_unpacked_or_refused(data: bytes) -> None:
    """Bytes that are no gzip raise nothing but InflateError."""
    for start in (b"", b"\x1f\x8b\x08\x00"):
        with contextlib.suppress(InflateError):
            assert len(inflate(start + data, LIMIT, GZIP_OR_DEFLATE)) <= LIMIT + 1


def test_deflate_is_taken_where_it_is_asked_for() -> None:
    """Deflate is zlib's format, as HTTP means it; alone gzip is taken."""
    packed = zlib.compress(b"abc")
    assert inflate(packed, LIMIT, GZIP_OR_DEFLATE) == b"abc"
    with pytest.raises(InflateError, match="cannot be unpacked"):
        inflate(packed, LIMIT)


def test_what_follows_the_last_member_is_told() -> None:
    """Bytes after the end belong to nobody, so that the whole is refused."""
    with pytest.raises(InflateError, match="cannot be unpacked"):
        inflate(gzip.compress(b"abc") + b"x" * 100, LIMIT)


def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    """A gigabyte of blanks in a megabyte is unpacked to the limit alone."""
    bomb = gzip.compress(b" " * 20_000_000)
    tracemalloc.start()
    assert len(inflate(bomb, LIMIT)) == LIMIT + 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * LIMIT


def test_many_members_are_not_copied_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a member leaves over is small, however many follow: a whole body left over each time would be quadratic."""
    handed_over = []
    decompressobj = zlib.decompressobj

    class Recording:
        def __init__(self, wbits: int) -> None:
            self.member = decompressobj(wbits)

        def decompress(self, piece: bytes, longest: int) -> bytes:
            handed_over.append(len(piece))
            return self.member.decompress(piece, longest)

        def __getattr__(self, name: str) -> object:
            return getattr(self.member, name)

    monkeypatch.setattr(zlib, "decompressobj", Recording)
    packed = gzip.compress(b"") * 10_000
    assert inflate(packed, LIMIT) == b""
    assert max(handed_over) < len(packed) / 10
