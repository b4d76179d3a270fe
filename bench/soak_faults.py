"""Whether a service's events are all found while both sides are killed and their disks fill up, for half an hour.

    python bench/soak_faults.py [--minutes 30] [--seed N] [--rate 100]

A service records events with `auditlake.client` and notes the id of each that `record` has returned; a runtime takes
them. Every few seconds one of the two is killed with SIGKILL and started again, frozen for a moment, or the disk under
it fills up for a while (a small file system in memory, which takes root; without root the disks do not fill up, and
the table says so). At the end all is delivered and `auditlake reconcile` says where each event is. For the last fifth
of the time nothing is killed: memory and descriptors must not grow, and what the spool and the buffer take of the disk
must go away. Exit 1 when an event is missing or conflicting, or something did not return to where it began.
"""

import argparse
import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from auditlake.client import AuditClient, SpoolError

HERE = Path(__file__).resolve()
DISK_BYTES = {"runtime": 384 << 20, "client": 16 << 20}
PAUSE_S = (1.0, 5.0)
"""Between two faults."""
FULL_S = (1.0, 6.0)
"""How long a disk is full."""
CALM = 0.2
"""This last part of the time is without faults; in its first half the memory may grow to what delivering takes."""
START_S = 60
MEMORY_GROWTH, MEMORY_SLACK_BYTES = 1.25, 32 << 20
LEFT_BYTES = 20 << 20
"""What each of them may take more at the end: two files of the journal, or an index whose pages are free."""
FAULTS = ("kill runtime", "kill client", "kill both", "full disk runtime", "full disk client", "freeze runtime")


def serve_client(spool: Path, url: str, ledger: Path, rate: float) -> None:
    """Record events until told to stop, noting each that is recorded; then send what is left."""
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    client = AuditClient(url, spool, max_spool_bytes=64 << 20)
    with ledger.open("a", encoding="utf-8") as noted:
        number = 0
        while not stopping:
            number += 1
            with contextlib.suppress(SpoolError):  # a full disk: the event was refused, and is not noted
                event_id = client.record(
                    event_type=random.choice(["login", "document.read", "payment.made"]),  # noqa: S311 - chance
                    actor=f"user-{number % 50}",
                    metadata={"source": "soak", "number": number, "padding": "x" * random.randrange(300)},  # noqa: S311
                )
                noted.write(event_id + "\n")
                noted.flush()
            time.sleep(1 / rate)
    client.close(timeout_s=120)


@dataclass
class Side:
    """A process that is killed and started again, its folder on a disk of its own, and what is measured of it."""

    name: str
    folder: Path
    command: Sequence[str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0

    def start(self) -> None:
        """Start the process."""
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent), "COLUMNS": "1000"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self.starts += 1

    def keep_alive(self) -> None:
        """Start it again when it has ended, as a service manager does: on a full disk it may not start."""
        if self.process is None or self.process.poll() is not None:
            self.start()

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it is there."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the process."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self) -> int:
        """Have the process end by itself, and return its exit status."""
        self.signal(signal.SIGTERM)
        return -1 if self.process is None else self.process.wait(timeout=300)

    def measure(self) -> tuple[int, int]:
        """Return the resident memory in bytes and the number of descriptors of the process."""
        if self.process is None:
            return 0, 0
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return resident * 1024, len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@dataclass
class Soak:
    """Both sides, and what befell them."""

    runtime: Side
    client: Side
    url: str
    chance: random.Random
    disks: bool
    befell: Counter[str] = field(default_factory=Counter)

    def keep_alive(self) -> None:
        """Start what has ended."""
        self.runtime.keep_alive()
        self.client.keep_alive()

    def befall(self, fault: str) -> None:
        """Make one fault happen."""
        self.befell[fault] += 1
        kind, _, name = fault.rpartition(" ")
        sides = [self.runtime, self.client] if name == "both" else [self.runtime if name == "runtime" else self.client]
        if kind == "kill":
            for side in sides:
                side.kill()
        elif kind == "freeze":
            sides[0].signal(signal.SIGSTOP)
            time.sleep(self.chance.uniform(0.5, 3))
            sides[0].signal(signal.SIGCONT)
        else:
            self._fill(sides[0])

    def _fill(self, side: Side) -> None:
        """Fill the disk of a side for a while; half of the time the process is killed while it is full."""
        ballast = side.folder / "ballast"
        leave = self.chance.choice([0, 1_000, 10_000, 100_000])
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            free = os.statvfs(side.folder)
            os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_bsize - leave))
        ends = time.monotonic() + self.chance.uniform(*FULL_S)
        if self.chance.random() < 0.5:
            side.kill()
        while time.monotonic() < ends:
            self.keep_alive()
            time.sleep(0.3)
        ballast.unlink(missing_ok=True)

    def await_runtime(self) -> None:
        """Wait until the runtime answers; raises TimeoutError."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            self.keep_alive()
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{self.url}/_auditlake/status", timeout=10)
                return
            time.sleep(0.2)
        raise TimeoutError(f"The runtime does not answer after {START_S} s; see {self.runtime.log}.")


@contextlib.contextmanager
def disk(folder: Path, size: int, mounted: bool) -> Iterator[Path]:
    """Make a folder, on a small file system of its own where that is allowed."""
    folder.mkdir()
    if mounted:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def free_port() -> int:
    """Return a port that is free now: the runtime has the same at every start."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def used_bytes(runtime: Path, client: Path) -> dict[str, int]:
    """Return what the buffer's journal and index and the spool take of the disk, in bytes; not what is stored."""
    places = {
        "journal": runtime.glob("data/buffer.journal/*"),
        "index": runtime.glob("data/buffer.sqlite*"),
        "spool": (client / "spool").rglob("*"),
    }
    return {name: sum(path.stat().st_size for path in files if path.is_file()) for name, files in places.items()}


