"""Athena's SQL, translated for DuckDB.

sqlglot does the translation. What it does not do is done here: every `?` keeps its place, UNNEST of an array of rows
gives a column for each field, `date_diff` counts whole units, and `"$path"` is a hidden column. Whatever does more
than read is refused, and so is every source that is no relation of the database.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import sqlglot
from sqlglot import Token, TokenType, exp
from sqlglot.errors import ErrorLevel, ParseError, TokenError, UnsupportedError

from auditlake.errors import QueryError

# Athena's name for the Glue catalog; its console writes it into the queries it generates.
CATALOG = "AwsDataCatalog"
PATH_COLUMN = "$path"

# Athena's SELECT is Trino's; sqlglot's athena dialect only adds Hive's statements, which are refused here anyway.
_DIALECT = "trino"
_READING = ("SELECT", "WITH", "VALUES", "TABLE", "(")
_SHOWING = ("SHOW", "DESCRIBE", "DESC")
_WRITING = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Command, exp.Into)
_NOT_IN_DUCKDB: Mapping[type[exp.Expr], str] = {
    exp.MatchRecognize: "MATCH_RECOGNIZE",
    exp.Version: "FOR TIMESTAMP AS OF",
}


@dataclass(frozen=True)
class Relations:
    """What a statement may read: the database, its table, its views, and the table's partition keys."""

    database: str
    table: str
    views: tuple[str, ...]
    partition_keys: tuple[str, ...]

    @property
    def table_with_path(self) -> str:
        """The name of the table's variant with the column `"$path"`, which Athena hides from `SELECT *`."""
        return self.table + PATH_COLUMN


@dataclass(frozen=True)
class Statement:
    """A statement for DuckDB, and the names by which it knows the statement's `?`, in their order."""

    sql: str
    parameter_names: tuple[str, ...]


def translate(sql: str, relations: Relations) -> Statement:
    """Translate a statement of Athena's dialect for DuckDB; raises QueryError if it is wrong or does more than read."""
    try:
        sql.encode()  # DuckDB would end with an error of its own that says nothing
        return _translate(sql, relations)
    except UnicodeEncodeError:
        raise QueryError("The query holds a byte that is no UTF-8, or half of a surrogate pair.") from None
    except ParseError as error:
        raise QueryError(_parse_sentence(error)) from None
    except TokenError:
        raise QueryError("The query is not SQL: a quote, a bracket or a comment is not closed.") from None
    except UnsupportedError as error:
        raise QueryError(
            f"The query uses what DuckDB, which runs queries on one machine, does not have: {error}"
        ) from None
    except RecursionError:
        raise QueryError("The query is nested too deeply to be read; write it with fewer brackets.") from None


def _translate(sql: str, relations: Relations) -> Statement:
    tokens = sqlglot.tokenize(sql, read=_DIALECT)
    if not tokens:
        raise QueryError("The query is empty; start it with SELECT, WITH, SHOW or DESCRIBE.")
    word = tokens[0].text.upper()
    if word in _SHOWING:
        return Statement(_show(" ".join(token.text for token in tokens), relations), ())
    if word not in _READING:
        _refuse(word)
    separators = [position for position, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON]
    if separators and separators[0] != len(tokens) - 1:
        raise QueryError("The text holds more than one statement; run one at a time.")
    marks = [token for token in tokens if token.token_type == TokenType.PLACEHOLDER]
    names = tuple(f"parameter_{position}" for position in range(1, len(marks) + 1))
    tree = sqlglot.parse_one(_name_parameters(sql, marks, names), read=_DIALECT)
    _check(tree, names, relations)
    if any(column.name.lower() == PATH_COLUMN for column in tree.find_all(exp.Column)):
        _read_path(tree, relations)
    translated = tree.transform(_count_whole_units).transform(_unnest_rows)
    return Statement(translated.sql("duckdb", unsupported_level=ErrorLevel.RAISE), names)


def names_read(sql: str) -> set[str]:
    """Return the names of all that a statement reads, in lower case; none for one that `translate` would refuse."""
    try:
        tree = sqlglot.parse_one(sql, read=_DIALECT)
    except (ParseError, TokenError, RecursionError):
        return set()
    return {table.name.lower() for table in tree.find_all(exp.Table)}


