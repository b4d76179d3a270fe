"""What S3 refuses of a bucket's lock and lifecycle (E2, E4)."""

from collections.abc import Iterator
from itertools import pairwise

from auditlake.checks.finding import Check, Known, Place, Planned, Values, number, outside, text
from auditlake.runtime.planned import Resource, block, blocks

BUCKET = "aws_s3_bucket"
LOCK = "aws_s3_bucket_object_lock_configuration"
VERSIONING = "aws_s3_bucket_versioning"
LIFECYCLE = "aws_s3_bucket_lifecycle_configuration"

INFREQUENT_ACCESS = ("STANDARD_IA", "ONEZONE_IA")
MIN_DAYS_BEFORE_IA = 30  # E4
MIN_DAYS_IN_IA = 30  # E4
# Objects only ever move down; one rank has several classes, none of which leads to another of it.
_RANKS = {
    "STANDARD_IA": 1,
    "INTELLIGENT_TIERING": 2,
    "ONEZONE_IA": 3,
    "GLACIER_IR": 4,
    "GLACIER": 5,
    "DEEP_ARCHIVE": 6,
}


def locked(planned: Planned, bucket: Resource) -> bool:
    """Say whether Object Lock is on for a bucket, as far as the plan knows."""
    return bool(bucket.values.get("object_lock_enabled") or planned.beside(bucket, LOCK))


def _lock_without_versioning(planned: Planned) -> Iterator[Place]:
    for bucket in planned.of(BUCKET):
        # A bucket made with Object Lock has versioning from the start.
        if bucket.values.get("object_lock_enabled"):
            continue
        versioning = planned.beside(bucket, VERSIONING)
        status = [block(v.values, "versioning_configuration").get("status") for v in versioning or ()]
        for lock in planned.beside(bucket, LOCK) or ():
            if versioning is not None and "Enabled" not in status and None not in status:
                yield Place(lock, "object_lock_enabled", f"versioning {status[0] if status else 'not configured'}")


def _versioning_suspended(planned: Planned) -> Iterator[Place]:
    for bucket in planned.of(BUCKET):
        for versioning in planned.beside(bucket, VERSIONING) or ():
            status = block(versioning.values, "versioning_configuration").get("status")
            if bucket.values.get("object_lock_enabled") and status in ("Suspended", "Disabled"):
                yield Place(versioning, "versioning_configuration.status", status)


def _lock_mode(planned: Planned) -> Iterator[Place]:
    for lock, retention in _retentions(planned):
        if retention.get("mode") not in (None, "GOVERNANCE", "COMPLIANCE"):
            yield Place(lock, "rule.default_retention.mode", retention["mode"])


def _lock_period(planned: Planned) -> Iterator[Place]:
    attribute = "rule.default_retention"
    for lock, retention in _retentions(planned):
        days, years = retention.get("days"), retention.get("years")
        if (days, years).count(0) == 1 and (days or years):
            days, years = days or None, years or None  # of a lock that stands, the provider reads what is not set as 0
        if days and years:
            yield Place(lock, attribute, f"days = {days}, years = {years}")
        elif outside(days, 1, 36500):
            yield Place(lock, f"{attribute}.days", days)
        elif outside(years, 1, 100):
            yield Place(lock, f"{attribute}.years", years)
        elif "days" in retention and "years" in retention and days is None and years is None:
            yield Place(lock, attribute, "neither days nor years")


def _retentions(planned: Planned) -> Iterator[tuple[Resource, Values]]:
    for lock in planned.of(LOCK):
        retention = block(lock.values, "rule", "default_retention")
        if retention:
            yield lock, retention


def _logs_into_locked(planned: Planned) -> Iterator[Place]:
    names = {bucket.values.get("bucket") for bucket in planned.of(BUCKET) if locked(planned, bucket)}
    for logging in planned.of("aws_s3_bucket_logging"):
        target = logging.values.get("target_bucket")
        if target and target in names:
            yield Place(logging, "target_bucket", target)


def rules(planned: Planned) -> Iterator[tuple[Resource, Values]]:
    """Yield the lifecycle rules that are in force, with their resources."""
    for resource in planned.of(LIFECYCLE):
        for rule in blocks(resource.values, "rule"):
            if rule.get("status") != "Disabled":
                yield resource, rule


def transitions(rule: Values) -> list[tuple[float, str]]:
    """Return a rule's transitions by days, with the storage class that each leads to."""
    found = [(number(t.get("days")), text(t.get("storage_class"))) for t in blocks(rule, "transition")]
    return sorted((days, storage_class) for days, storage_class in found if days is not None)


