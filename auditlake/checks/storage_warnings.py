"""What S3 takes, and what does harm: locks that never end or never begin, objects that never move (E, H)."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from auditlake.checks.api_warnings import stage_rate
from auditlake.checks.finding import Check, Known, Place, Planned, Values, number, text
from auditlake.checks.storage_refusals import LIFECYCLE, LOCK, locked, rules, transitions
from auditlake.checks.stream_warnings import window
from auditlake.checks.streams import Stream, streams
from auditlake.runtime.planned import Resource, block

ARCHIVE_CLASSES = ("GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
UNREADABLE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")
MIN_ARCHIVED_BYTES = 128 * 1024  # E4
MIB = 1024 * 1024
STORED_EVENT_BYTES = 270
"""Of an event of 570 bytes in Parquet, at 600 events an object; measured with `auditlake.sample`."""


def _event_buckets(planned: Planned) -> Iterator[tuple[Stream, Resource]]:
    """Yield each bucket that a stream writes to, once, with the stream."""
    seen = set()
    for stream in streams(planned):
        bucket = stream.bucket(planned)
        if bucket is not None and bucket.address not in seen:
            seen.add(bucket.address)
            yield stream, bucket


def _no_retention(planned: Planned) -> Iterator[Place]:
    for _, bucket in _event_buckets(planned):
        locks = planned.beside(bucket, LOCK)
        if locks is not None and not any(block(lock.values, "rule", "default_retention") for lock in locks):
            yield Place(bucket, "object_lock_configuration", "no default retention")


def _compliance(planned: Planned) -> Iterator[Place]:
    for lock in planned.of(LOCK):
        retention = block(lock.values, "rule", "default_retention")
        if retention.get("mode") == "COMPLIANCE":
            days = _retention_days(retention)
            words = (
                f"For {days:g} days nobody, the account's root included, can delete or shorten what is stored, what "
                "failed under the error prefix included."
                if days
                else ""
            )
            yield Place(lock, "rule.default_retention.mode", "COMPLIANCE", says=words)


def _retention_days(retention: Values) -> float | None:
    days, years = number(retention.get("days")), number(retention.get("years"))
    return days or (math.ceil(years * 365.25) if years else None)


def _expirations(planned: Planned) -> Iterator[tuple[Resource, Values, float, float]]:
    """Yield the rules that expire objects of a locked bucket: resource, rule, days to expiry, days of retention."""
    for _, bucket in _event_buckets(planned):
        retentions = [block(lock.values, "rule", "default_retention") for lock in planned.beside(bucket, LOCK) or ()]
        retained = next((days for days in map(_retention_days, retentions) if days), None)
        of_bucket = [resource.address for resource in planned.beside(bucket, LIFECYCLE) or ()]
        for resource, rule in rules(planned):
            expires = number(block(rule, "expiration").get("days"))
            if retained and expires and resource.address in of_bucket:
                yield resource, rule, expires, retained


def _hidden_while_locked(planned: Planned) -> Iterator[Place]:
    for resource, rule, expires, retained in _expirations(planned):
        if expires < retained:
            words = (
                f"Objects expire after {expires:g} days and are locked for {retained:g}, so that S3 hides them behind "
                "delete markers, keeps them and bills them."
            )
            yield Place(resource, f"rule.{rule.get('id')}.expiration.days", expires, says=words)


def _unlocked_before_expiry(planned: Planned) -> Iterator[Place]:
    for resource, rule, expires, retained in _expirations(planned):
        # Expiry runs on the midnight after.
        if expires > retained + 1:
            words = (
                f"Objects are kept for {expires:g} days and locked for {retained:g}: "
                f"for {expires - retained:g} days whoever may delete, can."
            )
            yield Place(resource, f"rule.{rule.get('id')}.expiration.days", expires, says=words)


def _archive_rules(planned: Planned) -> Iterator[tuple[Stream, Resource, Values]]:
    """Yield the rules that archive objects of a stream's bucket."""
    for stream, bucket in _event_buckets(planned):
        of_bucket = [resource.address for resource in planned.beside(bucket, LIFECYCLE) or ()]
        for resource, rule in rules(planned):
            archives = any(storage_class in ARCHIVE_CLASSES for _, storage_class in transitions(rule))
            if archives and resource.address in of_bucket:
                yield stream, resource, rule