def _refuse(word: str) -> NoReturn:
    raise QueryError(
        f"{word} is not allowed: a query only reads the audit log; start it with SELECT, WITH, SHOW or DESCRIBE."
    )


def _name_parameters(sql: str, marks: list[Token], names: tuple[str, ...]) -> str:
    """Give each `?` a name, because a translation may move or repeat it."""
    for mark, name in zip(reversed(marks), reversed(names), strict=True):
        sql = f"{sql[: mark.start]}:{name}{sql[mark.end + 1 :]}"
    return sql


def _parse_sentence(error: ParseError) -> str:
    found = error.errors[0]
    where = f"at line {found['line']}, column {found['col']}, near `{found['highlight']}`"
    description = str(found["description"]).rstrip(".")
    # Some of sqlglot's descriptions show its own objects, which help nobody.
    what = "" if "<" in description else f": {description}"
    return f"The query is not Athena SQL {where}{what}."


def _check(tree: exp.Expr, names: tuple[str, ...], relations: Relations) -> None:
    for writing in tree.find_all(*_WRITING):
        _refuse(writing.key.upper())
    if tree.find(exp.AtTimeZone):
        raise QueryError(
            "AT TIME ZONE is not supported on one machine: of a timestamp without a zone DuckDB means the reverse of "
            "what Athena means. All times are UTC; add the hours with date_add, e.g. date_add('hour', 1, event_time)."
        )
    for construct, name in _NOT_IN_DUCKDB.items():
        if tree.find(construct):
            raise QueryError(
                f"{name} is not supported on one machine: DuckDB, which runs queries there, does not have it."
            )
    for placeholder in tree.find_all(exp.Placeholder):
        if placeholder.name not in names:
            raise QueryError(
                f"`:{placeholder.name}` is not a parameter in Athena; write `?` and give the values in order."
            )
    ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        _check_source(table, ctes, relations)


def _check_source(table: exp.Table, ctes: set[str], relations: Relations) -> None:
    """Refuse a source that is no relation of the database: a function could read any file."""
    if not isinstance(table.this, exp.Identifier):
        source = table.this.sql(_DIALECT)
        raise QueryError(f"{source} cannot be read on one machine; {_tables_sentence(relations)}")
    name, database, catalog = table.name.lower(), table.db.lower(), table.catalog.lower()
    if not database and name in ctes:
        return
    if catalog not in ("", CATALOG.lower()):
        raise QueryError(f"There is no catalog {table.catalog} on one machine; the only one is {CATALOG}.")
    if database == "information_schema":
        return
    if database not in ("", relations.database.lower()):
        raise QueryError(f"There is no database {table.db} in the plan; its database is {relations.database}.")
    if name not in (relations.table, *relations.views):
        raise QueryError(f"There is no table {table.name}; {_tables_sentence(relations)}")


def _tables_sentence(relations: Relations) -> str:
    views = f", and the view {', '.join(relations.views)}" if relations.views else ""
    return f"the database {relations.database} has the table {relations.table}{views}."


