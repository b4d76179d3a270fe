"""Putting records into the delivery stream, and again those that it did not take."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NoConnectionError

from lambda_src.receiver.deadline import within
from lambda_src.receiver.packing import Record

MAX_BATCH_RECORDS = 500  # A1, documented
MAX_BATCH_BYTES = 4 * 1024 * 1024  # A1, documented for "the entire request"; counted as base64, the stricter reading
CALL_S = 6.0
"""The longest that one PutRecordBatch may take, all in all; most hang-ups time out before (see `handler`)."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 3.0
# Being throttled and the service's own faults pass (A3); anything else that a client error says is ours to mend.
# The words are those of the codes that the SDK itself takes for passing.
_PASSING = (
    *("Throttl", "TooManyRequests", "LimitExceeded", "ThroughputExceeded", "SlowDown"),
    *("ServiceUnavailable", "InternalFailure", "InternalServer", "RequestTimeout", "PriorRequestNotComplete"),
)


class Firehose(Protocol):
    """The one call that is needed of boto3's client."""

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> Any:  # noqa: ANN401, N803  # boto3's
        """Put at most 500 records (A1); the answer has an entry for each, in order (A2, documented)."""


@dataclass(frozen=True)
class Clock:
    """Time as `deliver` sees it, so that tests need not wait."""

    remaining_s: Callable[[], float]
    """How long the function may still run."""
    sleep: Callable[[float], None]
    jitter: Callable[[float], float]
    """A random number from 0 to its argument."""


@dataclass(frozen=True)
class Delivery:
    """What became of the records."""

    taken: list[tuple[Record, str]]
    """The records that are durable, with Firehose's RecordId."""
    left: list[Record]
    """The records that are not, to be sent again."""
    fault: str | None
    """A client fault's code, e.g. `ResourceNotFoundException`: sending again does not help before somebody mends it."""


def deliver(firehose: Firehose, stream: str, records: Sequence[Record], clock: Clock) -> Delivery:
    """Put records, and only the failed ones again, with exponential backoff and full jitter (A3, documented).

    Ends when all are taken, when a client fault shows, or when the time left does not hold another call. A call that
    timed out, or whose answer says nothing, may have been taken: its records count as left until a call says that they
    are in, and the duplicates share their event ids.
    """
    taken: list[tuple[Record, str]] = []
    left = list(records)
    attempt = 0
    while left:
        failed: list[Record] = []
        batches = list(_batches(left))
        for number, batch in enumerate(batches):
            untried = [record for rest in batches[number:] for record in rest]
            if clock.remaining_s() < CALL_S:
                return Delivery(taken, failed + untried, None)
            try:
                put, not_put = _put(firehose, stream, batch)
            except _ClientFaultError as fault:
                return Delivery(taken, failed + untried, fault.code)
            taken += put
            failed += not_put
        left = failed
        if left:
            wait_s = clock.jitter(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt))
            if clock.remaining_s() < wait_s + CALL_S:
                break
            clock.sleep(wait_s)
            attempt += 1
    return Delivery(taken, left, None)


def _batches(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Group records within what one call takes."""
    batch: list[Record] = []
    size = 0
    for record in records:
        wire = (len(record.data) + 2) // 3 * 4 + len('{"Data":""},')
        if batch and (len(batch) == MAX_BATCH_RECORDS or size + wire > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += wire
    if batch:
        yield batch


class _ClientFaultError(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _put(firehose: Firehose, stream: str, batch: list[Record]) -> tuple[list[tuple[Record, str]], list[Record]]:
    """Put one batch; give what was taken and what was not. HTTP 200 says nothing: each entry does (A2, documented)."""
    records = [{"Data": record.data} for record in batch]
    try:
        answer = within(CALL_S, lambda: firehose.put_record_batch(DeliveryStreamName=stream, Records=records))
        entries = list(zip(batch, answer["RequestResponses"], strict=True))
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "Unknown")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 or status == 429 or any(word in code for word in _PASSING):
            return [], batch
        raise _ClientFaultError(code) from error
    except (HTTPClientError, NoConnectionError, IncompleteReadError):
        return [], batch
    except BotoCoreError as error:
        raise _ClientFaultError(type(error).__name__) from error
    except Exception:  # noqa: BLE001  # no answer in time, or one that is none: what it was must not cost what is known
        return [], batch
    put, not_put = [], []
    for record, entry in entries:
        record_id = entry.get("RecordId") if isinstance(entry, dict) and not entry.get("ErrorCode") else None
        if record_id:
            put.append((record, str(record_id)))
        else:
            not_put.append(record)
    return put, not_put
