"""What a running stream measures, as text for Prometheus under the names of Firehose's metrics in CloudWatch (I2).

A dot of a name becomes an underscore: `DeliveryToS3.Records` is `firehose_DeliveryToS3_Records_total`. What CloudWatch
keeps as sum and sample count (`*.Success`, `*.Duration`) is a summary here: its average is `_sum` / `_count`. Counters
live in the buffer, so that they go on after a restart.

Not there, because nothing of it exists on one machine: BytesPerSecondLimit and PerPartitionThroughput (no quota),
JQProcessing (jq is refused), KMSKey (no KMS). BackupToS3 is there where the plan has a source backup, as on AWS.
"""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from auditlake.runtime.buffer import Buffer
from auditlake.runtime.destination import SOURCE_BACKUP
from auditlake.runtime.stream import StreamWorker

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_COUNTERS = (
    ("IncomingRecords", "accepted.records", "Records that were accepted."),
    ("IncomingBytes", "accepted.bytes", "Bytes of the records that were accepted."),
    (
        "ThrottledRecords",
        "throttled.records",
        "Records that were refused for a quota; none, as there is no quota here.",
    ),
    ("SucceedProcessing.Records", "processed.records", "Records that the transform answered with Ok or Dropped."),
    ("SucceedProcessing.Bytes", "processed.bytes", "Bytes that the transform answered with Ok."),
    ("SucceedConversion.Records", "converted.records", "Records that were converted."),
    ("SucceedConversion.Bytes", "converted.bytes", "Bytes of the records that were converted."),
    ("FailedConversion.Records", "failed.format-conversion-failed", "Records that could not be converted."),
    ("FailedConversion.Bytes", "unconverted.bytes", "Bytes of the records that could not be converted."),
    ("DeliveryToS3.Records", "converted.records", "Records in the objects that were stored."),
    ("DeliveryToS3.Bytes", "stored.bytes", "Bytes of the objects that were stored."),
    ("DeliveryToS3.ObjectCount", "stored.objects", "Objects that were stored under Prefix."),
)
"""CloudWatch's name, the buffer's counter, what it counts."""
_BACKUP_COUNTERS = (
    ("BackupToS3.Records", "backup.records", "Records in the objects of the source backup that were stored."),
    ("BackupToS3.Bytes", "backup.bytes", "Bytes of the objects of the source backup that were stored."),
)


