"""Failed events are put again, each once, with what is known of them."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlake.errors import RedriveError
from auditlake.ledger import open_ledger
from auditlake.redrive import BATCH_RECORDS, Doing, Summary, Target, redrive
from auditlake.selection import Selection, selection
from lambda_src.common.partition import rule
from lambda_src.receiver.packing import MAX_RECORD_BYTES
from lambda_src.transform.record import record_rows
from tests.failures import ARRIVAL_MS, conversion_line, enveloped, event, processing_line, store_of, write_object

RULE = rule(["login"], days_back=7, days_ahead=1)


class Stream:
    """A stream that takes what `answers` say, one for each call, and at last everything."""

    def __init__(self, *answers: Exception | Sequence[bool]) -> None:
        self.answers = list(answers)
        self.taken: list[bytes] = []
        self.calls: list[list[bytes]] = []

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> Any:  # noqa: ANN401, N803 - boto3's
        """Answer as Firehose does (A2)."""
        assert DeliveryStreamName == "stream"
        assert len(Records) <= 500
        self.calls.append([record["Data"] for record in Records])
        answer = self.answers.pop(0) if self.answers else [True] * len(Records)
        if isinstance(answer, Exception):
            raise answer
        entries = [
            {"RecordId": f"r{n}"} if good else {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "slow"}
            for n, good in enumerate(answer)
        ]
        self.taken += [record["Data"] for record, good in zip(Records, answer, strict=True) if good]
        return {"FailedPutCount": answer.count(False) if isinstance(answer, list) else 0, "RequestResponses": entries}


def run(root: Path, stream: Stream | None, selected: Selection | None = None, **doing: Any) -> Summary:  # noqa: ANN401 - of Doing
    """Redrive what lies below `root`, with the ledger beside it."""
    store = store_of(root)
    target = None if stream is None else Target("stream", stream)
    waited: list[float] = []
    how = Doing(target, sleep=waited.append, **{"monotonic": lambda: sum(waited), **doing})
    with open_ledger(root.parent / "ledger.sqlite") as ledger:
        selected = selected or Selection()
        return redrive(store, filter(selected.takes_object, store.objects()), selected, ledger, how)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory of a bucket."""
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    return bucket


def ids(records: Sequence[bytes]) -> list[str]:
    """Return the ids that the transform gives to the events of records."""
    made = [record_rows(data, "new", ARRIVAL_MS + 1, RULE).data.split(b"\n") for data in records]
    return [json.loads(row)["event_id"] for rows in made for row in rows]


def test_the_same_record_is_put_again(root: Path) -> None:
    """Envelopes go byte for byte, packed ones packed."""
    packed = b"\n".join(enveloped(event(f"e{n}"), f"e{n}") for n in range(3))
    write_object(root, "processing-failed", [processing_line(packed), processing_line(enveloped(event("e3"), "e3"))])
    stream = Stream()
    summary = run(root, stream)

    assert stream.taken == [packed, enveloped(event("e3"), "e3")]
    assert (summary.events, summary.sent, summary.sent_records, summary.staying) == (4, 4, 2, 0)


def test_a_second_run_repeats_nothing(root: Path) -> None:
    """What is new is put, what the ledger holds is not."""
    write_object(root, "processing-failed", [processing_line(event("e0"))])
    run(root, Stream())
    write_object(root, "processing-failed", [processing_line(event("e1"))], "1")
    stream = Stream()
    summary = run(root, stream)

    assert ids(stream.taken) == ["e1"]
    assert (summary.already, summary.sent) == (1, 1)


def test_looking_puts_nothing_and_remembers_nothing(root: Path) -> None:
    """Then everything is still to be put."""
    write_object(root, "processing-failed", [processing_line(event("e0"))])
    assert (run(root, None).ready, run(root, None).ready) == (1, 1)
    assert run(root, Stream()).sent == 1


def test_what_would_fail_again_stays(root: Path) -> None:
    """With the transform's reason; the good events of its record are put."""
    mixed = event("good") + b"\n" + event("bad", timestamp=None)
    key = write_object(root, "processing-failed", [processing_line(mixed), processing_line(b"no json")])
    stream = Stream()
    summary = run(root, stream)

    assert ids(stream.taken) == ["good"]
    assert [(reason.events, reason.first) for reason in summary.stays.values()] == [
        (1, f"{key} line 1"),
        (1, f"{key} line 2"),
    ]
    assert "timestamp" in next(iter(summary.stays))


