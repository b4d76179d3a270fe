"""What guards the log, each with a way to break it and the run of `terraform test` that must fail then.

`python -m tests.terraform_guards` prints the list as a table; with `each` it breaks them one by one, which takes some
minutes, where the tests break those of a module together.
"""

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditlake.default_plan import copy_stack, init
from tests.terraform_rules import told_by_tests


@dataclass(frozen=True)
class Guard:
    """What is guarded, the text of a file in a module that does it, a text that does not, and what must fail.

    `answer` begins the error message of an assertion, or is the name of a run that expects a rule to fail.
    """

    what: str
    file: str
    right: str
    wrong: str
    answer: str

    @property
    def module(self) -> str:
        """The module whose file it is."""
        return self.file.partition("/")[0]


STORAGE = (
    Guard(
        "Object Lock is on",
        "storage/buckets.tf",
        "object_lock_enabled = var.object_lock.enabled",
        "object_lock_enabled = false",
        "The bucket should be made with Object Lock.",
    ),
    Guard(
        "the lock's mode is the chosen one",
        "storage/object_lock.tf",
        "mode  = var.object_lock.mode",
        'mode  = "GOVERNANCE"',
        "Retention should be 7 years in COMPLIANCE mode.",
    ),
    Guard(
        "the lock's days are a year",
        "storage/object_lock.tf",
        "days  = local.retention.days\n      years",
        "days  = local.retention.days == null ? null : 1\n      years",
        "Retention should be 365 days in GOVERNANCE mode.",
    ),
    Guard(
        "versioning is on",
        "storage/buckets.tf",
        'status = "Enabled"',
        'status = "Suspended"',
        "The bucket should keep versions",
    ),
    Guard(
        "a destroy empties no bucket of events",
        "storage/buckets.tf",
        "bucket              = local.events_bucket",
        "bucket              = local.events_bucket\n  force_destroy = true",
        "The bucket of events should not be emptied by a destroy.",
    ),
    Guard(
        "lifecycle: events stay where Athena reads them",
        "storage/lifecycle.tf",
        'storage_class = "GLACIER_IR"',
        'storage_class = "GLACIER"',
        "The only transition should be to Glacier Instant Retrieval",
    ),
    Guard(
        "lifecycle: what was overwritten outlives its retention",
        "storage/lifecycle.tf",
        "noncurrent_days = local.noncurrent_days",
        "noncurrent_days = 1",
        "Noncurrent versions should stay as long as the retention.",
    ),
    Guard(
        "lifecycle: nothing expires before its retention ends",
        "storage/variables.tf",
        "var.lifecycle_days.expire >= local.retention_days",
        "var.lifecycle_days.expire >= 0",
        "nothing_expires_before_its_retention_ends",
    ),
    Guard(
        "lifecycle: unfinished uploads go",
        "storage/lifecycle.tf",
        "days_after_initiation = var.lifecycle_days.abort_multipart\n    }\n  }\n\n  depends_on",
        "days_after_initiation = 365\n    }\n  }\n\n  depends_on",
        "Unfinished uploads should go after 7 days.",
    ),
    Guard(
        "public access is blocked",
        "storage/policy.tf",
        "block_public_policy     = true",
        "block_public_policy     = false",
        "Nothing should be public.",
    ),
    Guard(
        "ACLs are off",
        "storage/policy.tf",
        '"BucketOwnerEnforced"',
        '"ObjectWriter"',
        "ACLs should be off.",
    ),
    Guard(
        "only TLS",
        "storage/policy.tf",
        'Bool = { "aws:SecureTransport" = "false" }',
        'Bool = { "aws:SecureTransport" = "true" }',
        "Everybody should be refused without TLS.",
    ),
    Guard(
        "only TLS 1.2",
        "storage/policy.tf",
        '"s3:TlsVersion" = "1.2"',
        '"s3:TlsVersion" = "1.0"',
        "Everybody should be refused with an older TLS than 1.2.",
    ),
    Guard(
        "the buckets' policies allow nobody anything",
        "storage/policy.tf",
        "Statement = local.only_tls.results",
        'Statement = concat(local.only_tls.results, [{ Sid = "Open", Effect = "Allow", Principal = "*", '
        'Action = "s3:GetObject", Resource = local.arns.results[1] }])',
        "The bucket policy should allow nobody anything.",
    ),
    Guard(
        "no other bucket is replicated into the bucket",
        "storage/policy.tf",
        '"s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"',
        '"s3:ReplicateTags"',
        "No other bucket should be replicated into the bucket of events.",
    ),
    Guard(
        "only the stream writes",
        "storage/policy.tf",
        'ArnNotEquals = { "aws:PrincipalArn" = var.writer_role_arn }',
        'ArnNotEquals = { "aws:PrincipalArn" = "*" }',
        "Everybody but the stream's role should be refused to write.",
    ),
    Guard(
        "nobody deletes",
        "storage/policy.tf",
        '"s3:DeleteObjectVersion", ',
        "",
        "Nobody should delete a version",
    ),
    Guard(
        "nobody writes with a shorter retention",
        "storage/policy.tf",
        "= tostring(local.least_retention_days)",
        '= "0"',
        "An object with less than 7 years of retention",
    ),
    Guard(
        "no other key is taken",
        "storage/policy.tf",
        'StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = var.encryption.key_arn }',
        'StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "*" }',
        "An object that names another key should be refused",
    ),
    Guard(
        "only administrators change the bucket",
        "storage/policy.tf",
        '"s3:PutBucketVersioning", ',
        "",
        "Policy, versioning, lifecycle and lock should be the administrators' alone.",
    ),
    Guard(
        "the key encrypts the buckets",
        "storage/buckets.tf",
        "kms_master_key_id = var.encryption.key_arn",
        "kms_master_key_id = null",
        "Both buckets should use the key",
    ),
)

