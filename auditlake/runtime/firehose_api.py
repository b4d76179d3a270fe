"""The delivery stream's API: Firehose's JSON 1.1 protocol, as far as producers put with it (A1 to A3).

PutRecord and PutRecordBatch are implemented; another operation is refused by name.
"""

import asyncio
import binascii
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pybase64

from auditlake.errors import StoreError
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.exchange import Response
from auditlake.runtime.plan import DeliveryStream

TARGET_PREFIX = "Firehose_20150804."
CONTENT_TYPE = "application/x-amz-json-1.1"
MAX_RECORD_BYTES = 1_024_000
"""A record's data before base64 (A1, documented)."""
MAX_BATCH_RECORDS = 500
"""Records of a PutRecordBatch (A1, documented)."""
MAX_BATCH_BYTES = 4 * 1024 * 1024
"""Data of a PutRecordBatch (A1, documented)."""


class ApiError(Exception):
    """An error of the API: its AWS code, message and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class FirehoseApi:
    """Puts records into the buffer of one delivery stream."""

    def __init__(self, stream: DeliveryStream, buffer: Buffer, clock: Callable[[], float] = time.time) -> None:
        """Serve `stream`; `clock` gives the epoch time in seconds."""
        self._stream = stream
        self._buffer = buffer
        self._clock = clock
        self._operations = {"PutRecord": self._put_record, "PutRecordBatch": self._put_record_batch}

    async def call(self, operation: str, body: bytes | str) -> Response:
        """Answer one call; `body` is its JSON. Errors are answers, as AWS gives them."""
        try:
            if operation not in self._operations:
                raise ApiError("UnknownOperationException", f"The local runtime does not implement {operation}.")
            parameters = _parameters(body)
            name = parameters.get("DeliveryStreamName")
            if name != self._stream.name:
                raise ApiError(
                    "ResourceNotFoundException", f"Firehose {name} under account {self._account()} not found."
                )
            answer = await self._operations[operation](parameters)
        except ApiError as error:
            content = {"__type": error.code, "message": error.message}
            return Response(error.status, json.dumps(content).encode(), {"content-type": CONTENT_TYPE})
        return Response(200, json.dumps(answer).encode(), {"content-type": CONTENT_TYPE})

    def _account(self) -> str:
        return self._stream.arn.split(":")[4]

    async def _put_record(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        data = _record_data(parameters.get("Record"), "record")
        (record_id,) = await self._put([data])
        return {"RecordId": record_id, "Encrypted": self._stream.encrypted}

    async def _put_record_batch(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        records = parameters.get("Records")
        if not isinstance(records, list) or not 1 <= len(records) <= MAX_BATCH_RECORDS:
            raise ApiError(
                "ValidationException",
                "1 validation error detected: Value at 'records' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MAX_BATCH_RECORDS}",
            )
        data = [_record_data(record, f"records.{place}.member") for place, record in enumerate(records, 1)]
        if sum(map(len, data)) > MAX_BATCH_BYTES:
            raise ApiError("InvalidArgumentException", "Records size exceeds 4 MB limit")
        responses = [{"RecordId": record_id} for record_id in await self._put(data)]
        return {"FailedPutCount": 0, "Encrypted": self._stream.encrypted, "RequestResponses": responses}

    async def _put(self, data: list[bytes]) -> list[str]:
        try:
            sequence = await asyncio.wrap_future(self._buffer.accept(int(self._clock() * 1000), data))
        except StoreError as error:
            # Nothing was acknowledged; the producer keeps the records and tries again.
            raise ApiError("ServiceUnavailableException", str(error), 503) from None
        return [self._buffer.record_id(seq) for seq in sequence]


def _parameters(body: bytes | str) -> Mapping[str, Any]:
    try:
        parameters = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError("SerializationException", f"The request is not JSON: {error}") from None
    if not isinstance(parameters, dict):
        raise ApiError("SerializationException", "The request is not a JSON object")
    return parameters


def _record_data(record: object, place: str) -> bytes:
    encoded = record.get("Data") if isinstance(record, Mapping) else None
    if not isinstance(encoded, str):
        raise ApiError(
            "ValidationException",
            f"1 validation error detected: Value at '{place}.data' failed to satisfy constraint: "
            "Member must not be null",
        )
    try:
        data: bytes = pybase64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ApiError("SerializationException", f"{place}.data is not base64: {error}") from None
    if len(data) > MAX_RECORD_BYTES:
        raise ApiError(
            "ValidationException",
            f"1 validation error detected: Value at '{place}.data' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_RECORD_BYTES}",
        )
    return data
