"""What does harm in the catalog: each trap, planted alone, is found once by its name."""

from typing import Any

import pytest

from auditlake.checks.catalog_warnings import WARNINGS
from tests.broken_plans import Draft, Edit, names, put

JSON_SERDE = "org.openx.data.jsonserde.JsonSerDe"
TEXT_FORMAT = "org.apache.hadoop.mapred.TextInputFormat"


def _descriptor(draft: Draft) -> dict[str, Any]:
    found: dict[str, Any] = draft.table["storage_descriptor"][0]
    return found


def _workgroup(draft: Draft) -> dict[str, Any]:
    return draft.values("aws_athena_workgroup")


def _orc(draft: Draft) -> None:
    """Have stream and table speak ORC."""
    serializer = draft.conversion["output_format_configuration"][0]["serializer"][0]
    put(serializer, parquet_ser_de=[], orc_ser_de=[{"compression": "SNAPPY"}])
    put(_descriptor(draft), input_format="o.a.h.hive.ql.io.orc.OrcInputFormat", output_format="x.orc.OrcOutputFormat")
    put(_descriptor(draft)["ser_de_info"][0], serialization_library="org.apache.hadoop.hive.ql.io.orc.OrcSerde")


TRAPS: list[tuple[str, Edit]] = [
    ("table-serde", lambda d: put(_descriptor(d)["ser_de_info"][0], serialization_library=JSON_SERDE)),
    ("table-format", lambda d: put(_descriptor(d), input_format=TEXT_FORMAT)),
    (
        "partition-key-among-columns",
        lambda d: _descriptor(d)["columns"].append({"name": "Year", "type": "string", "comment": None}),
    ),
    (
        "projection-enum-size",
        lambda d: put(d.table["parameters"], **{"projection.audit_type.values": ",".join(map(str, range(61)))}),
    ),
    ("no-scan-cutoff", lambda d: put(_workgroup(d)["configuration"][0], bytes_scanned_cutoff_per_query=None)),
    ("no-scan-cutoff", lambda d: put(_workgroup(d)["configuration"][0], enforce_workgroup_configuration=False)),
    ("no-scan-cutoff", lambda d: put(_workgroup(d), configuration=[])),
    (
        "results-in-locked-bucket",
        lambda d: put(
            _workgroup(d)["configuration"][0]["result_configuration"][0],
            output_location="s3://auditlake-events-123456789012/results/",
        ),
    ),
]

FINE: list[tuple[str, Edit]] = [
    ("ORC in stream and table", _orc),
    ("no SerDe that is known", lambda d: put(_descriptor(d), ser_de_info=[])),
    (
        "sixty values",
        lambda d: put(d.table["parameters"], **{"projection.audit_type.values": ",".join(map(str, range(60)))}),
    ),
    (
        "a view that shows partition keys",
        lambda d: put(
            d.values("aws_glue_catalog_table", '["events_deduplicated"]'),
            partition_keys=[{"name": "year", "type": "string"}],
        ),
    ),
]


@pytest.mark.parametrize(("name", "edit"), TRAPS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(TRAPS)])
def test_a_planted_trap_is_found_once_by_its_name(name: str, edit: Edit) -> None:
    """The default plan with one trap has one finding, the trap."""
    assert names(edit) == [name]


@pytest.mark.parametrize("edit", [edit for _, edit in FINE], ids=[what for what, _ in FINE])
def test_what_does_no_harm_is_not_found(edit: Edit) -> None:
    """Values at the edge of harm have no finding."""
    assert names(edit) == []


def test_every_check_has_a_planted_trap() -> None:
    """No check is without a plan that it finds something in."""
    assert {check.name for check in WARNINGS} == {name for name, _ in TRAPS}
