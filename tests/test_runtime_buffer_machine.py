"""The buffer against a model of it: whatever is done in whatever order, and wherever the process dies, both agree.

`AUDITLAKE_STEPS=10000 pytest tests/test_runtime_buffer_machine.py` does so many steps; without it a few hundred.
"""

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from auditlake.runtime import journal
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.destination import SOURCE_BACKUP, Destination, errors_of, rows_of
from auditlake.runtime.index import Buffered

STEPS = int(os.environ.get("AUDITLAKE_STEPS", "300"))
STEPS_A_RUN = 50
DESTINATIONS = (rows_of("login"), rows_of("user"), errors_of("processing-failed"))
ALL = 10**9


@dataclass
class Model:
    """What a buffer is: what waits, what is buffered in the order of arrival, what was begun, what was counted.

    `unbacked` are the records that wait for the source backup.
    """

    waiting: dict[int, bytes] = field(default_factory=dict)
    unbacked: dict[int, bytes] = field(default_factory=dict)
    buffered: dict[Destination, list[tuple[int, bytes]]] = field(default_factory=lambda: {d: [] for d in DESTINATIONS})
    begun: dict[Destination, tuple[str, int]] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    newest: int = 0


class BufferMachine(RuleBasedStateMachine):
    """Does to a buffer and to its model the same."""

    def __init__(self) -> None:
        super().__init__()
        journal.FILE_BYTES = 300  # so that there are many files
        self.root = Path(tempfile.mkdtemp(prefix="auditlake-machine-"))
        self.directory = self.root / "0"
        self.starts = 0
        self.buffer = Buffer(self.directory / "buffer.sqlite", has_backup=True)
        self.model = Model()
        self.spared = 0

    def cleared(self) -> None:
        """Note which file is the newest when files are cleared: it is kept, until the next time."""
        self.spared = max((file.header.first for file in self.buffer._journal.files), default=0)

    def teardown(self) -> None:
        """Close and remove the buffer."""
        self.buffer.close()
        shutil.rmtree(self.root)
        journal.FILE_BYTES = 8 * 1024 * 1024

    @rule(requests=st.lists(st.lists(st.binary(max_size=80), min_size=1, max_size=4), min_size=1, max_size=3))
    def accept(self, requests: list[list[bytes]]) -> None:
        """Requests come, several at once."""
        futures = [self.buffer.accept(1000, records) for records in requests]
        for records, future in zip(requests, futures, strict=True):
            seqs = future.result(timeout=30)
            assert seqs[0] > self.model.newest
            assert seqs == list(range(seqs[0], seqs[0] + len(records)))
            self.model.newest = seqs[-1]
            self.model.waiting |= dict(zip(seqs, records, strict=True))
            self.model.unbacked |= dict(zip(seqs, records, strict=True))
            self.model.counters["accepted.records"] += len(records)
            self.model.counters["accepted.bytes"] += sum(map(len, records))

    @precondition(lambda self: self.model.waiting)
    @rule(data=st.data(), max_bytes=st.integers(1, 200), max_records=st.integers(1, 8))
    def move(self, data: st.DataObject, max_bytes: int, max_records: int) -> None:
        """The transform answers for a batch, which need not be the oldest; some records are dropped."""
        after = data.draw(st.sampled_from([0, *list(self.model.waiting)[:-1]]))
        batch = self.buffer.next_batch(max_bytes, max_records, after=after)
        following = [(seq, content) for seq, content in sorted(self.model.waiting.items()) if seq > after]
        assert [(record.seq, record.data) for record in batch] == following[: len(batch)]
        assert batch
        assert len(batch) <= max_records
        assert len(batch) == 1 or sum(len(record.data) for record in batch) <= max_bytes
        buffered = []
        for record in batch:
            destination = data.draw(st.sampled_from([None, *DESTINATIONS]))
            content = self.model.waiting.pop(record.seq)
            if destination is not None:
                buffered.append(Buffered(record.seq, destination, record.arrival_ms, content + b"!"))
                self.model.buffered[destination].append((record.seq, content + b"!"))
        self.buffer.move(batch, buffered, {"moved": len(batch)}, 2000)
        self.model.counters["moved"] += len(batch)
        self.cleared()

    @rule(destination=st.sampled_from(DESTINATIONS), max_bytes=st.integers(1, 200), key=st.text(max_size=5))
    def begin(self, destination: Destination, max_bytes: int, key: str) -> None:
        """An object is begun, or was."""
        taken = self.buffer.contents(destination, max_bytes)
        expected = self.model.buffered[destination]
        assert [(item.seq, item.data) for item in taken] == expected[: len(taken)]
        assert bool(taken) == bool(expected)
        if taken:
            self.buffer.begin(destination, taken, key)
            self.model.begun[destination] = (key, len(taken))

    @precondition(lambda self: self.model.begun.keys() - {SOURCE_BACKUP})
    @rule(data=st.data())
    def stored(self, data: st.DataObject) -> None:
        """An object that was begun is stored, and some of its records failed."""
        destination = data.draw(st.sampled_from(sorted(self.model.begun.keys() - {SOURCE_BACKUP})))
        key, length = self.model.begun.pop(destination)
        begun = self.buffer.begun(destination)
        assert begun is not None
        expected = self.model.buffered[destination][:length]
        assert (begun[0], [(item.seq, item.data) for item in begun[1]]) == (key, expected)
        failing = begun[1][:1] if destination.is_rows and data.draw(st.booleans()) else []
        failed = [Buffered(item.seq, DESTINATIONS[2], item.arrival_ms, b"why") for item in failing]
        self.buffer.stored(destination, begun[1], failed, {"stored": length}, 3000)
        del self.model.buffered[destination][:length]
        self.model.buffered[DESTINATIONS[2]] += [(item.seq, item.data) for item in failed]
        self.model.counters["stored"] += length
        self.cleared()

    @precondition(lambda self: self.model.unbacked)
    @rule(max_bytes=st.integers(1, 200), key=st.text(max_size=5))
    def begin_backup(self, max_bytes: int, key: str) -> None:
        """An object of the source backup is begun, or another in its place."""
        taken = self.buffer.contents(SOURCE_BACKUP, max_bytes)
        expected = sorted(self.model.unbacked.items())
        assert [(item.seq, item.data) for item in taken] == expected[: len(taken)]
        assert len(taken) == 1 or 0 < sum(len(item.data) for item in taken) <= max_bytes or not taken[-1].data
        self.buffer.begin(SOURCE_BACKUP, taken, key)
        self.model.begun[SOURCE_BACKUP] = (key, len(taken))

    @precondition(lambda self: SOURCE_BACKUP in self.model.begun)
    @rule()
    def backed_up(self) -> None:
        """The object of the source backup that was begun is stored."""
        key, length = self.model.begun.pop(SOURCE_BACKUP)
        expected = sorted(self.model.unbacked.items())[:length]
        begun = self.buffer.begun(SOURCE_BACKUP)
        assert begun is not None
        assert (begun[0], [(item.seq, item.data) for item in begun[1]]) == (key, expected)
        self.buffer.backed_up(begun[1], {"backed_up": length})
        for seq, _ in expected:
            del self.model.unbacked[seq]
        self.model.counters["backed_up"] += length
        self.cleared()

    @rule(closed=st.booleans())
    def start_again(self, closed: bool) -> None:
        """The process ends, or dies: then the next one finds the files as they were at that moment."""
        self.starts += 1
        if closed:
            self.buffer.close()
        else:
            target = self.root / f"{self.starts}"
            shutil.copytree(self.directory, target)
            self.buffer.close()
            shutil.rmtree(self.directory)
            self.directory = target
        self.buffer = Buffer(self.directory / "buffer.sqlite", has_backup=True)
        assert self.buffer.recovery.was_closed == closed
        assert not self.buffer.recovery.problems
        self.cleared()

    @invariant()
    def both_agree(self) -> None:
        """The contents, levels and counters are the model's, and no file is there that nothing needs."""
        model, buffer = self.model, self.buffer
        assert {record.seq: record.data for record in buffer.next_batch(ALL, ALL)} == model.waiting
        waiting = buffer.waiting()
        assert (waiting.records, waiting.bytes) == (len(model.waiting), sum(map(len, model.waiting.values())))
        assert buffer.newest() == max(model.waiting, default=0)
        assert {d: [(i.seq, i.data) for i in buffer.contents(d, ALL)] for d in DESTINATIONS} == model.buffered
        levels = {level.destination: (level.records, level.bytes) for level in buffer.levels()}
        backup = (len(model.unbacked), sum(map(len, model.unbacked.values())))
        assert levels.pop(SOURCE_BACKUP, (0, 0)) == backup
        assert levels == {d: (len(i), sum(len(c) for _, c in i)) for d, i in model.buffered.items() if i}
        assert {item.seq: item.data for item in buffer.contents(SOURCE_BACKUP, ALL)} == model.unbacked
        assert buffer.backup_waits(model.newest) == bool(model.unbacked)
        assert not buffer.backup_waits(min(model.unbacked, default=ALL) - 1)
        assert buffer.counters() == {name: value for name, value in model.counters.items() if value}
        needed = (
            {seq for items in model.buffered.values() for seq, _ in items} | set(model.waiting) | set(model.unbacked)
        )
        oldest = min(needed, default=None)
        files = buffer._journal.files
        first = files[0] if len(files) > 1 else None
        assert first is None or first.last >= (oldest or ALL) or first.header.first == self.spared


BufferMachine.TestCase.settings = settings(
    max_examples=max(1, STEPS // STEPS_A_RUN),
    stateful_step_count=STEPS_A_RUN,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestBufferMachine = BufferMachine.TestCase
