"""Record format conversion."""

import io
import json
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlake.runtime.convert import (
    EXACT_ROWS,
    SPAN_BYTES,
    Converted,
    FailedRecord,
    RefusedError,
    conversion_schema,
    convert,
    read_exact,
    read_fast,
)
from auditlake.runtime.plan import Column, Conversion, OpenX

ROOT = Path(__file__).resolve().parent.parent
PLAIN = Conversion()
COLUMNS = (
    Column("s", "string"),
    Column("n", "bigint"),
    Column("d", "double"),
    Column("at", "timestamp"),
    Column("st", "struct<x:string,y:struct<z:int,at:timestamp>>"),
    Column("l", "array<struct<f:string,at:timestamp>>"),
)
GOOD = b'{"s":"good"}'


def event_columns() -> tuple[Column, ...]:
    """Return the columns of the project's own table."""
    table = json.loads((ROOT / "glue" / "events.schema.json").read_text(encoding="utf-8"))
    return tuple(Column(column["name"], column["type"]) for column in table["columns"])


def rows_of(converted: Converted) -> list[dict[str, Any]]:
    """Read the Parquet file back as one dictionary a row, nulls left out."""
    if not converted.parquet:
        return []
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(io.BytesIO(converted.parquet)).to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def converted_alone(record: bytes, columns: tuple[Column, ...] = COLUMNS) -> list[dict[str, Any]] | FailedRecord:
    """Convert a record between two good ones, which must come back whatever it holds; return what became of it."""
    converted = convert([GOOD, record, GOOD], (Column("s", "string"), *columns[1:]), PLAIN)
    rows = rows_of(converted)
    assert rows[0] == rows[-1] == {"s": "good"}
    assert converted.rows == len(rows)
    if converted.failed:
        assert len(rows) == 2
        (failed,) = converted.failed
        assert failed.index == 1
        return failed
    return rows[1:-1]


def test_a_row_of_the_transform_comes_back_whole() -> None:
    """A row with every column of the events table is read back from Parquet as it was sent."""
    row = {
        "event_id": "e\u0000\U0001f600",
        "event_time": "1678-01-01T00:00:00.000001Z",
        "received_at": "2261-12-31T23:59:59.999999Z",
        "late": True,
        "actor": {"role": "admin"},
        "action": {},
        "details": {"changes": [{"field": "a", "old_value": None, "new_value": "1"}, {}]},
        "metadata": '{"source":"web"}',
        "problems": ["context.ipAddress: expected a string, got a number"],
        "raw": '{"id":"e"}\n',
    }

    converted = convert([json.dumps(row).encode() + b"\n"], event_columns(), PLAIN)

    assert converted.failed == ()
    assert rows_of(converted) == [
        {
            **row,
            "event_time": datetime.fromisoformat("1678-01-01T00:00:00.000001"),
            "received_at": datetime.fromisoformat("2261-12-31T23:59:59.999999"),
            "action": {"resource": None},
            "details": {
                "entity_type": None,
                "entity_id": None,
                "change_type": None,
                "changes": [
                    {"field": "a", "old_value": None, "new_value": "1"},
                    {"field": None, "old_value": None, "new_value": None},
                ],
            },
        }
    ]


def test_timestamps_are_plain_utc_in_every_reader(tmp_path: Path) -> None:
    """pyarrow, DuckDB and Polars all open Glue's timestamp as a timestamp without zone that shows UTC."""
    file = tmp_path / "t.parquet"
    file.write_bytes(convert([b'{"at":"2026-11-24T10:00:00.5Z"}'], (Column("at", "timestamp"),), PLAIN).parquet)
    expected = datetime.fromisoformat("2026-11-24T10:00:00.5")

    table = pyarrow.parquet.read_table(file)
    relation = duckdb.connect().read_parquet(str(file))
    frame = polars.read_parquet(file)

    assert (table.schema.field("at").type, table["at"][0].as_py()) == (pa.timestamp("us"), expected)
    assert (str(relation.types[0]), relation.fetchall()) == ("TIMESTAMP", [(expected,)])
    assert (frame.schema["at"], frame["at"][0]) == (polars.Datetime("us", None), expected)


