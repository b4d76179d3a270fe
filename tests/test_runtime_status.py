"""The stream's status."""

from pathlib import Path

from auditlake.runtime.buffer import Buffer
from auditlake.runtime.destination import rows_of
from auditlake.runtime.index import Buffered
from auditlake.runtime.plan import Plan
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


def test_an_empty_stream_has_a_status(plan: Plan, tmp_path: Path) -> None:
    """Nothing accepted is no division by zero."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    now = status(plan, buffer)

    assert (now["other_share"], now["partitions"], now["buffers"]) == (0.0, [], [])
    buffer.close()
