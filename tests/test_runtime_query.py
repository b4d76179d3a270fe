"""Queries over a lake on disk: what is read, how much of it, and what cannot be."""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.errors import QueryError
from auditlake.runtime.columns import arrow_schema
from auditlake.runtime.plan import Column, Plan, View
from auditlake.runtime.query import QueryResult, Scan, distinct_bytes, duckdb_type, run_query, saved_query
from tests.lake import BUCKET, glue_plan, row, write_rows

PLAN = glue_plan()


def run(data: Path, sql: str, *values: str, plan: Plan = PLAN) -> list[tuple[Any, ...]]:
    """Return all rows of a query."""
    with run_query(data, plan, sql, values) as result:
        return list(result.rows())


def scan(data: Path, sql: str, *values: str) -> Scan:
    """Return what a query read when all its rows were fetched."""
    with run_query(data, PLAN, sql, values) as result:
        list(result.rows())
        return result.scan()


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake of three days of logins and one of documents, ten events a day."""
    for day in ("05", "06", "07"):
        write_rows(tmp_path, [row(f"login-{day}-{n}", f"2024-03-{day}T10:00:0{n}Z") for n in range(10)])
    write_rows(tmp_path, [row(f"doc-{n}", "2024-03-06T11:00:00Z", event_type="document.read") for n in range(10)])
    return tmp_path


def test_without_a_file_the_table_is_empty_and_typed(tmp_path: Path) -> None:
    """Before the first delivery the table has no rows, and the types and the view that it has after it."""
    assert run(tmp_path, "SELECT count(*), max(event_time) FROM events") == [(0, None)]
    assert run(tmp_path, "SELECT * FROM events_deduplicated WHERE late AND cardinality(details.changes) > 0") == []
    before = run(tmp_path, "DESCRIBE audit.events")
    write_rows(tmp_path, [row("a", "2024-03-05T10:00:00Z")])
    assert run(tmp_path, "DESCRIBE audit.events") == before
    assert before[-4:] == [(key, "VARCHAR") for key in ("audit_type", "year", "month", "day")]


def test_partition_keys_are_strings_from_the_path(lake: Path) -> None:
    """The keys come from the path as strings, with their leading zeros, in the path's order."""
    assert run(lake, "SELECT DISTINCT audit_type, year, month, day FROM events ORDER BY 1, 4") == [
        ("document", "2024", "03", "06"),
        ("login", "2024", "03", "05"),
        ("login", "2024", "03", "06"),
        ("login", "2024", "03", "07"),
    ]
    assert run(lake, "SHOW PARTITIONS events")[0] == ("audit_type=document/year=2024/month=03/day=06",)


@pytest.mark.parametrize(("name", "other"), [("[b]", "b"), ("a*?", "abc"), ("year=1999", "x"), ("d'é\"x", "x")])
def test_any_directory_name_works(tmp_path: Path, name: str, other: str) -> None:
    """What means something to a glob, to SQL or to the layout is just text in the data directory's name."""
    write_rows(tmp_path / name, [row("a", "2024-03-05T10:00:00Z")])
    write_rows(tmp_path / other, [row("of another lake", "2024-03-05T10:00:00Z")])
    assert run(tmp_path / name, "SELECT event_id, year FROM events") == [("a", "2024")]


def test_values_arrive_as_they_were_written(tmp_path: Path) -> None:
    """Timestamps keep their microseconds, nested values their nesting, and the session's time zone is UTC."""
    details = {"entity_type": "doc", "changes": [{"field": "f", "old_value": "1", "new_value": None}]}
    write_rows(
        tmp_path, [row("a", "2024-03-05T10:00:00.000069Z", details=details, actor={"role": "admin"}, problems=["p"])]
    )
    found = run(tmp_path, "SELECT event_time, details.changes, actor.role, problems, current_timestamp FROM events")
    assert found[0][:4] == (
        datetime(2024, 3, 5, 10, 0, 0, 69),  # noqa: DTZ001 - Glue's timestamp has no zone
        details["changes"],
        "admin",
        ["p"],
    )
    assert str(found[0][4].tzinfo) == "UTC"