def test_every_type_has_its_parquet_type_in_every_reader(tmp_path: Path) -> None:
    """Scalars of every Glue type keep type and value in pyarrow and DuckDB, without pyarrow's own schema."""
    columns = (
        *(Column("b", "boolean"), Column("i8", "tinyint"), Column("i16", "smallint"), Column("i32", "int")),
        *(Column("i64", "bigint"), Column("f", "float"), Column("d", "double"), Column("m", "decimal(5,2)")),
        *(Column("v", "varchar(3)"), Column("day", "date"), Column("days", "array<date>")),
    )
    record = (
        b'{"b":true,"i8":-128,"i16":32767,"i32":-2147483648,"i64":9223372036854775807,"f":0.5,"d":1e300,'
        b'"m":"123.45","v":"abc","day":"2026-11-24","days":["1999-12-31",null]}'
    )
    file = tmp_path / "t.parquet"
    file.write_bytes(convert([record], columns, PLAIN).parquet)
    day, days = date(2026, 11, 24), [date(1999, 12, 31), None]
    values = (True, -128, 32767, -(2**31), 2**63 - 1, 0.5, 1e300, Decimal("123.45"), "abc", day, days)

    assert pyarrow.parquet.read_metadata(file).metadata is None
    assert pyarrow.parquet.read_table(file).schema.types == [field.type for field in conversion_schema(columns).written]
    assert tuple(pyarrow.parquet.read_table(file).to_pylist()[0].values()) == values
    relation = duckdb.connect().read_parquet(str(file))
    assert relation.fetchall() == [values]
    assert [str(kind) for kind in relation.types] == [
        *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(5,2)"),
        *("VARCHAR", "DATE", "DATE[]"),
    ]


@pytest.mark.parametrize(
    ("record", "rows"),
    [
        (b'{"s":"a"}{"s":"b"}', [{"s": "a"}, {"s": "b"}]),
        (b' {"s":"a"}\r\n\t{"s":"b"} \n', [{"s": "a"}, {"s": "b"}]),
        (b'{\n  "s":\r\n "a"\n}\n{"s":"b"}', [{"s": "a"}, {"s": "b"}]),
        (b"{}", [{}]),
        (b'{"s":null,"n":null}', [{}]),
        (b'{"zz":{"s":1},"s":"a"}', [{"s": "a"}]),
        (b'{"zz":' + b"[" * 200 + b"]" * 200 + b',"s":"a"}', [{"s": "a"}]),
        (b'{"zz":1234567890' + b"0" * 5000 + b',"s":"a"}', [{"s": "a"}]),
        (b'{"st":{"q":1,"x":"v"}}', [{"st": {"x": "v", "y": None}}]),
        (b'{"st":{}}', [{"st": {"x": None, "y": None}}]),
        (b'{"st":{"y":{}}}', [{"st": {"x": None, "y": {"z": None, "at": None}}}]),
        (b'{"st":null}', [{}]),
        (b'{"l":[]}', [{"l": []}]),
        (b'{"l":[null,{}]}', [{"l": [None, {"f": None, "at": None}]}]),
        (
            b'{"l":[{"at":"2026-01-01T00:00:00Z"}]}',
            [{"l": [{"f": None, "at": datetime.fromisoformat("2026-01-01T00:00:00")}]}],
        ),
        (b'{"s":"\\u0000\\ud83d\\ude00\\n"}', [{"s": "\0\U0001f600\n"}]),
        (b'{"\\u0073":"a"}', [{"s": "a"}]),
        (b'{"d":1}', [{"d": 1.0}]),
        (b'{"S":"a"}', [{"s": "a"}]),
        (b'{"s":5,"n":"5","d":"0.5"}', [{"s": "5", "n": 5, "d": 0.5}]),
        (b'{"s":{"A":[1]}}', [{"s": '{"a":[1]}'}]),
        (b'{"l":{"F":"a"}}', [{"l": [{"f": "a", "at": None}]}]),
        (b'{"at":1518033528}', [{"at": datetime.fromisoformat("2018-02-07T19:58:48")}]),
        (b'{"at":"2026-9-7 1:2:3"}', [{"at": datetime.fromisoformat("2026-09-07T01:02:03")}]),
        (b'{"st":["v",[1,null]]}', [{"st": {"x": "v", "y": {"z": 1, "at": None}}}]),
    ],
)
def test_objects_become_rows(record: bytes, rows: list[dict[str, Any]]) -> None:
    """One or more objects a record, with or without newlines, in any layout; unknown fields are dropped (D2, D5)."""
    assert converted_alone(record) == rows


