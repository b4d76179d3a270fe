"""Ids for events that have none: UUIDv7 (RFC 9562), so that they sort by time."""

import secrets
from uuid import UUID


def new_event_id(milliseconds: int) -> str:
    """Make an id of a time in milliseconds since 1970 and 74 random bits; uuid.uuid7 comes only with Python 3.14."""
    value = milliseconds << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    return str(UUID(int=value))
