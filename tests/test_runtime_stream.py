"""The delivery stream at work: when what is due, where failures go, and what a crash may cost."""

import base64
import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from auditlake.errors import PlanError, StoreError
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.exchange import OpenRequests
from auditlake.runtime.function import FunctionError
from auditlake.runtime.placement import MAX_ACTIVE_PARTITIONS
from auditlake.runtime.plan import Column, Plan, SourceBackup
from auditlake.runtime.status import status
from auditlake.runtime.store import DirectoryStore
from auditlake.runtime.stream import RUSH, StreamWorker

KEYS = {"audit_type": "login", "year": "2026", "month": "11", "day": "24"}
NOON = 1_795_521_600


class ByInstruction:
    """A transform whose records say what becomes of them: `{"result", "row", "keys"}`."""

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:  # noqa: ARG002 - the seam
        """Answer as the records say."""
        answers = []
        for record in json.loads(event)["records"]:
            told = json.loads(base64.b64decode(record["data"]))
            row = told.get("row", {"event_id": "e"})
            data = (row if isinstance(row, str) else json.dumps(row)).encode()
            answers.append(
                {
                    "recordId": record["recordId"],
                    "result": told.get("result", "Ok"),
                    "data": base64.b64encode(data).decode(),
                    "metadata": {"partitionKeys": told.get("keys", KEYS)},
                }
            )
        return json.dumps({"records": answers}).encode()


@dataclass
class Stream:
    """A stream under test, with a clock that the test sets (epoch seconds)."""

    buffer: Buffer
    worker: StreamWorker
    root: Path
    clock: list[float]
    requests: OpenRequests

    def put(self, **told: Any) -> None:  # noqa: ANN401 - any JSON
        """Accept a record that tells the transform what to answer."""
        self.buffer.accept(int(self.clock[0] * 1000), [json.dumps(told).encode()]).result(timeout=10)

    def objects(self, prefix: str = "events/") -> list[Path]:
        """The objects that are stored under a prefix."""
        return sorted(path for path in (self.root / prefix).rglob("*") if path.is_file())

    def rows(self) -> list[str]:
        """The event ids of all stored rows."""
        tables = [pq.read_table(path, columns=["event_id"], partitioning=None) for path in self.objects()]
        return [row for table in tables for row in table.column(0).to_pylist()]


Make = Callable[..., Stream]


@pytest.fixture
def make(plan: Plan, tmp_path: Path) -> Iterator[Make]:
    """Make streams of the default plan over a directory, and close their buffers."""
    made: list[Stream] = []

    def stream(function: Any = None, **changes: Any) -> Stream:  # noqa: ANN401 - any function, any member of the stream
        clock = [float(NOON)]
        changed = replace(plan, stream=replace(plan.stream, **changes))
        buffer = Buffer(tmp_path / "buffer.sqlite", has_backup=changed.stream.backup is not None)
        store = DirectoryStore(tmp_path / "bucket")
        requests = OpenRequests()
        worker = StreamWorker(
            changed, buffer, function or ByInstruction(), store, clock=lambda: clock[0], open_requests=requests
        )
        made.append(Stream(buffer, worker, tmp_path / "bucket", clock, requests))
        return made[-1]

    yield stream
    for one in made:
        one.buffer.close()


def test_records_wait_for_both_buffers(make: Make, plan: Plan) -> None:
    """The transform waits for its interval, and then the object for the stream's."""
    stream = make()
    stream.put()
    stream.clock[0] += plan.stream.processor.buffer_interval_s - 1
    stream.worker.step(everything=False)
    assert stream.buffer.waiting().records == 1

    stream.clock[0] += 1
    stream.worker.step(everything=False)
    assert stream.buffer.waiting().records == 0
    assert stream.objects() == []

    stream.clock[0] += plan.stream.buffer_interval_s
    stream.worker.step(everything=False)
    assert stream.rows() == ["e"]
    assert stream.buffer.levels() == []


