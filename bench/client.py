"""What recording an event costs a service, beside a bare append and sync of the same bytes.

    python bench/client.py

All in one run, by turns, since the disk's own pace changes: a bare write and fdatasync of the line that an event takes
in the spool; `record` by one thread and by 16, synced; `record` with durability="os". A sender is at work all the
time and POSTs to an endpoint in another process, as in a service. Trust the ratios more than the microseconds; on a
machine that others use, the processor time of the calling thread is what a call itself costs.
Exits with 1 when a target is missed.
"""

import argparse
import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rich.console import Console
from rich.table import Table

from auditlake.client import AuditClient

THREADS = 16
EVENT = {
    "event_type": "invoice.pay",
    "actor": {"userId": "user-4711", "role": "clerk"},
    "action": {"resource": "invoice", "operation": "pay", "status": "success"},
    "entity_type": "invoice",
    "entity_id": "inv-20261124-0815",
    "request_id": "0b6f2f5e-5a0c-4b8e-9f0a-6f1f0a4d7c11",
    "context": {"ipAddress": "203.0.113.7", "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0"},
    "details": {"changeType": "update", "changes": [{"field": "status", "oldValue": "open", "newValue": "paid"}]},
    "metadata": {"source": "shop", "region": "eu-central-1"},
}
MAX_RATIO, MAX_SYNCS, MAX_OS_US = 1.5, 1.0, 20.0


class _Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Accept every event."""
        events = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"]))).count(b"\n")
        body = b'{"accepted": %d, "rejected": []}' % events
        self.send_response(202)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def serve() -> None:
    """Run the endpoint and print its URL; in a process of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


class Syncs:
    """Counts the syncs that calls of record make; those of the sender's thread are not counted."""

    def __init__(self) -> None:
        self.count = 0
        self.client: AuditClient | None = None
        self._sync = os.fdatasync

    def __call__(self, fd: int) -> None:
        """Sync, and count it."""
        if self.client is not None and threading.get_ident() != self.client.sender_thread:
            self.count += 1
        self._sync(fd)


@dataclass(frozen=True)
class Cost:
    """Microseconds a call: by the clock, and of the processor for the calling thread."""

    wall: float
    cpu: float = 0.0


@contextmanager
def cost(calls: int) -> Iterator[list[Cost]]:
    """Measure what `calls` calls in the block cost; the list holds it afterwards."""
    found: list[Cost] = []
    began, cpu_began = time.perf_counter(), time.thread_time()
    yield found
    wall, cpu = time.perf_counter() - began, time.thread_time() - cpu_began
    found.append(Cost(wall / calls * 1e6, cpu / calls * 1e6))


def bare(directory: Path, line: bytes, calls: int) -> Cost:
    """Append and sync a line `calls` times."""
    fd = os.open(directory / f"bare-{time.time_ns()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with cost(calls) as found:
        for _ in range(calls):
            os.write(fd, line)
            os.fdatasync(fd)
    os.close(fd)
    return found[0]


def recorded(client: AuditClient, calls: int) -> Cost:
    """Record `calls` events."""
    with cost(calls) as found:
        for _ in range(calls):
            client.record(**EVENT)  # type: ignore[arg-type]  # the arguments are those of record
    return found[0]


def recorded_by_threads(client: AuditClient, calls: int) -> Cost:
    """Record `calls` events by 16 threads; the time by the clock is that of all together, shared out."""
    each = calls // THREADS
    with cost(each * THREADS) as found, ThreadPoolExecutor(THREADS) as pool:
        costs = list(pool.map(lambda _: recorded(client, each), range(THREADS)))
    return Cost(found[0].wall, statistics.mean(one.cpu for one in costs))


def line_of(directory: Path, url: str) -> bytes:
    """Return the bytes that the event takes in a spool."""
    with AuditClient(url, directory / "line", linger_s=60, durability="os") as client:
        client.record(**EVENT)  # type: ignore[arg-type]  # as above
        (segment,) = client.spool.glob("*.events")
        return segment.read_bytes()


def measure(directory: Path, url: str, line: bytes, rounds: int, calls: int) -> tuple[dict[str, Cost], float]:
    """Return the medians of the rounds, and the syncs a call of 16 threads."""
    syncs = Syncs()
    os.fdatasync = syncs  # type: ignore[assignment]  # the spool's files are numbers
    figures: dict[str, list[Cost]] = {"bare": [], "sync": [], "threads": [], "os": []}
    with (
        AuditClient(url, directory / "sync") as synced,
        AuditClient(url, directory / "os", durability="os") as unsynced,
    ):
        syncs.client = synced
        steps: dict[str, Callable[[], Cost]] = {
            "bare": lambda: bare(directory, line, calls),
            "sync": lambda: recorded(synced, calls),
            "threads": lambda: recorded_by_threads(synced, calls * 4),
            "os": lambda: recorded(unsynced, calls * 20),
        }
        by_threads = 0
        for _ in range(rounds):
            for name, step in steps.items():
                before = syncs.count
                figures[name].append(step())
                by_threads += syncs.count - before if name == "threads" else 0
                synced.flush(60)
                unsynced.flush(60)
    medians = {
        name: Cost(statistics.median(one.wall for one in costs), statistics.median(one.cpu for one in costs))
        for name, costs in figures.items()
    }
    return medians, by_threads / (rounds * (calls * 4 // THREADS * THREADS))


def table_of(found: dict[str, Cost], syncs: float, line: bytes) -> tuple[Table, bool]:
    """Return the table, and whether every target is met."""
    ratio = found["sync"].wall / found["bare"].wall
    table = Table("what", "us a call", "us of processor", "measure", "target", title=f"A line of {len(line)} bytes")
    rows = (
        ("bare append + fdatasync, 1 thread", "bare", "", ""),
        ("record, sync, 1 thread", "sync", f"{ratio:.2f} x bare", f"<= {MAX_RATIO} x"),
        (f"record, sync, {THREADS} threads", "threads", f"{syncs:.2f} syncs a call", f"< {MAX_SYNCS:.0f}"),
        ("record, os, 1 thread", "os", f"{found['os'].wall:.1f} us", f"<= {MAX_OS_US:.0f} us"),
    )
    for what, name, measured, target in rows:
        table.add_row(what, f"{found[name].wall:.1f}", f"{found[name].cpu:.1f}", measured, target)
    return table, ratio <= MAX_RATIO and syncs < MAX_SYNCS and found["os"].wall <= MAX_OS_US


def main() -> int:
    """Print the table; return 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=500, help="synced calls a round by one thread")
    parser.add_argument("--directory", help="where to write; the disk is what is measured")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
    with (
        subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as endpoint,
        tempfile.TemporaryDirectory(dir=options.directory) as directory,
    ):
        assert endpoint.stdout is not None  # noqa: S101 - it is a pipe
        url = endpoint.stdout.readline().strip()
        line = line_of(Path(directory), url)
        found, syncs = measure(Path(directory), url, line, options.rounds, options.calls)
        endpoint.kill()
    table, met = table_of(found, syncs, line)
    Console(width=120).print(table)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
