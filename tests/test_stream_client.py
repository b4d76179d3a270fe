"""Clients of the stream: what they show to whom they put."""

from contextlib import closing

import pytest
from botocore.exceptions import ClientError

from auditlake.errors import RedriveError
from auditlake.stream_client import runtime_client, stream_on_aws
from tests.stub_stream import refused, stub_stream


@pytest.mark.parametrize(
    ("token", "keys", "shown"),
    [
        ("secret", False, "Bearer secret"),
        ("secret", True, "Bearer secret"),
        (None, True, "AWS4-HMAC-SHA256 Credential=KEY/"),
        (None, False, ""),
    ],
    ids=["token", "token and keys", "keys", "nothing"],
)
def test_a_runtime_is_shown_the_token_or_a_signature(
    token: str | None, keys: bool, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that asks for nothing is put to without either, and no proxy is asked for it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    if keys:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with stub_stream() as stub, closing(runtime_client(stub.url, token, "us-east-1")) as client:
        client.put_record_batch(DeliveryStreamName="s", Records=[{"Data": b"x"}])
    assert stub.records == [b"x"]
    assert stub.headers[0].get("authorization", "").startswith(shown)
    assert bool(stub.headers[0].get("authorization")) is bool(shown)


def test_a_batch_is_put_once_whatever_is_answered() -> None:
    """The SDK would put taken records again; what to repeat is decided record by record."""
    with stub_stream() as stub, closing(runtime_client(stub.url, "t", "us-east-1")) as client:
        stub.answer = lambda _number, _records: refused("ServiceUnavailableException", 503)
        with pytest.raises(ClientError):
            client.put_record_batch(DeliveryStreamName="s", Records=[{"Data": b"x"}])
    assert len(stub.batches) == 1


def test_an_account_that_does_not_answer_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is read or put."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with pytest.raises(RedriveError, match="cannot be reached"):
        stream_on_aws("s", None, "http://127.0.0.1:1", "us-east-1")


@pytest.mark.parametrize(("planned", "put_into"), [(None, "s"), ("source", "source")])
def test_who_may_not_look_puts_where_the_plan_says(
    planned: str | None, put_into: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may put need not be allowed to describe the streams."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with stub_stream() as stub:
        stub.answer = lambda _number, _records: (
            200,
            {"RequestResponses": [{"RecordId": "r"}], "Records": [{"SequenceNumber": "1"}]},
        )
        name, client = stream_on_aws("s", planned, stub.url, "us-east-1")
        assert name == put_into
        client.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"x"}])
    assert stub.records == [b"x"]
    action = "Firehose_20150804.PutRecordBatch" if planned is None else "Kinesis_20131202.PutRecords"
    assert stub.headers[0]["x-amz-target"] == action
