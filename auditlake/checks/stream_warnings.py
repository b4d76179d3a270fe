"""What AWS takes of a delivery stream and its transform, and what does harm (A1, B3, C2, C3, E3, I)."""

from collections.abc import Iterator

from auditlake.checks.finding import Check, Known, Place, Planned, number, text
from auditlake.checks.streams import CONVERSION, PROCESSING, Stream, streams
from auditlake.runtime.planned import block

ACTIVE_PARTITIONS = 500  # of a stream, unless AWS raised it (C2)
MIN_TRANSFORM_TIMEOUT_S = 60
MAX_TRANSFORM_TIMEOUT_S = 300  # Firehose waits no longer (B3)
LAMBDA_PAYLOAD_MB = 6  # B3
ANSWER_PER_RECORD = 2.2
"""Bytes that our transform answers for each byte of its records, base64 included; measured with `auditlake.sample`."""

# What AWS assumes when the parameter is not given (B3), as the provider compares it.
_DEFAULTS = {"NumberOfRetries": 3, "BufferSizeInMBs": 1, "BufferIntervalInSeconds": 60}


def window(planned: Planned, stream: Stream) -> tuple[int, int] | None:
    """Return how many audit types and days the transform opens partitions for; None where it does not say."""
    function = stream.function(planned)
    variables = block(function.values, "environment").get("variables") if function else None
    if not isinstance(variables, dict) or not variables.get("AUDIT_TYPES"):
        return None
    back, ahead = number(variables.get("EVENT_DAYS_BACK")), number(variables.get("EVENT_DAYS_AHEAD"))
    if back is None or ahead is None:
        return None
    # One type more for `other`, one day more for the day of receipt.
    return len(text(variables["AUDIT_TYPES"]).split(",")) + 1, int(back + ahead) + 1


