"""The narrow driver: buffer, stream and directory store of the runtime in one process, without HTTP.

It starts in a few milliseconds, because a process that has imported everything forks for each run. Standard input takes
a `Run` as JSON a line; standard output tells the child's process id, and its exit status when it has ended.

A run passes two gates, named pipes that are opened for writing by whoever has it wait: one before it opens anything,
one before it accepts the first event. What it acknowledges it writes to a file, a line each.
"""

import dataclasses
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from auditlake.client import AuditClient, Clock
from auditlake.errors import AuditlakeError, StoreError
from auditlake.runtime import journal
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.function import FunctionError
from auditlake.runtime.plan import Plan, SourceBackup
from auditlake.runtime.plan_reader import load_plan
from auditlake.runtime.store import DirectoryStore
from auditlake.runtime.stream import StreamWorker
from lambda_src.common import envelope
from lambda_src.common.partition import rule
from lambda_src.transform.answer import answer_records

RULE = rule(["login", "document"], days_back=7, days_ahead=1)
JOURNAL_FILE_BYTES = 3_000
"""The size at which the driver's journal begins another file, so that a short run has several and removes some."""
ORPHAN_S = 120
"""When a run ends at the latest, in seconds: whoever had it wait at a gate may have been killed."""
BACKUP_BYTES = 3_000
"""The size of the objects of a source backup."""
SEGMENT_BYTES = 3_000
"""The size at which a spool begins another segment."""
FLUSH_S = 2
"""How long the client's run waits for its events to be sent, in seconds."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run does: `batches` holds the events of each request.

    `clock_s` shifts its clock; `limit_file_bytes` is how large files may get once all is open; `abandon` ends the
    process when all is accepted, with nothing delivered and nothing closed; for `outage_s` seconds of a clock that runs
    a minute a step the store refuses every object, and `die_in_outage` ends the process after the first of them.
    With `backup` the stream has a source backup.
    With `url` it is the client that works, on a spool in `data`, and sends there.
    """

    data: str
    batches: tuple[tuple[tuple[str, str], ...], ...]
    gates: tuple[str, str] | None
    told: str
    clock_s: float = 0.0
    limit_file_bytes: int | None = None
    abandon: bool = False
    outage_s: int = 0
    die_in_outage: bool = False
    url: str | None = None
    backup: bool = False


Seconds = Callable[[], float]


class Outage:
    """A store that refuses every object until a time (epoch seconds)."""

    def __init__(self, store: DirectoryStore, ends_s: float, clock: Seconds) -> None:
        """Stand in front of `store`."""
        self._store = store
        self._ends_s = ends_s
        self._clock = clock

    def refuses(self) -> bool:
        """Whether the outage lasts."""
        return self._clock() < self._ends_s

    def put(self, key: str, body: bytes) -> None:
        """Store an object, or raise StoreError."""
        if self.refuses():
            raise StoreError(f"The object {key} cannot be written: the store answers 503.")
        self._store.put(key, body)

    def notices(self) -> tuple[str, ...]:
        """Return the store's notices."""
        return self._store.notices()


class InProcess:
    """The transform function, called in this process."""

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:  # noqa: ARG002 - the seam
        """Answer an invocation."""
        return answer_records(json.loads(event)["records"], RULE).text.encode()


