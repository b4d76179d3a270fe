"""Runs the narrow driver: a run at a time, with strace on one of its threads, and what it told."""

import errno
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.conftest import ROOT
from tests.faults.driver import Run
from tests.faults.events import Sent

MAIN = "main"
RUN_TIMEOUT_S = 60
Traced = Callable[[int], AbstractContextManager[None]]
"""Traces the thread with an id while the block runs."""


@dataclass
class Told:
    """What a run told: how it ended, its threads by name, and what went wrong."""

    exit: int
    threads: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    recovery: str = ""
    damage: list[str] = field(default_factory=list)
    ended: bool = False

    def problems(self) -> tuple[str, ...]:
        """Return what no fault excuses: an error that is no sentence."""
        return tuple(f"an error that is no sentence: {one}" for one in self.exceptions)


class Narrow:
    """The process from which runs are forked; use it as a context manager."""

    def __init__(self, scratch: Path) -> None:
        """Keep gates and what is told in `scratch`."""
        self._scratch = scratch
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        with (self._scratch / "driver.log").open("ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.driver"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.kill()
        self._server.communicate()

    def run(
        self,
        data: Path,
        sent: Sent,
        batches: Sequence[Sequence[tuple[str, bytes]]],
        traced: tuple[str, Traced] | None = None,
        **changes: Any,  # noqa: ANN401 - members of Run
    ) -> Told:
        """Do a run, tracing its thread `MAIN` from before it opens anything, or another by its name from then on."""
        number = next(self._numbers)
        told_path = self._scratch / f"told-{number}"
        gates = (f"{self._scratch}/gate-{number}-0", f"{self._scratch}/gate-{number}-1")
        for gate in gates:
            os.mkfifo(gate)
        content = tuple(tuple((event_id, body.decode()) for event_id, body in batch) for batch in batches)
        child = self._fork(Run(str(data), content, gates, str(told_path), **changes))
        site, trace = traced or (MAIN, _untraced)
        with ExitStack() as stack:
            with self._abandoning(child):
                stack.enter_context(trace(child) if site == MAIN else nullcontext())
                _open_gate(gates[0], child, stack)
                thread = _thread(told_path, child, site) if site != MAIN else 0
                stack.enter_context(trace(thread) if thread else nullcontext())
                _open_gate(gates[1], child, stack)
            exit_code = self._wait(child)
        return _read(told_path, exit_code, sent)

    @contextmanager
    def _abandoning(self, child: int) -> Iterator[None]:
        """End a run that cannot be traced, and hear of its end: or the next run would take it for its own."""
        try:
            yield
        except Exception:
            with suppress(ProcessLookupError):
                os.kill(child, 9)
            self._line()
            raise

    def _fork(self, run: Run) -> int:
        if self._server.stdin is None:
            raise RuntimeError("The driver has an input.")
        self._server.stdin.write(json.dumps(asdict(run)) + "\n")
        self._server.stdin.flush()
        return self._line()

    def _wait(self, child: int) -> int:
        deadline = time.monotonic() + RUN_TIMEOUT_S
        while _alive(child):
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError):  # it may end just now
                    os.kill(child, 9)
                return self._line() * 1000  # no signal's number: it hung
            time.sleep(0.002)
        return self._line()

    def _line(self) -> int:
        line = self._server.stdout.readline() if self._server.stdout else ""
        if not line:
            raise RuntimeError(f"The driver has ended: {(self._scratch / 'driver.log').read_text(encoding='utf-8')}")
        return int(line)


def _alive(child: int) -> bool:
    try:
        return Path(f"/proc/{child}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _open_gate(gate: str, child: int, stack: ExitStack) -> None:
    """Let the run pass a gate; returns at once when it has died before.

    The gate stays open as long as the stack: strace interrupts the run as it waits there, and it comes again.
    """
    while _alive(child):
        try:
            stack.callback(os.close, os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
            return
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        time.sleep(0.002)


def _untraced(_thread: int) -> AbstractContextManager[None]:
    return nullcontext()


def _thread(told: Path, child: int, name: str) -> int:
    """Return the id of a thread once the run tells it; 0 when the run dies before."""
    while _alive(child):
        for line in _lines(told):
            if line["kind"] == "thread" and line["name"] == name:
                return int(line["id"])
        time.sleep(0.002)
    return 0


def _lines(told: Path) -> list[dict[str, Any]]:
    try:
        text = told.read_bytes()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def _read(told_path: Path, exit_code: int, sent: Sent) -> Told:
    told = Told(exit_code)
    for line in _lines(told_path):
        match line["kind"]:
            case "acknowledged":
                sent.acknowledge(line["ids"])
            case "thread":
                told.threads[line["name"]] = line["id"]
            case "refused":
                told.refused.append(line["why"])
            case "error":
                told.errors.append(line["why"])
            case "exception":
                told.exceptions.append(line["why"])
            case "recovery":
                told.recovery, told.damage = line["sentence"], line["problems"]
            case "end":
                told.ended = True
    return told
