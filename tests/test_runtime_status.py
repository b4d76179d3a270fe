"""The stream's status."""

import os
from pathlib import Path

import pytest

from auditlake.errors import StoreError
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.destination import rows_of
from auditlake.runtime.index import Buffered
from auditlake.runtime.plan import Plan
from auditlake.runtime.problems import Problem
from auditlake.runtime.status import status


def test_status_tells_what_waits_what_is_stored_and_what_failed(plan: Plan, tmp_path: Path) -> None:
    """Every record is in one place, and the share of `other` is of the stored rows."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    buffer.accept(1000, [b"a", b"b", b"c"]).result(timeout=10)
    batch = buffer.next_batch(2, 100)
    login = rows_of("login", "2026", "11", "24")
    other = rows_of("other", "2026", "11", "24")
    buffer.move(batch, [Buffered(batch[0].seq, login, 1000, b"row")], {"failed.processing-failed": 1}, 2000)
    rows = {f"rows:{login.text}": 3, f"rows:{other.text}": 1}
    buffer.stored(login, [], [], {**rows, "stored.rows": 4, "stored.objects": 2}, 2000)

    now = status(plan, buffer)
    assert now["buffer"] == buffer.id

    assert now["accepted"] == {"records": 3, "bytes": 3}
    assert now["waiting"] == {"records": 1, "bytes": 1, "oldest_arrival_ms": 1000}
    assert now["buffers"] == [
        {"destination": "rows / login / 2026 / 11 / 24", "records": 1, "bytes": 3, "oldest_arrival_ms": 1000}
    ]
    assert now["stored"] == {"objects": 2, "rows": 4, "bytes": 0, "error_objects": 0}
    assert now["failed"] == {"processing-failed": 1}
    assert now["partitions"] == [
        {"audit_type": "login", "year": "2026", "month": "11", "day": "24", "rows": 3},
        {"audit_type": "other", "year": "2026", "month": "11", "day": "24", "rows": 1},
    ]
    assert now["other_share"] == 0.25
    assert (now["damaged"], now["recovered"]) == (0, ["The buffer is new."])
    buffer.close()


def test_a_problem_is_told_while_it_lasts(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that was refused, and a store that fails, are in the status with their sentence and since when."""
    buffer = Buffer(tmp_path / "buffer.sqlite", clock=lambda: 7.0)
    assert status(plan, buffer)["problem"] is None

    def fail(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fail)
        with pytest.raises(StoreError):
            buffer.accept(1, [b"refused"]).result(timeout=10)
    refused = status(plan, buffer)["problem"]
    assert (refused["since_ms"], "the disk is full" in refused["sentence"]) == (7000, True)
    both = status(plan, buffer, Problem("The store is away.", 3000))["problem"]
    assert both == {"sentence": f"{refused['sentence']} The store is away.", "since_ms": 3000}
    buffer.accept(1, [b"taken"]).result(timeout=10)
    assert status(plan, buffer)["problem"] is None
    buffer.close()


def test_the_journals_size_and_the_oldest_record_are_told(plan: Plan, tmp_path: Path) -> None:
    """The bytes are those on the disk; the oldest record is of all that waits, before or after the transform."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    assert status(plan, buffer)["oldest_undelivered_ms"] is None
    buffer.accept(1000, [b"a"]).result(timeout=10)
    (batch,) = buffer.next_batch(9, 9)
    buffer.move([batch], [Buffered(batch.seq, rows_of("login", "2026", "11", "24"), 1000, b"row")], {}, 2000)
    buffer.accept(2000, [b"b"]).result(timeout=10)

    now = status(plan, buffer)
    (file,) = (tmp_path / "buffer.journal").iterdir()
    assert now["journal"] == {"files": 1, "bytes": file.stat().st_size}
    assert now["oldest_undelivered_ms"] == 1000
    buffer.close()


def test_an_empty_stream_has_a_status(plan: Plan, tmp_path: Path) -> None:
    """Nothing accepted is no division by zero."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    now = status(plan, buffer)

    assert (now["other_share"], now["partitions"], now["buffers"]) == (0.0, [], [])
    buffer.close()
