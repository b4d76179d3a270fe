"""HTTP/1.1 on one connection: uvicorn's protocol, with limits for a request's head and strict framing (RFC 9112).

Two readers of one connection that disagree where a request ends can be made to take one for two (request smuggling);
so what can be read in two ways is refused and the connection closed. An earlier request on the connection still gets
its own answer first: it must not take the refusal of a later one for its own.
"""

import asyncio
import json
from collections import deque
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from auditlake.runtime.settings import Limits

LAST_LOOK_S = 0.05
"""How long what has come is read before a limit of time holds: a loop whose process was stopped (SIGSTOP, a suspended
machine) runs its timers first, and would refuse what waits for it."""
LINGER_S = 1.0
"""How long a refused connection is read to nowhere, so that the answer is not lost to a reset."""
_TITLES = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class FramingError(Exception):
    """A head that is not to be trusted; the message is a sentence."""


class _Gathering:
    """A transport that sends what is written in one turn of the loop at once: an answer's head with its body.

    One packet instead of two spares both sides a system call, and the client a turn with half an answer.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what was written."""
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._transport.write(data)


class HttpProtocol(HttpToolsProtocol):
    """One connection; `limits` is set by `with_limits`."""

    limits = Limits()

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = False
        self._running: Any = None
        self._last_words: tuple[int, str] | None = None
        self._refused = False
        self._ends_after_answer = False
        self._framing: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin; a connection too many is told so and closed."""
        self._gathering = _Gathering(transport, self.loop)
        super().connection_made(self._gathering)  # type: ignore[arg-type]  # it does as a transport does
        if len(self.connections) > self.limits.connections:
            self._refuse(503, "More connections are open than the runtime takes: come again in a second.")
            return
        self._wait(self.limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the head of a request may be no longer than its limit, and the rest is waited for so long."""
        if self._refused or self._last_words is not None:
            return
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.head_bytes:
                self._refuse(431, f"The request line and headers are longer than {self.limits.head_bytes} bytes.")
            elif self._timer is None:
                self._wait(self.limits.head_s)
        elif self._timer is None and self._awaits_body():
            self._wait(self.limits.body_s)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Look at the head; raising ends the connection with 400."""
        self._in_head = False
        self._stop_waiting()
        try:
            check_framing(self.headers, self.parser.get_http_version())
        except FramingError as error:
            self._framing = str(error)
            raise
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Have the request whole."""
        self._stop_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; `msg` is uvicorn's."""
        self._refuse(400, self._framing or f"{msg.removesuffix('.')}: it does not keep to RFC 9112.")

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's: true keeps the connection open
        """Hear that the client sends no more: what it sent whole is still answered, so that it learns its fate."""
        self._drop_unfinished()
        self._gathering.flush()  # the loop closes the connection when this returns, not by way of what gathers
        self._ends_after_answer = self._is_answering()
        return self._ends_after_answer

    def on_response_complete(self) -> None:
        """Go on with the next request, or with what waited for this answer: a refusal, or the end."""
        super().on_response_complete()
        if self._is_answering():
            return
        if self._last_words is not None:
            self._write_refusal(*self._last_words)
        elif self._ends_after_answer:
            self.transport.close()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # noqa: ANN401 - uvicorn's own
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless the next request is there."""
        self.timeout_keep_alive_task = self.loop.call_later(LAST_LOOK_S, super().timeout_keep_alive_handler)

    def _wait(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._look_once_more)

    def _look_once_more(self) -> None:
        self._timer = self.loop.call_later(LAST_LOOK_S, self._is_late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _awaits_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete

    def _is_late(self) -> None:
        self._timer = None
        if self._refused or self.transport.is_closing():
            return
        if self._in_head:
            self._refuse(408, f"The headers were not there within {self.limits.head_s:g} s.")
        elif self._awaits_body():
            self._refuse(408, f"The body was not there within {self.limits.body_s:g} s.")
        elif self.cycle is None:
            self.transport.close()  # nothing came at all

    def _refuse(self, status: int, sentence: str) -> None:
        """End the connection, once the requests before are answered; a request whose body is not there is dropped."""
        if not self._drop_unfinished():
            self.transport.close()  # it has its answer already, and its body was being thrown away
        elif self._is_answering():
            self._last_words = (status, sentence)
        else:
            self._write_refusal(status, sentence)

    def _drop_unfinished(self) -> bool:
        """Drop the request whose body is not there; False when its answer has begun already."""
        if not self._awaits_body():
            return True
        if self.cycle.response_started:
            return False
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        self.pipeline = deque(one for one in self.pipeline if one[0] is not self.cycle)
        return True

    def _is_answering(self) -> bool:
        """Whether a request that came whole waits for its answer."""
        running = self._running
        return bool(self.pipeline) or not (running is None or running.response_complete or running.disconnected)

    def _write_refusal(self, status: int, sentence: str) -> None:
        self._refused = True
        self._stop_waiting()
        if self.transport.is_closing():
            return
        self.transport.write(_refusal(status, sentence))
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)


def _refusal(status: int, sentence: str) -> bytes:
    title = _TITLES[status]
    detail = f"{sentence.removesuffix('.')}; nothing was stored."
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}).encode()
    lines = [f"HTTP/1.1 {status} {title}", "content-type: application/problem+json", f"content-length: {len(body)}"]
    lines += ["connection: close", *(["retry-after: 1"] if status == 503 else []), "", ""]
    return "\r\n".join(lines).encode() + body


def with_limits(limits: Limits) -> type[HttpProtocol]:
    """Return the protocol with its limits, as uvicorn makes one for each connection."""
    return type("HttpProtocol", (HttpProtocol,), {"limits": limits})


def check_framing(headers: list[tuple[bytes, bytes]], version: str) -> None:
    """Raise FramingError where a head leaves room for doubt where the request ends, or whom it is for.

    What llhttp refuses by itself (two lengths, a length that is no number, bare line feeds, folded lines) is not
    looked at again.
    """
    lengths = [value for name, value in headers if name == b"content-length"]
    encodings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    hosts = sum(name == b"host" for name, _ in headers)
    if lengths and encodings:
        raise FramingError("The request has both Content-Length and Transfer-Encoding: send one of them.")
    if len(lengths) > 1 or not all(value.isdigit() and len(value) < 20 for value in lengths):
        raise FramingError("The Content-Length is not one number.")
    if encodings and encodings != [b"chunked"]:
        raise FramingError("The Transfer-Encoding is not chunked, once: no other is taken.")
    if encodings and version != "1.1":
        raise FramingError("HTTP/1.0 has no Transfer-Encoding: send a Content-Length.")
    if hosts > 1 or (version == "1.1" and hosts == 0):
        raise FramingError("The request has no Host, or more than one.")
