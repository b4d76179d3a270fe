"""Makes the JSON of an event from what a service says; what is missing or cannot be JSON is refused at once."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from auditlake.client.line import MAX_EVENT_BYTES
from auditlake.errors import EventError

Members = Mapping[str, object]

_encoder = msgspec.json.Encoder()


def encode_event(
    event_id: str,
    event_type: str,
    actor: str | Members,
    timestamp: datetime,
    optional: Mapping[str, object],
    extra: Members | None,
) -> bytes:
    """Return an event as one line of JSON; raises EventError with what is wrong and what is allowed.

    Args:
        event_id: the idempotency key.
        event_type: what happened, e.g. `login.failed`.
        actor: the user's id, or the members of `actor`.
        timestamp: when it happened, with its time zone.
        optional: the other members that an event has; None stands for an absent one.
        extra: members of the service's own, beside those.
    """
    if not isinstance(event_type, str) or not event_type:
        raise EventError(f"event_type: expected a string that is not empty, got {event_type!r}.")
    if not isinstance(event_id, str) or not event_id:
        raise EventError(f"id: expected a string that is not empty, got {event_id!r}.")
    document: dict[str, object] = {
        "id": event_id,
        "eventType": event_type,
        "timestamp": _time(timestamp),
        "actor": _actor(actor),
    }
    document.update({name: value for name, value in optional.items() if value is not None})
    for name, value in (extra or {}).items():
        if name in document or name == "_id":
            raise EventError(f"extra: {name} is a member that the event has already; give it another name.")
        document[name] = value
    return _encode(document)


def _time(timestamp: datetime) -> datetime:
    if timestamp.tzinfo is None:
        raise EventError(f"timestamp: expected a time with its zone, got {timestamp}; e.g. datetime.now(UTC).")
    return timestamp.astimezone(UTC)


def _actor(actor: str | Members) -> Members:
    if isinstance(actor, Mapping):
        user = actor.get("userId")
        if isinstance(user, str) and user:
            return actor
        raise EventError(f"actor: expected a member userId that is a string and not empty, got {user!r}.")
    if isinstance(actor, str) and actor:
        return {"userId": actor}
    raise EventError(f"actor: expected a user's id or the members of actor, got {actor!r}.")


def _encode(document: Mapping[str, object]) -> bytes:
    try:
        body = _encoder.encode(document)
    except UnicodeEncodeError:
        # A lone surrogate, e.g. of a file name: as an escape it is JSON, and the row's problems will name it.
        body = json.dumps(msgspec.to_builtins(document, str_keys=True), separators=(",", ":")).encode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise EventError(
            f"The event cannot be written as JSON ({error}); give strings, numbers, lists, maps."
        ) from None
    if len(body) > MAX_EVENT_BYTES:
        raise EventError(
            f"The event takes {len(body):,} bytes and the spool holds events of {MAX_EVENT_BYTES:,}; the endpoint "
            "takes about 700 KiB: send a reference to what is large."
        )
    return body
