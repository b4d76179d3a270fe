"""Events that will never be accepted, and bytes that are no event: kept beside the segments, never thrown away."""

import base64
import contextlib
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from auditlake.client.files import append_synced
from auditlake.client.line import Damage, Line
from auditlake.client.spool import DAMAGED, DEAD_LETTERS, SETTLED_LETTERS
from auditlake.directories import sync_directory
from auditlake.errors import SpoolError

T = TypeVar("T")


class DeadLetter(msgspec.Struct):
    """An event that the endpoint refused: a line of `dead-letter.ndjson`."""

    id: str | None
    reason: str
    refused_at: datetime
    recorded_at: str
    event: msgspec.Raw


class _Settled(msgspec.Struct):
    """A dead letter that somebody has dealt with: a line of `dead-letter-settled.ndjson`."""

    id: str | None
    refused_at: datetime
    crc: int
    settled_at: datetime
    how: str


class _Id(msgspec.Struct):
    id: str | None = None


class _Where(msgspec.Struct):
    segment: str
    offset: int


_encoder = msgspec.json.Encoder()
_id_decoder = msgspec.json.Decoder(_Id)
_where_decoder = msgspec.json.Decoder(_Where)
_letter_decoder = msgspec.json.Decoder(DeadLetter)
_settled_decoder = msgspec.json.Decoder(_Settled)

_Key = tuple[str | None, datetime, int]


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


def dead_letters(directory: Path, *, settled: bool = False) -> list[DeadLetter]:
    """Return the events that the endpoint refused and nobody has settled; with `settled`, these too.

    A line that a crash tore is none, its event is there again.
    """
    letters = _decoded(directory / DEAD_LETTERS, _letter_decoder)
    if settled:
        return letters
    done = {(one.id, one.refused_at, one.crc) for one in _decoded(directory / SETTLED_LETTERS, _settled_decoder)}
    return [letter for letter in letters if _key(letter) not in done]


def settle(directory: Path, letters: Sequence[DeadLetter], how: str, now: datetime) -> None:
    """Have the disk say that dead letters are dealt with; they stay where they are. Raises OSError.

    Lines are added and none is taken away, so that neither a crash nor the sender at its work can lose a dead letter.
    """
    lines = [_Settled(*_key(letter), now, how) for letter in letters]
    _put_aside(directory / SETTLED_LETTERS, b"".join(_encoder.encode(line) + b"\n" for line in lines))


def _key(letter: DeadLetter) -> _Key:
    """Return what tells a dead letter from others, of the same event refused again too."""
    return letter.id, letter.refused_at, zlib.crc32(letter.event)


def _decoded(path: Path, decoder: "msgspec.json.Decoder[T]") -> list[T]:
    found = []
    for line in _lines(path):
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            found.append(decoder.decode(line))
    return found


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
