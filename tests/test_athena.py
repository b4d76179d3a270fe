"""Athena and the error prefix of an account, as far as moto's server answers for them."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from auditlake.athena import Athena, string
from auditlake.error_store import aws_client
from auditlake.errors import ReconcileError
from auditlake.evidence import MAX_LIST_BYTES, stripped_rows, table_evidence
from auditlake.reconcile import Evidence, Place
from auditlake.runtime.query import run_query
from tests import lake
from tests.moto_server import moto_server


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The URL of moto's server."""
    with moto_server() as url:
        yield url


@pytest.fixture
def athena(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Athena]:
    """A workgroup's Athena."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    httpx.post(f"{endpoint}/moto-api/reset", trust_env=False, timeout=60)
    client, s3 = (aws_client(service, endpoint, "us-east-1") for service in ("athena", "s3"))
    s3.create_bucket(Bucket="results")
    yield Athena(client, s3, "primary", "audit", "s3://results/", lambda _: None)
    client.close()
    s3.close()


def preset(endpoint: str, *results: Sequence[list[str | None]]) -> None:
    """Have moto answer the next queries with these rows, a header before them."""
    header: list[str | None] = ["event_id", "sha256", "copies"]
    tables = [[_row(header), *map(_row, result)] for result in results]
    done = httpx.post(
        f"{endpoint}/moto-api/static/athena/query-results",
        json={"results": [{"rows": rows, "column_info": []} for rows in tables]},
        trust_env=False,
    )
    assert done.status_code == httpx.codes.CREATED


def _row(cells: list[str | None]) -> dict[str, Any]:
    return {"Data": [{} if cell is None else {"VarCharValue": cell} for cell in cells]}


def queries(athena: Athena) -> list[str]:
    """Return the statements that Athena was given, in order."""
    ids = athena.client.list_query_executions(WorkGroup="primary")["QueryExecutionIds"]
    return [str(athena.client.get_query_execution(QueryExecutionId=one)["QueryExecution"]["Query"]) for one in ids]


def test_rows_come_from_the_result_object(endpoint: str, athena: Athena) -> None:
    """Without their header; a null is an empty string."""
    preset(endpoint, [["e0", "ab", "1"], ["e1", None, "2"]])
    assert list(athena.rows("SELECT 1")) == [["e0", "ab", "1"], ["e1", "", "2"]]


def test_the_table_is_asked_for_ids_and_bytes(endpoint: str, athena: Athena) -> None:
    """For the rows of now by their hash column, for older ones by the hash of raw."""
    preset(endpoint, [["e0", "ab", "1"]], [["it's", "cd", "3"]])
    found = list(table_evidence(athena, lake.glue_table(), ["e0", "it's"], 1_790_000_000_000))

    assert found == [Evidence("e0", "ab", Place.TABLE), Evidence("it's", "cd", Place.TABLE, 3)]
    by_column, by_raw = queries(athena)
    assert '"audit"."events"' in by_column
    assert "raw_sha256 IS NOT NULL AND event_id IN ('e0', 'it''s')" in by_column
    assert "received_at >= TIMESTAMP '2026-09-21 14:13:20'" in by_column
    assert "sha256(" in by_raw
    assert "raw_sha256 IS NULL" in by_raw


def test_the_statements_are_valid_sql_that_finds_the_rows(endpoint: str, athena: Athena, tmp_path: Path) -> None:
    """The very statements run by DuckDB, as saved queries do, over rows with and without the hash."""
    preset(endpoint, [], [])
    list(table_evidence(athena, lake.glue_table(), ["new", "old"], None))
    rows = [lake.row("new", "2026-11-24T03:00:00Z"), lake.row("old", "2026-11-24T03:00:00Z", raw_sha256=None)]
    lake.write_rows(tmp_path, rows)
    found = []
    for sql in queries(athena):
        with run_query(tmp_path, lake.glue_plan(), sql) as result:
            found += [(row[0], str(row[1]).lower()) for row in result.rows()]
    assert found == [("new", rows[0]["raw_sha256"]), ("old", lake.row("old", None)["raw_sha256"])]


def test_rows_with_white_space_around_them_are_told_without_it(endpoint: str, athena: Athena, tmp_path: Path) -> None:
    """By a statement that runs, and finds only those."""
    preset(endpoint, [])
    list(stripped_rows(athena, lake.glue_table(), ["ended", "plain"]))
    rows = [
        lake.row("ended", "2026-11-24T03:00:00Z", raw="\t{}\n"),
        lake.row("plain", "2026-11-24T03:00:00Z", raw="{}"),
    ]
    lake.write_rows(tmp_path, rows)
    (sql,) = queries(athena)
    with run_query(tmp_path, lake.glue_plan(), sql) as result:
        found = [tuple(str(cell).lower() for cell in row) for row in result.rows()]
    assert found == [("ended", sha256(b"\t{}\n").hexdigest(), sha256(b"{}").hexdigest())]


def test_many_ids_are_several_statements(endpoint: str, athena: Athena) -> None:
    """Each within what Athena takes (262,144 bytes)."""
    preset(endpoint, *[[]] * 10)
    ids = [f"{n:024}\u20ac\u20ac\u20ac\u20ac" for n in range(12_000)]
    list(table_evidence(athena, lake.glue_table(), ids, None))
    asked = queries(athena)
    assert all(len(sql.encode()) < MAX_LIST_BYTES * 1.2 for sql in asked)
    assert sum(sql.count("'0") for sql in asked) == 2 * len(ids)


def test_without_ids_the_whole_table_is_asked(endpoint: str, athena: Athena) -> None:
    """For more ids than statements are good for."""
    preset(endpoint, [], [])
    list(table_evidence(athena, lake.glue_table(), None, None))
    assert all("event_id IN" not in sql for sql in queries(athena))


def test_a_workgroup_that_refuses_is_a_sentence(athena: Athena) -> None:
    """Athena's own words are in it."""
    other = Athena(athena.client, athena.s3, "primary", "audit", "s3://no-such-bucket/")
    with pytest.raises(ReconcileError, match=r"The result s3://no-such-bucket/.* cannot be read: NoSuchBucket"):
        list(other.rows("SELECT 1"))


