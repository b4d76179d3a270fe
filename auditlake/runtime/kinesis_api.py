"""The data stream's API before a delivery stream: Kinesis' JSON 1.1 protocol, as producers use it (A6).

Implemented are PutRecord, PutRecords and DescribeStreamSummary. Reading is the delivery stream's part here: what is put
goes into its buffer, which is durable, so that there is no second copy for others to read. The limits are those of the
service model that botocore ships, and of a stream whose record size nobody raised.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from auditlake.errors import StoreError
from auditlake.runtime.api_model import ApiError, error_response, read_request, request_shapes, response
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.exchange import Response
from auditlake.runtime.journal_format import Keyed
from auditlake.runtime.plan import MIB, KinesisStream
from auditlake.runtime.random_pool import random_uuid
from auditlake.runtime.shared_accept import Accept, Operation, Parameters

TARGET_PREFIX = "Kinesis_20131202."
MAX_RECORD_BYTES = MIB
"""Data and partition key of a record, unless the stream was told otherwise (A6.1, documented)."""
MAX_REQUEST_BYTES = 10 * MIB
"""Data and partition keys of a PutRecords (A6.2, documented)."""
SHARD_ID = "shardId-000000000000"
"""The only shard: one machine has one buffer."""


class KinesisApi:
    """Answers for the data stream that a delivery stream reads, and puts records into that one's buffer."""

    def __init__(self, stream: KinesisStream, buffer: Buffer, clock: Callable[[], float] = time.time) -> None:
        """Serve `stream`; `clock` gives the epoch time in seconds."""
        self._stream = stream
        self._buffer = buffer
        self._accept = Accept(buffer, clock)
        self._operations: Mapping[str, Operation] = {
            "PutRecord": self._put_record,
            "PutRecords": self._put_records,
            "DescribeStreamSummary": self._describe,
        }
        self._requests = request_shapes("kinesis", self._operations)

    async def answer(self, target: str, body: bytes) -> Response:
        """Answer a request by its X-Amz-Target, which begins with `TARGET_PREFIX`."""
        return await self.call(target.removeprefix(TARGET_PREFIX), body)

    async def call(self, operation: str, body: bytes | str, limit_s: float | None = None) -> Response:
        """Answer one call; `body` is its JSON. Errors are answers, as AWS gives them.

        Raises TimeoutError when records are not on the disk within `limit_s` seconds.
        """
        request_id = random_uuid()
        try:
            if operation not in self._operations:
                raise ApiError(
                    "UnknownOperationException",
                    f"The local runtime does not implement {operation or 'no operation'} of Kinesis: it takes "
                    f"{', '.join(self._operations)}, and what is put is read by the delivery stream only.",
                )
            parameters = read_request(self._requests[operation], body)
            self._check_stream(parameters)
            return response(await self._operations[operation](parameters, limit_s), request_id)
        except ApiError as error:
            return error_response(error, request_id)

    def _check_stream(self, parameters: Parameters) -> None:
        """Raise ApiError unless the request names this stream, by name, ARN or both.

        That one is needed is documented, the error of none assumed (A6.5).
        """
        name, arn = parameters.get("StreamName"), parameters.get("StreamARN")
        if name is None and arn is None:
            raise ApiError("InvalidArgumentException", "StreamName or StreamARN must be given.")
        if name not in (None, self._stream.name) or arn not in (None, self._stream.arn):
            asked = name if name not in (None, self._stream.name) else arn
            account = self._stream.arn.split(":")[4]
            raise ApiError("ResourceNotFoundException", f"Stream {asked} under account {account} not found.")

    async def _put_record(self, parameters: Parameters, limit_s: float | None) -> dict[str, Any]:
        (taken,) = await self._put([parameters], parameters, limit_s)
        return taken | self._encryption()

    async def _put_records(self, parameters: Parameters, limit_s: float | None) -> dict[str, Any]:
        taken = await self._put(parameters["Records"], parameters, limit_s)
        return {"FailedRecordCount": 0, "Records": taken, **self._encryption()}

    async def _put(
        self, records: Sequence[Parameters], request: Parameters, limit_s: float | None
    ) -> list[dict[str, Any]]:
        """Put records and return their places; raises ApiError."""
        sizes = [_size(record) for record in records]
        if sum(sizes) > MAX_REQUEST_BYTES:
            raise ApiError("InvalidArgumentException", "The records and their partition keys are more than 10 MiB.")
        if request.get("DryRun"):
            # That the good case is an error too is read from the error's description (A6.14).
            raise ApiError("DryRunOperationException", "The request would have succeeded; nothing was put.")
        try:
            puts = [Keyed(record["Data"], record["PartitionKey"]) for record in records]
            sequence = await self._accept(puts, limit_s)
        except StoreError as error:
            # Nothing was acknowledged; the producer keeps the records and tries again. The status is assumed (A6.17).
            raise ApiError("InternalFailureException", str(error), 500) from None
        return [{"SequenceNumber": sequence_number(seq), "ShardId": SHARD_ID} for seq in sequence]

    def _encryption(self) -> dict[str, str]:
        return {"EncryptionType": "KMS" if self._stream.key_id else "NONE"}

    async def _describe(self, _parameters: Parameters, _limit_s: float | None) -> dict[str, Any]:
        summary = {
            "StreamName": self._stream.name,
            "StreamARN": self._stream.arn,
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": self._stream.mode},
            "RetentionPeriodHours": self._stream.retention_hours,
            "StreamCreationTimestamp": self._buffer.created_ms / 1000,
            "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "OpenShardCount": 1,
            "ConsumerCount": 0,
            **self._encryption(),
        }
        if self._stream.key_id:
            summary["KeyId"] = self._stream.key_id
        return {"StreamDescriptionSummary": summary}


def sequence_number(seq: int) -> str:
    """Return the sequence number of a record: 56 digits, as AWS's have, that grow with each record (A6.6, observed)."""
    return f"49{seq:054d}"


def _size(record: Parameters) -> int:
    """Return the bytes of a record that count; raises ApiError for one without a key, or too large.

    That a record beyond the stream's own limit is a ValidationException, as one beyond the model's, is assumed (A6.7).
    """
    key = record.get("PartitionKey")
    if key is None:
        raise ApiError(
            "ValidationException",
            "1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: "
            "Member must not be null",
        )
    size = len(record["Data"]) + len(key.encode())
    if size > MAX_RECORD_BYTES:
        raise ApiError(
            "ValidationException",
            "1 validation error detected: Value at 'data' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_RECORD_BYTES}",
        )
    return size
