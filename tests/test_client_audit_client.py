"""The client over real HTTP on loopback: what is recorded arrives, whatever the endpoint does meanwhile."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from auditlake.client import AuditClient, EventError, SpoolError, dead_letters, pending_events
from auditlake.client.spool import segments
from auditlake.errors import SendError
from tests.batch_receiver import BatchReceiver, Fault, running_receiver
from tests.conftest import ROOT

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture
def receiver() -> Iterator[BatchReceiver]:
    """The double of the endpoint."""
    with running_receiver() as running:
        yield running


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., AuditClient]]:
    """Make clients of one spool; they are closed at the end."""
    clients = []

    def make(url: str, **options: Any) -> AuditClient:  # noqa: ANN401 - the options of a test
        clients.append(AuditClient(url, tmp_path / "spool", **({"linger_s": 0.0} | options)))
        return clients[-1]

    yield make
    for client in clients:
        client.close(0)


def taken(receiver: BatchReceiver) -> list[dict[str, Any]]:
    """The events that the endpoint took."""
    return [json.loads(body) for body in receiver.taken]


def test_a_recorded_event_arrives_with_all_its_members(
    receiver: BatchReceiver, connect: Callable[..., AuditClient]
) -> None:
    """Every argument is the member of its name; what was not given is absent; the id is a UUIDv7 of now."""
    client = connect(receiver.url)
    before = datetime.now(UTC)
    event_id = client.record(
        event_type="invoice.pay",
        actor={"userId": "ana", "role": "clerk"},
        action={"resource": "invoice", "operation": "pay", "status": "success"},
        entity_type="invoice",
        entity_id="i-1",
        request_id="r-1",
        context={"ipAddress": "203.0.113.7"},
        details={"changes": [{"field": "paid", "oldValue": False, "newValue": True}]},
        metadata={"source": "shop", "amount": Decimal("12.50")},
        extra={"tenant": "acme"},
    )
    bare = client.record(event_type="login", actor="ana")
    assert client.flush(30)
    first, second = taken(receiver)
    timestamp = datetime.fromisoformat(first.pop("timestamp"))
    assert before <= timestamp <= datetime.now(UTC)
    assert first == {
        "id": event_id,
        "eventType": "invoice.pay",
        "actor": {"userId": "ana", "role": "clerk"},
        "action": {"resource": "invoice", "operation": "pay", "status": "success"},
        "entityType": "invoice",
        "entityId": "i-1",
        "requestId": "r-1",
        "context": {"ipAddress": "203.0.113.7"},
        "details": {"changes": [{"field": "paid", "oldValue": False, "newValue": True}]},
        "metadata": {"source": "shop", "amount": "12.50"},
        "tenant": "acme",
    }
    assert sorted(second) == ["actor", "eventType", "id", "timestamp"]
    assert second["actor"] == {"userId": "ana"}
    version = uuid.UUID(bare)
    assert version.version == 7
    assert abs((version.int >> 80) / 1000 - before.timestamp()) < 60
    assert receiver.headers[0]["Content-Encoding"] == "gzip"


def test_the_service_may_say_id_and_time(receiver: BatchReceiver, connect: Callable[..., AuditClient]) -> None:
    """An id of the service's own is the idempotency key; a time of any zone is sent as UTC."""
    client = connect(receiver.url)
    at = datetime(2026, 11, 24, 10, 0, tzinfo=timezone(timedelta(hours=2)))
    assert client.record(event_type="login", actor="ana", event_id="mine", timestamp=at) == "mine"
    assert client.flush(30)
    assert (taken(receiver)[0]["id"], taken(receiver)[0]["timestamp"]) == ("mine", "2026-11-24T08:00:00Z")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"event_type": ""}, "event_type: expected a string that is not empty"),
        ({"event_type": None}, "event_type: expected a string that is not empty"),
        ({"actor": ""}, "actor: expected a user's id"),
        ({"actor": {"role": "clerk"}}, "actor: expected a member userId"),
        ({"actor": None}, "actor: expected a user's id"),
        ({"timestamp": datetime(2026, 1, 1)}, "timestamp: expected a time with its zone"),  # noqa: DTZ001 - that is it
        ({"event_id": ""}, "id: expected a string that is not empty"),
        ({"metadata": {"what": object()}}, "cannot be written as JSON"),
        ({"extra": {"eventType": "other"}}, "extra: eventType is a member that the event has already"),
        ({"timestamp": "nonsense"}, "timestamp: expected a datetime with its zone, got 'nonsense'"),
        ({"timestamp": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))}, "timestamp: .* cannot be in UTC"),
        ({"entityId": "x"}, "record: entityId is not known; allowed are event_type, actor, action, entity_type, ent"),
        ({"action": "pay"}, "action: expected a mapping of its members, got 'pay'"),
        ({"context": ["ip"]}, "context: expected a mapping of its members"),
        ({"details": 5}, "details: expected a mapping"),
        ({"metadata": "x"}, "metadata: expected a mapping"),
        ({"extra": "x"}, "extra: expected a mapping"),
        ({"metadata": {"n": [1.0, float("nan")]}}, r"metadata.n\[1\]: expected a number that JSON has, got nan"),
        ({"extra": {"n": float("-inf")}}, "n: expected a number that JSON has, got -inf"),
        ({"metadata": {"n": float("inf"), "file": "a\udc80"}}, "metadata.n: expected a number that JSON has, got inf"),
        ({"actor": {"userId": "ana", "score": float("inf")}}, "actor.score: expected a number"),
        ({"metadata": {"text": "x" * (1 << 24)}}, "the spool holds events of 16,777,215"),
    ],
    ids=[
        "no type",
        "None",
        "no actor",
        "no userId",
        "actor None",
        "no zone",
        "no id",
        "no JSON",
        "extra",
        "no time",
        "no UTC",
        "unknown",
        "action",
        "context",
        "details",
        "metadata",
        "extra no mapping",
        "NaN",
        "infinity",
        "infinity beside a surrogate",
        "actor infinity",
        "large",
    ],
)
def test_a_wrong_event_is_refused_at_once(
    connect: Callable[..., AuditClient], event: dict[str, object], words: str
) -> None:
    """The sentence says what came and what is allowed; nothing is recorded."""
    client = connect(UNREACHABLE)
    with pytest.raises(EventError, match=words):
        client.record(**{"event_type": "login", "actor": "ana", **event})  # type: ignore[arg-type]  # wrong on purpose
    assert segments(client.spool) == []


