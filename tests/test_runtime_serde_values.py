"""One JSON value as one Glue scalar."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.runtime.columns import arrow_type
from auditlake.runtime.plan import Column
from auditlake.runtime.serde_values import Json, MismatchError, Number, json_text, scalar_reader

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parsed(text: str) -> Json:
    """Parse JSON text as the SerDe does: numbers keep their text."""
    value: Json = json.loads(text, parse_int=Number, parse_float=Number)
    return value


def read(hive: str, text: str) -> object:
    """Read JSON text as a value of a column `c` of a Hive type."""
    return scalar_reader(arrow_type(Column("c", hive)), "c")(parsed(text))


def instant(text: str) -> object:
    """Read JSON text as a timestamp and show it as an instant."""
    microseconds = read("timestamp", text)
    assert isinstance(microseconds, int)
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat().removesuffix("+00:00")


@pytest.mark.parametrize(
    ("hive", "text", "expected"),
    [
        ("int", '"123"', 123),
        ("int", '"-2147483648"', -(2**31)),
        ("int", '"+7"', 7),
        ("int", "-0", 0),
        ("bigint", "9223372036854775807", 2**63 - 1),
        ("bigint", '"0x1F"', 31),
        ("tinyint", "127", 127),
        ("smallint", '"-32768"', -32768),
        ("double", '"2.25"', 2.25),
        ("double", '" 1e3 "', 1000.0),
        ("double", "1", 1.0),
        ("float", '"0.5"', 0.5),
        ("double", "5e-324", 5e-324),
        ("decimal(4,2)", "12.345", Decimal("12.35")),
        ("decimal(4,2)", "-12.345", Decimal("-12.35")),
        ("decimal(4,2)", '"99.994"', Decimal("99.99")),
        ("decimal(22,2)", "12345678901234567890.12", Decimal("12345678901234567890.12")),
        ("decimal(38,18)", "1e-18", Decimal("1E-18")),
        ("decimal(22,2)", '"1e-1000000000"', Decimal("0.00")),
        ("decimal(22,2)", '"0e1000000000"', Decimal("0.00")),
        ("boolean", "true", True),
        ("boolean", '"False"', False),
        ("string", "1.50", "1.50"),
        ("string", "12345678901234567890123", "12345678901234567890123"),
        ("string", "true", "true"),
        ("string", '"  "', "  "),
        ("varchar(3)", '"longer"', "longer"),
        (
            "string",
            '{"a":[1, 2.50, "x\\n\\u00e9", null, false, {}], "b": "\\""}',
            '{"a":[1,2.50,"x\\né",null,false,{}],"b":"\\""}',
        ),
        ("string", "[]", "[]"),
    ],
)
def test_a_value_is_read_as_its_columns_type(hive: str, text: str, expected: object) -> None:
    """Strings become numbers (D3), numbers and nested values become text, a decimal is rounded half up."""
    value = read(hive, text)

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("hive", "text", "message"),
    [
        ("double", '"oops"', 'For input string: "oops"'),
        ("int", '"oops"', 'For input string: "oops"'),
        ("decimal(4,2)", '"oops"', 'For input string: "oops"'),
        ("int", '""', 'For input string: ""'),
        ("int", "1.0", 'For input string: "1.0"'),
        ("int", '" 1"', 'For input string: " 1"'),
        ("int", '"１"', 'For input string: "１"'),
        ("int", '"1_0"', 'For input string: "1_0"'),
        ("double", '"NaN"', 'For input string: "NaN"'),
        ("double", '"Infinity"', 'For input string: "Infinity"'),
        ("int", f'"{"9" * 150}"', f'For input string: "{"9" * 100}..."'),
        ("tinyint", "128", "Column c: 128 is out of range for tinyint."),
        ("smallint", '"-32769"', "Column c: -32769 is out of range for smallint."),
        ("int", "2147483648", "Column c: 2147483648 is out of range for int."),
        ("bigint", "9223372036854775808", "Column c: 9223372036854775808 is out of range for bigint."),
        ("double", "1e400", "Column c: 1e400 is out of range for double."),
        ("float", "1e39", "Column c: 1e39 is out of range for float."),
        ("decimal(4,2)", "100", "Column c: 100 is out of range for decimal(4,2)."),
        ("decimal(4,2)", "99.995", "Column c: 99.995 is out of range for decimal(4,2)."),
        ("decimal(22,2)", '"1e2147483647"', "Column c: 1e2147483647 is out of range for decimal(22,2)."),
        ("boolean", '"maybe"', 'Column c: "maybe" cannot be read as boolean.'),
        ("boolean", "1", "Column c: 1 cannot be read as boolean."),
        ("int", "true", "Column c: true cannot be read as int."),
        ("int", "[1]", "Column c: an array cannot be read as int."),
        ("double", "{}", "Column c: an object cannot be read as double."),
        ("date", '"24.11.2026"', 'Column c: "24.11.2026" cannot be read as date.'),
        ("date", '"2026-02-30"', 'Column c: "2026-02-30" cannot be read as date.'),
        ("date", '"0000-01-01"', 'Column c: "0000-01-01" cannot be read as date.'),
        ("date", "20000", "Column c: 20000 cannot be read as date."),
        ("date", '"2026-11-24T00:00:00Z"', 'Column c: "2026-11-24T00:00:00Z" cannot be read as date.'),
        ("timestamp", "false", "Column c: false cannot be read as timestamp."),
        ("timestamp", "{}", "Column c: an object cannot be read as timestamp."),
        ("timestamp", '"1e1000000000"', "Column c: 1e1000000000 is out of range for timestamp."),
        ("timestamp", "18446744073709551616", "Column c: 18446744073709551616 is out of range for timestamp."),
        ("string", '"\\ud800"', "Column c: the text holds half of a surrogate pair, which is no Unicode."),
        ("string", '{"a":"\\udc00"}', "Column c: the text holds half of a surrogate pair, which is no Unicode."),
    ],
)
def test_a_value_that_does_not_fit_says_so(hive: str, text: str, message: str) -> None:
    """What is no number fails in Java's words as on AWS, anything else in a sentence that names the column (D5)."""
    with pytest.raises(MismatchError) as caught:
        read(hive, text)

    assert str(caught.value) == message


