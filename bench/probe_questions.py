"""What bench/probe_aws.py asks of an AWS account: experiments, each with the facts of docs/parity.md that it settles.

An experiment starts something and later reads what came of it. Its answer is evidence as AWS gave it (keys, error
objects, statuses), not a judgement.
"""

import io
import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pyarrow.parquet
from botocore.exceptions import ClientError
from probe_stack import (
    MIB,
    Account,
    lambda_processor,
    make_api,
    make_stream,
    make_table,
    make_workgroup,
    permitted,
)

PARTITIONS = 510
"""Partitions that one experiment opens at once; a stream has 500."""
SCANNED_BYTES = 25_000_000
"""Text for a query to scan; the least limit of a workgroup is 10,000,000."""
CUTOFF_BYTES = 10_000_000
LONGEST_BODY = 4_000
"""Characters of an object that an answer quotes."""
BATCH = 500


@dataclass(frozen=True)
class Shared:
    """What all experiments use."""

    role_arn: str
    function_arn: str
    database: str
    bucket: str
    locked_bucket: str
    compliance_bucket: str | None
    throttle_calls: int


@dataclass(frozen=True)
class Answer:
    """What came back: one line for people, and the evidence, which can be written as JSON."""

    summary: str
    evidence: object
    complete: bool = True


Reader = Callable[[], Answer]
"""Looks at what came of an experiment until now; may be called again and again."""


@dataclass(frozen=True)
class Experiment:
    """A question: `prepare` makes what takes AWS a while, `start` asks and gives what reads the answer."""

    name: str
    facts: tuple[str, ...]
    question: str
    prepare: Callable[[Account, Shared], Any]
    start: Callable[[Account, Shared, Any], Reader]


# --- records through a stream ---------------------------------------------------------------------------------------


def put(account: Account, stream: str, records: Sequence[bytes]) -> None:
    """Put records, in batches, and the refused ones again until all are taken."""
    firehose = account.client("firehose")
    waiting = list(records)
    while waiting:
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        answer = firehose.put_record_batch(DeliveryStreamName=stream, Records=[{"Data": data} for data in batch])
        refused = [data for data, one in zip(batch, answer["RequestResponses"], strict=True) if "ErrorCode" in one]
        if refused:
            time.sleep(1)
        waiting += refused


def asked(case: str, **more: object) -> bytes:
    """Return a record that asks the function to answer in a certain way."""
    return json.dumps({"case": case, **more}).encode()


def objects(account: Account, bucket: str, prefix: str) -> list[dict[str, Any]]:
    """Return every object below a prefix: its key, size, times, lock, and what is in it."""
    s3 = account.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    listed = [one for page in pages for one in page.get("Contents", ())]
    return [_object(s3, bucket, one["Key"], whole=one["Size"] <= MIB) for one in listed]


def _object(s3: Any, bucket: str, key: str, *, whole: bool) -> dict[str, Any]:  # noqa: ANN401  # boto3's client
    got = (s3.get_object if whole else s3.head_object)(Bucket=bucket, Key=key)
    body: bytes = got["Body"].read() if whole else b""
    shown = {name: got[name] for name in ("ContentType", "ContentEncoding", "ETag", "ObjectLockMode") if name in got}
    until = {"RetainUntil": got["ObjectLockRetainUntilDate"].isoformat()} if "ObjectLockRetainUntilDate" in got else {}
    content = _parquet(body) if body[:4] == b"PAR1" else {"text": body.decode("utf-8", "replace")[:LONGEST_BODY]}
    records = content["rows"] if "rows" in content else len(body.splitlines())
    stored = {"key": key, "bytes": got["ContentLength"], "stored": got["LastModified"].isoformat(), "records": records}
    return {**stored, **shown, **until, **content}


def _parquet(body: bytes) -> dict[str, Any]:
    file = pyarrow.parquet.ParquetFile(io.BytesIO(body))
    columns = [file.metadata.row_group(0).column(place) for place in range(file.metadata.num_columns)]
    return {
        "rows": file.metadata.num_rows,
        "created_by": file.metadata.created_by,
        "format_version": file.metadata.format_version,
        "schema": str(file.schema),
        "encodings": {column.path_in_schema: [*column.encodings, column.compression] for column in columns},
        "content": file.read().slice(0, 10).to_pylist().__repr__(),
    }


def stream_reader(account: Account, bucket: str, label: str, records: int) -> Reader:
    """Return a reader of a stream's objects, which is complete once they hold as many lines or rows as were put."""

    def read() -> Answer:
        found = objects(account, bucket, f"{label}/")
        return Answer(_summary(found), found, complete=sum(one["records"] for one in found) >= records)

    return read


