"""Record format conversion: JSON records to one Parquet file by the Glue table's columns (D2 to D6).

The exact path is `serde.py`: the OpenX JSON SerDe, record by record. The fast path gives Arrow's JSON reader a few MiB
of records at a time, with the explicit schema and no other key allowed. Where Arrow refuses, or might have read
something that the SerDe would not, that stretch takes the exact path: a bad record fails alone (D5) and costs
its neighbours nothing but time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from auditlake.runtime.columns import arrow_schema
from auditlake.runtime.parquet import ParquetFile
from auditlake.runtime.plan import Column, Conversion, OpenX
from auditlake.runtime.serde import WHITESPACE, OpenXSerde, RecordError, Row

# What is parsed at once: large enough that a call costs nothing, small enough that memory stays flat.
SPAN_BYTES = 4 * 1024 * 1024
# A span that Arrow refuses is offered again in runs of so many records; only a refused run takes the exact path.
RUN_RECORDS = 256
# As Python values rows take far more memory than as a table: no more are gathered, but for those of a record.
EXACT_ROWS = 10_000
_LONGEST_MESSAGE = 400
_DEFAULT_OPTIONS = OpenX()

_WHITESPACE_BYTES = WHITESPACE.encode()
# Stricter than the SerDe: what these do not match takes the exact path.
_TIMESTAMP = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$"
_DATE = r"^[1-9]\d{3}-\d{2}-\d{2}$"


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
    """The table's columns as they are written, and how to get there.

    `read` and `parsed` are the columns as Arrow reads them from JSON (times as text, numbers wider than they will be)
    and with the times parsed; `arrow_reads` is False for a table that only the SerDe can read.
    """

    written: pa.Schema
    read: pa.Schema
    parsed: pa.Schema
    serde: OpenXSerde
    arrow_reads: bool


def convert(records: Sequence[bytes], columns: tuple[Column, ...], conversion: Conversion) -> Converted:
    """Convert records, each one or more JSON objects (D2), to one Parquet file; one row an object, in order.

    A record that cannot be converted fails alone (D5, probed). Raises PlanError for columns that cannot be converted.
    """
    schema = conversion_schema(columns, conversion.openx)
    file = ParquetFile(schema.written, conversion)
    failed: list[FailedRecord] = []
    for first, span in _spans(records):
        for outcome in _convert_span(schema, first, span):
            if isinstance(outcome, FailedRecord):
                failed.append(outcome)
            else:
                file.add(outcome)
    return Converted(file.finish(), file.rows, tuple(failed))


@lru_cache(maxsize=8)
def conversion_schema(columns: tuple[Column, ...], options: OpenX = _DEFAULT_OPTIONS) -> ConversionSchema:
    """Return the schemas for the columns; call it at start, so that PlanError stops it before the first event."""
    written = arrow_schema(columns)
    return ConversionSchema(
        written=written,
        read=_replaced(written, _read_as),
        parsed=_replaced(written, _parsed_as),
        serde=OpenXSerde(written, options),
        # Arrow's JSON reader has no maps, and knows a key by one name only.
        arrow_reads=not (any(_holds_map(field.type) for field in written) or options.column_to_json_key_mappings),
    )


def _read_as(kind: pa.DataType) -> pa.DataType:
    """Return the type that Arrow reads a scalar as; the cast to the written type then refuses what does not fit."""
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        # Arrow's JSON reader would also take days since 1970, dates without time, and offsets.
        return pa.string()
    if pa.types.is_decimal(kind):
        # Filling the digits up to the scale, Arrow wraps 128 bits around: 201.30 as decimal(38,38) would be 0.533...
        return pa.decimal256(kind.precision, kind.scale)
    # A text close to the middle of two floats rounds to the other one when it is not a double first.
    return pa.float64() if pa.types.is_float32(kind) else kind


def _parsed_as(kind: pa.DataType) -> pa.DataType:
    """Return the type between: nanoseconds refuse what lies outside the range that Firehose wraps around (D6)."""
    return pa.timestamp("ns", "UTC") if pa.types.is_timestamp(kind) else kind


def _spans(records: Sequence[bytes]) -> Iterator[tuple[int, Sequence[bytes]]]:
    """Cut the records into stretches of about SPAN_BYTES; each with the index of its first record."""
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
        yield read_fast(schema, span)
    except RefusedError:
        for start in range(0, len(span), RUN_RECORDS):
            run = span[start : start + RUN_RECORDS]
            try:
                yield read_fast(schema, run)
            except RefusedError:
                yield from read_exact(schema, first + start, run)


def read_exact(schema: ConversionSchema, first: int, run: Sequence[bytes]) -> Iterator[pa.Table | FailedRecord]:
    """Yield each record of a run that the SerDe fails, and the rows of all others; `first` is the index of the run."""
    rows: list[Row] = []
    for index, record in enumerate(run, start=first):
        try:
            rows += schema.serde.rows(record)
        except RecordError as error:
            yield FailedRecord(index, error.code, _shortened(error.message, _LONGEST_MESSAGE))
        if len(rows) >= EXACT_ROWS:
            yield _table(schema, rows)
            rows = []
    if rows:
        yield _table(schema, rows)


def _table(schema: ConversionSchema, rows: Sequence[Row]) -> pa.Table:
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in schema.written]
    return pa.table(columns, schema=schema.written)


class RefusedError(Exception):
    """Arrow refused the text, or what it read cannot be trusted; the message says why."""


def read_fast(schema: ConversionSchema, span: Sequence[bytes]) -> pa.Table:
    """Return the rows of records by Arrow's JSON reader; raises RefusedError where the SerDe has to look."""
    if not schema.arrow_reads:
        raise RefusedError("the table is not one for Arrow's reader")
    stripped = [record.strip(_WHITESPACE_BYTES) for record in span]
    # Arrow takes all records as one text. Only between `}` and `{` is it certain that no document of one record goes on
    # in the next: two broken records could otherwise become one good row.
    if not all(record.startswith(b"{") and record.endswith(b"}") for record in stripped):
        raise RefusedError("a record does not begin and end as an object")
    table = _read(schema, b"\n".join(stripped))
    if _may_hold_null_document(table):
        raise RefusedError("a document may be null")
    return table