def test_a_full_buffer_does_not_wait(make: Make, plan: Plan) -> None:
    """A megabyte is transformed at once, and an object of the buffer's size is written at once."""
    stream = make(buffer_size_bytes=1000)
    stream.put(row={"event_id": "big", "raw": "x" * plan.stream.processor.buffer_size_bytes})
    stream.worker.step(everything=False)

    assert stream.rows() == ["big"]


def test_many_open_requests_go_before_a_full_batch(make: Make, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """While they are open it waits, but no longer than its interval, nor beyond what may be behind, nor for a flush."""
    full = {"row": {"event_id": "big", "raw": "x" * plan.stream.processor.buffer_size_bytes}}
    stream = make()
    stream.requests.count = RUSH
    stream.put(**full)
    stream.worker.step(everything=False)
    assert stream.buffer.waiting().records == 1
    stream.clock[0] += plan.stream.processor.buffer_interval_s
    stream.worker.step(everything=False)
    assert stream.buffer.waiting().records == 0

    stream.put(**full)
    stream.requests.count = RUSH - 1
    stream.worker.step(everything=False)
    assert stream.buffer.waiting().records == 0

    stream.put(**full)
    stream.requests.count = RUSH
    monkeypatch.setattr("auditlake.runtime.stream.MAX_BEHIND_BYTES", plan.stream.processor.buffer_size_bytes)
    stream.worker.step(everything=False)
    assert stream.buffer.waiting().records == 0

    monkeypatch.undo()
    stream.put(**full)
    stream.worker.step(everything=True)
    assert stream.buffer.waiting().records == 0


def test_an_object_holds_no_more_than_the_buffers_size(make: Make) -> None:
    """A flush of more than one buffer's size writes several objects, and loses no row."""
    stream = make(buffer_size_bytes=300)
    for number in range(10):
        stream.put(row={"event_id": f"{number}", "raw": "x" * 100})
    flushed = stream.worker.step(everything=True)

    assert sorted(stream.rows()) == [str(number) for number in range(10)]
    assert (flushed.rows, flushed.objects) == (10, len(stream.objects()))
    assert flushed.objects > 1


def test_each_partition_gets_its_own_object_under_its_prefix(make: Make) -> None:
    """Keys choose the path; the name holds stream, version and the oldest arrival."""
    stream = make()
    stream.put(row={"event_id": "a"})
    stream.put(row={"event_id": "b"}, keys={**KEYS, "audit_type": "user"})
    stream.worker.step(everything=True)

    paths = [str(path.relative_to(stream.root)) for path in stream.objects()]
    assert paths[0].startswith("events/audit_type=login/year=2026/month=11/day=24/auditlake-events-1-2026-11-24-")
    assert paths[1].startswith("events/audit_type=user/year=2026/month=11/day=24/auditlake-events-1-2026-11-24-")
    assert all(path.endswith(".parquet") for path in paths)


@pytest.mark.parametrize(
    ("told", "kind", "member", "code"),
    [
        ({"result": "ProcessingFailed"}, "processing-failed", "errorCode", "Lambda.ProcessingFailedStatus"),
        ({"keys": {}}, "partitioning-failed", "errorCode", "DynamicPartitioning.PartitioningFailed"),
        ({"row": "{"}, "format-conversion-failed", "lastErrorCode", "DataFormatConversion.ParseError"),
    ],
)
def test_a_failure_lies_under_its_type_and_costs_no_neighbour(
    make: Make, told: dict[str, Any], kind: str, member: str, code: str
) -> None:
    """Each stage's failure is an error object with its code; the neighbours are stored."""
    stream = make()
    stream.put(row={"event_id": "before"})
    stream.put(**told)
    stream.put(row={"event_id": "after"})
    stream.worker.step(everything=True)

    assert stream.rows() == ["before", "after"]
    (error,) = stream.objects(f"errors/{kind}/2026/11/24")
    failure = json.loads(error.read_bytes())
    assert failure[member] == code
    assert failure["arrivalTimestamp"] == NOON * 1000
    assert stream.buffer.counters()[f"failed.{kind}"] == 1
    assert stream.buffer.levels() == []


def test_a_dropped_record_leaves_only_a_count(make: Make) -> None:
    """Dropped leaves no object."""
    stream = make()
    stream.put(result="Dropped")
    stream.worker.step(everything=True)

    assert [stream.objects(prefix) for prefix in ("events", "errors")] == [[], []]
    assert stream.buffer.counters()["dropped.records"] == 1


def test_beyond_the_active_partitions_records_go_to_the_error_prefix(make: Make) -> None:
    """The 501st partition is refused while 500 are active; a record of an active one still goes on."""
    stream = make()
    for number in range(MAX_ACTIVE_PARTITIONS + 1):
        stream.put(keys={**KEYS, "audit_type": f"t{number}"})
    stream.put(keys={**KEYS, "audit_type": "t0"})
    stream.worker.step(everything=True)

    assert len(stream.rows()) == MAX_ACTIVE_PARTITIONS + 1
    (error,) = stream.objects("errors/activePartitionExceeded")
    assert json.loads(error.read_bytes())["errorCode"] == "DynamicPartitioning.ActivePartitionsLimitExceeded"


def test_a_store_that_refuses_keeps_the_records_and_tries_again(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk costs nothing: the records stay in the buffer, the flush says why, and later they are stored."""
    stream = make()
    stream.put(row={"event_id": "kept"})

    def full(_store: DirectoryStore, key: str, body: bytes) -> None:  # noqa: ARG001 - the store's own arguments
        raise StoreError("The object cannot be written: the disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(DirectoryStore, "put", full)
        assert stream.worker.step(everything=True).problem == "The object cannot be written: the disk is full."
    assert stream.rows() == []
    problem = stream.worker.problem()
    assert problem is not None
    assert (problem.sentence, problem.since_ms) == ("The object cannot be written: the disk is full.", NOON * 1000)

    stream.clock[0] += 1
    stream.worker.step(everything=False)
    assert stream.rows() == [], "a refused object is not tried again at once"

    stream.clock[0] += 120
    stream.worker.step(everything=False)
    assert stream.rows() == ["kept"]
    assert stream.worker.problem() is None
    (over,) = [record for record in caplog.records if "again" in record.message and record.levelname == "WARNING"]
    assert over.message == "Objects for rows / login / 2026 / 11 / 24 are stored again."


def test_a_crash_between_store_and_buffer_repeats_the_object_under_its_key(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the process dies after the object is stored, the next start finds it there: no row twice, none lost."""
    stream = make(buffer_size_bytes=300)
    for number in range(10):
        stream.put(row={"event_id": f"{number}", "raw": "x" * 100})
    stream.put(result="ProcessingFailed")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    for _ in range(8):
        with monkeypatch.context() as patched:
            patched.setattr(Buffer, "stored", crash)
            with contextlib.suppress(KeyboardInterrupt):
                stream.worker.step(everything=True)
        stream.buffer.close()
        stream = make(buffer_size_bytes=300)
        # What comes between must not change what the object holds that was begun.
        stream.put(row={"event_id": f"late {time.monotonic_ns()}"})
        stream.worker.step(everything=False)
    stream.worker.step(everything=True)

    rows = stream.rows()
    assert len(rows) == len(set(rows)) == 18
    assert len(stream.objects("errors")) == 1
    versions = DirectoryStore(stream.root).bucket.objects(versions=True)
    assert all(listed.is_latest for listed in versions), "no object has a second version"


BACKUP = SourceBackup("raw/", "UNCOMPRESSED", 1000, 900)


def raw(stream: Stream) -> list[dict[str, Any]]:
    """The records that the objects of the source backup hold, in the order of their keys."""
    text = "".join(path.read_text() for path in stream.objects("raw/"))
    return [json.loads(part) for part in text.replace("}{", "}\n{").splitlines()]


def test_a_backup_has_its_own_buffer(make: Make, plan: Plan) -> None:
    """It is stored by its own size and age, whether the records are transformed and delivered or not (B6)."""
    stream = make(backup=BACKUP)
    stream.put(row={"event_id": "e"})
    for _ in range(2):
        stream.clock[0] += max(plan.stream.processor.buffer_interval_s, plan.stream.buffer_interval_s)
        stream.worker.step(everything=False)
    assert stream.rows() == ["e"]
    assert stream.objects("raw/") == []

    stream.clock[0] = NOON + BACKUP.buffer_interval_s
    stream.worker.step(everything=False)
    assert raw(stream) == [{"row": {"event_id": "e"}}]
    stream.put(padding="x" * 600)
    stream.worker.step(everything=False)
    assert len(stream.objects("raw/")) == 1
    stream.put(padding="x" * 600)
    stream.worker.step(everything=False)
    assert len(stream.objects("raw/")) == 2, "1,000 bytes are there"
    assert stream.buffer.waiting().records == 2, "and the transform still waits"


def test_what_the_transform_refuses_or_drops_is_in_the_backup(make: Make) -> None:
    """The backup holds every record as it came, whatever becomes of it (B6)."""
    stream = make(backup=BACKUP)
    told: list[dict[str, Any]] = [
        {"row": {"event_id": "ok"}},
        {"result": "ProcessingFailed"},
        {"result": "Dropped"},
        {"row": "no json"},
        {"keys": {}},
    ]
    for one in told:
        stream.put(**one)
    stream.worker.step(everything=True)

    assert raw(stream) == told
    assert stream.rows() == ["ok"]
    assert len(stream.objects("errors/")) == 3
    assert stream.buffer.levels() == []


def test_a_backup_that_the_store_refuses_holds_its_records_back(
    make: Make, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are delivered all the same, status says what keeps the backup, and nothing of it leaves the journal."""
    monkeypatch.setattr("auditlake.runtime.journal.FILE_BYTES", 1)
    stream = make(backup=BACKUP)
    put = stream.worker._objects._store.put

    def refuse_backup(key: str, body: bytes) -> None:
        if key.startswith("raw/"):
            raise StoreError(f"The object {key} cannot be written: the store answers 503.")
        put(key, body)

    for number in range(3):
        stream.put(row={"event_id": f"{number}"})
    with monkeypatch.context() as patched:
        patched.setattr(stream.worker._objects._store, "put", refuse_backup)
        flushed = stream.worker.step(everything=True)
        problem = stream.worker.problem()
        told = status(replace(plan, stream=replace(plan.stream, backup=BACKUP)), stream.buffer, problem)

    assert flushed.problem is not None
    assert "raw/" in flushed.problem
    assert sorted(stream.rows()) == ["0", "1", "2"]
    assert "raw/" in told["problem"]["sentence"]
    assert "cannot be written" in told["problem"]["sentence"]
    assert [(one["destination"], one["records"]) for one in told["buffers"]] == [("backup", 3)]
    assert (told["backup"]["records"], told["journal"]["files"]) == (0, 3)
    stream.buffer.close()
    again = make(backup=BACKUP)
    again.worker.step(everything=True)
    assert [one["row"]["event_id"] for one in raw(again)] == ["0", "1", "2"]
    assert again.worker.problem() is None
    assert again.buffer.journal().files == 1


@pytest.mark.parametrize("dies_in", ["begin", "backed_up"])
def test_a_crash_between_the_backup_and_the_journal_loses_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    """Dying before or after the object is stored, the next start has each record there, and no object twice."""
    monkeypatch.setattr("auditlake.runtime.journal.FILE_BYTES", 1)
    backup = replace(BACKUP, buffer_size_bytes=100)
    stream = make(backup=backup)
    for number in range(10):
        stream.put(row={"event_id": f"{number}"})

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    for _ in range(4):
        with monkeypatch.context() as patched:
            patched.setattr(Buffer, dies_in, crash)
            with contextlib.suppress(KeyboardInterrupt):
                stream.worker.step(everything=True)
        stream.buffer.close()
        stream = make(backup=backup)
        # What comes between must not change what the object holds that was begun.
        stream.put(row={"event_id": f"late {time.monotonic_ns()}"})
        stream.worker.step(everything=False)
    stream.worker.step(everything=True)

    events = [one["row"]["event_id"] for one in raw(stream)]
    assert len(events) == len(set(events)) == 14
    assert sorted(events) == sorted(stream.rows())
    assert stream.buffer.journal().files == 1
    versions = DirectoryStore(stream.root).bucket.objects(versions=True)
    assert all(listed.is_latest for listed in versions), "no object has a second version"


def test_a_flush_ends_while_records_keep_coming(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It backs up what was accepted before it, not what comes while it does."""
    stream = make(backup=BACKUP)
    stream.put(row={"event_id": "before"})
    put, arriving = stream.worker._objects._store.put, iter(range(100))

    def put_and_accept(key: str, body: bytes) -> None:
        put(key, body)
        next(arriving)
        stream.put(row={"event_id": "meanwhile"})

    with monkeypatch.context() as patched:
        patched.setattr(stream.worker._objects._store, "put", put_and_accept)
        stream.worker.step(everything=True)

    assert stream.rows() == ["before"]
    assert raw(stream)[0] == {"row": {"event_id": "before"}}
    assert len(stream.objects("raw/")) == 1


def test_a_journal_that_cannot_be_read_is_told_of_the_backup(make: Make, tmp_path: Path) -> None:
    """The backup waits until the disk reads it, with a sentence, and then has the record."""
    stream = make(backup=BACKUP)
    stream.put(row={"event_id": "e"})
    stream.worker.step(everything=False)
    stream.clock[0] += BACKUP.buffer_interval_s
    (tmp_path / "buffer.journal").rename(tmp_path / "away")
    with contextlib.suppress(StoreError):  # the transform's turn, which reads it too
        stream.worker._turn([])
    assert "The journal file" in str(stream.worker.problem())

    (tmp_path / "away").rename(tmp_path / "buffer.journal")
    stream.clock[0] += 10
    stream.worker.step(everything=True)
    assert raw(stream) == [{"row": {"event_id": "e"}}]
    assert stream.worker.problem() is None


def test_the_thread_delivers_and_a_flush_waits_for_it(make: Make) -> None:
    """A running stream answers a flush with what it stored, and stops when closed."""
    stream = make()
    stream.put(row={"event_id": "a"})
    stream.worker.start()
    flushed = stream.worker.flush().result(timeout=20)
    stream.worker.close()

    assert (flushed.rows, flushed.problem) == (1, None)
    assert stream.rows() == ["a"]


def test_a_flush_that_is_given_up_costs_no_other(make: Make) -> None:
    """Who asked for a flush may hang up: the next flush is answered all the same."""
    stream = make()
    stream.put(row={"event_id": "a"})

    assert not stream.worker.flush().cancel()
    stream.worker.start()
    stream.worker.flush().result(timeout=20)
    stream.worker.close()

    assert stream.rows() == ["a"]


def test_the_thread_outlives_an_error_of_its_step(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is told to whoever waits, and the next flush works."""
    stream = make()
    stream.put(row={"event_id": "a"})
    monkeypatch.setattr("auditlake.runtime.stream.RETRY_STORE_S", 0)
    with monkeypatch.context() as patched:
        patched.setattr(StreamWorker, "_take_answers", lambda *_: 1 / 0)
        stream.worker.start()
        assert "division by zero" in str(stream.worker.flush().result(timeout=20).problem)

    assert stream.worker.flush().result(timeout=20).rows == 1
    stream.worker.close()


def test_what_cannot_be_partitioned_or_converted_stops_the_runtime(plan: Plan, tmp_path: Path) -> None:
    """A prefix or a column that is not implemented is refused before the first event."""
    store = DirectoryStore(tmp_path)
    wrong_prefix = replace(plan, stream=replace(plan.stream, prefix="e/!{partitionKeyFromQuery:a}/"))
    wrong_column = replace(plan, table=replace(plan.table, columns=(Column("b", "binary"),)))
    buffer = Buffer(tmp_path / "buffer.sqlite")
    for wrong in (wrong_prefix, wrong_column):
        with pytest.raises(PlanError):
            StreamWorker(wrong, buffer, ByInstruction(), store)
    buffer.close()


class Hanging(ByInstruction):
    """A transform that hangs on `{"hang": true}` until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.hangs = threading.Event()

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:
        """Answer as the records say, or hang."""
        records = json.loads(event)["records"]
        if any(json.loads(base64.b64decode(record["data"])).get("hang") for record in records):
            self.hangs.set()
            assert self.let_go.wait(timeout=60)
        return super().invoke(event, timeout_s)


def test_a_hanging_batch_holds_up_no_other(make: Make, plan: Plan) -> None:
    """While the function hangs on one batch the next is transformed, partitioned and stored (B3)."""
    function = Hanging()
    stream = make(function, buffer_size_bytes=1000)
    padding = "x" * plan.stream.processor.buffer_size_bytes
    stream.put(hang=True, row={"event_id": "hung"}, padding=padding)
    stream.put(row={"event_id": "next", "raw": padding})
    stream.worker.start()
    wait_until(lambda: stream.rows() == ["next"])

    assert function.hangs.is_set()
    assert stream.buffer.waiting().records == 1
    function.let_go.set()
    assert stream.worker.flush().result(timeout=20).problem is None
    assert sorted(stream.rows()) == ["hung", "next"]
    stream.worker.close()


def test_a_batch_that_is_asked_about_when_the_stream_closes_is_asked_about_again(make: Make) -> None:
    """An invocation that was under way costs nothing: its records are transformed at the next start."""
    function = Hanging()
    stream = make(function)
    stream.put(hang=True, row={"event_id": "e"})
    stream.worker.start()
    flushed = stream.worker.flush()
    assert function.hangs.wait(timeout=20)
    stream.worker.close()
    function.let_go.set()

    assert "stays in the buffer" in str(flushed.result(timeout=20).problem)
    assert stream.buffer.waiting().records == 1
    stream.buffer.close()
    again = make()
    again.worker.step(everything=True)
    assert again.rows() == ["e"]


class Broken(ByInstruction):
    """A transform that cannot be invoked the first time."""

    def __init__(self) -> None:
        self.broken = True

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:
        """Fail on this side of the function, once."""
        if self.broken:
            self.broken = False
            raise OSError("no process can be started")
        return super().invoke(event, timeout_s)


def test_a_function_that_cannot_be_invoked_is_tried_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails before the function was asked is no failure of the records."""
    monkeypatch.setattr("auditlake.runtime.stream.RETRY_STORE_S", 0)
    stream = make(Broken())
    stream.put(row={"event_id": "e"})
    stream.worker.step(everything=True)

    assert stream.rows() == ["e"]


def test_a_partition_that_cannot_be_delivered_stays_active(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """While its object is refused a partition counts against the limit, and others are refused for it (C2)."""
    monkeypatch.setattr("auditlake.runtime.placement.MAX_ACTIVE_PARTITIONS", 1)
    stream = make()
    stream.put(row={"event_id": "stuck"})
    with monkeypatch.context() as patched:
        patched.setattr(stream.worker._objects._store, "put", refuse)
        stream.worker.step(everything=True)
        stream.put(row={"event_id": "refused"}, keys={**KEYS, "audit_type": "user"})
        stream.worker.step(everything=True)
        assert (stream.worker.active_partitions(), stream.worker.partition_count_exceeded()) == (1, True)
    stream.clock[0] += 61
    stream.worker.step(everything=True)

    assert stream.rows() == ["stuck"]
    assert (stream.worker.active_partitions(), stream.worker.partition_count_exceeded()) == (0, False)
    (error,) = stream.objects("errors/activePartitionExceeded")
    assert json.loads(base64.b64decode(json.loads(error.read_bytes())["rawData"]))["event_id"] == "refused"
    stream.put(row={"event_id": "later"}, keys={**KEYS, "audit_type": "user"})
    stream.worker.step(everything=True)
    assert sorted(stream.rows()) == ["later", "stuck"], "a delivered partition makes room for another"


def refuse(key: str, body: bytes) -> None:
    """Store nothing."""
    raise StoreError(f"The object {key} of {len(body)} bytes cannot be written.")


def test_each_partition_is_delivered_by_its_own_size_or_age(make: Make, plan: Plan) -> None:
    """One buffer is full and goes at once; another waits for its interval, counted from its own opening (C3)."""
    stream = make(buffer_size_bytes=1000)
    stream.put(row={"event_id": "small"})
    stream.clock[0] += plan.stream.processor.buffer_interval_s
    stream.worker.step(everything=False)
    stream.put(row={"event_id": "large", "raw": "x" * 1000}, keys={**KEYS, "audit_type": "user"})
    stream.clock[0] += plan.stream.buffer_interval_s - 1
    stream.worker.step(everything=False)
    stream.clock[0] += 1
    stream.worker.step(everything=False)

    assert sorted(stream.rows()) == ["large", "small"]
    stream.put(row={"event_id": "large", "raw": "x" * 1000}, keys={**KEYS, "audit_type": "user"})
    stream.put(row={"event_id": "small"})
    stream.clock[0] += plan.stream.processor.buffer_interval_s
    stream.worker.step(everything=False)
    assert sorted(stream.rows()) == ["large", "large", "small"]


def test_a_clock_that_is_set_back_holds_nothing_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came in a future that was none is due, for the transform, for its object and for another try at a store."""
    stream = make()
    stream.put()
    stream.clock[0] -= 86_400
    stream.worker.step(everything=False)
    assert (stream.buffer.waiting().records, stream.rows()) == (0, [])
    stream.clock[0] -= 86_400
    with monkeypatch.context() as patched:
        patched.setattr(stream.worker._objects._store, "put", refuse)
        stream.worker.step(everything=False)
    stream.clock[0] -= 86_400
    stream.worker.step(everything=False)

    assert stream.rows() == ["e"]


def test_a_journal_that_cannot_be_read_holds_up_no_object(make: Make, plan: Plan, tmp_path: Path) -> None:
    """What the transform has answered for is delivered when it is due, and the fault is told at each turn."""
    stream = make()
    stream.put()
    stream.clock[0] += plan.stream.processor.buffer_interval_s
    stream.worker.step(everything=False)
    stream.put()
    stream.clock[0] += plan.stream.buffer_interval_s
    (tmp_path / "buffer.journal").rename(tmp_path / "away")

    with pytest.raises(StoreError, match=r"The journal file .* of the buffer cannot be read"):
        stream.worker._turn([])

    assert stream.rows() == ["e"]


@pytest.mark.parametrize(
    ("prefix", "pattern"),
    [
        ("p/!{partitionKeyFromLambda:audit_type}/", r"p/login/"),
        ("p/!{partitionKeyFromLambda:audit_type}/!{timestamp:yyyy/MM/dd/HH}/", r"p/login/2026/11/24/21/"),
        ("p/!{firehose:random-string}/!{partitionKeyFromLambda:audit_type}/", r"p/[A-Za-z0-9]{11}/login/"),
    ],
)
def test_expressions_of_a_prefix_become_the_path(make: Make, prefix: str, pattern: str) -> None:
    """Keys, times of the oldest arrival in the stream's zone, and random strings; no date is appended to them (C5)."""
    stream = make(prefix=prefix, custom_time_zone="Asia/Tokyo", file_extension=".pq")
    stream.put(row={"event_id": "e"})
    stream.clock[0] += 3600
    stream.put(row={"event_id": "an hour later"})
    stream.worker.step(everything=True)

    (path,) = stream.objects("p")
    key = str(path.relative_to(stream.root))
    assert re.fullmatch(pattern + r"auditlake-events-1-2026-11-24-21-00-00-[0-9a-f-]{36}\.pq", key), key


def wait_until(true: Callable[[], bool]) -> None:
    """Wait until something is so, for a minute at most."""
    for _ in range(1200):
        if true():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it never came to be so")


class Throwing:
    """A transform that always throws, and tells how often."""

    def __init__(self) -> None:
        self.invoked = 0
        self.threw = threading.Event()

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:  # noqa: ARG002 - the seam
        """Fail."""
        self.invoked += 1
        self.threw.set()
        return FunctionError("error", "thrown")


def test_closing_ends_the_wait_before_a_retry(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that waits for its next attempt is neither tried at once nor failed: it stays for the next start."""
    monkeypatch.setattr("auditlake.runtime.transform.RETRY_WAITS_S", (600,))
    function = Throwing()
    stream = make(function)
    stream.put(row={"event_id": "e"})
    stream.worker.start()
    stream.worker.flush()
    assert function.threw.wait(timeout=20)
    stream.worker.close()
    stream.worker._invokers.shutdown(wait=True)

    assert function.invoked == 1
    assert stream.buffer.waiting().records == 1
    assert stream.objects("errors") == []


class HangingStore(DirectoryStore):
    """A store that does not answer until it is let go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.let_go = threading.Event(), threading.Event()

    def put(self, key: str, body: bytes) -> None:
        """Hang, and then store."""
        self.asked.set()
        assert self.let_go.wait(timeout=60)
        super().put(key, body)


def test_closing_does_not_wait_for_a_store_that_hangs(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The close returns, whoever waits for a flush hears of it, and the object is stored once after the next start."""
    monkeypatch.setattr("auditlake.runtime.stream.CLOSE_S", 0.1)
    buffer, store = Buffer(tmp_path / "buffer.sqlite"), HangingStore(tmp_path / "bucket")
    worker = StreamWorker(plan, buffer, ByInstruction(), store)
    buffer.accept(1000, [b'{"row": {"event_id": "e"}}']).result(timeout=10)
    worker.start()
    flushed = worker.flush()
    assert store.asked.wait(timeout=20)
    worker.close()
    assert "stays in the buffer" in str(flushed.result(timeout=1).problem)
    assert "stays in the buffer" in str(worker.flush().result(timeout=1).problem)
    buffer.close()
    store.let_go.set()
    worker._thread.join(timeout=20)

    again = Buffer(tmp_path / "buffer.sqlite")
    assert again.recovery.begun == 1
    StreamWorker(plan, again, ByInstruction(), DirectoryStore(tmp_path / "bucket")).step(everything=True)
    again.close()
    assert len(list((tmp_path / "bucket" / "events").rglob("*.parquet"))) == 1


def test_a_buffer_that_failed_stops_the_stream_with_a_sentence(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """It says why and what to do, without a traceback, and who asks for a flush is told the same."""
    stream = make()
    stream.put(row={"event_id": "e"})
    stream.worker.step(everything=False)
    stream.clock[0] += 61
    stream.worker.step(everything=False)
    stream.buffer._index.write(lambda connection: connection.execute("UPDATE buffered SET data = x'00'"))
    stream.worker.start()
    told = stream.worker.flush().result(timeout=20).problem

    assert told is not None
    assert "What was accepted is in the journal; start auditlake again, which recovers it." in told
    assert (stream.worker.failure, stream.worker.flush().result(timeout=1).problem) == (told, told)
    assert "Traceback" not in caplog.text
    stream.worker.close()
    stream.buffer.close()
    again = make()
    again.worker.step(everything=True)
    assert again.rows() == ["e"]


def test_what_the_disk_refuses_is_a_sentence_and_is_tried_again(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk in the middle of a step is told without a traceback, and the step is repeated."""
    monkeypatch.setattr("auditlake.runtime.stream.RETRY_STORE_S", 0)
    stream = make()
    stream.put(row={"event_id": "e"})
    problems = [StoreError("The buffer could not be written: the disk is full; free some space.")]
    move = Buffer.move

    def full(*arguments: Any) -> None:  # noqa: ANN401 - handed through
        if problems:
            raise problems.pop()
        move(*arguments)

    monkeypatch.setattr(Buffer, "move", full)
    stream.worker.start()
    assert "the disk is full" in str(stream.worker.flush().result(timeout=20).problem)
    assert stream.worker.flush().result(timeout=20).rows == 1
    stream.worker.close()

    assert "the disk is full; free some space. It is tried again" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_flush_ends_though_what_waits_is_not_there(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that are counted and that the journal no longer has keep no flush from ending."""
    stream = make(backup=BACKUP)
    stream.put(row={"event_id": "e"})
    monkeypatch.setattr("auditlake.runtime.backup_queue.BackupQueue.contents", lambda _self, _max_bytes: [])

    flushed = stream.worker.step(everything=True)

    assert (flushed.rows, stream.rows()) == (1, ["e"])
    assert [level.records for level in stream.buffer.levels()] == [1]
