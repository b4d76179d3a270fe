"""What becomes of a request: each event is rejected with a reason, durable in the stream, or to be sent again."""

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from lambda_src.common.envelope import Envelope, encode
from lambda_src.common.event import read_event
from lambda_src.common.fields import RefusedError
from lambda_src.receiver.body import event_bodies
from lambda_src.receiver.delivery import Clock, Firehose, deliver
from lambda_src.receiver.event_id import new_event_id
from lambda_src.receiver.packing import MAX_RECORD_BYTES, Accepted, pack
from lambda_src.receiver.request import Request


@dataclass(frozen=True)
class ReceiverSettings:
    """How the receiver works."""

    stream: str
    packing: bool


@dataclass(frozen=True)
class Rejected:
    """An event that is refused whatever one does, until its sender mends it."""

    index: int
    id: str | None
    reason: str
    status: HTTPStatus
    """What the request is answered with when it holds nothing else."""


@dataclass(frozen=True)
class Outcome:
    """What became of each event of a request, each list in the request's order.

    Every index is in exactly one of the first three.
    """

    durable: list[tuple[Accepted, str]]
    """With the RecordId of the record it is in."""
    rejected: list[Rejected]
    retry: list[Accepted]
    """Not in the stream, or not known to be: to be sent again."""
    fault: str | None
    """The stream's client fault, when that is why events have to be sent again."""
    assigned: dict[int, str]
    """The ids of the events that came without one."""
    conflicting: list[Accepted]
    """Events under whose id the request holds other bytes: each is stored, and none hides another."""


class _Ids(msgspec.Struct):
    id: str | None = None
    underscore_id: str | None = msgspec.field(default=None, name="_id")


_IDS = msgspec.json.Decoder(_Ids)


def receive(request: Request, settings: ReceiverSettings, firehose: Firehose, clock: Clock) -> Outcome:
    """Put the events of a request into the stream; raises Problem when the request is refused as a whole.

    An event that stands there twice, with the same id and the same bytes, is put once and answered twice alike.
    """
    read, rejected, assigned = _read(request)
    alike: dict[tuple[str, bytes], list[Accepted]] = {}
    for event, body in read:
        alike.setdefault((event.id, body), []).append(event)
    versions = Counter(event_id for event_id, _ in alike)
    conflicting = [event for event, _ in read if versions[event.id] > 1]

    repeats = {events[0].index: events for events in alike.values()}
    records = pack((events[0] for events in alike.values()), settings.packing)
    delivery = deliver(firehose, settings.stream, records, clock)
    taken = {event.index: record_id for record, record_id in delivery.taken for event in record.events}
    durable = [(event, taken[first]) for first, events in repeats.items() if first in taken for event in events]
    retry = [event for first, events in repeats.items() if first not in taken for event in events]
    durable.sort(key=lambda pair: pair[0].index)
    retry.sort(key=lambda event: event.index)
    return Outcome(durable, rejected, retry, delivery.fault, assigned, conflicting)


def _read(request: Request) -> tuple[list[tuple[Accepted, bytes]], list[Rejected], dict[int, str]]:
    """Read the events of a request: those that can be stored, each with its bytes, the others, and the ids made."""
    accepted: list[tuple[Accepted, bytes]] = []
    rejected: list[Rejected] = []
    assigned: dict[int, str] = {}
    for index, body in enumerate(event_bodies(request)):
        try:
            event = read_event(body)
        except RefusedError as refusal:
            rejected.append(Rejected(index, _client_id(body), str(refusal), HTTPStatus.BAD_REQUEST))
            continue
        event_id = event.id or _new_id(request)
        envelope = encode(
            Envelope(event_id, request.request_id, request.received_at, request.source_ip, request.principal, body)
        )
        if len(envelope) > MAX_RECORD_BYTES:
            rejected.append(Rejected(index, event.id, _too_large(len(envelope)), HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
            continue
        if event.id is None:
            assigned[index] = event_id
        accepted.append((Accepted(index, event_id, envelope, (event.document.event_type, event.moment.day)), body))
    return accepted, rejected, assigned


def _new_id(request: Request) -> str:
    """Give POST /events the id that the direct integration gives, so that both modes keep one contract."""
    return request.request_id if request.single else new_event_id(request.received_at)


def _client_id(body: bytes) -> str | None:
    """Give the id of a refused event, when it can be read, so that its sender finds it again."""
    try:
        ids = _IDS.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return ids.id or ids.underscore_id


def _too_large(size: int) -> str:
    return (
        f"The event takes {size:,} bytes in its envelope and a record of the stream holds {MAX_RECORD_BYTES:,}, "
        "which is about 700 KiB of event: send a smaller event, with a reference to what is large."
    )
