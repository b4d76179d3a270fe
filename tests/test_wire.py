"""The stream through the wire: real records, a real function process, and what lies under both prefixes afterwards."""

import base64
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import httpx
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from auditlake.runtime.placement import MAX_ACTIVE_PARTITIONS
from auditlake.runtime.plan import Plan
from auditlake.runtime.query import run_query
from tests.conftest import Running, Up
from tests.functions import KEYS
from tests.wire import (
    ErrorObject,
    Resource,
    client,
    error_objects,
    misfits,
    parameters_of,
    post_signed,
    s3_of,
    write_plan,
)

FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:auditlake-transform:$LATEST"
BATCH_BYTES = 0.2 * 1024 * 1024
CAPTURED = (
    '{"rawData":"RkFJTCB0aGlzIG9uZQo=","errorCode":"Lambda.ProcessingFailedStatus","errorMessage":"ProcessingFailed '
    'status set for record","attemptsMade":1,"arrivalTimestamp":1789014240448,"attemptEndingTimestamp":1789014301529,'
    '"lambdaARN":"arn:aws:lambda:us-west-2:123456789012:function:NAME"}'
)
"""The error object that was captured on AWS (B6, probed)."""

OUTCOMES = {
    "ProcessingFailed": ("Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record", 1),
    "missing id": (
        "Lambda.MissingRecordId",
        "One or more record Ids were not returned. Ensure that the Lambda function returns all received record Ids.",
        1,
    ),
    "id twice": ("Lambda.DuplicatedRecordId", "Multiple records were returned with the same record ID.", 1),
    "no data": (
        "Lambda.InvalidReturnFormat",
        "The data field cannot be null when the SourceType is DirectPut or KinesisStreamAsSource and processing "
        "result is Ok.",
        1,
    ),
    "bad base64": ("Lambda.FunctionError", "Check your function and make sure the output is in required format.", 1),
    "Fine": ("Lambda.FunctionError", "Check your function and make sure the output is in required format.", 1),
    "unparsable": (
        "Lambda.JsonProcessingException",
        "There was an error parsing returned records from the Lambda function.",
        1,
    ),
    "no unicode": (
        "Lambda.JsonProcessingException",
        "There was an error parsing returned records from the Lambda function.",
        1,
    ),
    "no records": ("Lambda.MissingRecordId", "One or more record Ids were not returned.", 1),
    "not a list": ("Lambda.MissingRecordId", "One or more record Ids were not returned.", 1),
    "throw": (
        "Lambda.FunctionError",
        "The Lambda function was successfully invoked but it returned an error result.",
        4,
    ),
    "die": (
        "Lambda.FunctionError",
        "The Lambda function was successfully invoked but it returned an error result.",
        4,
    ),
    "oversize": (
        "Lambda.FunctionError",
        "The Lambda function was successfully invoked but it returned an error result.",
        4,
    ),
    "hang": (
        "Lambda.FunctionTimedOut",
        "The Lambda function invocation timed out. Increase the Timeout setting in the Lambda function.",
        4,
    ),
}
"""What the record says -> error code, how the message begins, attempts (B4)."""
HARMLESS = ("Ok", "unknown id", "Dropped")
BAD_KEYS: dict[str, Any] = {
    "missing key": {name: value for name, value in KEYS.items() if name != "day"},
    "null key": {**KEYS, "day": None},
    "empty key": {**KEYS, "day": ""},
    "number as key": {**KEYS, "day": 24},
    "slash in key": {**KEYS, "day": "2/4"},
    "no keys": {},
}
"""Partition keys that the prefix cannot use (C4)."""


def scripted_plan(path: Path) -> Path:
    """Write a plan whose transform does what each record says; a record of 0.2 MB is a batch by itself."""

    def change(resource_type: str, values: Resource) -> None:
        if resource_type == "aws_lambda_function" and values["function_name"].endswith("-transform"):
            values.update(handler="functions.scripted", timeout=3)
        if resource_type == "aws_kinesis_firehose_delivery_stream":
            parameters_of(values).extend(
                [
                    {"parameter_name": "BufferSizeInMBs", "parameter_value": "0.2"},
                    {"parameter_name": "BufferIntervalInSeconds", "parameter_value": "61"},
                ]
            )

    return write_plan(path, change)


def told(do: str, **more: Any) -> bytes:  # noqa: ANN401 - any JSON
    """A record that says what becomes of it."""
    return json.dumps({"do": do, "id": do, **more}).encode()