class Ended:
    """An Athena client whose queries end in a state; moto's all succeed."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.stopped: list[str] = []

    def start_query_execution(self, **_: Any) -> dict[str, str]:  # noqa: ANN401 - boto3's
        """Start."""
        return {"QueryExecutionId": "q1"}

    def get_query_execution(self, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3's
        """Say the next state."""
        return {
            "QueryExecution": {"Status": {"State": self.states.pop(0), "StateChangeReason": "Bytes scanned limit."}}
        }

    def stop_query_execution(self, **given: str) -> None:
        """Stop."""
        self.stopped.append(given["QueryExecutionId"])


def test_a_query_that_is_ended_is_told_with_athenas_reason() -> None:
    """It is waited for, and the cutoff is a likely reason."""
    waits: list[float] = []
    client = Ended("QUEUED", "RUNNING", "CANCELLED")
    with pytest.raises(ReconcileError, match=r"q1 as CANCELLED: Bytes scanned limit\. .*--since"):
        list(Athena(client, None, "w", "audit", None, waits.append).rows("SELECT 1"))
    assert len(waits) == 2


def test_ctrl_c_stops_the_query_in_athena() -> None:
    """Or it would go on to cost."""
    client = Ended("RUNNING")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(Athena(client, None, "w", "audit", None, interrupt).rows("SELECT 1"))
    assert client.stopped == ["q1"]


def test_a_string_cannot_leave_its_quotes() -> None:
    """Ids are whatever clients sent."""
    assert string("a'b") == "'a''b'"
