"""Record format conversion: JSON records to one Parquet file by the Glue table's columns.

The fast path gives Arrow's JSON reader a few MiB of records at a time, with the explicit schema and no other field
allowed. When it refuses, or might have read something that is not there, only that span of records is looked at one by
one: a bad record fails alone (D5) and its neighbours are converted.

Not there yet: the OpenX SerDe's own conversions of a value (D3: other timestamp forms, numbers in strings, JSON text
for an object in a string column, a scalar wrapped into an array, folding of the case of keys). A record that needs one
of them fails with a message that says so; it is never stored as something else.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet

from auditlake.errors import PlanError
from auditlake.runtime.columns import arrow_schema
from auditlake.runtime.plan import Column, Conversion

MALFORMED_DATA = "DataFormatConversion.MalformedData"
PARSE_ERROR = "DataFormatConversion.ParseError"

# What is parsed at once: large enough that a call costs nothing, small enough that memory stays flat.
SPAN_BYTES = 4 * 1024 * 1024
_LONGEST_MESSAGE = 400

_WHITESPACE = " \t\r\n"
_WHITESPACE_BYTES = _WHITESPACE.encode()
_TIMESTAMP = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$")
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_NOT_YET = "The OpenX SerDe's conversions of such a value are not implemented on one machine yet."


@dataclass(frozen=True)
class FailedRecord:
    """A record that could not be converted: its index among the records given, AWS's error code, and why."""

    index: int
    error_code: str
    error_message: str


@dataclass(frozen=True)
class Converted:
    """What became of the records: a Parquet file (no bytes when there is no row), its rows, and the failed by index."""

    parquet: bytes
    rows: int
    failed: tuple[FailedRecord, ...]


@dataclass(frozen=True)
class ConversionSchema:
    """The table's columns as they are read from JSON (times still as text) and as they are written."""

    read: pa.Schema
    parsed: pa.Schema
    written: pa.Schema


def convert(records: Sequence[bytes], columns: tuple[Column, ...], conversion: Conversion) -> Converted:
    """Convert records, each one or more JSON objects (D2), to one Parquet file; one row an object, in order.

    A missing field, or null, is null; a field that is no column is dropped without a trace (D5, documented). Timestamps
    are `YYYY-MM-DDTHH:MM:SS[.f{1,6}]Z` within what int64 nanoseconds hold (D6, probed). A record of several objects
    fails whole if one of them is bad, so that no row is stored twice when it is redriven (UNV: AWS may do otherwise).
    Raises PlanError for columns that cannot be converted.
    """
    schema = conversion_schema(columns)
    sink = _ParquetSink(schema.written, conversion)
    failed: list[FailedRecord] = []
    for first, span in _spans(records):
        for outcome in _convert_span(schema, first, span):
            if isinstance(outcome, FailedRecord):
                failed.append(outcome)
            else:
                sink.add(outcome)
    return Converted(sink.finish(), sink.rows, tuple(failed))


@lru_cache(maxsize=8)
def conversion_schema(columns: tuple[Column, ...]) -> ConversionSchema:
    """Return the schemas for the columns; call it at start, so that PlanError stops it before the first event."""
    written = arrow_schema(columns)
    for column, field in zip(columns, written, strict=True):
        if _holds(field.type, pa.types.is_map):
            raise PlanError(
                f"The column {column.name} has the type {column.type}: map is not converted on one machine yet; "
                "use a struct, or a string that holds the JSON text."
            )
    # Read as text first: Arrow's JSON reader would also take days since 1970, dates without time, and offsets.
    texts = {pa.timestamp("us"): pa.string(), pa.date32(): pa.string()}
    # Nanoseconds refuse what lies outside the range that Firehose wraps around (D6).
    zoned = {pa.timestamp("us"): pa.timestamp("ns", "UTC")}
    return ConversionSchema(read=_replaced(written, texts), parsed=_replaced(written, zoned), written=written)


def _spans(records: Sequence[bytes]) -> Iterator[tuple[int, Sequence[bytes]]]:
    """Cut the records into runs of about SPAN_BYTES; each with the index of its first record."""
    first, size = 0, 0
    for index, record in enumerate(records):
        if size and size + len(record) > SPAN_BYTES:
            yield first, records[first:index]
            first, size = index, 0
        size += len(record)
    if first < len(records):
        yield first, records[first:]


def _convert_span(schema: ConversionSchema, first: int, span: Sequence[bytes]) -> Iterator[pa.Table | FailedRecord]:
    try:
        yield _read_fast(schema, span)
    except _RefusedError:
        yield from _convert_one_by_one(schema, first, span)


class _RefusedError(Exception):
    """Arrow refused the text, or what it read cannot be trusted; the message says why."""


