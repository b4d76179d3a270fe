"""What AWS refuses of a stream's prefixes when it is made (C1, E1)."""

import re
from collections.abc import Iterator

from auditlake.checks.finding import Check, Known, Place, not_set, text
from auditlake.checks.streams import EXPRESSION, Stream, each, expressions

MAX_STORED_PREFIX = 1024  # characters (E1); the 50 keys of C1 do not fit into them, and so are not checked
MAX_EVALUATED_PREFIX = 512  # characters (E1)
RANDOM_STRING_LENGTH = 11  # E1

NAMESPACES = ("timestamp", "firehose", "partitionKeyFromLambda", "partitionKeyFromQuery")
PREFIXES = {"prefix": "Prefix", "error_output_prefix": "ErrorOutputPrefix"}
# Letters that no pattern of a date has; a deployment was refused for each of them.
_NOT_PATTERN_LETTERS = re.compile(r"[CIJPRTUVbfijloprt]")
_QUOTED = re.compile(r"'[^']*'")


def _no_namespace(stream: Stream) -> Iterator[Place]:
    if stream.partitioned and "prefix" in stream.s3 and "!{partitionKeyFrom" not in stream.prefix:
        yield stream.at("prefix", stream.prefix)


def _namespace_without_partitioning(stream: Stream) -> Iterator[Place]:
    if not stream.partitioned and "!{partitionKeyFrom" in stream.prefix:
        yield stream.at("prefix", stream.prefix)


def _no_error_prefix(stream: Stream) -> Iterator[Place]:
    if "!{" in stream.prefix and not_set(stream.s3, "error_output_prefix"):
        yield stream.at("error_output_prefix", stream.s3["error_output_prefix"])


def _error_type_missing(stream: Stream) -> Iterator[Place]:
    prefix = stream.error_prefix
    needs = "!{" in prefix or (prefix and stream.partitioned)
    if needs and "!{firehose:error-output-type}" not in prefix:
        yield stream.at("error_output_prefix", prefix)


def _keys_in_error_prefix(stream: Stream) -> Iterator[Place]:
    if "!{partitionKeyFrom" in stream.error_prefix:
        yield stream.at("error_output_prefix", stream.error_prefix)


def _error_type_in_prefix(stream: Stream) -> Iterator[Place]:
    if "!{firehose:error-output-type}" in stream.prefix:
        yield stream.at("prefix", stream.prefix)


def _stored_prefix(stream: Stream) -> Iterator[Place]:
    for attribute in PREFIXES:
        prefix = text(stream.s3.get(attribute))
        if len(prefix) > MAX_STORED_PREFIX:
            yield stream.at(attribute, f"{len(prefix)} characters")


def _evaluated_prefix(stream: Stream) -> Iterator[Place]:
    """Find prefixes whose literal text alone, with at least a character an expression, is too long."""
    for attribute, name in PREFIXES.items():
        prefix = text(stream.s3.get(attribute))
        least = len(EXPRESSION.sub("", prefix)) + sum(
            RANDOM_STRING_LENGTH if expression == "firehose:random-string" else 1
            for expression in EXPRESSION.findall(prefix)
        )
        if least > MAX_EVALUATED_PREFIX and len(prefix) <= MAX_STORED_PREFIX:
            label = "prefix" if name == "Prefix" else name
            words = f"Length of evaluated {label} cannot be greater than 512"
            yield stream.at(attribute, f"at least {least} characters", aws=words)


def _expression_syntax(stream: Stream) -> Iterator[Place]:
    for attribute in PREFIXES:
        prefix = text(stream.s3.get(attribute))
        well_formed = [e for e in EXPRESSION.findall(prefix) if ":" in e.strip(":")]
        if prefix.count("!{") > len(well_formed):
            yield stream.at(attribute, prefix)


def _expression_namespace(stream: Stream) -> Iterator[Place]:
    for attribute in PREFIXES:
        for namespace, value in expressions(text(stream.s3.get(attribute))):
            if namespace not in NAMESPACES:
                words = f"Namespace to the left of colon ({namespace}) is an invalid keyword!"
                yield stream.at(attribute, f"!{{{namespace}:{value}}}", aws=words)


