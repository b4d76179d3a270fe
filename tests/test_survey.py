"""What lies under the error prefix is counted by what failed, and told whether it is open."""

from pathlib import Path

from auditlake.ledger import Entry, open_ledger
from auditlake.recover import RecoveredEvent, recover
from auditlake.selection import selection
from auditlake.survey import Kind, survey, time_text
from tests.failures import ARRIVAL_MS, conversion_line, event, processing_line, record, store_of, write_object

DAY_MS = 24 * 3600 * 1000


def test_failures_are_counted_by_type_code_and_day(tmp_path: Path) -> None:
    """A packed record counts once, its events each; what would be refused again is told."""
    lines = [
        processing_line(event("a") + b"\n" + event("b", timestamp=None)),
        processing_line(event("c"), code="Lambda.FunctionTimedOut"),
        processing_line(event("d"), arrival_ms=ARRIVAL_MS + DAY_MS),
        b"no failed record",
    ]
    write_object(tmp_path, "processing-failed", lines)
    write_object(tmp_path, "format-conversion-failed", [conversion_line(b"")])
    with open_ledger(tmp_path / "ledger") as ledger:
        found = survey(store_of(tmp_path), store_of(tmp_path).objects(), selection(), ledger, samples=2)

    # What is no failed record has the time of its object, which was written just now.
    (unreadable,) = (kind for kind in found.kinds if kind.error_code == "unreadable")
    today = unreadable.day
    counted = {kind: (one.records, one.events, one.open, one.refused) for kind, one in found.kinds.items()}
    assert counted == {
        Kind("processing-failed", "Lambda.FunctionError", "2026-09-21"): (1, 2, 2, 1),
        Kind("processing-failed", "Lambda.FunctionTimedOut", "2026-09-21"): (1, 1, 1, 0),
        Kind("processing-failed", "Lambda.FunctionError", "2026-09-22"): (1, 1, 1, 0),
        Kind("processing-failed", "unreadable", today): (1, 1, 1, 1),
        Kind("format-conversion-failed", "DataFormatConversion.MalformedData", "2026-09-21"): (1, 1, 1, 1),
    }
    assert found.open == 6
    assert len(found.samples) == 2


def test_what_was_put_again_is_not_open(tmp_path: Path) -> None:
    """By the ledger, event by event."""
    key = write_object(tmp_path, "processing-failed", [processing_line(event("a") + b"\n" + event("b"))])
    (one, _) = recover(record(event("a") + b"\n" + event("b")))
    assert isinstance(one, RecoveredEvent)
    (found,) = store_of(tmp_path).objects()
    with open_ledger(tmp_path / "ledger") as ledger:
        ledger.add([Entry(key, found.version, 1, 0, one.sha256, "a", one.sha256, "r", 1)])
        counted = survey(store_of(tmp_path), [found], selection(), ledger, samples=9)

    (tally,) = counted.kinds.values()
    assert (tally.events, tally.open, counted.open) == (2, 1, 1)
    assert [sample.content()["event_id"] for sample in counted.samples] == ["b"]


def test_a_filter_by_event_leaves_out_what_is_none(tmp_path: Path) -> None:
    """Who asks for logins is not told of garbage."""
    write_object(tmp_path, "processing-failed", [processing_line(event("a")), b"garbage", processing_line(b"")])
    with open_ledger(tmp_path / "ledger") as ledger:
        selected = selection(event_types=["login"])
        assert survey(store_of(tmp_path), store_of(tmp_path).objects(), selected, ledger).open == 1


def test_a_time_that_no_date_holds_is_shown_as_it_is() -> None:
    """An error object may hold any number."""
    assert time_text(ARRIVAL_MS) == "2026-09-21T14:13:20.000Z"
    assert time_text(1 << 52) == str(1 << 52)