def _summary(found: Iterable[Mapping[str, Any]]) -> str:
    """Name the errors in objects, or else how many objects there are."""
    listed = list(found)
    lines = (line for one in listed if "/errors/" in one["key"] for line in one.get("text", "").splitlines())
    codes = {code for line in lines if (code := _error_code(line))}
    return ", ".join([f"{len(listed)} objects", *sorted(codes)])


def _error_code(line: str) -> str | None:
    try:
        failure = json.loads(line)
    except ValueError:
        return None
    code = failure.get("errorCode") or failure.get("lastErrorCode") if isinstance(failure, dict) else None
    return str(code) if code else None


def _nothing(_account: Account, _shared: Shared) -> None:
    return None


# --- the transform's answers -----------------------------------------------------------------------------------------


def function_case(case: str, fact: str, question: str) -> Experiment:
    """Return the experiment that puts one odd record and a good neighbour through a stream of their own."""

    def prepare(account: Account, shared: Shared) -> str:
        processing = lambda_processor(shared.function_arn)
        return make_stream(account, case, shared.role_arn, shared.bucket, ProcessingConfiguration=processing)

    def start(account: Account, shared: Shared, stream: str) -> Reader:
        put(account, stream, [asked(case), asked("good")])
        return stream_reader(account, shared.bucket, case, 2)

    return Experiment(case, (fact,), question, prepare, start)


# --- partition keys --------------------------------------------------------------------------------------------------

ODD_KEYS: Mapping[str, object] = {
    "plain": {"k": "plain"},
    "slash": {"k": "a/b"},
    "equals": {"k": "a=b"},
    "space": {"k": "a b"},
    "dots": {"k": ".."},
    "letter": {"k": "é"},
    "empty": {"k": ""},
    "null": {"k": None},
    "missing": {},
}


def _partitioned(label: str, error_path: str = "") -> Callable[[Account, Shared], str]:
    """Prepare a partitioned stream; `error_path` adds expressions to its error prefix, to see what they become."""

    def prepare(account: Account, shared: Shared) -> str:
        return make_stream(
            account,
            label,
            shared.role_arn,
            shared.bucket,
            Prefix=f"{label}/!{{partitionKeyFromLambda:k}}/",
            ErrorOutputPrefix=f"{label}/errors/!{{firehose:error-output-type}}/{error_path}",
            DynamicPartitioningConfiguration={"Enabled": True},
            ProcessingConfiguration=lambda_processor(shared.function_arn),
        )

    return prepare


def _odd_keys(account: Account, shared: Shared, stream: str) -> Reader:
    put(account, stream, [asked("keys", name=name, keys=keys) for name, keys in ODD_KEYS.items()])
    return stream_reader(account, shared.bucket, "keys", len(ODD_KEYS))


def _number_as_key(account: Account, shared: Shared, stream: str) -> Reader:
    put(account, stream, [asked("keys", keys={"k": 7}), asked("keys", keys={"k": "plain"})])
    return stream_reader(account, shared.bucket, "key-number", 2)


def _many_partitions(account: Account, shared: Shared, stream: str) -> Reader:
    put(account, stream, [asked("keys", keys={"k": f"{number:04}"}) for number in range(PARTITIONS)])
    whole = stream_reader(account, shared.bucket, "many", PARTITIONS)

    def read() -> Answer:
        answer = whole()
        found: Any = answer.evidence
        errors = [one for one in found if "/errors/" in one["key"]]
        evidence = {"partitions": len(found) - len(errors), "errors": errors}
        return Answer(answer.summary, evidence, answer.complete)

    return read


def _default_retry(account: Account, _shared: Shared, _made: object) -> Reader:
    def read() -> Answer:
        described = account.client("firehose").describe_delivery_stream(DeliveryStreamName=account.name("keys"))
        destination = described["DeliveryStreamDescription"]["Destinations"][0]["ExtendedS3DestinationDescription"]
        found = destination.get("DynamicPartitioningConfiguration")
        return Answer(f"DynamicPartitioningConfiguration is {found}", destination)

    return read


def _least_interval(account: Account, shared: Shared, _made: object) -> Reader:
    evidence = {}
    for seconds in (0, 1, 30, 59, 60):
        processing = lambda_processor(shared.function_arn, BufferSizeInMBs="1", BufferIntervalInSeconds=str(seconds))
        label = f"interval-{seconds}"
        try:
            make_stream(account, label, shared.role_arn, shared.bucket, ProcessingConfiguration=processing)
        except ClientError as error:
            evidence[seconds] = str(error)
        else:
            evidence[seconds] = "accepted"
    accepted = [seconds for seconds, said in evidence.items() if said == "accepted"]
    return lambda: Answer(f"accepted: {accepted}", evidence)


