"""The envelope: what only the server knows about an event, around the exact bytes that it was sent."""

from typing import Annotated

import msgspec

from lambda_src.common.timestamps import LAST_MS

PREFIX = b'{"auditlake":'


class Envelope(msgspec.Struct, frozen=True, rename="camel", tag_field="auditlake", tag=1, gc=False):
    """One event on its way through the delivery stream; the member `auditlake` comes first and is the version, 1."""

    event_id: str
    """The event's id if it has none of its own."""
    request_id: str
    """API Gateway's extendedRequestId, which no client can choose (F2)."""
    received_at: Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]
    """Milliseconds since 1970, UTC."""
    source_ip: str
    """The address that the API saw; empty when it knows none."""
    principal: str
    """The identity that the API authenticated; empty when there is none."""
    body: bytes
    """The exact bytes of the event; base64 on the way."""


class EnvelopeError(ValueError):
    """A record claims to be an envelope and is none; the message is a sentence without the record's content."""


_DECODER = msgspec.json.Decoder(Envelope)
_ENCODER = msgspec.json.Encoder()


def is_envelope(line: bytes) -> bool:
    """Say whether a line claims to be an envelope: its first member is `auditlake`."""
    return line.startswith(PREFIX)


def encode(envelope: Envelope) -> bytes:
    """Write an envelope as compact JSON without a newline."""
    return _ENCODER.encode(envelope)


def decode(line: bytes) -> Envelope:
    """Read an envelope; raises EnvelopeError with a sentence."""
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # msgspec's message names place and types, never a value; a decoding error would quote bytes.
        detail = str(error) if isinstance(error, msgspec.MsgspecError) else "it is not UTF-8, or nested too deeply"
        raise EnvelopeError(f"The record starts like an envelope of version 1 but is none: {detail}.") from None
