"""The canary's POST, against the runtime that looks at signatures as API Gateway does."""

import json

import pytest
from botocore.credentials import Credentials

from lambda_src.canary.post import PostError, event, event_id, post
from tests.conftest import Running, Up

SLOT_S = 1_774_951_200
KEYS = """[canary]
aws_access_key_id = AKIACANARY
aws_secret_access_key = of-the-canary
principal_arn = arn:aws:iam::123456789012:role/auditlake-canary
"""


@pytest.fixture(scope="module")
def guarded(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A runtime that asks for signatures of one key."""
    credentials = tmp_path_factory.mktemp("keys") / "credentials"
    credentials.write_text(KEYS)
    return up("--auth", "plan", "--credentials", str(credentials))


def test_the_event_is_one_of_ours() -> None:
    """The event has what the API demands, and an id by which a later run finds it."""
    members = json.loads(event(SLOT_S))
    assert members["id"] == event_id(SLOT_S) == "canary-2026-03-31T10:00:00Z"
    assert members["eventType"] == "auditlake.canary"
    assert members["timestamp"] == "2026-03-31T10:00:00Z"
    assert members["actor"]["userId"] == "auditlake-canary"


def test_a_signed_event_is_accepted_and_found(guarded: Running) -> None:
    """Signed with its key the event goes in by the front door, and SQL finds it."""
    post(f"{guarded.url}/events", "us-east-1", Credentials("AKIACANARY", "of-the-canary"), event(SLOT_S))
    guarded.flush()
    found = guarded.auditlake(
        "query", f"SELECT count(*) AS n FROM events WHERE event_id = '{event_id(SLOT_S)}'", "--json"
    )
    assert json.loads(found.stdout) == [{"n": 1}]


@pytest.mark.parametrize(
    ("secret", "body", "said"),
    [("wrong", event(0), "403"), ("of-the-canary", b"{}", "400")],
    ids=["signature", "event"],
)
def test_a_refusal_is_an_error_with_its_answer(guarded: Running, secret: str, body: bytes, said: str) -> None:
    """Any answer but 202 is an error that says what was answered."""
    with pytest.raises(PostError, match=f"was answered {said}, not 202: "):
        post(f"{guarded.url}/events", "us-east-1", Credentials("AKIACANARY", secret), body)


def test_nobody_there_is_an_error() -> None:
    """An endpoint that cannot be reached is an error of the same kind."""
    with pytest.raises(PostError, match="was not answered: "):
        post("http://127.0.0.1:9/events", "us-east-1", Credentials("a", "b"), event(0))
