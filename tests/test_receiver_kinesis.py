"""Putting records into a data stream before the delivery stream, through boto3's client."""

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from lambda_src.receiver.delivery import Clock, deliver
from lambda_src.receiver.kinesis import KinesisAsFirehose
from lambda_src.receiver.packing import Accepted, Record

CLOCK = Clock(lambda: 29.0, lambda _seconds: None, lambda longest: longest)


class Client:
    """boto3's client, whose answers are given; keeps what it was asked."""

    def __init__(self, *answers: list[dict[str, str]] | str) -> None:
        self.real = boto3.client(
            "kinesis",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106  # never sent
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.asked: list[dict[str, Any]] = []
        self.stubber = Stubber(self.real)
        for answer in answers:
            if isinstance(answer, str):
                self.stubber.add_client_error("put_records", answer, http_status_code=400)
            else:
                self.stubber.add_response("put_records", {"Records": answer})

    def put_records(self, **request: Any) -> Any:  # noqa: ANN401  # boto3's
        """Ask the client, which checks the request and the answer by the service model."""
        self.asked.append(request)
        return self.real.put_records(**request)

    def __enter__(self) -> "Client":
        self.stubber.activate()
        return self

    def __exit__(self, *_: object) -> None:
        self.stubber.assert_no_pending_responses()
        self.stubber.deactivate()


def taken(number: int) -> dict[str, str]:
    """Return the result of a record that was taken."""
    return {"SequenceNumber": str(number), "ShardId": "shardId-000000000000"}


THROTTLED = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded for shard."}


@pytest.fixture
def records() -> list[Record]:
    """Three records, each of one event."""
    return [Record(b"%d" % n, (Accepted(n, str(n), b"%d" % n, ("login", 20484)),)) for n in range(3)]


def test_a_record_that_was_not_taken_is_put_again_alone(records: list[Record]) -> None:
    """HTTP 200 says nothing: each record has its own result, and only those that failed are tried again."""
    with Client([taken(1), THROTTLED, taken(3)], [taken(4)]) as client:
        delivery = deliver(KinesisAsFirehose(client), "auditlake-source", records, CLOCK)
    assert [(record.data, record_id) for record, record_id in delivery.taken] == [(b"0", "1"), (b"2", "3"), (b"1", "4")]
    assert delivery.left == []
    assert [[record["Data"] for record in asked["Records"]] for asked in client.asked] == [[b"0", b"1", b"2"], [b"1"]]


def test_records_spread_over_the_shards(records: list[Record]) -> None:
    """Each record has a partition key of its own."""
    with Client([taken(1), taken(2), taken(3)]) as client:
        deliver(KinesisAsFirehose(client), "auditlake-source", records, CLOCK)
    (asked,) = client.asked
    assert asked["StreamName"] == "auditlake-source"
    assert len({record["PartitionKey"] for record in asked["Records"]}) == len(records)


def test_a_throttled_request_is_put_again(records: list[Record]) -> None:
    """Shards that are used up pass, in the words of Kinesis too."""
    with Client("ProvisionedThroughputExceededException", [taken(1), taken(2), taken(3)]) as client:
        delivery = deliver(KinesisAsFirehose(client), "auditlake-source", records, CLOCK)
    assert (len(delivery.taken), delivery.left, delivery.fault) == (3, [], None)


def test_a_stream_that_is_not_there_is_a_fault(records: list[Record]) -> None:
    """Sending again does not help before somebody mends it."""
    with Client("ResourceNotFoundException") as client:
        delivery = deliver(KinesisAsFirehose(client), "auditlake-source", records, CLOCK)
    assert (delivery.taken, delivery.left, delivery.fault) == ([], records, "ResourceNotFoundException")