def _early_infrequent_access(planned: Planned) -> Iterator[Place]:
    for resource, rule in rules(planned):
        for days, storage_class in transitions(rule):
            if storage_class in INFREQUENT_ACCESS and days < MIN_DAYS_BEFORE_IA:
                words = (
                    "'Days' in Transition action must be greater than or equal to 30 for "
                    f"storageClass '{storage_class}'"
                )
                yield Place(resource, f"rule.{rule.get('id')}.transition.days", days, aws=words)


def _order(planned: Planned) -> Iterator[Place]:
    for resource, rule in rules(planned):
        moves = transitions(rule)
        for (days, one), (later, other) in pairwise(moves):
            too_soon = one in INFREQUENT_ACCESS and later - days < MIN_DAYS_IN_IA
            upwards = _RANKS.get(other, 99) <= _RANKS.get(one, 0)
            if too_soon or upwards:
                came = f"{one} after {days:g} days, {other} after {later:g}"
                yield Place(resource, f"rule.{rule.get('id')}.transition", came)


def _expires_before_it_moves(planned: Planned) -> Iterator[Place]:
    for resource, rule in rules(planned):
        expires = number(block(rule, "expiration").get("days"))
        moves = transitions(rule)
        if expires and moves and expires <= moves[-1][0]:
            prefix = text(block(rule, "filter").get("prefix")) or text(rule.get("prefix"))
            words = (
                f"'Days' in the Expiration action for filter '(prefix={prefix})' must be greater than 'Days' in the "
                "Transition action"
            )
            yield Place(resource, f"rule.{rule.get('id')}.expiration.days", expires, aws=words)


def _expiration_days(planned: Planned) -> Iterator[Place]:
    for resource, rule in rules(planned):
        expiration = block(rule, "expiration")
        # With a date or a delete marker's removal the provider plans 0 days for none.
        other = expiration.get("date") or expiration.get("expired_object_delete_marker")
        if not other and outside(expiration.get("days"), 1):
            yield Place(resource, f"rule.{rule.get('id')}.expiration.days", expiration["days"])


REFUSALS: tuple[Check, ...] = (
    Check(
        "object-lock-without-versioning",
        "E2.1",
        Known.OBSERVED,
        _lock_without_versioning,
        "Object Lock needs versioning.",
        "Set object_lock_enabled on the bucket, or enable its versioning.",
        "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
    ),
    Check(
        "versioning-of-locked-bucket",
        "E2.1",
        Known.OBSERVED,
        _versioning_suspended,
        "The versioning of a bucket with Object Lock can never be suspended.",
        "Set versioning_configuration.status = Enabled.",
        "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
    ),
    Check(
        "object-lock-mode",
        "E2.1",
        Known.DOCUMENTED,
        _lock_mode,
        "The mode of a retention is GOVERNANCE or COMPLIANCE.",
        "Use GOVERNANCE for trying out, COMPLIANCE for keeping.",
    ),
    Check(
        "object-lock-period",
        "E2.1",
        Known.DOCUMENTED,
        _lock_period,
        "A default retention has either days (1 to 36500) or years (1 to 100).",
        "Give one of them.",
    ),
    Check(
        "access-logs-into-locked-bucket",
        "E2.5",
        Known.DOCUMENTED,
        _logs_into_locked,
        "A bucket with Object Lock cannot receive server access logs.",
        "Name another target_bucket.",
    ),
    Check(
        "transition-to-infrequent-access",
        "E4.2",
        Known.OBSERVED,
        _early_infrequent_access,
        "Objects move to an infrequent access class after 30 days at the earliest.",
        "Set days to 30 or more, or move to GLACIER_IR.",
    ),
    Check(
        "transition-order",
        "E4.2",
        Known.DOCUMENTED,
        _order,
        "Objects move only to colder classes, and stay 30 days in an infrequent access class.",
        "Order the transitions, 30 days apart.",
    ),
    Check(
        "expiration-before-transition",
        "E4.2",
        Known.OBSERVED,
        _expires_before_it_moves,
        "Objects expire before they move.",
        "Set expiration.days beyond the last transition.",
    ),
    Check(
        "expiration-days",
        "E4.2",
        Known.OBSERVED,
        _expiration_days,
        "Objects expire after 1 day at the earliest.",
        "Set expiration.days to 1 or more.",
        "'Days' for Expiration action must be a positive integer",
    ),
)
"""What of a bucket is refused."""
