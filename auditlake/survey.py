"""What lies under the error prefix: how much of which kind, and of it how much was put again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from auditlake.error_store import ErrorObject, ErrorStore
from auditlake.failed_records import FailedRecord, failed_records
from auditlake.ledger import Ledger
from auditlake.recover import RecoveredEvent, Unrecoverable, read, recover
from auditlake.selection import Selection, event_type


@dataclass(frozen=True)
class Kind:
    """What failed records are counted by; `day` is the UTC day of their arrival."""

    error_type: str
    error_code: str
    day: str


@dataclass
class Tally:
    """How many records and events of a kind there are, and one of them as a sample.

    `open` were not put again, of which this version's transform would refuse `refused`.
    """

    records: int = 0
    events: int = 0
    open: int = 0
    refused: int = 0
    message: str = ""
    event_id: str | None = None
    place: str = ""


@dataclass(frozen=True)
class Sample:
    """A failed event, or what is none, with its record."""

    record: FailedRecord
    event: RecoveredEvent | Unrecoverable

    def content(self) -> dict[str, Any]:
        """Return it as JSON values; the event's bytes as text."""
        record, event = self.record, self.event
        known: dict[str, Any] = {
            "object": record.object.key,
            "line": record.line,
            "error_type": record.object.error_type,
            "error_code": record.error_code,
            "error_message": record.error_message,
            "arrived_at": time_text(record.arrival_ms),
            "attempts": record.attempts,
        }
        if isinstance(event, Unrecoverable):
            return {**known, "problem": event.reason}
        wrapped = event.envelope
        return {
            **known,
            "event_id": event.event_id,
            "event_type": event_type(event.body),
            "received_at": time_text(wrapped.received_at),
            "principal": wrapped.principal or None,
            "source_ip": wrapped.source_ip or None,
            "refused": refusal(event),
            "event": event.body.decode("utf-8", "replace"),
        }


@dataclass
class Survey:
    """All that was found, by kind, and the first few open events."""

    objects: int = 0
    kinds: dict[Kind, Tally] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    @property
    def open(self) -> int:
        """How many events were not put again."""
        return sum(tally.open for tally in self.kinds.values())


def survey(
    store: ErrorStore,
    objects: Iterable[ErrorObject],
    selected: Selection,
    ledger: Ledger,
    samples: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> Survey:
    """Count what is selected in the objects; raises StoreError when one cannot be read."""
    found = Survey()
    for one in objects:
        found.objects += 1
        done = ledger.redriven(one.key, one.version)
        with store.open(one) as stream:
            for record in failed_records(stream, one):
                if selected.takes_record(record):
                    _add(found, record, selected, done, samples)
        advance(one.size)
    return found


def refusal(event: RecoveredEvent) -> str | None:
    """Return why this version's transform would refuse an event as it is; None when it would take it."""
    outcome = read(event.body)
    return outcome if isinstance(outcome, str) else None


def time_text(epoch_ms: int) -> str:
    """Return a time in RFC 3339, UTC, with milliseconds; a number that no date holds stays a number."""
    try:
        moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(epoch_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _add(found: Survey, record: FailedRecord, selected: Selection, done: set[tuple[int, int, str]], most: int) -> None:
    events = [event for event in recover(record) if _is_selected(event, selected)]
    if not events:
        return
    kind = Kind(record.object.error_type, record.error_code, time_text(record.arrival_ms)[:10])
    tally = found.kinds.setdefault(kind, Tally(message=record.error_message, place=record.place))
    tally.records += 1
    for event in events:
        tally.events += 1
        tally.event_id = tally.event_id or (event.event_id if isinstance(event, RecoveredEvent) else None)
        if isinstance(event, RecoveredEvent) and (record.line, event.index, event.sha256) in done:
            continue
        tally.open += 1
        tally.refused += isinstance(event, Unrecoverable) or refusal(event) is not None
        if len(found.samples) < most:
            found.samples.append(Sample(record, event))


def _is_selected(event: RecoveredEvent | Unrecoverable, selected: Selection) -> bool:
    return not selected.by_event if isinstance(event, Unrecoverable) else selected.takes_event(event)
