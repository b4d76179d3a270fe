"""What lies in a spool's directory, for whoever reads it: segments, how far each is settled, what is put aside.

20261124T071234.123456Z-4711-9f3a0c1e.events    a segment: what one process recorded
20261124T071234.123456Z-4711-9f3a0c1e.settled   up to which offset its events are accepted or dead-lettered
sender.lock        held by the one process that sends
dead-letter.ndjson events that the endpoint refused, each with the reason
dead-letter-settled.ndjson  which of them somebody has dealt with, when, and how
problem.json       why the sender's last request did not get through, while it does not
damaged.ndjson     bytes that are no event, in base64, each with its segment and offset
sent/              segments whose events are settled, of a client that keeps them
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auditlake.client.files import append_synced, checked, is_locked, last_checked, opened
from auditlake.client.line import Damage, Line, read_lines
from auditlake.client.segment import NEW_SUFFIX, SUFFIX
from auditlake.directories import make_directories
from auditlake.errors import SpoolError

SETTLED_SUFFIX = ".settled"
DEAD_LETTERS = "dead-letter.ndjson"
SETTLED_LETTERS = "dead-letter-settled.ndjson"
PROBLEM = "problem.json"
DAMAGED = "damaged.ndjson"
SENT = "sent"
SENDER_LOCK = "sender.lock"

_TAIL_BYTES = 4096


@dataclass(frozen=True)
class Contents:
    """What of a segment is not settled yet: its bytes from `start` on; `complete` when no more will be written."""

    start: int
    data: bytes
    complete: bool

    def lines(self) -> Iterator[Line | Damage]:
        """Yield the events and what is damaged, in order."""
        return read_lines(self.data, self.start, complete=self.complete)


def make_directory(path: Path) -> None:
    """Make the directory of a spool, private to its user and there after a power cut; raises SpoolError."""
    try:
        make_directories(path, 0o700)
    except OSError as error:
        raise SpoolError(f"The spool {path} cannot be made ({error.strerror}); name a directory of yours.") from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise SpoolError(f"The spool {path} cannot be written by this user; give it the directory, or name another.")


def check_spool(directory: Path) -> None:
    """Raise SpoolError for a directory that is none, or holds other things and nothing of a spool.

    An empty one is a spool that nobody has recorded to.
    """
    try:
        names = {entry.name for entry in directory.iterdir()}
    except OSError as error:
        raise SpoolError(f"The spool {directory} cannot be read ({error.strerror}); is it the right path?") from error
    ours = {SENDER_LOCK, DEAD_LETTERS, SETTLED_LETTERS, PROBLEM, DAMAGED, SENT}
    if names and not names & ours and not any(name.endswith((SUFFIX, SETTLED_SUFFIX, NEW_SUFFIX)) for name in names):
        raise SpoolError(
            f"{directory} is no spool: it holds other files; give the directory that AuditClient was given."
        )


def segments(directory: Path) -> list[Path]:
    """Return the segments of a spool, the oldest first; raises SpoolError when there is no such directory."""
    try:
        return sorted(entry for entry in directory.iterdir() if entry.suffix == SUFFIX)
    except OSError as error:
        raise SpoolError(f"The spool {directory} cannot be read ({error.strerror}); is it the right path?") from error


def settled_path(segment: Path) -> Path:
    """Return the file that says how far a segment is settled."""
    return segment.with_suffix(SETTLED_SUFFIX)


def read_settled(segment: Path) -> int:
    """Return the offset up to which a segment is settled; 0 where nothing says so, which repeats its events."""
    try:
        with opened(settled_path(segment), os.O_RDONLY) as fd:
            # The end of the file will do: the last line counts, and those before it if that one is torn.
            text = last_checked(_read_from(fd, max(0, os.fstat(fd).st_size - _TAIL_BYTES)))
    except FileNotFoundError:
        return 0
    return 0 if text is None else int(text)


def write_settled(segment: Path, offset: int) -> None:
    """Have the disk say how far a segment is settled; raises OSError.

    The line is added to those before it, so that one that is torn by a crash leaves the last one in force.
    """
    append_synced(settled_path(segment), checked(b"%d" % offset))


def read_segment(segment: Path, start: int) -> Contents | None:
    """Return what a segment holds from `start` on; None when it is gone. Raises OSError.

    Whether a writer holds it is asked first: what is sealed then does not change while it is read.
    """
    try:
        with opened(segment, os.O_RDONLY) as fd:
            complete = not is_locked(fd)
            return Contents(start, _read_from(fd, start), complete)
    except FileNotFoundError:
        return None


def _read_from(fd: int, start: int) -> bytes:
    parts = []
    while part := os.pread(fd, max(1, os.fstat(fd).st_size - start), start):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def pending(directory: Path) -> Iterator[tuple[Path, Line | Damage]]:
    """Yield each event, and what is damaged, that is recorded and not settled; raises SpoolError."""
    for segment in segments(directory):
        try:
            contents = read_segment(segment, read_settled(segment))
        except OSError as error:
            raise SpoolError(f"The segment {segment} cannot be read ({error.strerror}).") from error
        for line in contents.lines() if contents else ():
            yield segment, line


def pending_bytes(directory: Path) -> int:
    """Return how many bytes of segments are not settled; raises SpoolError."""
    total = 0
    for segment in segments(directory):
        try:
            total += max(0, segment.stat().st_size - read_settled(segment))
        except FileNotFoundError:
            continue  # settled meanwhile
        except OSError as error:
            raise SpoolError(f"The segment {segment} cannot be read ({error.strerror}).") from error
    return total


def remove_segment(segment: Path, *, keep: bool) -> None:
    """Take a settled segment away, or among those that are kept as sent; raises OSError.

    What says how far it is settled goes last: without it, a crash between the two would send the segment again.
    """
    if keep:
        kept = segment.parent / SENT
        kept.mkdir(mode=0o700, exist_ok=True)
        segment.rename(kept / segment.name)
    else:
        segment.unlink(missing_ok=True)
    settled_path(segment).unlink(missing_ok=True)


def remove_leftovers(directory: Path) -> None:
    """Take away what a killed process left: files of segments that never came to be, or are gone; raises OSError."""
    for entry in directory.iterdir():
        if entry.suffix == SETTLED_SUFFIX and not entry.with_suffix(SUFFIX).exists():
            entry.unlink(missing_ok=True)
        elif entry.suffix == NEW_SUFFIX:
            # A live writer that is robbed of its file before it could lock it makes another.
            try:
                with opened(entry, os.O_RDONLY) as fd:
                    stale = not is_locked(fd)
            except FileNotFoundError:
                continue
            if stale:
                entry.unlink(missing_ok=True)
