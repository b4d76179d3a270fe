"""What does harm in a bucket: each trap, planted alone, is found once by its name."""

import json
from typing import Any

import pytest

from auditlake.checks.storage_warnings import WARNINGS
from tests.broken_plans import Draft, Edit, both, names, put


def _bucket(draft: Draft) -> dict[str, Any]:
    return draft.values("aws_s3_bucket", ".events")


def _lock(draft: Draft) -> dict[str, Any]:
    return draft.values("aws_s3_bucket_object_lock_configuration")


def _retention(draft: Draft, **members: Any) -> None:  # noqa: ANN401 - any JSON
    put(_lock(draft)["rule"][0]["default_retention"][0], **members)


def _lifecycle(draft: Draft) -> dict[str, Any]:
    return draft.values("aws_s3_bucket_lifecycle_configuration", ".events")


def _expires(draft: Draft, days: int) -> None:
    rule = _lifecycle(draft)["rule"][0]
    put(rule, expiration=[{"date": None, "days": days, "expired_object_delete_marker": False}])


def _moves_to(draft: Draft, *classes: str) -> None:
    moves = [{"date": None, "days": 90 * (n + 1), "storage_class": name} for n, name in enumerate(classes)]
    put(_lifecycle(draft)["rule"][0], transition=moves)


def _filter(draft: Draft, **members: Any) -> None:  # noqa: ANN401 - any JSON
    put(_lifecycle(draft)["rule"][0]["filter"][0], **members)


def _rate(draft: Draft, rate: int) -> None:
    put(draft.values("aws_api_gateway_method_settings")["settings"][0], throttling_rate_limit=rate)


def _policy(draft: Draft, **condition: str) -> None:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"Bool": condition},
    }
    put(draft.values("aws_s3_bucket_policy", '["events"]'), policy=json.dumps({"Statement": statement}))


def _kms(draft: Draft, **members: Any) -> None:  # noqa: ANN401 - any JSON
    rule = draft.values("aws_s3_bucket_server_side_encryption_configuration", '["events"]')["rule"][0]
    put(rule, **members)
    put(rule["apply_server_side_encryption_by_default"][0], sse_algorithm="aws:kms")
    put(draft.s3, kms_key_arn="arn:aws:kms:us-east-1:123456789012:key/k")


def _denying(action: str, effect: str = "Deny", principal: object = "*") -> str:
    return json.dumps({"Statement": [{"Effect": effect, "Principal": principal, "Action": [action], "Resource": "*"}]})


TRAPS: list[tuple[str, Edit]] = [
    ("no-default-retention", lambda d: d.drop("aws_s3_bucket_object_lock_configuration")),
    ("no-default-retention", lambda d: put(_lock(d), rule=[])),
    ("compliance-for-ever", lambda d: _retention(d, mode="COMPLIANCE")),
    ("expiry-before-retention", lambda d: _expires(d, 364)),
    ("expiry-before-retention", both(lambda d: _retention(d, days=None, years=7), lambda d: _expires(d, 2556))),
    ("retention-before-expiry", lambda d: _expires(d, 367)),
    ("archive-unreadable", lambda d: _moves_to(d, "GLACIER_IR", "DEEP_ARCHIVE")),
    ("archive-unreadable", lambda d: _moves_to(d, "GLACIER")),
    (
        "small-objects-archived",
        lambda d: put(_lifecycle(d), transition_default_minimum_object_size="varies_by_storage_class"),
    ),
    ("small-objects-archived", lambda d: _filter(d, object_size_greater_than=1000)),
    ("objects-too-small-to-archive", lambda d: _rate(d, 50)),
    ("objects-too-small-to-archive", lambda d: _filter(d, object_size_greater_than=200_000_000)),
    ("bucket-force-destroy", lambda d: put(_bucket(d), force_destroy=True)),
    ("bucket-without-tls", lambda d: d.drop("aws_s3_bucket_policy", '["events"]')),
    ("bucket-without-tls", lambda d: _policy(d, **{"aws:SecureTransport": "true"})),
    ("bucket-without-tls", lambda d: put(d.values("aws_s3_bucket_policy", '["events"]'), policy="no JSON")),
    ("kms-without-bucket-key", lambda d: _kms(d, bucket_key_enabled=False)),
    ("kms-key-of-the-plan", lambda d: d.add("aws_kms_key", deletion_window_in_days=7)),
    ("kms-key-of-the-plan", lambda d: d.add("aws_kms_key", policy=_denying("kms:PutKeyPolicy"))),
    ("kms-key-of-the-plan", lambda d: d.add("aws_kms_key", policy=_denying("kms:ScheduleKeyDeletion", "Allow"))),
    (
        "kms-key-of-the-plan",
        lambda d: d.add(
            "aws_kms_key", policy=_denying("kms:ScheduleKeyDeletion", principal={"AWS": "arn:aws:iam::1:root"})
        ),
    ),
]

