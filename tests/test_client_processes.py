"""Several processes at one spool: shared, forked, killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from auditlake.client import AuditClient, dead_letters, pending_events
from auditlake.client.background import SenderLock
from auditlake.client.put_aside import count_damaged
from tests.batch_receiver import BatchReceiver, Fault, running_receiver
from tests.conftest import ROOT

UNREACHABLE = "http://127.0.0.1:9"

_RECORD_FOR_EVER = """
import sys, threading
from auditlake.client import AuditClient
client = AuditClient(sys.argv[1], sys.argv[2], linger_s=0.01, segment_bytes=4000)
def work():
    while True:
        event_id = client.record(event_type="login", actor="ana")
        sys.stdout.write(event_id + "\\n")
        sys.stdout.flush()
threads = [threading.Thread(target=work) for _ in range(int(sys.argv[3]))]
for thread in threads: thread.start()
"""

_RECORD_AND_END = """
import sys
from auditlake.client import AuditClient
client = AuditClient(sys.argv[1], sys.argv[2], linger_s=float(sys.argv[4]), exit_timeout_s=30)
for number in range(int(sys.argv[3])):
    print(client.record(event_type="login", actor="ana"))
"""

_FORK = """
import os, sys
from auditlake.client import AuditClient
client = AuditClient(sys.argv[1], sys.argv[2], linger_s=0.01)
def record(actor):  # tells the id in one write: with PYTHONUNBUFFERED print makes two, between which others' come
    os.write(1, client.record(event_type="login", actor=actor).encode() + b"\\n")
record("parent")
children = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        for _ in range(5):
            record(f"child-{number}")
        assert client.close(30)
        os._exit(0)
    children.append(pid)
record("parent")
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
assert client.close(30)
"""


@pytest.fixture
def receiver() -> Iterator[BatchReceiver]:
    """The double of the endpoint."""
    with running_receiver() as running:
        yield running


@contextmanager
def python(text: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Run a program; it is killed at the end."""
    command = [sys.executable, "-c", text, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def output(process: "subprocess.Popen[str]") -> IO[str]:
    """What a program prints."""
    assert process.stdout is not None
    return process.stdout


def lines(process: "subprocess.Popen[str]", count: int) -> list[str]:
    """The next lines that a program prints."""
    return [output(process).readline().strip() for _ in range(count)]


def rest(process: "subprocess.Popen[str]") -> list[str]:
    """What else it printed before its end; of a killed one the last line may be a part."""
    return [text.strip() for text in output(process).readlines() if text.endswith("\n")]


def taken(receiver: BatchReceiver) -> list[str]:
    """The ids of the events that the endpoint took."""
    return [json.loads(body)["id"] for body in list(receiver.taken)]


def until(done: Callable[[], bool]) -> None:
    """Wait until something is so; the test fails when it is not within a minute."""
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(("printed", "threads"), [(1, 1), (7, 1), (100, 1), (150, 8)])
def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path, printed: int, threads: int) -> None:
    """After kill -9 every id that record returned waits in the spool, whole."""
    with python(_RECORD_FOR_EVER, UNREACHABLE, tmp_path, threads) as process:
        acknowledged = lines(process, printed)
        process.kill()
        acknowledged += rest(process)
    waiting = {json.loads(body)["id"] for body in pending_events(tmp_path)}
    assert len(set(acknowledged)) >= printed
    assert set(acknowledged) <= waiting
    assert len(waiting) - len(set(acknowledged)) <= threads


def test_killed_again_and_again_every_event_arrives(receiver: BatchReceiver, tmp_path: Path) -> None:
    """Processes that are killed while they record and send leave nothing behind that the next one does not send."""
    acknowledged: set[str] = set()
    for round_ in range(5):
        receiver.faults += [Fault(503, retry_after="0"), Fault(0, taken=True)]
        with python(_RECORD_FOR_EVER, receiver.url, tmp_path, 2) as process:
            acknowledged |= set(lines(process, 40 + 30 * round_))
            process.kill()
            acknowledged |= set(rest(process))
    receiver.faults.clear()
    with AuditClient(receiver.url, tmp_path) as client:
        until(lambda: client.status().pending == 0)
    assert acknowledged <= set(taken(receiver))
    assert dead_letters(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir() if path.name != "damaged.ndjson"] == ["sender.lock"]
    # A kill can tear a line that nobody was told of, never one that was acknowledged.
    assert count_damaged(tmp_path) <= 5 * 2