MALFORMED = "DataFormatConversion.MalformedData"
PARSE = "DataFormatConversion.ParseError"


@pytest.mark.parametrize(
    ("record", "code", "message"),
    [
        (b"", MALFORMED, "The record was empty or contained only whitespace."),
        (b" \r\n\t", MALFORMED, "The record was empty or contained only whitespace."),
        (b"null", MALFORMED, "The input JSON contained a primitive at the top level."),
        (b'{"s":"a"}null{"s":"b"}', MALFORMED, "The input JSON contained a primitive at the top level."),
        (b'{"s":"a"} 1', MALFORMED, "The input JSON contained a primitive at the top level."),
        (b'"text"', MALFORMED, "The input JSON contained a primitive at the top level."),
        (b'[{"s":"a"}]', MALFORMED, "The input JSON contained an array at the top level."),
        (b"oops", PARSE, "Encountered malformed JSON. Expecting value"),
        (b'{"s":"a"', PARSE, "Encountered malformed JSON. "),
        (b'{"s":"a"}}', PARSE, "Encountered malformed JSON. "),
        (b'{"s":"a"},{"s":"b"}', PARSE, "Encountered malformed JSON. "),
        (b'{"s":"a"}\x00', PARSE, "Encountered malformed JSON. "),
        (b'{"s":"a\x00b"}', PARSE, "Encountered malformed JSON. "),
        (b'{"s":"a\nb"}', PARSE, "Encountered malformed JSON. "),
        (b'{"s":"\xff"}', PARSE, "Encountered malformed JSON. 'utf-8' codec can't decode byte 0xff in position 6"),
        (b'{"zz":"\xed\xa0\x80"}', PARSE, "Encountered malformed JSON. 'utf-8' codec"),
        (b'{"d":NaN}', PARSE, "Encountered malformed JSON. NaN is not a JSON value"),
        (b'{"zz":-Infinity}', PARSE, "Encountered malformed JSON. -Infinity is not a JSON value"),
        (b'{"d":Inf}', PARSE, "Encountered malformed JSON. "),
        (b'{"zz":' + b"[" * 100_000 + b"]" * 100_000 + b"}", PARSE, "Encountered malformed JSON. "),
        (b'{"s":"\\ud800"}', MALFORMED, "Data does not match the schema. Column s: the text holds half of a surrogate"),
        (b'{"s":"a","s":"b"}', MALFORMED, "Data does not match the schema. An object has two keys that are the same"),
        (b'{"n":"oops"}', MALFORMED, 'Data does not match the schema. For input string: "oops"'),
        (
            b'{"n":9223372036854775808}',
            MALFORMED,
            "Data does not match the schema. Column n: 9223372036854775808 is out",
        ),
        (b'{"n":1.0}', MALFORMED, 'Data does not match the schema. For input string: "1.0"'),
        (b'{"d":1e400}', MALFORMED, "Data does not match the schema. Column d: 1e400 is out of range for double."),
        (
            b'{"st":5}',
            MALFORMED,
            "Data does not match the schema. Data is not JSONObject  but java.lang.Long with value 5",
        ),
        (b'{"s":"a"}{"n":"x"}', MALFORMED, "Data does not match the schema. "),
    ],
)
def test_a_bad_record_fails_alone_and_says_why(record: bytes, code: str, message: str) -> None:
    """What is no JSON object or does not fit the columns fails with AWS's code (D2, D5); its neighbours are rows."""
    outcome = converted_alone(record)

    assert isinstance(outcome, FailedRecord)
    assert outcome.error_code == code
    assert outcome.error_message.startswith(message)
    assert len(outcome.error_message) <= 410


