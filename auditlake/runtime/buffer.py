"""The durable buffer between deliver and store: a journal of what was accepted, and an index of what became of it.

A record is in the journal until it is stored (`journal.py`), and in the source backup where the stream has one
(`backup_queue.py`). The index says which records the transform has answered for, and holds what it made of them until
their object is stored (`index.py`). Each step is one transaction of the index, so a crash repeats a step and loses
nothing. Requests that arrive together share one sync of the journal.
"""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from auditlake.directories import make_directories
from auditlake.errors import StoreError
from auditlake.runtime import index as index_file
from auditlake.runtime.backup_queue import DISABLED, BackupQueue
from auditlake.runtime.damage import DAMAGED, cut_off_sentence, lost_sentence, unbacked_sentence
from auditlake.runtime.destination import SOURCE_BACKUP, Destination
from auditlake.runtime.group_commit import GroupCommit
from auditlake.runtime.index import Accepted, Buffered, Delivery
from auditlake.runtime.index_opening import open_index, unopened
from auditlake.runtime.journal import Journal, JournalSize, open_journal
from auditlake.runtime.journal_format import Put, Record
from auditlake.runtime.journal_scan import Damaged, Scanned, first_header, journal_directory, read_journal, scan
from auditlake.runtime.levels import Level, Levels, Waiting
from auditlake.runtime.problems import Problem, Problems
from auditlake.runtime.recovery import Recovery
from auditlake.runtime.seq_ranges import SeqRanges

CLOSE_S = 10
"""How long a close waits for a disk that does not answer."""
LARGE_JOURNAL_BYTES = 1024**3
"""From this size on a journal of which little waits is told in the log."""

logger = logging.getLogger("auditlake")


