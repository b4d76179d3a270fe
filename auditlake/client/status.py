"""What a spool holds, in figures."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from auditlake.client.line import Line
from auditlake.client.problem import SendProblem, read_problem
from auditlake.client.put_aside import count_damaged, dead_letters
from auditlake.client.spool import check_spool, pending, pending_bytes


@dataclass(frozen=True)
class SpoolStatus:
    """What waits in a spool and what is put aside, of all its processes; times are UTC.

    `unread_damage` counts places that are damaged and that the sender has not come to yet. `dead_lettered` are those
    that nobody has settled. `problem` is why the sender's last request did not get through; None when it did, or none
    was made.
    """

    spool: str
    pending: int
    pending_bytes: int
    oldest: datetime | None
    oldest_age_s: float | None
    dead_lettered: int
    damaged: int
    unread_damage: int
    problem: SendProblem | None


def spool_status(directory: Path, now: datetime) -> SpoolStatus:
    """Return what a spool holds; it is read whole. Raises SpoolError when it cannot be read."""
    check_spool(directory)
    count = damage = 0
    oldest_ms = None
    for _, line in pending(directory):
        if isinstance(line, Line):
            count += 1
            oldest_ms = line.recorded_ms if oldest_ms is None else min(oldest_ms, line.recorded_ms)
        else:
            damage += 1
    oldest = None if oldest_ms is None else datetime.fromtimestamp(oldest_ms / 1000, UTC)
    return SpoolStatus(
        spool=str(directory),
        pending=count,
        pending_bytes=pending_bytes(directory),
        oldest=oldest,
        oldest_age_s=None if oldest is None else round((now - oldest).total_seconds(), 3),
        dead_lettered=len({letter.id for letter in dead_letters(directory)}),
        damaged=count_damaged(directory),
        unread_damage=damage,
        problem=read_problem(directory) if count else None,
    )


def pending_events(directory: Path) -> Iterator[bytes]:
    """Yield the exact bytes of each event that is recorded and not settled; raises SpoolError."""
    for _, line in pending(directory):
        if isinstance(line, Line):
            yield line.body