@pytest.mark.parametrize("fraction", ["", ".1", ".12", ".123", ".1234", ".12345", ".123456"])
def test_a_timestamp_has_up_to_six_digits_of_a_second(fraction: str) -> None:
    """Fractions down to the microsecond are kept exactly."""
    expected = datetime.fromisoformat(f"2026-11-24T10:00:00{fraction or '.0'}")

    assert converted_alone(f'{{"at":"2026-11-24T10:00:00{fraction}Z"}}'.encode()) == [{"at": expected}]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2026-11-24T10:00:00",
            "2026-11-24 10:00:00Z",
            "2026-11-24",
            "2026-11-24T10:00Z",
            "2026-11-24T10:00:00+01:00",
        ),
        *("2026-02-30T00:00:00Z", "2026-11-24T24:00:00Z", ""),
    ],
)
@pytest.mark.parametrize("shape", ['{"at":%s}', '{"st":{"y":{"at":%s}}}', '{"l":[{"at":%s}]}'])
def test_a_text_that_is_no_timestamp_is_not_guessed(shape: str, text: str) -> None:
    """Arrow would take dates without time and offsets; here such a record fails, at any depth."""
    outcome = converted_alone((shape % json.dumps(text)).encode())

    assert isinstance(outcome, FailedRecord)
    assert outcome.error_message.startswith("Data does not match the schema. Column ")
    assert "cannot be read as timestamp" in outcome.error_message


@pytest.mark.parametrize(
    "record", [b'{"day":20000}', b'{"day":"24.11.2026"}', b'{"day":"2026-11-24T00:00:00Z"}', b'{"f":1e39}']
)
def test_dates_and_floats_are_not_guessed(record: bytes) -> None:
    """A number is no date, and a float that is too large does not become infinity."""
    outcome = converted_alone(record, (Column("s", "string"), Column("day", "date"), Column("f", "float")))

    assert isinstance(outcome, FailedRecord)


@pytest.mark.parametrize("before", [[], [GOOD], [b"bad", GOOD]])
def test_a_last_record_may_be_spread_over_lines(before: list[bytes]) -> None:
    """Arrow cuts its input at the last newline; an object with newlines at the end of a batch is still one row."""
    converted = convert([*before, b'{\n"s":\r\n"last"\n}\n'], COLUMNS, PLAIN)

    assert rows_of(converted)[-1] == {"s": "last"}


def test_two_broken_records_do_not_make_one_good_row() -> None:
    """Two halves of an object in two records stay two failures, though joined they would be JSON."""
    converted = convert([b'{"s":"a",', b'"n":1}', b'{"st":{"x":"v"}', b"}", GOOD], COLUMNS, PLAIN)

    assert [failed.index for failed in converted.failed] == [0, 1, 2, 3]
    assert rows_of(converted) == [{"s": "good"}]


def test_a_batch_of_nothing_but_null_documents_fails_record_by_record() -> None:
    """Arrow's reader ends the process on such a batch; here each record is refused."""
    converted = convert([b"null"] * 3 + [b'{"s":"a"}' + b"\nnull" * 1_000_000 + b'\n{"s":"b"}'], COLUMNS, PLAIN)

    assert [failed.index for failed in converted.failed] == [0, 1, 2, 3]
    assert converted.parquet == b""


def test_no_record_gives_no_file() -> None:
    """Without a row there is no Parquet file to store."""
    assert convert([], COLUMNS, PLAIN) == Converted(b"", 0, ())


