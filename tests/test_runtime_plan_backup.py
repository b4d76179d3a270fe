"""The source backup of a delivery stream, as the plan says it, and what of it is refused."""

import json
from typing import Any

import pytest

from auditlake.errors import PlanError
from auditlake.runtime.plan import MIB, SourceBackup
from auditlake.runtime.plan_reader import parse_plan
from tests.backup_plan import backup_of, backup_plan

STREAM = "module.delivery.aws_kinesis_firehose_delivery_stream.events"
IN_S3 = "extended_s3_configuration.s3_backup_configuration"


def read(plan: dict[str, Any]) -> SourceBackup | None:
    """Return the source backup that is read of a plan."""
    return parse_plan(json.dumps(plan), "plan.json").stream.backup


def test_the_backup_is_read() -> None:
    """Prefix, compression and buffering are the plan's own."""
    assert read(backup_plan(buffering_size=2)) == SourceBackup("raw/", "GZIP", 2 * MIB, 60)


def test_what_is_left_out_is_awss_default() -> None:
    """5 MiB, 300 seconds, uncompressed and no prefix (API reference, documented)."""
    left_out = dict.fromkeys(("buffering_size", "buffering_interval", "compression_format", "prefix"))

    assert read(backup_plan(**left_out)) == SourceBackup("", "UNCOMPRESSED", 5 * MIB, 300)


def test_a_stream_without_a_backup_has_none() -> None:
    """Disabled is disabled, whatever else the plan says of a backup."""
    plan = backup_plan()
    assert read(json.loads(json.dumps(plan).replace('"s3_backup_mode": "Enabled"', '"s3_backup_mode": null'))) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"compression_format": "ZIP"}, "compression_format = 'ZIP' is not implemented, only 'UNCOMPRESSED' or 'GZIP'"),
        ({"compression_format": "Snappy"}, "compression_format = 'Snappy' is not implemented"),
        ({"file_extension": ".json"}, "file_extension = '.json' is not implemented"),
        (
            {"bucket_arn": "arn:aws:s3:::another"},
            "bucket_arn = 'arn:aws:s3:::another' is not implemented, only the bucket of the stream itself",
        ),
        ({"prefix": "errors/raw/"}, "prefix = 'errors/raw/' begins as error_output_prefix does"),
    ],
    ids=["zip", "snappy", "extension", "bucket", "prefix"],
)
def test_what_the_runtime_does_not_do_of_a_backup_is_refused(changes: dict[str, Any], says: str) -> None:
    """The sentence names the resource and the attribute."""
    with pytest.raises(PlanError) as caught:
        read(backup_plan(**changes))

    assert f"{STREAM}: {IN_S3}.{says}" in str(caught.value)


def test_a_backup_without_a_place_is_refused() -> None:
    """Enabled without s3_backup_configuration is named, as AWS refuses it."""
    plan = backup_plan()
    backup_of(plan).clear()

    with pytest.raises(PlanError, match=f"{STREAM}: s3_backup_configuration is missing"):
        read(plan)


def test_a_key_for_the_backup_is_as_harmless_as_the_streams_own() -> None:
    """Key, role and logging belong to AWS; they change nothing of what is stored here."""
    key = "arn:aws:kms:us-east-1:123456789012:key/1"

    assert read(backup_plan(kms_key_arn=key, role_arn="arn:aws:iam::123456789012:role/r")) == read(backup_plan())
