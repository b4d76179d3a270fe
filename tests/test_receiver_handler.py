"""The entry point of the receiver, against a real HTTP Firehose."""

import base64
import gc
import gzip
import importlib
import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest

from lambda_src.common.envelope import decode
from lambda_src.common.settings import SettingsError
from tests.moto_server import moto_server

NAME = "lambda_src.receiver.handler"
STREAM = "auditlake-events"
BUCKET = "auditlake-events-123456789012"
EVENT = '{"eventType":"login","timestamp":"2026-01-31T09:00:00Z","actor":{"userId":"secret"},"id":"%s"}'


class Context:
    """What Lambda passes: a function with 29 seconds left."""

    def get_remaining_time_in_millis(self) -> int:
        """Say how long the function may still run."""
        return 29_000


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Serve moto on a free port of loopback."""
    with moto_server() as url:
        yield url


@pytest.fixture
def handler(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import the handler as a fresh Lambda does, its stream and bucket made."""
    environment = {
        "DELIVERY_STREAM_NAME": STREAM,
        "PACKING": "true",
        "POWERTOOLS_SERVICE_NAME": "receiver",
        "POWERTOOLS_METRICS_NAMESPACE": "auditlake",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    firehose = boto3.client("firehose")
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    firehose.create_delivery_stream(
        DeliveryStreamName=STREAM,
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::123456789012:role/firehose",
            "BucketARN": f"arn:aws:s3:::{BUCKET}",
        },
    )
    sys.modules.pop(NAME, None)
    module = importlib.import_module(NAME)
    module.logger.handlers[0].setStream(sys.stdout)
    yield module
    module.firehose.close()
    sys.modules.pop(NAME, None)
    gc.unfreeze()
    gc.enable()  # a start that ended early has left it off
    firehose.delete_delivery_stream(DeliveryStreamName=STREAM)
    firehose.close()
    bucket = boto3.resource("s3").Bucket(BUCKET)
    bucket.objects.delete()
    bucket.delete()
    bucket.meta.client.close()


def post(
    handler: ModuleType, body: str | bytes, content_type: str, resource: str = "/events/batch"
) -> tuple[int, dict[str, Any]]:
    """POST a body through the proxy integration; give status and members of the answer."""
    event = {
        "resource": resource,
        "headers": {"Content-Type": content_type},
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": isinstance(body, bytes),
        "requestContext": {
            "requestId": "client",
            "extendedRequestId": "api-1=",
            "requestTimeEpoch": 1_769_851_800_000,
            "identity": {"sourceIp": "203.0.113.9", "userArn": "arn:aws:iam::123456789012:user/a"},
        },
    }
    response = handler.handle(event, Context())
    return response["statusCode"], json.loads(response["body"])


def stored() -> list[bytes]:
    """Give the lines of all objects, in any order."""
    client = boto3.client("s3")
    lines = []
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        lines += client.get_object(Bucket=BUCKET, Key=found["Key"])["Body"].read().split(b"\n")
    client.close()
    return lines


@pytest.mark.parametrize("form", ["array", "object", "lines", "gzip"])
def test_batch_is_stored(handler: ModuleType, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A batch in any form goes through a real HTTP PutRecordBatch, byte for byte; a broken event costs no other."""
    events = [EVENT % "a", '{"eventType": 5}', EVENT % "b"]
    forms: dict[str, tuple[str | bytes, str]] = {
        "array": (f"[{','.join(events)}]", "application/json"),
        "object": (f'{{"events": [{", ".join(events)}]}}', "application/json"),
        "lines": ("\n".join(events), "application/x-ndjson"),
        "gzip": (gzip.compress("\n".join(events).encode()), "application/gzip"),
    }
    status, members = post(handler, *forms[form])
    printed = capsys.readouterr().out

    assert (status, members["accepted"], [each["index"] for each in members["rejected"]]) == (202, 2, [1])
    assert [decode(line).body.decode() for line in stored()] == [EVENT % "a", EVENT % "b"]
    assert "secret" not in printed
    metrics = json.loads(printed.splitlines()[-1])
    assert [metrics[name] for name in ("AcceptedEvents", "RejectedEvents", "RetryEvents")] == [[2.0], [1.0], [0.0]]


def test_single_event(handler: ModuleType) -> None:
    """POST /events in receiver mode stores one event and answers with the receipt of the direct integration."""
    status, members = post(handler, EVENT % "a", "application/json", "/events")

    assert (status, members["status"], members["eventId"], members["requestId"]) == (202, "accepted", "a", "api-1=")
    assert members["recordId"]
    assert len(stored()) == 1


def test_missing_stream(handler: ModuleType) -> None:
    """A stream that does not exist is a fault of ours: 502, and every event is to be sent again."""
    boto3.client("firehose").delete_delivery_stream(DeliveryStreamName=STREAM)
    status, members = post(handler, EVENT % "a", "application/json")
    boto3.client("firehose").create_delivery_stream(
        DeliveryStreamName=STREAM,
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::123456789012:role/firehose",
            "BucketARN": f"arn:aws:s3:::{BUCKET}",
        },
    )

    assert (status, members["accepted"], members["retry"]) == (502, 0, [{"index": 0, "id": "a"}])


def test_refused_request(handler: ModuleType) -> None:
    """A request that is refused as a whole is answered as problem+json."""
    status, members = post(handler, "hello", "text/plain")

    assert (status, members["title"]) == (415, "Unsupported Media Type")
    assert stored() == []


@pytest.mark.parametrize(("name", "value"), [("DELIVERY_STREAM_NAME", ""), ("PACKING", "maybe")])
def test_wrong_settings_stop_the_start(
    handler: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Without its settings the function does not start, and the error names the variable."""
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=name):
        importlib.reload(handler)
