"""Talks to a running runtime: its status, and the flush of its buffers."""

from typing import Any

import httpx

from auditlake.errors import ControlError

DEFAULT_URL = "http://127.0.0.1:7070"
"""Where `auditlake up` listens unless told otherwise."""
FLUSH_TIMEOUT_S = 600
"""How long a flush may take: it transforms and stores all that waits."""


def get_status(url: str, token: str | None) -> dict[str, Any]:
    """Return the status of the runtime at `url`; raises ControlError."""
    return _call("GET", url, "status", token, 10)


def flush(url: str, token: str | None) -> dict[str, Any]:
    """Have the runtime at `url` deliver all that it accepted, and return what it stored; raises ControlError."""
    return _call("POST", url, "flush", token, FLUSH_TIMEOUT_S)


def _call(method: str, url: str, name: str, token: str | None, timeout_s: float) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        response = httpx.request(method, f"{url.rstrip('/')}/_auditlake/{name}", headers=headers, timeout=timeout_s)
        content = response.json()
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ControlError(f"{url} is not a URL of a runtime ({error}); it looks like {DEFAULT_URL}.") from None
    except httpx.HTTPError as error:
        raise ControlError(f"No runtime answers at {url} ({error}); start one with: auditlake up") from None
    except ValueError:
        raise ControlError(
            f"What answers at {url} is not a runtime of auditlake; give its address with --url."
        ) from None
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise ControlError(f"The runtime at {url} asks for a token: give it with --token or AUDITLAKE_TOKEN.")
    if response.is_error:
        raise ControlError(
            str(content.get("problem") or content.get("detail") or f"The runtime answered {response.status_code}.")
        )
    if not isinstance(content, dict):
        raise ControlError(f"What answers at {url} is not a runtime of auditlake; give its address with --url.")
    return content
