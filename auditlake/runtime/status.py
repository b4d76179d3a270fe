"""How full the buffers are, what was delivered, what failed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from auditlake.runtime.buffer import Buffer
from auditlake.runtime.destination import parse_destination
from auditlake.runtime.plan import Plan
from auditlake.runtime.problems import Problem, join


def status(plan: Plan, buffer: Buffer, delivery: Problem | None = None) -> dict[str, Any]:
    """Return the state of a running stream as JSON values; sizes in bytes, times in epoch ms (UTC).

    `buffer` is the id of the data directory's buffer, by which a directory and its runtime know each other.
    `recovered` says what was found when the buffer was opened; `damaged` counts the accepted records that cannot be
    read any more. `problem` is what fails now: why requests are refused, and what keeps records from being delivered,
    which is given as `delivery`.
    `backup` is what the source backup holds, None where the plan has none; `damaged` of it counts the records that
    could not be read for it.
    `other_share` is the share of stored rows whose first partition key is `other`: event types that are not listed.
    """
    counters = buffer.counters()
    waiting = buffer.waiting()
    oldest = [level.oldest_arrival_ms for level in buffer.levels()]
    oldest += [waiting.oldest_arrival_ms] if waiting.oldest_arrival_ms is not None else []
    problem = join(buffer.problem(), delivery)
    names = [key.name for key in plan.table.partition_keys]
    rows = {name: count for name, count in counters.items() if name.startswith("rows:")}
    partitions = [
        {**_partition(names, name.removeprefix("rows:")), "rows": count} for name, count in sorted(rows.items())
    ]
    by_first: Counter[str] = Counter()
    for partition in partitions:
        by_first[str(partition[names[0]])] += int(partition["rows"])
    stored = sum(by_first.values())
    return {
        "stream": plan.stream.name,
        "buffer": buffer.id,
        "problem": None if problem is None else asdict(problem),
        "accepted": {"records": counters.get("accepted.records", 0), "bytes": counters.get("accepted.bytes", 0)},
        "waiting": {
            "records": waiting.records,
            "bytes": waiting.bytes,
            "oldest_arrival_ms": waiting.oldest_arrival_ms,
        },
        "buffers": [
            {
                "destination": str(level.destination),
                "records": level.records,
                "bytes": level.bytes,
                "oldest_arrival_ms": level.oldest_arrival_ms,
            }
            for level in sorted(buffer.levels(), key=lambda level: level.destination)
        ],
        "oldest_undelivered_ms": min(oldest, default=None),
        "journal": asdict(buffer.journal()),
        "stored": {
            "objects": counters.get("stored.objects", 0),
            "rows": counters.get("stored.rows", 0),
            "bytes": counters.get("stored.bytes", 0),
            "error_objects": counters.get("stored.error_objects", 0),
        },
        "backup": None if plan.stream.backup is None else _backed_up(counters),
        "failed": {n.removeprefix("failed."): c for n, c in sorted(counters.items()) if n.startswith("failed.")},
        "damaged": counters.get("damaged.records", 0),
        "recovered": [buffer.recovery.sentence(), *buffer.recovery.problems],
        "dropped": counters.get("dropped.records", 0),
        "partitions": partitions,
        "other_share": by_first["other"] / stored if stored else 0.0,
    }


def _backed_up(counters: Mapping[str, int]) -> dict[str, int]:
    return {name: counters.get(f"backup.{name}", 0) for name in ("objects", "records", "bytes", "damaged")}


def _partition(names: list[str], destination: str) -> dict[str, Any]:
    return dict(zip(names, parse_destination(destination).values, strict=False))


def failed_records(buffer: Buffer) -> int:
    """Return how many records went under the error prefix since the buffer was made."""
    return sum(count for name, count in buffer.counters().items() if name.startswith("failed."))