def metrics(stream_name: str, buffer: Buffer, worker: StreamWorker, now_ms: int) -> bytes:
    """Return all metrics in Prometheus' text format; `now_ms` (epoch ms, UTC) is what ages are counted to."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Stream(stream_name, buffer, worker, now_ms))
    return generate_latest(registry)


class _Stream(Collector):
    """One reading of a stream."""

    def __init__(self, name: str, buffer: Buffer, worker: StreamWorker, now_ms: int) -> None:
        self._labels = [name]
        self._buffer = buffer
        self._worker = worker
        self._now_ms = now_ms

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        counters = self._buffer.counters()
        for name, counter, help_text in (*_COUNTERS, *(_BACKUP_COUNTERS if self._buffer.has_backup else ())):
            family = CounterMetricFamily(_name(name), _help(name, help_text), labels=["DeliveryStreamName"])
            family.add_metric(self._labels, counters.get(counter, 0))
            yield family
        yield from self._summaries(counters)
        yield from self._gauges()
        yield from self._troubles()
        yield self._damaged(counters)
        yield self._rows(counters)
        yield self._failed(counters)
        yield from self._buffers()

    def _summaries(self, counters: Mapping[str, int]) -> Iterator[Metric]:
        invocations, deliveries = counters.get("invocations", 0), counters.get("deliveries", 0)
        refused = counters.get("deliveries.failed", 0)
        summaries = [
            (
                "ExecuteProcessing.Success",
                invocations,
                counters.get("invocations.succeeded", 0),
                "Invocations of the transform, and how many of them succeeded.",
            ),
            (
                "ExecuteProcessing.Duration",
                invocations,
                counters.get("invocations.duration_ms", 0),
                "Invocations of the transform, and the milliseconds that they took.",
            ),
            (
                "DeliveryToS3.Success",
                deliveries + refused,
                deliveries,
                "Objects that were to be stored, under either prefix, and how many of them were.",
            ),
        ]
        if self._buffer.has_backup:
            backups, refused = counters.get("backup.deliveries", 0), counters.get("backup.deliveries.failed", 0)
            help_text = "Objects of the source backup that were to be stored, and how many of them were."
            summaries.append(("BackupToS3.Success", backups + refused, backups, help_text))
        for name, count, total, help_text in summaries:
            family = SummaryMetricFamily(_name(name), _help(name, help_text), labels=["DeliveryStreamName"])
            family.add_metric(self._labels, count_value=count, sum_value=total)
            yield family

    def _gauges(self) -> Iterator[Metric]:
        levels = self._buffer.levels()
        delivery = [one.oldest_arrival_ms for one in levels if one.destination != SOURCE_BACKUP]
        backup = [one.oldest_arrival_ms for one in levels if one.destination == SOURCE_BACKUP]
        waiting = self._buffer.waiting()
        if waiting.oldest_arrival_ms is not None:
            delivery.append(waiting.oldest_arrival_ms)
        exceeded = self._worker.partition_count_exceeded()
        gauges = [
            (
                "DeliveryToS3.DataFreshness",
                self._age_s(delivery),
                "Seconds since the oldest undelivered record arrived.",
            ),
            ("PartitionCount", self._worker.active_partitions(), "Partitions with undelivered records."),
            ("PartitionCountExceeded", int(exceeded), "1 when a record of the last minute met the limit."),
        ]
        if self._buffer.has_backup:
            help_text = "Seconds since the oldest record arrived that is not in the source backup."
            gauges.append(("BackupToS3.DataFreshness", self._age_s(backup), help_text))
        for name, value, help_text in gauges:
            family = GaugeMetricFamily(_name(name), _help(name, help_text), labels=["DeliveryStreamName"])
            family.add_metric(self._labels, value)
            yield family

    def _age_s(self, arrivals_ms: Sequence[int]) -> float:
        return max(0, self._now_ms - min(arrivals_ms)) / 1000 if arrivals_ms else 0

    def _troubles(self) -> Iterator[Metric]:
        journal = self._buffer.journal()
        for name, value, help_text in (
            ("refusing", int(self._buffer.problem() is not None), "1 when the last request could not be written."),
            ("delivery_failing", int(self._worker.problem() is not None), "1 while a store or the buffer fails."),
            ("journal_bytes", journal.bytes, "Bytes of the journal on the disk."),
            ("journal_files", journal.files, "Files of the journal on the disk."),
        ):
            family = GaugeMetricFamily(f"auditlake_{name}", help_text, labels=["DeliveryStreamName"])
            family.add_metric(self._labels, value)
            yield family

    def _damaged(self, counters: Mapping[str, int]) -> Metric:
        help_text = "Accepted records that cannot be read from the disk any more."
        family = CounterMetricFamily("auditlake_damaged_records", help_text, labels=["DeliveryStreamName"])
        family.add_metric(self._labels, counters.get("damaged.records", 0))
        return family

    def _rows(self, counters: Mapping[str, int]) -> Metric:
        help_text = "Rows in the objects that were stored; a record may hold several."
        family = CounterMetricFamily("auditlake_stored_rows", help_text, labels=["DeliveryStreamName"])
        family.add_metric(self._labels, counters.get("stored.rows", 0))
        return family

    def _failed(self, counters: Mapping[str, int]) -> Metric:
        family = CounterMetricFamily(
            "auditlake_failed_records",
            "Records that went under the error prefix, by their error-output-type.",
            labels=["DeliveryStreamName", "error_output_type"],
        )
        for name, count in counters.items():
            if name.startswith("failed."):
                family.add_metric([*self._labels, name.removeprefix("failed.")], count)
        return family

    def _buffers(self) -> Iterator[Metric]:
        waiting = self._buffer.waiting()
        sizes = [("transform", waiting.records, waiting.bytes)]
        for level in self._buffer.levels():
            name = "/".join((level.destination.kind, *level.destination.values))
            sizes.append((name, level.records, level.bytes))
        labels = ["DeliveryStreamName", "buffer"]
        records = GaugeMetricFamily("auditlake_buffered_records", "Records in each buffer.", labels=labels)
        size = GaugeMetricFamily("auditlake_buffered_bytes", "Bytes in each buffer.", labels=labels)
        for name, count, total in sizes:
            records.add_metric([*self._labels, name], count)
            size.add_metric([*self._labels, name], total)
        yield records
        yield size


def _name(cloudwatch: str) -> str:
    return f"firehose_{cloudwatch.replace('.', '_')}"


def _help(cloudwatch: str, text: str) -> str:
    return f"{cloudwatch} of AWS/Firehose. {text}"