def _read_fast(schema: ConversionSchema, span: Sequence[bytes]) -> pa.Table:
    stripped = [record.strip(_WHITESPACE_BYTES) for record in span]
    # Arrow takes all records as one text. Only between `}` and `{` is it certain that no document of one record goes on
    # in the next: two broken records could otherwise become one good row.
    if not all(record.startswith(b"{") and record.endswith(b"}") for record in stripped):
        raise _RefusedError("a record does not begin and end as an object")
    # "error": a key that differs only in case would otherwise be dropped, where the OpenX SerDe takes it.
    table = _read(schema, b"\n".join(stripped), "error")
    if _may_hold_null_document(table):
        raise _RefusedError("a document may be null")
    return table


def _may_hold_null_document(table: pa.Table) -> bool:
    """Say whether a row is null throughout: Arrow makes such a row of a top-level `null`."""
    if any(column.null_count == 0 for column in table.columns):
        return False
    nothing = table.column(0).is_null()
    for column in table.columns[1:]:
        nothing = pc.and_(nothing, column.is_null())
    return bool(pc.any(nothing).as_py())


def _read(schema: ConversionSchema, text: bytes, unexpected: Literal["error", "ignore"]) -> pa.Table:
    """Read objects separated by newlines, none null, into the written schema; raises _RefusedError.

    One block: Arrow 26 ends the process with a segmentation fault on a block of which every document is null, and
    refuses a document that is longer than a block.
    """
    try:
        # Arrow checks no encoding: the bytes would become a string column that no reader can decode.
        text.decode("utf-8")
        table = pyarrow.json.read_json(
            pa.BufferReader(text),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=schema.read, unexpected_field_behavior=unexpected),
        )
        _check_values(schema, table)
        return table if schema.read == schema.written else table.cast(schema.parsed).cast(schema.written)
    except (UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise _RefusedError(str(error)) from None


def _check_values(schema: ConversionSchema, table: pa.Table) -> None:
    """Refuse values that Arrow takes though they are none: raises _RefusedError."""
    for column, field in zip(table.columns, schema.written, strict=True):
        for chunk in column.chunks:
            for values, target in _leaves(chunk, field.type):
                if pa.types.is_timestamp(target):
                    _check_text(
                        values, _TIMESTAMP, f"Column {field.name}: a timestamp is YYYY-MM-DDTHH:MM:SS[.ffffff]Z"
                    )
                elif pa.types.is_date(target):
                    _check_text(values, _DATE, f"Column {field.name}: a date is YYYY-MM-DD")
                elif pa.types.is_floating(target) and not pc.all(pc.is_finite(values), min_count=0).as_py():
                    # Arrow reads NaN and Infinity, which are no JSON, and rounds what is too large to infinity.
                    raise _RefusedError(
                        f"Column {field.name}: a number is not finite, or too large for the column's type"
                    )


def _check_text(values: pa.Array, pattern: re.Pattern[str], rule: str) -> None:
    matches = pc.match_substring_regex(values, pattern.pattern)
    if not pc.all(matches, min_count=0).as_py():
        wrong = values.filter(pc.invert(matches))[0].as_py()
        raise _RefusedError(f"{rule}, not {_shortened(json.dumps(wrong, ensure_ascii=False), 60)}")


def _leaves(values: pa.Array, target: pa.DataType) -> Iterator[tuple[pa.Array, pa.DataType]]:
    """Yield the scalar arrays inside an array, each with the type it will be written as."""
    if pa.types.is_struct(target):
        for child, member in zip(values.flatten(), target, strict=True):
            yield from _leaves(child, member.type)
    elif pa.types.is_list(target):
        yield from _leaves(values.flatten(), target.value_type)
    else:
        yield values, target


def _convert_one_by_one(
    schema: ConversionSchema, first: int, span: Sequence[bytes]
) -> Iterator[pa.Table | FailedRecord]:
    """Fail the records that are no JSON objects; leave to Arrow, by halves, which of the others fit the columns."""
    checked = [_check_record(schema, index, record) for index, record in enumerate(span, start=first)]
    objects = [outcome for outcome in checked if isinstance(outcome, _Objects)]
    outcomes = list(_isolate(schema, objects)) if objects else []
    failed = [outcome for outcome in [*checked, *outcomes] if isinstance(outcome, FailedRecord)]
    yield from sorted(failed, key=lambda failure: failure.index)
    yield from (outcome for outcome in outcomes if not isinstance(outcome, FailedRecord))


@dataclass(frozen=True)
class _Objects:
    """A record that holds JSON objects, each whole, and nothing else."""

    index: int
    text: bytes


def _check_record(schema: ConversionSchema, index: int, record: bytes) -> _Objects | FailedRecord:
    try:
        documents = list(_documents(record.decode("utf-8")))
    except (ValueError, RecursionError) as error:
        return _failed(index, PARSE_ERROR, f"Encountered malformed JSON. {error}")
    if not documents:
        return _failed(index, MALFORMED_DATA, "The record was empty or contained only whitespace.")  # D2, observed
    for value in documents:
        if not isinstance(value, dict):
            return _failed(index, MALFORMED_DATA, _not_an_object(value))
        folded = _key_of_other_case(value, pa.struct(schema.read))
        if folded is not None:
            message = f"Data does not match the schema. The key {folded} is a column's name but for its case."
            return _failed(index, MALFORMED_DATA, f"{message} {_NOT_YET}")
    return _Objects(index, record)


def _isolate(schema: ConversionSchema, objects: Sequence[_Objects]) -> Iterator[pa.Table | FailedRecord]:
    try:
        yield _read(schema, b"\n".join(each.text for each in objects), "ignore")
    except _RefusedError as refused:
        if len(objects) == 1:
            message = f"Data does not match the schema. {_shortened(str(refused), 200)}. {_NOT_YET}"
            yield _failed(objects[0].index, MALFORMED_DATA, message)
            return
        middle = len(objects) // 2
        yield from _isolate(schema, objects[:middle])
        yield from _isolate(schema, objects[middle:])


def _failed(index: int, code: str, message: str) -> FailedRecord:
    return FailedRecord(index, code, _shortened(message, _LONGEST_MESSAGE))


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


# Numbers stay text: only the shape is looked at here, and Python refuses to read an integer of 5,000 digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant)
_GAP = re.compile(f"[{_WHITESPACE}]*")


def _documents(text: str) -> Iterator[Any]:
    """Yield each document of a record, newlines between them or not (D2); raises ValueError, RecursionError."""
    position = _end_of_gap(text, 0)
    while position < len(text):
        value, end = _DECODER.raw_decode(text, position)
        yield value
        position = _end_of_gap(text, end)


def _end_of_gap(text: str, position: int) -> int:
    match = _GAP.match(text, position)
    return match.end() if match else position


def _not_an_object(value: object) -> str:
    if isinstance(value, list):
        # D2, documented; the words are ours.
        return "The input JSON contained an array at the top level. A record must hold one or more objects."
    return "The input JSON contained a primitive at the top level. The top level must be an object or array."  # D2


def _key_of_other_case(value: object, expected: pa.DataType) -> str | None:
    """Return a key that is a column or member name but for its case; the OpenX SerDe would take it (D3)."""
    if isinstance(value, list) and pa.types.is_list(expected):
        found: Iterable[str | None] = (_key_of_other_case(element, expected.value_type) for element in value)
    elif isinstance(value, dict) and pa.types.is_struct(expected):
        members = {member.name: member.type for member in expected}
        for key in value:
            if key not in members and key.lower() in members:
                return str(key)
        found = (_key_of_other_case(value[name], members[name]) for name in members if name in value)
    else:
        return None
    return next((key for key in found if key is not None), None)


def _replaced(schema: pa.Schema, replacements: dict[pa.DataType, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(field.name, _replaced_type(field.type, replacements)) for field in schema])


def _replaced_type(kind: pa.DataType, replacements: dict[pa.DataType, pa.DataType]) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(member.name, _replaced_type(member.type, replacements)) for member in kind])
    if pa.types.is_list(kind):
        return pa.list_(_replaced_type(kind.value_type, replacements))
    return replacements.get(kind, kind)


