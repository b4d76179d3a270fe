"""How many events a second are accepted durably over HTTP, beside moto server's Firehose under the same load.

    python bench/accept.py [--seconds 5] [--data DIRECTORY]

A runtime on a real disk takes POST /events over 1, 16 and 64 connections and POST /events/batch with 100 and 1,000
events a request; each 202 follows a sync of the disk, which requests share. The load generator has the same cores, and
what is accepted is transformed meanwhile, as in earnest: the table says how much of it. At the end everything is
flushed and counted in the table by its id: what was acknowledged must be there. Prints one table; exit code 1 when an
answer was not the one due, or an event is lost or there twice. Needs Linux.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import boto3
import httpx
import pybase64
from http_load import Answered, Load, cpu_seconds, numbered, run
from rich.console import Console
from rich.table import Table

from auditlake.runtime.plan import Plan
from auditlake.runtime.plan_reader import load_plan
from auditlake.runtime.query import run_query
from auditlake.runtime.server import serve
from auditlake.runtime.settings import Settings
from auditlake.sample import sample_events

SINGLE = (1, 16, 64)
"""Connections of the rows with one event a request."""
BATCHES = (100, 1_000)
"""Events a request of the rows with batches."""
BATCH_CONNECTIONS = 4
SYNCS = 200
"""How many bare appends with a sync are timed."""
APART = 10**12
"""How far apart the first numbers of two loads are, so that no id comes twice."""
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")


@dataclass(frozen=True)
class Row:
    """What a load of one kind did: the answers, and the server's processor seconds meanwhile."""

    name: str
    connections: int
    events: int
    answered: Answered
    server_cpu_s: float
    accepted: int
    """Events acknowledged, those of the warm-up too."""
    waiting: int | None
    """Events that the transform had not answered for at the end; None where there is no transform."""

    @property
    def requests_s(self) -> float:
        """Requests a second."""
        return sum(self.answered.statuses.values()) / self.answered.seconds


def bench_plan() -> Plan:
    """Return the plan of the defaults without a throttle of its stage."""
    plan = load_plan()
    return replace(plan, api=replace(plan.api, throttle=None, method_throttles={}))