def test_a_wrong_call_is_a_sentence(connect: Callable[..., AuditClient]) -> None:
    """A missing argument and one without its name are told as what is wrong with an event, by arecord too."""
    client = connect(UNREACHABLE)
    with pytest.raises(EventError, match="record: event_type and actor are missing"):
        client.record()  # type: ignore[call-arg]  # wrong on purpose
    with pytest.raises(EventError, match="record: give each argument by its name"):
        client.record("login", "ana")  # type: ignore[call-arg]  # wrong on purpose
    with pytest.raises(EventError, match="record: userId is not known"):
        asyncio.run(client.arecord(event_type="login", actor="ana", userId="x"))
    assert client.record(event_type="login", actor="ana", metadata={"nothing": None, "text": "null"})


def test_a_lone_surrogate_costs_no_event(receiver: BatchReceiver, connect: Callable[..., AuditClient]) -> None:
    """What no UTF-8 can hold, e.g. of a file's name, is sent as JSON's escape."""
    client = connect(receiver.url)
    client.record(
        event_type="upload", actor="ana", metadata={"file": "a\udc80", "at": datetime(2026, 1, 1, tzinfo=UTC)}
    )
    assert client.flush(30)
    assert taken(receiver)[0]["metadata"] == {"file": "a\udc80", "at": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(503, retry_after="0"),
        Fault(429),
        Fault(500),
        Fault(0),
        Fault(0, taken=True),
        Fault(503, again=(1,)),
        Fault(401),
        Fault(404),
    ],
    ids=["503", "429", "500", "dropped", "dropped after taking", "partial", "401", "404"],
)
def test_whatever_the_endpoint_does_each_event_arrives(
    receiver: BatchReceiver, connect: Callable[..., AuditClient], fault: Fault
) -> None:
    """After any fault every event is accepted, at least once, and none is a dead letter."""
    receiver.faults += [fault, fault]
    client = connect(receiver.url)
    ids = {client.record(event_type="login", actor="ana") for _ in range(3)}
    for _ in range(20):
        if client.flush(5):
            break
    assert {event["id"] for event in taken(receiver)} == ids
    assert dead_letters(client.spool) == []
    assert client.problem is None


