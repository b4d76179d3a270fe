"""The transform as one would write it with the standard library alone: what the benchmarks compare with.

It does the same work: the same checks, problems, partition, rows, bounded answer and metrics. `bench/transform.py`
holds its rows against the transform's before it measures.
"""

import base64
import hashlib
import json
import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

AUDIT_TYPES = frozenset(os.environ.get("AUDIT_TYPES", "").split(","))
DAYS_BACK = int(os.environ.get("EVENT_DAYS_BACK", "7"))
DAYS_AHEAD = int(os.environ.get("EVENT_DAYS_AHEAD", "1"))
NAMESPACE = uuid.UUID("3f0b7a52-9f0e-5c34-8d6e-6f3d1d7f2a10")
MAX_BYTES = 5_500_000


class RefusedError(ValueError):
    """The record cannot become rows."""


def handle(event: Json, _context: object) -> Json:
    """Answer one invocation by Firehose."""
    counts = {"Events": 0, "EventsWithProblems": 0, "LateEvents": 0, "OtherTypeEvents": 0, "FailedRecords": 0}
    records = event["records"]
    size = sum(len(record["recordId"]) + 45 for record in records)
    answers = []
    for record in records:
        try:
            answer, seen = transform(record)
            grown = len(answer["data"]) + 100
            if size + grown > MAX_BYTES:
                raise RefusedError("The rows do not fit into the answer.")
            size += grown
            for name, value in seen.items():
                counts[name] += value
        except RefusedError as error:
            counts["FailedRecords"] += 1
            print(json.dumps({"level": "ERROR", "message": str(error), "record_id": record["recordId"]}))
            answer = {"recordId": record["recordId"], "result": "ProcessingFailed"}
        answers.append(answer)
    emit(counts)
    return {"records": answers}


def emit(counts: dict[str, int]) -> None:
    """Print the metrics in CloudWatch's embedded metric format."""
    metrics = [{"Name": name, "Unit": "Count"} for name in counts]
    stamp = int(datetime.now(UTC).timestamp() * 1000)
    directive = {"Namespace": "auditlake", "Dimensions": [["service"]], "Metrics": metrics}
    print(
        json.dumps({"_aws": {"Timestamp": stamp, "CloudWatchMetrics": [directive]}, "service": "transform", **counts})
    )


def transform(record: Json) -> tuple[Json, dict[str, int]]:
    """Make the rows of one record."""
    try:
        data = base64.b64decode(record["data"])
    except ValueError:
        raise RefusedError("The data is not base64.") from None
    rows, first = [], None
    seen = {"Events": 0, "EventsWithProblems": 0, "LateEvents": 0, "OtherTypeEvents": 0}
    for index, document in enumerate(documents(data)):
        receipt, body = unwrap(document, record, index)
        row, partition = make_row(body, receipt)
        if first is not None and partition != first:
            raise RefusedError("The events belong to several partitions.")
        first = partition
        rows.append(json.dumps(row, separators=(",", ":"), ensure_ascii=False))
        seen["Events"] += 1
        seen["EventsWithProblems"] += bool(row["problems"])
        seen["LateEvents"] += row["late"]
        seen["OtherTypeEvents"] += partition["audit_type"] == "other"
    if first is None:
        raise RefusedError("The record is empty.")
    text = base64.b64encode("\n".join(rows).encode()).decode()
    return {"recordId": record["recordId"], "result": "Ok", "data": text, "metadata": {"partitionKeys": first}}, seen


def documents(data: bytes) -> list[bytes]:
    """Split a record into its events: one a line, or one over several lines."""
    if b"\n" not in data:
        return [data]
    try:
        json.loads(data)
    except ValueError:
        return [line for line in data.split(b"\n") if line.strip()]
    return [data]