# --- conversion ------------------------------------------------------------------------------------------------------

COLUMNS = {
    "id": "string",
    "at": "timestamp",
    "small": "tinyint",
    "whole": "int",
    "exact": "decimal(4,2)",
    "real": "double",
    "yes": "boolean",
    "short": "varchar(3)",
    "text": "string",
    "inner": "struct<a:string>",
    "via": "string",
}
ROWS: Sequence[Mapping[str, object]] = (
    {"id": "good", "at": "2026-01-02T03:04:05.678901Z", "small": 1, "whole": 1, "exact": 1.25, "day": "01"},
    {"id": "good", "at": "2026-01-02T03:04:06Z", "small": 2, "whole": 2, "exact": 2.5, "day": "02"},
    {"id": "tinyint too large", "small": 300},
    {"id": "int too large", "whole": 3_000_000_000},
    {"id": "decimal too large", "exact": 123456.789},
    {"id": "decimal with more digits", "exact": 1.005},
    {"id": "no number", "whole": "oops"},
    {"id": "far future", "at": "2300-01-01T00:00:00Z"},
    {"id": "no such time", "at": "2026-01-02T25:00:00Z"},
    {"id": "epoch with a fraction", "at": 1767323045.6789},
    {"id": "text NaN", "real": "NaN"},
    {"id": "text yes", "yes": "yes"},
    {"id": "varchar too long", "short": "abcdef"},
    {"id": "scalar for a struct", "inner": 1},
)
TEXTS = (
    '{"id":"kept as text","text":{"B":1.0,"a":[1e2,"\\u00e9/"]}}',
    '{"id":"two keys in one","ID":"again"}',
    '{"id":"first of two"}{"id":"second","whole":"oops"}',
    '[{"id":"in an array"}]',
    '"a bare text"',
    "no JSON",
    '{"id":"lone surrogate \\ud800"}',
)
"""Records that only their exact text can say."""


def _converting(account: Account, shared: Shared) -> str:
    make_table(account, shared.database, "converted", COLUMNS, f"s3://{shared.bucket}/convert/", keys=("day",))
    conversion = {
        "Enabled": True,
        "SchemaConfiguration": {
            "RoleARN": shared.role_arn,
            "DatabaseName": shared.database,
            "TableName": "converted",
            "Region": account.region,
        },
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
    }
    return make_stream(
        account,
        "convert",
        shared.role_arn,
        shared.bucket,
        DataFormatConversionConfiguration=conversion,
        ProcessingConfiguration=lambda_processor(shared.function_arn),
    )


def _convert(account: Account, shared: Shared, stream: str) -> Reader:
    put(account, stream, [*(asked("row", row=row) for row in ROWS), *(asked("text", text=text) for text in TEXTS)])
    return stream_reader(account, shared.bucket, "convert", len(ROWS) + len(TEXTS))


# --- throttling and the locked bucket --------------------------------------------------------------------------------


def _locked(label: str, bucket: Callable[[Shared], str | None]) -> Callable[[Account, Shared], str]:
    def prepare(account: Account, shared: Shared) -> str:
        return make_stream(account, label, shared.role_arn, bucket(shared) or shared.locked_bucket)

    return prepare


def _one_record(account: Account, shared: Shared, stream: str) -> Reader:
    put(account, stream, [b'{"id":"kept for one day"}\n'])
    return stream_reader(account, shared.compliance_bucket or shared.locked_bucket, "compliance", 1)


def _throttle(account: Account, shared: Shared, stream: str) -> Reader:
    """Put more than a stream takes into the locked bucket: refusals are one answer, the large object is another."""
    firehose = account.client("firehose", attempts=1)
    record = {"Data": secrets.token_bytes(MIB - 64 * 1024)}

    def call(number: int) -> tuple[str, int]:
        if number % 4:
            return _refusal(lambda: firehose.put_record(DeliveryStreamName=stream, Record=record)), 1
        return _refusal(lambda: firehose.put_record_batch(DeliveryStreamName=stream, Records=[record] * 4)), 4

    with ThreadPoolExecutor(16) as pool:
        answered = list(pool.map(call, range(shared.throttle_calls)))
    refusals = sorted({said for said, _ in answered} - {""})
    taken = sum(records for said, records in answered if not said) * len(record["Data"])

    def read() -> Answer:
        found = [{**one, "text": "random bytes"} for one in objects(account, shared.locked_bucket, "locked/")]
        arrived = sum(one["bytes"] for one in found)
        summary = f"{len(refusals)} kinds of refusal, {len(found)} objects of {arrived} bytes"
        return Answer(summary, {"refusals": refusals, "objects": found}, complete=arrived >= taken)

    return read


