"""The spool against a model: records, failing disks, crashes, damage and every answer of an endpoint, in any order.

AUDITLAKE_STEPS sets how many steps are taken; at least so many are.
"""

import logging
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from auditlake.client.line import Damage, Line, encode_line
from auditlake.client.put_aside import count_damaged, dead_letters
from auditlake.client.sender import Sender, SendLimits, Stopped
from auditlake.client.signals import Signals
from auditlake.client.spool import pending, segments, settled_path
from auditlake.client.writer import Limits, Writer
from auditlake.errors import SpoolError
from tests.spool_model import FAULTS, Endpoint, FailingDisk, Killed, Time, flip_bit

# Thousands of syncs: in memory they take no time, and what a disk loses is the model's to say.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - mkdtemp makes a private directory in it
STEPS_A_RUN = 50
STEPS = int(os.environ.get("AUDITLAKE_STEPS", "600"))


class SpoolMachine(RuleBasedStateMachine):
    """One spool, the writer and the sender of which live, fail and die; the model is sets of events."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="auditlake-spool-", dir=MEMORY))
        self.disk = FailingDisk()
        self.endpoint = Endpoint()
        self.time = Time()
        self.number = 0
        self.acknowledged: set[bytes] = set()
        self.perhaps: set[bytes] = set()  # record raised: it may be there or not
        self.hit: set[bytes] = set()  # a bit of its line was flipped
        self.lost_to_damage: set[bytes] = set()
        self.start_writer()
        self.start_sender()

    def start_writer(self) -> None:
        """Begin to write, as a process that starts."""
        self.writer = Writer(self.directory, Limits(segment_bytes=1000), self.time.clock(), self.disk.disk())

    def start_sender(self) -> None:
        """Begin to send, as a process that starts."""
        self.signals = Signals()
        limits = SendLimits(max_events=4, max_bytes=600)
        self.sender = Sender(self.directory, self.endpoint.post, limits, self.time.clock(), self.signals)

    def record(self, size: int) -> None:
        """Record an event of a size; it is acknowledged, or perhaps there."""
        self.number += 1
        body = b'{"id":"e-%d","pad":"%s"}' % (self.number, b"x" * size)
        try:
            self.writer.write(encode_line(self.number, body))
        except (SpoolError, Killed) as error:
            self.perhaps.add(body)
            if isinstance(error, Killed):
                self.writer.after_fork()  # closes the files and knows nothing more, as death does
        else:
            self.acknowledged.add(body)

    @rule(sizes=st.lists(st.integers(0, 200), min_size=1, max_size=6))
    def record_events(self, sizes: list[int]) -> None:
        """Record events."""
        for size in sizes:
            self.record(size)

    @rule(fault=st.sampled_from(FAULTS), part=st.floats(0, 1))
    def fail_to_write(self, fault: int, part: float) -> None:
        """Record an event of which a part is written."""
        self.disk.write_fault, self.disk.part = fault, part
        self.record(20)

    @rule(fault=st.sampled_from(FAULTS))
    def fail_to_sync(self, fault: int) -> None:
        """Record an event that is written and not synced."""
        self.disk.sync_fault = fault
        self.record(20)

    @rule()
    def seal(self) -> None:
        """Leave the segment for the next one."""
        self.writer.seal()

    @rule(kept=st.floats(0, 1))
    def lose_power(self, kept: float) -> None:
        """End the writer, and lose any part of what was not synced."""
        self.writer.after_fork()
        for segment in segments(self.directory):
            size = segment.stat().st_size
            synced = self.disk.synced.get(segment, size)
            if size > synced:
                os.truncate(segment, synced + int(kept * (size - synced)))
        self.start_writer()

    @rule(data=st.data())
    def damage_an_event(self, data: st.DataObject) -> None:
        """Flip one bit of a line that was not damaged yet."""
        lines = [
            (segment, line)
            for segment, line in pending(self.directory)
            if isinstance(line, Line) and line.body not in self.hit
        ]
        if not lines:
            return
        segment, line = data.draw(st.sampled_from(lines), label="line")
        offset = data.draw(st.integers(line.start, min(line.end, segment.stat().st_size) - 1), label="offset")
        flip_bit(segment, offset, data.draw(st.integers(0, 7), label="bit"))
        self.hit.add(line.body)
        if offset != line.end - 1:
            self.lost_to_damage.add(line.body)

    @precondition(lambda self: any(settled_path(one).exists() for one in segments(self.directory)))
    @rule(data=st.data())
    def damage_progress(self, data: st.DataObject) -> None:
        """Cut what says how far a segment is settled: events repeat, none is lost."""
        settled = [path for one in segments(self.directory) if (path := settled_path(one)).exists()]
        path = data.draw(st.sampled_from(settled), label="file")
        os.truncate(path, data.draw(st.integers(0, path.stat().st_size), label="bytes"))

    @rule(
        fates=st.lists(st.sampled_from(Endpoint.FATES), max_size=8) | st.integers(7, 14).map(lambda n: ["down"] * n),
        posts=st.integers(1, 24),
    )
    def send(self, fates: list[str], posts: int) -> None:
        """Send until nothing waits, the sender dies, or it is told to stop."""
        self.endpoint.fates = fates
        before = len(self.endpoint.requests)
        self.time.on_wait = lambda _: self.signals.stop.set() if len(self.endpoint.requests) - before >= posts else None
        try:
            self.sender.drain()
        except (Killed, Stopped):
            self.start_sender()

    @invariant()
    def count_the_step(self) -> None:
        """Count the steps of all runs."""
        SpoolMachine.steps += 1

    @invariant()
    def every_event_is_somewhere(self) -> None:
        """What was acknowledged waits, is accepted, a dead letter, or damaged by us; what waits was recorded."""
        waiting = {line.body for _, line in pending(self.directory) if isinstance(line, Line)}
        refused = {bytes(letter.event) for letter in dead_letters(self.directory)}
        known = waiting | set(self.endpoint.accepted) | refused | self.lost_to_damage
        assert self.acknowledged <= known
        assert waiting | set(self.endpoint.accepted) | refused <= self.acknowledged | self.perhaps
        assert refused <= set(self.endpoint.refused)

    def teardown(self) -> None:
        """All that is left is sent and taken away; damage was put aside."""
        try:
            self.send_all()
        finally:
            shutil.rmtree(self.directory)

    def send_all(self) -> None:
        """End the writer and send what is left."""
        self.writer.close()
        self.writer.after_fork()
        self.endpoint.fates = []
        self.time.on_wait = lambda _: None
        damage = any(isinstance(line, Damage) for _, line in pending(self.directory))
        self.start_sender()
        self.sender.drain()
        self.every_event_is_somewhere()
        assert segments(self.directory) == []
        assert not damage or count_damaged(self.directory) > 0


def test_the_spool_does_as_the_model(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever happens in whatever order, no acknowledged event is lost, and none is made up."""
    caplog.set_level(logging.CRITICAL)  # the steps of the failing run are what is to be read
    run = settings(
        max_examples=20,
        stateful_step_count=STEPS_A_RUN,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    SpoolMachine.steps = 0
    while SpoolMachine.steps < STEPS:
        run_state_machine_as_test(SpoolMachine, settings=run)
