"""One JSON value as one Glue scalar, as the OpenX JSON SerDe converts it (D3, D4, D5).

Where a message was seen on AWS (`For input string: "oops"`, probed) it is repeated word for word; every other message
is a sentence of ours that names the column, because AWS's own text is not known (UNV). Behaviour called third party is
that of the published source of `org.openx.data.jsonserde`, whose messages AWS's error objects show, or D3 to D5's own.
"""

import json
import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TypeAlias

import pyarrow as pa

from auditlake.runtime.columns import hive_scalar

Json: TypeAlias = "dict[str, Json] | list[Json] | str | bool | None"
"""A JSON value; a number is a `Number`, which is a `str`."""
Reader: TypeAlias = Callable[[Json], object]
"""Turns a JSON value that is not null into what Arrow stores for a column; raises MismatchError."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,100}")
_HEXADECIMAL = re.compile(r"0[xX][+-]?[0-9a-fA-F]{1,100}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,15})?")
_DATE = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
# The form with T is strict and ends with Z; the form with a space takes one digit for month to second (D3, probed).
_ISO_TIMESTAMP = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?Z")
_SPACE_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2}) ([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]{1,9}))?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MILLISECONDS = Decimal(10) ** 12
_LONG = 1 << 63
_ROUNDED = Context(prec=100, rounding=ROUND_HALF_UP, Emin=-(10**16), Emax=10**16)
_LONGEST_QUOTE = 100


class Number(str):
    """A JSON number as it was written, so that no digit is lost before the column's type is known."""

    __slots__ = ()


class MismatchError(Exception):
    """A value does not fit its column; the message follows `Data does not match the schema. `."""


def wrong_kind(path: str, value: Json, wanted: str) -> MismatchError:
    """Return the error for a value of a kind that a column does not take (UNV: AWS's text is not known)."""
    return MismatchError(f"Column {path}: {_described(value)} cannot be read as {wanted}.")


