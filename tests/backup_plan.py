"""The plan of the defaults with a source backup, as Terraform plans `raw_backup = true`."""

import json
from typing import Any

from auditlake.runtime.planned import plan_text
from tests.kinesis_plan import resource

BUCKET_ARN = "arn:aws:s3:::auditlake-events-123456789012"


def backup_plan(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any attribute of the backup
    """Return the plan, its backup with other attributes; test_permissions.py holds it against Terraform's own.

    An attribute that is changed into None is left out, as Terraform plans it.
    """
    plan: dict[str, Any] = json.loads(plan_text()[0])
    (s3,) = resource(plan, "aws_kinesis_firehose_delivery_stream")["extended_s3_configuration"]
    backup = {
        "bucket_arn": BUCKET_ARN,
        "buffering_interval": 60,
        "buffering_size": 128,
        "cloudwatch_logging_options": s3["cloudwatch_logging_options"],
        "compression_format": "GZIP",
        "error_output_prefix": None,
        "kms_key_arn": None,
        "prefix": "raw/",
    }
    s3["s3_backup_mode"] = "Enabled"
    s3["s3_backup_configuration"] = [backup | changes]
    return plan


def backup_of(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the blocks s3_backup_configuration of a plan's stream."""
    (s3,) = resource(plan, "aws_kinesis_firehose_delivery_stream")["extended_s3_configuration"]
    blocks: list[dict[str, Any]] = s3["s3_backup_configuration"]
    return blocks
