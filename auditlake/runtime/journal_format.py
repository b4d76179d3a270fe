"""The bytes of a journal file: a header, then records, each with checksums of its own.

    header   twice: magic, buffer id, salt, first sequence number, newest and how much was accepted before, when the
             buffer was made, CRC-32
    record   magic, sequence number, arrival, length, CRC-32 of the data, CRC-32 of this header; the data
    keyed    the same with a magic of its own; its data begin with the length of a partition key and the key in UTF-8

A record whose checksum is wrong costs itself only: where the next one begins is found by its magic and checksum.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

FILE_MAGIC = b"alj1"
RECORD_MAGIC = b"\xabrec"
KEYED_MAGIC = b"\xabrek"
_ANY_RECORD = b"\xabre"
_FILE = struct.Struct(">4s16s8sQQQQQ")
_RECORD = struct.Struct(">4sQQII")
_CHECK = struct.Struct(">I")
_KEY = struct.Struct(">H")
HEADER_BYTES = 2 * (_FILE.size + _CHECK.size)
"""The header is there twice: a bit of it that flips must not cost the file."""
RECORD_BYTES = _RECORD.size + _CHECK.size
"""What a record takes beside its data."""
MAX_DATA_BYTES = 64 * 1024 * 1024
"""Longer than any record, so that a length which is damaged together with its checksum does not fill the memory."""


@dataclass(frozen=True)
class Keyed:
    """The data of a record with the partition key that a data stream was given for it; it is as long as its data."""

    data: bytes
    partition_key: str

    def __len__(self) -> int:
        return len(self.data)


Put = bytes | Keyed
"""What is put into the buffer."""


@dataclass(frozen=True)
class Record:
    """A record as it was accepted: its place in the order, arrival (epoch ms, UTC) and bytes.

    Only one that came by a data stream has a partition key.
    """

    seq: int
    arrival_ms: int
    data: bytes
    partition_key: str | None = None

    @classmethod
    def of(cls, seq: int, arrival_ms: int, put: Put) -> "Record":
        """Make the record of what was put."""
        if isinstance(put, Keyed):
            return cls(seq, arrival_ms, put.data, put.partition_key)
        return cls(seq, arrival_ms, put)

    @property
    def key_bytes(self) -> int:
        """What the partition key takes in a file beside the data."""
        return len(_key(self))


@dataclass(frozen=True)
class FileHeader:
    """What a journal file says of itself.

    `first` is the sequence number of its first record, `before` that of the newest record that was accepted before it;
    `accepted_records` and `accepted_bytes` were accepted before it since the buffer was made, at `created_ms`. `salt`
    is in every checksum of the file, so that no record's data can pass for records.
    """

    buffer_id: bytes
    salt: bytes
    first: int
    before: int
    accepted_records: int
    accepted_bytes: int
    created_ms: int

    def encode(self) -> bytes:
        """Return the header's bytes."""
        head = _FILE.pack(
            FILE_MAGIC,
            self.buffer_id,
            self.salt,
            self.first,
            self.before,
            self.accepted_records,
            self.accepted_bytes,
            self.created_ms,
        )
        return (head + _CHECK.pack(zlib.crc32(head))) * 2


@dataclass(frozen=True)
class Unreadable:
    """Bytes that are no record, from `offset` on; `seq` is known when only the data's checksum is wrong.

    `cut_short` says that the file ends inside a record whose header is whole: it was not written to its end.
    """

    offset: int
    length: int
    seq: int | None = None
    cut_short: bool = False


@dataclass(frozen=True)
class Placed:
    """A record, and where the next one begins."""

    record: Record
    next_offset: int


def decode_header(data: bytes) -> FileHeader | None:
    """Read the header of a file; None when it is none, or damaged in both places."""
    for copy in (data[: HEADER_BYTES // 2], data[HEADER_BYTES // 2 : HEADER_BYTES]):
        if len(copy) < HEADER_BYTES // 2:
            return None
        head, (check,) = copy[: _FILE.size], _CHECK.unpack_from(copy, _FILE.size)
        magic, *members = _FILE.unpack(head)
        if magic == FILE_MAGIC and zlib.crc32(head) == check:
            return FileHeader(*members)
    return None


def encode_record(record: Record, salt: bytes) -> bytes:
    """Return a record's bytes."""
    seed = zlib.crc32(salt)
    data, key = record.data, _key(record)
    magic = KEYED_MAGIC if key else RECORD_MAGIC
    check = zlib.crc32(data, zlib.crc32(key, seed))
    head = _RECORD.pack(magic, record.seq, record.arrival_ms, len(key) + len(data), check)
    return b"".join((head, _CHECK.pack(zlib.crc32(head, seed)), key, data))


def _key(record: Record) -> bytes:
    """Return what stands before a record's data: nothing where there is no partition key."""
    if record.partition_key is None:
        return b""
    key = record.partition_key.encode()
    return _KEY.pack(len(key)) + key


def read_records(file: IO[bytes], salt: bytes, offset: int, end: int) -> Iterator[Placed | Unreadable]:
    """Yield what stands in a file from `offset` to `end`, in order; raises OSError."""
    seed = zlib.crc32(salt)
    file.seek(offset)
    while offset < end:
        head = file.read(min(RECORD_BYTES, end - offset))
        members = _members(head, seed)
        if members is None:
            following = _next_record(file, seed, offset + 1, end)
            yield Unreadable(offset, following - offset)
            offset = following
            file.seek(offset)
            continue
        magic, seq, arrival_ms, length, check = members
        start, offset = offset, offset + RECORD_BYTES + length
        data = file.read(min(length, end - start - RECORD_BYTES))
        if len(data) < length:
            yield Unreadable(start, end - start, seq, cut_short=True)
            return
        if zlib.crc32(data, seed) != check:
            yield Unreadable(start, offset - start, seq)
        else:
            yield Placed(_record(magic, seq, arrival_ms, data), offset)


def _record(magic: bytes, seq: int, arrival_ms: int, data: bytes) -> Record:
    """Return a record whose checksums are right."""
    if magic == RECORD_MAGIC:
        return Record(seq, arrival_ms, data)
    begin = _KEY.size + _KEY.unpack_from(data)[0]
    return Record(seq, arrival_ms, data[begin:], data[_KEY.size : begin].decode())


def _members(head: bytes, seed: int) -> tuple[bytes, int, int, int, int] | None:
    """Return magic, sequence number, arrival, length and checksum of a record by its header; None when that is none."""
    if len(head) < RECORD_BYTES:
        return None
    magic, seq, arrival_ms, length, check = _RECORD.unpack_from(head)
    (head_check,) = _CHECK.unpack_from(head, _RECORD.size)
    known = magic in (RECORD_MAGIC, KEYED_MAGIC)
    if not known or zlib.crc32(head[: _RECORD.size], seed) != head_check or length > MAX_DATA_BYTES:
        return None
    return magic, seq, arrival_ms, length, check


def _next_record(file: IO[bytes], seed: int, offset: int, end: int) -> int:
    """Return where the next record begins that has a whole header; `end` when there is none."""
    file.seek(offset)
    rest = file.read(end - offset)
    place = rest.find(_ANY_RECORD)
    while place >= 0:
        if _members(rest[place : place + RECORD_BYTES], seed) is not None:
            return offset + place
        place = rest.find(_ANY_RECORD, place + 1)
    return end
