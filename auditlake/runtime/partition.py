"""Prefixes: what Firehose makes of `!{...}` expressions, and the names of objects.

A prefix is parsed once, at start, so that an expression this runtime does not implement stops it there. What is wrong
with one record's partition keys is an outcome (`PartitioningFailure`), never an exception: it costs that record only.
"""

import re
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from auditlake.errors import PlanError
from auditlake.runtime.java_time import JavaPattern, parse_pattern
from auditlake.runtime.object_key import key_problem

MAX_STORED_PREFIX = 1024  # characters (E1)
MAX_EVALUATED_PREFIX = 512  # characters (E1)
RANDOM_STRING_LENGTH = 11  # E1

# UNV (C4): the error type folder was observed, the code in the object was not; this one follows the jq path's name.
PARTITIONING_FAILED_CODE = "DynamicPartitioning.PartitioningFailed"
# Observed on the jq path; that keys from Lambda get the same words is assumed (C4, UNV).
NULL_OR_EMPTY = "partitionKeys values must not be null or empty"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXPRESSION = re.compile(r"!\{([^}]*)\}")
_TIME_ZONE = re.compile(r"[a-zA-Z/_]{1,50}")  # B7
_PARTITION_KEY = "partitionKeyFromLambda:"
_TIMESTAMP = "timestamp:"


@dataclass(frozen=True)
class PartitioningFailure:
    """Why a record cannot be partitioned; it goes under the error prefix as `partitioning-failed` (C4)."""

    error_code: str
    error_message: str


@dataclass(frozen=True)
class Text:
    """A part of a prefix that stands for itself."""

    text: str


@dataclass(frozen=True)
class PartitionKey:
    """`!{partitionKeyFromLambda:name}`."""

    name: str


@dataclass(frozen=True)
class RandomString:
    """`!{firehose:random-string}`."""


@dataclass(frozen=True)
class ErrorOutputType:
    """`!{firehose:error-output-type}`."""


Part = Text | PartitionKey | JavaPattern | RandomString | ErrorOutputType


@dataclass(frozen=True)
class Prefix:
    """A parsed Prefix or ErrorOutputPrefix."""

    parts: tuple[Part, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the partition keys that the prefix uses, each once, in order."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, PartitionKey)))


def new_random_string() -> str:
    """Return a fresh random string; the length is E1's, that it is letters and digits is assumed."""
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(RANDOM_STRING_LENGTH))


@dataclass(frozen=True)
class ObjectContext:
    """What an object's key is made of, besides its prefix and partition.

    `oldest_arrival_ms` is the arrival of the object's oldest record, milliseconds since the epoch: every timestamp of
    the prefix is this instant (B7, documented), and so is the one in the object's name (UNV: AWS does not say which).
    """

    stream_name: str
    oldest_arrival_ms: int
    uuid: UUID
    extension: str = ""
    stream_version: int = 1
    time_zone: tzinfo = UTC
    error_output_type: str = ""
    random_string: Callable[[], str] = new_random_string


def parse_prefix(text: str) -> Prefix:
    """Parse the Prefix of a stream; raises PlanError naming the expression that is wrong or not implemented.

    A prefix without any expression gets `yyyy/MM/dd/HH/` appended (C5, documented). One with expressions but no
    timestamp gets nothing appended: AWS's text and what was observed disagree (C5), this follows the observations.
    """
    if "!{" not in text:
        text += "!{timestamp:yyyy/MM/dd/HH/}"
    prefix = _parse(text, "Prefix")
    if any(isinstance(part, ErrorOutputType) for part in prefix.parts):
        raise PlanError(
            f"The Prefix {text!r} uses !{{firehose:error-output-type}}, which only ErrorOutputPrefix may use."
        )
    return prefix


def parse_error_prefix(text: str) -> Prefix:
    """Parse the ErrorOutputPrefix of a stream with dynamic partitioning (C1); raises PlanError."""
    prefix = _parse(text, "ErrorOutputPrefix")
    if prefix.keys:
        raise PlanError(f"The ErrorOutputPrefix {text!r} uses partition keys, which only Prefix may use.")
    if not any(isinstance(part, ErrorOutputType) for part in prefix.parts):
        raise PlanError(
            f"The ErrorOutputPrefix {text!r} must contain !{{firehose:error-output-type}}; "
            "put it in, so that failures are told apart."
        )
    return prefix


def parse_backup_prefix(text: str) -> Prefix:
    """Parse the Prefix of a source backup, whose records have no partition keys yet (B6); raises PlanError."""
    prefix = parse_prefix(text)
    if prefix.keys:
        raise PlanError(
            f"The Prefix {text!r} of s3_backup_configuration uses partition keys, and records have none before the "
            "transform: write !{timestamp:PATTERN}, or no expression."
        )
    return prefix


def parse_time_zone(name: str) -> tzinfo:
    """Return the zone of a CustomTimeZone, UTC when it is empty (B7); raises PlanError."""
    if name in ("", "UTC"):
        return UTC
    try:
        if _TIME_ZONE.fullmatch(name):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        pass
    raise PlanError(
        f"The CustomTimeZone {name!r} is not a time zone this machine knows; "
        "write a name like Asia/Tokyo, or leave it out for UTC."
    )


