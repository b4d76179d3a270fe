"""What befalls the client's spool: killed at a call, a call that fails, a torn tail, a flipped bit."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from auditlake.client import dead_letters
from tests.faults import instances, trace
from tests.faults.disk_faults import OPENS, READS
from tests.faults.endpoint import Endpoint, listening
from tests.faults.events import Found, Sent
from tests.faults.instances import Options, drained
from tests.faults.narrow import MAIN, Narrow
from tests.faults.trial import Outcome, Trial

SENDER = "auditlake-sender"
CLIENT_CASES = 80
"""How many cases of a fault a whole run has at most: one takes a second or two."""


class ClientSubject:
    """The client with its spool, sending to an endpoint of our own."""

    sites = (MAIN, SENDER)
    crash = (SENDER, "unlink", 3)
    """It goes to remove a segment that is sent; the first two are for an old note of a problem, which is not there."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Send to `endpoint`, a place for each data directory."""
        self._endpoint = endpoint

    def sent(self, prefix: str) -> Sent:
        """Return where the events of a run are noted."""
        return Sent(prefix, encoded_by_client=True)

    def arguments(self, data: Path) -> Mapping[str, Any]:
        """Return where to send."""
        return {"url": f"{self._endpoint.url}/{_place(data)}"}

    def find(self, data: Path) -> Found:
        """Look at the endpoint and among the dead letters."""
        found = self._endpoint.found.pop(_place(data), Found())
        letters = {letter.id: bytes(letter.event) for letter in dead_letters(data)}
        for event_id, body in letters.items():
            found.add(str(event_id), body)
        return found

    def delivered(self, data: Path) -> Found:
        """Return what the endpoint took of a run."""
        return self._endpoint.found.get(_place(data), Found())

    def begun(self, data: Path) -> bool:
        """Look for what says how far a segment is sent."""
        return any(data.glob("*.settled"))


def _place(data: Path) -> str:
    return data.parent.name


def _each_call(
    trial: Trial, names: Sequence[str], options: Options, bounded: int, at_most: int = CLIENT_CASES
) -> Outcome:
    with listening() as endpoint:
        return instances.each_call(trial, names, options, bounded, ClientSubject(endpoint), at_most)


def killed_at_each_call(trial: Trial) -> Outcome:
    """Kill the client as it enters each call by which it changes files."""
    return _each_call(trial, trace.CHANGES, Options(), bounded=3)


def full_at_each_write(trial: Trial) -> Outcome:
    """Have each write of the client find the disk full, once."""
    return _each_call(trial, (*trace.WRITES, *trace.SIZES), Options("ENOSPC"), bounded=6)


def full_from_each_write(trial: Trial) -> Outcome:
    """Have the client's writes find the disk full from one of them on."""
    # Each takes the client's patience with a disk on which nothing can be noted as sent.
    return _each_call(trial, trace.WRITES, Options("ENOSPC", onwards=True), bounded=3, at_most=20)


def error_at_each_call(trial: Trial) -> Outcome:
    """Have each write, sync, rename, unlink and read of the client fail with an I/O error, once."""
    return _each_call(trial, (*trace.CHANGES, *READS), Options("EIO"), bounded=8)


def out_of_descriptors_at_each_open(trial: Trial) -> Outcome:
    """Have each open of the client find no free descriptor, once."""
    return _each_call(trial, OPENS, Options("EMFILE"), bounded=4)


def interrupted_at_each_call(trial: Trial) -> Outcome:
    """Have a signal interrupt each call of the client that a signal can interrupt."""
    return _each_call(trial, (*trace.WRITES, *trace.SYNCS, *READS, *OPENS), Options("EINTR"), bounded=4)


def short_writes(trial: Trial) -> Outcome:
    """Limit the size of the client's files, so that a write takes only some of its bytes and the rest is refused."""
    with listening() as endpoint, Narrow(trial.directory()) as narrow:
        subject = ClientSubject(endpoint)

        def once(limit: int) -> Outcome:
            data, sent = trial.directory() / "data", subject.sent("fault")
            told = narrow.run(data, sent, instances.batches(sent), limit_file_bytes=limit, **subject.arguments(data))
            outcome = drained(narrow, data, sent, len(told.refused) + len(told.errors), subject)
            return outcome.with_problems(*told.problems())

        return trial.each(trial.sample(range(20, 3_200, 9), 5, CLIENT_CASES), once)


