"""Compares what was sent with what is there, by event id: every event that was accepted is in exactly one state.

DuckDB joins both sides in a file of its own, so that ten million ids need no memory for them. What may move meanwhile
is looked for from where it comes to where it goes (spool, buffer, error prefix, table), so that nothing is missed on
its way; what is seen in two places counts as in the later one.
"""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from auditlake.errors import ReconcileError
from auditlake.sent import NotSent, Sent

T = TypeVar("T")

CHUNK_ROWS = 50_000
MEMORY = "512MB"
"""What DuckDB may take before it goes to the disk."""
MAX_PROBLEMS = 10
_AROUND = r"E' \t\r\n'"
"""The white space of JSON, in DuckDB's SQL."""


class State(StrEnum):
    """Where an event is; each is in one, the first of these that holds."""

    CONFLICTING = "conflicting"
    """The id stands for other bytes than were sent, or for several."""
    DUPLICATED = "duplicated"
    """More than one row, all of the same bytes: delivery is at least once."""
    IN_TABLE = "in_table"
    """One row."""
    PENDING = "pending"
    """In the runtime's buffer or the client's spool, or accepted too shortly ago to be found."""
    FAILED = "failed"
    """Under the error prefix: `auditlake redrive` puts it again."""
    REFUSED = "refused"
    """Refused by the endpoint for good, and kept by the client as a dead letter."""
    MISSING = "missing"
    """Nowhere."""


class Place(StrEnum):
    """Where an event was found."""

    TABLE = "table"
    FAILED = "failed"
    REDRIVEN = "redriven"
    """Under the error prefix, and put again by the ledger."""
    PENDING = "pending"


@dataclass(frozen=True)
class Evidence:
    """An event that was found: its id, its bytes' SHA-256 where it is known, where, and how often.

    `stripped` is the SHA-256 without the white space around it, where there is any: no other event for it.
    """

    id: str
    sha256: str | None
    place: Place
    rows: int = 1
    stripped: str | None = None


@dataclass(frozen=True)
class Found:
    """An event that was sent, and what became of it; `rows` are those in the table."""

    id: str
    state: State
    rows: int
    redriven: bool


@dataclass
class Report:
    """How many events are in each state; `sent` are all of them, each id once.

    `copies` counts the rows of duplicated events beyond the first; `redriven` the failed events that the ledger says
    were put again and that are not in the table (yet). `problems` are lines of what was sent that name no event.
    """

    sent: int = 0
    states: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    copies: int = 0
    redriven: int = 0
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing or refused, nothing conflicting, and everything that was told could be read."""
        return not (
            self.states[State.REFUSED]
            or self.states[State.MISSING]
            or self.states[State.CONFLICTING]
            or self.problem_count
        )


_TABLES = """
CREATE TABLE sent (id TEXT, sha256 TEXT, accepted_ms BIGINT, waits BOOLEAN, refused TEXT);
CREATE TABLE evidence (id TEXT, sha256 TEXT, place TEXT, rows BIGINT);
CREATE TABLE repaired (id TEXT, sha256 TEXT, put_sha256 TEXT);
CREATE TABLE stripped (id TEXT, sha256 TEXT, stripped TEXT);
"""

# An event that a redrive repaired is there with other bytes than were sent; the ledger says that they are the same one.
# White space around an event makes no other one of it, so that both sides are taken without it. The bytes that an
# endpoint refused are nowhere: whoever mends a dead letter sends other ones under its id.
_STATES = """
CREATE TABLE states AS
WITH bare AS (SELECT DISTINCT id, sha256, stripped FROM stripped), told AS (
    SELECT s.id, min(coalesce(bare.stripped, s.sha256)) FILTER (refused IS NULL) AS sha256,
           max(coalesce(bare.stripped, s.sha256)) FILTER (refused IS NULL) AS other,
           bool_or(waits) AS waits, max(accepted_ms) AS accepted_ms, bool_or(refused IS NOT NULL) AS refused
    FROM sent AS s LEFT JOIN bare ON bare.id = s.id AND bare.sha256 = s.sha256
    GROUP BY s.id
), mended AS (
    SELECT e.id, coalesce(r.sha256, e.sha256) AS sha256, place, rows
    FROM evidence AS e
    LEFT JOIN (SELECT DISTINCT id, sha256, put_sha256 FROM repaired) AS r ON r.id = e.id AND r.put_sha256 = e.sha256
), seen AS (
    SELECT m.id, coalesce(bare.stripped, m.sha256) AS sha256, place, rows
    FROM mended AS m LEFT JOIN bare ON bare.id = m.id AND bare.sha256 = m.sha256
), there AS (
    SELECT id, min(sha256) AS sha256, max(sha256) AS other,
           sum(rows) FILTER (place = 'table') AS rows,
           bool_or(place = 'failed') AS failed, bool_or(place = 'redriven') AS redriven,
           bool_or(place = 'pending') AS pending
    FROM seen GROUP BY id
)
SELECT told.id, coalesce(there.rows, 0) AS rows, coalesce(redriven AND NOT failed, false) AS redriven,
       CASE
           WHEN told.sha256 <> told.other OR there.sha256 <> there.other OR told.sha256 <> there.sha256
               THEN 'conflicting'
           WHEN there.rows > 1 THEN 'duplicated'
           WHEN there.rows = 1 THEN 'in_table'
           WHEN pending OR told.waits THEN 'pending'
           WHEN failed OR redriven THEN 'failed'
           WHEN told.refused THEN 'refused'
           WHEN told.accepted_ms >= $found_after_ms THEN 'pending'
           ELSE 'missing'
       END AS state
