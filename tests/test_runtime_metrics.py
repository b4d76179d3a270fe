"""The metrics for Prometheus."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from auditlake.errors import StoreError
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.function import FunctionError
from auditlake.runtime.metrics import metrics
from auditlake.runtime.plan import MIB, Plan, SourceBackup
from auditlake.runtime.stream import StreamWorker
from tests.conftest import Up
from tests.functions import scripted


class Scripted:
    """A transform that does what the records say, without a process."""

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:  # noqa: ARG002 - the seam
        """Answer as the records say."""
        return json.dumps(scripted(json.loads(event), None)).encode()


class Objects:
    """A store that keeps objects in memory, or refuses them."""

    def __init__(self) -> None:
        self.full = False

    def put(self, key: str, body: bytes) -> None:  # noqa: ARG002 - the store's own arguments
        """Keep an object."""
        if self.full:
            raise StoreError("The disk is full.")


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[Buffer]:
    """An empty buffer."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    yield buffer
    buffer.close()


def read(text: bytes) -> dict[tuple[str, str], float]:
    """Read the text as Prometheus does: value by name and last label."""
    families = text_string_to_metric_families(text.decode())
    return {(s.name, list(s.labels.values())[-1]): s.value for family in families for s in family.samples}


def put(buffer: Buffer, *told: dict[str, object]) -> None:
    """Accept records that say what becomes of them, at second 1."""
    buffer.accept(1000, [json.dumps(one).encode() for one in told]).result(timeout=10)


def test_every_stage_is_counted_under_cloudwatchs_names(plan: Plan, buffer: Buffer) -> None:
    """What came in, was processed, converted, stored and failed is counted, and the oldest record gives the age."""
    store = Objects()
    worker = StreamWorker(plan, buffer, Scripted(), store, clock=lambda: 2.0)  # type: ignore[arg-type]  # a store's part
    put(buffer, {"do": "Ok", "id": "a"}, {"do": "Dropped"}, {"do": "ProcessingFailed"}, {"do": "Ok", "row": "{"})
    worker.step(everything=True)
    put(buffer, {"do": "Ok"})
    store.full = True
    found = read(metrics("s", buffer, worker, now_ms=61_000))

    assert found["firehose_IncomingRecords_total", "s"] == 5
    assert found["firehose_SucceedProcessing_Records_total", "s"] == 3
    assert found["firehose_SucceedConversion_Records_total", "s"] == 1
    assert found["firehose_FailedConversion_Records_total", "s"] == 1
    assert found["firehose_FailedConversion_Bytes_total", "s"] == 1
    assert found["firehose_DeliveryToS3_Records_total", "s"] == 1
    assert found["firehose_DeliveryToS3_ObjectCount_total", "s"] == 1
    assert found["firehose_DeliveryToS3_Bytes_total", "s"] > 1000
    assert found["firehose_ExecuteProcessing_Success_count", "s"] == 1
    assert found["firehose_DeliveryToS3_Success_sum", "s"] == 3, "the rows, and two objects of errors"
    assert found["firehose_DeliveryToS3_DataFreshness", "s"] == 60
    assert found["firehose_ThrottledRecords_total", "s"] == 0
    assert found["auditlake_failed_records_total", "processing-failed"] == 1
    assert found["auditlake_buffered_records", "transform"] == 1
    worker.step(everything=True)
    after = read(metrics("s", buffer, worker, now_ms=61_000))
    assert after["firehose_PartitionCount", "s"] == 1
    assert after["auditlake_buffered_records", "rows/login/2026/11/24"] == 1
    assert after["firehose_DeliveryToS3_Success_count", "s"] - after["firehose_DeliveryToS3_Success_sum", "s"] == 1
    worker.close()