def whole(do: str) -> bytes:
    """A record that says what becomes of it and is a batch by itself."""
    return told(do, padding="x" * int(BATCH_BYTES))


@dataclass(frozen=True)
class Put:
    """A runtime that took a record for every way of the tables, and delivered them; what is under its prefixes."""

    running: Running
    records: dict[str, bytes]
    arrived_ms: tuple[int, int]
    waiting_when_good_was_buffered: int
    errors: list[ErrorObject]
    rows: list[str]

    def error(self, name: str) -> ErrorObject:
        """The one error object of a record."""
        (found,) = [one for one in self.errors if one.raw == self.records[name]]
        return found


@pytest.fixture(scope="module")
def scripted(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A runtime whose transform is told what to do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        yield up("--plan", str(scripted_plan(tmp_path_factory.mktemp("plan") / "plan.json")))


@pytest.fixture(scope="module")
def put(scripted: Running, plan: Plan) -> Put:
    """Put every way of the tables through the wire once, those that hang and throw before a good one."""
    records = {name: (whole if number > 5 else told)(name) for number, name in enumerate(OUTCOMES)}
    records.update({name: told(name) for name in HARMLESS})
    records.update({name: told("Ok", id=name, keys=keys) for name, keys in BAD_KEYS.items()})
    records["no metadata"] = told("no metadata")
    records["not convertible"] = told("Ok", id="not convertible", row="{")
    records["after"] = whole("Ok").replace(b'"id": "Ok"', b'"id": "after"')
    firehose = client(scripted)
    before = int(time.time() * 1000)
    for name in sorted(records, key=lambda name: (name == "after", len(records[name]) < BATCH_BYTES)):
        firehose.put_record(DeliveryStreamName=plan.stream.name, Record={"Data": records[name]})
    after = int(time.time() * 1000)
    still_waiting = wait_for_buffered(scripted)
    scripted.flush()
    files = (scripted.data / plan.bucket.name / "events").rglob("*.parquet")
    rows = [row for file in files for row in pq.read_table(file, partitioning=None)["event_id"].to_pylist()]
    return Put(scripted, records, (before, after), still_waiting, error_objects(scripted, plan.bucket.name), rows)


def wait_for_buffered(running: Running) -> int:
    """Wait until a good record is in its partition's buffer; return how many records then wait for the transform."""
    for _ in range(600):
        status = httpx.get(f"{running.url}/_auditlake/status").json()
        if any(buffer["destination"].startswith("rows") for buffer in status["buffers"]):
            return int(status["waiting"]["records"])
        time.sleep(0.05)
    raise AssertionError("no good record ever reached its partition")


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_outcome_of_the_table_is_the_captured_error_object(put: Put, name: str) -> None:
    """Each way a transform can fail ends as one line with the captured members, order and types, and its own values."""
    code, message, attempts = OUTCOMES[name]
    captured = json.loads(CAPTURED)
    error = put.error(name)

    assert error.kind == "processing-failed"
    assert list(error.members) == list(captured)
    assert [type(value) for value in error.members.values()] == [type(value) for value in captured.values()]
    assert error.members["errorCode"] == code
    assert error.members["errorMessage"].startswith(message)
    assert error.members["attemptsMade"] == attempts
    assert put.arrived_ms[0] <= error.members["arrivalTimestamp"] <= put.arrived_ms[1]
    assert error.members["attemptEndingTimestamp"] >= error.members["arrivalTimestamp"]
    assert error.members["lambdaARN"] == FUNCTION_ARN


def test_processing_failed_reads_as_it_was_captured(put: Put) -> None:
    """The captured case has the captured code, words and attempts."""
    captured, error = json.loads(CAPTURED), put.error("ProcessingFailed")

    for member in ("errorCode", "errorMessage", "attemptsMade"):
        assert error.members[member] == captured[member]


def test_what_the_transform_takes_is_stored_once(put: Put) -> None:
    """Ok and an answer with an unknown id beside it are rows; Dropped leaves no trace; nothing else is a row."""
    assert Counter(put.rows) == Counter(["Ok", "unknown id", "after"])
    assert not any(error.raw == put.records["Dropped"] for error in put.errors)


def test_a_hanging_or_throwing_batch_holds_up_no_other(put: Put) -> None:
    """While the function hangs on one batch, the next is transformed: at most five run side by side (B3)."""
    assert put.waiting_when_good_was_buffered >= 1


@pytest.mark.parametrize("name", [*BAD_KEYS, "no metadata"])
def test_a_key_that_the_prefix_cannot_use_fails_its_record(put: Put, name: str) -> None:
    """Missing, null and empty keys, and what is no plain string, go to `partitioning-failed` with what was returned."""
    (error,) = [
        one for one in put.errors if one.kind == "partitioning-failed" and json.loads(one.raw)["event_id"] == name
    ]

    assert list(error.members) == list(json.loads(CAPTURED))[:-1]
    assert error.members["errorCode"] == "DynamicPartitioning.PartitioningFailed"
    assert error.members["attemptsMade"] == 1
    if name in ("missing key", "null key", "empty key", "no keys", "no metadata"):
        assert error.members["errorMessage"].startswith("partitionKeys values must not be null or empty")


def test_a_record_that_cannot_be_converted_fails_after_its_partition(put: Put) -> None:
    """A record that the transform takes and conversion does not is an error object of conversion alone."""
    (error,) = [one for one in put.errors if one.kind == "format-conversion-failed"]

    assert error.raw == b"{"


def test_every_record_is_in_one_place(put: Put) -> None:
    """There are as many rows and error objects as records, but for the one that was dropped."""
    assert len(put.rows) + len(put.errors) == len(put.records) - 1


def test_the_metrics_count_what_the_transform_did(put: Put) -> None:
    """Invocations that failed count as such, and their retries too."""
    text = httpx.get(f"{put.running.url}/metrics").text
    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}
    label = '{DeliveryStreamName="auditlake-events"}'

    assert values[f"firehose_IncomingRecords_total{label}"] == len(put.records)
    assert values[f"firehose_DeliveryToS3_Records_total{label}"] == len(put.rows)
    failed = (
        values[f"firehose_ExecuteProcessing_Success_count{label}"]
        - values[f"firehose_ExecuteProcessing_Success_sum{label}"]
    )
    assert failed == 16, "four ways to fail an invocation, four attempts each"


