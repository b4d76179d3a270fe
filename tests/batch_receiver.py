"""A double of the endpoint `/events/batch`: a real HTTP server on loopback that answers as the receiver does."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What the next request meets instead of success.

    `status` 0 drops the connection: before reading the answer, or after the events were taken (`taken`). For 503,
    `again` are the indexes that the answer asks for again; None answers for the body as a whole.
    """

    status: int
    again: tuple[int, ...] | None = None
    retry_after: str | None = None
    taken: bool = False


@dataclass
class BatchReceiver:
    """What the double was sent and took; `limit_bytes` is the largest body after unpacking."""

    url: str
    limit_bytes: int = 6_000_000
    faults: list[Fault] = field(default_factory=list)
    requests: list[list[bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)


@contextmanager
def running_receiver() -> Iterator[BatchReceiver]:
    """Serve a receiver on a free port until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.receiver = BatchReceiver(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]  # for the handler
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.receiver  # type: ignore[attr-defined]  # set above
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        receiver: BatchReceiver = self.server.receiver  # type: ignore[attr-defined]  # set by running_receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.headers.append(dict(self.headers))
        if self.path != "/events/batch":
            return self._answer(404, {"title": "Not found", "detail": f"There is no {self.path}."})
        if self.headers["Content-Type"] != "application/x-ndjson":
            return self._answer(415, {"detail": "The content type must be application/x-ndjson."})
        text = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
        events = text.removesuffix(b"\n").split(b"\n")
        receiver.requests.append(events)
        fault = receiver.faults.pop(0) if receiver.faults else None
        if fault and fault.status == 0:
            if fault.taken:
                receiver.taken += events
            self.close_connection = True
            return None
        if fault and fault.again is None:
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            return self._answer(fault.status, {"detail": f"Fault {fault.status}."}, headers)
        if len(text) > receiver.limit_bytes:
            return self._answer(413, {"detail": f"The body has {len(text)} bytes, {receiver.limit_bytes} are allowed."})
        return self._take(receiver, events, fault)

    def _take(self, receiver: BatchReceiver, events: list[bytes], fault: Fault | None) -> None:
        again = fault.again if fault and fault.again else ()
        rejected = []
        accepted = 0
        for index, event in enumerate(events):
            reason = _refusal(event)
            if reason:
                rejected.append({"index": index, "id": None, "reason": reason})
            elif index not in again:
                receiver.taken.append(event)
                accepted += 1
        answer: dict[str, Any] = {"accepted": accepted, "rejected": rejected}
        if again:
            answer["retry"] = [{"index": index, "id": "any"} for index in again if not _refusal(events[index])]
        headers = {"Retry-After": fault.retry_after} if fault and fault.retry_after else {}
        self._answer(fault.status if fault and again else 202 if accepted else 400, answer, headers)

    def _answer(self, status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {
            **(headers or {}),
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""


def _refusal(event: bytes) -> str | None:
    """Say why the receiver refuses an event, by the rules for required fields."""
    try:
        document = json.loads(event)
    except ValueError:
        return "The event is not valid JSON."
    if not isinstance(document, dict):
        return "The event must be a JSON object."
    for name in ("eventType", "timestamp"):
        if not isinstance(document.get(name), str) or not document[name]:
            return f"{name}: expected a string."
    actor = document.get("actor")
    if not isinstance(actor, dict) or not isinstance(actor.get("userId"), str):
        return "actor.userId: expected a string."
    return None