def torn_tail(trial: Trial) -> Outcome:
    """Cut a segment at each byte of its last line, which was not acknowledged."""

    def cut(segment: Path, at: int) -> None:
        with segment.open("r+b") as file:
            file.truncate(at)

    return _changed(trial, cut, lambda whole: range(whole.rindex(b"\n", 0, -1) + 1, len(whole)), bounded=6)


def flipped_bit(trial: Trial) -> Outcome:
    """Flip a bit of a segment: what it destroys is kept in `damaged.ndjson`, the rest is sent.

    An event whose own bytes are flipped counts as found when its bytes are kept there.
    """

    def flip(segment: Path, at: int) -> None:
        whole = bytearray(segment.read_bytes())
        whole[at] ^= 1 << trial.random.randrange(8)
        segment.write_bytes(whole)

    return _changed(trial, flip, lambda whole: range(0, len(whole), 2), bounded=3)


def flipped_bit_in_settled(trial: Trial) -> Outcome:
    """Flip a bit of what says how far a segment is sent: events are sent again rather than not at all."""
    with listening() as endpoint, Narrow(trial.directory()) as narrow:
        subject = ClientSubject(endpoint)
        scenes = instances.Scenes(trial, narrow, subject)

        def once(_number: int) -> Outcome:
            data, sent = scenes.begin("recovering")
            ledger = trial.random.choice(sorted(data.glob("*.settled")))
            content = bytearray(ledger.read_bytes())
            content[trial.random.randrange(len(content))] ^= 1 << trial.random.randrange(8)
            ledger.write_bytes(content)
            return drained(narrow, data, sent, 1, subject)

        return trial.each(range(40 if trial.whole else 2), once)


def _changed(
    trial: Trial, change: Callable[[Path, int], None], places: Callable[[bytes], range], bounded: int
) -> Outcome:
    with listening() as endpoint, Narrow(trial.directory()) as narrow:
        subject = ClientSubject(endpoint)
        made, sent = trial.directory() / "data", subject.sent("fault")
        # Nobody listens there: all is recorded and nothing sent.
        narrow.run(made, sent, instances.batches(sent), url="http://127.0.0.1:9", abandon=True)
        segment = max(made.glob("*.events"))
        whole = segment.read_bytes()

        def once(at: int) -> Outcome:
            data = trial.directory() / "data"
            shutil.copytree(made, data)
            change(data / segment.name, at)
            of_copy = subject.sent("fault")
            of_copy.bodies.update(sent.bodies)
            of_copy.acknowledge(sent.acknowledged)
            told = narrow.run(data, of_copy, [], **subject.arguments(data))
            found = subject.find(data)
            damaged = _line_at(whole, at) & of_copy.acknowledged - set(found.times)
            named = change.__name__ == "cut" or (data / "damaged.ndjson").exists()
            if damaged and named:
                of_copy.acknowledged -= damaged
            outcome = of_copy.compare(found, 1).with_problems(*told.problems(), *told.errors)
            kept = len(damaged) if named and change.__name__ != "cut" else 0
            shutil.rmtree(data.parent)
            return (outcome + Outcome(acknowledged=kept, found=kept)).named(f"byte {at} of {len(whole)}")

        return trial.each(trial.sample(places(whole), bounded, CLIENT_CASES), once)


def _line_at(segment: bytes, at: int) -> set[str]:
    """Return the id of the event whose line holds a byte of a segment, of the next one too when it is a line's end."""
    begin = segment.rfind(b"\n", 0, at) + 1
    end = segment.find(b"\n", at)
    lines = segment[begin : end if end >= 0 else len(segment)]
    if segment[at : at + 1] == b"\n":
        lines += b"\n" + segment[at + 1 :].split(b"\n", 1)[0]
    return {json.loads(line[line.index(b"{") :])["id"] for line in lines.split(b"\n") if b"{" in line}
