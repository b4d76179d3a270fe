"""The data stream's API before a delivery stream: over HTTP, with boto3, and on to the table."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from auditlake.runtime.buffer import Buffer
from auditlake.runtime.kinesis_api import MAX_RECORD_BYTES, KinesisApi, sequence_number
from auditlake.runtime.plan_reader import parse_plan
from tests.conftest import Running, Up
from tests.kinesis_plan import SOURCE, SOURCE_ARN, kinesis_plan

STREAM = "auditlake-events"


@pytest.fixture(scope="module")
def lake(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A runtime whose delivery stream reads a data stream."""
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    file.write_text(json.dumps(kinesis_plan()))
    return up("--plan", str(file))


def client(lake: Running, service: str) -> Any:  # noqa: ANN401  # boto3's
    """Return boto3's client of a service at the runtime."""
    create: Any = boto3.client  # of a service that only the caller knows
    return create(
        service,
        endpoint_url=lake.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # nobody asks
        config=Config(retries={"total_max_attempts": 1}),
    )


def event(identity: str) -> bytes:
    """An event."""
    members = {"id": identity, "eventType": "login", "timestamp": "2026-11-24T03:00:00Z", "actor": {"userId": "ana"}}
    return json.dumps(members).encode()


def test_what_comes_in_by_each_door_is_in_the_table(lake: Running) -> None:
    """One event by the integration, two by the receiver, one by PutRecord and one by PutRecords; each is found."""
    one = httpx.post(f"{lake.url}/events", content=event("one"), headers={"content-type": "application/json"})
    assert (one.status_code, one.json()["recordId"][:2], len(one.json()["recordId"])) == (202, "49", 56)
    batch = b"[" + event("two") + b"," + event("three") + b"]"
    many = httpx.post(f"{lake.url}/events/batch", content=batch, headers={"content-type": "application/json"})
    assert (many.status_code, many.json()["accepted"]) == (202, 2)
    kinesis = client(lake, "kinesis")
    put = kinesis.put_record(StreamName=SOURCE, Data=event("four"), PartitionKey="k")
    assert (put["ShardId"], put["EncryptionType"]) == ("shardId-000000000000", "KMS")
    puts = kinesis.put_records(StreamARN=SOURCE_ARN, Records=[{"Data": event("five"), "PartitionKey": "k"}])
    assert puts["FailedRecordCount"] == 0
    assert int(put["SequenceNumber"]) < int(puts["Records"][0]["SequenceNumber"])
    lake.flush()
    asked = lake.auditlake("query", "--csv", "SELECT event_id FROM events ORDER BY event_id")
    assert asked.stdout.split()[1:] == ["five", "four", "one", "three", "two"], asked


def test_a_partition_key_survives_a_kill_and_reaches_the_function(up: Up, tmp_path: Path) -> None:
    """Each record's own key is in its metadata, though the process that accepted it was killed before the transform."""
    plan = kinesis_plan()
    for module in plan["planned_values"]["root_module"]["child_modules"]:
        for one in module["resources"]:
            if one["type"] == "aws_lambda_function" and one["values"]["function_name"] == "auditlake-transform":
                one["values"]["handler"] = "tests.functions.keyed"
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    first = up("--plan", str(tmp_path / "plan.json"))
    kinesis = client(first, "kinesis")
    kinesis.put_record(StreamName=SOURCE, Data=event("one"), PartitionKey="tenant-ä")
    puts = [{"Data": event("two"), "PartitionKey": "b" * 256}, {"Data": event("three"), "PartitionKey": "c"}]
    kinesis.put_records(StreamName=SOURCE, Records=puts)
    integrated = httpx.post(f"{first.url}/events", content=event("four"), headers={"content-type": "application/json"})
    first.process.kill()
    first.process.wait()

    second = up("--plan", str(tmp_path / "plan.json"), data=first.data)
    second.flush()
    asked = second.auditlake("query", "--csv", "SELECT event_id FROM events ORDER BY event_id")
    found = set(asked.stdout.split()[1:])
    assert {"tenant-ä", "b" * 256, "c"} < found, asked
    assert (integrated.status_code, len(found)) == (202, 4)


def test_firehose_refuses_what_is_put_to_itself(lake: Running) -> None:
    """A delivery stream that reads takes nothing directly, and says where it reads."""
    firehose = client(lake, "firehose")
    with pytest.raises(firehose.exceptions.InvalidArgumentException, match="KinesisStreamAsSource"):
        firehose.put_record(DeliveryStreamName=STREAM, Record={"Data": b"x"})
    with pytest.raises(firehose.exceptions.InvalidArgumentException, match="KinesisStreamAsSource"):
        firehose.put_record_batch(DeliveryStreamName=STREAM, Records=[{"Data": b"x"}])
    described = firehose.describe_delivery_stream(DeliveryStreamName=STREAM)["DeliveryStreamDescription"]
    assert described["DeliveryStreamType"] == "KinesisStreamAsSource"
    assert described["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"] == SOURCE_ARN
    assert described["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"}
    listed = [
        firehose.list_delivery_streams(**of)["DeliveryStreamNames"]
        for of in ({}, {"DeliveryStreamType": "DirectPut"}, {"DeliveryStreamType": "KinesisStreamAsSource"})
    ]
    assert listed == [[STREAM], [], [STREAM]]


