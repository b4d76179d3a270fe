"""The row that an event becomes."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from lambda_src.common.event import read_event
from lambda_src.transform.row import Receipt, Row, row_json

SCHEMA = json.loads((Path(__file__).resolve().parent.parent / "glue" / "events.schema.json").read_text())
EVENT: dict[str, Any] = {
    "id": "e-1",
    "eventType": "update",
    "timestamp": "2026-01-31T09:30:00.069Z",
    "actor": {"userId": "u-1", "role": "admin"},
    "action": {"resource": "invoice", "operation": "update", "status": "success"},
    "entityType": "invoice",
    "entityId": "inv-1",
    "requestId": "req-1",
    "context": {"ipAddress": "203.0.113.9", "userAgent": "curl/8"},
    "details": {
        "entityType": "line",
        "entityId": "7",
        "changeType": "update",
        "changes": [{"field": "amount", "oldValue": 1.10, "newValue": "2"}],
    },
    "metadata": {"source": "billing"},
}
RECEIPT = Receipt("made-up", 1_769_851_800_123, "api-1", "198.51.100.7", "arn:aws:iam::123456789012:user/billing")


def row(event: dict[str, Any], receipt: Receipt = RECEIPT, late: bool = False) -> dict[str, Any]:
    """Make the row of an event and read it."""
    body = json.dumps(event).encode()
    made: dict[str, Any] = json.loads(row_json(read_event(body), body, receipt, late))
    return made


def test_whole_event() -> None:
    """Every column holds what the design says it does."""
    assert row(EVENT) == {
        "event_id": "e-1",
        "event_type": "update",
        "event_time": "2026-01-31T09:30:00.069Z",
        "received_at": "2026-01-31T09:30:00.123Z",
        "actor_user_id": "u-1",
        "action_operation": "update",
        "action_status": "success",
        "entity_type": "invoice",
        "entity_id": "inv-1",
        "ip_address": "203.0.113.9",
        "source": "billing",
        "request_id": "req-1",
        "principal": "arn:aws:iam::123456789012:user/billing",
        "source_ip": "198.51.100.7",
        "api_request_id": "api-1",
        "late": False,
        "actor": {"role": "admin"},
        "action": {"resource": "invoice"},
        "context": {"user_agent": "curl/8"},
        "details": {
            "entity_type": "line",
            "entity_id": "7",
            "change_type": "update",
            "changes": [{"field": "amount", "old_value": "1.1", "new_value": "2"}],
        },
        "metadata": '{"source": "billing"}',
        "problems": [],
        "raw": json.dumps(EVENT),
        "raw_sha256": sha256(json.dumps(EVENT).encode()).hexdigest(),
    }


def test_smallest_event() -> None:
    """What an event does not have is left out; the server's id stands in, problems and late are always there."""
    smallest = {name: EVENT[name] for name in ("eventType", "timestamp")} | {"actor": {"userId": "u-1"}}

    assert row(smallest, Receipt("made-up", 0), late=True) == {
        "event_id": "made-up",
        "event_type": "update",
        "event_time": "2026-01-31T09:30:00.069Z",
        "received_at": "1970-01-01T00:00:00.000Z",
        "actor_user_id": "u-1",
        "late": True,
        "problems": [],
        "raw": json.dumps(smallest),
        "raw_sha256": sha256(json.dumps(smallest).encode()).hexdigest(),
    }


def test_columns_are_those_of_the_schema() -> None:
    """A row has exactly the schema's columns, in its order, nested fields included."""
    types = {column["name"]: column["type"] for column in SCHEMA["columns"]}
    made = row(EVENT)

    assert [field.name for field in msgspec.structs.fields(Row)] == list(types)
    assert list(made) == list(types)
    for name, value in made.items():
        assert glue_type(value) == types[name] or types[name] == "timestamp", name


def glue_type(value: object) -> str:
    """Name the Glue type that a JSON value has, every field of a whole row being present."""
    if isinstance(value, dict):
        return f"struct<{','.join(f'{name}:{glue_type(inner)}' for name, inner in value.items())}>"
    if isinstance(value, list):
        return f"array<{glue_type(value[0]) if value else 'string'}>"
    return {bool: "boolean", str: "string"}[type(value)]