@dataclass
class Measured:
    """Memory, descriptors and bytes on the disk, by when they were measured."""

    processes: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    disks: dict[str, dict[str, int]] = field(default_factory=dict)

    def take(self, when: str, soak: Soak) -> None:
        """Measure now."""
        self.processes[when] = {side.name: side.measure() for side in (soak.runtime, soak.client)}
        self.disks[when] = used_bytes(soak.runtime.folder, soak.client.folder)


def run(soak: Soak, seconds: float) -> Measured:
    """Let faults befall both sides, then none, then deliver all."""
    measured = Measured()
    soak.await_runtime()
    time.sleep(2)
    measured.take("start", soak)
    faults = [fault for fault in FAULTS if soak.disks or not fault.startswith("full")]
    calm_at, ends = time.monotonic() + seconds * (1 - CALM), time.monotonic() + seconds
    told = time.monotonic()
    while time.monotonic() < calm_at:
        time.sleep(soak.chance.uniform(*PAUSE_S))
        soak.befall(soak.chance.choice(faults))
        soak.keep_alive()
        if time.monotonic() - told > 60:
            told = time.monotonic()
            left = f"{max(0, ends - told) / 60:.0f} min left"
            print(f"{sum(soak.befell.values())} faults, {left}: {dict(soak.befell)}", flush=True)
    soak.await_runtime()
    time.sleep(max(0, (ends - time.monotonic()) / 2))
    measured.take("calm", soak)
    while time.monotonic() < ends:
        time.sleep(0.5)
    measured.take("end of the load", soak)
    return measured


