"""The receipt of `send`."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from auditlake.errors import SendError
from auditlake.outgoing import Outgoing
from auditlake.receipt import ReceiptFile
from auditlake.sent import Sent, read_sent

NOW = datetime(2026, 11, 24, 3, 0, 0, 1000, UTC)


def outgoing(n: int) -> Outgoing:
    """Return an event on its way."""
    return Outgoing(n, f"e{n}", b"body %d" % n, b"original")


def test_a_receipt_holds_what_was_posted(tmp_path: Path) -> None:
    """Id, SHA-256 of the body, and when it was accepted; a second run adds."""
    path = tmp_path / "r.ndjson"
    for n in range(2):
        with ReceiptFile(path) as receipts:
            receipts.add([outgoing(n)], NOW)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert lines[0] == {
        "id": "e0", "sha256": sha256(b"body 0").hexdigest(), "accepted_at": "2026-11-24T03:00:00.001Z",
    }  # fmt: skip
    assert [one.id for one in read_sent(path) if isinstance(one, Sent)] == ["e0", "e1"]


def test_a_torn_line_costs_no_other(tmp_path: Path) -> None:
    """What a crash left without its end does not swallow the next line."""
    path = tmp_path / "r.ndjson"
    path.write_bytes(b'{"id": "e0", "sha')
    with ReceiptFile(path) as receipts:
        receipts.add([outgoing(1)], NOW)
    assert [json.loads(line)["id"] for line in path.read_bytes().splitlines()[1:]] == ["e1"]


def test_no_path_is_no_file(tmp_path: Path) -> None:
    """Without the option nothing is written."""
    with ReceiptFile(None) as receipts:
        receipts.add([outgoing(0)], NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_receipt_that_cannot_be_written_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    """An auditor would miss it later."""
    with pytest.raises(SendError, match="cannot be written"):
        ReceiptFile(tmp_path / "no" / "r.ndjson")


def test_a_full_disk_is_told() -> None:
    """What was accepted then is not counted as accepted."""
    with ReceiptFile(Path("/dev/full")) as receipts, pytest.raises(SendError, match="No space left"):
        receipts.add([outgoing(0)], NOW)