def test_refused_events_are_dead_letters(receiver: BatchReceiver, connect: Callable[..., AuditClient]) -> None:
    """What the endpoint refuses with 400 is kept with its sentence and counted; flush counts it as settled."""
    client = connect(receiver.url)
    with client.spool.joinpath("x.events").open("wb") as file:
        from auditlake.client.line import encode_line

        file.write(encode_line(1, b'{"id":"bad"}'))
    good = client.record(event_type="login", actor="ana")
    assert client.flush(30)
    for _ in range(100):
        if dead_letters(client.spool):
            break
        client.record(event_type="login", actor="ana")
        client.flush(30)
    (letter,) = dead_letters(client.spool)
    assert (letter.id, letter.reason) == ("bad", "eventType: expected a string.")
    assert good in {event["id"] for event in taken(receiver)}
    assert client.status().dead_lettered == 1


def test_a_hanging_endpoint_does_not_hold_the_service(connect: Callable[..., AuditClient]) -> None:
    """Record goes on, flush and close keep to their time, and what is not sent stays in the spool."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=1.0)
        ids = [client.record(event_type="login", actor="ana") for _ in range(50)]
        assert not client.flush(0.05)
        assert not client.close(0.05)
    assert [json.loads(body)["id"] for body in pending_events(client.spool)] == ids


def test_the_next_start_sends_what_is_left(receiver: BatchReceiver, connect: Callable[..., AuditClient]) -> None:
    """What could not be sent before the end is sent by whoever opens the spool next, without a record."""
    first = connect(UNREACHABLE)
    ids = [first.record(event_type="login", actor="ana") for _ in range(3)]
    assert not first.close(0.05)
    second = connect(receiver.url)
    while second.status().pending:
        second.flush(0.05)
    assert [event["id"] for event in taken(receiver)] == ids


def test_a_closed_client_records_no_more(receiver: BatchReceiver, connect: Callable[..., AuditClient]) -> None:
    """Close sends what is recorded and leaves an empty spool; record then says that it is closed."""
    client = connect(receiver.url, linger_s=60.0)
    client.record(event_type="login", actor="ana")
    assert client.close(30)
    assert client.close()
    assert len(receiver.taken) == 1
    assert [path.name for path in client.spool.iterdir()] == ["sender.lock"]
    with pytest.raises(SpoolError, match="this client is closed"):
        client.record(event_type="login", actor="ana")


def test_a_token_is_sent_and_may_change(receiver: BatchReceiver, connect: Callable[..., AuditClient]) -> None:
    """A string is sent as it is; a function is asked for each request."""
    tokens = iter(["one", "two"])
    client = connect(receiver.url, token=lambda: next(tokens))
    for _ in range(2):
        client.record(event_type="login", actor="ana")
        assert client.flush(30)
    assert [headers["Authorization"] for headers in receiver.headers] == ["Bearer one", "Bearer two"]


def test_requests_are_signed(
    receiver: BatchReceiver, connect: Callable[..., AuditClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With auth='sigv4' each request carries a signature for execute-api in the region."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    client = connect(receiver.url, auth="sigv4", region="eu-central-1")
    client.record(event_type="login", actor="ana")
    assert client.flush(30)
    authorization = receiver.headers[0]["Authorization"]
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
    assert "/eu-central-1/execute-api/aws4_request" in authorization


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "ftp://x"}, "no http or https URL"),
        ({"auth": "sigv4", "token": "x"}, "token would go unused"),
        ({"auth": "basic"}, "is not known"),
        ({"region": "eu-central-1"}, "region is for auth='sigv4'"),
        ({"durability": "maybe"}, "durability: expected 'sync' or 'os'"),
        ({"full": "drop"}, "full: expected 'block' or 'raise'"),
        ({"max_spool_bytes": 0}, "more than 0 bytes"),
    ],
    ids=["url", "auth and token", "auth", "region", "durability", "full", "size"],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    """The sentence says what is allowed, before a spool is made."""
    with pytest.raises((SendError, ValueError), match=words):
        AuditClient(**{"url": UNREACHABLE, "spool": tmp_path / "spool", **options})
    assert not (tmp_path / "spool").exists()


def test_a_spool_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A path that is a file is told in a sentence; a directory that is made is private to its user."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SpoolError, match="cannot be made"):
        AuditClient(UNREACHABLE, tmp_path / "file")
    with AuditClient(UNREACHABLE, tmp_path / "new", exit_timeout_s=0) as client:
        assert client.spool.stat().st_mode & 0o777 == 0o700


def test_coroutines_record(receiver: BatchReceiver, tmp_path: Path) -> None:
    """Many coroutines record side by side; the loop is never blocked by the disk, and leaving the block sends."""

    async def service() -> list[str]:
        async with AuditClient(receiver.url, tmp_path / "spool", exit_timeout_s=30) as client:
            recording = [client.arecord(event_type="login", actor=f"user-{n}") for n in range(40)]
            ids = list(await asyncio.gather(*recording))
            assert await client.aflush(30)
            return ids

    ids = asyncio.run(service())
    assert sorted(ids) == sorted(event["id"] for event in taken(receiver))


def test_a_full_spool_does_not_block_the_event_loop(tmp_path: Path) -> None:
    """While a coroutine waits for room others run; closing the client ends the wait with a sentence."""

    async def service() -> None:
        client = AuditClient(UNREACHABLE, tmp_path / "spool", max_spool_bytes=400, exit_timeout_s=0)
        await client.arecord(event_type="login", actor="ana")
        waiting = asyncio.create_task(client.arecord(event_type="login", actor="x" * 150))
        await asyncio.sleep(0)
        await client.aclose(0)
        with pytest.raises(SpoolError, match="closed"):
            await waiting

    asyncio.run(service())


def test_threads_share_a_client(receiver: BatchReceiver, connect: Callable[..., AuditClient]) -> None:
    """What 8 threads record arrives once each."""
    client = connect(receiver.url, linger_s=0.02)
    ids: list[str] = []

    def work(number: int) -> None:
        ids.extend(client.record(event_type="login", actor=f"user-{number}") for _ in range(50))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(30)
    assert sorted(ids) == sorted(event["id"] for event in taken(receiver))


def test_the_import_is_light() -> None:
    """Importing the client loads neither the command line nor the HTTP client nor what only the runtime needs."""
    text = "import sys, auditlake.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "auditlake" in loaded
    assert not loaded & {"typer", "rich", "click", "httpx", "asyncio", "pyarrow", "duckdb", "boto3", "botocore", "yaml"}


def test_a_client_at_work_needs_no_extra(receiver: BatchReceiver, tmp_path: Path) -> None:
    """Recording and sending load nothing that only the extras `local` and `aws` install."""
    text = (
        "import sys\nfrom auditlake.client import AuditClient\n"
        "with AuditClient(sys.argv[1], sys.argv[2]) as c: c.record(event_type='login', actor='ana'); c.flush(30)\n"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", text, receiver.url, str(tmp_path / "spool")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert len(receiver.taken) == 1
    extras = {"pyarrow", "duckdb", "boto3", "botocore", "pybase64", "uvicorn", "sqlglot", "jsonschema_rs", "typer"}
    assert not {name.partition(".")[0] for name in done.stdout.split()} & extras
