"""Ids for events that have none: UUIDv7 (RFC 9562), so that they sort by time."""

import secrets


def new_event_id(milliseconds: int) -> str:
    """Make an id of a time in milliseconds since 1970 and 74 random bits; uuid.uuid7 comes only with Python 3.14."""
    value = milliseconds << 80 | int.from_bytes(secrets.token_bytes(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    text = f"{value:032x}"  # uuid.UUID takes twice as long, and a client makes an id for each call
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
