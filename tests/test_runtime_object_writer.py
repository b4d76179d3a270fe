"""From buffered records to objects: the same object under the same key, whatever comes between."""

import gzip
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auditlake.errors import ObjectExistsError, PlanError, StoreError
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.destination import SOURCE_BACKUP, Destination, errors_of, rows_of
from auditlake.runtime.index import Buffered
from auditlake.runtime.object_writer import NOTHING, ObjectWriter, Stored
from auditlake.runtime.placement import Placement
from auditlake.runtime.plan import Plan, SourceBackup

LOGIN, FAILED = rows_of("login", "2026", "11", "24"), errors_of("processing-failed")


class Objects:
    """A store that keeps objects, and refuses or loses the answers that it is told to."""

    def __init__(self) -> None:
        self.puts: list[tuple[str, bytes]] = []
        self.problems: list[Exception] = []

    def put(self, key: str, body: bytes) -> None:
        """Keep an object; a problem is raised after it is kept."""
        self.puts.append((key, body))
        if self.problems:
            raise self.problems.pop(0)

    def notices(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[Buffer]:
    """An empty buffer."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    yield buffer
    buffer.close()


def fill(buffer: Buffer, destination: Destination, *rows: bytes) -> None:
    """Have rows wait for a destination."""
    buffer.accept(1_795_521_600_000, rows).result(timeout=10)
    batch = buffer.next_batch(10**6, 10**6)
    buffer.move(batch, [Buffered(r.seq, destination, r.arrival_ms, r.data) for r in batch], {}, 0)


def writer(plan: Plan, buffer: Buffer, store: Objects, **changes: Any) -> ObjectWriter:  # noqa: ANN401 - of the stream
    """A writer of the plan's objects."""
    changed = replace(plan, stream=replace(plan.stream, **changes))
    return ObjectWriter(changed, buffer, store, Placement(changed, lambda: 1.0), lambda: 1.0)


@pytest.mark.parametrize("destination", [LOGIN, FAILED], ids=["rows", "errors"])
def test_an_answer_that_got_lost_repeats_the_same_object(plan: Plan, buffer: Buffer, destination: Destination) -> None:
    """Key and bytes are the same, though more rows have come, a random prefix is asked for, and the process is new."""
    store = Objects()
    store.problems = [StoreError("lost"), StoreError("lost again")]
    fill(buffer, destination, b'{"event_id":"a"}', b'{"event_id":"b"}')
    keys = "/".join(f"!{{partitionKeyFromLambda:{key.name}}}" for key in plan.table.partition_keys)
    random = {"prefix": f"p/!{{firehose:random-string}}/{keys}/"}
    for _ in range(2):
        with pytest.raises(StoreError):
            writer(plan, buffer, store, **random).write(destination)
        fill(buffer, destination, b'{"event_id":"later"}')
    stored = writer(plan, buffer, store, **random).write(destination)

    assert stored == Stored(1, 2 if destination is LOGIN else 0)
    assert len(store.puts) == 3
    assert len(set(store.puts)) == 1
    writer(plan, buffer, store, **random).write(destination)
    assert len(set(store.puts)) == 2
    assert writer(plan, buffer, store, **random).write(destination) == NOTHING


def test_other_bytes_under_the_key_do_not_stall(plan: Plan, buffer: Buffer) -> None:
    """When a plan changed between the attempts the object gets another key: perhaps twice, never lost."""
    store = Objects()
    store.problems = [StoreError("lost"), ObjectExistsError("The object is there with other bytes.")]
    fill(buffer, LOGIN, b'{"event_id":"a"}')
    with pytest.raises(StoreError):
        writer(plan, buffer, store).write(LOGIN)

    assert writer(plan, buffer, store).write(LOGIN) == Stored(1, 1)
    first, second, third = (key for key, _ in store.puts)
    assert first == second != third
    assert buffer.levels() == []


def test_conversion_gives_the_same_bytes_each_time(plan: Plan, buffer: Buffer) -> None:
    """What is put again after a crash has the checksum of what was put before it."""
    store = Objects()
    rows = [b'{"event_id":"%d","event_time":"2026-11-24T03:00:00Z","problems":["p"]}' % n for n in range(3000)]
    fill(buffer, LOGIN, *rows, b'{"event_id":')
    store.problems = [StoreError("lost") for _ in range(3)]
    for _ in range(3):
        with pytest.raises(StoreError):
            writer(plan, buffer, store).write(LOGIN)

    assert len({body for _, body in store.puts}) == 1


def test_nothing_that_converts_begins_no_object(plan: Plan, buffer: Buffer) -> None:
    """All rows fail: they wait as errors, and the store is not asked."""
    store = Objects()
    fill(buffer, LOGIN, b"no json", b"none either")

    assert writer(plan, buffer, store).write(LOGIN) == NOTHING
    assert store.puts == []
    assert [(str(level.destination), level.records) for level in buffer.levels()] == [
        ("errors / format-conversion-failed", 2)
    ]


RAW = SourceBackup("raw/", "GZIP", 100, 60)


@pytest.fixture
def backed_up(tmp_path: Path) -> Iterator[Buffer]:
    """An empty buffer whose stream has a source backup."""
    buffer = Buffer(tmp_path / "backed_up.sqlite", has_backup=True)
    yield buffer
    buffer.close()


@pytest.mark.parametrize(
    ("backup", "key"),
    [
        (RAW, r"raw/2026/11/24/12/auditlake-events-1-2026-11-24-12-00-00-[0-9a-f-]{36}\.gz"),
        (
            replace(RAW, prefix="p", compression="UNCOMPRESSED"),
            r"p2026/11/24/12/auditlake-events-1-2026-11-24-12-00-00-[0-9a-f-]{36}",
        ),
        (
            replace(RAW, prefix="raw/!{timestamp:yyyy}/!{firehose:random-string}/"),
            r"raw/2026/[A-Za-z0-9]{11}/auditlake-events-1-2026-11-24-12-00-00-[0-9a-f-]{36}\.gz",
        ),
    ],
    ids=["gzip", "uncompressed", "expressions"],
)
def test_the_backup_has_firehoses_names_and_the_records_bytes(
    plan: Plan, backed_up: Buffer, backup: SourceBackup, key: str
) -> None:
    """Records stand one after the other as they came; the hour is UTC's, whatever CustomTimeZone says (B6, B7)."""
    store = Objects()
    fill(backed_up, LOGIN, b"no json ", b"\xff\x00")

    stored = writer(plan, backed_up, store, backup=backup, custom_time_zone="Asia/Tokyo").write(SOURCE_BACKUP)

    assert stored == Stored(1, 0)
    ((stored_key, body),) = store.puts
    assert re.fullmatch(key, stored_key)
    assert (gzip.decompress(body) if backup.compression == "GZIP" else body) == b"no json \xff\x00"
    counters = backed_up.counters()
    assert (counters["backup.records"], counters["backup.bytes"], counters["backup.objects"]) == (2, len(body), 1)
    assert [level.destination for level in backed_up.levels()] == [LOGIN]


def test_an_answer_that_got_lost_repeats_the_same_object_of_the_backup(plan: Plan, backed_up: Buffer) -> None:
    """Key and bytes are the same, though more records have come, and the hour of their compression is another."""
    store = Objects()
    store.problems = [StoreError("lost"), StoreError("lost again")]
    fill(backed_up, LOGIN, b"a" * 60, b"b" * 30)
    for _ in range(2):
        with pytest.raises(StoreError):
            writer(plan, backed_up, store, backup=RAW).write(SOURCE_BACKUP)
        fill(backed_up, LOGIN, b"later")
    writer(plan, backed_up, store, backup=RAW).write(SOURCE_BACKUP)
    assert len(store.puts) == 3
    assert len(set(store.puts)) == 1

    writer(plan, backed_up, store, backup=RAW).write(SOURCE_BACKUP)
    assert [gzip.decompress(body) for _, body in store.puts[2:]] == [b"a" * 60 + b"b" * 30, b"laterlater"]
    assert writer(plan, backed_up, store, backup=RAW).write(SOURCE_BACKUP) == NOTHING


def test_other_bytes_under_the_key_do_not_stall_the_backup(plan: Plan, backed_up: Buffer) -> None:
    """When the compression changed between the attempts the object gets another key: perhaps twice, never lost."""
    store = Objects()
    store.problems = [StoreError("lost"), ObjectExistsError("The object is there with other bytes.")]
    fill(backed_up, LOGIN, b"a")
    with pytest.raises(StoreError):
        writer(plan, backed_up, store, backup=RAW).write(SOURCE_BACKUP)

    plain = replace(RAW, compression="UNCOMPRESSED")
    assert writer(plan, backed_up, store, backup=plain).write(SOURCE_BACKUP) == Stored(1, 0)
    first, second, third = (key for key, _ in store.puts)
    assert first == second != third


def test_a_prefix_that_no_record_can_have_is_refused(plan: Plan, backed_up: Buffer) -> None:
    """Partition keys come from the transform, and the backup is before it."""
    with pytest.raises(PlanError, match="s3_backup_configuration uses partition keys"):
        writer(plan, backed_up, Objects(), backup=replace(RAW, prefix="raw/!{partitionKeyFromLambda:audit_type}/"))
