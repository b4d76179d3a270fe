"""The delivery stream's API: Firehose's JSON 1.1 protocol, as producers and tools use it (A1 to A3).

Implemented are PutRecord, PutRecordBatch, DescribeDeliveryStream, ListDeliveryStreams and ListTagsForDeliveryStream.
The others create, change or delete streams, which is the plan's part here; they are answered as AWS answers an
operation that it does not know.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from auditlake.errors import StoreError
from auditlake.runtime.api_model import ApiError, error_response, read_request, request_shapes, response
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.describe import describe, stream_type, tags
from auditlake.runtime.exchange import Response
from auditlake.runtime.plan import DeliveryStream
from auditlake.runtime.random_pool import random_uuid
from auditlake.runtime.shared_accept import Accept, Operation, Parameters

TARGET_PREFIX = "Firehose_20150804."
MAX_BATCH_BYTES = 4 * 1024 * 1024
"""Data of a PutRecordBatch (A1, documented); the other limits are in the service model."""
NOT_DIRECT_PUT = "This operation is not permitted on KinesisStreamAsSource delivery stream type."
"""The answer to who puts to a stream that reads a data stream (A6.11; the words are observed)."""
DEFAULT_TAGS = 50
"""Tags of a ListTagsForDeliveryStream without Limit: all that a stream can have (documented in the service model)."""


class FirehoseApi:
    """Answers for one delivery stream and puts records into its buffer."""

    def __init__(self, stream: DeliveryStream, buffer: Buffer, clock: Callable[[], float] = time.time) -> None:
        """Serve `stream`; `clock` gives the epoch time in seconds."""
        self._stream = stream
        self._buffer = buffer
        self._accept = Accept(buffer, clock)
        self._operations: Mapping[str, Operation] = {
            "PutRecord": self._put_record,
            "PutRecordBatch": self._put_record_batch,
            "DescribeDeliveryStream": self._describe,
            "ListDeliveryStreams": self._list,
            "ListTagsForDeliveryStream": self._list_tags,
        }
        self._requests = request_shapes("firehose", self._operations)

    async def answer(self, target: str, body: bytes) -> Response:
        """Answer a request by its X-Amz-Target; one of another service is an operation that is not known."""
        if not target.startswith(TARGET_PREFIX):
            return error_response(_unknown_operation(target), random_uuid())
        return await self.call(target.removeprefix(TARGET_PREFIX), body)

    async def call(self, operation: str, body: bytes | str, limit_s: float | None = None) -> Response:
        """Answer one call; `body` is its JSON. Errors are answers, as AWS gives them.

        Raises TimeoutError when records are not on the disk within `limit_s` seconds.
        """
        request_id = random_uuid()
        try:
            if operation not in self._operations:
                raise _unknown_operation(operation)
            parameters = read_request(self._requests[operation], body)
            name = parameters.get("DeliveryStreamName", self._stream.name)
            if name != self._stream.name:
                raise ApiError(
                    "ResourceNotFoundException", f"Firehose {name} under account {self._account()} not found."
                )
            return response(await self._operations[operation](parameters, limit_s), request_id)
        except ApiError as error:
            return error_response(error, request_id)

    def _account(self) -> str:
        return self._stream.arn.split(":")[4]

    async def _put_record(self, parameters: Parameters, limit_s: float | None) -> dict[str, Any]:
        (record_id,) = await self._put([parameters["Record"]["Data"]], limit_s)
        return {"RecordId": record_id, "Encrypted": self._stream.encrypted}

    async def _put_record_batch(self, parameters: Parameters, limit_s: float | None) -> dict[str, Any]:
        data = [record["Data"] for record in parameters["Records"]]
        if sum(map(len, data)) > MAX_BATCH_BYTES:
            raise ApiError("InvalidArgumentException", "Records size exceeds 4 MB limit")
        responses = [{"RecordId": record_id} for record_id in await self._put(data, limit_s)]
        return {"FailedPutCount": 0, "Encrypted": self._stream.encrypted, "RequestResponses": responses}

    async def _put(self, data: Sequence[bytes], limit_s: float | None) -> list[str]:
        if self._stream.source is not None:
            raise ApiError("InvalidArgumentException", NOT_DIRECT_PUT)
        try:
            sequence = await self._accept(data, limit_s)
        except StoreError as error:
            # Nothing was acknowledged; the producer keeps the records and tries again. That it is a 503 is UNV (A3).
            raise ApiError("ServiceUnavailableException", str(error), 503) from None
        return [self._buffer.record_id(seq) for seq in sequence]

    async def _describe(self, parameters: Parameters, _: float | None) -> dict[str, Any]:
        description = describe(self._stream, self._buffer.created_ms / 1000)
        after = parameters.get("ExclusiveStartDestinationId", "")
        description["Destinations"] = [d for d in description["Destinations"] if d["DestinationId"] > after]
        return {"DeliveryStreamDescription": description}

    async def _list(self, parameters: Parameters, _: float | None) -> dict[str, Any]:
        # A Limit is at least 1, and there is but one stream.
        after = parameters.get("ExclusiveStartDeliveryStreamName", "")
        own = stream_type(self._stream)
        listed = parameters.get("DeliveryStreamType", own) == own and self._stream.name > after
        return {"DeliveryStreamNames": [self._stream.name] if listed else [], "HasMoreDeliveryStreams": False}

    async def _list_tags(self, parameters: Parameters, _: float | None) -> dict[str, Any]:
        after, limit = parameters.get("ExclusiveStartTagKey", ""), parameters.get("Limit", DEFAULT_TAGS)
        found = [tag for tag in tags(self._stream) if tag["Key"] > after]
        return {"Tags": found[:limit], "HasMoreTags": len(found) > limit}


def _unknown_operation(operation: str) -> ApiError:
    """Return the answer to an operation that is not known (third party: mhart/kinesalite, for Kinesis; our words)."""
    return ApiError("UnknownOperationException", f"The local runtime does not implement {operation or 'no operation'}.")
