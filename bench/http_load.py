"""A cheap HTTP/1.1 load: so many connections, each with one request open, the requests rendered before.

It runs in a process of its own and reads of an answer its status and its length, because it shares the cores with what
it measures. Every event gets an id of its own, so that all that was accepted can be found by it.
"""

import asyncio
import itertools
import multiprocessing
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Load:
    """What to send: to which URL, over how many connections, for how many seconds."""

    url: str
    headers: dict[str, str]
    connections: int
    seconds: float
    body: Callable[[], bytes]
    """Makes the next body."""
    expected: int
    """The status of every answer; another ends the load."""


@dataclass
class Answered:
    """What came back: requests by status, the seconds and the processor's seconds it took, an answer that was not due.

    `slowest_ms` is the slowest answer, `median_ms` the one in the middle of every 16th.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    median_ms: float = 0.0
    slowest_ms: float = 0.0
    problem: str = ""


def run(load: Load) -> Answered:
    """Put a load on a server from a process of its own, which ends with it."""
    parent, child = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_process, args=(load, child))
    process.start()
    child.close()
    try:
        answered: Answered = parent.recv()
    except EOFError:
        sys.exit("The load generator ended without a result.")
    finally:
        parent.close()
        process.join()
    return answered


def _process(load: Load, pipe: Connection) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pipe.send(runner.run(_load(load)))
    pipe.close()


async def _load(load: Load) -> Answered:
    answered = Answered()
    times: list[float] = []
    loop = asyncio.get_running_loop()
    address = urlsplit(load.url)
    lines = [f"POST {address.path} HTTP/1.1", f"host: {address.netloc}"]
    lines += [f"{name}: {value}" for name, value in load.headers.items()]
    head = ("\r\n".join(lines) + "\r\ncontent-length: ").encode()
    done: asyncio.Queue[None] = asyncio.Queue()
    started = time.perf_counter()
    cpu_started = time.process_time()
    end = started + load.seconds

    def make() -> "_Connection":
        return _Connection(load, head, answered, times, end, done)

    for _ in range(load.connections):
        await loop.create_connection(make, str(address.hostname), address.port or 80)
    for _ in range(load.connections):
        await done.get()
    answered.seconds = time.perf_counter() - started
    answered.cpu_seconds = time.process_time() - cpu_started
    times.sort()
    answered.median_ms = times[len(times) // 2] * 1000 if times else 0.0
    answered.slowest_ms = times[-1] * 1000 if times else 0.0
    return answered


class _Connection(asyncio.Protocol):
    """One connection, which sends its next request when its last one is answered, and opens again when it is closed."""

    def __init__(
        self, load: Load, head: bytes, answered: Answered, times: list[float], end: float, done: "asyncio.Queue[None]"
    ) -> None:
        self._load, self._head, self._answered = load, head, answered
        self._times, self._end, self._done = times, end, done
        self._received = b""
        self._sent_at = 0.0
        self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")  # noqa: S101 - uvloop's is no subclass
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._open = True
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        if self._sent_at >= self._end or self._answered.problem:
            self._finish()
            return
        body = self._load.body()
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))

    def _finish(self) -> None:
        if not self._finished:
            self._finished = True
            self._transport.close()
            self._done.put_nowait(None)

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        head_end = received.find(_HEAD_END)
        if head_end < 0:
            return
        length = _LENGTH.search(received, 0, head_end)
        if length is None:
            self._fail(f"An answer has no Content-Length: {received[:200]!r}")
        elif len(received) >= head_end + 4 + int(length[1]):
            self._received = b""
            self._answer(received, head_end)

    def _answer(self, received: bytes, head_end: int) -> None:
        status = int(received[9:12])
        self._answered.statuses[status] += 1
        self._times.append(time.perf_counter() - self._sent_at)
        if status != self._load.expected:
            self._fail(f"{status} came instead of {self._load.expected}: {received[head_end + 4 :][:300]!r}")
        elif _CLOSES.search(received, 0, head_end) is None:
            self._send()
        else:
            self._open = False
            self._transport.close()

    def _fail(self, problem: str) -> None:
        self._answered.problem = problem
        self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._finished:
            return
        if self._open:
            self._fail(f"The server closed a connection with a request open: {exc}")
            return
        loop = asyncio.get_running_loop()
        address = urlsplit(self._load.url)
        self._again = loop.create_task(loop.create_connection(lambda: self, str(address.hostname), address.port or 80))


def numbered(template: bytes, first: int, count: int = 1) -> Callable[[], bytes]:
    """Return what makes bodies of a template with `count` places `%020d`, filled with the numbers from `first` on."""
    numbers = itertools.count(first)
    if count == 1:
        return lambda: template % next(numbers)
    return lambda: template % tuple(itertools.islice(numbers, count))


def cpu_seconds(pid: int) -> float:
    """Return the processor's seconds of a process and of all below it (Linux)."""
    ticks = os.sysconf("SC_CLK_TCK")
    return sum(sum(map(int, _stat(one)[11:13])) for one in _tree(pid)) / ticks


def _stat(pid: int) -> list[str]:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123 - read often, it must be cheap
        return file.read().rpartition(")")[2].split()


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - the same
        with open(f"/proc/{pid}/task/{task}/children", encoding="utf-8") as file:  # noqa: PTH123 - the same
            children = file.read().split()
        for child in children:
            yield from _tree(int(child))
