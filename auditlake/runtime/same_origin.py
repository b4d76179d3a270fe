"""Keeps pages in a browser from calling a runtime that asks for no secret.

A page of any site can have the browser POST to 127.0.0.1: it cannot read the answer, but the event would be stored. A
page whose name was bound anew to 127.0.0.1 (DNS rebinding) could even read. Neither can hide: the browser says in
Origin and Sec-Fetch-Site where the page is from, and in Host by which name it found the runtime. Where a secret is
asked for, a page does not have it, and nothing is checked.
"""

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from auditlake.runtime.exchange import Request


def refusal(request: Request) -> str | None:
    """Return why a request without a secret is refused, as a sentence, or None.

    A program that is no browser sends neither Origin nor Sec-Fetch-Site, and a Host that is an address or localhost.
    """
    host = request.headers.get("host")
    if host is not None and not _is_local(host):
        return (
            f"The runtime was called by the name {host}; as long as it asks for no authentication it answers to "
            "localhost and to addresses only. Use http://127.0.0.1, or start it with --auth token or --auth plan."
        )
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        return (
            f"The request comes from a page of {origin}; as long as the runtime asks for no authentication it takes "
            "none from pages of other sites. Start it with --auth token or --auth plan."
        )
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return (
            "The request comes from a page of another site; as long as the runtime asks for no authentication it takes "
            "none. Start it with --auth token or --auth plan."
        )
    return None


@lru_cache(maxsize=64)
def _is_local(host: str) -> bool:
    """Whether a Host header is an address, which no name server can bind anew, or localhost."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
