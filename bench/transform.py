"""How many records a second the transform makes of, beside the same work written with the standard library alone.

    python bench/transform.py

Two times a handler: alone, and with the decoding and encoding that Lambda's runtime client does around it (simplejson,
with the arguments of awslambdaric 4.2.2). The median of many runs; both handlers run by turns in the same process, so
trust the ratio more than the rate.
"""

import base64
import contextlib
import io
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

os.environ.update(
    AUDIT_TYPES="login,logout,update,create,delete",
    EVENT_DAYS_BACK="7",
    EVENT_DAYS_AHEAD="1",
    POWERTOOLS_SERVICE_NAME="transform",
    POWERTOOLS_METRICS_NAMESPACE="auditlake",
)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import plain_transform  # reads its settings from the environment above
import simplejson  # loaded before the handler, as in Lambda
from rich.console import Console
from rich.table import Table

from lambda_src.common.envelope import Envelope, encode
from lambda_src.transform import handler  # reads its settings from the environment above

RUNS = 41
CASES = ((100, 600), (1000, 600), (500, 4096))
ENCODER = simplejson.JSONEncoder(use_decimal=False, ensure_ascii=False, allow_nan=True)


def make_event(number: int, size: int, now: float, chance: random.Random) -> bytes:
    """Make the bytes of a varied audit event of about `size` bytes."""
    changes: list[dict[str, object]] = [{"field": "status", "oldValue": "open", "newValue": "paid"}]
    if number % 4 == 0:
        changes.append({"field": "amount", "oldValue": number, "newValue": number * 2})
    event: dict[str, Any] = {
        "id": f"0192f0c1-7c5e-7cc3-9d2b-{number:012x}",
        "eventType": chance.choice(("login", "login.failed", "update", "delete", "invoice.sent")),
        "timestamp": time.strftime(
            f"%Y-%m-%dT%H:%M:%S.{number % 1000:03}Z", time.gmtime(now - chance.random() * 86400)
        ),
        "actor": {"userId": f"user-{chance.randrange(10_000)}", "role": "clerk"},
        "action": {"resource": "invoice", "operation": "update", "status": chance.choice(("success", "failure"))},
        "entityType": "invoice",
        "entityId": f"inv-{number}",
        "context": {"ipAddress": f"203.0.113.{number % 250}", "userAgent": "Mozilla/5.0 (X11; Linux x86_64)"},
        "details": {"entityType": "invoice", "entityId": f"inv-{number}", "changeType": "update", "changes": changes},
        "metadata": {"source": "billing", "note": ""},
    }
    while len(text := json.dumps(event, separators=(",", ":"), ensure_ascii=False)) < size:
        # What makes an event large stands in a field that we read, or in one that only raw keeps.
        place, name = (event["metadata"], "note") if len(text) % 2 else (event, "remarks")
        place[name] = place.get(name, "") + chance.choice(("paid late ", "Zahlung überfällig ", 'said "no" '))
    return text.encode()


def make_request(records: int, size: int) -> dict[str, Any]:
    """Make an invocation by Firehose (B1) of enveloped events."""
    chance, now = random.Random(size), time.time()  # noqa: S311  # sample data
    made = []
    for number in range(records):
        received_at = int(now * 1000) - records + number
        body = make_event(number, size, now, chance)
        principal = "arn:aws:iam::123456789012:user/billing"
        wrapped = encode(Envelope(f"id-{number}", f"request-{number}", received_at, "203.0.113.9", principal, body))
        record_id = f"{49_600_000_000_000_000_000 + number}" * 2
        data = base64.b64encode(wrapped).decode()
        made.append({"recordId": record_id, "approximateArrivalTimestamp": received_at, "data": data})
    return {"invocationId": "bench", "deliveryStreamArn": "arn", "region": "eu-central-1", "records": made}


def meaning(line: bytes) -> dict[str, Any]:
    """Read a row; its times as times, since both `.5Z` and `.500000Z` are right."""
    row: dict[str, Any] = json.loads(line)
    return row | {name: datetime.fromisoformat(row[name]) for name in ("event_time", "received_at")}


def rows_of(answer: dict[str, Any]) -> list[Any]:
    """Give ids, results, keys and rows, to compare two handlers by what they mean."""
    return [
        (
            record["recordId"],
            record["result"],
            record.get("metadata"),
            [meaning(line) for line in base64.b64decode(record.get("data", "")).splitlines()],
        )
        for record in answer["records"]
    ]


def alternate(ours: Callable[[], object], plain: Callable[[], object]) -> tuple[float, float]:
    """Time two calls by turns; give the median seconds of each."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS):
        for call, seen in zip((ours, plain), times, strict=True):
            started = time.perf_counter()
            call()
            seen.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])


def measure(records: int, size: int) -> list[tuple[str, float, float]]:
    """Hold the two handlers' rows against each other, then time both; give what was measured and both seconds."""
    request = make_request(records, size)
    text = json.dumps(request)
    with contextlib.redirect_stdout(io.StringIO()):  # the metrics of every run
        answer = json.loads(ENCODER.encode(handler.handle(request, None)))
        if rows_of(answer) != rows_of(plain_transform.handle(request, None)):
            sys.exit("The rows differ, so that the times say nothing: mend plain_transform.py.")
        alone = alternate(lambda: handler.handle(request, None), lambda: plain_transform.handle(request, None))
        around = alternate(
            lambda: ENCODER.encode(handler.handle(simplejson.loads(text), None)),
            lambda: ENCODER.encode(plain_transform.handle(simplejson.loads(text), None)),
        )
    return [("handler alone", *alone), ("with runtime JSON", *around)]


def main() -> None:
    """Measure and print the table."""
    table = Table(title=f"transform, Python {sys.version.split()[0]}: records per second (microseconds a record)")
    for heading in ("records", "event bytes", "measured", "stdlib json", "transform", "ratio"):
        table.add_column(heading, justify="left" if heading == "measured" else "right")
    for records, size in CASES:
        for measured, ours, plain in measure(records, size):
            cells = [f"{records / seconds:,.0f} ({seconds / records * 1e6:.1f})" for seconds in (plain, ours)]
            table.add_row(f"{records:,}", f"{size:,}", measured, *cells, f"{plain / ours:.1f}x")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
