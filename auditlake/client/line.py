"""One event in a spool's segment: one line of text, with its checksum.

    <crc32> <length> <recorded at> <the event's JSON>\\n
    8 hex   6 hex    12 hex, milliseconds since 1970, UTC

The checksum covers all that follows it but the line end; the length is that of the JSON in bytes. JSON on one line
holds no line end, so a damaged line ends where the next sound one begins and costs no other: not even when its own
line end is what was damaged, since the length says where it was.
"""

import zlib
from collections.abc import Iterator

import msgspec

HEADER_BYTES = 29
MAX_EVENT_BYTES = 0xFFFFFF
"""The largest event that a line can hold; the stream takes about 700 KiB, so this bounds mistakes only."""

_CHECKSUM_END = 9


class Line(msgspec.Struct, frozen=True, gc=False):
    """An event as it was recorded; `start` and `end` are its line's offsets in the segment, in bytes."""

    start: int
    end: int
    recorded_ms: int
    body: bytes


class Damage(msgspec.Struct, frozen=True, gc=False):
    """Bytes of a segment that are no event; `start` and `end` are their offsets in the segment."""

    start: int
    end: int
    why: str
    data: bytes


TORN = "the last line has no end: its writer died, or could not go on, before the event was acknowledged"
CHANGED = "the bytes are not those that were written: their checksum does not match"
LINE_END = "the end of the line is not the one that was written; the event before it is whole"


def encode_line(recorded_ms: int, body: bytes) -> bytes:
    """Return the line of an event's JSON, which holds no line end."""
    rest = b"%06x %012x %b" % (len(body), recorded_ms, body)
    return b"%08x %b\n" % (zlib.crc32(rest), rest)


def read_lines(data: bytes, start: int, *, complete: bool) -> Iterator[Line | Damage]:
    """Yield what a segment holds, in order.

    Args:
        data: the segment's bytes from `start` on.
        start: the offset of `data` in the segment, where a line begins.
        complete: whether no more is written to the segment: what has no line end is then damage, else not yet there.
    """
    position = 0
    while position < len(data):
        newline = data.find(b"\n", position)
        line = _whole_line(data, position, newline, start) or _line_at(data, position, start)
        if line is None and newline < 0 and not complete:
            return
        if line is None:
            position, damage = _damage_at(data, position, start, complete)
            yield damage
            continue
        yield line
        end = line.end - start
        # Before its last line end is written, or when just that was cut off, the event is whole.
        if end <= len(data) and data[end - 1 : end] != b"\n":
            yield Damage(line.end - 1, line.end, LINE_END, data[end - 1 : end])
        position = end


def _whole_line(data: bytes, position: int, newline: int, start: int) -> Line | None:
    """Return the event of a line that is sound up to its line end, or None; the quick way, for nearly all."""
    rest = data[position + _CHECKSUM_END : newline]
    if newline < position + HEADER_BYTES or data[position : position + _CHECKSUM_END] != b"%08x " % zlib.crc32(rest):
        return None
    return Line(start + position, start + newline + 1, int(rest[7:19], 16), rest[HEADER_BYTES - _CHECKSUM_END :])


def _line_at(data: bytes, position: int, start: int) -> Line | None:
    """Return the event whose line begins at a position, or None when what stands there is not sound."""
    header = data[position : position + HEADER_BYTES]
    try:
        checksum, length, recorded_ms = int(header[:8], 16), int(header[9:15], 16), int(header[16:28], 16)
    except ValueError:
        return None
    end = position + HEADER_BYTES + length
    body = data[position + HEADER_BYTES : end]
    # The checksum is compared with the header's own bytes, so that no other spelling of a number passes for it.
    if len(body) != length or header[:_CHECKSUM_END] != b"%08x " % checksum:
        return None
    if zlib.crc32(body, zlib.crc32(header[_CHECKSUM_END:])) != checksum:
        return None
    return Line(start + position, start + end + 1, recorded_ms, body)


def _damage_at(data: bytes, position: int, start: int, complete: bool) -> tuple[int, Damage]:
    """Return where the next sound line begins (or what was written ends), and what lies before it."""
    newline = data.find(b"\n", position)
    why = CHANGED if newline >= 0 else TORN
    end = len(data) if newline < 0 else newline + 1
    while end < len(data) and _line_at(data, end, start) is None:
        newline = data.find(b"\n", end)
        if newline < 0 and not complete:
            break  # what follows is being written
        end = len(data) if newline < 0 else newline + 1
    return end, Damage(start + position, start + end, why, data[position:end])
