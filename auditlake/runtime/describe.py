"""What DescribeDeliveryStream says of the plan's stream: its attributes in the API's words, defaults filled as by AWS.

AWS answers with more than it was given (I.11; floci-io/floci PR 3375 and 3393, probed 2026-09): a Lambda processor has
all five parameters in one order, with the stream's own role; the conversion comes back exactly as it was given.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from auditlake.runtime.plan import MIB, DeliveryStream

DESTINATION_ID = "destinationId-000000000001"
"""The only destination of a stream (observed form)."""
_LAMBDA_PARAMETERS = ("LambdaArn", "NumberOfRetries", "RoleArn", "BufferSizeInMBs", "BufferIntervalInSeconds")
"""The order of a Lambda processor's parameters, whatever order they were given in (probed, see above)."""

Attributes = Mapping[str, Any]


def describe(stream: DeliveryStream, created_s: float) -> dict[str, Any]:
    """Return the DeliveryStreamDescription; `created_s` (epoch seconds, UTC) is when the stream came to be here.

    VersionId is 1, because what runs here was never updated (B7, documented).
    """
    return {
        "DeliveryStreamName": stream.name,
        "DeliveryStreamARN": stream.arn,
        "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamEncryptionConfiguration": _encryption(_block(stream.attributes, "server_side_encryption")),
        "DeliveryStreamType": stream_type(stream),
        "VersionId": "1",
        "CreateTimestamp": created_s,
        **_source(stream, created_s),
        "Destinations": [_destination(stream)],
        "HasMoreDestinations": False,
    }


def stream_type(stream: DeliveryStream) -> str:
    """Return the DeliveryStreamType, which says where the stream takes records from."""
    return "DirectPut" if stream.source is None else "KinesisStreamAsSource"


def _source(stream: DeliveryStream, created_s: float) -> dict[str, Any]:
    """Return the Source, which only a stream that reads one has; here it has read it since it came to be."""
    if stream.source is None:
        return {}
    read = {"KinesisStreamARN": stream.source.arn, "RoleARN": stream.role_arn, "DeliveryStartTimestamp": created_s}
    return {"Source": {"KinesisStreamSourceDescription": read}}


def tags(stream: DeliveryStream) -> list[dict[str, str]]:
    """Return the stream's tags in the order of their keys."""
    planned: Mapping[str, str] = stream.attributes.get("tags_all") or stream.attributes.get("tags") or {}
    return [{"Key": key, "Value": value} for key, value in sorted(planned.items())]


def _encryption(sse: Attributes) -> dict[str, Any]:
    if not sse.get("enabled"):
        return {"Status": "DISABLED"}
    return _without_null(
        {"KeyARN": sse.get("key_arn"), "KeyType": sse.get("key_type") or "AWS_OWNED_CMK", "Status": "ENABLED"}
    )


def _destination(stream: DeliveryStream) -> dict[str, Any]:
    s3 = _block(stream.attributes, "extended_s3_configuration")
    plain = _plain(stream, s3, {"SizeInMBs": s3["buffering_size"], "IntervalInSeconds": s3["buffering_interval"]})
    extended = {
        **plain,
        "ProcessingConfiguration": _processing(stream, _block(s3, "processing_configuration")),
        "S3BackupMode": s3.get("s3_backup_mode") or "Disabled",
        "S3BackupDescription": _backup(stream, _block(s3, "s3_backup_configuration")),
        "DataFormatConversionConfiguration": _conversion(stream, _block(s3, "data_format_conversion_configuration")),
        "DynamicPartitioningConfiguration": _partitioning(_block(s3, "dynamic_partitioning_configuration")),
        "FileExtension": s3.get("file_extension"),
        "CustomTimeZone": s3.get("custom_time_zone") or "UTC",
    }
    return {
        "DestinationId": DESTINATION_ID,
        # The same destination again in the words of the time before it was extended.
        "S3DestinationDescription": _without_null(plain),
        "ExtendedS3DestinationDescription": _without_null(extended),
    }


