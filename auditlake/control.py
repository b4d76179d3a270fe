"""Talks to a running runtime: its status, the flush of its buffers, and where an event is."""

from collections.abc import Mapping
from typing import Any

import httpx

from auditlake.bearer import bearer
from auditlake.errors import ControlError
from auditlake.loopback import is_loopback

DEFAULT_URL = "http://127.0.0.1:7070"
"""Where `auditlake up` listens unless told otherwise."""
FLUSH_TIMEOUT_S = 600
"""How long a flush may take: it transforms and stores all that waits."""
EXPLAIN_TIMEOUT_S = 300
"""How long the search for an event may take: it reads through all that waits and all objects."""


def get_status(url: str, token: str | None) -> dict[str, Any]:
    """Return the status of the runtime at `url`; raises ControlError."""
    return _call("GET", url, "status", token, 10)


def flush(url: str, token: str | None) -> dict[str, Any]:
    """Have the runtime at `url` deliver all that it accepted, and return what it stored; raises ControlError."""
    return _call("POST", url, "flush", token, FLUSH_TIMEOUT_S)


def get_explanation(url: str, token: str | None, event_id: str) -> dict[str, Any]:
    """Return where the runtime at `url` finds an event; raises ControlError."""
    return _call("GET", url, "explain", token, EXPLAIN_TIMEOUT_S, {"event_id": event_id})


def _call(
    method: str, url: str, name: str, token: str | None, timeout_s: float, parameters: Mapping[str, str] | None = None
) -> dict[str, Any]:
    headers = {"Authorization": bearer(token)} if token else {}
    try:
        response = httpx.request(
            method,
            f"{url.rstrip('/')}/_auditlake/{name}",
            headers=headers,
            params=parameters,
            timeout=timeout_s,
            trust_env=not is_loopback(url),  # a proxy cannot reach this machine's loopback
        )
        content = response.json()
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ControlError(f"{url} is not a URL of a runtime ({error}); it looks like {DEFAULT_URL}.") from None
    except httpx.HTTPError as error:
        raise ControlError(f"No runtime answers at {url} ({error}); start one with: auditlake up") from None
    except ValueError:
        raise ControlError(
            f"What answers at {url} is not a runtime of auditlake; give its address with --url."
        ) from None
    if response.status_code == httpx.codes.UNAUTHORIZED and token:
        raise ControlError(
            f"The runtime at {url} refuses the token that was given with --token or AUDITLAKE_TOKEN: it is wrong."
        )
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise ControlError(f"The runtime at {url} asks for a token: give it with --token or AUDITLAKE_TOKEN.")
    if response.is_error:
        raise ControlError(
            str(content.get("problem") or content.get("detail") or f"The runtime answered {response.status_code}.")
        )
    if not isinstance(content, dict):
        raise ControlError(f"What answers at {url} is not a runtime of auditlake; give its address with --url.")
    return content
