"""The OpenX JSON SerDe, a record at a time."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.runtime.columns import arrow_schema
from auditlake.runtime.plan import Column, OpenX
from auditlake.runtime.serde import MALFORMED_DATA, PARSE_ERROR, OpenXSerde, RecordError

COLUMNS = (
    Column("id", "string"),
    Column("tags", "array<string>"),
    Column("person", "struct<name:string,age:int>"),
    Column("items", "array<struct<sku:string,qty:int>>"),
    Column("attrs", "map<string,array<string>>"),
    Column("a_b", "bigint"),
)
EMPTY: dict[str, Any] = {column.name: None for column in COLUMNS}
DOTS = OpenX(convert_dots_in_json_keys_to_underscores=True)
SENSITIVE = OpenX(case_insensitive=False)


def rows(record: str | bytes, options: OpenX = OpenX()) -> list[dict[str, Any]]:  # noqa: B008 - frozen
    """Return the rows of a record as Arrow stores them."""
    schema = arrow_schema(COLUMNS)
    found = OpenXSerde(schema, options).rows(record.encode() if isinstance(record, str) else record)
    columns = [pa.array([row[field.name] for row in found], field.type) for field in schema]
    listed: list[dict[str, Any]] = pa.table(columns, schema=schema).to_pylist()
    return listed


def row(record: str, options: OpenX = OpenX()) -> dict[str, Any]:  # noqa: B008 - frozen
    """Return the one row of a record, nulls left out."""
    (found,) = rows(record, options)
    return {name: value for name, value in found.items() if value is not None}


def error(record: str | bytes, options: OpenX = OpenX()) -> RecordError:  # noqa: B008 - frozen
    """Return why a record cannot be converted."""
    with pytest.raises(RecordError) as caught:
        rows(record, options)
    return caught.value


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('{"ID":"x","Person":{"NAME":"Bob","Age":41}}', {"id": "x", "person": {"name": "Bob", "age": 41}}),
        ('{"items":[{"SKU":"s","Qty":"3"}]}', {"items": [{"sku": "s", "qty": 3}]}),
        ('{"attrs":{"MixedKey":["v"]}}', {"attrs": [("mixedkey", ["v"])]}),
        ('{"id":{"Outer":{"Inner":1}}}', {"id": '{"outer":{"inner":1}}'}),
        ('{"id":[{"MixedKey":1}]}', {"id": '[{"mixedkey":1}]'}),
        ('{"tags":[{"MixedKey":1},["A"]]}', {"tags": ['{"mixedkey":1}', '["A"]']}),
    ],
)
def test_keys_are_folded_to_lower_case(record: str, expected: dict[str, Any]) -> None:
    """Columns, members, map keys and keys of JSON kept as text all lose their case by default (D3)."""
    assert row(record) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('{"ID":"x","id":"y"}', {"id": "y"}),
        ('{"person":{"NAME":"Bob","age":2}}', {"person": {"name": None, "age": 2}}),
        ('{"attrs":{"MixedKey":["v"]}}', {"attrs": [("MixedKey", ["v"])]}),
        ('{"id":{"Outer":1}}', {"id": '{"Outer":1}'}),
    ],
)
def test_without_case_insensitive_keys_are_taken_as_they_are(record: str, expected: dict[str, Any]) -> None:
    """With the option off a key of other case matches nothing, and map keys keep theirs (D3)."""
    assert row(record, SENSITIVE) == expected


@pytest.mark.parametrize(
    ("record", "plain", "converted"),
    [
        ('{"a.b":1}', {}, {"a_b": 1}),
        ('{"A.B":1}', {}, {"a_b": 1}),
        ('{"a.b":1,"a_b":2}', {"a_b": 2}, {"a_b": 2}),
        ('{"attrs":{"x.y":["v"]}}', {"attrs": [("x.y", ["v"])]}, {"attrs": [("x.y", ["v"])]}),
        ('{"a.b":null}', {}, {}),
    ],
)
def test_dots_become_underscores_only_when_asked(record: str, plain: dict[str, Any], converted: dict[str, Any]) -> None:
    """`a.b` is the column a_b with the option, and none without; a plain key goes first, map keys keep dots (D3)."""
    assert row(record) == plain
    assert row(record, DOTS) == converted


def test_a_column_is_read_from_the_key_that_it_is_mapped_to() -> None:
    """`ColumnToJsonKeyMappings` replaces the column's own name; the key is folded like any other (D3)."""
    options = OpenX(column_to_json_key_mappings=(("id", "timeStamp"),))
    strict = OpenX(case_insensitive=False, column_to_json_key_mappings=(("id", "timeStamp"),))

    assert row('{"TIMESTAMP":"t","id":"unused"}', options) == {"id": "t"}
    assert row('{"timeStamp":"t"}', strict) == {"id": "t"}
    assert row('{"timestamp":"t"}', strict) == {}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('{"tags":"solo","items":{"sku":"x","qty":1}}', {"tags": ["solo"], "items": [{"sku": "x", "qty": 1}]}),
        ('{"tags":5}', {"tags": ["5"]}),
        ('{"tags":{"A":1}}', {"tags": ['{"a":1}']}),
        ('{"attrs":{"k":"v"}}', {"attrs": [("k", ["v"])]}),
        ('{"tags":[1,true,null,"c"]}', {"tags": ["1", "true", None, "c"]}),
        ('{"tags":""}', {}),
        ('{"tags":[""]}', {"tags": [""]}),
        ('{"items":[null,[]]}', {"items": [None, {"sku": None, "qty": None}]}),
    ],
)
def test_what_is_no_array_becomes_its_one_element(record: str, expected: dict[str, Any]) -> None:
    """A scalar or object in an array column is wrapped (D3); elements are converted like any value."""
    assert row(record) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('{"person":["Zoe",9,"ignored"]}', {"name": "Zoe", "age": 9}),
        ('{"person":["Zoe"]}', {"name": "Zoe", "age": None}),
        ('{"person":[null,"9"]}', {"name": None, "age": 9}),
        ('{"person":[]}', {"name": None, "age": None}),
        ('{"person":{}}', {"name": None, "age": None}),
        ('{"person":{"name":"C","extra":{"a":1}}}', {"name": "C", "age": None}),
        ('{"person":" "}', {"name": None, "age": None}),
    ],
)
def test_a_struct_is_filled_by_name_or_by_position(record: str, expected: dict[str, Any]) -> None:
    """An array fills a struct in order; a missing member is null, an unknown one dropped, {} all nulls (D3, D5)."""
    assert row(record) == {"person": expected}


