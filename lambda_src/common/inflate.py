"""Unpacking gzip and deflate within a limit, so that a small body can fill neither the memory nor the time."""

import zlib

GZIP, GZIP_OR_DEFLATE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS | 32
"""What to take: gzip alone, or deflate (zlib's format, RFC 9110) as well."""

# What a member leaves of its input is copied for the next one. In small pieces that is little: a body that is a hundred
# thousand empty members, handed over whole, would be copied a hundred thousand times.
_PIECE_BYTES = 4096


class InflateError(ValueError):
    """The bytes are not what they claim to be; the message is the end of a sentence, e.g. `it ends too soon`."""


def inflate(packed: bytes, limit: int, wbits: int = GZIP) -> bytes:
    """Unpack one or several members, as `cat a.gz b.gz` makes them; give at most `limit` + 1 bytes.

    No bytes are no member and give none. A result longer than `limit` bytes says that there is more, and the rest is
    not unpacked, whatever the ratio. Raises InflateError for what is broken, cut, or followed by something else.
    """
    unpacked = bytearray()
    member, ended = zlib.decompressobj(wbits), not packed
    rest = memoryview(packed)
    piece = b""
    while len(unpacked) <= limit:
        if not piece:
            piece, rest = bytes(rest[:_PIECE_BYTES]), rest[_PIECE_BYTES:]
            if not piece:
                break
        if ended:
            member, ended = zlib.decompressobj(wbits), False
        try:
            unpacked += member.decompress(piece, limit + 1 - len(unpacked))
        except zlib.error as error:
            raise InflateError(f"it cannot be unpacked ({error})") from None
        ended = member.eof
        piece = member.unused_data if ended else member.unconsumed_tail
    if len(unpacked) <= limit and not ended:
        raise InflateError("it ends too soon")
    return bytes(unpacked)
