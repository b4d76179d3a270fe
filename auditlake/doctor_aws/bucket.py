"""Whether the bucket still keeps what it is given: lock, versions, policy, public access, encryption, lifecycle."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from auditlake.aws_ask import Absent, Aws
from auditlake.aws_stack import Names, Promise
from auditlake.doctor_aws.outcome import Facts, Outcome, compared, judged, looked
from auditlake.runtime.planned import block

_PUBLIC = {
    "block_public_acls": "BlockPublicAcls",
    "block_public_policy": "BlockPublicPolicy",
    "ignore_public_acls": "IgnorePublicAcls",
    "restrict_public_buckets": "RestrictPublicBuckets",
}
_DAYS_A_YEAR = 365
NEVER_LIGHTLY = (
    "do not delete it: find who changed it (docs/runbook.md), then terraform apply puts it back; a COMPLIANCE lock of "
    "stored objects holds all the same"
)


def check(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    """Yield the outcomes of the bucket's checks."""
    look = partial(looked, f"bucket {names.bucket}")
    yield from look("object lock", lambda: _lock(promise, aws, names))
    yield from look("versioning", lambda: _versioning(promise, aws, names))
    yield from look("public access block", lambda: _public_access(promise, aws, names))
    yield from look("policy", lambda: _policy(promise, aws, names))
    yield from look("default encryption", lambda: _encryption(promise, aws, names))
    yield from look("lifecycle", lambda: _lifecycle(promise, aws, names))
    for group in promise.of("aws_athena_workgroup"):
        location = str(block(group, "configuration", "result_configuration").get("output_location") or "")
        results = location.removeprefix("s3://").partition("/")[0]
        if promise.one("aws_s3_bucket", bucket=results):
            yield from _results(promise, aws, replace(names, bucket=results))


