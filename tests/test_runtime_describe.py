"""What DescribeDeliveryStream says."""

import copy
import json
from dataclasses import replace
from typing import Any

from auditlake.runtime.describe import describe, tags
from auditlake.runtime.plan import DeliveryStream, Plan
from auditlake.runtime.plan_reader import parse_plan
from tests.backup_plan import BUCKET_ARN, backup_plan


def changed(plan: Plan, **s3: Any) -> DeliveryStream:  # noqa: ANN401 - any attribute
    """The default plan's stream with other attributes in its S3 configuration."""
    attributes = copy.deepcopy(dict(plan.stream.attributes))
    attributes["extended_s3_configuration"][0].update(s3)
    return replace(plan.stream, attributes=attributes)


def extended(stream: DeliveryStream) -> dict[str, Any]:
    """The extended description of the stream's destination."""
    found: dict[str, Any] = describe(stream, 1.5)["Destinations"][0]["ExtendedS3DestinationDescription"]
    return found


def test_given_parameters_stand_among_the_defaults_in_awss_order(plan: Plan) -> None:
    """What the plan gives wins over the default and takes its place in the order (I.11, probed)."""
    given = [("BufferIntervalInSeconds", "70"), ("BufferSizeInMBs", "0.5"), ("LambdaArn", "arn")]
    parameters = [{"parameter_name": name, "parameter_value": value} for name, value in given]
    processors = [{"type": "Lambda", "parameters": parameters}, {"type": "AppendDelimiterToRecord", "parameters": []}]
    stream = changed(plan, processing_configuration=[{"enabled": True, "processors": processors}])
    first, second = extended(stream)["ProcessingConfiguration"]["Processors"]

    assert [(p["ParameterName"], p["ParameterValue"]) for p in first["Parameters"]] == [
        ("LambdaArn", "arn"),
        ("NumberOfRetries", "3"),
        ("RoleArn", plan.stream.role_arn),
        ("BufferSizeInMBs", "0.5"),
        ("BufferIntervalInSeconds", "70"),
    ]
    assert second == {"Type": "AppendDelimiterToRecord", "Parameters": []}


def test_the_source_backup_is_described_as_the_destination_is(plan: Plan) -> None:
    """Mode and description come back, with the defaults of what was left out; without a backup there is none (B6)."""
    assert extended(plan.stream)["S3BackupMode"] == "Disabled"
    assert "S3BackupDescription" not in extended(plan.stream)

    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    stream = parse_plan(json.dumps(backup_plan(buffering_size=None, kms_key_arn=key)), "plan.json").stream
    assert extended(stream)["S3BackupMode"] == "Enabled"
    assert extended(stream)["S3BackupDescription"] == {
        "RoleARN": stream.role_arn,
        "BucketARN": BUCKET_ARN,
        "Prefix": "raw/",
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60},
        "CompressionFormat": "GZIP",
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": key}},
        "CloudWatchLoggingOptions": extended(stream)["CloudWatchLoggingOptions"],
    }


def test_the_conversion_comes_back_as_it_was_given(plan: Plan) -> None:
    """Names and values are the plan's; what it left out is left out (probed)."""
    conversion = extended(plan.stream)["DataFormatConversionConfiguration"]

    assert conversion["OutputFormatConfiguration"]["Serializer"]["ParquetSerDe"] == {
        "BlockSizeBytes": 268435456,
        "PageSizeBytes": 1048576,
        "Compression": "SNAPPY",
        "EnableDictionaryCompression": False,
        "MaxPaddingBytes": 0,
        "WriterVersion": "V1",
    }
    assert conversion["InputFormatConfiguration"]["Deserializer"]["OpenXJsonSerDe"] == {
        "ConvertDotsInJsonKeysToUnderscores": False,
        "CaseInsensitive": True,
    }
    assert "CatalogId" not in conversion["SchemaConfiguration"]


def test_zone_extension_and_key_are_told(plan: Plan) -> None:
    """The time zone, the file extension and the KMS key are echoed."""
    key = "arn:aws:kms:us-east-1:123456789012:key/k"
    stream = changed(plan, custom_time_zone="Asia/Tokyo", file_extension=".pq", kms_key_arn=key)
    told = extended(stream)

    assert (told["CustomTimeZone"], told["FileExtension"]) == ("Asia/Tokyo", ".pq")
    assert told["EncryptionConfiguration"] == {"KMSEncryptionConfig": {"AWSKMSKeyARN": key}}


def test_a_stream_without_encryption_says_so(plan: Plan) -> None:
    """SSE that is off is DISABLED, and no key type is named."""
    stream = replace(plan.stream, attributes={**plan.stream.attributes, "server_side_encryption": []})

    assert describe(stream, 1.5)["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"}
    assert describe(stream, 1.5)["CreateTimestamp"] == 1.5


def test_tags_come_in_the_order_of_their_keys(plan: Plan) -> None:
    """All tags of the plan are there."""
    stream = replace(plan.stream, attributes={**plan.stream.attributes, "tags_all": {"b": "2", "a": "1"}})

    assert tags(stream) == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    assert tags(replace(stream, attributes={})) == []
