"""The source backup of a running runtime: what is POSTed lies in the bucket as it came, whatever becomes of it."""

import base64
import gzip
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests.backup_plan import backup_plan
from tests.conftest import Running, Up

BUCKET = "auditlake-events-123456789012"
EVENT = {"eventType": "login", "timestamp": "2026-11-24T03:00:00Z", "actor": {"userId": "ana"}}


@pytest.fixture(scope="module")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan of raw_backup = true."""
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    file.write_text(json.dumps(backup_plan()))
    return file


@pytest.fixture(scope="module")
def lake(up: Up, plan_file: Path) -> Running:
    """A runtime with a source backup."""
    return up("--plan", str(plan_file))


def firehose(lake: Running) -> Any:  # noqa: ANN401  # boto3's
    """Return boto3's client of Firehose at the runtime."""
    create: Any = boto3.client  # whose overloads need the service's types
    return create(
        "firehose",
        endpoint_url=lake.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # nobody asks
    )


def objects(data: Path, prefix: str = "raw") -> list[Path]:
    """The objects that lie under a prefix of the bucket's directory."""
    return sorted(path for path in (data / BUCKET / prefix).rglob("*") if path.is_file())


def backed_up(data: Path) -> bytes:
    """All that the source backup holds."""
    return b"".join(gzip.decompress(path.read_bytes()) for path in objects(data))


