"""Which URLs are of this machine: for them no proxy of the environment (HTTP_PROXY) is asked."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Return whether the host of a URL is this machine's own loopback; False for what is no URL."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
