"""Which URLs are of this machine."""

import pytest

from auditlake.loopback import is_loopback


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:7070", True),
        ("http://127.8.0.1", True),
        ("http://localhost:1/x", True),
        ("http://[::1]:7070/", True),
        ("https://abc.execute-api.eu-west-1.amazonaws.com/v1", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.org", False),
        ("http://[bad", False),
        ("", False),
    ],
)
def test_loopback_is_told_by_the_host(url: str, loopback: bool) -> None:
    """A name that only looks like it is not this machine's."""
    assert is_loopback(url) is loopback
