"""What befalls bytes at rest: a torn tail, a flipped bit, a lost index."""

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.conftest import ROOT
from tests.faults import instances
from tests.faults.events import Found, Sent
from tests.faults.found import find
from tests.faults.narrow import Narrow, Told
from tests.faults.server import BUCKET, running, settled
from tests.faults.trial import ALL_CASES, Outcome, Trial

T = TypeVar("T")

JOURNAL = "buffer.journal"
INDEX = "buffer.sqlite"
_BODY = re.compile(rb'"body":"([A-Za-z0-9+/=]+)"')


def _abandoned(narrow: Narrow, trial: Trial) -> tuple[Path, Sent]:
    """Make a data directory whose process ended when all was accepted and nothing delivered."""
    data, sent = trial.directory() / "data", Sent()
    narrow.run(data, sent, instances.batches(sent), abandon=True)
    return data, sent


def _half_delivered(narrow: Narrow, trial: Trial) -> tuple[Path, Sent]:
    """Make a data directory of which some events are delivered, some buffered for a store that refuses, some wait."""
    data, sent = trial.directory() / "data", Sent()
    narrow.run(data, sent, instances.batches(sent))
    narrow.run(data, sent, instances.batches(sent), outage_s=86_400, die_in_outage=True)
    narrow.run(data, sent, instances.batches(sent), abandon=True)
    return data, sent


def _changed(
    trial: Trial, narrow: Narrow, made: tuple[Path, Sent], change: Callable[[Path], None]
) -> tuple[Told, Found, Sent]:
    """Change a copy of a data directory, deliver what is in it, and look for the events."""
    data = trial.directory() / "data"
    shutil.copytree(made[0], data)
    change(data)
    sent = Sent(bodies=made[1].bodies, acknowledged=set(made[1].acknowledged))
    told = narrow.run(data, sent, [])
    found = find(data)
    shutil.rmtree(data.parent)
    return told, found, sent


def _not_delivered(told: Told) -> tuple[str, ...]:
    unclean = [] if told.ended else [f"the next start ended with {told.exit}"]
    return (*told.problems(), *(f"the next start said: {one}" for one in told.errors), *unclean)


def torn_tail(trial: Trial) -> Outcome:
    """Cut the journal at each byte of its last record, as a crash in the middle of a write leaves it.

    That record was not acknowledged; those before it were.
    """
    with Narrow(trial.directory()) as narrow:
        data, sent = _abandoned(narrow, trial)
        journal = _journal(data)[-1]
        whole = journal.read_bytes()
        newest = max(sent.acknowledged)
        begin = whole.rindex(b"\xabrec")
        sent.acknowledged.discard(newest)

        def once(length: int) -> Outcome:
            def cut(copy: Path) -> None:
                with (copy / JOURNAL / journal.name).open("r+b") as file:
                    file.truncate(length)

            told, found, of_copy = _changed(trial, narrow, (data, sent), cut)
            return of_copy.compare(found, 1).with_problems(*_not_delivered(told))

        return trial.each(trial.sample(range(begin, len(whole)), 4, ALL_CASES), once)


def _journal(data: Path) -> list[Path]:
    return sorted((data / JOURNAL).glob("*.journal"))


def flipped_bit_in_journal(trial: Trial) -> Outcome:
    """Flip a bit of the journal: the record that holds it is named and its bytes are kept aside, the rest is delivered.

    A record whose own bytes are flipped counts as found when the next start names it.
    """
    with Narrow(trial.directory()) as narrow:
        made = _abandoned(narrow, trial)
        places = [(path.name, at) for path in _journal(made[0]) for at in range(path.stat().st_size)]

        def once(place: tuple[str, int]) -> Outcome:
            bit = 1 << trial.random.randrange(8)
            whole = (made[0] / JOURNAL / place[0]).read_bytes()
            told, found, sent = _changed(
                trial, narrow, made, lambda copy: _flip(copy / JOURNAL / place[0], place[1], bit)
            )
            damaged = _event_at(whole, place[1]) & sent.acknowledged - set(found.times)
            named = [one for one in told.damage if place[0] in one]
            if damaged and named:
                sent.acknowledged -= damaged
            outcome = sent.compare(found, 1).with_problems(*_not_delivered(told))
            if damaged and named:
                outcome += Outcome(acknowledged=len(damaged), found=len(damaged))
            return outcome.named(f"bit {bit} of byte {place[1]} of {place[0]}")

        return trial.each(trial.sample(places, 5, 600), once)