def test_beyond_500_active_partitions_the_remaining_records_fail(
    up: Up, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of the 501st partition goes to `activePartitionExceeded`, those of the others are stored."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    running = up("--plan", str(scripted_plan(tmp_path / "plan.json")))
    records = [{"Data": told("Ok", id=str(n), keys={**KEYS, "day": str(n)})} for n in range(MAX_ACTIVE_PARTITIONS + 1)]
    for some in (records[:500], records[500:]):
        client(running).put_record_batch(DeliveryStreamName=plan.stream.name, Records=some)
    running.flush()

    (error,) = error_objects(running, plan.bucket.name)
    assert error.kind == "activePartitionExceeded"
    assert list(error.members) == list(json.loads(CAPTURED))[:-1]
    assert error.members["errorCode"] == "DynamicPartitioning.ActivePartitionsLimitExceeded"
    assert json.loads(error.raw)["event_id"] == str(MAX_ACTIVE_PARTITIONS)
    assert len(list((running.data / plan.bucket.name / "events").rglob("*.parquet"))) == MAX_ACTIVE_PARTITIONS
    assert (
        'PartitionCountExceeded{DeliveryStreamName="auditlake-events"} 1.0' in httpx.get(f"{running.url}/metrics").text
    )


def test_a_plan_that_partitions_by_jq_is_refused_by_name(tmp_path: Path) -> None:
    """What AWS would do with jq is not done here, and the start says so."""

    def change(resource_type: str, values: Resource) -> None:
        if resource_type == "aws_kinesis_firehose_delivery_stream":
            s3_of(values)["processing_configuration"][0]["processors"].append(
                {"type": "MetadataExtraction", "parameters": []}
            )

    path = write_plan(tmp_path / "plan.json", change)
    command = [sys.executable, "-m", "auditlake", "up", "--port", "0", "--plan", str(path), "--data", str(tmp_path)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert refused.returncode == 1
    assert "MetadataExtraction" in refused.stderr


def good_event(number: int) -> bytes:
    """An event of ours."""
    return b'{"id":"good-%d","eventType":"login","timestamp":"2026-11-24T03:00:00Z","actor":{"userId":"u"}}' % number


def test_foreign_events_fail_with_their_exact_bytes_and_disturb_nobody(up: Up, plan: Plan, shared_data: Path) -> None:
    """Every real event of other products, put bare between good ones, is a ProcessingFailed; the good ones are rows."""
    foreign = [
        line
        for file in sorted((shared_data / "events").rglob("*.ndjson"))
        for line in file.read_bytes().split(b"\n")
        if line.strip()
    ]
    assert len(foreign) > 876
    running = up()
    mixed = [record for number, line in enumerate(foreign) for record in (line, good_event(number))]
    for first in range(0, len(mixed), 100):
        some = [{"Data": record} for record in mixed[first : first + 100]]
        answer = client(running).put_record_batch(DeliveryStreamName=plan.stream.name, Records=some)
        assert answer["FailedPutCount"] == 0
    running.flush()

    errors = error_objects(running, plan.bucket.name)
    assert {(error.kind, error.members["errorCode"]) for error in errors} == {
        ("processing-failed", "Lambda.ProcessingFailedStatus")
    }
    assert Counter(error.raw for error in errors) == Counter(foreign)
    with run_query(running.data, plan, "SELECT raw FROM events") as result:
        assert Counter(row[0].encode() for row in result.rows()) == Counter(map(good_event, range(len(foreign))))


MODEL = botocore.session.get_session().get_service_model("firehose")
NAME = "auditlake-events"
EVENT = base64.b64encode(good_event(1)).decode()

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("PutRecord", {"DeliveryStreamName": NAME, "Record": {"Data": EVENT}}),
    ("PutRecordBatch", {"DeliveryStreamName": NAME, "Records": [{"Data": EVENT}, {"Data": ""}]}),
    ("DescribeDeliveryStream", {"DeliveryStreamName": NAME}),
    ("DescribeDeliveryStream", {"DeliveryStreamName": NAME, "ExclusiveStartDestinationId": "destinationId-9"}),
    ("ListDeliveryStreams", {}),
    ("ListDeliveryStreams", {"Limit": 1, "DeliveryStreamType": "DirectPut", "ExclusiveStartDeliveryStreamName": "a"}),
    ("ListTagsForDeliveryStream", {"DeliveryStreamName": NAME, "Limit": 1}),
]


@pytest.mark.parametrize(("operation", "parameters"), CALLS)
def test_every_good_answer_is_what_the_service_model_says(
    running: Running, operation: str, parameters: dict[str, Any]
) -> None:
    """A log shipper that signs its own requests gets answers without a member too many, too few or of a wrong type."""
    body = json.dumps(parameters).encode()
    status, headers, answer = post_signed(running.url + "/", f"Firehose_20150804.{operation}", body)

    assert status == 200, answer
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert headers["x-amzn-requestid"]
    output = MODEL.operation_model(operation).output_shape
    assert output is not None
    assert misfits(output, json.loads(answer)) == []


BAD_CALLS: list[tuple[str, bytes, int, str]] = [
    (
        "Firehose_20150804.PutRecord",
        b'{"DeliveryStreamName":"x","Record":{"Data":""}}',
        400,
        "ResourceNotFoundException",
    ),
    ("Firehose_20150804.DescribeDeliveryStream", b'{"DeliveryStreamName":"x"}', 400, "ResourceNotFoundException"),
    ("Firehose_20150804.PutRecord", b"{}", 400, "ValidationException"),
    ("Firehose_20150804.PutRecord", b"[", 400, "SerializationException"),
    ("Firehose_20150804.ListDeliveryStreams", b'{"Limit":0}', 400, "ValidationException"),
    ("Firehose_20150804.CreateDeliveryStream", b'{"DeliveryStreamName":"x"}', 400, "UnknownOperationException"),
    ("Firehose_20150804.Nonsense", b"{}", 400, "UnknownOperationException"),
    ("Kinesis_20131202.PutRecord", b"{}", 400, "UnknownOperationException"),
    ("", b"{}", 400, "UnknownOperationException"),
]


@pytest.mark.parametrize(("target", "body", "status", "code"), BAD_CALLS)
def test_every_bad_answer_is_an_error_of_the_protocol(
    running: Running, target: str, body: bytes, status: int, code: str
) -> None:
    """Errors have the type, the message and the request id that SDKs read, and the modelled exception's members."""
    given, headers, answer = post_signed(running.url + "/", target, body)
    content = json.loads(answer)

    assert (given, content.pop("__type")) == (status, code)
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert headers["x-amzn-requestid"]
    assert list(content) == ["message"]
    if code in MODEL.shape_names:
        assert misfits(MODEL.shape_for(code), content) == []


def test_what_is_no_call_of_the_stream_is_answered_by_the_api(running: Running) -> None:
    """GET, and POST without a target, are requests to the plan's API, which has no such route."""
    for answer in (
        httpx.get(running.url, headers={"x-amz-target": "Firehose_20150804.PutRecord"}),
        httpx.post(running.url),
    ):
        assert answer.status_code == httpx.codes.FORBIDDEN
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_sdk_raises_the_modelled_exceptions(running: Running) -> None:
    """boto3 turns each error into its class, with our words and the request's id."""
    firehose = client(running)
    with pytest.raises(firehose.exceptions.ResourceNotFoundException) as missing:
        firehose.put_record(DeliveryStreamName="gone", Record={"Data": b"x"})
    assert missing.value.response["Error"]["Message"] == "Firehose gone under account 123456789012 not found."
    assert missing.value.response["ResponseMetadata"]["RequestId"]
    with pytest.raises(firehose.exceptions.InvalidArgumentException, match="4 MB"):
        firehose.put_record_batch(DeliveryStreamName=NAME, Records=[{"Data": b"x" * 1_000_000}] * 5)
    with pytest.raises(ClientError, match=r"ValidationException.*1 validation error detected"):
        firehose.put_record(DeliveryStreamName="wrong name", Record={"Data": b"x"})
    with pytest.raises(ClientError, match=r"UnknownOperationException.*DeleteDeliveryStream"):
        firehose.delete_delivery_stream(DeliveryStreamName=NAME)


def test_describe_fills_the_defaults_as_aws_does(running: Running, plan: Plan) -> None:
    """The processor has its five parameters in AWS's order, with the stream's own role (I.11, probed)."""
    described = client(running).describe_delivery_stream(DeliveryStreamName=NAME)["DeliveryStreamDescription"]
    destination = described["Destinations"][0]["ExtendedS3DestinationDescription"]
    (processor,) = destination["ProcessingConfiguration"]["Processors"]

    assert [(p["ParameterName"], p["ParameterValue"]) for p in processor["Parameters"]] == [
        ("LambdaArn", FUNCTION_ARN),
        ("NumberOfRetries", "3"),
        ("RoleArn", "arn:aws:iam::123456789012:role/auditlake-events"),
        ("BufferSizeInMBs", "1"),
        ("BufferIntervalInSeconds", "60"),
    ]
    assert described["DeliveryStreamARN"] == plan.stream.arn
    assert described["DeliveryStreamStatus"] == "ACTIVE"
    assert described["VersionId"] == "1"
    assert described["CreateTimestamp"].timestamp() <= time.time()
    assert described["DeliveryStreamEncryptionConfiguration"] == {"KeyType": "AWS_OWNED_CMK", "Status": "ENABLED"}
    assert destination["Prefix"] == plan.stream.prefix
    assert destination["BufferingHints"] == {"SizeInMBs": 128, "IntervalInSeconds": 60}
    assert destination["DynamicPartitioningConfiguration"]["Enabled"] is True


def aws(running: Running, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the AWS CLI against a runtime."""
    command = [
        sys.executable,
        "-m",
        "awscli",
        "--endpoint-url",
        running.url,
        "--output",
        "json",
        "firehose",
        *arguments,
    ]
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_aws_cli_works_unchanged(up: Up, plan: Plan) -> None:
    """put-record-batch delivers to the table, the stream is listed and described, and an error is one it can name."""
    running = up()
    records = json.dumps([{"Data": good_event(number).decode()} for number in range(3)])
    done = aws(running, "put-record-batch", "--delivery-stream-name", NAME, "--records", records)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["FailedPutCount"] == 0
    running.flush()
    with run_query(running.data, plan, "SELECT raw FROM events") as result:
        assert {row[0].encode() for row in result.rows()} == {good_event(number) for number in range(3)}

    assert json.loads(aws(running, "list-delivery-streams").stdout)["DeliveryStreamNames"] == [NAME]
    described = json.loads(aws(running, "describe-delivery-stream", "--delivery-stream-name", NAME).stdout)
    assert described["DeliveryStreamDescription"]["DeliveryStreamName"] == NAME
    refused = aws(running, "delete-delivery-stream", "--delivery-stream-name", NAME)
    assert "(UnknownOperationException)" in refused.stderr
    assert refused.returncode != 0