def partition_values(prefix: Prefix, keys: Mapping[str, object]) -> tuple[str, ...] | PartitioningFailure:
    """Return the values of the prefix's partition keys in the order of `prefix.keys`: they name the record's buffer.

    Missing, null and empty values fail (C4). UNV (C4): what AWS does with a slash or NUL in a value, and with a value
    that is no string, is not known; here such a record fails, because the value must not choose another directory.
    """
    values: list[str] = []
    for name in prefix.keys:
        value = keys.get(name)
        if value is None or value == "":
            return _failure(f"{NULL_OR_EMPTY}: {name}")
        if not isinstance(value, str):
            return _failure(f"partitionKeys values must be strings: {name} is {type(value).__name__}")
        if "/" in value or "\0" in value:
            return _failure(f"partitionKeys values must not hold a slash or NUL: {name}")
        values.append(value)
    return tuple(values)


def object_key(prefix: Prefix, values: tuple[str, ...], context: ObjectContext) -> str | PartitioningFailure:
    """Return the key of an object (B7): evaluated prefix, stream, version, time, UUID, extension.

    Fails when the evaluated prefix is longer than 512 characters (E1), and when the key cannot be a path below the
    store's directory. UNV (C4): S3 would take a part like `..` or one longer than 255 bytes; a directory cannot.
    """
    evaluated = _evaluate(prefix, values, context)
    if len(evaluated) > MAX_EVALUATED_PREFIX:
        return _failure(f"the evaluated prefix is {len(evaluated)} characters long; allowed are {MAX_EVALUATED_PREFIX}")
    key = evaluated + _object_name(context)
    problem = key_problem(key)
    return _failure(f"the object key cannot be stored: {problem}") if problem else key


def backup_object_key(prefix: Prefix, context: ObjectContext) -> str:
    """Return the key of an object of the source backup, by a prefix that `parse_backup_prefix` has found storable."""
    return _evaluate(prefix, (), context) + _object_name(context)


def error_object_key(prefix: Prefix, context: ObjectContext) -> str:
    """Return the key of an object under the error prefix, which `parse_error_prefix` has found storable."""
    return _evaluate(prefix, (), context) + _object_name(context)


def _failure(message: str) -> PartitioningFailure:
    return PartitioningFailure(PARTITIONING_FAILED_CODE, message)


def _evaluate(prefix: Prefix, values: tuple[str, ...], context: ObjectContext) -> str:
    by_name = dict(zip(prefix.keys, values, strict=True))
    moment = _moment(context)
    evaluated: list[str] = []
    for part in prefix.parts:
        match part:
            case Text(text):
                evaluated.append(text)
            case PartitionKey(name):
                evaluated.append(by_name[name])
            case JavaPattern():
                evaluated.append(part.format(moment))
            case RandomString():
                evaluated.append(context.random_string())
            case ErrorOutputType():
                evaluated.append(context.error_output_type)
    return "".join(evaluated)


def _object_name(context: ObjectContext) -> str:
    moment = f"{_moment(context):%Y-%m-%d-%H-%M-%S}"
    return f"{context.stream_name}-{context.stream_version}-{moment}-{context.uuid}{context.extension}"


def _moment(context: ObjectContext) -> datetime:
    return (_EPOCH + timedelta(milliseconds=context.oldest_arrival_ms)).astimezone(context.time_zone)


def _parse(text: str, what: str) -> Prefix:
    if len(text) > MAX_STORED_PREFIX:
        raise PlanError(f"The {what} is {len(text)} characters long; allowed are {MAX_STORED_PREFIX}.")
    parts: list[Part] = []
    position = 0
    for match in _EXPRESSION.finditer(text):
        parts.append(Text(text[position : match.start()]))
        parts.append(_expression(match.group(1), text, what))
        position = match.end()
    parts.append(Text(text[position:]))
    if any("!{" in part.text for part in parts if isinstance(part, Text)):
        raise PlanError(f"The {what} {text!r} has a `!{{` without its `}}`.")
    prefix = Prefix(tuple(part for part in parts if part != Text("")))
    _check_storable(prefix, text, what)
    return prefix


def _expression(expression: str, text: str, what: str) -> Part:
    if expression == "firehose:random-string":
        return RandomString()
    if expression == "firehose:error-output-type":
        return ErrorOutputType()
    if expression.startswith(_PARTITION_KEY) and expression != _PARTITION_KEY:
        return PartitionKey(expression.removeprefix(_PARTITION_KEY))
    if expression.startswith(_TIMESTAMP):
        try:
            return parse_pattern(expression.removeprefix(_TIMESTAMP))
        except ValueError as error:
            raise PlanError(f"The {what} {text!r} has the expression !{{{expression}}}: {error}.") from None
    if expression.startswith("partitionKeyFromQuery:"):
        raise PlanError(
            f"The {what} {text!r} uses !{{{expression}}}: partitioning by a jq query is not implemented on "
            "one machine; return the key from the transform and write !{partitionKeyFromLambda:...}."
        )
    raise PlanError(
        f"The {what} {text!r} has the expression !{{{expression}}}; known are !{{partitionKeyFromLambda:KEY}}, "
        "!{timestamp:PATTERN}, !{firehose:random-string} and !{firehose:error-output-type}."
    )


def _check_storable(prefix: Prefix, text: str, what: str) -> None:
    """Refuse at start what would fail for every record: the literal text alone is too long, or is no path."""
    context = ObjectContext(
        "s" * 64,
        oldest_arrival_ms=0,
        uuid=UUID(int=0),
        extension=".parquet",
        error_output_type="activePartitionExceeded",
    )
    outcome = object_key(prefix, ("k",) * len(prefix.keys), context)
    if isinstance(outcome, PartitioningFailure):
        raise PlanError(f"The {what} {text!r} cannot be used on one machine: {outcome.error_message}.")
