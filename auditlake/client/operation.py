"""Records an operation with its outcome: as a context manager, or as a decorator of a (coroutine) function."""

import functools
import inspect
import logging
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from auditlake.errors import AuditlakeError

if TYPE_CHECKING:
    from auditlake.client.audit_client import AuditClient

P = ParamSpec("P")
R = TypeVar("R")
Actor = str | Mapping[str, object]

_log = logging.getLogger("auditlake.client")


class Operation:
    """One operation; what becomes known while it runs is added by `set`.

    A context manager for `with` and `async with`, used once; a decorator that makes a new one for each call.
    """

    def __init__(
        self,
        client: "AuditClient",
        event_type: str,
        actor: Actor | Callable[..., Actor],
        event: Mapping[str, object],
    ) -> None:
        """Name what happens and who does it; `event` are further arguments of `record`."""
        self._client = client
        self._event_type = event_type
        self._actor = actor
        self._event = dict(event)
        self._began = 0.0

    def set(self, **event: object) -> None:
        """Add arguments of `record`; members of a mapping are added to those that are there."""
        for name, value in event.items():
            there = self._event.get(name)
            merged = isinstance(there, Mapping) and isinstance(value, Mapping)
            self._event[name] = {**there, **value} if merged else value  # type: ignore[dict-item]  # both are mappings

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._outcome(error)
        if error is None:
            self._client.record(event_type=self._event_type, actor=self._who(), **self._event)  # type: ignore[arg-type]  # record checks them
            return
        try:
            self._client.record(event_type=self._event_type, actor=self._who(), **self._event)  # type: ignore[arg-type]  # as above
        except AuditlakeError as unrecorded:
            self._not_recorded(error, unrecorded)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._outcome(error)
        try:
            await self._client.arecord(event_type=self._event_type, actor=self._who(), **self._event)
        except AuditlakeError as unrecorded:
            if error is None:
                raise
            self._not_recorded(error, unrecorded)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Record each call of a function."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def recorded_coroutine(*args: P.args, **kwargs: P.kwargs) -> object:
                async with self._for_call(args, kwargs) as operation:
                    with _Current(operation):
                        return await function(*args, **kwargs)

            return recorded_coroutine  # type: ignore[return-value]  # a coroutine function for a coroutine function

        @functools.wraps(function)
        def recorded(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._for_call(args, kwargs) as operation, _Current(operation):
                return function(*args, **kwargs)

        return recorded

    def _for_call(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> "Operation":
        actor = self._actor(*args, **kwargs) if callable(self._actor) else self._actor
        return Operation(self._client, self._event_type, actor, self._event)

    def _who(self) -> Actor:
        return self._actor() if callable(self._actor) else self._actor

    def _outcome(self, error: BaseException | None) -> None:
        """Add how the operation ended and how long it took; the message of an exception may be secret and stays out."""
        self.set(
            action={"status": "success" if error is None else "failure"},
            metadata={"durationMs": round((time.monotonic() - self._began) * 1000, 3)}
            | ({} if error is None else {"error": type(error).__qualname__}),
        )

    def _not_recorded(self, error: BaseException, unrecorded: AuditlakeError) -> None:
        """Let the operation's own exception go on, and say that it is not in the log."""
        error.add_note(f"This operation is not in the audit log: {unrecorded}")
        _log.error("The operation %s is not in the audit log: %s", self._event_type, unrecorded)


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