ENCRYPTION = (
    Guard(
        "the key rotates",
        "encryption/key.tf",
        "enable_key_rotation     = true",
        "enable_key_rotation     = false",
        "The key should rotate each year",
    ),
    Guard(
        "the key takes 30 days to go",
        "encryption/key.tf",
        "deletion_window_in_days = 30",
        "deletion_window_in_days = 7",
        "The key should rotate each year",
    ),
    Guard(
        "nobody destroys the key",
        "encryption/key.tf",
        '"kms:DisableKey", ',
        "",
        "Without a break-glass principal, deletion should be denied to everybody.",
    ),
    Guard(
        "only the break-glass principal destroys the key",
        "encryption/key.tf",
        'ArnNotEquals = { "aws:PrincipalArn" = arn }',
        'ArnNotEquals = { "aws:PrincipalArn" = "*" }',
        "Deletion should be denied to everybody but the break-glass principal.",
    ),
    Guard(
        "only administrators change the key's policy",
        "encryption/key.tf",
        'Action    = "kms:PutKeyPolicy"',
        'Action    = "kms:GetKeyPolicy"',
        "Who is no administrator should not be able to change the policy",
    ),
    Guard(
        "services use the key for this account alone",
        "encryption/key.tf",
        'StringEquals = { "aws:SourceAccount" = var.account.id }',
        'StringLike = { "aws:SourceAccount" = "*" }',
        "Services should use the key for this account alone.",
    ),
)

DELIVERY = (
    Guard(
        "the stream's role deletes nothing",
        "delivery/role.tf",
        '["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]',
        '["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]',
        "The stream should neither delete nor touch retention.",
    ),
    Guard(
        "the stream's role writes both prefixes and no other",
        "delivery/role.tf",
        "[for prefix in compact([var.bucket.events_prefix, var.bucket.errors_prefix, var.bucket.raw_prefix]) : "
        '"${var.bucket.arn}/${prefix}*"]',
        '["${var.bucket.arn}/*"]',
        "The stream should write events and errors, and no other prefix.",
    ),
    Guard(
        "every permission of the stream names its resource",
        "delivery/role.tf",
        "Resource = var.bucket.arn\n",
        'Resource = "*"\n',
        "Every permission should name its resource.",
    ),
    Guard(
        "only Firehose of this account takes the stream's role",
        "delivery/role.tf",
        'StringEquals = { "sts:ExternalId" = var.account.id }',
        'StringLike = { "sts:ExternalId" = "*" }',
        "The trust policy should name Firehose and the account.",
    ),
    Guard(
        "the transform's role logs and traces only",
        "delivery/transform.tf",
        'Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]',
        'Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "s3:GetObject"]',
        "The transform should have no other permission.",
    ),
    Guard(
        "the stream is encrypted at rest",
        "delivery/stream.tf",
        "content {\n      enabled  = true",
        "content {\n      enabled  = false",
        "The stream should be encrypted without any setting.",
    ),
    Guard(
        "objects are written with the key",
        "delivery/stream.tf",
        "kms_key_arn         = var.encryption.key_arn",
        "kms_key_arn         = null",
        "Objects should be written with the key.",
    ),
    Guard(
        "what cannot be delivered is logged",
        "delivery/stream.tf",
        "cloudwatch_logging_options {\n      enabled         = true",
        "cloudwatch_logging_options {\n      enabled         = false",
        "Delivery errors should go to CloudWatch Logs.",
    ),
    Guard(
        "log groups of the delivery forget",
        "delivery/logs.tf",
        "retention_in_days = var.logs.retention_days",
        "retention_in_days = 0",
        "Every log group should have the retention of the variable.",
    ),
)

