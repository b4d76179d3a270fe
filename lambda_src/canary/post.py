"""Posting the canary's event through the front door, signed as any client signs."""

import json
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.error import HTTPError, URLError

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

EVENT_TYPE = "auditlake.canary"
TIMEOUT_S = 30.0
"""API Gateway has given up before (F1, documented)."""


class PostError(Exception):
    """The event was not accepted; the message says why."""


def event_id(slot_s: int) -> str:
    """Return the id of the event of a slot (epoch seconds), the same in each run that asks."""
    return f"canary-{_time(slot_s)}"


def event(slot_s: int) -> bytes:
    """Return the event of a slot as JSON."""
    members = {
        "id": event_id(slot_s),
        "eventType": EVENT_TYPE,
        "timestamp": _time(slot_s),
        "actor": {"userId": "auditlake-canary", "role": "service"},
        "action": {"resource": "audit-log", "operation": "probe", "status": "success"},
        "metadata": {"source": "canary"},
    }
    return json.dumps(members).encode()


def post(url: str, region: str, credentials: Credentials, body: bytes) -> None:
    """POST an event; raises PostError for any answer but 202."""
    request = AWSRequest("POST", url, {"Content-Type": "application/json"}, body)
    SigV4Auth(credentials, "execute-api", region).add_auth(request)
    status, answer = _send(url, dict(request.headers.items()), body)
    if status != 202:
        raise PostError(f"POST {url} was answered {status}, not 202: {answer}")


def _send(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310  # the stack's own endpoint
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return answer.status, ""
    except HTTPError as error:
        with error:
            return error.code, error.read(1000).decode("utf-8", "replace")
    except (URLError, TimeoutError) as error:
        raise PostError(f"POST {url} was not answered: {error}") from None


def _time(slot_s: int) -> str:
    return datetime.fromtimestamp(slot_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
