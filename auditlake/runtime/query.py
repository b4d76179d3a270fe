"""Query on one machine: Athena's SQL over the directory laid out like the bucket, run by DuckDB.

The table has the columns of the plan, whatever the Parquet files hold: a column that a file lacks is null, as in
Athena. The partition keys come from the path, as strings. DuckDB may read the files of the table and nothing else.
"""

import glob
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
from sqlglot import exp

from auditlake.errors import QueryError
from auditlake.runtime.athena_sql import CATALOG, PATH_COLUMN, Relations, Statement, names_read, translate
from auditlake.runtime.plan import Column, Plan, SavedQuery, Table, View
from auditlake.runtime.store_location import bucket_directory

BATCH_ROWS = 2048


@dataclass(frozen=True)
class ResultColumn:
    """A column of a result and its DuckDB type."""

    name: str
    type: str


@dataclass(frozen=True)
class Scan:
    """What a query has read of the table's files, in bytes and seconds.

    A file counts as read when any byte of it was read; the footer alone is enough. A byte counts once, however often it
    was read, so that `bytes_read` never exceeds `bytes_total`. DuckDB reads at least the last 16 KiB of a file that it
    opens, and then only the chunks of the columns and row groups it needs. Athena bills the same chunks, but at least
    10 MB a query, and a file twice that a query names twice (G).
    """

    files_read: int
    files_total: int
    bytes_read: int
    bytes_total: int
    elapsed_s: float


@dataclass(frozen=True)
class Lake:
    """The Parquet files of the table: the directory above the partitions, the files and their bytes together."""

    root: Path
    files: tuple[Path, ...]
    bytes_total: int


