"""The Glue table's columns as an Arrow schema.

Glue writes column types as Hive type strings (`array<struct<field:string>>`). Which of them Firehose converts is D4:
the scalars from third-party lists, timestamp, array, map and struct probed.
"""

import re
from collections.abc import Iterable

import pyarrow as pa

from auditlake.errors import PlanError
from auditlake.runtime.plan import Column

ALLOWED_TYPES = (
    "boolean, tinyint, smallint, int, bigint, float, double, decimal(p,s), string, varchar(n), char(n), date, "
    "timestamp, array<T>, map<string,T> and struct<name:T,...>, in lower case and without spaces"
)

INVALID_SCHEMA = (
    "DataFormatConversion.InvalidSchema: The schema is invalid. One or more columns have types that are not supported "
    "by org.openx.data.JsonSerDe"
)
"""What AWS says of a column of type binary (D4, observed). AWS creates the stream; here it stops at start."""

_SCALARS = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "date": pa.date32(),
    # Without a zone, because Glue's timestamp has none: pyarrow, DuckDB and Polars then all show plain UTC.
    "timestamp": pa.timestamp("us"),
}
# A length has no place in a Parquet file; whoever reads the table by its Glue type applies it.
_LONGEST = {"varchar": 65535, "char": 255}
_MAX_PRECISION = 38

_WORD = re.compile(r"[a-z]+")
_NUMBER = re.compile(r"\d{1,5}")
# Upper case is not allowed: Glue folds the names of columns, and how AWS spells a mixed-case member of a struct in the
# Parquet file is not known (UNV).
_MEMBER = re.compile(r"[^:<>,()\sA-Z]+")  # upper case beyond A to Z is looked for apart


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of the columns, in their order; raises PlanError naming column and type."""
    schema = pa.schema([pa.field(_column_name(column), arrow_type(column)) for column in columns])
    for name in schema.names:
        if schema.names.count(name) > 1:
            raise PlanError(
                f"The column {name} appears more than once in the Glue table; a name can be used only once."
            )
    return schema


def arrow_type(column: Column) -> pa.DataType:
    """Return the Arrow type of one column's Hive type; raises PlanError naming column and type.

    `timestamp` is microseconds UTC without a zone. The length of varchar and char is not part of the result.
    """
    try:
        return _TypeParser(column.type).parse()
    except _TypeSyntaxError as error:
        raise PlanError(
            f"The column {column.name} has the type {column.type}: {error}. Allowed are {ALLOWED_TYPES}."
        ) from None


def hive_scalar(kind: pa.DataType) -> str:
    """Return the Hive type of a scalar Arrow type; char and varchar are string."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return next(name for name, scalar in _SCALARS.items() if scalar == kind)


def _column_name(column: Column) -> str:
    if not _MEMBER.fullmatch(column.name) or column.name != column.name.lower():
        raise PlanError(
            f"The column {column.name!r} has a name with upper case, a space or one of `:<>,()`; "
            "write it in lower case, as Glue and Athena keep it."
        )
    return column.name


class _TypeSyntaxError(Exception):
    """What is wrong with a type string, as the middle part of a sentence."""


class _TypeParser:
    """Reads one Hive type string from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def parse(self) -> pa.DataType:
        """Return the type that the whole string stands for."""
        parsed = self._type()
        if self._position != len(self._text):
            raise _TypeSyntaxError(f"nothing may follow at {self._rest()}")
        return parsed

    def _type(self) -> pa.DataType:
        word = self._take(_WORD, "a type in lower case")
        if word in _SCALARS:
            return _SCALARS[word]
        if word in _LONGEST:
            return self._text_of_length(word)
        readers = {"decimal": self._decimal, "array": self._array, "map": self._map, "struct": self._struct}
        if word in readers:
            return readers[word]()
        if word == "binary":
            raise _TypeSyntaxError(
                f"{INVALID_SCHEMA}, which every record would fail with; keep bytes as a base64 string"
            )
        raise _TypeSyntaxError(f"{word} is not converted by Firehose")

    def _text_of_length(self, word: str) -> pa.DataType:
        (length,) = self._arguments(word, 1)
        if not 1 <= length <= _LONGEST[word]:
            raise _TypeSyntaxError(f"the length of {word} must be 1 to {_LONGEST[word]}")
        return pa.string()

    def _decimal(self) -> pa.DataType:
        # Hive: decimal alone is decimal(10,0).
        precision, scale = self._arguments("decimal", 2) if self._next_is("(") else (10, 0)
        if not (1 <= precision <= _MAX_PRECISION and scale <= precision):
            raise _TypeSyntaxError(f"the precision must be 1 to {_MAX_PRECISION} and the scale at most the precision")
        return pa.decimal128(precision, scale)

    def _array(self) -> pa.DataType:
        self._expect("<")
        element = self._type()
        self._expect(">")
        return pa.list_(element)

    def _map(self) -> pa.DataType:
        self._expect("<")
        key = self._type()
        if key != pa.string():
            raise _TypeSyntaxError("the key of a map must be string, as every JSON key is")
        self._expect(",")
        value = self._type()
        self._expect(">")
        return pa.map_(key, value)

    def _struct(self) -> pa.DataType:
        members: dict[str, pa.DataType] = {}
        separator = "<"
        while not members or self._next_is(","):
            self._expect(separator)
            name = self._take(_MEMBER, "a member's name in lower case")
            if name != name.lower():
                raise _TypeSyntaxError(f"the member {name} has upper case")
            if name in members:
                raise _TypeSyntaxError(f"the member {name} appears more than once")
            self._expect(":")
            members[name] = self._type()
            separator = ","
        self._expect(">")
        return pa.struct(list(members.items()))

    def _arguments(self, word: str, count: int) -> list[int]:
        numbers: list[int] = []
        for position in range(count):
            self._expect("," if position else "(")
            numbers.append(int(self._take(_NUMBER, f"a number for {word}")))
        self._expect(")")
        return numbers

    def _take(self, pattern: re.Pattern[str], wanted: str) -> str:
        match = pattern.match(self._text, self._position)
        if match is None:
            raise _TypeSyntaxError(f"expected {wanted} at {self._rest()}")
        self._position = match.end()
        return match.group()

    def _expect(self, symbol: str) -> None:
        if not self._next_is(symbol):
            raise _TypeSyntaxError(f"expected `{symbol}` at {self._rest()}")
        self._position += 1

    def _next_is(self, symbol: str) -> bool:
        return self._text.startswith(symbol, self._position)

    def _rest(self) -> str:
        return f"`{self._text[self._position :]}`" if self._position < len(self._text) else "the end"
