"""What AWS refuses of a delivery stream itself when it is made (A1, A5, B6, B7, C1)."""

import re
from collections.abc import Iterator
from zoneinfo import available_timezones

from auditlake.checks.finding import Check, Known, Place, Planned, not_set, outside, text
from auditlake.checks.streams import MIN_BUFFER_MIB, STREAM, Find, Stream, each
from auditlake.runtime.planned import block

MIN_PARTITION_INTERVAL_S = 60  # C1
OLD_ZONE_NAMES = {"Asia/Kolkata": "Asia/Calcutta", "Europe/Kyiv": "Europe/Kiev"}
"""Zones that AWS was seen to refuse, each with the older name that it takes (B7.9)."""

_NOT_A_ZONE = (
    "Provided custom time zone is not supported. Custom time zones are limited to UTC and non-3-letter IANA time zones."
)


def _name(planned: Planned) -> Iterator[Place]:
    for resource in planned.of(STREAM):
        name = resource.values.get("name")
        if isinstance(name, str) and not re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", name):
            yield Place(resource, "name", name)


def _key_arn(planned: Planned) -> Iterator[Place]:
    for resource in planned.of(STREAM):
        sse = block(resource.values, "server_side_encryption")
        if sse.get("enabled") and sse.get("key_type") == "CUSTOMER_MANAGED_CMK" and not_set(sse, "key_arn"):
            yield Place(resource, "server_side_encryption.key_arn", sse["key_arn"])


def _owned_key_arn(planned: Planned) -> Iterator[Place]:
    for resource in planned.of(STREAM):
        sse = block(resource.values, "server_side_encryption")
        if sse.get("enabled") and sse.get("key_type") == "AWS_OWNED_CMK" and sse.get("key_arn"):
            yield Place(resource, "server_side_encryption.key_arn", sse["key_arn"])


def _encrypted_twice(planned: Planned) -> Iterator[Place]:
    for resource in planned.of(STREAM):
        sse = block(resource.values, "server_side_encryption")
        if sse.get("enabled") and block(resource.values, "kinesis_source_configuration"):
            yield Place(resource, "server_side_encryption.enabled", True)


def _range(attribute: str, low: float, high: float) -> Find:
    def found(stream: Stream) -> Iterator[Place]:
        if outside(stream.s3.get(attribute), low, high):
            yield stream.at(attribute, stream.s3[attribute])

    return each(found)


def _small_partition_buffer(stream: Stream) -> Iterator[Place]:
    size = stream.s3.get("buffering_size")
    if stream.partitioned and outside(size, MIN_BUFFER_MIB) and not outside(size, 1):
        yield stream.at("buffering_size", size)


def _short_partition_interval(stream: Stream) -> Iterator[Place]:
    interval = stream.s3.get("buffering_interval")
    if stream.partitioned and outside(interval, MIN_PARTITION_INTERVAL_S) and not outside(interval, 0):
        yield stream.at("buffering_interval", interval)


def _retry_duration(stream: Stream) -> Iterator[Place]:
    settings = block(stream.s3, "dynamic_partitioning_configuration")
    if outside(settings.get("retry_duration"), 0, 7200):
        yield stream.at("dynamic_partitioning_configuration.retry_duration", settings["retry_duration"])


def _time_zone(stream: Stream) -> Iterator[Place]:
    zone = text(stream.s3.get("custom_time_zone"))
    if zone and not re.fullmatch(r"[a-zA-Z/_]{1,50}", zone):
        yield stream.at("custom_time_zone", zone)
    elif zone not in ("", "UTC") and (len(zone) == 3 or zone in OLD_ZONE_NAMES or not _is_zone(zone)):
        yield stream.at("custom_time_zone", zone, aws=_NOT_A_ZONE)


def _is_zone(name: str) -> bool:
    known = available_timezones()
    # A machine without the list cannot tell.
    return not known or name in known


def _file_extension(stream: Stream) -> Iterator[Place]:
    extension = text(stream.s3.get("file_extension"))
    if extension and (len(extension) > 128 or not re.fullmatch(r"\.[0-9a-z!\-_.*'()]+", extension)):
        yield stream.at("file_extension", extension)


def _log_names(stream: Stream) -> Iterator[Place]:
    logging = block(stream.s3, "cloudwatch_logging_options")
    # AWS's words are known for the group only.
    required = {"log_group_name": "CloudWatch Log Group Name is required if CloudWatch Logging is enabled"}
    for name in (*required, "log_stream_name"):
        if logging.get("enabled") and not_set(logging, name):
            yield stream.at(f"cloudwatch_logging_options.{name}", logging[name], aws=required.get(name, ""))
            return


