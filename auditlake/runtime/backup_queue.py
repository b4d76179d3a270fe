"""The accepted records that wait for the source backup.

Nothing is copied for it: a record waits in the journal, whose files stay until all of them is delivered and backed up.
The index says which records are in the backup, so that a crash repeats an object and loses nothing.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from auditlake.errors import StoreError
from auditlake.runtime import index as index_file
from auditlake.runtime.destination import SOURCE_BACKUP
from auditlake.runtime.index import Buffered, Index
from auditlake.runtime.journal import Journal
from auditlake.runtime.journal_format import RECORD_BYTES, Record
from auditlake.runtime.journal_scan import Damaged
from auditlake.runtime.levels import Level
from auditlake.runtime.seq_ranges import SeqRanges

DISABLED = (
    "The stream of the data directory {directory} has its source backup enabled, which AWS lets nobody disable, and "
    'the plan has none: keep s3_backup_mode = "Enabled" (raw_backup) in the plan, or choose another data directory.'
)


class BackupQueue:
    """What waits for the source backup, in the order in which it was accepted.

    One thread takes records out, another adds what it has accepted, and any may ask for the level.
    """

    def __init__(
        self, index: Index, journal: Journal, tell: Callable[[Iterable[Damaged]], None], read_error: Callable[..., str]
    ) -> None:
        """Count what waits; `tell` is given what of the journal is damaged, `read_error` puts an OSError in words."""
        self._index = index
        self._journal = journal
        self._tell = tell
        self._read_error = read_error
        self._lock = threading.Lock()
        self._records = self._bytes = 0
        self._oldest_seq = self._oldest_ms = 0
        for item in self._waiting():
            self.add(item.seq, 1, len(item.data), item.arrival_ms)

    def add(self, first: int, records: int, size: int, oldest_ms: int) -> None:
        """Count records that were accepted, from sequence number `first` on; the oldest arrived at `oldest_ms`."""
        with self._lock:
            if self._records <= 0:
                self._oldest_seq, self._oldest_ms = first, oldest_ms
            self._oldest_ms = min(self._oldest_ms, oldest_ms)
            self._change(records, size)

    def level(self) -> Level | None:
        """Return how much waits; None when nothing does."""
        with self._lock:
            if self._records <= 0:  # below zero when what was taken is counted only now
                return None
            return Level(SOURCE_BACKUP, self._records, max(0, self._bytes), self._oldest_ms, self._oldest_ms)

    def waits(self, upto: int) -> bool:
        """Return whether a record waits whose sequence number is at most `upto`."""
        with self._lock:
            return self._records > 0 and self._oldest_seq <= upto

    def contents(self, max_bytes: int) -> list[Buffered]:
        """Return the oldest records, at least one if there is one, up to `max_bytes`; raises StoreError."""
        found: list[Buffered] = []
        size = 0
        for item in self._waiting():
            size += len(item.data)
            if found and size > max_bytes:
                break
            found.append(item)
        return found

    def begun(self) -> tuple[str, list[Buffered]] | None:
        """Return key and records of the object that was begun and is not known to be stored; raises StoreError."""
        delivery = self._index.delivery(SOURCE_BACKUP)
        if delivery is None:
            return None
        taken = []
        for item in self._waiting():
            if item.seq > delivery.last_position:
                break
            taken.append(item)
        # Without records all that the object was to hold is damaged: the next one takes its place.
        return (delivery.key, taken) if taken else None

    def stored(self, taken: Sequence[Buffered], counted: Mapping[str, int]) -> None:
        """Let records wait no longer, which an object holds; raises StoreError."""
        ranges = SeqRanges(self._index.backed_up)
        ranges.add_all(item.seq for item in taken)

        def work(connection: sqlite3.Connection) -> None:
            index_file.put_backed_up(connection, ranges)
            index_file.drop_delivery(connection, SOURCE_BACKUP)
            index_file.count(connection, counted)

        self._index.write(work)
        self._index.backed_up = ranges
        oldest = None
        with contextlib.suppress(StoreError):  # the object is stored; what cannot be read is told when it is taken
            oldest = next(self._waiting(), None)
        with self._lock:
            if oldest is not None:
                self._oldest_seq, self._oldest_ms = oldest.seq, oldest.arrival_ms
            self._change(-len(taken), -sum(len(item.data) for item in taken))

    def damaged(self, one: Damaged, records: int) -> None:
        """Count no longer what cannot be read any more; `records` of it waited."""
        with self._lock:
            self._change(-records, -max(0, one.length - records * RECORD_BYTES))

    def _change(self, records: int, size: int) -> None:
        self._records += records
        # How many bytes were damaged is known nearly: an empty queue has none, whatever was added up.
        self._bytes = self._bytes + size if self._records else 0

    def _waiting(self) -> Iterator[Buffered]:
        """Yield the records that are not in the backup; their position is their sequence number."""
        backed_up = self._index.backed_up
        try:
            for one in self._journal.read(0, backed_up.covers):
                if isinstance(one, Record):
                    if one.seq not in backed_up:
                        yield Buffered(one.seq, SOURCE_BACKUP, one.arrival_ms, one.data, one.seq)
                else:
                    self._tell([one])
        except OSError as error:
            raise StoreError(self._read_error(error)) from None