def json_text(value: Json) -> str:
    """Return a value as compact JSON text, numbers as they were written, members in their order.

    UNV: how AWS spells numbers, escapes and the order of members in such a text.
    """
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_QUOTED(key)}:{json_text(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return _QUOTED(value)


_QUOTED = json.JSONEncoder(ensure_ascii=False).encode


def scalar_reader(kind: pa.DataType, path: str) -> Reader:
    """Return the reader of a scalar column; `path` names it in messages."""
    if pa.types.is_string(kind):
        return lambda value: _text(value, path)
    if pa.types.is_boolean(kind):
        return lambda value: _boolean(value, path)
    if pa.types.is_date(kind):
        return lambda value: _days(value, path)
    if pa.types.is_timestamp(kind):
        return lambda value: _timestamp_us(value, path)
    if pa.types.is_decimal(kind):
        return lambda value: _decimal(value, path, kind)
    if pa.types.is_floating(kind):
        return lambda value: _floating(value, path, kind)
    return lambda value: _integer(value, path, kind)


def _text(value: Json, path: str) -> str:
    """Return text as it is, a number or truth value as it was written, an object or array as JSON text (D3, probed).

    A length of char or varchar is not applied (UNV).
    """
    text = str(value) if isinstance(value, str) else json_text(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        # UNV. Java would store a question mark; the record keeps its bytes under the error prefix.
        raise MismatchError(f"Column {path}: the text holds half of a surrogate pair, which is no Unicode.") from None
    return text


def _boolean(value: Json, path: str) -> bool:
    """Return a truth value, also from the text true or false in any case (third party); UNV: any other text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and not isinstance(value, Number) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise wrong_kind(path, value, "boolean")


def _integer(value: Json, path: str, kind: pa.DataType) -> int:
    """Return an integer, also from text (D3, documented), hexadecimal as well (third party).

    A fraction or exponent fails as any text that is no integer, and so does what the type cannot hold (D5, both third
    party).
    """
    text = _scalar_text(value, path, kind)
    if _INTEGER.fullmatch(text):
        number = int(text)
    elif _HEXADECIMAL.fullmatch(text):
        number = int(text[2:], 16)
    else:
        raise _for_input_string(text)
    limit = 1 << (kind.bit_width - 1)
    if not -limit <= number < limit:
        raise _out_of_range(path, text, kind)
    return number


def _floating(value: Json, path: str, kind: pa.DataType) -> float:
    """Return a number, also from text with spaces around it (D3, documented; the spaces third party).

    What is not finite in the column's type fails (third party). UNV: the text NaN or Infinity, which fails here.
    """
    text = _scalar_text(value, path, kind)
    if not _DECIMAL.fullmatch(text.strip(" \t\r\n")):
        raise _for_input_string(text)
    number = float(text)
    if not _is_finite(number, kind):
        raise _out_of_range(path, text, kind)
    return number


def _is_finite(number: float, kind: pa.DataType) -> bool:
    try:
        # Packing as the column's type refuses a number that would become infinite in it.
        struct.pack("<f" if pa.types.is_float32(kind) else "<d", number)
    except OverflowError:
        return False
    return math.isfinite(number)


def _decimal(value: Json, path: str, kind: pa.DataType) -> Decimal:
    """Return a decimal, also from text (D3, documented), rounded half up to the scale (third party).

    More digits before the point than the type holds fail the record (D5, third party).
    """
    text = _scalar_text(value, path, kind)
    if not _DECIMAL.fullmatch(text):
        raise _for_input_string(text)
    number = Decimal(text)
    # Decided by the exponent first: writing out every digit of 1e999999999 would take all memory.
    if number and number.adjusted() >= kind.precision - kind.scale:
        raise _out_of_range(path, text, kind)
    if not number or number.adjusted() < -kind.scale - 1:
        return Decimal(0).scaleb(-kind.scale)
    rounded = number.quantize(Decimal(1).scaleb(-kind.scale), context=_ROUNDED)
    if rounded and rounded.adjusted() >= kind.precision - kind.scale:
        raise _out_of_range(path, text, kind)
    return rounded


def _days(value: Json, path: str) -> int:
    """Return the days since 1970-01-01 of a date with one or two digits for month and day (D3's space form, probed)."""
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    try:
        if match:
            return date(*map(int, match.groups())).toordinal() - _EPOCH.toordinal()
    except ValueError:
        pass  # no day of the calendar: said below
    raise wrong_kind(path, value, "date")


def _timestamp_us(value: Json, path: str) -> int:
    """Return the microseconds since 1970 UTC of an epoch number or of a text in one of the forms of D3 (probed).

    Digits beyond the microsecond are cut. UNV: a time of day or a day that does not exist, which fails here.
    """
    if isinstance(value, str):
        match = _ISO_TIMESTAMP.fullmatch(value) or _SPACE_TIMESTAMP.fullmatch(value)
        if match is None and _DECIMAL.fullmatch(value):
            return _wrapped_us(_epoch_ms(value, path) * 1_000_000)
        try:
            if match:
                return _wrapped_us(_nanoseconds(match))
        except ValueError:
            pass  # no time of the calendar: said below
    raise wrong_kind(path, value, "timestamp")


def _nanoseconds(match: re.Match[str]) -> int:
    *fields, fraction = match.groups()
    year, month, day, hour, minute, second = map(int, fields)
    since = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + int((fraction or "").ljust(9, "0"))


def _epoch_ms(text: str, path: str) -> int:
    """Return milliseconds: a number below 1e12 in absolute value is seconds, any other milliseconds (D3, probed).

    UNV: what lies below a millisecond is cut; what no long holds fails.
    """
    number = Decimal(text)
    if number and number.adjusted() > len(str(_LONG)):
        raise _out_of_range(path, text, pa.timestamp("us"))
    if not number or number.adjusted() < -len(str(_LONG)):
        return 0
    milliseconds = int(number * 1000 if number.copy_abs() < _FIRST_MILLISECONDS else number)
    if not -_LONG <= milliseconds < _LONG:
        raise _out_of_range(path, text, pa.timestamp("us"))
    return milliseconds


def _wrapped_us(nanoseconds: int) -> int:
    """Return microseconds after the wrap of an int64 of nanoseconds: second 999999999999 is in 2092 (D3, D6, probed).

    Probed with epoch numbers; that a text far from now wraps too is inferred, since the wrap lies behind both (UNV).
    """
    return ((nanoseconds + _LONG) % (2 * _LONG) - _LONG) // 1000


def _scalar_text(value: Json, path: str, kind: pa.DataType) -> str:
    if isinstance(value, str):
        return str(value)
    raise wrong_kind(path, value, hive_scalar(kind))


def _for_input_string(text: str) -> MismatchError:
    """Return Java's complaint about a text that is no number, as AWS passes it on (D5, probed)."""
    return MismatchError(f'For input string: "{_shortened(text)}"')


def _out_of_range(path: str, text: str, kind: pa.DataType) -> MismatchError:
    """Return the error for a number that its type cannot hold (D5: it fails; UNV: AWS's text)."""
    return MismatchError(f"Column {path}: {_shortened(text)} is out of range for {hive_scalar(kind)}.")


def _described(value: Json) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return _shortened(json_text(value))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."
