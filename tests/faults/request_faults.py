"""What befalls the input: broken bodies, wrong lengths, slow clients, smuggled requests, and events that come again."""

import contextlib
import gzip
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from tests.faults.events import Sent
from tests.faults.server import Server, load, running, settled
from tests.faults.trial import Outcome, Trial

GOOD = b'{"id":"bad","eventType":"login","timestamp":"2026-11-24T07:00:00Z","actor":{"userId":"x"},"metadata":%s}'
BROKEN: dict[str, bytes] = {
    "empty": b"",
    "a space": b" ",
    "cut short": GOOD[:40],
    "NaN": GOOD % b'{"a":NaN}',
    "infinite": GOOD % b'{"a":1e999}',
    "lone surrogate": GOOD % b'{"a":"\\ud800"}',
    "invalid UTF-8": GOOD % b'{"a":"\xff\xfe"}',
    "byte order mark": b"\xef\xbb\xbf" + GOOD % b"{}",
    "UTF-16": (GOOD % b"{}").decode().encode("utf-16"),
    "nested 100,000 deep": GOOD % (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "duplicate keys": GOOD[:-1] % b"{}" + b',"id":"bad2","eventType":"logout"}',
    "5,000 digits": GOOD % (b'{"a":' + b"9" * 5_000 + b"}"),
    "an array": b"[1,2,3]",
    "a string": b'"event"',
    "null": b"null",
    "unknown fields and wrong types": b'{"id":7,"eventType":["login"],"timestamp":1,"actor":"x","new":{"of":"2050"}}',
    "an envelope of the future": b'{"auditlake":99,"eventId":"bad","body":"e30="}',
    "line ends and escapes in values": GOOD % b'{"a":"\\r\\n\\u0000\\u001b[31m\\u2028"}',
    "raw NUL": GOOD % b'{"a":"\x00"}',
    "raw newline in a string": GOOD % b'{"a":"line\nend"}',
}
LIMIT_BYTES = 10 * 1024 * 1024


def broken_bodies(trial: Trial) -> Outcome:
    """POST what is no event, alone and in a batch among events: no 5xx, and it costs no other event."""
    # What is taken of a broken body is kept, by its own id or one that was made for it.
    data, sent = trial.directory() / "data", Sent(strangers_allowed=True)
    with running(data) as server:

        def once(name: str) -> Outcome:
            alone = server.client.post("/events", content=BROKEN[name], headers={"content-type": "application/json"})
            load(server, sent, singles=1, batch=0)
            with_others = [sent.make(), ("broken", BROKEN[name]), sent.make()]
            status = server.post_batch(sent, with_others)
            statuses = {alone.status_code, status}
            problems = [f"{name} was answered with {one}" for one in statuses if not 200 <= one < 500]
            return Outcome(injected=2, problems=tuple(problems))

        outcome = trial.each(trial.sample(list(BROKEN), 8), once)
        server.deliver()
        server.stop()
    sent.acknowledged.discard("broken")
    return settled(data, sent, outcome.injected).with_problems(*outcome.problems)


def body_sizes(trial: Trial) -> Outcome:
    """POST bodies of no byte, one byte, the limit, and one more, and bombs of gzip."""
    data, sent = trial.directory() / "data", Sent()
    bombs = [gzip.compress(bytes(LIMIT_BYTES * 20)), gzip.compress(b'{"a":' * 3_000_000), gzip.compress(b"x")[:-4]]
    sizes = [0, 1, LIMIT_BYTES - 1, LIMIT_BYTES, LIMIT_BYTES + 1, LIMIT_BYTES * 2]
    with running(data) as server:
        load(server, sent)
        answers = []
        for path in ("/events", "/events/batch"):
            answers += [_status(server, path, b"x" * size, {}) for size in sizes]
            answers += [_status(server, path, bomb, {"content-encoding": "gzip"}) for bomb in bombs]
        load(server, sent)
        peak = _peak_bytes(server.pid)
        server.stop()
    wrong = [f"a body was answered with {one}" for one in answers if not 400 <= one < 500]
    wrong += [f"the memory reached {peak:,} bytes"] if peak > 800 * 1024 * 1024 else []
    return settled(data, sent, len(answers)).with_problems(*wrong)


def _status(server: Server, path: str, body: bytes, headers: dict[str, str]) -> int:
    answer = server.client.post(path, content=body, headers={"content-type": "application/json", **headers})
    return answer.status_code


def _peak_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:  # noqa: PTH123 - no path of ours
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def largest_events(trial: Trial) -> Outcome:
    """POST events of the largest size one after the other."""
    data, sent = trial.directory() / "data", Sent()
    count = 500 if trial.whole else 10
    with running(data) as server:
        for number in range(count):
            server.post(sent, *sent.make(padding=700_000))
            trial.step(number, count)
        load(server, sent)
        problem = server.deliver()
        server.stop()
    return settled(data, sent, count).with_problems(*([problem] if problem else []))


def _raw(server: Server, content: bytes, seconds: float = 3, half_close: bool = False) -> bytes:
    """Send bytes to a runtime as they are, and return what it answers within some seconds."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=seconds) as connection:
        connection.sendall(content)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        with contextlib.suppress(TimeoutError, ConnectionError):
            while part := connection.recv(65_536):
                parts.append(part)
        return b"".join(parts)


def _request(headers: str, body: bytes, path: str = "/events") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n".encode() + body


def wrong_lengths(trial: Trial) -> Outcome:
    """Send bodies shorter and longer than they say, chunks without an end, and hang up in the middle of a body."""
    _, event = Sent("short").make()
    long, short = len(event) + 100, len(event) - 10
    shapes: list[tuple[bytes, bool]] = [
        (_request(f"Content-Length: {long}\r\n", event), True),
        (_request(f"Content-Length: {long}\r\n", event), False),
        (_request(f"Content-Length: {short}\r\n", event), True),
        (_request("Content-Length: -1\r\n", event), True),
        (_request("Content-Length: 1e3\r\n", event), True),
        (_request("Transfer-Encoding: chunked\r\n", b"%x\r\n%b" % (len(event), event)), True),
        (_request("Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n" % (len(event), event)), True),
        (_request("Transfer-Encoding: chunked\r\n", b"zz\r\n%b\r\n0\r\n\r\n" % event), True),
        (_request("Transfer-Encoding: chunked\r\n", b"ffffffffffffffff\r\n%b" % event), True),
        (_request("", b""), True),
    ]
    return _raw_shapes(trial, shapes)


def smuggled_requests(trial: Trial) -> Outcome:
    """Send the shapes by which a proxy and a server are made to disagree where a request ends.

    None of them may make an event that was inside of another request's body.
    """
    _, event = Sent("smuggled").make()
    inner = _request(f"Content-Length: {len(event)}\r\n", event)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event)
    both = "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"
    shapes = [
        (_request(both, b"0\r\n\r\nX" + inner), True),
        (_request(f"Content-Length: {len(chunked)}\r\nTransfer-Encoding: xchunked\r\n", chunked), True),
        (_request(f"Content-Length: 0\r\nContent-Length: {len(inner)}\r\n", inner), True),
        (_request(f"Content-Length: {len(event)}, 0\r\n", event), True),
        (_request(f"Transfer-Encoding : chunked\r\nContent-Length: {len(event)}\r\n", event), True),
        (_request("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunked), True),
        (_request(f"X: y\r\n Content-Length: {len(inner)}\r\n", inner), True),
        (_request(f"X: y\nContent-Length: {len(event)}\r\n", event), True),
        (b"POST /events HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 2\r\n\r\n{}", True),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", True),
        (b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n", True),
    ]
    return _raw_shapes(trial, shapes)


def _raw_shapes(trial: Trial, shapes: Sequence[tuple[bytes, bool]]) -> Outcome:
    """Send each shape between events of a good client; the answers are no 5xx."""
    data, sent = trial.directory() / "data", Sent(strangers_allowed=True)
    with running(data) as server:

        def once(shape: tuple[bytes, bool]) -> Outcome:
            load(server, sent, singles=1, batch=0)
            answer = _raw(server, shape[0], seconds=1, half_close=shape[1])
            load(server, sent, singles=1, batch=0)
            lines = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 5")]
            return Outcome(injected=1, problems=tuple(f"{shape[0][:120]!r}: {line!r}" for line in lines))

        outcome = trial.each(trial.sample(shapes, 6), once)
        server.stop()
    return settled(data, sent, outcome.injected).with_problems(*outcome.problems)


def slow_clients(trial: Trial) -> Outcome:
    """Clients that send a byte now and then, or nothing, keep their connections while others POST."""
    data, sent = trial.directory() / "data", Sent()
    count = 200 if trial.whole else 40
    with running(data) as server, contextlib.ExitStack() as stack:
        address = urlsplit(server.url)
        slow = [
            stack.enter_context(socket.create_connection((address.hostname or "", address.port or 0)))
            for _ in range(count)
        ]
        for number, connection in enumerate(slow):
            connection.sendall(_request("Content-Length: 500\r\n", b'{"id":')[: 20 + number % 100])
        begun = time.monotonic()
        statuses = load(server, sent, singles=10)
        took = time.monotonic() - begun
        for connection in slow:
            with contextlib.suppress(OSError):
                connection.sendall(b"x")
        statuses += load(server, sent, singles=10)
        stack.pop_all().close()
        statuses += load(server, sent)
        server.stop()
    wrong = [f"a request beside slow clients was answered with {one}" for one in statuses if one != 202]
    wrong += [f"requests beside slow clients took {took:.0f} s"] if took > 25 else []
    return settled(data, sent, count).with_problems(*wrong)


def repeated_events(trial: Trial) -> Outcome:
    """POST the same events again and again, from many clients at once, and one id with other bytes.

    Each copy is kept: what is the same and what is in conflict is told when it is asked for.
    """
    data, sent = trial.directory() / "data", Sent()
    events = [sent.make() for _ in range(5)]
    times = 40 if trial.whole else 8
    with running(data) as server, ThreadPoolExecutor(8) as clients:
        posting = [clients.submit(server.post, sent, *event) for event in events for _ in range(times)]
        posting.append(clients.submit(server.post_batch, sent, [event for event in events for _ in range(3)]))
        for one in posting:
            one.result()
        other = events[0][1].replace(b"maria.lopez", b"li.wei")
        conflicting = server.client.post("/events", content=other, headers={"content-type": "application/json"})
        problem = server.deliver()
        server.stop()
    problems = [problem] if problem else []
    problems += [] if conflicting.status_code == 202 else [f"an id with other bytes: {conflicting.status_code}"]
    sent.others[events[0][0]] = other
    return settled(data, sent, len(posting) + 1).with_problems(*problems)