def test_a_column_that_a_file_lacks_is_null(lake: Path) -> None:
    """Files from before a column was added to the plan, or a field to a struct, still read; the new column is null."""
    columns = tuple(
        replace(column, type="struct<role:string,team:string>") if column.name == "actor" else column
        for column in PLAN.table.columns
    )
    table = replace(PLAN.table, columns=(*columns, Column("tenant", "string")))
    plan = replace(PLAN, table=table, views=())
    assert run(lake, "SELECT count(*), count(tenant), count(actor.team) FROM events", plan=plan) == [(40, 0, 0)]


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_timestamps_of_any_unit_read_alike(tmp_path: Path, unit: str) -> None:
    """Whether Parquet holds INT96, nano-, micro- or milliseconds (D6: not known of Firehose), the time is the same."""
    (file,) = write_rows(tmp_path, [row("a", "2024-03-05T10:00:00.069Z")])
    table = pq.read_table(file, partitioning=None)
    times = pa.field("event_time", pa.timestamp(unit))
    index = table.schema.get_field_index("event_time")
    pq.write_table(table.cast(table.schema.set(index, times)), file, use_deprecated_int96_timestamps=unit == "ns")
    found = run(tmp_path, "SELECT event_time FROM events WHERE event_time >= TIMESTAMP '2024-03-05 10:00:00.069'")
    assert found == [(datetime(2024, 3, 5, 10, 0, 0, 69000),)]  # noqa: DTZ001 - Glue's timestamp has no zone


def test_only_the_partitions_asked_for_are_read(lake: Path) -> None:
    """A file outside the partitions of the query is not opened, whether the keys are compared one by one or joined."""
    one = scan(
        lake, "SELECT * FROM events WHERE audit_type = 'login' AND year = '2024' AND month = '03' AND day = '06'"
    )
    assert (one.files_read, one.files_total) == (1, 4)
    joined = "SELECT * FROM events WHERE concat(year, '-', month, '-', day) BETWEEN ? AND ?"
    assert scan(lake, joined, "2024-03-06", "2024-03-07").files_read == 3
    assert scan(lake, "SELECT * FROM events WHERE day = '31'").files_read == 0
    everything = scan(lake, "SELECT * FROM events")
    assert (everything.files_read, everything.bytes_total) == (4, sum(file.stat().st_size for file in _files(lake)))
    assert one.bytes_read < everything.bytes_read <= everything.bytes_total


def test_only_the_columns_asked_for_are_read(tmp_path: Path) -> None:
    """Bytes read are those of the footer and of the columns named; a column that is not named is not read."""
    texts = [os.urandom(20_000).hex() for _ in range(50)]
    write_rows(tmp_path, [row(str(n), "2024-03-05T10:00:00Z", raw=text) for n, text in enumerate(texts)])
    chunks = pq.read_metadata(_files(tmp_path)[0]).row_group(0)
    sizes = {chunks.column(n).path_in_schema: chunks.column(n).total_compressed_size for n in range(chunks.num_columns)}
    ids = scan(tmp_path, "SELECT max(event_id) FROM events")
    raws = scan(tmp_path, "SELECT max(raw) FROM events")
    assert ids.bytes_read < 40_000 < sizes["raw"]
    assert sizes["raw"] <= raws.bytes_read <= raws.bytes_total


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/io, which counts a process's reads, is Linux's")
def test_bytes_read_are_those_the_system_read(tmp_path: Path) -> None:
    """The bytes reported are those that the system counts for the process, but for the few of reading that count."""
    texts = [os.urandom(20_000).hex() for _ in range(100)]
    for day in ("05", "06"):
        write_rows(tmp_path, [row(f"{day}-{n}", f"2024-03-{day}T10:00:00Z", raw=text) for n, text in enumerate(texts)])
    with run_query(tmp_path, PLAN, "SELECT 1"):  # what is read only the first time
        pass
    before = _bytes_read_by_this_process()
    with run_query(tmp_path, PLAN, "SELECT max(raw) FROM events WHERE day = '06'") as result:
        assert len(result.fetch()) == 1
        counted = _bytes_read_by_this_process() - before
        assert result.scan().files_read == 1
        assert result.scan().bytes_read > 2_000_000
        assert 0 <= counted - result.scan().bytes_read < 20_000


def _bytes_read_by_this_process() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(0, 20))))
def test_distinct_bytes_counts_each_byte_once(reads: Sequence[tuple[str, int, int]]) -> None:
    """However reads overlap, the count is that of the set of bytes they cover."""
    assert distinct_bytes(reads) == len({(path, at + n) for path, at, length in reads for n in range(length)})