@pytest.mark.parametrize("hive", ["double", "decimal(10,2)", "timestamp", "int", "date"])
@pytest.mark.parametrize("text", [f"{'1' * 1_000_000}x", f".{'1' * 1_000_000}x", f"1e{'1' * 1_000_000}"], ids="abc")
def test_a_long_text_that_is_no_number_is_refused_at_once(hive: str, text: str) -> None:
    """A record of a million digits and a letter must not hold up the stream, as in a square of its length it would."""
    with pytest.raises(MismatchError):
        read(hive, json.dumps(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"2017-02-07T15:13:01Z"', "2017-02-07T15:13:01"),
        ('"2017-02-07T15:13:01.39256Z"', "2017-02-07T15:13:01.392560"),
        ('"2017-02-07T15:13:01.123456789Z"', "2017-02-07T15:13:01.123456"),
        ('"2026-09-07 12:00:02"', "2026-09-07T12:00:02"),
        ('"2026-9-7 1:2:3"', "2026-09-07T01:02:03"),
        ('"2026-9-07 12:00:02.5"', "2026-09-07T12:00:02.500000"),
        ('"2026-09-07 12:00:02.000000001"', "2026-09-07T12:00:02"),
        ("1518033528", "2018-02-07T19:58:48"),
        ("1518033528123", "2018-02-07T19:58:48.123000"),
        ('"1518033528"', "2018-02-07T19:58:48"),
        ('"1518033528123"', "2018-02-07T19:58:48.123000"),
        ("1518033528.123", "2018-02-07T19:58:48.123000"),
        ("1.518033528e9", "2018-02-07T19:58:48"),
        ("1518033528.1239", "2018-02-07T19:58:48.123000"),
        ("1000000000000", "2001-09-09T01:46:40"),
        ("0", "1970-01-01T00:00:00"),
        ('"0e1000000000"', "1970-01-01T00:00:00"),
        ('"1e-1000000000"', "1970-01-01T00:00:00"),
        ("-1000", "1969-12-31T23:43:20"),
        ("-1518033528123", "1921-11-24T04:01:11.877000"),
        ('"1969-12-31T23:59:59.9999999Z"', "1969-12-31T23:59:59.999999"),
    ],
)
def test_a_timestamp_is_read_in_each_accepted_form(text: str, expected: str) -> None:
    """ISO with Z, the form with a space, seconds, milliseconds, floats and numbers in strings (D3)."""
    assert instant(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-9-7T12:00:02Z",
        "2026-09-07T12:00:02",
        "2026-09-07t12:00:02z",
        "2026-09-07T12:00:02+01:00",
        "2026-09-07T12:00:02.1234567890Z",
        "2026-09-07T12:00Z",
        "2026-09-07 12:00:02Z",
        "2026-09-07",
        "2026-02-30T00:00:00Z",
        "2026-09-07T24:00:00Z",
        "2026-09-07T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "２026-09-07T12:00:02Z",
        "",
        "now",
    ],
)
def test_any_other_text_is_no_timestamp(text: str) -> None:
    """The T form is strict; no zone but Z is taken (D3); a time that no calendar has is refused (UNV)."""
    with pytest.raises(MismatchError, match="cannot be read as timestamp"):
        read("timestamp", json.dumps(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("999999999999", "2092-10-26T00:40:18.684212"),
        ('"2300-01-01T00:00:00Z"', "1715-06-13T00:25:26.290448"),
        ('"1600-01-01 00:00:00"', "2184-07-20T23:34:33.709551"),
    ],
)
def test_a_time_beyond_int64_nanoseconds_wraps(text: str, expected: str) -> None:
    """The second 999999999999 arrives as a time of the year 2092, as was probed (D3, D6)."""
    assert instant(text) == expected


