"""Records an operation with its outcome: as a context manager, or as a decorator of a (coroutine) function."""

import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import ParamSpec, Protocol, Self, TypeVar

import msgspec

from auditlake.client.event import check_names, encode_arguments
from auditlake.client.line import MAX_EVENT_BYTES
from auditlake.errors import EventError

P = ParamSpec("P")
R = TypeVar("R")

_LATER = "?"  # stands for an actor that a function will say
_ANY_ID = "0" * 36
_ANY_TIME = datetime(2000, 1, 1, microsecond=1, tzinfo=UTC)
_NAME_CHARACTERS = 200  # of an exception's class
_OUTCOME_BYTES = 4096  # kept free for the outcome: the name's characters escaped, a number, the members' names

_log = logging.getLogger("auditlake.client")


class Recorder(Protocol):
    """What records an event by the arguments of `AuditClient.record`."""

    @property
    def record(self) -> Callable[..., str]:
        """Record; returns the event's id."""

    @property
    def arecord(self) -> Callable[..., Awaitable[str]]:
        """Record without keeping the event loop."""


class Operation:
    """One operation; what becomes known while it runs is added by `set`.

    A context manager for `with` and `async with`, used once; a decorator that makes a new one for each call.
    """

    def __init__(self, client: Recorder, event: Mapping[str, object]) -> None:
        """Take the arguments of `record`, `actor` also as a function; raises EventError for what it would refuse."""
        self._client = client
        self._actor = event["actor"] if callable(event["actor"]) else None
        self._event = _checked("operation", {}, event if self._actor is None else {**event, "actor": _LATER})
        self._began = 0.0

    def set(self, **event: object) -> None:
        """Add arguments of `record`, as they are now; members of a mapping are added to those that are there.

        Raises EventError for what record would refuse; then nothing of this call is added.
        """
        self._event = _checked("set", self._event, event)

    def __enter__(self) -> Self:
        if self._actor is not None:
            self.set(actor=self._actor())
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._client.record(**self._ended(error))
        except Exception as unrecorded:
            if error is None:
                raise
            self._not_recorded(error, unrecorded)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._client.arecord(**self._ended(error))
        except Exception as unrecorded:
            if error is None:
                raise
            self._not_recorded(error, unrecorded)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Record each call of a function; raises EventError for a generator function, whose call does no work yet."""
        if _is_function(function, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
            raise EventError(
                f"{_name(function)} is a generator function: its body runs when it is iterated, after its call would "
                "have been recorded; do not decorate it, use `with client.operation(...)` in its body."
            )
        if not callable(function):
            raise EventError(f"operation: expected a function to decorate, got {function!r}.")
        if _is_function(function, inspect.iscoroutinefunction):

            @functools.wraps(function)
            async def recorded_coroutine(*args: P.args, **kwargs: P.kwargs) -> object:
                async with self._for_call(args, kwargs) as operation:
                    with _Current(operation):
                        return await function(*args, **kwargs)  # type: ignore[misc]  # it is one

            return recorded_coroutine  # type: ignore[return-value]  # a coroutine function for a coroutine function

        @functools.wraps(function)
        def recorded(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._for_call(args, kwargs) as operation, _Current(operation):
                return function(*args, **kwargs)

        return recorded

    def _for_call(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> "Operation":
        if self._actor is None:
            return Operation(self._client, self._event)
        return Operation(self._client, {**self._event, "actor": self._actor(*args, **kwargs)})

    def _ended(self, error: BaseException | None) -> dict[str, object]:
        """Return the event with how the operation ended; the message of an exception may be secret and stays out."""
        metadata: dict[str, object] = {"durationMs": round((time.monotonic() - self._began) * 1000, 3)}
        if error is not None:
            metadata["error"] = type(error).__qualname__[:_NAME_CHARACTERS]
        action = {"status": "success" if error is None else "failure"}
        return _merged(self._event, {"action": action, "metadata": metadata})

    def _not_recorded(self, error: BaseException, unrecorded: Exception) -> None:
        """Let the operation's own exception go on, and say that it is not in the log."""
        error.add_note(f"This operation is not in the audit log: {unrecorded}")
        _log.error("The operation %s is not in the audit log: %s", self._event["event_type"], unrecorded)


def _checked(where: str, there: Mapping[str, object], event: Mapping[str, object]) -> dict[str, object]:
    """Return the event with what was added; raises EventError unless it can be recorded with any outcome.

    The values are copied: what the caller does to them later would be found when the work is done, too late to say.
    """
    check_names(where, event, required=())
    merged = _merged(there, event)
    encode_arguments(_ANY_ID, _ANY_TIME, merged, MAX_EVENT_BYTES - _OUTCOME_BYTES)
    for name in event.keys() - {"timestamp"}:
        merged[name] = msgspec.to_builtins(merged[name], str_keys=True)
    return merged


def _merged(there: Mapping[str, object], event: Mapping[str, object]) -> dict[str, object]:
    merged = dict(there)
    for name, value in event.items():
        before = there.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[name] = {**before, **value} if both else value  # type: ignore[dict-item]  # both are mappings
    return merged


def _is_function(function: object, *kinds: Callable[[object], bool]) -> bool:
    """Tell whether a function is of a kind, also behind a partial, a static method or an object that is called."""
    while isinstance(function, functools.partial | staticmethod):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    call = getattr(type(function), "__call__", None)  # noqa: B004 - the function is wanted, not whether there is one
    return any(kind(one) for kind in kinds for one in (function, call))


def _name(function: object) -> str:
    return getattr(function, "__qualname__", None) or repr(function)


_current: ContextVar[Operation | None] = ContextVar("auditlake_operation", default=None)


class _Current:
    """While entered, `current_operation` returns this operation."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        self._token = _current.set(self._operation)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def current_operation() -> Operation:
    """Return the operation of the decorated function that runs, to add to it; raises LookupError outside of one."""
    operation = _current.get()
    if operation is None:
        raise LookupError("No operation runs here: decorate the function with client.operation(...).")
    return operation
