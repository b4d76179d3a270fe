"""Whether Athena reads what Firehose writes: the Glue table's columns and projection, the workgroup's enforcement."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from auditlake.aws_ask import Aws
from auditlake.aws_stack import Names, Promise
from auditlake.doctor_aws.outcome import Outcome, compared, judged, looked
from auditlake.runtime.planned import block


def check(promise: Promise, aws: Aws, _names: Names) -> Iterator[Outcome]:
    """Yield the outcomes of the table and of the workgroup."""
    for planned in promise.of("aws_glue_catalog_table"):
        if planned.get("table_type") == "EXTERNAL_TABLE":
            subject = f"table {planned['database_name']}.{planned['name']}"
            yield from looked(subject, "table", partial(_table, aws, subject, planned))
    for planned in promise.of("aws_athena_workgroup"):
        subject = f"workgroup {planned['name']}"
        yield from looked(subject, "workgroup", partial(_workgroup, aws, subject, planned))


def _table(aws: Aws, subject: str, planned: Mapping[str, Any]) -> Iterator[Outcome]:
    table = aws.ask("glue", "get_table", DatabaseName=planned["database_name"], Name=planned["name"])["Table"]
    yield from table_outcomes(subject, planned, table)


def table_outcomes(subject: str, planned: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[Outcome]:
    """Compare columns, partition keys, place and projection of the table."""
    storage, deployed = block(planned, "storage_descriptor"), table.get("StorageDescriptor", {})
    kinds = (
        ("columns", storage.get("columns"), deployed.get("Columns")),
        ("partition keys", planned.get("partition_keys"), table.get("PartitionKeys")),
    )
    for name, promised, found in kinds:
        wanted = [(one["name"], one["type"]) for one in promised or ()]
        has = [(one["Name"], one["Type"]) for one in found or ()]
        differing = sorted({column for column, _ in set(wanted) ^ set(has)})
        says = f"{len(has)}" + (f", of which differ: {', '.join(differing)}" if differing else "")
        yield judged(subject, name, well=wanted == has, promised=str(len(wanted)), deployed=says)
    yield from compared(subject, {"location": storage.get("location")}, {"location": deployed.get("Location")})
    parameters = table.get("Parameters", {})
    for name, value in sorted((planned.get("parameters") or {}).items()):
        if name.startswith(("projection.", "storage.location.template")):
            yield from compared(subject, {name: value}, {name: parameters.get(name)})


def _workgroup(aws: Aws, subject: str, planned: Mapping[str, Any]) -> Iterator[Outcome]:
    group = aws.ask("athena", "get_work_group", WorkGroup=planned["name"])["WorkGroup"]
    configuration, found = block(planned, "configuration"), group.get("Configuration", {})
    promised = {
        "state": planned.get("state"),
        "settings enforced": configuration.get("enforce_workgroup_configuration"),
        "scan cutoff (bytes)": configuration.get("bytes_scanned_cutoff_per_query"),
        "results": block(configuration, "result_configuration").get("output_location"),
    }
    deployed = {
        "state": group.get("State"),
        "settings enforced": found.get("EnforceWorkGroupConfiguration", False),
        "scan cutoff (bytes)": found.get("BytesScannedCutoffPerQuery"),
        "results": found.get("ResultConfiguration", {}).get("OutputLocation"),
    }
    yield from compared(subject, promised, deployed)
