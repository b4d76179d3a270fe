"""What S3 Object Lock allows and refuses for one object version (E2), as plain rules without a disk."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from auditlake.errors import S3Error

PROTECTED = "Access Denied because object protected by object lock."
"""What S3 answers to whoever touches a locked version (E2; observed: versitygw#1330, #1741)."""


class RetentionMode(StrEnum):
    """The retention modes: nobody gets around COMPLIANCE, a permission gets around GOVERNANCE (E2, documented)."""

    GOVERNANCE = "GOVERNANCE"
    COMPLIANCE = "COMPLIANCE"


@dataclass(frozen=True)
class Retention:
    """A retention: its mode, and until when (UTC) it holds."""

    mode: RetentionMode
    until: datetime


@dataclass(frozen=True)
class Version:
    """A version of an object, or a delete marker.

    `size` is in bytes, `last_modified` is UTC. `sha256` is the checksum that came with the put; None for a delete
    marker and for what was there before the bucket. A delete marker has no retention and no legal hold.
    """

    key: str
    version_id: str
    last_modified: datetime
    size: int = 0
    sha256: bytes | None = None
    retention: Retention | None = None
    legal_hold: bool = False
    is_delete_marker: bool = False

    def retained(self, now: datetime) -> Retention | None:
        """Return the retention that holds at `now`; None when there is none or its time is over."""
        return self.retention if self.retention and self.retention.until > now else None


def check_delete(version: Version, now: datetime, *, bypass_governance: bool) -> None:
    """Refuse to delete a version that is locked (E2, documented); a delete marker never is.

    A legal hold ends only by being taken off, whatever the mode and whoever asks.

    Raises:
        S3Error: AccessDenied.
    """
    name = f"The version {version.version_id} of {version.key}"
    if version.legal_hold:
        raise S3Error("AccessDenied", f"{PROTECTED} {name} is under legal hold; take the hold off first.")
    retention = version.retained(now)
    if retention is None or (retention.mode == RetentionMode.GOVERNANCE and bypass_governance):
        return
    way_out = "nobody can delete it before"
    if retention.mode == RetentionMode.GOVERNANCE:
        way_out = "before, only --bypass-governance-retention deletes it"
    raise S3Error("AccessDenied", f"{PROTECTED} {name} is retained in {_shown(retention)}; {way_out}.")


def check_retention(version: Version, new: Retention | None, now: datetime, *, bypass_governance: bool) -> None:
    """Refuse a retention that is over before it begins, or that protects less than the one that holds.

    E2, documented: COMPLIANCE may only be extended. GOVERNANCE may be extended by anybody, and shortened, removed or
    made COMPLIANCE with the bypass (the last: unverified; AWS's text asks for the permission, without an example).

    Raises:
        S3Error: InvalidArgument, AccessDenied.
    """
    if new is not None and new.until <= now:
        raise S3Error("InvalidArgument", f"The retain until date must be in the future! It came as {_time(new.until)}.")
    held = version.retained(now)
    if held is None or (held.mode == RetentionMode.GOVERNANCE and bypass_governance):
        return
    if new is None or new.mode != held.mode or new.until < held.until:
        way_out = "it can only be extended in the same mode"
        if held.mode == RetentionMode.GOVERNANCE:
            way_out += ", unless with --bypass-governance-retention"
        name = f"The version {version.version_id} of {version.key}"
        raise S3Error("AccessDenied", f"{PROTECTED} {name} is retained in {_shown(held)}; {way_out}.")


def _shown(retention: Retention) -> str:
    return f"{retention.mode} mode until {_time(retention.until)}"


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
