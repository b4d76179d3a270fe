"""Where a row belongs: `audit_type=/year=/month=/day=`."""

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from lambda_src.common.timestamps import DAY_S, date_text

OTHER = "other"


class Partition(msgspec.Struct, frozen=True):
    """The partition keys of a row, all of them text (B2)."""

    audit_type: str
    year: str
    month: str
    day: str


class PartitionRule(msgspec.Struct, frozen=True):
    """How rows are partitioned.

    The list of audit types is closed and the window of days bounded, so that no client can open the 500 partitions at
    which Firehose starts to refuse (C2, documented).
    """

    audit_types: frozenset[str]
    """Without `other`, which takes what is not listed."""
    days_back: int
    """How many days before receipt an event's own date still counts."""
    days_ahead: int
    """How many days after receipt an event's own date still counts."""

    def audit_type(self, event_type: str) -> str:
        """Give the listed type of an event: its own, or its part before the first dot; else `other`."""
        if event_type in self.audit_types:
            return event_type
        head = event_type.partition(".")[0]
        return head if head in self.audit_types else OTHER

    def partition(self, event_type: str, event_day: int | None, received_at: int) -> tuple[Partition, bool]:
        """Give the partition of an event, and whether the event is late (or early), so that receipt decided its date.

        `event_day` is in days since 1970, None for a time that no row can hold; `received_at` in milliseconds since
        1970.
        """
        received_day = received_at // (DAY_S * 1000)
        if event_day is not None and -self.days_back <= event_day - received_day <= self.days_ahead:
            return _of_day(self.audit_type(event_type), event_day), False
        return _of_day(self.audit_type(event_type), received_day), True


@lru_cache(maxsize=4096)
def _of_day(audit_type: str, day: int) -> Partition:
    return Partition(audit_type, *date_text(day).split("-"))


def rule(audit_types: Iterable[str], days_back: int, days_ahead: int) -> PartitionRule:
    """Make a rule of listed audit types and a window of days around receipt."""
    return PartitionRule(frozenset(audit_types) - {OTHER}, days_back, days_ahead)
