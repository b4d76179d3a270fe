"""Appends events to the spool: the segments of this process one after the other, within the spool's limit of bytes."""

import logging
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from auditlake.client.clock import Clock
from auditlake.client.segment import Disk, Segment, fork_guard, not_recorded
from auditlake.client.spool import pending_bytes, read_settled
from auditlake.errors import SpoolError, SpoolFullError

_log = logging.getLogger("auditlake.client")


@dataclass(frozen=True)
class Limits:
    """How the spool is written.

    Args:
        durability: `sync` returns when the event is on the disk, `os` when the operating system has it: that survives
            the death of the process, not of the machine.
        max_spool_bytes: how many bytes may wait in the directory, of all its processes.
        full: what record does in a full spool: `block` waits for room, `raise` raises SpoolFullError.
        segment_bytes: when a segment is left for the next one.
    """

    durability: Literal["sync", "os"] = "sync"
    max_spool_bytes: int = 1 << 30
    full: Literal["block", "raise"] = "block"
    segment_bytes: int = 8 << 20


_POLL_S = 0.05
_EXACT_BYTES = 1 << 20  # with less room than this, the directory is looked at for each event
_SHARE = 16  # of the room that is there, a process takes this part before it looks again


def unsettled(ends: Mapping[Path, int]) -> dict[Path, int]:
    """Return those segments that are not settled up to the given offsets; one that is gone is settled."""
    return {path: end for path, end in ends.items() if not _is_settled(path, end)}


def _is_settled(path: Path, end: int) -> bool:
    try:
        return not path.exists() or read_settled(path) >= end
    except OSError:
        return False  # it cannot be known now


class Writer:
    """Writes the events of this process; its methods are called by many threads."""

    def __init__(self, directory: Path, limits: Limits, clock: Clock, disk: Disk | None = None) -> None:
        """Write to a directory that exists; no segment is made before the first event."""
        self._directory = directory
        self._limits = limits
        self._clock = clock
        self._disk = disk or Disk()
        self._closed = threading.Event()
        self._open: list[Segment] = []  # those whose file is not closed yet
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew in a child process: the parent's segments and whoever held the lock are the parent's."""
        for segment in self._open:
            segment.abandon()
        self._open = []
        self._lock = threading.Lock()
        self._inside = threading.local()
        self._segment: Segment | None = None
        self._ends: dict[Path, int] = {}
        self._room = 0

    def write(self, line: bytes) -> None:
        """Return when an event's line is as safe as `durability` says; raises SpoolError, SpoolFullError."""
        if getattr(self._inside, "writing", False):
            raise SpoolError(
                "The event is not recorded: record was called inside record, as a signal handler does; "
                "let the handler start a thread, or set a flag, that records."
            )
        self._inside.writing = True
        try:
            segment, end = self._append(line)
            try:
                segment.acknowledge(end, sync=self._limits.durability == "sync")
            except SpoolError:
                with self._lock:
                    if self._segment is segment:
                        self._leave()
                raise
        finally:
            self._inside.writing = False

    def seal(self) -> None:
        """Leave the segment, so that it can be taken away when it is settled; the next event begins another."""
        with self._lock:
            if self._segment is not None:
                self._leave()

    def close(self) -> None:
        """Seal and record no more; calls that wait for room end with SpoolError."""
        self._closed.set()
        self.seal()

    def unsettled(self) -> dict[Path, int]:
        """Return the segments of this process and up to where they are written, without those that are settled."""
        with self._lock:
            if self._segment is not None:
                self._ends[self._segment.path] = self._segment.size
            self._ends = unsettled(self._ends)
            return dict(self._ends)

    def _append(self, line: bytes) -> tuple[Segment, int]:
        while True:
            with self._lock:
                if self._closed.is_set():
                    raise SpoolError("The event is not recorded: this client is closed; make another.")
                if self._has_room(len(line)):
                    return self._append_locked(line)
            self._wait_for_room(len(line))

    def _append_locked(self, line: bytes) -> tuple[Segment, int]:
        if self._segment is not None and self._segment.failed:
            self._leave()
        if self._segment is None:
            try:
                with fork_guard:
                    self._segment = Segment.create(self._directory, self._clock.now(), self._disk)
                    self._open = [segment for segment in self._open if not segment.closed] + [self._segment]
            except OSError as error:
                raise not_recorded(self._directory, error) from error
        segment = self._segment
        try:
            end = segment.append(line)
        except BaseException:
            self._leave()
            raise
        self._room -= len(line)
        if end >= self._limits.segment_bytes:
            self._leave()
        return segment, end

    def _leave(self) -> None:
        segment = self._segment
        if segment is not None:
            self._segment = None
            # Long-lived processes leave many; one that is gone is settled.
            self._ends = {path: end for path, end in self._ends.items() if not _is_settled(path, sys.maxsize)}
            self._ends[segment.path] = segment.size
            segment.leave()

    def _has_room(self, size: int) -> bool:
        """Tell whether an event fits; the directory is looked at when what was found free is used up."""
        if self._room >= size:
            return True
        free = self._limits.max_spool_bytes - pending_bytes(self._directory)
        self._room = free if free < size else max(size, free // _SHARE if free > _EXACT_BYTES else 0)
        return free >= size

    def _wait_for_room(self, size: int) -> None:
        """Wait until the spool has room; raises SpoolFullError when it is not to wait."""
        limit = self._limits.max_spool_bytes
        if size > limit or self._limits.full == "raise":
            raise SpoolFullError(
                f"The event is not recorded: its {size:,} bytes do not fit into the spool {self._directory}, which "
                f"may hold {limit:,}. Let it be sent (auditlake spool status {self._directory}), or allow more."
            )
        _log.warning("The spool %s is full (%d bytes); record waits for room.", self._directory, limit)
        while not self._closed.is_set():
            self._clock.wait(self._closed, _POLL_S)
            with self._lock:
                if self._has_room(size):
                    return