def test_rows_come_as_they_are_asked_for(lake: Path) -> None:
    """Rows are fetched in batches of the size asked for, and an empty batch is the end."""
    with run_query(lake, PLAN, "SELECT event_id FROM events ORDER BY 1") as result:
        assert [(column.name, column.type) for column in result.columns] == [("event_id", "VARCHAR")]
        assert [len(result.fetch(25)) for _ in range(3)] == [25, 15, 0]
        assert result.scan().elapsed_s > 0


def test_only_what_lies_in_the_layout_is_read(lake: Path) -> None:
    """Hidden files, other names and other places are not the table's, as in Athena."""
    file = _files(lake)[0]
    for name in (".hidden.parquet", "_temporary.parquet", "note.txt"):
        (file.parent / name).write_bytes(b"no Parquet")
    stray = lake / BUCKET / "events" / "stray.parquet"
    shutil.copy(file, stray)
    shutil.copytree(lake / BUCKET / "events", lake / BUCKET / "errors" / "processing-failed")
    assert run(lake, "SELECT count(*) FROM events") == [(40,)]


def test_objects_with_the_streams_own_extension_are_read(lake: Path) -> None:
    """A FileExtension stands in place of `.parquet` (B7); rows from before it are still the table's."""
    file = _files(lake)[0]
    file.rename(file.with_suffix(".pq"))
    plan = replace(PLAN, stream=replace(PLAN.stream, file_extension=".pq"))

    assert run(lake, "SELECT count(*) FROM events", plan=plan) == [(40,)]


def test_a_broken_file_is_named(lake: Path) -> None:
    """A file that is no Parquet makes the query fail with a sentence that names it."""
    file = _files(lake)[0]
    file.write_bytes(b"not Parquet at all, but long enough")
    with pytest.raises(QueryError, match=re.escape(file.name)):
        run(lake, "SELECT count(*) FROM events")


def test_path_names_the_file_of_a_row(lake: Path) -> None:
    """ "$path" is the file that holds the row, and `*` does not show it."""
    found = run(lake, 'SELECT "$path", count(*) FROM audit.events GROUP BY 1 ORDER BY 1')
    assert found == [(str(file), 10) for file in sorted(_files(lake), key=str)]
    with run_query(lake, PLAN, 'SELECT * FROM events WHERE "$path" LIKE ?', ["%day=07%"]) as result:
        assert [column.name for column in result.columns][-1] == "day"
        assert len(list(result.rows())) == 10


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('{outside}')",
        "SELECT * FROM read_text('{outside}')",
        "SELECT * FROM '{outside}'",
        "COPY (SELECT 1) TO '{outside}.new'",
        "ATTACH '{outside}.db' AS x",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SELECT * FROM variable",
    ],
)
def test_duckdb_itself_can_reach_nothing_but_the_lake(lake: Path, tmp_path: Path, statement: str) -> None:
    """Even a statement that got past the translation reads and writes no other file, and no variable of the program."""
    outside = tmp_path / "outside.csv"
    outside.write_text("secret\n1\n")
    variable = pa.table({"secret": [1]})  # DuckDB's Python client takes variables for tables
    assert variable.num_rows == 1
    with run_query(lake, PLAN, "SELECT 1") as result, pytest.raises(duckdb.Error):
        result._connection.execute(statement.format(outside=outside)).fetchall()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["outside.csv"]


def test_what_athena_would_refuse_is_refused_through_the_same_function(lake: Path) -> None:
    """The refusals of the translation are what the caller gets."""
    for sql in ("COPY events TO 'x'", "SELECT * FROM read_csv('/etc/passwd')", "ATTACH 'x' AS y", "INSTALL httpfs"):
        with pytest.raises(QueryError):
            run_query(lake, PLAN, sql)


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("SELECT nothing FROM events", 'column "nothing" not found'),
        (
            "SELECT nothing(event_id) FROM events",
            "uses a function that DuckDB, which runs it on one machine, does not have",
        ),
        ("SELECT CAST(event_id AS timestamp) FROM events", "timestamp"),
        ("SELECT 1 / 0", "zero"),
        ("SELECT ?", "The query has 1 parameters (`?`), and 0 values were given."),
        ("SELECT '\udcff'", "The query holds a byte that is no UTF-8"),
    ],
)
def test_an_error_is_one_sentence(lake: Path, sql: str, part: str) -> None:
    """What DuckDB finds wrong is told in one line, without the translated SQL."""
    with pytest.raises(QueryError) as caught:
        run(lake, sql)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_missing_data_directory_is_told_with_what_makes_it(tmp_path: Path) -> None:
    """A data directory that is not there is an error, not an empty table."""
    with pytest.raises(QueryError, match=r"There is no data directory .*nowhere; `auditlake up --data"):
        run(tmp_path / "nowhere", "SELECT 1")


