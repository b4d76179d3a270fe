"""The client and a real runtime: what is recorded is found by SQL."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditlake.client import AuditClient
from auditlake.client.drain import drain_spool
from auditlake.client.line import encode_line
from auditlake.client.post import Connection
from auditlake.client.spool import segments
from auditlake.errors import SpoolError
from tests.conftest import Running

UNREACHABLE = "http://127.0.0.1:9"


def stored_ids(running: Running, event_type: str) -> list[str]:
    """The ids of the rows of a type."""
    running.flush()
    done = running.auditlake("query", f"SELECT event_id FROM events WHERE event_type = '{event_type}'", "--json")
    assert done.returncode == 0, done.stderr
    return [row["event_id"] for row in json.loads(done.stdout)]


def test_every_recorded_event_is_found_by_its_id(running: Running, tmp_path: Path) -> None:
    """What four threads record is in the table, each id once."""
    ids: list[str] = []
    with AuditClient(running.url, tmp_path) as client:

        def work(number: int) -> None:
            ids.extend(client.record(event_type="client.threads", actor=f"user-{number}") for _ in range(100))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush(60)
    assert sorted(stored_ids(running, "client.threads")) == sorted(ids)


def test_a_spool_that_was_left_is_sent_from_the_command_line(running: Running, tmp_path: Path) -> None:
    """`spool status` counts what waits, `spool send` sends it, and status is then empty; each exits with 0."""
    with AuditClient(UNREACHABLE, tmp_path, exit_timeout_s=0) as client:
        ids = [client.record(event_type="client.left", actor="ana") for _ in range(30)]
    before = running.auditlake("spool", "status", str(tmp_path), "--json")
    status = json.loads(before.stdout)
    assert (before.returncode, status["pending"], status["dead_lettered"], status["damaged"]) == (0, 30, 0, 0)
    assert datetime.fromisoformat(status["oldest"]) <= datetime.now(UTC)
    sent = running.auditlake("spool", "send", str(tmp_path), "--json")
    assert (sent.returncode, json.loads(sent.stdout)) == (
        0,
        {"accepted": 30, "refused": 0, "left_bytes": 0, "problem": None},
    )
    assert "waiting" in running.auditlake("spool", "status", str(tmp_path)).stdout
    assert segments(tmp_path) == []
    assert stored_ids(running, "client.left") == ids


def test_refused_events_are_listed_and_can_be_mended(running: Running, tmp_path: Path) -> None:
    """`spool send` exits with 1; `spool dead-letters` says why, and prints the events to mend and send."""
    (tmp_path / "x.events").write_bytes(
        encode_line(1, b'{"id":"bad-1","eventType":"client.mended"}')
        + encode_line(
            2, b'{"id":"good-1","eventType":"login","timestamp":"2026-11-24T10:00:00Z","actor":{"userId":"a"}}'
        )
    )
    sent = running.auditlake("spool", "send", str(tmp_path))
    assert sent.returncode == 1
    assert "1 events accepted, 1 refused." in sent.stderr
    shown = running.auditlake("spool", "dead-letters", str(tmp_path))
    assert "bad-1" in shown.stdout
    assert "timestamp: expected a string, got nothing" in shown.stdout
    (letter,) = json.loads(running.auditlake("spool", "dead-letters", str(tmp_path), "--json").stdout)
    assert letter["id"] == "bad-1"
    events = running.auditlake("spool", "dead-letters", str(tmp_path), "--events").stdout
    mended = events.replace(
        '"client.mended"', '"client.mended","timestamp":"2026-11-24T10:00:00Z","actor":{"userId":"a"}'
    )
    assert running.auditlake("send", "-", stdin=mended).returncode == 0
    assert stored_ids(running, "client.mended") == ["bad-1"]
    assert running.auditlake("spool", "status", str(tmp_path), "--strict").returncode == 2


def test_a_spool_that_is_being_sent_is_not_sent_twice(running: Running, tmp_path: Path) -> None:
    """`spool send` names the process that sends already."""
    with AuditClient(running.url, tmp_path, linger_s=0) as client:
        client.record(event_type="client.busy", actor="ana")
        assert client.flush(60)
        sent = running.auditlake("spool", "send", str(tmp_path))
    assert sent.returncode == 1
    assert "is being sent by process" in sent.stderr


def test_a_time_limit_ends_the_sending(running: Running, tmp_path: Path) -> None:
    """With --timeout an endpoint that does not answer ends with 1, and says what waits and why."""
    with AuditClient(UNREACHABLE, tmp_path, exit_timeout_s=0) as client:
        client.record(event_type="login", actor="ana")
    sent = running.auditlake("spool", "send", str(tmp_path), "--url", UNREACHABLE, "--timeout", "0.1")
    assert sent.returncode == 1
    assert "bytes wait still" in sent.stderr
    assert json.loads(running.auditlake("spool", "status", str(tmp_path), "--json").stdout)["pending"] == 1


def test_no_spool_is_a_sentence(running: Running, tmp_path: Path) -> None:
    """Each command says that there is no such spool, makes none, and exits with 1."""
    for command in ("status", "send", "dead-letters"):
        done = running.auditlake("spool", command, str(tmp_path / "none"))
        assert done.returncode == 1
        assert "cannot be read" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_draining_tells_how_far_it_is(running: Running, tmp_path: Path) -> None:
    """Each answer is told; a spool that is not there is a sentence."""
    told: list[int] = []
    with Connection(running.url, None, 10.0) as connection:
        with pytest.raises(SpoolError, match="cannot be read"):
            drain_spool(tmp_path / "none", connection)
        (tmp_path / "x.events").write_bytes(encode_line(1, b'{"id":"no-event"}'))
        drained = drain_spool(tmp_path, connection, advance=told.append)
    assert (drained.accepted, drained.refused, drained.left_bytes) == (0, 1, 0)
    assert told[-1] == 1
