"""The whole path, from POST to SELECT, with real events."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import polars
import pyarrow.parquet as pq
import pytest

from auditlake.mapping import load_mapping
from auditlake.runtime.plan import Plan
from auditlake.runtime.query import run_query
from tests.conftest import Running, Up

FILES = {
    "aws_cloudtrail_stratus.ndjson": ("cloudtrail", 310),
    "aws_cloudtrail_otrf_s3_exfil.ndjson": ("cloudtrail", 103),
    "github_webhooks_devset.ndjson": ("github", 111),
}


@pytest.fixture(scope="module")
def sent(up: Up, shared_data: Path) -> Running:
    """A runtime that took all the real events of three files by `auditlake send`, and stored them."""
    running = up()
    for name, (mapping, count) in FILES.items():
        done = running.auditlake("send", "--json", "--map", mapping, str(shared_data / "events" / name))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["accepted"] == count
    running.flush()
    return running


def originals(shared_data: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every original event with the name of its mapping."""
    for name, (mapping, _) in FILES.items():
        for line in (shared_data / "events" / name).read_bytes().splitlines():
            yield mapping, line


def select(running: Running, plan: Plan, sql: str) -> list[tuple[Any, ...]]:
    """Run a query over what is stored."""
    with run_query(running.data, plan, sql) as result:
        return list(result.rows())


def test_every_real_event_is_in_the_table_once(sent: Running, plan: Plan) -> None:
    """All 524 events are there, each under its own id."""
    assert select(sent, plan, "SELECT count(*), count(DISTINCT event_id) FROM events") == [(524, 524)]
    assert select(sent, plan, "SELECT count(*) FROM events_deduplicated") == [(524,)]


def test_raw_is_what_was_posted_with_the_original_whole(sent: Running, plan: Plan, shared_data: Path) -> None:
    """The original of every event stands in `raw` byte for byte."""
    raw = [row[0].encode() for row in select(sent, plan, "SELECT raw FROM events")]
    found = Counter(event[event.index(b'"original":') + len(b'"original":') :].rstrip(b"}") for event in raw)
    wanted = Counter(line.strip().rstrip(b"}") for _, line in originals(shared_data))
    assert found == wanted


def test_partitions_are_right(sent: Running, plan: Plan) -> None:
    """Each row lies in the partition of its type, and of its own day within the window, else of its day of receipt."""
    columns = "event_type, audit_type, year, month, day, event_time, received_at, late"
    rows = select(sent, plan, f"SELECT {columns} FROM events")
    for event_type, audit_type, year, month, day, event_time, received_at, late in rows:
        ahead = (event_time.date() - received_at.date()).days
        assert late is not (-7 <= ahead <= 1)
        placed_by = received_at if late else event_time
        assert audit_type == event_type.partition(".")[0]
        assert (year, month, day) == (f"{placed_by:%Y}", f"{placed_by:%m}", f"{placed_by:%d}")
    assert {row[1] for row in rows} == {"aws", "github"}
    assert any(row[7] for row in rows), "the CloudTrail events are years old"


def test_the_files_open_everywhere_with_the_types_of_the_table(sent: Running, plan: Plan) -> None:
    """pyarrow, DuckDB and Polars read the same columns, in the table's order, with its types."""
    files = sorted((sent.data / plan.bucket.name / "events").rglob("*.parquet"))
    names = [column.name for column in plan.table.columns]
    schema = pq.read_schema(files[0])
    frame = polars.read_parquet(files[0], hive_partitioning=False)
    with duckdb.connect() as connection:
        query = f"DESCRIBE SELECT * FROM read_parquet('{files[0]}', hive_partitioning = false)"
        described = connection.execute(query).fetchall()

    assert schema.names == names == frame.columns == [row[0] for row in described]
    types = {row[0]: row[1] for row in described}
    assert types["event_time"] == "TIMESTAMP"
    assert types["late"] == "BOOLEAN"
    assert types["problems"] == "VARCHAR[]"
    assert types["details"] == (
        "STRUCT(entity_type VARCHAR, entity_id VARCHAR, change_type VARCHAR, "
        "changes STRUCT(field VARCHAR, old_value VARCHAR, new_value VARCHAR)[])"
    )
    assert frame.schema["received_at"] == polars.Datetime("us")
    assert frame.schema["problems"] == polars.List(polars.String)
    assert frame.height == pq.read_table(files[0], partitioning=None).num_rows


def test_the_mapped_event_reads_as_it_should(sent: Running, plan: Plan, shared_data: Path) -> None:
    """The columns hold what the mapping took from the original."""
    first = json.loads((shared_data / "events" / "aws_cloudtrail_stratus.ndjson").read_bytes().splitlines()[0])
    assert load_mapping("cloudtrail").name == "cloudtrail"
    (row,) = select(
        sent,
        plan,
        "SELECT event_type, event_time, action_operation, source, problems FROM events "
        f"WHERE event_id = '{first['eventID']}'",
    )
    assert row[0] == "aws.ec2.GetPasswordData"
    assert row[1].replace(tzinfo=UTC) == datetime.fromisoformat(first["eventTime"])
    assert row[4] == []