def _read_path(tree: exp.Expr, relations: Relations) -> None:
    """Read the variant of the table that has `"$path"`, and keep the column out of each `*`, as Athena does."""
    if any(cte.alias.lower() == relations.table for cte in tree.find_all(exp.CTE)):
        raise QueryError(
            f'A query with "{PATH_COLUMN}" cannot name a WITH query {relations.table}; give it another name.'
        )
    for table in list(tree.find_all(exp.Table)):
        if table.name.lower() == relations.table:
            table.set("alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(relations.table)))
            table.set("this", exp.to_identifier(relations.table_with_path, quoted=True))
    for select in tree.find_all(exp.Select):
        joins = [join.this for join in select.args.get("joins") or []]
        sources = [select.args["from_"].this, *joins] if select.args.get("from_") else joins
        aliases = {source.alias_or_name.lower() for source in sources if source.name == relations.table_with_path}
        for projection in select.expressions:
            _hide_path(projection, aliases)


def _hide_path(projection: exp.Expr, aliases: set[str]) -> None:
    star = projection.this if isinstance(projection, exp.Column) else projection
    of_table = not isinstance(projection, exp.Column) or projection.table.lower() in aliases
    if isinstance(star, exp.Star) and aliases and of_table:
        star.set("except_", [exp.to_identifier(PATH_COLUMN, quoted=True)])


def _count_whole_units(node: exp.Expr) -> exp.Expr:
    """Trino's date_diff counts whole units, DuckDB's the boundaries crossed; DuckDB's date_sub is Trino's date_diff."""
    if not isinstance(node, exp.DateDiff):
        return node
    unit = exp.Literal.string(node.args["unit"].name.lower())
    return exp.Anonymous(this="DATE_SUB", expressions=[unit, node.expression, node.this])


def _unnest_rows(node: exp.Expr) -> exp.Expr:
    """Give UNNEST what Trino's has and DuckDB's lacks: a column for each field of an array of rows, several arrays."""
    if not isinstance(node, exp.Unnest) or not isinstance(node.args.get("alias"), exp.TableAlias):
        return node
    arrays, alias = node.expressions, node.args["alias"]
    if len(alias.columns) <= 1 and len(arrays) == 1:
        return node
    if len(arrays) not in (1, len(alias.columns)):
        raise QueryError(
            f"UNNEST of {len(arrays)} arrays into {len(alias.columns)} columns is not supported on one machine; "
            "unnest an array of rows in an UNNEST of its own."
        )
    # DuckDB's `UNNEST(array, max_depth := 2)` takes the rows apart too.
    depth = exp.PropertyEQ(this=exp.to_identifier("max_depth"), expression=exp.Literal.number(2))
    options = [depth] if len(arrays) == 1 else []
    columns: list[exp.Expr] = [exp.Explode(this=array, expressions=options) for array in arrays]
    names = list(alias.columns)
    if ordinality := node.args.get("offset"):
        columns.append(exp.Anonymous(this="GENERATE_SUBSCRIPTS", expressions=[arrays[0].copy(), exp.Literal.number(1)]))
        names.append(ordinality)
    return exp.Lateral(
        this=exp.Subquery(this=exp.Select(expressions=columns)),
        alias=exp.TableAlias(this=alias.this, columns=names),
    )


_SHOW_TABLES = re.compile(r"SHOW (TABLES|VIEWS)( (IN|FROM) (?P<database>\w+))? ?;?", re.IGNORECASE)
_SHOW_COLUMNS = re.compile(
    r"(SHOW COLUMNS (IN|FROM)|DESCRIBE|DESC) ((?P<database>\w+) ?\. ?)?(?P<table>\w+) ?;?", re.IGNORECASE
)
_SHOW_PARTITIONS = re.compile(r"SHOW PARTITIONS ((?P<database>\w+) ?\. ?)?(?P<table>\w+) ?;?", re.IGNORECASE)


def _show(text: str, relations: Relations) -> str:
    """Translate one of Athena's statements that show the catalog."""
    text = " ".join(text.split())
    for pattern in (_SHOW_TABLES, _SHOW_COLUMNS, _SHOW_PARTITIONS):
        match = pattern.fullmatch(text)
        if match:
            break
    else:
        table = relations.table
        raise QueryError(
            f"`{text}` is not supported on one machine; there are SHOW TABLES, SHOW VIEWS, SHOW COLUMNS IN {table}, "
            f"SHOW PARTITIONS {table} and DESCRIBE {table}."
        )
    named = match.groupdict()
    source = exp.table_(named.get("table") or relations.table, db=named["database"])
    _check_source(source, set(), relations)
    if pattern is _SHOW_TABLES:
        shown = relations.views if match[1].upper() == "VIEWS" else (relations.table, *relations.views)
        rows = ", ".join(f"({exp.Literal.string(name).sql()})" for name in shown) or "(NULL)"
        return f"SELECT name FROM (VALUES {rows}) AS shown (name) WHERE name IS NOT NULL"  # noqa: S608 -- names of the plan, quoted
    if pattern is _SHOW_COLUMNS:
        return f"SELECT column_name, column_type FROM (DESCRIBE {source.sql('duckdb', identify=True)})"  # noqa: S608 -- checked above
    if source.name.lower() != relations.table:
        raise QueryError(f"{source.name} is a view and has no partitions; try SHOW PARTITIONS {relations.table}.")
    keys = ", '/', ".join(f"'{key}=', {key}" for key in relations.partition_keys)
    return f"SELECT DISTINCT concat({keys}) AS partition FROM {source.sql('duckdb', identify=True)} ORDER BY 1"  # noqa: S608 -- names of the plan
