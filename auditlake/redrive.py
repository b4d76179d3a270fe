"""Puts failed events into the stream again: each once, with the id and the receipt that it first had.

read -> select -> leave out what the ledger holds -> repair -> check -> pack -> put -> write into the ledger. The record
goes to the stream and not to the API: posted, an event would get a new receipt and the operator's name. What was put
and not yet written into the ledger when the process dies is put once more: at most one batch, with the same ids.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from auditlake.error_store import ErrorObject, ErrorStore
from auditlake.errors import RedriveError
from auditlake.failed_records import FailedRecord, failed_records
from auditlake.ledger import Entry, Ledger
from auditlake.piped import StoppedError
from auditlake.recover import RecoveredEvent, Unrecoverable, read, recover
from auditlake.repair import Failed, Repair, with_id
from auditlake.selection import Selection
from lambda_src.receiver.delivery import Clock, Firehose, deliver
from lambda_src.receiver.packing import MAX_RECORD_BYTES, Accepted, Record, pack

BATCH_RECORDS = 500  # A1: what one PutRecordBatch takes
BATCH_BYTES = 2_500_000
"""Bytes of events at which a batch ends: with their envelopes, in base64 twice, they fit one call (A1: 4 MiB)."""
PATIENCE_S = 120.0
"""How long a batch is tried while the stream throttles or does not answer."""
MAX_REASONS = 50


@dataclass(frozen=True)
class Target:
    """The delivery stream, or the data stream that it reads, that records are put into, and with what."""

    stream: str
    firehose: Firehose


@dataclass(frozen=True)
class Doing:
    """How a redrive works: on what it puts (None only looks), with which repair, and whether it checks before.

    `checked` leaves out what this version's transform refuses, since it would only fail again. Time comes from outside.
    """

    target: Target | None
    repair: Repair | None = None
    checked: bool = True
    sample: int = 0
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[float], float] = lambda most: most
    stop: Callable[[], bool] = lambda: False
    advance: Callable[[int], None] = lambda _: None


@dataclass
class Reason:
    """Why events stay under the error prefix: how many, and where the first of them lies."""

    events: int
    first: str


@dataclass
class Summary:
    """What became of the selected events; each is in exactly one of `already`, `ready`, `sent` and `stays`.

    `ready` could be put, in a look without putting; `repaired` counts those of ready or sent that are changed.
    """

    objects: int = 0
    records: int = 0
    events: int = 0
    already: int = 0
    ready: int = 0
    sent: int = 0
    sent_records: int = 0
    repaired: int = 0
    stays: dict[str, Reason] = field(default_factory=dict)
    by_failure: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Events by error type, error code and what became of them."""
    samples: list[tuple[str, RecoveredEvent]] = field(default_factory=list)
    interrupted: bool = False

    @property
    def staying(self) -> int:
        """How many events stay under the error prefix, not put."""
        return sum(reason.events for reason in self.stays.values())


@dataclass(frozen=True)
class _Found:
    record: FailedRecord
    event: RecoveredEvent


@dataclass(frozen=True)
class _Put:
    """An event that is to be put, as it was found and as it is put."""

    found: _Found
    event: RecoveredEvent


def redrive(
    store: ErrorStore, objects: Iterable[ErrorObject], selected: Selection, ledger: Ledger, doing: Doing
) -> Summary:
    """Put the selected events of the objects again, or only look; returns what became of them.

    Raises RedriveError when the stream takes no more, StoreError when an object cannot be read; what was put until then
    is in the ledger.
    """
    summary = Summary()
    batch: list[_Found] = []
    for found in objects:
        summary.objects += 1
        done = ledger.redriven(found.key, found.version)
        with store.open(found) as stream:
            for record in failed_records(stream, found):
                if selected.takes_record(record):
                    batch += _open_events(record, selected, done, summary)
                if _is_full(batch):
                    _finish(batch, ledger, doing, summary)
                    batch = []
                if summary.interrupted or doing.stop():
                    summary.interrupted = True
                    return summary
        doing.advance(found.size)
    _finish(batch, ledger, doing, summary)
    summary.interrupted = summary.interrupted or doing.stop()
    return summary


def _open_events(
    record: FailedRecord, selected: Selection, done: set[tuple[int, int, str]], summary: Summary
) -> list[_Found]:
    """Return the selected events of a record that the ledger does not hold, and count the others."""
    opened = []
    summary.records += 1
    for event in recover(record):
        if isinstance(event, Unrecoverable):
            if not selected.by_event:
                summary.events += 1
                _stays(summary, record, event.reason)
        elif selected.takes_event(event):
            summary.events += 1
            if (record.line, event.index, event.sha256) in done:
                summary.already += 1
                _count(summary, record, "already")
            else:
                opened.append(_Found(record, event))
    return opened


def _is_full(batch: Sequence[_Found]) -> bool:
    return len(batch) >= BATCH_RECORDS or sum(len(one.event.body) for one in batch) >= BATCH_BYTES