def _plain(stream: DeliveryStream, s3: Attributes, buffering: Attributes) -> dict[str, Any]:
    """Return what an S3DestinationDescription says of a destination in S3, the stream's own or its backup's."""
    kms_key = s3.get("kms_key_arn")
    return {
        # A plan does not know a role that it makes; the stream's is composed of its name.
        "RoleARN": s3.get("role_arn") or stream.role_arn,
        "BucketARN": s3["bucket_arn"],
        "Prefix": s3.get("prefix"),
        "ErrorOutputPrefix": s3.get("error_output_prefix"),
        "BufferingHints": buffering,
        "CompressionFormat": s3.get("compression_format") or "UNCOMPRESSED",
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": kms_key}}
        if kms_key
        else {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": _logging(_block(s3, "cloudwatch_logging_options")),
    }


def _backup(stream: DeliveryStream, block: Attributes) -> dict[str, Any] | None:
    """Return the S3BackupDescription; None where source backup is disabled."""
    backup = stream.backup
    if backup is None:
        return None
    buffering = {"SizeInMBs": backup.buffer_size_bytes // MIB, "IntervalInSeconds": backup.buffer_interval_s}
    return _without_null(_plain(stream, block, buffering))


def _logging(options: Attributes) -> dict[str, Any]:
    named = {"LogGroupName": options.get("log_group_name"), "LogStreamName": options.get("log_stream_name")}
    return _without_null({"Enabled": bool(options.get("enabled")), **named})


def _processing(stream: DeliveryStream, block: Attributes) -> dict[str, Any]:
    processors = [
        {"Type": processor["type"], "Parameters": _parameters(stream, processor)}
        for processor in block.get("processors") or ()
    ]
    return {"Enabled": bool(block.get("enabled")), "Processors": processors}


def _parameters(stream: DeliveryStream, processor: Attributes) -> list[dict[str, str]]:
    given = {p["parameter_name"]: p["parameter_value"] for p in processor.get("parameters") or ()}
    if processor["type"] == "Lambda":
        defaults = {
            "NumberOfRetries": "3",
            "RoleArn": stream.role_arn,
            "BufferSizeInMBs": "1",
            "BufferIntervalInSeconds": "60",
        }
        filled = {**defaults, **given}
        given = {name: filled[name] for name in _LAMBDA_PARAMETERS if name in filled}
    return [{"ParameterName": name, "ParameterValue": value} for name, value in given.items()]


def _conversion(stream: DeliveryStream, block: Attributes) -> dict[str, Any]:
    schema = _block(block, "schema_configuration")
    deserializer = _block(_block(block, "input_format_configuration"), "deserializer")
    serializer = _block(_block(block, "output_format_configuration"), "serializer")
    open_x, parquet = _block(deserializer, "open_x_json_ser_de"), _block(serializer, "parquet_ser_de")
    schema_members = ("CatalogId", "DatabaseName", "TableName", "Region", "VersionId")
    open_x_members = ("ConvertDotsInJsonKeysToUnderscores", "CaseInsensitive", "ColumnToJsonKeyMappings")
    parquet_members = (
        "BlockSizeBytes",
        "PageSizeBytes",
        "Compression",
        "EnableDictionaryCompression",
        "MaxPaddingBytes",
        "WriterVersion",
    )
    return {
        # A plan knows the role of the schema no better than that of the stream, which it is in this one.
        "SchemaConfiguration": {
            "RoleARN": schema.get("role_arn") or stream.role_arn,
            **_members(schema, schema_members),
        },
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": _members(open_x, open_x_members)}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": _members(parquet, parquet_members)}},
        "Enabled": bool(block.get("enabled")),
    }


def _partitioning(block: Attributes) -> dict[str, Any]:
    retry = block.get("retry_duration")
    return {
        "RetryOptions": {"DurationInSeconds": 300 if retry is None else retry},
        "Enabled": bool(block.get("enabled")),
    }


def _members(block: Attributes, names: Sequence[str]) -> dict[str, Any]:
    """Return the block's attributes under the API's names: `PageSizeBytes` is `page_size_bytes`."""
    return _without_null({name: block.get(_snake_case(name)) for name in names})


def _snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


def _without_null(members: Attributes) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _block(attributes: Attributes, name: str) -> Attributes:
    """Return the one block of that name; Terraform plans a block as a list of one. Empty when it is not there."""
    blocks: Sequence[Attributes] = attributes.get(name) or [{}]
    return blocks[0]