def _expression_value(stream: Stream) -> Iterator[Place]:
    for attribute, name in PREFIXES.items():
        for namespace, value in expressions(text(stream.s3.get(attribute))):
            unknown = namespace == "firehose" and value not in ("error-output-type", "random-string")
            pattern = namespace == "timestamp" and _NOT_PATTERN_LETTERS.search(_QUOTED.sub("", value))
            if unknown or pattern:
                words = f"Invalid conversion character used in the value of the expression in {name}"
                yield stream.at(attribute, f"!{{{namespace}:{value}}}", aws=words)


_DYNAMIC = "when Dynamic Partitioning is enabled"

REFUSALS: tuple[Check, ...] = (
    Check(
        "partitioning-without-namespace",
        "C1.5",
        Known.OBSERVED,
        each(_no_namespace),
        "The prefix names no partition key.",
        "Put !{partitionKeyFromLambda:KEY} into prefix.",
        f"S3 Prefix should contain Dynamic Partitioning namespaces {_DYNAMIC}",
    ),
    Check(
        "namespace-without-partitioning",
        "C1.5",
        Known.OBSERVED,
        each(_namespace_without_partitioning),
        "The prefix names partition keys, and dynamic partitioning is off.",
        "Enable dynamic_partitioning_configuration; it can be enabled only when the stream is made.",
        f"Dynamic Partitioning Namespaces can only be part of a prefix expression {_DYNAMIC}.",
    ),
    Check(
        "error-prefix-missing",
        "C1.8",
        Known.OBSERVED,
        each(_no_error_prefix),
        "A prefix with expressions needs an error prefix.",
        "Set error_output_prefix, with !{firehose:error-output-type} in it.",
        "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions",
    ),
    Check(
        "error-prefix-without-type",
        "C1.8",
        Known.OBSERVED,
        each(_error_type_missing),
        "The error prefix does not tell failures apart.",
        "Put !{firehose:error-output-type} into error_output_prefix.",
        "ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}",
    ),
    Check(
        "error-prefix-with-keys",
        "C1.8",
        Known.OBSERVED,
        each(_keys_in_error_prefix),
        "A record that failed has no partition keys.",
        "Take the keys out of error_output_prefix.",
        "Dynamic Partitioning Namespaces can't be part of an error prefix expression",
    ),
    Check(
        "prefix-with-error-type",
        "E1",
        Known.DOCUMENTED,
        each(_error_type_in_prefix),
        "Only the error prefix may hold !{firehose:error-output-type}.",
        "Take it out of prefix.",
    ),
    Check(
        "prefix-stored-length",
        "E1",
        Known.DOCUMENTED,
        each(_stored_prefix),
        "A prefix has at most 1,024 characters.",
        "Shorten it.",
    ),
    Check(
        "prefix-evaluated-length",
        "E1",
        Known.OBSERVED,
        each(_evaluated_prefix),
        "An evaluated prefix has at most 512 characters.",
        "Shorten its literal text.",
    ),
    Check(
        "prefix-expression-syntax",
        "E1",
        Known.OBSERVED,
        each(_expression_syntax),
        "A `!{` does not open an expression !{namespace:value}.",
        "Close the expression, or remove the `!{`.",
        "Invalid expression usage",
    ),
    Check(
        "prefix-expression-namespace",
        "E1",
        Known.OBSERVED,
        each(_expression_namespace),
        "An expression has a namespace that Firehose does not know.",
        f"Use {', '.join(NAMESPACES[:-1])} or {NAMESPACES[-1]}.",
    ),
    Check(
        "prefix-expression-value",
        "E1",
        Known.OBSERVED,
        each(_expression_value),
        "An expression has a value that its namespace does not take.",
        "Use error-output-type or random-string with firehose, and a Java date pattern with timestamp.",
    ),
)
"""In the order of the prefix: its keys, its errors, its text."""
