"""Record format conversion on the path: records go through the wire, what lies in the bucket is compared."""

import base64
import ctypes
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from auditlake.runtime.plan import Column, OpenX, Plan
from tests.conftest import Running, Up
from tests.wire import Resource, client, s3_of, write_plan

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PLAIN = OpenX()


@dataclass(frozen=True)
class Delivered:
    """What a stream made of its records: rows without their nulls, error objects as they lie in the bucket.

    `put_ms` (epoch ms, UTC) is from when to when the records were put.
    """

    rows: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    put_ms: tuple[int, int]


Deliver = Callable[..., Delivered]


@pytest.fixture(scope="module")
def deliver(up: Up, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deliver]:
    """Put records to a stream of the default plan with another table, and return what is new in the bucket after it."""
    started: dict[tuple[object, ...], Running] = {}
    seen: set[Path] = set()

    def new(running: Running, prefix: str) -> list[Path]:
        found = {path for path in (running.data / plan.bucket.name / prefix).rglob("*") if path.is_file()} - seen
        seen.update(found)
        return sorted(found)

    def run(records: Sequence[bytes], columns: Sequence[Column], options: OpenX = PLAIN) -> Delivered:
        key = (*columns, options)
        if key not in started:
            started[key] = up("--plan", str(wide_plan(tmp_path_factory.mktemp("plan") / "plan.json", columns, options)))
        running = started[key]
        before = int(time.time() * 1000)
        for first in range(0, len(records), 200):
            some = [{"Data": record} for record in records[first : first + 200]]
            answer = client(running).put_record_batch(DeliveryStreamName=plan.stream.name, Records=some)
            assert answer["FailedPutCount"] == 0
        after = int(time.time() * 1000)
        running.flush()
        return Delivered(
            [row for path in new(running, "events") for row in _rows(path)],
            [json.loads(line) for path in new(running, "errors/") for line in _error_lines(running, plan, path)],
            (before, after),
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        yield run


def wide_plan(path: Path, columns: Sequence[Column], options: OpenX) -> Path:
    """Write a plan whose table has these columns, and whose transform returns every record as it came."""

    def change(resource_type: str, values: Resource) -> None:
        if resource_type == "aws_lambda_function" and values["function_name"].endswith("-transform"):
            values.update(handler="functions.identity")
        if resource_type == "aws_glue_catalog_table" and values["partition_keys"]:
            described = [{"name": column.name, "type": column.type} for column in columns]
            values["storage_descriptor"][0]["columns"] = described
        if resource_type == "aws_kinesis_firehose_delivery_stream":
            conversion = s3_of(values)["data_format_conversion_configuration"][0]
            deserializer = conversion["input_format_configuration"][0]["deserializer"][0]
            deserializer["open_x_json_ser_de"] = [
                {**asdict(options), "column_to_json_key_mappings": dict(options.column_to_json_key_mappings)}
            ]

    return write_plan(path, change)


def _rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path, partitioning=None).to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _error_lines(running: Running, plan: Plan, path: Path) -> list[bytes]:
    assert path.relative_to(running.data / plan.bucket.name).parts[:2] == ("errors", "format-conversion-failed")
    return path.read_bytes().splitlines()


COLUMNS = (
    *(Column("s", "string"), Column("n", "int"), Column("d", "double"), Column("m", "decimal(4,2)")),
    *(Column("at", "timestamp"), Column("day", "date"), Column("b", "boolean"), Column("a", "array<string>")),
    *(Column("st", "struct<x:string,y:int>"), Column("mp", "map<string,int>")),
)
MALFORMED = "DataFormatConversion.MalformedData"
MISMATCH = "Data does not match the schema. "


def at(text: str) -> dict[str, Any]:
    """A row with this timestamp, in UTC as Parquet shows it."""
    return {"at": datetime.fromisoformat(text)}


