"""Sends what a spool holds: one process at a time, batch after batch, until each event is accepted or refused.

An event leaves the spool only when the endpoint has accepted it or it is among the dead letters. All else is tried
again without an end: what the connection, the endpoint or our own settings (a token that expired, a wrong URL) are to
blame for costs no event. A batch is settled on the disk before the next one, so a crash repeats at most one, with the
same ids.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from auditlake.batch_endpoint import Answer, wait_before
from auditlake.client.clock import Clock
from auditlake.client.line import Damage, Line, encode_line
from auditlake.client.post import Post
from auditlake.client.problem import SendProblem, forget_problem, note_problem
from auditlake.client.put_aside import event_id, write_damage, write_dead_letters
from auditlake.client.segment import Disk, Segment, fork_guard
from auditlake.client.signals import Signals
from auditlake.client.spool import (
    Contents,
    read_segment,
    read_settled,
    remove_leftovers,
    remove_segment,
    segments,
    write_settled,
)
from auditlake.errors import AuditlakeError

_log = logging.getLogger("auditlake.client")


@dataclass(frozen=True)
class SendLimits:
    """How batches are sent; bytes are of the events before gzip, times in seconds.

    A Lambda's request holds 6 MB with the body escaped inside it: 4 MB of JSON fit as base64 too.
    """

    max_events: int = 1000
    max_bytes: int = 4_000_000
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 60.0
    retry_after_limit_s: float = 3600.0
    keep_sent: bool = False


_TRIES_ALONE = 5
"""After so many failures in a row of an event that was sent alone, the events behind it have their turn."""


class Stopped(Exception):  # noqa: N818 - it is no error
    """The sender is to stop; what is not settled stays in the spool."""


class Sender:
    """Sends the events of a spool; whoever calls it holds the spool's sender lock."""

    def __init__(self, directory: Path, post: Post, limits: SendLimits, clock: Clock, signals: Signals) -> None:
        """Send with `post`, which returns an Answer for a batch or raises for a fault that concerns all of it."""
        self.accepted = 0
        self.refused = 0
        self.problem: str | None = None
        """Why the last request did not get through; None when it did."""
        self.settled: Callable[[], None] = lambda: None
        """Called whenever events were settled."""
        self._directory = directory
        self._post = post
        self._limits = limits
        self._clock = clock
        self._signals = signals
        self._failures = 0  # in a row, over all events
        self._failing_since: datetime | None = None
        self._got_through = False
        self._window = limits.max_events
        self._offsets: dict[Path, int] = {}  # up to where segments are settled, should the disk refuse to be told
        self._moved: set[int] = set()

    def drain(self) -> None:
        """Send all that waits, the oldest segment first.

        Raises Stopped when it is told to stop, OSError when the spool cannot be written. A segment that cannot be read
        is left for later and costs no other.
        """
        remove_leftovers(self._directory)
        unreadable = None
        for segment in segments(self._directory):
            try:
                contents = read_segment(segment, self._settled_offset(segment))
            except OSError as error:
                _log.error("The segment %s cannot be read (%s); it is kept.", segment, error.strerror)
                unreadable = error
                continue
            if contents is not None:
                self._send(segment, contents)
        if unreadable is not None:
            self.problem = f"A segment of the spool cannot be read ({unreadable.strerror})."

    def tidy(self) -> None:
        """Take away the segments that are settled and that their writers have left; raises OSError."""
        for segment in segments(self._directory):
            contents = read_segment(segment, self._settled_offset(segment))
            if contents is not None and contents.complete and not contents.data:
                self._remove(segment)

    def _settled_offset(self, segment: Path) -> int:
        return max(read_settled(segment), self._offsets.get(segment, 0))

    def _remove(self, segment: Path) -> None:
        remove_segment(segment, keep=self._limits.keep_sent)
        self._offsets.pop(segment, None)
        self.settled()

    def _send(self, segment: Path, contents: Contents) -> None:
        """Send what a segment holds; take it away when its writer has left it and all is settled."""
        for batch, end in self._batches(segment, contents):
            self._settle(segment, batch, end)
        if contents.complete:
            self._remove(segment)

    def _batches(self, segment: Path, contents: Contents) -> Iterator[tuple[list[Line], int]]:
        """Yield events up to the limits of a request, with the offset behind them; damage is put aside on the way."""
        batch: list[Line] = []
        size = end = 0
        for line in contents.lines():
            if isinstance(line, Damage):
                _log.error("%s, bytes %d to %d: %s; they are put aside.", segment, line.start, line.end, line.why)
                write_damage(self._directory, segment, line, self._clock.now())
            elif batch and (len(batch) == self._limits.max_events or size + len(line.body) > self._limits.max_bytes):
                yield batch, line.start
                batch, size = [line], len(line.body) + 1
            else:
                batch.append(line)
                size += len(line.body) + 1
            end = line.end
        if end:
            yield batch, end

    def _settle(self, segment: Path, batch: list[Line], end: int) -> None:
        """Send events until each is accepted, refused, or has made way for others, and have the disk know."""
        waiting = deque(batch)
        if not waiting:
            self._note_settled(segment, end)
        while waiting:
            if self._signals.stop.is_set():
                raise Stopped
            part = [waiting.popleft() for _ in range(min(self._window, len(waiting)))]
            left, answer = self._try(part)
            if left and self._makes_way(segment, part, left):
                left = []
            waiting.extendleft(reversed(left))
            if len(left) < len(part):
                self._note_settled(segment, waiting[0].start if waiting else end)
            if left and not answer.divide:
                self._pause(answer)

    def _note_settled(self, segment: Path, offset: int) -> None:
        """Have the disk say how far a segment is settled; a full disk must not stop what makes room on it."""
        self._offsets[segment] = offset
        try:
            write_settled(segment, offset)
        except OSError as error:
            _log.error("%s cannot be noted as settled (%s); a crash now sends it again.", segment, error.strerror)
        self.settled()

    def _try(self, part: list[Line]) -> tuple[list[Line], Answer]:
        """POST events and return those that are to be sent again, and the answer."""
        answer = self._answer(part)
        if answer.divide and len(part) == 1:
            self._refuse([(part[0], answer.reason)])
            return [], answer
        if answer.divide:
            self._window = len(part) // 2
            return part, answer
        self._refuse([(part[index], reason) for index, reason in answer.rejected])
        self.accepted += len(answer.accepted)
        left = [part[index] for index in answer.again]
        if len(left) == len(part):
            self._failed(answer.reason, len(part))
        else:
            self._succeeded(None if not left else answer.reason)
        return left, answer

    def _answer(self, part: list[Line]) -> Answer:
        """POST events; whatever goes wrong with that, on either side, is a reason to try again."""
        try:
            return self._post([line.body for line in part], self._clock.now())
        except AuditlakeError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - a sender that ends would leave the spool to fill up
            reason = f"{type(error).__name__}: {error}"
        return Answer(again=tuple(range(len(part))), reason=reason)

    def _failed(self, reason: str, count: int) -> None:
        """Send less next time: an endpoint that is down is asked with little, one bad event is found by halves."""
        if self._failures == 0:
            _log.warning("Events stay in the spool %s and are sent again: %s", self._directory, reason)
        now = self._clock.now()
        self._failures += 1
        self._failing_since = self._failing_since or now
        self._window = max(1, count // 2)
        self.problem = reason
        note_problem(self._directory, SendProblem(reason, self._failing_since, now, self._failures))

    def _succeeded(self, problem: str | None) -> None:
        if self._failures:
            _log.warning("Events of the spool %s are accepted again.", self._directory)
        if self._failures or not self._got_through:  # the first time: an earlier process may have left it
            forget_problem(self._directory)
        self._got_through = True
        self._failures, self._failing_since = 0, None
        self._window = min(self._limits.max_events, self._window + max(1, self._window // 4))
        self.problem = problem

    def _refuse(self, refused: list[tuple[Line, str]]) -> None:
        if refused:
            times = [datetime.fromtimestamp(line.recorded_ms / 1000, UTC).isoformat() for line, _ in refused]
            write_dead_letters(self._directory, refused, self._clock.now(), times)
            self.refused += len(refused)
            line, reason = refused[0]
            _log.error(
                "%d events are refused for good and kept in %s; the first, %s, because: %s",
                len(refused),
                self._directory,
                event_id(line.body),
                reason,
            )

    def _makes_way(self, segment: Path, part: list[Line], left: list[Line]) -> bool:
        """Move an event that failed alone and often to the end of the queue, if others wait; tell whether it did.

        An endpoint that fails on one certain event would otherwise hold up all those behind it for ever.
        """
        body = left[0].body
        turn = self._failures % _TRIES_ALONE == 0 or hash(body) in self._moved
        if len(part) > 1 or self._failures < _TRIES_ALONE or not turn:
            return False
        others = [other for other in segments(self._directory) if other != segment]
        if not others and segment.stat().st_size <= left[0].end:
            return False
        with fork_guard:
            moved = Segment.create(self._directory, self._clock.now(), Disk())
            try:
                moved.acknowledge(moved.append(encode_line(left[0].recorded_ms, body)), sync=True)
            finally:
                moved.leave()
        self._moved.add(hash(body))
        return True

    def _pause(self, answer: Answer) -> None:
        """Wait as long as Retry-After says, even in a hurry, and a random part of the back-off; raises Stopped."""
        limits, signals = self._limits, self._signals
        asked_s = min(answer.retry_after_s, limits.retry_after_limit_s)
        if asked_s and self._clock.wait(signals.stop, asked_s):
            raise Stopped
        attempt, chance = max(1, self._failures), self._clock.random()
        backoff_s = wait_before(attempt, limits.backoff_base_s, limits.backoff_cap_s, chance)
        if self._clock.wait(signals.urgent, backoff_s):
            signals.urgent.clear()
        if signals.stop.is_set():
            raise Stopped
