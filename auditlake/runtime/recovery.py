"""What a start found in the buffer of the process before, in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Recovery:
    """What the buffer held when it was opened.

    `waiting` records wait for the transform, `buffered` for `destinations` objects, `backup` for the source backup;
    `begun` objects were being stored; `oldest_arrival_ms` (epoch ms, UTC, as `opened_ms`) is that of all of them.
    `problems` are sentences about damage.
    """

    opened_ms: int

    was_closed: bool
    is_new: bool
    waiting: int
    buffered: int
    destinations: int
    begun: int
    oldest_arrival_ms: int | None
    files_cleared: int
    problems: Sequence[str] = ()
    backup: int = 0

    def sentence(self) -> str:
        """Return it in one sentence, with ages as they were when the buffer was opened."""
        if self.is_new:
            return "The buffer is new."
        stop = "The last process stopped cleanly" if self.was_closed else "The last process did not stop cleanly"
        if not self.waiting and not self.buffered and not self.backup:
            return f"{stop}; the buffer is empty."
        parts = []
        if self.waiting:
            parts.append(f"{_records(self.waiting)} for the transform")
        if self.buffered:
            parts.append(f"{_records(self.buffered)} for {_count(self.destinations, 'object')}")
        if self.backup:
            parts.append(f"{_records(self.backup)} for the source backup")
        begun = f"; {_count(self.begun, 'object')} being stored then will get the same key again" if self.begun else ""
        oldest = (
            "" if self.oldest_arrival_ms is None else f", the oldest for {age(self.opened_ms - self.oldest_arrival_ms)}"
        )
        return f"{stop}; recovered from the buffer: {_listed(parts)} waiting{oldest}{begun}."


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _records(count: int) -> str:
    return _count(count, "accepted record")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def age(milliseconds: int) -> str:
    """Return a length of time in words, in its largest unit that it has two of."""
    seconds = max(0, milliseconds) // 1000
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:,} {unit}s"
    return _count(seconds, "second")