@pytest.mark.parametrize(
    ("record", "row"),
    [
        # D3: timestamps
        ('{"at":"2017-02-07T15:13:01Z"}', at("2017-02-07T15:13:01")),
        ('{"at":"2017-02-07T15:13:01.39256Z"}', at("2017-02-07T15:13:01.392560")),
        ('{"at":"2017-02-07T15:13:01.123456789Z"}', at("2017-02-07T15:13:01.123456")),
        ('{"at":"2026-9-7 1:2:3.5"}', at("2026-09-07T01:02:03.500000")),
        ('{"at":1518033528}', at("2018-02-07T19:58:48")),
        ('{"at":1518033528123}', at("2018-02-07T19:58:48.123000")),
        ('{"at":1518033528.123}', at("2018-02-07T19:58:48.123000")),
        ('{"at":"1518033528"}', at("2018-02-07T19:58:48")),
        ('{"at":999999999999}', at("2092-10-26T00:40:18.684212")),
        # D3: a string in a numeric column
        ('{"n":"123","d":"2.25","m":"1.5"}', {"n": 123, "d": 2.25, "m": Decimal("1.50")}),
        # D3: an object or array in a string column
        ('{"s":{"Outer":{"Inner":[1,2.50]}}}', {"s": '{"outer":{"inner":[1,2.50]}}'}),
        ('{"s":["A",null]}', {"s": '["A",null]'}),
        # D3: no array in an array column
        ('{"a":"solo"}', {"a": ["solo"]}),
        ('{"a":{"K":1}}', {"a": ['{"k":1}']}),
        # D3: an array in a struct column
        ('{"st":["Zoe",9,"extra"]}', {"st": {"x": "Zoe", "y": 9}}),
        # D3: map keys, and the case of columns and members
        ('{"mp":{"MixedKey":1}}', {"mp": [("mixedkey", 1)]}),
        ('{"S":"x","ST":{"X":"v","Y":"1"}}', {"s": "x", "st": {"x": "v", "y": 1}}),
        # D5: unknown, missing, null, empty object
        ('{"s":"x","unknown":{"deep":[1]}}', {"s": "x"}),
        ('{"s":null}', {}),
        ('{"st":{}}', {"st": {"x": None, "y": None}}),
        # D4: the other scalars
        ('{"b":true,"day":"2026-9-7"}', {"b": True, "day": datetime.fromisoformat("2026-09-07").date()}),
    ],
)
def test_a_record_becomes_the_row_that_firehose_would_write(deliver: Deliver, record: str, row: dict[str, Any]) -> None:
    """Each row of D3 to D5 that converts, between two plain records, is read from the bucket; nothing fails."""
    good = b'{"s":"good"}'

    delivered = deliver([good, record.encode(), good], COLUMNS)

    assert delivered.rows == [{"s": "good"}, row, {"s": "good"}]
    assert delivered.errors == []


@pytest.mark.parametrize(
    ("record", "code", "message"),
    [
        # D5: bad values
        (b'{"d":"oops"}', MALFORMED, f'{MISMATCH}For input string: "oops"'),
        (b'{"st":{"y":"oops"}}', MALFORMED, f'{MISMATCH}For input string: "oops"'),
        (b'{"n":2147483648}', MALFORMED, f"{MISMATCH}Column n: 2147483648 is out of range for int."),
        (b'{"m":"123.4"}', MALFORMED, f"{MISMATCH}Column m: 123.4 is out of range for decimal(4,2)."),
        # D3: what the deserializer does not take
        (
            b'{"at":"2026-9-7T12:00:02Z"}',
            MALFORMED,
            f'{MISMATCH}Column at: "2026-9-7T12:00:02Z" cannot be read as timestamp.',
        ),
        (b'{"st":42}', MALFORMED, f"{MISMATCH}Data is not JSONObject  but java.lang.Long with value 42"),
        (b'{"mp":[1]}', MALFORMED, f"{MISMATCH}Column mp: an array cannot be read as map."),
        # D2: the shape of a record
        (b"", MALFORMED, "The record was empty or contained only whitespace."),
        (b" \n", MALFORMED, "The record was empty or contained only whitespace."),
        (
            b"true",
            MALFORMED,
            "The input JSON contained a primitive at the top level. The top level must be an object or array.",
        ),
        (
            b'[{"s":"a"}]',
            MALFORMED,
            "The input JSON contained an array at the top level. A record must hold one or more objects.",
        ),
        (
            b"oops",
            "DataFormatConversion.ParseError",
            "Encountered malformed JSON. Expecting value: line 1 column 1 (char 0)",
        ),
        (
            b'{"s":"\xff"}',
            "DataFormatConversion.ParseError",
            "Encountered malformed JSON. 'utf-8' codec can't decode byte 0xff in position 6: invalid start byte",
        ),
    ],
)
def test_a_record_that_cannot_be_converted_is_the_error_object_of_the_reference(
    deliver: Deliver, plan: Plan, record: bytes, code: str, message: str
) -> None:
    """Code, message, exact bytes, times and table stand in D7's members and order; the neighbours are rows."""
    delivered = deliver([b'{"s":"before"}', record, b'{"s":"after"}'], COLUMNS)

    assert delivered.rows == [{"s": "before"}, {"s": "after"}]
    (error,) = delivered.errors
    arrival_ms, ending_ms = error["arrivalTimestamp"], error["attemptEndingTimestamp"]
    assert delivered.put_ms[0] <= arrival_ms <= delivered.put_ms[1]
    assert arrival_ms <= ending_ms <= time.time() * 1000
    expected = {
        "attemptsMade": 1,
        "arrivalTimestamp": arrival_ms,
        "lastErrorCode": code,
        "lastErrorMessage": message,
        "attemptEndingTimestamp": ending_ms,
        "rawData": base64.b64encode(record).decode(),
        "sequenceNumber": None,
        "subSequenceNumber": None,
    }
    table = error.pop("dataCatalogTable")
    assert list(error.items()) == list(expected.items())
    assert {name: table[name] for name in ("catalogId", "databaseName", "tableName", "region", "versionId")} == {
        "catalogId": plan.account_id,
        "databaseName": "audit",
        "tableName": "events",
        "region": plan.region,
        "versionId": "LATEST",
    }


