"""Putting records into the delivery stream."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.receiver.delivery import CALL_S, MAX_BATCH_BYTES, Clock, deliver
from lambda_src.receiver.packing import MAX_RECORD_BYTES, Accepted, Record

KIND = ("login", 20484)


@dataclass
class FakeTime:
    """A clock that only sleeping and calling move."""

    remaining: float = 29.0
    slept: list[float] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        """Give the clock whose jitter is always the longest."""

        def jitter(longest: float) -> float:
            self.limits.append(longest)
            return longest

        def sleep(seconds: float) -> None:
            self.remaining -= seconds
            self.slept.append(seconds)

        return Clock(lambda: self.remaining, sleep, jitter)


class FakeFirehose:
    """The client's call, holding it to the API's limits (A1) and failing as its script says.

    A script entry is an exception to raise, or the data of the records that fail; without one all are taken.
    """

    def __init__(self, *script: Exception | set[bytes], time: FakeTime | None = None, call_s: float = 0.0) -> None:
        self.script = list(script)
        self.calls: list[list[bytes]] = []
        self.stored: list[bytes] = []
        self.time = time
        self.call_s = call_s

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> dict[str, Any]:  # noqa: N803  # boto3's
        """Answer as Firehose does (A2)."""
        data = [record["Data"] for record in Records]
        assert DeliveryStreamName == "stream"
        assert 1 <= len(data) <= 500
        assert sum(map(len, data)) <= 4 * 1024 * 1024
        assert max(map(len, data)) <= 1_024_000
        self.calls.append(data)
        if self.time is not None:
            self.time.remaining -= self.call_s
        now = self.script.pop(0) if self.script else set()
        if isinstance(now, Exception):
            raise now
        self.stored += [each for each in data if each not in now]
        bad = {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}
        responses = [bad if each in now else {"RecordId": f"id-{each[:8]!r}"} for each in data]
        return {"FailedPutCount": sum("ErrorCode" in each for each in responses), "RequestResponses": responses}


def records(*data: bytes) -> list[Record]:
    """Make records, each of one event."""
    return [Record(each, (Accepted(index, str(index), each, KIND),)) for index, each in enumerate(data)]


def client_error(code: str, status: int) -> ClientError:
    """Make the error that boto3 raises for an answer of this kind."""
    metadata: Any = {"HTTPStatusCode": status}
    return ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": metadata}, "PutRecordBatch")


def data(delivered: list[tuple[Record, str]]) -> list[bytes]:
    """Give the bytes of what was taken."""
    return [record.data for record, _ in delivered]


def test_only_failed_entries_are_put_again() -> None:
    """HTTP 200 with failed entries: these alone go again, until they are in."""
    firehose = FakeFirehose({b"b", b"c"}, {b"c"})
    result = deliver(firehose, "stream", records(b"a", b"b", b"c"), FakeTime().clock())

    assert firehose.calls == [[b"a", b"b", b"c"], [b"b", b"c"], [b"c"]]
    assert data(result.taken) == [b"a", b"b", b"c"]
    assert (result.left, result.fault) == ([], None)
    assert result.taken[0][1] == "id-b'a'"


def test_backoff_doubles_up_to_a_limit() -> None:
    """The longest wait doubles with every round and stays under its limit, and jitter chooses within it."""
    time = FakeTime()
    deliver(FakeFirehose(*[{b"a"}] * 8), "stream", records(b"a"), time.clock())

    assert time.limits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 3.0])


@pytest.mark.parametrize(
    "error",
    [
        client_error("ServiceUnavailableException", 503),
        client_error("ThrottlingException", 400),
        client_error("InternalFailure", 500),
        client_error("Whatever", 502),
        client_error("Whatever", 429),
        ReadTimeoutError(endpoint_url="https://firehose"),
        ConnectTimeoutError(endpoint_url="https://firehose"),
        EndpointConnectionError(endpoint_url="https://firehose"),
    ],
)
def test_errors_that_pass_are_tried_again(error: Exception) -> None:
    """Throttling, the service's own faults and the network's are tried again with the whole call."""
    firehose = FakeFirehose(error)
    result = deliver(firehose, "stream", records(b"a", b"b"), FakeTime().clock())

    assert data(result.taken) == [b"a", b"b"]
    assert len(firehose.calls) == 2


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (client_error("ValidationException", 400), "ValidationException"),
        (client_error("ResourceNotFoundException", 400), "ResourceNotFoundException"),
        (client_error("AccessDeniedException", 403), "AccessDeniedException"),
        (NoCredentialsError(), "NoCredentialsError"),
    ],
)
def test_faults_of_ours_end_at_once(error: ClientError | BotoCoreError, fault: str) -> None:
    """A client fault is not tried again; what is in stays known, what is not is left."""
    time = FakeTime()
    firehose = FakeFirehose(set(), error)
    result = deliver(firehose, "stream", records(*[b"%03d" % number for number in range(501)]), time.clock())

    assert len(firehose.calls) == 2
    assert (len(result.taken), [record.data for record in result.left], result.fault) == (500, [b"500"], fault)
    assert time.slept == []


@given(st.floats(0, 40), st.floats(0, CALL_S))
def test_never_runs_out_of_time(remaining: float, call_s: float) -> None:
    """However long calls take, no call starts that could outlast the time left, and the rest is left over."""
    time = FakeTime(remaining)
    firehose = FakeFirehose(*[{b"a"}] * 1000, time=time, call_s=max(call_s, 0.01))
    result = deliver(firehose, "stream", records(b"a"), time.clock())

    assert [record.data for record in result.left] == [b"a"]
    assert result.fault is None
    assert bool(firehose.calls) == (remaining >= CALL_S)
    assert time.remaining + CALL_S >= CALL_S - 3.0 or not firehose.calls


@given(
    st.lists(st.sampled_from([1, 1000, 300_000, MAX_RECORD_BYTES]), min_size=1, max_size=30).map(
        lambda sizes: sizes + [3] * 600
    ),
    st.data(),
)
def test_every_record_is_taken_or_left(sizes: list[int], choose: st.DataObject) -> None:
    """Whatever fails, each record is in exactly one of the two lists, and what is taken is stored."""
    made = records(*[(b"%08d" % number).ljust(size, b"x") for number, size in enumerate(sizes)])
    failing = {record.data for record in choose.draw(st.lists(st.sampled_from(made), max_size=5))}
    script: list[Exception | set[bytes]] = choose.draw(
        st.lists(
            st.sampled_from([failing, set(), client_error("ThrottlingException", 400), client_error("X", 400)]),
            max_size=6,
        )
    )
    firehose = FakeFirehose(*script)
    result = deliver(firehose, "stream", made, FakeTime().clock())

    assert sorted(data(result.taken) + [record.data for record in result.left]) == sorted(
        record.data for record in made
    )
    assert sorted(firehose.stored) == sorted(data(result.taken))
    for call in firehose.calls:
        assert sum((len(each) + 2) // 3 * 4 for each in call) <= MAX_BATCH_BYTES
