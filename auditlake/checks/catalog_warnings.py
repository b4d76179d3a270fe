"""What Glue and Athena take, and what does harm: wrong SerDe, doubled columns, missing limits (D8, G)."""

from collections.abc import Iterator

from auditlake.checks.catalog_refusals import TABLE, WORKGROUP, projected
from auditlake.checks.finding import Check, Known, Place, Planned, text
from auditlake.checks.storage_refusals import BUCKET, locked
from auditlake.checks.streams import streams
from auditlake.runtime.planned import block, blocks

MANY_ENUM_VALUES = 60  # AWS advises a few dozen (G)


def _foreign_serde(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        table = stream.table(planned)
        serializer = block(stream.conversion or {}, "output_format_configuration", "serializer")
        written = "orc" if serializer.get("orc_ser_de") else "parquet"
        library = text(
            block(table.values if table else {}, "storage_descriptor", "ser_de_info").get("serialization_library")
        )
        if table and library and written not in library.lower():
            yield Place(table, "storage_descriptor.ser_de_info.serialization_library", library)


def _foreign_format(planned: Planned) -> Iterator[Place]:
    for stream in streams(planned):
        table = stream.table(planned)
        serializer = block(stream.conversion or {}, "output_format_configuration", "serializer")
        written = "orc" if serializer.get("orc_ser_de") else "parquet"
        descriptor = block(table.values if table else {}, "storage_descriptor")
        for attribute in ("input_format", "output_format"):
            given = text(descriptor.get(attribute))
            if table and given and written not in given.lower():
                yield Place(table, f"storage_descriptor.{attribute}", given)


def _doubled_columns(planned: Planned) -> Iterator[Place]:
    for resource in planned.of(TABLE):
        if resource.values.get("table_type") == "VIRTUAL_VIEW":
            continue
        columns = {text(c.get("name")).lower() for c in blocks(block(resource.values, "storage_descriptor"), "columns")}
        for key in blocks(resource.values, "partition_keys"):
            if text(key.get("name")).lower() in columns:
                yield Place(resource, f"partition_keys.{key.get('name')}", key.get("name"))


def _long_enum(planned: Planned) -> Iterator[Place]:
    for resource, parameters, keys in projected(planned):
        for key in keys:
            values = text(parameters.get(f"projection.{key}.values"))
            if values.count(",") >= MANY_ENUM_VALUES:
                count = values.count(",") + 1
                yield Place(resource, f"parameters.projection.{key}.values", f"{count} values")


def _no_cutoff(planned: Planned) -> Iterator[Place]:
    for resource in planned.of(WORKGROUP):
        configuration = block(resource.values, "configuration")
        unlimited = not configuration.get("bytes_scanned_cutoff_per_query")
        if unlimited or configuration.get("enforce_workgroup_configuration") is False:
            name = "bytes_scanned_cutoff_per_query" if unlimited else "enforce_workgroup_configuration"
            yield Place(resource, f"configuration.{name}", configuration.get(name))


def _results_locked(planned: Planned) -> Iterator[Place]:
    names = {text(bucket.values.get("bucket")) for bucket in planned.of(BUCKET) if locked(planned, bucket)} - {""}
    for resource in planned.of(WORKGROUP):
        location = text(block(resource.values, "configuration", "result_configuration").get("output_location"))
        if location.removeprefix("s3://").partition("/")[0] in names:
            yield Place(resource, "configuration.result_configuration.output_location", location)


WARNINGS: tuple[Check, ...] = (
    Check(
        "table-serde",
        "D8.2",
        Known.OBSERVED,
        _foreign_serde,
        "The table's SerDe does not read what the stream writes, and Athena shows NULL in every column.",
        "Set org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe; Firehose takes only the columns of it.",
    ),
    Check(
        "table-format",
        "D8.2",
        Known.OBSERVED,
        _foreign_format,
        "The table's format is not that which the stream writes, and Athena cannot read the objects.",
        "Set the MapredParquet formats of org.apache.hadoop.hive.ql.io.parquet.",
    ),
    Check(
        "partition-key-among-columns",
        "D8.1",
        Known.OBSERVED,
        _doubled_columns,
        "A partition key is also a column, and Athena fails every query with HIVE_INVALID_METADATA: duplicate columns.",
        "Drop the column, or rename it.",
    ),
    Check(
        "projection-enum-size",
        "G.1",
        Known.DOCUMENTED,
        _long_enum,
        "AWS advises a few dozen values in an enum, because Athena looks at every partition that they make.",
        "List fewer values, or project the key as injected.",
    ),
    Check(
        "no-scan-cutoff",
        "G.5",
        Known.JUDGEMENT,
        _no_cutoff,
        "A query may scan, and bill, any amount, or a client's own settings win over the workgroup's cutoff.",
        "Set bytes_scanned_cutoff_per_query, and enforce_workgroup_configuration = true.",
    ),
    Check(
        "results-in-locked-bucket",
        "G.10",
        Known.JUDGEMENT,
        _results_locked,
        "Query results would be locked as long as the events.",
        "Name a bucket without Object Lock.",
    ),
)
"""What of the catalog is legal and harmful."""