def test_several_documents_of_a_record_are_rows(deliver: Deliver) -> None:
    """Documents may follow each other with or without a newline (D2)."""
    delivered = deliver([b'{"n":1}{"n":2}', b'{"n":3}\n{"n":4}\n'], COLUMNS)

    assert sorted(row["n"] for row in delivered.rows) == [1, 2, 3, 4]
    assert delivered.errors == []


@pytest.mark.parametrize(
    ("options", "row"),
    [
        (OpenX(), {"a_b": 3, "ts": 4}),
        (OpenX(case_insensitive=False), {"a_b": 3, "ts": 4}),
        (OpenX(convert_dots_in_json_keys_to_underscores=True), {"x_y": 2, "a_b": 3, "ts": 4}),
        (OpenX(column_to_json_key_mappings=(("ts", "TimeStamp"),)), {"a_b": 3, "ts": 1}),
    ],
)
def test_the_plans_options_decide_what_a_key_means(deliver: Deliver, options: OpenX, row: dict[str, int]) -> None:
    """Case, dots and mappings of the plan's OpenX options are honoured by the stream (D3)."""
    columns = (Column("ts", "int"), Column("x_y", "int"), Column("a_b", "int"))
    record = b'{"TimeStamp":1,"x.y":2,"a_b":3,"%s":4}' % (b"TS" if options.case_insensitive else b"ts")

    delivered = deliver([record], columns, options)

    assert delivered.rows == [row]
    assert delivered.errors == []


# The widest table over the real events: a column for every key, of the narrowest type that holds all its values.


@dataclass(frozen=True)
class Kind:
    """A Hive type: a scalar, or `array`, `map` or `struct` of others."""

    name: str
    inner: tuple[tuple[str, "Kind"], ...] = ()

    def hive(self) -> str:
        """Write it as Glue does."""
        match self.name:
            case "struct":
                return f"struct<{','.join(f'{name}:{kind.hive()}' for name, kind in self.inner)}>"
            case "array":
                return f"array<{self.inner[0][1].hive()}>"
            case "map":
                return f"map<string,{self.inner[0][1].hive()}>"
        return self.name


STRING = Kind("string")
NAME = re.compile(r"[^:<>,()\sA-Z]+")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
INTEGER = re.compile(r"-?\d{1,17}")


def kind_of(values: Sequence[Any]) -> Kind:
    """Return the type of a column that holds these values."""
    values = [value for value in values if value is not None]
    if any(isinstance(value, list) for value in values):
        elements = [element for value in values for element in (value if isinstance(value, list) else [value])]
        return Kind("array", (("", kind_of(elements)),))
    if values and all(isinstance(value, dict) for value in values):
        return kind_of_objects(values)
    if values and all(isinstance(value, bool) for value in values):
        return Kind("boolean")
    if values and all(isinstance(value, int) or _matches(INTEGER, value) for value in values):
        return Kind("bigint")
    if values and all(isinstance(value, int | Decimal) for value in values):
        return Kind("decimal(38,6)")
    if values and all(_matches(ISO, value) for value in values):
        return Kind("timestamp")
    return STRING