def _results(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    """Yield the outcomes of the bucket of Athena's results, which are copies of events: not public, and they go."""
    look = partial(looked, f"bucket {names.bucket}")
    yield from look("public access block", lambda: _public_access(promise, aws, names))
    yield from look("default encryption", lambda: _encryption(promise, aws, names))
    yield from look("lifecycle", lambda: _lifecycle(promise, aws, names))


def days(retention: Mapping[str, Any]) -> int:
    """Return the days of a retention, written in days or years, as a plan or as S3 spells it."""
    given = retention.get("days") or retention.get("Days") or 0
    return int(given or _DAYS_A_YEAR * (retention.get("years") or retention.get("Years") or 0))


def promised_lock(promise: Promise, bucket: str) -> Facts:
    """Return mode and days of the planned lock; none where the plan switches it off."""
    for values in promise.of("aws_s3_bucket_object_lock_configuration"):
        if values.get("bucket") in (None, bucket) and values.get("rule"):
            retention = block(values, "rule", "default_retention")
            return {"object lock mode": retention.get("mode"), "object lock days": days(retention)}
    return {}


def denies(statements: Iterable[Mapping[str, Any]], action: str, condition: Mapping[str, Any] | None = None) -> bool:
    """Return whether everybody is denied an action, under this condition or under none."""
    for statement in statements:
        actions = statement.get("Action")
        actions = [actions] if isinstance(actions, str) else actions or []
        everybody = _normal(statement.get("Principal")) == "*"
        denied = statement.get("Effect") == "Deny" and any(one in (action, "s3:*") for one in actions)
        if denied and everybody and _normal(statement.get("Condition") or {}) == _normal(condition or {}):
            return True
    return False


def policy_outcomes(subject: str, promised: str | None, deployed: str) -> Iterator[Outcome]:
    """Compare a bucket's policy: what must be denied to everybody, and each statement of the plan, by its Sid."""
    statements = json.loads(deployed).get("Statement", [])
    tls = denies(statements, "s3:*", {"Bool": {"aws:SecureTransport": "false"}})
    yield judged(subject, "policy: TLS only", well=tls, promised=True, deployed=tls, advice=NEVER_LIGHTLY)
    # A plan does not know a policy that names a key made with it; that nobody deletes is promised all the same.
    planned = json.loads(promised).get("Statement", []) if promised else []
    if not promised or denies(planned, "s3:DeleteObject"):
        kept = all(denies(statements, f"s3:{name}") for name in ("DeleteObject", "DeleteObjectVersion"))
        yield judged(subject, "policy: nobody deletes", well=kept, promised=True, deployed=kept, advice=NEVER_LIGHTLY)
    if not promised:
        return
    by_sid = {statement.get("Sid"): _normal(statement) for statement in statements}
    for statement in planned:
        sid = statement.get("Sid")
        found = "as planned" if by_sid.get(sid) == _normal(statement) else "changed" if sid in by_sid else "missing"
        well = found == "as planned"
        yield judged(
            subject, f"policy: statement {sid}", well=well, promised="as planned", deployed=found, advice=NEVER_LIGHTLY
        )
    more = sorted(str(sid) for sid in by_sid.keys() - {statement.get("Sid") for statement in planned})
    yield judged(subject, "policy: other statements", well=not more, promised=[], deployed=more, advice=NEVER_LIGHTLY)


def lifecycle_outcomes(
    subject: str, planned: Iterable[Mapping[str, Any]], deployed: Iterable[Mapping[str, Any]], retention_days: int
) -> Iterator[Outcome]:
    """Compare the rules by id, and say whether one expires events before their retention ends."""
    promised = {rule["id"]: _planned_rule(rule) for rule in planned}
    found = {rule.get("ID", ""): _deployed_rule(rule) for rule in deployed if rule.get("Status") == "Enabled"}
    for name, rule in promised.items():
        yield from compared(subject, {f"lifecycle rule {name}": rule}, {f"lifecycle rule {name}": found.get(name)})
    more = sorted(found.keys() - promised.keys())
    yield judged(subject, "lifecycle: other rules", well=not more, promised=[], deployed=more)
    least = min(
        (rule[key] for rule in found.values() for key in ("expire", "noncurrent") if rule.get(key)), default=None
    )
    well = least is None or least >= retention_days
    says = f"nothing before {retention_days} days"
    yield judged(
        subject, "lifecycle: expiry and retention", well=well, promised=says, deployed=says if well else f"{least} days"
    )


def _lock(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    subject, promised = f"bucket {names.bucket}", promised_lock(promise, names.bucket)
    if not promised:
        return
    answer = aws.ask("s3", "get_object_lock_configuration", Bucket=names.bucket)["ObjectLockConfiguration"]
    retention = answer.get("Rule", {}).get("DefaultRetention", {})
    deployed = {"object lock mode": retention.get("Mode"), "object lock days": days(retention)}
    yield from compared(subject, promised, deployed, NEVER_LIGHTLY)


def _versioning(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    values = promise.one("aws_s3_bucket_versioning", bucket=names.bucket) or promise.one("aws_s3_bucket_versioning")
    promised = {"versioning": block(values, "versioning_configuration").get("status")}
    answer = aws.ask("s3", "get_bucket_versioning", Bucket=names.bucket)
    yield from compared(f"bucket {names.bucket}", promised, {"versioning": answer.get("Status", "never enabled")})


def _public_access(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    values = promise.one("aws_s3_bucket_public_access_block", bucket=names.bucket)
    answer = aws.ask("s3", "get_public_access_block", Bucket=names.bucket)["PublicAccessBlockConfiguration"]
    promised = {f"public access: {name}": values.get(name) for name in _PUBLIC}
    deployed = {f"public access: {name}": answer.get(key, False) for name, key in _PUBLIC.items()}
    yield from compared(f"bucket {names.bucket}", promised, deployed)


def _policy(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    values = promise.one("aws_s3_bucket_policy", bucket=names.bucket)
    answer = aws.ask("s3", "get_bucket_policy", Bucket=names.bucket)
    yield from policy_outcomes(f"bucket {names.bucket}", values.get("policy"), answer["Policy"])


def _encryption(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    subject = f"bucket {names.bucket}"
    values = promise.one("aws_s3_bucket_server_side_encryption_configuration", bucket=names.bucket)
    planned = block(values, "rule", "apply_server_side_encryption_by_default")
    rules = aws.ask("s3", "get_bucket_encryption", Bucket=names.bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    found = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
    promised = {
        "default encryption": planned.get("sse_algorithm"),
        # Not known in the plan when the key is made with the stack.
        "default encryption key": planned.get("kms_master_key_id") or None,
    }
    deployed = {
        "default encryption": found.get("SSEAlgorithm"),
        "default encryption key": found.get("KMSMasterKeyID"),
    }
    yield from compared(subject, promised, deployed)
    if key := found.get("KMSMasterKeyID"):
        yield from looked(f"key {key}", "state", lambda: _key(promise, aws, key))


def _key(promise: Promise, aws: Aws, key: str) -> Iterator[Outcome]:
    """Yield whether the key is enabled and rotates: Object Lock does not save events whose key is gone."""
    subject = f"key {key}"
    metadata = aws.ask("kms", "describe_key", KeyId=key)["KeyMetadata"]
    advice = "at once: aws kms cancel-key-deletion and enable-key; without it nothing can be stored or read"
    yield from compared(subject, {"state": "Enabled"}, {"state": metadata["KeyState"]}, advice)
    own = promise.one("aws_kms_key")
    if own.get("enable_key_rotation") is not None:
        yield from looked(subject, "rotation", lambda: _rotation(aws, subject, metadata["KeyId"], own))


def _rotation(aws: Aws, subject: str, key_id: str, own: Mapping[str, Any]) -> Iterator[Outcome]:
    rotates = aws.ask("kms", "get_key_rotation_status", KeyId=key_id)["KeyRotationEnabled"]
    yield from compared(subject, {"rotation": own["enable_key_rotation"]}, {"rotation": rotates})


def _lifecycle(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    values = promise.one("aws_s3_bucket_lifecycle_configuration", bucket=names.bucket)
    try:
        rules = aws.ask("s3", "get_bucket_lifecycle_configuration", Bucket=names.bucket)["Rules"]
    except Absent:
        rules = []
    retention = promised_lock(promise, names.bucket).get("object lock days", 0)
    yield from lifecycle_outcomes(f"bucket {names.bucket}", values.get("rule", ()), rules, retention)


def _planned_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    transitions = {one["storage_class"]: one["days"] for one in rule.get("transition") or ()}
    return _rule(
        block(rule, "expiration").get("days"),
        block(rule, "noncurrent_version_expiration").get("noncurrent_days"),
        block(rule, "abort_incomplete_multipart_upload").get("days_after_initiation"),
        transitions,
    )


def _deployed_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return _rule(
        rule.get("Expiration", {}).get("Days"),
        rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
        rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
        {one["StorageClass"]: one.get("Days") for one in rule.get("Transitions", ())},
    )


def _rule(expire: int | None, noncurrent: int | None, abort: int | None, moves: dict[str, Any]) -> dict[str, Any]:
    values = {"expire": expire, "noncurrent": noncurrent, "abort_multipart": abort, "transitions": moves}
    return {name: value for name, value in values.items() if value}


def _normal(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a policy's value so that a list of one is its member, and order does not matter."""
    if isinstance(value, Mapping):
        normal = {name: _normal(inner) for name, inner in value.items()}
        return "*" if normal == {"AWS": "*"} else normal
    if isinstance(value, list):
        members = sorted((_normal(inner) for inner in value), key=str)
        return members[0] if len(members) == 1 else members
    return str(value)
