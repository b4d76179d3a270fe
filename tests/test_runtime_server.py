"""The runtime as a process: start, stop, who may talk to it, and what survives."""

import http.client
import json
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from auditlake.errors import AuditlakeError, PlanError
from auditlake.runtime.plan import Function, Plan
from auditlake.runtime.server import Runtime, Settings
from tests.conftest import Running, Up

EVENT = {"id": "e", "eventType": "login", "timestamp": "2026-11-24T03:00:00Z", "actor": {"userId": "u"}}


def stored(running: Running, plan: Plan) -> list[Path]:
    """The Parquet objects of a runtime's store."""
    return list((running.data / plan.bucket.name / "events").rglob("*.parquet"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_delivers_what_is_buffered(up: Up, plan: Plan, number: signal.Signals) -> None:
    """Ctrl-C and a service manager's stop both drain, say so, and end with 0."""
    running = up()
    assert httpx.post(f"{running.url}/events", json=EVENT).status_code == httpx.codes.ACCEPTED
    running.process.send_signal(number)
    output, _ = running.process.communicate(timeout=60)

    assert running.process.returncode == 0, output
    assert "what is buffered is delivered now" in output
    assert len(stored(running, plan)) == 1


def test_a_killed_runtime_delivers_after_its_next_start(up: Up, plan: Plan) -> None:
    """What was acknowledged before kill -9 is stored by the next process."""
    running = up()
    assert httpx.post(f"{running.url}/events", json=EVENT).status_code == httpx.codes.ACCEPTED
    running.process.kill()
    running.process.communicate()
    assert stored(running, plan) == []

    again = up(data=running.data)
    again.flush()
    assert len(stored(again, plan)) == 1


def test_two_processes_never_share_a_data_directory(up: Up) -> None:
    """The second process is refused with a sentence and changes nothing."""
    running = up()
    command = [sys.executable, "-m", "auditlake", "up", "--port", "0", "--data", str(running.data)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert second.returncode == 1
    assert "Another process runs on the data directory" in second.stderr
    assert httpx.get(f"{running.url}/health").status_code == httpx.codes.OK


def test_a_port_in_use_is_a_sentence(up: Up) -> None:
    """The sentence names the port and the option that changes it."""
    port = str(urlsplit(up().url).port)
    command = [sys.executable, "-m", "auditlake", "up", "--port", port, "--data", "unused"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert second.returncode == 1
    assert f"port {port}" in second.stderr
    assert "--port" in second.stderr


def test_another_address_needs_a_token() -> None:
    """What other machines can reach is never open to all of them."""
    Settings(Path("d"), "127.0.0.1", 0, None).check()
    Settings(Path("d"), "::1", 0, None).check()
    Settings(Path("d"), "0.0.0.0", 0, "t").check()  # noqa: S104 - the point of the test
    for host in ("0.0.0.0", "::", "audit.example.com"):  # noqa: S104 - the point of the test
        with pytest.raises(AuditlakeError, match="--token"):
            Settings(Path("d"), host, 0, None).check()


def test_a_token_guards_every_door(up: Up) -> None:
    """With --token the API, the control and the stream's own API ask for it; the receiver still delivers."""
    running = up("--token", "s3cret")
    bearer = {"authorization": "Bearer s3cret"}
    target = {"x-amz-target": "Firehose_20150804.PutRecord"}

    assert httpx.post(f"{running.url}/events", json=EVENT).status_code == httpx.codes.FORBIDDEN
    assert httpx.post(f"{running.url}/_auditlake/flush").status_code == httpx.codes.UNAUTHORIZED
    assert httpx.post(running.url, json={}, headers=target).json()["__type"] == "AccessDeniedException"
    assert httpx.post(f"{running.url}/events", json=EVENT, headers=bearer).status_code == httpx.codes.ACCEPTED
    batch = httpx.post(f"{running.url}/events/batch", json=[EVENT], headers=bearer)
    assert (batch.status_code, batch.json()["accepted"]) == (httpx.codes.ACCEPTED, 1)
    flushed = httpx.post(f"{running.url}/_auditlake/flush", headers=bearer, timeout=60)
    assert flushed.json()["rows"] == 2


def test_a_body_that_never_ends_is_cut_off(running: Running) -> None:
    """More than 10 MB is answered with 413 before it is all there, and the connection closes."""
    address = urlsplit(running.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    connection.putrequest("POST", "/events")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(10**9))
    connection.endheaders()
    connection.send(b" " * (10 * 1024 * 1024 + 1))
    response = connection.getresponse()

    assert response.status == http.client.REQUEST_ENTITY_TOO_LARGE
    assert json.loads(response.read())["status"] == http.client.REQUEST_ENTITY_TOO_LARGE
    connection.close()


def test_a_client_that_hangs_up_costs_nothing(running: Running) -> None:
    """A request that ends early is not stored, and the next one is served."""
    address = urlsplit(running.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=10) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    assert httpx.post(f"{running.url}/events", json=EVENT).status_code == httpx.codes.ACCEPTED


def test_the_control_knows_two_things(running: Running) -> None:
    """Anything else below the control's path is a 404 with a sentence."""
    answer = httpx.get(f"{running.url}/_auditlake/nope")

    assert answer.status_code == httpx.codes.NOT_FOUND
    assert "GET status and POST flush" in answer.json()["detail"]


def test_a_function_that_is_not_installed_stops_the_runtime(plan: Plan, tmp_path: Path) -> None:
    """A plan with somebody else's handler is refused by its name, before the first event."""
    transform = plan.function(plan.stream.processor.function_arn)
    other = Function(transform.name, transform.arn, "their_package.handler", {}, 3)
    changed = Plan(**{**plan.__dict__, "functions": (other,)})

    with pytest.raises(PlanError, match=r"their_package\.handler"):
        Runtime(changed, Settings(tmp_path, "127.0.0.1", 0, None), 0)


def test_a_start_that_failed_leaves_the_directory_free(plan: Plan, tmp_path: Path) -> None:
    """After a refused plan the same process can start another on the same directory."""
    settings = Settings(tmp_path, "127.0.0.1", 0, None)
    with pytest.raises(PlanError):
        Runtime(Plan(**{**plan.__dict__, "functions": ()}), settings, 0)

    with Runtime(plan, settings, 0) as runtime:
        assert runtime.worker.flush().result(timeout=20).rows == 0


def test_a_buffer_of_another_making_is_refused(tmp_path: Path, plan: Plan) -> None:
    """A file named buffer.sqlite that holds something else is not overwritten."""
    with sqlite3.connect(tmp_path / "buffer.sqlite") as connection:
        connection.execute("CREATE TABLE accepted (something TEXT)")
    connection.close()

    with pytest.raises(AuditlakeError, match="cannot be opened"):
        Runtime(plan, Settings(tmp_path, "127.0.0.1", 0, None), 0)
