"""What `auditlake objects` shows of the local bucket, and the retention that `auditlake object` reads."""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from auditlake.errors import AuditlakeError
from auditlake.runtime.bucket import Listed, LocalBucket
from auditlake.runtime.object_lock import Retention, RetentionMode


def listing(bucket: LocalBucket, prefix: str, *, versions: bool) -> list[dict[str, Any]]:
    """Return the objects whose key starts with `prefix`, or all versions and delete markers; raises StoreError.

    Sizes are in bytes, times in UTC; `file` is where the bytes are.
    """
    return [_entry(bucket, listed) for listed in bucket.objects(prefix, versions=versions)]


def _entry(bucket: LocalBucket, listed: Listed) -> dict[str, Any]:
    version = listed.version
    retention = version.retention
    return {
        "key": version.key,
        "version_id": version.version_id,
        "is_latest": listed.is_latest,
        "is_delete_marker": version.is_delete_marker,
        "size": version.size,
        "last_modified": time_text(version.last_modified),
        "checksum_sha256": base64.b64encode(version.sha256).decode("ascii") if version.sha256 else None,
        "mode": retention.mode.value if retention else None,
        "retain_until": time_text(retention.until) if retention else None,
        "legal_hold": version.legal_hold,
        "file": None if version.is_delete_marker else str(bucket.body(listed)),
    }


def table(entries: Iterable[dict[str, Any]]) -> Table:
    """Return the listing as a table for people."""
    shown = Table()
    for name in ("key", "bytes", "version id", "is", "mode", "retain until", "legal hold"):
        shown.add_column(name, overflow="fold")  # a key or an id that is cut off is none
    for entry in entries:
        kind = "delete marker" if entry["is_delete_marker"] else "current" if entry["is_latest"] else "noncurrent"
        hold = "on" if entry["legal_hold"] else ""
        size = "" if entry["is_delete_marker"] else f"{entry['size']:,}"
        shown.add_row(
            entry["key"],
            size,
            entry["version_id"],
            kind,
            entry["mode"] or "",
            entry["retain_until"] or "",
            hold,
        )
    return shown


def time_text(moment: datetime) -> str:
    """Return a time as `2026-11-24T03:00:00Z`, in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_retention(mode: str, until: str) -> Retention:
    """Read a retention mode and a date or time of ISO 8601, UTC unless it says otherwise; raises AuditlakeError."""
    if mode not in list(RetentionMode):
        raise AuditlakeError(f"{mode} is no retention mode; there are: {', '.join(RetentionMode)}.")
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise AuditlakeError(f"{until} is no date, e.g. 2030-01-01 or 2030-01-01T12:00:00Z") from None
    return Retention(RetentionMode(mode), (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC))
