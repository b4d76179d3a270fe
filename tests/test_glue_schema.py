"""The invariants of glue/events.schema.json, the only copy of the columns."""

import duckdb
import pytest
import sqlglot

from auditlake.runtime.columns import arrow_schema
from auditlake.runtime.query import duckdb_type
from tests.lake import VIEWS, glue_plan, glue_queries, glue_table

# Section 1 of the issue: what queries filter on is a top-level scalar, because Athena reads nested columns whole.
HOT = {
    "event_id",
    "event_type",
    "event_time",
    "received_at",
    "actor_user_id",
    "action_operation",
    "action_status",
    "entity_type",
    "entity_id",
    "ip_address",
    "principal",
    "source",
}


def test_names_are_unique_and_partition_keys_are_no_columns() -> None:
    """A name is used once, over columns and partition keys together (D8: Athena refuses a repeated one)."""
    table = glue_table()
    names = [column.name for column in (*table.columns, *table.partition_keys)]
    assert len(names) == len(set(names))


def test_every_column_and_key_says_what_it_holds() -> None:
    """No column and no partition key is without a comment that is a sentence."""
    table = glue_table()
    for column in (*table.columns, *table.partition_keys):
        assert column.comment.endswith("."), column.name


def test_hot_columns_are_top_level_scalars() -> None:
    """The columns that queries filter on are scalars at the top level."""
    scalars = {column.name for column in glue_table().columns if column.type in ("string", "timestamp")}
    assert scalars >= HOT


def test_partition_keys_are_strings_in_path_order() -> None:
    """The partition keys are the four of the path, as strings, and each has a projection."""
    keys = glue_table().partition_keys
    assert [(key.name, key.type) for key in keys] == [
        (name, "string") for name in ("audit_type", "year", "month", "day")
    ]


def test_every_type_is_one_for_arrow_and_for_duckdb() -> None:
    """Arrow and DuckDB have the type of every column, and DuckDB reads from Arrow the type it makes of Hive's."""
    table = glue_table()
    empty = arrow_schema(table.columns).empty_table()
    with duckdb.connect() as connection:
        connection.register("empty", empty)
        found = connection.execute("SELECT column_name, column_type FROM (DESCRIBE empty)").fetchall()
        wanted = [
            connection.execute(f"SELECT typeof(CAST(NULL AS {duckdb_type(column.type)}))").fetchall()[0][0]
            for column in table.columns
        ]
    assert found == list(zip([column.name for column in table.columns], wanted, strict=True))


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_has_the_columns_of_the_table(name: str) -> None:
    """A view lists every column and partition key of the table, in the table's order, and then `versions`."""
    table = glue_plan().table
    query = sqlglot.parse_one(glue_queries()[name], dialect="athena")
    assert isinstance(query, sqlglot.exp.Select)
    columns = [column.name for column in (*table.columns, *table.partition_keys)]
    assert query.named_selects == [*columns, "versions"]
