"""The entry point of the canary, between the runtime's front door and moto's Athena."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import boto3
import httpx
import pytest

from lambda_src.common.settings import SettingsError
from tests.conftest import Running
from tests.moto_server import moto_server

NAME = "lambda_src.canary.handler"
NOW = 1_774_951_333.7
"""2026-03-31 10:02:13 UTC, in the slot of 10:00."""


Told = Callable[[], tuple[dict[str, float], list[str]]]


class Context:
    """What Lambda passes: a function with two minutes left."""

    def get_remaining_time_in_millis(self) -> int:
        """Say how long the function may still run."""
        return 120_000


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Serve moto on a free port of loopback, with the canary's workgroup."""
    with moto_server() as url:
        yield url


@pytest.fixture
def handler(endpoint: str, running: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import the handler as a fresh Lambda does."""
    environment = {
        "ENDPOINT": running.url,
        "INTERVAL_S": "900",
        "WORKGROUP": "canary",
        "DATABASE": "audit",
        "TABLE": "events",
        "AUDIT_TYPE": "other",
        "POWERTOOLS_SERVICE_NAME": "canary",
        "POWERTOOLS_METRICS_NAMESPACE": "auditlake",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("athena")
    if not any(group["Name"] == "canary" for group in client.list_work_groups()["WorkGroups"]):
        client.create_work_group(Name="canary")
    client.close()
    sys.modules.pop(NAME, None)
    module = importlib.import_module(NAME)
    yield module
    module.athena.close()
    sys.modules.pop(NAME, None)


def preset(endpoint: str, count: int) -> None:
    """Have moto answer the next query with this count."""
    rows = [{"Data": [{"VarCharValue": cell}]} for cell in ("_col0", str(count))]
    answer = httpx.post(
        f"{endpoint}/moto-api/static/athena/query-results", json={"results": [{"rows": rows, "column_info": []}]}
    )
    answer.raise_for_status()


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Told:
    """What the handler counts and logs."""

    def read() -> tuple[dict[str, float], list[str]]:
        printed = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
        metrics = {name: one[name][0] for one in printed for name in ("CanaryPosted", "CanaryFound")}
        return metrics, [record.getMessage() for record in caplog.records if record.name == "canary"]

    return read


def test_what_is_posted_and_found_counts_as_1(handler: ModuleType, endpoint: str, running: Running, told: Told) -> None:
    """The event of this interval is in the table, and that of two intervals ago was asked for."""
    preset(endpoint, 1)
    handler.handle({}, Context(), lambda: NOW)
    metrics, messages = told()
    assert metrics == {"CanaryPosted": 1.0, "CanaryFound": 1.0}
    assert messages == []
    running.flush()
    found = json.loads(running.auditlake("query", "SELECT event_id FROM events", "--json").stdout)
    assert {"event_id": "canary-2026-03-31T10:00:00Z"} in found
    client = boto3.client("athena")
    asked = client.list_query_executions(WorkGroup="canary")["QueryExecutionIds"]
    queries = [client.get_query_execution(QueryExecutionId=one)["QueryExecution"]["Query"] for one in asked]
    client.close()
    assert any("canary-2026-03-31T09:30:00Z" in query for query in queries)


def test_an_absent_event_counts_as_0(handler: ModuleType, endpoint: str, told: Told) -> None:
    """An event that Athena does not find is counted as 0 and told in the log."""
    preset(endpoint, 0)
    handler.handle({}, Context(), lambda: NOW)
    metrics, messages = told()
    assert metrics == {"CanaryPosted": 1.0, "CanaryFound": 0.0}
    assert messages == ["The canary's event is not in the table."]


def test_a_closed_door_does_not_keep_it_from_looking(
    handler: ModuleType, endpoint: str, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    """An event that is not accepted is counted as 0 with its reason, and the earlier one is still looked for."""
    preset(endpoint, 1)
    monkeypatch.setattr(handler, "ENDPOINT", "http://127.0.0.1:9")
    handler.handle({}, Context(), lambda: NOW)
    metrics, messages = told()
    assert metrics == {"CanaryPosted": 0.0, "CanaryFound": 1.0}
    assert messages == ["The canary's event was not accepted."]


def test_an_athena_that_refuses_counts_as_0(handler: ModuleType, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    """A workgroup that is gone is an error in the log, not of the function, whose alarm would tell less."""
    table = handler.Table("gone", "audit", "events", "other")
    monkeypatch.setattr(handler, "TABLE", table)
    handler.handle({}, Context(), lambda: NOW)
    metrics, messages = told()
    assert metrics == {"CanaryPosted": 1.0, "CanaryFound": 0.0}
    assert messages == ["Athena did not say whether the canary's event is there."]


def test_a_missing_setting_is_named(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function without its table does not start, and says which variable it lacks."""
    monkeypatch.delenv("TABLE")
    with pytest.raises(SettingsError, match="TABLE is not set"):
        importlib.reload(handler)