FINE: list[tuple[str, Edit]] = [
    ("expiry with the retention's end", lambda d: _expires(d, 365)),
    ("expiry on the midnight after", lambda d: _expires(d, 366)),
    (
        "expiry of years with their leap days",
        both(lambda d: _retention(d, days=None, years=7), lambda d: _expires(d, 2557)),
    ),
    ("a low throttle with long intervals", both(lambda d: _rate(d, 50), lambda d: put(d.s3, buffering_interval=900))),
    ("a low throttle without an archive", both(lambda d: _rate(d, 50), lambda d: _moves_to(d))),
    ("one statement instead of a list", lambda d: _policy(d, **{"aws:SecureTransport": "false"})),
    ("a policy that is not known yet", lambda d: d.values("aws_s3_bucket_policy", '["events"]').pop("policy")),
    ("policies whose buckets are not known yet", lambda d: _unknown(d, "aws_s3_bucket_policy")),
    ("a lock whose bucket is not known yet", lambda d: _unknown(d, "aws_s3_bucket_object_lock_configuration")),
    ("a bucket key", lambda d: _kms(d, bucket_key_enabled=True)),
    ("a key that nobody deletes", lambda d: d.add("aws_kms_key", policy=_denying("kms:ScheduleKeyDeletion"))),
    ("a stream into a bucket of another plan", lambda d: put(d.s3, bucket_arn="arn:aws:s3:::elsewhere")),
]


def _unknown(draft: Draft, resource_type: str) -> None:
    """Take from a resource of the type the name of its bucket, as a plan does that links by id."""
    del draft.values(resource_type)["bucket"]


@pytest.mark.parametrize(("name", "edit"), TRAPS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(TRAPS)])
def test_a_planted_trap_is_found_once_by_its_name(name: str, edit: Edit) -> None:
    """The default plan with one trap has one finding, the trap."""
    assert names(edit) == [name]


@pytest.mark.parametrize("edit", [edit for _, edit in FINE], ids=[what for what, _ in FINE])
def test_what_does_no_harm_is_not_found(edit: Edit) -> None:
    """Values at the edge of harm, and values that are not known before the apply, have no finding."""
    assert names(edit) == []


def test_every_check_has_a_planted_trap() -> None:
    """No check is without a plan that it finds something in."""
    assert {check.name for check in WARNINGS} == {name for name, _ in TRAPS}


def test_the_size_of_objects_is_told() -> None:
    """At 50 requests/s, 60 s and 12 types an object holds 250 events, about 66 KiB, and the rule moves from 128 on."""
    draft = Draft()
    _rate(draft, 50)
    (finding,) = draft.findings()
    assert "an object of 60 s holds about 66 KiB, the rule moves objects from 128 KiB on" in finding.says


def test_compliance_is_told_with_its_days() -> None:
    """The sentence says for how long nobody can undo it; years count with their leap days."""
    draft = Draft()
    _retention(draft, mode="COMPLIANCE", days=None, years=7)
    (finding,) = draft.findings()
    assert finding.says.startswith("For 2557 days nobody, the account's root included,")