def post(lake: Running, identity: str) -> bytes:
    """POST an event that must be accepted, and return its bytes."""
    body = json.dumps({"id": identity, **EVENT}).encode()
    answer = httpx.post(f"{lake.url}/events", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return body


def status(lake: Running) -> dict[str, Any]:
    """What `auditlake status --json` says."""
    answer: dict[str, Any] = json.loads(lake.auditlake("status", "--json").stdout)
    return answer


def test_each_record_lies_in_the_backup_as_it_came(lake: Running) -> None:
    """An event that was POSTed in its envelope, one of a batch, and what no transform reads, with exactly its bytes."""
    body = post(lake, "posted")
    batch = json.dumps([{"id": "in a batch", **EVENT}]).encode()
    many = httpx.post(f"{lake.url}/events/batch", content=batch, headers={"content-type": "application/json"})
    assert (many.status_code, many.json()["accepted"]) == (202, 1)
    firehose(lake).put_record(DeliveryStreamName="auditlake-events", Record={"Data": b"\xff no event"})
    assert status(lake)["buffers"] == [
        {
            "destination": "backup",
            "records": 3,
            **{k: status(lake)["waiting"][k] for k in ("bytes", "oldest_arrival_ms")},
        }
    ]
    lake.flush()

    (key,) = (path.relative_to(lake.data / BUCKET).as_posix() for path in objects(lake.data))
    name = r"auditlake-events-1-\d{4}(-\d\d){5}-[0-9a-f-]{36}\.gz"
    assert re.fullmatch(rf"raw/\d{{4}}/\d\d/\d\d/\d\d/{name}", key)
    content = backed_up(lake.data)
    assert base64.b64encode(body) in content
    assert b'"eventId":"in a batch"' in content
    assert content.endswith(b"\xff no event")
    assert len(objects(lake.data, "errors")) == 1, "what cannot be transformed is in both"


def test_the_backup_is_counted_described_and_shown(lake: Running) -> None:
    """`status`, `path`, `/metrics` and DescribeDeliveryStream know of it."""
    post(lake, "counted")
    lake.flush()
    counted = status(lake)["backup"]
    sizes = sum(path.stat().st_size for path in objects(lake.data))
    assert (counted["objects"], counted["bytes"], counted["damaged"]) == (len(objects(lake.data)), sizes, 0)
    assert "stored in the source backup" in lake.auditlake("status").stdout
    metrics = httpx.get(f"{lake.url}/metrics").text
    labels = '{DeliveryStreamName="auditlake-events"}'
    assert f"firehose_BackupToS3_Records_total{labels} {float(counted['records'])}" in metrics
    destination = firehose(lake).describe_delivery_stream(DeliveryStreamName="auditlake-events")[
        "DeliveryStreamDescription"
    ]["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert (destination["S3BackupMode"], destination["S3BackupDescription"]["Prefix"]) == ("Enabled", "raw/")


def test_the_path_shows_the_backup(lake: Running, plan_file: Path) -> None:
    """The store's line says where records go as they came."""
    shown = lake.auditlake("path", "--plan", str(plan_file), "--json")
    (store,) = (one for one in json.loads(shown.stdout) if one["stage"] == "store")
    assert "source backup under raw/, GZIP, at 128 MiB or 60 s" in store["settings"]


def test_an_object_of_the_backup_is_one_of_the_bucket(lake: Running, plan_file: Path) -> None:
    """It is locked and checked as the events are, and neither a query nor redrive reads it."""
    post(lake, "locked")
    lake.flush()
    listed = json.loads(lake.auditlake("objects", "raw/", "--plan", str(plan_file), "--json").stdout)
    assert {one["key"] for one in listed} == {p.relative_to(lake.data / BUCKET).as_posix() for p in objects(lake.data)}
    assert {one["mode"] for one in listed} == {"GOVERNANCE"}
    rows = lake.auditlake("query", "--csv", "SELECT count(*) FROM events WHERE event_id = 'locked'")
    assert rows.stdout.split()[1:] == ["1"], rows
    failed = json.loads(lake.auditlake("errors", "--plan", str(plan_file), "--json").stdout)
    assert failed["objects"] == len(objects(lake.data, "errors")), failed
    checked = lake.auditlake("objects", "--check", "--plan", str(plan_file))
    assert checked.returncode == 0, checked.stdout

    first = objects(lake.data)[0]
    first.chmod(0o600)
    first.write_bytes(b"changed")
    found = lake.auditlake("objects", "--check", "--plan", str(plan_file))
    assert found.returncode == 1
    assert first.name in "".join(found.stdout.split())


def test_what_was_accepted_is_in_both_after_a_kill(up: Up, plan_file: Path, tmp_path: Path) -> None:
    """Killed with nothing delivered, and again after a flush: each event is in the table and in the backup."""
    data = tmp_path / "data"
    for number in range(2):
        lake = up("--plan", str(plan_file), data=data)
        post(lake, f"before {number}")
        if number:
            lake.flush()
        post(lake, f"after {number}")
        os.kill(lake.process.pid, signal.SIGKILL)
        lake.process.wait()
    lake = up("--plan", str(plan_file), data=data)
    assert "accepted record for the source backup" in " ".join(status(lake)["recovered"])
    lake.flush()

    identities = ["after 0", "after 1", "before 0", "before 1"]
    bodies = re.findall(rb'"body":"([^"]*)"', backed_up(data))
    assert sorted({json.loads(base64.b64decode(body))["id"] for body in bodies}) == identities
    rows = lake.auditlake("query", "--csv", "SELECT DISTINCT event_id FROM events ORDER BY event_id")
    assert rows.stdout.splitlines()[1:] == identities


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"compression_format": "ZIP"}, "s3_backup_configuration.compression_format = 'ZIP' is not implemented"),
        ({"prefix": "!{partitionKeyFromLambda:year}/"}, "s3_backup_configuration uses partition keys"),
    ],
    ids=["compression", "prefix"],
)
def test_a_backup_that_cannot_be_made_stops_the_start(
    running: Running, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    """The sentence says what of the plan it is, and nothing was accepted."""
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(backup_plan(**changes)))

    ended = running.auditlake("up", "--plan", str(file), "--data", str(tmp_path / "data"), "--port", "0")

    assert ended.returncode == 1
    assert says in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


def test_a_plan_that_disables_the_backup_does_not_start_on_its_data(lake: Running, up: Up, plan_file: Path) -> None:
    """As AWS refuses it (B6): the sentence says what to keep."""
    other = up("--plan", str(plan_file))
    other.process.terminate()
    other.process.wait()

    ended = lake.auditlake("up", "--data", str(other.data), "--port", "0")

    assert ended.returncode == 1
    assert "source backup enabled, which AWS lets nobody disable" in " ".join(ended.stderr.split())