def test_order_is_kept_over_spans_and_failures() -> None:
    """Rows keep the order of their records when the batch is larger than one span and a record fails in each."""
    padding = "x" * 40_000
    records = [json.dumps({"s": padding, "n": number}).encode() for number in range(2 * SPAN_BYTES // 40_000)]
    records[10] = records[-10] = b"bad"

    converted = convert(records, COLUMNS, PLAIN)

    assert [failed.index for failed in converted.failed] == [10, len(records) - 10]
    expected = [number for number in range(len(records)) if number not in (10, len(records) - 10)]
    assert [row["n"] for row in rows_of(converted)] == expected


def test_records_of_very_many_documents_do_not_gather_in_memory() -> None:
    """A record of two bytes a document makes half a million rows: they become a table before the next is read."""
    schema = conversion_schema((Column("s", "string"),))
    record = b"{}" * EXACT_ROWS
    tables = list(read_exact(schema, 0, [record, b"bad", record, GOOD]))

    assert [table.num_rows for table in tables if isinstance(table, pa.Table)] == [EXACT_ROWS, EXACT_ROWS, 1]
    assert [failed.index for failed in tables if isinstance(failed, FailedRecord)] == [1]


def test_a_row_larger_than_a_span_is_converted() -> None:
    """A row is not limited by the size of a span."""
    text = "y" * (SPAN_BYTES + 10)

    assert rows_of(convert([GOOD, json.dumps({"s": text}).encode(), GOOD], COLUMNS, PLAIN))[1] == {"s": text}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
good_rows = st.fixed_dictionaries(
    {"s": texts},
    optional={
        "n": st.integers(-(2**63), 2**63 - 1),
        "d": st.floats(allow_nan=False, allow_infinity=False),
        "st": st.fixed_dictionaries({"x": texts, "y": st.just({"z": 1, "at": None})}),
        "l": st.lists(st.fixed_dictionaries({"f": texts, "at": st.none()}), max_size=3),
    },
)
bad_records = st.one_of(
    st.sampled_from(
        [
            b"",
            b"{",
            b"}",
            b"null",
            b'{"n":"oops"}',
            b'{"st":true}',
            b'"',
            b"[",
            b"]",
            b'{"st":{',
            b'{"s":"a",',
            b"\x00",
            b"\xff",
            b"\xef\xbb\xbf{}",
        ]
    ),
    st.binary(max_size=12).filter(lambda data: b"{" not in data),
)


coerced = st.sampled_from(
    [
        ({"S": 5, "zz": {}}, {"s": "5"}),
        ({"n": "7", "s": {"A": [1]}}, {"s": '{"a":[1]}', "n": 7}),
        ({"l": {"F": True}}, {"l": [{"f": "true", "at": None}]}),
    ]
)
rows_and_results = st.one_of(good_rows.map(lambda row: (row, row)), coerced)
Pairs = list[tuple[dict[str, Any], dict[str, Any]]]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.lists(rows_and_results, min_size=1, max_size=3), bad_records), max_size=12),
    st.sampled_from(["", "\n"]),
)
def test_a_bad_record_never_costs_a_neighbour(batch: list[Pairs | bytes], between: str) -> None:
    """Good records, of one object or several, are all read back and in order; exactly the bad ones fail."""
    records = [
        each
        if isinstance(each, bytes)
        else between.join(json.dumps(sent, ensure_ascii=False) for sent, _ in each).encode()
        for each in batch
    ]

    converted = convert(records, COLUMNS, PLAIN)

    assert rows_of(converted) == [row for each in batch if not isinstance(each, bytes) for _, row in each]
    assert [failed.index for failed in converted.failed] == [
        i for i, each in enumerate(batch) if isinstance(each, bytes)
    ]


