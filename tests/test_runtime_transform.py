"""The transform stage: the table of outcomes, row by row."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlake.runtime import transform as stage
from auditlake.runtime.function import FunctionError
from auditlake.runtime.journal_format import Record
from auditlake.runtime.plan import Conversion, DeliveryStream, KinesisStream, LambdaProcessor
from auditlake.runtime.transform import Dropped, Failed, Outcome, Transformed

STREAM = DeliveryStream(
    name="s",
    arn="arn:aws:firehose:us-east-1:123456789012:deliverystream/s",
    region="us-east-1",
    prefix="p/",
    error_output_prefix="e/",
    custom_time_zone="UTC",
    file_extension=None,
    buffer_size_bytes=1,
    buffer_interval_s=60,
    bucket="b",
    processor=LambdaProcessor("arn:aws:lambda:us-east-1:123456789012:function:f"),
    conversion=Conversion(),
)
SOURCE = KinesisStream("s", "arn:aws:kinesis:us-east-1:123456789012:stream/s", "ON_DEMAND", 24, None)
ONE, TWO = Record(1, 1000, b"one"), Record(2, 2000, b"two")
BY_ID = {"id1": ONE, "id2": TWO}


def ok(identity: str, data: bytes | None = b"row", **members: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return an Ok answer for a record."""
    encoded = None if data is None else base64.b64encode(data).decode()
    return {"recordId": identity, "result": "Ok", "data": encoded, **members}


def read(*records: Any, attempt: int = 1) -> list[Outcome]:  # noqa: ANN401 - any JSON
    """Read an answer that holds these records."""
    return stage.outcomes(BY_ID, json.dumps({"records": records}).encode(), attempt)


def failed(record: Record, rule: tuple[str, str], attempts: int = 1) -> Failed:
    """Return the expected failure of a record."""
    return Failed(record, *rule, attempts)


def test_ok_goes_on_with_its_data_and_keys() -> None:
    """Ok with data goes on; keys that are not given are none."""
    assert read(ok("id1", metadata={"partitionKeys": {"k": "v"}}), ok("id2", b"")) == [
        Transformed(ONE, b"row", {"k": "v"}),
        Transformed(TWO, b"", {}),
    ]


def test_dropped_leaves_no_trace() -> None:
    """Dropped is a success without a record."""
    assert read({"recordId": "id1", "result": "Dropped"}, ok("id2"))[0] == Dropped(ONE)


def test_processing_failed_costs_that_record_alone() -> None:
    """ProcessingFailed is final for the record, the others go on."""
    assert read({"recordId": "id1", "result": "ProcessingFailed"}, ok("id2")) == [
        failed(ONE, stage.PROCESSING_FAILED),
        Transformed(TWO, b"row", {}),
    ]


def test_an_id_that_is_not_returned_is_missing() -> None:
    """A record without an answer fails alone."""
    assert read(ok("id2"))[0] == failed(ONE, stage.MISSING_ID)


def test_an_id_returned_twice_fails_that_record() -> None:
    """Two answers for one record are none."""
    assert read(ok("id1"), ok("id1"), ok("id2")) == [failed(ONE, stage.DUPLICATED_ID), Transformed(TWO, b"row", {})]


def test_an_unknown_id_is_ignored() -> None:
    """An answer for a record that was not asked about changes nothing."""
    assert read(ok("id1"), ok("id2"), ok("stranger")) == [Transformed(ONE, b"row", {}), Transformed(TWO, b"row", {})]


def test_ok_without_data_fails() -> None:
    """Ok needs data."""
    assert read(ok("id1", None), ok("id2"))[0] == failed(ONE, stage.NO_DATA)


@pytest.mark.parametrize(
    "answer", [{"recordId": "id1", "result": "Fine"}, {"recordId": "id1", "result": "Ok", "data": "*"}]
)
def test_an_unknown_result_or_data_that_is_no_base64_fails(answer: dict[str, str]) -> None:
    """What is not in the contract is the function's error."""
    assert read(answer, ok("id2"))[0] == failed(ONE, stage.BAD_RESULT)


NO_UNICODE = b'{"records": [{"recordId": "id1", "result": "Ok", "data": "", "key": "\xed\xa0\x80"}]}'
"""What a function in Python answers that returns half of a surrogate pair."""


@pytest.mark.parametrize(
    "answer", [b"not json", b'{"records": ', b"[" * 100_000, NO_UNICODE, NO_UNICODE.replace(b"id1", b"\xff")]
)
def test_an_unparsable_answer_fails_the_batch(answer: bytes) -> None:
    """An answer that is no JSON, or no UTF-8, fails every record of the batch."""
    assert stage.outcomes(BY_ID, answer, 1) == [failed(ONE, stage.PARSE_ERROR), failed(TWO, stage.PARSE_ERROR)]


@pytest.mark.parametrize(
    "answer", [b"{}", b"[]", b"null", b'{"records": {}}', b'{"records": [1, null, {"recordId": 7}]}']
)
def test_an_answer_without_usable_records_misses_every_id(answer: bytes) -> None:
    """An answer of another shape answered for nobody."""
    assert stage.outcomes(BY_ID, answer, 1) == [failed(ONE, stage.MISSING_ID), failed(TWO, stage.MISSING_ID)]


class Scripted:
    """A function whose answers are given one by one."""

    def __init__(self, *answers: bytes | FunctionError) -> None:
        self.answers = list(answers)
        self.events: list[bytes] = []
        self.limits: list[float | None] = []

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:
        """Return the next answer."""
        self.events.append(event)
        self.limits.append(timeout_s)
        return self.answers.pop(0)


