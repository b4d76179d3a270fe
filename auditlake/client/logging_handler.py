"""A handler for the standard library's logging: log records that carry an event are recorded as events."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from auditlake.client.event import check_names
from auditlake.errors import EventError

if TYPE_CHECKING:
    from auditlake.client.audit_client import AuditClient


class AuditHandler(logging.Handler):
    """Records `log.info("...", extra={"audit": {"event_type": ..., "actor": ...}})` as the event that `audit` says.

    The message becomes `metadata.message`. What cannot be recorded raises to whoever logged it, as `record` does.
    With `actor`, log records without `audit` are events too, of the type `log` and this actor; of these a failure is
    reported as logging reports one (`Handler.handleError`). What the client itself logs is never recorded.
    """

    def __init__(self, client: "AuditClient", *, actor: str | None = None, level: int = logging.NOTSET) -> None:
        """Record with this client."""
        super().__init__(level)
        self._client = client
        self._actor = actor

    def emit(self, record: logging.LogRecord) -> None:
        """Record one log record; raises EventError and SpoolError for one that carries an event."""
        # Recording what the sender logs about sending would make it send for ever.
        if record.name.startswith("auditlake.client") or record.thread == self._client.sender_thread:
            return
        audit = getattr(record, "audit", None)
        if audit is not None:
            try:
                self._record(record, audit)
            except EventError as error:
                raise EventError(f"extra['audit']: {error}") from None
        elif self._actor is not None:
            try:
                self._record(record, {"event_type": "log", "actor": self._actor})
            except Exception:  # noqa: BLE001 - as in every handler, a log line must not end what it tells of
                self.handleError(record)

    def _record(self, record: logging.LogRecord, audit: object) -> None:
        if not isinstance(audit, Mapping):
            raise EventError(f"expected the arguments of record, got {audit!r}.")
        check_names("", audit)
        own = audit.get("metadata")
        if own is not None and not isinstance(own, Mapping):
            raise EventError(f"metadata: expected a mapping of its members, got {own!r}.")
        metadata = {"message": record.getMessage(), "logger": record.name, "level": record.levelname}
        if record.exc_info and record.exc_info[0] is not None:
            metadata["error"] = record.exc_info[0].__qualname__
        event = {
            "timestamp": datetime.fromtimestamp(record.created, UTC),
            **audit,
            "metadata": {**metadata, **(own or {})},
        }
        self._client.record(**event)
