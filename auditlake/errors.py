"""The errors that a user sees.

AuditlakeError
├── PlanError      the Terraform plan cannot be run as it is
├── StoreError     an object cannot be written or read
│   ├── ObjectExistsError  other bytes are stored under the object's key
│   └── S3Error    the bucket refuses a request as S3 does
├── QueryError     a query cannot be run
├── SendError      events cannot be sent
├── MappingError   a mapping file is wrong
├── RedriveError   failed records cannot be put again
├── ReconcileError what was sent cannot be compared with what was stored
├── EventError     an event cannot be recorded as it is
├── SpoolError     a client's spool cannot be written or read
│   └── SpoolFullError
└── ControlError   the running runtime does not answer as asked
"""


class AuditlakeError(Exception):
    """Something the user can mend; its message is a whole sentence, and the CLI exits with 1."""


class PlanError(AuditlakeError):
    """The Terraform plan is no plan, lacks something, or holds what the runtime does not implement."""


class StoreError(AuditlakeError):
    """An object cannot be written to the store or read from it."""


class ObjectExistsError(StoreError):
    """Other bytes are stored under an object's key, and are not overwritten."""


class S3Error(StoreError):
    """The bucket refuses a request as S3 does; `code` is S3's error code, e.g. AccessDenied."""

    def __init__(self, code: str, message: str) -> None:
        """Say what was refused and why; `message` is whole sentences."""
        super().__init__(f"{code}: {message}")
        self.code = code


class QueryError(AuditlakeError):
    """A query, its parameters, or the data it reads is wrong."""


class SendError(AuditlakeError):
    """The events cannot be read, or the endpoint cannot be reached or refuses all of them."""


class MappingError(AuditlakeError):
    """A mapping file is not a mapping, or one of its expressions is wrong."""


class RedriveError(AuditlakeError):
    """Failed records cannot be put again: the ledger, the stream or the user's command does not do its part."""


class ReconcileError(AuditlakeError):
    """What was sent cannot be read, or cannot be compared with what was stored."""


class ControlError(AuditlakeError):
    """The running runtime cannot be reached, or does not do what it was asked."""


class EventError(AuditlakeError, ValueError):
    """An event lacks something, or holds what JSON cannot; nothing of it is recorded."""


class SpoolError(AuditlakeError):
    """The spool cannot be written or read; an event that was being recorded is not acknowledged."""


class SpoolFullError(SpoolError):
    """The spool holds as many bytes as it may; the event is not recorded."""
