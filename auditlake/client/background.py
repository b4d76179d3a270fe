"""The sender of a process: a thread that sends the whole spool while it holds the spool's sender lock."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from auditlake.client.clock import Clock
from auditlake.client.files import PRIVATE, try_lock, write_all
from auditlake.client.post import Connection
from auditlake.client.segment import fork_guard
from auditlake.client.sender import Sender, SendLimits, Stopped
from auditlake.client.signals import Signals
from auditlake.client.spool import SENDER_LOCK
from auditlake.errors import AuditlakeError

_log = logging.getLogger("auditlake.client")

_TAKE_OVER_S = 1.0  # how often a process looks whether the one that sends is gone
_POLL_S = 0.5  # how often the one that sends looks for what others recorded


class SenderLock:
    """The lock that makes one process the sender of a spool; the system frees it when that process ends."""

    def __init__(self, directory: Path) -> None:
        """Name the spool; nothing is locked yet."""
        self._path = directory / SENDER_LOCK
        self._fd = -1

    def take(self) -> bool:
        """Take the lock unless another process has it, and say in its file who has; raises OSError."""
        with fork_guard:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        if not try_lock(self._fd):
            self.drop()
            return False
        with contextlib.suppress(OSError):  # a note for people; a full disk must not stop what makes room on it
            os.ftruncate(self._fd, 0)
            write_all(self._fd, f"process {os.getpid()}\n".encode())
        return True

    def holder(self) -> str:
        """Return who has the lock, as its file says."""
        with contextlib.suppress(OSError):
            return self._path.read_text(errors="replace").strip() or "another process"
        return "another process"

    def drop(self) -> None:
        """Close the file; the lock is free when this process alone had it open."""
        with fork_guard:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


class Background:
    """The thread that sends; one a process, started when it is first needed and anew after a fork."""

    def __init__(
        self, directory: Path, connect: Callable[[], Connection], limits: SendLimits, clock: Clock, linger_s: float
    ) -> None:
        """Send with the connection that `connect` makes, `linger_s` after the first of a batch was recorded."""
        self._directory = directory
        self._connect = connect
        self._limits = limits
        self._clock = clock
        self._linger_s = linger_s
        self._lock = SenderLock(directory)
        self.after_fork()

    def after_fork(self) -> None:
        """Forget the parent's thread and close its lock, which stays the parent's."""
        self._lock.drop()
        self.signals = Signals()
        self.settled = threading.Condition()
        self.sender: Sender | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Start the thread unless it runs."""
        with self._starting:
            if self._thread is not None or self.signals.stop.is_set():
                return
            thread = threading.Thread(target=self._run, name="auditlake-sender", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                # No thread is left, or the interpreter ends: what is recorded is safe, and the next start sends it.
                _log.error("The spool %s is not sent by this process: %s", self._directory, error)
            else:
                self._thread = thread

    def news(self) -> None:
        """Say that an event was recorded."""
        if not self.signals.news.is_set():
            if self._thread is None:
                self.start()
            self.signals.news.set()

    def stop(self, timeout_s: float) -> None:
        """Stop the thread; one whose request is not answered within the time is left, and ends with the process."""
        self.signals.halt()
        with self._starting:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    @property
    def thread_id(self) -> int | None:
        """The identity of the thread, so that what it logs is not recorded."""
        return self._thread.ident if self._thread else None

    @property
    def problem(self) -> str | None:
        """Why the last request of this process did not get through, if it did not."""
        return self.sender.problem if self.sender else None

    def _run(self) -> None:
        while not self.signals.stop.is_set():
            try:
                self._work()
            except Exception:  # noqa: BLE001 - no descriptor for a connection, say; the thread must outlive it
                _log.exception("The spool %s is not sent for now.", self._directory)
                self._clock.wait(self.signals.stop, _TAKE_OVER_S)

    def _work(self) -> None:
        """Send until told to stop, whenever the lock is to be had."""
        connection = self._connect()
        sender = Sender(self._directory, connection.post, self._limits, self._clock, self.signals)
        sender.settled = self._tell_settled
        self.sender = sender
        try:
            while not self.signals.stop.is_set():
                if self._take_lock():
                    self._send(sender)
                    with contextlib.suppress(OSError, AuditlakeError):  # the next one who sends takes it away
                        sender.tidy()
                    self._lock.drop()
                else:
                    self._clock.wait(self.signals.stop, _TAKE_OVER_S)
        finally:
            self._lock.drop()
            connection.close()

    def _take_lock(self) -> bool:
        try:
            return self._lock.take()
        except OSError as error:
            _log.error("The spool %s cannot be sent (%s).", self._directory, error.strerror)
            return False

    def _send(self, sender: Sender) -> None:
        """Send whatever comes, until told to stop."""
        signals = self.signals
        failures = 0
        while not signals.stop.is_set():
            signals.news.clear()
            try:
                sender.drain()
            except Stopped:
                return
            except Exception as error:  # noqa: BLE001 - a sender that ends would leave the spool to fill up unheard
                failures += 1
                self._tell(sender, error)
                self._clock.wait(signals.stop, min(self._limits.backoff_cap_s, 2.0 ** min(failures, 16)))
                continue
            failures = 0
            if self._clock.wait(signals.news, _POLL_S) and self._clock.wait(signals.urgent, self._linger_s):
                signals.urgent.clear()

    def _tell(self, sender: Sender, error: Exception) -> None:
        """Say why the spool is not sent: a sentence for what disks do, a traceback for what nobody thought of."""
        sender.problem = str(error) or type(error).__name__
        foreseen = isinstance(error, OSError | AuditlakeError)
        _log.error("The spool %s is not sent for now: %s", self._directory, error, exc_info=not foreseen)

    def _tell_settled(self) -> None:
        with self.settled:
            self.settled.notify_all()
