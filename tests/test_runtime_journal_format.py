"""The bytes of a journal file."""

import io
import struct
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlake.runtime.journal_format import (
    HEADER_BYTES,
    RECORD_BYTES,
    FileHeader,
    Keyed,
    Placed,
    Put,
    Record,
    Unreadable,
    decode_header,
    encode_record,
    read_records,
)

HEADER = FileHeader(b"i" * 16, b"salt1234", 7, 6, 100, 2_000, 1_795_521_600_000)
Keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8) | st.just("ä" * 256)
Data = st.lists(
    st.binary(max_size=40) | st.builds(Keyed, st.binary(max_size=40), Keys),
    min_size=1,
    max_size=6,
)


def numbered(data: Sequence[Put]) -> list[Record]:
    """The records that are made of what was put."""
    return [Record.of(seq, 5, one) for seq, one in enumerate(data, 7)]


def encode(data: Sequence[Put]) -> bytes:
    """The records of a file."""
    return b"".join(encode_record(record, HEADER.salt) for record in numbered(data))


def read(content: bytes) -> list[Placed | Unreadable]:
    """What stands in these bytes."""
    return list(read_records(io.BytesIO(content), HEADER.salt, 0, len(content)))


def test_a_header_is_read_and_survives_the_loss_of_one_copy() -> None:
    """Any one byte of it may be wrong."""
    content = HEADER.encode()
    assert len(content) == HEADER_BYTES
    for offset in range(HEADER_BYTES):
        damaged = bytearray(content)
        damaged[offset] ^= 1 << offset % 8
        assert decode_header(bytes(damaged)) == HEADER


@pytest.mark.parametrize("content", [b"", b"x" * HEADER_BYTES, HEADER.encode()[:10]], ids=["empty", "other", "short"])
def test_what_is_no_header_is_none(content: bytes) -> None:
    """An empty file, other bytes, and a header that was not written to its end."""
    assert decode_header(content) is None


@given(Data)
def test_records_are_read_as_they_were_written(data: list[Put]) -> None:
    """Each with its number, arrival and bytes, and with its partition key where it has one."""
    assert [one.record for one in read(encode(data)) if isinstance(one, Placed)] == numbered(data)


def test_a_record_without_key_is_written_as_before_there_were_keys() -> None:
    """A journal that an older release left is read, and one without keys is read by an older release."""
    data = b"one"
    seed = zlib.crc32(HEADER.salt)
    head = struct.pack(">4sQQII", b"\xabrec", 7, 5, len(data), zlib.crc32(data, seed))
    assert encode([data]) == head + struct.pack(">I", zlib.crc32(head, seed)) + data


@settings(max_examples=60)
@given(Data, st.data())
def test_a_flipped_bit_costs_one_record(data: list[Put], drawn: st.DataObject) -> None:
    """Wherever the bit is, every other record is read, and the bytes of the damaged one are named."""
    content = bytearray(encode(data))
    bit = drawn.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8

    found = read(bytes(content))
    records = [one.record for one in found if isinstance(one, Placed)]
    unreadable = [one for one in found if isinstance(one, Unreadable)]
    whole = numbered(data)
    assert len(records) == len(data) - 1
    assert all(record in whole for record in records)
    assert any(one.offset <= bit // 8 < one.offset + one.length for one in unreadable)


@given(Data, st.data())
def test_a_torn_tail_costs_what_was_not_written(data: list[Put], drawn: st.DataObject) -> None:
    """Wherever the file ends, the whole records before are read and nothing else is."""
    content = encode(data)
    end = drawn.draw(st.integers(0, len(content) - 1))
    lengths = [RECORD_BYTES + one.key_bytes + len(one.data) for one in numbered(data)]
    whole = sum(sum(lengths[: place + 1]) <= end for place in range(len(data)))

    assert len([one for one in read(content[:end]) if isinstance(one, Placed)]) == whole


def test_records_inside_of_a_record_are_not_taken_for_records() -> None:
    """A producer that puts what looks like a record gains nothing when its own header is damaged."""
    forged = encode_record(Record(8, 5, b"forged"), b"a guess!")
    content = bytearray(encode([forged, b"next"]))
    content[2] ^= 1

    assert [one.record.data for one in read(bytes(content)) if isinstance(one, Placed)] == [b"next"]
