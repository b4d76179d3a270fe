"""Where a record goes after the transform."""

import base64
import json

from auditlake.runtime.convert import FailedRecord
from auditlake.runtime.destination import errors_of, rows_of
from auditlake.runtime.index import Buffered
from auditlake.runtime.journal_format import Record
from auditlake.runtime.partition import PartitioningFailure
from auditlake.runtime.placement import MAX_ACTIVE_PARTITIONS, Placement
from auditlake.runtime.plan import Plan
from auditlake.runtime.transform import Dropped, Failed, Transformed

KEYS = {"audit_type": "login", "year": "2026", "month": "11", "day": "24"}
LOGIN = rows_of("login", "2026", "11", "24")


def record(seq: int) -> Record:
    """A record that was accepted in second 5."""
    return Record(seq, 5000, b"raw")


def test_each_outcome_has_its_place_and_is_counted(plan: Plan) -> None:
    """Rows go to their partition, failures become lines, and of what was dropped only the count stays."""
    placement = Placement(plan, lambda: 7.0)
    outcomes = (
        Transformed(record(1), b"row", KEYS),
        Dropped(record(2)),
        Failed(record(3), "Lambda.FunctionError", "It failed.", 4),
        Transformed(record(4), b"row", {**KEYS, "day": ""}),
    )
    active = set[object]()
    buffered, counted = placement.place(outcomes, active)  # type: ignore[arg-type]  # a set that is empty yet

    assert [(item.seq, item.destination, item.arrival_ms) for item in buffered] == [
        (1, LOGIN, 5000),
        (3, errors_of("processing-failed"), 5000),
        (4, errors_of("partitioning-failed"), 5000),
    ]
    failure = json.loads(buffered[1].data)
    assert (failure["errorCode"], failure["attemptsMade"], failure["attemptEndingTimestamp"]) == (
        "Lambda.FunctionError",
        4,
        7000,
    )
    assert base64.b64decode(failure["rawData"]) == b"raw"
    assert active == {LOGIN}
    assert counted == {
        "processed.records": 3,
        "processed.bytes": 6,
        "dropped.records": 1,
        "failed.processing-failed": 1,
        "failed.partitioning-failed": 1,
    }


def test_a_partition_too_many_is_refused_and_an_active_one_is_not(plan: Plan) -> None:
    """The limit counts what is active, and when it was met is remembered (C2)."""
    placement = Placement(plan, lambda: 7.0)
    active = {rows_of(str(number)) for number in range(MAX_ACTIVE_PARTITIONS - 1)} | {LOGIN}
    outcomes = (Transformed(record(1), b"row", KEYS), Transformed(record(2), b"row", {**KEYS, "day": "25"}))
    assert placement.refused_s is None
    buffered, _ = placement.place(outcomes, active)

    assert [item.destination for item in buffered] == [LOGIN, errors_of("activePartitionExceeded")]
    assert placement.refused_s == 7.0


def test_what_fails_later_keeps_its_number_and_arrival(plan: Plan) -> None:
    """A row that cannot be converted, or whose key is none, becomes a line of its own."""
    placement = Placement(plan, lambda: 7.0)
    item = Buffered(1, LOGIN, 5000, b"row")
    unconverted = placement.unconverted(item, FailedRecord(0, "DataFormatConversion.ParseError", "no JSON"))
    unpartitioned = placement.unpartitioned(item, PartitioningFailure("DynamicPartitioning.PartitioningFailed", "why"))

    assert [(one.seq, one.arrival_ms, one.destination.values[0]) for one in (unconverted, unpartitioned)] == [
        (1, 5000, "format-conversion-failed"),
        (1, 5000, "partitioning-failed"),
    ]
    assert json.loads(unconverted.data)["lastErrorCode"] == "DataFormatConversion.ParseError"