anything = st.recursive(
    st.one_of(
        *(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(max_size=8),
        ),
        st.sampled_from(["0", "-0", "1.", ".5", "+1", "1e2", "0x1f", "true", "2026-1-1", "0000-01-01", "\ud800"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "A"]), inner, max_size=3)
    ),
    max_leaves=5,
)
small_decimals = st.decimals(-2000, 2000, places=3).map(float)
moments = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
around_the_edges = st.sampled_from(
    ["1677-01-01T00:00:00Z", "2262-04-12T00:00:00Z", "1970-01-01T00:00:00.1234567Z", "1970-01-01T00:00:60Z"]
)
LIKELY = {
    Column("b", "boolean"): st.booleans(),
    Column("i8", "tinyint"): st.integers(-200, 200),
    Column("i64", "bigint"): st.integers(-(2**63) - 2, 2**63 + 1),
    Column("f", "float"): st.floats(width=32, allow_nan=False, allow_infinity=False),
    Column("d", "double"): st.floats(allow_nan=False, allow_infinity=False),
    Column("m", "decimal(5,2)"): st.one_of(small_decimals, small_decimals.map(str), st.integers(-2000, 2000)),
    Column("m38", "decimal(38,0)"): st.integers(-(10**39), 10**39),
    Column("small", "decimal(38,38)"): st.floats(-2, 2, allow_nan=False),
    Column("wide", "decimal(38,10)"): st.one_of(st.integers(-(10**38), 10**38), small_decimals),
    Column("s", "string"): st.text(),
    Column("day", "date"): st.dates().map(str),
    Column("at", "timestamp"): st.one_of(moments, around_the_edges),
    Column("st", "struct<a:int,b:array<timestamp>,c:decimal(4,1)>"): st.fixed_dictionaries(
        {}, optional={"a": st.integers(), "b": st.lists(st.one_of(moments, st.none())), "c": small_decimals}
    ),
    Column("l", "array<array<double>>"): st.lists(st.one_of(st.none(), st.lists(st.floats(-9, 9)))),
    Column("ls", "array<struct<a:string,b:date>>"): st.lists(
        st.fixed_dictionaries({}, optional={"a": st.text(), "b": st.dates().map(str)})
    ),
}


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(list(LIKELY)).flatmap(
        lambda column: st.tuples(st.just(column), st.one_of(LIKELY[column], LIKELY[column], anything))
    )
)
def test_whatever_arrow_reads_the_serde_reads_the_same(column_and_value: tuple[Column, Any]) -> None:
    """Where the fast path does not refuse a record, the exact path gives the very same row; neither loses one."""
    column, value = column_and_value
    schema = conversion_schema((column, Column("id", "int")))
    record = json.dumps({column.name: value, "id": 1}).encode()
    exact = list(read_exact(schema, 0, [record]))
    assert len(exact) == 1
    try:
        fast = read_fast(schema, [record])
    except RefusedError:
        return

    assert isinstance(exact[0], pa.Table), exact
    assert fast.equals(exact[0])