class Teller:
    """Appends lines to a file that outlives the process, each at once."""

    def __init__(self, path: str) -> None:
        """Open the file."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(self, kind: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
        """Write one line."""
        os.write(self._descriptor, json.dumps({"kind": kind, **members}).encode() + b"\n")


def work(run: Run, plan: Plan) -> None:
    """Open, accept, deliver and close, telling what was acknowledged and what went wrong."""
    teller = Teller(run.told)
    pass_gate(run, 0)
    shift = [run.clock_s]

    def clock() -> float:
        return time.time() + shift[0]

    data = Path(run.data)
    with telling(teller):
        buffer = Buffer(data / "buffer.sqlite", has_backup=run.backup)
        try:
            store = DirectoryStore(data / plan.bucket.name, plan.bucket.object_lock, clock)
            outage = Outage(store, clock() + run.outage_s, clock)
            worker = StreamWorker(plan, buffer, InProcess(), outage, clock)
            teller.tell("recovery", sentence=buffer.recovery.sentence(), problems=list(buffer.recovery.problems))
            tell_threads(teller)
            pass_gate(run, 1)
            _limit_files(run)
            _accept(run, buffer, worker, teller, clock)
            if run.abandon:
                return
            while outage.refuses():
                shift[0] += 60
                worker.step(everything=False)
                if run.die_in_outage:
                    os._exit(0)
            _deliver(run, buffer, worker, teller)
        finally:
            with telling(teller):
                buffer.close()
    teller.tell("end")


def backed_up(plan: Plan) -> Plan:
    """Return the plan with a source backup, whose objects hold a few records each."""
    backup = SourceBackup("raw/", "GZIP", BACKUP_BYTES, plan.stream.buffer_interval_s)
    return dataclasses.replace(plan, stream=dataclasses.replace(plan.stream, backup=backup))


def tell_threads(teller: Teller) -> None:
    """Tell the threads of this process, so that one can be traced."""
    for thread in threading.enumerate():
        teller.tell("thread", name=thread.name, id=thread.native_id)


def _accept(run: Run, buffer: Buffer, worker: StreamWorker, teller: Teller, clock: Seconds) -> None:
    for number, batch in enumerate(run.batches):
        records = [_enveloped(event_id, body, int(clock() * 1000)) for event_id, body in batch]
        try:
            buffer.accept(int(clock() * 1000), records).result()
            teller.tell("acknowledged", ids=[event_id for event_id, _ in batch])
        except AuditlakeError as error:
            teller.tell("refused", why=str(error))
        if number % 3 == 2 and not run.abandon:
            with telling(teller):
                worker.step(everything=True)


def _deliver(run: Run, buffer: Buffer, worker: StreamWorker, teller: Teller) -> None:
    for _ in range(2 if run.batches else 20):
        with telling(teller):
            worker.step(everything=True)
        with suppress(AuditlakeError):
            if not buffer.waiting().records and not buffer.levels():
                break


@contextmanager
def telling(teller: Teller) -> Iterator[None]:
    """Go on after whatever is raised, as the thread of the stream does, and tell it."""
    try:
        yield
    except AuditlakeError as error:
        teller.tell("error", why=str(error))
    except Exception as error:  # noqa: BLE001 - told, and judged by whoever reads it
        teller.tell("exception", why=f"{type(error).__name__}: {error}")


def work_as_client(run: Run, url: str) -> None:
    """Record events in a spool and send them; without batches send what is left in the spool."""
    teller = Teller(run.told)
    pass_gate(run, 0)
    with telling(teller):
        client = AuditClient(url, run.data, linger_s=0, segment_bytes=SEGMENT_BYTES, clock=Clock(wait=_impatient))
        try:
            tell_threads(teller)
            pass_gate(run, 1)
            _limit_files(run)
            for batch in run.batches:
                for _, body in batch:
                    _record(client, json.loads(body), teller)
                client.flush(timeout_s=0 if run.abandon else FLUSH_S)
            if not run.batches:
                _send_all(client)
            if run.abandon:
                return
        finally:
            if not run.abandon:
                client.close()
    teller.tell("end")


def _record(client: AuditClient, event: dict[str, Any], teller: Teller) -> None:
    try:
        client.record(
            event_id=event["id"], event_type=event["eventType"], actor=event["actor"], metadata=event["metadata"]
        )
        teller.tell("acknowledged", ids=[event["id"]])
    except AuditlakeError as error:
        teller.tell("refused", why=str(error))


def _send_all(client: AuditClient) -> None:
    """Wait until nothing is left in the spool, of whatever process."""
    deadline = time.monotonic() + 30
    while client.status().pending_bytes and time.monotonic() < deadline:
        time.sleep(0.01)


def _impatient(event: threading.Event, seconds: float) -> bool:
    """Wait as the client waits, but no longer than a moment."""
    return event.wait(min(seconds, 0.01))


def _limit_files(run: Run) -> None:
    if run.limit_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (run.limit_file_bytes, resource.RLIM_INFINITY))


def _enveloped(event_id: str, body: str, now_ms: int) -> bytes:
    return envelope.encode(envelope.Envelope(event_id, "request", now_ms, "127.0.0.1", "", body.encode()))


def pass_gate(run: Run, number: int) -> None:
    """Wait until the run may go on."""
    if run.gates is not None:
        # Opening a named pipe for reading waits for whoever opens it for writing.
        try:
            gate = os.open(run.gates[number], os.O_RDONLY)
        except OSError:  # a fault for the runtime's call of this number, one more of which came than was counted
            gate = os.open(run.gates[number], os.O_RDONLY)
        os.close(gate)


def main() -> None:
    """Fork a process for each run that standard input asks for."""
    journal.FILE_BYTES = JOURNAL_FILE_BYTES
    plan = load_plan()
    while line := sys.stdin.readline():
        members = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.alarm(ORPHAN_S)
            sys.stdin.close()
            try:
                run = Run(**members)
                if run.url is None:
                    work(run, backed_up(plan) if run.backup else plan)
                else:
                    work_as_client(run, run.url)
            finally:
                os._exit(0)
        print(child, flush=True)  # noqa: T201 - what standard output is for
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