def _refusal(call: Callable[[], Mapping[str, Any]]) -> str:
    """Return how a put was refused, nothing when all of it was taken."""
    try:
        answer = call()
    except ClientError as error:
        said = error.response
        return f"HTTP {said['ResponseMetadata']['HTTPStatusCode']} {said['Error']['Code']}: {said['Error']['Message']}"
    entries = [one for one in answer.get("RequestResponses", ()) if "ErrorCode" in one]
    return f"entry {entries[0]['ErrorCode']}: {entries[0]['ErrorMessage']}" if entries else ""


# --- API Gateway -----------------------------------------------------------------------------------------------------

_JSON = "application/json"
TEMPLATES = {
    "/probe": "#set($context.responseOverride.status = 418)\n{}",
    "/twice": "#set($context.responseOverride.status = 200)\n#set($context.responseOverride.status = 200)\n{}",
    "/loop": "[#foreach($place in [1..1001])$place#if($foreach.hasNext),#end#end]",
}
"""Response templates by path: a status that is not declared, one set twice, and a loop of a round too many."""
CALLS: Sequence[tuple[str, str]] = (
    ("/probe", "{}"),
    ("/probe", '{"eventType": 7}'),
    ("/probe", '{"eventType": ""}'),
    ("/probe", "no JSON"),
    ("/probe", '{"eventType": "login"}'),
    ("/twice", '{"eventType": "login"}'),
    ("/loop", '{"eventType": "login"}'),
)


def _method(template: str) -> Mapping[str, object]:
    return {
        "x-amazon-apigateway-request-validator": "body",
        "requestBody": {"content": {_JSON: {"schema": {"$ref": "#/components/schemas/Probe"}}}},
        "responses": {"200": {"description": "declared"}},
        "x-amazon-apigateway-integration": {
            "type": "mock",
            "passthroughBehavior": "never",
            "requestTemplates": {_JSON: '{"statusCode": 200}'},
            "responses": {"default": {"statusCode": "200", "responseTemplates": {_JSON: template}}},
        },
    }


DOCUMENT: Mapping[str, object] = {
    "openapi": "3.0.1",
    "x-amazon-apigateway-request-validators": {
        "body": {"validateRequestBody": True, "validateRequestParameters": False}
    },
    "x-amazon-apigateway-gateway-responses": {
        "BAD_REQUEST_BODY": {
            "statusCode": 400,
            "responseTemplates": {
                _JSON: '{"unquoted": "$context.error.validationErrorString", "message": $context.error.messageString}'
            },
        }
    },
    "paths": {path: {"post": _method(template)} for path, template in TEMPLATES.items()},
    "components": {
        "schemas": {
            "Probe": {
                "type": "object",
                "required": ["eventType"],
                "properties": {"eventType": {"type": "string", "minLength": 1}},
            }
        }
    },
}


def _api(account: Account, _shared: Shared) -> str:
    return make_api(account, DOCUMENT)


def _call_api(account: Account, _shared: Shared, api_id: str) -> Reader:
    host = f"{api_id}.execute-api.{account.region}.amazonaws.com"
    stage = f"{account.endpoint_url or f'https://{host}'}/probe"

    def read() -> Answer:
        evidence = []
        for path, body in CALLS:
            answer = httpx.post(stage + path, content=body, headers={"Content-Type": _JSON, "Host": host}, timeout=30)
            evidence.append({"path": path, "sent": body, "status": answer.status_code, "body": answer.text})
        statuses = [one["status"] for one in evidence]
        # A new deployment answers 403 or 500 for a moment.
        return Answer(f"statuses {statuses}", evidence, complete=statuses[0] == httpx.codes.BAD_REQUEST)

    return read


# --- Athena ----------------------------------------------------------------------------------------------------------


