"""A stand-in for Firehose: a real HTTP server on loopback that speaks PutRecordBatch and misbehaves as it is told."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from lambda_src.common import envelope


@dataclass(frozen=True)
class Call:
    """How the next call goes: which of its records are taken, and what the caller hears of it.

    `failing` are the places of records that are not taken. `hear`: the answer; an `error` of this status and code;
    `nothing`, the connection ends; `garbage`, 200 with no JSON; `short`, an answer with an entry too few; `silence`, no
    answer before the stand-in ends; `drip`, an answer a byte at a time that never ends.
    """

    failing: frozenset[int] = frozenset()
    code: str = "ServiceUnavailableException"
    hear: Literal["answer", "error", "nothing", "garbage", "short", "silence", "drip"] = "answer"
    status: int = 503


@dataclass
class StandIn:
    """What the stand-in took, and what it is to do; without a script it takes everything."""

    url: str
    script: list[Call] = field(default_factory=list)
    calls: list[list[bytes]] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    told: list[bytes] = field(default_factory=list)
    """Of what was taken, that of which the caller was told so."""
    ended: threading.Event = field(default_factory=threading.Event)
    connections: list[socket.socket] = field(default_factory=list)


def events(records: list[bytes]) -> set[tuple[str, bytes]]:
    """Return the events in the envelopes of records, by id and bytes."""
    found = [envelope.decode(line) for record in records for line in record.split(b"\n")]
    return {(one.event_id, one.body) for one in found}


@contextmanager
def running_stand_in() -> Iterator[StandIn]:
    """Serve a stand-in on a free port until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = False  # joined at the end, so that no socket is left open
    stand_in = StandIn(f"http://127.0.0.1:{server.server_port}")
    server.stand_in = stand_in  # type: ignore[attr-defined]  # for the handler
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.ended.set()
        server.shutdown()
        thread.join()
        for connection in stand_in.connections:
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        """Keep the connection, to end it with the stand-in."""
        super().setup()
        self.server.stand_in.connections.append(self.connection)  # type: ignore[attr-defined]  # set by running_stand_in

    def do_POST(self) -> None:
        stand_in: StandIn = self.server.stand_in  # type: ignore[attr-defined]  # set by running_stand_in
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        records = [base64.b64decode(record["Data"], validate=True) for record in request["Records"]]
        stand_in.calls.append(records)
        call = stand_in.script.pop(0) if stand_in.script else Call()
        if call.hear == "error":
            return self._answer(call.status, json.dumps({"__type": call.code, "message": "no"}).encode())
        entries: list[dict[str, Any]] = []
        for place, record in enumerate(records):
            if place in call.failing:
                entries.append({"ErrorCode": call.code, "ErrorMessage": "Slow down."})
            else:
                stand_in.taken.append(record)
                entries.append({"RecordId": f"record-{len(stand_in.taken)}"})
        return self._tell(stand_in, call, records, entries)

    def _tell(self, stand_in: StandIn, call: Call, records: list[bytes], entries: list[dict[str, Any]]) -> None:
        if call.hear in ("nothing", "silence", "drip"):
            self.close_connection = True
        if call.hear == "silence":
            stand_in.ended.wait()
        elif call.hear == "drip":
            self._drip(stand_in)
        elif call.hear == "garbage":
            self._answer(200, b"<html>Hello from a proxy.</html>")
        elif call.hear != "nothing":
            told = entries[:-1] if call.hear == "short" else entries
            failed = sum("ErrorCode" in entry for entry in told)
            self._answer(200, json.dumps({"FailedPutCount": failed, "RequestResponses": told}).encode())
            if call.hear == "answer":
                stand_in.told += [record for record, entry in zip(records, told, strict=True) if "RecordId" in entry]

    def _drip(self, stand_in: StandIn) -> None:
        with suppress(OSError):  # the caller gave up
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not stand_in.ended.wait(0.02):
                self.wfile.write(b" ")

    def _answer(self, status: int, body: bytes) -> None:
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""
