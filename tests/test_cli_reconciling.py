"""`auditlake reconcile`, as an auditor types it."""

import json
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from auditlake.error_store import aws_client
from tests.command_line import auditlake, on
from tests.conftest import Running
from tests.failures import event, processing_line
from tests.moto_server import moto_server
from tests.wire import client

INCOMPLETE = 3
STATES = ("conflicting", "duplicated", "in_table", "pending", "failed", "missing")


def write(path: Path, *bodies: bytes) -> str:
    """Write events a line each and return the path."""
    path.write_bytes(b"".join(body + b"\n" for body in bodies))
    return str(path)


def receipt(body: bytes, event_id: str, **more: str) -> bytes:
    """Return a line of a receipt."""
    return json.dumps({"id": event_id, "sha256": sha256(body).hexdigest(), **more}).encode()


@pytest.fixture(scope="module")
def told(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A receipt of events that are in every state on a running runtime, named for their states."""
    folder = tmp_path_factory.mktemp("sent")
    path = folder / "receipt.ndjson"
    stored = [event(f"in_table-{n}") for n in range(3)] + [event("duplicated-0")]
    sent = on(running, "send", write(folder / "stored", *stored), "--receipt", str(path), "--json")
    assert sent.returncode == 0, sent.stderr
    assert on(running, "send", write(folder / "again", stored[-1], event("conflicting-0"))).returncode == 0
    with closing(client(running)) as firehose:
        firehose.put_record(DeliveryStreamName="auditlake-events", Record={"Data": event("failed-0", timestamp=None)})
    running.flush()
    assert on(running, "send", write(folder / "p", event("pending-0")), "--receipt", str(path)).returncode == 0
    other = event("conflicting-0", actor={"userId": "bob"})
    lines = [
        receipt(other, "conflicting-0"),
        receipt(event("failed-0", timestamp=None), "failed-0"),
        receipt(b"{}", "missing-0"),
    ]
    with path.open("ab") as file:
        file.write(b"\n".join(lines) + b"\n")
    return path


def test_every_event_is_in_one_state(running: Running, told: Path) -> None:
    """Counts for scripts, ids for whoever goes after them, exit code 3 while one is missing or conflicting."""
    done = on(running, "reconcile", "--sent", str(told), "--json")
    content = json.loads(done.stdout)

    assert done.returncode == INCOMPLETE
    assert {state: content[state] for state in STATES} == {
        "conflicting": 1, "duplicated": 1, "in_table": 3, "pending": 1, "failed": 1, "missing": 1,
    }  # fmt: skip
    assert (content["sent"], content["complete"], content["copies"]) == (8, False, 1)
    for state in STATES:
        listed = on(running, "reconcile", "--sent", str(told), "--list", state)
        assert listed.stdout.splitlines() == [f"{state}-{n}" for n in range(content[state])]


def test_the_table_is_for_people(running: Running, told: Path) -> None:
    """Each state with what it means, and what to do about the bad ones."""
    done = on(running, "reconcile", "--sent", str(told))
    assert "8 events were sent" in done.stdout
    assert "under the error prefix: auditlake redrive" in done.stdout
    assert "--list missing; send these events again, with the same ids" in done.stderr


def test_what_is_not_lost_is_complete(running: Running, told: Path, tmp_path: Path) -> None:
    """Stored, duplicated, pending and failed events are there; the file that was sent tells as well as its receipt."""
    lines = [line for line in told.read_bytes().splitlines() if b"missing" not in line and b"conflicting" not in line]
    done = on(running, "reconcile", "--sent", write(tmp_path / "sent", *lines), "--json")
    assert done.returncode == 0, done.stdout
    assert on(running, "reconcile", "--sent", write(tmp_path / "e", event("in_table-0"))).returncode == 0
    assert on(running, "reconcile", "--sent", write(tmp_path / "ids", b"in_table-0", b"pending-0")).returncode == 0


def test_a_newline_that_ends_a_record_is_no_conflict(running: Running, tmp_path: Path) -> None:
    """Nor while it waits, nor when it failed; nor one that an API client's body ended with."""
    bodies = [event("ended-ok"), event("ended-bad", timestamp=None), event("ended-posted")]
    with closing(client(running)) as firehose:
        for body in bodies[:2]:
            firehose.put_record(DeliveryStreamName="auditlake-events", Record={"Data": body + b"\n"})
    headers = {"content-type": "application/json"}
    posted = httpx.post(f"{running.url}/events", content=bodies[2] + b"\n", headers=headers, trust_env=False)
    assert posted.status_code == httpx.codes.ACCEPTED, posted.text
    sent = write(tmp_path / "ended", *bodies)
    counted = []
    for flushed in (False, True):
        if flushed:
            running.flush()
        content = json.loads(on(running, "reconcile", "--sent", sent, "--json").stdout)
        counted.append({state: content[state] for state in ("conflicting", "pending", "in_table", "failed")})
    assert counted[0] == {"conflicting": 0, "pending": 3, "in_table": 0, "failed": 0}
    assert counted[1] == {"conflicting": 0, "pending": 0, "in_table": 2, "failed": 1}


def test_a_repaired_event_is_in_the_table(running: Running, told: Path, tmp_path: Path) -> None:
    """The ledger says that its other bytes are the same event's."""
    one = write(tmp_path / "one", receipt(event("failed-0", timestamp=None), "failed-0"))
    assert json.loads(on(running, "reconcile", "--sent", one, "--json").stdout)["failed"] == 1
    mend = 'sed \'s/"eventType"/"timestamp":"2026-09-21T14:00:00Z","eventType"/\''
    redriven = on(running, "redrive", "--event-id", "failed-0", "--through", mend, "--yes")
    assert redriven.returncode == 0, redriven.stderr
    running.flush()
    done = on(running, "reconcile", "--sent", one, "--json")
    assert (done.returncode, json.loads(done.stdout)["in_table"]) == (0, 1)
    assert told.is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sent", "no-such-file"), "no-such-file cannot be read"),
        (("--sent", "/dev/null"), "holds no event"),
        (("--sent", "x", "--list", "lost"), "There is no state lost; there are: conflicting"),
        (("--sent", "x", "--since", "2026-11-24"), "are for --bucket"),
    ],
    ids=["no file", "no event", "no state", "no bucket"],
)
def test_a_mistake_is_one_sentence_and_exit_code_1(running: Running, arguments: tuple[str, ...], words: str) -> None:
    """What cannot be compared is never a success."""
    done = on(running, "reconcile", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("auditlake: ")
    assert words in done.stderr


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The URL of moto's server: S3, and an Athena that answers what it is told to."""
    with moto_server() as url:
        yield url


def test_on_aws_it_asks_athena_and_the_error_prefix(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Firehose holds cannot be seen: what was accepted just now is pending by its receipt."""
    for name, value in {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    digest = sha256(b"{}").hexdigest()
    rows = [["event_id", "sha256", "copies"], ["in-table", digest, "1"], ["twice", digest, "2"]]
    table = [{"Data": [{"VarCharValue": cell} for cell in row]} for row in rows]
    results = [{"rows": table, "column_info": []}, {"rows": table[:1], "column_info": []}]
    preset = httpx.post(f"{endpoint}/moto-api/static/athena/query-results", json={"results": results}, trust_env=False)
    assert preset.status_code == httpx.codes.CREATED
    with closing(aws_client("s3", endpoint, "us-east-1")) as s3:
        for bucket in ("lake", "results"):
            s3.create_bucket(Bucket=bucket)
        key = "errors/processing-failed/2026/11/24/s-1"
        s3.put_object(Bucket="lake", Key=key, Body=processing_line(event("failed")))
    lines = [
        receipt(b"{}", "in-table"),
        receipt(b"{}", "twice"),
        receipt(event("failed"), "failed"),
        receipt(b"{}", "old", accepted_at="2020-01-01T00:00:00Z"),
        receipt(b"{}", "new", accepted_at="2100-01-01T00:00:00Z"),
    ]
    arguments = ("--bucket", "lake", "--endpoint-url", endpoint, "--region", "us-east-1", "--workgroup", "primary")
    output = ("--output-location", "s3://results/", "--json")
    done = auditlake(tmp_path, "reconcile", "--sent", write(tmp_path / "r", *lines), *arguments, *output)

    content = json.loads(done.stdout)
    assert {state: content[state] for state in STATES} == {
        "conflicting": 0, "duplicated": 1, "in_table": 1, "pending": 1, "failed": 1, "missing": 1,
    }, done.stderr  # fmt: skip
    assert done.returncode == INCOMPLETE
