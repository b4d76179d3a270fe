"""What befalls the disk: full, broken, read-only, out of descriptors, interrupted."""

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.faults import instances, trace
from tests.faults.events import Sent
from tests.faults.instances import Options
from tests.faults.narrow import Narrow
from tests.faults.server import NotStartedError, Server, load, running, settled
from tests.faults.trial import Outcome, Trial

READS = ("read", "pread64")
OPENS = ("open", "openat")
TMPFS_BYTES = 6 * 1024 * 1024
REFUSALS = (httpx.codes.SERVICE_UNAVAILABLE, 0)
"""What a request may be answered with that cannot be stored; 0 is a connection that ends."""


def full_at_each_write(trial: Trial) -> Outcome:
    """Have each write of the narrow driver find the disk full, once."""
    return instances.each_call(trial, (*trace.WRITES, *trace.SIZES), Options("ENOSPC"), bounded=4)


def full_from_each_write(trial: Trial) -> Outcome:
    """Have the writes of one kind find the disk full from one of them on."""
    return instances.each_call(trial, trace.WRITES, Options("ENOSPC", onwards=True), bounded=4)


def error_at_each_write_and_sync(trial: Trial) -> Outcome:
    """Have each write and sync of the narrow driver fail with an I/O error, once."""
    return instances.each_call(trial, (*trace.WRITES, *trace.SYNCS, *trace.SIZES), Options("EIO"), bounded=4)


def error_from_each_sync(trial: Trial) -> Outcome:
    """Have the syncs fail from one of them on."""
    return instances.each_call(trial, trace.SYNCS, Options("EIO", onwards=True), bounded=4)


def error_at_each_read(trial: Trial) -> Outcome:
    """Have each read of the narrow driver fail with an I/O error, once."""
    return instances.each_call(trial, READS, Options("EIO"), bounded=6)


def error_at_each_name(trial: Trial) -> Outcome:
    """Have each rename, link, unlink, mkdir and rmdir of the narrow driver fail with an I/O error, once."""
    return instances.each_call(trial, trace.NAMES, Options("EIO"), bounded=4)


def interrupted_at_each_call(trial: Trial) -> Outcome:
    """Have a signal interrupt each call of the narrow driver that a signal can interrupt."""
    return instances.each_call(trial, (*trace.WRITES, *trace.SYNCS, *READS, *OPENS), Options("EINTR"), bounded=8)


def out_of_descriptors_at_each_open(trial: Trial) -> Outcome:
    """Have each open of the narrow driver find no free descriptor, once."""
    return instances.each_call(trial, OPENS, Options("EMFILE"), bounded=6)


def short_writes(trial: Trial) -> Outcome:
    """Limit the size of files, so that a write takes only some of its bytes and the rest is refused."""
    limits = trial.sample(range(40, 3_200, 7), 3)
    with Narrow(trial.directory()) as narrow:

        def once(limit: int) -> Outcome:
            data, sent = trial.directory() / "data", Sent()
            told = narrow.run(data, sent, instances.batches(sent), limit_file_bytes=limit)
            outcome = instances.drained(narrow, data, sent, len(told.refused) + len(told.errors))
            return outcome.with_problems(*told.problems())

        return trial.each(limits, once)


@contextlib.contextmanager
def small_disk(trial: Trial) -> Iterator[Path]:
    """Mount a small file system while the block runs."""
    folder = trial.directory()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount_unavailable() -> str | None:
    """Return why no file system can be mounted here, None when one can."""
    if os.geteuid() != 0:
        return "mounting a small file system needs root"
    done = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    )
    return None if done.returncode == 0 else f"no file system can be mounted: {done.stderr.decode().strip()}"


def full_disk(trial: Trial) -> Outcome:
    """Fill a small disk while clients POST, free it, again and again: 503 while it is full, 202 after it."""
    with small_disk(trial) as disk:
        data, sent = disk / "data", Sent()
        with running(data) as server:

            def once(number: int) -> Outcome:
                load(server, sent)
                _fill(disk, trial.random.choice([0, 100, 4096, 5000, 20_000, 60_000]))
                statuses = _post_until_refused(server, sent, padding=3_000)
                if number % 2:
                    server.flush()
                    statuses += _post_until_refused(server, sent, padding=200)
                (disk / "ballast").unlink()
                return _judged(statuses, server, sent)

            outcome = trial.each(range(20 if trial.whole else 2), once)
            problem = server.deliver()
            server.stop()
        problems = (*outcome.problems, *([problem] if problem else []))
        return settled(data, sent, outcome.injected).with_problems(*problems)


def _fill(disk: Path, leave: int) -> None:
    """Write a file that leaves some bytes free."""
    free = os.statvfs(disk)
    with (disk / "ballast").open("wb") as ballast, contextlib.suppress(OSError):
        ballast.write(b"\1" * max(0, free.f_bavail * free.f_bsize - leave))
        ballast.flush()


def _post_until_refused(server: Server, sent: Sent, padding: int) -> list[int]:
    statuses = []
    for _ in range(400):
        statuses.append(server.post(sent, *sent.make(padding=padding)))
        if statuses[-1] != httpx.codes.ACCEPTED:
            break
    return statuses


