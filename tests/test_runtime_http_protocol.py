"""Requests as bytes: what is no HTTP, what could be read in two ways, what never ends."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditlake.runtime.http_protocol import FramingError, HttpProtocol, check_framing
from auditlake.runtime.plan import Plan
from auditlake.runtime.settings import Limits
from tests.http_servers import EVENT, Served, detail, read_all, serving, statuses

LENGTH = b"content-length: %d\r\n" % len(EVENT)
HEAD = b"POST /events HTTP/1.1\r\nhost: x.localhost\r\ncontent-type: application/json\r\n"
WHOLE = HEAD + LENGTH + b"\r\n" + EVENT
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
LIMITS = Limits(head_s=0.5, body_s=0.5, connections=20, discard_s=1)


@pytest.fixture(scope="module")
def served(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A runtime with short limits."""
    with serving(plan, tmp_path_factory.mktemp("data"), LIMITS) as served:
        yield served


AMBIGUOUS = {
    "two lengths": HEAD + LENGTH + b"content-length: 5\r\n\r\n" + EVENT,
    "two lengths that agree": HEAD + LENGTH + LENGTH + b"\r\n" + EVENT,
    "a list of lengths": HEAD + b"content-length: %d, %d\r\n\r\n" % (len(EVENT), len(EVENT)) + EVENT,
    "length and chunks": HEAD + LENGTH + b"transfer-encoding: chunked\r\n\r\n" + CHUNK + b"0\r\n\r\n",
    "chunks and length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n" + CHUNK + b"0\r\n\r\n",
    "a negative length": HEAD + b"content-length: -1\r\n\r\n" + EVENT,
    "a length with a plus": HEAD + b"content-length: +%d\r\n\r\n" % len(EVENT) + EVENT,
    "a length in hex": HEAD + b"content-length: 0x50\r\n\r\n" + EVENT,
    "a length beyond 64 bits": HEAD + b"content-length: 99999999999999999999\r\n\r\n" + EVENT,
    "an empty length": HEAD + b"content-length:\r\n\r\n" + EVENT,
    "an unknown encoding": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n" + CHUNK + b"0\r\n\r\n",
    "an encoding that ends in none": HEAD + b"transfer-encoding: chunked, identity\r\n\r\n" + CHUNK + b"0\r\n\r\n",
    "an encoding that looks like chunked": HEAD + b"transfer-encoding: xchunked\r\n\r\n" + CHUNK + b"0\r\n\r\n",
    "an encoding twice": HEAD
    + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n"
    + CHUNK
    + b"0\r\n\r\n",
    "a space before the colon": HEAD + LENGTH.replace(b":", b" :") + b"\r\n" + EVENT,
    "a folded header": HEAD + b"x-note: a\r\n b\r\n" + LENGTH + b"\r\n" + EVENT,
    "a folded length": HEAD + b"content-length:\r\n %d\r\n\r\n" % len(EVENT) + EVENT,
    "bare line feeds": WHOLE.replace(b"\r\n", b"\n"),
    "a bare line feed in a header": HEAD + b"x-note: a\nb: c\r\n" + LENGTH + b"\r\n" + EVENT,
    "a bare carriage return": HEAD + b"x-note: a\rb\r\n" + LENGTH + b"\r\n" + EVENT,
    "a NUL in a header": HEAD + b"x-note: a\0b\r\n" + LENGTH + b"\r\n" + EVENT,
    "no host": WHOLE.replace(b"host: x.localhost\r\n", b""),
    "two hosts": HEAD + b"host: y\r\n" + LENGTH + b"\r\n" + EVENT,
    "chunks in HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNK + b"0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-5\r\n" + EVENT + b"\r\n0\r\n\r\n",
    "a chunk in 0x": CHUNKED + b"0x50\r\n" + EVENT + b"\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"f" * 17 + b"\r\n" + EVENT,
    "a chunk longer than it says": CHUNKED + b"5\r\n" + EVENT + b"\r\n0\r\n\r\n",
    "a chunk that ends in a line feed": CHUNKED + CHUNK.replace(b"\r\n", b"\n") + b"0\r\n\r\n",
    "a line feed in a chunk's extension": CHUNKED + b"%x;a\nb\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT),
    "no method": b"/events\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "an unknown version": WHOLE.replace(b"HTTP/1.1", b"HTTP/9.9"),
}