INGEST = (
    Guard(
        "API Gateway's role puts records and nothing else",
        "ingest/role.tf",
        'Action = "${local.put_service}:PutRecord"',
        'Action = "firehose:*"',
        "The role of API Gateway should have one permission on one stream.",
    ),
    Guard(
        "the receiver's role has no other permission",
        "ingest/receiver.tf",
        "Action = local.put_many",
        'Action = [local.put_many, "firehose:DeleteDeliveryStream"]',
        "The receiver should have no other permission.",
    ),
    Guard(
        "the receiver puts into this stream only",
        "ingest/receiver.tf",
        "Resource = local.put_arn }",
        'Resource = "*" }',
        "The receiver should put into this stream only.",
    ),
    Guard(
        "the authorizer's role logs only",
        "ingest/authorizer.tf",
        '["logs:CreateLogStream", "logs:PutLogEvents"]',
        '["logs:CreateLogStream", "logs:PutLogEvents", "kms:Decrypt"]',
        "The authorizer should be allowed to log and nothing else.",
    ),
    Guard(
        "each method but health asks who calls",
        "ingest/openapi.yaml",
        "iam = { sigv4 = [] }, ",
        "iam = {}, ",
        "Every method but GET /health should ask for a signature.",
    ),
    Guard(
        "a token of the issuer is asked for",
        "ingest/openapi.yaml",
        "jwt = { jwt = [] } }[auth_mode], api_key))}\n      requestBody:\n        required: true\n        content:\n"
        "          application/json:\n",
        "jwt = {} }[auth_mode], api_key))}\n      requestBody:\n        required: true\n        content:\n"
        "          application/json:\n",
        "Both routes should ask for a token.",
    ),
    Guard(
        "no CORS",
        "ingest/openapi.yaml",
        "gatewayresponse.header.Content-Type: \"'application/problem+json'\"\n",
        "gatewayresponse.header.Content-Type: \"'application/problem+json'\"\n"
        "      gatewayresponse.header.Access-Control-Allow-Origin: \"'*'\"\n",
        "Events come from services, not from pages: no CORS.",
    ),
    Guard(
        "no data trace",
        "ingest/stage.tf",
        "data_trace_enabled     = false",
        "data_trace_enabled     = true",
        "Events should not be written into the execution log.",
    ),
    Guard(
        "the access log holds no body",
        "ingest/logs.tf",
        '"$context.error.responseType"',
        '"$context.error.validationErrorString"',
        "The access log should hold only what the server knows.",
    ),
    Guard(
        "the stage throttles",
        "ingest/stage.tf",
        "throttling_rate_limit  = var.ingest.rate_limit",
        "throttling_rate_limit  = -1",
        "The stage should have the throttles of the variable.",
    ),
    Guard(
        "log groups of the ingest forget",
        "ingest/logs.tf",
        "retention_in_days = var.logs.retention_days",
        "retention_in_days = 0",
        "Every log group should have the retention of the variable.",
    ),
    Guard(
        "mutual TLS leaves no other door open",
        "ingest/api.tf",
        "disable_execute_api_endpoint = local.mutual_tls",
        "disable_execute_api_endpoint = false",
        "The default endpoint, which asks for no certificate, should be off",
    ),
    Guard(
        "other networks are denied",
        "ingest/access.tf",
        'NotIpAddress = { "aws:SourceIp" = var.access.cidrs }',
        'IpAddress = { "aws:SourceIp" = var.access.cidrs }',
        "Every other network should be denied everything.",
    ),
    Guard(
        "no account but the listed is let in",
        "ingest/access.tf",
        "Principal = { AWS = local.other_accounts }",
        'Principal = "*"',
        "Only the listed account should be let in from outside",
    ),
    Guard(
        "the domain speaks TLS 1.2",
        "ingest/domain.tf",
        'security_policy                        = "TLS_1_2"',
        'security_policy                        = "TLS_1_0"',
        "The domain should lead to the stage, by TLS 1.2.",
    ),
    Guard(
        "an API key is asked for besides",
        "ingest/api.tf",
        "{ api_key = [] }",
        "{}",
        "The key should be asked for besides the signature",
    ),
    Guard(
        "the web ACL's rate has its limit",
        "waf/web_acl.tf",
        "limit                 = var.waf.requests_per_5_min",
        "limit                 = 2000000000",
        "The rate rule should have the limit of the variable.",
    ),
)

