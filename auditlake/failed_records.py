"""The failed records in the objects under the error prefix, whichever shape Firehose gave them.

Two shapes are known: that of Lambda failures (B6, captured), which partitioning failures are taken to share (C4, UNV),
and that of conversion failures (D7, documented and observed under two sets of names). Members are read by any of their
names and whatever their case, because AWS's documentation and captured objects disagree.
"""

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

import msgspec

from auditlake.error_store import ErrorObject

UNREADABLE = "unreadable"
"""The error code of what is no failed record."""

_GZIP_MAGIC = b"\x1f\x8b"
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_json = json.JSONDecoder()


@dataclass(frozen=True)
class FailedRecord:
    """A record that a stage gave up on: where it lies, why, and the bytes that the stage was given.

    `line` counts the records of the object from 1; `arrival_ms` is epoch milliseconds, the object's own time where the
    record does not say. `problem` says why what lies there cannot be read as a failed record.
    """

    object: ErrorObject
    line: int
    error_code: str
    error_message: str
    arrival_ms: int
    raw_data: bytes
    attempts: int | None = None
    problem: str | None = None

    @property
    def place(self) -> str:
        """Where it lies, for people: the object's key and the line."""
        return f"{self.object.key} line {self.line}"


def failed_records(stream: IO[bytes], found: ErrorObject) -> Iterator[FailedRecord]:
    """Yield the records of an object, plain or gzip; what is no failed record is yielded with its `problem`."""
    line = 0
    try:
        for text in _lines(stream):
            for document in _documents(text):
                line += 1
                yield _record(document, found, line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield _unreadable(found, line + 1, f"the gzip data is damaged or ends early ({error})")


def _lines(stream: IO[bytes]) -> IO[bytes]:
    magic = stream.read(2)
    stream.seek(0)
    return cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if magic == _GZIP_MAGIC else stream


def _documents(line: bytes) -> Iterator[dict[str, Any] | str]:
    """Yield the JSON objects of a line, which may stand back to back (D7, observed), or why the rest is none."""
    if not line.strip():
        return
    try:
        yield _decode(line)
        return
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = line.decode("utf-8", "replace").strip()
    position = 0
    while position < len(text):
        try:
            document, position = _json.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            yield f"it is not JSON ({error})"
            return
        yield document if isinstance(document, dict) else "it is no JSON object"
        while position < len(text) and text[position].isspace():
            position += 1


def _record(document: dict[str, Any] | str, found: ErrorObject, line: int) -> FailedRecord:
    if isinstance(document, str):
        return _unreadable(found, line, document)
    members = {name.lower(): value for name, value in document.items()}
    code = members.get("errorcode") or members.get("lasterrorcode")
    message = members.get("errormessage") or members.get("lasterrormessage")
    raw = members.get("rawdata")
    if not isinstance(raw, str):
        return _unreadable(found, line, "it has no rawData")
    try:
        data = base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        return _unreadable(found, line, "its rawData is not base64")
    arrival, attempts = members.get("arrivaltimestamp"), members.get("attemptsmade")
    return FailedRecord(
        object=found,
        line=line,
        error_code=str(code or "unknown"),
        error_message=str(message or ""),
        arrival_ms=_time_ms(arrival, found),
        raw_data=data,
        attempts=attempts if isinstance(attempts, int) else None,
    )


def _time_ms(value: object, found: ErrorObject) -> int:
    is_time = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
    return value if is_time and isinstance(value, int) else _modified_ms(found)


def _modified_ms(found: ErrorObject) -> int:
    return int(found.modified.timestamp() * 1000)


def _unreadable(found: ErrorObject, line: int, problem: str) -> FailedRecord:
    return FailedRecord(
        found, line, UNREADABLE, f"This is no failed record: {problem}.", _modified_ms(found), b"", None, problem
    )