def _open_partitions(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        found = window(planned, stream)
        if found and stream.partitioned and found[0] * found[1] > ACTIVE_PARTITIONS:
            function = stream.function(planned)
            words = (
                f"{found[0]} audit types over {found[1]} days are {found[0] * found[1]} partitions that can be open "
                f"at once, a stream has {ACTIVE_PARTITIONS}, and records beyond them go to activePartitionExceeded."
            )
            if function:
                yield Place(function, "environment.variables.AUDIT_TYPES", found[0] * found[1], says=words)


def _short_timeout(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        function = stream.function(planned)
        # The provider plans Lambda's default, 3, where none is given.
        timeout = number(function.values.get("timeout")) if function else None
        if function and timeout is not None and timeout < MIN_TRANSFORM_TIMEOUT_S:
            yield Place(function, "timeout", function.values["timeout"])


def _long_timeout(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        function = stream.function(planned)
        timeout = number(function.values.get("timeout")) if function else None
        if function and timeout is not None and timeout > MAX_TRANSFORM_TIMEOUT_S:
            yield Place(function, "timeout", function.values["timeout"])


def _written_defaults(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        role = stream.s3.get("role_arn")
        for processor in stream.lambdas():
            for name, value in processor.parameters:
                same_role = name == "RoleArn" and value is not None and value == role
                if same_role or (name in _DEFAULTS and number(value) == _DEFAULTS[name]):
                    yield stream.at(f"{PROCESSING}.processors.parameters.{name}", value)


def _large_answers(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        for processor in stream.lambdas():
            size = number(processor.get("BufferSizeInMBs"))
            if size is not None and size <= 3 and size * ANSWER_PER_RECORD > LAMBDA_PAYLOAD_MB:
                words = (
                    f"A full buffer of {size:g} MB makes an answer of about {size * ANSWER_PER_RECORD:.1f} MB with our "
                    "transform, Lambda answers 6 MB at most, and the batch fails."
                )
                name = f"{PROCESSING}.processors.parameters.BufferSizeInMBs"
                yield stream.at(name, processor.get("BufferSizeInMBs"), says=words)


def _no_logging(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        if block(stream.s3, "cloudwatch_logging_options").get("enabled") is not True:
            yield stream.at("cloudwatch_logging_options.enabled", False)


def _errors_among_events(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        # Events lie under the directory in which the prefix's first expression stands.
        directory = stream.prefix.partition("!{")[0].rpartition("/")[0]
        folder = f"{directory}/" if directory else ""
        if stream.prefix and stream.error_prefix and stream.error_prefix.startswith(folder):
            yield stream.at("error_output_prefix", stream.error_prefix)


def _key_not_named(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        bucket = stream.bucket(planned)
        if bucket is None or stream.s3.get("kms_key_arn") or "kms_key_arn" not in stream.s3:
            continue
        settings = planned.beside(bucket, "aws_s3_bucket_server_side_encryption_configuration") or ()
        algorithms = [block(s.values, "rule", "apply_server_side_encryption_by_default") for s in settings]
        if any(text(a.get("sse_algorithm")).startswith("aws:kms") for a in algorithms):
            yield stream.at("kms_key_arn", None)


def _unprojected_time(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        if stream.conversion and "!{" not in stream.prefix and "prefix" in stream.s3:
            yield stream.at("prefix", stream.prefix)


def _hive_json(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        formats = block(stream.conversion or {}, "input_format_configuration", "deserializer")
        if formats.get("hive_json_ser_de"):
            yield stream.at(f"{CONVERSION}.input_format_configuration.deserializer", "hive_json_ser_de")


WARNINGS: tuple[Check, ...] = (
    Check(
        "open-partitions",
        "C2.1",
        Known.DOCUMENTED,
        _open_partitions,
        "More partitions can be open at once than a stream has.",
        "Shorten AUDIT_TYPES or the window of days, or have AWS raise the quota.",
    ),
    Check(
        "transform-timeout-short",
        "I.14",
        Known.OBSERVED,
        _short_timeout,
        "The transform may be cut off before a full batch is done, and fails it whole with Lambda.FunctionTimedOut.",
        f"Set timeout between {MIN_TRANSFORM_TIMEOUT_S} and {MAX_TRANSFORM_TIMEOUT_S} seconds.",
    ),
    Check(
        "transform-timeout-long",
        "B3.5",
        Known.DOCUMENTED,
        _long_timeout,
        "Firehose waits 5 minutes for the transform, whatever its own timeout, and then takes the batch for failed.",
        f"Set timeout to {MAX_TRANSFORM_TIMEOUT_S} seconds or less.",
    ),
    Check(
        "processor-default-written",
        "I.9",
        Known.OBSERVED,
        _written_defaults,
        "The parameter is AWS's default, which the provider does not keep, so that every plan shows a change.",
        "Leave the parameter out.",
    ),
    Check(
        "lambda-answer-size",
        "I.13",
        Known.OBSERVED,
        _large_answers,
        "A full buffer makes a larger answer than Lambda's 6 MB, and the batch fails.",
        "Leave BufferSizeInMBs and BufferIntervalInSeconds out: 1 MB is AWS's default.",
    ),
    Check(
        "stream-not-logged",
        "E3",
        Known.DOCUMENTED,
        _no_logging,
        "Without CloudWatch logging nothing tells why the stream cannot deliver, and after 24 hours the data is gone.",
        "Enable cloudwatch_logging_options.",
    ),
    Check(
        "errors-among-events",
        "E1",
        Known.JUDGEMENT,
        _errors_among_events,
        "Failed records lie under the prefix of the events, where queries and crawlers take them for events.",
        "Give error_output_prefix a directory of its own beside that of prefix.",
    ),
    Check(
        "kms-key-not-named",
        "E3",
        Known.OBSERVED,
        _key_not_named,
        "The bucket encrypts with KMS and the stream does not name the key; a stream was seen to fail for that.",
        "Set kms_key_arn of the stream to the bucket's key.",
    ),
    Check(
        "partition-by-arrival",
        "I.17",
        Known.JUDGEMENT,
        _unprojected_time,
        "Without expressions in prefix, objects lie by the hour of arrival of their oldest record, and a query for the "
        "events of a day has to read them all.",
        "Partition by keys from the transform.",
    ),
    Check(
        "hive-json-serde",
        "D3",
        Known.PROBED,
        _hive_json,
        "The Hive JSON SerDe fails records that OpenX converts: numbers in strings, objects in string columns.",
        "Use open_x_json_ser_de.",
    ),
)
"""What of a stream is legal and harmful."""
