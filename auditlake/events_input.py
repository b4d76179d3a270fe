"""Reads the events of a file or stream, one after the other, each with its exact bytes.

What is understood, plain or gzip: one JSON value a line (NDJSON), or one JSON document spread over several lines. A
value that is an array, or an object that holds an array under the document key (`{"events": [...]}`), stands for the
elements of that array; any other value is one event.
"""

import gzip
import io
import itertools
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from auditlake.errors import SendError
from lambda_src.common.documents import elements
from lambda_src.common.fields import readable

_T = TypeVar("_T")

DOCUMENT_KEY = "events"

_GZIP_MAGIC = b"\x1f\x8b"
_WHITE_SPACE = b" \t\r\n"
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_value_decoder = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True)
class InputEvent:
    """One event of the input: its position from 0, its exact bytes without the line end, and why it is no JSON."""

    index: int
    body: bytes
    problem: str | None = None


def read_events(stream: io.BufferedReader, document_key: str = DOCUMENT_KEY) -> Iterator[InputEvent]:
    """Yield the events of a stream; NDJSON is read as it comes, a document over several lines is read whole.

    A line that is no JSON is yielded with its `problem`, and costs no other event.
    Raises SendError for gzip data that ends early or is damaged, and for text in UTF-16.
    """
    index = itertools.count()
    try:
        for line_number, value in _values(_unpacked(stream)):
            try:
                elements = _elements(value, document_key)
            except (ValueError, RecursionError) as error:
                yield InputEvent(next(index), value, f"line {line_number} is not JSON: {error}")
                continue
            for body in elements:
                yield InputEvent(next(index), body)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SendError(
            f"The gzip data is damaged or ends early ({error}); write the file again and send it."
        ) from error


def top_level(body: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object with their exact bytes; raises ValueError or RecursionError for others."""
    return {name: bytes(value) for name, value in _decode_lenient(_object_decoder, body).items()}


def is_json(text: bytes) -> bool:
    """Tell whether a text is one JSON value."""
    return _why_not_json(text) is None


def _unpacked(stream: io.BufferedReader) -> Iterable[bytes]:
    """Return the lines of the stream, unpacked when it begins with gzip's magic number; raises SendError for UTF-16."""
    head = stream.peek(2)
    if head[:2] in _UTF16_BOMS:
        raise SendError(
            "The input is UTF-16 text; JSON is UTF-8: convert it first, e.g. with iconv -f utf-16 -t utf-8."
        )
    if head[:2] == _GZIP_MAGIC:
        return io.BufferedReader(gzip.GzipFile(fileobj=stream))
    return stream


def _values(stream: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield (line number, JSON value) of each line that is not blank, or the one value that the whole input is."""
    lines = enumerate((line.removeprefix(_UTF8_BOM) for line in stream), start=1)
    first = next(((number, line) for number, line in lines if line.strip(_WHITE_SPACE)), None)
    if first is None:
        return
    if is_json(first[1]):
        yield from _not_blank(itertools.chain([first], lines))
        return
    every = [first, *lines]
    whole = b"".join(line for _, line in every).strip(_WHITE_SPACE)
    why = _why_not_json(whole)
    if why is None:
        yield first[0], whole
    elif len(every) > 1 and not any(line.startswith(b"{") and is_json(line) for _, line in every):
        # Reporting every line of one broken document would bury the one mistake.
        raise SendError(f"The input is neither NDJSON nor one JSON document: {why}. Nothing was sent.")
    else:
        yield from _not_blank(every)


def _not_blank(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    for number, line in lines:
        if text := line.strip(_WHITE_SPACE):
            yield number, text


def _elements(value: bytes, document_key: str) -> list[bytes]:
    """Return the events that one JSON value stands for; raises ValueError or RecursionError when it is no JSON."""
    if value.startswith((b"[", b"{")):
        try:
            found = elements(value, document_key)
        except msgspec.ValidationError:
            found = None  # what stands under the key is no array: the whole is the event
        return [value] if found is None else found
    _decode_lenient(_value_decoder, value)
    return [value]


def _why_not_json(text: bytes) -> str | None:
    try:
        _decode_lenient(_value_decoder, text)
    except (ValueError, RecursionError) as error:
        return str(error)
    return None


def _decode_lenient(decoder: msgspec.json.Decoder[_T], text: bytes) -> _T:
    """Decode what the server reads too: bytes that are no UTF-8 and lone surrogates cost no event."""
    try:
        return decoder.decode(text)
    except ValueError:
        return decoder.decode(readable(text)[0])
