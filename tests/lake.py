"""A lake for tests: rows partitioned by the transform's own rule and converted as the runtime converts them."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from auditlake.runtime.convert import convert
from auditlake.runtime.plan import (
    Api,
    Bucket,
    Column,
    Conversion,
    DeliveryStream,
    LambdaProcessor,
    Plan,
    SavedQuery,
    Table,
    View,
)
from lambda_src.common.partition import PartitionRule, rule

GLUE = Path(__file__).resolve().parent.parent / "glue"
BUCKET = "auditlake-events-123456789012"
VIEW = "events_deduplicated"
VIEWS = ("conflicting_events", VIEW)
"""In the order of the plan: by name."""
RULE = rule(["login", "document"], days_back=7, days_ahead=1)


def glue_table() -> Table:
    """Return the table of glue/events.schema.json."""
    schema = json.loads((GLUE / "events.schema.json").read_text(encoding="utf-8"))
    columns, keys = (
        tuple(Column(one["name"], one["type"], one["comment"]) for one in schema[part])
        for part in ("columns", "partition_keys")
    )
    return Table(schema["database"], schema["table"], columns, keys)


def glue_queries() -> dict[str, str]:
    """Return the text of every file of glue/queries by its name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((GLUE / "queries").glob("*.sql"))}


def glue_plan() -> Plan:
    """Return a plan with the table, the saved queries and the views of glue/."""
    queries = glue_queries()
    views = tuple(View(name, queries.pop(name)) for name in VIEWS)
    stream = DeliveryStream(
        name="auditlake-events",
        arn="arn:aws:firehose:us-east-1:123456789012:deliverystream/auditlake-events",
        region="us-east-1",
        prefix="events/audit_type=!{partitionKeyFromLambda:audit_type}/year=!{partitionKeyFromLambda:year}/",
        error_output_prefix="errors/!{firehose:error-output-type}/",
        custom_time_zone="UTC",
        file_extension=None,
        buffer_size_bytes=64 * 1024 * 1024,
        buffer_interval_s=60,
        bucket=BUCKET,
        processor=LambdaProcessor("arn:aws:lambda:us-east-1:123456789012:function:auditlake-transform"),
        conversion=Conversion(),
    )
    return Plan(
        api=Api("auditlake", {}, "v1", None),
        stream=stream,
        functions=(),
        table=glue_table(),
        views=views,
        saved_queries=tuple(SavedQuery(name, _question(sql), sql) for name, sql in queries.items()),
        bucket=Bucket(BUCKET, None),
        region="us-east-1",
        account_id="123456789012",
    )


def _question(sql: str) -> str:
    return sql.partition("\n")[0].removeprefix("-- ")


def row(event_id: str, event_time: str | None, received_at: str | None = None, **columns: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Make a row of the table; without a time of receipt it is received when it happens."""
    raw = columns.get("raw", json.dumps({"id": event_id}))
    return {
        "event_id": event_id,
        "event_type": "login",
        "event_time": event_time,
        "received_at": received_at or event_time,
        "actor_user_id": "alice",
        "problems": [],
        "raw": raw,
        "raw_sha256": sha256(raw.encode()).hexdigest(),
        **columns,
    }


def write_rows(
    data: Path, rows: Iterable[dict[str, Any]], partitions: PartitionRule = RULE, name: str = "1"
) -> list[Path]:
    """Write the rows as one Parquet file a partition, `late` set by the rule, and return the files."""
    plan = glue_plan()
    folders: dict[Path, list[dict[str, Any]]] = {}
    for one in rows:
        keys, late = partitions.partition(one["event_type"], _day(one["event_time"]), _milliseconds(one["received_at"]))
        folder = Path(*(f"{key.name}={getattr(keys, key.name)}" for key in plan.table.partition_keys))
        folders.setdefault(folder, []).append({**one, "late": late})
    files = []
    for folder, members in folders.items():
        converted = convert([json.dumps(member).encode() for member in members], plan.table.columns, Conversion())
        assert converted.failed == ()
        file = data / BUCKET / "events" / folder / f"auditlake-events-1-{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as out:  # a second file of one name would replace the first without a word
            out.write(converted.parquet)
        files.append(file)
    return files


def _milliseconds(text: str) -> int:
    return int(_moment(text).timestamp() * 1000)


def _day(text: str | None) -> int | None:
    return None if text is None else (_moment(text) - datetime(1970, 1, 1, tzinfo=UTC)).days


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
