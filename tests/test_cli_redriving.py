"""`auditlake errors` and `redrive`, as an operator types them."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from auditlake.error_store import aws_client
from auditlake.stream_client import runtime_client
from tests.command_line import auditlake, command, on
from tests.conftest import Running, Up
from tests.failures import conversion_line, enveloped, event, processing_line, write_object
from tests.kinesis_plan import SOURCE, SOURCE_ARN, kinesis_plan
from tests.moto_server import moto_server
from tests.stub_stream import StubStream, refused, stub_stream, taken
from tests.wire import Resource, client, write_plan

BUCKET = "auditlake-events-123456789012"
OPEN = 3
ROLE = "arn:aws:iam::123456789012:role/r"


def env(data: Path, **environment: str) -> dict[str, str]:
    """Return the environment of a command on a data directory."""
    return {**os.environ, "AUDITLAKE_DATA": str(data), "COLUMNS": "250", **environment}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with 1,200 failed events that are sound, and two that are not."""
    root = tmp_path / "data" / BUCKET
    lines = [processing_line(enveloped(event(f"e{n}"), f"e{n}")) for n in range(1200)]
    write_object(root, "processing-failed", lines)
    bad = [processing_line(event("bad", timestamp=None), code="Lambda.ProcessingFailedStatus"), b"no failed record"]
    write_object(root, "processing-failed", bad, "1")
    return tmp_path / "data"


@pytest.fixture
def stream() -> Iterator[StubStream]:
    """A stream whose answers the test chooses."""
    with stub_stream() as stub:
        yield stub


def test_errors_lists_by_type_code_and_day(data: Path) -> None:
    """With a sample; exit code 3 says that something is open."""
    done = auditlake(data, "errors", "--json", "--sample", "1", "--code", "Lambda.ProcessingFailedStatus")
    content = json.loads(done.stdout)

    assert done.returncode == OPEN, done.stderr
    (kind,) = content["kinds"]
    assert (kind["error_type"], kind["error_code"]) == ("processing-failed", "Lambda.ProcessingFailedStatus")
    assert (kind["day"], kind["records"], kind["open"], kind["refused"]) == ("2026-09-21", 1, 1, 1)
    (sample,) = content["samples"]
    assert (sample["event_id"], json.loads(sample["event"])["id"], sample["event_type"]) == ("bad", "bad", "login")
    assert "timestamp" in sample["refused"]

    shown = auditlake(data, "errors")
    assert "unreadable" in shown.stdout
    assert "1,200" in shown.stdout
    assert "auditlake redrive" in shown.stderr


def test_errors_exits_with_0_only_when_nothing_is_open(data: Path, stream: StubStream) -> None:
    """What was put again is not open, though its object stays."""
    only = ("--code", "Lambda.FunctionError")
    assert auditlake(data, "errors", *only).returncode == OPEN
    assert auditlake(data, "redrive", *only, "--yes", AUDITLAKE_URL=stream.url).returncode == 0
    done = auditlake(data, "errors", *only, "--json")
    assert (done.returncode, json.loads(done.stdout)["kinds"][0]["open"]) == (0, 0)
    assert auditlake(data, "errors", "--code", "no-such-code").returncode == 0


@pytest.mark.parametrize("arguments", [("--type", "procesing-failed"), ("--code", "Lambda.Function")])
def test_a_type_or_code_that_nothing_has_names_those_that_are_there(data: Path, arguments: tuple[str, ...]) -> None:
    """A slip of the pen is not taken for nothing having failed."""
    for as_json in ((), ("--json",)):
        done = auditlake(data, "errors", *arguments, *as_json)
        assert done.returncode == 0
        said = " ".join(done.stderr.split())
        assert "of the types processing-failed, with the codes" in said
        assert "Lambda.FunctionError, Lambda.ProcessingFailedStatus" in said
    assert "What failed is" not in auditlake(data, "errors", "--type", "processing-failed").stderr


def test_redrive_only_looks_without_yes(data: Path, stream: StubStream) -> None:
    """It says what would be put, what stays and why, and how to put it."""
    done = auditlake(data, "redrive", AUDITLAKE_URL=stream.url)

    assert done.returncode == OPEN
    assert "1,200 of 1,202 events would be put. Nothing was put." in done.stderr
    assert "--yes" in done.stderr
    assert "timestamp: expected a string" in done.stderr
    assert stream.batches == []
    assert not (data / "redrive.sqlite").exists()


