"""Makes the JSON of an event from what a service says; what is missing or cannot be JSON is refused at once."""

import functools
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

import msgspec

from auditlake.client.line import MAX_EVENT_BYTES
from auditlake.errors import EventError

P = ParamSpec("P")
R = TypeVar("R")
Members = Mapping[str, object]

REQUIRED = ("event_type", "actor")
ARGUMENTS = (
    *REQUIRED,
    "action",
    "entity_type",
    "entity_id",
    "request_id",
    "context",
    "details",
    "metadata",
    "timestamp",
    "event_id",
    "extra",
)
"""The arguments of `AuditClient.record`."""
_MAPPINGS = ("action", "context", "details", "metadata")
_KNOWN = frozenset(ARGUMENTS)

_encoder = msgspec.json.Encoder()


def by_name(function: Callable[P, R]) -> Callable[P, R]:
    """Have a method that takes the arguments of `record` raise EventError for a wrong call, and not TypeError."""
    name = function.__name__

    @functools.wraps(function)
    def checked(*args: P.args, **event: P.kwargs) -> R:
        if len(args) > 1:
            raise EventError(f"{name}: give each argument by its name, e.g. event_type='login', actor='ana'.")
        check_names(name, event)
        return function(*args, **event)

    return checked


def check_names(where: str, event: Mapping[str, object], required: tuple[str, ...] = REQUIRED) -> None:
    """Raise EventError, which begins with `where`, unless these are arguments of `record` and none is missing."""
    where = f"{where}: " if where else ""
    if not event.keys() <= _KNOWN:
        unknown = " and ".join(str(name) for name in event if name not in _KNOWN)
        are = "is" if len(event.keys() - _KNOWN) == 1 else "are"
        raise EventError(f"{where}{unknown} {are} not known; allowed are {', '.join(ARGUMENTS)}.")
    missing = [name for name in required if name not in event]
    if missing:
        raise EventError(f"{where}{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.")


def encode_event(
    event_id: str,
    event_type: str,
    actor: str | Members,
    timestamp: datetime,
    optional: Mapping[str, object],
    extra: Members | None,
    max_bytes: int = MAX_EVENT_BYTES,
) -> bytes:
    """Return an event as one line of JSON; raises EventError with what is wrong and what is allowed.

    Args:
        event_id: the idempotency key.
        event_type: what happened, e.g. `login.failed`.
        actor: the user's id, or the members of `actor`.
        timestamp: when it happened, with its time zone.
        optional: the other members that an event has; None stands for an absent one.
        extra: members of the service's own, beside those.
        max_bytes: how large the line may be.
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
    for name in _MAPPINGS:
        _check_mapping(name, optional.get(name))
    _check_mapping("extra", extra)
    for name, value in (extra or {}).items():
        if name in document or name == "_id":
            raise EventError(f"extra: {name} is a member that the event has already; give it another name.")
        document[name] = value
    return _encode(document, max_bytes)


def encode_arguments(event_id: str, timestamp: datetime, event: Mapping[str, object], max_bytes: int) -> bytes:
    """Return the event that arguments of `record` say, as `encode_event` does; the id and time of `event` win."""
    optional = {
        "action": event.get("action"),
        "entityType": event.get("entity_type"),
        "entityId": event.get("entity_id"),
        "requestId": event.get("request_id"),
        "context": event.get("context"),
        "details": event.get("details"),
        "metadata": event.get("metadata"),
    }
    said_id, said_time = event.get("event_id"), event.get("timestamp")
    return encode_event(
        event_id if said_id is None else said_id,  # type: ignore[arg-type]  # encode_event checks all of them
        event["event_type"],  # type: ignore[arg-type]
        event["actor"],  # type: ignore[arg-type]
        timestamp if said_time is None else said_time,  # type: ignore[arg-type]
        optional,
        event.get("extra"),  # type: ignore[arg-type]
        max_bytes,
    )


def _check_mapping(name: str, value: object) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise EventError(f"{name}: expected a mapping of its members, got {value!r}.")


def _time(timestamp: datetime) -> datetime:
    if not isinstance(timestamp, datetime):
        raise EventError(f"timestamp: expected a datetime with its zone, got {timestamp!r}; e.g. datetime.now(UTC).")
    if timestamp.tzinfo is None:
        raise EventError(f"timestamp: expected a time with its zone, got {timestamp}; e.g. datetime.now(UTC).")
    try:
        return timestamp.astimezone(UTC)
    except OverflowError:
        raise EventError(f"timestamp: {timestamp} cannot be in UTC, whose years are 1 to 9999.") from None


def _actor(actor: str | Members) -> Members:
    if isinstance(actor, Mapping):
        user = actor.get("userId")
        if isinstance(user, str) and user:
            return actor
        raise EventError(f"actor: expected a member userId that is a string and not empty, got {user!r}.")
    if isinstance(actor, str) and actor:
        return {"userId": actor}
    raise EventError(f"actor: expected a user's id or the members of actor, got {actor!r}.")


def _encode(document: Mapping[str, object], max_bytes: int) -> bytes:
    try:
        body = _encoder.encode(document)
        if b"null" in body:  # the encoder writes NaN and infinity so
            _check_finite(msgspec.to_builtins(document, str_keys=True), "")
    except UnicodeEncodeError:
        # A lone surrogate, e.g. of a file name: as an escape it is JSON, and the row's problems will name it.
        plain = msgspec.to_builtins(document, str_keys=True)
        _check_finite(plain, "")
        body = json.dumps(plain, separators=(",", ":")).encode()
    except EventError:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise EventError(
            f"The event cannot be written as JSON ({error}); give strings, numbers, lists, maps."
        ) from None
    if len(body) > max_bytes:
        raise EventError(
            f"The event takes {len(body):,} bytes and the spool holds events of {max_bytes:,}; the endpoint "
            "takes about 700 KiB: send a reference to what is large."
        )
    return body


def _check_finite(value: object, path: str) -> None:
    """Raise EventError for a number that JSON has not; `path` says where it stands."""
    if isinstance(value, float) and not math.isfinite(value):
        raise EventError(f"{path}: expected a number that JSON has, got {value}; leave it out, or give a string.")
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_finite(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            _check_finite(inner, f"{path}[{position}]")
