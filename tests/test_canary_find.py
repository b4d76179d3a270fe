"""The canary's query: what it says, what is made of Athena's answers."""

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.stub import Stubber

from lambda_src.canary.find import Clock, FindError, Table, is_found, query
from lambda_src.canary.post import event
from tests.conftest import Running
from tests.moto_server import moto_server

TABLE = Table("audit", "audit", "events", "other")
SLOT_S = 1_774_951_200


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Serve moto on a free port of loopback."""
    with moto_server() as url:
        yield url


@pytest.fixture
def athena(endpoint: str) -> Iterator[Any]:
    """A client of moto's Athena."""
    client = boto3.client(
        "athena",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # moto takes any
    )
    if not any(group["Name"] == TABLE.workgroup for group in client.list_work_groups()["WorkGroups"]):
        client.create_work_group(Name=TABLE.workgroup)
    yield client
    client.close()


def clock(*remaining_s: float) -> tuple[Clock, list[float]]:
    """Return a clock with so much time left at each look, and the waits that were asked for."""
    waits: list[float] = []
    left = iter(remaining_s)
    return Clock(lambda: next(left), waits.append), waits


@pytest.mark.parametrize(("count", "found"), [("1", True), ("2", True), ("0", False)], ids=["once", "twice", "absent"])
def test_the_count_decides(athena: Any, endpoint: str, count: str, found: bool) -> None:  # noqa: ANN401  # boto3's
    """An event that is there, even twice, is found; one that is not, is not."""
    rows = [{"Data": [{"VarCharValue": "_col0"}]}, {"Data": [{"VarCharValue": count}]}]
    preset = {"account_id": "123456789012", "region": "us-east-1", "results": [{"rows": rows, "column_info": []}]}
    httpx.post(f"{endpoint}/moto-api/static/athena/query-results", json=preset).raise_for_status()
    assert is_found(athena, TABLE, SLOT_S, clock()[0]) is found


def test_it_waits_for_a_query_that_runs_and_not_for_ever(athena: Any) -> None:  # noqa: ANN401  # boto3's
    """A running query is asked about again while there is time, and given up with a sentence when there is none."""
    running = {"QueryExecution": {"Status": {"State": "RUNNING"}}}
    asked = {"QueryExecutionId": "q-1"}
    with Stubber(athena) as stub:
        stub.add_response("start_query_execution", asked)
        stub.add_response("get_query_execution", running, asked)
        stub.add_response("get_query_execution", running, asked)
        ticking, waits = clock(60, 3)
        with pytest.raises(FindError, match="The query q-1 did not end in time"):
            is_found(athena, TABLE, SLOT_S, ticking)
        stub.assert_no_pending_responses()
    assert waits == [2.0]


def test_a_query_that_fails_says_why(athena: Any) -> None:  # noqa: ANN401  # boto3's
    """Athena's own reason is in the error."""
    failed = {"QueryExecution": {"Status": {"State": "FAILED", "StateChangeReason": "Access Denied"}}}
    with Stubber(athena) as stub:
        stub.add_response("start_query_execution", {"QueryExecutionId": "q-1"})
        stub.add_response("get_query_execution", failed)
        with pytest.raises(FindError, match="q-1 is FAILED: Access Denied"):
            is_found(athena, TABLE, SLOT_S, clock()[0])


def test_the_query_finds_the_event_in_its_one_partition(running: Running) -> None:
    """The SQL finds what was posted, where Terraform says that the canary's type falls."""
    slot_s = int(time.time()) // 900 * 900  # an event of long ago would lie under the day of its receipt
    answer = httpx.post(f"{running.url}/events", content=event(slot_s), headers={"content-type": "application/json"})
    assert answer.status_code == 202
    running.flush()
    counts = [json.loads(running.auditlake("query", query(TABLE, s), "--json").stdout) for s in (slot_s, slot_s - 900)]
    assert [list(rows[0].values()) for rows in counts] == [[1], [0]]