def test_unchecked_puts_it_all_the_same(root: Path) -> None:
    """For another transform than this version's: alone in its record, so that it takes none with it."""
    mixed = event("good") + b"\n" + event("bad", timestamp=None) + b"\n" + event("good2")
    write_object(root, "processing-failed", [processing_line(mixed)])
    stream = Stream()
    run(root, stream, checked=False)

    assert sorted(len(record.split(b"\n")) for record in stream.taken) == [1, 2]


def test_events_of_two_partitions_part(root: Path) -> None:
    """A record that failed because it was of two partitions does not fail again."""
    write_object(root, "processing-failed", [processing_line(event("a") + b"\n" + event("b", eventType="logout"))])
    stream = Stream()
    run(root, stream)
    assert len(stream.taken) == 2
    assert sorted(ids(stream.taken)) == ["a", "b"]


def test_only_what_was_not_taken_is_put_again(root: Path) -> None:
    """HTTP 200 says nothing: each record has its answer (A2)."""
    write_object(root, "processing-failed", [processing_line(event(f"e{n}")) for n in range(4)])
    stream = Stream([True, False, True, False], [False, True])
    summary = run(root, stream)

    assert [ids(call) for call in stream.calls] == [["e0", "e1", "e2", "e3"], ["e1", "e3"], ["e1"]]
    assert summary.sent == 4


def test_throttling_is_waited_for(root: Path) -> None:
    """And so is a stream that cannot be reached for a while."""
    write_object(root, "processing-failed", [processing_line(event("e0"))])
    throttled = ClientError({"Error": {"Code": "ThrottlingException"}}, "PutRecordBatch")
    summary = run(root, Stream(throttled, EndpointConnectionError(endpoint_url="x"), throttled))
    assert summary.sent == 1


def test_a_stream_that_takes_nothing_ends_the_run_with_what_was_put(root: Path) -> None:
    """The ledger holds what was taken until then, and the next run goes on."""
    write_object(root, "processing-failed", [processing_line(event(f"e{n}")) for n in range(3)])
    never = [[True, False, False]] + [[False, False]] * 1000
    with pytest.raises(RedriveError, match="did not take 2 records within 120 s"):
        run(root, Stream(*never), jitter=lambda most: most)
    stream = Stream()
    assert run(root, stream).already == 1
    assert ids(stream.taken) == ["e1", "e2"]


def test_a_client_fault_ends_the_run_at_once(root: Path) -> None:
    """No second try mends a wrong name."""
    write_object(root, "processing-failed", [processing_line(event("e0"))])
    fault = ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "PutRecordBatch")
    stream = Stream(fault)
    with pytest.raises(RedriveError, match="ResourceNotFoundException"):
        run(root, stream)
    assert len(stream.calls) == 1


def test_batches_are_no_larger_than_a_call(root: Path) -> None:
    """More than 500 records are several calls, each written into the ledger."""
    write_object(root, "processing-failed", [processing_line(event(f"e{n}")) for n in range(BATCH_RECORDS * 2 + 1)])
    stream = Stream()
    assert run(root, stream).sent == BATCH_RECORDS * 2 + 1
    assert [len(call) for call in stream.calls] == [BATCH_RECORDS, BATCH_RECORDS, 1]


def test_an_event_too_large_for_an_envelope_is_put_bare_again(root: Path) -> None:
    """It came bare; base64 would make it too large for a record. It keeps its id."""
    for event_id in ("e0", None):
        body = event(event_id, blob="x" * 900_000)
        write_object(root, "processing-failed", [processing_line(body)], str(event_id))
    stream = Stream()
    assert run(root, stream).sent == 2
    assert all(len(record) <= MAX_RECORD_BYTES for record in stream.taken)
    first = sorted(ids(stream.taken))
    assert "e0" in first
    (root.parent / "ledger.sqlite").unlink()
    again = Stream()
    run(root, again)
    assert sorted(ids(again.taken)) == first


