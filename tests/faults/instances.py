"""Every system call by which the runtime changes files, one run for each: killed there, or the call fails.

Tessera's method: a traced run lists the calls of a thread below the data directory, then each instance has a run of
its own with strace's injection. strace counts calls by thread and name, and so does the list.
"""

import contextlib
import itertools
import queue
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from tests.faults import trace
from tests.faults.events import Found, Sent
from tests.faults.found import find, find_twice
from tests.faults.narrow import MAIN, Narrow, Told
from tests.faults.trial import MOST_CASES, Outcome, Trial

Scene = Literal["fresh", "recovering"]
CRASHES = 5
"""How many calls are tried for one at which the process that is killed has begun to deliver."""
SCENES: Sequence[Scene] = ("fresh", "recovering")
PARALLEL = 2
"""How many runs of a whole suite run side by side."""
ATTEMPTS = 3
"""How often a run is made at most until its fault fires: by chance a run makes a call less."""


@dataclass(frozen=True)
class Instance:
    """A call of one of the driver's threads, on a fresh data directory or on one that a crash has left."""

    scene: Scene
    site: str
    call: trace.Call


class Subject(Protocol):
    """What is driven: the runtime or the client."""

    @property
    def sites(self) -> Sequence[str]:
        """The threads that change files, by name."""

    @property
    def crash(self) -> tuple[str, str, int]:
        """Where the process is killed that leaves a recovery its data: the thread, the call, which of them at first."""

    def sent(self, prefix: str) -> Sent:
        """Return where the events of a run are noted."""

    def arguments(self, data: Path) -> Mapping[str, Any]:
        """Return the members of a run that are this subject's."""

    def find(self, data: Path) -> Found:
        """Look for the events of a run."""

    def delivered(self, data: Path) -> Found:
        """Return what a run has delivered elsewhere than into its data directory."""

    def begun(self, data: Path) -> bool:
        """Return whether a run got as far as to deliver."""


class RuntimeSubject:
    """Buffer, stream and directory store of the runtime."""

    sites = (MAIN, "buffer")
    crash = (MAIN, "link", 1)

    def sent(self, prefix: str) -> Sent:
        """Return where the events of a run are noted."""
        return Sent(prefix)

    def arguments(self, data: Path) -> Mapping[str, Any]:  # noqa: ARG002 - the seam
        """Return nothing."""
        return {}

    def find(self, data: Path) -> Found:
        """Look into the table and the error prefix."""
        return find(data)

    def delivered(self, data: Path) -> Found:  # noqa: ARG002 - the seam
        """Return nothing: objects are in the data directory."""
        return Found()

    def begun(self, data: Path) -> bool:
        """Look for the body of an object on the way to its place."""
        return any(data.glob("*/.bucket/incoming/*"))


class BackedUpSubject(RuntimeSubject):
    """The same with a source backup: what is acknowledged must be delivered and backed up."""

    def arguments(self, data: Path) -> Mapping[str, Any]:  # noqa: ARG002 - the seam
        """Switch the backup on."""
        return {"backup": True}

    def find(self, data: Path) -> Found:
        """Look for what is in both."""
        return find_twice(data)


RUNTIME = RuntimeSubject()
BACKED_UP = BackedUpSubject()


@dataclass
class Scenes:
    """The data directories that runs of a subject begin with."""

    trial: Trial
    narrow: Narrow
    subject: Subject
    _crashed: tuple[Path, Sent] | None = None

    def begin(self, scene: str) -> tuple[Path, Sent]:
        """Make a data directory for a run; returns it with what was acknowledged of it."""
        data = self.trial.directory() / "data"
        sent = self.subject.sent("after" if scene == "recovering" else "fault")
        if scene == "recovering":
            crashed, before = self._crash()
            shutil.copytree(crashed, data)
            sent.elsewhere = self.subject.delivered(crashed)
            sent.bodies.update(before.bodies)
            sent.acknowledge(before.acknowledged)
        return data, sent

    def run(self, data: Path, sent: Sent, site: str, log: Path, options: Sequence[str]) -> Told:
        """Do a run with strace on one thread."""
        traced = (site, partial(trace.tracing, log=log, options=options))
        return self.narrow.run(data, sent, batches(sent), traced, **self.subject.arguments(data))

    def _crash(self) -> tuple[Path, Sent]:
        """Make, once, what a process leaves that is killed while some is delivered and some is not."""
        site, call, first = self.subject.crash
        # Which call it is varies: a sender that begins while a segment is made looks for what others left.
        for nth in range(first, first + CRASHES):
            if self._crashed is None:
                data, sent = self.trial.directory() / "data", self.subject.sent("before")
                self.run(data, sent, site, data.parent / "crash.log", trace.killing(call, nth))
                self._crashed = (data, sent) if self.subject.begun(data) else None
        if self._crashed is None:
            raise RuntimeError(f"No process that was killed at {call} {first} or soon after had begun to deliver.")
        return self._crashed


