"""Sends what a spool holds until it is empty, for the command line."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from auditlake.client.background import SenderLock
from auditlake.client.clock import Clock
from auditlake.client.post import Connection
from auditlake.client.sender import Sender, SendLimits, Stopped
from auditlake.client.signals import Signals
from auditlake.client.spool import SENT, check_spool, pending_bytes
from auditlake.errors import SpoolError


@dataclass(frozen=True)
class Drained:
    """What became of a spool's events; `left_bytes` wait still, `problem` says why."""

    accepted: int
    refused: int
    left_bytes: int
    problem: str | None


def drain_spool(
    directory: Path,
    connection: Connection,
    *,
    limits: SendLimits | None = None,
    timeout_s: float | None = None,
    clock: Clock | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Drained:
    """Send until nothing waits, or the time is over, and return what became of the events.

    `advance` is told how many events are settled so far. Raises SpoolError when another process sends this spool, or
    when it cannot be read or written.
    """
    check_spool(directory)  # before a lock is made in it
    lock = SenderLock(directory)
    signals = Signals()
    # A spool whose client keeps what is sent goes on to: reconcile would not know of these events.
    limits = limits or SendLimits(keep_sent=(directory / SENT).is_dir())
    sender = Sender(directory, connection.post, limits, clock or Clock(), signals)
    sender.settled = lambda: advance(sender.accepted + sender.refused)
    timer = None if timeout_s is None else threading.Timer(timeout_s, signals.halt)
    try:
        if not lock.take():
            raise SpoolError(f"The spool {directory} is being sent by {lock.holder()} already; ask it with: status.")
        if timer is not None:
            timer.start()
        _drain(sender, directory)
    except OSError as error:
        raise SpoolError(f"The spool {directory} cannot be written ({error.strerror}); it keeps its events.") from error
    finally:
        if timer is not None:
            timer.cancel()
        lock.drop()
    return Drained(sender.accepted, sender.refused, pending_bytes(directory), sender.problem)


def _drain(sender: Sender, directory: Path) -> None:
    """Drain until a pass leaves nothing, or leaves all that it found: a line that a live writer has not ended yet."""
    before = -1
    try:
        while (left := pending_bytes(directory)) and left != before:
            before = left
            sender.drain()
        sender.drain()
    except Stopped:
        return