def unwrap(document: bytes, record: Json, index: int) -> tuple[Json, bytes]:
    """Take an event out of its envelope."""
    event_id = str(uuid.uuid5(NAMESPACE, f"{record['recordId']}:{index}")) if not document.startswith(b'{"au') else ""
    if event_id:
        return {"eventId": event_id, "receivedAt": record["approximateArrivalTimestamp"]}, document
    try:
        envelope = json.loads(document)
        body = base64.b64decode(envelope["body"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RefusedError("The envelope is broken.") from None
    if envelope.get("auditlake") != 1 or not isinstance(envelope.get("receivedAt"), int):
        raise RefusedError("The envelope is not of version 1.")
    return envelope, body


def text(fields: Json, name: str, path: str, problems: list[str]) -> str | None:
    """Read an optional string."""
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    problems.append(f"{path}{name}: expected a string, got {type(value).__name__}")
    return None if isinstance(value, dict | list) else json.dumps(value)


def section(fields: Json, name: str, path: str, problems: list[str]) -> Json:
    """Read an optional object."""
    value = fields.get(name)
    if value is None or isinstance(value, dict):
        return value or {}
    problems.append(f"{path}{name}: expected an object, got {type(value).__name__}")
    return {}


def value_text(value: object) -> str | None:
    """Read any JSON as text."""
    return value if value is None or isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def read_changes(details: Json, problems: list[str]) -> list[Json] | None:
    """Read the changed fields."""
    changes = details.get("changes")
    if changes is None:
        return None
    if not isinstance(changes, list):
        problems.append("details.changes: expected an array")
        return None
    read = []
    for index, change in enumerate(changes):
        if not isinstance(change, dict):
            problems.append(f"details.changes[{index}]: expected an object")
            continue
        values = {
            "field": text(change, "field", f"details.changes[{index}].", problems),
            "old_value": value_text(change.get("oldValue")),
            "new_value": value_text(change.get("newValue")),
        }
        read.append({name: value for name, value in values.items() if value is not None})
    return read


def read_details(details: Json, problems: list[str]) -> Json | None:
    """Read what changed."""
    return compact(
        {
            "entity_type": text(details, "entityType", "details.", problems),
            "entity_id": text(details, "entityId", "details.", problems),
            "change_type": text(details, "changeType", "details.", problems),
            "changes": read_changes(details, problems),
        }
    )


def required(fields: Json, name: str) -> str:
    """Read a required string."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise RefusedError(f"{name}: expected a string that is not empty.")
    return value


def read_time(value: str) -> datetime | None:
    """Read a timestamp; None when a row cannot hold it."""
    if len(value) > 10 and value[10] == ":":
        value = value[:10] + "T" + value[11:]
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise RefusedError("timestamp: expected RFC 3339.") from None
    if moment.tzinfo is None:
        raise RefusedError("timestamp: expected an offset.")
    moment = moment.astimezone(UTC)
    return moment if 1678 <= moment.year <= 2261 else None


def read_json(body: bytes) -> tuple[str, Json]:
    """Read the bytes of an event as text and as an object."""
    try:
        raw = body.decode()
        event = json.loads(raw)
    except (ValueError, RecursionError):
        raise RefusedError("The event is not JSON.") from None
    if not isinstance(event, dict):
        raise RefusedError("The event is no JSON object.")
    return raw, event


def make_row(body: bytes, receipt: Json) -> tuple[Json, dict[str, str]]:
    """Make the row and the partition keys of one event."""
    problems: list[str] = []
    raw, event = read_json(body)
    event_type = required(event, "eventType")
    moment = read_time(required(event, "timestamp"))
    actor = event.get("actor")
    if not isinstance(actor, dict):
        raise RefusedError("actor: expected an object.")
    user_id = required(actor, "userId")
    action = section(event, "action", "", problems)
    context = section(event, "context", "", problems)
    details = section(event, "details", "", problems)
    metadata = section(event, "metadata", "", problems)
    received = datetime.fromtimestamp(receipt["receivedAt"] / 1000, UTC)
    day, late = received, True
    if moment is None:
        problems.append("timestamp: expected a time from 1678 to 2261")
    elif timedelta(-DAYS_BACK) <= moment.date() - received.date() <= timedelta(DAYS_AHEAD):
        day, late = moment, False
    row = {
        "event_id": text(event, "id", "", problems) or text(event, "_id", "", problems) or receipt["eventId"],
        "event_type": event_type,
        "received_at": received.strftime("%Y-%m-%dT%H:%M:%S.") + f"{receipt['receivedAt'] % 1000:03}Z",
        "actor_user_id": user_id,
        "late": late,
        "problems": problems,
        "raw": raw,
        "raw_sha256": hashlib.sha256(body).hexdigest(),
        "event_time": moment and moment.isoformat().replace("+00:00", "Z"),
        "action_operation": text(action, "operation", "action.", problems),
        "action_status": text(action, "status", "action.", problems),
        "entity_type": text(event, "entityType", "", problems),
        "entity_id": text(event, "entityId", "", problems),
        "ip_address": text(context, "ipAddress", "context.", problems),
        "source": text(metadata, "source", "metadata.", problems),
        "request_id": text(event, "requestId", "", problems),
        "principal": receipt.get("principal") or None,
        "source_ip": receipt.get("sourceIp") or None,
        "api_request_id": receipt.get("requestId") or None,
        "actor": compact({"role": text(actor, "role", "actor.", problems)}),
        "action": compact({"resource": text(action, "resource", "action.", problems)}),
        "context": compact({"user_agent": text(context, "userAgent", "context.", problems)}),
        "details": read_details(details, problems),
        "metadata": json.dumps(metadata, separators=(",", ":"), ensure_ascii=False) if metadata else None,
    }
    audit_type = event_type if event_type in AUDIT_TYPES else event_type.split(".")[0]
    return compact(row) or {}, {
        "audit_type": audit_type if audit_type in AUDIT_TYPES else "other",
        "year": f"{day.year:04}",
        "month": f"{day.month:02}",
        "day": f"{day.day:02}",
    }


def compact(fields: Json) -> Json | None:
    """Leave nulls out."""
    return {name: value for name, value in fields.items() if value is not None} or None