@pytest.mark.parametrize("record", ['{"person":null}', '{"zz":1}', "{}", '{"tags":null,"attrs":null,"a_b":null}'])
def test_missing_and_null_are_null(record: str) -> None:
    """A field that is missing, null or in no column leaves its columns null (D5)."""
    assert rows(record) == [EMPTY]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ('{"person":42}', "Data is not JSONObject  but java.lang.Long with value 42"),
        ('{"person":-4.5}', "Data is not JSONObject  but java.lang.Double with value -4.5"),
        ('{"person":true}', "Data is not JSONObject  but java.lang.Boolean with value true"),
        ('{"person":"Bob"}', "Data is not JSONObject  but java.lang.String with value Bob"),
        ('{"items":[{"qty":"oops"}]}', 'For input string: "oops"'),
        ('{"items":{"qty":[1]}}', "Column items[].qty: an array cannot be read as int."),
        ('{"attrs":[["k",["v"]]]}', "Column attrs: an array cannot be read as map."),
        ('{"attrs":5}', "Column attrs: 5 cannot be read as map."),
        ('{"attrs":{"\\ud800":[]}}', "Column attrs: the text holds half of a surrogate pair, which is no Unicode."),
        ('{"zz":{"a":1,"a":2}}', "An object has two keys that are the same, or the same but for their case: a, a."),
        ('{"Tag":1,"tag":2}', "An object has two keys that are the same, or the same but for their case: Tag, tag."),
    ],
)
def test_a_value_of_the_wrong_shape_fails_the_record(record: str, message: str) -> None:
    """A mismatch at any depth fails the record with MalformedData and the reason (D3, D5)."""
    failed = error(record)

    assert (failed.code, failed.message) == (MALFORMED_DATA, f"Data does not match the schema. {message}")


def test_keys_that_differ_in_case_are_two_keys_when_case_counts() -> None:
    """Only a key that hides another is refused."""
    assert row('{"Tag":1,"tag":2,"id":"x"}', SENSITIVE) == {"id": "x"}


@pytest.mark.parametrize(
    ("record", "code", "message"),
    [
        (b"", MALFORMED_DATA, "The record was empty or contained only whitespace."),
        (b" \r\n\t", MALFORMED_DATA, "The record was empty or contained only whitespace."),
        (b"5", MALFORMED_DATA, "The input JSON contained a primitive at the top level. The top level must be an "),
        (b'{"id":"a"} null', MALFORMED_DATA, "The input JSON contained a primitive at the top level."),
        (b'[{"id":"a"}]', MALFORMED_DATA, "The input JSON contained an array at the top level."),
        (b"this is not json", PARSE_ERROR, "Encountered malformed JSON. "),
        (b'{"id":"a"} and more', PARSE_ERROR, "Encountered malformed JSON. "),
        (b'{"id":NaN}', PARSE_ERROR, "Encountered malformed JSON. NaN is not a JSON value"),
        (b'{"id":"\xff"}', PARSE_ERROR, "Encountered malformed JSON. 'utf-8' codec can't decode byte 0xff"),
        (
            b'{"zz":' + b"[" * 9000 + b"]" * 9000 + b"}",
            PARSE_ERROR,
            "Encountered malformed JSON. The document is nested ",
        ),
    ],
)
def test_what_is_no_object_fails_with_its_code(record: bytes, code: str, message: str) -> None:
    """Empty, primitive and array are MalformedData, broken JSON is ParseError (D2, D5)."""
    failed = error(record)

    assert failed.code == code
    assert failed.message.startswith(message)


def test_a_record_may_hold_several_documents() -> None:
    """Each document is a row, with or without whitespace between; one bad document fails them all (D2)."""
    assert [found["id"] for found in rows('{"id":"a"}{"id":"b"}\n\n {"id":"c"}')] == ["a", "b", "c"]
    assert error('{"id":"a"}{"a_b":"x"}').message == 'Data does not match the schema. For input string: "x"'


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), names),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["id", "Name", "age", "sku", "QTY", "x.y"]), inner, max_size=3),
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(["id", "Tags", "person", "ITEMS", "attrs", "a.b", "zz"]), documents), st.booleans()
)
def test_any_json_object_becomes_a_row_or_a_sentence(document: dict[str, Any], fold: bool) -> None:
    """Nothing but a row that Arrow takes or a RecordError comes out, whatever stands in the document."""
    options = OpenX(case_insensitive=fold, convert_dots_in_json_keys_to_underscores=True)
    try:
        (found,) = rows(json.dumps(document), options)
    except RecordError:
        return

    assert list(found) == [column.name for column in COLUMNS]