REST = (
    *(
        Guard(
            f"an alarm watches: {metric}",
            "monitoring/alarms.tf",
            f'metric  = "{metric}"',
            f'metric  = "{metric}Not"',
            "Each thing that can lose or delay an event should have its alarm.",
        )
        for metric in ("DeliveryToS3.Success", "ThrottledRecords", "FailedConversion.Records", "5XXError")
    ),
    *(
        Guard(
            f"an alarm watches: {metric}",
            "monitoring/alarms.tf",
            f'metric  = "{metric}"',
            f'metric  = "{metric}Not"',
            "A source backup that fails or lags should ring.",
        )
        for metric in ("BackupToS3.DataFreshness", "BackupToS3.Success")
    ),
    Guard(
        "only a stack with a source backup has alarms of it",
        "monitoring/alarms.tf",
        " if var.raw_backup }",
        " }",
        "Only a stack with a source backup should have alarms of it.",
    ),
    Guard(
        "the dashboard shows how far behind a source backup is",
        "monitoring/dashboard.tf",
        '"BackupToS3.DataFreshness"',
        '"BackupToS3.Freshness"',
        "Store should show how old the oldest record is that is not in the source backup.",
    ),
    Guard(
        "alarms' thresholds are the chosen ones",
        "monitoring/alarms.tf",
        "above = var.alarms.give_up_s",
        "above = 86400",
        "Each thing that can lose or delay an event should have its alarm.",
    ),
    Guard(
        "an alarm's description names its section of the runbook",
        "monitoring/alarms.tf",
        "${var.alarms.runbook_url}#${each.key}",
        "${var.alarms.runbook_url}",
        "Each description should be a sentence and the section of the runbook.",
    ),
    Guard(
        "alarms watch this stack",
        "monitoring/alarms.tf",
        "dimensions = local.of_api",
        "dimensions = {}",
        "Alarms should watch this stack",
    ),
    Guard(
        "a refused token wakes nobody",
        "monitoring/alarms.tf",
        ' if key != "authorizer-errors"',
        "",
        "A refused token is an error of the authorizer, and should wake nobody.",
    ),
    Guard(
        "keys that cannot be had ring",
        "monitoring/alarms.tf",
        'metric    = "IssuerKeysUnavailable"',
        'metric    = "IssuerKeys"',
        "What keeps the authorizer from judging tokens should ring.",
    ),
    Guard(
        "the authorizer's metric is in the namespace that the alarm watches",
        "ingest/authorizer.tf",
        "POWERTOOLS_METRICS_NAMESPACE = var.name",
        'POWERTOOLS_METRICS_NAMESPACE = "auditlake-metrics"',
        "The authorizer should find every setting in its environment.",
    ),
    Guard(
        "the dashboard shows how far behind a data stream is read",
        "monitoring/dashboard.tf",
        '"KinesisMillisBehindLatest"',
        '"KinesisMillisBehind"',
        "Deliver should show what comes into the data stream, and how far behind it is read.",
    ),
    Guard(
        "alarms reach the topic",
        "monitoring/alarms.tf",
        "alarm_actions = [local.topic_arn]",
        "alarm_actions = []",
        "Alarms should go to the topic, and so should their end.",
    ),
    Guard(
        "only alarms of this account publish",
        "monitoring/topic.tf",
        'StringEquals = { "aws:SourceAccount" = var.account.id }',
        'StringEquals = { "aws:SourceAccount" = "*" }',
        "Only alarms of this account should publish.",
    ),
    Guard(
        "the error prefix is counted",
        "monitoring/alarms.tf",
        "prefix = var.bucket.errors_prefix",
        'prefix = "other/"',
        "S3 should count what comes under the error prefix.",
    ),
    Guard(
        "the canary calls one method",
        "canary/role.tf",
        "${var.api.stage}/POST/events",
        "*",
        "The canary should be allowed one method of one API.",
    ),
    Guard(
        "the canary reads no other events",
        "canary/role.tf",
        "audit_type=${local.audit_type}/*",
        "*",
        "The canary should read no other events.",
    ),
    Guard(
        "only the schedule invokes the canary",
        "canary/canary.tf",
        ":rule/${local.canary_name}",
        ":rule/*",
        "Only the rule should invoke the canary.",
    ),
    Guard(
        "the canary's silence rings",
        "canary/canary.tf",
        'treat_missing_data  = "breaching"',
        'treat_missing_data  = "missing"',
        "Silence should ring",
    ),
    Guard(
        "the log group of the canary forgets",
        "canary/canary.tf",
        "retention_in_days = var.logs.retention_days",
        "retention_in_days = 0",
        "Every log group should have the retention of the variable.",
    ),
    Guard(
        "the crawler's role changes neither table nor data",
        "catalog/crawler.tf",
        '"glue:GetDatabase", "glue:GetTable"',
        '"glue:GetDatabase", "glue:UpdateTable", "glue:GetTable"',
        "The crawler should not be able to change the table or the data.",
    ),
    Guard(
        "the crawler changes no column",
        "catalog/crawler.tf",
        'update_behavior = "LOG"',
        'update_behavior = "UPDATE_IN_DATABASE"',
        "The crawler should not change the table",
    ),
    Guard(
        "the workgroup binds every client",
        "catalog/workgroup.tf",
        "enforce_workgroup_configuration    = true",
        "enforce_workgroup_configuration    = false",
        "The scan cutoff should hold for every client.",
    ),
    Guard(
        "results are encrypted",
        "catalog/workgroup.tf",
        '"SSE_KMS" : "SSE_S3"',
        '"SSE_KMS" : "CSE_KMS"',
        "Results should be encrypted.",
    ),
)