def test_the_stream_says_what_it_is(lake: Running) -> None:
    """DescribeStreamSummary answers by the plan."""
    summary = client(lake, "kinesis").describe_stream_summary(StreamName=SOURCE)["StreamDescriptionSummary"]
    assert (summary["StreamARN"], summary["RetentionPeriodHours"], summary["KeyId"]) == (
        SOURCE_ARN,
        168,
        "alias/aws/kinesis",
    )


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("put_record", {"StreamName": "other", "Data": b"", "PartitionKey": "k"}, "ResourceNotFoundException"),
    ("put_record", {"Data": b"", "PartitionKey": "k"}, "InvalidArgumentException"),
    ("put_record", {"StreamName": SOURCE, "Data": bytes(1024 * 1024), "PartitionKey": "k"}, "ValidationException"),
    ("put_record", {"StreamName": SOURCE, "Data": b"", "PartitionKey": "k" * 257}, "ValidationException"),
    (
        "put_records",
        {"StreamName": SOURCE, "Records": [{"Data": b"", "PartitionKey": "k"}] * 501},
        "ValidationException",
    ),
    ("list_streams", {}, "UnknownOperationException"),
]


@pytest.mark.parametrize(("operation", "parameters", "code"), REFUSED)
def test_what_kinesis_refuses_is_refused(lake: Running, operation: str, parameters: dict[str, Any], code: str) -> None:
    """Another stream, none, a record or request that is too large, and what is not implemented."""
    with pytest.raises(ClientError) as refused:
        getattr(client(lake, "kinesis"), operation)(**parameters)
    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("request_body", "code"),
    [
        ({"StreamName": SOURCE, "Data": ""}, "ValidationException"),
        ({"StreamName": SOURCE, "Data": "", "PartitionKey": "k", "DryRun": True}, "DryRunOperationException"),
        ({"StreamName": SOURCE, "Data": "", "PartitionKey": "k", "DryRun": "yes"}, "SerializationException"),
    ],
)
def test_what_an_sdk_would_not_send(lake: Running, request_body: dict[str, Any], code: str) -> None:
    """A record without partition key is refused, and a dry run puts nothing."""
    headers = {"x-amz-target": "Kinesis_20131202.PutRecord", "content-type": "application/x-amz-json-1.1"}
    answer = httpx.post(lake.url, json=request_body, headers=headers)
    assert (answer.status_code, answer.json()["__type"]) == (400, code)


def call(buffer: Buffer, operation: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Make one call without HTTP, where a buffer of one's own is needed; returns status and answer."""
    source = parse_plan(json.dumps(kinesis_plan()), "plan.json").stream.source
    assert source is not None
    answer = asyncio.run(KinesisApi(source, buffer, clock=lambda: 12.5).call(operation, json.dumps(parameters)))
    return answer.status, json.loads(answer.body)


def keyed(size: int, key: str) -> dict[str, str]:
    """A record of so many bytes, its key counted."""
    return {"Data": base64.b64encode(bytes(size - len(key.encode()))).decode(), "PartitionKey": key}


def test_the_largest_record_of_a_data_stream_is_taken(tmp_path: Path) -> None:
    """1 MiB with its key, counted in bytes, is taken with the key and the time of its arrival."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    status, answer = call(buffer, "PutRecord", {"StreamName": SOURCE, **keyed(MAX_RECORD_BYTES, "ä")})
    (stored,) = buffer.next_batch(10**9, 100)
    assert (status, answer["SequenceNumber"]) == (200, sequence_number(stored.seq))
    assert (len(stored.data), stored.partition_key, stored.arrival_ms) == (MAX_RECORD_BYTES - 2, "ä", 12_500)
    status, answer = call(buffer, "PutRecord", {"StreamName": SOURCE, **keyed(MAX_RECORD_BYTES + 1, "ä")})
    assert (status, answer["__type"]) == (400, "ValidationException")
    buffer.close()


def test_a_request_beyond_its_limit_is_refused_whole(tmp_path: Path) -> None:
    """Of 10 MiB and a byte, keys counted, no record is taken; of 10 MiB each is."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    most = [keyed(MAX_RECORD_BYTES, "k")] * 10
    status, answer = call(buffer, "PutRecords", {"StreamName": SOURCE, "Records": [*most, keyed(1, "k")]})
    assert (status, answer["__type"], buffer.waiting().records) == (400, "InvalidArgumentException", 0)
    status, answer = call(buffer, "PutRecords", {"StreamName": SOURCE, "Records": most})
    assert (status, len(answer["Records"]), buffer.waiting().records) == (200, 10, 10)
    buffer.close()


def test_a_buffer_that_cannot_be_written_is_an_internal_failure(tmp_path: Path) -> None:
    """What is not on the disk is not acknowledged: the answer is an error that producers try again."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    buffer.close()
    status, answer = call(buffer, "PutRecord", {"StreamName": SOURCE, **keyed(10, "k")})
    assert (status, answer["__type"]) == (500, "InternalFailureException")


def test_an_event_too_large_for_a_record_is_a_413(lake: Running) -> None:
    """The integration maps the refusal of Kinesis as that of Firehose."""
    large = event("large")[:-1] + b', "metadata": {"text": "' + b"x" * 900_000 + b'"}}'
    answer = httpx.post(f"{lake.url}/events", content=large, headers={"content-type": "application/json"})
    assert answer.status_code == 413, answer.text
