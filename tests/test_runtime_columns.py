"""Hive types as Arrow types."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from auditlake.errors import PlanError
from auditlake.runtime.columns import INVALID_SCHEMA, arrow_schema, arrow_type, hive_scalar
from auditlake.runtime.plan import Column

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("hive", "expected"),
    [
        ("boolean", pa.bool_()),
        ("tinyint", pa.int8()),
        ("smallint", pa.int16()),
        ("int", pa.int32()),
        ("bigint", pa.int64()),
        ("float", pa.float32()),
        ("double", pa.float64()),
        ("decimal", pa.decimal128(10, 0)),
        ("decimal(38,18)", pa.decimal128(38, 18)),
        ("string", pa.string()),
        ("varchar(65535)", pa.string()),
        ("char(1)", pa.string()),
        ("date", pa.date32()),
        ("timestamp", pa.timestamp("us")),
        ("array<array<int>>", pa.list_(pa.list_(pa.int32()))),
        ("map<string,array<bigint>>", pa.map_(pa.string(), pa.list_(pa.int64()))),
        (
            "struct<a:string,b:array<struct<c:decimal(5,2),d:timestamp>>,e:int>",
            pa.struct(
                [
                    ("a", pa.string()),
                    ("b", pa.list_(pa.struct([("c", pa.decimal128(5, 2)), ("d", pa.timestamp("us"))]))),
                    ("e", pa.int32()),
                ]
            ),
        ),
    ],
)
def test_every_type_that_firehose_converts_has_an_arrow_type(hive: str, expected: pa.DataType) -> None:
    """A Hive type string becomes the Arrow type of the same values, nested ones included."""
    assert arrow_type(Column("c", hive)) == expected


@pytest.mark.parametrize(
    ("hive", "reason"),
    [
        ("uniontype<int,string>", "uniontype is not converted by Firehose"),
        ("set<string>", "set is not converted by Firehose"),
        ("binary", f"{INVALID_SCHEMA}, which every record would fail with"),
        ("array<binary>", f"{INVALID_SCHEMA}, which every record would fail with"),
        ("String", "expected a type in lower case at `String`"),
        ("", "expected a type in lower case at the end"),
        ("array<string", "expected `>` at the end"),
        ("array<string>>", "nothing may follow at `>`"),
        ("struct<>", "expected a member's name in lower case at `>`"),
        ("struct<a:int,>", "expected a member's name in lower case at `>`"),
        ("struct<a:int, b:int>", "expected a member's name in lower case at ` b:int>`"),
        ("struct<userId:string>", "expected `:` at `Id:string>`"),
        ("struct<Ärger:string>", "the member Ärger has upper case"),
        ("struct<a:int,a:int>", "the member a appears more than once"),
        ("map<int,string>", "the key of a map must be string"),
        ("decimal(39,0)", "the precision must be 1 to 38"),
        ("decimal(5,6)", "the scale at most the precision"),
        ("decimal(5)", "expected `,` at `)`"),
        ("char(256)", "the length of char must be 1 to 255"),
        ("varchar(0)", "the length of varchar must be 1 to 65535"),
        ("varchar", "expected `(` at the end"),
    ],
)
def test_any_other_type_is_refused_by_name(hive: str, reason: str) -> None:
    """The error names the column and its type, says what is wrong and what is allowed."""
    with pytest.raises(PlanError) as caught:
        arrow_schema([Column("c", hive)])

    assert str(caught.value).startswith(f"The column c has the type {hive}: ")
    assert reason in str(caught.value)
    assert "Allowed are boolean, tinyint" in str(caught.value)


def test_binary_is_refused_in_the_words_of_aws() -> None:
    """The sentence that AWS writes for every record of such a table (D4) is told at start."""
    assert INVALID_SCHEMA == (
        "DataFormatConversion.InvalidSchema: The schema is invalid. One or more columns have types that are not "
        "supported by org.openx.data.JsonSerDe"
    )


@pytest.mark.parametrize(
    "hive",
    [
        *("boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal(5,2)", "string", "date"),
        "timestamp",
    ],
)
def test_a_scalar_is_named_by_its_hive_type(hive: str) -> None:
    """Messages call a type what the Glue table calls it."""
    assert hive_scalar(arrow_type(Column("c", hive))) == hive


def test_the_schema_keeps_the_columns_and_their_order() -> None:
    """One field a column, in the order of the Glue table."""
    schema = arrow_schema([Column("b", "string"), Column("a", "int")])

    assert schema == pa.schema([("b", pa.string()), ("a", pa.int32())])


def test_a_column_that_appears_twice_is_refused() -> None:
    """Two columns of one name cannot be told apart in a query."""
    with pytest.raises(PlanError, match="The column a appears more than once"):
        arrow_schema([Column("a", "string"), Column("a", "int")])


@pytest.mark.parametrize("name", ["userId", "Ärger"])
def test_a_column_name_in_upper_case_is_refused(name: str) -> None:
    """Keys are compared in lower case on AWS, so such a column would always be null."""
    with pytest.raises(PlanError, match=f"'{name}' has a name with upper case"):
        arrow_schema([Column(name, "string")])


def test_the_projects_own_table_has_an_arrow_schema() -> None:
    """Every column of glue/events.schema.json is of a type that the runtime converts."""
    table = json.loads((ROOT / "glue" / "events.schema.json").read_text(encoding="utf-8"))

    schema = arrow_schema(Column(column["name"], column["type"]) for column in table["columns"])

    assert schema.names == [column["name"] for column in table["columns"]]
