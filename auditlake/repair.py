"""Repairs of failed events on their way back into the stream: by a mapping, or by a command of the user's.

What comes out keeps the id and the receipt of what went in, and says in its member `redrive` where its original lies
and what its SHA-256 is: a row never passes for what was POSTed when it is not.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from auditlake.errors import RedriveError
from auditlake.events_input import top_level
from auditlake.mapping import Mapping, UnmappableEvent, map_event
from auditlake.outgoing import one_line
from auditlake.piped import Bounds, Printed, run_piped
from auditlake.recover import RecoveredEvent, identity

NOTE = "redrive"
"""The member that a repaired event gets."""
_LONGEST_QUOTE = 300
TIMEOUT_S = 60.0
"""How long a command may take for one batch, unless told otherwise."""
LEAST_OUTPUT_BYTES, OUTPUT_TIMES = 16 * 1024 * 1024, 4
"""A command may print so many bytes for a batch, and so many times what it was given on top."""


@dataclass(frozen=True)
class Failed:
    """An event with the key and line of its record."""

    object_key: str
    line: int
    event: RecoveredEvent


Repaired = RecoveredEvent | str
"""The event as it is to be put, or the sentence that says why there is none."""
Repair = Callable[[Sequence[Failed]], list[Repaired]]
"""A repair of several events; it answers for each of them, in order."""


def by_mapping(mapping: Mapping) -> Repair:
    """Return the repair that turns each event by a mapping; the mapped event holds its original whole."""

    def repair(batch: Sequence[Failed]) -> list[Repaired]:
        return [_mapped(mapping, one) for one in batch]

    return repair


def by_command(
    command: str,
    timeout_s: float = TIMEOUT_S,
    stop: Callable[[], bool] = lambda: False,
    waits: Callable[[float], None] = lambda _: None,
) -> Repair:
    """Return the repair that pipes events through a shell command: NDJSON in, NDJSON out.

    The command is started once for each batch. It may leave events out or change their order; what it prints is matched
    by `id`, or by its place when it prints as many lines as it was given. What is no JSON object is not given to it:
    most commands would end at it, and with it all others of the batch. `stop` and `waits` are those of `Bounds`.
    Raises RedriveError when the command fails, takes longer than `timeout_s` for a batch, or prints without end;
    StoppedError when the user stops it.
    """

    def run(lines: Sequence[bytes]) -> list[bytes]:
        data = b"\n".join(lines) + b"\n"
        bounds = Bounds(timeout_s, LEAST_OUTPUT_BYTES + OUTPUT_TIMES * len(data), stop, waits)
        return _lines_of(run_piped(command, data, bounds))

    def repair(batch: Sequence[Failed]) -> list[Repaired]:
        lines = [_with_id_added(one.event) for one in batch]
        given = [(one, line) for one, line in zip(batch, lines, strict=True) if line is not None]
        printed = run([line for _, line in given]) if given else []
        outcomes = iter(_matched([one for one, _ in given], printed))
        return [
            "It is no JSON object, and a command is given nothing else."
            if line is None
            else _changed(one, line, next(outcomes))
            for one, line in zip(batch, lines, strict=True)
        ]

    return repair


def with_id(body: bytes, event_id: str) -> bytes:
    """Return an event with the id, as its first member; another one is taken out. Raises ValueError for no object."""
    members = top_level(body)
    rest = [json.dumps(name).encode() + b":" + value for name, value in members.items() if name not in ("id", "_id")]
    return b"{" + b",".join([b'"id":' + json.dumps(event_id).encode(), *rest]) + b"}"


def _mapped(mapping: Mapping, failed: Failed) -> Repaired:
    event = failed.event
    received = datetime.fromtimestamp(event.envelope.received_at / 1000, UTC)
    try:
        body = map_event(mapping, event.body, received)
    except UnmappableEvent as error:
        return f"The mapping {mapping.name} cannot turn it: {error}."
    # An event that nobody gave an id takes what the mapping makes: its product's own id.
    made = identity(body)
    if event.has_id or made is None:
        return _repaired(failed, body, event.event_id)
    return _repaired(failed, body, made)


def _with_id_added(event: RecoveredEvent) -> bytes | None:
    """Return the line for the command: the event with an `id`, when it has none; None when it is no JSON object."""
    line = one_line(event.body)
    try:
        members = top_level(line)
    except (ValueError, RecursionError):
        return None
    if identity(line) is not None or "id" in members:
        return line
    return b'{"id":' + json.dumps(event.event_id).encode() + (b"," if members else b"") + line.lstrip()[1:]


def _lines_of(printed: Printed) -> list[bytes]:
    if printed.exit_code != 0:
        said = " ".join(printed.said.decode("utf-8", "replace").split())[:_LONGEST_QUOTE]
        raise RedriveError(
            f"The command of --through ended with exit code {printed.exit_code}{f', saying: {said}' if said else ''}. "
            "Nothing of what it was given was put."
        )
    return [line for line in printed.output.splitlines() if line.strip()]


def _matched(batch: Sequence[Failed], printed: Sequence[bytes]) -> list[bytes | str]:
    """Find for each event the line that was printed for it, or say why there is none."""
    ids = [identity(line) for line in printed]
    wanted = [one.event.event_id for one in batch]
    if len(printed) == len(batch) and all(found in (None, id_) for found, id_ in zip(ids, wanted, strict=True)):
        return list(printed)
    counts, by_id = Counter(ids), dict(zip(ids, printed, strict=True))
    asked = Counter(wanted)
    outcomes: list[bytes | str] = []
    for id_ in wanted:
        if asked[id_] > 1 or counts[id_] > 1:
            outcomes.append("The command was given or printed several events with its id, which cannot be told apart.")
        elif id_ not in by_id:
            outcomes.append("The command printed no event with its id: it was left out, or its id was changed.")
        else:
            outcomes.append(by_id[id_])
    return outcomes


def _changed(failed: Failed, given: bytes, printed: bytes | str) -> Repaired:
    if isinstance(printed, str):
        return printed
    if printed == given:
        return failed.event
    try:
        return _repaired(failed, printed, failed.event.event_id)
    except (ValueError, RecursionError) as error:
        return f"The command printed what is no JSON object: {error}."


def _repaired(failed: Failed, body: bytes, event_id: str) -> RecoveredEvent:
    event = failed.event
    if identity(body) != event_id:
        body = with_id(body, event_id)
    members = top_level(body)
    note = {"object": failed.object_key, "line": failed.line, "sha256": event.sha256}
    if NOTE in members:
        del members[NOTE]
        body = b"{" + b",".join(json.dumps(n).encode() + b":" + v for n, v in members.items()) + b"}"
    body = body.rstrip()[:-1] + b',"redrive":' + json.dumps(note, separators=(",", ":")).encode() + b"}"
    wrapped = msgspec.structs.replace(event.envelope, event_id=event_id, body=body)
    return RecoveredEvent(event.index, wrapped)