def _unreadable_archive(planned: Planned) -> Iterator[Place]:
    for _, resource, rule in _archive_rules(planned):
        classes = [storage_class for _, storage_class in transitions(rule) if storage_class in UNREADABLE_CLASSES]
        if classes:
            yield Place(resource, f"rule.{rule.get('id')}.transition.storage_class", ", ".join(classes))


def _least_size(resource: Resource, rule: Values) -> float:
    """Return the bytes from which on a rule moves objects: its filter's, else what the bucket's setting says."""
    given = block(rule, "filter").get("object_size_greater_than")
    if given is None:
        given = block(rule, "filter", "and").get("object_size_greater_than")
    found = number(given)
    if found:
        return found
    varies = resource.values.get("transition_default_minimum_object_size") == "varies_by_storage_class"
    return 0 if varies else MIN_ARCHIVED_BYTES


def _small_objects_move(planned: Planned) -> Iterator[Place]:
    for _, resource, rule in _archive_rules(planned):
        least = _least_size(resource, rule)
        if least < MIN_ARCHIVED_BYTES:
            yield Place(resource, f"rule.{rule.get('id')}.filter.object_size_greater_than", least)


def _object_bytes(planned: Planned, stream: Stream) -> float | None:
    """Return the size of an object at the stage's full throttle, one event a request, evenly over the audit types."""
    rate, interval = stage_rate(planned), number(stream.s3.get("buffering_interval"))
    size, found = number(stream.s3.get("buffering_size")), window(planned, stream)
    if rate is None or not interval or not size or found is None:
        return None
    return min(size * MIB, rate * interval / found[0] * STORED_EVENT_BYTES)


def _objects_too_small(planned: Planned) -> Iterator[Place]:
    for stream, resource, rule in _archive_rules(planned):
        expected, least = _object_bytes(planned, stream), _least_size(resource, rule)
        if expected is not None and expected < least:
            interval = stream.s3["buffering_interval"]
            words = (
                f"Even at the stage's full throttle an object of {interval} s holds about {expected / 1024:.0f} KiB, "
                f"the rule moves objects from {least / 1024:.0f} KiB on, and so moves none: all stay at the price "
                "of S3 Standard."
            )
            yield stream.at("buffering_interval", interval, says=words)


def _force_destroy(planned: Planned) -> Iterator[Place]:
    for _, bucket in _event_buckets(planned):
        if bucket.values.get("force_destroy") is True:
            yield Place(bucket, "force_destroy", True)


def _without_tls(planned: Planned) -> Iterator[Place]:
    for _, bucket in _event_buckets(planned):
        policies = planned.beside(bucket, "aws_s3_bucket_policy")
        if policies is None or any("policy" not in policy.values for policy in policies):
            continue
        if not any(_denies_without_tls(text(policy.values.get("policy"))) for policy in policies):
            yield Place(bucket, "policy", "no Deny without aws:SecureTransport")


def _denials(policy: str) -> Iterator[Values]:
    """Yield the statements of a policy that deny something; none of what is no policy."""
    try:
        document = json.loads(policy)
    except ValueError:
        return
    statements: Any = document.get("Statement") if isinstance(document, Mapping) else None
    for statement in statements if isinstance(statements, list) else [statements]:
        if isinstance(statement, Mapping) and statement.get("Effect") == "Deny":
            yield statement


def _denies_without_tls(policy: str) -> bool:
    conditions = (block(statement, "Condition", "Bool") for statement in _denials(policy))
    return any(str(one.get("aws:SecureTransport", "")).lower() in ("false", "['false']") for one in conditions)