class Buffer:
    """The buffer; accepting happens in its own thread, in the order of arrival, and one thread takes records out."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time, *, has_backup: bool = False) -> None:
        """Open or make the buffer whose index is at `path`, and recover what the last process left.

        `clock` gives the epoch time in seconds; with `has_backup` records wait for the source backup too, and what the
        journal holds when that begins does so as well. Raises StoreError when it cannot be opened, is no buffer, or
        had a source backup and is to have none.
        """
        self.has_backup = has_backup
        """Whether records wait for the source backup too."""
        self._backup: BackupQueue | None = None
        self._kept_aside = path.parent / DAMAGED
        self._problems = Problems(clock)
        self._is_large = False
        with contextlib.ExitStack() as opened:
            try:
                self._directory = directory = journal_directory(path)
                make_directories(directory)
                header = first_header(directory)
                self._index, problems = open_index(path, header)
                opened.callback(self._index.abandon)
                self._keep_backup(path.parent)
                self.id = self._index.id
                self.created_ms = self._index.created_ms
                self._journal, found = self._open_journal(directory)
                self._levels = Levels(self._index, self._journal)
                if has_backup:
                    self._backup = BackupQueue(self._index, self._journal, self._tell_damaged, self._unread)
                cleared = self._clear()
            except OSError as error:
                raise StoreError(unopened(path, error)) from None
            opened.pop_all()
        is_new = header is None and not self._index.accepted().last_seq
        self.recovery = self._recovery(is_new, cleared, (*problems, *found))
        self._accepting = GroupCommit(self._commit, "buffer")

    def close(self) -> None:
        """Finish what was asked for and close the files, within CLOSE_S seconds if the disk does not answer."""
        if self._accepting.close(CLOSE_S):
            self._journal.close()
        self._index.close(self._accepted())

    def record_id(self, seq: int) -> str:
        """Return the RecordId of a record, which is never reused, not even by another buffer."""
        return record_id(self.id, seq)

    def accept(self, arrival_ms: int, records: Sequence[Put]) -> "Future[list[int]]":
        """Store records; the future holds their sequence numbers once they are on the disk, or the error."""
        return self._accepting.add(arrival_ms, records)

    def move(
        self, answered: Sequence[Record], buffered: Sequence[Buffered], counted: Mapping[str, int], now_ms: int
    ) -> None:
        """Replace accepted records by what the transform and the partitioning made of them; waits for the disk.

        `now_ms` (epoch ms) is when the buffer of a destination opens that was empty. Raises StoreError.
        """
        ranges = SeqRanges(self._index.answered)
        ranges.add_all(record.seq for record in answered)

        def work(connection: sqlite3.Connection) -> None:
            index_file.put_buffered(connection, buffered)
            index_file.put_answered(connection, ranges)
            index_file.note_accepted(connection, self._accepted())
            index_file.count(connection, counted)

        self._index.write(work)
        self._index.answered = ranges
        self._levels.add_waiting(-len(answered), -sum(len(record.data) for record in answered))
        self._levels.add_buffered(buffered, now_ms)
        self._clear()

    def begin(self, destination: Destination, taken: Sequence[Buffered], key: str) -> None:
        """Fix durably that these records, the oldest of a destination, are stored as one object under this key.

        Whatever happens then, `begun` gives the same records and key until they are `stored`. Raises StoreError.
        """
        delivery = Delivery(destination, taken[-1].position, key)
        self._index.write(lambda connection: index_file.put_delivery(connection, delivery))

    def begun(self, destination: Destination) -> tuple[str, list[Buffered]] | None:
        """Return key and records of the object of a destination that was begun and is not known to be stored."""
        if self._backup is not None and destination == SOURCE_BACKUP:
            return self._backup.begun()
        delivery = self._index.delivery(destination)
        if delivery is None:
            return None
        return delivery.key, list(self._index.rows(destination, delivery.last_position))

    def stored(
        self,
        destination: Destination,
        taken: Sequence[Buffered],
        failed: Sequence[Buffered],
        counted: Mapping[str, int],
        now_ms: int,
    ) -> None:
        """Drop records of a destination that are stored, and put those that failed under their error destination.

        `now_ms` (epoch ms) is when the buffer of an error destination opens that was empty. Raises StoreError.
        """

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM buffered WHERE position = ?", [(item.position,) for item in taken])
            index_file.drop_delivery(connection, destination)
            index_file.put_buffered(connection, failed)
            index_file.count(connection, counted)

        self._index.write(work)
        self._levels.reload(self._index, destination)
        self._levels.add_buffered(failed, now_ms)
        self._clear()

    def backed_up(self, taken: Sequence[Buffered], counted: Mapping[str, int]) -> None:
        """Let records wait for the source backup no longer, which holds them; raises StoreError."""
        if self._backup is not None:
            self._backup.stored(taken, counted)
            self._clear()

    def backup_waits(self, upto: int) -> bool:
        """Return whether a record up to a sequence number waits for the source backup."""
        return self._backup is not None and self._backup.waits(upto)

    def last_accepted(self) -> int:
        """Return the sequence number of the newest accepted record, wherever it is; 0 when there was none."""
        return self._journal.newest

    def count(self, counted: Mapping[str, int]) -> None:
        """Add to the counters; raises StoreError."""
        self._index.write(lambda connection: index_file.count(connection, counted))

    def waiting(self, after: int | None = None) -> Waiting:
        """Return what the transform has not answered for.

        With `after`, which only the thread that takes records out may give, the oldest arrival is that of the records
        after this sequence number.
        """
        records, size = self._levels.waiting()
        unanswered = self._look() if after is None else self._unanswered(after)
        oldest = next(unanswered, None) if records else None
        return Waiting(records, size, oldest.arrival_ms if oldest else None)

    def newest(self) -> int:
        """Return the sequence number of the newest accepted record that waits for the transform; 0 when none does."""
        if not self._levels.waiting()[0]:
            return 0
        newest = self._journal.newest
        return next((first - 1 for first, last in self._index.answered if first <= newest <= last), newest)

    def next_batch(self, max_bytes: int, max_records: int, after: int = 0) -> list[Record]:
        """Return the oldest accepted records after sequence number `after`, at least one if there is one.

        They hold no more than `max_bytes` and are no more than `max_records`. Raises StoreError.
        """
        batch: list[Record] = []
        size = 0
        for record in self._unanswered(after):
            size += len(record.data)
            if batch and (size > max_bytes or len(batch) >= max_records):
                break
            batch.append(record)
        return batch

    def problem(self) -> Problem | None:
        """Return why the last request was refused, and since when it is so; None when it was accepted."""
        return self._problems.joined()

    def journal(self) -> JournalSize:
        """Return how much the journal takes on the disk."""
        return self._journal.size()

    def levels(self) -> list[Level]:
        """Return what waits for each destination, the source backup last."""
        backup = self._backup.level() if self._backup is not None else None
        return self._levels.buffered() + ([] if backup is None else [backup])

    def contents(self, destination: Destination, max_bytes: int) -> list[Buffered]:
        """Return the oldest records of a destination, at least one if there is one, up to `max_bytes`."""
        if self._backup is not None and destination == SOURCE_BACKUP:
            return self._backup.contents(max_bytes)
        found: list[Buffered] = []
        size = 0
        for item in self._index.rows(destination, None):
            size += len(item.data)
            if found and size > max_bytes:
                break
            found.append(item)
        return found

    def counters(self) -> dict[str, int]:
        """Return what was counted since the buffer was made, by name."""
        accepted = self._accepted()
        counted = {"accepted.records": accepted.records, "accepted.bytes": accepted.bytes}
        stored = dict(self._index.read("SELECT name, value FROM counters ORDER BY name"))
        return stored | {name: value for name, value in counted.items() if value}

    def _accepted(self) -> Accepted:
        journal = self._journal
        return Accepted(journal.newest, journal.accepted_records, journal.accepted_bytes)

    def _look(self) -> Iterator[Record]:
        """Yield the records that the transform has not answered for, for any thread that only looks."""
        answered = self._index.answered
        with contextlib.suppress(FileNotFoundError):  # all of a file was stored meanwhile
            found = self._journal.read(0, answered.covers)
            yield from (one for one in found if isinstance(one, Record) and one.seq not in answered)

    def _unanswered(self, after: int) -> Iterator[Record]:
        """Yield the records after a number that the transform has not answered for; what is damaged is told."""
        answered = self._index.answered
        try:
            for one in self._journal.read(after, answered.covers, remember=True):
                if isinstance(one, Damaged):
                    self._tell_damaged([one])
                elif one.seq not in answered:
                    yield one
        except OSError as error:
            raise StoreError(self._unread(error)) from None

    def _unread(self, error: OSError) -> str:
        return (
            f"The journal file {error.filename or self._directory} of the buffer cannot be read: "
            f"{error.strerror or error}. What it holds waits until the disk reads it."
        )

    def _tell_damaged(self, damaged: Iterable[Damaged]) -> None:
        for sentence in self._give_up(damaged):
            logger.error("%s", sentence)

    def _give_up(self, damaged: Iterable[Damaged]) -> list[str]:
        """Count records that cannot be read and wait for them no longer; returns a sentence for each place."""
        sentences = []
        for one in damaged:
            lost = self._index.answered.missing(one.first, one.last)
            unbacked = self._index.backed_up.missing(one.first, one.last) if self.has_backup else 0
            if not lost and not unbacked:
                continue  # told before, or delivered before it was damaged
            self._wait_no_longer([one], {"damaged.records": lost, "backup.damaged": unbacked})
            if self._backup is not None:
                self._backup.damaged(one, unbacked)
            sentence = lost_sentence if lost else unbacked_sentence
            sentences.append(sentence(one, lost or unbacked, self._directory, self._kept_aside))
        return sentences

    def _leave_out(self, refused: Iterable[Damaged]) -> None:
        """Wait for no record of a request that was refused and that the disk holds a part of."""
        refused = list(refused)
        ranges = [self._index.answered, *([self._index.backed_up] if self.has_backup else [])]
        if any(of_them.missing(one.first, one.last) for one in refused for of_them in ranges):
            self._wait_no_longer(refused, {})

    def _wait_no_longer(self, records: Iterable[Damaged], counted: Mapping[str, int]) -> None:
        """Have neither the transform nor the backup wait for records."""
        answered, backed_up = SeqRanges(self._index.answered), SeqRanges(self._index.backed_up)
        for one in records:
            answered.add(one.first, one.last)
            if self.has_backup:
                backed_up.add(one.first, one.last)

        def work(connection: sqlite3.Connection) -> None:
            index_file.put_answered(connection, answered)
            index_file.put_backed_up(connection, backed_up)
            index_file.count(connection, {name: value for name, value in counted.items() if value})

        self._index.write(work)
        self._index.answered, self._index.backed_up = answered, backed_up

    def _keep_backup(self, directory: Path) -> None:
        """Note that the stream has a source backup; raises StoreError when it had one and is to have none."""
        if self._index.has_backup and not self.has_backup:
            raise StoreError(DISABLED.format(directory=directory))
        if self.has_backup and not self._index.has_backup:
            self._index.write(index_file.note_backup)

    def _clear(self) -> int:
        """Remove the journal's files of which everything is stored; they are also removed at the next chance."""

        def is_done(first: int, last: int) -> bool:
            if not self._index.answered.covers(first, last):
                return False
            if self.has_backup and not self._index.backed_up.covers(first, last):
                return False
            return not self._index.read("SELECT 1 FROM buffered WHERE seq BETWEEN ? AND ? LIMIT 1", (first, last))

        try:
            cleared = self._journal.clear(is_done, self._note_kept_from)
        except StoreError as error:
            logger.warning("Delivered files of the journal stay for now: %s", error)
            return 0
        except OSError as error:
            logger.warning("A delivered file of the journal cannot be removed: %s.", error.strerror or error)
            return 0
        if cleared and self._journal.files:
            self._index.answered.forget_below(self._journal.files[0].header.first)
            self._index.backed_up.forget_below(self._journal.files[0].header.first)
        self._tell_size()
        return cleared

    def _note_kept_from(self, seq: int) -> None:
        if self._index.kept_from != seq:
            self._index.write(lambda connection: index_file.note_kept_from(connection, seq))
            self._index.kept_from = seq

    def _tell_size(self) -> None:
        """Warn, once, of a journal that is large though most of it is delivered: its files go in their order only."""
        size = self._journal.size()
        backup = self._backup.level() if self._backup is not None else None
        delivery = self._levels.waiting()[1] + sum(level.bytes for level in self._levels.buffered())
        waiting = max(delivery, 0 if backup is None else backup.bytes)  # what waits for both is in the journal once
        was_large, self._is_large = self._is_large, size.bytes > max(LARGE_JOURNAL_BYTES, 2 * waiting)
        if self._is_large and not was_large:
            logger.warning(
                "The journal takes %s bytes in %s files, of which %s bytes of records wait: a file goes only after "
                "those before it, and %s holds a record that is not delivered. `auditlake status` shows what waits.",
                f"{size.bytes:,}",
                f"{size.files:,}",
                f"{waiting:,}",
                self._journal.files[0].path,
            )

    def _open_journal(self, directory: Path) -> tuple[Journal, list[str]]:
        noted = self._index.accepted()
        scanned = scan(directory, noted.last_seq)
        journal = open_journal(
            directory, self._kept_aside, scanned, bytes.fromhex(self.id), self.created_ms, noted.last_seq
        )
        journal.accepted_records = max(journal.accepted_records, noted.records)
        journal.accepted_bytes = max(journal.accepted_bytes, noted.bytes)
        self._leave_out(scanned.refused)
        if noted.last_seq and not scanned.files and not scanned.headless:
            # The newest file stays for good: somebody took it, and with it what was not answered for.
            first = next((first for first, _ in self._index.answered), 1)
            scanned.damaged.append(Damaged(first, noted.last_seq, directory.name, 0, 0))
        scanned.damaged[:0] = _removed(scanned, self._index.kept_from)
        sentences = self._give_up(scanned.damaged)
        self._note_kept_from(scanned.files[0].header.first if scanned.files else journal.next_seq)
        sentences += [cut_off_sentence(one, directory, self._kept_aside) for one in scanned.cut_off]
        for sentence in sentences:
            logger.error("%s", sentence)
        return journal, sentences

    def _recovery(self, is_new: bool, cleared: int, problems: Sequence[str]) -> Recovery:
        levels = self._levels.buffered()
        backup = self._backup.level() if self._backup is not None else None
        waiting = self.waiting()
        oldest = [level.oldest_arrival_ms for level in self.levels()]
        if waiting.oldest_arrival_ms is not None:
            oldest.append(waiting.oldest_arrival_ms)
        ((begun,),) = self._index.read("SELECT count(*) FROM deliveries")
        return Recovery(
            opened_ms=int(time.time() * 1000),
            was_closed=self._index.was_closed,
            is_new=is_new,
            waiting=waiting.records,
            buffered=sum(level.records for level in levels),
            destinations=len(levels),
            backup=0 if backup is None else backup.records,
            begun=begun,
            oldest_arrival_ms=min(oldest, default=None),
            files_cleared=cleared,
            problems=problems,
        )

    def _commit(self, records: Sequence[tuple[int, Put]]) -> Sequence[int]:
        try:
            accepted = self._journal.append(records)
        except Exception as error:  # noqa: BLE001 - whatever failed, every waiting request must hear of it
            told = error if isinstance(error, StoreError) else StoreError(f"The buffer could not be written: {error}.")
            if self._problems.begin("accept", str(told)):
                logger.error("%s It is told again when records are accepted.", told)
            raise told from None
        if self._problems.end("accept"):
            logger.warning("Records are accepted again.")
        size = sum(len(put) for _, put in records)
        self._levels.add_waiting(len(records), size)
        if self._backup is not None:
            self._backup.add(accepted[0], len(records), size, min(arrival_ms for arrival_ms, _ in records))
        return accepted


def record_id(buffer_id: str, seq: int) -> str:
    """Return the RecordId of a record by its buffer's id and its sequence number."""
    return f"{buffer_id}{seq:020d}"


def unanswered_records(path: Path, connection: sqlite3.Connection) -> Iterator[Record]:
    """Yield the accepted records that wait for the transform, for who reads a buffer that may be running.

    `path` is the index's, and `connection` one to it, whose open transaction says what was answered. Raises OSError.
    """
    answered = SeqRanges(connection.execute("SELECT first, last FROM answered"))
    for record in read_journal(journal_directory(path)):
        if record.seq not in answered:
            yield record


def _removed(scanned: Scanned, kept_from: int | None) -> list[Damaged]:
    """Return what the oldest files held that were there and are gone, which no clearing took away."""
    if kept_from is None or not scanned.files:
        return []
    oldest = scanned.files[0]
    if any(path.name < oldest.path.name for path in scanned.headless) or oldest.header.before < kept_from:
        return []
    return [Damaged(kept_from, oldest.header.before, f"{kept_from:020d}.journal", 0, 0)]
