"""What is refused by the head alone, what is held in memory, and what a body that is large or packed costs others."""

import asyncio
import gzip
import json
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from auditlake.errors import StoreError
from auditlake.runtime.asgi import Asgi
from auditlake.runtime.exchange import Finish, Request, Response
from auditlake.runtime.plan import Plan
from auditlake.runtime.post import MAX_BODY_BYTES
from auditlake.runtime.settings import Limits
from tests.http_servers import EVENT, Served, detail, read_all, serving, statuses

JSON = b"host: x.localhost\r\ncontent-type: application/json\r\n"
BEARER = b"authorization: Bearer s3cret\r\n"


@pytest.fixture(scope="module")
def served(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A runtime that asks for a token, and holds no more than one large body."""
    limits = Limits(held_bytes=MAX_BODY_BYTES, discard_s=20)
    with serving(plan, tmp_path_factory.mktemp("data"), limits, token="s3cret") as served:  # noqa: S106 - a test's token
        yield served


REFUSED = {
    "no such path": (b"POST /nope HTTP/1.1\r\n" + BEARER, 403),
    "no such method": (b"PUT /events HTTP/1.1\r\n" + BEARER, 403),
    "no token": (b"POST /events HTTP/1.1\r\n", 403),
    "wrong token": (b"POST /events/batch HTTP/1.1\r\nauthorization: Bearer x\r\n", 403),
    "no token for the control": (b"POST /_auditlake/flush HTTP/1.1\r\n", 401),
    "no signature for the stream": (b"POST / HTTP/1.1\r\nx-amz-target: Firehose_20150804.PutRecord\r\n", 400),
    "too long by its own word": (b"POST /events HTTP/1.1\r\n" + BEARER, 413),
}


@pytest.mark.parametrize(("head", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_head_decides_is_answered_before_the_body(served: Served, head: bytes, status: int) -> None:
    """The answer is there while not one byte of the body is, and the connection then takes the body or its end."""
    length = MAX_BODY_BYTES + 1 if status == 413 else 1000
    with served.connect() as connection:
        connection.sendall(head + JSON + b"content-length: %d\r\n\r\n" % length)
        received = connection.recv(65_536)
        assert statuses(received) == [status], received
        assert b"connection: close" in received
        connection.sendall(b" " * length)
        assert read_all(connection) == b""


def test_who_waits_for_leave_to_send_is_told_at_once(served: Served) -> None:
    """With Expect: 100-continue a refused client never sends its body, a good one is told to go on."""
    expect = JSON + b"expect: 100-continue\r\ncontent-length: %d\r\n" % len(EVENT)
    assert statuses(served.talk(b"POST /events HTTP/1.1\r\n" + expect + b"\r\n", end=False)) == [403]
    with served.connect() as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\n" + BEARER + expect + b"\r\n")
        assert statuses(connection.recv(65_536)) == [100]
        connection.sendall(EVENT)
        assert statuses(connection.recv(65_536)) == [202]


def test_a_refused_request_that_is_whole_keeps_its_connection(served: Served) -> None:
    """A client with a wrong token need not connect anew for each try."""
    wrong = b"POST /events HTTP/1.1\r\n" + JSON + b"content-length: %d\r\n\r\n" % len(EVENT) + EVENT
    good = wrong.replace(JSON, JSON + BEARER)

    assert statuses(served.talk(wrong + wrong + good)) == [403, 403, 202]


@pytest.mark.parametrize("extra", [1, 3_000_000], ids=["a byte", "3 MB"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_body_over_the_limit_hears_why(served: Served, chunked: bool, extra: int) -> None:
    """Whoever sends more than 10 MB in one go reads 413, every time, rather than a reset."""
    body = b" " * (MAX_BODY_BYTES + extra)
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(body)
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    for _ in range(3):
        received = served.talk(b"POST /events HTTP/1.1\r\n" + BEARER + JSON + framing + b"\r\n\r\n", sent)
        assert statuses(received) == [413]
        assert received.endswith(b'{"message": "Request Too Long"}') or b"Request Too Long" in received


def test_bodies_in_memory_have_a_limit(served: Served) -> None:
    """While one body fills the room another is answered 503 with Retry-After; it is stored when sent again."""
    big = b" " * (MAX_BODY_BYTES - len(EVENT)) + EVENT
    head = b"POST /events HTTP/1.1\r\n" + BEARER + JSON
    small = head + b"content-length: %d\r\n\r\n" % len(EVENT) + EVENT
    with served.connect() as connection:
        connection.sendall(head + b"content-length: %d\r\n\r\n" % len(big) + big[:1000])
        # The server has seen the first once it answers another of the same connection's turn.
        for _ in range(200):
            received = served.talk(small)
            if statuses(received) == [503]:
                break
        assert statuses(received) == [503]
        assert b"retry-after: 1" in received
        assert "with the same id" in detail(received)
    for _ in range(200):
        if statuses(served.talk(small)) == [202]:
            return
    pytest.fail("the room of a request that has ended is not given back")


def test_a_small_body_that_unpacks_to_10_mb_holds_nobody_up(served: Served) -> None:
    """While such bodies are unpacked and read, other requests are answered between them."""
    event = b'{"a":[' + b"0," * (MAX_BODY_BYTES // 2 - 50) + b"0]}"
    packed = gzip.compress(event)
    assert len(packed) < 12_000
    headers = {"authorization": "Bearer s3cret", "content-type": "application/json", "content-encoding": "gzip"}
    answered: list[tuple[float, int]] = []

    def post() -> None:
        status = httpx.post(f"{served.url}/events", content=packed, headers=headers, timeout=60).status_code
        answered.append((time.monotonic(), status))

    thread = threading.Thread(target=post)
    thread.start()
    health: list[float] = []
    with httpx.Client() as client:
        while thread.is_alive():
            assert client.get(f"{served.url}/health").status_code == httpx.codes.OK
            health.append(time.monotonic())
    thread.join()

    ((at, status),) = answered
    assert status == httpx.codes.BAD_REQUEST
    assert sum(moment < at for moment in health) > 1, "answers came before the bomb's"


class Scripted:
    """A front that does what it is told to."""

    def __init__(self, finish: Finish) -> None:
        self.finish = finish

    def admit(self, head: Request) -> Response | Finish:  # noqa: ARG002 - the protocol of a front
        """Let everybody in."""
        return self.finish

    def too_large(self, head: Request) -> Response:  # noqa: ARG002 - the protocol of a front
        """Refuse."""
        return Response(413, b"")


def answered(finish: Finish, limits: Limits | None = None, *, cancel: bool = False) -> list[Mapping[str, Any]]:
    """What an application sends for one request."""
    sent: list[Mapping[str, Any]] = []
    app = Asgi(Scripted(finish), limits or Limits())

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    async def run() -> None:
        headers = [(b"content-length", b"1")]
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
        task = asyncio.create_task(app(scope, receive, send))
        await asyncio.sleep(0)
        if cancel:
            task.cancel()
        await task

    asyncio.run(run())
    return sent


def problem(sent: list[Mapping[str, Any]]) -> tuple[int, dict[bytes, bytes], str]:
    """The status, headers and sentence that were sent."""
    content: dict[str, Any] = json.loads(b"".join(message.get("body", b"") for message in sent[1:]))
    return int(sent[0]["status"]), dict(sent[0]["headers"]), str(content["detail"])


def test_a_store_that_fails_is_a_503_with_a_sentence() -> None:
    """What the disk refuses is never an error of the program: the client is told to come again."""

    async def finish(_: Request) -> Response:
        raise StoreError("The buffer could not be written: No space left on device.")

    status, headers, sentence = problem(answered(finish))
    assert (status, headers[b"retry-after"]) == (503, b"1")
    assert "No space left on device" in sentence


def test_a_request_that_a_stop_cuts_off_is_told_to_come_again() -> None:
    """Nobody is left without an answer, and it does not say what is not known."""

    async def finish(_: Request) -> Response:
        await asyncio.get_running_loop().create_future()
        return Response(202, b"")

    status, headers, sentence = problem(answered(finish, cancel=True))
    assert (status, headers[b"connection"]) == (503, b"close")
    assert "with the same id" in sentence


def test_requests_have_a_limit() -> None:
    """One request too many is told so."""

    async def finish(_: Request) -> Response:
        return Response(202, b"")

    assert answered(finish)[0]["status"] == 202
    status, headers, _ = problem(answered(finish, Limits(requests=0)))
    assert (status, headers[b"retry-after"]) == (503, b"1")


def test_a_header_cannot_be_split() -> None:
    """What a template takes from a request into a header never ends the header."""

    async def finish(_: Request) -> Response:
        return Response(200, b"", {"x-note": "a\r\nset-cookie: b\0é€"})

    headers = dict(answered(finish)[0]["headers"])
    assert headers[b"x-note"] == "a set-cookie: b é?".encode("latin-1")


def test_deflate_is_unpacked_too(served: Served) -> None:
    """The plan's compression takes deflate as well as gzip."""
    headers = {"authorization": "Bearer s3cret", "content-type": "application/json", "content-encoding": "deflate"}
    answer = httpx.post(f"{served.url}/events", content=zlib.compress(EVENT), headers=headers)
    assert answer.status_code == httpx.codes.ACCEPTED
