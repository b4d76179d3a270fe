"""A Kinesis data stream before the delivery stream: PutRecords behind the one call that `deliver` makes."""

import uuid
from typing import Any, Protocol


class Kinesis(Protocol):
    """The one call that is needed of boto3's client."""

    def put_records(self, *, StreamName: str, Records: list[dict[str, Any]]) -> Any:  # noqa: ANN401, N803  # boto3's
        """Put at most 500 records and 10 MiB (documented); the answer has an entry for each, in order."""


class KinesisAsFirehose:
    """Puts batches as Firehose takes them: its 500 records and 4 MiB are within what PutRecords takes.

    Each record has a partition key of its own, so that they spread evenly over the shards; a record that is tried again
    may go to another, and nothing here depends on their order.
    """

    def __init__(self, kinesis: Kinesis) -> None:
        """Put with boto3's client."""
        self._kinesis = kinesis

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> dict[str, Any]:  # noqa: N803
        """Put records; answers as Firehose does, with each sequence number as RecordId."""
        records = [{"Data": record["Data"], "PartitionKey": uuid.uuid4().hex} for record in Records]
        answer = self._kinesis.put_records(StreamName=DeliveryStreamName, Records=records)
        return {"RequestResponses": [_entry(entry) for entry in answer["Records"]]}


def _entry(entry: object) -> object:
    """Return a record's result in Firehose's words; what is no result stays, and counts as not taken."""
    if not isinstance(entry, dict):
        return entry
    return {"ErrorCode": entry.get("ErrorCode"), "RecordId": entry.get("SequenceNumber")}
