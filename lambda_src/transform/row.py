"""The row of table `events` that an event becomes; its fields are the columns of glue/events.schema.json."""

from hashlib import sha256

import msgspec

from lambda_src.common.event import Action, ChangedField, Context, Event
from lambda_src.common.timestamps import from_epoch_ms


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What the server knows about an event."""

    event_id: str
    """The id of an event that has none of its own."""
    received_at: int
    """Milliseconds since 1970, UTC."""
    request_id: str | None = None
    source_ip: str | None = None
    principal: str | None = None


class ActorColumn(msgspec.Struct, omit_defaults=True, gc=False):
    """Column `actor`."""

    role: str | None = None


class ActionColumn(msgspec.Struct, omit_defaults=True, gc=False):
    """Column `action`."""

    resource: str | None = None


class ContextColumn(msgspec.Struct, omit_defaults=True, gc=False):
    """Column `context`."""

    user_agent: str | None = None


class DetailsColumn(msgspec.Struct, omit_defaults=True, gc=False):
    """Column `details`."""

    entity_type: str | None = None
    entity_id: str | None = None
    change_type: str | None = None
    changes: list[ChangedField] | None = None


class Row(msgspec.Struct, omit_defaults=True, gc=False):
    """One row, in the order of the schema's columns; what is None is left out, which reads as null (D5, probed)."""

    event_id: str
    event_type: str
    event_time: str | None = None
    received_at: str | None = None
    actor_user_id: str | None = None
    action_operation: str | None = None
    action_status: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    ip_address: str | None = None
    source: str | None = None
    request_id: str | None = None
    principal: str | None = None
    source_ip: str | None = None
    api_request_id: str | None = None
    late: bool | None = None
    actor: ActorColumn | None = None
    action: ActionColumn | None = None
    context: ContextColumn | None = None
    details: DetailsColumn | None = None
    metadata: str | None = None
    problems: list[str] | None = None
    raw: str | None = None
    raw_sha256: str | None = None


_NO_ACTION = Action()
_NO_CONTEXT = Context()
_ENCODER = msgspec.json.Encoder()


def row_json(event: Event, body: bytes, receipt: Receipt, late: bool) -> bytes:
    """Write an event, read from the exact bytes `body`, as the JSON text of its row, without a newline."""
    document, actor = event.document, event.document.actor
    action = document.action or _NO_ACTION
    context = document.context or _NO_CONTEXT
    details = document.details
    # By position, in the order of Row: by keyword a struct takes five times as long to make.
    row = Row(
        event.id or receipt.event_id,
        document.event_type,
        event.moment.text,
        from_epoch_ms(receipt.received_at),
        actor.user_id,
        action.operation,
        action.status,
        document.entity_type,
        document.entity_id,
        context.ip_address,
        event.source,
        document.request_id,
        receipt.principal,
        receipt.source_ip,
        receipt.request_id,
        late,
        None if actor.role is None else ActorColumn(actor.role),
        None if action.resource is None else ActionColumn(action.resource),
        None if context.user_agent is None else ContextColumn(context.user_agent),
        None
        if details is None
        else DetailsColumn(details.entity_type, details.entity_id, details.change_type, event.changes),
        event.metadata,
        event.problems,
        event.raw,
        sha256(body).hexdigest(),
    )
    return _ENCODER.encode(row)