def batches(sent: Sent) -> list[list[tuple[str, bytes]]]:
    """Make the requests of a run: single events and batches, of two partitions, some larger than others."""
    return [
        [sent.make()],
        [sent.make(padding=2_000)],
        [sent.make(), sent.make(event_type="document.read"), sent.make()],
        [sent.make(padding=1_000)],
        [sent.make(event_type="document.read")],
        [sent.make() for _ in range(4)],
        [sent.make()],
    ]


def enumerate_calls(scenes: Scenes, names: Sequence[str]) -> list[Instance]:
    """List the calls of some names on files of the data directory, by a run of each scene and thread under strace."""
    found = []
    for scene, site in itertools.product(SCENES, scenes.subject.sites):
        data, sent = scenes.begin(scene)
        log = data.parent / "calls.log"
        scenes.run(data, sent, site, log, trace.listing(names))
        found += [Instance(scene, site, call) for call in trace.calls(log, data)]
    return found


def run_instance(scenes: Scenes, instance: Instance, options: Sequence[str]) -> Outcome:
    """Make a run in which one call kills the process or fails, then a run without fault, and look for the events."""
    for _ in range(ATTEMPTS):
        data, sent = scenes.begin(instance.scene)
        log = data.parent / "trace.log"
        told = scenes.run(data, sent, instance.site, log, options)
        injected = trace.injected(log)
        if injected:
            break
    else:
        return Outcome(missed=1)
    outcome = drained(scenes.narrow, data, sent, injected, scenes.subject).with_problems(*told.problems(), *_hung(told))
    shutil.rmtree(data.parent, ignore_errors=True)
    return outcome.named(f"{instance.scene} {instance.site} {instance.call}")


def drained(narrow: Narrow, data: Path, sent: Sent, injected: int, subject: Subject = RUNTIME) -> Outcome:
    """Start again without a fault, deliver all, and compare what is found with what was acknowledged."""
    told = narrow.run(data, sent, [], **subject.arguments(data))
    why = [*told.refused, *told.errors, *told.exceptions]
    problems = [f"the next start said: {one}" for one in why]
    if not told.ended:
        problems.append(f"the next start ended with {told.exit}")
    return sent.compare(subject.find(data), injected).with_problems(*problems)


def _hung(told: Told) -> tuple[str, ...]:
    return ("the process hung",) if told.exit < -64 else ()


def each_call(
    trial: Trial,
    names: Sequence[str],
    options: "Options",
    bounded: int,
    subject: Subject = RUNTIME,
    at_most: int = MOST_CASES,
) -> Outcome:
    """Run instances of the calls `names`, `at_most` of them, with the options that `options` returns."""
    with contextlib.ExitStack() as stack:
        free: queue.SimpleQueue[Scenes] = queue.SimpleQueue()
        for _ in range(PARALLEL if trial.whole else 1):
            free.put(Scenes(trial, stack.enter_context(Narrow(trial.directory())), subject))
        scenes = free.get()
        instances = trial.sample(enumerate_calls(scenes, names), bounded, at_most)
        free.put(scenes)

        def run(instance: Instance) -> Outcome:
            scenes = free.get()
            try:
                return run_instance(scenes, instance, options(instance.call))
            finally:
                free.put(scenes)

        with ThreadPoolExecutor(PARALLEL) as pool:
            running = [pool.submit(run, instance) for instance in instances]
            return trial.each(running, lambda done: done.result())


class Options:
    """strace's options for a call."""

    def __init__(self, error: str | None = None, *, onwards: bool = False) -> None:
        """Kill at the call, or have it fail with `error`, once or from then on."""
        self._error = error
        self._onwards = "+" if onwards else ""

    def __call__(self, call: trace.Call) -> list[str]:
        """Return the options."""
        if self._error is None:
            return trace.killing(call.name, call.nth)
        return trace.failing(call.name, f"{call.nth}{self._onwards}", self._error)
