"""Athena's SQL for DuckDB: what is translated, and what is refused with which sentence."""

from contextlib import suppress
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.errors import QueryError
from auditlake.runtime.athena_sql import Relations, translate

RELATIONS = Relations("audit", "events", ("events_deduplicated",), ("audit_type", "year", "month", "day"))


def answer(sql: str, *values: str) -> list[tuple[Any, ...]]:
    """Translate and run a statement on a table `events` of three rows."""
    statement = translate(sql, RELATIONS)
    with duckdb.connect() as connection:
        connection.execute("""
            CREATE TABLE events (id INT, problems TEXT[], details STRUCT(changes STRUCT(field TEXT, old_value TEXT)[]));
            INSERT INTO events VALUES
                (1, ['x', 'y'], {'changes': [{'field': 'a', 'old_value': '1'}, {'field': 'b', 'old_value': NULL}]}),
                (2, [], {'changes': []}),
                (3, NULL, NULL)
        """)
        return connection.execute(statement.sql, dict(zip(statement.parameter_names, values, strict=True))).fetchall()


def refusal(sql: str) -> str:
    """Return the sentence with which a statement is refused."""
    with pytest.raises(QueryError) as caught:
        translate(sql, RELATIONS)
    return str(caught.value)


def test_parameters_keep_their_order_wherever_they_stand() -> None:
    """Every `?` gets the value of its place in the text, whatever the translation does to the text around it."""
    sql = """WITH a AS (SELECT ? AS x)
        SELECT x, ?, '?', CASE WHEN ? = 'c' THEN ? END -- ?
        FROM a WHERE x = ? AND ? = 'f' ORDER BY 1 LIMIT 1"""
    assert answer(sql, "a", "b", "c", "d", "a", "f") == [("a", "b", "?", "d")]


def test_unnest_of_rows_gives_a_column_a_field() -> None:
    """UNNEST of an array of rows has a column for each field and the ordinality last; LEFT JOIN keeps rows without."""
    sql = """SELECT id, c.field, c.old_value, c.n FROM events
        {} JOIN UNNEST(details.changes) WITH ORDINALITY AS c (field, old_value, n) {} ORDER BY id, n"""
    changes = [(1, "a", "1", 1), (1, "b", None, 2)]
    assert answer(sql.format("CROSS", "")) == changes
    assert answer(sql.format("LEFT", "ON TRUE")) == [*changes, (2, None, None, None), (3, None, None, None)]


def test_unnest_of_scalars_and_of_several_arrays() -> None:
    """UNNEST of an array of scalars gives one column; of several arrays a column each, the shorter padded with null."""
    assert answer("SELECT id, p FROM events CROSS JOIN UNNEST(problems) AS t (p) ORDER BY 2") == [(1, "x"), (1, "y")]
    sql = "SELECT p, n FROM events CROSS JOIN UNNEST(problems, ARRAY[7]) AS t (p, n) WHERE id = 1 ORDER BY 1"
    assert answer(sql) == [("x", 7), ("y", None)]
    assert "UNNEST of 2 arrays into 3 columns" in refusal("SELECT 1 FROM events, UNNEST(a, b) AS t (x, y, z)")


def test_date_diff_counts_whole_units() -> None:
    """date_diff counts whole units as Trino does: 23 hours over midnight are no day."""
    sql = "SELECT date_diff('day', TIMESTAMP '2024-01-01 23:00:00', TIMESTAMP '2024-01-02 {}:00:00')"
    assert answer(sql.format("22")) == [(0,)]
    assert answer(sql.format("23")) == [(1,)]


def test_path_is_a_hidden_column() -> None:
    """A query that names "$path" reads the variant of the table that has it, and no `*` shows it."""
    sql = translate('SELECT "$path", e.*, d.*, * FROM audit.events e JOIN events_deduplicated d ON TRUE', RELATIONS).sql
    assert sql == (
        'SELECT "$path", e.* EXCLUDE ("$path"), d.*, * EXCLUDE ("$path") '
        'FROM audit."events$path" AS e JOIN events_deduplicated AS d ON TRUE'
    )
    assert "$path" not in translate("SELECT * FROM events", RELATIONS).sql
    assert "give it another name" in refusal('WITH events AS (SELECT 1 FROM events) SELECT "$path" FROM events')


