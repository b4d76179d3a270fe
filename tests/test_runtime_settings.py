"""Where a runtime listens, and what it takes at most."""

import resource
from pathlib import Path

import pytest

from auditlake.runtime.settings import OWN_FILES, Limits, Settings, default_limits


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:7"), ("::1", "http://[::1]:7"), ("localhost", "http://localhost:7")],
)
def test_the_url_is_one_that_clients_take(host: str, url: str) -> None:
    """An IPv6 address stands in brackets."""
    assert Settings(Path("d"), host, 0, None).url(7) == url


@pytest.mark.parametrize(
    ("files", "connections"),
    [(1024, 1024 - OWN_FILES), (1_000_000, Limits.connections), (resource.RLIM_INFINITY, Limits.connections), (64, 16)],
)
def test_connections_leave_files_for_the_buffer(monkeypatch: pytest.MonkeyPatch, files: int, connections: int) -> None:
    """So many connections that no file could be opened any more are never taken."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert default_limits().connections == connections