class QueryResult:
    """The rows of a query, fetched as they are asked for; close it, or use it in a `with`."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, statement: Statement, values: Sequence[str], lake: Lake
    ) -> None:
        self._connection = connection
        self._lake = lake
        self._started = time.perf_counter()
        self._elapsed_s = 0.0
        with _explained():
            connection.execute(statement.sql, dict(zip(statement.parameter_names, values, strict=True)))
        self.columns = tuple(ResultColumn(column[0], str(column[1])) for column in connection.description or ())

    def fetch(self, count: int = BATCH_ROWS) -> list[tuple[Any, ...]]:
        """Return the next rows, at most `count`, none at the end; raises QueryError when one cannot be computed."""
        with _explained():
            rows = self._connection.fetchmany(count)
        self._elapsed_s = time.perf_counter() - self._started
        return rows

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that are left; raises QueryError when one cannot be computed."""
        while batch := self.fetch():
            yield from batch

    def scan(self) -> Scan:
        """Return what was read so far: all that the query reads, once every row was fetched."""
        reads = self._connection.cursor().execute(_READS).fetchall()
        return Scan(
            files_read=len({path for path, _, _ in reads}),
            files_total=len(self._lake.files),
            bytes_read=distinct_bytes(reads),
            bytes_total=self._lake.bytes_total,
            elapsed_s=self._elapsed_s,
        )

    def close(self) -> None:
        """Give up the rows that are left, and DuckDB's memory."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# DuckDB logs each read of a file: checked with strace, the log holds every pread64 of a Parquet file and no other.
_READS = "SELECT path, pos, bytes FROM duckdb_logs_parsed('FileSystem') WHERE op = 'READ'"


def run_query(data: Path, plan: Plan, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
    """Run one statement of Athena's dialect over the events below the data directory.

    `parameters` are the values of the `?`, in order, as strings. Raises QueryError when the statement is wrong, does
    more than read, or when a file cannot be read.
    """
    relations = Relations(
        database=plan.table.database,
        table=plan.table.name,
        views=tuple(view.name for view in plan.views),
        partition_keys=tuple(key.name for key in plan.table.partition_keys),
    )
    statement = translate(sql, relations)
    if len(statement.parameter_names) != len(parameters):
        raise QueryError(
            f"The query has {len(statement.parameter_names)} parameters (`?`), and {len(parameters)} values were given."
        )
    lake = find_lake(data, plan)
    connection = duckdb.connect()
    try:
        _open(connection, plan, relations, lake)
        return QueryResult(connection, statement, parameters, lake)
    except BaseException:
        connection.close()
        raise


def find_lake(data: Path, plan: Plan) -> Lake:
    """List the table's Parquet files below the data directory, or where that says that its objects go.

    Raises QueryError when the data directory is not there, StoreError when its objects are in S3.

    Only what lies where the table's location template says is found, and nothing hidden, as in Athena.
    """
    if not data.is_dir():
        raise QueryError(f"There is no data directory {data}; `auditlake up --data {data}` makes it.")
    bucket = bucket_directory(data, plan.bucket.name)
    if not bucket.is_dir() and (others := sorted(path.parent.name for path in bucket.parent.glob("*/.bucket"))):
        raise QueryError(
            f"{data} holds nothing of the plan's bucket {bucket.name}, but of {', '.join(others)}: "
            "give that stack's plan with --plan."
        )
    root = bucket.resolve() / plan.stream.prefix.partition("!{")[0].rpartition("/")[0]
    endings = (".parquet", plan.stream.file_extension or ".parquet")
    found = root.glob("/".join([*(f"{key.name}=*" for key in plan.table.partition_keys), "*"]))
    files = tuple(sorted(p for p in found if p.name.endswith(endings) and not p.name.startswith((".", "_"))))
    return Lake(root, files, sum(path.stat().st_size for path in files))


def distinct_bytes(reads: Sequence[tuple[str, int, int]]) -> int:
    """Count the bytes that reads (file, position, length) cover; a byte that was read twice counts once."""
    total, current, end = 0, None, 0
    for path, position, length in sorted(reads):
        if path != current:
            current, end = path, 0
        total += max(0, position + length - max(position, end))
        end = max(end, position + length)
    return total


# Athena's SQL divides integers as integers. Without external access no other file, no extension and no variable of the
# program can be reached, and no later statement can change that.
_SETTINGS = """
SET TimeZone = 'UTC';
SET integer_division = true;
SET temp_directory = {temporary};
SET allowed_directories = [{root}, {escaped_root}];
SET enable_external_access = false;
CALL enable_logging('FileSystem', level = 'trace');
SET lock_configuration = true;
"""


def _open(connection: duckdb.DuckDBPyConnection, plan: Plan, relations: Relations, lake: Lake) -> None:
    """Make the table and the views, and let DuckDB read nothing but the table's files."""
    table = plan.table
    database = _identifier(table.database)
    connection.execute(
        f"ATTACH ':memory:' AS {CATALOG}; USE {CATALOG}; CREATE SCHEMA {database}; USE {CATALOG}.{database}"
    )
    names = ", ".join(_identifier(column.name) for column in (*table.columns, *table.partition_keys))
    with_path = _identifier(relations.table_with_path)
    connection.execute(f"CREATE VIEW {with_path} AS {table_sql(table, lake)}")
    connection.execute(f"CREATE VIEW {_identifier(table.name)} AS SELECT {names} FROM {with_path}")  # noqa: S608 -- identifiers
    for view in _in_order_of_need(plan.views):
        with _explained(f"The view {view.name} of the plan"):
            connection.execute(f"CREATE VIEW {_identifier(view.name)} AS {translate(view.sql, relations).sql}")
    # Made only when a query outgrows the memory, and removed with the connection.
    temporary = Path(tempfile.gettempdir()) / f"auditlake-{id(connection):x}-{time.time_ns()}"
    # DuckDB checks the glob that stands for a path as if it were a path.
    escaped_root = _string(glob.escape(str(lake.root)))
    connection.execute(
        _SETTINGS.format(temporary=_string(temporary), root=_string(lake.root), escaped_root=escaped_root)
    )


def _in_order_of_need(views: Sequence[View]) -> list[View]:
    """Put each view behind those that it reads: DuckDB makes none before them, where Athena looks only at a query."""
    named = {view.name: view for view in views}
    needs = {view.name: sorted(names_read(view.sql) & named.keys()) for view in views}
    try:
        return [named[name] for name in TopologicalSorter(needs).static_order()]
    except CycleError as error:
        circle = ", ".join(error.args[1])
        raise QueryError(
            f"The views {circle} of the plan read one another in a circle; one of them must not."
        ) from None


def table_sql(table: Table, lake: Lake) -> str:
    """Return the SELECT of the table's rows with `"$path"`, typed by the plan even when there is no file."""
    return _files_sql(table, lake) if lake.files else _no_rows_sql(table)


