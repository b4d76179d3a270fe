"""What Object Lock allows and refuses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from auditlake.errors import S3Error
from auditlake.runtime.object_lock import Retention, RetentionMode, Version, check_delete, check_retention

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
DAY = timedelta(days=1)
GOVERNANCE, COMPLIANCE = RetentionMode.GOVERNANCE, RetentionMode.COMPLIANCE
FREE = Version("k", "v", NOW - DAY)


def retained(mode: RetentionMode, until: datetime) -> Version:
    """A version under retention."""
    return replace(FREE, retention=Retention(mode, until))


def test_a_version_without_a_lock_can_be_deleted() -> None:
    """Nothing protects what has neither retention nor hold, and never a delete marker."""
    check_delete(FREE, NOW, bypass_governance=False)
    check_delete(Version("k", "m", NOW, is_delete_marker=True), NOW, bypass_governance=False)


@pytest.mark.parametrize("bypass", [False, True])
def test_compliance_is_refused_to_everybody_until_its_time_is_over(bypass: bool) -> None:
    """E2: COMPLIANCE knows no bypass; at the moment it ends the version can be deleted."""
    with pytest.raises(S3Error, match="nobody can delete it before") as caught:
        check_delete(retained(COMPLIANCE, NOW + DAY), NOW, bypass_governance=bypass)
    assert caught.value.code == "AccessDenied"
    assert "Access Denied because object protected by object lock." in str(caught.value)

    check_delete(retained(COMPLIANCE, NOW), NOW, bypass_governance=bypass)


def test_governance_gives_way_to_the_bypass_only() -> None:
    """E2: GOVERNANCE protects from whoever does not ask for the bypass."""
    with pytest.raises(S3Error, match="only --bypass-governance-retention deletes it"):
        check_delete(retained(GOVERNANCE, NOW + DAY), NOW, bypass_governance=False)
    check_delete(retained(GOVERNANCE, NOW + DAY), NOW, bypass_governance=True)


@pytest.mark.parametrize("version", [FREE, retained(GOVERNANCE, NOW + DAY), retained(COMPLIANCE, NOW - DAY)])
def test_a_legal_hold_protects_whatever_the_retention(version: Version) -> None:
    """E2: a hold is independent of retention and has no bypass."""
    with pytest.raises(S3Error, match="is under legal hold; take the hold off first") as caught:
        check_delete(replace(version, legal_hold=True), NOW, bypass_governance=True)
    assert caught.value.code == "AccessDenied"


@pytest.mark.parametrize("bypass", [False, True])
@pytest.mark.parametrize(
    "new",
    [None, Retention(COMPLIANCE, NOW + DAY), Retention(GOVERNANCE, NOW + 9 * DAY), Retention(GOVERNANCE, NOW + DAY)],
)
def test_compliance_is_never_shortened_removed_or_weakened(new: Retention | None, bypass: bool) -> None:
    """E2: of COMPLIANCE there is no way back, whoever asks."""
    with pytest.raises(S3Error, match="it can only be extended in the same mode") as caught:
        check_retention(retained(COMPLIANCE, NOW + 2 * DAY), new, NOW, bypass_governance=bypass)
    assert caught.value.code == "AccessDenied"


@pytest.mark.parametrize("mode", list(RetentionMode))
@pytest.mark.parametrize("days", [2, 3])
def test_either_mode_can_be_extended_by_anybody(mode: RetentionMode, days: int) -> None:
    """E2: as long or longer in the same mode needs no permission to bypass."""
    check_retention(retained(mode, NOW + 2 * DAY), Retention(mode, NOW + days * DAY), NOW, bypass_governance=False)


@pytest.mark.parametrize("new", [None, Retention(GOVERNANCE, NOW + DAY), Retention(COMPLIANCE, NOW + 9 * DAY)])
def test_governance_is_changed_with_the_bypass_only(new: Retention | None) -> None:
    """E2: shorter, none, or COMPLIANCE (unverified) needs the bypass."""
    held = retained(GOVERNANCE, NOW + 2 * DAY)
    with pytest.raises(S3Error, match="unless with --bypass-governance-retention"):
        check_retention(held, new, NOW, bypass_governance=False)
    check_retention(held, new, NOW, bypass_governance=True)


@pytest.mark.parametrize("new", [None, Retention(GOVERNANCE, NOW + DAY), Retention(COMPLIANCE, NOW + DAY)])
def test_what_is_over_binds_nobody(new: Retention | None) -> None:
    """A retention whose time is over can be replaced or removed."""
    check_retention(retained(COMPLIANCE, NOW), new, NOW, bypass_governance=False)
    check_retention(FREE, new, NOW, bypass_governance=False)


@pytest.mark.parametrize("version", [FREE, retained(GOVERNANCE, NOW + DAY)])
def test_a_retention_cannot_begin_over(version: Version) -> None:
    """Until now or earlier is refused, with the bypass as without."""
    for until in (NOW, NOW - DAY):
        with pytest.raises(S3Error, match="must be in the future") as caught:
            check_retention(version, Retention(GOVERNANCE, until), NOW, bypass_governance=True)
        assert caught.value.code == "InvalidArgument"