def _backup(stream: Stream) -> Iterator[Place]:
    if stream.s3.get("s3_backup_mode") == "Enabled" and not_set(stream.s3, "s3_backup_configuration"):
        yield stream.at("s3_backup_configuration")


_DYNAMIC = "when Dynamic Partitioning is enabled"

REFUSALS: tuple[Check, ...] = (
    Check(
        "stream-name",
        "A1.4",
        Known.DOCUMENTED,
        _name,
        "A stream's name has 1 to 64 letters, digits, `_`, `.` and `-`.",
        "Choose another name.",
    ),
    Check(
        "stream-key-arn-missing",
        "A5.1",
        Known.OBSERVED,
        _key_arn,
        "A customer managed key needs its ARN.",
        "Set key_arn, or key_type = AWS_OWNED_CMK.",
        "KeyARN has to be specified when KeyType is CUSTOMER_MANAGED_CMK",
    ),
    Check(
        "stream-key-arn-unused",
        "A5.1",
        Known.OBSERVED,
        _owned_key_arn,
        "A key of AWS's own takes no ARN.",
        "Drop key_arn, or set key_type = CUSTOMER_MANAGED_CMK.",
        "KeyARN cannot be specified when KeyType is AWS_OWNED_CMK",
    ),
    Check(
        "stream-encrypted-with-source",
        "A5.1",
        Known.DOCUMENTED,
        _encrypted_twice,
        "A stream that reads a Kinesis data stream takes no encryption of its own: the data stream encrypts.",
        "Leave server_side_encryption out, and encrypt the aws_kinesis_stream.",
    ),
    Check(
        "buffering-size",
        "C1.2",
        Known.DOCUMENTED,
        _range("buffering_size", 1, 128),
        "The buffer holds 1 to 128 MiB.",
        "Set buffering_size between 64 and 128.",
    ),
    Check(
        "buffering-interval",
        "C1.3",
        Known.DOCUMENTED,
        _range("buffering_interval", 0, 900),
        "The buffer waits 0 to 900 seconds.",
        "Set buffering_interval between 60 and 900.",
    ),
    Check(
        "partitioning-buffering-size",
        "C1.2",
        Known.OBSERVED,
        each(_small_partition_buffer),
        "Dynamic partitioning needs a buffer of at least 64 MiB.",
        "Set buffering_size between 64 and 128.",
        f"BufferingHints.SizeInMBs must be at least 64 {_DYNAMIC}.",
    ),
    Check(
        "partitioning-buffering-interval",
        "C1.3",
        Known.OBSERVED,
        each(_short_partition_interval),
        "Dynamic partitioning needs an interval of at least 60 seconds.",
        "Set buffering_interval between 60 and 900.",
        f"BufferingHints.IntervalInSeconds must be at least 60 seconds {_DYNAMIC}.",
    ),
    Check(
        "partitioning-retry-duration",
        "C1.11",
        Known.DOCUMENTED,
        each(_retry_duration),
        "A partition is retried for 0 to 7200 seconds.",
        "Set retry_duration between 0 and 7200.",
    ),
    Check(
        "custom-time-zone",
        "B7.9",
        Known.PROBED,
        each(_time_zone),
        "A time zone is UTC or an IANA name like Asia/Tokyo, of letters, `/` and `_`, at most 50 characters.",
        "Use UTC or a name like Asia/Tokyo, and of a renamed zone the older one: Asia/Calcutta, Europe/Kiev.",
    ),
    Check(
        "file-extension",
        "B7.4",
        Known.DOCUMENTED,
        each(_file_extension),
        "A file extension is a dot and lower-case letters, digits or !-_.*'(), at most 128 characters.",
        "Use an extension like .parquet.",
    ),
    Check(
        "stream-log-names",
        "E3",
        Known.OBSERVED,
        each(_log_names),
        "Logging is enabled without the names of its log group and stream.",
        "Set log_group_name and log_stream_name.",
    ),
    Check(
        "backup-configuration-missing",
        "B6.5",
        Known.DOCUMENTED,
        each(_backup),
        "Source backup is enabled without a destination.",
        "Set s3_backup_configuration.",
    ),
)
"""Name, key, buffer and logs."""