def _flip(path: Path, at: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bit]))


def _event_at(journal: bytes, at: int) -> set[str]:
    """Return the ids of the events of the record that holds a byte of a journal file; none before the first."""
    begin = journal.rfind(b"\xabrec", 0, at + 4)
    if begin < 0:
        return set()
    end = journal.find(b"\xabrec", begin + 4)
    record = journal[begin : end if end >= 0 else len(journal)]
    bodies = (base64.b64decode(body) for body in _BODY.findall(record))
    return {match[1].decode() for body in bodies if (match := re.search(rb'"id": "([^"]+)"', body))}


def flipped_bit_in_index(trial: Trial) -> Outcome:
    """Flip a bit of the buffer's index or of its log: what it said is made anew from the journal."""
    return _index_changed(trial, _index_places, _flip_index, bounded=4)


def _index_places(data: Path) -> list[tuple[str, int]]:
    files = [path for path in data.glob(f"{INDEX}*") if not path.name.endswith("-shm")]
    # Most pages are empty: a place in seven is enough of them.
    return [(path.name, at) for path in sorted(files) for at in range(0, path.stat().st_size, 211)]


def _flip_index(data: Path, place: tuple[str, int]) -> None:
    _flip(data / place[0], place[1], 1 << place[1] % 8)


def lost_index(trial: Trial) -> Outcome:
    """Remove the buffer's index, its log, or the two: what is in the journal is delivered."""
    names = [[INDEX], [f"{INDEX}-wal"], [INDEX, f"{INDEX}-wal", f"{INDEX}-shm"], [f"{INDEX}-shm"]]
    return _index_changed(trial, lambda _: names, _remove, bounded=2)


def _remove(data: Path, names: Sequence[str]) -> None:
    for name in names:
        (data / name).unlink(missing_ok=True)


def _index_changed(
    trial: Trial, places: Callable[[Path], list[T]], change: Callable[[Path, T], None], bounded: int
) -> Outcome:
    with Narrow(trial.directory()) as narrow:
        made = _half_delivered(narrow, trial)

        def once(place: T) -> Outcome:
            told, found, sent = _changed(trial, narrow, made, lambda copy: change(copy, place))
            outcome = sent.compare(found, 1).with_problems(*_not_delivered(told))
            return outcome.named(place)

        return trial.each(trial.sample(places(made[0]), bounded), once)


def flipped_bit_in_object(trial: Trial) -> Outcome:
    """Flip a bit of a delivered object: `auditlake objects --check` names it; the others are what they were.

    The events of that object count as found when it is named: another copy of it was never promised.
    """
    data, sent = trial.directory() / "data", Sent()
    with running(data) as server:
        for kind in ("login", "document.read"):
            server.post_batch(sent, [sent.make(event_type=kind) for _ in range(5)])
        server.deliver()
        server.stop()
    objects = sorted((data / BUCKET / "events").rglob("*.parquet"))

    def once(number: int) -> Outcome:
        path = objects[number % len(objects)]
        at, bit = trial.random.randrange(path.stat().st_size), 1 << trial.random.randrange(8)
        _flip(path, at, bit)
        command = [sys.executable, "-m", "auditlake", "objects", "--check", "--data", str(data)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        _flip(path, at, bit)
        told = path.name in (done.stdout + done.stderr).replace("\n", "")
        return Outcome(injected=1, problems=() if told and done.returncode else (f"not found: bit {bit} of byte {at}",))

    outcome = trial.each(range(12 if trial.whole else 2), once)
    return settled(data, sent, outcome.injected).with_problems(*outcome.problems)
