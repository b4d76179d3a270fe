"""The delivery stream's API: the JSON 1.1 protocol, checked by the AWS SDK where it can be."""

import asyncio
import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auditlake.runtime.buffer import Buffer
from auditlake.runtime.exchange import Response
from auditlake.runtime.firehose_api import MAX_BATCH_BYTES, FirehoseApi
from auditlake.runtime.plan import Plan

MAX_RECORD_BYTES = 1_024_000


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[Buffer]:
    """An empty buffer."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    yield buffer
    buffer.close()


def call(plan: Plan, buffer: Buffer, operation: str, parameters: object) -> tuple[Response, dict[str, Any]]:
    """Make one call."""
    api = FirehoseApi(plan.stream, buffer, clock=lambda: 12.5)
    body = parameters if isinstance(parameters, bytes) else json.dumps(parameters)
    response = asyncio.run(api.call(operation, body))
    return response, json.loads(response.body)


def record(data: bytes) -> dict[str, str]:
    """A record with this data."""
    return {"Data": base64.b64encode(data).decode()}


def test_put_record_is_durable_when_it_answers(plan: Plan, buffer: Buffer) -> None:
    """The record is in the buffer, with the time of its arrival, once the RecordId is given."""
    response, answer = call(
        plan, buffer, "PutRecord", {"DeliveryStreamName": plan.stream.name, "Record": record(b"abc")}
    )

    (stored,) = buffer.next_batch(100, 100)
    assert response.status == 200
    assert answer == {"RecordId": buffer.record_id(stored.seq), "Encrypted": plan.stream.encrypted}
    assert (stored.data, stored.arrival_ms) == (b"abc", 12_500)


def test_put_record_batch_answers_each_record_in_order(plan: Plan, buffer: Buffer) -> None:
    """There is one entry a record, in the order of the request, and none failed."""
    records = [record(b"%d" % number) for number in range(500)]
    _, answer = call(plan, buffer, "PutRecordBatch", {"DeliveryStreamName": plan.stream.name, "Records": records})

    stored = buffer.next_batch(10_000, 1000)
    assert answer["FailedPutCount"] == 0
    assert [entry["RecordId"] for entry in answer["RequestResponses"]] == [buffer.record_id(r.seq) for r in stored]
    assert [r.data for r in stored] == [b"%d" % number for number in range(500)]


@pytest.mark.parametrize(
    ("operation", "members", "code"),
    [
        ("PutRecord", {"Record": record(b"x" * (MAX_RECORD_BYTES + 1))}, "ValidationException"),
        ("PutRecord", {"Record": {}}, "ValidationException"),
        ("PutRecord", {"Record": {"Data": "*"}}, "SerializationException"),
        ("PutRecord", {"DeliveryStreamName": "other", "Record": record(b"")}, "ResourceNotFoundException"),
        ("PutRecordBatch", {"Records": [record(b"x")] * 501}, "ValidationException"),
        ("PutRecordBatch", {"Records": []}, "ValidationException"),
        ("PutRecordBatch", {"Records": [record(b"x" * 900_000)] * 5}, "InvalidArgumentException"),
        ("PutRecordBatch", {"Records": [record(b"x"), {"Data": None}]}, "ValidationException"),
        ("CreateDeliveryStream", {}, "UnknownOperationException"),
    ],
)
def test_a_wrong_call_is_refused_whole(
    plan: Plan, buffer: Buffer, operation: str, members: dict[str, Any], code: str
) -> None:
    """Limits and shapes are refused with AWS's codes, and nothing of the call is stored."""
    response, answer = call(plan, buffer, operation, {"DeliveryStreamName": plan.stream.name, **members})

    assert response.status == 400
    assert answer["__type"] == code
    assert answer["message"]
    assert buffer.next_batch(100, 100) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(plan: Plan, buffer: Buffer, body: bytes) -> None:
    """What cannot be read as the protocol's JSON is a SerializationException."""
    assert call(plan, buffer, "PutRecord", body)[1]["__type"] == "SerializationException"