def run(function: Scripted) -> tuple[list[Outcome], list[float]]:
    """Transform both records, returning the outcomes and the waits."""
    waits: list[float] = []
    answered = stage.transform(function, STREAM, [ONE, TWO], lambda seq: f"id{seq}", waits.append)
    return list(answered.outcomes), waits


def test_the_event_is_what_firehose_sends() -> None:
    """The payload holds stream, region and records with base64 data and arrival in milliseconds, nothing of Kinesis."""
    function = Scripted(json.dumps({"records": [ok("id1"), ok("id2")]}).encode())
    run(function)
    event = json.loads(function.events[0])

    assert str(UUID(event["invocationId"])) == event.pop("invocationId")
    assert function.limits == [300], "five minutes, whatever the function's own timeout"
    assert event == {
        "deliveryStreamArn": STREAM.arn,
        "region": "us-east-1",
        "records": [
            {"recordId": "id1", "approximateArrivalTimestamp": 1000, "data": "b25l"},
            {"recordId": "id2", "approximateArrivalTimestamp": 2000, "data": "dHdv"},
        ],
    }


def test_a_thrown_error_is_tried_again_and_the_attempts_are_counted() -> None:
    """A function that fails twice and then works costs nothing; a failure then names the attempt."""
    error = FunctionError("error", "boom")
    answer = json.dumps({"records": [ok("id1"), {"recordId": "id2", "result": "ProcessingFailed"}]}).encode()
    results, waits = run(Scripted(error, error, answer))

    assert results == [Transformed(ONE, b"row", {}), failed(TWO, stage.PROCESSING_FAILED, attempts=3)]
    assert waits == [2, 6]


@pytest.mark.parametrize(("kind", "rule"), [("error", stage.FUNCTION_ERROR), ("timeout", stage.TIMED_OUT)])
def test_after_four_attempts_the_batch_fails(kind: str, rule: tuple[str, str]) -> None:
    """Three retries, then every record of the batch fails with the code of its kind."""
    results, waits = run(Scripted(*[FunctionError(kind, "m")] * 4))

    assert results == [failed(ONE, rule, 4), failed(TWO, rule, 4)]
    assert len(waits) == 3


def test_a_malformed_answer_is_final() -> None:
    """A successful invocation with a wrong answer is not tried again."""
    results, waits = run(Scripted(b"[]"))

    assert results == [failed(ONE, stage.MISSING_ID), failed(TWO, stage.MISSING_ID)]
    assert waits == []


@pytest.mark.parametrize("retries", [0, 1, 9])
def test_the_number_of_retries_is_the_streams(retries: int) -> None:
    """As many retries as the processor says are made, also more than the default (probed: 9 is honoured)."""
    stream = replace(STREAM, processor=replace(STREAM.processor, retries=retries))
    function = Scripted(*[FunctionError("error", "m")] * 20)
    waits: list[float] = []
    answered = stage.transform(function, stream, [ONE], lambda seq: f"id{seq}", waits.append)

    assert answered.outcomes == [failed(ONE, stage.FUNCTION_ERROR, retries + 1)]
    assert (answered.attempts, answered.succeeded, len(waits)) == (retries + 1, False, retries)


def test_the_event_names_the_data_stream_that_is_read() -> None:
    """With a Kinesis source the payload has its ARN, and each record its place there and its key; none is made up."""
    stream = replace(STREAM, source=SOURCE)
    keyed = replace(ONE, partition_key="tenant-ä")
    event = json.loads(stage.invocation_event(stream, {"id1": keyed, "id2": TWO}))
    assert event["sourceKinesisStreamArn"] == SOURCE.arn
    assert event["records"][0]["kinesisRecordMetadata"] == {
        "shardId": "shardId-000000000000",
        "partitionKey": "tenant-ä",
        "approximateArrivalTimestamp": ONE.arrival_ms,
        "sequenceNumber": f"49{ONE.seq:054d}",
        "subsequenceNumber": "",
    }
    assert "partitionKey" not in event["records"][1]["kinesisRecordMetadata"]


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 1_024_000), min_size=1, max_size=12),
    st.integers(0, 10_000),
    st.booleans(),
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256),
)
def test_a_batch_is_cut_to_what_an_event_can_hold(sizes: list[int], small: int, reads: bool, key: str | None) -> None:
    """The event of what fits is never over 6 MB, it would be with the next record, and the first record always fits."""
    batch = [Record(seq, 1_795_521_600_000, b"x" * size, key) for seq, size in enumerate([*sizes, *[1] * small], 1)]
    stream = replace(STREAM, source=SOURCE) if reads else STREAM
    fits = stage.fitting(batch, stream)

    def event_bytes(records: Sequence[Record]) -> int:
        return len(stage.invocation_event(stream, {f"{record.seq:052d}": record for record in records}))

    assert list(fits) == batch[: len(fits)]
    assert len(fits) >= 1
    assert event_bytes(fits) <= stage.MAX_EVENT_BYTES
    if len(fits) < len(batch):
        assert event_bytes(batch[: len(fits) + 1]) > stage.MAX_EVENT_BYTES - 1


def test_a_full_batch_of_tiny_records_fits_the_bound_that_it_is_read_by() -> None:
    """No more records are read from the buffer than an event could hold if all were empty."""
    empty = [Record(seq, 1_795_521_600_000, b"") for seq in range(1, stage.MAX_BATCH_RECORDS + 100)]

    assert stage.MAX_BATCH_RECORDS - 10 <= len(stage.fitting(empty, STREAM)) <= stage.MAX_BATCH_RECORDS
