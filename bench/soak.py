"""Whether every record that is put is in exactly one place, at the rate this machine keeps up with, for minutes.

    python bench/soak.py [--minutes 10] [--seed N]

A runtime with buffers of 1 MB and a transform that fails at random in every way of the table of outcomes takes
PutRecordBatch after PutRecordBatch; the producers pause while more than 64 MB wait. At the end every record must be a
row, or a line under the error prefix, once; only what was Dropped is nowhere. Prints one table, with the ways to fail a
whole batch that were drawn: in a few seconds not all are. Exit 1 when a record is lost or there twice, is where it
should not be, or the memory has grown.
"""

import argparse
import base64
import http.client
import json
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
import pybase64
from rich.console import Console
from rich.table import Table
from soak_transform import BATCH_FATES, DRAWN, record_fate

from auditlake.runtime.plan import MIB, Plan
from auditlake.runtime.plan_reader import load_plan
from auditlake.runtime.server import serve
from auditlake.runtime.settings import Settings

PRODUCERS = 2
BATCH_RECORDS = 500
RECORD_BYTES = 600
MAX_WAITING_BYTES = 64 * MIB
WARM_UP = 0.2
"""After this part of the time the memory should grow no more."""
MEMORY_GROWTH, MEMORY_SLACK_BYTES = 1.25, 64 * MIB
"""How much of the memory after the warm-up the end may have, and how much more in any case."""

# What a record's fate looks like under the error prefix; a batch that fails as a whole may take any record with it.
FATE_CODES = {
    "ProcessingFailed": "Lambda.ProcessingFailedStatus",
    "missing id": "Lambda.MissingRecordId",
    "id twice": "Lambda.DuplicatedRecordId",
    "no data": "Lambda.InvalidReturnFormat",
    "bad base64": "Lambda.FunctionError",
    "unknown result": "Lambda.FunctionError",
    "missing key": "DynamicPartitioning.PartitioningFailed",
    "empty key": "DynamicPartitioning.PartitioningFailed",
    "not convertible": "DataFormatConversion.",
}
BATCH_CODES = (
    "Lambda.FunctionError",
    "Lambda.FunctionTimedOut",
    "Lambda.JsonProcessingException",
    "Lambda.MissingRecordId",
)
_NUMBER = re.compile(rb'id":"?(\d+)')


def soak_plan(seed: str) -> Plan:
    """Return the plan of the defaults with small buffers and the soak's transform."""
    plan = load_plan()
    processor = replace(plan.stream.processor, buffer_size_bytes=MIB)
    transform = plan.function(processor.function_arn)
    drawn = replace(transform, handler="soak_transform.handle", timeout_s=2, environment={"SOAK_SEED": seed})
    functions = tuple(drawn if function is transform else function for function in plan.functions)
    return replace(plan, stream=replace(plan.stream, buffer_size_bytes=MIB, processor=processor), functions=functions)


def serve_soak(data: Path, seed: str) -> None:
    """Run the runtime in this process; prints its URL."""
    settings = Settings(data, "127.0.0.1", 0, None)
    serve(soak_plan(seed), settings, lambda _, url: print(url, flush=True), lambda: None)


@contextmanager
def running(data: Path, seed: str) -> Iterator[tuple[str, int]]:
    """Run the runtime in a process of its own; gives its URL and process id."""
    here = Path(__file__).resolve()
    environment = {"PYTHONPATH": f"{here.parent}:{here.parent.parent}", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, str(here), "--serve", str(data), "--seed", seed]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    if process.stdout is None:
        raise RuntimeError("The runtime has an output.")
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)


@dataclass
class Producers:
    """Threads that put records, each with its own numbers, while `go` is set and until `stop` is."""

    url: str
    next_number: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    go: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    problems: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Put batches until told to stop."""
        address = httpx.URL(self.url)
        connection = http.client.HTTPConnection(address.host, address.port, timeout=60)
        headers = {"x-amz-target": "Firehose_20150804.PutRecordBatch", "content-type": "application/x-amz-json-1.1"}
        while not self.stop.is_set():
            self.go.wait(timeout=1)
            if not self.go.is_set():
                continue
            with self.lock:
                first = self.next_number
                self.next_number += BATCH_RECORDS
            connection.request("POST", "/", _body(first), headers)
            answer = json.loads(connection.getresponse().read())
            if answer.get("FailedPutCount") != 0:
                self.problems.append(f"a batch was refused: {answer}")
                return


def _body(first: int) -> bytes:
    padding = "x" * (RECORD_BYTES - 20)
    records = (b'{"id":%d,"pad":"%s"}' % (number, padding.encode()) for number in range(first, first + BATCH_RECORDS))
    encoded = ",".join(f'{{"Data":"{pybase64.b64encode_as_string(record)}"}}' for record in records)
    return f'{{"DeliveryStreamName":"auditlake-events","Records":[{encoded}]}}'.encode()


def resident_bytes(pid: int) -> tuple[int, int]:
    """Return the resident memory of the runtime, and of the functions that it has started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,rss="], capture_output=True, text=True, check=True).stdout
    processes = [tuple(map(int, line.split())) for line in listed.splitlines()]
    own = sum(rss for one, _, rss in processes if one == pid)
    return own * 1024, sum(rss for _, parent, rss in processes if parent == pid) * 1024


@dataclass
class Measured:
    """What the soak saw while it ran."""

    put: int = 0
    seconds: float = 0.0
    drain_seconds: float = 0.0
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)


