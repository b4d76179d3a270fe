"""Taking the body apart into the exact bytes of each event."""

from http import HTTPStatus

import msgspec

from lambda_src.common.documents import BOM, NOT_JSON, elements
from lambda_src.receiver.problem import Problem
from lambda_src.receiver.request import Request

MAX_EVENTS = 10_000
"""How many events a request may hold: 600 bytes each fill Lambda's 6 MB, and an answer that names all of them fits."""


def event_bodies(request: Request) -> list[bytes]:
    """Give the exact bytes of each event, in order; raises Problem 400 or 413.

    JSON that is broken as a whole is refused as a whole, since where an event ends is then a guess. Of lines each
    stands for itself: a broken one is an event that is refused later.
    """
    if not request.body.strip():
        raise Problem(HTTPStatus.BAD_REQUEST, f"The body is empty: send {_allowed(request)}.")
    if request.single:
        return [_one(request.body)]
    # A byte order mark belongs to the text that the body is, and to none of its events.
    body = request.body.removeprefix(BOM)
    bodies = _lines(body) if request.lines else _document(body)
    if not bodies:
        raise Problem(HTTPStatus.BAD_REQUEST, f"The body holds no event: send {_allowed(request)}.")
    if len(bodies) > MAX_EVENTS:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body holds {len(bodies):,} events and nothing was stored: send at most {MAX_EVENTS:,} in a request.",
        )
    return bodies


def _allowed(request: Request) -> str:
    if request.single:
        return "one event, a JSON object"
    return 'a JSON array of events, {"events": [...]}, or one event a line'


def _one(body: bytes) -> bytes:
    """Give the body of POST /events; what it is worth is for the event's own reader to say."""
    return body.strip(b" \t\r\n")


def _lines(body: bytes) -> list[bytes]:
    return [line for line in (line.strip(b" \t\r") for line in body.split(b"\n")) if line]


def _document(body: bytes) -> list[bytes]:
    """Take apart an array, `{"events": [...]}` or one event; lines, too, when the body is no document but objects."""
    try:
        bodies = elements(body, "events")
    except NOT_JSON as error:
        lines = _lines(body)
        if len(lines) > 1 and all(line.startswith(b"{") for line in lines):
            return lines
        raise Problem(HTTPStatus.BAD_REQUEST, _broken(error)) from None
    return [_one(body)] if bodies is None else bodies


def _broken(error: Exception) -> str:
    """Say what is wrong; msgspec's message names the place and the kind, never a value."""
    if isinstance(error, msgspec.ValidationError):
        return (
            'The body is JSON but neither an array of events, nor {"events": [...]}, nor an event; nothing was stored.'
        )
    reason = str(error) if isinstance(error, msgspec.DecodeError) else "it is not UTF-8, or nested too deeply"
    return (
        f"The body is not valid JSON ({reason}) and nothing of it was stored: mend it and send it again, or send "
        "one event a line as application/x-ndjson, where a broken line costs no other."
    )