def test_the_largest_record_and_batch_are_taken(plan: Plan, buffer: Buffer) -> None:
    """The limits themselves are allowed."""
    largest = {"DeliveryStreamName": plan.stream.name, "Record": record(b"x" * MAX_RECORD_BYTES)}
    assert call(plan, buffer, "PutRecord", largest)[0].status == 200
    records = [record(b"x" * (MAX_BATCH_BYTES // 8))] * 8
    assert (
        call(plan, buffer, "PutRecordBatch", {"DeliveryStreamName": plan.stream.name, "Records": records})[0].status
        == 200
    )


def test_a_buffer_that_cannot_be_written_is_service_unavailable(plan: Plan, tmp_path: Path) -> None:
    """A record that is not on the disk is never acknowledged."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    shutil.rmtree(tmp_path / "buffer.journal")
    response, answer = call(plan, buffer, "PutRecord", {"DeliveryStreamName": plan.stream.name, "Record": record(b"x")})
    buffer.close()

    assert (response.status, answer["__type"]) == (503, "ServiceUnavailableException")


def test_the_one_stream_is_listed_page_by_page(plan: Plan, buffer: Buffer) -> None:
    """The stream comes before a later start, not after it, and only under its own type."""
    name = plan.stream.name
    for parameters, names in (
        ({}, [name]),
        ({"ExclusiveStartDeliveryStreamName": "a"}, [name]),
        ({"ExclusiveStartDeliveryStreamName": name}, []),
        ({"DeliveryStreamType": "DirectPut"}, [name]),
        ({"DeliveryStreamType": "MSKAsSource"}, []),
    ):
        answer = call(plan, buffer, "ListDeliveryStreams", parameters)[1]
        assert answer == {"DeliveryStreamNames": names, "HasMoreDeliveryStreams": False}


def test_tags_are_listed_page_by_page(plan: Plan, buffer: Buffer) -> None:
    """A limit cuts the tags, says that there are more, and the last key goes on from there."""
    attributes = {"tags_all": {"a": "1", "b": "2", "c": "3"}}
    tagged = replace(plan, stream=replace(plan.stream, attributes=attributes))
    first = call(tagged, buffer, "ListTagsForDeliveryStream", {"DeliveryStreamName": plan.stream.name, "Limit": 2})[1]
    rest = call(
        tagged,
        buffer,
        "ListTagsForDeliveryStream",
        {"DeliveryStreamName": plan.stream.name, "ExclusiveStartTagKey": "b"},
    )[1]

    assert ([tag["Key"] for tag in first["Tags"]], first["HasMoreTags"]) == (["a", "b"], True)
    assert rest == {"Tags": [{"Key": "c", "Value": "3"}], "HasMoreTags": False}


def test_describe_tells_when_the_stream_came_to_be_and_pages_destinations(plan: Plan, buffer: Buffer) -> None:
    """The stream is as old as its buffer, and after its only destination there is none."""
    name = {"DeliveryStreamName": plan.stream.name}
    described = call(plan, buffer, "DescribeDeliveryStream", name)[1]["DeliveryStreamDescription"]
    start = {"ExclusiveStartDestinationId": described["Destinations"][0]["DestinationId"]}
    after = call(plan, buffer, "DescribeDeliveryStream", {**name, **start})[1]["DeliveryStreamDescription"]

    assert described["CreateTimestamp"] == buffer.created_ms / 1000
    assert (after["Destinations"], after["HasMoreDestinations"]) == ([], False)


def test_a_target_of_another_service_is_not_known(plan: Plan, buffer: Buffer) -> None:
    """The operation is looked for under Firehose's own name only."""
    api = FirehoseApi(plan.stream, buffer)
    for target in ("Kinesis_20131202.PutRecord", "PutRecord", "", "Firehose_20150804."):
        content = json.loads(asyncio.run(api.answer(target, b"{}")).body)
        assert content["__type"] == "UnknownOperationException", target
