"""The HTTP answer, in the form that API Gateway takes from a Lambda (REST API, proxy integration)."""

from http import HTTPStatus
from typing import Any

import msgspec

from lambda_src.receiver.problem import Problem, problem_body
from lambda_src.receiver.receive import Outcome
from lambda_src.receiver.request import Request

MAX_ID_CHARACTERS = 256
"""A longer id of a client is left out of the answer; the index says enough."""
MAX_RESULT_BYTES = 5_000_000
"""What a result may take in the answer, which Lambda bounds at 6 MB (B3)."""
RETRY_AFTER_S = 1


def problem_response(problem: Problem) -> dict[str, Any]:
    """Answer a request that is refused as a whole."""
    return _response(problem.status, problem_body(problem.status, problem.detail))


def outcome_response(request: Request, outcome: Outcome) -> dict[str, Any]:
    """Answer with what became of each event.

    202 when at least one event is durable and none is to be sent again; 400 or 413 when every event is refused; 503
    when events are to be sent again, 502 when they are because of a fault of ours. Every index that is neither under
    `rejected` nor under `retry` is durable. POST /events is answered as the direct integration answers it.
    """
    if outcome.retry:
        status = HTTPStatus.SERVICE_UNAVAILABLE if outcome.fault is None else HTTPStatus.BAD_GATEWAY
        return _problem(status, _retry_detail(request, outcome), request, outcome)
    if not outcome.durable:
        first = outcome.rejected[0]
        if request.single:
            return _problem(first.status, first.reason, request, outcome)
        detail = f"Every event of the request is refused and nothing was stored; the first because: {first.reason}"
        return _problem(HTTPStatus.BAD_REQUEST, detail, request, outcome)
    if request.single:
        ((event, record_id),) = outcome.durable
        receipt = {"status": "accepted", "eventId": event.id, "requestId": request.request_id, "recordId": record_id}
        return _response(HTTPStatus.ACCEPTED, receipt)
    return _response(HTTPStatus.ACCEPTED, _members(request, outcome))


def _problem(status: HTTPStatus, detail: str, request: Request, outcome: Outcome) -> dict[str, Any]:
    """Make a problem with what became of the events, which RFC 9457 allows.

    Of POST /events only the id with which the event has to come again, since the server may have made it.
    """
    members = _members(request, outcome)
    if request.single:
        members = {"eventId": outcome.retry[0].id} if outcome.retry else {}
    return _response(status, problem_body(status, detail) | members)


def _members(request: Request, outcome: Outcome) -> dict[str, object]:
    """Make the members of a result; without the clients' own ids when with them it would not fit into an answer."""
    members = _all_members(request, outcome, MAX_ID_CHARACTERS)
    # Lambda writes the body as a string into JSON of its own, where quotes and backslashes take two bytes.
    text = msgspec.json.encode(msgspec.json.encode(members).decode())
    return members if len(text) <= MAX_RESULT_BYTES else _all_members(request, outcome, 0)


def _all_members(request: Request, outcome: Outcome, longest_id: int) -> dict[str, object]:
    """The ids that the server made are told, since nobody else knows them."""

    def named(index: int, event_id: str | None) -> dict[str, object]:
        if event_id is None or (len(event_id) > longest_id and index not in outcome.assigned):
            return {"index": index}
        return {"index": index, "id": event_id}

    members: dict[str, object] = {
        "accepted": len(outcome.durable),
        "rejected": [named(event.index, event.id) | {"reason": event.reason} for event in outcome.rejected],
        "requestId": request.request_id,
    }
    if outcome.retry:
        members["retry"] = [named(event.index, event.id) for event in outcome.retry]
    if outcome.assigned:
        members["assigned"] = [{"index": index, "id": event_id} for index, event_id in outcome.assigned.items()]
    if outcome.conflicting:
        members["conflicting"] = [named(event.index, event.id) for event in outcome.conflicting]
    return members


def _retry_detail(request: Request, outcome: Outcome) -> str:
    if request.single:
        stored, again = "the event was not stored", "send it again, with the same id,"
    else:
        stored = f"events stored: {len(outcome.durable):,}, not stored: {len(outcome.retry):,}"
        again = "send those under retry again, with the same ids,"
    if outcome.fault is None:
        return f"The delivery stream takes no more for now; {stored}: {again} after the seconds that Retry-After says."
    return (
        f"The delivery stream refused the request, a fault of this stack and not of the events; {stored}: tell its "
        f"operators the requestId {request.request_id}, and {again} later."
    )


def _response(status: HTTPStatus, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json" if status < HTTPStatus.BAD_REQUEST else "application/problem+json"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return {
        "statusCode": int(status),
        "headers": headers,
        "body": msgspec.json.encode(body).decode(),
        "isBase64Encoded": False,
    }