def test_a_stop_leaves_the_rest(root: Path) -> None:
    """Ctrl-C ends after the batch at hand, which is in the ledger."""
    write_object(root, "processing-failed", [processing_line(event(f"e{n}")) for n in range(BATCH_RECORDS + 1)])
    stream = Stream()
    summary = run(root, stream, stop=lambda: bool(stream.calls))
    assert summary.interrupted
    assert summary.sent == BATCH_RECORDS
    assert run(root, Stream()).sent == 1


def test_a_stop_in_the_middle_of_retries_writes_what_was_taken(root: Path) -> None:
    """No taken record is forgotten because others were not taken."""
    write_object(root, "processing-failed", [processing_line(event(f"e{n}")) for n in range(2)])
    stream = Stream([True, False])
    summary = run(root, stream, stop=lambda: bool(stream.calls))
    assert (summary.interrupted, summary.sent) == (True, 1)
    assert run(root, Stream()).already == 1


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"types": ["format-conversion-failed"]}, {"c0"}),
        ({"codes": ["Lambda.FunctionError"]}, {"p0", "p1"}),
        ({"codes": ["Lambda.FunctionError", "DataFormatConversion.MalformedData"]}, {"c0", "p0", "p1"}),
        ({"since": "2026-09-21T14:13:21Z"}, {"p2"}),
        ({"until": "2026-09-21T14:13:21"}, {"c0", "p0", "p1"}),
        ({"event_types": ["logout"]}, {"p1"}),
        ({"event_ids": ["p1", "c0"]}, {"c0", "p1"}),
        ({"types": ["no-such-type"]}, set()),
    ],
)
def test_filters_choose(root: Path, filters: dict[str, Any], wanted: set[str]) -> None:
    """By what failed, why, when, and which event it is."""
    lines = [
        processing_line(event("p0")),
        processing_line(event("p1", eventType="logout")),
        processing_line(event("p2"), code="Lambda.FunctionTimedOut", arrival_ms=ARRIVAL_MS + 60_000),
    ]
    write_object(root, "processing-failed", lines)
    row = record_rows(enveloped(event("c0"), "c0"), "r", ARRIVAL_MS, RULE).data
    write_object(root, "format-conversion-failed", [conversion_line(row)])
    stream = Stream()
    run(root, stream, selection(**filters))
    assert set(ids(stream.taken)) == wanted


def test_a_range_of_time_that_is_none_is_refused() -> None:
    """The sentence shows what a time looks like."""
    with pytest.raises(RedriveError, match="2026-11-24T03:00:00Z"):
        selection(since="yesterday")
    with pytest.raises(RedriveError, match="not before"):
        selection(since="2026-11-24", until="2026-11-24")


def _raw(kind: str, n: int) -> bytes:
    if kind == "packed":
        return event(f"e{n}") + b"\n" + event(f"f{n}")
    return b"" if kind == "none" else event(f"e{n}", **({"timestamp": None} if kind == "bad" else {}))


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["good", "bad", "none", "packed"]), min_size=1, max_size=12),
    st.lists(st.lists(st.booleans(), min_size=12, max_size=12), max_size=3),
)
def test_every_event_is_put_once_or_stays(kinds: list[str], answers: list[list[bool]]) -> None:
    """Whatever the records are and the stream takes, runs until the end put each good event once."""
    with tempfile.TemporaryDirectory() as folder:
        bucket = Path(folder) / "bucket"
        write_object(bucket, "processing-failed", [processing_line(_raw(kind, n)) for n, kind in enumerate(kinds)])
        stream = Stream()
        choices = iter(answers)

        class Moody(Stream):
            def put_record_batch(self, **call: Any) -> Any:  # noqa: ANN401 - boto3's
                answer = next(choices, None)
                stream.answers = [] if answer is None else [answer[: len(call["Records"])]]
                return stream.put_record_batch(**call)

        summary = run(bucket, Moody())
        expected = kinds.count("good") + 2 * kinds.count("packed")
        assert summary.sent == expected == len(set(ids(stream.taken))) == len(ids(stream.taken))
        assert summary.staying == kinds.count("bad") + kinds.count("none")
        assert run(bucket, Stream()).already == expected