def _athena(account: Account, shared: Shared) -> str:
    s3 = account.client("s3")
    s3.put_object(Bucket=shared.bucket, Key="athena/text/lines", Body=b"0123456789\n" * (SCANNED_BYTES // 11))
    s3.put_object(Bucket=shared.bucket, Key="athena/deep/lines", Body=b"one line\n", StorageClass="DEEP_ARCHIVE")
    for name in ("text", "deep"):
        make_table(account, shared.database, name, {"line": "string"}, f"s3://{shared.bucket}/athena/{name}/")
    return make_workgroup(account, "queries", f"s3://{shared.bucket}/athena/results/", CUTOFF_BYTES)


def _query(table: str) -> Callable[[Account, Shared, str], Reader]:
    def start(account: Account, shared: Shared, _made: object) -> Reader:
        athena = account.client("athena")
        started = permitted(
            lambda: athena.start_query_execution(
                QueryString=f"SELECT count(*) FROM {table} WHERE line LIKE '%x%'",  # noqa: S608  # a name of ours
                QueryExecutionContext={"Database": shared.database},
                WorkGroup=account.name("queries"),
            )
        )

        def read() -> Answer:
            found = athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]
            evidence = {
                "Status": found["Status"],
                "Statistics": found.get("Statistics"),
                "Engine": found.get("EngineVersion"),
            }
            state = found["Status"]["State"]
            reason = found["Status"].get("StateChangeReason", "")
            return Answer(f"{state} {reason}".strip(), evidence, complete=state not in ("QUEUED", "RUNNING"))

        return read

    return start


def _engine(account: Account, _shared: Shared, workgroup: str) -> Reader:
    def read() -> Answer:
        found = account.client("athena").get_work_group(WorkGroup=workgroup)["WorkGroup"]["Configuration"]
        return Answer(str(found.get("EngineVersion")), found)

    return read


# --- the list --------------------------------------------------------------------------------------------------------

EXPERIMENTS = (
    function_case("answer-not-json", "B4.7", "What becomes of a batch whose function answers no JSON?"),
    function_case("unknown-result", "B4.10", "What becomes of a record with an unknown result, and of its neighbour?"),
    function_case("not-base64", "B4.10", "What becomes of a record whose data is no base64, and of its neighbour?"),
    function_case("answer-too-large", "B4.15", "What becomes of a batch whose answer is larger than 6 MB?"),
    Experiment(
        "keys",
        ("C4.2", "C4.3", "C4.6", "C4.9", "C5.1", "B7.7"),
        "How do odd, empty and missing partition keys end, under which key, and is a date appended?",
        _partitioned("keys"),
        _odd_keys,
    ),
    Experiment(
        "key-number",
        ("C4.6", "E1.3"),
        "How does a number as partition key end, and of which characters is a random string?",
        _partitioned("key-number", "!{firehose:random-string}/"),
        _number_as_key,
    ),
    Experiment(
        "many",
        ("B7.8", "C2.2", "C4.4"),
        "What is written above 500 partitions, and in which language are months and days?",
        _partitioned("many", "!{timestamp:MMMM-EEEE}/"),
        _many_partitions,
    ),
    Experiment("default-retry", ("C1.11",), "Which retry duration does a stream get?", _nothing, _default_retry),
    Experiment(
        "convert",
        ("D2.1", "D2.3", "D2.4", "D3.12", "D3.13", "D3.14", "D5.4", "D5.5", "D6.1", "D6.2", "D7.5", "D7.6", "D8.1"),
        "How are types stored, what becomes of values that do not fit, what is rawData, is a partition key a column?",
        _converting,
        _convert,
    ),
    Experiment(
        "locked",
        ("A3.1", "E2.7"),
        "How is a put above the quota refused, and does a large object reach a bucket with default retention?",
        _locked("locked", lambda shared: shared.locked_bucket),
        _throttle,
    ),
    Experiment(
        "api",
        ("F1.7", "F3.4", "F3.5", "F4.3", "F4.7"),
        "What do clients see of a bad body, of an undeclared status, of one set twice, and of too long a loop?",
        _api,
        _call_api,
    ),
    Experiment("engine", ("G.7",), "Which engine does a new workgroup have?", _athena, _engine),
    Experiment("cutoff", ("G.5",), "How many bytes does a stopped query report?", _nothing, _query("text")),
    Experiment("deep-archive", ("E4.5",), "What does Athena say of a Deep Archive object?", _nothing, _query("deep")),
    Experiment("least-interval", ("B3.2",), "Which intervals may a function's buffer have?", _nothing, _least_interval),
)
COMPLIANCE = Experiment(
    "compliance",
    ("E2.7",),
    "Does an object reach a bucket with default retention in COMPLIANCE?",
    _locked("compliance", lambda shared: shared.compliance_bucket),
    _one_record,
)
"""Asked only on demand: nobody can remove its object before its day is over."""
