"""Pages in a browser and a runtime that asks for no secret."""

import pytest

from auditlake.runtime.exchange import Request
from auditlake.runtime.same_origin import refusal


def refused(**headers: str) -> str | None:
    """Why a request with these headers is refused."""
    return refusal(Request("POST", "/events", "", {n.replace("_", "-"): v for n, v in headers.items()}, b"", ""))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:7070", "localhost", "localhost:7070", "audit.localhost", "[::1]:7070", "10.0.0.1:80"],
)
def test_a_program_on_this_machine_passes(host: str) -> None:
    """By address or localhost, without what only browsers send; also one that sends no Host."""
    assert refused(host=host) is None
    assert refused() is None


@pytest.mark.parametrize("host", ["evil.example:7070", "localhost.evil.example", "127.0.0.1.evil.example", "", "[x"])
def test_a_name_bound_anew_is_refused(host: str) -> None:
    """DNS rebinding keeps the page's name in Host."""
    assert "was called by the name" in str(refused(host=host, origin=f"http://{host}"))


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:7070", "file://", "http://[x", ""],
)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    """A page's own origin is told by the browser; also another port of this machine is another site."""
    assert "comes from a page of" in str(refused(host="127.0.0.1:7070", origin=origin))


def test_a_page_that_the_runtime_served_itself_passes() -> None:
    """The same origin is no stranger."""
    assert refused(host="127.0.0.1:7070", origin="http://127.0.0.1:7070", sec_fetch_site="same-origin") is None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_navigation_from_another_site_is_refused(site: str) -> None:
    """Requests without Origin, such as an image or a link, are known by Sec-Fetch-Site."""
    assert "page of another site" in str(refused(host="127.0.0.1:7070", sec_fetch_site=site))
    assert refused(host="127.0.0.1:7070", sec_fetch_site="none") is None