def test_one_event_goes_straight_through_with_exact_bytes(running: Running, plan: Plan) -> None:
    """POST /events keeps every byte: white space, order, escapes, big numbers."""
    body = (
        '{ "timestamp" : "2026-11-24T03:00:00.069+01:00",\n "eventType":"login", "n": 12345678901234567890.10,'
        ' "actor" : {"userId":"a\\u00e9é\\n"}, "id":"exact-1", "context": {"ipAddress": 7} }'
    ).encode()
    answer = httpx.post(f"{running.url}/events", content=body, headers={"content-type": "application/json"})
    running.flush()

    assert answer.status_code == httpx.codes.ACCEPTED
    assert answer.json()["status"] == "accepted"
    (row,) = select(
        running,
        plan,
        "SELECT raw, event_time, actor_user_id, problems, source_ip FROM events WHERE event_id = 'exact-1'",
    )
    assert row[0].encode() == body
    assert row[1] == datetime(2026, 11, 24, 2, 0, 0, 69000)  # noqa: DTZ001 - the column holds UTC without a zone
    assert row[2] == "aéé\n"
    assert row[3] == ["context.ipAddress: expected a string, got a number"]
    assert row[4] == "127.0.0.1"


def conformance_cases(shared_data: Path) -> list[Path]:
    """Return the files of JSONTestSuite."""
    files = sorted((shared_data / "conformance" / "json-parsing").glob("*.json"))
    assert len(files) > 300
    return files


def test_no_json_of_the_conformance_suite_breaks_post_events(running: Running, shared_data: Path) -> None:
    """Valid JSON that is no event and broken JSON are both refused with 400 and a sentence; none crashes anything."""
    for path in conformance_cases(shared_data):
        answer = httpx.post(
            f"{running.url}/events", content=path.read_bytes(), headers={"content-type": "application/json"}, timeout=30
        )
        assert answer.status_code == httpx.codes.BAD_REQUEST, path.name
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"].endswith("actor.userId.")
    assert httpx.get(f"{running.url}/health").json() == {"status": "ok"}


def test_no_json_of_the_conformance_suite_costs_a_neighbour(running: Running, plan: Plan, shared_data: Path) -> None:
    """In a batch a broken line is rejected by its index, and the good lines around it are stored.

    A case whose value is valid JSON inside an event must be accepted (y_) or refused (n_); i_ may be either.
    """
    wanted: set[str] = set()
    for number, path in enumerate(conformance_cases(shared_data)):
        case = path.read_bytes()
        if b"\n" in case or b"\r" in case:
            continue  # two lines are two events; those cases are POSTed whole above
        good = [_event(f"good-{number}-{side}") for side in ("before", "after")]
        inside = (
            b'{"id":"case-%d","eventType":"login","timestamp":"2026-11-24T03:00:00Z","actor":{"userId":"u"},"x":%b}'
        )
        body = b"\n".join([good[0], inside % (number, case), good[1]])
        answer = httpx.post(
            f"{running.url}/events/batch", content=body, headers={"content-type": "application/x-ndjson"}, timeout=30
        )
        assert answer.status_code == httpx.codes.ACCEPTED, (path.name, answer.text)
        rejected = [entry["index"] for entry in answer.json()["rejected"]]
        if path.name.startswith("y_"):
            assert rejected == [], path.name
        elif path.name.startswith("n_"):
            assert rejected == [1], path.name
        else:
            assert rejected in ([], [1]), path.name
        wanted |= {f"good-{number}-before", f"good-{number}-after"} | (set() if rejected else {f"case-{number}"})
    running.flush()

    stored = select(running, plan, "SELECT event_id FROM events WHERE event_id LIKE 'good-%' OR event_id LIKE 'case-%'")
    assert sorted(row[0] for row in stored) == sorted(wanted)


def _event(identity: str) -> bytes:
    event = {"id": identity, "eventType": "login", "timestamp": "2026-11-24T03:00:00Z", "actor": {"userId": "u"}}
    return json.dumps(event).encode()


def test_a_producer_may_put_to_the_stream_itself(running: Running, plan: Plan) -> None:
    """A bare event becomes a row; what is no event lies under errors/ with its exact bytes."""
    broken = b'{"eventType": "login"}'
    for data in (_event("bare-1"), broken):
        call = {"DeliveryStreamName": plan.stream.name, "Record": {"Data": base64.b64encode(data).decode()}}
        answer = httpx.post(
            running.url,
            json=call,
            headers={"x-amz-target": "Firehose_20150804.PutRecord", "content-type": "application/x-amz-json-1.1"},
        )
        assert answer.status_code == httpx.codes.OK, answer.text
    running.flush()

    assert select(running, plan, "SELECT principal FROM events WHERE event_id = 'bare-1'") == [(None,)]
    (error,) = (running.data / plan.bucket.name / "errors" / "processing-failed").rglob("auditlake-events-1-*")
    (line,) = error.read_bytes().splitlines()
    failure = json.loads(line)
    assert base64.b64decode(failure["rawData"]) == broken
    members = "rawData errorCode errorMessage attemptsMade arrivalTimestamp attemptEndingTimestamp lambdaARN"
    assert list(failure) == members.split()
    assert failure["errorCode"] == "Lambda.ProcessingFailedStatus"
