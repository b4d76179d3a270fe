"""What AWS refuses of a stream's processors when it is made (B3, C1)."""

import re
from collections.abc import Iterator

from auditlake.checks.finding import Check, Known, Place, number, outside
from auditlake.checks.streams import PROCESSING, Find, Processor, Stream, each, expressions
from auditlake.runtime.planned import block

_PARAMETERS = f"{PROCESSING}.processors.parameters"
_LAMBDA_ARN = re.compile(
    r"arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:\d{12}:function:[a-zA-Z0-9_-]{1,64}(:(\$LATEST|[a-zA-Z0-9_-]{1,128}))?"
)


def _processing_off(stream: Stream) -> Iterator[Place]:
    if stream.partitioned and not stream.processing:
        yield stream.at(f"{PROCESSING}.enabled", block(stream.s3, PROCESSING).get("enabled", False))


def _lambda_missing(stream: Stream) -> Iterator[Place]:
    # Without any processor AWS's first complaint is their number.
    if stream.processing and stream.processors and not stream.lambdas() and _uses(stream, "partitionKeyFromLambda"):
        yield stream.at(f"{PROCESSING}.processors", [p.type for p in stream.processors])


def _extraction_missing(stream: Stream) -> Iterator[Place]:
    types = [processor.type for processor in stream.processors]
    if stream.processing and types and "MetadataExtraction" not in types and _uses(stream, "partitionKeyFromQuery"):
        yield stream.at(f"{PROCESSING}.processors", types)


def _extraction_without_partitioning(stream: Stream) -> Iterator[Place]:
    if stream.processing and not stream.partitioned:
        for processor in stream.processors:
            if processor.type == "MetadataExtraction":
                yield stream.at(f"{PROCESSING}.processors.type", processor.type)


def _extraction_parameters(stream: Stream) -> Iterator[Place]:
    for processor in _of_type(stream, "MetadataExtraction"):
        engine = processor.get("JsonParsingEngine")
        if processor.lacks("JsonParsingEngine") or (engine is not None and engine != "JQ-1.6"):
            yield stream.at(f"{_PARAMETERS}.JsonParsingEngine", engine)
        elif processor.lacks("MetadataExtractionQuery"):
            yield stream.at(f"{_PARAMETERS}.MetadataExtractionQuery")


def _processor_count(stream: Stream) -> Iterator[Place]:
    if stream.processing and not 1 <= len(stream.processors) <= 5:
        yield stream.at(f"{PROCESSING}.processors", len(stream.processors))


def _several_lambdas(stream: Stream) -> Iterator[Place]:
    if len(stream.lambdas()) > 1:
        yield stream.at(f"{PROCESSING}.processors", f"{len(stream.lambdas())} of type Lambda")


def _repeated_parameter(stream: Stream) -> Iterator[Place]:
    for processor in stream.processors:
        names = [name for name, _ in processor.parameters]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield stream.at(f"{_PARAMETERS}.{name}", f"{names.count(name)} times")


def _no_lambda_arn(stream: Stream) -> Iterator[Place]:
    for processor in stream.lambdas():
        if processor.lacks("LambdaArn"):
            yield stream.at(f"{_PARAMETERS}.LambdaArn")


def _lambda_arn(stream: Stream) -> Iterator[Place]:
    for processor in stream.lambdas():
        arn = processor.get("LambdaArn")
        if isinstance(arn, str) and not _LAMBDA_ARN.fullmatch(arn):
            yield stream.at(f"{_PARAMETERS}.LambdaArn", arn)


def _half_a_buffer(stream: Stream) -> Iterator[Place]:
    names = ("BufferSizeInMBs", "BufferIntervalInSeconds")
    for processor in stream.lambdas():
        missing = [name for name in names if processor.lacks(name)]
        if len(missing) == 1:
            yield stream.at(f"{_PARAMETERS}.{missing[0]}")


def _parameter_range(name: str, low: float, high: float) -> Find:
    def found(stream: Stream) -> Iterator[Place]:
        for processor in stream.lambdas():
            value = processor.get(name)
            if value is not None and (number(value) is None or outside(value, low, high)):
                yield stream.at(f"{_PARAMETERS}.{name}", value)

    return each(found)


def _uses(stream: Stream, namespace: str) -> bool:
    return any(found == namespace for found, _ in expressions(stream.prefix))


def _of_type(stream: Stream, kind: str) -> list[Processor]:
    return [processor for processor in stream.processors if stream.processing and processor.type == kind]