NUMBERS = (
    *("0", "-0", "-0.0", "1", "-1", "1.0", "1.5", "01", "1.", ".5", "+1", "-", "1e", "0x1f", "1E5", "1e-5", "1e+2"),
    *("127", "128", "-129", "2147483648", "9223372036854775807", "9223372036854775808", "9" * 40, "1" + "0" * 400),
    *("1e400", "-1e400", "1e-400", "0e999999", "1e99999999999", "5e-324", "1.7976931348623159e308", "16777217"),
    *("3.4028235677973366e38", "1.00000005960464477540", "4e-46", "0.005", "0.015", "999.995", "201.30", "56399e14"),
    *("NaN", "Infinity", "-Infinity", "Inf", "true", "false", "null", "True", "undefined"),
)
TEXTS = (
    *('""', '" "', '"a"', '"1"', '" 1"', '"+1"', '"1e2"', '"1_0"', '"NaN"', '"true"', '"\\u0661"', "'a'", '"a', '"\\"'),
    *('"2026-01-01"', '"2026-1-1"', '"2023-02-29"', '"2026-01-01\\n"', '"0001-01-01"', '"10000-01-01"'),
    *('"2026-01-01T00:00:00Z"', '"2026-01-01T00:00:00Z\\n"', '"2026-01-01T24:00:00Z"', '"\\u0032026-01-01T00:00:00Z"'),
    *('"1677-09-21T00:12:43.145224Z"', '"2262-04-11T23:47:16.854776Z"', '"2026-01-01T00:00:00.1234567Z"'),
    *(
        '"\\u0000"',
        '"a\x00"',
        '"\t"',
        '"\x7f"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\ud800\\u0041"',
        '"\\x41"',
    ),
    *('"\ufeff"', '"\uffff"', '"\u2028"', '"\\/"', f'"{"x" * 5000}"'),
)
# Mostly what is right: one odd thing in a batch is what could be read in two ways, many are refused by both.
gaps = st.sampled_from([""] * 40 + [" ", "\n", "\r\n", "\t", "\x0b", "\x00", "\ufeff", "\xa0", ",", "/**/"])
names = st.sampled_from(['"a"', '"b"'] * 20 + ['"A"', '"\\u0061"', '"a\\u0000"', '"a "', '"zz"', '""', "a", '"a.b"'])


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of JSON objects, with odd keys and gaps."""
    members = st.tuples(gaps, names, gaps, values, gaps).map(lambda m: f"{m[0]}{m[1]}{m[2]}:{m[3]}{m[4]}")
    return st.lists(members, max_size=3).map(lambda texts: f"{{{','.join(texts)}}}")


odd_json = st.recursive(
    st.sampled_from(NUMBERS + TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3).map(lambda texts: f"[{','.join(texts)}]"), objects(inner)),
    max_leaves=5,
)


def odd_records(column: Column) -> st.SearchStrategy[list[bytes]]:
    """Records of one or more documents for a table of a column and an id."""
    likely = LIKELY[column].map(lambda value: json.dumps(value, ensure_ascii=False))
    value = st.one_of(likely, likely, odd_json, st.just("null"))
    document = st.one_of(*[value.map(lambda text: f'{{"id":1,"{column.name}":{text}}}')] * 4, objects(odd_json))
    parts = st.lists(st.tuples(gaps, document), min_size=1, max_size=2)
    record = parts.map(lambda texts: "".join(gap + text for gap, text in texts).encode("utf-8", "surrogatepass"))
    return st.lists(record, min_size=1, max_size=3)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(list(LIKELY)).flatmap(lambda column: st.tuples(st.just(column), odd_records(column))))
def test_odd_records_are_read_alike_or_left_to_the_serde(column_and_records: tuple[Column, list[bytes]]) -> None:
    """Odd numbers, texts, keys, gaps and documents: what the fast path takes is what the exact path gives, no less."""
    column, records = column_and_records
    schema = conversion_schema((column, Column("id", "int")))
    try:
        fast = read_fast(schema, records)
    except RefusedError:
        return

    (exact,) = read_exact(schema, 0, records)
    assert isinstance(exact, pa.Table), exact
    assert fast.equals(exact)
    assert repr(fast.to_pylist()) == repr(exact.to_pylist()), "also the sign of zero"


@pytest.mark.parametrize(
    ("hive", "value", "refused"),
    [
        *[("boolean", value, False) for value in ("true", "null")],
        *[("tinyint", value, False) for value in ("-128", "-0")],
        *[("float", value, False) for value in ("1", "0.1", "-3.4e38", "1e-50", "1.00000005960464477540")],
        *[("float", value, True) for value in ("3.4028235677973366e38", "1e39")],
        *[("double", value, False) for value in ("1", "-0", "1e-400", "1.7976931348623157e308")],
        *[("decimal(5,2)", value, False) for value in ("1", '"1.5"', '"+1"', '"1."', '".5"', "1e2", "-999.99")],
        *[("decimal(5,2)", value, True) for value in ("1.555", '" 1"', "1000")],
        *[("decimal(38,38)", value, True) for value in ("201.30", "1", "56399e14")],
        *[("decimal(38,10)", value, True) for value in ("50000000000000000000000000005", "1e37")],
        *[("decimal(38,10)", value, False) for value in ("1.5", "9999999999999999999999999999.0123456789")],
        *[("date", value, False) for value in ('"1000-01-01"', '"9999-12-31"')],
        *[("date", value, True) for value in ('"0999-01-01"', '"2026-1-1"', '"2026-02-30"', "1")],
        *[("timestamp", f'"2026-11-24T10:00:00{rest}"', False) for rest in ("Z", ".5Z", ".123456Z")],
        *[("timestamp", f'"2026-11-24T10:00:00{rest}"', True) for rest in ("", ".1234567Z", "+00:00", "z")],
        *[("timestamp", value, True) for value in ("1", '"2300-01-01T00:00:00Z"', '"2026-11-24T10:00:60Z"')],
        *[("string", value, True) for value in ("1", "true", "{}", "[]", '"\\ud800"')],
        *[("array<int>", value, True) for value in ("1", "{}", '["1"]')],
        *[("struct<a:int>", value, True) for value in ("[1]", '""', '{"A":1}', '{"a":1,"a":1}')],
    ],
)
def test_arrow_is_trusted_only_where_it_reads_as_the_serde_does(hive: str, value: str, refused: bool) -> None:
    """What the two could read differently is refused by the fast path, and the rest is read alike (D3, D5)."""
    schema = conversion_schema((Column("c", hive), Column("id", "int")))
    record = f'{{"c":{value},"id":1}}'.encode()
    try:
        fast = read_fast(schema, [record])
    except RefusedError:
        assert refused
        return

    assert not refused
    assert [fast] == list(read_exact(schema, 0, [record]))


def test_a_table_with_a_map_is_converted_record_by_record() -> None:
    """Arrow's JSON reader has no maps; the SerDe fills one from an object, its keys in lower case (D3)."""
    columns = (Column("m", "map<string,struct<n:int>>"), Column("l", "array<map<string,string>>"))

    converted = convert([b'{"m":{"A":{"n":"1"},"b":null},"l":{"X":{"Y":2}}}', b'{"m":[]}', b'{"m":{}}'], columns, PLAIN)

    assert [failed.index for failed in converted.failed] == [1]
    assert rows_of(converted) == [{"m": [("a", {"n": 1}), ("b", None)], "l": [[("x", '{"y":2}')]]}, {"m": []}]


