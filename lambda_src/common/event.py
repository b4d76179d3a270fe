"""The audit event: what is required, what is read, and what its problems are."""

from typing import Annotated

import msgspec
import pybase64

from lambda_src.common import timestamps
from lambda_src.common.fields import MAX_PROBLEMS, Fields, RefusedError, parse_object, readable
from lambda_src.common.timestamps import Moment

_NotEmpty = Annotated[str, msgspec.Meta(min_length=1)]
_NOTHING = msgspec.Raw(b"null")


class Actor(msgspec.Struct, rename="camel", gc=False):
    """Who did it."""

    user_id: _NotEmpty
    role: str | None = None


class Action(msgspec.Struct, rename="camel", gc=False):
    """What was done, and how it ended."""

    resource: str | None = None
    operation: str | None = None
    status: str | None = None


class Context(msgspec.Struct, rename="camel", gc=False):
    """Where it was done from, as the client reports it."""

    ip_address: str | None = None
    user_agent: str | None = None


class Change(msgspec.Struct, rename="camel", gc=False):
    """One changed field as it is sent; the values are any JSON."""

    field: str | None = None
    old_value: msgspec.Raw = _NOTHING
    new_value: msgspec.Raw = _NOTHING


class ChangedField(msgspec.Struct, omit_defaults=True, gc=False):
    """One changed field; a value that was no string is its JSON text as it was sent."""

    field: str | None = None
    old_value: str | None = None
    new_value: str | None = None


class Details(msgspec.Struct, rename="camel", gc=False):
    """What changed."""

    entity_type: str | None = None
    entity_id: str | None = None
    change_type: str | None = None
    changes: list[Change] | None = None


class Document(msgspec.Struct, rename="camel", gc=False):
    """An event as it is sent: the fields that are read, with their types."""

    event_type: _NotEmpty
    timestamp: str
    actor: Actor
    id: _NotEmpty | None = None
    underscore_id: _NotEmpty | None = msgspec.field(default=None, name="_id")
    action: Action | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    request_id: str | None = None
    context: Context | None = None
    details: Details | None = None
    metadata: msgspec.Raw = _NOTHING


class Event(msgspec.Struct, gc=False):
    """An accepted event."""

    document: Document
    id: str | None
    """The client's idempotency key; None when it sent none."""
    moment: Moment
    """When it happened."""
    changes: list[ChangedField] | None
    metadata: str | None
    """JSON text of the metadata object as it was sent."""
    source: str | None
    """The metadata's `source`."""
    raw: str
    """The exact bytes as text, or as base64 when they are not UTF-8."""
    problems: list[str]
    """A sentence for each field that could not be read as it should."""


class _Metadata(msgspec.Struct, gc=False):
    source: str | None = None


_DOCUMENT = msgspec.json.Decoder(Document)
_METADATA: msgspec.json.Decoder[_Metadata | None] = msgspec.json.Decoder(_Metadata | None)
_STRING_OR_NULL: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)


def read_event(body: bytes) -> Event:
    """Read the exact bytes of an event.

    Raises `RefusedError` when they are no JSON object or when eventType, timestamp or actor.userId is missing or wrong.
    Everything else that is wrong is in the event's problems.
    """
    try:
        raw = body.decode()
        document = _DOCUMENT.decode(body)
        moment = timestamps.parse(document.timestamp)
        if moment is not None and moment.problem is None:
            metadata = _METADATA.decode(document.metadata)
            return _event(document, moment, None if metadata is None else metadata.source, raw, [])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # the slow path says what is wrong
    try:
        return _read_field_by_field(body)
    except RecursionError:
        raise RefusedError("The event is nested too deeply to be read.") from None


def _event(document: Document, moment: Moment, source: str | None, raw: str, problems: list[str]) -> Event:
    changes = None
    if document.details is not None and document.details.changes is not None:
        changes = [
            ChangedField(change.field, _value_text(change.old_value), _value_text(change.new_value))
            for change in document.details.changes
        ]
    metadata = _json_text(document.metadata)
    # By position: by keyword a struct takes five times as long to make.
    return Event(
        document,
        document.id or document.underscore_id,
        moment,
        changes,
        None if metadata == "null" else metadata,
        source,
        raw,
        problems,
    )


def _json_text(value: msgspec.Raw) -> str:
    return str(value, "utf-8")


def _value_text(value: msgspec.Raw) -> str | None:
    """Give a string as it is, null as None, and any other JSON value as its text."""
    try:
        return _STRING_OR_NULL.decode(value)
    except msgspec.ValidationError:
        return _json_text(value)


def _read_field_by_field(body: bytes) -> Event:
    """Read what can be read and say what cannot; raises RefusedError where a required field is missing or wrong."""
    text, problems = readable(body)
    fields = parse_object(text, problems)
    moment = _required_moment(fields, problems)
    actor = fields.required_object("actor")
    metadata = fields.object("metadata")
    document = Document(
        event_type=fields.required_text("eventType"),
        timestamp=fields.required_text("timestamp"),
        actor=Actor(actor.required_text("userId"), actor.text("role")),
        id=fields.key("id"),
        underscore_id=fields.key("_id"),
        action=_action(fields),
        entity_type=fields.text("entityType"),
        entity_id=fields.text("entityId"),
        request_id=fields.text("requestId"),
        context=_context(fields),
        details=_details(fields),
        metadata=_NOTHING if metadata is None else msgspec.Raw(fields.json("metadata")),
    )
    source = None if metadata is None else metadata.text("source")
    try:
        raw = body.decode()
    except UnicodeDecodeError:
        raw = pybase64.b64encode_as_string(body)
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"and {len(problems) - MAX_PROBLEMS} more"]
    return _event(document, moment, source, raw, problems)


def _required_moment(fields: Fields, problems: list[str]) -> Moment:
    moment = timestamps.parse(fields.required_text("timestamp"))
    if moment is None:
        raise RefusedError(f"timestamp: expected {timestamps.FORMS}, got a string in neither form.")
    if moment.problem is not None:
        problems.append(f"timestamp: expected a time from 1678 to 2261, got {moment.problem}")
    return moment


def _action(fields: Fields) -> Action | None:
    action = fields.object("action")
    if action is None:
        return None
    return Action(action.text("resource"), action.text("operation"), action.text("status"))


def _context(fields: Fields) -> Context | None:
    context = fields.object("context")
    return None if context is None else Context(context.text("ipAddress"), context.text("userAgent"))


def _details(fields: Fields) -> Details | None:
    details = fields.object("details")
    if details is None:
        return None
    changes = details.objects("changes")
    return Details(
        details.text("entityType"),
        details.text("entityId"),
        details.text("changeType"),
        None if changes is None else [_change(change) for change in changes],
    )


def _change(change: Fields) -> Change:
    return Change(change.text("field"), msgspec.Raw(change.json("oldValue")), msgspec.Raw(change.json("newValue")))
