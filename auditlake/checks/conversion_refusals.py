"""What AWS refuses of a stream's format conversion when it is made (D1, D4, D6)."""

import re
from collections.abc import Callable, Iterator

from auditlake.checks.finding import Check, Known, Place, Planned, Values, not_set, outside, text
from auditlake.checks.streams import CONVERSION, MIN_BUFFER_MIB, Find, Stream, each, streams
from auditlake.runtime.planned import block, blocks

MIB = 1024 * 1024


def _small_conversion_buffer(stream: Stream) -> Iterator[Place]:
    size = stream.s3.get("buffering_size")
    if stream.conversion and not stream.partitioned and outside(size, MIN_BUFFER_MIB) and not outside(size, 1):
        yield stream.at("buffering_size", size)


def _compressed_twice(stream: Stream) -> Iterator[Place]:
    compression = stream.s3.get("compression_format")
    if stream.conversion and compression not in (None, "", "UNCOMPRESSED"):
        yield stream.at("compression_format", compression)


def _conversion_parts(stream: Stream) -> Iterator[Place]:
    parts = {
        "input_format_configuration": "InputFormatConfiguration",
        "output_format_configuration": "OutputFormatConfiguration",
        "schema_configuration": "SchemaConfiguration",
    }
    for part, name in parts.items():
        if stream.conversion and not_set(stream.conversion, part):
            yield stream.at(f"{CONVERSION}.{part}", aws=f"{name} must not be null")


def _one_serde(stream: Stream) -> Iterator[Place]:
    for outer, inner in (("input_format_configuration", "deserializer"), ("output_format_configuration", "serializer")):
        formats = block(stream.conversion or {}, outer, inner)
        given = [name for name, value in formats.items() if value]
        if formats and len(given) != 1:
            several = f"More than one {inner} specified. Only one may be chosen."
            words = several if given else f"{inner.capitalize()} must not be null"
            yield stream.at(f"{CONVERSION}.{outer}.{inner}", given, aws=words)


def _schema_names(stream: Stream) -> Iterator[Place]:
    schema = block(stream.conversion or {}, "schema_configuration")
    for name in ("database_name", "table_name"):
        if not_set(schema, name):
            yield stream.at(f"{CONVERSION}.schema_configuration.{name}", schema[name])


def _table_missing(planned: Planned) -> Iterator[Place]:
    """Find a table that cannot exist: its database is made by the plan, and the table is not."""
    databases = {resource.values.get("name") for resource in planned.of("aws_glue_catalog_database")}
    unnamed = any("name" not in table.values for table in planned.of("aws_glue_catalog_table"))
    for stream in streams(planned):
        schema = block(stream.conversion or {}, "schema_configuration")
        database, table = schema.get("database_name"), schema.get("table_name")
        if database and table and database in databases and not unnamed and stream.table(planned) is None:
            yield stream.at(f"{CONVERSION}.schema_configuration.table_name", f"{database}.{table}")


def _parquet(attribute: str, allowed: Callable[[object], bool]) -> Find:
    def found(stream: Stream) -> Iterator[Place]:
        serde = _parquet_serde(stream)
        if serde.get(attribute) is not None and not allowed(serde[attribute]):
            path = f"{CONVERSION}.output_format_configuration.serializer.parquet_ser_de.{attribute}"
            yield stream.at(path, serde[attribute])

    return each(found)


def _parquet_serde(stream: Stream) -> Values:
    return block(stream.conversion or {}, "output_format_configuration", "serializer", "parquet_ser_de")