FROM told LEFT JOIN there ON there.id = told.id
"""


_DIFFERING = """
SELECT id FROM (SELECT id, sha256 FROM sent UNION ALL SELECT id, sha256 FROM evidence)
GROUP BY id HAVING count(DISTINCT sha256) > 1
"""


class Reconciliation:
    """Both sides of the comparison; use it in a `with`.

    First `tell` what was sent, then `find` what is there, in the order in which events move, then `compare`.
    """

    def __init__(self) -> None:
        """Make the file in the system's temporary directory; raises ReconcileError."""
        self.report = Report()
        self.lines = 0
        """How many lines were told; an id may stand in several."""
        with contextlib.ExitStack() as opened:
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="auditlake-reconcile-")))
            with _explained():
                self.connection = duckdb.connect(folder / "both.duckdb")
                opened.callback(self.connection.close)
                self._run(f"SET memory_limit = '{MEMORY}'")
                self._run("SET preserve_insertion_order = false")
                self._run(_TABLES)
            self._opened = opened.pop_all()

    def __enter__(self) -> "Reconciliation":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def tell(self, sent: Iterable[Sent | NotSent]) -> None:
        """Take what was sent; raises ReconcileError when it is nothing, of which nothing can be said."""
        for chunk in _chunks(self._told(sent)):
            columns = list(
                zip(*((one.id, one.sha256, one.accepted_ms, one.waits, one.refused) for one in chunk), strict=True)
            )
            table = pa.table(
                {
                    "id": pa.array(columns[0], pa.string()),
                    "sha256": pa.array(columns[1], pa.string()),
                    "accepted_ms": pa.array(columns[2], pa.int64()),
                    "waits": pa.array(columns[3], pa.bool_()),
                    "refused": pa.array(columns[4], pa.string()),
                }
            )
            self._insert("INSERT INTO sent SELECT id, sha256, accepted_ms, waits, refused FROM chunk", table)
            self.lines += len(chunk)
        if not self.lines:
            first = f" ({self.report.problems[0]})" if self.report.problems else ""
            raise ReconcileError(f"What was sent holds no event{first}, so nothing can be said of it.")

    def find(self, evidence: Iterable[Evidence]) -> None:
        """Take what is there; what was not sent is left out."""
        for chunk in _chunks(evidence):
            columns = list(zip(*((one.id, one.sha256, one.place.value, one.rows) for one in chunk), strict=True))
            table = pa.table(
                {
                    "id": pa.array(columns[0], pa.string()),
                    "sha256": pa.array(columns[1], pa.string()),
                    "place": pa.array(columns[2], pa.string()),
                    "rows": pa.array(columns[3], pa.int64()),
                }
            )
            self._insert(
                "INSERT INTO evidence SELECT id, sha256, place, rows FROM chunk WHERE id IN (SELECT id FROM sent)",
                table,
            )
            self.stripped((one.id, one.sha256, one.stripped) for one in chunk if one.sha256 and one.stripped)

    def find_rows(self, relation: str) -> None:
        """Take the rows of the local table; `relation` is its SELECT in DuckDB's SQL (`query.table_sql`).

        Rows from before the column raw_sha256 are hashed here. Only for them, and for ids whose bytes differ, the large
        column raw is read.
        """
        told = "event_id IN (SELECT id FROM sent)"
        exact = (
            "CASE WHEN len(list_filter(problems, lambda one: contains(one, 'raw holds the bytes as base64'))) > 0 "
            "THEN sha256(from_base64(raw)) ELSE sha256(raw) END"
        )
        with _explained():
            for digest, condition in (("raw_sha256", "raw_sha256 IS NOT NULL"), (exact, "raw_sha256 IS NULL")):
                self._run(
                    f"INSERT INTO evidence SELECT event_id, {digest}, 'table', count(*) FROM ({relation}) "  # noqa: S608 - a relation of the plan
                    f"WHERE {condition} AND {told} GROUP BY ALL"
                )
            if not self.differing(1):
                return
            self._run(
                f"INSERT INTO stripped SELECT DISTINCT event_id, sha256(raw), sha256(trim(raw, {_AROUND})) "  # noqa: S608 - a relation of the plan
                f"FROM ({relation}) WHERE event_id IN ({_DIFFERING}) AND raw <> trim(raw, {_AROUND})"
            )

    def repaired(self, entries: Iterable[tuple[str, str, str]]) -> None:
        """Take the ledger's repaired events: id, SHA-256 before, SHA-256 as it was put."""
        self._insert_texts("repaired", entries)

    def stripped(self, entries: Iterable[tuple[str, str, str]]) -> None:
        """Take events with white space around them: id, SHA-256 with it, SHA-256 without."""
        self._insert_texts("stripped", entries)

    def differing(self, count: int) -> list[str]:
        """Return the first ids that stand for several bytes, of what was told and found, in their order."""
        with _explained():
            rows = self._run(f"{_DIFFERING} ORDER BY id LIMIT $count", {"count": count})
        return [row[0] for row in rows]

    def ids(self, count: int) -> list[str]:
        """Return the first ids that were sent, in their order."""
        with _explained():
            rows = self._run("SELECT DISTINCT id FROM sent ORDER BY id LIMIT $count", {"count": count})
        return [row[0] for row in rows]

    def compare(self, found_after_ms: int | None = None) -> Report:
        """Give each event its state; what was accepted at or after `found_after_ms` may still be on its way."""
        with _explained():
            self._run(_STATES, {"found_after_ms": found_after_ms})
            for state, count, copies, redriven in self._run(
                "SELECT state, count(*), sum(greatest(rows - 1, 0)), count(*) FILTER (redriven) FROM states GROUP BY 1"
            ):
                self.report.states[State(state)] = count
                if state == State.DUPLICATED:
                    self.report.copies = int(copies)
                if state == State.FAILED:
                    self.report.redriven = redriven
        self.report.sent = sum(self.report.states.values())
        return self.report

    def events(self, state: State) -> Iterator[Found]:
        """Yield the events in a state, in the order of their ids."""
        with _explained(), self.connection.cursor() as cursor:
            rows = cursor.execute(
                "SELECT id, rows, redriven FROM states WHERE state = $state ORDER BY id", {"state": state.value}
            )
            while batch := rows.fetchmany(2048):
                yield from (Found(id_, state, count, redriven) for id_, count, redriven in batch)

    def _told(self, sent: Iterable[Sent | NotSent]) -> Iterator[Sent]:
        for one in sent:
            if isinstance(one, Sent):
                yield one
                continue
            self.report.problem_count += 1
            if len(self.report.problems) < MAX_PROBLEMS:
                self.report.problems.append(one.reason)

    def _insert_texts(self, name: str, entries: Iterable[tuple[str, str, str]]) -> None:
        for chunk in _chunks(entries):
            columns = [pa.array(values, pa.string()) for values in zip(*chunk, strict=True)]
            self._insert(f"INSERT INTO {name} SELECT * FROM chunk", pa.table(columns, names=["a", "b", "c"]))  # noqa: S608 - a name of this file

    def _insert(self, sql: str, chunk: pa.Table) -> None:
        with _explained():
            self.connection.register("chunk", chunk)
            self._run(sql)
            self.connection.unregister("chunk")

    def _run(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement to its end: an unfinished result would refuse the next one."""
        return self.connection.execute(sql, parameters).fetchall()


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        message = " ".join(str(error).split("\n\n", 1)[0].split()).rstrip(".!")
        raise ReconcileError(f"The comparison failed in DuckDB: {message}.") from None