def test_the_end_of_a_process_sends_what_it_recorded(receiver: BatchReceiver, tmp_path: Path) -> None:
    """A program that just ends, without close, has its events sent, though they would have lingered for a minute."""
    with python(_RECORD_AND_END, receiver.url, tmp_path, 20, 60) as process:
        ids = rest(process)
        assert process.wait(60) == 0
    assert taken(receiver) == ids
    assert [path.name for path in tmp_path.iterdir()] == ["sender.lock"]


def test_processes_share_a_spool(receiver: BatchReceiver, tmp_path: Path) -> None:
    """What four processes record side by side arrives once each, by whichever of them sends."""
    with (
        python(_RECORD_AND_END, receiver.url, tmp_path, 40, 0) as one,
        python(_RECORD_AND_END, receiver.url, tmp_path, 40, 0) as two,
        python(_RECORD_AND_END, receiver.url, tmp_path, 40, 0) as three,
        python(_RECORD_AND_END, receiver.url, tmp_path, 40, 0) as four,
    ):
        ids = [text for process in (one, two, three, four) for text in rest(process)]
        assert [process.wait(60) for process in (one, two, three, four)] == [0, 0, 0, 0]
    assert sorted(taken(receiver)) == sorted(ids)
    assert list(pending_events(tmp_path)) == []


def test_another_process_takes_over_from_a_killed_sender(receiver: BatchReceiver, tmp_path: Path) -> None:
    """While one process sends, another only records; when the first is killed, the other sends for both."""
    with python(_RECORD_FOR_EVER, receiver.url, tmp_path, 1) as first:
        acknowledged = set(lines(first, 5))
        until(lambda: bool(receiver.taken))
        with AuditClient(receiver.url, tmp_path, linger_s=0) as second:
            lock = SenderLock(tmp_path)
            assert not lock.take()
            assert lock.holder() == f"process {first.pid}"
            acknowledged.add(second.record(event_type="login", actor="second"))
            first.kill()
            acknowledged |= set(rest(first))
            first.wait()
            until(lambda: second.status().pending == 0)
            until(lambda: lock.holder() == f"process {os.getpid()}")
    assert acknowledged <= set(taken(receiver))


def test_a_stopped_sender_holds_events_up_and_loses_none(receiver: BatchReceiver, tmp_path: Path) -> None:
    """While the process that sends is stopped (SIGSTOP) others go on recording; when it goes on, all arrives."""
    with python(_RECORD_FOR_EVER, receiver.url, tmp_path, 1) as first:
        acknowledged = set(lines(first, 5))
        until(lambda: bool(receiver.taken))
        first.send_signal(signal.SIGSTOP)
        with AuditClient(receiver.url, tmp_path, linger_s=0, exit_timeout_s=0) as second:
            mine = {second.record(event_type="login", actor="second") for _ in range(10)}
            assert not second.flush(0.2)
            first.send_signal(signal.SIGCONT)
            assert second.flush(30)
        first.kill()
        acknowledged |= set(rest(first))
    assert mine <= set(taken(receiver))
    waiting = {json.loads(body)["id"] for body in pending_events(tmp_path)}
    assert acknowledged <= set(taken(receiver)) | waiting


def test_a_client_survives_a_fork(receiver: BatchReceiver, tmp_path: Path) -> None:
    """A client made before a fork, as under gunicorn with --preload, records in parent and children alike."""
    with python(_FORK, receiver.url, tmp_path) as process:
        ids = rest(process)
        assert process.wait(60) == 0
    assert len(ids) == 17
    assert sorted(taken(receiver)) == sorted(ids)
    assert [path.name for path in tmp_path.iterdir()] == ["sender.lock"]


def test_a_child_keeps_no_lock_of_its_parent(receiver: BatchReceiver, tmp_path: Path) -> None:
    """When the parent is killed and its child lives on, another process sends what the parent recorded."""
    text = """
import os, sys, time
from auditlake.client import AuditClient
client = AuditClient("http://127.0.0.1:9", sys.argv[1])
print(client.record(event_type="login", actor="parent"), flush=True)
pid = os.fork()
if pid == 0:
    os.close(1)
    time.sleep(600)
print(pid, flush=True)
time.sleep(600)
"""
    with python(text, tmp_path) as parent:
        event_id, child = lines(parent, 2)
        parent.kill()
        parent.wait()
        try:
            with AuditClient(receiver.url, tmp_path, linger_s=0) as client:
                until(lambda: client.status().pending == 0)
        finally:
            os.kill(int(child), signal.SIGKILL)
    assert taken(receiver) == [event_id]
    assert [path.name for path in tmp_path.iterdir()] == ["sender.lock"]