OPTIONAL = (
    Guard(
        "the data stream is encrypted",
        "kinesis/stream.tf",
        'encryption_type  = "KMS"',
        'encryption_type  = "NONE"',
        "The data stream should be encrypted without any setting.",
    ),
    Guard(
        "what hides an event hides nothing in the copy",
        "replication/replication.tf",
        'delete_marker_replication {\n      status = "Disabled"',
        'delete_marker_replication {\n      status = "Enabled"',
        "A delete marker should hide nothing in the copy.",
    ),
    Guard(
        "the role that copies copies no deletion",
        "replication/role.tf",
        '["s3:ReplicateObject", "s3:ReplicateTags"]',
        '["s3:ReplicateObject", "s3:ReplicateTags", "s3:ReplicateDelete"]',
        "The role should not copy deletions.",
    ),
)

GUARDS = (*STORAGE, *ENCRYPTION, *DELIVERY, *INGEST, *REST, *OPTIONAL)


def batches(module: str) -> list[list[Guard]]:
    """Return the guards of a module in batches that are broken at once, none with two of the same answer."""
    found: list[list[Guard]] = []
    for guard in GUARDS:
        if guard.module == module:
            batch = next((one for one in found if guard.answer not in {other.answer for other in one}), None)
            if batch is None:
                found.append(batch := [])
            batch.append(guard)
    return found


def break_and_ask(modules: Path, guards: Sequence[Guard]) -> list[str]:
    """Return what the tests of an initialised module say once its guards are broken; the files are put right again.

    Raises:
        LookupError: a file does not hold what guards.
    """
    folder = modules / guards[0].module
    texts = {modules / guard.file: (modules / guard.file).read_text() for guard in guards}
    try:
        for guard in guards:
            _break(modules / guard.file, guard)
        return told_by_tests(folder)
    finally:
        for file, text in texts.items():
            file.write_text(text)


def is_answered(guard: Guard, told: Iterable[str]) -> bool:
    """Return whether what the tests say holds the guard's answer."""
    return any(said.startswith(guard.answer) for said in told)


def _break(file: Path, guard: Guard) -> None:
    text = file.read_text()
    if guard.right not in text:
        raise LookupError(f"{guard.file} does not hold: {guard.right}")
    file.write_text(text.replace(guard.right, guard.wrong, 1))


def table() -> str:
    """Return the list as a Markdown table."""
    rows = [f"| {guard.what} | {guard.file} | {guard.answer} |" for guard in GUARDS]
    return "\n".join(["| guard | broken in | what fails |", "| --- | --- | --- |", *rows])


def each() -> Iterator[str]:
    """Break one guard after the other, each alone, and yield those that nothing answers."""
    with tempfile.TemporaryDirectory() as target:
        modules = copy_stack(Path(target) / "stack") / "modules"
        for module in sorted({guard.module for guard in GUARDS}):
            init(modules / module)
        for guard in GUARDS:
            if not is_answered(guard, break_and_ask(modules, [guard])):
                yield guard.what


if __name__ == "__main__":
    if sys.argv[1:] == ["each"]:
        sys.exit("\n".join(each()) or 0)
    sys.stdout.write(table() + "\n")
