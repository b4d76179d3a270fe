"""The ASGI application before a front: reads bodies within limits, and refuses by the head what it can.

A request is looked at before its body is read, so that a client without a token or with the wrong path cannot have
megabytes read. A refused body is thrown away up to a limit, because a connection that closes on unread bytes is reset,
and the client then never sees its answer.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from auditlake.errors import StoreError
from auditlake.runtime.exchange import Front, OpenRequests, Request, Response, problem
from auditlake.runtime.post import MAX_BODY_BYTES
from auditlake.runtime.settings import Limits

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_LINE_END = re.compile(r"[\r\n\0]+")
"""What would end a header's value: a template can take one out of a request."""
_RETRY = {"retry-after": "1"}


class _HungUpError(Exception):
    """The client is gone before its request was whole: there is nobody to answer and nothing to store."""


class _RefusedError(Exception):
    """The request is refused; `is_whole` says that its body was read to its end all the same."""

    def __init__(self, response: Response, *, is_whole: bool = False) -> None:
        super().__init__(response.status)
        self.response = response
        self.is_whole = is_whole


class Asgi:
    """Serves one listener."""

    def __init__(self, front: Front, limits: Limits, open_requests: OpenRequests | None = None) -> None:
        """Serve `front` within `limits`; `open_requests` is told how many requests are being answered."""
        self._front = front
        self._limits = limits
        self._open = open_requests or OpenRequests()
        self._held_bytes = 0

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"The runtime serves HTTP, not {scope['type']}.")
        head = _head(scope)
        self._open.count += 1
        held = _Held(self, _declared_bytes(head) or 0)
        try:
            await _send(send, await self._answer(head, receive, held))
        except _HungUpError:
            return
        except _RefusedError as refused:
            await self._refuse(refused, head, receive, send)
        except asyncio.CancelledError:
            await _send(send, _stopped(), close=True)
        finally:
            self._open.count -= 1
            held.release()

    async def _answer(self, head: Request, receive: Receive, held: "_Held") -> Response:
        if self._open.count > self._limits.requests or not held.fits():
            raise _RefusedError(_busy())
        admitted = self._front.admit(head)
        declared = _declared_bytes(head)
        if isinstance(admitted, Response):
            if declared == 0:
                return admitted
            raise _RefusedError(admitted)
        body = b"" if declared == 0 else await self._body(head, receive, held)
        try:
            return await admitted(head.with_body(body))
        except StoreError as error:
            return problem(503, "Service Unavailable", str(error), _RETRY)

    async def _body(self, head: Request, receive: Receive, held: "_Held") -> bytes:
        """Read the body, never more of it than the API takes, so that it cannot fill the memory."""
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            part, more = await _part(receive)
            parts.append(part)
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise _RefusedError(self._front.too_large(head), is_whole=not more)
            held.grow(size)
            if not held.fits():
                raise _RefusedError(_busy(), is_whole=not more)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _refuse(self, refused: _RefusedError, head: Request, receive: Receive, send: Send) -> None:
        """Answer before the body is there, then throw it away, so that the answer is not lost with the connection."""
        if "expect" in head.headers:  # it waits for leave to send its body, and sends none now
            await _send(send, refused.response, close=True)
            return
        if refused.is_whole or await _is_whole(receive):
            await _send(send, refused.response)
            return
        await _send(send, refused.response, close=True, more=True)
        await self._discard(receive)
        await send({"type": "http.response.body", "body": b""})

    async def _discard(self, receive: Receive) -> None:
        size, more = 0, True
        try:
            async with asyncio.timeout(self._limits.discard_s):
                while more and size < self._limits.discarded_bytes:
                    part, more = await _part(receive)
                    size += len(part)
        except (TimeoutError, _HungUpError):
            return

    def hold(self, size: int) -> int:
        """Count `size` more bytes of bodies as held in memory, less when it is negative; return how many are."""
        self._held_bytes += size
        return self._held_bytes

    def is_full(self) -> bool:
        """Whether more bytes are held than may be."""
        return self._held_bytes > self._limits.held_bytes


class _Held:
    """The bytes that one request holds: at first what its head declares, then what came if that is more."""

    def __init__(self, server: Asgi, declared: int) -> None:
        self._server = server
        self._size = min(declared, MAX_BODY_BYTES)
        server.hold(self._size)

    def grow(self, size: int) -> None:
        """Hold at least `size` bytes."""
        if size > self._size:
            self._server.hold(size - self._size)
            self._size = size

    def fits(self) -> bool:
        """Whether there is room."""
        return not self._server.is_full()

    def release(self) -> None:
        """Hold nothing any more."""
        self._server.hold(-self._size)


def _head(scope: Mapping[str, Any]) -> Request:
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=b"",
        source_ip=client[0] if client else "",
        raw_path=scope.get("raw_path", b"").decode("latin-1"),
    )


def _declared_bytes(head: Request) -> int | None:
    """Return how long the body is by the head, None when its chunks will tell."""
    if "transfer-encoding" in head.headers:
        return None
    return int(head.headers.get("content-length") or 0)


async def _part(receive: Receive) -> tuple[bytes, bool]:
    """Return the next part of the body and whether more comes."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _HungUpError
    return message.get("body", b""), bool(message.get("more_body"))


async def _is_whole(receive: Receive) -> bool:
    """Whether the rest of the body is there already, without waiting for it."""
    more = True
    try:
        async with asyncio.timeout(0):
            while more:
                _, more = await _part(receive)
    except TimeoutError:
        return False
    return True


async def _send(send: Send, response: Response, *, close: bool = False, more: bool = False) -> None:
    """Send an answer; `close` says that the connection ends with it, `more` leaves it open for an empty last part."""
    headers = [
        (name.encode("latin-1"), _LINE_END.sub(" ", value).encode("latin-1", "replace"))
        for name, value in response.headers.items()
    ]
    headers.append((b"content-length", b"%d" % len(response.body)))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": more})


def _busy() -> Response:
    return problem(
        503,
        "Service Unavailable",
        "More requests are open than the runtime holds at once, and this one was not stored: send it again, with the "
        "same id, after the seconds that Retry-After says.",
        _RETRY,
    )


def _stopped() -> Response:
    return problem(
        503,
        "Service Unavailable",
        "The runtime stops, and whether the request was stored is not known: send it again, with the same id.",
        _RETRY,
    )
