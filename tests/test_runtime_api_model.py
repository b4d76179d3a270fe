"""Requests read by the service model."""

import json
from typing import Any

import pytest

from auditlake.runtime.api_model import ApiError, error_response, read_request, request_shapes, response

SHAPES = request_shapes("firehose", ("PutRecord", "PutRecordBatch", "ListDeliveryStreams", "ListTagsForDeliveryStream"))


def refused(operation: str, parameters: object) -> ApiError:
    """The error that a request is refused with."""
    with pytest.raises(ApiError) as raised:
        read_request(SHAPES[operation], parameters if isinstance(parameters, bytes) else json.dumps(parameters))
    return raised.value


def test_a_good_request_is_read_with_its_blobs_decoded() -> None:
    """Members come as they are, base64 as bytes; null counts as absent and unknown members as nothing."""
    body = {"DeliveryStreamName": "s", "Records": [{"Data": "YQ=="}, {"Data": ""}], "Other": 1}

    assert read_request(SHAPES["PutRecordBatch"], json.dumps(body)) == {
        "DeliveryStreamName": "s",
        "Records": [{"Data": b"a"}, {"Data": b""}],
    }
    assert read_request(SHAPES["ListDeliveryStreams"], b'{"Limit":null}') == {}


@pytest.mark.parametrize(
    ("operation", "parameters", "message"),
    [
        (
            "PutRecord",
            {"DeliveryStreamName": "s"},
            "Value null at 'record' failed to satisfy constraint: Member must not",
        ),
        ("PutRecord", {"Record": {"Data": ""}}, "Value null at 'deliveryStreamName' failed"),
        (
            "PutRecord",
            {"DeliveryStreamName": "a b", "Record": {"Data": ""}},
            "Value 'a b' at 'deliveryStreamName' failed to satisfy constraint: Member must satisfy regular expression "
            "pattern: [a-zA-Z0-9_.-]+",
        ),
        (
            "PutRecord",
            {"DeliveryStreamName": "s" * 65, "Record": {"Data": ""}},
            "Member must have length less than or equal to 64",
        ),
        (
            "PutRecordBatch",
            {"DeliveryStreamName": "s", "Records": []},
            "Value at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            "PutRecordBatch",
            {"DeliveryStreamName": "s", "Records": [{"Data": ""}, {}]},
            "Value null at 'records.2.member.data' failed",
        ),
        (
            "ListDeliveryStreams",
            {"Limit": 10001},
            "Value '10001' at 'limit' failed to satisfy constraint: Member must have",
        ),
        (
            "ListDeliveryStreams",
            {"DeliveryStreamType": "Direct"},
            "Member must satisfy enum value set: [DirectPut, KinesisStreamAsSource",
        ),
    ],
)
def test_a_broken_limit_is_named_in_awss_words(operation: str, parameters: dict[str, Any], message: str) -> None:
    """One broken limit is one ValidationException that names the member and the limit."""
    error = refused(operation, parameters)

    assert (error.code, error.status) == ("ValidationException", 400)
    assert error.message.startswith("1 validation error detected: ")
    assert message in error.message


def test_all_broken_limits_are_named_at_once() -> None:
    """Several broken limits are counted and named in one message."""
    assert refused("PutRecord", {}).message.startswith("2 validation errors detected: Value null at")


def test_a_tag_key_may_hold_letters_of_any_script() -> None:
    """The model's classes of characters, which Python names otherwise, are understood; `aws:` stays refused."""
    name = {"DeliveryStreamName": "s"}

    assert read_request(SHAPES["ListTagsForDeliveryStream"], json.dumps({**name, "ExclusiveStartTagKey": "Größe 1"}))
    assert refused("ListTagsForDeliveryStream", {**name, "ExclusiveStartTagKey": "aws:x"}).code == "ValidationException"


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("PutRecord", b"{"),
        ("PutRecord", b"\xff"),
        ("PutRecord", b"[]"),
        ("PutRecord", b"[" * 100_000),
        ("PutRecord", {"DeliveryStreamName": 1, "Record": {"Data": ""}}),
        ("PutRecord", {"DeliveryStreamName": "s", "Record": []}),
        ("PutRecord", {"DeliveryStreamName": "s", "Record": {"Data": "*"}}),
        ("PutRecord", {"DeliveryStreamName": "s", "Record": {"Data": "é"}}),
        ("ListDeliveryStreams", {"Limit": True}),
        ("ListDeliveryStreams", {"Limit": "1"}),
    ],
)
def test_what_is_of_another_type_is_a_serialization_exception(operation: str, parameters: object) -> None:
    """A body that is no JSON object, or a member of the wrong type, is refused before any limit."""
    assert refused(operation, parameters).code == "SerializationException"


def test_answers_carry_the_protocols_headers() -> None:
    """Good and bad answers name their content type and the request."""
    good = response({"a": 1}, "r1")
    bad = error_response(ApiError("Code", "words", 503), "r2")

    assert (good.status, good.body, good.headers["x-amzn-requestid"]) == (200, b'{"a":1}', "r1")
    assert (bad.status, json.loads(bad.body)) == (503, {"__type": "Code", "message": "words"})
    assert good.headers["content-type"] == bad.headers["content-type"] == "application/x-amz-json-1.1"
