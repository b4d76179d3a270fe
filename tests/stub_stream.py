"""A delivery stream's wire on a free port of loopback, whose answers a test chooses."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[int, list[bytes]], tuple[int, dict[str, Any]]]
"""Answers a PutRecordBatch by its number, from 0, and its records: status and body."""


def taken(_number: int, records: list[bytes]) -> tuple[int, dict[str, Any]]:
    """Take every record."""
    return 200, {"FailedPutCount": 0, "RequestResponses": [{"RecordId": f"r{n}"} for n in range(len(records))]}


def refused(code: str, status: int = 400) -> tuple[int, dict[str, Any]]:
    """Refuse the call."""
    return status, {"__type": code, "message": "no"}


@dataclass
class StubStream:
    """What was put, batch by batch, and how it was asked."""

    url: str = ""
    answer: Answer = taken
    batches: list[list[bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def records(self) -> list[bytes]:
        """Every record of every call."""
        return [record for batch in self.batches for record in batch]


@contextmanager
def stub_stream(name: str = "auditlake-events", buffer: str | None = None) -> Iterator[StubStream]:
    """Run a stream that a redrive takes for a runtime's, until the test is done; nobody may look at it."""
    stub = StubStream()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, {"stream": name, "buffer": buffer})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if "Records" not in body:
                self._send(*refused("AccessDeniedException"))
                return
            records = [base64.b64decode(record["Data"]) for record in body["Records"]]
            stub.batches.append(records)
            stub.headers.append({key.lower(): value for key, value in self.headers.items()})
            self._send(*stub.answer(len(stub.batches) - 1, records))

        def _send(self, status: int, content: dict[str, Any]) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stub.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()
