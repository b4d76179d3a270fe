"""A model of the spool, for a state machine that does to the real one what disks, crashes and endpoints do."""

import errno
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from auditlake.batch_endpoint import Answer
from auditlake.client.clock import Clock
from auditlake.client.files import sync_file, write_all
from auditlake.client.segment import Disk

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Killed(BaseException):
    """The process died here; nothing after it is run."""


@dataclass
class FailingDisk:
    """A real disk whose next write or sync fails as told: with an errno, or by the death of the process.

    `part` is how much of the next line is written before its failure, from 0 to 1.
    """

    write_fault: int | None = None
    part: float = 0.0
    sync_fault: int | None = None
    syncs: int = 0
    synced: dict[Path, int] = field(default_factory=dict)

    KILL = -1

    def disk(self) -> Disk:
        """Give the calls."""
        return Disk(self._write, self._sync)

    def _write(self, fd: int, data: bytes) -> None:
        self.synced.setdefault(_path(fd), 0)
        fault, self.write_fault = self.write_fault, None
        if fault is None:
            return write_all(fd, data)
        write_all(fd, data[: int(self.part * (len(data) - 1))])
        return _raise(fault)

    def _sync(self, fd: int) -> None:
        fault, self.sync_fault = self.sync_fault, None
        if fault is not None:
            _raise(fault)
        self.syncs += 1
        sync_file(fd)
        self.synced[_path(fd)] = os.fstat(fd).st_size


def _path(fd: int) -> Path:
    return Path(f"/proc/self/fd/{fd}").readlink()


def _raise(fault: int) -> None:
    if fault == FailingDisk.KILL:
        raise Killed
    raise OSError(fault, os.strerror(fault))


FAULTS = (errno.EIO, errno.ENOSPC, FailingDisk.KILL)


@dataclass
class Time:
    """A clock that is a millisecond further whenever it is asked; waiting takes no time, and chance is always one half.

    Names of segments hold the time: equal times would leave their order, and so the model's steps, to chance.
    """

    asked: int = 0
    waited: list[float] = field(default_factory=list)
    on_wait: Callable[[float], None] = lambda _: None

    def clock(self) -> Clock:
        """Give the clock to pass in."""
        return Clock(now=self._now, monotonic=lambda: sum(self.waited), wait=self._wait, random=lambda: 0.5)

    def _now(self) -> datetime:
        self.asked += 1
        return START + timedelta(milliseconds=self.asked)

    def _wait(self, _event: object, seconds: float) -> bool:
        self.waited.append(seconds)
        self.on_wait(seconds)
        return False


@dataclass
class Endpoint:
    """An endpoint that meets each request with the next of its fates, and accepts when there is none left."""

    fates: list[str] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - a test's choice
    accepted: list[bytes] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)

    FATES = ("accept", "refuse some", "again some", "down", "divide", "killed before", "killed after", "broken")

    def post(self, events: Sequence[bytes], _now: datetime) -> Answer:
        """Answer one request."""
        self.requests.append(len(events))
        fate = self.fates.pop(0) if self.fates else "accept"
        every = range(len(events))
        if fate == "killed before":
            raise Killed
        if fate == "broken":
            raise RuntimeError("the connection is in a state that nobody thought of")
        if fate == "down":
            return Answer(again=tuple(every), reason="503 down")
        if fate == "divide" and len(events) > 1:
            return Answer(divide=True, reason="413 too large")
        if fate == "divide":
            self.refused += events
            return Answer(divide=True, reason="413 too large")
        some = {index for index in every if self.chance.random() < 0.5}
        rejected = some if fate == "refuse some" else set()
        again = some if fate == "again some" else set()
        self.refused += [events[index] for index in sorted(rejected)]
        taken = [index for index in every if index not in rejected | again]
        self.accepted += [events[index] for index in taken]
        if fate == "killed after":
            raise Killed
        return Answer(tuple(taken), tuple((index, "400 no") for index in sorted(rejected)), tuple(sorted(again)))


def flip_bit(path: Path, offset: int, bit: int) -> None:
    """Change one bit of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))
