"""The client of a service: `AuditClient(url, spool).record(...)`.

Quick to import: the HTTP client comes with the first AuditClient.
"""

from auditlake.client.audit_client import AuditClient
from auditlake.client.clock import Clock
from auditlake.client.logging_handler import AuditHandler
from auditlake.client.operation import Operation, current_operation
from auditlake.client.put_aside import DeadLetter, dead_letters
from auditlake.client.status import SpoolStatus, pending_events, spool_status
from auditlake.errors import EventError, SpoolError, SpoolFullError

__all__ = [
    "AuditClient",
    "AuditHandler",
    "Clock",
    "DeadLetter",
    "EventError",
    "Operation",
    "SpoolError",
    "SpoolFullError",
    "SpoolStatus",
    "current_operation",
    "dead_letters",
    "pending_events",
    "spool_status",
]