def _judged(statuses: list[int], server: Server, sent: Sent, seconds: float = 30) -> Outcome:
    """Say whether refusals were as they should be, and whether the runtime, now without fault, accepts again."""
    refused = [status for status in statuses if status != httpx.codes.ACCEPTED]
    problems = [f"a request that cannot be stored was answered with {one}" for one in refused if one not in REFUSALS]
    deadline = time.monotonic() + seconds
    while (status := server.post(sent, *sent.make())) != httpx.codes.ACCEPTED and time.monotonic() < deadline:
        if server.process.poll() is not None:
            problems.append(f"the runtime ended with {server.process.returncode}")
            break
        time.sleep(0.2)
    else:
        problems += [] if status == httpx.codes.ACCEPTED else [f"after the fault it still answers {status}"]
    return Outcome(injected=len(refused), problems=tuple(problems))


def server_sync_fails(trial: Trial) -> Outcome:
    """Have the syncs of the whole runtime fail for a while: 503, and it goes on or stops cleanly."""
    data, sent = trial.directory() / "data", Sent()

    def once(number: int) -> Outcome:
        log = data.parent / f"trace-{number}.log"
        with running(data) as server:
            load(server, sent)
            call = trial.random.choice(trace.SYNCS[:2])
            first = trial.random.randrange(1, 4)
            with trace.tracing(server.pid, log, ["-f", *trace.failing(call, f"{first}+", "EIO")]):
                statuses = load(server, sent)
                server.flush()
                statuses += load(server, sent)
            injected = trace.injected(log)
            refused = {one for one in statuses if one != httpx.codes.ACCEPTED} - {*REFUSALS, httpx.codes.BAD_GATEWAY}
            problems = [f"a request that cannot be stored was answered with {one}" for one in sorted(refused)]
            load(server, sent)
            if (exit_code := server.process.poll()) is not None and exit_code < 0:
                problems.append(f"the runtime ended with {exit_code}")
        return Outcome(injected=injected, problems=tuple(problems))

    outcome = trial.each(range(12 if trial.whole else 1), once)
    return settled(data, sent, outcome.injected).with_problems(*outcome.problems)


def read_only(trial: Trial) -> Outcome:
    """Make the file system read-only under a runtime, start on it, and make it writable again.

    While it is read-only no object can be stored and no process can start; what it had open it may write on.
    """
    with small_disk(trial) as disk:
        data, sent = disk / "data", Sent()
        problems = []
        with running(data) as server:
            load(server, sent)
            with _read_only(disk):
                load(server, sent)
                answered = server.flush()
                problems += [f"a flush to a read-only disk was answered with {answered}"] if answered != 503 else []
            judged = _judged([], server, sent)
            server.kill()
        with _read_only(disk):
            problems += _started(data)
        return settled(data, sent, 2).with_problems(*problems, *judged.problems)


@contextlib.contextmanager
def _read_only(disk: Path) -> Iterator[None]:
    """Lay a read-only view of a file system over it while the block runs."""
    subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _started(data: Path, log: Path | None = None) -> list[str]:
    """Return what is wrong with the refusal to start on a directory that cannot be used."""
    try:
        Server(data, log=log).kill()
    except NotStartedError as error:
        return [f"the refusal is no sentence: {error}"] if "Traceback" in str(error) else []
    return [f"it runs on {data}, which cannot be written"]


def unusable_directory(trial: Trial) -> Outcome:
    """Start on a data directory that is no directory, or below a file: refused with a sentence, nothing is touched."""
    folder, sent = trial.directory(), Sent()
    data = folder / "data"
    with running(data) as server:
        load(server, sent)
        server.kill()
    file = folder / "file"
    file.write_bytes(b"a file")
    problems = [
        problem
        for number, place in enumerate((file, file / "below"))
        for problem in _started(place, folder / f"{number}.log")
    ]
    return settled(data, sent, 2).with_problems(*problems)


def out_of_descriptors(trial: Trial) -> Outcome:
    """Take away the free descriptors of a runtime while clients POST, and give them back."""
    data, sent = trial.directory() / "data", Sent()
    with running(data) as server:

        def once(_number: int) -> Outcome:
            load(server, sent, batch=0)
            before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
            used = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + trial.random.randrange(3), before[1]))
            statuses = load(server, sent)
            flushed = server.flush(timeout_s=3)
            with httpx.Client(base_url=server.url, timeout=3) as other, contextlib.suppress(httpx.TransportError):
                other.get("/_auditlake/status")
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
            judged = _judged([one for one in statuses if one != httpx.codes.BAD_GATEWAY], server, sent)
            return Outcome(max(1, judged.injected + (flushed != httpx.codes.OK)), problems=judged.problems)

        outcome = trial.each(range(8 if trial.whole else 2), once)
        problem = server.deliver()
        server.stop()
    return settled(data, sent, outcome.injected).with_problems(*outcome.problems, *([problem] if problem else []))
