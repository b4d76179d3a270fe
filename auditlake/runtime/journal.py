"""The journal: what was accepted, in files that are only appended to and synced before a record is acknowledged.

A file is written by one process only and never again after its write or sync has failed: what the disk holds of it then
nobody knows (ADR 0016). Each start begins a new file. A file goes once all of its records are delivered; one that
holds damage is kept aside instead.
"""

import contextlib
import itertools
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from errno import EDQUOT, ENOENT, ENOSPC
from pathlib import Path

from auditlake.directories import make_directories, sync_directory
from auditlake.errors import StoreError
from auditlake.runtime.journal_format import (
    HEADER_BYTES,
    RECORD_BYTES,
    FileHeader,
    Placed,
    Put,
    Record,
    encode_record,
)
from auditlake.runtime.journal_scan import Damaged, JournalFile, Scanned, read_file

FILE_BYTES = 8 * 1024 * 1024
"""A file that has reached this size is followed by another; what is delivered takes up to this much of the disk."""


def open_journal(
    directory: Path, kept_aside: Path, scanned: Scanned, buffer_id: bytes, created_ms: int, witnessed: int
) -> "Journal":
    """Return the journal of what was scanned, ready to accept; the files without a header are set aside.

    Raises OSError.
    """
    for path in scanned.headless:
        keep_aside(path, kept_aside)
    newest = scanned.files[-1] if scanned.files else None
    used = max([witnessed, *(file.last for file in scanned.files), *(one.last for one in scanned.damaged)])
    # What was cut off may hold records that were answered with a number: none of these is given again.
    used += sum(one.length // RECORD_BYTES + 1 for one in scanned.cut_off)
    journal = Journal(directory, kept_aside, buffer_id, created_ms, list(scanned.files), used + 1)
    if newest is not None:
        records = newest.last - newest.header.first + 1
        journal.accepted_records = newest.header.accepted_records + records
        journal.accepted_bytes = newest.header.accepted_bytes + max(
            0, newest.end - HEADER_BYTES - records * RECORD_BYTES - newest.key_bytes
        )
    return journal


@dataclass
class _Head:
    """The file that is written to."""

    descriptor: int
    file: JournalFile


@dataclass(frozen=True)
class JournalSize:
    """How many files a journal has, and their bytes."""

    files: int
    bytes: int


@dataclass
class Journal:
    """The files of one buffer; one thread appends, any may read. Make it by `open_journal`."""

    directory: Path
    kept_aside: Path
    buffer_id: bytes
    created_ms: int
    files: list[JournalFile]
    next_seq: int
    accepted_records: int = 0
    accepted_bytes: int = 0
    _head: _Head | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _places: deque[tuple[int, Path, int]] = field(default_factory=lambda: deque(maxlen=2))
    """Where the records after the two that were read last begin."""

    def append(self, records: Sequence[tuple[int, Put]]) -> list[int]:
        """Accept records (arrival in epoch ms, what was put); they are on the disk when this returns their numbers.

        Raises StoreError when they are not, and then none of them is accepted.
        """
        try:
            head = self._head or self._begin()
        except OSError as error:
            raise StoreError(_refused(error)) from None
        numbered = [Record.of(seq, arrival, put) for seq, (arrival, put) in enumerate(records, self.next_seq)]
        try:
            body = b"".join([encode_record(record, head.file.header.salt) for record in numbered])
        except Exception:
            if self._head is None:
                self._seal(head, 0)
            raise
        try:
            if os.fstat(head.descriptor).st_nlink == 0:
                raise FileNotFoundError(ENOENT, "the file was removed")
            _write(head.descriptor, body)
        except OSError as error:
            self._take_back(head, error, len(numbered))
            raise StoreError(_refused(error)) from None
        try:
            os.fdatasync(head.descriptor)
            if self._head is None:
                sync_directory(self.directory)
        except OSError as error:
            self._seal(head, len(numbered))
            raise StoreError(_refused(error)) from None
        self._accepted(head, len(body), numbered)
        return [record.seq for record in numbered]

    def close(self) -> None:
        """Close the file that is written to."""
        if self._head is not None:
            os.close(self._head.descriptor)
            self._head = None

    @property
    def newest(self) -> int:
        """The sequence number of the newest accepted record; 0 when there was none."""
        with self._lock:
            return self.files[-1].last if self.files else 0

    def size(self) -> JournalSize:
        """Return what the files take on the disk."""
        with self._lock:
            return JournalSize(len(self.files), sum(file.end for file in self.files))

    def read(
        self, after: int, is_done: Callable[[int, int], bool] = lambda _first, _last: False, *, remember: bool = False
    ) -> Iterator[Record | Damaged]:
        """Yield the accepted records with a higher number than `after`, in order; raises OSError.

        Files of which every record is done are left out: while a store is down they may be many.
        One thread may have it remember where the last records were, and then goes on from there without a search.
        """
        with self._lock:
            open_files = [f for f in self.files if f.last > after and not is_done(f.header.first, f.last)]
            files = [JournalFile(f.path, f.header, f.last, f.end) for f in open_files]
        for file in files:
            expected, offset = file.header.first, HEADER_BYTES
            for seq, path, place in self._places if remember else ():
                if (seq, path) == (after, file.path):
                    expected, offset = after + 1, place
            for one in read_file(file, offset, file.last, expected):
                if isinstance(one, Placed):
                    # Who looks at the next record twice must find it twice: a place that is known pushes none out.
                    if remember and all(one.record.seq != seq for seq, _, _ in self._places):
                        self._places.append((one.record.seq, file.path, one.next_offset))
                    if one.record.seq > after:
                        yield one.record
                elif isinstance(one, Damaged) and one.last > after and not is_done(one.first, one.last):
                    self._mark_damaged(file.path)
                    yield one

    def clear(self, is_done: Callable[[int, int], bool], keeping: Callable[[int], None] = lambda _first: None) -> int:
        """Remove the oldest files of which every record is done, but never the newest; returns how many.

        `keeping` is told, before any goes, from which number on files stay. A file that holds damage is kept aside.
        Raises OSError.
        """
        with self._lock:
            files = list(self.files)
        done = list(itertools.takewhile(lambda file: is_done(file.header.first, file.last), files[:-1]))
        if not done:
            return 0
        keeping(files[len(done)].header.first)
        for oldest in done:
            if oldest.has_damage:
                keep_aside(oldest.path, self.kept_aside)
            else:
                oldest.path.unlink(missing_ok=True)
            with self._lock:
                self.files.pop(0)
        sync_directory(self.directory)
        return len(done)

    def _mark_damaged(self, path: Path) -> None:
        with self._lock:
            for file in self.files:
                file.has_damage |= file.path == path

    def _begin(self) -> _Head:
        """Make the file for the records to come; it and its name are durable once its first records are."""
        # A file that could be neither begun nor removed keeps its name: its number is left out, not waited for.
        while (self.directory / f"{self.next_seq:020d}.journal").exists():
            self.next_seq += 1
        header = FileHeader(
            self.buffer_id,
            secrets.token_bytes(8),
            self.next_seq,
            self.newest,
            self.accepted_records,
            self.accepted_bytes,
            self.created_ms,
        )
        path = self.directory / f"{self.next_seq:020d}.journal"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, header.encode())
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return _Head(descriptor, JournalFile(path, header, header.first - 1, HEADER_BYTES))

    def _accepted(self, head: _Head, size: int, numbered: Sequence[Record]) -> None:
        with self._lock:
            if self._head is None:
                self.files.append(head.file)
            self._head = head
            head.file.end += size
            head.file.last = numbered[-1].seq
        self.next_seq += len(numbered)
        self.accepted_records += len(numbered)
        self.accepted_bytes += sum(len(record.data) for record in numbered)
        if head.file.end >= FILE_BYTES:
            self.close()

    def _take_back(self, head: _Head, error: OSError, records: int) -> None:
        """Cut off what was written of refused records; only a full disk leaves a file that can still be trusted."""
        if error.errno in (ENOSPC, EDQUOT) and self._head is not None:
            try:
                os.ftruncate(head.descriptor, head.file.end)
                os.lseek(head.descriptor, head.file.end, os.SEEK_SET)
            except OSError:
                pass
            else:
                return
        self._seal(head, records)

    def _seal(self, head: _Head, records: int) -> None:
        """Never write to a file again; the numbers of what failed are not used again, as it may be on the disk."""
        with contextlib.suppress(OSError):
            os.close(head.descriptor)
        if head.file.last < head.file.header.first:  # nothing of it was acknowledged
            with contextlib.suppress(OSError):
                head.file.path.unlink()
        self._head = None
        self.next_seq += records


def keep_aside(path: Path, folder: Path, name: str | None = None) -> Path:
    """Move a file that holds damage to where it is kept, and return its place; raises OSError."""
    make_directories(folder, 0o700)
    name = name or path.name
    target = folder / name
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{name}.{number}"
    path.rename(target)
    sync_directory(folder)
    sync_directory(path.parent)
    return target


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


_WHY = {
    ENOSPC: "the disk is full; free some space",
    EDQUOT: "the disk quota is used up; free some space",
    ENOENT: "the data directory was removed while auditlake ran",
}


def _refused(error: OSError) -> str:
    why = _WHY.get(error.errno or 0, os.strerror(error.errno or 0))
    return f"The buffer could not be written: {why}. Nothing of the request was accepted; it can be sent again."
