"""The answer to Firehose: every recordId once, as JSON text that is made once and counted while it grows."""

import binascii
import traceback
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import pybase64

from lambda_src.common.partition import Partition, PartitionRule
from lambda_src.transform.record import Counts, RecordError, Rows, record_rows

MAX_BYTES = 6_000_000
"""How large the answer may get: Lambda takes 6 MB (B3, documented) without saying of what kind, so the smaller."""

_FAILED = '{"recordId":%s,"result":"ProcessingFailed"}'
# With the comma after it, and the 16 spaces that an encoder which does not take the text as it is puts into a record.
_FAILED_BYTES = len(_FAILED) - len("%s") + len(",") + 16
_ENCODER = msgspec.json.Encoder()


class Failure(msgspec.Struct, frozen=True):
    """A record that is answered with ProcessingFailed, so that Firehose keeps it under `errors/`."""

    record_id: str
    reason: str
    """A sentence that quotes nothing of the record."""


class Answer(msgspec.Struct):
    """The answer to one invocation, and what there is to count and to log."""

    text: str = ""
    """`{"records":[...]}` as Firehose takes it (B2, documented); ASCII."""
    counts: Counts = msgspec.field(default_factory=Counts)
    failures: list[Failure] = msgspec.field(default_factory=list)


def answer_records(records: Sequence[Mapping[str, Any]], rule: PartitionRule, max_bytes: int = MAX_BYTES) -> Answer:
    """Transform the records of an invocation (B1).

    A record that is no event, or whose rows no longer fit into the answer, is ProcessingFailed; never Dropped, which
    would lose it without a trace (B4, probed). One record never costs another.
    """
    answer = Answer()
    ids = [_ENCODER.encode(record["recordId"]).decode() for record in records]
    # What failing all of them takes is set aside first, so that each can be answered whatever the rows need.
    room = max_bytes - len('{"records":[]}') - len("".join(ids).encode()) - len(ids) * _FAILED_BYTES
    parts = []
    for record, record_id in zip(records, ids, strict=True):
        try:
            rows = _rows(record, rule)
            part = _ok(record_id, rows)
            more = len(part) - len(_FAILED % record_id)
            if more > room:
                raise RecordError(f"The rows of the record do not fit into the answer, which holds {max_bytes} bytes.")
            room -= more
            answer.counts.add(rows.counts)
        except RecordError as error:
            part = _FAILED % record_id
            answer.failures.append(Failure(record["recordId"], str(error)))
        parts.append(part)
    answer.text = f'{{"records":[{",".join(parts)}]}}'
    return answer


def _rows(record: Mapping[str, Any], rule: PartitionRule) -> Rows:
    try:
        data = pybase64.b64decode(record["data"], validate=True)
        return record_rows(data, record["recordId"], record["approximateArrivalTimestamp"], rule)
    except RecordError:
        raise
    except binascii.Error:
        raise RecordError("The record's data is not base64.") from None
    except Exception as error:  # noqa: BLE001  # a fault of ours in one record must not fail the whole batch four times
        # The message may quote the event, so only the kind and the place of the error are told.
        place = traceback.extract_tb(error.__traceback__)[-1]
        name = type(error).__name__
        raise RecordError(f"The transform failed with {name} in {place.name}, line {place.lineno}: a defect.") from None


def _ok(record_id: str, rows: Rows) -> str:
    data = pybase64.b64encode_as_string(rows.data)
    keys = _partition_keys(rows.partition)
    return f'{{"recordId":{record_id},"result":"Ok","data":"{data}","metadata":{{"partitionKeys":{keys}}}}}'


@lru_cache(maxsize=4096)
def _partition_keys(partition: Partition) -> str:
    return _ENCODER.encode(partition).decode()
