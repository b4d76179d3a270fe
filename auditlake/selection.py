"""Which failed records and events are meant: the filters of `errors` and `redrive`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from auditlake.error_store import ErrorObject
from auditlake.errors import RedriveError
from auditlake.events_input import top_level
from auditlake.failed_records import FailedRecord
from auditlake.recover import RecoveredEvent

_MARGIN = timedelta(hours=1)
"""How far the clock that stamped an object may be behind the one that stamped its records."""


@dataclass(frozen=True)
class Selection:
    """What is selected; an empty set stands for all, times are epoch milliseconds, `until_ms` is not within."""

    types: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    event_types: frozenset[str] = frozenset()
    event_ids: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None

    def takes_object(self, found: ErrorObject) -> bool:
        """Return whether an object may hold what is selected: it was written after its records arrived."""
        if self.types and found.error_type not in self.types:
            return False
        return self.since_ms is None or (found.modified + _MARGIN).timestamp() * 1000 >= self.since_ms

    def takes_record(self, record: FailedRecord) -> bool:
        """Return whether a record is selected, as far as its failure tells."""
        return (
            (not self.types or record.object.error_type in self.types)
            and (not self.codes or record.error_code in self.codes)
            and (self.since_ms is None or record.arrival_ms >= self.since_ms)
            and (self.until_ms is None or record.arrival_ms < self.until_ms)
        )

    def takes_event(self, event: RecoveredEvent) -> bool:
        """Return whether an event of a selected record is selected."""
        if self.event_ids and event.event_id not in self.event_ids:
            return False
        return not self.event_types or event_type(event.body) in self.event_types

    @property
    def by_event(self) -> bool:
        """Whether it asks what an event is, so that what is no event is not selected."""
        return bool(self.event_types or self.event_ids)


def selection(
    types: Iterable[str] | None = None,
    codes: Iterable[str] | None = None,
    event_types: Iterable[str] | None = None,
    event_ids: Iterable[str] | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Selection:
    """Read the filters as they are typed; raises RedriveError for what is no time, and for an empty range."""
    since_ms, until_ms = (None if text is None else _epoch_ms(text) for text in (since, until))
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise RedriveError(f"--since {since} is not before --until {until}, so nothing can be between them.")
    return Selection(
        types=frozenset(types or ()),
        codes=frozenset(codes or ()),
        event_types=frozenset(event_types or ()),
        event_ids=frozenset(event_ids or ()),
        since_ms=since_ms,
        until_ms=until_ms,
    )


def event_type(body: bytes) -> str | None:
    """Return the event's type as its client wrote it; None when there is none to read."""
    try:
        return msgspec.json.decode(top_level(body)["eventType"], type=str)
    except (KeyError, ValueError, RecursionError):
        return None


def _epoch_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RedriveError(
            f"{text} is no time; write a UTC date like 2026-11-24, or a time like 2026-11-24T03:00:00Z."
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
