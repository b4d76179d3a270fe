"""Where `reconcile` looks: the runtime's buffer, the error prefix, and the table by Athena."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from auditlake.athena import Athena, string
from auditlake.error_store import ErrorObject, ErrorStore
from auditlake.errors import ReconcileError
from auditlake.failed_records import failed_records
from auditlake.ledger import Ledger
from auditlake.reconcile import Evidence, Place
from auditlake.recover import RecoveredEvent, recover, stripped_sha256
from auditlake.runtime.plan import Table
from auditlake.waiting import waiting_events

MAX_LISTED_IDS = 20_000
"""How many ids are asked for by name; for more, all ids of the table are read, once."""
MAX_LIST_BYTES = 200_000
"""Of the ids in one statement; Athena takes 262,144 bytes of SQL (documented)."""

_EXACT = (
    "lower(to_hex(sha256(CASE WHEN array_join(problems, ' ') LIKE '%raw holds the bytes as base64%' "
    "THEN from_base64(raw) ELSE to_utf8(raw) END)))"
)


def waiting_evidence(data: Path) -> Iterator[Evidence]:
    """Yield what waits in the buffer of a data directory; raises ReconcileError."""
    for one in waiting_events(data):
        yield Evidence(one.id, one.sha256, Place.FAILED if one.failed else Place.PENDING, stripped=one.stripped)


def failed_evidence(
    store: ErrorStore, objects: Iterable[ErrorObject], ledger: Ledger, advance: Callable[[int], None] = lambda _: None
) -> Iterator[Evidence]:
    """Yield the events under the error prefix; raises StoreError."""
    for found in objects:
        done = ledger.redriven(found.key, found.version)
        with store.open(found) as stream:
            for record in failed_records(stream, found):
                for event in recover(record):
                    if isinstance(event, RecoveredEvent):
                        digest = event.sha256
                        again = (record.line, event.index, digest) in done
                        place = Place.REDRIVEN if again else Place.FAILED
                        yield Evidence(event.event_id, digest, place, stripped=stripped_sha256(event.body))
        advance(found.size)


def table_evidence(athena: Athena, table: Table, ids: Sequence[str] | None, since_ms: int | None) -> Iterator[Evidence]:
    """Yield the rows of the table by id and bytes; raises ReconcileError.

    Args:
        athena: where to ask.
        table: the table; without the column raw_sha256 the bytes of all rows are read and hashed.
        ids: the ids that are asked for; None for all.
        since_ms: only rows that were received at or after this time (epoch ms).
    """
    columns = {column.name for column in table.columns}
    if not {"event_id", "raw"} <= columns:
        raise ReconcileError(f"The table {table.database}.{table.name} has no columns event_id and raw to compare by.")
    digests = [("raw_sha256", "raw_sha256 IS NOT NULL"), (_EXACT, "raw_sha256 IS NULL")]
    for wanted in _conditions(ids):
        for digest, condition in digests if "raw_sha256" in columns else [(_EXACT, "true")]:
            conditions = [condition, *wanted, *_received(since_ms)]
            sql = (
                f'SELECT event_id, {digest} AS sha256, count(*) AS copies FROM "{table.database}"."{table.name}" '  # noqa: S608 - of the plan
                f"WHERE {' AND '.join(conditions)} GROUP BY 1, 2"
            )
            for event_id, sha256, copies in athena.rows(sql):
                yield Evidence(event_id, sha256 or None, Place.TABLE, int(copies))


def stripped_rows(athena: Athena, table: Table, ids: Sequence[str] | None) -> Iterator[tuple[str, str, str]]:
    """Yield id, SHA-256, and SHA-256 without the white space around the event, of rows with any; see `Reconciliation`.

    It reads the large column raw, of `ids` or, with None, of all rows. Raises ReconcileError.
    """
    stripped = "lower(to_hex(sha256(to_utf8(regexp_replace(raw, '^[ \\t\\r\\n]+|[ \\t\\r\\n]+$', '')))))"
    for wanted in _conditions(ids):
        conditions = ["regexp_like(raw, '^[ \\t\\r\\n]|[ \\t\\r\\n]$')", *wanted]
        sql = (
            f'SELECT event_id, {_EXACT} AS sha256, {stripped} AS stripped FROM "{table.database}"."{table.name}" '  # noqa: S608 - of the plan
            f"WHERE {' AND '.join(conditions)} GROUP BY 1, 2, 3"
        )
        for event_id, exact, without in athena.rows(sql):
            yield event_id, exact or "", without or ""


def _conditions(ids: Sequence[str] | None) -> Iterator[list[str]]:
    """Yield the conditions of as many statements as the list of ids needs."""
    if ids is None:
        yield []
        return
    listed: list[str] = []
    size = 0
    for literal in map(string, ids):
        length = len(literal.encode("utf-8", "replace")) + len(", ")
        if listed and size + length > MAX_LIST_BYTES:
            yield [f"event_id IN ({', '.join(listed)})"]
            listed, size = [], 0
        listed.append(literal)
        size += length
    if listed:
        yield [f"event_id IN ({', '.join(listed)})"]


def _received(since_ms: int | None) -> list[str]:
    if since_ms is None:
        return []
    moment = datetime.fromtimestamp(since_ms / 1000, UTC)
    return [f"received_at >= TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}'"]