@pytest.mark.parametrize(
    "sql",
    [
        "COPY events TO 'x.csv'",
        "ATTACH 'x.db' AS x",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "SET threads = 1",
        "CALL pragma_version()",
        "CREATE TABLE x AS SELECT 1",
        "INSERT INTO events SELECT 1",
        "DELETE FROM events",
        "DROP VIEW events",
        "UNLOAD (SELECT 1) TO 's3://x'",
        "EXPLAIN SELECT 1",
        "WITH a AS (SELECT 1) INSERT INTO events SELECT * FROM a",
        "WITH a AS (DELETE FROM events RETURNING *) SELECT * FROM a",
    ],
)
def test_what_does_more_than_read_is_refused(sql: str) -> None:
    """A statement that is not SELECT, WITH, SHOW or DESCRIBE is refused, and the sentence names those."""
    sentence = refusal(sql)
    assert "not allowed" in sentence or "not Athena SQL" in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    "source",
    [
        "read_csv('/etc/passwd')",
        "read_text('/etc/passwd')",
        "read_parquet('x')",
        "query('SELECT 1')",
        "duckdb_settings()",
        '"/etc/passwd"',
        "'/etc/passwd'",
        "duckdb_logs",
        "other.events",
        "hive.audit.events",
        '"events$path"',
    ],
)
def test_what_is_no_relation_of_the_database_is_refused(source: str) -> None:
    """Only the table, the views and WITH queries can be read: no file, no function, no table of DuckDB's own."""
    for sql in (f"SELECT * FROM {source}", f"SELECT (SELECT count(*) FROM {source}) FROM events"):
        assert refusal(sql).endswith(("view events_deduplicated.", "its database is audit.", "AwsDataCatalog."))


def test_table_names_may_be_qualified_as_the_console_does() -> None:
    """The catalog, the database and any case are accepted, and the information schema is there."""
    for name in ("events", "Events", "audit.events", '"AwsDataCatalog"."audit"."events"', "information_schema.tables"):
        translate(f"SELECT * FROM {name}", RELATIONS)


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("", "The query is empty; start it with SELECT, WITH, SHOW or DESCRIBE."),
        ("-- nothing", "The query is empty; start it with SELECT, WITH, SHOW or DESCRIBE."),
        ("SELECT 1; SELECT 2", "The text holds more than one statement; run one at a time."),
        ("SELECT 1; SHOW x", "The text holds more than one statement; run one at a time."),
        ("SELECT 'a", "The query is not SQL: a quote, a bracket or a comment is not closed."),
        ("SELECT 1 FROM WHERE x", "The query is not Athena SQL at line 1, column 19, near `WHERE`."),
        ("SELECT :x", "`:x` is not a parameter in Athena; write `?` and give the values in order."),
        (
            "SELECT 1 FROM events FOR TIMESTAMP AS OF TIMESTAMP '2024-01-01 00:00:00'",
            "FOR TIMESTAMP AS OF is not supported on one machine: DuckDB, which runs queries there, does not have it.",
        ),
        (
            "SELECT " + "(" * 3000 + "1" + ")" * 3000,
            "The query is nested too deeply to be read; write it with fewer brackets.",
        ),
        (
            "SHOW CREATE TABLE events",
            "`SHOW CREATE TABLE events` is not supported on one machine; there are SHOW TABLES, SHOW VIEWS, "
            "SHOW COLUMNS IN events, SHOW PARTITIONS events and DESCRIBE events.",
        ),
        (
            "SHOW PARTITIONS events_deduplicated",
            "events_deduplicated is a view and has no partitions; try SHOW PARTITIONS events.",
        ),
    ],
)
def test_a_wrong_statement_is_answered_with_a_sentence(sql: str, sentence: str) -> None:
    """What is wrong is named in one sentence, with its place or what to do."""
    assert refusal(sql) == sentence


def test_show_statements() -> None:
    """SHOW and DESCRIBE become queries of the catalog, with or without the database and a semicolon."""
    assert answer("SHOW TABLES") == [("events",), ("events_deduplicated",)]
    assert answer("show views in audit;") == [("events_deduplicated",)]
    for sql in ("DESCRIBE events", "desc events;", "SHOW COLUMNS IN events", "show columns from events"):
        assert answer(sql)[:2] == [("id", "INTEGER"), ("problems", "VARCHAR[]")]
    assert 'FROM "audit"."events"' in translate("SHOW PARTITIONS audit.events", RELATIONS).sql


@given(st.text() | st.text("SELECT*FROMevnts?()'\"-/;, \n1", max_size=60))
def test_any_text_is_translated_or_answered_with_a_sentence(sql: str) -> None:
    """No text makes the translation fail otherwise than with a QueryError."""
    with suppress(QueryError):
        assert translate(sql, RELATIONS).sql


def test_time_zones_are_refused_rather_than_answered_the_wrong_way_round() -> None:
    """DuckDB would take the UTC of a plain timestamp for local time, and every hour would be off in silence."""
    assert "AT TIME ZONE is not supported" in refusal("SELECT event_time AT TIME ZONE 'Europe/Berlin' FROM events")
