"""What S3 refuses: each fault, planted alone, is found once by its name."""

from typing import Any

import pytest

from auditlake.checks.storage_refusals import REFUSALS
from tests.broken_plans import Draft, Edit, both, names, put

BUCKET = "auditlake-events-123456789012"
OWN = {check.name for check in REFUSALS}


def _retention(draft: Draft, **members: Any) -> None:  # noqa: ANN401 - any JSON
    lock = draft.values("aws_s3_bucket_object_lock_configuration")
    put(lock["rule"][0]["default_retention"][0], **members)


def _rule(draft: Draft, *transitions: tuple[int, str], **members: Any) -> None:  # noqa: ANN401 - any JSON
    rule = draft.values("aws_s3_bucket_lifecycle_configuration", "events")["rule"][0]
    rule["transition"] = [{"date": None, "days": days, "storage_class": name} for days, name in transitions]
    put(rule, **members)


def _versioning(draft: Draft, status: str) -> None:
    put(draft.values("aws_s3_bucket_versioning")["versioning_configuration"][0], status=status)


def _locked_later(draft: Draft) -> None:
    """Have the lock configured on a bucket that was not made with it."""
    put(draft.values("aws_s3_bucket", ".events"), object_lock_enabled=False)


def _expires(days: int) -> list[dict[str, Any]]:
    return [{"date": None, "days": days, "expired_object_delete_marker": False}]


FAULTS: list[tuple[str, Edit]] = [
    ("object-lock-without-versioning", both(lambda d: _locked_later(d), lambda d: _versioning(d, "Suspended"))),
    ("object-lock-without-versioning", both(lambda d: _locked_later(d), lambda d: d.drop("aws_s3_bucket_versioning"))),
    ("versioning-of-locked-bucket", lambda d: _versioning(d, "Suspended")),
    ("object-lock-mode", lambda d: _retention(d, mode="LEGAL")),
    ("object-lock-period", lambda d: _retention(d, years=1)),
    ("object-lock-period", lambda d: _retention(d, days=None)),
    ("object-lock-period", lambda d: _retention(d, days=0)),
    ("object-lock-period", lambda d: _retention(d, days=0, years=0)),
    ("object-lock-period", lambda d: _retention(d, days=0, years=101)),
    ("object-lock-period", lambda d: _retention(d, days=36501)),
    ("object-lock-period", lambda d: _retention(d, days=None, years=101)),
    ("access-logs-into-locked-bucket", lambda d: d.add("aws_s3_bucket_logging", bucket="web", target_bucket=BUCKET)),
    ("transition-to-infrequent-access", lambda d: _rule(d, (29, "STANDARD_IA"), (90, "GLACIER_IR"))),
    ("transition-order", lambda d: _rule(d, (30, "STANDARD_IA"), (59, "GLACIER_IR"))),
    ("transition-order", lambda d: _rule(d, (90, "GLACIER_IR"), (200, "STANDARD_IA"))),
    ("transition-order", lambda d: _rule(d, (90, "GLACIER_IR"), (200, "GLACIER_IR"))),
    ("expiration-before-transition", lambda d: _rule(d, (365, "GLACIER_IR"), expiration=_expires(365))),
    ("expiration-days", lambda d: _rule(d, expiration=_expires(0))),
]

FINE: list[tuple[str, Edit]] = [
    ("versioning enabled on a bucket that is locked later", _locked_later),
    ("a lock of years", lambda d: _retention(d, days=None, years=100)),
    ("a lock of a day", lambda d: _retention(d, days=1)),
    ("a lock of days that stands", lambda d: _retention(d, days=1, years=0)),
    ("a lock of years that stands", lambda d: _retention(d, days=0, years=1)),
    ("the least in an infrequent access class", lambda d: _rule(d, (30, "STANDARD_IA"), (60, "GLACIER_IR"))),
    ("expiry a day after the move", lambda d: _rule(d, (365, "GLACIER_IR"), expiration=_expires(366))),
    (
        "the removal of delete markers",
        lambda d: _rule(d, expiration=[{"date": None, "days": 0, "expired_object_delete_marker": True}]),
    ),
    ("a rule that is disabled", lambda d: _rule(d, (1, "STANDARD_IA"), status="Disabled")),
    ("logs into another bucket", lambda d: d.add("aws_s3_bucket_logging", bucket=BUCKET, target_bucket="logs")),
    (
        "versioning of a bucket that is not known yet",
        both(
            lambda d: _locked_later(d),
            lambda d: d.values("aws_s3_bucket_versioning").pop("bucket"),
            lambda d: _versioning(d, "Suspended"),
        ),
    ),
]


@pytest.mark.parametrize(("name", "edit"), FAULTS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(FAULTS)])
def test_a_planted_fault_is_found_once_by_its_name(name: str, edit: Edit) -> None:
    """The default plan with one fault has one finding, the fault."""
    assert names(edit) == [name]


@pytest.mark.parametrize("edit", [edit for _, edit in FINE], ids=[what for what, _ in FINE])
def test_what_aws_takes_is_not_found(edit: Edit) -> None:
    """Values at the edge of what AWS takes, and values that are not known before the apply, have no finding."""
    assert [name for name in names(edit) if name in OWN] == []


def test_every_check_has_a_planted_fault() -> None:
    """No check is without a plan that it finds something in."""
    assert {name for name, _ in FAULTS} == OWN


def test_the_words_name_the_class_and_the_filter() -> None:
    """Where AWS's message names what came, ours does too."""
    draft = Draft()
    _rule(draft, (1, "STANDARD_IA"), expiration=_expires(1))

    assert [finding.aws for finding in draft.findings() if finding.check in OWN] == [
        "'Days' in Transition action must be greater than or equal to 30 for storageClass 'STANDARD_IA'",
        "'Days' in the Expiration action for filter '(prefix=events/)' must be greater than 'Days' in the "
        "Transition action",
    ]