def kind_of_objects(values: Sequence[Mapping[str, Any]]) -> Kind:
    """Return a struct, or a map of strings where there are more than 15 keys or one that cannot be a member's name."""
    members: dict[str, list[Any]] = {}
    for value in values:
        for key, member in value.items():
            members.setdefault(key.lower(), []).append(member)
    if not 0 < len(members) <= 15 or not all(NAME.fullmatch(key) for key in members):
        return Kind("map", (("", STRING),))
    return Kind("struct", tuple((key, kind_of(member)) for key, member in members.items()))


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def folded(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return JSON with the keys of every object in lower case."""
    if isinstance(value, dict):
        return {key.lower(): folded(member) for key, member in value.items()}
    return [folded(element) for element in value] if isinstance(value, list) else value


def wrapped(text: str) -> datetime:
    """Return a time as an int64 of nanoseconds holds it: Go's zero time, year 1, is in 1754."""
    cut = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    nanoseconds = (cut - EPOCH) // timedelta(microseconds=1) * 1000
    return EPOCH + timedelta(microseconds=ctypes.c_int64(nanoseconds).value // 1000)


def same(kind: Kind, stored: Any, sent: Any) -> bool:  # noqa: ANN401 - any JSON
    """Say whether a stored value is what the SerDe makes of the JSON value sent for a column of that type."""
    if sent is None:
        return stored is None
    match kind.name:
        case "string" if not isinstance(sent, str):
            return bool(json.loads(stored, parse_float=Decimal) == folded(sent))
        case "string" | "boolean":
            return bool(stored == sent)
        case "bigint":
            return bool(stored == int(sent))
        case "timestamp":
            return bool(stored.replace(tzinfo=UTC) == wrapped(sent))
        case "array":
            elements = sent if isinstance(sent, list) else [sent]
            return len(stored) == len(elements) and all(map(same, [kind.inner[0][1]] * len(stored), stored, elements))
        case "map":
            return [key for key, _ in stored] == [key.lower() for key in sent] and all(
                map(same, [STRING] * len(stored), [value for _, value in stored], sent.values())
            )
        case "struct":
            return all(same(member, stored[name], folded(sent).get(name)) for name, member in kind.inner)
    return bool(stored == Decimal(sent).quantize(Decimal("1e-6"), ROUND_HALF_UP))


def test_the_real_events_convert_as_the_serde_would(deliver: Deliver, shared_data: Path) -> None:
    """Every real event, put as a row of the widest table, is found there value by value."""
    lines = [
        line for file in sorted((shared_data / "events").rglob("*.ndjson")) for line in file.read_bytes().splitlines()
    ]
    events = [json.loads(line, parse_float=Decimal) for line in lines]
    values: dict[str, list[Any]] = {}
    for event in events:
        for key, value in event.items():
            values.setdefault(key.lower(), []).append(value)
    kinds = {key: kind_of(found) for key, found in values.items() if NAME.fullmatch(key)}
    used = json.dumps([kind.hive() for kind in kinds.values()])
    assert len(lines) > 2000
    assert len(kinds) > 600
    for name in ("struct<", "map<string", "array<struct", "boolean", "bigint", "decimal(38,6)", "timestamp"):
        assert name in used

    records = [f'{{"line_number":{number},'.encode() + line.lstrip()[1:] for number, line in enumerate(lines)]
    columns = [Column("line_number", "int"), *(Column(key, kind.hive()) for key, kind in kinds.items())]
    delivered = deliver(records, columns)

    assert delivered.errors == []
    rows = {row.pop("line_number"): row for row in delivered.rows}
    assert len(rows) == len(lines)
    for number, event in enumerate(events):
        sent = {key.lower(): value for key, value in event.items()}
        wrong = [key for key, kind in kinds.items() if not same(kind, rows[number].get(key), sent.get(key))]
        assert wrong == [], (number, wrong[0], kinds[wrong[0]].hive(), rows[number].get(wrong[0]), sent.get(wrong[0]))