REFUSALS: tuple[Check, ...] = (
    Check(
        "partitioning-without-processing",
        "C1.4",
        Known.OBSERVED,
        each(_processing_off),
        "Dynamic partitioning needs processing.",
        "Enable processing_configuration with a Lambda or MetadataExtraction processor.",
        "Processing Configuration is not enabled when DataPartitioning is enabled",
    ),
    Check(
        "partition-keys-without-lambda",
        "C1.6",
        Known.OBSERVED,
        each(_lambda_missing),
        "The prefix takes keys from a Lambda, and no processor is one.",
        "Add a processor of type Lambda.",
        "Lambda should be present when S3 Prefix contains keys from partitionKeyFromLambda namespace",
    ),
    Check(
        "partition-keys-without-extraction",
        "C1.7",
        Known.OBSERVED,
        each(_extraction_missing),
        "The prefix takes keys from a jq query, and no processor runs one.",
        "Add a processor of type MetadataExtraction.",
        "MetadataExtraction processor should be present when S3 Prefix has partitionKeyFromQuery namespace",
    ),
    Check(
        "extraction-without-partitioning",
        "C1.7",
        Known.OBSERVED,
        each(_extraction_without_partitioning),
        "A MetadataExtraction processor needs dynamic partitioning.",
        "Enable dynamic_partitioning_configuration, or drop the processor.",
        "class com.amazonaws.services.firehose.internal.model.MetadataExtractionProcessor can only be present when "
        "Dynamic Partitioning is enabled.",
    ),
    Check(
        "extraction-parameters",
        "C1.10",
        Known.OBSERVED,
        each(_extraction_parameters),
        "A MetadataExtraction processor needs its query and the engine JQ-1.6.",
        "Give MetadataExtractionQuery and JsonParsingEngine = JQ-1.6.",
        "MetaDataExtraction JSON Parsing Engine has to be one of JQ-1.6",
    ),
    Check(
        "processor-count",
        "B3.8",
        Known.OBSERVED,
        each(_processor_count),
        "Processing takes 1 to 5 processors.",
        "Give 1 to 5 processors, or disable processing.",
        "A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled.",
    ),
    Check(
        "several-lambda-processors",
        "B3.8",
        Known.PROBED,
        each(_several_lambdas),
        "A stream has at most one Lambda processor.",
        "Keep one.",
        "Cannot have more than 1 Lambda processor.",
    ),
    Check(
        "processor-parameter-repeated",
        "B3.8",
        Known.PROBED,
        each(_repeated_parameter),
        "A processor's parameter stands there more than once.",
        "Give each parameter once.",
        "Duplicate ProcessorParameter passed to ProcessingConfiguration.",
    ),
    Check(
        "lambda-arn-missing",
        "B3.8",
        Known.PROBED,
        each(_no_lambda_arn),
        "The Lambda processor names no function.",
        "Give the parameter LambdaArn.",
        "LambdaArn is required when Lambda processor is used.",
    ),
    Check(
        "lambda-arn",
        "B3.8",
        Known.PROBED,
        each(_lambda_arn),
        "LambdaArn is no ARN of a function.",
        "Use arn:aws:lambda:REGION:ACCOUNT:function:NAME, with :VERSION or without.",
        "Invalid lambda ARN.",
    ),
    Check(
        "lambda-buffer-half",
        "B3.3",
        Known.PROBED,
        each(_half_a_buffer),
        "The Lambda processor's buffer has a size or an interval, but not both.",
        "Give BufferSizeInMBs and BufferIntervalInSeconds together, or neither.",
        "Both BufferSizeInMBs and BufferIntervalInSeconds are required to configure buffering for lambda processor.",
    ),
    Check(
        "lambda-buffer-size",
        "B3.1",
        Known.PROBED,
        _parameter_range("BufferSizeInMBs", 0.2, 3),
        "The Lambda processor's buffer holds 0.2 to 3 MB.",
        "Set BufferSizeInMBs between 0.2 and 3.",
        "BufferSizeInMBs for lambda processor must be between 0.2 and 3.",
    ),
    Check(
        "lambda-buffer-interval",
        "B3.2",
        Known.PROBED,
        _parameter_range("BufferIntervalInSeconds", 0, 900),
        "The Lambda processor's buffer waits 0 to 900 seconds.",
        "Set BufferIntervalInSeconds between 0 and 900.",
        "BufferIntervalInSeconds for lambda processor must be between 0 and 900.",
    ),
    Check(
        "lambda-retries",
        "B3.4",
        Known.PROBED,
        _parameter_range("NumberOfRetries", 0, 300),
        "The Lambda processor retries 0 to 300 times.",
        "Set NumberOfRetries between 0 and 300.",
        "Number of retries for lambda must be between 0 and 300.",
    ),
)
"""What partitioning needs of processors, then what they need themselves."""