@pytest.mark.parametrize("request_bytes", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_a_request_that_can_be_read_in_two_ways_is_refused(served: Served, request_bytes: bytes) -> None:
    """There is one answer, 400, then the end, though a whole good request follows; and nothing is stored."""
    before = served.accepted()
    received = served.talk(request_bytes + WHOLE, end=False)

    assert statuses(received) == [400], received
    assert "nothing was stored" in detail(received)
    assert served.accepted() == before


def test_a_smuggled_request_is_never_answered(served: Served) -> None:
    """What a reader by length would take for the body, and one by chunks for a second request, yields no event."""
    hidden = b"0\r\n\r\n" + WHOLE
    request = HEAD + b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n" % len(hidden) + hidden

    before = served.accepted()
    assert statuses(served.talk(request, end=False)) == [400]
    assert served.accepted() == before


def test_chunks_are_one_event_whatever_their_extensions(served: Served) -> None:
    """A body in chunks, one with an extension and with trailers after them, is one event with one answer (RFC 9112)."""
    half = len(EVENT) // 2
    chunks = b"%x;name=value\r\n%b\r\n%x\r\n%b\r\n0\r\nx-trailer: a\r\n\r\n" % (
        half,
        EVENT[:half],
        len(EVENT) - half,
        EVENT[half:],
    )
    before = served.accepted()
    assert statuses(served.talk(CHUNKED + chunks)) == [202]
    assert served.accepted() == before + 1


def test_a_good_request_before_a_broken_one_keeps_its_own_answer(served: Served) -> None:
    """Of three requests on a connection the first two are answered in order, then the third is refused."""
    before = served.accepted()
    assert statuses(served.talk(WHOLE + WHOLE + AMBIGUOUS["length and chunks"], end=False)) == [202, 202, 400]
    assert served.accepted() == before + 2


def test_requests_on_one_connection_are_answered_in_order(served: Served) -> None:
    """Twenty requests sent at once have twenty answers, each for its own."""
    wrong = WHOLE.replace(b"eventType", b"eventtype")
    received = served.talk(b"".join(WHOLE if number % 2 else wrong for number in range(20)))

    assert statuses(received) == [400, 202] * 10


@pytest.mark.parametrize(
    "part",
    [HEAD + LENGTH + b"\r\n" + EVENT[:10], CHUNKED + CHUNK, CHUNKED + CHUNK[:20], HEAD],
    ids=["length", "whole chunk", "part of a chunk", "head"],
)
def test_a_client_that_hangs_up_before_the_end_stores_nothing(served: Served, part: bytes) -> None:
    """Less than the length says, or chunks without an end, is no event, and has no answer that says 202."""
    before = served.accepted()
    assert 202 not in statuses(served.talk(part))
    assert statuses(served.talk(WHOLE)) == [202]
    assert served.accepted() == before + 1


def test_headers_that_never_end_are_answered_with_408(served: Served) -> None:
    """A connection does not stay open for who sends its headers one by one."""
    received = served.talk(HEAD, end=False)

    assert statuses(received) == [408]
    assert "within 0.5 s" in detail(received)


def test_a_body_that_never_comes_is_answered_with_408(served: Served) -> None:
    """Nor for who promises a body and does not send it; nothing is stored."""
    before = served.accepted()
    received = served.talk(HEAD + LENGTH + b"\r\n" + EVENT[:-1], end=False)

    assert statuses(received) == [408]
    assert "nothing was stored" in detail(received)
    assert served.accepted() == before


def test_a_connection_without_a_request_is_closed(served: Served) -> None:
    """Who connects and says nothing is hung up on, without an answer."""
    assert served.talk(b"", end=False) == b""


def test_headers_without_end_are_answered_with_431(served: Served) -> None:
    """Headers are read up to 64 KiB, whatever is still to come."""
    with served.connect() as connection:
        connection.sendall(HEAD)
        for _ in range(70):
            connection.sendall(b"x-note: " + b"a" * 1000 + b"\r\n")
        received = read_all(connection)
    assert statuses(received) == [431]
    assert "65536 bytes" in detail(received)


def test_connections_have_a_limit(served: Served) -> None:
    """One connection too many is told so with Retry-After; when one of the others ends, the next is served."""
    idle = [served.connect() for _ in range(LIMITS.connections)]
    try:
        for connection in idle:
            connection.sendall(WHOLE)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 202")
        received = served.talk(b"", end=False)
        assert statuses(received) == [503]
        assert b"retry-after: 1" in received
    finally:
        for connection in idle:
            connection.close()
    assert statuses(served.talk(WHOLE)) in ([202], [503]), "the server may not yet have seen the others go"


def test_an_answer_is_one_packet(served: Served) -> None:
    """Head and body of an answer come together, or a client would wake twice."""
    with served.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(WHOLE)
        received = connection.recv(65_536)
    body = received.partition(b"\r\n\r\n")[2]
    assert json.loads(body)["status"] == "accepted"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"1"), (b"content-length", b"1")],
        [(b"content-length", b"9" * 20)],
        [(b"content-length", "²".encode())],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"identity")],
        [(b"host", b"y")],
    ],
)
def test_the_framing_is_checked_whatever_the_parser_lets_through(headers: list[tuple[bytes, bytes]]) -> None:
    """The rules hold by themselves, should a later parser be more lenient."""
    check_framing([(b"host", b"x"), (b"content-length", b"1")], "1.1")
    with pytest.raises(FramingError):
        check_framing([(b"host", b"x"), *headers], "1.1")


def test_a_request_that_came_while_the_process_stood_still_is_answered(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that seems idle for too long only because nobody read what came over it is no idle one."""
    monkeypatch.setattr("auditlake.runtime.http_server.KEEP_ALIVE_S", 0.2)
    read, stopped, sent = HttpProtocol.data_received, threading.Event(), threading.Event()

    def stop(protocol: HttpProtocol, data: bytes) -> None:
        if data == b"stop":
            stopped.set()
            sent.wait(10)
            threading.Event().wait(0.4)  # the loop's own clock has to pass the limit
        else:
            read(protocol, data)

    monkeypatch.setattr(HttpProtocol, "data_received", stop)
    with serving(plan, tmp_path / "data") as served, served.connect() as connection, served.connect() as other:
        connection.sendall(WHOLE)
        assert statuses(connection.recv(65_536)) == [202]
        other.sendall(b"stop")
        assert stopped.wait(10)
        connection.sendall(WHOLE)
        sent.set()
        assert statuses(connection.recv(65_536)) == [202]