def _holds(kind: pa.DataType, test: Callable[[pa.DataType], bool]) -> bool:
    if test(kind):
        return True
    if pa.types.is_struct(kind):
        return any(_holds(member.type, test) for member in kind)
    return pa.types.is_list(kind) and _holds(kind.value_type, test)


class _ParquetSink:
    """Writes tables into one Parquet file in memory, a row group at a time, with the plan's options (D6)."""

    def __init__(self, schema: pa.Schema, conversion: Conversion) -> None:
        self.rows = 0
        self._row_group_size_bytes = conversion.row_group_size_bytes
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0
        self._output = pa.BufferOutputStream()
        self._writer = pyarrow.parquet.ParquetWriter(
            self._output,
            schema,
            compression={"UNCOMPRESSED": "none", "SNAPPY": "snappy", "GZIP": "gzip"}[conversion.compression],
            data_page_size=conversion.page_size_bytes,
            use_dictionary=conversion.dictionary,
            data_page_version={"V1": "1.0", "V2": "2.0"}[conversion.writer_version],
            # No reader but pyarrow knows it: what the file says must be in its Parquet types.
            store_schema=False,
        )

    def add(self, table: pa.Table) -> None:
        """Take the rows of a table, and write a row group when they have reached its size in bytes."""
        self.rows += table.num_rows
        self._pending.append(table)
        self._pending_bytes += table.nbytes
        if self._pending_bytes >= self._row_group_size_bytes:
            self._write_row_group()

    def finish(self) -> bytes:
        """Return the file, or no bytes when it would hold no row."""
        self._write_row_group()
        self._writer.close()
        return self._output.getvalue().to_pybytes() if self.rows else b""

    def _write_row_group(self) -> None:
        if self._pending:
            table = pa.concat_tables(self._pending)
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
            self._pending, self._pending_bytes = [], 0
