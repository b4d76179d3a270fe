"""How full the buffer is, kept in memory because it is asked for at every step."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from auditlake.runtime.destination import Destination, parse_destination
from auditlake.runtime.index import Buffered, Index
from auditlake.runtime.journal import Journal
from auditlake.runtime.journal_format import Record


@dataclass(frozen=True)
class Waiting:
    """The accepted records that the transform has not answered for: count, bytes, oldest arrival (epoch ms, UTC)."""

    records: int
    bytes: int
    oldest_arrival_ms: int | None


@dataclass(frozen=True)
class Level:
    """What waits for one destination: count, bytes, oldest arrival, and when its buffer was opened (epoch ms, UTC)."""

    destination: Destination
    records: int
    bytes: int
    oldest_arrival_ms: int
    opened_ms: int


class Levels:
    """The levels of a buffer; any thread may ask."""

    def __init__(self, index: Index, journal: Journal) -> None:
        """Count what waits and what is buffered."""
        self._lock = threading.Lock()
        unanswered = [
            len(one.data)
            for one in journal.read(0, index.answered.covers)
            if isinstance(one, Record) and one.seq not in index.answered
        ]
        self._waiting = (len(unanswered), sum(unanswered))
        self._buffered: dict[Destination, Level] = {}
        for (text,) in index.read("SELECT DISTINCT destination FROM buffered"):
            self.reload(index, parse_destination(text))

    def waiting(self) -> tuple[int, int]:
        """Return how many records wait for the transform, and their bytes."""
        with self._lock:
            return self._waiting

    def buffered(self) -> list[Level]:
        """Return what waits for each destination."""
        with self._lock:
            return list(self._buffered.values())

    def add_waiting(self, records: int, size: int) -> None:
        """Add to what waits for the transform, or take from it."""
        with self._lock:
            self._waiting = (self._waiting[0] + records, self._waiting[1] + size)

    def add_buffered(self, items: Iterable[Buffered], now_ms: int) -> None:
        """Add records to their destinations; the buffer of one that was empty opens now (epoch ms)."""
        with self._lock:
            for item in items:
                old = self._buffered.get(item.destination) or Level(item.destination, 0, 0, item.arrival_ms, now_ms)
                self._buffered[item.destination] = Level(
                    destination=item.destination,
                    records=old.records + 1,
                    bytes=old.bytes + len(item.data),
                    oldest_arrival_ms=min(old.oldest_arrival_ms, item.arrival_ms),
                    opened_ms=old.opened_ms,
                )

    def reload(self, index: Index, destination: Destination) -> None:
        """Count one destination anew; what was left over from an object opened its buffer when it arrived."""
        ((count, size, oldest),) = index.read(
            "SELECT count(*), sum(length(data)), min(arrival_ms) FROM buffered WHERE destination = ?",
            (destination.text,),
        )
        with self._lock:
            self._buffered.pop(destination, None)
            if count:
                self._buffered[destination] = Level(destination, count, size, oldest, oldest)