def test_redrive_puts_each_event_once(data: Path, stream: StubStream) -> None:
    """And a second time nothing."""
    first = json.loads(auditlake(data, "redrive", "--yes", "--json", AUDITLAKE_URL=stream.url).stdout)
    assert (first["sent"], first["already"]) == (1200, 0)
    assert sorted(stream.records) == sorted(enveloped(event(f"e{n}"), f"e{n}") for n in range(1200))
    second = json.loads(auditlake(data, "redrive", "--yes", "--json", AUDITLAKE_URL=stream.url).stdout)
    assert (second["sent"], second["already"]) == (0, 1200)
    assert len(stream.records) == 1200


@pytest.mark.parametrize("before_answer", [True, False], ids=["before the answer", "after two batches"])
def test_kill_9_repeats_at_most_one_batch(data: Path, stream: StubStream, before_answer: bool) -> None:
    """The next run puts what is left; every event is put, and none but those of the batch in flight twice."""
    killed = threading.Event()
    process: list[subprocess.Popen[bytes]] = []

    def answer(number: int, records: list[bytes]) -> tuple[int, dict[str, Any]]:
        if number == (1 if before_answer else 2) and not killed.is_set():
            killed.set()
            process[0].send_signal(signal.SIGKILL)
            process[0].wait()
        return taken(number, records)

    stream.answer = answer
    environment = env(data, AUDITLAKE_URL=stream.url)
    with subprocess.Popen(
        command("redrive", "--yes"), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        process.append(running)
        assert running.wait(timeout=60) == -signal.SIGKILL
    in_flight = stream.batches[-1]
    done = auditlake(data, "redrive", "--yes", "--json", AUDITLAKE_URL=stream.url)

    assert json.loads(done.stdout)["staying"] == 2, done.stderr
    assert len(set(stream.records)) == 1200
    assert len(stream.records) == 1200 + len(in_flight)


def test_ctrl_c_stops_after_the_batch_and_nothing_is_repeated(data: Path, stream: StubStream) -> None:
    """Exit code 130, and the same command goes on."""
    process: list[subprocess.Popen[str]] = []

    def answer(number: int, records: list[bytes]) -> tuple[int, dict[str, Any]]:
        if number == 0:
            process[0].send_signal(signal.SIGINT)
        return taken(number, records)

    stream.answer = answer
    environment = env(data, AUDITLAKE_URL=stream.url)
    with subprocess.Popen(command("redrive", "--yes"), env=environment, stderr=subprocess.PIPE, text=True) as running:
        process.append(running)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "goes on where this stopped" in errors
    assert auditlake(data, "redrive", "--yes", AUDITLAKE_URL=stream.url).returncode == OPEN
    assert len(stream.records) == len(set(stream.records)) == 1200


def test_ctrl_c_in_a_command_says_what_was_put(data: Path, stream: StubStream) -> None:
    """The operator meant the redrive, of which a batch was put before; the same command goes on."""
    ready, first = data / "ready", data / "first"
    through = f"test -e {first} && touch {ready} && sleep 60; touch {first}; cat"
    with subprocess.Popen(
        command("redrive", "--yes", "--through", through),
        env=env(data, AUDITLAKE_URL=stream.url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        while not ready.exists() and running.poll() is None:
            threading.Event().wait(0.05)
        os.killpg(running.pid, signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "500 of " in errors
    assert "events were put" in errors
    assert "the same command goes on where this stopped" in errors
    assert "exit code" not in errors
    assert "Traceback" not in errors
    assert auditlake(data, "redrive", "--yes", AUDITLAKE_URL=stream.url).returncode == OPEN
    assert len(stream.records) == len(set(stream.records)) == 1200


@pytest.mark.parametrize(
    ("through", "words"),
    [("sleep 600", "did not end within 0.5 s"), ("yes", "printed more than"), ("exit 7", "exit code 7")],
)
def test_a_command_that_fails_later_says_what_was_put(data: Path, stream: StubStream, through: str, words: str) -> None:
    """The batches before it are in the stream and in the ledger."""
    first = data / "first"
    arguments = ("--through", f"if test -e {first}; then {through}; fi; touch {first}; cat", "--timeout", "0.5")
    done = auditlake(data, "redrive", "--yes", *arguments, AUDITLAKE_URL=stream.url)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Nothing of what it was given was put. 500 events were put and are in the ledger" in done.stderr


def test_a_stream_that_refuses_is_a_sentence(data: Path, stream: StubStream) -> None:
    """With what was put until then."""
    stream.answer = lambda number, records: taken(number, records) if number == 0 else refused("AccessDeniedException")
    done = auditlake(data, "redrive", "--yes", AUDITLAKE_URL=stream.url)
    assert done.returncode == 1
    assert "refuses records (AccessDeniedException). 500 events were put and are in the ledger" in done.stderr


def test_a_command_mends_what_would_fail_again(data: Path, stream: StubStream) -> None:
    """`--through` pipes each selected event through a shell command."""
    mend = f"{sys.executable} -c \"import sys, json; [print(json.dumps(json.loads(one) | {{'timestamp': '2026-09-21T14:00:00Z'}})) for one in sys.stdin]\""  # noqa: E501
    only = ("--event-id", "bad", "--through", mend)
    look = auditlake(data, "redrive", *only, "--sample", "1", AUDITLAKE_URL=stream.url)
    assert look.returncode == 0, look.stderr
    assert '"redrive":{"object":"errors/processing-failed/' in look.stdout
    assert auditlake(data, "redrive", *only, "--yes", AUDITLAKE_URL=stream.url).returncode == 0
    assert len(stream.records) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("redrive", "--yes", "--dry-run"), "--yes and --dry-run exclude each other"),
        (("redrive", "--map", "cloudtrail", "--through", "cat"), "--map and --through exclude each other"),
        (("redrive", "--through", "exit 7"), "exit code 7"),
        (("redrive", "--yes", "--stream", "x"), "--stream is for --bucket"),
        (("errors", "--since", "yesterday"), "yesterday is no time"),
        (("errors", "--region", "us-east-1"), "name it with --bucket"),
        (("redrive", "--yes", "--url", "http://127.0.0.1:1"), "start one with: auditlake up"),
        (("errors", "--data", "no-such-directory"), "There is no bucket in no-such-directory"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_1(data: Path, arguments: tuple[str, ...], words: str) -> None:
    """No traceback."""
    done = auditlake(data, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("auditlake: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_another_stacks_runtime_gets_nothing(data: Path) -> None:
    """The events would land in another table."""
    with stub_stream("other-events") as other:
        done = auditlake(data, "redrive", "--yes", AUDITLAKE_URL=other.url)
    assert done.returncode == 1
    assert "runs the stream other-events" in done.stderr
    assert other.batches == []


def test_the_runtime_of_another_directory_gets_nothing_unless_it_is_meant(data: Path) -> None:
    """Their rows would come into another table, and be booked as put; a flag says that this is meant."""
    with stub_stream(buffer="of-another-directory") as other:
        refusal = auditlake(data, "redrive", "--yes", "--event-id", "e1", AUDITLAKE_URL=other.url)
        none = list(other.batches)
        done = auditlake(data, "redrive", "--yes", "--event-id", "e1", "--other-runtime", AUDITLAKE_URL=other.url)
    assert (refusal.returncode, none) == (1, [])
    assert "runs on another data directory than" in refusal.stderr
    assert (done.returncode, len(other.records)) == (0, 1), done.stderr


@pytest.fixture(scope="module")
def failed(up: Up) -> Running:
    """A runtime that asks for a token, with failed records of every kind that a producer can cause."""
    return up("--token", "secret")


def test_failed_events_come_into_the_table(up: Up, tmp_path: Path) -> None:
    """End to end: put bare to a running stream, failed, mended, redriven, found with id and time of arrival."""
    running = up()
    records = [event("two") + b"\n" + event("parts", eventType="logout"), event("mend", timestamp=None)]
    with closing(client(running)) as firehose:
        firehose.put_record_batch(DeliveryStreamName="auditlake-events", Records=[{"Data": data} for data in records])
    running.flush()
    listed = json.loads(on(running, "errors", "--json").stdout)
    assert (listed["open"], listed["kinds"][0]["refused"]) == (3, 1)

    assert on(running, "redrive", "--yes").returncode == OPEN
    mend = tmp_path / "mend.py"
    mend.write_text(
        "import json, sys\nfor line in sys.stdin:\n"
        "    print(json.dumps({**json.loads(line), 'timestamp': '2026-11-24T03:00:00Z'}))\n",
        encoding="utf-8",
    )
    through = on(running, "redrive", "--yes", "--through", f"{sys.executable} {mend}")
    assert through.returncode == 0, through.stderr
    running.flush()
    rows = json.loads(on(running, "query", "SELECT * FROM events ORDER BY event_id", "--json").stdout)

    assert [row["event_id"] for row in rows] == ["mend", "parts", "two"]
    assert len({row["received_at"] for row in rows}) == 1
    assert {row["principal"] for row in rows} == {None}
    assert json.loads(rows[0]["raw"])["redrive"]["object"] == listed["kinds"][0]["place"].split(" line ")[0]
    assert on(running, "errors").returncode == 0


def test_a_row_that_could_not_be_converted_comes_into_the_table(up: Up, tmp_path: Path) -> None:
    """End to end: POSTed, failed in conversion because of the table, redriven under a mended one with its receipt."""

    def wrong_type(kind: str, values: Resource) -> None:
        if kind == "aws_glue_catalog_table" and values["table_type"] == "EXTERNAL_TABLE":
            column = next(c for c in values["storage_descriptor"][0]["columns"] if c["name"] == "entity_id")
            column["type"] = "int"

    plan = write_plan(tmp_path / "plan.json", wrong_type)
    first = up("--plan", str(plan))
    events, receipt = tmp_path / "events", tmp_path / "receipt"
    events.write_bytes(event("e0", entityId="no number") + b"\n" + event("e1", entityId="nor this") + b"\n")
    assert on(first, "send", str(events), "--receipt", str(receipt)).returncode == 0
    first.flush()
    (kind,) = json.loads(on(first, "errors", "--plan", str(plan), "--json").stdout)["kinds"]
    assert (kind["error_type"], kind["events"]) == ("format-conversion-failed", 2)
    first.process.terminate()
    first.process.wait(timeout=60)

    second = up(data=first.data)
    assert on(second, "redrive", "--yes").returncode == 0
    second.flush()
    done = on(second, "reconcile", "--sent", str(receipt), "--json")
    assert (done.returncode, json.loads(done.stdout)["in_table"]) == (0, 2)
    rows = json.loads(on(second, "query", "SELECT * FROM events", "--json").stdout)
    assert {row["source_ip"] for row in rows} == {"127.0.0.1"}
    assert all(row["api_request_id"] and row["received_at"] for row in rows)


@pytest.fixture(scope="module")
def with_data_stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan whose delivery stream reads a data stream."""
    plan = tmp_path_factory.mktemp("plan") / "plan.json"
    plan.write_text(json.dumps(kinesis_plan()), encoding="utf-8")
    return plan


def test_with_a_data_stream_failed_events_come_into_the_table(up: Up, with_data_stream: Path) -> None:
    """End to end: put to the data stream, failed, and put there again, where Firehose would refuse them."""
    running = up("--plan", str(with_data_stream), "--token", "secret")
    with closing(runtime_client(running.url, "secret", "us-east-1", "kinesis")) as kinesis:
        kinesis.put_record(
            StreamName=SOURCE, Data=event("two") + b"\n" + event("parts", eventType="x"), PartitionKey="a"
        )
    asked = ("--plan", str(with_data_stream))
    assert on(running, "flush", "--token", "secret").returncode == 0
    assert json.loads(on(running, "errors", *asked, "--json").stdout)["open"] == 2

    done = on(running, "redrive", *asked, "--yes", "--token", "secret")
    assert done.returncode == 0, done.stderr
    assert on(running, "flush", "--token", "secret").returncode == 0
    rows = json.loads(on(running, "query", *asked, "SELECT event_id FROM events ORDER BY 1", "--json").stdout)
    assert [row["event_id"] for row in rows] == ["parts", "two"]
    assert on(running, "errors", *asked).returncode == 0


def test_a_runtime_that_asks_for_its_token_is_shown_it(failed: Running) -> None:
    """Without it nothing is put."""
    root = failed.data / BUCKET
    write_object(root, "format-conversion-failed", [conversion_line(event("late"))])
    refusal = on(failed, "redrive", "--yes")
    assert refusal.returncode == 1
    assert "asks for a token" in refusal.stderr
    done = on(failed, "redrive", "--yes", "--token", "secret")
    assert done.returncode == 0, done.stderr
    assert on(failed, "flush", "--token", "secret").stdout.startswith("1 rows stored")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The URL of moto's server, which is S3 here."""
    with moto_server() as url:
        yield url


def test_a_bucket_in_s3_is_redriven_into_firehose(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read from S3, put by PutRecordBatch; the ledger is beside the operator."""
    for name, value in {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    with (
        closing(aws_client("s3", endpoint, "us-east-1")) as s3,
        closing(aws_client("firehose", endpoint, "us-east-1")) as firehose,
    ):
        s3.create_bucket(Bucket="lake")
        s3.create_bucket(Bucket="delivered")
        key = "errors/processing-failed/2026/11/24/s-1"
        s3.put_object(Bucket="lake", Key=key, Body=processing_line(enveloped(event("e0"), "e0")))
        where = ("--bucket", "lake", "--endpoint-url", endpoint, "--region", "us-east-1", "--json")
        monkeypatch.chdir(tmp_path)
        wrong = auditlake(tmp_path, "redrive", *where, "--yes")
        assert wrong.returncode == 1
        assert "There is no delivery stream auditlake-events in us-east-1" in wrong.stderr
        firehose.create_delivery_stream(
            DeliveryStreamName="mine",
            ExtendedS3DestinationConfiguration={
                "RoleARN": ROLE,
                "BucketARN": "arn:aws:s3:::delivered",
            },
        )
        listed = auditlake(tmp_path, "errors", *where)
        assert (listed.returncode, json.loads(listed.stdout)["open"]) == (OPEN, 1), listed.stderr
        for already in (0, 1):
            done = auditlake(tmp_path, "redrive", *where, "--stream", "mine", "--yes")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["already"] == already
        (delivered,) = s3.list_objects_v2(Bucket="delivered")["Contents"]
        body = s3.get_object(Bucket="delivered", Key=delivered["Key"])["Body"].read()
        assert body == enveloped(event("e0"), "e0")
    assert (tmp_path / "auditlake-redrive-lake.sqlite").is_file()


def test_a_bucket_in_s3_is_redriven_into_the_data_stream(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put by PutRecords where the delivery stream says that it reads one, which is looked at before anything is put."""
    for name, value in {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    where = ("--bucket", "read", "--endpoint-url", endpoint, "--region", "us-east-1", "--stream", "reads")
    with (
        closing(aws_client("s3", endpoint, "us-east-1")) as s3,
        closing(aws_client("kinesis", endpoint, "us-east-1")) as kinesis,
        closing(aws_client("firehose", endpoint, "us-east-1")) as firehose,
    ):
        s3.create_bucket(Bucket="read")
        key = "errors/processing-failed/2026/11/24/s-1"
        s3.put_object(Bucket="read", Key=key, Body=processing_line(enveloped(event("e0"), "e0")))
        firehose.create_delivery_stream(
            DeliveryStreamName="reads",
            DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={"KinesisStreamARN": SOURCE_ARN, "RoleARN": ROLE},
            ExtendedS3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::read"},
        )
        wrong = auditlake(tmp_path, "redrive", *where, "--yes")
        assert wrong.returncode == 1
        assert f"There is no data stream {SOURCE} in us-east-1" in wrong.stderr
        kinesis.create_stream(StreamName=SOURCE, ShardCount=1)
        done = auditlake(tmp_path, "redrive", *where, "--yes")
        assert done.returncode == 0, done.stderr
        (shard,) = kinesis.list_shards(StreamName=SOURCE)["Shards"]
        begin = {"StreamName": SOURCE, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        got = kinesis.get_records(ShardIterator=kinesis.get_shard_iterator(**begin)["ShardIterator"])
    assert [record["Data"] for record in got["Records"]] == [enveloped(event("e0"), "e0")]