def test_the_options_of_the_serde_reach_the_records() -> None:
    """Mappings, dots and case of the plan's OpenX options decide what a key means (D3)."""
    columns = (Column("ts", "string"), Column("a_b", "int"))
    record = b'{"Timestamp":"t","A.b":1}'
    mapped = OpenX(column_to_json_key_mappings=(("ts", "timestamp"),), convert_dots_in_json_keys_to_underscores=True)

    assert rows_of(convert([record], columns, PLAIN)) == [{}]
    assert rows_of(convert([record], columns, Conversion(openx=mapped))) == [{"ts": "t", "a_b": 1}]
    assert rows_of(convert([b'{"ts":"unused"}'], columns, Conversion(openx=mapped))) == [{}]
    assert rows_of(convert([record], columns, Conversion(openx=replace(mapped, case_insensitive=False)))) == [{}]


def test_real_events_survive_in_the_raw_column(shared_data: Path) -> None:
    """Every line of the real events, kept as text in `raw`, comes back byte for byte."""
    lines = [
        line for file in sorted((shared_data / "events").glob("*.ndjson")) for line in file.read_bytes().splitlines()
    ]
    assert len(lines) > 500

    converted = convert([json.dumps({"raw": line.decode()}).encode() for line in lines], event_columns(), PLAIN)

    assert converted.failed == ()
    assert [row["raw"].encode() for row in rows_of(converted)] == lines


def test_no_json_conformance_case_costs_a_neighbour(shared_data: Path) -> None:
    """What is no JSON fails; what is JSON becomes a row or fails with a sentence; the rows between all come back."""
    files = sorted((shared_data / "conformance" / "json-parsing").rglob("*.json"))
    assert len(files) > 300
    records = [record for file in files for record in (file.read_bytes(), GOOD)]

    converted = convert(records, COLUMNS, PLAIN)

    failed = {files[failure.index // 2].name for failure in converted.failed}
    assert all(failure.index % 2 == 0 and failure.error_message for failure in converted.failed)
    assert rows_of(converted).count({"s": "good"}) == len(files)
    assert {file.name for file in files if file.name.startswith("n_")} <= failed
