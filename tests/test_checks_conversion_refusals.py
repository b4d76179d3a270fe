"""What AWS refuses of a stream's format conversion: each fault, planted alone, is found once by its name."""

import pytest

from auditlake.checks.conversion_refusals import REFUSALS
from tests.broken_plans import Draft, Edit, both, names, put

MIB = 1024 * 1024


def _parquet(draft: Draft, **members: object) -> None:
    put(draft.conversion["output_format_configuration"][0]["serializer"][0]["parquet_ser_de"][0], **members)


def _unpartitioned(draft: Draft) -> None:
    draft.s3.update(dynamic_partitioning_configuration=[], prefix="events/!{timestamp:yyyy}/")


def _column(draft: Draft, kind: str) -> None:
    put(draft.table["storage_descriptor"][0]["columns"][0], type=kind)


FAULTS: list[tuple[str, Edit]] = [
    ("conversion-compression", lambda d: put(d.s3, compression_format="GZIP")),
    ("conversion-buffering-size", both(lambda d: _unpartitioned(d), lambda d: put(d.s3, buffering_size=63))),
    ("conversion-parts", lambda d: put(d.conversion, output_format_configuration=[])),
    (
        "conversion-serde",
        lambda d: put(d.conversion["input_format_configuration"][0]["deserializer"][0], open_x_json_ser_de=[]),
    ),
    ("conversion-schema", lambda d: put(d.conversion["schema_configuration"][0], table_name="")),
    ("conversion-table-missing", lambda d: put(d.conversion["schema_configuration"][0], table_name="event")),
    ("conversion-column-type", lambda d: _column(d, "binary")),
    ("conversion-column-type", lambda d: _column(d, "struct<tags:set<string>>")),
    ("parquet-compression", lambda d: _parquet(d, compression="ZSTD")),
    ("parquet-block-size", lambda d: _parquet(d, block_size_bytes=64 * MIB - 1)),
    ("parquet-page-size", lambda d: _parquet(d, page_size_bytes=65535)),
    ("parquet-padding", lambda d: _parquet(d, max_padding_bytes=-1)),
    ("parquet-writer-version", lambda d: _parquet(d, writer_version="V3")),
]

FINE: list[tuple[str, Edit]] = [
    ("a struct with a member named set", lambda d: _column(d, "struct<set:string>")),
]


@pytest.mark.parametrize(("name", "edit"), FAULTS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(FAULTS)])
def test_a_planted_fault_is_found_once_by_its_name(name: str, edit: Edit) -> None:
    """The default plan with one fault has one finding, the fault."""
    assert names(edit) == [name]


@pytest.mark.parametrize("edit", [edit for _, edit in FINE], ids=[what for what, _ in FINE])
def test_what_aws_takes_is_not_found(edit: Edit) -> None:
    """Values at the edge of what AWS takes, and values that are not known before the apply, have no finding."""
    assert names(edit) == []


def test_every_check_has_a_planted_fault() -> None:
    """No check is without a plan that it finds something in."""
    assert {check.name for check in REFUSALS} == {name for name, _ in FAULTS}


def test_each_fault_of_the_serde_has_awss_own_words() -> None:
    """AWS says something else of none and of two, and names which of both it means."""
    none, two = Draft(), Draft()
    none.conversion["input_format_configuration"][0]["deserializer"][0]["open_x_json_ser_de"] = []
    two.conversion["output_format_configuration"][0]["serializer"][0]["orc_ser_de"] = [{"format_version": "V0_12"}]

    assert [f.aws for f in none.findings()] == ["Deserializer must not be null"]
    assert [f.aws for f in two.findings() if f.check == "conversion-serde"] == [
        "More than one serializer specified. Only one may be chosen."
    ]