def test_the_source_backup_is_measured_where_there_is_one(plan: Plan, tmp_path: Path) -> None:
    """Its records, bytes, successes and age stand under CloudWatch's names, and none of the delivery's counts them."""
    backed_up = replace(plan, stream=replace(plan.stream, backup=SourceBackup("raw/", "GZIP", 5 * MIB, 300)))
    buffer, store = Buffer(tmp_path / "backup.sqlite", has_backup=True), Objects()
    worker = StreamWorker(backed_up, buffer, Scripted(), store, clock=lambda: 2.0)  # type: ignore[arg-type]  # a store's part
    put(buffer, {"do": "Ok", "id": "a"}, {"do": "ProcessingFailed"})
    worker.step(everything=True)
    put(buffer, {"do": "Dropped"})
    found = read(metrics("s", buffer, worker, now_ms=61_000))
    assert found["firehose_BackupToS3_Records_total", "s"] == 2
    assert 0 < found["firehose_BackupToS3_Bytes_total", "s"] < found["firehose_DeliveryToS3_Bytes_total", "s"]
    assert (found["firehose_BackupToS3_Success_count", "s"], found["firehose_BackupToS3_Success_sum", "s"]) == (1, 1)
    assert found["firehose_DeliveryToS3_Success_count", "s"] == 2, "the rows, and an object of errors"
    assert found["auditlake_buffered_records", "backup"] == 1

    store.full = True
    worker.step(everything=True)
    failing = read(metrics("s", buffer, worker, now_ms=61_000))
    assert failing["firehose_BackupToS3_Success_count", "s"] - failing["firehose_BackupToS3_Success_sum", "s"] == 1
    assert failing["firehose_DeliveryToS3_Success_count", "s"] == 2, "a backup that fails is none of the delivery's"
    assert failing["firehose_BackupToS3_DataFreshness", "s"] == 60
    assert failing["firehose_DeliveryToS3_DataFreshness", "s"] == 0, "the dropped record waits for the backup alone"
    worker.close()
    buffer.close()


def test_a_stream_without_a_source_backup_has_no_metrics_of_one(plan: Plan, buffer: Buffer) -> None:
    """As on AWS, where they are emitted when backup is enabled (I2)."""
    worker = StreamWorker(plan, buffer, Scripted(), Objects(), clock=lambda: 2.0)  # type: ignore[arg-type]  # a store's part
    assert b"BackupToS3" not in metrics("s", buffer, worker, now_ms=61_000)
    worker.close()


def test_a_packed_record_counts_as_one_record_and_as_its_rows(plan: Plan, buffer: Buffer) -> None:
    """What CloudWatch counts in records is records, so that it can be set against IncomingRecords; rows stand apart."""
    worker = StreamWorker(plan, buffer, Scripted(), Objects(), clock=lambda: 2.0)  # type: ignore[arg-type]  # a store's part
    put(buffer, {"do": "Ok", "row": '{"event_id":"a"}\n{"event_id":"b"}'}, {"do": "Ok", "id": "c"})
    worker.step(everything=True)
    found = read(metrics("s", buffer, worker, now_ms=61_000))
    worker.close()

    for name in ("IncomingRecords", "SucceedProcessing_Records", "SucceedConversion_Records", "DeliveryToS3_Records"):
        assert found[f"firehose_{name}_total", "s"] == 2
    assert found["auditlake_stored_rows_total", "s"] == 3


def test_what_fails_now_is_a_gauge(plan: Plan, buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused requests and a store that fails are 1 while they last; damage and the journal's size are there too."""
    store = Objects()
    worker = StreamWorker(plan, buffer, Scripted(), store, clock=lambda: 2.0)  # type: ignore[arg-type]  # a store's part
    put(buffer, {"do": "Ok"})
    buffer.count({"damaged.records": 3})
    before = read(metrics("s", buffer, worker, now_ms=61_000))
    assert before["auditlake_damaged_records_total", "s"] == 3
    assert before["auditlake_journal_files", "s"] == 1
    assert before["auditlake_journal_bytes", "s"] == buffer.journal().bytes
    assert (before["auditlake_refusing", "s"], before["auditlake_delivery_failing", "s"]) == (0, 0)

    def fail(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fail)
        with pytest.raises(StoreError):
            put(buffer, {"do": "Ok"})
    store.full = True
    worker.step(everything=True)
    failing = read(metrics("s", buffer, worker, now_ms=61_000))
    assert (failing["auditlake_refusing", "s"], failing["auditlake_delivery_failing", "s"]) == (1, 1)
    store.full = False
    put(buffer, {"do": "Ok"})
    worker.step(everything=True)
    after = read(metrics("s", buffer, worker, now_ms=61_000))
    assert (after["auditlake_refusing", "s"], after["auditlake_delivery_failing", "s"]) == (0, 0)
    worker.close()


def test_metrics_are_served_where_prometheus_looks_and_guarded(up: Up) -> None:
    """`/metrics` and the control's path answer alike, and only with the token when there is one."""
    running = up("--token", "s3cret")
    bearer = {"authorization": "Bearer s3cret"}

    assert httpx.get(f"{running.url}/metrics").status_code == httpx.codes.UNAUTHORIZED
    for path in ("/metrics", "/_auditlake/metrics"):
        answer = httpx.get(running.url + path, headers=bearer)
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert read(answer.content)["firehose_IncomingRecords_total", "auditlake-events"] == 0
