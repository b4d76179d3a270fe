"""Finding the canary's event as an auditor would: by SQL, through Athena."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from lambda_src.canary.post import event_id

POLL_S = 2.0


class FindError(Exception):
    """The query did not end as it should; the message says how."""


class Athena(Protocol):
    """The calls that are needed of boto3's client."""

    def start_query_execution(self, **arguments: object) -> Any:  # noqa: ANN401  # boto3's
        """Begin a query."""

    def get_query_execution(self, **arguments: object) -> Any:  # noqa: ANN401  # boto3's
        """Tell the state of a query."""

    def get_query_results(self, **arguments: object) -> Any:  # noqa: ANN401  # boto3's
        """Return rows of a query that has succeeded."""


@dataclass(frozen=True)
class Table:
    """Where to look: workgroup, database, table, and the partition that the canary's type falls into."""

    workgroup: str
    database: str
    name: str
    audit_type: str


@dataclass(frozen=True)
class Clock:
    """Time as `is_found` sees it, so that tests need not wait."""

    remaining_s: Callable[[], float]
    sleep: Callable[[float], None]


def query(table: Table, slot_s: int) -> str:
    """Return the SQL that counts the event of a slot (epoch seconds), in its one partition.

    All that is put into the text is made here or set by Terraform; nothing of it comes from a client.
    """
    day = datetime.fromtimestamp(slot_s, UTC)
    return (
        f"SELECT count(*) FROM {table.name} WHERE audit_type = '{table.audit_type}' "  # noqa: S608  # see above
        f"AND year = '{day:%Y}' AND month = '{day:%m}' AND day = '{day:%d}' AND event_id = '{event_id(slot_s)}'"
    )


def is_found(athena: Athena, table: Table, slot_s: int, clock: Clock) -> bool:
    """Return whether the event of a slot can be queried; raises FindError when Athena does not say."""
    started = athena.start_query_execution(
        QueryString=query(table, slot_s),
        WorkGroup=table.workgroup,
        QueryExecutionContext={"Database": table.database},
    )
    execution = started["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            break
        if status["State"] in ("FAILED", "CANCELLED"):
            reason = status.get("StateChangeReason", "Athena gives no reason")
            raise FindError(f"The query {execution} is {status['State']}: {reason}")
        if clock.remaining_s() < 2 * POLL_S:
            raise FindError(f"The query {execution} did not end in time.")
        clock.sleep(POLL_S)
    rows = athena.get_query_results(QueryExecutionId=execution)["ResultSet"]["Rows"]
    # The first row is the header.
    return int(rows[1]["Data"][0]["VarCharValue"]) > 0
