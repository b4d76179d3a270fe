"""An event on its way from an input to the endpoint, and the file of those that were rejected."""

import io
import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from auditlake.errors import SendError
from auditlake.events_input import InputEvent, is_json, top_level
from auditlake.mapping import Mapping, UnmappableEvent, map_event

# uuid5 namespace of the ids that `send` gives.
_ID_NAMESPACE = uuid.UUID("0b6f2f5e-5a0c-5b8e-9f0a-6f1f0a4d7c11")


@dataclass(frozen=True)
class Outgoing:
    """One event on its way: its place in the input, its id, the bytes to POST and the bytes that were read."""

    index: int
    id: str | None
    body: bytes
    original: bytes
    problem: str | None = None
    id_given: bool = False


def mapped(event: InputEvent, mapping: Mapping, received: datetime) -> Outgoing:
    """Return another product's event as ours; one that the mapping cannot turn has its `problem`."""
    if event.problem:
        return Outgoing(event.index, None, b"", event.body, event.problem)
    try:
        body = map_event(mapping, event.body, received)
    except UnmappableEvent as error:
        return Outgoing(event.index, None, b"", event.body, str(error))
    return Outgoing(event.index, own_id(top_level(body)), one_line(body), event.body)


def identified(event: InputEvent) -> Outgoing:
    """Return an event of ours; one without id gets one of its place and bytes, the same at every sending."""
    if event.problem:
        return Outgoing(event.index, None, b"", event.body, event.problem)
    try:
        members = top_level(event.body)
    except (ValueError, RecursionError) as error:
        return Outgoing(event.index, None, b"", event.body, f"the event must be a JSON object: {error}")
    own = own_id(members)
    # An `id` that is null or empty stays: a second one would leave open which of them counts; `_id` does for it.
    free = next((name for name in ("id", "_id") if name not in members), None)
    if own is not None or free is None:
        return Outgoing(event.index, own, one_line(event.body), event.body)
    given = str(uuid.uuid5(_ID_NAMESPACE, f"{event.index}:{event.body.decode('latin-1')}"))
    comma = b"," if members else b""
    body = b'{"' + free.encode() + b'":"' + given.encode() + b'"' + comma + event.body[1:]
    return Outgoing(event.index, given, one_line(body), event.body, id_given=True)


def own_id(members: dict[str, bytes]) -> str | None:
    """Return what the server takes for the id: `id`, else `_id`; what is no scalar, null or empty is absent."""
    for name in ("id", "_id"):
        value = members.get(name, b"null")
        if value not in (b"null", b'""') and value[:1] not in (b"{", b"["):
            return str(json.loads(value.decode("utf-8", "replace"))) if value.startswith(b'"') else value.decode()
    return None


def one_line(body: bytes) -> bytes:
    """Join the lines of an event by spaces; JSON allows a line end between tokens only, so that no value changes."""
    return body.replace(b"\r", b" ").replace(b"\n", b" ") if b"\n" in body else body


class RejectedFile:
    """The file of rejected events, made at the first one: a line {"index", "id", "reason", "event"} each.

    A file that exists is kept: `x.ndjson` becomes `x.2.ndjson`, and so on. `event` is as it was read (its text, when it
    is no JSON), so that it can be mended and sent again.
    """

    def __init__(self, wanted: Path) -> None:
        self._wanted = wanted
        self._file: io.BufferedWriter | None = None
        self.path: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def write(self, event: Outgoing, reason: str) -> None:
        """Add one event; raises SendError when the file cannot be written."""
        head = json.dumps({"index": event.index, "id": event.id, "reason": reason})[:-1].encode()
        text = json.dumps(event.original.decode("utf-8", "replace")).encode()
        body = one_line(event.original) if is_json(event.original) else text
        try:
            self._file = self._file or self._open()
            self._file.write(head + b', "event": ' + body + b"}\n")
            self._file.flush()
        except OSError as error:
            raise SendError(
                f"The rejected events cannot be written to {self._wanted} ({error.strerror}); name another file."
            ) from error

    def _open(self) -> io.BufferedWriter:
        number = 1
        while True:
            numbered = self._wanted.with_suffix(f".{number}{self._wanted.suffix}") if number > 1 else self._wanted
            try:
                file = numbered.open("xb")
            except FileExistsError:
                number += 1
                continue
            self.path = numbered
            return file