def put_for(url: str, pid: int, seconds: float) -> Measured:
    """Put records for a time, then have all of them delivered."""
    measured = Measured(memory={"start": resident_bytes(pid)})
    producers = Producers(url)
    threads = [threading.Thread(target=producers.run) for _ in range(PRODUCERS)]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds and not producers.problems:
        status = httpx.get(f"{url}/_auditlake/status", timeout=60).json()
        waiting = status["waiting"]["bytes"] + sum(buffer["bytes"] for buffer in status["buffers"])
        (producers.go.set if waiting < MAX_WAITING_BYTES else producers.go.clear)()
        if elapsed > WARM_UP * seconds and "warmed up" not in measured.memory:
            measured.memory["warmed up"] = resident_bytes(pid)
        time.sleep(0.2)
    measured.seconds = time.monotonic() - started
    producers.stop.set()
    for thread in threads:
        thread.join()
    measured.memory["end of the puts"] = resident_bytes(pid)
    if producers.problems:
        raise SystemExit(producers.problems[0])
    measured.put = producers.next_number
    draining = time.monotonic()
    flushed = httpx.post(f"{url}/_auditlake/flush", timeout=1200)
    flushed.raise_for_status()
    measured.drain_seconds = time.monotonic() - draining
    measured.memory["end"] = resident_bytes(pid)
    return measured


@dataclass
class Places:
    """Where the records are: how often each was found, and how many in each place."""

    seen: bytearray
    counts: Counter[str] = field(default_factory=Counter)
    misplaced: list[str] = field(default_factory=list)


def find(bucket: Path, seed: str, put: int) -> Places:
    """Look for every record in the table and under the error prefix."""
    places = Places(bytearray(put))
    for path in sorted((bucket / "events").rglob("*.parquet")):
        numbers = pyarrow.parquet.read_table(path, columns=["event_id"], partitioning=None).column(0).to_pylist()
        places.counts["the table"] += len(numbers)
        for number in map(int, numbers):
            places.seen[number] += 1
            if record_fate(seed, number) is not None:
                places.misplaced.append(f"record {number} is a row, though it is {record_fate(seed, number)}")
    errors = bucket / "errors"
    for path in sorted(path for path in errors.rglob("*") if path.is_file()):
        for line in path.read_bytes().splitlines():
            _find_failed(json.loads(line), seed, path.relative_to(errors).parts[0], places)
    for number in (number for number in range(put) if not places.seen[number]):
        if record_fate(seed, number) == "Dropped":
            places.counts["nowhere, as it was Dropped"] += 1
        else:
            places.misplaced.append(f"record {number} is lost")
    places.misplaced += [f"record {number} is there {n} times" for number, n in enumerate(places.seen) if n > 1]
    return places


def _find_failed(failure: dict[str, Any], seed: str, kind: str, places: Places) -> None:
    match = _NUMBER.search(base64.b64decode(failure["rawData"]))
    if match is None:
        places.misplaced.append(f"a record under errors/{kind} has no number")
        return
    number = int(match[1])
    code = failure.get("errorCode") or failure["lastErrorCode"]
    places.seen[number] += 1
    places.counts[f"errors/{kind}: {code}, {failure['attemptsMade']} attempts"] += 1
    drawn = record_fate(seed, number)
    if code not in BATCH_CODES and not code.startswith(FATE_CODES.get(drawn or "", "none")):
        places.misplaced.append(f"record {number} failed with {code}, though it is {drawn or 'good'}")


def drawn_for_batches(logs: Path) -> Counter[str]:
    """Count the invocations that failed as a whole, by the way that was drawn, in the function's log."""
    lines = (line for path in logs.iterdir() for line in path.read_text(encoding="utf-8").splitlines())
    return Counter(line.removeprefix(DRAWN) for line in lines if line.startswith(DRAWN))


def report(seed: str, measured: Measured, places: Places, drawn: Counter[str]) -> Sequence[str]:
    """Print the table; return what is wrong."""
    table = Table("what", "figure", title=f"Soak with seed {seed}", title_justify="left")
    rate = measured.put / measured.seconds
    table.add_row("records put", f"{measured.put:,} of {RECORD_BYTES} bytes in {measured.seconds:.0f} s")
    table.add_row("rate", f"{rate:,.0f} records/s, {rate * RECORD_BYTES / 1e6:.1f} MB/s")
    table.add_row("delivered after the last put", f"{measured.drain_seconds:.0f} s")
    for place, count in sorted(places.counts.items()):
        table.add_row(place, f"{count:,}")
    for way in BATCH_FATES:
        table.add_row(f"invocations that were to fail: {way}", f"{drawn[way]:,}")
    table.add_row("lost, twice or misplaced", f"{len(places.misplaced):,}")
    for when, (own, functions) in measured.memory.items():
        table.add_row(f"memory, {when}", f"{own / 1e6:,.0f} MB, the functions {functions / 1e6:,.0f} MB")
    Console(width=120).print(table)
    warm, end = sum(measured.memory["warmed up"]), sum(measured.memory["end of the puts"])
    grown = end > warm * MEMORY_GROWTH + MEMORY_SLACK_BYTES
    return [*places.misplaced[:10], *([f"the memory has grown from {warm:,} to {end:,} bytes"] if grown else [])]


def main() -> None:
    """Run the soak, or the runtime that it is run against."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", default=str(secrets.randbelow(10**6)))
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve_soak(arguments.serve, arguments.seed)
        return
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="auditlake-soak-") as data:
        with running(Path(data), arguments.seed) as (url, pid):
            measured = put_for(url, pid, arguments.minutes * 60)
        places = find(Path(data) / load_plan().bucket.name, arguments.seed, measured.put)
        drawn = drawn_for_batches(Path(data) / "logs")
    wrong = report(arguments.seed, measured, places, drawn)
    for sentence in wrong:
        print(sentence)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