def template() -> bytes:
    """Return an event of the samples' mean size as a template of bytes, its id a place for a number."""
    events = sample_events(200, 1, datetime.now(UTC))
    sized = sorted((json.dumps(event, ensure_ascii=False).encode() for event in events), key=len)
    event = json.loads(sized[len(sized) // 2])
    event["id"] = "NUMBER"
    return json.dumps(event, ensure_ascii=False).encode().replace(b"%", b"%%").replace(b"NUMBER", b"%020d")


@contextmanager
def server(command: list[str], log: Path, found: str) -> Iterator[tuple[str, int]]:
    """Run a server whose output goes to a file, where its URL stands after `found`; gives its URL and process id."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        while found not in (text := log.read_text(encoding="utf-8")):
            if process.poll() is not None:
                sys.exit(f"accept.py: {command[1:3]} did not start: {text[-2000:]}")
            time.sleep(0.05)
        yield text.partition(found)[2].split()[0], process.pid
    finally:
        process.terminate()
        process.wait(timeout=120)


def measure(url: str, pid: int, seconds: float) -> list[Row]:
    """Put every load on a runtime, each on an empty buffer; the first fifth of the time is to warm up."""
    event = template()
    kinds = [("POST /events", "/events", connections, 1) for connections in SINGLE]
    kinds += [("POST /events/batch", "/events/batch", BATCH_CONNECTIONS, events) for events in BATCHES]
    rows = []
    for place, (name, path, connections, events) in enumerate(kinds):
        body = event if events == 1 else b"[" + b",".join([event] * events) + b"]"
        warm_up, load = (
            Load(
                url + path,
                {"content-type": "application/json"},
                connections,
                length,
                numbered(body, first, events),
                202,
            )
            for length, first in ((seconds / 5, 2 * place * APART), (seconds, (2 * place + 1) * APART))
        )
        before_all = run(warm_up)
        before = cpu_seconds(pid)
        answered = run(load)
        spent = cpu_seconds(pid) - before
        accepted = (before_all.statuses[202] + answered.statuses[202]) * events
        waiting = int(httpx.get(f"{url}/_auditlake/status", timeout=60).json()["waiting"]["records"])
        flush(url)
        rows.append(Row(name, connections, events, answered, spent, accepted, waiting))
    return rows


def flush(url: str) -> None:
    """Have the runtime deliver all that it accepted."""
    flushed = httpx.post(f"{url}/_auditlake/flush", timeout=1200).json()
    if flushed["problem"] is not None:
        sys.exit(f"accept.py: {flushed['problem']}")


def found(data: Path) -> tuple[int, int]:
    """Count the rows in the table and the ids among them."""
    with run_query(data, bench_plan(), "SELECT count(*), count(DISTINCT event_id) FROM events") as result:
        ((rows, ids),) = result.rows()
    return int(rows), int(ids)


def measure_moto(seconds: float) -> list[Row]:
    """Put one record a request into a delivery stream of moto server."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with tempfile.TemporaryDirectory() as logs, server(command, Path(logs, "log"), " * Running on ") as (url, pid):
        stream = bench_plan().stream.name
        moto_stream(url, stream)
        data = pybase64.b64encode(template() % 1).decode()
        body = json.dumps({"DeliveryStreamName": stream, "Record": {"Data": data}}).encode()
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "Firehose_20150804.PutRecord",
            "authorization": "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/firehose/aws4_request",
        }
        rows = []
        for connections in SINGLE:
            load = Load(f"{url}/", headers, connections, seconds, lambda: body, 200)
            run(replace(load, seconds=seconds / 5))
            before = cpu_seconds(pid)
            answered = run(load)
            spent = cpu_seconds(pid) - before
            rows.append(Row("moto PutRecord", connections, 1, answered, spent, 0, None))
    return rows


def moto_stream(url: str, name: str) -> None:
    """Make a delivery stream into a bucket of moto."""
    session = boto3.Session("a", "a", region_name="us-east-1")
    session.client("s3", endpoint_url=url).create_bucket(Bucket="events")
    destination = {"RoleARN": "arn:aws:iam::123456789012:role/r", "BucketARN": "arn:aws:s3:::events"}
    session.client("firehose", endpoint_url=url).create_delivery_stream(
        DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination
    )


def sync_rate(directory: Path) -> float:
    """Return how many appends of 600 bytes a second one thread syncs to the disk."""
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        started = time.perf_counter()
        for _ in range(SYNCS):
            file.write(b"x" * 600)
            os.fdatasync(file.fileno())
        return SYNCS / (time.perf_counter() - started)


def file_system(directory: Path) -> str:
    """Return the kind of file system that a directory is on."""
    best = ("", "")
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        mounted, kind = line.split()[1:3]
        if directory.resolve().is_relative_to(mounted) and len(mounted) >= len(best[0]):
            best = (mounted, kind)
    return best[1]


def report(rows: list[Row], moto: list[Row], title: str) -> None:
    """Print the table."""
    table = Table(title=title, title_justify="left")
    for heading in ("", "connections", "events a request", "requests/s", "events/s", "median ms", "slowest ms"):
        table.add_column(heading, justify="right" if heading else "left")
    for heading in ("server CPU us/request", "load CPU us/request", "transformed meanwhile", "times moto"):
        table.add_column(heading, justify="right")
    beside = {row.connections: row.requests_s for row in moto}
    for row in [*rows, *moto]:
        requests = sum(row.answered.statuses.values())
        compared = row.events == 1 and row.waiting is not None
        table.add_row(
            row.name,
            str(row.connections),
            f"{row.events:,}",
            f"{row.requests_s:,.0f}",
            f"{row.requests_s * row.events:,.0f}",
            f"{row.answered.median_ms:.1f}",
            f"{row.answered.slowest_ms:.0f}",
            f"{row.server_cpu_s / requests * 1e6:,.0f}",
            f"{row.answered.cpu_seconds / requests * 1e6:,.0f}",
            "" if row.waiting is None else f"{row.accepted - row.waiting:,} of {row.accepted:,}",
            f"{row.requests_s / beside[row.connections]:.1f}x" if compared and beside else "",
        )
    Console(width=170).print(table)


def main() -> None:
    """Run the benchmark, or the runtime that it loads."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5, help="how long each load lasts")
    parser.add_argument("--data", type=Path, help="a directory on the disk to measure")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(bench_plan(), Settings(arguments.data, "127.0.0.1", 0, None), _say_url, lambda: None)
        return
    sys.exit(bench(arguments.seconds, arguments.data or Path.cwd()))


def _say_url(_: object, url: str) -> None:
    print(f"serves at {url}", flush=True)


def bench(seconds: float, directory: Path) -> int:
    """Measure both, count what was stored, print the table; return the exit code."""
    kind = file_system(directory)
    if kind in MEMORY_FILE_SYSTEMS:
        sys.exit(
            f"accept.py: {directory} is on {kind}, where a sync costs nothing: give a disk's with --data DIRECTORY."
        )
    with tempfile.TemporaryDirectory(prefix="auditlake-accept-", dir=directory) as data:
        syncs = sync_rate(Path(data))
        command = [sys.executable, str(Path(__file__).resolve()), "--serve", "--data", data]
        with server(command, Path(data, "log"), "serves at ") as (url, pid):
            rows = measure(url, pid, seconds)
        moto = measure_moto(seconds)
        stored, ids = found(Path(data))
    accepted = sum(row.accepted for row in rows)
    cores = len(os.sched_getaffinity(0))
    report(rows, moto, f"{cores} cores, load included; {kind}, {syncs:,.0f} bare appends with fdatasync a second")
    print(f"acknowledged {accepted:,} events, found {stored:,} rows of {ids:,} ids")
    problems = [row.answered.problem for row in [*rows, *moto] if row.answered.problem]
    if not accepted == stored == ids:
        problems.append("what was acknowledged is not what was found")
    for problem in problems:
        print(problem)
    return bool(problems)


if __name__ == "__main__":
    main()
