"""Packing: events of one type and day share a record, because Firehose bills each record rounded up to 5 KB.

Type and day, with the day of receipt that a request has, decide the partition whatever the settings are. Packed by the
partition itself, a record in flight would fall apart when the listed types or the window change, and fail whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass

MAX_RECORD_BYTES = 1_024_000
"""What a record may hold before base64 (A1, documented)."""
PACKED_BYTES = 256 * 1024
"""How large a shared record may grow. At 256 KiB the rounding costs at most 2% and larger records would gain nothing;
the rows of one, five times as large at worst, fit into the transform's answer (B3) several times."""


@dataclass(frozen=True)
class Accepted:
    """An event on its way into the stream."""

    index: int
    """Its place in the request."""
    id: str
    envelope: bytes
    kind: tuple[str, int | None]
    """Its event type and its day (days since 1970; None when its time is no timestamp)."""


@dataclass(frozen=True)
class Record:
    """What is put into the stream as one record."""

    data: bytes
    events: tuple[Accepted, ...]


def pack(events: Iterable[Accepted], packing: bool) -> list[Record]:
    """Make records of enveloped events, each within `MAX_RECORD_BYTES` already; without packing one for each.

    The envelopes of a record stand one a line (D2, documented: a record may hold several documents).
    """
    if not packing:
        return [Record(event.envelope, (event,)) for event in events]
    records = []
    open_records: dict[tuple[str, int | None], tuple[list[Accepted], int]] = {}
    for event in events:
        together, size = open_records.get(event.kind, ([], 0))
        grown = size + len(b"\n") + len(event.envelope)
        if together and grown > PACKED_BYTES:
            records.append(_record(together))
            together, grown = [], len(event.envelope)
        together.append(event)
        open_records[event.kind] = (together, grown)
    records.extend(_record(together) for together, _ in open_records.values())
    return records


def _record(events: list[Accepted]) -> Record:
    return Record(b"\n".join(event.envelope for event in events), tuple(events))