def _finish(batch: Sequence[_Found], ledger: Ledger, doing: Doing, summary: Summary) -> None:
    """Repair, check and put a batch; one whose repair the user stops is left as it was, and `interrupted` says so."""
    try:
        repaired = _repaired(batch, doing.repair)
    except StoppedError:
        summary.interrupted = True
        return
    except RedriveError as error:
        raise RedriveError(f"{error} {_so_far(summary, doing)}") from None
    puts = []
    for found, event in zip(batch, repaired, strict=True):
        refused = event if isinstance(event, str) else _refusal(event) if doing.checked else None
        if refused is not None:
            _stays(summary, found.record, refused)
        elif not isinstance(event, str):
            puts.append(_Put(found, event))
            if len(summary.samples) < doing.sample:
                summary.samples.append((found.record.place, event))
    if doing.target is None:
        for put in puts:
            _settle(summary, put, "ready")
        summary.ready += len(puts)
    elif puts:
        _put(puts, doing.target, ledger, doing, summary)


def _repaired(batch: Sequence[_Found], repair: Repair | None) -> Sequence[RecoveredEvent | str]:
    if repair is None or not batch:
        return [one.event for one in batch]
    return repair([Failed(one.record.object.key, one.record.line, one.event) for one in batch])


def _refusal(event: RecoveredEvent) -> str | None:
    outcome = read(event.body)
    return f"The transform would refuse it again: {outcome}" if isinstance(outcome, str) else None


def _put(puts: Sequence[_Put], target: Target, ledger: Ledger, doing: Doing, summary: Summary) -> None:
    """Put events and write those that the stream took into the ledger; raises RedriveError for the others."""
    deadline = doing.monotonic() + PATIENCE_S
    clock = Clock(lambda: 0.0 if doing.stop() else deadline - doing.monotonic(), doing.sleep, doing.jitter)
    delivery = deliver(target.firehose, target.stream, _records(puts), clock)
    taken = [(puts[accepted.index], record_id) for record, record_id in delivery.taken for accepted in record.events]
    ledger.add(_entry(put, record_id, doing.now_ms()) for put, record_id in taken)
    summary.sent += len(taken)
    summary.sent_records += len(delivery.taken)
    for put, _ in taken:
        _settle(summary, put, "sent")
    if not delivery.left or doing.stop():
        return
    so_far = _so_far(summary, doing)
    if delivery.fault:
        raise RedriveError(f"The stream {target.stream} refuses records ({delivery.fault}). {so_far}")
    raise RedriveError(
        f"The stream {target.stream} did not take {len(delivery.left):,} records within {PATIENCE_S:.0f} s: it "
        f"throttles or does not answer. {so_far}"
    )


def _so_far(summary: Summary, doing: Doing) -> str:
    if doing.target is None:
        return "Mend it and run this again."
    return f"{summary.sent:,} events were put and are in the ledger; run the same command again to go on."


def _records(puts: Sequence[_Put]) -> list[Record]:
    """Make the records to put: events that shared a record share one again, as far as they belong together."""
    records: list[Record] = []
    together: list[Accepted] = []
    last: FailedRecord | None = None
    for index, put in enumerate(puts):
        if put.found.record is not last:
            records += pack(together, packing=True)
            together, last = [], put.found.record
        data, read_event = put.event.data(), read(put.event.body)
        if len(data) > MAX_RECORD_BYTES:
            records.append(
                Record(_without_envelope(put.event), (Accepted(index, put.event.event_id, data, ("", None)),))
            )
            continue
        # What the transform refuses shares no record: it would take the others with it.
        kind = (
            (f"\0{index}", None)
            if isinstance(read_event, str)
            else (
                read_event.document.event_type,
                read_event.moment.day,
            )
        )
        together.append(Accepted(index, put.event.event_id, data, kind))
    return records + pack(together, packing=True)


def _without_envelope(event: RecoveredEvent) -> bytes:
    """Return an event that was put bare and is too large for an envelope: bare again, with its id."""
    if event.has_id:
        return event.body
    try:
        return with_id(event.body, event.event_id)
    except (ValueError, RecursionError):
        return event.body


def _entry(put: _Put, record_id: str, at_ms: int) -> Entry:
    record, before = put.found.record, put.found.event
    return Entry(
        object=record.object.key,
        version=record.object.version,
        line=record.line,
        event=before.index,
        sha256=before.sha256,
        event_id=put.event.event_id,
        put_sha256=sha256(put.event.body).hexdigest(),
        record_id=record_id,
        at_ms=at_ms,
    )


def _settle(summary: Summary, put: _Put, outcome: str) -> None:
    _count(summary, put.found.record, outcome)
    summary.repaired += put.event.body != put.found.event.body


def _count(summary: Summary, record: FailedRecord, outcome: str) -> None:
    summary.by_failure[record.object.error_type, record.error_code, outcome] += 1


def _stays(summary: Summary, record: FailedRecord, reason: str) -> None:
    _count(summary, record, "stays")
    if reason not in summary.stays and len(summary.stays) >= MAX_REASONS:
        reason = "For other reasons."
    known = summary.stays.setdefault(reason, Reason(0, record.place))
    known.events += 1