def _may_hold_null_document(table: pa.Table) -> bool:
    """Say whether a row is null throughout: Arrow makes such a row of a top-level `null`."""
    if any(column.null_count == 0 for column in table.columns):
        return False
    nothing = table.column(0).is_null()
    for column in table.columns[1:]:
        nothing = pc.and_(nothing, column.is_null())
    return bool(pc.any(nothing).as_py())


def _read(schema: ConversionSchema, text: bytes) -> pa.Table:
    """Read objects separated by newlines, none null, into the written schema; raises RefusedError.

    One block: Arrow 26 ends the process with a segmentation fault on a block of which every document is null, and
    refuses a document that is longer than a block.
    """
    try:
        # Arrow checks no encoding: the bytes would become a string column that no reader can decode.
        text.decode("utf-8")
        table = pyarrow.json.read_json(
            pa.BufferReader(text),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            # A key that is no column may be one in other case, with dots, or nothing: the SerDe has to look.
            parse_options=pyarrow.json.ParseOptions(explicit_schema=schema.read, unexpected_field_behavior="error"),
        )
        _check_values(schema, table)
        return table if schema.read == schema.written else table.cast(schema.parsed).cast(schema.written)
    except (UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise RefusedError(str(error)) from None


def _check_values(schema: ConversionSchema, table: pa.Table) -> None:
    """Refuse values that Arrow takes though they are none, or reads as another: raises RefusedError."""
    for column, field in zip(table.columns, schema.written, strict=True):
        for chunk in column.chunks:
            for values, target in _leaves(chunk, field.type):
                if pa.types.is_timestamp(target):
                    _check_text(values, _TIMESTAMP)
                elif pa.types.is_date(target):
                    _check_text(values, _DATE)
                elif pa.types.is_floating(target) and not _are_finite(values.cast(target)):
                    # Arrow reads NaN and Infinity, which are no JSON, and rounds what is too large to infinity.
                    raise RefusedError(f"column {field.name}: a number is not finite")


def _check_text(values: pa.Array, pattern: str) -> None:
    if not pc.all(pc.match_substring_regex(values, pattern), min_count=0).as_py():
        raise RefusedError(f"a text does not match {pattern}")


def _are_finite(values: pa.Array) -> bool:
    return bool(pc.all(pc.is_finite(values), min_count=0).as_py())


def _leaves(values: pa.Array, target: pa.DataType) -> Iterator[tuple[pa.Array, pa.DataType]]:
    """Yield the scalar arrays inside an array, each with the type it will be written as."""
    if pa.types.is_struct(target):
        for child, member in zip(values.flatten(), target, strict=True):
            yield from _leaves(child, member.type)
    elif pa.types.is_list(target):
        yield from _leaves(values.flatten(), target.value_type)
    else:
        yield values, target


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."


def _replaced(schema: pa.Schema, replace: Callable[[pa.DataType], pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(field.name, _replaced_type(field.type, replace)) for field in schema])


def _replaced_type(kind: pa.DataType, replace: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Return a type with every scalar in it replaced."""
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(member.name, _replaced_type(member.type, replace)) for member in kind])
    if pa.types.is_list(kind):
        return pa.list_(_replaced_type(kind.value_type, replace))
    return replace(kind)


def _holds_map(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_holds_map(member.type) for member in kind)
    return pa.types.is_map(kind) or (pa.types.is_list(kind) and _holds_map(kind.value_type))
