"""Talking to a running runtime."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from auditlake import control
from auditlake.errors import ControlError
from tests.conftest import Running, Up


def test_status_and_flush_of_a_running_runtime(running: Running) -> None:
    """The status is the stream's, and a flush of nothing stores nothing."""
    assert control.get_status(running.url, None)["stream"] == "auditlake-events"
    assert control.flush(running.url + "/", None) == {"objects": 0, "rows": 0, "failed": 0, "problem": None}


def test_a_proxy_is_not_asked_for_this_machine(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not reach this machine's loopback."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert control.get_status(running.url, None)["stream"] == "auditlake-events"


def test_a_runtime_with_a_token_is_told_apart_from_none(up: Up) -> None:
    """Without the token the sentence says how to give it; with it the runtime answers."""
    running = up("--token", "s3cret")
    with pytest.raises(ControlError, match="AUDITLAKE_TOKEN"):
        control.get_status(running.url, None)
    with pytest.raises(ControlError, match="refuses the token that was given"):
        control.flush(running.url, "wrong")

    assert control.get_status(running.url, "s3cret")["accepted"] == {"records": 0, "bytes": 0}


def test_no_answer_says_how_to_start_one() -> None:
    """A closed port gives the command that opens it."""
    with pytest.raises(ControlError, match="auditlake up"):
        control.get_status("http://127.0.0.1:1", None)


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://x:y"])
def test_a_url_that_is_none_is_named(url: str) -> None:
    """The sentence shows what a URL looks like."""
    with pytest.raises(ControlError, match=r"127\.0\.0\.1:7070"):
        control.get_status(url, None)


@pytest.fixture
def stranger() -> Iterator[str]:
    """A web server that is no runtime."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[1]" if "list" in self.path else b"<html>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["", "/list"])
def test_another_server_is_recognised(stranger: str, path: str) -> None:
    """What is no runtime is not taken for one."""
    with pytest.raises(ControlError, match="not a runtime"):
        control.get_status(stranger + path, None)