def _column_types(planned: Planned) -> Iterator[Place]:
    """Find columns of types that the deserializer refuses (D3, D4): with one of them every record fails."""
    for stream in streams(planned):
        table = stream.table(planned)
        formats = block(stream.conversion or {}, "input_format_configuration", "deserializer")
        if table is None:
            continue
        for column in blocks(block(table.values, "storage_descriptor"), "columns"):
            kind = text(column.get("type")).lower()
            found = re.search(r"\b(binary|uniontype|set)\b(?!\s*:)", kind)
            if found:
                words = (
                    "The schema is invalid. One or more columns have types that are not supported by "
                    "org.openx.data.JsonSerDe"
                    if formats.get("open_x_json_ser_de") and found[0] == "binary"
                    else ""
                )
                yield Place(table, f"storage_descriptor.columns.{column.get('name')}", kind, aws=words)


REFUSALS: tuple[Check, ...] = (
    Check(
        "conversion-compression",
        "D1.1",
        Known.OBSERVED,
        each(_compressed_twice),
        "A converted object cannot be compressed a second time.",
        "Set compression_format = UNCOMPRESSED; the Parquet SerDe compresses.",
        "The S3 destination's compression format must be set to UNCOMPRESSED when data format conversion is enabled",
    ),
    Check(
        "conversion-buffering-size",
        "D1.2",
        Known.OBSERVED,
        each(_small_conversion_buffer),
        "Format conversion needs a buffer of at least 64 MiB.",
        "Set buffering_size between 64 and 128.",
        "BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.",
    ),
    Check(
        "conversion-parts",
        "D1.4",
        Known.OBSERVED,
        each(_conversion_parts),
        "Format conversion needs an input format, an output format and a schema.",
        "Give all three.",
    ),
    Check(
        "conversion-serde",
        "D1.4",
        Known.PROBED,
        each(_one_serde),
        "Format conversion takes one deserializer and one serializer.",
        "Keep one of each, such as open_x_json_ser_de and parquet_ser_de.",
    ),
    Check(
        "conversion-schema",
        "D1.4",
        Known.DOCUMENTED,
        each(_schema_names),
        "Format conversion needs the Glue database and table.",
        "Set database_name and table_name.",
    ),
    Check(
        "conversion-table-missing",
        "D1.5",
        Known.PROBED,
        _table_missing,
        "The plan makes the Glue database, but not the table that the stream converts for; AWS answers "
        "InvalidArgumentException around Glue's EntityNotFoundException.",
        "Add the aws_glue_catalog_table, or name one that exists.",
    ),
    Check(
        "conversion-column-type",
        "D4",
        Known.OBSERVED,
        _column_types,
        "The deserializer does not take binary, uniontype or set, and every record would fail with "
        "DataFormatConversion.InvalidSchema.",
        "Use string, or array for a set.",
    ),
    Check(
        "parquet-compression",
        "D6",
        Known.DOCUMENTED,
        _parquet("compression", lambda value: value in ("UNCOMPRESSED", "SNAPPY", "GZIP")),
        "Parquet's compression is UNCOMPRESSED, SNAPPY or GZIP.",
        "Use SNAPPY.",
    ),
    Check(
        "parquet-block-size",
        "D6",
        Known.DOCUMENTED,
        _parquet("block_size_bytes", lambda value: not outside(value, 64 * MIB)),
        "A Parquet block has at least 67108864 bytes.",
        "Set block_size_bytes to 67108864 or more.",
    ),
    Check(
        "parquet-page-size",
        "D6",
        Known.DOCUMENTED,
        _parquet("page_size_bytes", lambda value: not outside(value, 65536)),
        "A Parquet page has at least 65536 bytes.",
        "Set page_size_bytes to 65536 or more.",
    ),
    Check(
        "parquet-padding",
        "D6",
        Known.DOCUMENTED,
        _parquet("max_padding_bytes", lambda value: not outside(value, 0)),
        "Padding is 0 bytes or more.",
        "Set max_padding_bytes to 0 or more.",
    ),
    Check(
        "parquet-writer-version",
        "D6",
        Known.DOCUMENTED,
        _parquet("writer_version", lambda value: value in ("V1", "V2")),
        "The Parquet writer's version is V1 or V2.",
        "Use V1.",
    ),
)
"""The settings of the conversion, then those of Parquet."""
