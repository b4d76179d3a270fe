"""What was sent, as `reconcile` is told it: receipts of `send`, events, bare ids, or the spool of a client."""

import contextlib
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import cast

import msgspec

from auditlake.errors import ReconcileError
from auditlake.events_input import DOCUMENT_KEY, InputEvent, read_events
from auditlake.mapping import Mapping
from auditlake.outgoing import identified, mapped
from auditlake.recover import identity

_GZIP_MAGIC = b"\x1f\x8b"
_NO_ID = re.compile(r'[\s<>{}\[\]"\x00-\x1f\x7f]')
"""What stands in no id that is written without quotes."""


@dataclass(frozen=True)
class Sent:
    """An event that was sent: its id, its bytes' SHA-256 where it is known, and when it was accepted (epoch ms).

    `waits` says that it is in a client's spool still, `refused` why the endpoint refused it for good.
    """

    id: str
    sha256: str | None = None
    accepted_ms: int | None = None
    waits: bool = False
    refused: str | None = None


@dataclass(frozen=True)
class NotSent:
    """A line that names no event; `reason` is a sentence."""

    reason: str


class Receipt(msgspec.Struct, frozen=True):
    """A line of a receipt file: an event that the endpoint accepted."""

    id: str
    sha256: str
    accepted_at: str | None = None


_receipt_decoder = msgspec.json.Decoder(Receipt)


def read_sent(path: Path, mapping: Mapping | None = None) -> Iterator[Sent | NotSent]:
    """Yield what a file or a spool says was sent; raises ReconcileError or SendError when it cannot be read.

    A file is NDJSON or a JSON array, plain or gzip. An event without an id has the one that `send` gives it, which
    comes of its place in the file and its bytes; `mapping` is the one that it was sent with.
    """
    if path.is_dir():
        yield from _of_spool(path)
        return
    try:
        with path.open("rb") as stream:
            received = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            if _holds_documents(stream):
                document_key = (mapping.records if mapping else None) or DOCUMENT_KEY
                for event in read_events(stream, document_key):
                    yield _of_document(event, mapping, received)
            else:
                yield from _ids(stream)
    except OSError as error:
        raise ReconcileError(f"{path} cannot be read: {error.strerror or error}.") from None


def _holds_documents(stream: io.BufferedReader) -> bool:
    """Return whether a file holds JSON objects or arrays; else it holds an id a line."""
    with contextlib.closing(_unpacked(stream)) as text:
        first = next((line.strip() for line in text if line.strip()), b"")
    stream.seek(0)
    return first.removeprefix(b"\xef\xbb\xbf").startswith((b"{", b"["))


def _unpacked(stream: io.BufferedReader) -> "gzip.GzipFile | _Lines":
    return gzip.GzipFile(fileobj=stream) if stream.peek(2)[:2] == _GZIP_MAGIC else _Lines(stream)


class _Lines:
    """The lines of a stream that is not closed with them."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        """Leave the stream open."""


def _ids(stream: io.BufferedReader) -> Iterator[Sent | NotSent]:
    for number, line in enumerate(_unpacked(stream), start=1):
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if not text:
            continue
        try:
            value = json.loads(text) if text.startswith(b'"') else _bare_id(text.decode())
        except ValueError:
            shown = text[:40].decode("utf-8", "replace")
            yield NotSent(
                f"Line {number} is no id: {shown!r} is neither a JSON string nor one word; an id with white space or "
                "with brackets is written as a JSON string."
            )
            continue
        yield Sent(cast("str", value)) if value else NotSent(f"Line {number} is an empty id.")


def _bare_id(text: str) -> str:
    """Return the id that a line is; raises ValueError for what is rather a line of a log, of HTML or of broken JSON."""
    if _NO_ID.search(text):
        raise ValueError(text)
    return text


def _of_document(event: InputEvent, mapping: Mapping | None, received: datetime) -> Sent | NotSent:
    if mapping is None and event.problem is None and (receipt := _receipt(event.body)) is not None:
        if not receipt.id:
            return NotSent(f"Receipt {event.index} has no id: the server gave the event its own, which is not known.")
        return Sent(receipt.id, receipt.sha256.lower(), _epoch_ms(receipt.accepted_at))
    outgoing = mapped(event, mapping, received) if mapping else identified(event)
    if outgoing.problem:
        return NotSent(f"Event {event.index} was never accepted: {outgoing.problem}.")
    if not outgoing.id:
        return NotSent(f"Event {event.index} has an id that is null or empty; the server's own for it is not known.")
    return Sent(outgoing.id, sha256(outgoing.body).hexdigest())


def _receipt(body: bytes) -> Receipt | None:
    """Return the receipt that a line is; None for an event, which has an eventType and no sha256."""
    if b'"sha256"' not in body or b'"eventType"' in body:
        return None
    try:
        return _receipt_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _epoch_ms(text: str | None) -> int | None:
    try:
        return None if text is None else int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None


def _of_spool(directory: Path) -> Iterator[Sent | NotSent]:
    """Yield the events of a spool: those that wait, and those that were sent where the client keeps them.

    Those that the endpoint refused come first, with its reason.
    """
    from auditlake.client.line import Line
    from auditlake.client.put_aside import dead_letters
    from auditlake.client.spool import SENT, check_spool, read_segment, read_settled, segments

    check_spool(directory)
    letters = dead_letters(directory, settled=True)
    refused = set()
    for letter in letters:
        if letter.id:
            digest = sha256(bytes(letter.event)).hexdigest()
            refused.add((letter.id, digest))
            yield Sent(letter.id, digest, refused=letter.reason)
        else:
            yield NotSent(f"An event without an id was refused: {letter.reason}")
    kept = directory / SENT
    for segment in [*(segments(kept) if kept.is_dir() else ()), *segments(directory)]:
        settled = read_settled(segment) if segment.parent == directory else None
        contents = read_segment(segment, 0)
        for line in contents.lines() if contents else ():
            if not isinstance(line, Line):
                yield NotSent(f"{segment.name} is damaged at byte {line.start}: {line.why}.")
                continue
            waits = settled is not None and line.start >= settled
            event_id, digest = identity(line.body), sha256(line.body).hexdigest()
            if event_id is None:
                yield NotSent(f"An event of {segment.name} at byte {line.start} has no id.")
            elif waits or (event_id, digest) not in refused:
                yield Sent(event_id, digest, None, waits)
