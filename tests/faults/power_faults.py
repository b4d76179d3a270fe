"""What befalls a machine whose power fails: its disk holds what was synced, and by chance some of the rest."""

import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults import instances, trace
from tests.faults.client_faults import ClientSubject
from tests.faults.endpoint import listening
from tests.faults.events import Sent
from tests.faults.instances import BACKED_UP, RUNTIME, RuntimeSubject, Scenes, batches, drained
from tests.faults.narrow import MAIN, Narrow
from tests.faults.power import OPTIONS, Disk, Played, played
from tests.faults.trial import Outcome, Trial


def power_cut(trial: Trial) -> Outcome:
    """Play the calls of a run to a model of a disk, cut its power after each of them, and start on what is left."""
    return _power_cut(trial, RUNTIME)


def power_cut_with_a_backup(trial: Trial) -> Outcome:
    """Do the same with a source backup: an event must be in the table and the backup."""
    return _power_cut(trial, BACKED_UP)


def _power_cut(trial: Trial, subject: RuntimeSubject) -> Outcome:
    with Narrow(trial.directory()) as narrow:
        scenes = Scenes(trial, narrow, subject)
        outcome = Outcome()
        for scene in instances.SCENES:
            data, sent = scenes.begin(scene)
            run = _Traced(data, sent, subject.arguments(data))
            outcome += _cut_after_each(trial, scenes, run, bounded=3).named(scene)
        return outcome


def client_power_cut(trial: Trial) -> Outcome:
    """Do the same with the client while nobody takes its events: they are in the spool, whenever the power fails."""
    with listening() as endpoint, Narrow(trial.directory()) as narrow:
        scenes = Scenes(trial, narrow, ClientSubject(endpoint))
        data, sent = scenes.begin("fresh")
        arguments = {"url": "http://127.0.0.1:9", "abandon": True}
        return _cut_after_each(trial, scenes, _Traced(data, sent, arguments), bounded=3)


def power_cut_after_failed_sync(trial: Trial) -> Outcome:
    """Have each sync fail once, so that its bytes never reach the disk, and cut the power when all is delivered."""
    with Narrow(trial.directory()) as narrow:
        scenes = Scenes(trial, narrow, RUNTIME)
        syncs = trial.sample(instances.enumerate_calls(scenes, trace.SYNCS), 2)
        return trial.each(syncs, lambda sync: _failed_sync(scenes, sync))


def power_cut_after_kill(trial: Trial) -> Outcome:
    """Kill a run where it changes or syncs a name, start again and deliver all, then cut the power.

    What the killed process did not sync, the next one must not take for synced.
    """
    with Narrow(trial.directory()) as narrow:
        scenes = Scenes(trial, narrow, RUNTIME)
        listed = instances.enumerate_calls(scenes, (*trace.NAMES, "fsync"))
        kills = trial.sample([one for one in listed if one.scene == "fresh"], 2)
        return trial.each(kills, lambda kill: _killed_before(scenes, kill))


def _killed_before(scenes: Scenes, kill: instances.Instance) -> Outcome:
    data, sent = scenes.begin("fresh")
    disk, run = _disk(data), _Traced(data, sent, {})
    for call in _traced(scenes, run, ["-e", f"inject={kill.call.name}:signal=KILL:when={kill.call.nth}"]):
        disk.play(call)
    if not trace.injected(_log(data)):
        return Outcome(missed=1)
    for call in _traced(scenes, run):
        disk.play(call)
    return _start_on(scenes, disk, sent, None).named(f"killed at {kill.call}")


def _failed_sync(scenes: Scenes, sync: instances.Instance) -> Outcome:
    """Make a run in which a sync fails, in each thread that comes to it."""
    data, sent = scenes.begin(sync.scene)
    options = ["-e", f"inject={sync.call.name}:error=EIO:when={sync.call.nth}"]
    run = _Traced(data, sent, {})
    disk = _disk(data)
    for call in _traced(scenes, run, options):
        disk.play(call)
    if not trace.injected(_log(data)):
        return Outcome(missed=1)
    return _start_on(scenes, disk, sent, None).named(f"{sync.scene} {sync.call}")


@dataclass(frozen=True)
class _Traced:
    """A run whose calls are played: its data directory, what is noted of it, and members of its own."""

    data: Path
    sent: Sent
    arguments: Mapping[str, Any]


def _disk(data: Path) -> Disk:
    """Return a disk that holds what a data directory holds.

    The directory above is the root: that the data directory's own name is durable is part of what is tried.
    """
    disk = Disk(bytes(data.parent))
    if data.exists():
        disk.begin_with(data, data)
    return disk


def _log(data: Path) -> Path:
    return data.parent / "trace.log"


def _traced(scenes: Scenes, run: _Traced, options: Sequence[str] = ()) -> list[Played]:
    """Do a run and return the calls of all of its threads."""
    tracing = (MAIN, partial(trace.tracing, log=_log(run.data), options=[*OPTIONS, *options]))
    scenes.narrow.run(run.data, run.sent, batches(run.sent), tracing, **run.arguments)
    return list(played(_log(run.data)))


def _cut_after_each(trial: Trial, scenes: Scenes, run: _Traced, bounded: int) -> Outcome:
    """Play the calls, and cut the power after those that are chosen: first with nothing more, then with some more."""
    acknowledged = set(run.sent.acknowledged)
    disk = _disk(run.data)
    calls = _traced(scenes, run)
    changes = [number for number, call in enumerate(calls) if call.name in trace.CHANGES]
    # No moment is worse than the one in which an event has just been acknowledged.
    worst = [number for number, call in enumerate(calls) if _acknowledged_by(call)]
    chosen = {*trial.sample(changes, bounded), *trial.sample(worst, bounded)}
    total = Outcome()
    for number, call in enumerate(calls):
        trial.step(number, len(calls))
        disk.play(call)
        acknowledged |= _acknowledged_by(call)
        if number in chosen:
            of_cut = replace(run.sent, acknowledged=set(acknowledged))
            for chance in (None, trial.random):
                outcome = _start_on(scenes, disk, of_cut, chance)
                total += outcome.named(f"after call {number}, {call.name} {call.texts[0][-60:]!r}")
    return total


def _acknowledged_by(call: Played) -> set[str]:
    """Return the ids that a call told to be acknowledged, to the file that the driver tells such things to."""
    if call.name != "write" or b"/told-" not in call.texts[0]:
        return set()
    told = json.loads(call.texts[1])
    return set(told["ids"]) if told["kind"] == "acknowledged" else set()


def _start_on(scenes: Scenes, disk: Disk, sent: Sent, chance: random.Random | None) -> Outcome:
    """Start on what is left on a disk, deliver all, and compare with what was acknowledged."""
    folder = scenes.trial.directory()
    data = folder / "left" / "data"
    disk.write_to(data.parent, chance)
    outcome = drained(scenes.narrow, data, replace(sent, acknowledged=set(sent.acknowledged)), 1, scenes.subject)
    shutil.rmtree(folder)
    return outcome
