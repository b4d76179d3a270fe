"""What of a journal is damaged: in sentences for the log, and for who looks into a data directory."""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from auditlake.runtime.index import accepted_in
from auditlake.runtime.journal_scan import CutOff, Damaged, Scanned, journal_directory, scan
from auditlake.runtime.seq_ranges import SeqRanges

DAMAGED = "damaged"
"""The folder beside the buffer where damaged files are kept."""
MAX_SCANS = 3
"""Scans of a journal whose files go meanwhile, before it is taken as one without damage that was not counted."""


@dataclass(frozen=True)
class Damage:
    """How many accepted records cannot be read any more, and the files that may hold their bytes."""

    records: int
    files: tuple[str, ...]


def damage(path: Path, connection: sqlite3.Connection) -> Damage:
    """Return the damage of the buffer whose index is at `path`, whether a process runs on it or not.

    `connection` is one to the index, in no transaction. All of the journal is read. Raises OSError and sqlite3.Error.
    """
    connection.execute("BEGIN")  # one view of what was answered and what was counted as damaged
    try:
        answered = SeqRanges(connection.execute("SELECT first, last FROM answered"))
        counted = connection.execute("SELECT value FROM counters WHERE name = 'damaged.records'").fetchone()
        scanned = _scan(journal_directory(path), accepted_in(connection))
    finally:
        connection.execute("ROLLBACK")
    records = (counted[0] if counted else 0) + sum(answered.missing(one.first, one.last) for one in scanned.damaged)
    names = {one.file for one in scanned.damaged if one.length} | {one.file for one in scanned.cut_off if one.length}
    places = [*(journal_directory(path) / name for name in sorted(names)), *sorted(_kept(path))]
    return Damage(records, tuple(str(place) for place in places) if records else ())


def lost_sentence(one: Damaged, lost: int, directory: Path, kept_aside: Path) -> str:
    """Say that `lost` accepted records cannot be read, and where their bytes are."""
    return (
        f"The journal is damaged: {lost:,} accepted records, numbers {one.first} to {one.last}, cannot be read; "
        f"{_where(one, directory, kept_aside)}."
    )


def unbacked_sentence(one: Damaged, unbacked: int, directory: Path, kept_aside: Path) -> str:
    """Say that `unbacked` records, which the transform has answered for, cannot be read for the source backup."""
    return (
        f"The journal is damaged: {unbacked:,} records, numbers {one.first} to {one.last}, cannot be read for the "
        f"source backup, which lacks them; the transform has answered for them. {_where(one, directory, kept_aside)}."
    )


def cut_off_sentence(one: CutOff, directory: Path, kept_aside: Path) -> str:
    """Say what stands at the end of a file and is no whole record."""
    if one.cut_short:
        return (
            f"The last record of {directory / one.file} was not written to its end; as far as is known it was not "
            "acknowledged, and it is left out."
        )
    return (
        f"The last {one.length:,} bytes of {directory / one.file} are no whole record: they were not acknowledged, or "
        f"are damaged; that file is kept in {kept_aside} when its other records are delivered."
    )


def _where(one: Damaged, directory: Path, kept_aside: Path) -> str:
    place = directory / one.file
    if not one.length and place != directory / directory.name and not place.exists():
        return f"the file {place} is gone though it was not delivered, and their events may be lost"
    if not one.length:
        return f"{one.file} does not hold them"
    if not place.exists():  # its header is lost: no record of it can be read, and it was set aside at once
        return f"their {one.length:,} bytes are in {one.file}, which is kept in {kept_aside}"
    return (
        f"their {one.length:,} bytes are at offset {one.offset} of {place}; that file is kept in {kept_aside} when its "
        "other records are delivered"
    )


def _scan(directory: Path, witnessed: int) -> Scanned:
    for _ in range(MAX_SCANS):
        with contextlib.suppress(FileNotFoundError):  # all of a file was delivered meanwhile
            return scan(directory, witnessed)
    return Scanned()


def _kept(path: Path) -> list[Path]:
    return list((path.parent / DAMAGED).glob("*.journal*"))
