"""The delivery stream of a plan: its buffers, its source, its processor, its conversion."""

from collections.abc import Mapping
from typing import Any

from auditlake.errors import PlanError
from auditlake.runtime.plan import (
    MIB,
    Conversion,
    DeliveryStream,
    KinesisStream,
    LambdaProcessor,
    OpenX,
    SourceBackup,
)
from auditlake.runtime.planned import Resource, block, blocks, number_of, text_of


def stream_of(resource: Resource, arn: str, region: str, processor: LambdaProcessor, role_arn: str) -> DeliveryStream:
    """Return the delivery stream that a resource describes, DirectPut until its source is given; raises KeyError."""
    s3 = block(resource.values, "extended_s3_configuration")
    time_zone = s3.get("custom_time_zone") or "UTC"
    return DeliveryStream(
        name=text_of(resource.values, "name"),
        arn=arn,
        region=region,
        prefix=text_of(s3, "prefix"),
        error_output_prefix=text_of(s3, "error_output_prefix"),
        custom_time_zone=time_zone,
        file_extension=s3.get("file_extension") or None,
        buffer_size_bytes=number_of(s3, "buffering_size") * MIB,
        buffer_interval_s=number_of(s3, "buffering_interval"),
        bucket=text_of(s3, "bucket_arn").rsplit(":", 1)[-1],
        processor=processor,
        conversion=_conversion(block(s3, "data_format_conversion_configuration")),
        encrypted=bool(block(resource.values, "server_side_encryption").get("enabled")),
        role_arn=role_arn,
        backup=_source_backup(resource.address, s3),
        attributes=resource.values,
    )


def _source_backup(address: str, s3: Mapping[str, Any]) -> SourceBackup | None:
    """Return the source backup of a stream; raises PlanError for one that has no place, or another's."""
    if s3.get("s3_backup_mode") != "Enabled":
        return None
    backup = block(s3, "s3_backup_configuration")
    if not backup:
        raise PlanError(
            f"{address}: s3_backup_configuration is missing, and s3_backup_mode is Enabled: say where the records go."
        )
    bucket, prefix = text_of(backup, "bucket_arn"), backup.get("prefix") or ""
    if bucket != text_of(s3, "bucket_arn"):
        raise PlanError(
            f"{address}: extended_s3_configuration.s3_backup_configuration.bucket_arn = {bucket!r} is not implemented, "
            f"only the bucket of the stream itself, {text_of(s3, 'bucket_arn')!r}: a data directory has one bucket."
        )
    errors = text_of(s3, "error_output_prefix").partition("!{")[0]
    if prefix.startswith(errors):
        raise PlanError(
            f"{address}: extended_s3_configuration.s3_backup_configuration.prefix = {prefix!r} begins as "
            f"error_output_prefix does ({errors!r}), and auditlake redrive would read records of the backup as failed: "
            "give the backup a prefix of its own."
        )
    size, interval = backup.get("buffering_size"), backup.get("buffering_interval")
    return SourceBackup(
        prefix=prefix,
        compression=backup.get("compression_format") or "UNCOMPRESSED",
        # Left out they are 5 MiB and 300 s (API reference, BufferingHints, documented).
        buffer_size_bytes=(5 if size is None else size) * MIB,
        buffer_interval_s=300 if interval is None else interval,
    )


def kinesis_stream(resource: Resource, arn: str) -> KinesisStream:
    """Return the data stream that a resource describes; raises KeyError."""
    values = resource.values
    return KinesisStream(
        name=text_of(values, "name"),
        arn=arn,
        mode=block(values, "stream_mode_details").get("stream_mode") or "PROVISIONED",
        retention_hours=values.get("retention_period") or 24,
        # A plan does not know the ARN of a key that it makes; the alias stands for it.
        key_id=(values.get("kms_key_id") or "unknown before the apply")
        if values.get("encryption_type") == "KMS"
        else None,
    )


def processor_of(resource: Resource) -> LambdaProcessor:
    """Return the processor of a delivery stream; raises PlanError unless it has one, of type Lambda."""
    s3 = block(resource.values, "extended_s3_configuration")
    processors = blocks(block(s3, "processing_configuration"), "processors")
    lambdas = [processor for processor in processors if processor.get("type") == "Lambda"]
    if len(lambdas) != 1:
        raise PlanError(f"{resource.address}: the runtime runs a stream with one processor of type Lambda.")
    given = blocks(lambdas[0], "parameters")
    parameters = {text_of(one, "parameter_name"): text_of(one, "parameter_value") for one in given}

    def number(name: str, default: int) -> float:
        try:
            return float(parameters.get(name, default))
        except ValueError:
            raise PlanError(f"{resource.address}: the parameter {name} = {parameters[name]!r} is no number.") from None

    return LambdaProcessor(
        function_arn=text_of(parameters, "LambdaArn"),
        buffer_size_bytes=int(number("BufferSizeInMBs", 1) * MIB),
        buffer_interval_s=int(number("BufferIntervalInSeconds", 60)),
        retries=int(number("NumberOfRetries", 3)),
    )


def _conversion(values: Mapping[str, Any]) -> Conversion:
    serializer = block(values, "output_format_configuration", "serializer")
    parquet = block(serializer, "parquet_ser_de")
    return Conversion(
        compression=parquet.get("compression") or "SNAPPY",
        page_size_bytes=parquet.get("page_size_bytes") or MIB,
        row_group_size_bytes=parquet.get("block_size_bytes") or 256 * MIB,
        dictionary=bool(parquet.get("enable_dictionary_compression")),
        writer_version=parquet.get("writer_version") or "V1",
        openx=_openx(block(values, "input_format_configuration", "deserializer")),
    )


def _openx(deserializer: Mapping[str, Any]) -> OpenX:
    options = block(deserializer, "open_x_json_ser_de")
    return OpenX(
        # Left out means true (D3).
        case_insensitive=options.get("case_insensitive") is not False,
        convert_dots_in_json_keys_to_underscores=bool(options.get("convert_dots_in_json_keys_to_underscores")),
        column_to_json_key_mappings=tuple((options.get("column_to_json_key_mappings") or {}).items()),
    )