def _no_bucket_key(planned: Planned) -> Iterator[Place]:
    for _, bucket in _event_buckets(planned):
        for resource in planned.beside(bucket, "aws_s3_bucket_server_side_encryption_configuration") or ():
            rule = block(resource.values, "rule")
            algorithm = text(block(rule, "apply_server_side_encryption_by_default").get("sse_algorithm"))
            # Bucket keys are of plain SSE-KMS; its double-layer form (aws:kms:dsse) has none.
            if algorithm == "aws:kms" and "bucket_key_enabled" in rule and not rule["bucket_key_enabled"]:
                yield Place(resource, "rule.bucket_key_enabled", rule["bucket_key_enabled"])


def _key_of_the_plan(planned: Planned) -> Iterator[Place]:
    if any(locked(planned, bucket) for _, bucket in _event_buckets(planned)):
        for resource in planned.of("aws_kms_key"):
            denials = [one for one in _denials(text(resource.values.get("policy"))) if one.get("Principal") == "*"]
            if not any("kms:ScheduleKeyDeletion" in str(one.get("Action")) for one in denials):
                yield Place(resource, "policy", "no Deny of kms:ScheduleKeyDeletion")


WARNINGS: tuple[Check, ...] = (
    Check(
        "no-default-retention",
        "E2.1",
        Known.DOCUMENTED,
        _no_retention,
        "The bucket has no default retention, and whoever may delete, can delete events.",
        "Set object_lock_enabled, and an aws_s3_bucket_object_lock_configuration with a default retention.",
    ),
    Check(
        "compliance-for-ever",
        "E2.3",
        Known.DOCUMENTED,
        _compliance,
        "Nobody, the account's root included, can delete or shorten what is stored before its retention ends.",
        "Try it out with GOVERNANCE first; keep COMPLIANCE if that is what you want.",
    ),
    Check(
        "expiry-before-retention",
        "E4.6",
        Known.DOCUMENTED,
        _hidden_while_locked,
        "Objects expire while they are locked.",
        "Set expiration.days to the retention or more.",
    ),
    Check(
        "retention-before-expiry",
        "E4.6",
        Known.JUDGEMENT,
        _unlocked_before_expiry,
        "Objects are kept for longer than they are locked.",
        "Set the default retention to the days of the expiry.",
    ),
    Check(
        "archive-unreadable",
        "E4.5",
        Known.DOCUMENTED,
        _unreadable_archive,
        "Athena does not read these classes, and queries no longer find the events that moved.",
        "Use GLACIER_IR, or restore the objects before a query.",
    ),
    Check(
        "small-objects-archived",
        "E4.4",
        Known.DOCUMENTED,
        _small_objects_move,
        "Objects below 128 KiB move too, and each costs its transition, and 128 KiB or 40 KB more in the archive.",
        "Set transition_default_minimum_object_size = all_storage_classes_128K and no smaller filter.",
    ),
    Check(
        "objects-too-small-to-archive",
        "E4.4",
        Known.JUDGEMENT,
        _objects_too_small,
        "Objects stay smaller than what the lifecycle moves.",
        "Raise buffering_interval, up to 900 s, or list fewer audit types.",
    ),
    Check(
        "bucket-force-destroy",
        "",
        Known.JUDGEMENT,
        _force_destroy,
        "`terraform destroy` would delete every event that is not locked.",
        "Set force_destroy = false.",
    ),
    Check(
        "bucket-without-tls",
        "",
        Known.JUDGEMENT,
        _without_tls,
        "The bucket answers requests without TLS.",
        "Deny all actions where aws:SecureTransport is false, with an aws_s3_bucket_policy.",
    ),
    Check(
        "kms-without-bucket-key",
        "B5.3",
        Known.DOCUMENTED,
        _no_bucket_key,
        "Every object costs a request to KMS, and many at once are refused with S3.KMS.RequestLimitExceeded.",
        "Set bucket_key_enabled = true.",
    ),
    Check(
        "kms-key-of-the-plan",
        "A5.1",
        Known.JUDGEMENT,
        _key_of_the_plan,
        "Whoever may delete the key, by `terraform destroy` too, makes every event that Object Lock keeps unreadable.",
        "Deny kms:ScheduleKeyDeletion in the key's policy, or make the key in another plan and pass its ARN.",
    ),
)
"""What of a bucket is legal and harmful."""
