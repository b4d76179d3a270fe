"""The entry point of the transform."""

import base64
import gc
import importlib
import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import simplejson

from lambda_src.common.settings import SettingsError

NAME = "lambda_src.transform.handler"
ENVIRONMENT = {
    "AUDIT_TYPES": "login",
    "EVENT_DAYS_BACK": "7",
    "EVENT_DAYS_AHEAD": "1",
    "POWERTOOLS_SERVICE_NAME": "transform",
    "POWERTOOLS_METRICS_NAMESPACE": "auditlake",
}
EVENT = b'{"eventType":"%s","timestamp":"2026-01-31T09:00:00Z","actor":{"userId":"secret"}}'


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import the handler as a fresh Lambda does."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    sys.modules.pop(NAME, None)
    yield importlib.import_module(NAME)
    sys.modules.pop(NAME, None)
    gc.unfreeze()
    gc.enable()  # a start that ended early has left it off


def invocation(*events: bytes) -> dict[str, Any]:
    """Make an invocation by Firehose (B1)."""
    records = [
        {
            "recordId": f"r-{number}",
            "approximateArrivalTimestamp": 1_769_851_800_000,
            "data": base64.b64encode(event).decode(),
        }
        for number, event in enumerate(events)
    ]
    return {"invocationId": "i-1", "deliveryStreamArn": "arn", "region": "eu-central-1", "records": records}


def test_answer_is_not_encoded_again(handler: ModuleType) -> None:
    """Where Lambda's runtime client has loaded simplejson, its encoder passes the answer's text through as it is."""
    answer = handler.handle(invocation(EVENT % b"login"), None)

    assert isinstance(answer, simplejson.RawJSON)
    encoder = simplejson.JSONEncoder(use_decimal=False, ensure_ascii=False, allow_nan=True)
    assert encoder.encode(answer) == answer.encoded_json
    assert json.loads(answer.encoded_json)["records"][0]["result"] == "Ok"


def test_answer_without_simplejson(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other caller gets the same answer as a plain object."""
    raw = handler.handle(invocation(EVENT % b"login"), None)
    monkeypatch.delitem(sys.modules, "simplejson")

    assert handler.handle(invocation(EVENT % b"login"), None) == json.loads(raw.encoded_json)


def test_logs_and_metrics(handler: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """A failed record is logged with id and reason, what was seen is counted, and nothing of an event is printed."""
    handler.logger.handlers[0].setStream(sys.stdout)
    late = (EVENT % b"new").replace(b"2026", b"2020")[:-1] + b',"entityId":5}'
    handler.handle(invocation(EVENT % b"login", late, b"{secret"), None)
    printed = capsys.readouterr().out
    log, metrics = (json.loads(line) for line in printed.splitlines())

    assert (log["level"], log["record_id"], log["invocation_id"]) == ("ERROR", "r-2", "i-1")
    assert log["message"].startswith("Event 0 of the record is refused: The event is not valid JSON")
    names = ("Events", "EventsWithProblems", "LateEvents", "OtherTypeEvents", "FailedRecords")
    assert [metrics[name] for name in names] == [[2.0], [1.0], [1.0], [1.0], [1.0]]
    assert "secret" not in printed


def test_wrong_settings_stop_the_start(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its settings the function does not start, and the error names the variable."""
    monkeypatch.delenv("AUDIT_TYPES")

    with pytest.raises(SettingsError, match="AUDIT_TYPES"):
        importlib.reload(handler)


def test_no_boto3() -> None:
    """The transform never imports boto3, which would take longer than all the rest of its start."""
    import subprocess

    script = f"import sys, {NAME}; sys.exit('boto3' in sys.modules or 'botocore.session' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, check=False).returncode == 0
