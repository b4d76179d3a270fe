"""Events that will never be accepted, and bytes that are no event: kept beside the segments, never thrown away."""

import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from auditlake.client.files import append_synced
from auditlake.client.line import Damage, Line
from auditlake.client.spool import DAMAGED, DEAD_LETTERS
from auditlake.directories import sync_directory
from auditlake.errors import SpoolError


class DeadLetter(msgspec.Struct):
    """An event that the endpoint refused: a line of `dead-letter.ndjson`."""

    id: str | None
    reason: str
    refused_at: datetime
    recorded_at: str
    event: msgspec.Raw


class _Id(msgspec.Struct):
    id: str | None = None


class _Where(msgspec.Struct):
    segment: str
    offset: int


_encoder = msgspec.json.Encoder()
_id_decoder = msgspec.json.Decoder(_Id)
_where_decoder = msgspec.json.Decoder(_Where)
_letter_decoder = msgspec.json.Decoder(DeadLetter)


def event_id(body: bytes) -> str | None:
    """Return an event's id, or None where it has none that is a string."""
    try:
        return _id_decoder.decode(body).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def write_dead_letters(directory: Path, refused: Sequence[tuple[Line, str]], now: datetime, times: list[str]) -> None:
    """Have refused events on the disk, each with the reason; raises OSError."""
    letters = [
        DeadLetter(event_id(line.body), reason, now, time, msgspec.Raw(line.body))
        for (line, reason), time in zip(refused, times, strict=True)
    ]
    _put_aside(directory / DEAD_LETTERS, b"".join(_encoder.encode(letter) + b"\n" for letter in letters))


def write_damage(directory: Path, segment: Path, damage: Damage, now: datetime) -> None:
    """Have bytes that are no event on the disk, with where they stood and why; raises OSError."""
    text = _encoder.encode(
        {
            "segment": segment.name,
            "offset": damage.start,
            "length": len(damage.data),
            "why": damage.why,
            "found_at": now,
            "base64": base64.b64encode(damage.data).decode(),
        }
    )
    _put_aside(directory / DAMAGED, text + b"\n")


def _put_aside(path: Path, lines: bytes) -> None:
    append_synced(path, lines)
    # Each time: who made the file may have died, or been refused, before its name was on the disk.
    sync_directory(path.parent)


def dead_letters(directory: Path) -> list[DeadLetter]:
    """Return the events that the endpoint refused; a line that a crash tore is none, its event is there again."""
    letters = []
    for line in _lines(directory / DEAD_LETTERS):
        try:
            letters.append(_letter_decoder.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
    return letters


def count_damaged(directory: Path) -> int:
    """Return how many places of segments were damaged; a place that a crash had put aside twice counts once."""
    places = set()
    for line in _lines(directory / DAMAGED):
        try:
            where = _where_decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        places.add((where.segment, where.offset))
    return len(places)


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SpoolError(f"{path} cannot be read ({error.strerror}).") from error