def _files_sql(table: Table, lake: Lake) -> str:
    """Return the SELECT of the rows of the files.

    The columns are given to DuckDB, so that it opens no file to learn them. The partition keys are taken out of the
    file's name, because DuckDB's hive_partitioning refuses given columns; files are left out by them all the same.
    """
    given = [(_string(column.name), _string(duckdb_type(column.type))) for column in table.columns]
    columns = ", ".join(f"{name}: {{name: {name}, type: {kind}, default_value: NULL}}" for name, kind in given)
    # In `audit_type=login/year=2024/...` below the root.
    below_root = f"substr(filename, {len(str(lake.root)) + 2})"
    keys = "".join(
        f", substr(split_part({below_root}, '/', {position}), {len(key.name) + 2}) AS {_identifier(key.name)}"
        for position, key in enumerate(table.partition_keys, start=1)
    )
    # DuckDB takes each path for a glob.
    files = ", ".join(_string(glob.escape(str(path))) for path in lake.files)
    names = ", ".join(_column_sql(column) for column in table.columns)
    return (
        f"SELECT {names}{keys}, filename AS {_identifier(PATH_COLUMN)} "  # noqa: S608 -- identifiers and strings, quoted
        f"FROM read_parquet([{files}], schema = MAP {{{columns}}})"
    )


def _column_sql(column: Column) -> str:
    """Select a column; a struct in one piece, as Athena reads it.

    DuckDB 2.0.0 reads single fields of a struct, and fails with an internal error on a file that lacks the field.
    """
    name = _identifier(column.name)
    return f"CASE WHEN {name} IS NOT NULL THEN {name} END AS {name}" if column.type.startswith("struct<") else name


def _no_rows_sql(table: Table) -> str:
    typed = [(column.name, duckdb_type(column.type)) for column in (*table.columns, *table.partition_keys)]
    columns = ", ".join(
        f"CAST(NULL AS {kind}) AS {_identifier(name)}" for name, kind in (*typed, (PATH_COLUMN, "TEXT"))
    )
    return f"SELECT {columns} WHERE false"


def duckdb_type(hive_type: str) -> str:
    """Return DuckDB's name of a Hive type: `array<string>` is `TEXT[]`."""
    return exp.DataType.build(hive_type, dialect="hive").sql("duckdb", identify=True)


def _identifier(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql("duckdb")


def _string(text: str | Path) -> str:
    return exp.Literal.string(str(text)).sql("duckdb")


@contextmanager
def _explained(subject: str = "The query") -> Iterator[None]:
    """Turn what DuckDB raises into a QueryError of one sentence."""
    try:
        yield
    except duckdb.Error as error:
        raise QueryError(_error_sentence(subject, error)) from None


def _error_sentence(subject: str, error: duckdb.Error) -> str:
    # The lines after an empty one show the translated SQL, which the user did not write.
    message = " ".join(str(error).split("\n\n", 1)[0].split()).rstrip(".!")
    if "Function with name" in message:
        return f"{subject} uses a function that DuckDB, which runs it on one machine, does not have: {message}."
    return f"{subject} cannot be run by DuckDB: {message}."


_PARAMETERS_LINE = re.compile(r"^-- parameters:(?P<names>.*)$", re.MULTILINE)


def parameter_names(query: SavedQuery) -> tuple[str, ...]:
    """Return the names of a saved query's `?`, in order, from its `-- parameters:` line; a name may come twice."""
    match = _PARAMETERS_LINE.search(query.sql)
    return tuple(name.strip() for name in match["names"].split(",")) if match else ()


def saved_query(plan: Plan, name: str, values: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return a saved query's SQL and the values of its `?` in order.

    Raises QueryError when the plan has no query of that name, a parameter is missing, or one is given that it has not.
    """
    queries = {query.name: query for query in plan.saved_queries}
    if name not in queries:
        raise QueryError(f"There is no saved query {name}; there are: {', '.join(sorted(queries)) or 'none'}.")
    names = parameter_names(queries[name])
    missing = [wanted for wanted in dict.fromkeys(names) if wanted not in values]
    unknown = [given for given in values if given not in names]
    asked = f"its parameters are: {', '.join(dict.fromkeys(names)) or 'none'}."
    if missing:
        raise QueryError(f"The saved query {name} needs the parameter {' and '.join(missing)}; {asked}")
    if unknown:
        raise QueryError(f"The saved query {name} has no parameter {' and '.join(unknown)}; {asked}")
    return queries[name].sql, tuple(values[wanted] for wanted in names)
