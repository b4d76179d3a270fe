"""What a journal's files hold, read as they are on the disk: records, damage, and what was not written to its end."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from auditlake.runtime.journal_format import (
    HEADER_BYTES,
    FileHeader,
    Placed,
    Record,
    Unreadable,
    decode_header,
    read_records,
)

_NAME = re.compile(r"(\d{20})\.journal")
_READ_AHEAD_BYTES = 256 * 1024


@dataclass(frozen=True)
class Damaged:
    """Records that cannot be read any more, by their sequence numbers, and where their bytes are."""

    first: int
    last: int
    file: str
    offset: int
    length: int

    @property
    def records(self) -> int:
        """How many records they are."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class CutOff:
    """The end of a file that is no whole record: it was not acknowledged, or is damaged."""

    file: str
    offset: int
    length: int
    cut_short: bool


@dataclass
class JournalFile:
    """A file of the journal: its header, the sequence number of its newest accepted record, and where that ends.

    `key_bytes` is what the partition keys take of it, counted when it is scanned.
    """

    path: Path
    header: FileHeader
    last: int
    end: int
    has_damage: bool = False
    key_bytes: int = 0


@dataclass(frozen=True)
class Scanned:
    """What a journal was found to hold: its files, the damage, what was cut off, and the files without a header.

    `refused` is damage that cost no accepted record: after a failed sync the disk holds any part of what was refused.
    """

    files: list[JournalFile] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)
    cut_off: list[CutOff] = field(default_factory=list)
    headless: list[Path] = field(default_factory=list)
    refused: list[Damaged] = field(default_factory=list)


def journal_directory(buffer: Path) -> Path:
    """Return the journal's directory beside the buffer's index."""
    return buffer.with_suffix(".journal")


def first_header(directory: Path) -> FileHeader | None:
    """Return a header of the journal's files, which says what buffer they are of; raises OSError."""
    headers = (_header_of(path) for path in _paths(directory))
    return next((header for header in headers if header is not None), None)


def _paths(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("*.journal") if _NAME.fullmatch(path.name))


def scan(directory: Path, witnessed: int = 0) -> Scanned:
    """Read all files of a journal; `witnessed` is a sequence number that was certainly accepted. Raises OSError.

    A file tells what was accepted before it, so that what is missing at the end of the one before is known.
    """
    scanned = Scanned()
    paths = _paths(directory)
    headers = [_header_of(path) for path in paths]
    for place, (path, header) in enumerate(zip(paths, headers, strict=True)):
        later = headers[place + 1 :]
        if header is not None:
            # What was accepted before a file whose header is lost, nobody knows.
            upto = witnessed if not later else later[0].before if later[0] is not None else 0
            is_known = bool(later) and later[0] is not None
            scanned.files.append(_scan_file(path, header, upto, scanned, is_known=is_known))
            continue
        scanned.headless.append(path)
        upto = next((following.before for following in later if following is not None), witnessed)
        first = int(path.name[:20])
        if upto >= first and None not in later[:1]:
            scanned.damaged.append(Damaged(first, upto, path.name, 0, path.stat().st_size))
    return scanned


def read_journal(directory: Path) -> Iterator[Record]:
    """Yield the records that a journal holds, which may be running; its files may go meanwhile. Raises OSError."""
    for path in _paths(directory):
        try:
            header = _header_of(path)
            if header is not None:
                file = JournalFile(path, header, 0, path.stat().st_size)
                yield from (one.record for one in read_file(file, HEADER_BYTES, 0) if isinstance(one, Placed))
        except FileNotFoundError:
            continue  # all of it was delivered


def _header_of(path: Path) -> FileHeader | None:
    with _naming(path), path.open("rb") as file:
        return decode_header(file.read(HEADER_BYTES))


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have an error of the disk name the file: a failed read, unlike a failed open, does not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def _scan_file(path: Path, header: FileHeader, upto: int, scanned: Scanned, *, is_known: bool) -> JournalFile:
    """Scan a file in which records up to `upto` were accepted; `is_known` says that no later one of it was."""
    file = JournalFile(path, header, header.first - 1, path.stat().st_size)
    for one in read_file(file, HEADER_BYTES, upto):
        if isinstance(one, Damaged):
            last = min(one.last, upto) if is_known else one.last
            if one.first <= last:
                scanned.damaged.append(replace(one, last=last))
                file.has_damage = True
            if last < one.last:
                scanned.refused.append(replace(one, first=max(one.first, last + 1)))
            file.last = one.last
        elif isinstance(one, CutOff):
            scanned.cut_off.append(one)
            file.has_damage |= not one.cut_short
        else:
            file.last = one.record.seq
            file.key_bytes += one.record.key_bytes
    return file


def read_file(
    file: JournalFile, offset: int, upto: int, expected: int | None = None
) -> Iterator[Placed | Damaged | CutOff]:
    """Yield the records of a file from `offset` on; `upto` is a number that was accepted, if the file's end lacks it.

    The numbers of a file have no gap, so that what is missing between two records is known by number.
    """
    expected = file.header.first if expected is None else expected
    unread: Unreadable | None = None
    with _naming(file.path), file.path.open("rb", buffering=_READ_AHEAD_BYTES) as opened:
        for one in read_records(opened, file.header.salt, offset, file.end):
            if isinstance(one, Unreadable):
                unread = one if unread is None else Unreadable(unread.offset, one.offset + one.length - unread.offset)
                continue
            if one.record.seq > expected:
                place = unread or Unreadable(one.next_offset, 0)
                yield Damaged(expected, one.record.seq - 1, file.path.name, place.offset, place.length)
            unread = None
            expected = one.record.seq + 1
            yield one
    if upto >= expected:
        place = unread or Unreadable(file.end, 0)
        yield Damaged(expected, upto, file.path.name, place.offset, place.length)
    elif unread is not None:
        yield CutOff(file.path.name, unread.offset, unread.length, unread.cut_short)
