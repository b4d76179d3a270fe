"""Whether the delivery stream does what the plan says: buffers, prefixes, transform, conversion, encryption."""

from collections.abc import Iterator, Mapping
from typing import Any

from auditlake.aws_ask import Aws
from auditlake.aws_stack import Names, Promise
from auditlake.doctor_aws.outcome import Facts, Outcome, compared, looked
from auditlake.runtime.planned import block


def check(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    """Yield the outcomes of the delivery stream's checks."""
    yield from looked(f"stream {names.stream}", "delivery stream", lambda: _stream(promise, aws, names))


def _stream(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    answer = aws.ask("firehose", "describe_delivery_stream", DeliveryStreamName=names.stream)
    promised = planned_facts(promise.one("aws_kinesis_firehose_delivery_stream"))
    yield from compared(f"stream {names.stream}", promised, deployed_facts(answer["DeliveryStreamDescription"]))


def planned_facts(values: Mapping[str, Any]) -> Facts:
    """Return what a plan says of the stream; None is what it does not know or leaves to AWS."""
    destination = block(values, "extended_s3_configuration")
    conversion = block(destination, "data_format_conversion_configuration")
    schema, logging = block(conversion, "schema_configuration"), block(destination, "cloudwatch_logging_options")
    processing = block(destination, "processing_configuration")
    parquet = block(conversion, "output_format_configuration", "serializer", "parquet_ser_de")
    parameters = block(processing, "processors").get("parameters") or ()
    encryption = block(values, "server_side_encryption")
    return {
        "status": "ACTIVE",
        "bucket": destination.get("bucket_arn"),
        "prefix": destination.get("prefix"),
        "error prefix": destination.get("error_output_prefix"),
        "buffer size (MiB)": destination.get("buffering_size"),
        "buffer interval (s)": destination.get("buffering_interval"),
        "encryption at rest": "ENABLED" if encryption.get("enabled") else None,
        "encryption key type": encryption.get("key_type") if encryption.get("enabled") else None,
        "transform enabled": processing.get("enabled"),
        "transform": {one["parameter_name"]: one["parameter_value"] for one in parameters}.get("LambdaArn"),
        "dynamic partitioning": block(destination, "dynamic_partitioning_configuration").get("enabled"),
        "conversion enabled": conversion.get("enabled"),
        "conversion table": _table(schema.get("database_name"), schema.get("table_name")),
        "conversion compression": parquet.get("compression"),
        "error log": logging.get("log_group_name") if logging.get("enabled") else None,
    }


def deployed_facts(described: Mapping[str, Any]) -> Facts:
    """Return what Firehose says of the stream."""
    destination = described["Destinations"][0].get("ExtendedS3DestinationDescription", {})
    conversion = destination.get("DataFormatConversionConfiguration", {})
    processing = destination.get("ProcessingConfiguration", {})
    schema, hints = conversion.get("SchemaConfiguration", {}), destination.get("BufferingHints", {})
    serializer = conversion.get("OutputFormatConfiguration", {}).get("Serializer", {})
    encryption = described.get("DeliveryStreamEncryptionConfiguration", {})
    logging = destination.get("CloudWatchLoggingOptions", {})
    return {
        "status": described["DeliveryStreamStatus"],
        "bucket": destination.get("BucketARN"),
        "prefix": destination.get("Prefix"),
        "error prefix": destination.get("ErrorOutputPrefix"),
        "buffer size (MiB)": hints.get("SizeInMBs"),
        "buffer interval (s)": hints.get("IntervalInSeconds"),
        "encryption at rest": encryption.get("Status", "DISABLED"),
        "encryption key type": encryption.get("KeyType"),
        "transform enabled": processing.get("Enabled", False),
        "transform": _transform(processing),
        "dynamic partitioning": destination.get("DynamicPartitioningConfiguration", {}).get("Enabled", False),
        # Firehose leaves Enabled out where it is true.
        "conversion enabled": bool(conversion) and conversion.get("Enabled", True),
        "conversion table": _table(schema.get("DatabaseName"), schema.get("TableName")),
        "conversion compression": serializer.get("ParquetSerDe", {}).get("Compression"),
        "error log": logging.get("LogGroupName") if logging.get("Enabled") else None,
    }


def _transform(processing: Mapping[str, Any]) -> str | None:
    for processor in processing.get("Processors", ()):
        for parameter in processor.get("Parameters", ()):
            if processor["Type"] == "Lambda" and parameter["ParameterName"] == "LambdaArn":
                return str(parameter["ParameterValue"])
    return None


def _table(database: str | None, table: str | None) -> str | None:
    return f"{database}.{table}" if database and table else None
