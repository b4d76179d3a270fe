"""The delivery streams of a plan, as the checks see them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditlake.checks.finding import Place, Planned, Values, text
from auditlake.runtime.planned import Resource, block, blocks

STREAM = "aws_kinesis_firehose_delivery_stream"
S3 = "extended_s3_configuration"
CONVERSION = "data_format_conversion_configuration"
PROCESSING = "processing_configuration"
MIN_BUFFER_MIB = 64  # with dynamic partitioning (C1) or conversion (D1)
EXPRESSION = re.compile(r"!\{([^{}]*)\}")
"""An expression of a prefix (E1)."""

Find = Callable[[Planned], Iterator[Place]]


@dataclass(frozen=True)
class Processor:
    """A processor of a stream; `parameters` in the plan's order, so that a repeated one shows."""

    type: str
    parameters: tuple[tuple[str, object], ...]
    unknown: bool

    def get(self, name: str) -> object:
        """Return a parameter's value, None when it is not there or not known."""
        return dict(self.parameters).get(name)

    def lacks(self, name: str) -> bool:
        """Say whether a parameter is known to be missing."""
        return not self.unknown and name not in dict(self.parameters)


@dataclass(frozen=True)
class Stream:
    """A delivery stream with an extended S3 destination."""

    resource: Resource
    s3: Values

    @property
    def prefix(self) -> str:
        """The Prefix; empty when it is not set or not known."""
        return text(self.s3.get("prefix"))

    @property
    def error_prefix(self) -> str:
        """The ErrorOutputPrefix; empty when it is not set or not known."""
        return text(self.s3.get("error_output_prefix"))

    @property
    def partitioned(self) -> bool:
        """Whether dynamic partitioning is on."""
        return block(self.s3, "dynamic_partitioning_configuration").get("enabled") is True

    @property
    def conversion(self) -> Values | None:
        """The format conversion, None when it is off; `enabled` left out means on (D1.6)."""
        found = block(self.s3, CONVERSION)
        return found if found and found.get("enabled") is not False else None

    @property
    def processing(self) -> bool:
        """Whether processing is on; `enabled` left out means off (D1.6)."""
        return block(self.s3, PROCESSING).get("enabled") is True

    @property
    def processors(self) -> list[Processor]:
        """The processors, whether processing is on or not."""
        return [_processor(one) for one in blocks(block(self.s3, PROCESSING), "processors")]

    def lambdas(self) -> list[Processor]:
        """Return the Lambda processors."""
        return [processor for processor in self.processors if processor.type == "Lambda"]

    def at(self, attribute: str, came: object = None, **words: str) -> Place:
        """Return a place in the S3 configuration."""
        return Place(self.resource, f"{S3}.{attribute}", came, **words)

    def function(self, planned: Planned) -> Resource | None:
        """Return the function that transforms, None when the plan does not say which."""
        functions = planned.of("aws_lambda_function")
        arns = [text(processor.get("LambdaArn")) for processor in self.lambdas()]
        if arns == [""]:
            # The ARN of a function that the plan makes is not known yet, unless it is composed.
            return functions[0] if len(functions) == 1 else None
        names = [arn.split(":")[6] for arn in arns if arn.count(":") >= 6]
        return next((function for function in functions if function.values.get("function_name") in names), None)

    def bucket(self, planned: Planned) -> Resource | None:
        """Return the bucket that the stream writes to, None when the plan does not say which."""
        buckets = planned.of("aws_s3_bucket")
        if "bucket_arn" not in self.s3:
            return buckets[0] if len(buckets) == 1 else None
        name = text(self.s3["bucket_arn"]).rpartition(":")[2]
        return next((bucket for bucket in buckets if bucket.values.get("bucket") == name), None)

    def table(self, planned: Planned) -> Resource | None:
        """Return the Glue table that the stream converts for, None when it is not in the plan."""
        schema = block(self.conversion or {}, "schema_configuration")
        wanted = (schema.get("database_name"), schema.get("table_name"))
        for resource in planned.of("aws_glue_catalog_table"):
            if None not in wanted and (resource.values.get("database_name"), resource.values.get("name")) == wanted:
                return resource
        return None

    def region(self) -> str:
        """Return the stream's region, empty when the plan does not know it."""
        for arn in (text(processor.get("LambdaArn")) for processor in self.lambdas()):
            if arn.count(":") >= 6:
                return arn.split(":")[3]
        return text(block(self.conversion or {}, "schema_configuration").get("region"))


def streams(planned: Planned) -> Iterator[Stream]:
    """Yield the streams with an extended S3 destination."""
    for resource in planned.of(STREAM):
        s3 = block(resource.values, S3)
        if s3:
            yield Stream(resource, s3)


def each(find: Callable[[Stream], Iterable[Place]]) -> Find:
    """Make a check of all streams from one of a single stream."""

    def found(planned: Planned) -> Iterator[Place]:
        for stream in streams(planned):
            yield from find(stream)

    return found


def expressions(prefix: str) -> list[tuple[str, str]]:
    """Return the well-formed expressions of a prefix as namespace and value."""
    parts = [expression.partition(":") for expression in EXPRESSION.findall(prefix)]
    return [(namespace, value) for namespace, colon, value in parts if namespace and colon and value]


def _processor(values: Mapping[str, Any]) -> Processor:
    found = blocks(values, "parameters")
    pairs = tuple((text(p.get("parameter_name")), p.get("parameter_value")) for p in found)
    return Processor(text(values.get("type")), pairs, unknown="parameters" not in values)