@pytest.mark.parametrize("text", ["2026-09-07", "2026-9-7", "2026-9-07"])
def test_a_date_may_have_one_digit_for_month_and_day(text: str) -> None:
    """A date is read as leniently as the form of a timestamp with a space."""
    assert read("date", json.dumps(text)) == (date(2026, 9, 7) - EPOCH.date()).days


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=12,
)


@given(json_values)
def test_json_kept_as_text_is_the_same_json(value: object) -> None:
    """Whatever lands in a string column as JSON text can be parsed again to the same value, compact and in order."""
    text = json_text(parsed(json.dumps(value)))

    assert json.loads(text) == value
    assert text == json.dumps(json.loads(text, parse_float=_Verbatim), separators=(",", ":"), ensure_ascii=False)


class _Verbatim(float):
    """A float that is written as it was read."""

    def __new__(cls, text: str) -> "_Verbatim":
        """Keep the text."""
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        """Write the text."""
        return self.text


scalars = st.sampled_from(
    ["boolean", "tinyint", "bigint", "float", "double", "decimal(5,2)", "decimal(38,0)", "string", "date", "timestamp"]
)


@given(scalars, st.one_of(json_values, st.text(alphabet="0123456789-+.eETZ: x", max_size=24)))
def test_what_is_read_always_fits_the_arrow_type(hive: str, value: Any) -> None:  # noqa: ANN401 - any JSON
    """A value is refused with a sentence, or Arrow takes it: building a column never costs another record."""
    kind = arrow_type(Column("c", hive))
    text = json.dumps(value)
    try:
        found = scalar_reader(kind, "c")(parsed(text)) if value is not None else None
    except MismatchError:
        return

    (again,) = pa.array([found], kind)
    assert again.is_valid == (value is not None)