def test_a_view_that_cannot_be_made_is_named(lake: Path) -> None:
    """A view of the plan that is wrong is named in the error."""
    plan = replace(PLAN, views=(View("broken", "SELECT nothing FROM events"),))
    with pytest.raises(QueryError, match="The view broken of the plan"):
        run(lake, "SELECT 1", plan=plan)


def test_views_may_read_views_in_whatever_order_the_plan_has_them(lake: Path) -> None:
    """A view over a view works, as in Athena, though the plan lists it first."""
    views = (View("a_third", "SELECT * FROM b_second"), View("b_second", "SELECT count(*) AS events FROM events"))
    assert run(lake, "SELECT * FROM a_third", plan=replace(PLAN, views=views)) == [(40,)]


def test_views_that_read_one_another_are_named(lake: Path) -> None:
    """Views in a circle are an error that names them."""
    plan = replace(PLAN, views=(View("a", "SELECT * FROM b"), View("b", "SELECT * FROM a")))
    with pytest.raises(QueryError, match=r"views (a, b, a|b, a, b) of the plan read one another"):
        run(lake, "SELECT 1", plan=plan)


def test_numbers_divide_as_in_athena(lake: Path) -> None:
    """Integers divide to an integer, decimals and doubles do not."""
    assert run(lake, "SELECT 7 / 2, 7e0 / 2") == [(3, 3.5)]


def test_hive_types_become_duckdb_types() -> None:
    """Nested Hive types are translated whole, and a member's name that is a reserved word is quoted."""
    assert duckdb_type("array<struct<end:string,n:bigint>>") == 'STRUCT("end" TEXT, "n" BIGINT)[]'


def test_saved_query_binds_by_name() -> None:
    """The values of a saved query come in the order of its `-- parameters:` line, a name used twice given twice."""
    sql, values = saved_query(PLAN, "who_did_what", {"to": "2024-03-06", "from": "2024-03-05"})
    assert sql.count("?") == 4
    assert values == ("2024-03-05", "2024-03-06", "2024-03-05", "2024-03-06")
    assert saved_query(PLAN, "everything", {})[1] == ()


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("nobody", {}, "There is no saved query nobody; there are: activity_per_day, conflicts, "),
        (
            "who_did_what",
            {"from": "x"},
            "The saved query who_did_what needs the parameter to; its parameters are: from, to.",
        ),
        ("everything", {"x": "1"}, "The saved query everything has no parameter x; its parameters are: none."),
    ],
)
def test_saved_query_names_what_is_wrong(name: str, values: dict[str, str], sentence: str) -> None:
    """An unknown query, a missing and an unknown parameter are named, with what there is."""
    with pytest.raises(QueryError) as caught:
        saved_query(PLAN, name, values)
    assert str(caught.value).startswith(sentence)


def test_a_schema_of_arrow_and_the_table_agree(lake: Path) -> None:
    """What the runtime writes by the plan's columns, the table reads by the same columns, every one of them."""
    names = arrow_schema(PLAN.table.columns).names
    with run_query(lake, PLAN, "SELECT * FROM events LIMIT 1") as result:
        assert isinstance(result, QueryResult)
        assert [column.name for column in result.columns][: len(names)] == names


def _files(data: Path) -> list[Path]:
    return sorted((data / BUCKET / "events").rglob("auditlake-*.parquet"))


def test_another_stacks_data_is_not_an_empty_answer(lake: Path) -> None:
    """A plan whose bucket the directory does not hold is told apart from a directory that holds nothing yet."""
    (lake / PLAN.bucket.name / ".bucket").mkdir()
    other = replace(PLAN, bucket=replace(PLAN.bucket, name="other-events"))

    with pytest.raises(
        QueryError, match=f"nothing of the plan's bucket other-events, but of {PLAN.bucket.name}.*--plan"
    ):
        run(lake, "SELECT 1 FROM events", plan=other)
