"""How many rows a second the conversion makes, by how many of the records need the SerDe's exact path.

    python bench/convert.py

Rows of the default table, about 700 bytes each, to Snappy Parquet in memory; the median of some runs on one thread.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from auditlake.runtime.convert import convert
from auditlake.runtime.plan_reader import load_plan

ROWS = 60_000
RUNS = 5


def row(number: int, **members: object) -> bytes:
    """Make a row as the transform returns it, with these members replaced or added."""
    event = {
        "id": f"e{number}",
        "eventType": "login",
        "timestamp": "2026-11-24T10:00:00.069Z",
        "actor": {"userId": f"u{number}", "role": "admin"},
    }
    values = {
        "event_id": f"e{number}",
        "event_type": "login",
        "event_time": "2026-11-24T10:00:00.069Z",
        "received_at": "2026-11-24T10:00:00.1Z",
        "actor_user_id": f"u{number}",
        "action_operation": "update",
        "action_status": "success",
        "entity_type": "order",
        "entity_id": str(number),
        "ip_address": "10.0.0.1",
        "source": "web",
        "request_id": f"r{number}",
        "late": False,
        "actor": {"role": "admin"},
        "action": {"resource": "orders"},
        "context": {"user_agent": "Mozilla/5.0"},
        "details": {"entity_type": "order", "changes": [{"field": "a", "old_value": "1", "new_value": "2"}]},
        "metadata": '{"source":"web"}',
        "problems": [],
        "raw": json.dumps(event),
    }
    return json.dumps(values | members, separators=(",", ":")).encode()


def every(distance: int) -> Callable[[int], bytes]:
    """Return a maker of rows of which one in `distance` holds a number where the column is a string."""
    return lambda number: row(number, entity_id=number) if number % distance == distance // 2 else row(number)


CASES: dict[str, Callable[[int], bytes]] = {
    "none": row,
    "1 in 10,000": every(10_000),
    "1 in 1,000": every(1_000),
    "1 in 100": every(100),
    "all: a number in a string column": every(1),
    "all: an unknown field": lambda number: row(number, unknown=1),
    "all are broken JSON": lambda number: row(number)[:-1],
}


def main() -> None:
    """Print one table."""
    plan = load_plan()
    table = Table("records that need the exact path", "rows/s", "MB/s", title=f"conversion of {ROWS:,} records")
    for name, make in CASES.items():
        records = [make(number) for number in range(ROWS)]
        seconds = []
        for _ in range(RUNS):
            started = time.perf_counter()
            convert(records, plan.table.columns, plan.stream.conversion)
            seconds.append(time.perf_counter() - started)
        took = statistics.median(seconds)
        table.add_row(name, f"{ROWS / took:,.0f}", f"{sum(map(len, records)) / took / 1e6:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