def deliver(soak: Soak, measured: Measured) -> list[str]:
    """Have the client send all and the runtime deliver all; returns what went wrong with it."""
    problems = []
    if (exit_code := soak.client.stop()) != 0:
        problems.append(f"the client ended with {exit_code}")
    # What dead clients have left in the spool and the last one had no time for.
    spool = soak.client.folder / "spool"
    command = [sys.executable, "-m", "auditlake", "spool", "send", str(spool), "--url", soak.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    problems += [f"spool send: {done.stderr.strip()}"] if done.returncode else []
    flushed = httpx.post(f"{soak.url}/_auditlake/flush", timeout=600)
    problems += [f"the flush was answered with {flushed.text}"] if flushed.is_error else []
    soak.client.process = None
    measured.disks["end"] = used_bytes(soak.runtime.folder, soak.client.folder)
    if (exit_code := soak.runtime.stop()) != 0:
        problems.append(f"the runtime ended with {exit_code}")
    return problems


def reconcile(data: Path, ledger: Path) -> dict[str, Any]:
    """Ask `auditlake reconcile` in which state each noted event is."""
    command = [sys.executable, "-m", "auditlake", "reconcile", "--sent", str(ledger), "--data", str(data), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        content: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"auditlake reconcile failed: {done.stdout}{done.stderr}") from None
    return content


def report(seed: str, soak: Soak, measured: Measured, recorded: int, states: dict[str, Any]) -> list[str]:
    """Print the table; return what is wrong."""
    table = Table("what", "figure", title=f"Soak with faults, seed {seed}", title_justify="left")
    for fault in FAULTS:
        table.add_row(fault, f"{soak.befell[fault]:,}" if soak.disks or "full" not in fault else "needs root")
    for side in (soak.runtime, soak.client):
        table.add_row(f"starts of the {side.name}", f"{side.starts:,}")
    table.add_row("events recorded", f"{recorded:,}")
    for state, count in states.items():
        table.add_row(f"reconcile: {state}", f"{count:,}" if isinstance(count, int) else str(count))
    for when, sides in measured.processes.items():
        for name, (resident, descriptors) in sides.items():
            table.add_row(f"{name}, {when}", f"{resident / 1e6:,.0f} MB, {descriptors} descriptors")
    for when, places in measured.disks.items():
        table.add_row(f"disk, {when}", ", ".join(f"{place} {size / 1e3:,.0f} kB" for place, size in places.items()))
    Console(width=120).print(table)
    return _wrong(measured)


def _wrong(measured: Measured) -> list[str]:
    wrong = []
    for name, (resident, descriptors) in measured.processes["end of the load"].items():
        before, opened = measured.processes["calm"][name]
        if resident > before * MEMORY_GROWTH + MEMORY_SLACK_BYTES:
            wrong.append(f"the memory of the {name} has grown from {before:,} to {resident:,} bytes")
        if descriptors > opened + 8:
            wrong.append(f"the {name} had {opened} descriptors and has {descriptors}")
    for place, size in measured.disks["end"].items():
        if size > measured.disks["start"][place] + LEFT_BYTES:
            wrong.append(f"the {place} takes {size:,} bytes at the end")
    return wrong


def main() -> None:
    """Run the soak, or the service that it is run with."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", default=str(secrets.randbelow(10**6)))
    parser.add_argument("--rate", type=float, default=100, help="events a second that the service records at most")
    parser.add_argument("--keep", type=Path, help="keep logs and the list of recorded ids in this folder")
    parser.add_argument("--client", nargs=3, metavar=("SPOOL", "URL", "LEDGER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        spool, url, ledger = arguments.client
        serve_client(Path(spool), url, Path(ledger), arguments.rate)
        return
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="auditlake-soak-") as folder:
        sys.exit(soak_in(Path(folder), arguments))


def soak_in(folder: Path, arguments: argparse.Namespace) -> bool:
    """Run the soak in a folder; returns whether something is wrong."""
    notes = arguments.keep or folder
    notes.mkdir(parents=True, exist_ok=True)
    mounted = os.geteuid() == 0
    port, ledger = free_port(), notes / "recorded.txt"
    url = f"http://127.0.0.1:{port}"
    with (
        disk(folder / "runtime", DISK_BYTES["runtime"], mounted) as runtime,
        disk(folder / "client", DISK_BYTES["client"], mounted) as client,
    ):
        up = [sys.executable, "-m", "auditlake", "up", "--port", str(port), "--data", str(runtime / "data")]
        service = [sys.executable, str(HERE), "--rate", str(arguments.rate), "--client", str(client / "spool"), url]
        soak = Soak(
            Side("runtime", runtime, up, notes / "runtime.log"),
            Side("client", client, [*service, str(ledger)], notes / "client.log"),
            url,
            random.Random(arguments.seed),  # noqa: S311 - chance
            mounted,
        )
        try:
            measured = run(soak, arguments.minutes * 60)
            problems = deliver(soak, measured)
        finally:
            soak.runtime.kill()
            soak.client.kill()
        recorded = len(ledger.read_text(encoding="utf-8").split())
        states = reconcile(runtime / "data", ledger)
        wrong = [*problems, *report(arguments.seed, soak, measured, recorded, states)]
    wrong += [f"{states[state]:,} events are {state}" for state in ("missing", "conflicting") if states.get(state)]
    for sentence in wrong:
        print(sentence)
    return bool(wrong)


if __name__ == "__main__":
    main()
